//! Phase 2s that fail: the log line, the event, the notify to the peer, and the outcome.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::conversation::Record;
use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Phase2Id};
use crate::kernel::KernelRequest;
use crate::num::{Doi, ExchangeType, PayloadType, Protocol};
use crate::output::Level;
use crate::path::Path;
use crate::phase1::rate_limit::{LoggedEvent, PeerStanding};
use crate::phase1::table::Phase1s;
use crate::phase2::TrafficKey;
use crate::phase2::entry::{Phase2, State};
use crate::reason::{FailureReason, Negotiation, NegotiationResult, Outcome, Role};
use crate::time::Time;
use crate::wire::Notify;

/// Longest text in a notify, in bytes; a racoon that receives it shows up to 200.
const NOTIFY_TEXT_MAX: usize = 150;

impl Engine {
    /// A phase 2 that did not even begin.
    pub(crate) fn phase2_not_begun(&mut self, traffic_key: &TrafficKey, cause: FailureReason) {
        let remote = SocketAddr::new(traffic_key.endpoints.remote, self.core.settings.port);
        let local = SocketAddr::new(traffic_key.endpoints.local, self.core.settings.port);
        let record = Record::new(self.core.now);
        let context = record.context(ExchangeType::QUICK, Role::Initiator, &cause);
        self.core.log(Level::Error, Some(remote), || failed(&cause, traffic_key, "", &context));
        let traffic = traffic_key.selector;
        let negotiation = Negotiation::Phase2 { role: Role::Initiator, cookies: None, message_id: 0, traffic };
        let result = NegotiationResult::Failed(cause);
        self.core.record_outcome(record.outcome(negotiation, Path::new(local, remote), None, result, self.core.now));
    }

    /// A negotiation failed.
    pub(crate) fn fail_phase2(&mut self, id: Phase2Id, cause: FailureReason) {
        self.end_phase2(id, NegotiationResult::Failed(cause));
    }

    /// A negotiation ends without SAs: all that was done for it is undone.
    pub(crate) fn end_phase2(&mut self, id: Phase2Id, result: NegotiationResult) {
        self.tell_of_end(id, &result);
        let phase1 = self.phase2s.get(id).and_then(|phase2| phase2.phase1);
        let Some(phase2) = self.remove_phase2(id) else { return };
        self.release_kernel_state(id, &phase2, phase2.peer_may_use);
        if result != NegotiationResult::Superseded {
            for acquire in &phase2.acquires {
                self.core.send_to_kernel(KernelRequest::AcquireFailed(acquire.clone()));
            }
        }
        if let Some(old) = phase2.renews.filter(|_| matches!(result, NegotiationResult::Failed(_))) {
            self.phase2s.renew_later(&mut self.core, old);
        }
        let endpoints = phase2.traffic_key.endpoints;
        match result {
            NegotiationResult::Failed(
                FailureReason::NoAnswer(_) | FailureReason::NoPhase1(_) | FailureReason::Phase1Late(_),
            ) => {
                self.leftovers_unanswered(endpoints);
            }
            _ => self.leftovers_replaced(endpoints),
        }
        self.record_phase2_outcome(&phase2, phase1, result);
    }

    /// Keeps the outcome of a negotiation, and reports the event for a failure if there is one.
    fn record_phase2_outcome(&mut self, phase2: &Phase2, phase1: Option<Phase1Id>, result: NegotiationResult) {
        let outcome = self.core.record_outcome(phase2_outcome(phase2, result, self.core.now));
        let NegotiationResult::Failed(reason) = &outcome.result else { return };
        if let Some(kind) = reason.phase2_event() {
            let event = self.phase2_event((phase2, phase1), kind, Some(Arc::clone(&outcome)));
            self.core.emit(event);
        }
    }

    /// Log, events and a notify to the peer.
    fn tell_of_end(&mut self, id: Phase2Id, result: &NegotiationResult) {
        // An abandoned or superseded negotiation is no error.
        let NegotiationResult::Failed(cause) = result else { return };
        let Some(phase2) = self.phase2s.get(id) else { return };
        let (traffic_key, remote, phase1, message_id) =
            (phase2.traffic_key, phase2.path.remote, phase2.phase1, phase2.message_id);
        let role = phase2.role;
        let of = phase2.cookies.map(|cookies| format!(" {cookies}:{message_id:08x}")).unwrap_or_default();
        let context = phase2.conversation.record.context(ExchangeType::QUICK, role, cause);
        let undelivered = self.core.delivery_errors(remote, phase2.conversation.record.began, cause);
        let said = match (cause, phase2.conversation.record.peer_text.as_str()) {
            (FailureReason::Refused(_), said) if !said.is_empty() => format!("; in its words{said}"),
            _ => String::new(),
        };
        let text = || failed(cause, &traffic_key, &of, &format!("{said}{undelivered}{context}"));
        // The failed phase 1 has its own error; each phase 2 that waited for it needs no other one.
        let waited = matches!(phase2.state, State::Waiting(_));
        let level = match cause {
            FailureReason::NoPhase1(_) | FailureReason::Phase1Late(_) if waited => Level::Notify,
            _ => Level::Error,
        };
        match role {
            Role::Initiator => self.core.log(level, Some(remote), text),
            Role::Responder => {
                let kind = (PeerStanding::Proved(remote.ip()), LoggedEvent::Phase2Failed);
                self.core.log_reason(kind, &format_args!("{cause}: {traffic_key}"), Level::Error, remote, text);
            }
        }
        match (phase1, cause) {
            (Some(phase1), FailureReason::Kernel(_)) => self.notify_kernel_refusal(id, phase1, cause),
            (Some(phase1), _) => self.phase1s.notify_refusal(&mut self.core, phase1, cause),
            (None, _) => {}
        }
    }

