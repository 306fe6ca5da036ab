//! Aggressive mode (RFC 2409 sections 5.1 and 5.4).
//!
//! ```text
//!   1  ->  HDR, SA, KE, Ni, IDii            all proposals, of one group
//!   2  <-  HDR, SA, KE, Nr, IDir, HASH_R    the chosen one
//!   3  ->  HDR*, HASH_I
//! ```
//!
//! With signatures, each HASH is replaced by SIG and perhaps CERT payloads.
//!
//! Message 1 contains the initiator's public value, so the group is not negotiated. Message 3 may be unencrypted; we encrypt it, as
//! other daemons do, and accept both.
//!
//! A responder computes message 2 for an address that may be forged. `phase1::half_open` limits these computations, and message 2 is
//! sent again only if the peer repeats message 1 or uses the SA already.

mod initiator;
mod responder;

use std::net::SocketAddr;

pub(super) use initiator::Initiator;
pub(super) use responder::Responder;

use super::keyed::Keyed;
use super::{Exchange, ExchangeContext, Transition};
use crate::conversation::Record;
use crate::crypto::JobResult;
use crate::settings::Settings;
use crate::wire::Header;

/// An aggressive mode exchange in its current state.
pub(crate) enum AggressiveMode {
    /// We began the exchange.
    Initiator(Initiator),
    /// The peer began the exchange.
    Responder(Responder),
}

impl AggressiveMode {
    /// Processes a message that is not a duplicate.
    pub(super) fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        match self {
            Self::Initiator(initiator) => initiator.receive(cx, header, body),
            Self::Responder(responder) => responder.receive(cx, header, body),
        }
    }

    /// Processes the result of the job that was requested.
    pub(super) fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        match self {
            Self::Initiator(initiator) => initiator.job_done(cx, result),
            Self::Responder(responder) => responder.job_done(cx, result),
        }
    }

    /// The keys of a responder that waits for message 3.
    pub(super) fn keys_before_last_message(&self) -> Option<&Keyed> {
        match self {
            Self::Responder(Responder::AwaitsProof(state)) => Some(state.keyed()),
            Self::Responder(Responder::Verifies(state)) => Some(state.keyed()),
            Self::Responder(Responder::DerivesKeys(_) | Responder::Signs(_)) | Self::Initiator(_) => None,
        }
    }

    /// Whether a responder waits for message 3.
    pub(super) fn awaits_proof(&self) -> bool {
        matches!(self, Self::Responder(Responder::AwaitsProof(_)))
    }

    /// Adds the peer's offer to the record of a negotiation.
    pub(super) fn describe_offer(&self, settings: &Settings, remote: SocketAddr, record: &mut Record) {
        if let Self::Responder(responder) = self {
            responder.describe_offer(settings, remote, record);
        }
    }

    /// The state as `racoonctl show-sa isakmp` numbers it.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::Initiator(Initiator::PreparesKey(_)) => 1,
            Self::Responder(Responder::DerivesKeys(_) | Responder::Signs(_)) => 2,
            Self::Initiator(Initiator::AwaitsAnswer(_)) | Self::Responder(Responder::AwaitsProof(_)) => 3,
            Self::Initiator(Initiator::DerivesKeys(_) | Initiator::Verifies(_) | Initiator::Signs(_))
            | Self::Responder(Responder::Verifies(_)) => 4,
        }
    }

    /// The number of our last message in the exchange, counted from 1, while we wait for the peer's answer to it.
    pub(super) fn last_sent(&self) -> Option<u8> {
        match self {
            Self::Initiator(Initiator::AwaitsAnswer(_)) => Some(1),
            Self::Responder(Responder::AwaitsProof(_)) => Some(2),
            Self::Initiator(_) | Self::Responder(_) => None,
        }
    }

    /// Whether no answer to message 1 has been accepted; perhaps it has not been sent yet.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(self, Self::Initiator(Initiator::PreparesKey(_) | Initiator::AwaitsAnswer(_)))
    }

    /// Whether the peer has not yet returned our cookie, which comes with message 3: its address may be forged.
    pub(super) fn is_from_unproved_address(&self) -> bool {
        matches!(self, Self::Responder(Responder::DerivesKeys(_) | Responder::Signs(_) | Responder::AwaitsProof(_)))
    }
}

impl From<Initiator> for Exchange {
    fn from(state: Initiator) -> Self {
        Self::Aggressive(AggressiveMode::Initiator(state))
    }
}

impl From<Responder> for Exchange {
    fn from(state: Responder) -> Self {
        Self::Aggressive(AggressiveMode::Responder(state))
    }
}
