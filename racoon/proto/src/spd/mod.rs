//! A copy of the kernel's policies, indexed for look-ups.
//!
//! A policy is found by the kernel's index, by direction and selector, and by what it covers. For the latter, policies
//! are grouped by shape: the lengths of both prefixes, and whether protocol and ports are "any". All policies of a shape are in
//! one hash table, so that a look-up costs one probe for each shape that occurs, of which there are few, however many policies
//! there are.

mod missing;
mod prefixes;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::IpAddr;

use crate::authorization::{remote_endpoints, remote_sides};
use crate::kernel::{Direction, Policy, PolicyAction, Prefix, Selector};
pub(crate) use missing::missing_policy;
pub(crate) use prefixes::Prefixes;

/// Policies, indexed.
#[derive(Debug, Default)]
pub(crate) struct Spd {
    policies: HashMap<Key, Policy>,
    by_index: HashMap<u32, Key>,
    /// The number of policies of each shape.
    shapes: HashMap<(Direction, Shape), usize>,
    /// The number of templates with each reqid.
    reqids: HashMap<u32, usize>,
    /// Policies by the addresses of the peers' side.
    remotes: Prefixes<Key>,
}

/// The key of a policy.
type Key = (Direction, Selector);

/// The shape of a selector, which selectors with other values share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Shape {
    ipv6: (bool, bool),
    source: u8,
    destination: u8,
    protocol: bool,
    source_port: bool,
    destination_port: bool,
}

impl Spd {
    /// Adds a policy, or replaces the one with its direction and selector.
    pub(crate) fn insert(&mut self, policy: Policy) {
        let key = (policy.direction, policy.selector);
        // The counts and indexes of a replaced policy must go with it.
        self.remove(key.0, &key.1);
        if policy.index != 0 {
            self.by_index.insert(policy.index, key);
        }
        *self.shapes.entry((key.0, Shape::of(&key.1))).or_default() += 1;
        reqids(&policy).for_each(|reqid| *self.reqids.entry(reqid).or_default() += 1);
        remotes(&policy).for_each(|prefix| self.remotes.insert(prefix, key));
        self.policies.insert(key, policy);
    }

    /// Removes a policy.
    pub(crate) fn remove(&mut self, direction: Direction, selector: &Selector) -> Option<Policy> {
        let key = (direction, *selector);
        let policy = self.policies.remove(&key)?;
        // Another policy may have the index by now.
        if self.by_index.get(&policy.index) == Some(&key) {
            self.by_index.remove(&policy.index);
        }
        one_less(&mut self.shapes, &(direction, Shape::of(selector)));
        reqids(&policy).for_each(|reqid| one_less(&mut self.reqids, &reqid));
        remotes(&policy).for_each(|prefix| self.remotes.remove(prefix, &key));
        Some(policy)
    }

    /// Removes all policies.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Replaces all policies.
    pub(crate) fn replace_all(&mut self, policies: Vec<Policy>) {
        self.clear();
        policies.into_iter().for_each(|policy| self.insert(policy));
    }

    /// Whether a policy names a host as a peer: as the end of a tunnel, or as all of a peer's side.
    pub(crate) fn names_peer(&self, address: IpAddr) -> bool {
        self.remotes.has(Prefix::host(address))
    }

    /// Returns the policy with an index of the kernel.
    pub(crate) fn by_index(&self, index: u32) -> Option<&Policy> {
        self.policies.get(self.by_index.get(&index)?)
    }

    /// Returns the policy with this direction and selector.
    pub(crate) fn exact(&self, direction: Direction, selector: &Selector) -> Option<&Policy> {
        self.policies.get(&(direction, *selector))
    }

    /// Returns the policy for all packets of `selector`, among those that `fits` accepts: the one with the smallest priority, and of
    /// several the most specific.
    pub(crate) fn covering(
        &self,
        direction: Direction,
        selector: &Selector,
        fits: impl Fn(&Policy) -> bool,
    ) -> Option<&Policy> {
        let shapes = self.shapes.keys().filter(|(way, _)| *way == direction);
        // Of each shape, only one selector can cover this one: its projection.
        let candidates = shapes.filter_map(|(_, shape)| self.exact(direction, &shape.project(selector)?));
        candidates.filter(|policy| fits(policy)).min_by_key(|policy| rank(policy))
    }

