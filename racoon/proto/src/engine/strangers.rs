//! Limits what messages make us log, and answer in clear: else whoever can send datagrams could fill a disk, and hide in
//! what he makes us write.
//!
//! A line that a message causes has a [`Party`], a kind (its [`Complaint`]) and a reason. Lines are counted by all three:
//! each reason of each peer has its own ration in a minute, which strangers and other peers cannot use up. Strangers share
//! a ration for each kind, of which one address has at most half. What goes beyond a ration is counted, and the counts are
//! logged with the reasons when the minute is over. (At level debug every line is written, those beyond the ration as lines
//! of that level.) So a flood has a bounded number of lines, and hides neither what happens to a configured peer nor what
//! goes wrong for another reason.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use super::phase1s::Phase1;
use super::room::Guest;
use super::tally::{COUNTED_FOR, Line, Tally, counted};
pub(super) use super::tally::{Complaint, Party};
use super::{Engine, Timer};
use crate::num::{Doi, ExchangeType, NotifyType, PayloadType, Protocol};
use crate::outcome::Role;
use crate::output::Level;
use crate::phase1::main::MainMode;
use crate::time::Time;
use crate::wire::{self, Cookie, CookiePair, Header, Notify};

/// Parties and reasons that are counted one by one; what exceeds them is counted as of strangers.
const TALLIES_MAX: usize = 4096;

/// Refused first messages that are remembered, so that a repetition is not logged again.
const REFUSED_MAX: usize = 128;

/// Longest reason that is kept, in bytes.
const REASON_LEN: usize = 400;

/// Lines in [`COUNTED_FOR`] that unauthenticated messages in the names of known peers may cause in all.
const KNOWN_MAX: u32 = 64;

/// Counts of single peers that are logged; the others are summed up.
const REPORTS_MAX: usize = 16;

/// Answers to strangers in a second.
const ANSWERS_A_SECOND: u32 = 10;

/// Length of a message in clear with a notify: a header, and a payload without SPI and data.
const NOTIFY_LEN: usize = 40;

/// What messages made us log and answer lately.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    tallies: BTreeMap<(Party, Complaint), Tally>,
    /// When tallies that are idle were looked for.
    swept: Time,
    /// Lines about known peers: since when they are counted, and how many there were.
    known: (Time, u32),
    /// The most recent first messages whose refusal was logged.
    refused: VecDeque<(Cookie, SocketAddr)>,
    /// The second for which answers are counted, and how many there were.
    answers: (Time, u32),
}

impl Strangers {
    /// Whether the reason of a line is needed: for the line, or for the summary of suppressed lines.
    fn examines(&self, party: Party, complaint: Complaint, now: Time) -> bool {
        let tally = self.tallies.get(&(party, complaint)).filter(|tally| !tally.is_idle(now));
        tally.is_none_or(Tally::examines)
    }

    /// Whether a line would be within its ration.
    fn may_tell(&self, line: Line<'_>, now: Time) -> bool {
        let in_all = match line.party {
            Party::Known(_) => self.known.1 < KNOWN_MAX || now.since(self.known.0) >= COUNTED_FOR,
            Party::Peer(_) | Party::Stranger => true,
        };
        let tally = self.tallies.get(&(line.party, line.complaint)).filter(|tally| !tally.is_idle(now));
        in_all && !line.unexamined && tally.is_none_or(|tally| tally.may_tell(line))
    }

    /// Counts a line. Returns whether it is within its ration.
    fn note(&mut self, mut line: Line<'_>, now: Time) -> bool {
        if self.tallies.len() >= TALLIES_MAX && !self.tallies.contains_key(&(line.party, line.complaint)) {
            self.sweep(now);
            if self.tallies.len() >= TALLIES_MAX {
                line.party = Party::Stranger;
            }
        }
        let is_told = self.may_tell(line, now);
        let key = (line.party, line.complaint);
        let tally = self.tallies.entry(key).or_insert_with(|| Tally::new(line, now));
        if tally.is_idle(now) {
            *tally = Tally::new(line, now);
        }
        if !is_told {
            tally.count(line);
            return false;
        }
        tally.tell(line);
        if matches!(line.party, Party::Known(_)) {
            if now.since(self.known.0) >= COUNTED_FOR {
                self.known = (now, 0);
            }
            self.known.1 += 1;
        }
        true
    }

    /// Forgets what is idle, but does not look for it with each message.
    fn sweep(&mut self, now: Time) {
        if now.since(self.swept) >= COUNTED_FOR {
            self.swept = now;
            self.tallies.retain(|_, tally| !tally.is_idle(now));
        }
    }

