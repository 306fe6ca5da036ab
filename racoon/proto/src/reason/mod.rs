//! What became of a negotiation, and why. Log lines, events and what is shown later are views of this one value.

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
    /// Which one.
    pub negotiation: Negotiation,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// Name of the remote section, once it was chosen.
    pub block: Option<String>,
    /// When it began.
    pub began: Time,
    /// When it ended.
    pub ended: Time,
    /// What was reached on the way, and how long after the beginning.
    pub steps: Vec<(&'static str, Duration)>,
    /// What the initiator offered, in words: a line for each transform.
    pub offered: Vec<String>,
    /// What the responder has configured, in words.
    pub configured: Vec<String>,
    /// Errors of which the peer notified us.
    pub peer_said: Vec<NotifyType>,
    /// Text of the notify by which the peer refused, if it has one.
    pub peer_text: Option<String>,
    /// Reports since it began that datagrams to the peer were not delivered, if it failed without an answer.
    pub undelivered: Vec<DeliveryError>,
    /// Whether it failed because its time was up. The reason is then the best explanation that is known.
    pub timed_out: bool,
    /// How it ended.
    pub result: NegotiationResult,
}

/// Which negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Negotiation {
    /// Of an ISAKMP SA.
    Phase1 {
        /// How.
        exchange: ExchangeType,
        /// Who began.
        role: Role,
        /// Which.
        cookies: CookiePair,
    },
    /// Of IPsec SAs.
    Phase2 {
        /// Who began.
        role: Role,
        /// Under which phase 1, once there is one.
        cookies: Option<CookiePair>,
        /// Which; 0 if it did not come to a message.
        message_id: u32,
        /// The traffic, as an outbound selector.
        traffic: Selector,
    },
}

/// Who began an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// We.
    Initiator,
    /// The peer.
    Responder,
}

/// How a negotiation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NegotiationResult {
    /// With an SA.
    Established,
    /// Without one.
    Failed(FailureReason),
    /// Another one has come to the same before it.
    Superseded,
    /// Nobody needs it any more: shutdown, reload, a delete.
    Abandoned,
}

/// The last outcomes, bounded.
#[derive(Debug)]
pub struct Journal {
    kept: VecDeque<Arc<Outcome>>,
    limit: usize,
}

impl Journal {
    /// Keeps the last `limit`.
    pub fn new(limit: usize) -> Self {
        Self { kept: VecDeque::new(), limit }
    }

    /// Adds one; the oldest goes when there are too many.
    pub fn add(&mut self, outcome: Arc<Outcome>) {
        if self.limit == 0 {
            return;
        }
        while self.kept.len() >= self.limit {
            self.kept.pop_front();
        }
        self.kept.push_back(outcome);
    }

    /// Keeps another number from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
        while self.kept.len() > limit {
            self.kept.pop_front();
        }
    }

    /// All that are kept, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Outcome> {
        self.kept.iter().map(|outcome| &**outcome)
    }
}

#[cfg(test)]
mod tests;
