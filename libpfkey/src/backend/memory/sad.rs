//! The security association database: what an SA is, and the maps it is found by.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

use zeroize::Zeroizing;

use crate::dialect::Dialect;
use crate::num::{ExtensionType, SaState, SaType};
use crate::rules::lookup::SaKey;
pub(super) use crate::rules::lookup::{SaEndpoints, without_port};
use crate::wire::{Address, Key, Lifetime, Message, Sa, Sa2, SecurityContext};

/// A key of an SA.
#[derive(Debug)]
pub(super) struct StoredKey {
    pub(super) bits: u16,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

impl StoredKey {
    fn of(key: &Key<'_>) -> Self {
        Self { bits: key.bits, bytes: key.bytes.to_vec().into() }
    }

    pub(super) fn as_key(&self) -> Key<'_> {
        Key { bits: self.bits, reserved: 0, bytes: &self.bytes }
    }
}

/// UDP encapsulation of an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Encapsulation {
    pub(super) kind: u8,
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
}

impl Encapsulation {
    /// What a request asks for; kind 0 is none.
    pub(super) fn of(request: &Message<'_>) -> Option<Self> {
        let port = |kind| request.natt_port(kind).unwrap_or(0);
        request.natt_type().filter(|kind| *kind != 0).map(|kind| Self {
            kind,
            source_port: port(ExtensionType::NatTSport),
            destination_port: port(ExtensionType::NatTDport),
        })
    }
}

/// A security label.
#[derive(Debug)]
pub(super) struct Label {
    algorithm: u8,
    doi: u8,
    text: Vec<u8>,
}

impl Label {
    pub(super) fn of(request: &Message<'_>) -> Option<Self> {
        let context = request.security_context()?;
        Some(Self { algorithm: context.algorithm, doi: context.doi, text: context.label.to_vec() })
    }

    pub(super) fn as_context(&self) -> SecurityContext<'_> {
        SecurityContext { algorithm: self.algorithm, doi: self.doi, label: &self.text }
    }
}

/// A security association.
#[derive(Debug)]
pub(super) struct Association {
    pub(super) sa_type: SaType,
    pub(super) sa: Sa,
    pub(super) sa2: Sa2,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) proxy: Option<Address>,
    pub(super) hard: Option<Lifetime>,
    pub(super) soft: Option<Lifetime>,
    pub(super) current: Lifetime,
    pub(super) auth_key: Option<StoredKey>,
    pub(super) encrypt_key: Option<StoredKey>,
    pub(super) encapsulation: Option<Encapsulation>,
    pub(super) label: Option<Label>,
    /// Who made it, which the BSDs ask of an UPDATE.
    pub(super) pid: u32,
    /// Linux' entry for an ACQUIRE under way: SPI 0, no name.
    pub(super) is_acquire: bool,
    /// NetBSD: the group that it belongs to.
    group: u64,
    /// NetBSD: the ports that the addresses of its group have.
    pub(super) group_ports: (u16, u16),
}

/// What NetBSD keeps once for SAs between the same ends: mode, reqid and ports. A new SA takes over those of the group that it
/// joins, but for the ports, which it gives to all of them.
#[derive(Clone, Copy, Debug)]
struct Group {
    sa2: Sa2,
    ports: (u16, u16),
    members: usize,
}

impl Association {
    /// An SA between two addresses with nothing in it yet.
    pub(super) fn larval(sa_type: SaType, spi: u32, source: SocketAddr, destination: SocketAddr, now: u64) -> Self {
        Self {
            sa_type,
            sa: Sa::named(spi),
            sa2: Sa2::default(),
            source,
            destination,
            proxy: None,
            hard: None,
            soft: None,
            current: Lifetime { addtime: now, ..Lifetime::default() },
            auth_key: None,
            encrypt_key: None,
            encapsulation: None,
            label: None,
            pid: 0,
            is_acquire: false,
            group: 0,
            group_ports: (0, 0),
        }
    }

    /// Takes over what a request says of keys.
    pub(super) fn set_keys(&mut self, request: &Message<'_>) {
        self.auth_key = request.key(ExtensionType::KeyAuth).map(StoredKey::of);
        self.encrypt_key = request.key(ExtensionType::KeyEncrypt).map(StoredKey::of);
    }

    /// The second of its next time limit. NetBSD looks at the hard limit only of SAs that have reached the soft one.
    pub(super) fn deadline(&self, dialect: Dialect) -> Option<u64> {
        let limit = |lifetime: Option<Lifetime>| lifetime.map(|lifetime| lifetime.addtime).filter(|time| *time != 0);
        let next = match self.sa.state {
            SaState::Mature if dialect == Dialect::NetBsd => limit(self.soft),
            SaState::Mature => [limit(self.soft), limit(self.hard)].into_iter().flatten().min(),
            SaState::Larval | SaState::Dying => limit(self.hard),
            _ => None,
        };
        next.map(|seconds| self.current.addtime.saturating_add(seconds))
    }

