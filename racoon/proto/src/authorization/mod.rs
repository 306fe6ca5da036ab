//! Decides which traffic a peer may have, for every policy and every SA that is created at a peer's request.
//!
//! An authenticated peer may affect its own traffic, and nobody else's. [`authorize`] decides from the peer's identity ([`Peer`]),
//! its request ([`TrafficRequest`]), and the policies and the configuration ([`Environment`]). It has no side effects. Only its
//! [`Grant`] creates a [`GrantedPolicy`], and only that can be added to the kernel.
//!
//! | existing policy | mode | allowed |
//! |---|---|---|
//! | one that others have set | tunnel | if its tunnel is between the endpoints of phase 1 |
//! | | transport | if the identities are the endpoints of phase 1, or `support_proxy` and a sainfo for this peer name them |
//! | one that others have set, with narrower ports | transport | the same, if it is the only one and the identities have port 0 |
//! | one that was generated for this peer | either | the same |
//! | none | transport | `generate_policy`, if the identities are the endpoints of phase 1 |
//! | | tunnel | `generate_policy`, if a sainfo names the peer's side, or if that is limited and belongs to no other peer |

mod grant;
mod side;

use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;

use crate::config::{GeneratePolicy, Remote, RemoteSide, Sainfo, Side};
use crate::identity::Expected;
use crate::kernel::{Direction, Mode, Policy, Prefix, Selector, Template};
use crate::num::Protocol;
use crate::path::Path;
use crate::phase1::{KeyOwner, PeerIdentity, Phase1Sa};
use crate::phase2::TrafficKey;
use crate::phase2::bundle::proposes;
use crate::phase2::traffic::{Endpoints, Identities, bundle_mode, policy_for, templates, tunnel_endpoints};
use crate::proposal::encoding::Suite;
use crate::reason::{DenialReason, FailureReason, MissingPolicy, PolicyProblem};
use crate::settings::Settings;
use crate::spd::{Spd, missing_policy};
pub use grant::GrantedPolicy;
pub(crate) use grant::{Grant, Holder};
use side::{check_side, is_default_discard};
pub(crate) use side::{remote_endpoints, remote_sides};

/// The peer that makes a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer<'a> {
    /// The endpoints of its phase 1.
    pub(crate) endpoints: Endpoints,
    /// Its identity.
    pub(crate) identity: &'a PeerIdentity,
    /// The owner of the key that has proved the identity.
    pub(crate) key: KeyOwner,
}

impl<'a> Peer<'a> {
    /// The peer of an ISAKMP SA, at the end of its path.
    pub(crate) fn new(sa: &'a Phase1Sa, path: Path) -> Self {
        Self { endpoints: Endpoints::of(path), identity: &sa.peer, key: sa.key }
    }

    /// Whether its identity is proved: by a certificate, or by a key of its own that belongs to the address that the identity
    /// names, or to that of a remote section that verifies the identity.
    fn identity_is_proved(&self, section: &Remote) -> bool {
        let is_address = self.identity.id.single_address() == Some(self.endpoints.remote);
        let is_verified = || {
            let matches = |one: &Expected| *one != Expected::Anything && one.matches(self.identity.claimed());
            section.verify_identifier && section.peers_identifiers.iter().any(matches)
        };
        match self.key {
            KeyOwner::Identity => true,
            KeyOwner::Peer => is_address || is_verified(),
            KeyOwner::Group => false,
        }
    }
}

/// The traffic that a peer requests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrafficRequest<'a> {
    /// The identities of quick mode; `None` for the endpoints of phase 1.
    pub(crate) ids: Option<&'a Identities>,
    /// The outbound selector that the identities stand for.
    pub(crate) selector: Selector,
    /// The proposals.
    pub(crate) suites: &'a [Suite],
    /// The mode of the proposal for which a policy would be generated.
    pub(crate) mode: Mode,
    /// The sainfo for the traffic.
    pub(crate) sainfo: &'a Sainfo,
    /// The peer's remote section.
    pub(crate) remote_section: &'a Remote,
}

/// What the decision depends on besides the peer and its request.
#[derive(Clone, Copy)]
pub(crate) struct Environment<'a> {
    /// The kernel's policies.
    pub(crate) spd: &'a Spd,
    /// Returns the peer that a policy was generated for; `None` if others have set it.
    pub(crate) holder_of: &'a dyn Fn(&Policy) -> Option<&'a Holder>,
    /// All addresses of this host.
    pub(crate) addresses: &'a BTreeSet<IpAddr>,
    /// The configuration.
    pub(crate) settings: &'a Settings,
}

