//! Limits what messages make us log, and answer in clear: else whoever can send datagrams could fill a disk, and hide in
//! what he makes us write.
//!
//! A line that a message causes has a [`PeerStanding`], a kind (its [`LoggedEvent`]) and a reason. Lines are counted by all three:
//! each reason of each peer has its own quota in a minute, which unknown peers and other peers cannot use up. RateLimits share
//! a quota for each kind, of which one address has at most half. What goes beyond a quota is counted, and the counts are
//! logged with the reasons when the minute is over. (At level debug every line is written, those beyond the quota as lines
//! of that level.) So a flood has a bounded number of lines, and hides neither what happens to a configured peer nor what
//! goes wrong for another reason.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::{Engine, Timer};
use crate::num::{Doi, ExchangeType, NotifyType, PayloadType, Protocol};
use crate::output::Level;
use crate::phase1::exchange::Exchange;
use crate::phase1::failure_counters::{COUNTED_FOR, FailureCounter, Line, counted};
pub(crate) use crate::phase1::failure_counters::{LoggedEvent, PeerStanding};
use crate::phase1::half_open::PeerClass;
use crate::phase1::table::Phase1;
use crate::reason::Role;
use crate::time::Time;
use crate::wire::{self, Cookie, CookiePair, Header, Notify};

/// Peers and reasons that are counted one by one; what exceeds them is counted as of unknown peers.
const COUNTERS_MAX: usize = 4096;

/// Refused first messages that are remembered, so that a repetition is not logged again.
const REFUSED_MAX: usize = 128;

/// Longest reason that is kept, in bytes.
const REASON_LEN: usize = 400;

/// Lines in [`COUNTED_FOR`] that unauthenticated messages in the names of known peers may cause in all.
const KNOWN_MAX: u32 = 64;

/// Counts of single peers that are logged; the others are summed up.
const REPORTS_MAX: usize = 16;

/// Answers to unknown peers in a second.
const ANSWERS_A_SECOND: u32 = 10;

/// Length of a message in clear with a notify: a header, and a payload without SPI and data.
const NOTIFY_LEN: usize = 40;

/// What messages made us log and answer lately.
#[derive(Debug, Default)]
pub(crate) struct RateLimits {
    counters: BTreeMap<(PeerStanding, LoggedEvent), FailureCounter>,
    /// When tallies that are idle were looked for.
    swept: Time,
    /// Lines about known peers: since when they are counted, and how many there were.
    known: (Time, u32),
    /// The most recent first messages whose refusal was logged.
    refused: VecDeque<(Cookie, SocketAddr)>,
    /// The second for which answers are counted, and how many there were.
    answers: (Time, u32),
}

impl RateLimits {
    /// Whether the reason of a line is needed: for the line, or for the summary of suppressed lines.
    fn formats_reasons(&self, standing: PeerStanding, event: LoggedEvent, now: Time) -> bool {
        let counter = self.counters.get(&(standing, event)).filter(|counter| !counter.is_idle(now));
        counter.is_none_or(FailureCounter::formats_reasons)
    }

    /// Whether a line would be within its quota.
    fn may_log(&self, line: Line<'_>, now: Time) -> bool {
        let in_all = match line.standing {
            PeerStanding::Known(_) => self.known.1 < KNOWN_MAX || now.since(self.known.0) >= COUNTED_FOR,
            PeerStanding::Proved(_) | PeerStanding::Unknown => true,
        };
        let counter = self.counters.get(&(line.standing, line.event)).filter(|counter| !counter.is_idle(now));
        in_all && !line.unformatted && counter.is_none_or(|counter| counter.may_log(line))
    }

    /// Counts a line. Returns whether it is within its quota.
    fn note(&mut self, mut line: Line<'_>, now: Time) -> bool {
        if self.counters.len() >= COUNTERS_MAX && !self.counters.contains_key(&(line.standing, line.event)) {
            self.sweep(now);
            if self.counters.len() >= COUNTERS_MAX {
                line.standing = PeerStanding::Unknown;
            }
        }
        let is_told = self.may_log(line, now);
        let key = (line.standing, line.event);
        let counter = self.counters.entry(key).or_insert_with(|| FailureCounter::new(line, now));
        if counter.is_idle(now) {
            *counter = FailureCounter::new(line, now);
        }
        if !is_told {
            counter.count(line);
            return false;
        }
        counter.log(line);
        if matches!(line.standing, PeerStanding::Known(_)) {
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
            self.counters.retain(|_, counter| !counter.is_idle(now));
        }
    }

