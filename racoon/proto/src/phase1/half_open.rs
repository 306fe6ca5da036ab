//! Limits on half-open negotiations (`half_open_limit`), and the choice of the one that is evicted when a limit is reached.
//!
//! A half-open negotiation is one that a peer has begun and in which it has not yet proved its identity. A new one is never
//! refused because others came first: a flood from forged addresses would then lock everybody out. Instead an older one is
//! evicted:
//!
//! * A negotiation is *unproved* until its address has returned our cookie: its first message may come from a forged address.
//!   It therefore does not count against that address. All unproved negotiations share a pool, from which the oldest is
//!   evicted. An honest peer gets through if fewer first messages than the pool holds arrive within its round trip, whatever
//!   addresses they claim to come from.
//! * It is *proved* by a message with our cookie. From then on it counts against its address; if that has too many, one of its
//!   own is evicted. Unproved negotiations do not evict it as long as proved ones fill at most half of the limit, which leaves
//!   the other half to new ones. Of several proved ones drawn at random, the one whose address has most is evicted.
//! * Peers whose address is configured have a pool of their own, of the same size.
//!
//! In main and base mode, jobs run only for addresses that have returned the cookie. The first message of aggressive mode causes one at
//! once. It is dropped while many jobs are unfinished, and its job comes after those for known peers.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::engine::Phase1Id;
use crate::engine::core::Core;
use crate::output::Level;
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase1::table::Phase1s;
use crate::random::Random;
use crate::select::RemoteQuery;
use crate::settings::HalfOpenLimit;

/// Proved negotiations that are drawn at random to choose the one to evict from.
const EVICTION_SAMPLES: usize = 8;

/// Prefix length by which IPv6 sources are grouped: one host usually controls a /64.
const IPV6_SOURCE_PREFIX: u32 = 64;

/// Unfinished jobs beyond which a first message causes no further one: about a tenth of a second of work. A queue of such jobs would
/// only delay those of peers that have proved their addresses.
const JOBS_MAX: usize = 128;

/// The pool that a half-open negotiation counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerClass {
    /// A remote section names the peer's address.
    Configured,
    /// No remote section names it.
    Unknown,
}

/// The half-open negotiations.
#[derive(Debug, Default)]
pub(crate) struct HalfOpen {
    configured: Pool,
    unknown: Pool,
}

#[derive(Debug, Default)]
struct Pool {
    /// Negotiations of which only the first message has arrived, oldest first. The address may be forged.
    unproved: BTreeSet<Phase1Id>,
    /// Negotiations whose address has returned our cookie.
    proved: SampledSet,
    /// The proved ones by address, oldest first.
    sources: HashMap<IpAddr, BTreeSet<Phase1Id>>,
}

/// What happens when a negotiation becomes a proved one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Nothing else: its address has fewer than the limit.
    Free,
    /// This one of the same address is evicted.
    Evicts(Phase1Id),
    /// It is not admitted yet: its address has reached the limit, and jobs run for all of them.
    Refused,
}

/// A set from which elements can be drawn at random.
#[derive(Debug, Default)]
struct SampledSet {
    all: Vec<Phase1Id>,
    places: HashMap<Phase1Id, usize>,
}

impl HalfOpen {
    /// Adds a negotiation, as an unproved one.
    pub(crate) fn add(&mut self, id: Phase1Id, peer_class: PeerClass) {
        self.pool_mut(peer_class).unproved.insert(id);
    }

    /// Makes a negotiation a proved one. Returns whether it was not.
    pub(crate) fn prove(&mut self, id: Phase1Id, peer_class: PeerClass, address: IpAddr) -> bool {
        let pool = self.pool_mut(peer_class);
        let is_news = pool.unproved.remove(&id);
        if is_news {
            pool.proved.insert(id);
            pool.sources.entry(source(address)).or_default().insert(id);
        }
        is_news
    }

    /// Removes a negotiation that is established or over.
    pub(crate) fn remove(&mut self, id: Phase1Id, peer_class: PeerClass, address: IpAddr) {
        let (pool, source) = (self.pool_mut(peer_class), source(address));
        // It is in one of the two.
        let _ = pool.unproved.remove(&id) || pool.proved.remove(id);
        if let Some(of_source) = pool.sources.get_mut(&source) {
            of_source.remove(&id);
            if of_source.is_empty() {
                pool.sources.remove(&source);
            }
        }
    }

    /// The number of half-open negotiations.
    pub(crate) fn len(&self) -> usize {
        self.configured.len() + self.unknown.len()
    }

    /// The number of half-open negotiations, and of addresses that have proved ones.
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

    /// The number of proved negotiations with the source of an address.
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

    /// Returns whether it was in the set.
    fn remove(&mut self, id: Phase1Id) -> bool {
        let Some(place) = self.places.remove(&id) else { return false };
        self.all.swap_remove(place);
        // The last element has taken its place.
        if let Some(moved) = self.all.get(place) {
            self.places.insert(*moved, place);
        }
        true
    }

    fn len(&self) -> usize {
        self.all.len()
    }

