//! Messages of quick mode, and what the kernel and jobs bring in between.

use crate::conversation::{Lookup, PacketDigest};
use crate::crypto::{DhOperation, JobResult, Phase2Seed, Secret};
use crate::engine::{Engine, Phase1Id, Phase2Id};
use crate::informational::text_of;
use crate::kernel::{KernelError, KernelRequest, Mode, RequestId, SaInstallation, SaName};
use crate::num::NotifyType;
use crate::output::{Level, Urgency};
use crate::phase1::Phase1Sa;
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase1::table::{Phase1, Phase1s};
use crate::phase2::bundle::{Agreement, Common, Installations};
use crate::phase2::initiator::Agreed;
use crate::phase2::message::{Message, Negotiation, Received, Rejection, Unproved};
use crate::phase2::pending_inputs::{CompletedExchange, PendingInputs, completed_exchange, job};
use crate::phase2::table::{Installing, Outbound, Phase2, State, sa_key};
use crate::reason::{FailureReason, KernelFailure, Role};
use crate::wire::{Header, Notify};

/// Errors that peers tell of packets and messages that belong to no negotiation.
const NOT_OF_NEGOTIATIONS: [NotifyType; 4] =
    [NotifyType::INVALID_SPI, NotifyType::INVALID_COOKIE, NotifyType::INVALID_MESSAGE_ID, NotifyType::INVALID_FLAGS];