    /// Whether the refusal of this first message was logged: a repetition is not another attempt.
    pub(super) fn was_refused(&self, cookie: Cookie, remote: SocketAddr) -> bool {
        self.refused.contains(&(cookie, remote))
    }

    /// Remembers that the refusal of a first message was logged.
    pub(super) fn refused(&mut self, cookie: Cookie, remote: SocketAddr) {
        if self.refused.len() >= REFUSED_MAX {
            self.refused.pop_front();
        }
        self.refused.push_back((cookie, remote));
    }

    /// Whether there may be one more answer now.
    fn may_answer(&mut self, now: Time) -> bool {
        let (since, count) = &mut self.answers;
        if now.since(*since) >= Duration::from_secs(1) {
            self.answers = (now, 1);
            return true;
        }
        *count = count.saturating_add(1);
        *count <= ANSWERS_A_SECOND
    }
}

impl Engine {
    /// Whose name a message is in that nobody has authenticated.
    pub(super) fn party_of(&self, remote: SocketAddr) -> Party {
        let address = remote.ip();
        let is_known = self.phase1s.is_peer(address)
            || self.contacted.contains(&address)
            || self.spd.names_peer(address)
            || self.guest(remote) == Guest::Configured;
        if is_known { Party::Known(address) } else { Party::Stranger }
    }

    /// Returns the party of a phase 1. A peer that has returned our cookie receives at its address: nobody else can
    /// use up its ration.
    pub(super) fn party_of_phase1(&self, phase1: &Phase1) -> Party {
        let is_at_its_address = !phase1.negotiation().is_some_and(MainMode::is_from_unproved_address);
        match self.party_of(phase1.remote) {
            _ if phase1.role == Role::Initiator => Party::Peer(phase1.remote.ip()),
            Party::Known(address) if is_at_its_address => Party::Peer(address),
            party => party,
        }
    }

    /// Whether the reason of a line is needed; otherwise it need not be formatted.
    pub(super) fn examines(&self, party: Party, complaint: Complaint) -> bool {
        self.settings.log >= Level::Debug || self.strangers.examines(party, complaint, self.now)
    }

    /// Counts a line. Returns whether it is within its ration, and the level to write it at: its own, or beyond
    /// its ration debug.
    pub(super) fn ration(
        &mut self,
        (party, complaint): (Party, Complaint),
        reason: Option<&dyn Display>,
        level: Level,
        remote: SocketAddr,
    ) -> (bool, Level) {
        let unexamined = !self.strangers.examines(party, complaint, self.now);
        let reason = reason.filter(|_| !unexamined).map(|reason| shortened(reason.to_string())).unwrap_or_default();
        let told = self.strangers.note(Line { party, complaint, remote, reason: &reason, unexamined, level }, self.now);
        if !told && !self.timers.is_set(Timer::Strangers) {
            self.timers.set(Timer::Strangers, self.now + COUNTED_FOR);
        }
        (told, if told { level } else { level.max(Level::Debug) })
    }

    /// Logs a line, limited by the ration of a party for all reasons. Returns whether it was within it.
    #[track_caller]
    pub(super) fn log_rationed(
        &mut self,
        kind: (Party, Complaint),
        level: Level,
        remote: SocketAddr,
        text: impl FnOnce() -> String,
    ) -> bool {
        let (told, level) = self.ration(kind, None, level, remote);
        self.log(level, Some(remote), text);
        told
    }

    /// Logs a line, limited by the ration of a party for this reason. Returns whether it was within it.
    #[track_caller]
    pub(super) fn log_reason(
        &mut self,
        kind: (Party, Complaint),
        reason: &dyn Display,
        level: Level,
        remote: SocketAddr,
        text: impl FnOnce() -> String,
    ) -> bool {
        let (told, level) = self.ration(kind, Some(reason), level, remote);
        self.log(level, Some(remote), text);
        told
    }

    /// Logs what the message of an authenticated peer causes, within the peer's ration.
    #[track_caller]
    pub(super) fn log_of_peer(
        &mut self,
        complaint: Complaint,
        level: Level,
        remote: SocketAddr,
        text: impl FnOnce() -> String,
    ) -> bool {
        self.log_rationed((Party::Peer(remote.ip()), complaint), level, remote, text)
    }

    /// Logs an error caused by an unauthenticated message, limited by the ration for this text.
    #[track_caller]
    pub(super) fn complain(&mut self, complaint: Complaint, remote: SocketAddr, text: impl FnOnce() -> String) {
        let kind = (self.party_of(remote), complaint);
        if self.examines(kind.0, complaint) {
            let text = text();
            self.log_reason(kind, &text.clone(), Level::Error, remote, || text);
        } else {
            self.log_rationed(kind, Level::Error, remote, text);
        }
    }

