//! Which traffic a peer may have: one decision for every policy and every SA that is made at a peer's request.
//!
//! A peer that has proved who it is may change its own traffic, and nobody else's. [`authorize`] decides that from who the
//! peer is ([`Peer`]), what it asks for ([`TrafficRequest`]) and what is there and configured ([`Environment`]). It changes
//! nothing. The engine asks the kernel for a generated policy only with a [`Grant`], which nothing else can make.
//!
//! | there is | mode | allowed |
//! |---|---|---|
//! | a policy that others set | tunnel | if its tunnel is one between both ends of phase 1 |
//! | | transport | if the identities are the ends of phase 1, or `support_proxy` and a sainfo for this peer name them |
//! | one of others whose ports are narrower | transport | the same, if it is the only one and the identities have port 0 |
//! | a policy generated for this peer | either | the same |
//! | none | transport | `generate_policy`, if the identities are the ends of phase 1 |
//! | | tunnel | `generate_policy`, if a sainfo names the peer's side, or if that is bounded and nobody else's |

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::{GeneratePolicy, Remote, RemoteSide, Sainfo, Side};
use crate::identity::Expected;
use crate::kernel::{Action, Direction, Mode, Policy, Prefix, Selector, Template};
use crate::num::{IdType, Protocol};
use crate::phase1::{KeyOwner, PeerIdentity, Phase1Sa};
use crate::phase2::TrafficKey;
use crate::phase2::bundle::proposes;
use crate::phase2::traffic::{Endpoints, Identities, bundle_mode, policy_for, templates, tunnel_endpoints};
use crate::proposal::encoding::Suite;
use crate::reason::{DenialReason, FailureReason, MissingPolicy, PolicyProblem};
use crate::settings::Settings;
use crate::spd::{Spd, missing_policy};

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer<'a> {
    /// The ends of its phase 1.
    pub(crate) endpoints: Endpoints,
    /// What it says it is.
    pub(crate) identity: &'a PeerIdentity,
    /// Whose key has proved it.
    pub(crate) key: KeyOwner,
}

impl<'a> From<&'a Phase1Sa> for Peer<'a> {
    fn from(sa: &'a Phase1Sa) -> Self {
        let endpoints = Endpoints { local: sa.local.ip(), remote: sa.remote.ip() };
        Self { endpoints, identity: &sa.peer, key: sa.key }
    }
}

impl Peer<'_> {
    /// Whether its identity is more than a claim: the key is its own, and belongs to the address that it names, or our block
    /// for that address insists on the identity.
    fn identity_is_proved(&self, block: &Remote) -> bool {
        let is_address = self.identity.id.single_address() == Some(self.endpoints.remote);
        let is_verified = || {
            let matches = |one: &Expected| *one != Expected::Anything && one.matches(self.identity.claimed());
            block.verify_identifier && block.peers_identifiers.iter().any(matches)
        };
        self.key == KeyOwner::Peer && (is_address || is_verified())
    }
}

/// What a peer asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrafficRequest<'a> {
    /// The identities of quick mode; none: both ends of phase 1.
    pub(crate) ids: Option<&'a Identities>,
    /// The outbound selector that they stand for.
    pub(crate) selector: Selector,
    /// What it proposes.
    pub(crate) suites: &'a [Suite],
    /// The mode of the proposal for which a policy would be generated.
    pub(crate) mode: Mode,
    /// The sainfo for the traffic.
    pub(crate) sainfo: &'a Sainfo,
    /// The peer's remote block.
    pub(crate) block: &'a Remote,
}

/// What there is.
#[derive(Clone, Copy)]
pub(crate) struct Environment<'a> {
    /// The kernel's policies.
    pub(crate) spd: &'a Spd,
    /// For whom a policy was generated; none: others set it.
    pub(crate) holder_of: &'a dyn Fn(&Policy) -> Option<&'a Holder>,
    /// All addresses of this host.
    pub(crate) addresses: &'a BTreeSet<IpAddr>,
    /// The configuration.
    pub(crate) settings: &'a Settings,
}

