//! How a phase 2 of ours begins: by an acquire of the kernel, a renewal, or a control request.

use std::net::SocketAddr;

use crate::authorization::Peer;
use crate::config::{PeerAddress, Remote, Sainfo};
use crate::conversation::Record;
use crate::crypto::{DhOperation, Exponent};
use crate::engine::control::Refusal;
use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Phase2Id};
use crate::kernel::{Acquire, Direction, KernelRequest, Policy, RequestId, SaName, Selector, SpiAllocation};
use crate::num::Group;
use crate::output::{Level, Urgency};
use crate::path::Path;
use crate::phase1::half_open::PeerClass;
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase2::TrafficKey;
use crate::phase2::bundle::{Bundle, BundleMember};
use crate::phase2::entry::{Phase2, State};
use crate::phase2::initiator::Phase2Request;
use crate::phase2::pending_inputs::{PendingInputs, job};
use crate::phase2::traffic::{Endpoints, Identities, between_hosts, bundle_mode, templates, tunnel_endpoints};
use crate::reason::explain::sections;
use crate::reason::{DenialReason, FailureReason, MissingPolicy, MissingRemote, PolicyProblem, Role};
use crate::select::{Ambiguous, RemoteIndex, RemoteQuery, SainfoQuery};
use crate::spd::missing_policy;

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
            return self.core.send_to_kernel(KernelRequest::AcquireFailed(acquire));
        }
        if acquire.source.is_multicast() || acquire.destination.is_multicast() {
            return self.core.log(Level::Debug, None, || "an acquire for multicast is ignored".into());
        }
        let traffic_key = self.policy_of(&acquire).and_then(|policy| traffic_key_of(policy, &acquire));
        self.core.explain_acquire(&acquire, traffic_key.as_ref());
        // No policy asks for it, which `explain_acquire` has logged.
        let Some(traffic_key) = traffic_key else { return };
        if self.switch_over_now(&traffic_key) {
            return;
        }
        if let Some(going_on) = self.phase2s.negotiating(&traffic_key).and_then(|id| self.phase2s.get_mut(id)) {
            if going_on.acquires.len() < ACQUIRES_MAX && !going_on.acquires.contains(&acquire) {
                going_on.acquires.push(acquire);
            }
            return;
        }
        if self.core.local_address(traffic_key.endpoints.local).is_none() {
            // Another key manager may answer it.
            return self.core.warn_of_foreign_endpoint(&traffic_key, "acquire");
        }
        if self.is_crowded(traffic_key.endpoints) {
            let peer = SocketAddr::new(traffic_key.endpoints.remote, self.core.settings.port);
            self.phase1s.log_unauthenticated(&mut self.core, LoggedEvent::OverLimit, peer, || {
                format!("{ATTEMPTS_MAX} phase 1s are on their way already")
            });
            return self.core.send_to_kernel(KernelRequest::AcquireFailed(acquire));
        }
        if let Err(cause) = self.begin_phase2(traffic_key, Phase2Trigger::Acquire(acquire.clone())) {
            self.core.send_to_kernel(KernelRequest::AcquireFailed(acquire));
            self.phase2_not_begun(&traffic_key, cause);
        }
    }

    /// Whether another phase 1 with an unknown peer would exceed the limit.
    fn is_crowded(&self, endpoints: Endpoints) -> bool {
        self.phase1s.attempts() >= ATTEMPTS_MAX
            && self.phase1s.between((endpoints.local, endpoints.remote)).is_empty()
            && self.core.peer_class(SocketAddr::new(endpoints.remote, self.core.settings.port)) == PeerClass::Unknown
    }

    /// Returns the outbound policy of an acquire: by its index, or by the packet if the kernel does not report the index.
    fn policy_of(&self, acquire: &Acquire) -> Option<&Policy> {
        let by_index = acquire.policy.and_then(|index| self.core.spd.by_index(index));
        let by_packet = || {
            let endpoints = Endpoints { local: acquire.source, remote: acquire.destination };
            let packet = acquire.selector.unwrap_or_else(|| between_hosts(endpoints));
            let asks = |policy: &Policy| templates(policy).is_some();
            self.core.spd.covering(Direction::Out, &packet, asks)
        };
        by_index.or_else(by_packet).filter(|policy| policy.direction == Direction::Out)
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
            .map_err(|cause| Refusal::NotConfigured(cause.to_string()))
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
        let not_ours = || {
            let problem = PolicyProblem::NotOurs(traffic_key.endpoints.local);
            FailureReason::NoPolicy(MissingPolicy { traffic: traffic_key.selector, problem }.into())
        };
        let local = self.core.local_address(traffic_key.endpoints.local).ok_or_else(not_ours)?;
        let peer = on_link_of(local, SocketAddr::new(traffic_key.endpoints.remote, self.core.settings.port));
        let block = self.block_of(peer, &trigger)?;
        let remote_block =
            self.core.settings.remotes.get(block).ok_or(FailureReason::NoRemote(MissingRemote::Removed))?;
        let path = self.path_of(&trigger).unwrap_or(Path::new(local, with_port_of(remote_block, peer)));
        let remote = path.remote;
        let name = remote_block.name.clone();
        let by_phase1 = matches!(trigger, Phase2Trigger::Renewal(_));
        let (phase2_request, sainfo) = self.phase2_request(&traffic_key, remote_block)?;
        let text = || sections(&traffic_key, remote_block, by_phase1, sainfo);
        let explanation = self.core.format_at(Level::Debug, text);
        self.core.log_formatted(Level::Debug, remote, explanation);
        self.warn_of_missing_mirror(&traffic_key, remote);
        let id = Phase2Id(self.core.fresh_id());
        let record = Record { offered: phase2_request.bundle.in_words(), ..Record::new(self.core.now) };
        let mut phase2 = Phase2 { block: name, ..Phase2::new(id, Role::Initiator, traffic_key, path, record) };
        phase2.state = State::Waiting(phase2_request);
        match trigger {
            Phase2Trigger::Acquire(acquire) => phase2.acquires.push(acquire),
            Phase2Trigger::Renewal(id) => phase2.renews = Some(id),
            Phase2Trigger::Control => {}
        }
        phase2.generated = self.generated.share(&traffic_key.selector, id).then_some(traffic_key.selector);
        let phase1 = self.phase1s.usable(path);
        if phase1.is_none() {
            phase2.conversation.set_deadline(&mut self.core, |settings| settings.phase1_wait);
        }
        self.phase2s.insert(id, phase2);
        match phase1 {
            Some(phase1) => self.phase2_under(id, phase1),
            None => {
                self.core.log(Level::Info, Some(remote), || {
                    format!("IPsec-SA request for {} queued due to no phase1 found.", remote.ip())
                });
                self.await_phase1(path, block, id);
            }
        }
        Ok(())
    }

    /// The path of the phase 2 that is renewed, if we still have the address.
    fn path_of(&self, trigger: &Phase2Trigger) -> Option<Path> {
        let Phase2Trigger::Renewal(old) = trigger else { return None };
        let path = self.phase2s.get(*old)?.path;
        self.core.locals.contains(&path.local).then_some(path)
    }

    /// Selects the remote section for a peer. A renewal uses that of its phase 1, and may use a passive one.
    pub(crate) fn block_of(&self, remote: SocketAddr, trigger: &Phase2Trigger) -> Result<RemoteIndex, FailureReason> {
        let renewed = if let Phase2Trigger::Renewal(old) = trigger { self.phase2s.get(*old) } else { None };
        if let Some(sa) = renewed.and_then(|old| self.phase1s.sa(old.phase1?)) {
            return Ok(sa.block);
        }
        let skip_passive = matches!(trigger, Phase2Trigger::Acquire(_));
        // In main mode the pre-shared key is that of the peer's address. An anonymous section must not match instead of a passive
        // one, or the peer would get the rights of the anonymous section.
        let any = RemoteQuery { key_of_address: true, ..RemoteQuery::address(PeerAddress::from(remote)) };
        let known = RemoteQuery { skip_passive, ..any };
        let remotes = &self.core.settings.remotes;
        let ambiguous = |blocks: Ambiguous| FailureReason::NoRemote(MissingRemote::Ambiguous(remotes.names(&blocks.0)));
        let block = remotes.select(&known).map_err(ambiguous)?;
        block.ok_or_else(|| FailureReason::NoRemote(remotes.missing(remote.ip(), &known)))
    }

    /// Warns each time if the inbound policy is missing, a frequent cause of tunnels that seem dead: replies are dropped, or arrive
    /// unprotected.
    fn warn_of_missing_mirror(&mut self, traffic_key: &TrafficKey, remote: SocketAddr) {
        let outbound = self.core.spd.exact(Direction::Out, &traffic_key.selector);
        if outbound.is_some_and(|outbound| self.core.spd.mirror(outbound).and_then(templates).is_none()) {
            self.core.log(Level::Notify, Some(remote), || {
                let inward = TrafficKey { selector: traffic_key.selector.mirrored(), ..*traffic_key };
                format!("no in-bound policy found: {inward}")
            });
        }
    }

    /// Returns the request to negotiate for a traffic key, and its sainfo.
    fn phase2_request(
        &self,
        traffic_key: &TrafficKey,
        block: &Remote,
    ) -> Result<(Phase2Request, &Sainfo), FailureReason> {
        let no_policy =
            || missing_policy(&self.core.spd, Direction::Out, &traffic_key.selector, &[], traffic_key.endpoints);
        let policy = self.core.spd.exact(Direction::Out, &traffic_key.selector).ok_or_else(no_policy)?;
        let outbound = templates(policy).ok_or_else(no_policy)?;
        let inbound = self.core.spd.mirror(policy).and_then(templates).unwrap_or_default();
        let traffic = Identities::of_selector(&traffic_key.selector);
        let asked = SainfoQuery {
            local: &traffic.local,
            remote: &traffic.remote,
            claimed: None,
            client: None,
            remoteid: block.ph1id,
        };
        let sainfos = &self.core.settings.sainfos;
        let sainfo = sainfos.select(&asked).and_then(|index| sainfos.get(index));
        let sainfo =
            sainfo.ok_or_else(|| FailureReason::NoSainfo(sainfos.missing(traffic_key.selector, &asked).into()))?;
        let complex = self.core.settings.complex_bundle;
        let bundle = Bundle::new(outbound, inbound, sainfo, complex, false)?;
        let mode = bundle_mode(outbound, complex);
        let ids = Identities::to_send(mode, &traffic_key.selector, traffic_key.endpoints);
        Ok((Phase2Request { bundle, ids }, sainfo))
    }

    /// Continues under a phase 1: collects the inputs of message 1.
    pub(crate) fn phase2_under(&mut self, id: Phase2Id, phase1: Phase1Id) {
        // Callers pass a usable phase 1; it may have ended with a phase 2 that was begun before this one.
        let Some(cookies) = self.phase1s.get(phase1).filter(|one| one.is_usable()).map(|one| one.cookies) else {
            return;
        };
        if !self.phase2s.get(id).is_some_and(|phase2| matches!(phase2.state, State::Waiting(_))) {
            return;
        }
        if let Some(cause) = self.is_for_another(id, phase1) {
            return self.fail_phase2(id, cause);
        }
        let message_id = self.phase1s.fresh_message_id(&mut self.core, phase1);
        self.phase1s.negotiates(phase1);
        self.phase2s.bind(id, phase1);
        self.phase2s.listen(id, phase1, message_id);
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        let State::Waiting(phase2_request) = std::mem::take(&mut phase2.state) else { return };
        phase2.cookies = Some(cookies);
        phase2.conversation.step(&self.core, "phase 1");
        let members = phase2_request.bundle.members.clone();
        let group = phase2_request.bundle.terms.group;
        phase2.state = State::Gathering(phase2_request, PendingInputs::new(members.len(), group));
        let path = phase2.path;
        self.core.log(Level::Info, Some(path.remote), || format!("initiate new phase 2 negotiation: {path}"));
        self.gather(id, members.iter(), group.map(|group| (group, DhOperation::Public)));
    }

    /// Returns a reason if its policies were generated for another peer, which had this address before.
    fn is_for_another(&self, id: Phase2Id, phase1: Phase1Id) -> Option<FailureReason> {
        let phase2 = self.phase2s.get(id)?;
        let outbound = phase2.generated.as_ref()?;
        let peer = Peer::new(self.phase1s.sa(phase1)?, self.phase1s.get(phase1)?.path());
        let why = || FailureReason::not_authorized(phase2.traffic_key.selector, DenialReason::GeneratedForAnother);
        (!self.generated.are_of(outbound, &peer)).then(why)
    }

    /// Requests an SPI for each member of the bundle, and starts the key exchange.
    pub(crate) fn gather<'a>(
        &mut self,
        id: Phase2Id,
        members: impl Iterator<Item = &'a BundleMember>,
        exchange: Option<(Group, DhOperation)>,
    ) {
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        phase2.set_deadline(&mut self.core);
        for (at, member) in members.enumerate() {
            phase2.allocate_spi(&mut self.core, at, member);
        }
        // Without perfect forward secrecy there is nothing to compute.
        let Some((group, task)) = exchange else { return };
        match Exponent::draw(group, &mut *self.core.random) {
            Ok(exponent) => phase2.conversation.start_job(&mut self.core, Urgency::Known, job(exponent, task)),
            Err(error) => self.fail_phase2(id, error.into()),
        }
    }
}

impl Phase2 {
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

/// Gives a peer's link-local address the scope of ours.
fn on_link_of(local: SocketAddr, mut remote: SocketAddr) -> SocketAddr {
    if let (SocketAddr::V6(remote), SocketAddr::V6(local)) = (&mut remote, local) {
        remote.set_scope_id(local.scope_id());
    }
    remote
}

/// Replaces a peer's port by that of its remote section, if the section has one.
fn with_port_of(block: &Remote, mut remote: SocketAddr) -> SocketAddr {
    if block.port != 0 {
        remote.set_port(block.port);
    }
    remote
}
