//! Phase 1s that fail: the log line, the event, the notify to the peer, and the phase 2s that waited.

use crate::conversation::Record;
use crate::engine::core::Core;
use crate::engine::datagram::Incoming;
use crate::engine::{Engine, Phase1Id, Phase2Id, Timer};
use crate::num::NotifyType;
use crate::output::{Event, Level};
use crate::path::Path;
use crate::phase1::entry::Phase1;
use crate::phase1::negotiation::Phase1Next;
use crate::phase1::rate_limit::{LoggedEvent, PeerStanding};
use crate::phase1::renewal::RETRY;
use crate::phase1::table::Phase1s;
use crate::reason::{FailureReason, Negotiation, NegotiationResult, NoPhase1, Outcome, Role};

/// Number of ignored messages of one negotiation that are logged as warnings; further ones are logged at debug.
const WARNINGS_MAX: u32 = 4;

/// The phase 2s that waited for a phase 1 that has ended, and why it has.
pub(crate) struct WaitingPhase2s {
    /// The path of the phase 1.
    pub(crate) path: Path,
    pub(crate) phase2s: Vec<Phase2Id>,
    pub(crate) reason: FailureReason,
}

impl Engine {
    /// Continues the phase 2s that waited for an ended phase 1 under another one, or fails them.
    pub(crate) fn resume_waiting(&mut self, WaitingPhase2s { path, phase2s, reason }: WaitingPhase2s) {
        match self.phase1s.usable(path) {
            _ if phase2s.is_empty() => {}
            Some(other) => self.begin_waiting(other, phase2s),
            None => match reason {
                FailureReason::NoPhase1(why) => self.fail_waiting(phase2s, &why),
                reason => self.fail_waiting(phase2s, &NoPhase1::Failed(reason.into())),
            },
        }
    }

    /// Fails the phase 2s that waited for a phase 1.
    pub(crate) fn fail_waiting(&mut self, waiting: Vec<Phase2Id>, why: &NoPhase1) {
        waiting.into_iter().for_each(|id| self.fail_phase2(id, FailureReason::NoPhase1(why.clone())));
    }
}

impl Phase1s {
    /// Retransmits an initiator's message, or fails the negotiation.
    pub(crate) fn retransmit(&mut self, core: &mut Core, id: Phase1Id) -> Phase1Next {
        let is_sent = self.get_mut(id).is_some_and(|phase1| {
            let path = phase1.path();
            phase1.conversation.retransmit(core, path)
        });
        if is_sent { Phase1Next::Wait } else { self.time_up(core, id) }
    }

    /// Ends a negotiation in which the peer does not continue, or a job does not finish.
    pub(crate) fn time_up(&mut self, core: &mut Core, id: Phase1Id) -> Phase1Next {
        // The timer stops when the phase 1 is removed.
        let Some(phase1) = self.get_mut(id) else { return Phase1Next::Wait };
        let silence = phase1.unanswered().map_or_else(FailureReason::computed_late, FailureReason::NoAnswer);
        let reason = phase1.conversation.record.time_up(silence);
        self.fail(core, id, reason)
    }

    /// Fails a negotiation.
    pub(crate) fn fail(&mut self, core: &mut Core, id: Phase1Id, reason: FailureReason) -> Phase1Next {
        let phase1 = self.end(core, id);
        phase1.map_or(Phase1Next::Wait, |phase1| Phase1Next::Resume(self.report_failure(core, phase1, reason)))
    }

    /// Reports the failure of a negotiation that is not in the tables, and tries a failed renewal again later.
    pub(super) fn report_failure(
        &mut self,
        core: &mut Core,
        mut phase1: Phase1,
        reason: FailureReason,
    ) -> WaitingPhase2s {
        let path = phase1.path();
        let (is_within_quota, level) = self.apply_failure_limit(core, &phase1, &reason);
        // The offer is described from its bytes, which is too much work for a suppressed failure.
        if is_within_quota {
            phase1.describe_offer(&core.settings);
        }
        let undelivered = core.delivery_errors(path.remote, phase1.conversation.record.began, &reason);
        let outcome = phase1.outcome(core, NegotiationResult::Failed(reason.clone()));
        let outcome = Outcome { undelivered, ..outcome };
        core.log_failure(level, &outcome);
        // Suppressed failures are not recorded: they would displace the outcomes of other peers in the journal.
        if is_within_quota {
            let outcome = core.record_outcome(outcome);
            if let Some(kind) = reason.phase1_event() {
                core.emit(Event { outcome: Some(outcome), ..phase1.event(core, kind) });
            }
        }
        if let Some(old) = phase1.renews.filter(|old| self.get(*old).is_some()) {
            core.timers.set(Timer::Phase1Renew(old), core.now + RETRY);
        }
        WaitingPhase2s { path, phase2s: phase1.waiting, reason }
    }

