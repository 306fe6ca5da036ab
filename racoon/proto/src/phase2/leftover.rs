//! SAs of an earlier run. They are renegotiated at once; those that the kernel still has are used until then.
//!
//! The engine has neither their phase 1 nor their keys, and knows only the peer of each. It deletes them when they are replaced,
//! when the peer does not answer, or when an authenticated peer has deleted them. Otherwise the kernel removes them at the end of
//! their lifetime.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::engine::{Engine, Phase1Id, Timer};
use crate::kernel::{Acquire, Direction, KernelRequest, LeftoverSa, Policy, SaName, Template, TemplateLevel};
use crate::num::Protocol;
use crate::output::Level;
use crate::path::Path;
use crate::phase1::entry::Phase1;
use crate::phase2::acquire::Phase2Trigger;
use crate::phase2::entry::Phase2;
use crate::phase2::table::{SaKey, sa_key};
use crate::phase2::traffic::{Endpoints, between_hosts, templates};

/// Time for which replaced SAs stay, for packets of the peer in flight.
const REPLACED: Duration = Duration::from_secs(5);

/// The SAs that the kernel has.
#[derive(Debug, Default)]
pub(crate) struct LeftoverSas {
    by_ends: BTreeMap<Endpoints, BTreeSet<SaName>>,
    by_sa: HashMap<SaKey, (Endpoints, SaName)>,
}

impl LeftoverSas {
    fn insert(&mut self, endpoints: Endpoints, name: SaName) {
        self.by_sa.insert(sa_key(&name), (endpoints, name));
        self.by_ends.entry(endpoints).or_default().insert(name);
    }

    /// Removes an SA. Returns false if there is none of that name.
    pub(crate) fn remove(&mut self, name: &SaName) -> bool {
        let Some((endpoints, name)) = self.by_sa.remove(&sa_key(name)) else { return false };
        if let Some(names) = self.by_ends.get_mut(&endpoints) {
            names.remove(&name);
            if names.is_empty() {
                self.by_ends.remove(&endpoints);
            }
        }
        true
    }

    /// Removes all SAs of a protocol, or all.
    pub(crate) fn remove_all(&mut self, protocol: Option<Protocol>) {
        let is_of = |name: &SaName| protocol.is_none_or(|protocol| name.protocol == protocol);
        let gone = self.by_sa.values().map(|(_, name)| *name).filter(is_of).collect::<Vec<_>>();
        for name in &gone {
            self.remove(name);
        }
    }

    /// Takes all SAs between two addresses.
    fn take(&mut self, endpoints: Endpoints) -> BTreeSet<SaName> {
        let names = self.by_ends.remove(&endpoints).unwrap_or_default();
        for name in &names {
            self.by_sa.remove(&sa_key(name));
        }
        names
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_sa.len()
    }
}

/// Outbound policies by the addresses and protocol of their SAs.
#[derive(Default)]
struct Asking<'a> {
    tunnels: HashMap<(Endpoints, Protocol), Vec<(&'a Policy, &'a Template)>>,
}

impl<'a> Asking<'a> {
    fn of(policies: impl Iterator<Item = &'a Policy>) -> Self {
        let mut asking = Self::default();
        for policy in policies {
            for template in templates(policy).unwrap_or_default() {
                if let Some((local, remote)) = template.endpoints {
                    let key = (Endpoints { local, remote }, template.protocol);
                    asking.tunnels.entry(key).or_default().push((policy, template));
                }
            }
        }
        asking.tunnels.values_mut().for_each(|policies| policies.sort_by_key(|(policy, _)| policy.index));
        asking
    }
}

/// Whether a template requires an SA with a reqid.
fn fits(template: &Template, sa: &LeftoverSa) -> bool {
    template.protocol == sa.name.protocol && (template.level != TemplateLevel::Unique || template.reqid == sa.reqid)
}

impl Engine {
    /// Adopts SAs of an earlier run. Those that no policy of the kernel needs are deleted.
    pub(crate) fn adopt(&mut self, sas: &[LeftoverSa]) {
        // 1. Find the policies that need them, and thus the peers to negotiate with.
        let (mut served, mut asking) = (HashSet::new(), BTreeMap::new());
        let policies = Asking::of(self.core.spd.outbound());
        for sa in sas {
            let Some(endpoints) = self.ends_of(&sa.name).filter(|endpoints| endpoints.local == sa.name.source) else {
                continue;
            };
            let tunnels = policies.tunnels.get(&(endpoints, sa.name.protocol)).into_iter().flatten();
            let tunnels = tunnels.filter(|(_, template)| fits(template, sa)).map(|(policy, _)| *policy);
            let between = |template: &Template| template.endpoints.is_none() && fits(template, sa);
            let transport = self.core.spd.covering(Direction::Out, &between_hosts(endpoints), |policy| {
                templates(policy).is_some_and(|templates| templates.iter().any(between))
            });
            for policy in tunnels.chain(transport) {
                served.insert(endpoints);
                asking.insert((endpoints, policy.index), sa.name);
            }
        }
        // 2. Keep those that the kernel has.
        for sa in sas.iter().filter(|sa| sa.in_kernel) {
            match self.ends_of(&sa.name).filter(|endpoints| served.contains(endpoints)) {
                Some(endpoints) => {
                    self.leftovers.insert(endpoints, sa.name);
                    // INITIAL-CONTACT would make the peer delete them before they are replaced.
                    self.phase1s.contacted.insert(endpoints.remote);
                }
                None => self.core.send_to_kernel(KernelRequest::Delete(sa.name)),
            }
        }
        // 3. Negotiate, unless only the peer may begin.
        for ((endpoints, index), SaName { protocol, source, destination, .. }) in asking {
            let peer = SocketAddr::new(endpoints.remote, self.core.settings.port);
            let acquire = Acquire { policy: Some(index), source, destination, protocol, seq: 0, selector: None };
            if self.block_of(peer, &Phase2Trigger::Acquire(acquire.clone())).is_ok() {
                self.acquire(acquire);
            } else {
                self.core
                    .log(Level::Debug, Some(peer), || "SAs of an earlier run are not renewed: the peer begins".into());
            }
        }
    }