    /// Whether the refusal of this first message was logged: a repetition is not another attempt.
    pub(crate) fn was_refused(&self, cookie: Cookie, remote: SocketAddr) -> bool {
        self.refused.contains(&(cookie, remote))
    }

    /// Remembers that the refusal of a first message was logged.
    pub(crate) fn refused(&mut self, cookie: Cookie, remote: SocketAddr) {
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
    pub(crate) fn standing_of(&self, remote: SocketAddr) -> PeerStanding {
        let address = remote.ip();
        let is_known = self.phase1s.is_peer(address)
            || self.contacted.contains(&address)
            || self.spd.names_peer(address)
            || self.peer_class(remote) == PeerClass::Configured;
        if is_known { PeerStanding::Known(address) } else { PeerStanding::Unknown }
    }

    /// Returns the party of a phase 1. A peer that has returned our cookie receives at its address: nobody else can
    /// use up its quota.
    pub(crate) fn standing_of_phase1(&self, phase1: &Phase1) -> PeerStanding {
        let is_at_its_address = !phase1.negotiation().is_some_and(Exchange::is_from_unproved_address);
        match self.standing_of(phase1.remote) {
            _ if phase1.role == Role::Initiator => PeerStanding::Proved(phase1.remote.ip()),
            PeerStanding::Known(address) if is_at_its_address => PeerStanding::Proved(address),
            standing => standing,
        }
    }

    /// Logs an error caused by an unauthenticated message, limited by the quota for this text.
    #[track_caller]
    pub(crate) fn log_unauthenticated(
        &mut self,
        event: LoggedEvent,
        remote: SocketAddr,
        text: impl FnOnce() -> String,
    ) {
        let kind = (self.standing_of(remote), event);
        if self.core.formats_reasons(kind.0, event) {
            let text = text();
            self.core.log_reason(kind, &text.clone(), Level::Error, remote, || text);
        } else {
            self.core.log_limited(kind, Level::Error, remote, text);
        }
    }
}

impl Core {
    /// Whether the reason of a line is needed; otherwise it need not be formatted.
    pub(crate) fn formats_reasons(&self, standing: PeerStanding, event: LoggedEvent) -> bool {
        self.settings.log >= Level::Debug || self.rate_limits.formats_reasons(standing, event, self.now)
    }

    /// Counts a line. Returns whether it is within its quota, and the level to write it at: its own, or beyond
    /// its quota debug.
    pub(crate) fn apply_rate_limit(
        &mut self,
        (standing, event): (PeerStanding, LoggedEvent),
        reason: Option<&dyn Display>,
        level: Level,
        remote: SocketAddr,
    ) -> (bool, Level) {
        let unformatted = !self.rate_limits.formats_reasons(standing, event, self.now);
        let reason = reason.filter(|_| !unformatted).map(|reason| shortened(reason.to_string())).unwrap_or_default();
        let told =
            self.rate_limits.note(Line { standing, event, remote, reason: &reason, unformatted, level }, self.now);
        if !told && !self.timers.is_set(Timer::RateLimitReport) {
            self.timers.set(Timer::RateLimitReport, self.now + COUNTED_FOR);
        }
        (told, if told { level } else { level.max(Level::Debug) })
    }

    /// Logs a line, limited by the quota of a party for all reasons. Returns whether it was within it.
    #[track_caller]
    pub(crate) fn log_limited(
        &mut self,
        kind: (PeerStanding, LoggedEvent),
        level: Level,
        remote: SocketAddr,
        text: impl FnOnce() -> String,
    ) -> bool {
        let (told, level) = self.apply_rate_limit(kind, None, level, remote);
        self.log(level, Some(remote), text);
        told
    }

    /// Logs a line, limited by the quota of a party for this reason. Returns whether it was within it.
    #[track_caller]
    pub(crate) fn log_reason(
        &mut self,
        kind: (PeerStanding, LoggedEvent),
        reason: &dyn Display,
        level: Level,
        remote: SocketAddr,
        text: impl FnOnce() -> String,
    ) -> bool {
        let (told, level) = self.apply_rate_limit(kind, Some(reason), level, remote);
        self.log(level, Some(remote), text);
        told
    }

