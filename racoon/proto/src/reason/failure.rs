//! Why negotiations fail, as values. Their text is made in `text`, the notify that the peer gets in `notify`.

use std::time::Duration;

use super::{MissingPolicy, MissingRemote, MissingSainfo, Role};
use crate::num::{ExchangeType, Group, NotifyType, PayloadType, Protocol};
use crate::proposal::ProposalRefusal;
use crate::proposal::encoding::{AnswerError, ProposalError};

/// Why a negotiation failed: whose fault, what was expected, what was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureReason {
    /// The peer did not answer.
    NoAnswer(Unanswered),
    /// The peer speaks another major version of IKE.
    OtherVersion {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// No remote block is for this peer and this exchange.
    NoRemote(MissingRemote),
    /// Nothing of what was offered is configured.
    NoProposalChosen(ProposalRefusal),
    /// What the responder chose is not what was offered.
    BadChoice(BadChoice),
    /// No key for this peer.
    NoPreSharedKey {
        /// Its address.
        peer: String,
        /// What to do about that, by the table of keys.
        why: String,
    },
    /// The peer's hash is wrong. In Main Mode with another pre-shared key the message cannot even be decrypted.
    Authentication(String),
    /// The peer says it is somebody else than expected.
    Identity {
        /// What it says.
        claimed: String,
        /// What `peers_identifier` says.
        expected: String,
    },
    /// Both identities of phase 2, or none, have to be there, and of a known kind.
    Phase2Identity(String),
    /// No policy is for the traffic.
    NoPolicy(Box<MissingPolicy>),
    /// The traffic, and why the peer may not have it.
    NotAuthorized(String),
    /// No sainfo is for the traffic.
    NoSainfo(Box<MissingSainfo>),
    /// The peer has too many SAs.
    TooMany(usize),
    /// No phase 1 came up.
    NoPhase1(String),
    /// One is still on its way, but the phase 2 has waited for so long.
    Phase1Late(Duration),
    /// A payload is missing, double, or where it must not be.
    Payload {
        /// Which payload.
        payload: PayloadType,
        /// What about it.
        problem: &'static str,
        /// In which message, counted from 1.
        message: u8,
        /// Of which exchange.
        exchange: ExchangeType,
    },
    /// Bytes that are no message.
    Malformed(String),
    /// The peer's Diffie-Hellman value is degenerate or of the wrong length, or the group is not there.
    KeyExchange {
        /// The group.
        group: Group,
        /// What is wrong.
        problem: String,
    },
    /// The peer refused.
    Refused(NotifyType),
    /// The peer deleted an SA of what was being negotiated.
    Deleted(Protocol),
    /// The kernel refused.
    Kernel(String),
    /// The kernel did not answer in time.
    KernelTimeout(Duration),
    /// Our own cryptography failed.
    Crypto(String),
    /// Something that this version does not do.
    Unsupported(String),
}

/// Why an SA payload of the peer cannot be agreed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadChoice {
    /// It is no choice among what was offered.
    Answer(AnswerError),
    /// It is one of what was offered, with changes that are not allowed.
    Changed(ProposalRefusal),
    /// Its proposals cannot be told apart.
    Proposals(ProposalError),
    /// There is not one choice for each protocol.
    Incomplete,
}

/// Our last message of an exchange, which the peer did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The exchange.
    pub exchange: ExchangeType,
    /// Our role in it.
    pub role: Role,
    /// Number of the message in the exchange, counted from 1.
    pub message: u8,
    /// Size of the message in bytes, without the headers of UDP and IP.
    pub bytes: usize,
    /// How often it was sent, answers to repetitions of the peer included.
    pub sent: u32,
    /// How often the peer repeated the message that it answers.
    pub repeated: u32,
    /// Encrypted messages of the peer since then that could not be read.
    pub unreadable: u32,
}

impl FailureReason {
    /// The phase 1 under which it was negotiated is no more: deleted by somebody, expired, or not renewed.
    pub(crate) fn phase1_gone() -> Self {
        Self::NoPhase1(String::from("the one under which it was negotiated is gone"))
    }

    /// There was no thread for a job, or the thread is no more.
    pub(crate) fn not_computed() -> Self {
        Self::Crypto(String::from("the key exchange could not be computed: too much is waiting"))
    }

    /// A job did not end before the time of its negotiation was up.
    pub(crate) fn computed_late() -> Self {
        Self::Crypto(String::from("the key exchange was not computed in time"))
    }
}
