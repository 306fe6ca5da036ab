//! The outcomes of negotiations, with the reasons for failures. Log lines and events are views of these values.

mod denial;
mod event;
pub(crate) mod explain;
mod failure;
mod local_failure;
mod missing;
mod notify;
mod peer_fault;
mod text;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::kernel::Selector;
use crate::num::{ExchangeType, NotifyType};
use crate::time::Time;
use crate::undelivered::DeliveryError;
use crate::wire::CookiePair;
pub use denial::{DenialReason, Denied};
pub use failure::{BadChoice, FailureReason, Unanswered};
pub use local_failure::{CryptoFailure, KernelFailure, NoPhase1};
pub use missing::{MissingPolicy, MissingRemote, MissingSainfo, Named, PolicyProblem, SainfoName};
pub use peer_fault::{
    AuthenticationFailure, ExpectedIdentity, Malformed, PayloadProblem, Phase2IdentityError, TrafficError, Unreadable,
};

/// A negotiation that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The negotiation.
    pub negotiation: Negotiation,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// Name of the remote section, if one was selected.
    pub remote_section: Option<String>,
    /// When it began.
    pub began: Time,
    /// When it ended.
    pub ended: Time,
    /// The steps that were completed, each with the time since the beginning.
    pub steps: Vec<(&'static str, Duration)>,
    /// What the initiator offered, as text: a line for each transform.
    pub offered: Vec<String>,
    /// What the responder has configured, as text.
    pub configured: Vec<String>,
    /// Errors of which the peer notified us.
    pub peer_said: Vec<NotifyType>,
    /// Text of the notify by which the peer refused, if it has one.
    pub peer_text: Option<String>,
    /// Reports since it began that datagrams to the peer were not delivered, if it failed without an answer.
    pub undelivered: Vec<DeliveryError>,
    /// Whether it failed because its time was up. The reason is then the best explanation that is known.
    pub timed_out: bool,
    /// The result.
    pub result: NegotiationResult,
}

/// A negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Negotiation {
    /// Of an ISAKMP SA.
    Phase1 {
        /// The exchange.
        exchange: ExchangeType,
        /// Our role.
        role: Role,
        /// The cookies of the ISAKMP SA.
        cookies: CookiePair,
    },
    /// Of IPsec SAs.
    Phase2 {
        /// Our role.
        role: Role,
        /// The cookies of the phase 1 that protects it, once there is one.
        cookies: Option<CookiePair>,
        /// The message id; 0 if no message was sent.
        message_id: u32,
        /// The traffic, as an outbound selector.
        traffic: Selector,
    },
}

/// Our role in an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// We began it.
    Initiator,
    /// The peer began it.
    Responder,
}

/// The result of a negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NegotiationResult {
    /// SAs were established.
    Established,
    /// The negotiation failed.
    Failed(FailureReason),
    /// Another negotiation has established the same SAs earlier.
    Superseded,
    /// It is no longer needed, because of a shutdown, a reload, or a delete.
    Abandoned,
}

/// The most recent outcomes, up to a limit.
#[derive(Debug)]
pub struct Journal {
    kept: VecDeque<Arc<Outcome>>,
    limit: usize,
}

impl Journal {
    /// A journal of the last `limit` outcomes.
    pub fn new(limit: usize) -> Self {
        Self { kept: VecDeque::new(), limit }
    }

    /// Adds an outcome, and drops the oldest one if there are too many.
    pub fn add(&mut self, outcome: Arc<Outcome>) {
        if self.limit == 0 {
            return;
        }
        // A reload may have lowered the limit by more than one.
        while self.kept.len() >= self.limit {
            self.kept.pop_front();
        }
        self.kept.push_back(outcome);
    }

    /// Changes the limit.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        while self.kept.len() > limit {
            self.kept.pop_front();
        }
    }

    /// Returns all outcomes, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Outcome> {
        self.kept.iter().map(|outcome| &**outcome)
    }
}

#[cfg(test)]
mod tests;
