//! Messages of quick mode, and what the kernel and jobs bring in between.

use crate::conversation::Lookup;
use crate::crypto::JobResult;
use crate::engine::core::Core;
use crate::engine::datagram::Incoming;
use crate::engine::{Engine, Phase1Id, Phase2Id};
use crate::informational::text_of;
use crate::kernel::{KernelError, KernelRequest, RequestId, SaInstallation, SaName};
use crate::num::NotifyType;
use crate::output::Level;
use crate::phase1::entry::Phase1;
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase1::table::Phase1s;
use crate::phase2::entry::{Phase2, State};
use crate::phase2::message::{Message, QuickModePayloads, Received, Rejection, Unproved};
use crate::phase2::step::{Action, Context, Step};
use crate::phase2::table::{Phase2s, sa_key};
use crate::reason::{FailureReason, KernelFailure};
use crate::wire::Notify;

/// Errors that peers tell of packets and messages that belong to no negotiation.
const NOT_OF_NEGOTIATIONS: [NotifyType; 4] =
    [NotifyType::INVALID_SPI, NotifyType::INVALID_COOKIE, NotifyType::INVALID_MESSAGE_ID, NotifyType::INVALID_FLAGS];

/// A message that continues an exchange.
enum Continuation {
    /// Message 2.
    Second(Message<QuickModePayloads>),
    /// Message 3.
    Third,
}

impl Engine {
    /// Processes a message of quick mode, under a usable phase 1.
    pub(crate) fn quick_mode_datagram(&mut self, phase1: Phase1Id, incoming: &Incoming<'_>) {
        match self.phase2s.find(phase1, incoming.header.message_id) {
            Some(id) => self.quick_message(id, phase1, incoming),
            None => self.quick_begin(phase1, incoming),
        }
    }

    /// Processes a message of an exchange that goes on.
    fn quick_message(&mut self, id: Phase2Id, phase1: Phase1Id, incoming: &Incoming<'_>) {
        let step = match self.phase2s.receive(&mut self.core, self.phase1s.get(phase1), id, incoming) {
            Ok(None) => return,
            Ok(Some(Continuation::Second(message))) => {
                self.phase1s.answered_quick_mode(&mut self.core, &mut self.phase2s, phase1);
                self.phase2s
                    .step(&mut self.core, &self.phase1s, id, |phase2, context| phase2.second_message(context, message))
            }
            Ok(Some(Continuation::Third)) => {
                self.phase1s.heard_from(&mut self.core, &mut self.phase2s, phase1);
                self.phase2s.step(&mut self.core, &self.phase1s, id, Phase2::third_message)
            }
            Err(reason) => Err(reason),
        };
        self.perform_for_phase2(id, step);
    }

    /// Does what a step of a phase 2 asks for. A failure ends the phase 2.
    pub(crate) fn perform_for_phase2(&mut self, id: Phase2Id, step: Step) {
        match step {
            Ok(Action::Wait) => {}
            Ok(Action::Install(installations)) => self.install(id, installations),
            Ok(Action::InstallOutbound(outbound)) => match self.phase2s.serves_until(&self.core, id) {
                Some(until) => self.hold_outbound(id, outbound, until),
                None => {
                    if let Some(phase2) = self.phase2s.get_mut(id) {
                        let installations = phase2.install_outbound(&mut self.core, outbound);
                        self.install(id, installations);
                    }
                }
            },
            Ok(Action::Establish(established)) => self.phase2_established(id, established),
            Err(reason) => self.fail_phase2(id, reason),
        }
    }

    /// Asks the kernel to install SAs.
    pub(crate) fn install(&mut self, id: Phase2Id, installations: Vec<SaInstallation>) {
        if let Err(reason) = self.claim_names(id, &installations) {
            return self.fail_phase2(id, reason);
        }
        if let Some(phase2) = self.phase2s.get_mut(id) {
            phase2.request_installation(&mut self.core, installations);
        }
    }

    /// Assigns the names of SAs, installed now or later, to this phase 2. Established phase 2s of the same peer that have the
    /// names are removed.
    ///
    /// # Errors
    /// If a name belongs to another phase 2 that stays.
    pub(crate) fn claim_names(&mut self, id: Phase2Id, installations: &[SaInstallation]) -> Result<(), FailureReason> {
        for installation in installations {
            if let Some(obsolete) = self.phase2s.replaced_holder(&mut self.core, id, &installation.name)? {
                self.purge_phase2(obsolete, false);
            }
        }
        // All are checked before the first is entered, so that a refused bundle owns none.
        for installation in installations {
            self.leftovers.remove(&installation.name);
            self.phase2s.add_kernel_sa(id, installation.name);
        }
        Ok(())
    }
}

