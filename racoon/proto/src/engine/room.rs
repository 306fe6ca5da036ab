//! Room for negotiations of those who have not proved who they are, and who makes way when there is none left.
//!
//! Nobody who comes new is turned away because others were there before: that would let a flood from addresses that
//! nobody has keep everybody out. Somebody makes way instead, drawn at random, so that a flood has to be as fast as the
//! room is large for each round trip of an honest peer. Three things are against who wants to gain by that:
//!
//! * Peers whose address is configured have a room of their own.
//! * Who has shown that it receives what is sent to its address does not make way for those who have not, as long as
//!   they fill less than half of the room.
//! * Of several that are drawn the one goes whose address has most.

use std::collections::HashMap;
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
    /// Those who have only sent a first message: the address may be another one's.
    unproved: Bag,
    /// Those who have answered what was sent to their address.
    proved: Bag,
    sources: HashMap<IpAddr, Bag>,
}

/// A set from which one can be drawn.
#[derive(Debug, Default)]
struct Bag {
    all: Vec<Phase1Id>,
    places: HashMap<Phase1Id, usize>,
}

impl HalfOpen {
    /// One more has begun.
    pub(super) fn add(&mut self, id: Phase1Id, guest: Guest, address: IpAddr) {
        let room = self.room_mut(guest);
        room.unproved.insert(id);
        room.sources.entry(source(address)).or_default().insert(id);
    }

    /// Its address is its own.
    pub(super) fn prove(&mut self, id: Phase1Id, guest: Guest) {
        let room = self.room_mut(guest);
        if room.unproved.remove(id) {
            room.proved.insert(id);
        }
    }

    /// It is established, or no more.
    pub(super) fn remove(&mut self, id: Phase1Id, guest: Guest, address: IpAddr) {
        let (room, source) = (self.room_mut(guest), source(address));
        let _ = room.unproved.remove(id) || room.proved.remove(id);
        if let Some(of_source) = room.sources.get_mut(&source) {
            of_source.remove(id);
            if of_source.len() == 0 {
                room.sources.remove(&source);
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.configured.len() + self.strangers.len()
    }

    /// How many there are, and from how many addresses.
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

    /// How many there are where this one is from.
    fn neighbours(&self, address: Option<IpAddr>) -> usize {
        address.and_then(|address| self.sources.get(&source(address))).map_or(0, Bag::len)
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
        let room = self.phase1s.half_open.room(guest);
        // Somebody may pretend to be where a configured peer is: that must not make the room small for the peer.
        let is_crowded = guest == Guest::Stranger && is_full(room.neighbours(Some(remote.ip())), limit.per_source);
        let leaves = if is_crowded {
            self.draw_neighbour(remote.ip())
        } else if is_full(room.len(), limit.total) {
            self.draw_from(guest)
        } else {
            return true;
        };
        self.complain(Complaint::Crowd, remote, || "too many negotiations are under way: half_open_limit".into());
        let Some(leaves) = leaves else { return false };
        let peer = self.phase1s.get(leaves).map(|phase1| phase1.remote);
        self.remove_phase1(leaves);
        self.log(Level::Debug, peer, || "an unfinished negotiation makes way for another one".into());
        true
    }

    /// Whose room somebody's negotiation takes up.
    pub(super) fn guest(&self, remote: SocketAddr) -> Guest {
        let known = Known { port: remote.port(), skip_anonymous: true, ..Known::address(remote) };
        if self.settings.remotes.candidates(&known).is_empty() { Guest::Stranger } else { Guest::Configured }
    }

    /// One of a stranger's address: one that may not even be there, before one that is.
    fn draw_neighbour(&mut self, address: IpAddr) -> Option<Phase1Id> {
        let room = &self.phase1s.half_open.strangers;
        let drawn = room.sources.get(&source(address))?.draw(&mut *self.random);
        let unproved = drawn.iter().find(|id| room.unproved.places.contains_key(*id));
        unproved.copied().or_else(|| self.idle(drawn).min())
    }

    /// One of a full room.
    fn draw_from(&mut self, guest: Guest) -> Option<Phase1Id> {
        let room = self.phase1s.half_open.room(guest);
        let (unproved, proved) = (room.unproved.draw(&mut *self.random), room.proved.draw(&mut *self.random));
        let neighbours = |id: &Phase1Id| room.neighbours(self.phase1s.get(*id).map(|one| one.remote.ip()));
        // Of equals the first that was drawn, and the oldest.
        let unproved = unproved.into_iter().rev().max_by_key(neighbours);
        let proved = || self.idle(proved).max_by_key(|id| (neighbours(id), std::cmp::Reverse(*id)));
        if room.unproved.len() < room.proved.len() { proved().or(unproved) } else { unproved.or_else(proved) }
    }

    /// Those for which no job runs: it would be computed for nothing, and one who knows that could order any number.
    fn idle(&self, drawn: Vec<Phase1Id>) -> impl Iterator<Item = Phase1Id> {
        drawn.into_iter().filter(|id| self.phase1s.get(*id).is_some_and(|one| !one.inbox.is_working()))
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
