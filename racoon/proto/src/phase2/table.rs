//! The table of phase 2s, and its keys: message id, SA, traffic key, and phase 1.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use crate::engine::{Phase1Id, Phase2Id};
use crate::kernel::{RequestId, SaName};
use crate::num::Protocol;
use crate::path::Path;
use crate::phase2::TrafficKey;
use crate::phase2::entry::{EstablishedPhase2, Phase2, State};
use crate::phase2::traffic::Endpoints;
use crate::reason::Role;

/// Limit on SPIs of removed phase 2s that are awaited: a kernel that does not answer may never do so.
const ORPHANS_MAX: usize = 256;

/// Key of an SA: destination, protocol, SPI.
pub(crate) type SaKey = (IpAddr, Protocol, u32);

pub(crate) fn sa_key(name: &SaName) -> SaKey {
    (name.destination, name.protocol, name.spi)
}

/// Returns the keys of an SA of a phase 2. A DELETE of the peer implies the peer's address, even if the SA has another one.
fn sa_keys(phase2: &Phase2, name: &SaName) -> impl Iterator<Item = SaKey> + use<> {
    let of_peer = name.destination == phase2.sa_endpoints.remote && phase2.sa_endpoints != phase2.traffic_key.endpoints;
    let by_peer = of_peer.then_some((phase2.traffic_key.endpoints.remote, name.protocol, name.spi));
    [sa_key(name)].into_iter().chain(by_peer)
}

/// The table of phase 2s.
#[derive(Default)]
pub(crate) struct Phase2s {
    /// Boxed: the nodes of the tree are half empty where ids only grow, and an entry has more than 500 bytes.
    all: BTreeMap<Phase2Id, Box<Phase2>>,
    /// Those for which messages may still arrive.
    by_message: HashMap<Phase1Id, HashMap<u32, Phase2Id>>,
    /// The phase 1 and the message id of their messages.
    listening: HashMap<Phase2Id, (Phase1Id, u32)>,
    /// Those that the peer began and that are being negotiated.
    answering: HashMap<Phase1Id, BTreeSet<Phase2Id>>,
    /// Those being negotiated.
    negotiating: HashMap<TrafficKey, Phase2Id>,
    established: HashMap<TrafficKey, BTreeSet<Phase2Id>>,
    by_phase1: HashMap<Phase1Id, BTreeSet<Phase2Id>>,
    by_peer: HashMap<Endpoints, BTreeSet<Phase2Id>>,
    by_sa: HashMap<SaKey, Phase2Id>,
    /// Requests for SPIs of removed phase 2s, the newest ones.
    orphans: BTreeMap<RequestId, SaName>,
}

impl Phase2s {
    /// Adds a phase 2 that is being negotiated.
    pub(crate) fn insert(&mut self, phase2: Phase2) {
        let id = phase2.id;
        // An earlier negotiation for the traffic keeps its place, as acquires join that one.
        self.negotiating.entry(phase2.traffic_key).or_insert(id);
        self.by_peer.entry(phase2.traffic_key.endpoints).or_default().insert(id);
        self.all.insert(id, Box::new(phase2));
    }

    /// Removes a phase 2. It still says under which phase 1 it was.
    pub(crate) fn remove(&mut self, id: Phase2Id) -> Option<Phase2> {
        self.close(id);
        let phase2 = self.all.remove(&id)?;
        if let Some(phase1) = phase2.phase1 {
            discard(&mut self.by_phase1, &phase1, id);
        }
        self.no_longer_negotiating(id, &phase2.traffic_key);
        discard(&mut self.established, &phase2.traffic_key, id);
        discard(&mut self.by_peer, &phase2.traffic_key.endpoints, id);
        forget_sas(&mut self.by_sa, id, phase2.kernel_sas.iter().flat_map(|name| sa_keys(&phase2, name)));
        // The kernel may still answer, and then has SPIs that nobody would delete.
        self.orphans.extend(phase2.spi_requests.iter().map(|(request, (_, name))| (*request, *name)));
        while self.orphans.len() > ORPHANS_MAX {
            self.orphans.pop_first();
        }
        Some(*phase2)
    }

    /// Binds it to a phase 1.
    pub(crate) fn bind(&mut self, id: Phase2Id, phase1: Phase1Id) {
        self.unbind(id);
        if let Some(phase2) = self.all.get_mut(&id) {
            phase2.phase1 = Some(phase1);
            self.by_phase1.entry(phase1).or_default().insert(id);
        }
    }

    /// Moves the phase 2s of a phase 1 with it to another path. One that was negotiated on a third path stays there.
    pub(crate) fn move_under(&mut self, phase1: Phase1Id, old: Path, new: Path) {
        for id in self.under(phase1) {
            if let Some(phase2) = self.all.get_mut(&id).filter(|phase2| phase2.path == old) {
                phase2.path = new;
            }
        }
    }

