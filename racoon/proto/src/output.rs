//! What the engine wants done: one closed set, drained by the shell.

use std::fmt;
use std::net::SocketAddr;
use std::panic::Location;

use crate::crypto::Job;
use crate::kernel::KernelRequest;
use crate::reason::Outcome;
use crate::wire::CookiePair;

/// Something to do. The order matters: an SA is installed before the message that makes the peer use it is sent.
#[derive(Debug)]
pub enum Output {
    /// A datagram to send.
    Transmit(Transmit),
    /// A request to the kernel.
    Kernel(KernelRequest),
    /// Work for another thread; its result comes back through `handle_crypto` with the same number.
    Job(JobId, Urgency, Job),
    /// Something that those who watch the daemon want to know.
    Event(Event),
    /// A line for the log.
    Log(LogLine),
    /// A negotiation ended. (The engine keeps it in its journal and has logged it.)
    Outcome(Box<Outcome>),
}

/// A datagram to send, without the marker that stands before it on a port of NAT traversal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// From which of our addresses.
    pub local: SocketAddr,
    /// To whom.
    pub remote: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

/// A job's number. Never used twice: results for what is no more are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub u64);

/// Which jobs go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Urgency {
    /// For a peer that has proved who it is, or is where one is configured to be; and for what we begin.
    Known,
    /// For one that has not, and may be anybody.
    Unknown,
}

/// What is in a log line's brackets and how much it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// How much it matters.
    pub level: Level,
    /// Whom it is about.
    pub peer: Option<SocketAddr>,
    /// Which line of the engine writes it.
    pub place: &'static Location<'static>,
    /// The text. What a peer wrote may be in it as it came: the log escapes it.
    pub text: String,
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something may be wrong.
    Warning,
    /// Something is unusual.
    Notify,
    /// What happens.
    Info,
    /// Details.
    Debug,
    /// Everything but keys.
    Debug2,
}

impl Level {
    const ALL: [Self; 6] = [Self::Error, Self::Warning, Self::Notify, Self::Info, Self::Debug, Self::Debug2];

    /// So many levels more; not beyond the last one.
    #[must_use]
    pub fn raised(self, levels: u8) -> Self {
        let more = Self::ALL.into_iter().skip_while(|level| *level != self).nth(levels.into());
        more.unwrap_or(Self::Debug2)
    }
}

impl fmt::Display for Level {
    /// In capitals, as lines of the log have it.
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

/// What those who watch the daemon are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// Our end of phase 1.
    pub local: Option<SocketAddr>,
    /// The peer's.
    pub remote: Option<SocketAddr>,
    /// Which phase 1.
    pub cookies: Option<CookiePair>,
    /// Message id of phase 2; 0 for phase 1.
    pub message_id: u32,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// Phase 1 is up.
    Phase1Up,
    /// Phase 1 is gone.
    Phase1Down,
    /// The peer does not answer in phase 1.
    Phase1NoResponse,
    /// No proposal was chosen in phase 1.
    Phase1NoProposal,
    /// Somebody is not who he says.
    Phase1AuthFailed,
    /// The peer answers no more.
    DpdTimeout,
    /// The peer deleted phase 1.
    PeerDeleted,
    /// There is no phase 1 for a phase 2.
    Phase2NoPhase1,
    /// Phase 2 is up.
    Phase2Up,
    /// Phase 2 is gone.
    Phase2Down,
    /// The peer does not answer in phase 2.
    Phase2NoResponse,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_raised_up_to_the_last() {
        assert_eq!(Level::Info.raised(0), Level::Info);
        assert_eq!(Level::Info.raised(1), Level::Debug);
        assert_eq!(Level::Error.raised(2), Level::Notify);
        assert_eq!(Level::Info.raised(2), Level::Debug2);
        assert_eq!(Level::Info.raised(255), Level::Debug2);
        assert!(Level::Error < Level::Warning && Level::Debug < Level::Debug2);
    }
}
