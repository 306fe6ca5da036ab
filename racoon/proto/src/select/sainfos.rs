//! Selects the sainfo for a phase 2.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

use crate::config::{RemoteSide, Sainfo, Side};
use crate::identity::{Claimed, Expected, Identity};
use crate::kernel::{Prefix, Selector};
use crate::num::IdType;
use crate::phase2::traffic::enclosing_prefix;
use crate::reason::{MissingSainfo, Named, SainfoName};
use crate::spd::Prefixes;

/// Number of sainfos that are compared to find the most similar ones.
const COMPARED_MAX: usize = 1024;

/// The index of a sainfo of [`Sainfos`], in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SainfoIndex(usize);

/// All sainfos, indexed by the identities that they name.
#[derive(Debug, Default)]
pub struct Sainfos {
    sections: Vec<Sainfo>,
    buckets: HashMap<Key, Bucket>,
    /// Remote ends that sainfos name, except those that cover all addresses.
    remote_sides: Prefixes<SainfoIndex>,
}

/// The traffic that a phase 2 will protect, and its peer.
#[derive(Clone, Copy, Debug)]
pub struct SainfoQuery<'a> {
    /// Our identity in phase 2.
    pub local: &'a Identity,
    /// The peer's identity in phase 2.
    pub remote: &'a Identity,
    /// The peer's identity in phase 1; `None` before phase 1, when every `from` matches.
    pub claimed: Option<Claimed<'a>>,
    /// The address that was assigned to the peer, or else its source address; `None` for an initiator.
    pub client: Option<IpAddr>,
    /// The `ph1id` of the remote section.
    pub remoteid: u32,
}

/// The parts of an identity that are compared: type, protocol and bytes, but not the port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct IdKey {
    kind: IdType,
    protocol: u8,
    data: Vec<u8>,
}

impl From<&Identity> for IdKey {
    fn from(id: &Identity) -> Self {
        let (kind, data) = id.key();
        Self { kind, protocol: id.protocol, data }
    }
}

/// One side of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Pattern {
    Anonymous,
    ClientAddress,
    Id(IdKey),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    remoteid: u32,
    local: Pattern,
    remote: Pattern,
}

/// The rank of a sainfo: its priority, then its place in the file. The smallest one is selected.
type Rank = (Reverse<u8>, SainfoIndex);

/// The sainfos of one key, by the peers that they are for. Each list is in order of rank.
#[derive(Debug, Default)]
struct Bucket {
    all: Vec<Rank>,
    for_anybody: Vec<Rank>,
    for_one: HashMap<(IdType, Vec<u8>), Vec<Rank>>,
    for_names: Vec<Rank>,
}

impl Sainfos {
    /// Indexes the sainfos, given in the order of the file.
    pub fn new(sections: Vec<Sainfo>) -> Self {
        let mut sainfos = Self { sections, ..Self::default() };
        for (at, section) in sainfos.sections.iter().enumerate() {
            // A side that covers all addresses does not reserve any of them for its peer.
            if let RemoteSide::Id(id) = &section.remote
                && let Some(side) = enclosing_prefix(id).filter(|side| side.length() > 0)
            {
                sainfos.remote_sides.insert(side, SainfoIndex(at));
            }
        }
        // Sorted, so that each list below is in order of rank.
        let mut ranks = sainfos.iter().map(|(index, section)| (Reverse(section.priority()), index)).collect::<Vec<_>>();
        ranks.sort_unstable();
        for rank in ranks {
            let Some(section) = sainfos.sections.get(rank.1.0) else { continue };
            let bucket = sainfos.buckets.entry(section.key()).or_default();
            bucket.all.push(rank);
            match &section.from {
                None | Some(Expected::Anything) => bucket.for_anybody.push(rank),
                Some(Expected::Exactly { kind, data }) => {
                    bucket.for_one.entry((*kind, data.clone())).or_default().push(rank);
                }
                Some(Expected::Name(_)) => bucket.for_names.push(rank),
            }
        }
        sainfos
    }

    /// Whether a sainfo names addresses of `side` as a peer's. A range counts as the smallest prefix that contains it.
    pub(crate) fn names_remote_side(&self, side: Prefix) -> bool {
        self.remote_sides.overlapping(side).next().is_some()
    }

    /// Returns a sainfo, if the index belongs to this configuration.
    pub fn get(&self, index: SainfoIndex) -> Option<&Sainfo> {
        self.sections.get(index.0)
    }