/// What a peer is allowed.
#[derive(Debug)]
pub(crate) enum Allowed<'a> {
    /// SAs for an existing policy.
    Existing {
        /// The inbound policy.
        inbound: &'a Policy,
        /// Its templates.
        templates: &'a [Template],
        /// The endpoints of the SAs.
        sa_endpoints: Endpoints,
    },
    /// SAs for policies that are generated.
    Generated(Grant),
}

/// The reason why a request is denied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    /// The reason for the log and the peer.
    pub(crate) reason: FailureReason,
    /// The outbound selector of policies that were generated for another peer, which may be dead.
    pub(crate) held: Option<Box<Selector>>,
}

impl From<FailureReason> for Denial {
    fn from(reason: FailureReason) -> Self {
        Self { reason, held: None }
    }
}

/// Decides whether a peer may have the traffic that it requests, and by which policies.
///
/// # Errors
/// If it may not.
pub(crate) fn authorize<'a>(
    environment: &Environment<'a>,
    peer: &Peer<'_>,
    asked: &TrafficRequest<'_>,
) -> Result<Allowed<'a>, Denial> {
    let complex = environment.settings.complex_bundle;
    let proposed = |mode| proposes(asked.suites, mode);
    // A generated policy is for exactly the traffic that its peer requested.
    let may_narrow = |policy: &Policy| (environment.holder_of)(policy).is_none();
    let inbound = policy_for(environment.spd, &asked.selector, complex, proposed, may_narrow)
        .map_err(|narrower| several(peer, asked, &narrower))?;
    let gives_way = |policy: &Policy| match (environment.holder_of)(policy) {
        Some(holder) => !holder.is_same_peer(peer),
        // A policy that discards everything is for traffic without a policy of its own.
        None => asked.remote_section.generate_policy != GeneratePolicy::Off && is_default_discard(policy),
    };
    match inbound.filter(|policy| !gives_way(policy)) {
        Some(inbound) => existing(inbound, complex, peer, asked),
        None => generated(environment, peer, asked).map(Allowed::Generated),
    }
}

/// The denial of a peer that omits the ports by which several policies differ.
fn several(peer: &Peer<'_>, asked: &TrafficRequest<'_>, narrower: &[&Policy]) -> Denial {
    let named = narrower.iter().map(|policy| policy.selector.mirrored()).collect();
    unusable(&TrafficKey { selector: asked.selector, endpoints: peer.endpoints }, PolicyProblem::Several(named)).into()
}

/// Authorizes SAs for an existing policy.
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

