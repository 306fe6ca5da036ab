//! Ends phase 2s that fail: releases what they hold, logs and records the outcome, and notifies the peer.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::conversation::Record;
use crate::engine::core::Core;
use crate::engine::{Engine, Phase2Id};
use crate::kernel::KernelRequest;
use crate::num::{Doi, PayloadType, Protocol};
use crate::output::Level;
use crate::path::Path;
use crate::phase1::Phase1Sa;
use crate::phase1::entry::Phase1;
use crate::phase1::rate_limit::{LoggedEvent, PeerStanding};
use crate::phase1::table::Phase1s;
use crate::phase2::TrafficKey;
use crate::phase2::entry::{Phase2, State};
use crate::reason::{FailureReason, Negotiation, NegotiationResult, Outcome, Role};
use crate::wire::Notify;

impl Engine {
    /// Ends a negotiation that failed.
    pub(crate) fn fail_phase2(&mut self, id: Phase2Id, reason: FailureReason) {
        self.end_phase2(id, NegotiationResult::Failed(reason));
    }

    /// Ends a negotiation without SAs: whatever was done for it is undone.
    pub(crate) fn end_phase2(&mut self, id: Phase2Id, result: NegotiationResult) {
        // It may have ended together with another one.
        let Some(phase2) = self.phase2s.get(id) else { return };
        let (phase1, outcome) = (phase2.phase1, phase2.outcome(&self.core, result));
        if let NegotiationResult::Failed(reason) = &outcome.result {
            phase2.report_failure(&mut self.core, reason, &outcome);
            phase2.notify_failure(&mut self.core, &mut self.phase1s, reason);
        }
        // It has just been reported.
        let Some(phase2) = self.phase2s.end(&mut self.core, &mut self.phase1s, id) else { return };
        phase2.release(&mut self.core, &mut self.phase1s, &mut self.generated, phase2.peer_may_use);
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
            ) => self.leftovers.delete_unanswered(&mut self.core, &mut self.phase1s, &self.phase2s, endpoints),
            _ => self.leftovers.schedule_deletion(&mut self.core, &self.phase2s, endpoints),
        }
        phase2.record_outcome(&mut self.core, phase1.and_then(|phase1| self.phase1s.sa(phase1)), outcome);
    }
}

impl Core {
    /// Logs and records that a phase 2 could not even begin.
    pub(crate) fn phase2_not_begun(&mut self, traffic_key: &TrafficKey, reason: FailureReason) {
        let [local, remote] = [traffic_key.endpoints.local, traffic_key.endpoints.remote]
            .map(|address| SocketAddr::new(address, self.settings.port));
        let traffic = traffic_key.selector;
        let negotiation = Negotiation::Phase2 { role: Role::Initiator, cookies: None, message_id: 0, traffic };
        let (path, result) = (Path::new(local, remote), NegotiationResult::Failed(reason));
        let outcome = Record::new(self.now).outcome(negotiation, path, None, result, self.now);
        self.log_failure(Level::Error, &outcome);
        self.record_outcome(outcome);
    }
}

impl Phase2 {
    /// Keeps the outcome of its negotiation, and reports the event for a failure if there is one. `sa` was that of its phase 1.
    fn record_outcome(&self, core: &mut Core, sa: Option<&Phase1Sa>, outcome: Outcome) {
        let outcome = core.record_outcome(outcome);
        // An abandoned or superseded negotiation is no error.
        let NegotiationResult::Failed(reason) = &outcome.result else { return };
        if let Some(kind) = reason.phase2_event() {
            core.emit(self.event(sa, kind, Some(Arc::clone(&outcome))));
        }
    }

    /// Logs its failure.
    fn report_failure(&self, core: &mut Core, reason: &FailureReason, outcome: &Outcome) {
        // The failed phase 1 has its own error; each phase 2 that waited for it needs no other one.
        let waited = matches!(self.state, State::Waiting(_));
        let level = match (self.role, reason) {
            (Role::Initiator, FailureReason::NoPhase1(_) | FailureReason::Phase1Late(_)) if waited => Level::Notify,
            (Role::Initiator, _) => Level::Error,
            (Role::Responder, _) => {
                let remote = self.path.remote;
                let kind = (PeerStanding::Proved(remote.ip()), LoggedEvent::Phase2Failed);
                let text = format_args!("{reason}: {}", self.traffic_key);
                core.apply_rate_limit(kind, Some(&text), Level::Error, remote).1
            }
        };
        core.log_failure(level, outcome);
    }

    /// Tells the peer why it failed, if that concerns it, under its phase 1.
    fn notify_failure(&self, core: &mut Core, phase1s: &mut Phase1s, reason: &FailureReason) {
        match (self.phase1.and_then(|phase1| phase1s.get_mut(phase1)), reason) {
            (Some(phase1), FailureReason::Kernel(_)) => self.notify_kernel_refusal(core, phase1, reason),
            (Some(phase1), _) => phase1.notify_refusal(core, reason),
            // Without a phase 1 the peer cannot be told.
            (None, _) => {}
        }
    }

    /// Tells the peer that our kernel refused. No notify type says so, so the reason is sent as text. The SPI shows which
    /// negotiation it was, if the peer knows one.
    fn notify_kernel_refusal(&self, core: &mut Core, phase1: &mut Phase1, reason: &FailureReason) {
        // Not every reason concerns the peer.
        let Some(kind) = reason.notify() else { return };
        let known = match (&self.state, self.role) {
            (State::InstallingInbound(installing), Role::Responder) => {
                installing.outbound.installations.first().map(|one| one.name.spi)
            }
            (_, Role::Responder) => None,
            (_, Role::Initiator) => {
                self.kernel_sas.iter().find(|name| name.destination == self.sa_endpoints.local).map(|name| name.spi)
            }
        };
        let spi = known.map(|spi| spi.to_be_bytes().to_vec()).unwrap_or_default();
        let data = reason.text_for_peer().into_bytes();
        let notify = Notify { doi: Doi::IPSEC, protocol: Protocol::ESP, spi, kind, data };
        phase1.send_informational(core, &[(PayloadType::NOTIFY, notify.encode())]);
    }
}

impl Phase1 {
    /// Sends the notify for a refusal.
    pub(crate) fn notify_refusal(&mut self, core: &mut Core, reason: &FailureReason) {
        // Not every reason concerns the peer.
        let Some(kind) = reason.notify() else { return };
        let notify = Notify { doi: Doi::IPSEC, protocol: Protocol::ESP, spi: Vec::new(), kind, data: Vec::new() };
        self.send_informational(core, &[(PayloadType::NOTIFY, notify.encode())]);
    }
}
