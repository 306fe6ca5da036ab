//! Translates between SA payloads and terms (RFC 2409 Appendix A, RFC 2407 section 4.5).
//!
//! A peer's payload is invalid only if its layout is. A transform with invalid or unknown values is skipped, and the reason is kept
//! for the log; other transforms may be acceptable.

mod key_length;
mod phase1;
mod phase2;
mod values;

use std::fmt;

use thiserror::Error;

pub use phase1::{OfferedPhase1, Phase1Offer, answered_phase1, offered_phase1, phase1_answer, phase1_sa};
pub use phase2::{
    Choice, Phase2Offer, Suite, SuiteProtocol, SuiteTransform, answered_phase2, offered_phase2, phase2_answer,
    phase2_sa,
};

use crate::num::{Phase1Attribute, Phase2Attribute, Protocol};

/// A transform, or a whole proposal, that is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Proposal number.
    pub proposal: u8,
    /// Transform number; `None` for the whole proposal.
    pub transform: Option<u8>,
    /// The reason.
    pub reason: SkipReason,
}

impl fmt::Display for Skipped {
    /// `proposal 1, transform 2: REASON`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "proposal {}", self.proposal)?;
        if let Some(transform) = self.transform {
            write!(f, ", transform {transform}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// The reason why a transform or a proposal is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SkipReason {
    /// This phase does not negotiate the protocol.
    #[error("protocol {0} is not allowed here")]
    Protocol(Protocol),
    /// A second proposal for a protocol under one number.
    #[error("protocol {0} occurs twice")]
    ProtocolTwice(Protocol),
    /// An SPI of a wrong length or with a reserved value.
    #[error("the SPI for {0} is invalid")]
    Spi(Protocol),
    /// All transforms of a protocol were skipped.
    #[error("no transform for {0} is understood")]
    NoTransform(Protocol),
    /// A transform identifier that phase 1 does not know.
    #[error("transform identifier {0} is not allowed here")]
    TransformId(u8),
    /// An attribute that is not understood.
    #[error("attribute {0} is not understood")]
    Unsupported(AttributeName),
    /// An attribute that occurs more than once.
    #[error("attribute {0} occurs twice")]
    Doubled(AttributeName),
    /// An attribute in long form that must be in short form.
    #[error("attribute {0} is in long form")]
    LongForm(AttributeName),
    /// A missing attribute.
    #[error("attribute {0} is missing")]
    Missing(AttributeName),
    /// A value that the attribute cannot have.
    #[error("attribute {attribute} cannot be {value}")]
    Value {
        /// The attribute.
        attribute: AttributeName,
        /// Its value.
        value: u64,
    },
}

/// An attribute of either phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeName {
    /// Of phase 1.
    Phase1(Phase1Attribute),
    /// Of phase 2.
    Phase2(Phase2Attribute),
}

impl fmt::Display for AttributeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phase1(attribute) => attribute.fmt(f),
            Self::Phase2(attribute) => attribute.fmt(f),
        }
    }
}

/// An SA payload whose proposal numbers are invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProposalError {
    /// Proposal numbers decrease, but RFC 2408 section 4.2 requires that they increase.
    #[error("proposal {number} follows proposal {before}")]
    Order {
        /// The previous number.
        before: u8,
        /// The number.
        number: u8,
    },
}

/// The reason why an SA payload is not an answer to what was proposed (RFC 2408 section 4.2, RFC 2409 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// The proposal numbers are invalid.
    #[error(transparent)]
    Proposal(#[from] ProposalError),
    /// The chosen transform has an invalid or unknown value.
    #[error("{0}")]
    Unusable(Skipped),
    /// It does not have exactly one proposal with one transform for each protocol.
    #[error("not exactly one of the proposals is chosen")]
    NotOne,
    /// The chosen transform was not proposed.
    #[error("proposal {proposal}, transform {transform} was not proposed")]
    NotProposed {
        /// Proposal number.
        proposal: u8,
        /// Transform number.
        transform: u8,
    },
}