    /// Whether its hard limit of time has passed.
    pub(super) fn is_over(&self, now: u64) -> bool {
        let hard = self.hard.map_or(0, |hard| hard.addtime);
        hard != 0 && now >= self.current.addtime.saturating_add(hard)
    }

    fn pair(&self) -> SaEndpoints {
        (self.sa_type, self.source, self.destination)
    }

    /// The place of its state in a group of NetBSD, which looks for SAs in this order.
    fn state_rank(&self) -> u8 {
        match self.sa.state {
            SaState::Mature => 0,
            SaState::Dying => 1,
            SaState::Larval => 2,
            _ => 3,
        }
    }
}

/// The database. SAs are numbered in the order they came, which is the order of dumps.
#[derive(Debug)]
pub(super) struct Sad {
    dialect: Dialect,
    by_age: BTreeMap<u64, Association>,
    /// More than one only on NetBSD, which does not look for an SPI of another host's before it gives it.
    by_name: HashMap<SaKey, Vec<u64>>,
    by_pair: HashMap<SaEndpoints, BTreeSet<u64>>,
    /// NetBSD's groups, the newest with the greatest number.
    groups: HashMap<SaEndpoints, BTreeMap<u64, Group>>,
    /// NetBSD: how many SAs to this host have each SPI.
    local_spis: HashMap<u32, usize>,
    by_deadline: BTreeSet<(u64, u64)>,
    next: u64,
}

