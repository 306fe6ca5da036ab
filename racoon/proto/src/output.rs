//! The outputs of the engine, which the shell carries out.

use std::fmt;
use std::net::SocketAddr;
use std::panic::Location;
use std::sync::Arc;

use crate::crypto::Job;
use crate::identity::Identity;
use crate::kernel::{KernelRequest, Selector};
use crate::path::{AddrPort, Path};
use crate::reason::{Negotiation, NegotiationResult, Outcome};
use crate::wire::CookiePair;

/// Something for the shell to do, in order: an SA is installed before the message that makes the peer use it is sent.
#[derive(Debug)]
pub enum Output {
    /// A datagram to send.
    Transmit(Transmit),
    /// A request to the kernel.
    Kernel(KernelRequest),
    /// Work for another thread; its result comes back through `handle_crypto` with the same number.
    Job(JobId, Urgency, Job),
    /// An event for programs that watch the daemon.
    Event(Event),
    /// A line for the log.
    Log(LogLine),
    /// The outcome of a negotiation. The engine has logged it and shares it with its journal.
    Outcome(Arc<Outcome>),
}

/// A datagram to send, without the non-ESP marker that precedes it on a port of NAT traversal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The addresses to send from and to.
    pub path: Path,
    /// The payload of the datagram.
    pub bytes: Vec<u8>,
}

/// The number of a job. It is never used twice, so that the result of a job that nothing waits for any longer is recognized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// The priority of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// For a peer that is authenticated or whose address is configured, and for negotiations that we begin.
    Known,
    /// For any other peer.
    Unknown,
}

/// A line for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its severity.
    pub level: Level,
    /// The peer in question.
    pub peer: Option<SocketAddr>,
    /// The line of source code that logs it, for `-L`.
    pub place: &'static Location<'static>,
    /// The text. It may contain bytes of a peer, so the log must escape it.
    pub text: String,
}

/// The severity of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// A failure.
    Error,
    /// A possible problem.
    Warning,
    /// An unusual but harmless event.
    Notify,
    /// A normal event.
    Info,
    /// Details for debugging.
    Debug,
    /// All details except keys.
    Debug2,
}

impl Level {
    const ALL: [Self; 6] = [Self::Error, Self::Warning, Self::Notify, Self::Info, Self::Debug, Self::Debug2];

    /// Returns the level that is `levels` more verbose, at most the last one.
    #[must_use]
    pub fn raised(self, levels: u8) -> Self {
        let more = Self::ALL.into_iter().skip_while(|level| *level != self).nth(levels.into());
        more.unwrap_or(Self::Debug2)
    }
}

impl fmt::Display for Level {
    /// The name in capitals, as in log lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notify => "NOTIFY",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Debug2 => "DEBUG2",
        })
    }
}

/// An event for programs that watch the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The kind of event.
    pub kind: EventKind,
    /// Our address in phase 1.
    pub local: Option<SocketAddr>,
    /// The peer's address in phase 1.
    pub remote: Option<SocketAddr>,
    /// The cookies of phase 1.
    pub cookies: Option<CookiePair>,
    /// The message id of phase 2; 0 for phase 1.
    pub message_id: u32,
    /// The identity that the peer has proved, if any.
    pub identity: Option<Identity>,
    /// The name of the peer's remote section, if one was selected.
    pub remote_section: Option<String>,
    /// The traffic of phase 2, as an outbound selector.
    pub traffic: Option<Selector>,
    /// The outcome of the negotiation that the event is about: its result says why it failed.
    pub outcome: Option<Arc<Outcome>>,
}

impl Event {
    /// An event about a negotiation that has this outcome.
    pub(crate) fn with_outcome(kind: EventKind, outcome: &Arc<Outcome>) -> Self {
        let (cookies, message_id, traffic) = match outcome.negotiation {
            Negotiation::Phase1 { cookies, .. } => (Some(cookies), 0, None),
            Negotiation::Phase2 { cookies, message_id, traffic, .. } => (cookies, message_id, Some(traffic)),
        };
        Self {
            kind,
            local: Some(outcome.local),
            remote: Some(outcome.remote),
            cookies,
            message_id,
            identity: None,
            remote_section: outcome.remote_section.clone(),
            traffic,
            outcome: Some(Arc::clone(outcome)),
        }
    }
}

impl fmt::Display for Event {
    /// One line: what has happened to which peer, and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        if let Some(remote) = self.remote {
            write!(f, " {}", AddrPort(remote))?;
        }
        if let Some(section) = &self.remote_section {
            write!(f, ", remote {section}")?;
        }
        if let Some(identity) = &self.identity {
            write!(f, ", identity {identity}")?;
        }
        if let Some(traffic) = &self.traffic {
            write!(f, ", traffic {traffic}")?;
        }
        match self.outcome.as_deref() {
            Some(Outcome { result: NegotiationResult::Failed(reason), .. }) => write!(f, ": {reason}"),
            _ => Ok(()),
        }
    }
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A phase 1 is established.
    Phase1Up,
    /// A phase 1 has ended.
    Phase1Down,
    /// The peer does not answer in phase 1.
    Phase1NoResponse,
    /// No proposal was chosen in phase 1.
    Phase1NoProposal,
    /// The peer is not authenticated in phase 1.
    Phase1AuthFailed,
    /// Dead peer detection has found that the peer is dead.
    DpdTimeout,
    /// The peer has deleted a phase 1.
    PeerDeleted,
    /// A phase 2 has no phase 1.
    Phase2NoPhase1,
    /// A phase 2 is established.
    Phase2Up,
    /// A phase 2 has ended.
    Phase2Down,
    /// The peer does not answer in phase 2.
    Phase2NoResponse,
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Phase1Up => "phase 1 established",
            Self::Phase1Down => "phase 1 ended",
            Self::Phase1NoResponse => "no response in phase 1",
            Self::Phase1NoProposal => "no proposal chosen in phase 1",
            Self::Phase1AuthFailed => "authentication failed in phase 1",
            Self::DpdTimeout => "dead peer detected",
            Self::PeerDeleted => "phase 1 deleted by the peer",
            Self::Phase2NoPhase1 => "no phase 1 for phase 2",
            Self::Phase2Up => "phase 2 established",
            Self::Phase2Down => "phase 2 ended",
            Self::Phase2NoResponse => "no response in phase 2",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_is_raised_to_the_last_one_at_most() {
        assert_eq!(Level::Info.raised(0), Level::Info);
        assert_eq!(Level::Info.raised(1), Level::Debug);
        assert_eq!(Level::Error.raised(2), Level::Notify);
        assert_eq!(Level::Info.raised(2), Level::Debug2);
        assert_eq!(Level::Info.raised(255), Level::Debug2);
        assert!(Level::Error < Level::Warning && Level::Debug < Level::Debug2);
    }
}