    /// Returns the inbound policies for some of the ports of a selector that has a protocol but not both ports, among those that
    /// `fits` accepts: for each pair of ports the one that the kernel would select.
    pub(crate) fn inbound_with_ports_within(&self, inbound: &Selector, fits: impl Fn(&Policy) -> bool) -> Vec<&Policy> {
        let mut found = BTreeMap::<_, &Policy>::new();
        for policy in self.at_remote_side(inbound.source) {
            if policy.direction != Direction::In || !has_ports_within(&policy.selector, inbound) || !fits(policy) {
                continue;
            }
            let ports = (policy.selector.source_port, policy.selector.destination_port);
            let best = found.entry(ports).or_insert(policy);
            if rank(policy) < rank(best) {
                *best = policy;
            }
        }
        found.into_values().collect()
    }

    /// Returns the policy of the opposite direction, if it protects its packets.
    pub(crate) fn mirror(&self, outbound: &Policy) -> Option<&Policy> {
        let mirror = self.exact(Direction::In, &outbound.selector.mirrored())?;
        matches!(mirror.action, PolicyAction::Protect(_)).then_some(mirror)
    }

    /// Returns the policies whose peer's side or tunnel endpoint has an address in common with `side`. A policy may occur twice.
    pub(crate) fn at_remote_side(&self, side: Prefix) -> impl Iterator<Item = &Policy> {
        self.remotes.overlapping(side).filter_map(|key| self.policies.get(key))
    }

    /// Returns all outbound policies, in no particular order.
    pub(crate) fn outbound(&self) -> impl Iterator<Item = &Policy> {
        self.policies.values().filter(|policy| policy.direction == Direction::Out)
    }

    /// Whether a policy requires SAs with this reqid.
    pub(crate) fn has_reqid(&self, reqid: u32) -> bool {
        self.reqids.contains_key(&reqid)
    }

    /// The number of policies.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.policies.len()
    }
}

impl Shape {
    fn of(selector: &Selector) -> Self {
        Self {
            ipv6: (selector.source.address().is_ipv6(), selector.destination.address().is_ipv6()),
            source: selector.source.length(),
            destination: selector.destination.length(),
            protocol: selector.protocol != 0,
            source_port: selector.source_port != 0,
            destination_port: selector.destination_port != 0,
        }
    }

    /// The only selector of this shape that can cover another one, if there is one.
    fn project(&self, selector: &Selector) -> Option<Selector> {
        let own = Self::of(selector);
        let covers = self.ipv6 == own.ipv6
            && self.source <= own.source
            && self.destination <= own.destination
            && self.protocol <= own.protocol
            && self.source_port <= own.source_port
            && self.destination_port <= own.destination_port;
        let keep = |whether: bool, port: u16| if whether { port } else { 0 };
        covers.then(|| Selector {
            source: Prefix::new(selector.source.address(), self.source),
            destination: Prefix::new(selector.destination.address(), self.destination),
            protocol: if self.protocol { selector.protocol } else { 0 },
            source_port: keep(self.source_port, selector.source_port),
            destination_port: keep(self.destination_port, selector.destination_port),
        })
    }

    /// Returns how specific selectors of this shape are.
    fn specificity(&self) -> u32 {
        let flags = [self.protocol, self.source_port, self.destination_port];
        u32::from(self.source) + u32::from(self.destination) + flags.into_iter().map(u32::from).sum::<u32>()
    }
}

/// The rank of a policy that matches; the smallest is selected.
fn rank(policy: &Policy) -> (u32, Reverse<u32>, Reverse<Shape>) {
    let shape = Shape::of(&policy.selector);
    // The shape itself makes the order total, so that the result does not depend on the order of a hash map.
    (policy.priority, Reverse(shape.specificity()), Reverse(shape))
}

/// Whether `narrow` covers the addresses of `wide`, has its protocol, and only some of its ports.
fn has_ports_within(narrow: &Selector, wide: &Selector) -> bool {
    let within = |port: u16, of: u16| of == 0 || port == of;
    let ports = |selector: &Selector| (selector.source_port, selector.destination_port);
    wide.protocol != 0
        && narrow.protocol == wide.protocol
        && narrow.source.contains(wide.source)
        && narrow.destination.contains(wide.destination)
        && within(narrow.source_port, wide.source_port)
        && within(narrow.destination_port, wide.destination_port)
        && ports(narrow) != ports(wide)
}

/// Returns the addresses that a policy assigns to peers.
fn remotes(policy: &Policy) -> impl Iterator<Item = Prefix> {
    remote_sides(policy).chain(remote_endpoints(policy).map(Prefix::host))
}

/// Returns the reqids of a policy's templates, without 0, which stands for none.
fn reqids(policy: &Policy) -> impl Iterator<Item = u32> {
    let templates = match &policy.action {
        PolicyAction::Protect(templates) => templates.as_slice(),
        PolicyAction::Discard | PolicyAction::Pass => &[],
    };
    templates.iter().map(|template| template.reqid).filter(|reqid| *reqid != 0)
}

fn one_less<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
