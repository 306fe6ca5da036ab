//! Negotiation of phase 1: how it begins, continues and fails.

use std::net::SocketAddr;

use crate::conversation::{Conversation, ConversationId, PacketDigest, Record};
use crate::crypto::JobResult;
use crate::engine::core::Core;
use crate::engine::datagram::Incoming;
use crate::engine::{Engine, Phase1Id, Phase2Id, Timer};
use crate::num::ExchangeType;
use crate::output::{Event, EventKind, Level, Urgency};
use crate::path::Path;
use crate::phase1::entry::{Phase1, Stage};
use crate::phase1::exchange::choice::FirstChoice;
use crate::phase1::exchange::{Exchange, ExchangeAction, ExchangeContext, ExchangeResult, Transition, unsupported};
use crate::phase1::half_open::PeerClass;
use crate::phase1::rate_limit::{LoggedEvent, PeerStanding};
use crate::phase1::table::Phase1s;
use crate::reason::{FailureReason, Negotiation, NegotiationResult, NoPhase1, Outcome, Role};
use crate::select::{RemoteIndex, RemoteQuery};
use crate::wire::{Cookie, CookiePair};

/// Number of ignored messages of one negotiation that are logged as warnings; further ones are logged at debug.
const WARNINGS_MAX: u32 = 4;

impl Engine {
    /// Lets a phase 2 wait for a phase 1 on this path: one that we have begun already, or one that begins now. If none can begin,
    /// `phase1_failed` is called before this returns.
    pub(crate) fn await_phase1(&mut self, path: Path, block: RemoteIndex, waiting: Phase2Id) {
        match self.phase1s.initiation(path) {
            Some(id) => self.phase1s.wait(id, waiting),
            // A failure is logged, and fails the phase 2 that waits.
            None => drop(self.begin_phase1(path, block, None, vec![waiting])),
        }
    }

    /// Begins phase 1 as initiator.
    ///
    /// # Errors
    /// If message 1 cannot be sent. The failure has been logged and recorded then.
    pub(crate) fn begin_phase1(
        &mut self,
        path: Path,
        block: RemoteIndex,
        renews: Option<Phase1Id>,
        waiting: Vec<Phase2Id>,
    ) -> Result<(), FailureReason> {
        let remote = path.remote;
        self.core.log(Level::Info, Some(remote), || format!("initiate new phase 1 negotiation: {path}"));
        let id = Phase1Id(self.core.fresh_id());
        let cookies = CookiePair { initiator: self.core.draw_cookie(), responder: Cookie::ZERO };
        let negotiation = (Role::Initiator, self.first_exchange(block));
        let section = (block, self.core.peer_class(remote));
        let conversation = Conversation::new(ConversationId::Phase1(id), Record::new(self.core.now));
        let mut phase1 = Phase1::new(negotiation, cookies, path, section, conversation);
        phase1.renews = renews;
        self.core.log_mode(Level::Info, remote, phase1.exchange);
        let mut context = ExchangeContext::new(&mut self.core, &mut phase1, false);
        let transition = Exchange::initiate(&mut context);
        let notes = context.notes;
        self.core.log_notes(remote, notes);
        self.phase1s.insert(id, phase1);
        waiting.into_iter().for_each(|phase2| self.phase1s.wait(id, phase2));
        if let Transition::Failed(reason) = transition {
            self.fail_phase1(id, reason.clone());
            return Err(reason);
        }
        self.perform(id, transition);
        Ok(())
    }

    /// The exchange to begin with: the first supported one of the remote section, or else its first one.
    fn first_exchange(&self, block: RemoteIndex) -> ExchangeType {
        let modes =
            self.core.settings.remotes.get(block).map(|block| block.exchange_modes.as_slice()).unwrap_or_default();
        let begun = modes.iter().find(|mode| Exchange::is_supported(**mode)).or(modes.first());
        begun.copied().unwrap_or(ExchangeType::MAIN)
    }

