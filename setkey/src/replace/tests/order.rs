//! All transitions between lists of overlapping policies: after each request, traffic that both lists protect is protected.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use libpfkey::Dialect;
use libpfkey::backend::Memory;
use libpfkey::num::{DIR_OUT, POLICY_NONE};

use super::Kernel;

/// Selectors, each of which contains the next, and packets that match each and not the next.
const SELECTORS: [(&str, &str); 3] =
    [("10.0.0.0/8", "10.9.9.9"), ("10.1.0.0/16", "10.1.9.9"), ("10.1.1.1/32", "10.1.1.1")];
/// Actions, the first three for all kernels, and whether each protects.
const ACTIONS: [(&str, bool); 5] = [
    ("none", false),
    ("ipsec esp/transport//require", true),
    ("ipsec esp/transport//use", true),
    ("prio high + 5 none", false),
    ("prio low ipsec esp/transport//require", true),
];
/// Order of their priorities: without a priority they are in the middle on Linux, and first on FreeBSD.
fn rank(dialect: Dialect, action: usize) -> u8 {
    let ranks = if dialect == Dialect::FreeBsd { [0, 0, 0, 1, 2] } else { [1, 1, 1, 0, 2] };
    ranks[action]
}

/// Number of pairs of lists that are tested per kernel.
const PAIRS: usize = 500;

/// A list of policies: indices of selector and action.
type List = Vec<(usize, usize)>;

/// Returns all lists without a repeated selector, with the first `actions` actions.
fn lists(actions: usize) -> Vec<List> {
    let mut all = vec![List::new()];
    let mut from = 0;
    while from < all.len() {
        let list = all[from].clone();
        for selector in (0..SELECTORS.len()).filter(|selector| list.iter().all(|(used, _)| used != selector)) {
            all.extend((0..actions).map(|action| [&list[..], &[(selector, action)]].concat()));
        }
        from += 1;
    }
    all
}

fn script(list: &List) -> String {
    let line = |(selector, action): &(usize, usize)| {
        format!("spdadd {} 0.0.0.0/0 any -P out {};\n", SELECTORS[*selector].0, ACTIONS[*action].0)
    };
    list.iter().map(line).collect()
}

/// Returns whether a list lets each packet pass in clear, by the first of the matching policies with the highest priority.
fn meant(dialect: Dialect, list: &List) -> Vec<bool> {
    let fitting = |packet: usize| list.iter().filter(move |(selector, _)| *selector <= packet);
    let first = |packet| fitting(packet).min_by_key(|(_, action)| rank(dialect, *action));
    (0..SELECTORS.len()).map(|packet| first(packet).is_none_or(|(_, action)| !ACTIONS[*action].1)).collect()
}

/// Returns whether the kernel lets each packet pass in clear.
fn clear(engine: &Memory) -> Vec<bool> {
    let to = SocketAddr::from(([192, 0, 2, 1], 0));
    let decision =
        |(_, from): &(&str, &str)| engine.decision(DIR_OUT, SocketAddr::new(from.parse().unwrap(), 0), to, 17);
    SELECTORS.iter().map(|selector| decision(selector).is_none_or(|kind| kind == POLICY_NONE)).collect()
}

/// Changes one list to the other. The request with the given index fails, if there is one.
fn walk(dialect: Dialect, old: &List, new: &List, fails: Option<usize>) -> (Kernel, usize) {
    let mut kernel = Kernel::new(dialect);
    kernel.run(&script(old));
    let both: Vec<bool> = meant(dialect, old).into_iter().zip(meant(dialect, new)).map(|(a, b)| !a && !b).collect();
    let leaks = Arc::<Mutex<Vec<usize>>>::default();
    let (probe, found) = (kernel.engine.another_handle().unwrap(), Arc::clone(&leaks));
    let mut number = 0;
    let after = move || {
        let leak = clear(&probe).into_iter().zip(&both).any(|(clear, both)| clear && *both);
        found.lock().unwrap().extend(leak.then_some(number));
        number += 1;
    };
    {
        let mut watch = kernel.watch.lock().unwrap();
        watch.after = Some(Box::new(after));
        watch.fails = fails.map(|at| (at, libc::ENOBUFS));
    }
    let loaded = kernel.load(&[&format!("spdflush;\n{}", script(new))]);
    let requests = kernel.changes().len();
    assert_eq!(
        *leaks.lock().unwrap(),
        Vec::<usize>::new(),
        "{dialect}: clear packets:\n{}to\n{}{loaded:?}",
        script(old),
        script(new)
    );
    // An index after the last request means no failure.
    let failed = fails.is_some_and(|at| at < requests) && loaded.0.is_err();
    let expected = if failed { old } else { new };
    assert_eq!(
        clear(&kernel.engine),
        meant(dialect, expected),
        "{dialect}:\n{}to\n{}{loaded:?}",
        script(old),
        script(new)
    );
    (kernel, requests)
}

/// Returns pairs of lists, spread over all of them. The step widths are primes that do not divide the number of lists.
fn pairs(lists: &[List], count: usize) -> impl Iterator<Item = (&List, &List)> {
    let at = |number: usize| &lists[number % lists.len()];
    (0..count).map(move |number| (at(number * 1_000_003), at(number * 7919 + number / lists.len())))
}

#[test]
fn traffic_protected_by_both_states_never_passes_in_clear() {
    let lists = lists(3);
    assert_eq!(lists.len(), 1 + 9 + 54 + 162);
    for dialect in [Dialect::Linux, Dialect::FreeBsd, Dialect::NetBsd] {
        pairs(&lists, PAIRS).for_each(|(old, new)| drop(walk(dialect, old, new, None)));
    }
}

#[test]
fn protection_holds_with_priorities() {
    for dialect in [Dialect::Linux, Dialect::FreeBsd] {
        pairs(&lists(5), PAIRS).for_each(|(old, new)| drop(walk(dialect, old, new, None)));
    }
}

#[test]
fn protection_holds_while_the_previous_state_is_restored() {
    let mut failures = 0;
    for (dialect, actions) in [(Dialect::Linux, 5), (Dialect::FreeBsd, 5), (Dialect::NetBsd, 3)] {
        for (old, new) in pairs(&lists(actions), PAIRS / 4) {
            let (_, requests) = walk(dialect, old, new, None);
            (0..requests).for_each(|at| drop(walk(dialect, old, new, Some(at))));
            failures += requests;
        }
    }
    assert!(failures > PAIRS, "{failures}");
}
