//! Limits on negotiations of peers that have not proved who they are (`half_open_limit`), and which one makes way when a
//! limit is reached.
//!
//! A newcomer is never turned away because others were there before: a flood from forged addresses would then keep
//! everybody out. An older negotiation makes way instead:
//!
//! * A negotiation is *unproved* as long as its address has not returned our cookie: anybody may have sent its first message
//!   in somebody else's name. So it counts against nobody's address. All unproved ones compete in one pool, in which the
//!   oldest makes way. An honest peer therefore gets through if fewer first messages than the pool holds arrive within its
//!   round trip, whatever addresses they claim.
//! * It is *proved* by a message with our cookie. From then on it counts against its address, and when that has too many,
//!   one of its own makes way. Unproved ones do not displace it, as long as proved ones fill no more than half of the limit:
//!   that much is left to newcomers. Of several proved ones that are drawn, the one goes whose address has most.
//! * Peers whose address is configured have a pool of their own, with as much room.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::engine::{Engine, Phase1Id};
use crate::output::Level;
use crate::phase1::rate_limit::LoggedEvent;
use crate::random::Random;
use crate::select::RemoteQuery;

/// Of so many that are drawn one is chosen.
const EVICTION_SAMPLES: usize = 8;

/// Of an IPv6 address so many bits say whose it is: anybody has all addresses of a network.
const IPV6_SOURCE_PREFIX: u32 = 64;

/// Whose room a negotiation takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerClass {
    /// One whose address a remote block names.
    Configured,
    /// Anybody.
    Unknown,
}

/// Those who have begun a phase 1 with us and have not yet proved who they are.
#[derive(Debug, Default)]
pub(crate) struct HalfOpen {
    configured: Pool,
    unknown: Pool,
}

#[derive(Debug, Default)]
struct Pool {
    /// Negotiations of which only the first message has come: the address may be another one's. The oldest is first.
    unproved: BTreeSet<Phase1Id>,
    /// Negotiations whose address has returned our cookie.
    proved: SampledSet,
    /// The proved ones of each address. The oldest is first.
    sources: HashMap<IpAddr, BTreeSet<Phase1Id>>,
}

/// What it takes that a negotiation becomes a proved one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Nothing: its address has not too many.
    Free,
    /// This one of the same address makes way.
    Evicts(Phase1Id),
    /// It has to wait: its address has as many as it may have, and jobs run for them.
    Refused,
}

/// A set from which one can be drawn.
#[derive(Debug, Default)]
struct SampledSet {
    all: Vec<Phase1Id>,
    places: HashMap<Phase1Id, usize>,
}

impl HalfOpen {
    /// One more has begun.
    pub(crate) fn add(&mut self, id: Phase1Id, peer_class: PeerClass) {
        self.pool_mut(peer_class).unproved.insert(id);
    }

    /// Its address has returned our cookie. False: that was known.
    pub(crate) fn prove(&mut self, id: Phase1Id, peer_class: PeerClass, address: IpAddr) -> bool {
        let pool = self.pool_mut(peer_class);
        let is_news = pool.unproved.remove(&id);
        if is_news {
            pool.proved.insert(id);
            pool.sources.entry(source(address)).or_default().insert(id);
        }
        is_news
    }

    /// It is established, or no more.
    pub(crate) fn remove(&mut self, id: Phase1Id, peer_class: PeerClass, address: IpAddr) {
        let (pool, source) = (self.pool_mut(peer_class), source(address));
        let _ = pool.unproved.remove(&id) || pool.proved.remove(id);
        if let Some(of_source) = pool.sources.get_mut(&source) {
            of_source.remove(&id);
            if of_source.is_empty() {
                pool.sources.remove(&source);
            }
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.configured.len() + self.unknown.len()
    }

    /// How many there are, and how many addresses have proved ones.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.len(), self.configured.sources.len() + self.unknown.sources.len())
    }

    fn pool(&self, peer_class: PeerClass) -> &Pool {
        match peer_class {
            PeerClass::Configured => &self.configured,
            PeerClass::Unknown => &self.unknown,
        }
    }

    fn pool_mut(&mut self, peer_class: PeerClass) -> &mut Pool {
        match peer_class {
            PeerClass::Configured => &mut self.configured,
            PeerClass::Unknown => &mut self.unknown,
        }
    }
}

impl Pool {
    fn len(&self) -> usize {
        self.unproved.len() + self.proved.len()
    }

    /// How many proved ones there are where this one is from.
    fn same_source(&self, address: Option<IpAddr>) -> usize {
        address.and_then(|address| self.sources.get(&source(address))).map_or(0, BTreeSet::len)
    }
}

impl SampledSet {
    fn insert(&mut self, id: Phase1Id) {
        if !self.places.contains_key(&id) {
            self.places.insert(id, self.all.len());
            self.all.push(id);
        }
    }

    /// False: it is not there.
    fn remove(&mut self, id: Phase1Id) -> bool {
        let Some(place) = self.places.remove(&id) else { return false };
        self.all.swap_remove(place);
        if let Some(moved) = self.all.get(place) {
            self.places.insert(*moved, place);
        }
        true
    }

