//! Base mode (draft-ietf-ipsec-ike-base-mode).
//!
//! ```text
//!   1  ->  HDR, SA, IDii, Ni      all proposals
//!   2  <-  HDR, SA, IDir, Nr      the chosen one
//!   3  ->  HDR, KE, HASH_I
//!   4  <-  HDR, KE, HASH_R
//! ```
//!
//! With signatures, each HASH is replaced by SIG and perhaps CERT payloads. Nothing is encrypted. As in aggressive mode, the peers name
//! themselves in their first messages; as in main mode, a responder computes nothing before its cookie has been returned.
//!
//! The initiator proves its identity before it knows g^xr, so its proof does not cover that ([`Hashes`]).

mod hashes;
mod initiator;
mod responder;

use std::net::SocketAddr;

use hashes::Hashes;
pub(super) use initiator::Initiator;
pub(super) use responder::Responder;

use super::{Exchange, ExchangeContext, Transition};
use crate::conversation::Record;
use crate::crypto::JobResult;
use crate::settings::Settings;
use crate::wire::Header;

/// A base mode exchange in its current state.
pub(crate) enum BaseMode {
    /// We began the exchange.
    Initiator(Initiator),
    /// The peer began the exchange.
    Responder(Responder),
}

impl BaseMode {
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

    /// Whether an initiator waits for message 4, or computes the keys. The peer has the SA when it sends that message.
    pub(super) fn awaits_last_message(&self) -> bool {
        matches!(self, Self::Initiator(Initiator::AwaitsKey(_) | Initiator::DerivesKeys(_)))
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
            Self::Initiator(Initiator::AwaitsAnswer(_)) | Self::Responder(Responder::AwaitsKey(_)) => 3,
            Self::Initiator(Initiator::PreparesKey(_) | Initiator::Signs(_)) | Self::Responder(_) => 4,
            Self::Initiator(Initiator::AwaitsKey(_)) => 5,
            Self::Initiator(Initiator::DerivesKeys(_)) => 6,
        }
    }

    /// The number of our last message in the exchange, counted from 1, while we wait for the peer's answer to it.
    pub(super) fn last_sent(&self) -> Option<u8> {
        match self {
            Self::Initiator(Initiator::AwaitsAnswer(_)) => Some(1),
            Self::Responder(Responder::AwaitsKey(_)) => Some(2),
            Self::Initiator(Initiator::AwaitsKey(_)) => Some(3),
            Self::Initiator(_) | Self::Responder(_) => None,
        }
    }

    /// Whether no answer to message 1 has been accepted.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(self, Self::Initiator(Initiator::AwaitsAnswer(_)))
    }

    /// Whether the peer has not yet returned our cookie, which comes with message 3: its address may be forged.
    pub(super) fn is_from_unproved_address(&self) -> bool {
        matches!(self, Self::Responder(Responder::AwaitsKey(_)))
    }
}

impl From<Initiator> for Exchange {
    fn from(state: Initiator) -> Self {
        Self::Base(BaseMode::Initiator(state))
    }
}

impl From<Responder> for Exchange {
    fn from(state: Responder) -> Self {
        Self::Base(BaseMode::Responder(state))
    }
}