    /// Logs what the message of an authenticated peer causes, within the peer's quota.
    #[track_caller]
    pub(crate) fn log_of_peer(
        &mut self,
        event: LoggedEvent,
        level: Level,
        remote: SocketAddr,
        text: impl FnOnce() -> String,
    ) -> bool {
        self.log_limited((PeerStanding::Proved(remote.ip()), event), level, remote, text)
    }

    /// Logs how many lines were suppressed, and their reasons.
    pub(crate) fn report_suppressed(&mut self) {
        let counters =
            std::mem::take(&mut self.rate_limits.counters).into_iter().filter(|(_, counter)| counter.suppressed > 0);
        let (unknown, mut peers): (Vec<_>, Vec<_>) =
            counters.partition(|((standing, _), _)| *standing == PeerStanding::Unknown);
        peers.sort_by_key(|(_, counter)| std::cmp::Reverse(counter.suppressed));
        let seconds = COUNTED_FOR.as_secs();
        for ((_, event), counter) in unknown {
            self.log(counter.level, Some(counter.last), || {
                let (what, last) = (counted(counter.suppressed, event), counter.last.ip());
                let reasons = counter.reasons();
                format!("{what} of unknown peers in the last {seconds} s, most recent from {last}{reasons}")
            });
        }
        let summed = peers.split_off(peers.len().min(REPORTS_MAX));
        for ((_, event), counter) in peers {
            self.log(counter.level, Some(counter.last), || {
                let what = counted(counter.suppressed, event);
                format!("{what} of this peer in the last {seconds} s{}", counter.reasons())
            });
        }
        let mut sums = BTreeMap::new();
        for ((_, event), counter) in summed {
            let (count, level) = sums.entry(event).or_insert((0_u32, counter.level));
            (*count, *level) = (count.saturating_add(counter.suppressed), counter.level.min(*level));
        }
        for (event, (count, level)) in sums {
            self.log(level, None, || format!("{} of other known peers in the last {seconds} s", counted(count, event)));
        }
    }

