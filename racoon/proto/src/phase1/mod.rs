//! Phase 1: how an ISAKMP SA comes to be, and what it is.
//!
//! An exchange is a state machine without a door to the outside: the engine gives it what came in, takes what it brings
//! ([`Transition`]), and does the rest: duplicates, repetition, time, jobs, and what becomes of a failure. A state is a struct of
//! its own; the step that leaves it consumes it, with the secrets that the next one does not need.

pub(crate) mod exchange;
pub(crate) mod failure_counters;
pub(crate) mod half_open;
pub(crate) mod isakmp_sa;
pub(crate) mod lifecycle;
pub(crate) mod negotiation;
pub(crate) mod rate_limit;
pub(crate) mod renewal;
pub(crate) mod replacement;
pub(crate) mod sa;
pub(crate) mod table;

use std::net::SocketAddr;

use crate::conversation::Record;
use crate::crypto::{CryptoError, Job};
use crate::message::codec::MessageCodec;
use crate::output::Level;
use crate::random::Random;
use crate::reason::FailureReason;
use crate::select::RemoteIndex;
use crate::settings::Settings;
use crate::wire::CookiePair;

#[cfg(test)]
pub(crate) use sa::MESSAGE_IDS_MAX;
pub(crate) use sa::{KeyOwner, MESSAGE_IDS_RENEWED_AFTER, PeerIdentity, Phase1Sa, open_informational};

/// What a step needs besides its state and what came in.
pub(crate) struct Context<'a> {
    /// The configuration.
    pub(crate) settings: &'a Settings,
    /// Padding and words of encrypted messages.
    pub(crate) codec: &'a MessageCodec,
    /// Randomness.
    pub(crate) random: &'a mut dyn Random,
    /// The names of the exchange.
    pub(crate) cookies: CookiePair,
    /// Our end.
    pub(crate) local: SocketAddr,
    /// The peer's.
    pub(crate) remote: SocketAddr,
    /// The remote block: an initiator's, or a responder's best guess until it knows who the peer is.
    pub(crate) block: RemoteIndex,
    /// An initiator has INITIAL-CONTACT to say.
    pub(crate) first_contact: bool,
    /// What is kept for the outcome.
    pub(crate) record: &'a mut Record,
    /// What is to be logged.
    pub(crate) notes: &'a mut Vec<(Level, String)>,
}

impl Context<'_> {
    /// Notes a line; its text is made only if it is written.
    fn note(&mut self, level: Level, text: impl FnOnce() -> String) {
        let level = if self.record.quiet && level >= Level::Info { level.max(Level::Debug) } else { level };
        if level <= self.settings.log {
            self.notes.push((level, text()));
        }
    }
}

/// What a step brings. `S` is the exchange in its next state.
pub(crate) enum Transition<S> {
    /// A job has to be done before there is an answer.
    Job(S, Job),
    /// A message to send.
    Send(S, Vec<u8>),
    /// What came in is no good. Nobody knows who sent it: the exchange stays as it was.
    Ignored(S, FailureReason),
    /// The SA is there.
    Established(Box<Agreed>),
    /// The exchange has failed.
    Failed(FailureReason),
    /// The exchange has failed because of what the peer, who has proved to know the key, says of itself. It can be told so
    /// under the SA.
    Rejected(Box<Phase1Sa>, FailureReason),
}

impl<S> Transition<S> {
    /// The same for what `S` is a part of.
    pub(crate) fn map<T>(self, into: impl FnOnce(S) -> T) -> Transition<T> {
        match self {
            Self::Job(state, job) => Transition::Job(into(state), job),
            Self::Send(state, message) => Transition::Send(into(state), message),
            Self::Ignored(state, cause) => Transition::Ignored(into(state), cause),
            Self::Established(agreed) => Transition::Established(agreed),
            Self::Failed(cause) => Transition::Failed(cause),
            Self::Rejected(sa, cause) => Transition::Rejected(sa, cause),
        }
    }
}

/// What a successful exchange brings.
pub(crate) struct Agreed {
    /// The SA.
    pub(crate) sa: Phase1Sa,
    /// The last message of the exchange, if it is ours.
    pub(crate) last_message: Option<Vec<u8>>,
    /// What the peer can do.
    pub(crate) features: Features,
    /// The peer says that it knows of no other SA with us.
    pub(crate) initial_contact: bool,
}

/// What a peer says it can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    /// Dead peer detection (RFC 3706).
    pub(crate) dpd: bool,
}

impl From<CryptoError> for FailureReason {
    /// Our own fault.
    fn from(error: CryptoError) -> Self {
        Self::Crypto(error.to_string())
    }
}