/// What is allowed.
#[derive(Debug)]
pub(crate) enum Allowed<'a> {
    /// SAs for a policy that is there.
    Existing {
        /// The inbound policy.
        inbound: &'a Policy,
        /// Its templates.
        templates: &'a [Template],
        /// The ends of the SAs.
        sa_endpoints: Endpoints,
    },
    /// SAs for policies that have to be generated.
    Generated(Grant),
}

/// The right to have policies generated. Only [`authorize`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    holder: Holder,
    outbound: Selector,
    replaces: BTreeSet<Selector>,
}

impl Grant {
    /// For whom.
    pub(crate) fn holder(&self) -> &Holder {
        &self.holder
    }

    /// The outbound selector of the policies.
    pub(crate) fn outbound(&self) -> Selector {
        self.outbound
    }

    /// Outbound selectors of policies that were generated for the same identity elsewhere, and go.
    pub(crate) fn replaces(&self) -> &BTreeSet<Selector> {
        &self.replaces
    }
}

/// For whom policies were generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    endpoints: Endpoints,
    identity: (IdType, Vec<u8>),
    key: KeyOwner,
}

impl From<&Peer<'_>> for Holder {
    fn from(peer: &Peer<'_>) -> Self {
        Self { endpoints: peer.endpoints, identity: peer.identity.id.key(), key: peer.key }
    }
}

impl Holder {
    /// The same identity between the same addresses. Of those who share a key and an address nobody can tell one from the
    /// other.
    pub(crate) fn is_same_peer(&self, peer: &Peer<'_>) -> bool {
        self.endpoints == peer.endpoints && self.identity == peer.identity.id.key()
    }

    /// The same identity, proved by a key that nobody else has. A key that was found by the peer's address proves only that
    /// the peer is there.
    fn is_same_individual(&self, peer: &Peer<'_>) -> bool {
        self.key == KeyOwner::Peer
            && peer.key == KeyOwner::Peer
            && self.endpoints.remote == peer.endpoints.remote
            && self.identity == peer.identity.id.key()
    }
}

/// Why it is not allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    /// For the log and the peer.
    pub(crate) cause: FailureReason,
    /// The outbound selector of policies that were generated for another peer, which may be dead.
    pub(crate) held: Option<Selector>,
}

impl From<FailureReason> for Denial {
    fn from(cause: FailureReason) -> Self {
        Self { cause, held: None }
    }
}

/// Decides whether a peer may have the traffic that it asks for, and by which policies.
///
/// # Errors
/// Why it may not.
pub(crate) fn authorize<'a>(
    environment: &Environment<'a>,
    peer: &Peer<'_>,
    asked: &TrafficRequest<'_>,
) -> Result<Allowed<'a>, Denial> {
    let complex = environment.settings.complex_bundle;
    let proposed = |mode| proposes(asked.suites, mode);
    // A policy that was generated is for exactly what its peer asked for.
    let may_narrow = |policy: &Policy| (environment.holder_of)(policy).is_none();
    let inbound = policy_for(environment.spd, &asked.selector, complex, proposed, may_narrow)
        .map_err(|narrower| several(peer, asked, &narrower))?;
    let gives_way = |policy: &Policy| match (environment.holder_of)(policy) {
        Some(holder) => !holder.is_same_peer(peer),
        None => asked.block.generate_policy != GeneratePolicy::Off && is_default_discard(policy),
    };
    match inbound.filter(|policy| !gives_way(policy)) {
        Some(inbound) => existing(inbound, complex, peer, asked),
        None => generated(environment, peer, asked).map(Allowed::Generated),
    }
}

/// The peer leaves out ports that more than one policy has.
fn several(peer: &Peer<'_>, asked: &TrafficRequest<'_>, narrower: &[&Policy]) -> Denial {
    let named = narrower.iter().map(|policy| policy.selector.mirrored()).collect();
    unusable(&TrafficKey { selector: asked.selector, endpoints: peer.endpoints }, PolicyProblem::Several(named)).into()
}

