//! Counters of rate-limited log lines.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::output::Level;
use crate::time::Time;

/// The period for which lines are counted before the number of suppressed ones is logged.
pub(crate) const COUNTED_FOR: Duration = Duration::from_secs(60);

/// Different reasons for which each peer may cause lines of a kind in [`COUNTED_FOR`].
const REASONS_MAX: usize = 4;

/// Suppressed lines whose reason is formatted in [`COUNTED_FOR`]. Further ones are only counted, which is cheaper.
const FORMATTED_MAX: u32 = 32;

/// How far the peer that a line is about is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PeerStanding {
    /// It is the peer of an established phase 1, has proved to know the key, is one with which we have begun a phase 1, or a
    /// known one that has returned our cookie.
    Proved(IpAddr),
    /// The message is not authenticated, but its address is named by a remote section or a policy, or has had a phase 1.
    Known(IpAddr),
    /// Any other peer.
    Unknown,
}

/// The kind of event that a message makes us log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LoggedEvent {
    /// The message begins a phase 1.
    Begun,
    /// It cannot be parsed.
    Malformed,
    /// It belongs to an exchange that does not exist.
    Unknown,
    /// It belongs to an exchange with another address.
    OtherAddress,
    /// It is a first message that does not fit the configuration.
    Refused,
    /// It exceeds the number of simultaneous negotiations or exchanges.
    OverLimit,
    /// The negotiation that it began was not continued.
    Unfinished,
    /// It is ignored, and its negotiation continues.
    Ignored,
    /// It is an unauthenticated notify.
    Hint,
    /// Its proof of identity is wrong, or the identity is another one than expected.
    Unproved,
    /// It cannot be processed for a reason of our own.
    Failed,
    /// It begins a phase 2.
    Phase2Begun,
    /// The phase 2 that it belongs to is refused or fails.
    Phase2Failed,
    /// It is an authenticated notify.
    Notified,
    /// It names an SA of another peer.
    Misplaced,
}

impl LoggedEvent {
    /// Singular and plural for the summary.
    fn names(self) -> [&'static str; 2] {
        match self {
            Self::Begun => ["phase 1 negotiation begun", "phase 1 negotiations begun"],
            Self::Malformed => ["malformed message", "malformed messages"],
            Self::Unknown => ["message of an unknown exchange", "messages of unknown exchanges"],
            Self::OtherAddress => ["message from another address", "messages from other addresses"],
            Self::Refused => ["refused negotiation", "refused negotiations"],
            Self::OverLimit => ["negotiation over the limit", "negotiations over the limit"],
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

    /// Lines that may be logged in [`COUNTED_FOR`] for one reason. Unknown peers share a quota for all reasons, which is small
    /// for what messages from forged addresses can cause.
    fn quota(self, standing: PeerStanding) -> u32 {
        match (standing, self) {
            (PeerStanding::Proved(_), Self::Phase2Begun) => 100,
            (PeerStanding::Proved(_), _) => 10,
            (PeerStanding::Known(_), _) => 3,
            (PeerStanding::Unknown, Self::Begun) => 20,
            (PeerStanding::Unknown, Self::Ignored | Self::Hint | Self::Unproved) => 10,
            // A flood reaches the limit at once: one line says so.
            (PeerStanding::Unknown, Self::OverLimit) => 1,
            (PeerStanding::Unknown, _) => 4,
        }
    }
}

/// A line to be counted.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) standing: PeerStanding,
    pub(crate) event: LoggedEvent,
    pub(crate) remote: SocketAddr,
    /// Empty if lines of this kind have no reason, or if it was not formatted.
    pub(crate) reason: &'a str,
    /// The line is beyond the quota, and its reason was not formatted.
    pub(crate) unformatted: bool,
    pub(crate) level: Level,
}

/// Counts the recent lines of one kind about one peer, or about all unknown peers.
#[derive(Clone, Debug)]
pub(crate) struct FailureCounter {
    since: Time,
    pub(crate) logged: u32,
    pub(crate) suppressed: u32,
    /// The most severe level of the suppressed lines.
    pub(crate) level: Level,
    /// The sender of the last message.
    pub(crate) last: SocketAddr,
    /// The reasons of the lines that were logged.
    reasons: Vec<Reason>,
    /// The last formatted reason of a suppressed line.
    last_reason: String,
    /// The number of suppressed lines whose reason was formatted.
    formatted: u32,
}

/// A reason, and how many lines were logged and suppressed for it.
#[derive(Clone, Debug)]
struct Reason {
    address: IpAddr,
    text: String,
    logged: u32,
    suppressed: u32,
}

impl FailureCounter {
    pub(crate) fn new(line: Line<'_>, now: Time) -> Self {
        Self {
            since: now,
            logged: 0,
            suppressed: 0,
            level: line.level,
            last: line.remote,
            reasons: Vec::new(),
            last_reason: String::new(),
            formatted: 0,
        }
    }

