//! How a phase 2 of ours begins: by an acquire of the kernel, a renewal, or a control request.

use std::net::SocketAddr;

use crate::authorization::Peer;
use crate::crypto::{DhOperation, Exponent};
use crate::engine::control::Refusal;
use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Phase2Id};
use crate::kernel::{Acquire, Direction, KernelRequest, Policy, RequestId, SaName, Selector, SpiAllocation};
use crate::num::Group;
use crate::output::{Level, Urgency};
use crate::phase1::entry::Phase1;
use crate::phase1::half_open::PeerClass;
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase1::table::Phase1s;
use crate::phase2::TrafficKey;
use crate::phase2::bundle::BundleMember;
use crate::phase2::entry::{Phase2, State};
use crate::phase2::generate_policy::GeneratedPolicies;
use crate::phase2::pending_inputs::{PendingInputs, job};
use crate::phase2::table::Phase2s;
use crate::phase2::traffic::{Endpoints, between_hosts, templates, tunnel_endpoints};
use crate::reason::{DenialReason, FailureReason};
use crate::spd::Spd;

/// Limit on concurrent phase 1s of ours with peers that no remote section names: packets to invented addresses would otherwise
/// begin any number.
pub(crate) const ATTEMPTS_MAX: usize = 4096;

/// Limit on acquires that are remembered for one negotiation.
const ACQUIRES_MAX: usize = 16;

/// Why a phase 2 of ours begins.
pub(crate) enum Phase2Trigger {
    /// An acquire of the kernel.
    Acquire(Acquire),
    /// The renewal of this phase 2.
    Renewal(Phase2Id),
    /// A control request.
    Control,
}

impl Engine {
    /// Processes an acquire: a packet needs an SA.
    pub(crate) fn acquire(&mut self, acquire: Acquire) {
        if self.core.stopping {
            // The kernel would otherwise wait, and drop packets, until its larval SA expires.
            return self.core.send_to_kernel(KernelRequest::AcquireFailed(acquire));
        }
        if acquire.source.is_multicast() || acquire.destination.is_multicast() {
            // Quick mode negotiates SAs between two peers, and a group is none.
            return self.core.log(Level::Debug, None, || "ignored an acquire for multicast".into());
        }
        let policy = self.core.spd.policy_of(&acquire);
        let traffic_key = policy.and_then(|policy| traffic_key_of(policy, &acquire));
        self.core.explain_acquire(&acquire, traffic_key.as_ref());
        // No policy asks for it, which `explain_acquire` has logged.
        let Some(traffic_key) = traffic_key else { return };
        if self.switch_over_now(&traffic_key) || self.phase2s.join(&traffic_key, &acquire) {
            return;
        }
        if self.core.local_address(traffic_key.endpoints.local).is_none() {
            // Another key manager may answer it.
            return self.core.warn_of_foreign_endpoint(&traffic_key, "acquire");
        }
        if self.phase1s.log_if_crowded(&mut self.core, traffic_key.endpoints) {
            return self.core.send_to_kernel(KernelRequest::AcquireFailed(acquire));
        }
        if let Err(reason) = self.begin_phase2(traffic_key, Phase2Trigger::Acquire(acquire.clone())) {
            self.core.send_to_kernel(KernelRequest::AcquireFailed(acquire));
            self.core.phase2_not_begun(&traffic_key, reason);
        }
    }

    /// Begins a phase 2 for the policy with this selector, unless there is one.
    ///
    /// # Errors
    /// There is one, or there is no such policy.
    pub(crate) fn establish_phase2(&mut self, direction: Direction, selector: Selector) -> Result<(), Refusal> {
        let selector = if direction == Direction::Out { selector } else { selector.mirrored() };
        let not_configured = || Refusal::NotConfigured(String::from("no outbound policy with this selector protects"));
        let policy = self.core.spd.exact(Direction::Out, &selector).ok_or_else(not_configured)?;
        let hosts = Endpoints { local: selector.source.address(), remote: selector.destination.address() };
        let endpoints = tunnel_endpoints(templates(policy).ok_or_else(not_configured)?).unwrap_or(hosts);
        let traffic_key = TrafficKey { selector, endpoints };
        if self.phase2s.negotiating(&traffic_key).is_some() || self.phase2s.established(&traffic_key).next().is_some() {
            return Err(Refusal::Exists);
        }
        self.begin_phase2(traffic_key, Phase2Trigger::Control)
            .map_err(|reason| Refusal::NotConfigured(reason.to_string()))
    }

