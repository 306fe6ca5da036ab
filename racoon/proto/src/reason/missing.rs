//! What a negotiation needs and the configuration does not have: remote sections, sainfos and policies.

use std::net::IpAddr;

use crate::config::{RemoteSide, Sainfo, Side};
use crate::identity::{Expected, Identity};
use crate::kernel::{Direction, KernelError, Policy, Selector};
use crate::num::ExchangeType;

/// More entries than this of a configuration are not named in a failure.
pub(crate) const NAMED_MAX: usize = 4;

/// The first few of several, and how many there are besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named<T> {
    /// The first ones.
    pub first: Vec<T>,
    /// How many more there are.
    pub more: usize,
}

impl<T> Named<T> {
    /// Takes the first of several whose number is known, and does not look at the others: what unknown peers cause costs the same
    /// however many there are.
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

/// Why no remote section can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MissingRemote {
    /// None is for the peer's address.
    Address {
        /// The address.
        peer: IpAddr,
        /// The names of those that there are.
        present: Named<String>,
    },
    /// Those for the peer do not have the exchange that it begins with.
    Exchange {
        /// The exchange.
        exchange: ExchangeType,
        /// Their names and exchanges.
        present: Named<(String, Vec<ExchangeType>)>,
    },
    /// Those for the peer are passive.
    Passive {
        /// Its address.
        peer: IpAddr,
        /// Their names.
        present: Named<String>,
    },
    /// Several fit equally well.
    Ambiguous(Named<String>),
    /// It was removed from the configuration.
    Removed,
}

/// Why no policy can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingPolicy {
    /// The traffic, as an outbound selector.
    pub traffic: Selector,
    /// What is missing.
    pub problem: PolicyProblem,
}

/// What is wrong with the policies for some traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyProblem {
    /// There is none.
    Missing {
        /// The one that is needed.
        needed: Box<Policy>,
        /// The one that comes closest to it.
        nearest: Option<Box<Policy>>,
    },
    /// It does not protect its packets.
    Unprotected(Box<Policy>),
    /// Its tunnel has other ends than phase 1.
    Tunnel {
        /// Our end of its tunnel and the other one.
        policy: (IpAddr, IpAddr),
        /// Our end of phase 1 and the peer's.
        phase1: (IpAddr, IpAddr),
    },
    /// None is generated, because somebody else has one with this selector.
    Foreign(Direction),
    /// None is generated, because all reqids for unique policies are taken.
    NoReqid,
    /// None is generated, because the kernel refuses it.
    Kernel(Box<KernelError>),
    /// The peer leaves out the ports, and several policies have some: their selectors.
    Several(Named<Selector>),
    /// Our end of the policy is no address that we use.
    NotOurs(IpAddr),
}

/// No sainfo is for the traffic and the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingSainfo {
    /// The traffic, as an outbound selector.
    pub traffic: Selector,
    /// The peer's identity in phase 1, if it is known.
    pub peer: Option<Identity>,
    /// `ph1id` of the remote section, which `remoteid` of a sainfo has to be equal to.
    pub ph1id: u32,
    /// Those that there are, the nearest first.
    pub present: Named<SainfoName>,
}

/// What a sainfo is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SainfoName {
    /// Our side of the traffic.
    pub local: Side,
    /// The peer's side.
    pub remote: RemoteSide,
    /// Only for peers with this identity.
    pub from: Option<Expected>,
    /// Only for members of this group.
    pub group: Option<String>,
    /// Only for remote sections with this `ph1id`, if it is not 0.
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
    fn the_first_of_many_are_taken_and_no_others_looked_at() {
        let mut looked_at = 0;
        let named = Named::first_of((0..10_000_u32).inspect(|_| looked_at += 1));
        assert_eq!((named.first, named.more, looked_at), (vec![0, 1, 2, 3], 9_996, NAMED_MAX));
        let few = Named::first_of([7_u32].into_iter());
        assert_eq!((few.first, few.more), (vec![7], 0));
    }
}
