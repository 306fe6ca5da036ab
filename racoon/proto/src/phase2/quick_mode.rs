//! Messages of quick mode, and what the kernel and jobs bring in between.

use crate::conversation::{Lookup, PacketDigest};
use crate::crypto::JobResult;
use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Phase2Id};
use crate::informational::text_of;
use crate::kernel::{KernelError, KernelRequest, RequestId, SaInstallation, SaName};
use crate::num::NotifyType;
use crate::output::Level;
use crate::phase1::entry::Phase1;
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase1::table::Phase1s;
use crate::phase2::entry::{Phase2, State};
use crate::phase2::message::{Received, Rejection, Unproved};
use crate::phase2::step::{Action, Context};
use crate::phase2::table::{Phase2s, sa_key};
use crate::reason::{FailureReason, KernelFailure};
use crate::wire::{Header, Notify};

/// Errors that peers tell of packets and messages that belong to no negotiation.
const NOT_OF_NEGOTIATIONS: [NotifyType; 4] =
    [NotifyType::INVALID_SPI, NotifyType::INVALID_COOKIE, NotifyType::INVALID_MESSAGE_ID, NotifyType::INVALID_FLAGS];

impl Engine {
    /// A message of quick mode, under an established phase 1.
    pub(crate) fn quick_mode_datagram(
        &mut self,
        phase1: Phase1Id,
        header: &Header,
        body: &[u8],
        digest: &PacketDigest,
    ) {
        match self.phase2s.find(phase1, header.message_id) {
            Some(id) => self.quick_message(id, phase1, header, body, digest),
            None => self.quick_begin(phase1, header, body, digest),
        }
    }

    /// A message of an exchange that goes on.
    fn quick_message(&mut self, id: Phase2Id, phase1: Phase1Id, header: &Header, body: &[u8], digest: &PacketDigest) {
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        let path = phase2.path;
        match phase2.conversation.arrival(&self.core, digest) {
            Lookup::Reply(reply) => {
                // The peer repeats message 2 because message 3 was lost, and so still sends by the pair before.
                self.phase2s.retire_replaced(&mut self.core, id);
                return self.core.transmit(path, &reply);
            }
            Lookup::Duplicate | Lookup::Busy => {
                return self.core.log(Level::Debug, Some(path.remote), || "a duplicate".into());
            }
            Lookup::New => {}
        }
        let Some(sa) = self.phase1s.sa(phase1) else { return };
        let received = Received { header, body, codec: (&self.core.codec, path.remote) };
        match &phase2.state {
            State::Offered(offered) => match offered.read(sa, received) {
                Ok(message) => {
                    phase2.conversation.accept(digest.clone());
                    self.heard_from(phase1);
                    if let Some(established) = self.phase1s.get_mut(phase1).and_then(Phase1::established_mut) {
                        established.replacement.is_of_use();
                    }
                    self.phase2_step(id, |phase2, context| phase2.second_message(context, message));
                }
                Err(rejection) => self.reject(id, phase1, 2, rejection),
            },
            State::Answered(answered, _) => match answered.read(sa, received) {
                Ok(_) => {
                    phase2.conversation.accept(digest.clone());
                    phase2.conversation.answer(None);
                    self.heard_from(phase1);
                    self.phase2_step(id, Phase2::third_message);
                }
                Err(rejection) => self.reject(id, phase1, 3, rejection),
            },
            // Message 4 says CONNECTED, and nothing waits for it.
            _ => self
                .core
                .log(Level::Debug, Some(path.remote), || "a message of quick mode that nothing waits for".into()),
        }
    }

    fn reject(&mut self, id: Phase2Id, phase1: Phase1Id, number: u8, rejection: Rejection) {
        match rejection {
            Rejection::Unproved(reason) => self.phase1s.ignore_unproved(&mut self.core, phase1, number, &reason),
            Rejection::Fatal(cause) => self.fail_phase2(id, cause),
        }
    }

