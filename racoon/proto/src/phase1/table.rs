//! The table of phase 1s, and its keys: cookies, the first message, and the addresses of the path.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::mem;
use std::net::{IpAddr, SocketAddr};

use crate::engine::{Phase1Id, Phase2Id};
use crate::informational::dpd::LastTraffic;
use crate::path::Path;
use crate::phase1::entry::{EstablishedPhase1, Phase1, Stage};
use crate::phase1::half_open::HalfOpen;
use crate::wire::{Cookie, CookiePair};

/// Key of a phase 1 whose responder cookie is not known.
pub(super) type FirstKey = (Cookie, Path);

/// The table of phase 1s.
#[derive(Default)]
pub(crate) struct Phase1s {
    /// Boxed: the nodes of the tree are half empty where ids only grow, and an entry has more than 500 bytes.
    all: BTreeMap<Phase1Id, Box<Phase1>>,
    by_cookies: HashMap<CookiePair, Phase1Id>,
    by_first: HashMap<FirstKey, Phase1Id>,
    /// Established ones and those that we began. Those that peers began are added when they are established: before, anybody
    /// could add any number of them with a forged address.
    by_pair: HashMap<(IpAddr, IpAddr), BTreeSet<Phase1Id>>,
    /// Number of established phase 1s with each address.
    peers: HashMap<IpAddr, usize>,
    /// The phase 1 for which a phase 2 waits.
    waits: HashMap<Phase2Id, Phase1Id>,
    /// Those that peers began and that are not established.
    pub(crate) half_open: HalfOpen,
    /// Number of unestablished ones that we began with unknown peers.
    attempts: usize,
    /// Addresses to which INITIAL-CONTACT was sent.
    pub(crate) contacted: HashSet<IpAddr>,
    /// Times of the last packets between two addresses, by the kernel's counters.
    pub(crate) traffic: HashMap<(IpAddr, IpAddr), LastTraffic>,
}

impl Phase1s {
    /// Adds a phase 1 that is being negotiated.
    pub(crate) fn insert(&mut self, phase1: Phase1) {
        let id = phase1.id;
        // Until message 2 an initiator is found by its first message only.
        if !phase1.cookies.responder.is_zero() {
            self.by_cookies.insert(phase1.cookies, id);
        }
        self.by_first.insert(phase1.first_key(), id);
        if phase1.is_half_open() {
            self.half_open.add(id, phase1.peer_class);
        } else {
            self.by_pair.entry(phase1.pair()).or_default().insert(id);
        }
        self.attempts += usize::from(phase1.is_attempt());
        self.all.insert(id, Box::new(phase1));
    }