/// SAs for a policy that is there.
fn existing<'a>(
    inbound: &'a Policy,
    complex: bool,
    peer: &Peer<'_>,
    asked: &TrafficRequest<'_>,
) -> Result<Allowed<'a>, Denial> {
    let traffic_key = TrafficKey { selector: inbound.selector.mirrored(), endpoints: peer.endpoints };
    let unprotected = || unusable(&traffic_key, PolicyProblem::Unprotected(inbound.clone().into()));
    let templates = templates(inbound).ok_or_else(unprotected)?;
    check_tunnel(templates, &traffic_key)?;
    let is_transport = bundle_mode(templates, complex) == Mode::Transport;
    let sa_endpoints = if is_transport && proposes(asked.suites, Mode::Transport) {
        transport_endpoints(peer, asked)?
    } else {
        peer.endpoints
    };
    Ok(Allowed::Existing { inbound, templates, sa_endpoints })
}

/// The tunnel of a policy is one between us and this peer. Another peer's traffic is not for this one to send, however
/// well it has proved who it is.
fn check_tunnel(inbound: &[Template], traffic_key: &TrafficKey) -> Result<(), FailureReason> {
    // The peer is the source of what comes in.
    let Some(Endpoints { local: theirs, remote: ours }) = tunnel_endpoints(inbound) else { return Ok(()) };
    let fits = |end: IpAddr, of_phase1: IpAddr| end.is_unspecified() || end == of_phase1;
    let Endpoints { local, remote } = traffic_key.endpoints;
    if fits(ours, local) && fits(theirs, remote) {
        return Ok(());
    }
    Err(unusable(traffic_key, PolicyProblem::Tunnel { policy: (ours, theirs), phase1: (local, remote) }))
}

fn unusable(traffic_key: &TrafficKey, problem: PolicyProblem) -> FailureReason {
    FailureReason::NoPolicy(MissingPolicy { traffic: traffic_key.selector, problem }.into())
}

/// The ends of SAs in transport mode: those of phase 1, unless we are told that this peer may speak for others. What we send
/// to such an address goes by this peer's SA.
fn transport_endpoints(peer: &Peer<'_>, asked: &TrafficRequest<'_>) -> Result<Endpoints, Denial> {
    let Some(ids) = asked.ids else { return Ok(peer.endpoints) };
    let hosts = ids.local.single_address().zip(ids.remote.single_address());
    match hosts.map(|(local, remote)| Endpoints { local, remote }) {
        Some(hosts) if hosts == peer.endpoints => Ok(hosts),
        Some(hosts) if asked.block.support_proxy && names_both(asked.sainfo, hosts) && is_for(peer, asked) => Ok(hosts),
        _ => Err(not_the_ends(peer, asked)),
    }
}

fn not_the_ends(peer: &Peer<'_>, asked: &TrafficRequest<'_>) -> Denial {
    let Endpoints { local, remote } = peer.endpoints;
    let problem = DenialReason::NotEndpoints { local, remote, support_proxy: asked.block.support_proxy };
    FailureReason::not_authorized(asked.selector, problem).into()
}

/// Whether a sainfo names both addresses.
fn names_both(sainfo: &Sainfo, hosts: Endpoints) -> bool {
    let (Side::Id(local), RemoteSide::Id(remote)) = (&sainfo.local, &sainfo.remote) else { return false };
    local.single_address() == Some(hosts.local) && remote.single_address() == Some(hosts.remote)
}

/// Whether the sainfo is for this peer and no other.
fn is_for(peer: &Peer<'_>, asked: &TrafficRequest<'_>) -> bool {
    let by_block = asked.sainfo.remoteid != 0 && asked.sainfo.remoteid == asked.block.ph1id;
    by_block || (names_a_peer(asked.sainfo) && peer.identity_is_proved(asked.block))
}

fn names_a_peer(sainfo: &Sainfo) -> bool {
    sainfo.from.as_ref().is_some_and(|from| *from != Expected::Anything)
}