    /// Begins a phase 2 as initiator, under the newest phase 1 or under one that begins for it.
    ///
    /// # Errors
    /// What is not configured.
    pub(crate) fn begin_phase2(
        &mut self,
        traffic_key: TrafficKey,
        trigger: Phase2Trigger,
    ) -> Result<(), FailureReason> {
        let renewed = if let Phase2Trigger::Renewal(old) = trigger { self.phase2s.get(old) } else { None };
        let sa = renewed.and_then(|old| self.phase1s.sa(old.phase1?));
        let (path, remote_section) = self.core.destination(&traffic_key, &trigger, renewed.map(|old| old.path), sa)?;
        let mut phase2 = self.core.new_phase2(traffic_key, path, remote_section, trigger)?;
        let id = phase2.id;
        phase2.generated = self.generated.share(&traffic_key.selector, id).then_some(traffic_key.selector);
        match self.phase1s.usable(path) {
            Some(phase1) => {
                self.phase2s.insert(phase2);
                self.phase2_under(id, phase1);
            }
            None => {
                phase2.conversation.set_deadline(&mut self.core, |settings| settings.phase1_wait);
                self.phase2s.insert(phase2);
                self.core.log(Level::Info, Some(path.remote), || {
                    format!("IPsec-SA request for {} queued due to no phase1 found.", path.remote.ip())
                });
                let next = self.phase1s.await_phase1(&mut self.core, path, remote_section, id);
                self.perform_for_phase1(next);
            }
        }
        Ok(())
    }

    /// Continues under a phase 1.
    pub(crate) fn phase2_under(&mut self, id: Phase2Id, phase1: Phase1Id) {
        if let Err(reason) = self.phase2s.start(&mut self.core, self.phase1s.get_mut(phase1), &self.generated, id) {
            self.fail_phase2(id, reason);
        }
    }
}

impl Phase1s {
    /// Whether another phase 1 with an unknown peer would exceed the limit, which is logged.
    fn log_if_crowded(&self, core: &mut Core, endpoints: Endpoints) -> bool {
        let peer = SocketAddr::new(endpoints.remote, core.settings.port);
        let is_crowded = self.attempts() >= ATTEMPTS_MAX
            && self.between((endpoints.local, endpoints.remote)).is_empty()
            && core.peer_class(peer) == PeerClass::Unknown;
        if is_crowded {
            self.log_unauthenticated(core, LoggedEvent::OverLimit, peer, || {
                format!("ignored an acquire: {ATTEMPTS_MAX} phase 1s are in progress")
            });
        }
        is_crowded
    }
}

impl Phase2s {
    /// Adds an acquire to a negotiation for the same traffic. Returns false if there is none.
    fn join(&mut self, traffic_key: &TrafficKey, acquire: &Acquire) -> bool {
        let going_on = self.negotiating(traffic_key).and_then(|id| self.get_mut(id));
        let Some(Phase2 { acquires, .. }) = going_on else { return false };
        if acquires.len() < ACQUIRES_MAX && !acquires.contains(acquire) {
            acquires.push(acquire.clone());
        }
        true
    }

