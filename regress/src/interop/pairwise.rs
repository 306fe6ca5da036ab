//! Pairwise testing: few rows in which any two values of different factors occur together.

use std::collections::BTreeSet;

/// The index of a factor, and the index of one of its values.
pub(crate) type Value = (usize, usize);

/// Returns rows with one value for each factor, such that any two values of different factors occur together in a row.
/// `sizes` are the numbers of values of each factor. Pairs that `excluded` accepts, with the lower factor first, are
/// not needed.
pub(crate) fn pairwise(sizes: &[usize], excluded: impl Fn(Value, Value) -> bool) -> Vec<Vec<usize>> {
    let mut open: BTreeSet<(Value, Value)> = BTreeSet::new();
    for (a, &values) in sizes.iter().enumerate() {
        for (b, &others) in sizes.iter().enumerate().skip(a + 1) {
            let all = (0..values).flat_map(|value| (0..others).map(move |other| ((a, value), (b, other))));
            open.extend(all.filter(|&(one, other)| !excluded(one, other)));
        }
    }
    let mut rows = Vec::new();
    while let Some(&(one, other)) = open.first() {
        let row = row(sizes, &open, one, other, rows.len());
        let values: Vec<Value> = row.iter().copied().enumerate().collect();
        for (at, &value) in values.iter().enumerate() {
            values.iter().skip(at + 1).for_each(|&other| _ = open.remove(&(value, other)));
        }
        rows.push(row);
    }
    rows
}

/// Returns a row with two given values, and for each other factor the value that covers the most open pairs.
fn row(sizes: &[usize], open: &BTreeSet<(Value, Value)>, one: Value, other: Value, turn: usize) -> Vec<usize> {
    let mut chosen = vec![one, other];
    for (factor, &size) in sizes.iter().enumerate() {
        if factor == one.0 || factor == other.0 {
            continue;
        }
        let gain = |value| {
            let pair = |other: &&Value| open.contains(&ordered((factor, value), **other));
            chosen.iter().filter(pair).count()
        };
        // Equally good values take turns, at a rate that differs between factors.
        let candidates = (0..size).map(|value| (value + turn / (factor + 1)) % size);
        let best = candidates.rev().max_by_key(|&value| gain(value)).unwrap_or(0);
        chosen.push((factor, best));
    }
    chosen.sort_unstable();
    chosen.into_iter().map(|(_, value)| value).collect()
}

fn ordered(one: Value, other: Value) -> (Value, Value) {
    if one < other { (one, other) } else { (other, one) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(rows: &[Vec<usize>], (a, value): Value, (b, other): Value) -> bool {
        rows.iter().any(|row| row[a] == value && row[b] == other)
    }

    #[test]
    fn any_two_values_meet() {
        let sizes = [6, 5, 9, 2];
        let rows = pairwise(&sizes, |_, _| false);
        for a in 0..sizes.len() {
            for b in a + 1..sizes.len() {
                for value in 0..sizes[a] {
                    for other in 0..sizes[b] {
                        assert!(meet(&rows, (a, value), (b, other)), "{value} of {a} and {other} of {b}");
                    }
                }
            }
        }
        assert!(rows.len() >= 54 && rows.len() < 70, "{} rows", rows.len());
        assert!(rows.iter().all(|row| row.iter().zip(sizes).all(|(&value, size)| value < size)));
    }

    #[test]
    fn excluded_pairs_need_no_row() {
        assert_eq!(pairwise(&[3, 3], |one, _| one.1 != 0).len(), 3);
        assert_eq!(pairwise(&[], |_, _| false).len(), 0);
    }
}
