//! The result of a step of an exchange.

use super::Exchange;
use crate::crypto::Job;
use crate::phase1::Phase1Sa;
use crate::reason::FailureReason;

/// The result of a step of an exchange.
pub(crate) enum Transition {
    /// The exchange continues in this state.
    Continue(Box<Exchange>, ExchangeAction),
    /// The SA is established.
    Established(Box<ExchangeResult>),
    /// The exchange has failed.
    Failed(FailureReason),
    /// The peer has proved to know the key, but is refused for the identity that it claims. The refusal can be sent under
    /// the SA.
    Rejected(Box<Phase1Sa>, FailureReason),
}

/// What the engine does for an exchange that continues.
pub(crate) enum ExchangeAction {
    /// Has a job performed; the next message depends on its result.
    RunJob(Job),
    /// Sends a message.
    Send(Vec<u8>),
    /// Ignores the message or the job's result. A message may come from anybody, so the exchange has not changed.
    Ignore(FailureReason),
}

impl Transition {
    pub(super) fn run_job(next: impl Into<Exchange>, job: impl Into<Job>) -> Self {
        Self::Continue(Box::new(next.into()), ExchangeAction::RunJob(job.into()))
    }

    pub(super) fn send(next: impl Into<Exchange>, message: Vec<u8>) -> Self {
        Self::Continue(Box::new(next.into()), ExchangeAction::Send(message))
    }

    pub(super) fn ignore(unchanged: impl Into<Exchange>, reason: FailureReason) -> Self {
        Self::Continue(Box::new(unchanged.into()), ExchangeAction::Ignore(reason))
    }
}

/// What a successful exchange has agreed on.
pub(crate) struct ExchangeResult {
    /// The SA.
    pub(crate) sa: Phase1Sa,
    /// The last message of the exchange, if we send it.
    pub(crate) last_message: Option<Vec<u8>>,
    /// What the peer supports.
    pub(crate) features: Features,
    /// The peer has sent INITIAL-CONTACT: it has no other SA with us.
    pub(crate) initial_contact: bool,
}

/// What a peer supports, by its Vendor IDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Features {
    /// Dead peer detection (RFC 3706).
    pub(crate) dpd: bool,
}
