//! Negotiation of phase 1: how it begins, and how the transitions of its exchange are carried out.

use std::net::SocketAddr;

use crate::conversation::{PacketDigest, Record};
use crate::engine::core::Core;
use crate::engine::datagram::Incoming;
use crate::engine::{Engine, Phase1Id, Phase2Id};
use crate::num::ExchangeType;
use crate::output::{Level, Urgency};
use crate::path::Path;
use crate::phase1::entry::{Phase1, Stage};
use crate::phase1::exchange::choice::{FirstChoice, peer_query};
use crate::phase1::exchange::{Exchange, ExchangeAction, ExchangeContext, ExchangeResult, Transition, unsupported};
use crate::phase1::failure::WaitingPhase2s;
use crate::phase1::half_open::PeerClass;
use crate::phase1::rate_limit::{LoggedEvent, PeerStanding};
use crate::phase1::table::Phase1s;
use crate::reason::{FailureReason, Role};
use crate::select::RemoteIndex;
use crate::wire::{Cookie, CookiePair};

/// What the engine does after a step of phase 1, because it concerns phase 2s as well.
#[must_use]
pub(crate) enum Phase1Next {
    /// Nothing until the next input.
    Wait,
    /// Enters the SA that an exchange has negotiated.
    Establish(Phase1Id, Box<ExchangeResult>),
    /// Continues or fails the phase 2s that waited for a phase 1 that has failed.
    Resume(WaitingPhase2s),
}

impl Engine {
    /// Carries out what a step of a phase 1 leaves to the engine.
    pub(crate) fn perform_for_phase1(&mut self, next: Phase1Next) {
        match next {
            Phase1Next::Wait => {}
            Phase1Next::Establish(id, result) => self.phase1_established(id, *result),
            Phase1Next::Resume(waiting) => self.resume_waiting(waiting),
        }
    }
}

impl Phase1s {
    /// Lets a phase 2 wait for a phase 1 on this path: one that we have begun already, or one that begins now.
    pub(crate) fn await_phase1(
        &mut self,
        core: &mut Core,
        path: Path,
        remote_section: RemoteIndex,
        phase2: Phase2Id,
    ) -> Phase1Next {
        let id = match self.initiation(path) {
            Some(id) => Ok(id),
            None => self.begin(core, path, remote_section, None),
        };
        match id {
            Ok(id) => self.wait(id, phase2),
            Err(reason) => return Phase1Next::Resume(WaitingPhase2s { path, phase2s: vec![phase2], reason }),
        }
        Phase1Next::Wait
    }

    /// Begins phase 1 as initiator.
    ///
    /// # Errors
    /// If message 1 cannot be sent. The failure has been logged and recorded by then.
    pub(crate) fn begin(
        &mut self,
        core: &mut Core,
        path: Path,
        remote_section: RemoteIndex,
        renews: Option<Phase1Id>,
    ) -> Result<Phase1Id, FailureReason> {
        let remote = path.remote;
        core.log(Level::Info, Some(remote), || format!("initiate new phase 1 negotiation: {path}"));
        let id = Phase1Id(core.fresh_id());
        let cookies = CookiePair { initiator: core.draw_cookie(), responder: Cookie::ZERO };
        let negotiation = (Role::Initiator, core.first_exchange(remote_section));
        let section = (remote_section, core.peer_class(remote));
        let mut phase1 = Phase1::new(id, negotiation, cookies, path, section, Record::new(core.now));
        phase1.renews = renews;
        core.log_mode(Level::Info, remote, phase1.exchange);
        let mut context = ExchangeContext::new(core, &mut phase1, false);
        let transition = Exchange::initiate(&mut context);
        let notes = context.notes;
        core.log_notes(remote, notes);
        let reason = match transition {
            Transition::Continue(exchange, action) => {
                // Only now, so that nothing is left of one that cannot send message 1.
                phase1.conversation.set_deadline(core, |settings| settings.retransmission.whole());
                self.insert(phase1);
                self.continue_exchange(core, id, exchange, action);
                return Ok(id);
            }
            Transition::Failed(reason) => reason,
            // A first message neither establishes an SA nor proves an identity.
            Transition::Established(_) | Transition::Rejected(..) => unsupported(phase1.exchange),
        };
        self.report_failure(core, phase1, reason.clone());
        Err(reason)
    }

    /// Answers a first message and keeps a phase 1 for what follows. Nothing is kept of a message that is refused.
    pub(super) fn respond(
        &mut self,
        core: &mut Core,
        incoming: &Incoming<'_>,
        standing: PeerStanding,
        record: &mut Record,
    ) -> Result<Phase1Next, FailureReason> {
        let Incoming { path, header, body, .. } = *incoming;
        let remote = path.remote;
        core.check_exchange(remote, header.exchange)?;
        let choice = FirstChoice::read(&core.settings, remote, &header, body, record)?;
        // Only now: a message that is refused anyway must not evict another negotiation.
        let is_free = !Exchange::begins_with_job(header.exchange) || self.admits_job(core, remote);
        if !is_free || !self.admit_half_open(core, remote) {
            return Ok(Phase1Next::Wait);
        }
        let (told, level) = core.apply_rate_limit((standing, LoggedEvent::Begun), None, Level::Info, remote);
        record.quiet = !told;
        let cookies = CookiePair { responder: core.draw_cookie(), ..header.cookies };
        let (id, section) = (Phase1Id(core.fresh_id()), (choice.remote_section, core.peer_class(remote)));
        let kept = std::mem::replace(record, Record::new(core.now));
        let mut phase1 = Phase1::new(id, (Role::Responder, header.exchange), cookies, path, section, kept);
        let mut context = ExchangeContext::new(core, &mut phase1, false);
        let transition = Exchange::respond(&mut context, choice);
        let notes = context.notes;
        if let Transition::Failed(reason) = transition {
            *record = phase1.conversation.record;
            return Err(reason);
        }
        core.log(level, Some(remote), || format!("respond new phase 1 negotiation: {path}"));
        core.log_mode(level, remote, header.exchange);
        core.log_notes(remote, notes);
        phase1.conversation.accept(incoming.digest.clone());
        phase1.conversation.step(core, "message 1");
        // For a job; an answer sets it again.
        phase1.conversation.set_deadline(core, |settings| settings.retransmission.whole());
        self.insert(phase1);
        Ok(self.perform(core, id, transition))
    }

