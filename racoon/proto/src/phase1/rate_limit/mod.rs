//! Limits on what unauthenticated messages can make us log and answer. Without them, anybody who can send datagrams could fill
//! a disk, or hide an attack among the lines that he causes.
//!
//! A line that a message causes has a [`PeerStanding`], a kind (its [`LoggedEvent`]) and a reason, and is counted by all three.
//! Each reason of each peer has its own quota a minute, which other peers cannot use up. Unknown peers share a quota for each
//! kind, of which a single address gets at most half. Lines beyond a quota are counted, and their numbers are logged with their
//! reasons at the end of the minute. (At level debug, every line is logged, those beyond the quota at that level.) A flood
//! therefore causes a bounded number of lines, and hides neither what happens to a configured peer nor what fails for another
//! reason.

mod counter;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::{Phase1Id, Timer};
use crate::num::{Doi, ExchangeType, NotifyType, PayloadType, Protocol};
use crate::output::Level;
use crate::path::Path;
use crate::phase1::entry::Phase1;
use crate::phase1::exchange::Exchange;
use crate::phase1::half_open::PeerClass;
use crate::phase1::table::Phase1s;
use crate::reason::Role;
use crate::time::Time;
use crate::wire::{self, Cookie, CookiePair, Header, Notify};
use counter::{COUNTED_FOR, FailureCounter, Line, counted};
pub(crate) use counter::{LoggedEvent, PeerStanding};

/// Counters of single peers; lines of further peers are counted as those of unknown ones.
const COUNTERS_MAX: usize = 4096;

/// Refused first messages that are remembered, so that retransmissions of them are not logged.
const REFUSED_MAX: usize = 128;

/// Longest reason that is kept, in bytes.
const REASON_LEN: usize = 400;

/// Lines in [`COUNTED_FOR`] that unauthenticated messages from the addresses of all known peers may cause together.
const KNOWN_MAX: u32 = 64;

/// Peers whose suppressed lines are reported one by one; those of the others are summed up.
const REPORTS_MAX: usize = 16;

/// Unencrypted notifies sent per second.
const ANSWERS_A_SECOND: u32 = 10;

/// Length of an unencrypted message with a notify: a header, and a payload without SPI and data.
const NOTIFY_LEN: usize = 40;

/// The recent lines and answers that messages have caused.
#[derive(Debug, Default)]
pub(crate) struct RateLimits {
    counters: BTreeMap<(PeerStanding, LoggedEvent), FailureCounter>,
    /// When idle counters were last removed.
    swept: Time,
    /// Lines about known peers: the begin of the period, and their number.
    known: (Time, u32),
    /// The most recent first messages whose refusal was logged.
    refused: VecDeque<(Cookie, SocketAddr)>,
    /// Answers: the begin of the second, and their number.
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
        // Known peers have a quota together, too: their addresses may be forged one after the other.
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
                // Too many peers are counted one by one: this one shares the quota of the unknown.
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

    /// Removes idle counters, at most once in [`COUNTED_FOR`]: in a flood, a search for each message would be too expensive.
    fn sweep(&mut self, now: Time) {
        if now.since(self.swept) >= COUNTED_FOR {
            self.swept = now;
            self.counters.retain(|_, counter| !counter.is_idle(now));
        }
    }

    /// Whether the refusal of this first message was logged; a retransmission is not another attempt.
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

    /// Counts an answer. Returns whether it may be sent.
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

impl Phase1s {
    /// The standing of the sender of an unauthenticated message, whose address may be forged.
    pub(crate) fn standing_of(&self, core: &Core, remote: SocketAddr) -> PeerStanding {
        let address = remote.ip();
        let is_known = self.is_peer(address)
            || self.contacted.contains(&address)
            || core.spd.names_peer(address)
            || core.peer_class(remote) == PeerClass::Configured;
        if is_known { PeerStanding::Known(address) } else { PeerStanding::Unknown }
    }

    /// The standing of the peer of a phase 1. A peer that has returned our cookie receives what we send to its address, so nobody
    /// else can use up its quota.
    pub(crate) fn standing_of_phase1(&self, core: &Core, phase1: &Phase1) -> PeerStanding {
        let is_at_its_address = !phase1.negotiation().is_some_and(Exchange::is_from_unproved_address);
        match self.standing_of(core, phase1.remote()) {
            _ if phase1.role == Role::Initiator => PeerStanding::Proved(phase1.remote().ip()),
            PeerStanding::Known(address) if is_at_its_address => PeerStanding::Proved(address),
            standing => standing,
        }
    }

    /// Returns a phase 1 and the standing of its peer.
    pub(crate) fn with_standing(&mut self, core: &Core, id: Phase1Id) -> Option<(PeerStanding, &mut Phase1)> {
        let standing = self.get(id).map(|phase1| self.standing_of_phase1(core, phase1))?;
        Some((standing, self.get_mut(id)?))
    }

    /// Logs an error caused by an unauthenticated message, limited by the quota for this text.
    #[track_caller]
    pub(crate) fn log_unauthenticated(
        &self,
        core: &mut Core,
        event: LoggedEvent,
        remote: SocketAddr,
        text: impl FnOnce() -> String,
    ) {
        let kind = (self.standing_of(core, remote), event);
        if core.formats_reasons(kind.0, event) {
            let text = text();
            core.log_reason(kind, &text.clone(), Level::Error, remote, || text);
        } else {
            core.log_limited(kind, Level::Error, remote, text);
        }
    }
}

impl Core {
    /// Whether the reason of a line is needed; otherwise it need not be formatted.
    pub(crate) fn formats_reasons(&self, standing: PeerStanding, event: LoggedEvent) -> bool {
        self.settings.log >= Level::Debug || self.rate_limits.formats_reasons(standing, event, self.now)
    }

    /// Counts a line. Returns whether it is within its quota, and the level to log it at: its own, or debug if it is beyond the
    /// quota.
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
        // A summary is due a minute after the first suppressed line, not after each.
        if !told && !self.timers.is_set(Timer::RateLimitReport) {
            self.timers.set(Timer::RateLimitReport, self.now + COUNTED_FOR);
        }
        (told, if told { level } else { level.max(Level::Debug) })
    }

    /// Logs a line, limited by a quota for all reasons together. Returns whether it was within the quota.
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

    /// Logs a line, limited by a quota for its reason. Returns whether it was within the quota.
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

    /// Sends an unencrypted notify in answer to a message of `asked` bytes. It is never longer than that message, and limited in
    /// number: the message may come from a forged address, whose owner would receive the answers.
    pub(crate) fn notify_in_clear(&mut self, path: Path, cookies: CookiePair, asked: usize, kind: NotifyType) {
        // Anybody may ask with the address of a victim, which must not receive more than it was sent in its name.
        if asked < NOTIFY_LEN || !self.rate_limits.may_answer(self.now) {
            return;
        }
        let mut message_id = [0; 4];
        self.random.fill(&mut message_id);
        let header = Header::new(cookies, ExchangeType::INFORMATIONAL, u32::from_be_bytes(message_id));
        let notify = Notify { doi: Doi::IPSEC, protocol: Protocol::ISAKMP, spi: Vec::new(), kind, data: Vec::new() };
        let message = wire::message(&header, &[(PayloadType::NOTIFY, &notify.encode())]);
        self.transmit_once(path, message);
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
mod tests;
