//! Ends phase 2s that fail: releases what they hold, logs and records the outcome, and notifies the peer.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::conversation::Record;
use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Phase2Id};
use crate::kernel::KernelRequest;
use crate::num::{Doi, PayloadType, Protocol};
use crate::output::Level;
use crate::path::Path;
use crate::phase1::rate_limit::{LoggedEvent, PeerStanding};
use crate::phase1::table::Phase1s;
use crate::phase2::TrafficKey;
use crate::phase2::entry::{Phase2, State};
use crate::reason::{FailureReason, Negotiation, NegotiationResult, Outcome, Role};
use crate::wire::Notify;

impl Engine {
    /// Logs and records that a phase 2 could not even begin.
    pub(crate) fn phase2_not_begun(&mut self, traffic_key: &TrafficKey, reason: FailureReason) {
        let remote = SocketAddr::new(traffic_key.endpoints.remote, self.core.settings.port);
        let local = SocketAddr::new(traffic_key.endpoints.local, self.core.settings.port);
        let traffic = traffic_key.selector;
        let negotiation = Negotiation::Phase2 { role: Role::Initiator, cookies: None, message_id: 0, traffic };
        let (path, result) = (Path::new(local, remote), NegotiationResult::Failed(reason));
        let outcome = Record::new(self.core.now).outcome(negotiation, path, None, result, self.core.now);
        self.core.log_failure(Level::Error, &outcome);
        self.core.record_outcome(outcome);
    }

    /// Ends a negotiation that failed.
    pub(crate) fn fail_phase2(&mut self, id: Phase2Id, reason: FailureReason) {
        self.end_phase2(id, NegotiationResult::Failed(reason));
    }

    /// Ends a negotiation without SAs: whatever was done for it is undone.
    pub(crate) fn end_phase2(&mut self, id: Phase2Id, result: NegotiationResult) {
        let Some(phase2) = self.phase2s.get(id) else { return };
        let (phase1, outcome) = (phase2.phase1, phase2_outcome(phase2, result, &self.core));
        self.report_failed_phase2(id, &outcome);
        let Some(phase2) = self.remove_phase2(id) else { return };
        self.release_kernel_state(id, &phase2, phase2.peer_may_use);
        // The negotiation that supersedes this one answers the acquires.
        if outcome.result != NegotiationResult::Superseded {
            for acquire in &phase2.acquires {
                self.core.send_to_kernel(KernelRequest::AcquireFailed(acquire.clone()));
            }
        }
        if let Some(old) = phase2.renews.filter(|_| matches!(outcome.result, NegotiationResult::Failed(_))) {
            self.phase2s.renew_later(&mut self.core, old);
        }
        let endpoints = phase2.traffic_key.endpoints;
        match outcome.result {
            NegotiationResult::Failed(
                FailureReason::NoAnswer(_) | FailureReason::NoPhase1(_) | FailureReason::Phase1Late(_),
            ) => {
                self.leftovers_unanswered(endpoints);
            }
            _ => self.leftovers_replaced(endpoints),
        }
        self.record_phase2_outcome(&phase2, phase1, outcome);
    }

    /// Keeps the outcome of a negotiation, and reports the event for a failure if there is one.
    fn record_phase2_outcome(&mut self, phase2: &Phase2, phase1: Option<Phase1Id>, outcome: Outcome) {
        let outcome = self.core.record_outcome(outcome);
        let NegotiationResult::Failed(reason) = &outcome.result else { return };
        if let Some(kind) = reason.phase2_event() {
            let event = self.phase2_event((phase2, phase1), kind, Some(Arc::clone(&outcome)));
            self.core.emit(event);
        }
    }

    /// Logs a failure, and tells the peer.
    fn report_failed_phase2(&mut self, id: Phase2Id, outcome: &Outcome) {
        // An abandoned or superseded negotiation is no error.
        let NegotiationResult::Failed(reason) = &outcome.result else { return };
        let Some(phase2) = self.phase2s.get(id) else { return };
        let (traffic_key, remote, phase1) = (phase2.traffic_key, phase2.path.remote, phase2.phase1);
        // The failed phase 1 has its own error; each phase 2 that waited for it needs no other one.
        let waited = matches!(phase2.state, State::Waiting(_));
        let level = match (phase2.role, reason) {
            (Role::Initiator, FailureReason::NoPhase1(_) | FailureReason::Phase1Late(_)) if waited => Level::Notify,
            (Role::Initiator, _) => Level::Error,
            (Role::Responder, _) => {
                let kind = (PeerStanding::Proved(remote.ip()), LoggedEvent::Phase2Failed);
                self.core.apply_rate_limit(kind, Some(&format_args!("{reason}: {traffic_key}")), Level::Error, remote).1
            }
        };
        self.core.log_failure(level, outcome);
        match (phase1, reason) {
            (Some(phase1), FailureReason::Kernel(_)) => self.notify_kernel_refusal(id, phase1, reason),
            (Some(phase1), _) => self.phase1s.notify_refusal(&mut self.core, phase1, reason),
            (None, _) => {}
        }
    }

    /// Tells the peer that our kernel refused. No notify type says so, so the reason is sent as text. The SPI shows which
    /// negotiation it was, if the peer knows one.
    fn notify_kernel_refusal(&mut self, id: Phase2Id, phase1: Phase1Id, reason: &FailureReason) {
        // Not every reason concerns the peer.
        let Some(kind) = reason.notify() else { return };
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
        let data = reason.text_for_peer().into_bytes();
        let notify = Notify { doi: Doi::IPSEC, protocol: Protocol::ESP, spi, kind, data };
        self.phase1s.send_informational(&mut self.core, phase1, vec![(PayloadType::NOTIFY, notify.encode())]);
    }
}

impl Phase1s {
    /// Sends the notify for a refusal under a phase 1.
    pub(crate) fn notify_refusal(&mut self, core: &mut Core, phase1: Phase1Id, reason: &FailureReason) {
        // Not every reason concerns the peer.
        let Some(kind) = reason.notify() else { return };
        let notify = Notify { doi: Doi::IPSEC, protocol: Protocol::ESP, spi: Vec::new(), kind, data: Vec::new() };
        self.send_informational(core, phase1, vec![(PayloadType::NOTIFY, notify.encode())]);
    }
}

/// Returns what is kept of a phase 2 that ended, or came up.
pub(crate) fn phase2_outcome(phase2: &Phase2, result: NegotiationResult, core: &Core) -> Outcome {
    let Phase2 { role, cookies, message_id, traffic_key, .. } = phase2;
    let (role, cookies, message_id, traffic) = (*role, *cookies, *message_id, traffic_key.selector);
    let negotiation = Negotiation::Phase2 { role, cookies, message_id, traffic };
    let block = Some(phase2.block.clone()).filter(|name| !name.is_empty());
    let record = &phase2.conversation.record;
    let undelivered = match &result {
        NegotiationResult::Failed(reason) => core.delivery_errors(phase2.path.remote, record.began, reason),
        _ => Vec::new(),
    };
    Outcome { undelivered, ..record.outcome(negotiation, phase2.path, block, result, core.now) }
}