/// The ISAKMP SA of an established phase 1. A function of its own, so that the rest of the engine can be used besides.
pub(crate) fn sa_of(phase1s: &Phase1s, id: Phase1Id) -> Option<&Phase1Sa> {
    phase1s.get(id).and_then(Phase1::established).map(|established| &established.sa)
}

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
        let path = phase2.path(&self.phase1s);
        match phase2.conversation.arrival(&self.core, digest) {
            Lookup::Reply(reply) => {
                // The peer repeats message 2 because message 3 was lost, and so still sends by the pair before.
                self.retire_replaced(id);
                return self.core.transmit(path, &reply);
            }
            Lookup::Duplicate | Lookup::Busy => {
                return self.core.log(Level::Debug, Some(path.remote), || "a duplicate".into());
            }
            Lookup::New => {}
        }
        let Some(sa) = sa_of(&self.phase1s, phase1) else { return };
        let received = Received { header, body, codec: (&self.core.codec, path.remote) };
        match &phase2.state {
            State::Offered(offered) => match offered.read(sa, received) {
                Ok(message) => {
                    phase2.conversation.accept(digest.clone());
                    self.heard_from(phase1);
                    if let Some(established) = self.phase1s.get_mut(phase1).and_then(Phase1::established_mut) {
                        established.replacement.is_of_use();
                    }
                    self.second_message(id, phase1, message);
                }
                Err(rejection) => self.reject(id, phase1, 2, rejection),
            },
            State::Answered(answered, _) => match answered.read(sa, received) {
                Ok(_) => {
                    phase2.conversation.accept(digest.clone());
                    phase2.conversation.answer(None);
                    self.heard_from(phase1);
                    self.third_message(id);
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
            Rejection::Unproved(reason) => self.ignore_unproved(phase1, number, &reason),
            Rejection::Fatal(cause) => self.fail_phase2(id, cause),
        }
    }

    /// A message that anybody may have sent is as if it had not come.
    pub(crate) fn ignore_unproved(&mut self, phase1: Phase1Id, number: u8, reason: &Unproved) {
        let Some(remote) = self.phase1s.get(phase1).map(|phase1| phase1.remote()) else { return };
        let text = || format!("message {number} of quick mode is ignored: {reason}");
        self.core.log_of_peer(LoggedEvent::Unproved, Level::Error, remote, text);
    }

    /// The initiator got message 2.
    fn second_message(&mut self, id: Phase2Id, phase1: Phase1Id, message: Message<Negotiation>) {
        let Some(level) = self.level_under(phase1) else { return };
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        let State::Offered(offered) = std::mem::take(&mut phase2.state) else { return };
        phase2.conversation.stop_retransmission(&mut self.core);
        phase2.conversation.step(&self.core, "message 2");
        phase2.set_deadline(&mut self.core);
        // The responder may install before message 3, and wait for it.
        phase2.peer_may_use = true;
        let agreed = match offered.agree(level, false, message) {
            Ok(agreed) => agreed,
            Err(cause) => return self.fail_phase2(id, cause),
        };
        for notify in &agreed.notifies {
            phase2.conversation.record.said(*notify);
        }
        let (remote, ignores_lifetime) = (phase2.path(&self.phase1s).remote, agreed.ignores_lifetime);
        match &agreed.exchange {
            Some((exponent, public)) => {
                let job = job(exponent.clone(), DhOperation::Shared(public.clone()));
                phase2.state = State::Computing(Box::new(agreed));
                phase2.conversation.start_job(&mut self.core, Urgency::Known, job);
            }
            None => self.agreed(id, agreed, None),
        }
        if ignores_lifetime {
            self.core.log(Level::Warning, Some(remote), || {
                "RESPONDER-LIFETIME is ignored: proposal_check forbids it".into()
            });
        }
    }

    /// The initiator knows all: it installs what comes in, with message 3 ready.
    fn agreed(&mut self, id: Phase2Id, agreed: Agreed, g_xy: Option<&Secret>) {
        let Some(phase2) = self.phase2s.get(id) else { return };
        let Some(sa) = phase2.phase1.and_then(|phase1| sa_of(&self.phase1s, phase1)) else {
            return self.fail_phase2(id, FailureReason::phase1_gone());
        };
        let seed = Phase2Seed { g_xy, ni: &agreed.ni, nr: &agreed.nr };
        let made = installations(phase2, sa, &agreed.agreement, &agreed.spis, seed).and_then(|installations| {
            let codec = (&self.core.codec, phase2.path(&self.phase1s).remote);
            let message = agreed.confirmation(sa, phase2.message_id, codec, &mut *self.core.random)?;
            Ok((installations, message))
        });
        match made {
            Ok((Installations { inbound, outbound, pairs }, message)) => {
                let outbound = Outbound { installations: outbound, pairs, terms: agreed.agreement.terms };
                self.install_inbound(id, inbound, Installing { message, answered: None, outbound });
            }
            Err(cause) => self.fail_phase2(id, cause),
        }
    }

    /// A responder knows all: it installs what comes in, with message 2 ready.
    fn send_second(&mut self, id: Phase2Id) {
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        let Some(sa) = phase2.phase1.and_then(|phase1| sa_of(&self.phase1s, phase1)) else {
            return self.fail_phase2(id, FailureReason::phase1_gone());
        };
        let State::Answering(accepted, gathering) = std::mem::take(&mut phase2.state) else { return };
        let (spis, exchange) = gathering.into_parts();
        let (public, shared) =
            exchange.map_or((None, None), |CompletedExchange { public, shared, .. }| (public, shared));
        let seed = Phase2Seed { g_xy: shared.as_ref(), ni: &accepted.ni, nr: &accepted.nr };
        let made = installations(phase2, sa, &accepted.agreement, &spis, seed).and_then(|installations| {
            let terms = accepted.agreement.terms;
            let codec = (&self.core.codec, phase2.path(&self.phase1s).remote);
            let answer = accepted.answer(sa, phase2.message_id, &spis, public, codec, &mut *self.core.random)?;
            Ok((installations, answer, terms))
        });
        match made {
            Ok((Installations { inbound, outbound, pairs }, (answered, message), terms)) => {
                let outbound = Outbound { installations: outbound, pairs, terms };
                self.install_inbound(id, inbound, Installing { message, answered: Some(answered), outbound });
            }
            Err(cause) => self.fail_phase2(id, cause),
        }
    }

    fn install_inbound(&mut self, id: Phase2Id, inbound: Vec<SaInstallation>, installing: Installing) {
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        phase2.set_deadline(&mut self.core);
        phase2.state = State::InstallingInbound(Box::new(installing));
        self.install(id, inbound);
    }

    /// Asks the kernel to install SAs.
    pub(crate) fn install(&mut self, id: Phase2Id, installations: Vec<SaInstallation>) {
        if let Err(cause) = self.claim_names(id, &installations) {
            return self.fail_phase2(id, cause);
        }
        let carries_v6 = self.phase2s.get(id).map(|phase2| phase2.traffic_key.selector.source.address().is_ipv6());
        for mut installation in installations {
            let is_other = carries_v6.is_some_and(|carries_v6| carries_v6 != installation.name.source.is_ipv6());
            installation.crosses_families = is_other && installation.mode == Mode::Tunnel;
            let request =
                self.core.ask_kernel(id, |id| KernelRequest::Install(Box::new(SaInstallation { id, ..installation })));
            if let Some(phase2) = self.phase2s.get_mut(id) {
                phase2.installs.insert(request, installation.name);
            }
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
        let remote_of = |id| self.phase2s.get(id).map(|phase2| phase2.path(&self.phase1s).remote);
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
        let Some((member, name)) = phase2.spi_requests.remove(&request) else { return };
        let spi = match answer {
            Ok(spi) => spi,
            Err(error) => return self.fail_phase2(id, error.into()),
        };
        self.phase2s.add_kernel_sa(id, SaName { spi, ..name });
        if let Some(gathering) = self.gathering(id) {
            gathering.set_spi(member, spi);
        }
        self.gathered(id);
    }

    /// A job is done.
    pub(crate) fn phase2_job_done(&mut self, id: Phase2Id, mut result: JobResult) {
        let Some(done) = result.take_diffie_hellman() else {
            return self.fail_phase2(id, FailureReason::not_computed());
        };
        if let Some(gathering) = self.gathering(id) {
            match gathering.set_exchange(done) {
                Ok(()) => self.gathered(id),
                Err(cause) => self.fail_phase2(id, cause),
            }
            return;
        }
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        if !matches!(phase2.state, State::Computing(_)) {
            return;
        }
        let State::Computing(agreed) = std::mem::take(&mut phase2.state) else { return };
        phase2.conversation.step(&self.core, "key exchange");
        let group = done.exponent.group();
        match completed_exchange(done, group) {
            Ok(gathered) => self.agreed(id, *agreed, gathered.shared.as_ref()),
            Err(cause) => self.fail_phase2(id, cause),
        }
    }

    fn gathering(&mut self, id: Phase2Id) -> Option<&mut PendingInputs> {
        match &mut self.phase2s.get_mut(id)?.state {
            State::Gathering(_, gathering) | State::Answering(_, gathering) => Some(gathering),
            _ => None,
        }
    }

    /// Goes on when all is there that the first message of ours has to have.
    fn gathered(&mut self, id: Phase2Id) {
        if !self.gathering(id).is_some_and(|gathering| gathering.is_complete()) {
            return;
        }
        match self.phase2s.get(id).map(|phase2| phase2.role) {
            Some(Role::Initiator) => self.send_first(id),
            Some(Role::Responder) => self.send_second(id),
            None => {}
        }
    }

    /// The initiator sends message 1.
    fn send_first(&mut self, id: Phase2Id) {
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        let Some(sa) = phase2.phase1.and_then(|phase1| sa_of(&self.phase1s, phase1)) else {
            return self.fail_phase2(id, FailureReason::phase1_gone());
        };
        let nonce_size = self.core.settings.remotes.get(sa.block).map_or(16, |block| block.nonce_size);
        let State::Gathering(phase2_request, gathering) = std::mem::take(&mut phase2.state) else { return };
        let (codec, random) = ((&self.core.codec, phase2.path(&self.phase1s).remote), &mut *self.core.random);
        match phase2_request.offer(sa, phase2.message_id, gathering.into_parts(), nonce_size, codec, random) {
            Ok((offered, message)) => {
                phase2.state = State::Offered(Box::new(offered));
                phase2.conversation.step(&self.core, "message 1");
                phase2.conversation.send(&mut self.core, phase2.path(&self.phase1s), message);
            }
            Err(cause) => self.fail_phase2(id, cause),
        }
    }

    /// The kernel installed an SA, or not.
    pub(crate) fn phase2_installed(&mut self, request: RequestId, answer: Result<(), KernelError>) {
        let owner = self.core.requests.remove(&request);
        let Some((id, phase2)) = owner.and_then(|id| Some((id, self.phase2s.get_mut(id)?))) else { return };
        let name = phase2.installs.remove(&request);
        if let Err(error) = answer {
            // Somebody else's: it is not ours to delete.
            if let Some(name) = name.filter(|_| error.exists) {
                self.phase2s.remove_kernel_sa(id, name);
                // With `-Z` the peer works on the same kernel, and has installed its inbound SA.
                if self.core.settings.local_test && self.is_outbound(id, &name) {
                    return self.all_installed(id);
                }
            }
            return self.fail_phase2(id, error.into());
        }
        self.all_installed(id);
    }

    fn is_outbound(&self, id: Phase2Id, name: &SaName) -> bool {
        self.phase2s.get(id).is_some_and(|phase2| name.destination == phase2.sa_endpoints.remote)
    }

    /// Goes on when the kernel has all SAs that it was asked to have.
    fn all_installed(&mut self, id: Phase2Id) {
        let Some(phase2) = self.phase2s.get_mut(id).filter(|phase2| phase2.installs.is_empty()) else { return };
        phase2.conversation.stop_deadline(&mut self.core);
        match std::mem::take(&mut phase2.state) {
            State::InstallingInbound(installing) => self.inbound_is_ready(id, *installing),
            State::InstallingOutbound(established) => self.phase2_established(id, *established),
            other => phase2.state = other,
        }
    }

    /// What comes in can be received: now the peer may be told.
    fn inbound_is_ready(&mut self, id: Phase2Id, installing: Installing) {
        let Installing { message, answered, outbound } = installing;
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        phase2.conversation.answer(Some(message.clone()));
        phase2.peer_may_use = true;
        let path = phase2.path(&self.phase1s);
        match answered {
            Some(answered) => {
                phase2.state = State::Answered(Box::new(answered), Box::new(outbound));
                phase2.conversation.step(&self.core, "message 2");
                phase2.conversation.send(&mut self.core, path, message);
            }
            None => {
                phase2.conversation.step(&self.core, "message 3");
                self.core.transmit(path, &message);
                match self.serves_until(id) {
                    Some(until) => self.hold_outbound(id, outbound, until),
                    None => self.install_outbound(id, outbound),
                }
            }
        }
    }

    /// The responder got message 3.
    fn third_message(&mut self, id: Phase2Id) {
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        let State::Answered(_, outbound) = std::mem::take(&mut phase2.state) else { return };
        phase2.conversation.stop_retransmission(&mut self.core);
        phase2.conversation.step(&self.core, "message 3");
        self.install_outbound(id, *outbound);
    }

    fn install_outbound(&mut self, id: Phase2Id, outbound: Outbound) {
        let established = outbound.established(self.core.now);
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        phase2.set_deadline(&mut self.core);
        phase2.state = State::InstallingOutbound(Box::new(established));
        self.install(id, outbound.installations);
    }

    /// The peer refuses something under a phase 1. Returns whether that ended a negotiation.
    ///
    /// A notify names no exchange, but may carry the SPI of one. Without it, it is about the exchange in which the peer has a
    /// message of ours to refuse, message 1 or 2, if there is only one.
    pub(crate) fn peer_refused(&mut self, phase1: Phase1Id, notify: &Notify) -> bool {
        if NOT_OF_NEGOTIATIONS.contains(&notify.kind) {
            return false;
        }
        let mut refusable = self.phase2s.under(phase1);
        refusable.retain(|id| {
            let state = self.phase2s.get(*id).map(|phase2| &phase2.state);
            matches!(state, Some(State::Offered(_) | State::Answered(..)))
        });
        let is_named = |id: &Phase2Id| self.phase2s.get(*id).is_some_and(|phase2| has_spi(phase2, &notify.spi));
        let one = match (refusable.as_slice(), refusable.iter().copied().find(is_named)) {
            (_, Some(named)) => named,
            ([one], None) => *one,
            _ => {
                for id in refusable {
                    if let Some(phase2) = self.phase2s.get_mut(id) {
                        phase2.conversation.record.said(notify.kind);
                    }
                }
                return false;
            }
        };
        if let Some(phase2) = self.phase2s.get_mut(one) {
            phase2.conversation.record.said(notify.kind);
            phase2.conversation.record.peer_text = text_of(notify);
        }
        self.fail_phase2(one, FailureReason::Refused(notify.kind));
        true
    }
}

/// Whether an SPI of a notify is one of a phase 2's SAs, by which we receive or send.
fn has_spi(phase2: &Phase2, spi: &[u8]) -> bool {
    let Ok(spi) = <[u8; 4]>::try_from(spi).map(u32::from_be_bytes) else { return false };
    let outbound = match &phase2.state {
        State::Answered(_, outbound) => outbound.installations.as_slice(),
        _ => &[],
    };
    let names = phase2.kernel_sas.iter().chain(outbound.iter().map(|one| &one.name));
    spi != 0 && names.into_iter().any(|name| name.spi == spi)
}

/// The SAs that follow from what is agreed.
fn installations(
    phase2: &Phase2,
    sa: &Phase1Sa,
    agreement: &Agreement,
    spis: &[u32],
    seed: Phase2Seed<'_>,
) -> Result<Installations, FailureReason> {
    let common = Common { keys: &sa.keys, seed, sa: phase2.sa_endpoints, role: phase2.role, udp: None };
    let mut all = agreement.installations(spis, &common)?;
    for sa in all.inbound.iter_mut().chain(&mut all.outbound) {
        sa.acquire = phase2.acquire_for(sa.name.protocol);
    }
    Ok(all)
}