    /// Draws some elements at random, perhaps the same one more than once.
    fn draw(&self, random: &mut dyn Random) -> Vec<Phase1Id> {
        let Ok(count) = u64::try_from(self.len()) else { return Vec::new() };
        let one = || {
            let mut bytes = [0; 8];
            random.fill(&mut bytes);
            // The remainder prefers some elements by far less than an attacker could use.
            let place = usize::try_from(u64::from_be_bytes(bytes).checked_rem(count)?).ok()?;
            self.all.get(place).copied()
        };
        std::iter::repeat_with(one).take(EVICTION_SAMPLES).flatten().collect()
    }
}

impl Phase1s {
    /// Evicts a half-open negotiation if the pool of a new one is full. Returns whether the new one can be admitted.
    pub(crate) fn admit_half_open(&mut self, core: &mut Core, remote: SocketAddr) -> bool {
        let (peer_class, limit) = (core.peer_class(remote), core.settings.half_open);
        if !is_full(self.half_open.pool(peer_class).len(), limit.total) {
            return true;
        }
        self.log_unauthenticated(core, LoggedEvent::OverLimit, remote, || {
            "too many negotiations are under way: half_open_limit".into()
        });
        let Some(evicted) = self.choose_eviction(peer_class, &mut *core.random) else { return false };
        self.evict(core, evicted);
        true
    }

    /// Whether another job may be started for a first message, whose address may be forged.
    pub(crate) fn admits_job(&self, core: &mut Core, remote: SocketAddr) -> bool {
        let is_free = core.jobs.len() < JOBS_MAX;
        if !is_free {
            self.log_unauthenticated(core, LoggedEvent::OverLimit, remote, || {
                "too many computations are under way for another one in aggressive mode".into()
            });
        }
        is_free
    }

    /// Makes a negotiation whose address has returned our cookie a proved one.
    pub(crate) fn admit_proved(&mut self, core: &mut Core, id: Phase1Id) {
        let admission = self.admission(id, core.settings.half_open);
        // It is proved already, or we began it.
        let Some(remote) = self.prove_address(id) else { return };
        if let Admission::Evicts(evicted) = admission {
            self.log_unauthenticated(core, LoggedEvent::OverLimit, remote, || {
                "too many negotiations of one address: half_open_limit".into()
            });
            self.evict(core, evicted);
        }
    }

    /// Ends a negotiation in favour of another one.
    fn evict(&mut self, core: &mut Core, evicted: Phase1Id) {
        let peer = self.end(core, evicted).map(|phase1| phase1.remote());
        core.log(Level::Debug, peer, || "half-open negotiation evicted by a newer one".into());
    }
}

impl Core {
    /// The pool that a negotiation with this peer counts in.
    pub(crate) fn peer_class(&self, remote: SocketAddr) -> PeerClass {
        let query = RemoteQuery { port: remote.port(), skip_anonymous: true, ..RemoteQuery::address(remote) };
        if self.settings.remotes.candidates(&query).is_empty() { PeerClass::Unknown } else { PeerClass::Configured }
    }
}

impl Phase1s {
    /// Whether the address of a negotiation may have one more that is proved. Configured addresses have no limit of their own.
    pub(crate) fn admission(&self, id: Phase1Id, limit: HalfOpenLimit) -> Admission {
        let pool = &self.half_open.unknown;
        if !pool.unproved.contains(&id) {
            return Admission::Free;
        }
        let address = self.get(id).map(|phase1| phase1.remote().ip());
        let same_source = address.and_then(|address| pool.sources.get(&source(address)));
        match same_source.filter(|same_source| is_full(same_source.len(), limit.per_source)) {
            Some(same_source) => {
                let oldest = same_source.iter().copied().find(|id| self.is_idle(*id));
                oldest.map_or(Admission::Refused, Admission::Evicts)
            }
            None => Admission::Free,
        }
    }

    /// Chooses the negotiation to evict from a full pool: the oldest unproved one, or a proved one if these fill more than half
    /// of it.
    fn choose_eviction(&self, peer_class: PeerClass, random: &mut dyn Random) -> Option<Phase1Id> {
        let pool = self.half_open.pool(peer_class);
        let oldest = pool.unproved.iter().copied().find(|id| self.is_idle(*id));
        if pool.unproved.len() >= pool.proved.len() {
            return oldest;
        }
        let drawn = pool.proved.draw(random);
        let same_source = |id: &Phase1Id| pool.same_source(self.get(*id).map(|one| one.remote().ip()));
        // Of several with equally many, the oldest.
        let idle = drawn.into_iter().filter(|id| self.is_idle(*id));
        // The proved one that was drawn may be busy, so that an unproved one has to go after all.
        idle.max_by_key(|id| (same_source(id), std::cmp::Reverse(*id))).or(oldest)
    }

    /// Whether no job runs for a negotiation. One with a job is not evicted: the job would be wasted, and a peer could cause any
    /// number of jobs by beginning again and again.
    fn is_idle(&self, id: Phase1Id) -> bool {
        self.get(id).is_some_and(|one| !one.conversation.is_processing())
    }
}

fn is_full(count: usize, limit: u32) -> bool {
    u32::try_from(count).map_or(true, |count| count >= limit)
}

/// The source that an address belongs to: for IPv6 its /64, except on a link, where all hosts share one.
fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) if !address.is_unicast_link_local() => {
            let network = u128::MAX << (Ipv6Addr::BITS - IPV6_SOURCE_PREFIX);
            Ipv6Addr::from_bits(address.to_bits() & network).into()
        }
        _ => address,
    }
}