    /// Removes a phase 1.
    pub(crate) fn remove(&mut self, id: Phase1Id) -> Option<Phase1> {
        let phase1 = self.all.remove(&id)?;
        self.by_cookies.remove(&phase1.cookies);
        self.forget_first(id, &phase1.first_key());
        if let Some(ids) = self.by_pair.get_mut(&phase1.pair()) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_pair.remove(&phase1.pair());
            }
        }
        if phase1.is_half_open() {
            self.half_open.remove(id, phase1.peer_class, phase1.remote().ip());
        }
        self.attempts -= usize::from(phase1.is_attempt());
        if phase1.established().is_some() {
            self.forget_peer(phase1.remote().ip());
        }
        for phase2 in &phase1.waiting {
            self.waits.remove(phase2);
        }
        Some(*phase1)
    }

    /// Lets a phase 2 wait for it.
    pub(crate) fn wait(&mut self, id: Phase1Id, phase2: Phase2Id) {
        self.cancel_wait(phase2);
        if let Some(phase1) = self.all.get_mut(&id) {
            phase1.waiting.push(phase2);
            self.waits.insert(phase2, id);
        }
    }

    /// Ends the wait of a phase 2.
    pub(crate) fn cancel_wait(&mut self, phase2: Phase2Id) {
        if let Some(phase1) = self.waits.remove(&phase2).and_then(|id| self.all.get_mut(&id)) {
            phase1.waiting.retain(|waiting| *waiting != phase2);
        }
    }

    /// Takes the phase 2s that wait for it.
    pub(crate) fn take_waiting(&mut self, id: Phase1Id) -> Vec<Phase2Id> {
        let waiting = self.all.get_mut(&id).map(|phase1| mem::take(&mut phase1.waiting)).unwrap_or_default();
        for phase2 in &waiting {
            self.waits.remove(phase2);
        }
        waiting
    }

    /// Sets the responder's cookie.
    pub(crate) fn learn_responder(&mut self, id: Phase1Id, responder: Cookie) {
        if let Some(phase1) = self.all.get_mut(&id) {
            self.by_cookies.remove(&phase1.cookies);
            phase1.cookies.responder = responder;
            if !responder.is_zero() {
                self.by_cookies.insert(phase1.cookies, id);
            }
        }
    }

    /// Makes it an established phase 1.
    pub(crate) fn establish(&mut self, id: Phase1Id, established: EstablishedPhase1) {
        if let Some(phase1) = self.all.get_mut(&id) {
            // The peer has proved that it is at its address, so it is found by that from now on.
            if phase1.is_half_open() {
                self.half_open.remove(id, phase1.peer_class, phase1.remote().ip());
                self.by_pair.entry(phase1.pair()).or_default().insert(id);
            }
            self.attempts -= usize::from(phase1.is_attempt());
            if phase1.established().is_none() {
                *self.peers.entry(phase1.remote().ip()).or_default() += 1;
            }
            // A responder knows the section only now that it knows the identity.
            phase1.remote_section = established.sa.remote_section;
            phase1.stage = Stage::Established(Box::new(established));
        }
    }

    /// Records that the peer has returned our cookie. Returns its address the first time.
    pub(crate) fn prove_address(&mut self, id: Phase1Id) -> Option<SocketAddr> {
        let phase1 = self.all.get(&id).filter(|phase1| phase1.is_half_open())?;
        self.half_open.prove(id, phase1.peer_class, phase1.remote().ip()).then_some(phase1.remote())
    }

    /// Changes the path of an established phase 1, and the keys that contain it.
    pub(crate) fn move_to(&mut self, id: Phase1Id, path: Path) {
        // A negotiation has to end on the path on which it began.
        let Some(phase1) = self.all.get_mut(&id).filter(|phase1| phase1.established().is_some()) else { return };
        let old = (phase1.first_key(), phase1.pair());
        phase1.set_path(path);
        let new = (phase1.first_key(), phase1.pair());
        self.forget_first(id, &old.0);
        // A negotiation with the same cookie may have begun on the new path.
        self.by_first.entry(new.0).or_insert(id);
        if let Some(ids) = self.by_pair.get_mut(&old.1) {
            ids.remove(&id);
            if ids.is_empty() {
                self.by_pair.remove(&old.1);
            }
        }
        self.by_pair.entry(new.1).or_default().insert(id);
        self.forget_peer(old.1.1);
        *self.peers.entry(new.1.1).or_default() += 1;
    }

    /// Removes the first-message key of a phase 1, unless another one has taken it.
    fn forget_first(&mut self, id: Phase1Id, key: &FirstKey) {
        if self.by_first.get(key) == Some(&id) {
            self.by_first.remove(key);
        }
    }

    /// Counts one established phase 1 with a peer's address less.
    fn forget_peer(&mut self, address: IpAddr) {
        if let Some(count) = self.peers.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&address);
            }
        }
    }

    /// Returns the number of unestablished phase 1s that we began with unknown peers.
    pub(crate) fn attempts(&self) -> usize {
        self.attempts
    }

    pub(crate) fn get(&self, id: Phase1Id) -> Option<&Phase1> {
        self.all.get(&id).map(Box::as_ref)
    }

    pub(crate) fn get_mut(&mut self, id: Phase1Id) -> Option<&mut Phase1> {
        self.all.get_mut(&id).map(Box::as_mut)
    }

    /// Returns the ids of all, the oldest first.
    pub(crate) fn ids(&self) -> Vec<Phase1Id> {
        self.all.keys().copied().collect()
    }

    /// Returns all of them, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Phase1Id, &Phase1)> {
        self.all.iter().map(|(id, phase1)| (*id, phase1.as_ref()))
    }

    /// Finds a phase 1 by both cookies.
    pub(crate) fn find(&self, cookies: CookiePair) -> Option<Phase1Id> {
        self.by_cookies.get(&cookies).copied()
    }

    /// Finds a phase 1 by its first message.
    pub(crate) fn find_first(&self, cookie: Cookie, path: Path) -> Option<Phase1Id> {
        self.by_first.get(&(cookie, path)).copied()
    }

    /// Returns those between two addresses that are established or that we began, the oldest first.
    pub(crate) fn between(&self, addresses: (IpAddr, IpAddr)) -> Vec<Phase1Id> {
        self.by_pair.get(&addresses).into_iter().flatten().copied().collect()
    }

    /// Returns the other phase 1s with the peer of `id`, of all that [`Phase1s::between`] finds.
    pub(crate) fn others_with(&self, id: Phase1Id) -> Vec<Phase1Id> {
        let Some(path) = self.get(id).map(Phase1::path) else { return Vec::new() };
        let is_other =
            |other: &Phase1Id| *other != id && self.get(*other).is_some_and(|phase1| phase1.remote() == path.remote);
        self.between(path.addresses()).into_iter().filter(is_other).collect()
    }

    /// Returns the established one to use between the addresses of a path: preferably not dying, with the peer's port, and the
    /// newest. `except` is no candidate.
    pub(crate) fn newest(&self, path: Path, except: Option<Phase1Id>) -> Option<Phase1Id> {
        self.newest_of(path, |id, _| Some(id) != except)
    }

    /// Returns the phase 1 under which a quick mode begins: the newest usable one between the addresses of a path.
    pub(crate) fn usable(&self, path: Path) -> Option<Phase1Id> {
        self.newest_of(path, |_, phase1| phase1.is_usable())
    }

    fn newest_of(&self, path: Path, is_candidate: impl Fn(Phase1Id, &Phase1) -> bool) -> Option<Phase1Id> {
        let ids = self.by_pair.get(&path.addresses()).into_iter().flatten().copied();
        let candidates = ids.filter_map(|id| {
            let phase1 = self.all.get(&id).filter(|phase1| is_candidate(id, phase1))?;
            let established = phase1.established()?;
            // Compared in this order: what comes first counts most.
            Some((!established.dying, phase1.remote().port() == path.remote.port(), established.since, id))
        });
        candidates.max().map(|(.., id)| id)
    }

    /// Whether a phase 1 with this address is established.
    pub(crate) fn is_peer(&self, address: IpAddr) -> bool {
        self.peers.contains_key(&address)
    }

    /// Whether all tables are empty.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let keys = [
            self.all.len(),
            self.by_cookies.len(),
            self.by_first.len(),
            self.by_pair.len(),
            self.waits.len(),
            self.peers.len(),
            self.traffic.len(),
        ];
        keys.iter().all(|count| *count == 0) && self.half_open.counts() == (0, 0) && self.attempts == 0
    }
}