impl Phase1s {
    /// Records that the peer has answered a quick mode under a phase 1, so that it has it.
    fn answered_quick_mode(&mut self, core: &mut Core, phase2s: &mut Phase2s, id: Phase1Id) {
        self.heard_from(core, phase2s, id);
        if let Some(established) = self.get_mut(id).and_then(Phase1::established_mut) {
            established.replacement.is_of_use();
        }
    }
}

impl Phase1 {
    /// Logs a message of quick mode that anybody may have sent. It is as if it had not come.
    pub(super) fn ignore_unproved(&self, core: &mut Core, number: u8, reason: &Unproved) {
        let text = || format!("message {number} of quick mode is ignored: {reason}");
        core.log_of_peer(LoggedEvent::Unproved, Level::Error, self.remote(), text);
    }
}

impl Phase2s {
    /// Reads a message of an exchange that goes on. Returns `None` for one that changes nothing: a duplicate is answered again, and
    /// of any other a line tells.
    ///
    /// # Errors
    /// If the negotiation fails.
    fn receive(
        &mut self,
        core: &mut Core,
        phase1: Option<&Phase1>,
        id: Phase2Id,
        incoming: &Incoming<'_>,
    ) -> Result<Option<Continuation>, FailureReason> {
        let Incoming { header, body, digest, .. } = incoming;
        let found = phase1.and_then(|phase1| Some((phase1, phase1.sa()?, self.get_mut(id)?)));
        // The routing has just found all of them.
        let Some((phase1, sa, phase2)) = found else { return Ok(None) };
        let path = phase2.path;
        match phase2.conversation.arrival(core, digest) {
            Lookup::Reply(reply) => {
                // The peer repeats message 2 because message 3 was lost, and therefore still sends with the old pair.
                self.retire_replaced(core, id);
                core.transmit(path, &reply);
                return Ok(None);
            }
            Lookup::Duplicate | Lookup::Busy => {
                core.log(Level::Debug, Some(path.remote), || "ignored a retransmitted quick mode message".into());
                return Ok(None);
            }
            Lookup::New => {}
        }
        let received = Received { header, body, codec: (&core.codec, path.remote) };
        let (number, read) = match &phase2.state {
            State::Offered(offered) => (2, offered.read(sa, received).map(Continuation::Second)),
            State::Answered(answered, _) => (3, answered.read(sa, received).map(|_| Continuation::Third)),
            // Message 4 says CONNECTED, and nothing waits for it.
            _ => {
                core.log(Level::Debug, Some(path.remote), || "ignored an unexpected quick mode message".into());
                return Ok(None);
            }
        };
        match read {
            Ok(message) => {
                phase2.conversation.accept(digest.clone());
                // Message 3 needs no answer, but a repetition of it must be recognized.
                if matches!(message, Continuation::Third) {
                    phase2.conversation.answer(None);
                }
                Ok(Some(message))
            }
            Err(Rejection::Unproved(reason)) => {
                phase1.ignore_unproved(core, number, &reason);
                Ok(None)
            }
            Err(Rejection::Fatal(reason)) => Err(reason),
        }
    }