    /// Tells the peer that our kernel refused, in words: no notify's number says so. The SPI shows which negotiation it was, where
    /// the peer knows one.
    fn notify_kernel_refusal(&mut self, id: Phase2Id, phase1: Phase1Id, cause: &FailureReason) {
        // Not every reason concerns the peer.
        let Some(kind) = cause.notify() else { return };
        let Some(phase2) = self.phase2s.get(id) else { return };
        let known = match (&phase2.state, phase2.role) {
            (State::InstallingInbound(installing), Role::Responder) => {
                installing.outbound.installations.first().map(|one| one.name.spi)
            }
            (_, Role::Responder) => None,
            (_, Role::Initiator) => {
                phase2.kernel_sas.iter().find(|name| name.destination == phase2.sa_endpoints.local).map(|name| name.spi)
            }
        };
        let spi = known.map(|spi| spi.to_be_bytes().to_vec()).unwrap_or_default();
        let text = first_clauses(&cause.to_string(), NOTIFY_TEXT_MAX).to_owned();
        let notify = Notify { doi: Doi::IPSEC, protocol: Protocol::ESP, spi, kind, data: text.into_bytes() };
        self.phase1s.send_informational(&mut self.core, phase1, vec![(PayloadType::NOTIFY, notify.encode())]);
    }
}

impl Phase1s {
    /// Tells the peer what was wrong with what it sent.
    pub(crate) fn notify_refusal(&mut self, core: &mut Core, phase1: Phase1Id, cause: &FailureReason) {
        // Not every reason concerns the peer.
        let Some(kind) = cause.notify() else { return };
        let notify = Notify { doi: Doi::IPSEC, protocol: Protocol::ESP, spi: Vec::new(), kind, data: Vec::new() };
        self.send_informational(core, phase1, vec![(PayloadType::NOTIFY, notify.encode())]);
    }
}

/// The line about a phase 2 that failed. `of` is the name of the exchange behind a space, if there was one.
pub(crate) fn failed(cause: &FailureReason, traffic_key: &TrafficKey, of: &str, context: &str) -> String {
    let time_up = if matches!(cause, FailureReason::NoAnswer(_)) { "time up: " } else { "" };
    let (colon, traffic) = match (cause.names_traffic(), of) {
        (true, "") => ("", String::new()),
        (true, _) => (":", String::new()),
        (false, _) => (": ", traffic_key.to_string()),
    };
    format!("phase2 negotiation failed due to {time_up}{cause}{colon}{traffic}{of}{context}")
}

/// The beginning of a text that ends where a clause ends, or at least not within a character.
fn first_clauses(text: &str, max: usize) -> &str {
    if text.len() <= max {
        return text;
    }
    let endpoints = text
        .match_indices([':', ';'])
        .filter(|(at, _)| text.get(at + 1..).is_some_and(|rest| rest.starts_with(' ')))
        .map(|(at, _)| at)
        .take_while(|at| *at <= max);
    let within = (0..=max).rev().find(|at| text.is_char_boundary(*at));
    endpoints.last().or(within).and_then(|end| text.get(..end)).unwrap_or_default()
}

/// What is kept of a phase 2 that ended, or came up.
pub(crate) fn phase2_outcome(phase2: &Phase2, result: NegotiationResult, now: Time) -> Outcome {
    let Phase2 { role, cookies, message_id, traffic_key, .. } = phase2;
    let (role, cookies, message_id, traffic) = (*role, *cookies, *message_id, traffic_key.selector);
    let negotiation = Negotiation::Phase2 { role, cookies, message_id, traffic };
    let block = Some(phase2.block.clone()).filter(|name| !name.is_empty());
    phase2.conversation.record.outcome(negotiation, phase2.path, block, result, now)
}

#[cfg(test)]
mod tests {
    use super::first_clauses;

    #[test]
    fn a_text_for_the_peer_ends_with_a_clause() {
        let text = "kernel: SPI 0x1::2 expired; raise the limit";
        assert_eq!(first_clauses(text, 100), text);
        assert_eq!(first_clauses(text, text.len() - 1), "kernel: SPI 0x1::2 expired");
        assert_eq!(first_clauses(text, 20), "kernel");
        assert_eq!(first_clauses("überlang", 1), "");
        assert_eq!(first_clauses("überlang", 3), "üb");
    }
}