/// Checks that the tunnel of a policy is between us and this peer. An authenticated peer may not send the traffic of another one.
fn check_tunnel(inbound: &[Template], traffic_key: &TrafficKey) -> Result<(), FailureReason> {
    // The peer is the source of inbound packets.
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

/// The endpoints of SAs in transport mode: those of phase 1, unless the configuration allows this peer to act for others. Packets
/// to such an address are sent under this peer's SA.
fn transport_endpoints(peer: &Peer<'_>, asked: &TrafficRequest<'_>) -> Result<Endpoints, Denial> {
    let Some(ids) = asked.ids else { return Ok(peer.endpoints) };
    let hosts = ids.local.single_address().zip(ids.remote.single_address());
    match hosts.map(|(local, remote)| Endpoints { local, remote }) {
        Some(hosts) if hosts == peer.endpoints => Ok(hosts),
        Some(hosts) if asked.remote_section.support_proxy && names_both(asked.sainfo, hosts) && is_for(peer, asked) => {
            Ok(hosts)
        }
        _ => Err(not_the_endpoints(peer, asked)),
    }
}

fn not_the_endpoints(peer: &Peer<'_>, asked: &TrafficRequest<'_>) -> Denial {
    let Endpoints { local, remote } = peer.endpoints;
    let problem = DenialReason::NotEndpoints { local, remote, support_proxy: asked.remote_section.support_proxy };
    FailureReason::not_authorized(asked.selector, problem).into()
}

/// Whether a sainfo names both addresses.
fn names_both(sainfo: &Sainfo, hosts: Endpoints) -> bool {
    let (Side::Id(local), RemoteSide::Id(remote)) = (&sainfo.local, &sainfo.remote) else { return false };
    local.single_address() == Some(hosts.local) && remote.single_address() == Some(hosts.remote)
}

/// Whether the sainfo is for this peer and no other.
fn is_for(peer: &Peer<'_>, asked: &TrafficRequest<'_>) -> bool {
    let by_ph1id = asked.sainfo.remoteid != 0 && asked.sainfo.remoteid == asked.remote_section.ph1id;
    by_ph1id || (names_a_peer(asked.sainfo) && peer.identity_is_proved(asked.remote_section))
}

fn names_a_peer(sainfo: &Sainfo) -> bool {
    sainfo.from.as_ref().is_some_and(|from| *from != Expected::Anything)
}

/// Authorizes policies that are generated.
fn generated(environment: &Environment<'_>, peer: &Peer<'_>, asked: &TrafficRequest<'_>) -> Result<Grant, Denial> {
    let traffic_key = TrafficKey { selector: asked.selector, endpoints: peer.endpoints };
    let outbound = asked.selector;
    if asked.remote_section.generate_policy == GeneratePolicy::Off {
        let templates = wanted(asked);
        return Err(missing_policy(environment.spd, Direction::In, &outbound, &templates, peer.endpoints).into());
    }
    // 1. A policy of others is not replaced. The kernel would refuse, too, but only after a negotiation.
    if let Some(direction) = foreign(environment, &outbound) {
        return Err(unusable(&traffic_key, PolicyProblem::Foreign(direction)).into());
    }
    // 2. The traffic belongs to this peer.
    let denied = |problem: DenialReason| Denial::from(FailureReason::not_authorized(outbound, problem));
    match asked.mode {
        Mode::Transport => {
            let hosts = (Prefix::host(peer.endpoints.local), Prefix::host(peer.endpoints.remote));
            if (outbound.source, outbound.destination) != hosts {
                return Err(not_the_endpoints(peer, asked));
            }
        }
        // The administrator has decided to trust all peers of this section.
        Mode::Tunnel if !asked.remote_section.generate_policy_bounds => {}
        Mode::Tunnel if names_a_peer(asked.sainfo) && !peer.identity_is_proved(asked.remote_section) => {
            return Err(denied(DenialReason::Unproved(peer.identity.id.clone())));
        }
        Mode::Tunnel if asked.sainfo.remote == RemoteSide::Anonymous => {
            check_side(environment, peer, &outbound).map_err(denied)?;
        }
        Mode::Tunnel => {}
    }
    // 3. No other peer has it.
    let replaces = replaced(environment, peer, &outbound)?;
    Ok(Grant::new(peer, outbound, replaces))
}

/// The protocols of the first proposal in the requested mode.
fn wanted(asked: &TrafficRequest<'_>) -> Vec<(Protocol, Mode)> {
    let suite = asked.suites.iter().find(|suite| proposes(std::slice::from_ref(suite), asked.mode));
    let protocols = suite.or(asked.suites.first()).into_iter().flat_map(|suite| &suite.protocols);
    protocols.map(|one| (one.protocol, asked.mode)).collect()
}

/// The direction in which others have set a policy with exactly this selector.
fn foreign(environment: &Environment<'_>, outbound: &Selector) -> Option<Direction> {
    [Direction::In, Direction::Forward, Direction::Out].into_iter().find(|direction| {
        let selector = if *direction == Direction::Out { *outbound } else { outbound.mirrored() };
        environment.spd.exact(*direction, &selector).is_some_and(|policy| (environment.holder_of)(policy).is_none())
    })
}

/// The policies that were generated for the same identity at another address of ours. Those of the same peer at this address stay.
///
/// # Errors
/// If another peer has the requested traffic.
fn replaced(environment: &Environment<'_>, peer: &Peer<'_>, outbound: &Selector) -> Result<BTreeSet<Selector>, Denial> {
    let mut replaced = BTreeSet::new();
    let mut seen = HashSet::new();
    for policy in environment.spd.at_remote_side(outbound.destination) {
        let Some(holder) = (environment.holder_of)(policy) else { continue };
        // A policy is found twice if both its side and its tunnel endpoint are within the requested side.
        if holder.is_same_peer(peer) || !seen.insert((policy.direction, policy.selector)) {
            continue;
        }
        let held = if policy.direction == Direction::Out { policy.selector } else { policy.selector.mirrored() };
        if holder.is_same_individual(peer) {
            replaced.insert(held);
        } else if remote_endpoints(policy)
            .any(|end| end != peer.endpoints.remote && outbound.destination.contains(Prefix::host(end)))
            || held.destination.overlaps(outbound.destination)
        {
            let problem = DenialReason::InUse(held.destination, holder.endpoints().remote);
            return Err(Denial {
                reason: FailureReason::not_authorized(*outbound, problem),
                held: Some(Box::new(held)),
            });
        }
    }
    Ok(replaced)
}

#[cfg(test)]
mod tests;
