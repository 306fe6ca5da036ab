//! The exchanges that negotiate phase 1 (RFC 2409 section 5).
//!
//! The engine drives an [`Exchange`] without knowing which one it is. An exchange is a state machine without side effects:
//! the engine passes it messages and results of jobs, and does what the returned [`Transition`] says. Retransmission,
//! duplicates, deadlines and the consequences of a failure are the engine's part.
//!
//! Each state is a struct. The step that leaves it consumes it, together with the secrets that the next state does not need.
//!
//! Another exchange is one variant of [`Exchange`] and a folder like [`main`]. What exchanges share is here: the first choice
//! of a responder ([`choice`]), also by the identity that a first message may contain ([`claimed_peer`]), the payloads
//! ([`payloads`]), the state once keys exist ([`keyed`]) and the check of the peer's identity ([`expected_peer`](identity)). [`super::auth`] is about how a peer proves its identity.

mod aggressive;
mod base;
pub(crate) mod choice;
mod claimed_peer;
mod context;
mod identity;
mod keyed;
pub(crate) mod main;
pub(crate) mod payloads;
mod transition;

use std::net::SocketAddr;

use crate::conversation::Record;
use crate::crypto::JobResult;
use crate::message::codec::MessageCodec;
use crate::message::rules::{AGGRESSIVE, BASE, MAIN, MessageRules};
use crate::num::ExchangeType;
use crate::reason::FailureReason;
use crate::settings::Settings;
use crate::wire::{Header, RawPayload};
use aggressive::AggressiveMode;
use base::BaseMode;
use choice::FirstChoice;
pub(crate) use context::ExchangeContext;
use keyed::Keyed;
pub(crate) use keyed::Transcript;
use main::MainMode;
pub(crate) use transition::{ExchangeAction, ExchangeResult, Features, Transition};

/// An exchange that is being negotiated, in its current state.
pub(crate) enum Exchange {
    /// Main mode (RFC 2409 section 5.4).
    Main(MainMode),
    /// Aggressive mode (RFC 2409 section 5.4).
    Aggressive(AggressiveMode),
    /// Base mode (draft-ietf-ipsec-ike-base-mode).
    Base(BaseMode),
}

impl Exchange {
    /// Whether there is an implementation of an exchange.
    pub(crate) fn is_supported(exchange: ExchangeType) -> bool {
        matches!(exchange, ExchangeType::MAIN | ExchangeType::AGGRESSIVE | ExchangeType::BASE)
    }

    /// Whether a responder needs a job to answer the first message.
    pub(crate) fn begins_with_job(exchange: ExchangeType) -> bool {
        exchange == ExchangeType::AGGRESSIVE
    }

