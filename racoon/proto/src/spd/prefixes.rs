//! A map from prefixes to values, in which the values that overlap a prefix are found.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::Prefix;

/// Values by prefix. Those that overlap a prefix are found by key: the ones inside it are adjacent in the order of addresses, and
/// the ones around it cost one probe for each prefix length that occurs.
#[derive(Debug)]
pub(crate) struct Prefixes<T> {
    entries: BTreeMap<Prefix, BTreeSet<T>>,
    /// The number of prefixes by family (true for IPv6) and length.
    lengths: BTreeMap<(bool, u8), usize>,
}

impl<T> Default for Prefixes<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), lengths: BTreeMap::new() }
    }
}

impl<T: Ord> Prefixes<T> {
    /// Adds a value at a prefix.
    pub(crate) fn insert(&mut self, prefix: Prefix, value: T) {
        let values = self.entries.entry(prefix).or_default();
        if values.is_empty() {
            *self.lengths.entry(family_and_length(prefix)).or_default() += 1;
        }
        values.insert(value);
    }

    /// Removes a value from a prefix.
    pub(crate) fn remove(&mut self, prefix: Prefix, value: &T) {
        // It was removed before: a policy may name the same prefix twice.
        let Some(values) = self.entries.get_mut(&prefix) else { return };
        values.remove(value);
        if !values.is_empty() {
            return;
        }
        self.entries.remove(&prefix);
        if let Some(count) = self.lengths.get_mut(&family_and_length(prefix)) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&family_and_length(prefix));
            }
        }
    }

    /// Whether a prefix itself has a value.
    pub(crate) fn has(&self, prefix: Prefix) -> bool {
        self.entries.contains_key(&prefix)
    }

    /// The values of all prefixes that have an address in common with `prefix`.
    pub(crate) fn overlapping(&self, prefix: Prefix) -> impl Iterator<Item = &T> {
        let inside = self.entries.range(prefix..=Prefix::host(prefix.last())).map(|(_, values)| values);
        let (is_ipv6, length) = family_and_length(prefix);
        let shorter = self.lengths.range((is_ipv6, 0)..(is_ipv6, length)).map(|((_, shorter), _)| *shorter);
        let around = shorter.filter_map(move |shorter| self.entries.get(&Prefix::new(prefix.address(), shorter)));
        around.chain(inside).flatten()
    }
}

fn family_and_length(prefix: Prefix) -> (bool, u8) {
    (prefix.address().is_ipv6(), prefix.length())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> Prefix {
        let (address, length) = text.split_once('/').unwrap();
        Prefix::new(address.parse().unwrap(), length.parse().unwrap())
    }

    #[test]
    fn neighbours_and_other_families_do_not_overlap() {
        let mut prefixes = Prefixes::default();
        let all = ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.2.0.0/16", "::/0", "2001:db8::/32"];
        all.iter().for_each(|text| prefixes.insert(prefix(text), *text));
        let found = |text| prefixes.overlapping(prefix(text)).copied().collect::<Vec<_>>();
        assert_eq!(found("10.1.2.3/32"), ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24"]);
        assert_eq!(found("10.1.0.0/16"), ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24"]);
        assert_eq!(found("10.0.0.0/15"), ["0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24"]);
        assert_eq!(found("192.0.2.0/24"), ["0.0.0.0/0"]);
        assert_eq!(found("2001:db8::1/128"), ["::/0", "2001:db8::/32"]);
    }

    proptest! {
        /// As if all were looked through; and what is removed is gone.
        #[test]
        fn as_if_all_were_looked_through(
            all in prop::collection::vec((any::<u32>(), 0..=32_u8), 0..40),
            asked in (any::<u32>(), 0..=32_u8),
        ) {
            // Few bits differ, so that many overlap.
            let of = |(bits, length): (u32, u8)| Prefix::new(std::net::IpAddr::V4((bits & 0xf000_0003).into()), length);
            let (all, asked) = (all.into_iter().map(of).collect::<BTreeSet<_>>(), of(asked));
            let mut prefixes = Prefixes::default();
            all.iter().for_each(|one| prefixes.insert(*one, *one));
            let found = prefixes.overlapping(asked).copied().collect::<BTreeSet<_>>();
            let expected = all.iter().filter(|one| one.overlaps(asked)).copied().collect::<BTreeSet<_>>();
            prop_assert_eq!(found, expected);
            all.iter().for_each(|one| prefixes.remove(*one, one));
            prop_assert!(prefixes.entries.is_empty() && prefixes.lengths.is_empty());
        }
    }
}
