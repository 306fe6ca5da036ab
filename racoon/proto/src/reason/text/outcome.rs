//! The log line about a negotiation that failed.

use std::fmt;

use super::hint;
use crate::reason::{FailureReason, Negotiation, NegotiationResult, Outcome};

impl Outcome {
    /// Returns the log line about a failure: the negotiation, the reason, what is known besides, and the one thing to look at.
    /// `None` if the negotiation did not fail.
    pub fn failure_line(&self) -> Option<impl fmt::Display> {
        match &self.result {
            NegotiationResult::Failed(reason) => Some(FailureLine { outcome: self, reason }),
            NegotiationResult::Established | NegotiationResult::Superseded | NegotiationResult::Abandoned => None,
        }
    }
}

/// The line about a failed negotiation.
struct FailureLine<'a> {
    outcome: &'a Outcome,
    reason: &'a FailureReason,
}

impl fmt::Display for FailureLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outcome, reason } = *self;
        match &outcome.negotiation {
            Negotiation::Phase1 { cookies, .. } => {
                // Scripts look for these beginnings.
                let what = if outcome.timed_out { " due to time up." } else { ":" };
                write!(f, "phase1 negotiation failed{what} {cookies}: {reason}")?;
            }
            Negotiation::Phase2 { cookies, message_id, traffic, .. } => {
                let time_up = if matches!(reason, FailureReason::NoAnswer(_)) { "time up: " } else { "" };
                write!(f, "phase2 negotiation failed due to {time_up}{reason}")?;
                match (reason.names_traffic(), cookies) {
                    (true, None) => {}
                    (true, Some(_)) => f.write_str(":")?,
                    (false, _) => write!(f, ": {traffic}")?,
                }
                cookies.iter().try_for_each(|cookies| write!(f, " {cookies}:{message_id:08x}"))?;
            }
        }
        self.fmt_notify(f)?;
        outcome.undelivered.iter().try_for_each(|error| write!(f, "; {error}"))?;
        f.write_str(&hint::context(outcome, reason))
    }
}

impl FailureLine<'_> {
    /// What the peer said about it, or is told.
    fn fmt_notify(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = self.outcome.peer_text.as_ref();
        match (self.reason, self.reason.notify()) {
            (FailureReason::Refused(_), _) => said.iter().try_for_each(|text| write!(f, "; in its words: {text}")),
            // The peer has proved its key, so that its operator may know what is wrong with the identity.
            (FailureReason::Identity { .. }, Some(notify)) => write!(f, "; the peer is told {notify}"),
            _ => Ok(()),
        }
    }
}
