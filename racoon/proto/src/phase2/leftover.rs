//! SAs of an earlier run. They are renegotiated at once; those that the kernel still has are used until then.
//!
//! The engine has neither their phase 1 nor their keys, and knows only the peer of each. It deletes them when they are replaced,
//! when the peer does not answer, or when an authenticated peer has deleted them. Otherwise the kernel removes them at the end of
//! their lifetime.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::{Engine, Timer};
use crate::kernel::{Acquire, Direction, KernelRequest, LeftoverSa, Policy, SaName, Template, TemplateLevel};
use crate::num::Protocol;
use crate::output::Level;
use crate::path::Path;
use crate::phase1::table::Phase1s;
use crate::phase2::table::{Phase2s, SaKey, sa_key};
use crate::phase2::traffic::{Endpoints, between_hosts, templates};

/// Time for which replaced SAs stay, for packets of the peer in flight.
const REPLACED: Duration = Duration::from_secs(5);

/// The SAs that the kernel has.
#[derive(Debug, Default)]
pub(crate) struct LeftoverSas {
    by_endpoints: BTreeMap<Endpoints, BTreeSet<SaName>>,
    by_sa: HashMap<SaKey, (Endpoints, SaName)>,
}

impl LeftoverSas {
    fn insert(&mut self, endpoints: Endpoints, name: SaName) {
        self.by_sa.insert(sa_key(&name), (endpoints, name));
        self.by_endpoints.entry(endpoints).or_default().insert(name);
    }

