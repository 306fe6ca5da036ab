//! What is wrong with a peer's messages, and with its proof and identities.

use crate::identity::Expected;
use crate::num::ExchangeType;
use crate::wire::WireError;

pub use crate::message::protection::Unreadable;
pub use crate::phase2::traffic::TrafficError;

/// Why a message is refused before its payloads are looked at, or one of them cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It cannot be parsed.
    Wire(WireError),
    /// It cannot be decrypted.
    Unreadable(Unreadable),
    /// It should be encrypted and is not, or the other way round.
    Encryption {
        /// Whether it is encrypted.
        encrypted: bool,
        /// Number of the message in the exchange, counted from 1.
        message: u8,
        /// The exchange.
        exchange: ExchangeType,
    },
    /// It belongs to another exchange than the one with its cookies.
    OtherExchange {
        /// The exchange of the message.
        found: ExchangeType,
        /// The exchange with the cookies.
        expected: ExchangeType,
    },
    /// Its SA payload has this many bytes, more than are accepted of an unauthenticated peer.
    LongSa(usize),
    /// The previous message is still being processed.
    Busy,
}

/// What is wrong with a payload of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadProblem {
    /// It is missing.
    Missing,
    /// There are too many of them.
    Repeated,
    /// It is not the first payload.
    NotFirst,
    /// It is not allowed there.
    Unexpected,
}

/// Why a peer's proof is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthenticationFailure {
    /// The hash is wrong.
    Hash,
    /// The message cannot be decrypted. In main mode this is what another pre-shared key leads to.
    Unreadable(Unreadable),
}

/// The identities that a remote section expects of its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedIdentity {
    /// Name of the remote section.
    pub remote: String,
    /// Its `peers_identifier`s.
    pub identifiers: Vec<Expected>,
}

/// Why the identities of a quick mode cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase2IdentityError {
    /// There is only one; there must be two or none.
    Single,
    /// One of them cannot be parsed.
    Malformed(WireError),
    /// No policy can match them.
    Traffic(TrafficError),
    /// The responder returned other identities than were sent.
    Changed,
    /// The responder returned none.
    NotReturned,
}

impl From<WireError> for Malformed {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<Unreadable> for Malformed {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}

impl From<WireError> for super::FailureReason {
    /// A payload that cannot be parsed.
    fn from(error: WireError) -> Self {
        Self::Malformed(error.into())
    }
}
