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

use super::strangers::Complaint;
use super::{Engine, Phase1Id};
use crate::output::Level;
use crate::random::Random;
use crate::select::Known;

/// Of so many that are drawn one is chosen.
const DRAWN: usize = 8;

/// Of an IPv6 address so many bits say whose it is: anybody has all addresses of a network.
const NETWORK_BITS: u32 = 64;

/// Whose room a negotiation takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guest {
    /// One whose address a remote block names.
    Configured,
    /// Anybody.
    Stranger,
}

/// Those who have begun a phase 1 with us and have not yet proved who they are.
#[derive(Debug, Default)]
pub(super) struct HalfOpen {
    configured: Room,
    strangers: Room,
}

#[derive(Debug, Default)]
struct Room {
    /// Negotiations of which only the first message has come: the address may be another one's. The oldest is first.
    unproved: BTreeSet<Phase1Id>,
    /// Negotiations whose address has returned our cookie.
    proved: Bag,
    /// The proved ones of each address. The oldest is first.
    sources: HashMap<IpAddr, BTreeSet<Phase1Id>>,
}

/// What it takes that a negotiation becomes a proved one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Nothing: its address has not too many.
    Free,
    /// This one of the same address makes way.
    Displaces(Phase1Id),
    /// It has to wait: its address has as many as it may have, and jobs run for them.
    Refused,
}

/// A set from which one can be drawn.
#[derive(Debug, Default)]
struct Bag {
    all: Vec<Phase1Id>,
    places: HashMap<Phase1Id, usize>,
}

impl HalfOpen {
    /// One more has begun.
    pub(super) fn add(&mut self, id: Phase1Id, guest: Guest) {
        self.room_mut(guest).unproved.insert(id);
    }

    /// Its address has returned our cookie. False: that was known.
    pub(super) fn prove(&mut self, id: Phase1Id, guest: Guest, address: IpAddr) -> bool {
        let room = self.room_mut(guest);
        let is_news = room.unproved.remove(&id);
        if is_news {
            room.proved.insert(id);
            room.sources.entry(source(address)).or_default().insert(id);
        }
        is_news
    }

    /// It is established, or no more.
    pub(super) fn remove(&mut self, id: Phase1Id, guest: Guest, address: IpAddr) {
        let (room, source) = (self.room_mut(guest), source(address));
        let _ = room.unproved.remove(&id) || room.proved.remove(id);
        if let Some(of_source) = room.sources.get_mut(&source) {
            of_source.remove(&id);
            if of_source.is_empty() {
                room.sources.remove(&source);
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.configured.len() + self.strangers.len()
    }

    /// How many there are, and how many addresses have proved ones.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.len(), self.configured.sources.len() + self.strangers.sources.len())
    }

    fn room(&self, guest: Guest) -> &Room {
        match guest {
            Guest::Configured => &self.configured,
            Guest::Stranger => &self.strangers,
        }
    }

    fn room_mut(&mut self, guest: Guest) -> &mut Room {
        match guest {
            Guest::Configured => &mut self.configured,
            Guest::Stranger => &mut self.strangers,
        }
    }
}

impl Room {
    fn len(&self) -> usize {
        self.unproved.len() + self.proved.len()
    }

    /// How many proved ones there are where this one is from.
    fn neighbours(&self, address: Option<IpAddr>) -> usize {
        address.and_then(|address| self.sources.get(&source(address))).map_or(0, BTreeSet::len)
    }
}

impl Bag {
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
        std::iter::repeat_with(one).take(DRAWN).flatten().collect()
    }
}

impl Engine {
    /// Makes room for one more negotiation that somebody begins. False: there is none.
    pub(super) fn make_room(&mut self, remote: SocketAddr) -> bool {
        let (guest, limit) = (self.guest(remote), self.settings.half_open);
        if !is_full(self.phase1s.half_open.room(guest).len(), limit.total) {
            return true;
        }
        self.complain(Complaint::Crowd, remote, || "too many negotiations are under way: half_open_limit".into());
        let Some(leaves) = self.draw_from(guest) else { return false };
        self.make_way(leaves);
        true
    }

    /// Whether the address of a negotiation may have one more that is proved. Peers with a configured address are not limited
    /// one by one.
    pub(super) fn admission(&self, id: Phase1Id) -> Admission {
        let room = &self.phase1s.half_open.strangers;
        if !room.unproved.contains(&id) {
            return Admission::Free;
        }
        let address = self.phase1s.get(id).map(|phase1| phase1.remote.ip());
        let neighbours = address.and_then(|address| room.sources.get(&source(address)));
        match neighbours.filter(|neighbours| is_full(neighbours.len(), self.settings.half_open.per_source)) {
            Some(neighbours) => {
                let oldest = neighbours.iter().copied().find(|id| self.is_idle(*id));
                oldest.map_or(Admission::Refused, Admission::Displaces)
            }
            None => Admission::Free,
        }
    }

    /// The address of a negotiation has returned our cookie.
    pub(super) fn prove_address(&mut self, id: Phase1Id) {
        let admission = self.admission(id);
        let Some(remote) = self.phase1s.prove_address(id) else { return };
        if let Admission::Displaces(leaves) = admission {
            self.complain(Complaint::Crowd, remote, || "too many negotiations of one address: half_open_limit".into());
            self.make_way(leaves);
        }
    }

    /// Ends a negotiation in favour of another one.
    fn make_way(&mut self, leaves: Phase1Id) {
        let peer = self.phase1s.get(leaves).map(|phase1| phase1.remote);
        self.remove_phase1(leaves);
        self.log(Level::Debug, peer, || "an unfinished negotiation makes way for another one".into());
    }

    /// Whose room somebody's negotiation takes up.
    pub(super) fn guest(&self, remote: SocketAddr) -> Guest {
        let known = Known { port: remote.port(), skip_anonymous: true, ..Known::address(remote) };
        if self.settings.remotes.candidates(&known).is_empty() { Guest::Stranger } else { Guest::Configured }
    }

    /// The oldest unproved negotiation of a full pool, or a proved one if these fill more than half of it.
    fn draw_from(&mut self, guest: Guest) -> Option<Phase1Id> {
        let room = self.phase1s.half_open.room(guest);
        let oldest = room.unproved.first().copied();
        if room.unproved.len() >= room.proved.len() {
            return oldest;
        }
        let drawn = room.proved.draw(&mut *self.random);
        let neighbours = |id: &Phase1Id| room.neighbours(self.phase1s.get(*id).map(|one| one.remote.ip()));
        // Of equals the oldest.
        let idle = drawn.into_iter().filter(|id| self.is_idle(*id));
        idle.max_by_key(|id| (neighbours(id), std::cmp::Reverse(*id))).or(oldest)
    }

    /// Whether no job runs for a negotiation. Otherwise it does not make way: the job would be computed for nothing, and a
    /// peer that knew that could order any number of them.
    fn is_idle(&self, id: Phase1Id) -> bool {
        self.phase1s.get(id).is_some_and(|one| !one.inbox.is_working())
    }
}

fn is_full(count: usize, limit: u32) -> bool {
    u32::try_from(count).map_or(true, |count| count >= limit)
}

/// Whose an address is. On one link everybody has the same network.
fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) if !address.is_unicast_link_local() => {
            let network = u128::MAX << (Ipv6Addr::BITS - NETWORK_BITS);
            Ipv6Addr::from_bits(address.to_bits() & network).into()
        }
        _ => address,
    }
}
