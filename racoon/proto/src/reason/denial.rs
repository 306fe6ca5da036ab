//! The reasons why a peer may not have some traffic.

use std::net::IpAddr;

use super::FailureReason;
use crate::identity::Identity;
use crate::kernel::{Direction, Prefix, Selector};

/// Traffic that a peer may not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The traffic, as an outbound selector.
    pub traffic: Selector,
    /// The reason.
    pub problem: DenialReason,
}

/// The reason why a peer may not have the traffic that it requests. A peer's *side* is the part of the selector that names addresses
/// behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DenialReason {
    /// In transport mode the identities are not the endpoints of phase 1.
    NotEndpoints {
        /// Our address in phase 1.
        local: IpAddr,
        /// The peer's address in phase 1.
        remote: IpAddr,
        /// Whether `support_proxy` is on, so that a sainfo could permit it.
        support_proxy: bool,
    },
    /// The sainfo is for this identity, which the peer claims but does not prove.
    Unproved(Identity),
    /// The peer's side is all addresses.
    Everything,
    /// The peer's side contains addresses that are not unicast.
    NotUnicast(Prefix),
    /// The peer's side contains link-local addresses.
    LinkLocal(Prefix),
    /// The peer's side contains an address of this host.
    OwnAddress(Prefix, IpAddr),
    /// The peer's side contains the address of another remote section.
    OtherRemote(Prefix, IpAddr),
    /// The peer's side overlaps one that another sainfo names.
    OtherSainfo(Prefix),
    /// The peer's side overlaps a policy of another program.
    Policy {
        /// The peer's side.
        side: Prefix,
        /// Direction of the policy.
        direction: Direction,
        /// Source of its packets.
        source: Prefix,
        /// Destination of its packets.
        destination: Prefix,
    },
    /// Another peer, at this address, has a side that overlaps.
    InUse(Prefix, IpAddr),
    /// The policies for the traffic were generated for another peer.
    GeneratedForAnother,
}

impl FailureReason {
    /// The reason of a peer that may not have `traffic`.
    pub(crate) fn not_authorized(traffic: Selector, problem: DenialReason) -> Self {
        Self::NotAuthorized(Box::new(Denied { traffic, problem }))
    }
}