    /// Logs how many lines were suppressed, and their reasons.
    pub(super) fn report_strangers(&mut self) {
        let tallies = std::mem::take(&mut self.strangers.tallies).into_iter().filter(|(_, tally)| tally.untold > 0);
        let (strangers, mut peers): (Vec<_>, Vec<_>) = tallies.partition(|((party, _), _)| *party == Party::Stranger);
        peers.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.untold));
        let seconds = COUNTED_FOR.as_secs();
        for ((_, complaint), tally) in strangers {
            self.log(tally.level, Some(tally.last), || {
                let (what, last) = (counted(tally.untold, complaint), tally.last.ip());
                let reasons = tally.reasons();
                format!("{what} of unknown peers in the last {seconds} s, most recent from {last}{reasons}")
            });
        }
        let summed = peers.split_off(peers.len().min(REPORTS_MAX));
        for ((_, complaint), tally) in peers {
            self.log(tally.level, Some(tally.last), || {
                let what = counted(tally.untold, complaint);
                format!("{what} of this peer in the last {seconds} s{}", tally.reasons())
            });
        }
        let mut sums = BTreeMap::new();
        for ((_, complaint), tally) in summed {
            let (count, level) = sums.entry(complaint).or_insert((0_u32, tally.level));
            (*count, *level) = (count.saturating_add(tally.untold), tally.level.min(*level));
        }
        for (complaint, (count, level)) in sums {
            self.log(level, None, || {
                format!("{} of other known peers in the last {seconds} s", counted(count, complaint))
            });
        }
    }

    /// Tells somebody who cannot be told under an SA what is wrong with a message of `asked` bytes. There is not much of it,
    /// and never more than was asked, for the address may be another one's.
    pub(super) fn notify_in_clear(
        &mut self,
        (local, remote): (SocketAddr, SocketAddr),
        cookies: CookiePair,
        asked: usize,
        kind: NotifyType,
    ) {
        if asked < NOTIFY_LEN || !self.strangers.may_answer(self.now) {
            return;
        }
        let mut message_id = [0; 4];
        self.random.fill(&mut message_id);
        let header = Header::new(cookies, ExchangeType::INFORMATIONAL, u32::from_be_bytes(message_id));
        let notify = Notify { doi: Doi::IPSEC, protocol: Protocol::ISAKMP, spi: Vec::new(), kind, data: Vec::new() };
        let message = wire::message(&header, &[(PayloadType::NOTIFY, &notify.encode())]);
        self.transmit_once(local, remote, message);
    }
}