    /// Returns all sainfos in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (SainfoIndex, &Sainfo)> {
        self.sections.iter().enumerate().map(|(at, section)| (SainfoIndex(at), section))
    }

    /// Selects the first sainfo, by priority and then in the order of the file, for this traffic and this peer. Whether the peer's
    /// user belongs to its group is checked afterwards ([`Sainfo::admits`]), and no other sainfo replaces it then.
    pub fn select(&self, traffic: &SainfoQuery<'_>) -> Option<SainfoIndex> {
        let local = [Pattern::Anonymous, Pattern::Id(traffic.local.into())];
        let mut remote = vec![Pattern::Anonymous, Pattern::Id(traffic.remote.into())];
        if is_client(traffic) {
            remote.push(Pattern::ClientAddress);
        }
        // At most six keys, however many sainfos there are.
        let keys = local.iter().flat_map(|local| {
            remote.iter().map(|remote| Key { remoteid: traffic.remoteid, local: local.clone(), remote: remote.clone() })
        });
        let best = keys.filter_map(|key| self.best(self.buckets.get(&key)?, traffic.claimed)).min();
        best.map(|(_, index)| index)
    }

    /// Returns the reason why no sainfo matches the traffic, with the most similar ones.
    pub(crate) fn missing(&self, outbound: Selector, traffic: &SainfoQuery<'_>) -> MissingSainfo {
        let local = |section: &Sainfo| match &section.local {
            Side::Anonymous => 1,
            Side::Id(id) => 2 * u8::from(IdKey::from(id) == IdKey::from(traffic.local)),
        };
        let remote = |section: &Sainfo| match &section.remote {
            RemoteSide::Anonymous => 1,
            RemoteSide::ClientAddress => u8::from(is_client(traffic)),
            RemoteSide::Id(id) => 2 * u8::from(IdKey::from(id) == IdKey::from(traffic.remote)),
        };
        // A sainfo that matches both ends is closer than one that names only one of them.
        let fits = |section: &Sainfo| (local(section) > 0 && remote(section) > 0, local(section) + remote(section));
        let mut sections = self.sections.iter().take(COMPARED_MAX).collect::<Vec<_>>();
        sections.sort_by_key(|section| Reverse(fits(section)));
        let mut present = sections.into_iter().map(SainfoName::from).collect::<Named<_>>();
        present.more += self.sections.len().saturating_sub(COMPARED_MAX);
        let peer = traffic.claimed.map(|claimed| claimed.id.clone());
        MissingSainfo { traffic: outbound, peer, ph1id: traffic.remoteid, present }
    }

    /// Returns the first sainfo of a bucket that is for this peer.
    fn best(&self, bucket: &Bucket, claimed: Option<Claimed<'_>>) -> Option<Rank> {
        let Some(claimed) = claimed else {
            return bucket.all.first().copied();
        };
        let is_for = |rank: &&Rank| {
            self.get(rank.1).and_then(|section| section.from.as_ref()).is_some_and(|from| from.matches(claimed))
        };
        let for_one = bucket.for_one.get(&claimed.id.key()).and_then(|list| list.first());
        // Patterns of names have no key, and must be compared one by one.
        let for_name = bucket.for_names.iter().find(is_for);
        bucket.for_anybody.first().into_iter().chain(for_one).chain(for_name).min().copied()
    }
}

impl Sainfo {
    /// Returns the priority; sainfos with a higher one are selected first.
    fn priority(&self) -> u8 {
        let points = |holds: bool, points: u8| if holds { points } else { 0 };
        // Naming the peer counts more than naming both ends of the traffic.
        points(self.remoteid != 0, 3)
            + points(self.from.is_some(), 3)
            + points(self.local != Side::Anonymous, 1)
            + points(self.remote != RemoteSide::Anonymous, 1)
    }

    fn key(&self) -> Key {
        let local = match &self.local {
            Side::Anonymous => Pattern::Anonymous,
            Side::Id(id) => Pattern::Id(id.into()),
        };
        let remote = match &self.remote {
            RemoteSide::Anonymous => Pattern::Anonymous,
            RemoteSide::ClientAddress => Pattern::ClientAddress,
            RemoteSide::Id(id) => Pattern::Id(id.into()),
        };
        Key { remoteid: self.remoteid, local, remote }
    }
}

/// Whether the peer's side of the traffic is the peer's own address.
fn is_client(traffic: &SainfoQuery<'_>) -> bool {
    traffic.client.is_some() && traffic.remote.single_address() == traffic.client
}

#[cfg(test)]
mod tests;