    /// Removes an SA. Returns false if there is none of that name.
    pub(crate) fn remove(&mut self, name: &SaName) -> bool {
        let Some((endpoints, name)) = self.by_sa.remove(&sa_key(name)) else { return false };
        if let Some(names) = self.by_endpoints.get_mut(&endpoints) {
            names.remove(&name);
            if names.is_empty() {
                self.by_endpoints.remove(&endpoints);
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
        let names = self.by_endpoints.remove(&endpoints).unwrap_or_default();
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
    /// Adopts SAs of an earlier run, and negotiates those that replace them, unless only the peer may begin.
    pub(crate) fn adopt(&mut self, sas: &[LeftoverSa]) {
        for acquire in self.leftovers.adopt(&mut self.core, &mut self.phase1s, sas) {
            let peer = SocketAddr::new(acquire.peer, self.core.settings.port);
            if self.core.select_section(peer, true).is_ok() {
                self.acquire(acquire.acquire);
            } else {
                let text = || "SAs of an earlier run are not renewed: no remote section may initiate".into();
                self.core.log(Level::Debug, Some(peer), text);
            }
        }
    }
}

/// An acquire that asks for the replacement of SAs.
struct Replacing {
    peer: IpAddr,
    acquire: Acquire,
}

impl LeftoverSas {
    /// Keeps the SAs that a policy of the kernel needs, and deletes the others. Returns the acquires for those needed.
    fn adopt(&mut self, core: &mut Core, phase1s: &mut Phase1s, sas: &[LeftoverSa]) -> Vec<Replacing> {
        // 1. Find the policies that need them, and thus the peers to negotiate with.
        let (mut served, mut asking) = (HashSet::new(), BTreeMap::new());
        let policies = Asking::of(core.spd.outbound());
        // The peer's SAs are replaced together with ours.
        let ours = sas.iter().filter_map(|sa| Some((sa, core.endpoints_of(&sa.name)?)));
        for (sa, endpoints) in ours.filter(|(sa, endpoints)| endpoints.local == sa.name.source) {
            let tunnels = policies.tunnels.get(&(endpoints, sa.name.protocol)).into_iter().flatten();
            let tunnels = tunnels.filter(|(_, template)| fits(template, sa)).map(|(policy, _)| *policy);
            let between = |template: &Template| template.endpoints.is_none() && fits(template, sa);
            let transport = core.spd.covering(Direction::Out, &between_hosts(endpoints), |policy| {
                templates(policy).is_some_and(|templates| templates.iter().any(between))
            });
            for policy in tunnels.chain(transport) {
                served.insert(endpoints);
                asking.insert((endpoints, policy.index), sa.name);
            }
        }
        // 2. Keep those that the kernel has.
        for sa in sas.iter().filter(|sa| sa.in_kernel) {
            match core.endpoints_of(&sa.name).filter(|endpoints| served.contains(endpoints)) {
                Some(endpoints) => {
                    self.insert(endpoints, sa.name);
                    // INITIAL-CONTACT would make the peer delete them before they are replaced.
                    phase1s.contacted.insert(endpoints.remote);
                }
                None => core.send_to_kernel(KernelRequest::Delete(sa.name)),
            }
        }
        // 3. Ask for those that replace them.
        let acquire = |((endpoints, index), name): ((Endpoints, u32), SaName)| {
            let SaName { protocol, source, destination, .. } = name;
            let acquire = Acquire { policy: Some(index), source, destination, protocol, seq: 0, selector: None };
            Replacing { peer: endpoints.remote, acquire }
        };
        asking.into_iter().map(acquire).collect()
    }

    /// Schedules the deletion of a peer's SAs of the earlier run, when a phase 2 with it is established and none is being
    /// negotiated.
    pub(crate) fn schedule_deletion(&self, core: &mut Core, phase2s: &Phase2s, endpoints: Endpoints) {
        // The usual case, which must not cost a walk over the peer's phase 2s.
        if !self.by_endpoints.contains_key(&endpoints) {
            return;
        }
        let mut with_peer = phase2s.with(endpoints).into_iter().peekable();
        // A negotiation may still need the old SAs until it has installed its own.
        if with_peer.peek().is_some() && with_peer.all(|id| phase2s.is_established(id)) {
            core.timers.set(Timer::LeftoversReplaced(endpoints), core.now + REPLACED);
        }
    }

    /// Deletes a peer's SAs of the earlier run if the peer does not answer: it may have lost them, and packets with them.
    pub(crate) fn delete_unanswered(
        &mut self,
        core: &mut Core,
        phase1s: &mut Phase1s,
        phase2s: &Phase2s,
        endpoints: Endpoints,
    ) {
        if !self.by_endpoints.contains_key(&endpoints) {
            // There are none.
            return;
        }
        let peer = SocketAddr::new(endpoints.remote, core.settings.port);
        core.log(Level::Info, Some(peer), || "the peer does not answer: removing the SAs of an earlier run".into());
        self.delete(core, phase1s, endpoints, false);
        // The peer may still have its SAs, and would use them until it receives INITIAL-CONTACT.
        let is_up = phase2s.with(endpoints).into_iter().any(|id| phase2s.is_established(id));
        if !phase1s.is_peer(endpoints.remote) && !is_up {
            phase1s.contacted.remove(&endpoints.remote);
        }
    }

    /// Deletes the SAs between two addresses.
    pub(crate) fn delete(&mut self, core: &mut Core, phase1s: &mut Phase1s, endpoints: Endpoints, tell_peer: bool) {
        core.timers.stop(Timer::LeftoversReplaced(endpoints));
        let names = self.take(endpoints);
        let peer = SocketAddr::new(endpoints.remote, core.settings.port);
        let path = core.local_address(endpoints.local).map(|local| Path::new(local, peer)).filter(|_| tell_peer);
        let phase1 = path.and_then(|path| phase1s.usable(path)).and_then(|id| phase1s.get_mut(id));
        if let Some(phase1) = phase1 {
            phase1.send_deletes(core, names.iter().filter(|name| name.destination == endpoints.local));
        }
        names.into_iter().for_each(|name| core.send_to_kernel(KernelRequest::Delete(name)));
    }

    /// Deletes all SAs.
    pub(crate) fn delete_all(&mut self, core: &mut Core, phase1s: &mut Phase1s) {
        let all = self.by_endpoints.keys().copied().collect::<Vec<_>>();
        all.into_iter().for_each(|endpoints| self.delete(core, phase1s, endpoints, true));
    }

    /// Processes a DELETE of the peer at the end of a path. Returns false if the SA is not of an earlier run.
    pub(crate) fn deleted_by(
        &mut self,
        core: &mut Core,
        phase1s: &mut Phase1s,
        path: Path,
        (protocol, spi): (Protocol, u32),
    ) -> bool {
        let remote = path.remote;
        let found = self.by_sa.get(&(remote.ip(), protocol, spi)).copied();
        let Some((endpoints, name)) = found.filter(|(endpoints, _)| *endpoints == Endpoints::of(path)) else {
            return false;
        };
        core.log(Level::Info, Some(remote), || format!("the peer deletes its {name} of an earlier run"));
        self.remove(&name);
        core.send_to_kernel(KernelRequest::Delete(name));
        let sends = |names: &BTreeSet<SaName>| names.iter().any(|name| name.source == endpoints.local);
        // The peer has deleted its half; without an SA to send by, ours is of no use.
        if !self.by_endpoints.get(&endpoints).is_some_and(sends) {
            self.delete(core, phase1s, endpoints, false);
        }
        true
    }
}

impl Core {
    /// Returns our address and the peer's of an SA.
    fn endpoints_of(&self, name: &SaName) -> Option<Endpoints> {
        let SaName { source, destination, .. } = *name;
        if self.local_address(source).is_some() {
            return Some(Endpoints { local: source, remote: destination });
        }
        self.local_address(destination).map(|_| Endpoints { local: destination, remote: source })
    }
}