    fn len(&self) -> usize {
        self.all.len()
    }

    /// Some of them, at random; one may be among them more than once.
    fn draw(&self, random: &mut dyn Random) -> Vec<Phase1Id> {
        let Ok(count) = u64::try_from(self.len()) else { return Vec::new() };
        let one = || {
            let mut bytes = [0; 8];
            random.fill(&mut bytes);
            let place = usize::try_from(u64::from_be_bytes(bytes).checked_rem(count)?).ok()?;
            self.all.get(place).copied()
        };
        std::iter::repeat_with(one).take(EVICTION_SAMPLES).flatten().collect()
    }
}

impl Engine {
    /// Makes room for one more negotiation that somebody begins. False: there is none.
    pub(crate) fn admit_half_open(&mut self, remote: SocketAddr) -> bool {
        let (peer_class, limit) = (self.peer_class(remote), self.core.settings.half_open);
        if !is_full(self.phase1s.half_open.pool(peer_class).len(), limit.total) {
            return true;
        }
        self.log_unauthenticated(LoggedEvent::OverLimit, remote, || {
            "too many negotiations are under way: half_open_limit".into()
        });
        let Some(evicted) = self.choose_eviction(peer_class) else { return false };
        self.evict(evicted);
        true
    }

    /// Whether the address of a negotiation may have one more that is proved. Peers with a configured address are not limited
    /// one by one.
    pub(crate) fn admission(&self, id: Phase1Id) -> Admission {
        let pool = &self.phase1s.half_open.unknown;
        if !pool.unproved.contains(&id) {
            return Admission::Free;
        }
        let address = self.phase1s.get(id).map(|phase1| phase1.remote.ip());
        let same_source = address.and_then(|address| pool.sources.get(&source(address)));
        match same_source.filter(|same_source| is_full(same_source.len(), self.core.settings.half_open.per_source)) {
            Some(same_source) => {
                let oldest = same_source.iter().copied().find(|id| self.is_idle(*id));
                oldest.map_or(Admission::Refused, Admission::Evicts)
            }
            None => Admission::Free,
        }
    }

    /// The address of a negotiation has returned our cookie.
    pub(crate) fn prove_address(&mut self, id: Phase1Id) {
        let admission = self.admission(id);
        let Some(remote) = self.phase1s.prove_address(id) else { return };
        if let Admission::Evicts(evicted) = admission {
            self.log_unauthenticated(LoggedEvent::OverLimit, remote, || {
                "too many negotiations of one address: half_open_limit".into()
            });
            self.evict(evicted);
        }
    }

    /// Endpoints a negotiation in favour of another one.
    fn evict(&mut self, evicted: Phase1Id) {
        let peer = self.phase1s.get(evicted).map(|phase1| phase1.remote);
        self.remove_phase1(evicted);
        self.core.log(Level::Debug, peer, || "an unfinished negotiation makes way for another one".into());
    }

    /// Whose room somebody's negotiation takes up.
    pub(crate) fn peer_class(&self, remote: SocketAddr) -> PeerClass {
        let query = RemoteQuery { port: remote.port(), skip_anonymous: true, ..RemoteQuery::address(remote) };
        if self.core.settings.remotes.candidates(&query).is_empty() {
            PeerClass::Unknown
        } else {
            PeerClass::Configured
        }
    }

    /// The oldest unproved negotiation of a full pool, or a proved one if these fill more than half of it.
    fn choose_eviction(&mut self, peer_class: PeerClass) -> Option<Phase1Id> {
        let pool = self.phase1s.half_open.pool(peer_class);
        let oldest = pool.unproved.first().copied();
        if pool.unproved.len() >= pool.proved.len() {
            return oldest;
        }
        let drawn = pool.proved.draw(&mut *self.core.random);
        let same_source = |id: &Phase1Id| pool.same_source(self.phase1s.get(*id).map(|one| one.remote.ip()));
        // Of equals the oldest.
        let idle = drawn.into_iter().filter(|id| self.is_idle(*id));
        idle.max_by_key(|id| (same_source(id), std::cmp::Reverse(*id))).or(oldest)
    }

    /// Whether no job runs for a negotiation. Otherwise it does not make way: the job would be computed for nothing, and a
    /// peer that knew that could order any number of them.
    fn is_idle(&self, id: Phase1Id) -> bool {
        self.phase1s.get(id).is_some_and(|one| !one.conversation.is_processing())
    }
}

fn is_full(count: usize, limit: u32) -> bool {
    u32::try_from(count).map_or(true, |count| count >= limit)
}

/// Whose an address is. On one link everybody has the same network.
fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) if !address.is_unicast_link_local() => {
            let network = u128::MAX << (Ipv6Addr::BITS - IPV6_SOURCE_PREFIX);
            Ipv6Addr::from_bits(address.to_bits() & network).into()
        }
        _ => address,
    }
}
