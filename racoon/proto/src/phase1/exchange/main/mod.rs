//! Main mode with a pre-shared key or with signatures (RFC 2409 sections 5.4 and 5.1).
//!
//! ```text
//!   1  ->  HDR, SA                                               all proposals
//!   2  <-  HDR, SA                                               the chosen one
//!   3  ->  HDR, KE, Ni
//!   4  <-  HDR, KE, Nr [, CR]
//!   5  ->  HDR*, IDii, HASH_I     or  [CERT,] SIG_I [, CR]
//!   6  <-  HDR*, IDir, HASH_R     or  [CERT,] SIG_R
//! ```

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

/// A main mode exchange in its current state.
pub(crate) enum MainMode {
    /// We began the exchange.
    Initiator(Initiator),
    /// The peer began the exchange.
    Responder(Responder),
}

impl MainMode {
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

    /// The keys of an initiator that waits for message 6, or verifies it.
    pub(super) fn keys_before_last_message(&self) -> Option<&Keyed> {
        match self {
            Self::Initiator(Initiator::AwaitsIdentity(state)) => Some(state.keyed()),
            Self::Initiator(Initiator::Verifies(state)) => Some(state.keyed()),
            // A responder has the SA when it sends the last message, so an initiator refuses that under the SA.
            Self::Initiator(_) | Self::Responder(_) => None,
        }
    }

    /// Adds the peer's offer to the record of a negotiation in which only message 1 has arrived.
    pub(super) fn describe_offer(&self, settings: &Settings, remote: SocketAddr, record: &mut Record) {
        if let Self::Responder(responder) = self {
            responder.describe_offer(settings, remote, record);
        }
    }

    /// The state as `racoonctl show-sa isakmp` numbers it.
    pub(super) fn status(&self) -> u8 {
        match self {
            Self::Initiator(initiator) => initiator.status(),
            Self::Responder(responder) => responder.status(),
        }
    }

    /// The number of our last message in the exchange, counted from 1, while we wait for the peer's answer to it.
    pub(super) fn last_sent(&self) -> Option<u8> {
        match self {
            Self::Initiator(Initiator::AwaitsChoice(_)) => Some(1),
            Self::Responder(Responder::AwaitsKey(_)) => Some(2),
            Self::Initiator(Initiator::AwaitsKey(_)) => Some(3),
            Self::Responder(Responder::AwaitsIdentity(_)) => Some(4),
            Self::Initiator(Initiator::AwaitsIdentity(_)) => Some(5),
            Self::Initiator(
                Initiator::PreparesKey(_) | Initiator::DerivesKeys(_) | Initiator::Signs(_) | Initiator::Verifies(_),
            )
            | Self::Responder(Responder::DerivesKeys(_) | Responder::Verifies(_) | Responder::Signs(_)) => None,
        }
    }

    /// Whether we have sent message 1, and no answer has been accepted.
    pub(super) fn is_unanswered(&self) -> bool {
        matches!(self, Self::Initiator(Initiator::AwaitsChoice(_)))
    }

    /// Whether the peer has not yet returned our cookie, which comes with message 3: its address may be forged.
    pub(super) fn is_from_unproved_address(&self) -> bool {
        matches!(self, Self::Responder(Responder::AwaitsKey(_)))
    }

    /// Whether messages 5 and 6 are to come, which are encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(
            self,
            Self::Initiator(Initiator::Signs(_) | Initiator::AwaitsIdentity(_) | Initiator::Verifies(_))
                | Self::Responder(Responder::AwaitsIdentity(_) | Responder::Verifies(_) | Responder::Signs(_))
        )
    }
}

impl From<Initiator> for Exchange {
    fn from(state: Initiator) -> Self {
        Self::Main(MainMode::Initiator(state))
    }
}

impl From<Responder> for Exchange {
    fn from(state: Responder) -> Self {
        Self::Main(MainMode::Responder(state))
    }
}