    /// Counts a failure. Returns whether it is within its quota, and the level of its line. Only what peers begin is limited.
    fn apply_failure_limit(&self, core: &mut Core, phase1: &Phase1, reason: &FailureReason) -> (bool, Level) {
        let remote = phase1.remote();
        let standing = self.standing_of_phase1(core, phase1);
        let kind = match (phase1.role, reason) {
            (Role::Initiator, _) => return (true, Level::Error),
            // A peer whose identity was refused has proved its key, and is not unknown.
            (Role::Responder, FailureReason::Identity { .. }) => {
                (PeerStanding::Proved(remote.ip()), LoggedEvent::Unproved)
            }
            (Role::Responder, FailureReason::NoAnswer(_) | FailureReason::Crypto(_)) => {
                (standing, LoggedEvent::Unfinished)
            }
            (Role::Responder, _) => (standing, LoggedEvent::Unproved),
        };
        core.apply_rate_limit(kind, Some(reason), Level::Error, remote)
    }

    /// Ignores an invalid message of a negotiation. It may be forged, so the negotiation continues; if no valid one arrives, the
    /// fault becomes the reason of its failure.
    pub(crate) fn note_fault(&mut self, core: &mut Core, id: Phase1Id, reason: FailureReason) {
        // The routing has just found it.
        let Some((standing, phase1)) = self.with_standing(core, id) else { return };
        phase1.conversation.reject(core);
        // The same fault again is most likely the same message again.
        if phase1.negotiation().is_none() || phase1.conversation.record.fault.as_ref() == Some(&reason) {
            return;
        }
        let (remote, cookies) = (phase1.remote(), phase1.cookies);
        let faults = phase1.conversation.record.faults;
        phase1.conversation.record.faults = faults.saturating_add(1);
        let level = match phase1.role {
            _ if faults >= WARNINGS_MAX => Level::Debug,
            Role::Initiator => Level::Warning,
            Role::Responder => {
                core.apply_rate_limit((standing, LoggedEvent::Ignored), Some(&reason), Level::Warning, remote).1
            }
        };
        core.log(level, Some(remote), || format!("a message of phase 1 {cookies} is ignored: {}", reason.explained()));
        if faults == 0 {
            phase1.notify_of_failure(core, &reason);
        }
        phase1.conversation.record.fault = Some(reason);
    }

    /// Reports that a first message was refused, and tells its sender. Nothing else is kept of it. `is_repeated`: it was refused
    /// before.
    pub(super) fn refuse_first(
        core: &mut Core,
        incoming: &Incoming<'_>,
        (standing, is_repeated): (PeerStanding, bool),
        record: &Record,
        reason: FailureReason,
    ) {
        let (path, remote) = (incoming.path, incoming.path.remote);
        let (cookies, exchange) = (incoming.header.cookies, incoming.header.exchange);
        if let Some(kind) = reason.notify() {
            core.notify_in_clear(path, cookies, incoming.datagram.len(), kind);
        }
        if is_repeated {
            return core.log(Level::Debug, Some(remote), || format!("{cookies} is refused again: {reason}"));
        }
        let kind = (standing, LoggedEvent::Refused);
        let (told, level) = core.apply_rate_limit(kind, Some(&reason), Level::Error, remote);
        // In a flood, a message beyond the quota costs no more than to count it.
        if !told && level > core.settings.log {
            return;
        }
        let negotiation = Negotiation::Phase1 { exchange, role: Role::Responder, cookies };
        let event = reason.phase1_event();
        let outcome = record.outcome(negotiation, path, None, NegotiationResult::Failed(reason), core.now);
        core.log_failure(level, &outcome);
        if told {
            core.rate_limits.refused(cookies.initiator, remote);
            let outcome = core.record_outcome(outcome);
            event.into_iter().for_each(|kind| core.emit(Event::with_outcome(kind, &outcome)));
        }
    }
}

impl Phase1 {
    /// Sends an unencrypted notify about a failure: there is no SA yet.
    pub(super) fn notify_of_failure(&self, core: &mut Core, reason: &FailureReason) {
        // From outside, a peer without a key, or one that is not expected, looks like one with a wrong key (CVE-2002-1623).
        let is_hidden = self.conversation.record.no_key.as_ref() == Some(reason);
        let kind = if is_hidden { Some(NotifyType::AUTHENTICATION_FAILED) } else { reason.notify() };
        if let Some(kind) = kind {
            // No limit: this is sent once per exchange, and exchanges are limited.
            core.notify_in_clear(self.path(), self.cookies, usize::MAX, kind);
        }
    }
}
