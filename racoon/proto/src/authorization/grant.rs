//! The permission to generate policies, and the policies that are generated with it.

use std::collections::BTreeSet;

use super::Peer;
use crate::kernel::{Direction, Mode, Policy, PolicyAction, Selector, Template};
use crate::num::IdType;
use crate::phase1::KeyOwner;
use crate::phase2::traffic::Endpoints;

/// Default priority of a policy, on kernels with priorities.
const PRIORITY: u32 = 0x8000_0000;

/// The permission to generate policies. Only [`authorize`](super::authorize) creates one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    holder: Holder,
    outbound: Selector,
    replaces: BTreeSet<Selector>,
}

impl Grant {
    /// Creates the permission for a peer to have the traffic of a selector.
    pub(super) fn new(peer: &Peer<'_>, outbound: Selector, replaces: BTreeSet<Selector>) -> Self {
        Self { holder: Holder::from(peer), outbound, replaces }
    }

    /// The peer that the policies are for.
    pub(crate) fn holder(&self) -> &Holder {
        &self.holder
    }

    /// The outbound selector of the policies.
    pub(crate) fn outbound(&self) -> Selector {
        self.outbound
    }

    /// The outbound selectors of policies to delete, which were generated for the same identity at another address of ours.
    pub(crate) fn replaces(&self) -> &BTreeSet<Selector> {
        &self.replaces
    }

    /// Creates the policies, of which the outbound one has these templates. Their selectors and tunnels are those of the permission.
    pub(crate) fn policies(&self, templates: &[Template]) -> Vec<GrantedPolicy> {
        let is_tunnel = templates.iter().any(|template| template.mode == Mode::Tunnel);
        // The inner packets of a tunnel may be for hosts behind this one.
        let forward = is_tunnel.then_some(Direction::Forward);
        let directions = [Some(Direction::In), forward, Some(Direction::Out)].into_iter().flatten();
        directions.map(|direction| self.policy(direction, templates)).collect()
    }

    fn policy(&self, direction: Direction, templates: &[Template]) -> GrantedPolicy {
        let Endpoints { local, remote } = self.holder.endpoints;
        let (selector, tunnel) = match direction {
            Direction::Out => (self.outbound, (local, remote)),
            Direction::In | Direction::Forward => (self.outbound.mirrored(), (remote, local)),
        };
        let template = |one: &Template| Template { endpoints: (one.mode == Mode::Tunnel).then_some(tunnel), ..*one };
        let action = PolicyAction::Protect(templates.iter().map(template).collect());
        GrantedPolicy(Policy { index: 0, direction, selector, action, priority: PRIORITY })
    }
}

/// A policy that may be added to the kernel, because its peer was authorized to have the traffic.
///
/// Only the engine's authorization creates one, so nothing else can create a request to add a policy
/// ([`KernelRequest::AddPolicy`](crate::kernel::KernelRequest::AddPolicy)). This does not compile:
///
/// ```compile_fail
/// use racoon_proto::kernel::{GrantedPolicy, KernelRequest, Policy, RequestId};
///
/// fn add(policy: Policy) -> KernelRequest {
///     KernelRequest::AddPolicy(RequestId(1), GrantedPolicy(policy))
/// }
/// ```
///
/// With a policy that was granted it does:
///
/// ```
/// use racoon_proto::kernel::{GrantedPolicy, KernelRequest, Policy, RequestId};
///
/// fn add(policy: GrantedPolicy) -> KernelRequest {
///     KernelRequest::AddPolicy(RequestId(1), policy)
/// }
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct GrantedPolicy(Policy);

impl GrantedPolicy {
    /// The policy. Its index is 0, because the kernel has not assigned one yet.
    pub fn policy(&self) -> &Policy {
        &self.0
    }
}

impl From<GrantedPolicy> for Policy {
    fn from(granted: GrantedPolicy) -> Self {
        granted.0
    }
}

/// The peer that policies were generated for.
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
    /// The addresses between which it was authenticated.
    pub(super) fn endpoints(&self) -> Endpoints {
        self.endpoints
    }

    /// Whether it is the same identity between the same addresses. Peers that share a key and an address cannot be distinguished.
    pub(crate) fn is_same_peer(&self, peer: &Peer<'_>) -> bool {
        self.endpoints == peer.endpoints && self.identity == peer.identity.id.key()
    }

    /// Whether it is the same identity, proved by a key that nobody else has. A key that was found by the peer's address proves only
    /// the address.
    pub(super) fn is_same_individual(&self, peer: &Peer<'_>) -> bool {
        // Members of a group could otherwise take over each other's policies.
        self.key != KeyOwner::Group
            && peer.key == self.key
            && self.endpoints.remote == peer.endpoints.remote
            && self.identity == peer.identity.id.key()
    }
}
