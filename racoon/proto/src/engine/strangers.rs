//! What messages make us log, and answer in clear, is limited: else whoever can send datagrams could fill a disk, and hide in
//! what he makes us write.
//!
//! A line that a message causes has a [`Party`] and a reason, the [`Complaint`]. Each such pair has its ration in a minute;
//! what goes beyond it is counted, and the counts are logged when the minute is over. (At level debug every line is
//! written, those beyond the ration as lines of that level.) So a flood has a bounded number of lines, and hides neither what
//! happens to a peer that is configured nor what goes wrong for another reason.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::room::Guest;
use super::{Engine, Timer};
use crate::num::{Doi, ExchangeType, NotifyType, PayloadType, Protocol};
use crate::output::Level;
use crate::time::Time;
use crate::wire::{self, CookiePair, Header, Notify};

/// How long lines are counted before the number of those that were not written is logged.
const COUNTED_FOR: Duration = Duration::from_secs(60);

/// Parties and reasons that are counted one by one; what exceeds them is counted as of strangers.
const TALLIES_MAX: usize = 4096;

/// Lines in [`COUNTED_FOR`] that unauthenticated messages in the names of known peers may cause in all.
const KNOWN_MAX: u32 = 64;

/// Counts of single peers that are logged; the others are summed up.
const REPORTS_MAX: usize = 16;

/// Answers to strangers in a second.
const ANSWERS_A_SECOND: u32 = 10;

/// Length of a message in clear with a notify: a header, and a payload without SPI and data.
const NOTIFY_LEN: usize = 40;

/// Whom a line is about, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    /// The peer of an established phase 1, or one that has proved to know the key, by its address.
    Peer(IpAddr),
    /// Nobody is authenticated, but the address is one that a remote block names, or of an established phase 1.
    Known(IpAddr),
    /// Anybody else.
    Stranger,
}

/// Why a message makes us log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Complaint {
    /// It begins a phase 1.
    Begun,
    /// Its bytes are no message.
    Malformed,
    /// Its exchange does not exist.
    Unknown,
    /// It belongs to an exchange with another address.
    Elsewhere,
    /// It is a first message that nothing is configured for.
    Refused,
    /// There are too many negotiations or exchanges at once.
    Crowd,
    /// The negotiation that it began did not go on.
    Unfinished,
    /// It is no good, and its negotiation goes on without it.
    Ignored,
    /// It says in clear what its sender did not prove.
    Hint,
    /// Its sender did not prove who it is, or has another identity than expected.
    Unproved,
    /// It cannot be worked on here.
    Failed,
    /// It begins a phase 2.
    Phase2Begun,
    /// Its phase 2 is refused, or fails.
    Phase2Failed,
    /// It is an authenticated notify.
    Notified,
    /// It is about what is not its sender's.
    Misplaced,
}

impl Complaint {
    /// What is counted: one, and several.
    fn names(self) -> [&'static str; 2] {
        match self {
            Self::Begun => ["phase 1 negotiation begun", "phase 1 negotiations begun"],
            Self::Malformed => ["malformed message", "malformed messages"],
            Self::Unknown => ["message of an unknown exchange", "messages of unknown exchanges"],
            Self::Elsewhere => ["message from another address", "messages from other addresses"],
            Self::Refused => ["refused negotiation", "refused negotiations"],
            Self::Crowd => ["negotiation over the limit", "negotiations over the limit"],
            Self::Unfinished => ["unfinished negotiation", "unfinished negotiations"],
            Self::Ignored => ["ignored message", "ignored messages"],
            Self::Hint => ["unauthenticated notify", "unauthenticated notifies"],
            Self::Unproved => ["failed authentication", "failed authentications"],
            Self::Failed => ["message that could not be processed", "messages that could not be processed"],
            Self::Phase2Begun => ["phase 2 negotiation begun", "phase 2 negotiations begun"],
            Self::Phase2Failed => ["failed phase 2 negotiation", "failed phase 2 negotiations"],
            Self::Notified => ["notify", "notifies"],
            Self::Misplaced => ["message about an SA of others", "messages about SAs of others"],
        }
    }

    /// Lines in [`COUNTED_FOR`]. Strangers have one ration for all of them: it is small for what a forged address can cause.
    fn ration(self, party: Party) -> u32 {
        match (party, self) {
            (Party::Peer(_), Self::Phase2Begun) => 100,
            (Party::Peer(_), _) => 10,
            (Party::Known(_), _) => 3,
            (Party::Stranger, Self::Begun) => 20,
            (Party::Stranger, Self::Ignored | Self::Hint | Self::Unproved) => 10,
            (Party::Stranger, _) => 1,
        }
    }
}

/// What one party did lately, for one reason.
#[derive(Clone, Copy, Debug)]
struct Tally {
    since: Time,
    told: u32,
    untold: u32,
    /// The most important of the lines that were not written.
    level: Level,
    /// Whose message was the last one.
    last: SocketAddr,
}

impl Tally {
    fn is_idle(&self, now: Time) -> bool {
        self.untold == 0 && now.since(self.since) >= COUNTED_FOR
    }
}

/// What messages made us log and answer lately.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    tallies: BTreeMap<(Party, Complaint), Tally>,
    /// When tallies that are idle were looked for.
    swept: Time,
    /// Lines about known peers: since when they are counted, and how many there were.
    known: (Time, u32),
    /// The second for which answers are counted, and how many there were.
    answers: (Time, u32),
}

