//! The steps of a quick mode: how a message, the kernel or a job changes one phase 2.
//!
//! A step knows its phase 2 and the ISAKMP SA that protects it. What concerns other phase 2s is left to the engine, which
//! performs the returned [`Action`].

use std::mem;

use crate::crypto::{DhOperation, DhResult, Phase2Seed, Secret};
use crate::engine::core::Core;
use crate::kernel::{KernelError, KernelRequest, Mode, SaInstallation, SaName};
use crate::output::{Level, Urgency};
use crate::path::Path;
use crate::phase1::Phase1Sa;
use crate::phase2::agreement::{Agreement, Common, Installations};
use crate::phase2::entry::{EstablishedPhase2, Installing, Outbound, Phase2, State};
use crate::phase2::initiator::Agreed;
use crate::phase2::message::{Message, QuickModePayloads};
use crate::phase2::pending_inputs::{CompletedExchange, PendingInputs, completed_exchange, job};
use crate::reason::{FailureReason, MissingRemote, Role};

/// What a step uses besides its phase 2.
pub(crate) struct Context<'a> {
    pub(crate) core: &'a mut Core,
    /// The ISAKMP SA of its phase 1.
    pub(crate) sa: &'a Phase1Sa,
    /// The path of its phase 1.
    pub(crate) path: Path,
}

/// What the engine does after a step.
pub(crate) enum Action {
    /// Nothing until the next input.
    Wait,
    /// Asks the kernel to install SAs, unless another phase 2 has the names.
    Install(Vec<SaInstallation>),
    /// Installs the outbound SAs of an initiator, at once or when the old pair has served.
    InstallOutbound(Outbound),
    /// Enters it as established.
    Establish(EstablishedPhase2),
}

/// The result of a step: what to do next, or why the negotiation fails.
pub(crate) type Step = Result<Action, FailureReason>;

impl Phase2 {
    /// The kernel has reserved an SPI for a member of the bundle.
    pub(crate) fn spi_reserved(&mut self, context: &mut Context<'_>, member: usize, spi: u32) -> Step {
        if let Some(pending) = self.pending_inputs() {
            pending.set_spi(member, spi);
        }
        self.send_if_complete(context)
    }

    /// The job has finished.
    pub(crate) fn job_done(&mut self, context: &mut Context<'_>, done: DhResult) -> Step {
        if let Some(pending) = self.pending_inputs() {
            pending.set_exchange(done)?;
            return self.send_if_complete(context);
        }
        match mem::take(&mut self.state) {
            State::Computing(agreed) => {
                self.conversation.step(context.core, "key exchange");
                let group = done.exponent.group();
                let exchange = completed_exchange(done, group)?;
                self.prepare_third(context, &agreed, exchange.shared.as_ref())
            }
            // A result that nothing waits for any longer.
            other => {
                self.state = other;
                Ok(Action::Wait)
            }
        }
    }

    fn pending_inputs(&mut self) -> Option<&mut PendingInputs> {
        match &mut self.state {
            State::Gathering(_, pending) | State::Answering(_, pending) => Some(pending),
            _ => None,
        }
    }

    /// Composes the first message of ours if everything that it needs is there.
    fn send_if_complete(&mut self, context: &mut Context<'_>) -> Step {
        if !self.pending_inputs().is_some_and(|pending| pending.is_complete()) {
            return Ok(Action::Wait);
        }
        match self.role {
            Role::Initiator => self.send_first(context),
            Role::Responder => self.prepare_second(context),
        }
    }

    /// Sends message 1.
    fn send_first(&mut self, context: &mut Context<'_>) -> Step {
        // The caller has checked the state.
        let State::Gathering(request, pending) = mem::take(&mut self.state) else { return Ok(Action::Wait) };
        let Context { core, sa, path } = context;
        let nonce_size = core.settings.remotes.get(sa.remote_section).map_or(16, |section| section.nonce_size);
        let (codec, random) = ((&core.codec, path.remote), &mut *core.random);
        let (offered, message) = request.offer(sa, self.message_id, pending.into_parts(), nonce_size, codec, random)?;
        self.state = State::Offered(Box::new(offered));
        self.conversation.step(core, "message 1");
        self.conversation.send(core, *path, message);
        Ok(Action::Wait)
    }

