//! The security policy database: what a policy is, and the maps it is found by.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use super::sad::Label;
use crate::dialect::Dialect;
use crate::num::ULPROTO_ANY;
pub(super) use crate::rules::lookup::PolicyKey;
use crate::wire::{Address, Lifetime, Policy, SockAddr};

/// A policy.
#[derive(Debug)]
pub(super) struct StoredPolicy {
    pub(super) source: Address,
    pub(super) destination: Address,
    pub(super) hard: Option<Lifetime>,
    pub(super) soft: Option<Lifetime>,
    pub(super) current: Lifetime,
    pub(super) policy: Policy,
    pub(super) label: Option<Label>,
    /// Among policies of one priority those with smaller numbers are asked first.
    pub(super) place: u64,
}

impl StoredPolicy {
    fn selector(&self, dialect: Dialect) -> Option<PolicyKey> {
        PolicyKey::new(dialect, self.policy.direction, &self.source, &self.destination)
    }

    /// Whether a packet is meant.
    pub(super) fn covers(&self, source: SocketAddr, destination: SocketAddr, proto: u8) -> bool {
        let any_proto = matches!(self.destination.proto, 0 | ULPROTO_ANY);
        (any_proto || self.destination.proto == proto)
            && contains(&self.source, source)
            && contains(&self.destination, destination)
    }
}

/// Whether an address is in a prefix. (`ipnet` would refuse the lengths beyond the address that a message may carry.)
fn contains(prefix: &Address, address: SocketAddr) -> bool {
    let SockAddr::Inet(network) = prefix.sockaddr else { return false };
    let length = u32::from(prefix.prefix);
    let same = match (network.ip(), address.ip()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= length.min(32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros() >= length.min(128),
        _ => false,
    };
    same && (network.port() == 0 || network.port() == address.port())
}

/// The database. Policies are numbered in the order they came; their ids are the kernel's affair.
#[derive(Debug)]
pub(super) struct Spd {
    dialect: Dialect,
    by_age: BTreeMap<u64, StoredPolicy>,
    by_id: HashMap<u32, u64>,
    by_selector: HashMap<PolicyKey, u64>,
    next: u64,
    generator: u32,
    next_reqid: u32,
}

impl Spd {
    pub(super) fn new(dialect: Dialect) -> Self {
        // The first reqid of their own that Linux and the BSDs give.
        let next_reqid = if dialect == Dialect::Linux { 0x4000 } else { 0x4001 };
        Self {
            dialect,
            by_age: BTreeMap::new(),
            by_id: HashMap::new(),
            by_selector: HashMap::new(),
            next: 0,
            generator: 0,
            next_reqid,
        }
    }

    pub(super) fn find(&self, selector: &PolicyKey) -> Option<u64> {
        self.by_selector.get(selector).copied()
    }

    pub(super) fn find_id(&self, id: u32) -> Option<u64> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&self, age: u64) -> Option<&StoredPolicy> {
        self.by_age.get(&age)
    }

    /// An id that is free. On Linux its low three bits are the direction.
    pub(super) fn new_id(&mut self, direction: u8) -> u32 {
        loop {
            let id = if self.dialect == Dialect::Linux {
                let id = self.generator | u32::from(direction.saturating_sub(1));
                self.generator = self.generator.wrapping_add(8);
                if id == 0 { 8 } else { id }
            } else {
                self.generator = self.generator.wrapping_add(1);
                self.generator
            };
            if id != 0 && !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }

    /// A reqid for a step of level unique that came without one. BSD has 16 bits for it.
    pub(super) fn new_reqid(&mut self) -> u32 {
        let reqid = self.next_reqid;
        let last = if self.dialect == Dialect::Linux { u32::MAX } else { u32::from(u16::MAX) };
        self.next_reqid = if reqid == last { 0x4001 } else { reqid + 1 };
        reqid
    }

    /// Puts in a policy whose selector and id are free, in place of `old`. Linux asks what replaces a policy of its priority
    /// where that one was asked, the others ask it last.
    pub(super) fn insert(&mut self, mut policy: StoredPolicy, old: Option<&StoredPolicy>) -> u64 {
        let age = self.next;
        self.next += 1;
        let priority = policy.policy.priority;
        let same = old.filter(|old| self.dialect == Dialect::Linux && old.policy.priority == priority);
        policy.place = same.map_or(age, |old| old.place);
        self.by_id.insert(policy.policy.id, age);
        self.by_selector.extend(policy.selector(self.dialect).map(|selector| (selector, age)));
        self.by_age.insert(age, policy);
        age
    }

    pub(super) fn remove(&mut self, age: u64) -> Option<StoredPolicy> {
        let policy = self.by_age.remove(&age)?;
        self.by_id.remove(&policy.policy.id);
        if let Some(selector) = policy.selector(self.dialect) {
            self.by_selector.remove(&selector);
        }
        Some(policy)
    }

    /// Removes all; whether there were any.
    pub(super) fn clear(&mut self) -> bool {
        let any = !self.by_age.is_empty();
        self.by_age.clear();
        self.by_id.clear();
        self.by_selector.clear();
        any
    }

    /// All policies in the order of a dump: Linux the newest first; the BSDs by direction, FreeBSD then by priority,
    /// then the oldest first.
    pub(super) fn dump(&self) -> Vec<u64> {
        let mut ages: Vec<u64> = self.by_age.keys().copied().collect();
        match self.dialect {
            Dialect::Linux => ages.reverse(),
            dialect => {
                let key = |policy: &StoredPolicy| {
                    (policy.policy.direction, if dialect.has_priority() { policy.policy.priority } else { 0 })
                };
                ages.sort_by_key(|age| self.by_age.get(age).map(key));
            }
        }
        ages
    }

    /// The policy that decides about a packet: the one of smallest priority number, of those the one in the first place.
    pub(super) fn matching(&self, direction: u8, packet: (SocketAddr, SocketAddr, u8)) -> Option<&StoredPolicy> {
        let matches = |policy: &&StoredPolicy| {
            policy.policy.direction == direction && policy.covers(packet.0, packet.1, packet.2)
        };
        let priority = |policy: &&StoredPolicy| if self.dialect.has_priority() { policy.policy.priority } else { 0 };
        self.by_age.values().filter(matches).min_by_key(|policy| (priority(policy), policy.place))
    }
}