impl Strangers {
    /// Whether a line would be within its ration.
    fn may_tell(&self, (party, complaint): (Party, Complaint), now: Time) -> bool {
        let in_all = match party {
            Party::Known(_) => self.known.1 < KNOWN_MAX || now.since(self.known.0) >= COUNTED_FOR,
            Party::Peer(_) | Party::Stranger => true,
        };
        let tally = self.tallies.get(&(party, complaint)).filter(|tally| !tally.is_idle(now));
        in_all && tally.is_none_or(|tally| tally.told < complaint.ration(party))
    }

    /// Counts a line. Returns whether it is within its ration.
    fn note(&mut self, mut key: (Party, Complaint), level: Level, remote: SocketAddr, now: Time) -> bool {
        if self.tallies.len() >= TALLIES_MAX && !self.tallies.contains_key(&key) {
            self.sweep(now);
            if self.tallies.len() >= TALLIES_MAX {
                key.0 = Party::Stranger;
            }
        }
        let is_told = self.may_tell(key, now);
        let new = Tally { since: now, told: 0, untold: 0, level, last: remote };
        let tally = self.tallies.entry(key).or_insert(new);
        if tally.is_idle(now) {
            *tally = new;
        }
        if !is_told {
            tally.level = if tally.untold == 0 { level } else { tally.level.min(level) };
            tally.untold = tally.untold.saturating_add(1);
            tally.last = remote;
            return false;
        }
        tally.told += 1;
        if matches!(key.0, Party::Known(_)) {
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
        let is_known = self.phase1s.is_peer(address) || self.guest(remote) == Guest::Configured;
        if is_known { Party::Known(address) } else { Party::Stranger }
    }

    /// Whether a line would be written at all: its text need not be made otherwise.
    pub(super) fn would_tell(&self, party: Party, complaint: Complaint) -> bool {
        self.settings.log >= Level::Debug || self.strangers.may_tell((party, complaint), self.now)
    }

    /// Counts a line. Returns the level at which it is to be written: its own, or beyond its ration debug.
    pub(super) fn ration(
        &mut self,
        party: Party,
        complaint: Complaint,
        level: Level,
        remote: SocketAddr,
    ) -> (bool, Level) {
        let told = self.strangers.note((party, complaint), level, remote, self.now);
        if !told && !self.timers.is_set(Timer::Strangers) {
            self.timers.set(Timer::Strangers, self.now + COUNTED_FOR);
        }
        (told, if told { level } else { level.max(Level::Debug) })
    }

    /// Logs a line within the ration of a party. Returns whether it was within it.
    #[track_caller]
    pub(super) fn log_rationed(
        &mut self,
        (party, complaint): (Party, Complaint),
        level: Level,
        remote: SocketAddr,
        text: impl FnOnce() -> String,
    ) -> bool {
        let (told, level) = self.ration(party, complaint, level, remote);
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

    /// Logs an error that a message of nobody knows whom causes, within the ration. Returns whether it was within it.
    #[track_caller]
    pub(super) fn complain(&mut self, complaint: Complaint, remote: SocketAddr, text: impl FnOnce() -> String) -> bool {
        self.log_rationed((self.party_of(remote), complaint), Level::Error, remote, text)
    }

    /// Logs the numbers of the lines that were beyond their rations.
    pub(super) fn report_strangers(&mut self) {
        let tallies = std::mem::take(&mut self.strangers.tallies).into_iter().filter(|(_, tally)| tally.untold > 0);
        let (strangers, mut peers): (Vec<_>, Vec<_>) = tallies.partition(|((party, _), _)| *party == Party::Stranger);
        peers.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.untold));
        let seconds = COUNTED_FOR.as_secs();
        for ((_, complaint), Tally { untold, level, last, .. }) in strangers {
            self.log(level, Some(last), || {
                let what = counted(untold, complaint);
                format!("{what} of unknown peers in the last {seconds} s, most recent from {}", last.ip())
            });
        }
        let summed = peers.split_off(peers.len().min(REPORTS_MAX));
        for ((_, complaint), Tally { untold, level, last, .. }) in peers {
            self.log(level, Some(last), || {
                format!("{} of this peer in the last {seconds} s", counted(untold, complaint))
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

/// A number of lines that were not written.
fn counted(count: u32, complaint: Complaint) -> String {
    let [one, several] = complaint.names();
    format!("{count} more {}", if count == 1 { one } else { several })
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

    /// How many of so many lines are within the ration.
    fn told(strangers: &mut Strangers, key: (Party, Complaint), count: u32, now: u64) -> usize {
        let mut note = |_: &u32| strangers.note(key, Level::Error, remote(7), Time::from_secs(now));
        (0..count).filter(|number| note(number)).count()
    }

    #[test]
    fn each_party_and_reason_has_its_ration() {
        let mut strangers = Strangers::default();
        for complaint in [Complaint::Refused, Complaint::Malformed] {
            let address = remote(1).ip();
            for (party, ration) in [(Party::Stranger, 1), (Party::Known(address), 3), (Party::Peer(address), 10)] {
                assert!(strangers.may_tell((party, complaint), Time::from_secs(1)));
                assert_eq!(told(&mut strangers, (party, complaint), 1000, 1), ration, "{party:?}");
                assert!(!strangers.may_tell((party, complaint), Time::from_secs(60)));
            }
        }
        // What is within its ration is forgotten by itself.
        assert_eq!(told(&mut strangers, known(2), 3, 2), 3);
        assert_eq!(told(&mut strangers, known(2), 3, 62), 3);
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
        assert_eq!((of_strangers.told, of_strangers.untold), (1, 20_000 - 4096 - 1));
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