    /// Detaches the phase 2s of a phase 1 that is removed. Established ones move to `successor`, or stay without a phase 1. Returns
    /// the negotiations, which have to fail.
    pub(crate) fn leave(&mut self, phase1: Phase1Id, successor: Option<Phase1Id>) -> Vec<Phase2Id> {
        for id in self.established_under(phase1) {
            match successor {
                Some(successor) => self.bind(id, successor),
                None => {
                    // Its exchange cannot be continued without the keys of its phase 1.
                    self.close(id);
                    self.unbind(id);
                }
            }
        }
        self.under(phase1)
    }

    /// Detaches it from its phase 1.
    pub(crate) fn unbind(&mut self, id: Phase2Id) {
        if let Some(phase1) = self.all.get_mut(&id).and_then(|phase2| phase2.phase1.take()) {
            discard(&mut self.by_phase1, &phase1, id);
        }
    }

    /// Lets it receive the messages of its exchange.
    pub(crate) fn listen(&mut self, id: Phase2Id, phase1: Phase1Id, message_id: u32) {
        self.close(id);
        if let Some(phase2) = self.all.get_mut(&id) {
            phase2.message_id = message_id;
            self.by_message.entry(phase1).or_default().insert(message_id, id);
            // Only negotiations of the peer count against its limit.
            if phase2.role == Role::Responder && phase2.established().is_none() {
                self.answering.entry(phase1).or_default().insert(id);
            }
            self.listening.insert(id, (phase1, message_id));
        }
    }

    /// Ends the reception of messages of its exchange.
    pub(crate) fn close(&mut self, id: Phase2Id) {
        // It was closed before, or never listened.
        let Some((phase1, message_id)) = self.listening.remove(&id) else { return };
        discard(&mut self.answering, &phase1, id);
        if let Some(exchanges) = self.by_message.get_mut(&phase1) {
            exchanges.remove(&message_id);
            if exchanges.is_empty() {
                self.by_message.remove(&phase1);
            }
        }
    }

    /// Makes it an established phase 2.
    pub(crate) fn establish(&mut self, id: Phase2Id, established: EstablishedPhase2) {
        // The step that installed its last SA has found it.
        let Some(phase2) = self.all.get_mut(&id) else { return };
        phase2.state = State::Established(Box::new(established));
        let traffic_key = phase2.traffic_key;
        self.established.entry(traffic_key).or_default().insert(id);
        if let Some((phase1, _)) = self.listening.get(&id) {
            discard(&mut self.answering, phase1, id);
        }
        self.no_longer_negotiating(id, &traffic_key);
    }

    /// Records an SA that the kernel has, or is asked to install.
    pub(crate) fn add_kernel_sa(&mut self, id: Phase2Id, name: SaName) {
        if let Some(phase2) = self.all.get_mut(&id) {
            if !phase2.kernel_sas.contains(&name) {
                phase2.kernel_sas.push(name);
            }
            self.by_sa.extend(sa_keys(phase2, &name).map(|key| (key, id)));
        }
    }

    /// Removes an SA that the kernel does not have after all.
    pub(crate) fn remove_kernel_sa(&mut self, id: Phase2Id, name: SaName) {
        if let Some(phase2) = self.all.get_mut(&id) {
            phase2.kernel_sas.retain(|kernel_sas| *kernel_sas != name);
            forget_sas(&mut self.by_sa, id, sa_keys(phase2, &name));
        }
    }

    /// Returns the name of an SPI that arrived for a removed phase 2, to delete it.
    pub(crate) fn take_orphan(&mut self, request: RequestId) -> Option<SaName> {
        self.orphans.remove(&request)
    }

    pub(crate) fn get(&self, id: Phase2Id) -> Option<&Phase2> {
        self.all.get(&id).map(Box::as_ref)
    }

    pub(crate) fn get_mut(&mut self, id: Phase2Id) -> Option<&mut Phase2> {
        self.all.get_mut(&id).map(Box::as_mut)
    }