/// Cuts a reason to [`REASON_LEN`].
fn shortened(mut reason: String) -> String {
    if reason.len() > REASON_LEN {
        let end = (0..=REASON_LEN).rev().find(|at| reason.is_char_boundary(*at));
        reason.truncate(end.unwrap_or_default());
        reason.push('…');
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(number: u32) -> SocketAddr {
        SocketAddr::from((number.to_be_bytes(), 500))
    }

    fn known(number: u32) -> (Party, Complaint) {
        (Party::Known(remote(number).ip()), Complaint::Refused)
    }

    fn line((party, complaint): (Party, Complaint), reason: &str) -> Line<'_> {
        let remote = match party {
            Party::Peer(address) | Party::Known(address) => SocketAddr::new(address, 500),
            Party::Stranger => remote(7),
        };
        Line { party, complaint, remote, reason, unexamined: false, level: Level::Error }
    }

    /// How many of so many lines are within the ration.
    fn told(strangers: &mut Strangers, key: (Party, Complaint), count: u32, now: u64) -> usize {
        (0..count).filter(|_| strangers.note(line(key, ""), Time::from_secs(now))).count()
    }

    #[test]
    fn each_party_and_reason_has_its_ration() {
        let mut strangers = Strangers::default();
        for complaint in [Complaint::Refused, Complaint::Malformed] {
            let address = remote(1).ip();
            for (party, ration) in [(Party::Stranger, 1), (Party::Known(address), 3), (Party::Peer(address), 10)] {
                let one = (party, complaint);
                for reason in ["", "another one"] {
                    assert!(strangers.may_tell(line(one, reason), Time::from_secs(1)));
                    let notes = (0..1000).map(|_| strangers.note(line(one, reason), Time::from_secs(1)));
                    assert_eq!(notes.filter(|told| *told).count(), ration, "{party:?}");
                    assert!(!strangers.may_tell(line(one, reason), Time::from_secs(60)));
                }
            }
        }
        // What is within its ration is forgotten by itself.
        assert_eq!(told(&mut strangers, known(2), 3, 2), 3);
        assert_eq!(told(&mut strangers, known(2), 3, 62), 3);
    }

    #[test]
    fn made_up_reasons_are_bounded() {
        let mut strangers = Strangers::default();
        let reasons = (0..1000).map(|number| number.to_string()).collect::<Vec<_>>();
        let mut told = |key| reasons.iter().filter(|one| strangers.note(line(key, one), Time::from_secs(1))).count();
        assert_eq!(told(known(1)), 4);
        // Of one address; of many.
        assert_eq!(told((Party::Stranger, Complaint::Refused)), 2);
        let from = |number| Line { remote: remote(number), ..line((Party::Stranger, Complaint::Refused), "") };
        let more = (0..1000).filter(|number| strangers.note(from(*number), Time::from_secs(1))).count();
        assert_eq!(more, 2);
        assert!(strangers.tallies.values().all(|tally| tally.reasons().len() < 200));
    }

    #[test]
    fn reasons_stand_behind_their_number() {
        let mut strangers = Strangers::default();
        let note = |strangers: &mut Strangers, reason, count| {
            for _ in 0..count {
                strangers.note(line(known(1), reason), Time::default());
            }
        };
        note(&mut strangers, "one", 5);
        assert_eq!(strangers.tallies[&known(1)].reasons(), ": one");
        note(&mut strangers, "two", 4);
        assert_eq!(strangers.tallies[&known(1)].reasons(), ": one (2); two (1)");
        ["3", "4", "five", "six"].into_iter().for_each(|reason| note(&mut strangers, reason, 1));
        assert_eq!(strangers.tallies[&known(1)].reasons(), ": one (2); two (1); others (2), the last one six");
    }

    #[test]
    fn known_peers_have_a_ration_in_all() {
        let mut strangers = Strangers::default();
        let in_a_minute = |strangers: &mut Strangers, now| {
            (0..1000).map(|number| told(strangers, known(number), 3, now)).sum::<usize>()
        };
        assert_eq!(in_a_minute(&mut strangers, 0), KNOWN_MAX as usize);
        assert_eq!(told(&mut strangers, (Party::Peer(remote(1).ip()), Complaint::Refused), 1, 1), 1);
        strangers.tallies.clear();
        assert_eq!(in_a_minute(&mut strangers, 60), KNOWN_MAX as usize);
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let mut strangers = Strangers::default();
        let peer = |number| (Party::Peer(remote(number).ip()), Complaint::Refused);
        for number in 0..20_000 {
            told(&mut strangers, peer(number), 1, 70);
            assert!(strangers.tallies.len() <= TALLIES_MAX + 1);
        }
        let of_strangers = &strangers.tallies[&(Party::Stranger, Complaint::Refused)];
        assert_eq!((of_strangers.told, of_strangers.untold), (4, 20_000 - 4096 - 4));
        // Later there is room again.
        assert_eq!(told(&mut strangers, peer(30_000), 1, 140), 1);
        assert_eq!(strangers.tallies.len(), 2);
    }

    /// However many peers had lines beyond their rations, few lines say so, those of the most first.
    #[test]
    fn a_report_is_short() {
        let random = Box::new(crate::crypto::SeededRandom::new(1));
        let mut engine = Engine::new(crate::settings::Settings::default(), random, Time::default());
        for number in 0..100 {
            for _ in 0..=10 + number {
                engine.log_of_peer(Complaint::Notified, Level::Warning, remote(number), || "a line".into());
            }
        }
        let drain = |engine: &mut Engine| -> Vec<String> {
            let line = |output| match output {
                crate::output::Output::Log(line) => Some(line.text),
                _ => None,
            };
            std::iter::from_fn(|| engine.poll_output()).filter_map(line).collect()
        };
        assert_eq!(drain(&mut engine).len(), 1000);
        assert_eq!(engine.poll_timeout(), Some(Time::from_secs(60)));
        engine.handle_timeout(Time::from_secs(60));
        let report = drain(&mut engine);
        assert_eq!(report.len(), REPORTS_MAX + 1);
        assert_eq!(report[0], "100 more notifies of this peer in the last 60 s");
        let others = (1..=84).sum::<u32>();
        assert_eq!(report[REPORTS_MAX], format!("{others} more notifies of other known peers in the last 60 s"));
        assert_eq!(engine.poll_timeout(), None);
    }

    #[test]
    fn numbers() {
        assert_eq!(counted(1, Complaint::Refused), "1 more refused negotiation");
        assert_eq!(counted(2, Complaint::Unproved), "2 more failed authentications");
    }
}