impl Sad {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            by_age: BTreeMap::new(),
            by_name: HashMap::new(),
            by_pair: HashMap::new(),
            groups: HashMap::new(),
            local_spis: HashMap::new(),
            by_deadline: BTreeSet::new(),
            next: 0,
        }
    }

    /// The number of the SA with a name.
    pub(super) fn find(&self, pair: SaEndpoints, spi: u32) -> Option<u64> {
        let ages = self.by_name.get(&SaKey::new(self.dialect, pair, spi))?;
        self.first(ages.iter().copied())
    }

    /// The SA with a name that an ADD or UPDATE with this reqid means: on NetBSD one of the group that it goes to.
    pub(super) fn find_with_reqid(&self, pair: SaEndpoints, spi: u32, reqid: u32) -> Option<u64> {
        if self.dialect != Dialect::NetBsd {
            return self.find(pair, spi);
        }
        let group = self.group(pair, reqid)?;
        let ages = self.by_name.get(&SaKey::new(self.dialect, pair, spi))?;
        self.first(ages.iter().copied().filter(|age| self.get(*age).is_some_and(|sa| sa.group == group)))
    }

    /// The one of some SAs that is found first.
    fn first(&self, ages: impl Iterator<Item = u64>) -> Option<u64> {
        ages.min_by_key(|age| self.get(*age).map(|sa| (Reverse(sa.group), sa.state_rank())))
    }

    /// NetBSD: the group that an SA with this reqid joins. Modes are not compared, and reqid 0 fits all.
    pub(super) fn group(&self, pair: SaEndpoints, reqid: u32) -> Option<u64> {
        let fits = |group: &Group| reqid == 0 || group.sa2.reqid == reqid;
        self.groups.get(&pair)?.iter().rev().find(|(_, group)| fits(group)).map(|(number, _)| *number)
    }

    /// NetBSD: whether GETSPI finds the SPI taken. It looks only among SAs to this host, whose only addresses are those of the
    /// loopback interface.
    pub(super) fn has_local_spi(&self, spi: u32) -> bool {
        self.local_spis.contains_key(&spi)
    }

    pub(super) fn get(&self, age: u64) -> Option<&Association> {
        self.by_age.get(&age)
    }

    /// The SAs between two ends, oldest first.
    pub(super) fn between(&self, pair: SaEndpoints) -> impl Iterator<Item = (u64, &Association)> {
        let ages = self.by_pair.get(&pair).into_iter().flatten();
        ages.filter_map(|age| self.by_age.get(age).map(|association| (*age, association)))
    }

    /// All SAs of a type (all of them for none) in the order of a dump: the newest first, on NetBSD of the newest group.
    pub(super) fn dump(&self, sa_type: SaType) -> Vec<(u64, &Association)> {
        let wanted = |(_, sa): &(&u64, &Association)| sa_type == SaType::Unspec || sa.sa_type == sa_type;
        let mut all: Vec<_> = self.by_age.iter().rev().filter(wanted).map(|(age, sa)| (*age, sa)).collect();
        if self.dialect == Dialect::NetBsd {
            all.sort_by_key(|(_, sa)| (Reverse(sa.group), sa.state_rank()));
        }
        all
    }

    /// Puts in an SA whose name is free.
    pub(super) fn insert(&mut self, mut association: Association) -> u64 {
        let age = self.next;
        self.next += 1;
        if self.dialect == Dialect::NetBsd {
            self.join(&mut association);
        }
        if !association.is_acquire {
            let name = SaKey::new(self.dialect, association.pair(), association.sa.spi);
            self.by_name.entry(name).or_default().push(age);
        }
        self.by_pair.entry(association.pair()).or_default().insert(age);
        self.by_deadline.extend(association.deadline(self.dialect).map(|at| (at, age)));
        self.by_age.insert(age, association);
        age
    }

    /// Changes an SA in place: anything but its name.
    pub(super) fn change(&mut self, age: u64, change: impl FnOnce(&mut Association)) {
        let Some(association) = self.by_age.get_mut(&age) else { return };
        if let Some(at) = association.deadline(self.dialect) {
            self.by_deadline.remove(&(at, age));
        }
        change(association);
        self.by_deadline.extend(association.deadline(self.dialect).map(|at| (at, age)));
    }

    pub(super) fn remove(&mut self, age: u64) -> Option<Association> {
        let association = self.by_age.remove(&age)?;
        if !association.is_acquire {
            self.forget_name(age, &association);
        }
        if self.dialect == Dialect::NetBsd {
            self.leave(&association);
        }
        if let Some(at) = association.deadline(self.dialect) {
            self.by_deadline.remove(&(at, age));
        }
        if let Some(ages) = self.by_pair.get_mut(&association.pair()) {
            ages.remove(&age);
            if ages.is_empty() {
                self.by_pair.remove(&association.pair());
            }
        }
        Some(association)
    }

    fn forget_name(&mut self, age: u64, association: &Association) {
        let name = SaKey::new(self.dialect, association.pair(), association.sa.spi);
        let Some(ages) = self.by_name.get_mut(&name) else { return };
        ages.retain(|other| *other != age);
        if ages.is_empty() {
            self.by_name.remove(&name);
        }
    }

    /// Puts a new SA of NetBSD into its group, or into a new one.
    fn join(&mut self, association: &mut Association) {
        let pair = association.pair();
        let number = self.group(pair, association.sa2.reqid).unwrap_or(self.next);
        let new = Group { sa2: association.sa2, ports: (0, 0), members: 0 };
        let group = self.groups.entry(pair).or_default().entry(number).or_insert(new);
        group.members += 1;
        association.group = number;
        association.sa2 = group.sa2;
        association.group_ports = group.ports;
        if association.destination.ip().is_loopback() {
            *self.local_spis.entry(association.sa.spi).or_default() += 1;
        }
        self.share_ports(association);
    }

    /// Replaces the contents of an SA: what its group has stays, but for the ports.
    pub(super) fn replace(&mut self, age: u64, mut association: Association) {
        if let Some(old) = self.get(age).filter(|_| self.dialect == Dialect::NetBsd) {
            (association.group, association.sa2, association.group_ports) = (old.group, old.sa2, old.group_ports);
            self.share_ports(&mut association);
        }
        self.change(age, |old| *old = association);
    }

    /// Gives the ports of an SA's encapsulation to all of its group.
    fn share_ports(&mut self, association: &mut Association) {
        let Some(Encapsulation { source_port, destination_port, .. }) = association.encapsulation else { return };
        let (pair, number, ports) = (association.pair(), association.group, (source_port, destination_port));
        association.group_ports = ports;
        let group = self.groups.get_mut(&pair).and_then(|groups| groups.get_mut(&number));
        if let Some(group) = group.filter(|group| group.ports != ports) {
            group.ports = ports;
        } else {
            return;
        }
        for age in self.by_pair.get(&pair).into_iter().flatten() {
            let Some(sa) = self.by_age.get_mut(age).filter(|sa| sa.group == number) else { continue };
            sa.group_ports = ports;
            if let Some(encapsulation) = &mut sa.encapsulation {
                (encapsulation.source_port, encapsulation.destination_port) = ports;
            }
        }
    }

    /// Takes an SA of NetBSD out of its group, which ends with the last one.
    fn leave(&mut self, association: &Association) {
        if association.destination.ip().is_loopback()
            && let Entry::Occupied(mut count) = self.local_spis.entry(association.sa.spi)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        let pair = association.pair();
        let Some(groups) = self.groups.get_mut(&pair) else { return };
        if let Some(group) = groups.get_mut(&association.group) {
            group.members -= 1;
            if group.members == 0 {
                groups.remove(&association.group);
            }
        }
        if groups.is_empty() {
            self.groups.remove(&pair);
        }
    }

    /// An SA that has come to a limit of time.
    pub(super) fn due(&self, now: u64) -> Option<u64> {
        self.by_deadline.first().filter(|(at, _)| *at <= now).map(|(_, age)| *age)
    }
}
