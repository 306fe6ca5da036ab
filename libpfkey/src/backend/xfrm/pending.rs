//! Requests under way, and which frames answer each of them.

use super::netlink::{Frame, Verdict};
use super::numbers::message;
use crate::wire::Header;

/// What answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// An acknowledgement, which is itself the answer: FLUSH, SPDFLUSH, and changes where answers are brief.
    Ack,
    /// For a DELETE of all SAs between two addresses: the dump that finds them, or the removal of one of them.
    Between,
    /// The entries of a dump, then its end.
    Dump,
    /// The notification of the change, which every member of the group receives, this socket included.
    Echo,
    /// The notification of a removal; the answer adds the SA's sequence numbers.
    EchoWithNumbers,
    /// One entry.
    Entry,
    /// An errno, which shows whether the kernel has the algorithm of the probe with this index.
    Probe(usize),
    /// A dump of policies, of which only the reqids are used.
    Reqids,
    /// An acknowledgement for which PF_KEY has no answer: MIGRATE.
    Silence,
    /// The SA whose soft limit was reached.
    Soft,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// Sequence number of its frame.
    pub(super) seq: u32,
    /// Type of its frame.
    pub(super) kind: u16,
    pub(super) expect: Expect,
    /// The header of the PF_KEY request, which the answer repeats.
    pub(super) header: Header,
}

impl Pending {
    /// The type of the frame that answers the request.
    pub(super) fn answer(&self) -> u16 {
        match self.kind {
            message::GETSA | message::ALLOCSPI => message::NEWSA,
            message::GETPOLICY => message::NEWPOLICY,
            kind => kind,
        }
    }

    /// Whether a frame outside a dump answers the request. Answers carry the socket's port, notifications the process id of
    /// the request.
    pub(super) fn is_answered_by(&self, frame: &Frame<'_>, port: u32) -> bool {
        let pid = match self.expect {
            Expect::Echo | Expect::EchoWithNumbers => self.header.pid,
            Expect::Entry | Expect::Soft => port,
            _ => return false,
        };
        self.seq == frame.seq && pid == frame.pid && self.answer() == frame.kind
    }

    /// Whether the request started the dump with this sequence number.
    pub(super) fn is_dump(&self, seq: u32) -> bool {
        self.seq == seq && matches!(self.expect, Expect::Between | Expect::Dump | Expect::Reqids)
    }

    /// Whether a verdict is about the request. Only requests with the flag ACK get one without an error.
    pub(super) fn is_judged_by(&self, seq: u32, verdict: &Verdict) -> bool {
        let wants_ack = matches!(self.expect, Expect::Ack | Expect::Silence | Expect::Probe(_));
        // Sequence numbers of different programs may be equal; type and process id of the repeated header tell them apart.
        let is_repeated = verdict.request.is_none_or(|(kind, pid)| (kind, pid) == (self.kind, self.header.pid));
        self.seq == seq && is_repeated && (wants_ack || verdict.errno != 0)
    }
}