    /// All of them, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Phase2Id, &Phase2)> {
        self.all.iter().map(|(id, phase2)| (*id, phase2.as_ref()))
    }

    /// Returns the ids of those that `is_hit` accepts, the oldest first.
    pub(crate) fn ids(&self, is_hit: impl Fn(&Phase2) -> bool) -> Vec<Phase2Id> {
        self.iter().filter(|(_, phase2)| is_hit(phase2)).map(|(id, _)| id).collect()
    }

    /// The one that a message belongs to.
    pub(crate) fn find(&self, phase1: Phase1Id, message_id: u32) -> Option<Phase2Id> {
        self.by_message.get(&phase1)?.get(&message_id).copied()
    }

    /// Returns the one that is being negotiated for a traffic key.
    pub(crate) fn negotiating(&self, traffic_key: &TrafficKey) -> Option<Phase2Id> {
        self.negotiating.get(traffic_key).copied()
    }

    /// Returns the established ones for a traffic key.
    pub(crate) fn established(&self, traffic_key: &TrafficKey) -> impl Iterator<Item = (Phase2Id, &EstablishedPhase2)> {
        let ids = self.established.get(traffic_key).into_iter().flatten();
        ids.filter_map(|id| Some((*id, self.all.get(id)?.established()?)))
    }

    /// Finds the one that an SA belongs to.
    pub(crate) fn of_sa(&self, key: SaKey) -> Option<Phase2Id> {
        self.by_sa.get(&key).copied()
    }

    /// Returns all under a phase 1.
    pub(crate) fn under(&self, phase1: Phase1Id) -> Vec<Phase2Id> {
        self.by_phase1.get(&phase1).into_iter().flatten().copied().collect()
    }

    /// Returns the established ones under a phase 1.
    pub(crate) fn established_under(&self, phase1: Phase1Id) -> Vec<Phase2Id> {
        self.under(phase1).into_iter().filter(|id| self.is_established(*id)).collect()
    }

    /// Whether one is established.
    pub(crate) fn is_established(&self, id: Phase2Id) -> bool {
        self.get(id).is_some_and(|phase2| phase2.established().is_some())
    }

    /// Returns all with a peer.
    pub(crate) fn with(&self, endpoints: Endpoints) -> Vec<Phase2Id> {
        self.by_peer.get(&endpoints).into_iter().flatten().copied().collect()
    }

    /// Returns the number of those with a peer.
    pub(crate) fn count_with(&self, endpoints: Endpoints) -> usize {
        self.by_peer.get(&endpoints).map_or(0, BTreeSet::len)
    }

    /// Returns the number of negotiations under a phase 1 that the peer began.
    pub(crate) fn answering(&self, phase1: Phase1Id) -> usize {
        self.answering.get(&phase1).map_or(0, BTreeSet::len)
    }

    /// Whether messages of an exchange under a phase 1 may still come.
    pub(crate) fn talks_under(&self, phase1: Phase1Id) -> bool {
        self.by_message.contains_key(&phase1)
    }

    /// Returns the number of those under a phase 1.
    pub(crate) fn count(&self, phase1: Phase1Id) -> usize {
        self.by_phase1.get(&phase1).map_or(0, BTreeSet::len)
    }

    fn no_longer_negotiating(&mut self, id: Phase2Id, traffic_key: &TrafficKey) {
        if self.negotiating.get(traffic_key) == Some(&id) {
            self.negotiating.remove(traffic_key);
        }
    }

    /// Returns the number of awaited SPIs of removed phase 2s.
    #[cfg(test)]
    pub(crate) fn orphans(&self) -> usize {
        self.orphans.len()
    }

    /// Whether all tables are empty.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
            && self.by_message.is_empty()
            && self.listening.is_empty()
            && self.answering.is_empty()
            && self.negotiating.is_empty()
            && self.established.is_empty()
            && self.by_phase1.is_empty()
            && self.by_peer.is_empty()
            && self.by_sa.is_empty()
    }
}

/// Removes SA keys of `id`; those that belong to another one stay.
fn forget_sas(by_sa: &mut HashMap<SaKey, Phase2Id>, id: Phase2Id, keys: impl Iterator<Item = SaKey>) {
    for key in keys {
        if by_sa.get(&key) == Some(&id) {
            by_sa.remove(&key);
        }
    }
}

/// Removes an id from the set of a key, and the set if it is empty.
fn discard<K: Eq + std::hash::Hash>(sets: &mut HashMap<K, BTreeSet<Phase2Id>>, key: &K, id: Phase2Id) {
    if let Some(set) = sets.get_mut(key) {
        set.remove(&id);
        if set.is_empty() {
            sets.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::conversation::Record;
    use crate::kernel::{Prefix, Selector};
    use crate::time::Time;

    /// The kernel refuses an SA whose addresses are not those of phase 1, because another program has installed one.
    #[test]
    fn of_what_the_kernel_refused_nothing_is_kept() {
        let [local, remote, client]: [IpAddr; 3] = [1, 2, 3].map(|host| [192, 0, 2, host].into());
        let (source, destination) = (Prefix::host(local), Prefix::host(client));
        let selector = Selector { source, destination, protocol: 0, source_port: 0, destination_port: 0 };
        let traffic_key = TrafficKey { selector, endpoints: Endpoints { local, remote } };
        let path = Path::new(SocketAddr::new(local, 500), SocketAddr::new(remote, 500));
        let id = Phase2Id(1);
        let mut phase2 = Phase2::new(id, Role::Responder, traffic_key, path, Record::new(Time::default()));
        phase2.sa_endpoints = Endpoints { local, remote: client };
        let mut phase2s = Phase2s::default();
        phase2s.insert(phase2);
        let name = SaName { protocol: Protocol::ESP, source: local, destination: client, spi: 0x1001 };
        phase2s.add_kernel_sa(id, name);
        assert_eq!(phase2s.of_sa((remote, Protocol::ESP, 0x1001)), Some(id), "as the peer calls it");
        phase2s.remove_kernel_sa(id, name);
        phase2s.remove(id);
        assert!(phase2s.is_empty());
    }
}