    /// Processes the first message of a phase 1.
    pub(crate) fn first_message(&mut self, incoming: &Incoming<'_>) {
        let remote = incoming.path.remote;
        let standing = self.phase1s.standing_of(&self.core, remote);
        let is_repeated = self.core.rate_limits.was_refused(incoming.header.cookies.initiator, remote);
        let in_words = !is_repeated && self.core.formats_reasons(standing, LoggedEvent::Refused);
        let mut record = Record { in_words, ..Record::new(self.core.now) };
        if let Err(reason) = self.respond(incoming, standing, &mut record) {
            let cookies = incoming.header.cookies;
            if let Some(kind) = reason.notify() {
                self.core.notify_in_clear(incoming.path, cookies, incoming.datagram.len(), kind);
            }
            if is_repeated {
                return self.core.log(Level::Debug, Some(remote), || format!("{cookies} is refused again: {reason}"));
            }
            let kind = (standing, LoggedEvent::Refused);
            let (told, level) = self.core.apply_rate_limit(kind, Some(&reason), Level::Error, remote);
            // In a flood, a message beyond the quota costs no more than to count it.
            if !told && level > self.core.settings.log {
                return;
            }
            let negotiation =
                Negotiation::Phase1 { exchange: incoming.header.exchange, role: Role::Responder, cookies };
            let event = reason.phase1_event();
            let result = NegotiationResult::Failed(reason);
            let outcome = record.outcome(negotiation, incoming.path, None, result, self.core.now);
            self.core.log_failure(level, &outcome);
            if told {
                self.core.rate_limits.refused(cookies.initiator, remote);
                let outcome = self.core.record_outcome(outcome);
                event.into_iter().for_each(|kind| self.core.emit(Event::with_outcome(kind, &outcome)));
            }
        }
    }

    /// Answers a first message and keeps a phase 1 for what follows. Nothing is kept of a message that is refused.
    fn respond(
        &mut self,
        incoming: &Incoming<'_>,
        standing: PeerStanding,
        record: &mut Record,
    ) -> Result<(), FailureReason> {
        let Incoming { path, header, body, .. } = *incoming;
        let remote = path.remote;
        self.check_exchange(remote, header.exchange)?;
        let choice = FirstChoice::read(&self.core.settings, remote, &header, body, record)?;
        if !self.phase1s.admit_half_open(&mut self.core, remote) {
            return Ok(());
        }
        let (told, level) = self.core.apply_rate_limit((standing, LoggedEvent::Begun), None, Level::Info, remote);
        record.quiet = !told;
        let cookies = CookiePair { responder: self.core.draw_cookie(), ..header.cookies };
        let (id, section) = (Phase1Id(self.core.fresh_id()), (choice.block, self.core.peer_class(remote)));
        let kept = std::mem::replace(record, Record::new(self.core.now));
        let conversation = Conversation::new(ConversationId::Phase1(id), kept);
        let mut phase1 = Phase1::new((Role::Responder, header.exchange), cookies, path, section, conversation);
        let mut context = ExchangeContext::new(&mut self.core, &mut phase1, false);
        let transition = Exchange::respond(&mut context, choice);
        let notes = context.notes;
        if let Transition::Failed(reason) = transition {
            *record = phase1.conversation.record;
            return Err(reason);
        }
        self.core.log(level, Some(remote), || format!("respond new phase 1 negotiation: {path}"));
        self.core.log_mode(level, remote, header.exchange);
        self.core.log_notes(remote, notes);
        phase1.conversation.accept(incoming.digest.clone());
        phase1.conversation.step(&self.core, "message 1");
        self.phase1s.insert(id, phase1);
        self.perform(id, transition);
        Ok(())
    }

    /// Checks that a remote section for the peer allows the exchange.
    fn check_exchange(&self, remote: SocketAddr, exchange: ExchangeType) -> Result<(), FailureReason> {
        let address = RemoteQuery { key_of_address: true, ..RemoteQuery::address(remote) };
        let known = RemoteQuery { port: remote.port(), exchange: Some(exchange), ..address };
        if self.core.settings.remotes.candidates(&known).is_empty() {
            return Err(FailureReason::NoRemote(self.core.settings.remotes.missing(remote.ip(), &known)));
        }
        if Exchange::is_supported(exchange) { Ok(()) } else { Err(unsupported(exchange)) }
    }