    /// Performs a step of a phase 2 under its phase 1. A failure ends the phase 2.
    fn phase2_step(
        &mut self,
        id: Phase2Id,
        step: impl FnOnce(&mut Phase2, &mut Context<'_>) -> Result<Action, FailureReason>,
    ) {
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        let path = phase2.path;
        let Some(sa) = phase2.phase1.and_then(|phase1| self.phase1s.sa(phase1)) else {
            return self.fail_phase2(id, FailureReason::phase1_gone());
        };
        match step(phase2, &mut Context { core: &mut self.core, sa, path }) {
            Ok(action) => self.perform_for_phase2(id, action),
            Err(cause) => self.fail_phase2(id, cause),
        }
    }

    /// Does what a step of a phase 2 asks for.
    fn perform_for_phase2(&mut self, id: Phase2Id, action: Action) {
        match action {
            Action::Wait => {}
            Action::Install(installations) => self.install(id, installations),
            Action::InstallOutbound(outbound) => match self.phase2s.serves_until(&self.core, id) {
                Some(until) => self.hold_outbound(id, outbound, until),
                None => {
                    let Some(phase2) = self.phase2s.get_mut(id) else { return };
                    let installations = phase2.install_outbound(&mut self.core, outbound);
                    self.install(id, installations);
                }
            },
            Action::Establish(established) => self.phase2_established(id, established),
        }
    }

    /// Asks the kernel to install SAs.
    pub(crate) fn install(&mut self, id: Phase2Id, installations: Vec<SaInstallation>) {
        if let Err(cause) = self.claim_names(id, &installations) {
            return self.fail_phase2(id, cause);
        }
        if let Some(phase2) = self.phase2s.get_mut(id) {
            phase2.request_installation(&mut self.core, installations);
        }
    }

    /// SAs are to be installed, now or later: their names are this phase 2's from now on.
    ///
    /// # Errors
    /// One is another one's.
    pub(crate) fn claim_names(&mut self, id: Phase2Id, installations: &[SaInstallation]) -> Result<(), FailureReason> {
        for installation in installations {
            self.claim_name(id, &installation.name)?;
        }
        for installation in installations {
            self.leftovers.remove(&installation.name);
            self.phase2s.add_kernel_sa(id, installation.name);
        }
        Ok(())
    }

    /// Another phase 2 may have an SA with this destination, protocol and SPI. Of the same peer, which has chosen the SPI
    /// anew, it is obsolete.
    ///
    /// # Errors
    /// It is another peer's behind the same address, or not even established.
    fn claim_name(&mut self, id: Phase2Id, name: &SaName) -> Result<(), FailureReason> {
        let Some(other) = self.phase2s.of_sa(sa_key(name)).filter(|other| *other != id) else { return Ok(()) };
        let remote_of = |id| self.phase2s.get(id).map(|phase2| phase2.path.remote);
        let is_established = self.phase2s.get(other).is_some_and(|other| other.established().is_some());
        if !is_established || remote_of(other) != remote_of(id) {
            return Err(FailureReason::Kernel(KernelFailure::NameInUse(*name)));
        }
        if let Some(remote) = remote_of(id) {
            let text = || format!("peer reused {name}; removing the old SA");
            self.core.log_of_peer(LoggedEvent::Phase2Failed, Level::Warning, remote, text);
        }
        self.purge_phase2(other, false);
        Ok(())
    }

    /// The kernel reserved an SPI, or not.
    pub(crate) fn phase2_spi(&mut self, request: RequestId, answer: Result<u32, KernelError>) {
        let owner = self.core.requests.remove(&request);
        let Some((id, phase2)) = owner.and_then(|id| Some((id, self.phase2s.get_mut(id)?))) else {
            if let (Some(name), Ok(spi)) = (self.phase2s.take_orphan(request), answer) {
                self.core.send_to_kernel(KernelRequest::Delete(SaName { spi, ..name }));
            }
            return;
        };
        // The kernel answers a request once.
        let Some((member, name)) = phase2.spi_requests.remove(&request) else { return };
        let spi = match answer {
            Ok(spi) => spi,
            Err(error) => return self.fail_phase2(id, error.into()),
        };
        self.phase2s.add_kernel_sa(id, SaName { spi, ..name });
        self.phase2_step(id, |phase2, context| phase2.spi_reserved(context, member, spi));
    }

    /// A job has finished.
    pub(crate) fn phase2_job_done(&mut self, id: Phase2Id, mut result: JobResult) {
        match result.take_diffie_hellman() {
            Some(done) => self.phase2_step(id, |phase2, context| phase2.job_done(context, done)),
            None => self.fail_phase2(id, FailureReason::not_computed()),
        }
    }

    /// The kernel has installed an SA, or refuses it.
    pub(crate) fn phase2_installed(&mut self, request: RequestId, answer: Result<(), KernelError>) {
        let owner = self.core.requests.remove(&request);
        // A phase 2 that has ended in the meantime deletes its SAs itself.
        let Some((id, phase2)) = owner.and_then(|id| Some((id, self.phase2s.get_mut(id)?))) else { return };
        let name = phase2.installs.remove(&request);
        if let Err(error) = answer {
            let is_harmless = name.is_some_and(|name| phase2.is_installed_by_peer(&self.core, &name, &error));
            // An SA that existed before is not ours to delete.
            if let Some(name) = name.filter(|_| error.exists) {
                self.phase2s.remove_kernel_sa(id, name);
            }
            if !is_harmless {
                return self.fail_phase2(id, error.into());
            }
        }
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        let path = phase2.path;
        let action = phase2.installed(&mut self.core, path);
        self.perform_for_phase2(id, action);
    }

    /// The peer refuses something under a phase 1. Returns whether that ended a negotiation.
    pub(crate) fn peer_refused(&mut self, phase1: Phase1Id, notify: &Notify) -> bool {
        if NOT_OF_NEGOTIATIONS.contains(&notify.kind) {
            return false;
        }
        let refused = self.phase2s.refused_by(phase1, notify);
        if let Some(id) = refused {
            self.fail_phase2(id, FailureReason::Refused(notify.kind));
        }
        refused.is_some()
    }
}

impl Phase1s {
    /// A message that anybody may have sent is as if it had not come.
    pub(crate) fn ignore_unproved(&self, core: &mut Core, phase1: Phase1Id, number: u8, reason: &Unproved) {
        let Some(remote) = self.get(phase1).map(|phase1| phase1.remote()) else { return };
        let text = || format!("message {number} of quick mode is ignored: {reason}");
        core.log_of_peer(LoggedEvent::Unproved, Level::Error, remote, text);
    }
}

impl Phase2s {
    /// The phase 2 that a notify under a phase 1 refuses. Records what the peer says with every phase 2 that it may be about.
    ///
    /// A notify names no exchange, but may carry the SPI of one. Without it, it is about the exchange in which the peer has a
    /// message of ours to refuse, message 1 or 2, if there is only one.
    fn refused_by(&mut self, phase1: Phase1Id, notify: &Notify) -> Option<Phase2Id> {
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