    /// Returns our address and the peer's of an SA.
    fn ends_of(&self, name: &SaName) -> Option<Endpoints> {
        let SaName { source, destination, .. } = *name;
        if self.core.local_address(source).is_some() {
            return Some(Endpoints { local: source, remote: destination });
        }
        self.core.local_address(destination).map(|_| Endpoints { local: destination, remote: source })
    }

    /// Schedules the deletion of a peer's SAs of the earlier run, when a phase 2 with it is established and none is being
    /// negotiated.
    pub(crate) fn leftovers_replaced(&mut self, endpoints: Endpoints) {
        if !self.leftovers.by_ends.contains_key(&endpoints) {
            return;
        }
        let with_peer = self.phase2s.with(endpoints);
        let is_up = |id| self.phase2s.get(id).is_some_and(|phase2: &Phase2| phase2.established().is_some());
        if !with_peer.is_empty() && with_peer.into_iter().all(is_up) {
            self.core.timers.set(Timer::LeftoversReplaced(endpoints), self.core.now + REPLACED);
        }
    }

    /// Deletes a peer's SAs of the earlier run if the peer does not answer: it may have lost them, and packets with them.
    pub(crate) fn leftovers_unanswered(&mut self, endpoints: Endpoints) {
        if self.leftovers.by_ends.contains_key(&endpoints) {
            let peer = SocketAddr::new(endpoints.remote, self.core.settings.port);
            self.core
                .log(Level::Info, Some(peer), || "the peer does not answer: removing the SAs of an earlier run".into());
            self.delete_leftovers(endpoints, false);
            // The peer may still have its SAs, and would use them until it receives INITIAL-CONTACT.
            let is_up = |id| self.phase2s.get(id).is_some_and(|phase2: &Phase2| phase2.established().is_some());
            if !self.phase1s.is_peer(endpoints.remote) && !self.phase2s.with(endpoints).into_iter().any(is_up) {
                self.phase1s.contacted.remove(&endpoints.remote);
            }
        }
    }

    /// Deletes the SAs between two addresses.
    pub(crate) fn delete_leftovers(&mut self, endpoints: Endpoints, tell_peer: bool) {
        self.core.timers.stop(Timer::LeftoversReplaced(endpoints));
        let names = self.leftovers.take(endpoints);
        let peer = SocketAddr::new(endpoints.remote, self.core.settings.port);
        let path = self.core.local_address(endpoints.local).map(|local| Path::new(local, peer));
        if let Some(phase1) = path.and_then(|path| self.phase1s.usable(path)).filter(|_| tell_peer) {
            self.phase1s.send_deletes(
                &mut self.core,
                phase1,
                names.iter().filter(|name| name.destination == endpoints.local),
            );
        }
        names.into_iter().for_each(|name| self.core.send_to_kernel(KernelRequest::Delete(name)));
    }

    /// Deletes all SAs.
    pub(crate) fn delete_all_leftovers(&mut self) {
        let all = self.leftovers.by_ends.keys().copied().collect::<Vec<_>>();
        all.into_iter().for_each(|endpoints| self.delete_leftovers(endpoints, true));
    }

    /// Processes a DELETE of the peer. Returns false if the SA is not of an earlier run.
    pub(crate) fn leftover_deleted_by(&mut self, phase1: Phase1Id, protocol: Protocol, spi: u32) -> bool {
        let Some(Path { local, remote, .. }) = self.phase1s.get(phase1).map(Phase1::path) else { return false };
        let found = self.leftovers.by_sa.get(&(remote.ip(), protocol, spi)).copied();
        let peer = Endpoints { local: local.ip(), remote: remote.ip() };
        let Some((endpoints, name)) = found.filter(|(endpoints, _)| *endpoints == peer) else { return false };
        self.core.log(Level::Info, Some(remote), || format!("the peer deletes its {name} of an earlier run"));
        self.leftovers.remove(&name);
        self.core.send_to_kernel(KernelRequest::Delete(name));
        let sends = |names: &BTreeSet<SaName>| names.iter().any(|name| name.source == endpoints.local);
        if !self.leftovers.by_ends.get(&endpoints).is_some_and(sends) {
            self.delete_leftovers(endpoints, false);
        }
        true
    }
}
