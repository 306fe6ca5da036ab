//! The security association database: what an SA is, and the maps it is found by.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

use zeroize::Zeroizing;

use crate::dialect::Dialect;
use crate::num::{ExtensionType, SaState, SaType};
use crate::rules::names::SaName;
pub(super) use crate::rules::names::{Pair, without_port};
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

    fn pair(&self) -> Pair {
        (self.sa_type, self.source, self.destination)
    }
}

/// The database. SAs are numbered in the order they came, which is the order of dumps.
#[derive(Debug)]
pub(super) struct Sad {
    dialect: Dialect,
    by_age: BTreeMap<u64, Association>,
    by_name: HashMap<SaName, u64>,
    by_pair: HashMap<Pair, BTreeSet<u64>>,
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
            by_deadline: BTreeSet::new(),
            next: 0,
        }
    }

    /// The number of the SA with a name.
    pub(super) fn find(&self, pair: Pair, spi: u32) -> Option<u64> {
        self.by_name.get(&SaName::new(self.dialect, pair, spi)).copied()
    }

    pub(super) fn get(&self, age: u64) -> Option<&Association> {
        self.by_age.get(&age)
    }

    /// The SAs between two ends, oldest first.
    pub(super) fn between(&self, pair: Pair) -> impl Iterator<Item = (u64, &Association)> {
        let ages = self.by_pair.get(&pair).into_iter().flatten();
        ages.filter_map(|age| self.by_age.get(age).map(|association| (*age, association)))
    }

    /// All SAs of a type (all of them for none), newest first.
    pub(super) fn newest_first(&self, sa_type: SaType) -> impl Iterator<Item = (u64, &Association)> {
        let wanted = move |association: &Association| sa_type == SaType::Unspec || association.sa_type == sa_type;
        self.by_age.iter().rev().filter(move |(_, association)| wanted(association)).map(|(age, sa)| (*age, sa))
    }

    /// Puts in an SA whose name is free.
    pub(super) fn insert(&mut self, association: Association) -> u64 {
        let age = self.next;
        self.next += 1;
        if !association.is_acquire {
            self.by_name.insert(SaName::new(self.dialect, association.pair(), association.sa.spi), age);
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
            self.by_name.remove(&SaName::new(self.dialect, association.pair(), association.sa.spi));
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

    /// An SA that has come to a limit of time.
    pub(super) fn due(&self, now: u64) -> Option<u64> {
        self.by_deadline.first().filter(|(at, _)| *at <= now).map(|(_, age)| *age)
    }
}
