//! Differences between two configurations.

use std::collections::HashMap;
use std::hash::Hash;

use super::config::Config;
use super::identifier::Identifier;
use super::remote::{Remote, RemoteName};
use super::sainfo::{Sainfo, SainfoId};

/// The differences between two configurations.
#[derive(Debug, Default)]
pub struct Changes<'a> {
    /// Remotes, identified by their names and, of equal names, by their order.
    pub remotes: Difference<'a, Remote>,
    /// Sainfos, identified by their ends, `from`, `group` and `remoteid`.
    pub sainfos: Difference<'a, Sainfo>,
    /// Names of different directives and sections other than these: `log`, `listen`.
    pub globals: Vec<&'static str>,
    /// Whether remotes or sainfos that both have are in another order.
    pub reordered: bool,
}

/// The differences between two lists.
#[derive(Debug)]
pub struct Difference<'a, T> {
    /// Items in the new list only.
    pub added: Vec<&'a T>,
    /// Items in the old list only.
    pub removed: Vec<&'a T>,
    /// Items in both lists that differ, the old and the new one.
    pub changed: Vec<(&'a T, &'a T)>,
}

impl<T> Default for Difference<'_, T> {
    fn default() -> Self {
        Self { added: Vec::new(), removed: Vec::new(), changed: Vec::new() }
    }
}

impl<T> Difference<'_, T> {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl<'a> Changes<'a> {
    /// Compares two configurations.
    pub fn between(old: &'a Config, new: &'a Config) -> Self {
        let (remotes, remotes_moved) = difference(&old.remotes, &new.remotes, remote_key);
        let (sainfos, sainfos_moved) = difference(&old.sainfos, &new.sainfos, sainfo_key);
        let globals = [
            ("path", old.paths != new.paths),
            ("log", old.log != new.log),
            ("pfkey_buffer", old.pfkey_buffer != new.pfkey_buffer),
            ("complex_bundle", old.complex_bundle != new.complex_bundle),
            ("padding", old.padding != new.padding),
            ("listen", old.listen != new.listen),
            ("timer", old.timer != new.timer),
            ("privsep", old.privsep != new.privsep),
            ("mode_cfg", old.mode_cfg != new.mode_cfg),
            ("ldapcfg", old.ldap != new.ldap),
            ("radiuscfg", old.radius != new.radius),
            ("threads", old.threads != new.threads),
            ("half_open_limit", old.half_open_limit != new.half_open_limit),
            ("backend", old.backend != new.backend),
            ("journal", old.journal != new.journal),
        ];
        let globals = globals.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
        Self { remotes, sainfos, globals, reordered: remotes_moved || sainfos_moved }
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.remotes.is_empty() && self.sainfos.is_empty() && self.globals.is_empty() && !self.reordered
    }
}

fn remote_key(remote: &Remote) -> &RemoteName {
    &remote.name
}

type SainfoKey<'a> = (&'a SainfoId, &'a SainfoId, Option<&'a Identifier>, Option<&'a str>, u32);

fn sainfo_key(sainfo: &Sainfo) -> SainfoKey<'_> {
    (&sainfo.local, &sainfo.remote, sainfo.from.as_ref(), sainfo.group.as_deref(), sainfo.remoteid)
}

/// Returns the differences, and whether the items that both have are in another order.
fn difference<'a, T: PartialEq, K: Clone + Eq + Hash>(
    old: &'a [T],
    new: &'a [T],
    key: impl Fn(&'a T) -> K,
) -> (Difference<'a, T>, bool) {
    let mut difference = Difference::default();
    // Looked up by key, because a gateway may have thousands of sections.
    let mut left: HashMap<(K, usize), (usize, &T)> = HashMap::new();
    for (at, (key, item)) in numbered(old, &key).into_iter().enumerate() {
        left.insert(key, (at, item));
    }
    let mut moved = false;
    let mut last = 0;
    for (key, item) in numbered(new, &key) {
        let Some((at, before)) = left.remove(&key) else {
            difference.added.push(item);
            continue;
        };
        // In the new order, positions in the old list must only grow.
        moved |= at < last;
        last = at;
        if before != item {
            difference.changed.push((before, item));
        }
    }
    let mut removed: Vec<(usize, &T)> = left.into_values().collect();
    // A map has no order: the output must not differ from run to run.
    removed.sort_by_key(|(at, _)| *at);
    difference.removed = removed.into_iter().map(|(_, item)| item).collect();
    (difference, moved)
}

/// Returns each item with its key and the number of earlier items with that key.
fn numbered<'a, T, K: Clone + Eq + Hash>(list: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<((K, usize), &'a T)> {
    let mut seen: HashMap<K, usize> = HashMap::new();
    let number = |item: &'a T| {
        let count = seen.entry(key(item)).or_default();
        *count += 1;
        ((key(item), *count - 1), item)
    };
    list.iter().map(number).collect()
}