    /// Performs a step of a negotiation. `digest` is that of the message that it processes.
    pub(crate) fn phase1_step(
        &mut self,
        id: Phase1Id,
        digest: Option<PacketDigest>,
        step: impl FnOnce(Exchange, &mut ExchangeContext<'_>) -> Transition,
    ) {
        let first_contact = self.is_first_contact(id);
        let Some(phase1) = self.phase1s.get_mut(id) else { return };
        // If the negotiation has ended, the message is late, or the job's result is no longer needed.
        let Some(transition) = phase1.step(&mut self.core, first_contact, step) else { return };
        let reached = match &transition {
            Transition::Continue(_, ExchangeAction::RunJob(_)) => Some("job ordered"),
            Transition::Continue(_, ExchangeAction::Send(_)) => Some("answered"),
            Transition::Established(_) => Some("authenticated"),
            Transition::Continue(_, ExchangeAction::Ignore(_)) | Transition::Failed(_) | Transition::Rejected(..) => {
                None
            }
        };
        if let Some(reached) = reached {
            digest.into_iter().for_each(|digest| phase1.conversation.accept(digest));
            phase1.conversation.step(&self.core, reached);
        }
        self.perform(id, transition);
    }

    /// Does what a step of an exchange asks for.
    fn perform(&mut self, id: Phase1Id, transition: Transition) {
        match transition {
            Transition::Continue(exchange, action) => {
                let Some(phase1) = self.phase1s.get_mut(id) else { return };
                let is_proved = !exchange.is_from_unproved_address();
                phase1.stage = Stage::Negotiating(exchange);
                match action {
                    ExchangeAction::RunJob(job) => {
                        // The peer may have answered: if the job shows that it has not, the retransmission resumes.
                        phase1.conversation.suspend_retransmission(&mut self.core);
                        // The message had the cookie that was sent to its address.
                        if is_proved {
                            self.phase1s.admit_proved(&mut self.core, id);
                        }
                        let urgency = self.phase1s.urgency(id);
                        self.core.start_job(ConversationId::Phase1(id), urgency, job);
                    }
                    ExchangeAction::Send(message) => phase1.answer(&mut self.core, message),
                    ExchangeAction::Ignore(reason) => self.phase1_fault(id, reason),
                }
            }
            Transition::Established(agreed) => {
                let ExchangeResult { sa, last_message, features, initial_contact } = *agreed;
                let Some(phase1) = self.phase1s.get_mut(id) else { return };
                phase1.finish_exchange(&mut self.core, last_message);
                self.phase1_established(id, sa, features, initial_contact);
            }
            Transition::Failed(reason) => {
                self.phase1s.notify_of_failure(&mut self.core, id, &reason);
                self.fail_phase1(id, reason);
            }
            Transition::Rejected(mut sa, reason) => {
                if let Some((kind, path)) = reason.notify().zip(self.phase1s.get(id).map(Phase1::path)) {
                    self.notify_under(path, &mut sa, kind, &[]);
                }
                self.fail_phase1(id, reason);
            }
        }
    }

    /// Processes the result of a phase 1's job.
    pub(crate) fn phase1_job_done(&mut self, id: Phase1Id, result: JobResult) {
        self.phase1_step(id, None, |exchange, cx| exchange.job_done(cx, result));
    }

    /// Retransmits an initiator's message, or fails the negotiation.
    pub(crate) fn phase1_retransmit(&mut self, id: Phase1Id) {
        let Some(phase1) = self.phase1s.get_mut(id) else { return };
        let addresses = phase1.path();
        if !phase1.conversation.retransmit(&mut self.core, addresses) {
            self.phase1_time_up(id);
        }
    }

    /// Ends a negotiation in which the peer does not continue, or a job does not finish.
    pub(crate) fn phase1_time_up(&mut self, id: Phase1Id) {
        let Some(phase1) = self.phase1s.get_mut(id) else { return };
        let silence = phase1.unanswered().map_or_else(FailureReason::computed_late, FailureReason::NoAnswer);
        let reason = phase1.conversation.record.time_up(silence);
        self.fail_phase1(id, reason);
    }

    /// Ignores an invalid message of a negotiation. It may be forged, so the negotiation continues; if no valid one arrives, the
    /// fault becomes the reason of its failure.
    pub(crate) fn phase1_fault(&mut self, id: Phase1Id, reason: FailureReason) {
        let Some(phase1) = self.phase1s.get_mut(id) else { return };
        phase1.conversation.reject(&mut self.core);
        if phase1.negotiation().is_none() || phase1.conversation.record.fault.as_ref() == Some(&reason) {
            return;
        }
        let (remote, cookies, role) = (phase1.remote(), phase1.cookies, phase1.role);
        let first = phase1.conversation.record.faults == 0;
        let level = if phase1.conversation.record.faults < WARNINGS_MAX { Level::Warning } else { Level::Debug };
        phase1.conversation.record.faults = phase1.conversation.record.faults.saturating_add(1);
        let Some(standing) = self.phase1s.get(id).map(|phase1| self.phase1s.standing_of_phase1(&self.core, phase1))
        else {
            return;
        };
        let level = match role {
            Role::Responder if level < Level::Debug => {
                self.core.apply_rate_limit((standing, LoggedEvent::Ignored), Some(&reason), level, remote).1
            }
            _ => level,
        };
        self.core
            .log(level, Some(remote), || format!("a message of phase 1 {cookies} is ignored: {}", reason.explained()));
        if first {
            self.phase1s.notify_of_failure(&mut self.core, id, &reason);
        }
        if let Some(phase1) = self.phase1s.get_mut(id) {
            phase1.conversation.record.fault = Some(reason);
        }
    }

    /// Fails a negotiation.
    pub(crate) fn fail_phase1(&mut self, id: Phase1Id, reason: FailureReason) {
        let Some(mut phase1) = self.phase1s.end(&mut self.core, id) else { return };
        let path = phase1.path();
        let (is_within_quota, level) = self.apply_failure_limit(&phase1, &reason);
        if is_within_quota {
            phase1.describe_offer(&self.core.settings);
        }
        let undelivered = self.core.delivery_errors(path.remote, phase1.conversation.record.began, &reason);
        let outcome = self.phase1_outcome(&phase1, NegotiationResult::Failed(reason.clone()));
        let outcome = Outcome { undelivered, ..outcome };
        self.core.log_failure(level, &outcome);
        // Suppressed failures are not recorded: they would displace the outcomes of other peers in the journal.
        if is_within_quota {
            self.report_failed_phase1(&phase1, outcome);
        }
        if let Some(old) = phase1.renews {
            self.phase1s.renewal_failed(&mut self.core, old);
        }
        self.resume_waiting(path, phase1.waiting, &reason);
    }

    /// Counts a failure. Returns whether it is within its quota, and the level of its line. Only what peers begin is limited.
    fn apply_failure_limit(&mut self, phase1: &Phase1, reason: &FailureReason) -> (bool, Level) {
        let remote = phase1.remote();
        let standing = self.phase1s.standing_of_phase1(&self.core, phase1);
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
        self.core.apply_rate_limit(kind, Some(reason), Level::Error, remote)
    }

    /// Continues the phase 2s that waited for a failed phase 1 under another one, or fails them.
    pub(crate) fn resume_waiting(&mut self, path: Path, waiting: Vec<Phase2Id>, reason: &FailureReason) {
        match self.phase1s.usable(path) {
            _ if waiting.is_empty() => {}
            Some(other) => self.phase1_up(other, waiting),
            None => match reason {
                FailureReason::NoPhase1(why) => self.phase1_failed(waiting, why),
                reason => self.phase1_failed(waiting, &NoPhase1::Failed(reason.clone().into())),
            },
        }
    }

    /// Ends a negotiation that is no longer needed. Returns the phase 2s that wait for it.
    pub(crate) fn abandon_phase1(&mut self, id: Phase1Id, result: NegotiationResult) -> Vec<Phase2Id> {
        let Some(phase1) = self.phase1s.end(&mut self.core, id) else { return Vec::new() };
        self.core.record_outcome(self.phase1_outcome(&phase1, result));
        phase1.waiting
    }

    /// Returns the outcome of a phase 1 with this result.
    pub(crate) fn phase1_outcome(&self, phase1: &Phase1, result: NegotiationResult) -> Outcome {
        let Phase1 { cookies, exchange, role, block, .. } = *phase1;
        let block = self.core.settings.remotes.get(block).map(|block| block.name.clone());
        let negotiation = Negotiation::Phase1 { exchange, role, cookies };
        phase1.conversation.record.outcome(negotiation, phase1.path(), block, result, self.core.now)
    }

    /// Keeps the outcome of a failed phase 1, and reports the event for its reason if there is one.
    pub(crate) fn report_failed_phase1(&mut self, phase1: &Phase1, outcome: Outcome) {
        let outcome = self.core.record_outcome(outcome);
        let NegotiationResult::Failed(reason) = &outcome.result else { return };
        if let Some(kind) = reason.phase1_event() {
            let event = self.phase1_event(phase1, kind);
            self.core.emit(Event { outcome: Some(outcome), ..event });
        }
    }

    /// Returns an event about a phase 1, without an outcome.
    pub(crate) fn phase1_event(&self, phase1: &Phase1, kind: EventKind) -> Event {
        let section = self.core.settings.remotes.get(phase1.block);
        Event {
            kind,
            local: Some(phase1.path().local),
            remote: Some(phase1.remote()),
            cookies: Some(phase1.cookies),
            message_id: 0,
            identity: phase1.established().map(|established| established.sa.peer.id.clone()),
            remote_section: section.map(|section| section.name.clone()),
            traffic: None,
            outcome: None,
        }
    }

    /// Reports an event about a phase 1.
    pub(crate) fn emit_phase1_event(&mut self, id: Phase1Id, kind: EventKind) {
        let event = self.phase1s.get(id).map(|phase1| self.phase1_event(phase1, kind));
        event.into_iter().for_each(|event| self.core.emit(event));
    }
}

impl Phase1s {
    /// Removes a phase 1 from the tables, and stops its timers.
    pub(crate) fn end(&mut self, core: &mut Core, id: Phase1Id) -> Option<Phase1> {
        for timer in [Timer::Phase1Renew(id), Timer::Phase1Expire(id), Timer::Dpd(id)] {
            core.timers.stop(timer);
        }
        let phase1 = self.remove(id)?;
        phase1.conversation.end(core);
        let pair = phase1.path().addresses();
        if self.between(pair).is_empty() {
            self.traffic.remove(&pair);
        }
        Some(phase1)
    }

