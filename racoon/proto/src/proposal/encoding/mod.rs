//! Between SA payloads and terms (RFC 2409 Appendix A, RFC 2407 section 4.5).
//!
//! Of what a peer sends, only bytes that break the layout are an error of the payload. A transform that makes no sense,
//! or none to us, is skipped, and why is kept for the log; the others may still do.

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

/// A transform, or a whole proposal, that is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Proposal number.
    pub proposal: u8,
    /// Transform number, if it is not all of the proposal.
    pub transform: Option<u8>,
    /// Why.
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

/// Why a transform or a proposal is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SkipReason {
    /// A protocol that this phase does not negotiate.
    #[error("protocol {0} does not belong here")]
    Protocol(Protocol),
    /// A second proposal for a protocol under one number.
    #[error("protocol {0} is there twice")]
    ProtocolTwice(Protocol),
    /// An SPI of a wrong length or with a reserved value.
    #[error("the SPI for {0} is none")]
    Spi(Protocol),
    /// No transform of a protocol is left.
    #[error("no transform for {0} is understood")]
    NoTransform(Protocol),
    /// A transform identifier that phase 1 does not know.
    #[error("transform identifier {0} does not belong here")]
    TransformId(u8),
    /// An attribute that is not understood.
    #[error("attribute {0} is not understood")]
    Unsupported(AttributeName),
    /// An attribute that is there more than once.
    #[error("attribute {0} is there twice")]
    Doubled(AttributeName),
    /// An attribute in long form that has only a short one.
    #[error("attribute {0} is in long form")]
    LongForm(AttributeName),
    /// An attribute that is not there.
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

/// An SA payload whose proposals cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProposalError {
    /// Proposal numbers go down; they have to go up (RFC 2408 section 4.2).
    #[error("proposal {number} follows proposal {before}")]
    Order {
        /// The number before.
        before: u8,
        /// The number.
        number: u8,
    },
}

/// An SA payload that is no answer to what was proposed (RFC 2408 section 4.2, RFC 2409 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AnswerError {
    /// The proposals cannot be told apart.
    #[error(transparent)]
    Proposal(#[from] ProposalError),
    /// What is chosen is not understood.
    #[error("{0}")]
    Unusable(Skipped),
    /// Not one proposal, with one transform for each protocol.
    #[error("not exactly one of the proposals is chosen")]
    NotOne,
    /// It was not proposed.
    #[error("proposal {proposal}, transform {transform} was not proposed")]
    NotProposed {
        /// Proposal number.
        proposal: u8,
        /// Transform number.
        transform: u8,
    },
}