    /// The rules of the first message of an exchange.
    fn first_message_rules(exchange: ExchangeType) -> Result<&'static MessageRules, FailureReason> {
        match exchange {
            ExchangeType::MAIN => Ok(&MAIN[0]),
            ExchangeType::AGGRESSIVE => Ok(&AGGRESSIVE[0]),
            ExchangeType::BASE => Ok(&BASE[0]),
            other => Err(unsupported(other)),
        }
    }

    /// Begins an exchange of the type that the context names.
    pub(crate) fn initiate(cx: &mut ExchangeContext<'_>) -> Transition {
        match cx.exchange {
            ExchangeType::MAIN => main::Initiator::begin(cx).unwrap_or_else(Transition::Failed),
            ExchangeType::AGGRESSIVE => aggressive::Initiator::begin(cx).unwrap_or_else(Transition::Failed),
            ExchangeType::BASE => base::Initiator::begin(cx).unwrap_or_else(Transition::Failed),
            other => Transition::Failed(unsupported(other)),
        }
    }

    /// Answers a first message.
    pub(crate) fn respond(cx: &mut ExchangeContext<'_>, choice: FirstChoice<'_>) -> Transition {
        match cx.exchange {
            ExchangeType::MAIN => main::Responder::begin(cx, choice).unwrap_or_else(Transition::Failed),
            ExchangeType::AGGRESSIVE => aggressive::Responder::begin(cx, choice).unwrap_or_else(Transition::Failed),
            ExchangeType::BASE => base::Responder::begin(cx, choice).unwrap_or_else(Transition::Failed),
            other => Transition::Failed(unsupported(other)),
        }
    }

    /// Processes a message that is not a duplicate.
    pub(crate) fn receive(self, cx: &mut ExchangeContext<'_>, header: &Header, body: &[u8]) -> Transition {
        match self {
            Self::Main(main) => main.receive(cx, header, body),
            Self::Aggressive(aggressive) => aggressive.receive(cx, header, body),
            Self::Base(base) => base.receive(cx, header, body),
        }
    }

    /// Processes the result of the job that was requested.
    pub(crate) fn job_done(self, cx: &mut ExchangeContext<'_>, result: JobResult) -> Transition {
        match self {
            Self::Main(main) => main.job_done(cx, result),
            Self::Aggressive(aggressive) => aggressive.job_done(cx, result),
            Self::Base(base) => base.job_done(cx, result),
        }
    }

    /// Reads an informational message under the keys of an exchange that waits for its last message. Returns `None` if it
    /// does not wait for one, or has no keys yet.
    pub(crate) fn informational<T>(
        &self,
        message: (&Header, &[u8]),
        codec: (&MessageCodec, SocketAddr),
        read: impl FnOnce(&[RawPayload<'_>]) -> Result<T, FailureReason>,
    ) -> Option<Result<T, FailureReason>> {
        self.keys_before_last_message().map(|keyed| keyed.informational(message, codec, read))
    }

    /// The keys of an exchange that waits for its last message.
    fn keys_before_last_message(&self) -> Option<&Keyed> {
        match self {
            Self::Main(main) => main.keys_before_last_message(),
            Self::Aggressive(aggressive) => aggressive.keys_before_last_message(),
            // An initiator has no keys before message 4.
            Self::Base(_) => None,
        }
    }

    /// Adds the peer's offer to the record of a negotiation in which only message 1 has arrived.
    pub(crate) fn describe_offer(&self, settings: &Settings, remote: SocketAddr, record: &mut Record) {
        match self {
            Self::Main(main) => main.describe_offer(settings, remote, record),
            Self::Aggressive(aggressive) => aggressive.describe_offer(settings, remote, record),
            Self::Base(base) => base.describe_offer(settings, remote, record),
        }
    }

    /// The state as `racoonctl show-sa isakmp` numbers it.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Main(main) => main.status(),
            Self::Aggressive(aggressive) => aggressive.status(),
            Self::Base(base) => base.status(),
        }
    }

    /// The number of our last message in the exchange, counted from 1, while we wait for the peer's answer to it.
    pub(crate) fn last_sent(&self) -> Option<u8> {
        match self {
            Self::Main(main) => main.last_sent(),
            Self::Aggressive(aggressive) => aggressive.last_sent(),
            Self::Base(base) => base.last_sent(),
        }
    }

    /// Whether we have begun the exchange, and no answer to the first message has been accepted.
    pub(crate) fn is_unanswered(&self) -> bool {
        match self {
            Self::Main(main) => main.is_unanswered(),
            Self::Aggressive(aggressive) => aggressive.is_unanswered(),
            Self::Base(base) => base.is_unanswered(),
        }
    }

    /// Whether the peer began the exchange and has not yet returned our cookie: its address may be forged.
    pub(crate) fn is_from_unproved_address(&self) -> bool {
        match self {
            Self::Main(main) => main.is_from_unproved_address(),
            Self::Aggressive(aggressive) => aggressive.is_from_unproved_address(),
            Self::Base(base) => base.is_from_unproved_address(),
        }
    }

    /// Whether we have keys, and the peer's next message is encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        match self {
            Self::Main(main) => main.is_encrypted(),
            // In aggressive mode a refusal may be unencrypted, and so may message 3. In base mode nothing is encrypted.
            Self::Aggressive(_) | Self::Base(_) => false,
        }
    }

    /// Whether the peer may have the SA already, although we have not received its last message.
    ///
    /// It may then have been lost, and our last message is sent again so that the peer repeats it.
    pub(crate) fn awaits_proof(&self) -> bool {
        match self {
            Self::Aggressive(aggressive) => aggressive.awaits_proof(),
            Self::Main(_) | Self::Base(_) => false,
        }
    }

    /// Whether the peer may have the SA already. Messages that it protects with the SA are then deferred until we have it, too.
    pub(crate) fn awaits_last_message(&self) -> bool {
        match self {
            Self::Base(base) => base.awaits_last_message(),
            Self::Main(_) | Self::Aggressive(_) => self.keys_before_last_message().is_some(),
        }
    }
}

/// The failure of an exchange that is not implemented.
pub(crate) fn unsupported(exchange: ExchangeType) -> FailureReason {
    FailureReason::UnsupportedExchange(exchange)
}