    /// Lets a phase 2 that has waited begin under a phase 1: collects the inputs of message 1.
    ///
    /// # Errors
    /// If its policies were generated for another peer, or no exponent can be drawn.
    fn start(
        &mut self,
        core: &mut Core,
        phase1: Option<&mut Phase1>,
        generated: &GeneratedPolicies,
        id: Phase2Id,
    ) -> Result<(), FailureReason> {
        let phase1 = phase1.filter(|phase1| phase1.is_usable());
        let phase2 = self.get(id).filter(|phase2| matches!(phase2.state, State::Waiting(_)));
        // A phase 2 that was begun before this one may have ended both.
        let Some((phase1, phase2)) = phase1.zip(phase2) else { return Ok(()) };
        phase2.check_generated(generated, phase1)?;
        let message_id = phase1.fresh_message_id(core);
        phase1.set_negotiated();
        self.bind(id, phase1.id);
        self.listen(id, phase1.id, message_id);
        let begun = self.get_mut(id).map(|phase2| (std::mem::take(&mut phase2.state), phase2));
        // Both were checked above.
        let Some((State::Waiting(phase2_request), phase2)) = begun else { return Ok(()) };
        phase2.cookies = Some(phase1.cookies);
        phase2.conversation.step(core, "phase 1");
        let members = phase2_request.bundle.members.clone();
        let group = phase2_request.bundle.terms.group;
        phase2.state = State::Gathering(phase2_request, PendingInputs::new(members.len(), group));
        let path = phase2.path;
        core.log(Level::Info, Some(path.remote), || format!("initiate new phase 2 negotiation: {path}"));
        phase2.gather(core, members.iter(), group.map(|group| (group, DhOperation::Public)))
    }
}

impl Spd {
    /// Returns the outbound policy of an acquire: by its index, or by the packet if the kernel does not report the index.
    fn policy_of(&self, acquire: &Acquire) -> Option<&Policy> {
        let by_index = acquire.policy.and_then(|index| self.by_index(index));
        let by_packet = || {
            let endpoints = Endpoints { local: acquire.source, remote: acquire.destination };
            let packet = acquire.selector.unwrap_or_else(|| between_hosts(endpoints));
            let asks = |policy: &Policy| templates(policy).is_some();
            self.covering(Direction::Out, &packet, asks)
        };
        by_index.or_else(by_packet).filter(|policy| policy.direction == Direction::Out)
    }
}

impl Phase2 {
    /// Requests an SPI for each member of the bundle, and starts the key exchange.
    ///
    /// # Errors
    /// If no exponent can be drawn.
    pub(crate) fn gather<'a>(
        &mut self,
        core: &mut Core,
        members: impl Iterator<Item = &'a BundleMember>,
        exchange: Option<(Group, DhOperation)>,
    ) -> Result<(), FailureReason> {
        self.set_deadline(core);
        for (at, member) in members.enumerate() {
            self.allocate_spi(core, at, member);
        }
        // Without perfect forward secrecy there is nothing to compute.
        if let Some((group, task)) = exchange {
            let exponent = Exponent::draw(group, &mut *core.random)?;
            self.conversation.start_job(core, Urgency::Known, job(exponent, task));
        }
        Ok(())
    }

    /// Checks that its policies, if they are generated ones, were not generated for another peer, which had this address before.
    fn check_generated(&self, generated: &GeneratedPolicies, phase1: &Phase1) -> Result<(), FailureReason> {
        let is_of = |(outbound, sa)| generated.are_of(outbound, &Peer::new(sa, phase1.path()));
        if self.generated.as_ref().zip(phase1.sa()).is_none_or(is_of) {
            return Ok(());
        }
        Err(FailureReason::not_authorized(self.traffic_key.selector, DenialReason::GeneratedForAnother))
    }

    /// Reserves an SPI for the inbound SA of a bundle's member.
    fn allocate_spi(&mut self, core: &mut Core, at: usize, member: &BundleMember) {
        let (source, destination) = (self.sa_endpoints.remote, self.sa_endpoints.local);
        let allocation = SpiAllocation {
            id: RequestId(0),
            protocol: member.protocol,
            source,
            destination,
            mode: member.mode,
            reqid: member.reqid_in,
            udp: None,
            acquire: self.acquire_for(member.protocol),
        };
        let request = core.ask_kernel(self.id, |id| KernelRequest::AllocateSpi(SpiAllocation { id, ..allocation }));
        let name = SaName { protocol: member.protocol, source, destination, spi: 0 };
        self.spi_requests.insert(request, (at, name));
    }
}

/// Returns the traffic key of an acquire: the policy's selector, and its tunnel endpoints or the hosts of the packet.
fn traffic_key_of(policy: &Policy, acquire: &Acquire) -> Option<TrafficKey> {
    let hosts = Endpoints { local: acquire.source, remote: acquire.destination };
    let endpoints = tunnel_endpoints(templates(policy)?).unwrap_or(hosts);
    Some(TrafficKey { selector: policy.selector, endpoints })
}