/// Policies that have to be generated.
fn generated(environment: &Environment<'_>, peer: &Peer<'_>, asked: &TrafficRequest<'_>) -> Result<Grant, Denial> {
    let traffic_key = TrafficKey { selector: asked.selector, endpoints: peer.endpoints };
    let outbound = asked.selector;
    if asked.block.generate_policy == GeneratePolicy::Off {
        let templates = wanted(asked);
        return Err(missing_policy(environment.spd, Direction::In, &outbound, &templates, peer.endpoints).into());
    }
    // 1. A policy of others is not replaced. The kernel would refuse, too; but here it costs nothing.
    if let Some(direction) = foreign(environment, &outbound) {
        return Err(unusable(&traffic_key, PolicyProblem::Foreign(direction)).into());
    }
    // 2. The traffic is this peer's.
    let denied = |problem: DenialReason| Denial::from(FailureReason::not_authorized(outbound, problem));
    match asked.mode {
        Mode::Transport => {
            let hosts = (Prefix::host(peer.endpoints.local), Prefix::host(peer.endpoints.remote));
            if (outbound.source, outbound.destination) != hosts {
                return Err(not_the_ends(peer, asked));
            }
        }
        Mode::Tunnel if !asked.block.generate_policy_bounds => {}
        Mode::Tunnel if names_a_peer(asked.sainfo) && !peer.identity_is_proved(asked.block) => {
            return Err(denied(DenialReason::Unproved(peer.identity.id.clone())));
        }
        Mode::Tunnel if asked.sainfo.remote == RemoteSide::Anonymous => {
            check_side(environment, peer, &outbound).map_err(denied)?;
        }
        Mode::Tunnel => {}
    }
    // 3. No other peer has it.
    let replaces = replaced(environment, peer, &outbound)?;
    Ok(Grant { holder: Holder::from(peer), outbound, replaces })
}

/// The protocols of the first proposal in the mode that is asked for.
fn wanted(asked: &TrafficRequest<'_>) -> Vec<(Protocol, Mode)> {
    let suite = asked.suites.iter().find(|suite| proposes(std::slice::from_ref(suite), asked.mode));
    let protocols = suite.or(asked.suites.first()).into_iter().flat_map(|suite| &suite.protocols);
    protocols.map(|one| (one.protocol, asked.mode)).collect()
}

/// The direction in which somebody else has a policy with exactly this selector.
fn foreign(environment: &Environment<'_>, outbound: &Selector) -> Option<Direction> {
    [Direction::In, Direction::Forward, Direction::Out].into_iter().find(|direction| {
        let selector = if *direction == Direction::Out { *outbound } else { outbound.mirrored() };
        environment.spd.exact(*direction, &selector).is_some_and(|policy| (environment.holder_of)(policy).is_none())
    })
}

/// The peer's side, where no sainfo names it: one host or one subnet, and nobody else's.
///
/// # Errors
/// Whose it is.
fn check_side(environment: &Environment<'_>, peer: &Peer<'_>, outbound: &Selector) -> Result<(), DenialReason> {
    let side = outbound.destination;
    if side.length() == 0 {
        return Err(DenialReason::Everything);
    }
    if special().iter().any(|one| one.overlaps(side)) {
        return Err(DenialReason::NotUnicast(side));
    }
    if link_local().iter().any(|one| one.overlaps(side)) && side != Prefix::host(peer.endpoints.remote) {
        return Err(DenialReason::LinkLocal(side));
    }
    if let Some(own) = environment.addresses.range(side.address()..=side.last()).next() {
        return Err(DenialReason::OwnAddress(side, *own));
    }
    if let Some(other) = environment.settings.remotes.addresses_in(side).find(|other| *other != peer.endpoints.remote) {
        return Err(DenialReason::OtherRemote(side, other));
    }
    if environment.settings.sainfos.names_remote_side(side) {
        return Err(DenialReason::OtherSainfo(side));
    }
    let is_static = |policy: &&Policy| (environment.holder_of)(policy).is_none() && !is_default_discard(policy);
    let mut there = environment.spd.at_remote_side(side).filter(is_static);
    match there.find(|policy| claims(policy, outbound, peer)) {
        Some(policy) => {
            let Selector { source, destination, .. } = policy.selector;
            Err(DenialReason::Policy { side, direction: policy.direction, source, destination })
        }
        None => Ok(()),
    }
}

/// Prefixes whose addresses every link has: of routers and other neighbours of ours, too.
fn link_local() -> [Prefix; 2] {
    [
        Prefix::new(Ipv4Addr::new(169, 254, 0, 0).into(), 16),
        Prefix::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0).into(), 10),
    ]
}