    /// Composes message 2, which is sent when the inbound SAs are installed.
    fn prepare_second(&mut self, context: &mut Context<'_>) -> Step {
        // The caller has checked the state.
        let State::Answering(accepted, pending) = mem::take(&mut self.state) else { return Ok(Action::Wait) };
        let Context { core, sa, path } = context;
        let (spis, exchange) = pending.into_parts();
        let (public, shared) =
            exchange.map_or((None, None), |CompletedExchange { public, shared, .. }| (public, shared));
        let seed = Phase2Seed { g_xy: shared.as_ref(), ni: &accepted.ni, nr: &accepted.nr };
        let made = self.installations(sa, &accepted.agreement, &spis, seed)?;
        let terms = accepted.agreement.terms;
        let (codec, random) = ((&core.codec, path.remote), &mut *core.random);
        let (answered, message) = accepted.answer(sa, self.message_id, &spis, public, codec, random)?;
        let outbound = Outbound { installations: made.outbound, pairs: made.pairs, terms };
        let installing = Installing { message, answered: Some(answered), outbound };
        Ok(self.install_inbound(core, made.inbound, installing))
    }

    /// Processes message 2.
    pub(crate) fn second_message(&mut self, context: &mut Context<'_>, message: Message<QuickModePayloads>) -> Step {
        // The caller has checked the state.
        let State::Offered(offered) = mem::take(&mut self.state) else { return Ok(Action::Wait) };
        let Context { core, sa, path } = context;
        self.conversation.stop_retransmission(core);
        self.conversation.step(core, "message 2");
        self.set_deadline(core);
        // The responder may install its SAs before message 3, and wait for it.
        self.peer_may_use = true;
        let section =
            core.settings.remotes.get(sa.remote_section).ok_or(FailureReason::NoRemote(MissingRemote::Removed))?;
        let agreed = offered.agree(section.proposal_check, false, message)?;
        for notify in &agreed.notifies {
            self.conversation.record.said(*notify);
        }
        if agreed.ignores_lifetime {
            core.log(Level::Warning, Some(path.remote), || {
                "RESPONDER-LIFETIME is ignored: proposal_check forbids it".into()
            });
        }
        match &agreed.exchange {
            Some((exponent, public)) => {
                let job = job(exponent.clone(), DhOperation::Shared(public.clone()));
                self.state = State::Computing(Box::new(agreed));
                self.conversation.start_job(core, Urgency::Known, job);
                Ok(Action::Wait)
            }
            None => self.prepare_third(context, &agreed, None),
        }
    }

    /// Composes message 3, which is sent when the inbound SAs are installed.
    fn prepare_third(&mut self, context: &mut Context<'_>, agreed: &Agreed, g_xy: Option<&Secret>) -> Step {
        let Context { core, sa, path } = context;
        let seed = Phase2Seed { g_xy, ni: &agreed.ni, nr: &agreed.nr };
        let made = self.installations(sa, &agreed.agreement, &agreed.spis, seed)?;
        let (codec, random) = ((&core.codec, path.remote), &mut *core.random);
        let message = agreed.confirmation(sa, self.message_id, codec, random)?;
        let outbound = Outbound { installations: made.outbound, pairs: made.pairs, terms: agreed.agreement.terms };
        Ok(self.install_inbound(core, made.inbound, Installing { message, answered: None, outbound }))
    }

    /// Processes message 3: the peer can receive.
    pub(crate) fn third_message(&mut self, context: &mut Context<'_>) -> Step {
        // The caller has checked the state.
        let State::Answered(_, outbound) = mem::take(&mut self.state) else { return Ok(Action::Wait) };
        self.conversation.stop_retransmission(context.core);
        self.conversation.step(context.core, "message 3");
        Ok(Action::Install(self.install_outbound(context.core, *outbound)))
    }

    fn install_inbound(&mut self, core: &mut Core, inbound: Vec<SaInstallation>, installing: Installing) -> Action {
        self.set_deadline(core);
        // The peer sends with the inbound SAs after this message, so they are installed before it.
        self.state = State::InstallingInbound(Box::new(installing));
        Action::Install(inbound)
    }

    /// Returns the outbound SAs, which the kernel is asked to install now.
    pub(crate) fn install_outbound(&mut self, core: &mut Core, outbound: Outbound) -> Vec<SaInstallation> {
        self.set_deadline(core);
        self.state = State::InstallingOutbound(Box::new(outbound.established(core.now)));
        outbound.installations
    }