    /// Returns the phase 1 on a path that will become usable: one that we negotiate, or one that is established. Attempts of the peer
    /// do not count, because they may be forged and never complete.
    pub(crate) fn initiation(&self, path: Path) -> Option<Phase1Id> {
        self.between(path.addresses()).into_iter().find(|id| {
            let phase1 = self.get(*id);
            let is_ours = |one: &Phase1| one.role == Role::Initiator && one.negotiation().is_some();
            phase1.is_some_and(|one| one.remote() == path.remote && (is_ours(one) || one.is_unready()))
        })
    }

    /// Returns the urgency of a phase 1's jobs: our own negotiations, renewals and configured peers precede unknown peers.
    fn urgency(&self, id: Phase1Id) -> Urgency {
        let Some(phase1) = self.get(id) else { return Urgency::Unknown };
        let known = phase1.role == Role::Initiator
            || phase1.peer_class == PeerClass::Configured
            || self.newest(phase1.path(), None).is_some();
        if known { Urgency::Known } else { Urgency::Unknown }
    }

    /// Sends an unencrypted notify about a failure: there is no SA yet.
    fn notify_of_failure(&self, core: &mut Core, id: Phase1Id, reason: &FailureReason) {
        let Some(phase1) = self.get(id) else { return };
        let (path, cookies) = (phase1.path(), phase1.cookies);
        if let Some(kind) = reason.notify() {
            // No limit: this is sent once per exchange, and exchanges are limited.
            core.notify_in_clear(path, cookies, usize::MAX, kind);
        }
    }
}