    pub(crate) fn is_idle(&self, now: Time) -> bool {
        self.suppressed == 0 && now.since(self.since) >= COUNTED_FOR
    }

    /// Whether the reasons of further lines are formatted.
    pub(crate) fn formats_reasons(&self) -> bool {
        self.formatted < FORMATTED_MAX
    }

    fn find(&self, line: Line<'_>) -> Option<usize> {
        let is_it = |one: &Reason| one.address == line.remote.ip() && one.text == line.reason;
        self.reasons.iter().position(is_it)
    }

    /// Whether a line is within the quota.
    pub(crate) fn may_log(&self, line: Line<'_>) -> bool {
        let quota = line.event.quota(line.standing);
        let logged = self.find(line).and_then(|at| self.reasons.get(at)).map(|reason| reason.logged);
        match line.standing {
            PeerStanding::Unknown => {
                let of_address = self.reasons.iter().filter(|one| one.address == line.remote.ip());
                let is_first = logged.is_none() || quota >= 10;
                self.logged < quota && is_first && of_address.map(|one| one.logged).sum::<u32>() < (quota / 2).max(1)
            }
            PeerStanding::Proved(_) | PeerStanding::Known(_) => {
                logged.map_or(self.reasons.len() < REASONS_MAX, |logged| logged < quota)
            }
        }
    }

    pub(crate) fn log(&mut self, line: Line<'_>) {
        self.logged += 1;
        match self.find(line).and_then(|at| self.reasons.get_mut(at)) {
            Some(reason) => reason.logged += 1,
            None => {
                let (address, text) = (line.remote.ip(), line.reason.to_owned());
                self.reasons.push(Reason { address, text, logged: 1, suppressed: 0 });
            }
        }
    }

    pub(crate) fn count(&mut self, line: Line<'_>) {
        self.level = if self.suppressed == 0 { line.level } else { self.level.min(line.level) };
        self.suppressed = self.suppressed.saturating_add(1);
        self.last = line.remote;
        if line.unformatted {
            return;
        }
        if let Some(reason) = self.find(line).and_then(|at| self.reasons.get_mut(at)) {
            reason.suppressed = reason.suppressed.saturating_add(1);
        }
        self.formatted = self.formatted.saturating_add(1);
        line.reason.clone_into(&mut self.last_reason);
    }

    /// Returns the reasons of the suppressed lines, to be appended to their number.
    pub(crate) fn reasons(&self) -> String {
        let counted = self.reasons.iter().filter(|one| one.suppressed > 0 && !one.text.is_empty()).collect::<Vec<_>>();
        let sum = counted.iter().map(|one| one.suppressed).sum::<u32>();
        match counted.as_slice() {
            [one] if sum == self.suppressed => format!(": {}", one.text),
            [] if self.last_reason.is_empty() => String::new(),
            [] => format!(": {}", self.last_reason),
            several => {
                let mut text = String::from(":");
                let one_address = several.iter().all(|one| one.address == self.last.ip());
                for Reason { address, text: reason, suppressed, .. } in several {
                    let _ = match one_address {
                        true => write!(text, " {reason} ({suppressed});"),
                        false => write!(text, " {address}: {reason} ({suppressed});"),
                    };
                }
                match self.suppressed - sum {
                    0 => text.truncate(text.len() - 1),
                    others if self.last_reason.is_empty() => drop(write!(text, " others ({others})")),
                    others => drop(write!(text, " others ({others}), the last one {}", self.last_reason)),
                }
                text
            }
        }
    }
}

/// The number of suppressed lines, in words.
pub(crate) fn counted(count: u32, event: LoggedEvent) -> String {
    let [one, several] = event.names();
    format!("{count} more {}", if count == 1 { one } else { several })
}