    /// Asks the kernel to install SAs whose names are this phase 2's.
    pub(crate) fn request_installation(&mut self, core: &mut Core, installations: Vec<SaInstallation>) {
        let carries_v6 = self.traffic_key.selector.source.address().is_ipv6();
        for mut installation in installations {
            let is_tunnel = installation.mode == Mode::Tunnel;
            installation.crosses_families = is_tunnel && carries_v6 != installation.name.source.is_ipv6();
            let name = installation.name;
            let request =
                core.ask_kernel(self.id, |id| KernelRequest::Install(Box::new(SaInstallation { id, ..installation })));
            self.installs.insert(request, name);
        }
    }

    /// Whether an error of the kernel about an SA does no harm: with `-Z` the peer uses the same kernel, and has installed its
    /// inbound SA, which is our outbound one.
    pub(crate) fn is_installed_by_peer(&self, core: &Core, name: &SaName, error: &KernelError) -> bool {
        core.settings.local_test && error.exists && name.destination == self.sa_endpoints.remote
    }

    /// Continues when the kernel has installed all SAs that it was asked to install.
    pub(crate) fn installed(&mut self, core: &mut Core, path: Path) -> Action {
        if !self.installs.is_empty() {
            return Action::Wait;
        }
        self.conversation.stop_deadline(core);
        match mem::take(&mut self.state) {
            State::InstallingInbound(installing) => self.inbound_installed(core, path, *installing),
            State::InstallingOutbound(established) => Action::Establish(*established),
            other => {
                self.state = other;
                Action::Wait
            }
        }
    }

    /// Sends the message that tells the peer that we can receive.
    fn inbound_installed(&mut self, core: &mut Core, path: Path, installing: Installing) -> Action {
        let Installing { message, answered, outbound } = installing;
        self.conversation.answer(Some(message.clone()));
        self.peer_may_use = true;
        match answered {
            Some(answered) => {
                self.state = State::Answered(Box::new(answered), Box::new(outbound));
                self.conversation.step(core, "message 2");
                self.conversation.send(core, path, message);
                Action::Wait
            }
            None => {
                self.conversation.step(core, "message 3");
                core.transmit(path, &message);
                Action::InstallOutbound(outbound)
            }
        }
    }

    /// The reason of a failure at the deadline; none if there is nothing that it waits for without asking again.
    pub(crate) fn late(&self, core: &Core) -> Option<FailureReason> {
        Some(match &self.state {
            State::Waiting(..) => FailureReason::Phase1Late(core.settings.phase1_wait),
            State::Gathering(_, pending) | State::Answering(_, pending) if pending.waits_for_job() => {
                FailureReason::computed_late()
            }
            State::Computing(_) => FailureReason::computed_late(),
            State::Offered(_) | State::Answered(..) => return None,
            State::Established(_) if self.installs.is_empty() => return None,
            _ => FailureReason::KernelTimeout(core.settings.phase2_wait),
        })
    }

    /// Whether the peer has a message of ours that it may refuse: message 1 or 2.
    pub(crate) fn is_refusable(&self) -> bool {
        matches!(self.state, State::Offered(_) | State::Answered(..))
    }

    /// Whether an SPI of a notify is that of one of its SAs, inbound or outbound.
    pub(crate) fn has_spi(&self, spi: &[u8]) -> bool {
        let Ok(spi) = <[u8; 4]>::try_from(spi).map(u32::from_be_bytes) else { return false };
        let outbound = match &self.state {
            State::Answered(_, outbound) => outbound.installations.as_slice(),
            _ => &[],
        };
        let names = self.kernel_sas.iter().chain(outbound.iter().map(|one| &one.name));
        spi != 0 && names.into_iter().any(|name| name.spi == spi)
    }

    /// The SAs that follow from what is agreed.
    fn installations(
        &self,
        sa: &Phase1Sa,
        agreement: &Agreement,
        spis: &[u32],
        seed: Phase2Seed<'_>,
    ) -> Result<Installations, FailureReason> {
        let common = Common { keys: &sa.keys, seed, sa: self.sa_endpoints, role: self.role, udp: None };
        let mut all = agreement.installations(spis, &common)?;
        for sa in all.inbound.iter_mut().chain(&mut all.outbound) {
            sa.acquire = self.acquire_for(sa.name.protocol);
        }
        Ok(all)
    }
}