/// Prefixes that are nobody's side: unspecified, loopback, multicast, and IPv4 addresses written as IPv6 ones.
fn special() -> [Prefix; 7] {
    [
        Prefix::new(Ipv4Addr::UNSPECIFIED.into(), 8),
        Prefix::new(Ipv4Addr::LOCALHOST.into(), 8),
        Prefix::new(Ipv4Addr::new(224, 0, 0, 0).into(), 3),
        Prefix::host(Ipv6Addr::UNSPECIFIED.into()),
        Prefix::host(Ipv6Addr::LOCALHOST.into()),
        Prefix::new(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0).into(), 8),
        Prefix::new(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().into(), 96),
    ]
}

/// Whether a policy gives the peer's side of `outbound` to somebody else: as the side of another peer, or as the end of its
/// tunnel. A policy for everywhere does so only for packets that are for both.
fn claims(policy: &Policy, outbound: &Selector, peer: &Peer<'_>) -> bool {
    let side = outbound.destination;
    let is_end = |end: IpAddr| end != peer.endpoints.remote && side.contains(Prefix::host(end));
    remote_ends(policy).any(is_end)
        || remote_sides(policy).any(|one| one.overlaps(side) && (one.length() > 0 || covers_some(policy, outbound)))
}

/// Whether a packet could be for both a policy and what is asked for.
fn covers_some(policy: &Policy, outbound: &Selector) -> bool {
    let own = if policy.direction == Direction::Out { policy.selector } else { policy.selector.mirrored() };
    let same = |one: u16, other: u16| one == 0 || other == 0 || one == other;
    own.source.overlaps(outbound.source)
        && own.destination.overlaps(outbound.destination)
        && same(own.protocol.into(), outbound.protocol.into())
        && same(own.source_port, outbound.source_port)
        && same(own.destination_port, outbound.destination_port)
}

/// A policy that drops whatever no other policy is for.
fn is_default_discard(policy: &Policy) -> bool {
    let Selector { source, destination, .. } = policy.selector;
    policy.action == Action::Discard && source.length() == 0 && destination.length() == 0
}

/// The peers' side of a policy; of what is forwarded and not protected, either side may be.
pub(crate) fn remote_sides(policy: &Policy) -> impl Iterator<Item = Prefix> + use<> {
    let Selector { source, destination, .. } = policy.selector;
    let sides = match policy.direction {
        // What comes out of a tunnel is checked when it is forwarded: its source is the peer's.
        Direction::Forward if templates(policy).is_some() => [Some(source), None],
        Direction::In => [Some(source), None],
        Direction::Out => [None, Some(destination)],
        Direction::Forward => [Some(source), Some(destination)],
    };
    sides.into_iter().flatten()
}

/// The ends of a policy's tunnels that are not ours.
pub(crate) fn remote_ends(policy: &Policy) -> impl Iterator<Item = IpAddr> {
    let is_out = policy.direction == Direction::Out;
    let endpoints = templates(policy).unwrap_or_default().iter().filter_map(|template| template.endpoints);
    endpoints.map(move |(source, destination)| if is_out { destination } else { source })
}

/// Policies that were generated for the same individual elsewhere. Those of the same peer here stay.
///
/// # Errors
/// Another peer has what is asked for.
fn replaced(environment: &Environment<'_>, peer: &Peer<'_>, outbound: &Selector) -> Result<BTreeSet<Selector>, Denial> {
    let mut replaced = BTreeSet::new();
    let mut seen = HashSet::new();
    for policy in environment.spd.at_remote_side(outbound.destination) {
        let Some(holder) = (environment.holder_of)(policy) else { continue };
        if holder.is_same_peer(peer) || !seen.insert((policy.direction, policy.selector)) {
            continue;
        }
        let held = if policy.direction == Direction::Out { policy.selector } else { policy.selector.mirrored() };
        if holder.is_same_individual(peer) {
            replaced.insert(held);
        } else if remote_ends(policy)
            .any(|end| end != peer.endpoints.remote && outbound.destination.contains(Prefix::host(end)))
            || held.destination.overlaps(outbound.destination)
        {
            let problem = DenialReason::InUse(held.destination, holder.endpoints.remote);
            return Err(Denial { cause: FailureReason::not_authorized(*outbound, problem), held: Some(held) });
        }
    }
    Ok(replaced)
}

#[cfg(test)]
mod tests;
