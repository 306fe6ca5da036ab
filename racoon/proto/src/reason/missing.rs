//! Remote sections, sainfos and policies that a negotiation needs and the configuration does not have.

use std::net::IpAddr;

use crate::config::{RemoteSide, Sainfo, Side};
use crate::identity::{Expected, Identity};
use crate::kernel::{Direction, KernelError, Policy, Selector};
use crate::num::ExchangeType;

/// Maximum number of sections or policies that the reason of a failure names.
pub(crate) const NAMED_MAX: usize = 4;

/// The first few of a list, and the number of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named<T> {
    /// The first ones.
    pub first: Vec<T>,
    /// The number of the others.
    pub more: usize,
}

impl<T> Named<T> {
    /// Takes the first of a list of known length and does not iterate over the others, so that an unknown peer cannot cause work in
    /// proportion to the configuration.
    pub(crate) fn first_of(all: impl ExactSizeIterator<Item = T>) -> Self {
        let more = all.len().saturating_sub(NAMED_MAX);
        Self { first: all.take(NAMED_MAX).collect(), more }
    }
}

impl<T> FromIterator<T> for Named<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut all = all.into_iter();
        let first = all.by_ref().take(NAMED_MAX).collect();
        Self { first, more: all.count() }
    }
}

/// The reason why no remote section can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissingRemote {
    /// None matches the peer's address.
    Address {
        /// The address.
        peer: IpAddr,
        /// The names of the sections that exist.
        present: Named<String>,
    },
    /// None of those for the peer allows the exchange.
    Exchange {
        /// The exchange.
        exchange: ExchangeType,
        /// Their names and exchanges.
        present: Named<(String, Vec<ExchangeType>)>,
    },
    /// All of those for the peer are passive.
    Passive {
        /// The peer's address.
        peer: IpAddr,
        /// Their names.
        present: Named<String>,
    },
    /// Several match equally well.
    Ambiguous(Named<String>),
    /// It was removed from the configuration.
    Removed,
}

/// The reason why no policy can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPolicy {
    /// The traffic, as an outbound selector.
    pub traffic: Selector,
    /// The problem.
    pub problem: PolicyProblem,
}

/// A problem of the policies for some traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyProblem {
    /// No policy matches.
    Missing {
        /// The policy that is needed.
        needed: Box<Policy>,
        /// The most similar policy.
        nearest: Option<Box<Policy>>,
    },
    /// The policy does not protect its packets.
    Unprotected(Box<Policy>),
    /// The policy's tunnel has other endpoints than phase 1.
    Tunnel {
        /// Our endpoint of the tunnel and the other one.
        policy: (IpAddr, IpAddr),
        /// Our address in phase 1 and the peer's.
        phase1: (IpAddr, IpAddr),
    },
    /// None is generated, because another program has set one with this selector.
    Foreign(Direction),
    /// None is generated, because all reqids for unique policies are taken.
    NoReqid,
    /// None is generated, because the kernel refuses it.
    Kernel(Box<KernelError>),
    /// The peer omits ports, and several policies with ports match: their selectors.
    Several(Named<Selector>),
    /// Our side of the policy is this address, which the daemon does not use.
    NotOurs(IpAddr),
}

/// No sainfo matches the traffic and the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingSainfo {
    /// The traffic, as an outbound selector.
    pub traffic: Selector,
    /// The peer's identity in phase 1, if it is known.
    pub peer: Option<Identity>,
    /// `ph1id` of the remote section, which must equal `remoteid` of the sainfo.
    pub ph1id: u32,
    /// The sainfos that exist, the most similar first.
    pub present: Named<SainfoName>,
}

/// The traffic and the peers of a sainfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SainfoName {
    /// Our side of the traffic.
    pub local: Side,
    /// The peer's side.
    pub remote: RemoteSide,
    /// The identity of its peers, if there is a restriction.
    pub from: Option<Expected>,
    /// The group of its users, if there is a restriction.
    pub group: Option<String>,
    /// The `ph1id` of its remote sections; 0 for no restriction.
    pub remoteid: u32,
}

impl From<&Sainfo> for SainfoName {
    fn from(sainfo: &Sainfo) -> Self {
        let Sainfo { local, remote, from, group, remoteid, .. } = sainfo;
        let (local, remote, from, group) = (local.clone(), remote.clone(), from.clone(), group.clone());
        Self { local, remote, from, group, remoteid: *remoteid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_list_is_not_iterated_over() {
        let mut looked_at = 0;
        let named = Named::first_of((0..10_000_u32).inspect(|_| looked_at += 1));
        assert_eq!((named.first, named.more, looked_at), (vec![0, 1, 2, 3], 9_996, NAMED_MAX));
        let few = Named::first_of([7_u32].into_iter());
        assert_eq!((few.first, few.more), (vec![7], 0));
    }
}