    /// Tells somebody who cannot be told under an SA what is wrong with a message of `asked` bytes. There is not much of it,
    /// and never more than was asked, for the address may be another one's.
    pub(crate) fn notify_in_clear(
        &mut self,
        (local, remote): (SocketAddr, SocketAddr),
        cookies: CookiePair,
        asked: usize,
        kind: NotifyType,
    ) {
        if asked < NOTIFY_LEN || !self.rate_limits.may_answer(self.now) {
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

    fn known(number: u32) -> (PeerStanding, LoggedEvent) {
        (PeerStanding::Known(remote(number).ip()), LoggedEvent::Refused)
    }

    fn line((standing, event): (PeerStanding, LoggedEvent), reason: &str) -> Line<'_> {
        let remote = match standing {
            PeerStanding::Proved(address) | PeerStanding::Known(address) => SocketAddr::new(address, 500),
            PeerStanding::Unknown => remote(7),
        };
        Line { standing, event, remote, reason, unformatted: false, level: Level::Error }
    }

    /// How many of so many lines are within the quota.
    fn told(rate_limits: &mut RateLimits, key: (PeerStanding, LoggedEvent), count: u32, now: u64) -> usize {
        (0..count).filter(|_| rate_limits.note(line(key, ""), Time::from_secs(now))).count()
    }

    #[test]
    fn each_party_and_reason_has_its_ration() {
        let mut rate_limits = RateLimits::default();
        for event in [LoggedEvent::Refused, LoggedEvent::Malformed] {
            let address = remote(1).ip();
            for (standing, quota) in
                [(PeerStanding::Unknown, 1), (PeerStanding::Known(address), 3), (PeerStanding::Proved(address), 10)]
            {
                let one = (standing, event);
                for reason in ["", "another one"] {
                    assert!(rate_limits.may_log(line(one, reason), Time::from_secs(1)));
                    let notes = (0..1000).map(|_| rate_limits.note(line(one, reason), Time::from_secs(1)));
                    assert_eq!(notes.filter(|told| *told).count(), quota, "{standing:?}");
                    assert!(!rate_limits.may_log(line(one, reason), Time::from_secs(60)));
                }
            }
        }
        // What is within its quota is forgotten by itself.
        assert_eq!(told(&mut rate_limits, known(2), 3, 2), 3);
        assert_eq!(told(&mut rate_limits, known(2), 3, 62), 3);
    }

    #[test]
    fn made_up_reasons_are_bounded() {
        let mut rate_limits = RateLimits::default();
        let reasons = (0..1000).map(|number| number.to_string()).collect::<Vec<_>>();
        let mut told = |key| reasons.iter().filter(|one| rate_limits.note(line(key, one), Time::from_secs(1))).count();
        assert_eq!(told(known(1)), 4);
        // Of one address; of many.
        assert_eq!(told((PeerStanding::Unknown, LoggedEvent::Refused)), 2);
        let from = |number| Line { remote: remote(number), ..line((PeerStanding::Unknown, LoggedEvent::Refused), "") };
        let more = (0..1000).filter(|number| rate_limits.note(from(*number), Time::from_secs(1))).count();
        assert_eq!(more, 2);
        assert!(rate_limits.counters.values().all(|counter| counter.reasons().len() < 200));
    }

    #[test]
    fn reasons_stand_behind_their_number() {
        let mut rate_limits = RateLimits::default();
        let note = |rate_limits: &mut RateLimits, reason, count| {
            for _ in 0..count {
                rate_limits.note(line(known(1), reason), Time::default());
            }
        };
        note(&mut rate_limits, "one", 5);
        assert_eq!(rate_limits.counters[&known(1)].reasons(), ": one");
        note(&mut rate_limits, "two", 4);
        assert_eq!(rate_limits.counters[&known(1)].reasons(), ": one (2); two (1)");
        ["3", "4", "five", "six"].into_iter().for_each(|reason| note(&mut rate_limits, reason, 1));
        assert_eq!(rate_limits.counters[&known(1)].reasons(), ": one (2); two (1); others (2), the last one six");
    }

    #[test]
    fn known_peers_have_a_ration_in_all() {
        let mut rate_limits = RateLimits::default();
        let in_a_minute = |rate_limits: &mut RateLimits, now| {
            (0..1000).map(|number| told(rate_limits, known(number), 3, now)).sum::<usize>()
        };
        assert_eq!(in_a_minute(&mut rate_limits, 0), KNOWN_MAX as usize);
        assert_eq!(told(&mut rate_limits, (PeerStanding::Proved(remote(1).ip()), LoggedEvent::Refused), 1, 1), 1);
        rate_limits.counters.clear();
        assert_eq!(in_a_minute(&mut rate_limits, 60), KNOWN_MAX as usize);
    }

    #[test]
    fn what_is_counted_is_bounded() {
        let mut rate_limits = RateLimits::default();
        let peer = |number| (PeerStanding::Proved(remote(number).ip()), LoggedEvent::Refused);
        for number in 0..20_000 {
            told(&mut rate_limits, peer(number), 1, 70);
            assert!(rate_limits.counters.len() <= COUNTERS_MAX + 1);
        }
        let of_unknown = &rate_limits.counters[&(PeerStanding::Unknown, LoggedEvent::Refused)];
        assert_eq!((of_unknown.logged, of_unknown.suppressed), (4, 20_000 - 4096 - 4));
        // Later there is room again.
        assert_eq!(told(&mut rate_limits, peer(30_000), 1, 140), 1);
        assert_eq!(rate_limits.counters.len(), 2);
    }

    /// However many peers had lines beyond their quotas, few lines say so, those of the most first.
    #[test]
    fn a_report_is_short() {
        let random = Box::new(crate::crypto::SeededRandom::new(1));
        let mut engine = Engine::new(crate::settings::Settings::default(), random, Time::default());
        for number in 0..100 {
            for _ in 0..=10 + number {
                engine.core.log_of_peer(LoggedEvent::Notified, Level::Warning, remote(number), || "a line".into());
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
        assert_eq!(counted(1, LoggedEvent::Refused), "1 more refused negotiation");
        assert_eq!(counted(2, LoggedEvent::Unproved), "2 more failed authentications");
    }
}
