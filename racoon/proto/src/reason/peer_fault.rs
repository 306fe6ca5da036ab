//! Faults of a peer's messages, proof and identities.

use crate::identity::Expected;
use crate::num::ExchangeType;
use crate::wire::WireError;

pub use crate::message::protection::Unreadable;
pub use crate::phase2::traffic::TrafficError;

/// The reason why a message cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It cannot be parsed.
    Wire(WireError),
    /// It cannot be decrypted.
    Unreadable(Unreadable),
    /// It must be encrypted and is not, or vice versa.
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
    /// Its SA payload has this many bytes, more than are accepted from an unauthenticated peer.
    LongSa(usize),
    /// The previous message is still being processed.
    Busy,
}

/// A fault of a payload in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadProblem {
    /// It is missing.
    Missing,
    /// It occurs too often.
    Repeated,
    /// It is not the first payload.
    NotFirst,
    /// It is not allowed in the message.
    Unexpected,
}

/// The reason why a peer's proof is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthenticationFailure {
    /// The hash is wrong.
    Hash,
    /// The message cannot be decrypted. In main mode, a wrong pre-shared key has this effect.
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

/// The reason why the identities of a quick mode cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase2IdentityError {
    /// There is only one; there must be two or none.
    Single,
    /// One of them cannot be parsed.
    Malformed(WireError),
    /// No policy can match them.
    Traffic(TrafficError),
    /// The responder returned identities that differ from those that were sent.
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