    /// Performs a step of a phase 2 under its phase 1.
    ///
    /// # Errors
    /// Why it fails.
    fn step(
        &mut self,
        core: &mut Core,
        phase1s: &Phase1s,
        id: Phase2Id,
        step: impl FnOnce(&mut Phase2, &mut Context<'_>) -> Step,
    ) -> Step {
        // What the message or the answer has caused may have ended it.
        let Some(phase2) = self.get_mut(id) else { return Ok(Action::Wait) };
        let path = phase2.path;
        let sa = phase2.phase1.and_then(|phase1| phase1s.sa(phase1)).ok_or_else(FailureReason::phase1_gone)?;
        step(phase2, &mut Context { core, sa, path })
    }

    /// Processes the result of a phase 2's job.
    ///
    /// # Errors
    /// Why the negotiation fails.
    pub(crate) fn job_done(&mut self, core: &mut Core, phase1s: &Phase1s, id: Phase2Id, mut result: JobResult) -> Step {
        let done = result.take_diffie_hellman().ok_or_else(FailureReason::not_computed)?;
        self.step(core, phase1s, id, |phase2, context| phase2.job_done(context, done))
    }

    /// Processes the kernel's answer to a request for an SPI. Returns the phase 2 and its step; `None` if it has ended.
    pub(crate) fn spi_answered(
        &mut self,
        core: &mut Core,
        phase1s: &Phase1s,
        request: RequestId,
        answer: Result<u32, KernelError>,
    ) -> Option<(Phase2Id, Step)> {
        let owner = core.requests.remove(&request);
        let Some((id, phase2)) = owner.and_then(|id| Some((id, self.get_mut(id)?))) else {
            if let (Some(name), Ok(spi)) = (self.take_orphan(request), answer) {
                core.send_to_kernel(KernelRequest::Delete(SaName { spi, ..name }));
            }
            return None;
        };
        let (member, name) = phase2.spi_requests.remove(&request)?;
        let step = answer.map_err(FailureReason::from).and_then(|spi| {
            // It is entered before the step, whose failure deletes it from the kernel.
            self.add_kernel_sa(id, SaName { spi, ..name });
            self.step(core, phase1s, id, |phase2, context| phase2.spi_reserved(context, member, spi))
        });
        Some((id, step))
    }

    /// Processes the kernel's answer to the installation of an SA. Returns the phase 2 and its step; `None` if it has ended, and has
    /// deleted its SAs itself.
    pub(crate) fn installation_answered(
        &mut self,
        core: &mut Core,
        request: RequestId,
        answer: Result<(), KernelError>,
    ) -> Option<(Phase2Id, Step)> {
        let id = core.requests.remove(&request)?;
        let phase2 = self.get_mut(id)?;
        let name = phase2.installs.remove(&request);
        if let Err(error) = answer {
            let is_harmless = name.is_some_and(|name| phase2.is_installed_by_peer(core, &name, &error));
            // An SA that existed before is not ours to delete.
            if let Some(name) = name.filter(|_| error.exists) {
                self.remove_kernel_sa(id, name);
            }
            if !is_harmless {
                return Some((id, Err(error.into())));
            }
        }
        let phase2 = self.get_mut(id)?;
        let path = phase2.path;
        Some((id, Ok(phase2.installed(core, path))))
    }

    /// Returns the phase 2 that has an SA of this name and is obsolete, because the same peer has chosen the SPI again for `id`.
    ///
    /// # Errors
    /// The name is another peer's behind the same address, or of a phase 2 that is not even established.
    fn replaced_holder(&self, core: &mut Core, id: Phase2Id, name: &SaName) -> Result<Option<Phase2Id>, FailureReason> {
        let Some(other) = self.of_sa(sa_key(name)).filter(|other| *other != id) else { return Ok(None) };
        let remote_of = |id| self.get(id).map(|phase2| phase2.path.remote);
        if !self.is_established(other) || remote_of(other) != remote_of(id) {
            return Err(FailureReason::Kernel(KernelFailure::NameInUse(*name)));
        }
        if let Some(remote) = remote_of(id) {
            let text = || format!("peer reused {name}; removing the old SA");
            core.log_of_peer(LoggedEvent::Phase2Failed, Level::Warning, remote, text);
        }
        Ok(Some(other))
    }

    /// The phase 2 that a notify under a phase 1 refuses. Records what the peer says with every phase 2 that it may be about.
    ///
    /// A notify names no exchange, but may carry the SPI of one. Without it, it is about the exchange in which the peer has a
    /// message of ours to refuse, message 1 or 2, if there is only one.
    pub(crate) fn refused_by(&mut self, phase1: Phase1Id, notify: &Notify) -> Option<Phase2Id> {
        if NOT_OF_NEGOTIATIONS.contains(&notify.kind) {
            return None;
        }
        let mut refusable = self.under(phase1);
        refusable.retain(|id| self.get(*id).is_some_and(Phase2::is_refusable));
        let is_named = |id: &Phase2Id| self.get(*id).is_some_and(|phase2| phase2.has_spi(&notify.spi));
        let refused = match (refusable.as_slice(), refusable.iter().copied().find(is_named)) {
            (_, Some(named)) => Some(named),
            ([one], None) => Some(*one),
            _ => None,
        };
        for id in refused.map_or(refusable, |id| vec![id]) {
            if let Some(phase2) = self.get_mut(id) {
                phase2.conversation.record.said(notify.kind);
                if refused.is_some() {
                    phase2.conversation.record.peer_text = text_of(notify).map(String::from);
                }
            }
        }
        refused
    }
}