    /// Performs a step of a negotiation. `digest` is that of the message that it processes.
    pub(crate) fn step(
        &mut self,
        core: &mut Core,
        id: Phase1Id,
        digest: Option<&PacketDigest>,
        step: impl FnOnce(Exchange, &mut ExchangeContext<'_>) -> Transition,
    ) -> Phase1Next {
        let first_contact = self.get(id).is_some_and(|phase1| self.is_first_contact(core, phase1));
        // If the negotiation has ended, the message is late, or the job's result is no longer needed.
        let stepped = self.get_mut(id).and_then(|phase1| Some((phase1.step(core, first_contact, step)?, phase1)));
        let Some((transition, phase1)) = stepped else { return Phase1Next::Wait };
        let reached = match &transition {
            Transition::Continue(_, ExchangeAction::RunJob(_)) => Some("job ordered"),
            Transition::Continue(_, ExchangeAction::Send(_)) => Some("answered"),
            Transition::Established(_) => Some("authenticated"),
            Transition::Continue(_, ExchangeAction::Ignore(_)) | Transition::Failed(_) | Transition::Rejected(..) => {
                None
            }
        };
        if let Some(reached) = reached {
            digest.into_iter().for_each(|digest| phase1.conversation.accept(digest.clone()));
            phase1.conversation.step(core, reached);
        }
        self.perform(core, id, transition)
    }

    /// Carries out the result of a step of an exchange.
    fn perform(&mut self, core: &mut Core, id: Phase1Id, transition: Transition) -> Phase1Next {
        match transition {
            Transition::Continue(exchange, action) => {
                self.continue_exchange(core, id, exchange, action);
                Phase1Next::Wait
            }
            Transition::Established(mut result) => {
                if let Some(phase1) = self.get_mut(id) {
                    phase1.finish_exchange(core, result.last_message.take());
                }
                Phase1Next::Establish(id, result)
            }
            Transition::Failed(reason) => {
                // Before the phase 1 is removed: the notify needs its cookies and its path.
                if let Some(phase1) = self.get(id) {
                    phase1.notify_of_failure(core, &reason);
                }
                self.fail(core, id, reason)
            }
            Transition::Rejected(mut sa, reason) => {
                // The peer has the keys, so it is told under them, where nobody can forge the refusal.
                if let Some((kind, phase1)) = reason.notify().zip(self.get(id)) {
                    sa.send_notify(core, phase1.path(), kind);
                }
                self.fail(core, id, reason)
            }
        }
    }

    /// Puts back the exchange of a negotiation that continues, and carries out the action of its step.
    fn continue_exchange(&mut self, core: &mut Core, id: Phase1Id, exchange: Box<Exchange>, action: ExchangeAction) {
        // The step has just been performed, and removes nothing.
        let Some(phase1) = self.get_mut(id) else { return };
        let is_proved = !exchange.is_from_unproved_address();
        phase1.stage = Stage::Negotiating(exchange);
        match action {
            ExchangeAction::Send(message) => phase1.answer(core, message),
            ExchangeAction::Ignore(reason) => self.note_fault(core, id, reason),
            ExchangeAction::RunJob(job) => {
                // The peer seems to have answered. If the job shows that the message was forged, retransmission resumes.
                phase1.conversation.suspend_retransmission(core);
                // The message contained the cookie that was sent to its address.
                if is_proved {
                    self.admit_proved(core, id);
                }
                if let Some(phase1) = self.get(id) {
                    phase1.conversation.start_job(core, self.urgency(phase1), job);
                }
            }
        }
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
    fn urgency(&self, phase1: &Phase1) -> Urgency {
        // Anybody can send a first message in the name of a known peer.
        let is_proved = !phase1.negotiation().is_some_and(Exchange::is_from_unproved_address);
        let known = phase1.role == Role::Initiator
            || phase1.peer_class == PeerClass::Configured
            || self.newest(phase1.path(), None).is_some();
        if known && is_proved { Urgency::Known } else { Urgency::Unknown }
    }
}

impl Core {
    /// Returns the exchange to begin with: the first supported one of the remote section, or else its first one.
    fn first_exchange(&self, remote_section: RemoteIndex) -> ExchangeType {
        let modes = self
            .settings
            .remotes
            .get(remote_section)
            .map(|section| section.exchange_modes.as_slice())
            .unwrap_or_default();
        let begun = modes.iter().find(|mode| Exchange::is_supported(**mode)).or(modes.first());
        begun.copied().unwrap_or(ExchangeType::MAIN)
    }

    /// Checks that a remote section for the peer allows the exchange, and that it is supported.
    fn check_exchange(&self, remote: SocketAddr, exchange: ExchangeType) -> Result<(), FailureReason> {
        let known = peer_query(remote, exchange);
        if self.settings.remotes.candidates(&known).is_empty() {
            return Err(FailureReason::NoRemote(self.settings.remotes.missing(remote.ip(), &known)));
        }
        if Exchange::is_supported(exchange) { Ok(()) } else { Err(unsupported(exchange)) }
    }
}
