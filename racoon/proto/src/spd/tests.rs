use proptest::prelude::*;

use super::*;
use crate::kernel::{Mode, Template, TemplateLevel};
use crate::num::Protocol;

fn prefix(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').unwrap();
    Prefix::new(address.parse().unwrap(), length.parse().unwrap())
}

fn selector(source: &str, destination: &str, protocol: u8, ports: (u16, u16)) -> Selector {
    Selector {
        source: prefix(source),
        destination: prefix(destination),
        protocol,
        source_port: ports.0,
        destination_port: ports.1,
    }
}

fn policy(index: u32, direction: Direction, selector: Selector, priority: u32) -> Policy {
    Policy { index, direction, selector, action: PolicyAction::Protect(Vec::new()), priority }
}

fn any(source: &str, destination: &str) -> Selector {
    selector(source, destination, 0, (0, 0))
}

#[test]
fn a_policy_is_found_by_index_and_by_selector() {
    let mut spd = Spd::default();
    let of_lan = any("10.0.0.0/24", "10.1.0.0/24");
    spd.insert(policy(9, Direction::Out, of_lan, 0));
    assert_eq!(spd.by_index(9).unwrap().selector, of_lan);
    assert!(spd.exact(Direction::Out, &of_lan).is_some());
    assert!(spd.exact(Direction::In, &of_lan).is_none());
    assert!(spd.by_index(0).is_none());
}

#[test]
fn a_policy_without_index_has_no_index() {
    let mut spd = Spd::default();
    spd.insert(policy(0, Direction::Out, any("10.0.0.0/24", "10.1.0.0/24"), 0));
    assert!(spd.by_index(0).is_none());
    assert_eq!(spd.len(), 1);
}

#[test]
fn a_policy_replaces_the_one_with_its_selector() {
    let mut spd = Spd::default();
    let of_lan = any("10.0.0.0/24", "10.1.0.0/24");
    spd.insert(policy(9, Direction::Out, of_lan, 0));
    spd.insert(policy(17, Direction::Out, of_lan, 5));
    assert_eq!(spd.len(), 1);
    assert!(spd.by_index(9).is_none());
    assert_eq!(spd.by_index(17).unwrap().priority, 5);
    assert!(spd.remove(Direction::Out, &of_lan).is_some());
    assert!(spd.remove(Direction::Out, &of_lan).is_none());
    assert!(spd.by_index(17).is_none());
    assert!(spd.shapes.is_empty());
}

#[test]
fn an_index_that_was_given_again_stays_the_new_ones() {
    let mut spd = Spd::default();
    let (old, new) = (any("10.0.0.0/24", "10.1.0.0/24"), any("10.2.0.0/24", "10.3.0.0/24"));
    spd.insert(policy(9, Direction::Out, old, 0));
    spd.insert(policy(9, Direction::Out, new, 0));
    spd.remove(Direction::Out, &old);
    assert_eq!(spd.by_index(9).unwrap().selector, new);
}

#[test]
fn the_smallest_priority_covers_and_then_the_most_specific() {
    let mut spd = Spd::default();
    let wide = any("0.0.0.0/0", "10.1.0.0/16");
    let narrow = any("10.0.0.0/8", "10.1.0.0/16");
    let tcp = selector("10.0.0.0/8", "10.1.0.0/16", 6, (0, 443));
    spd.replace_all(vec![
        policy(1, Direction::Out, wide, 10),
        policy(2, Direction::Out, narrow, 10),
        policy(3, Direction::Out, tcp, 10),
        policy(4, Direction::Out, any("10.9.0.0/16", "10.1.0.0/16"), 99),
        policy(5, Direction::In, wide, 0),
    ]);
    let index = |query: Selector| spd.covering(Direction::Out, &query, |_| true).map(|policy| policy.index);
    assert_eq!(index(selector("10.0.0.1/32", "10.1.2.3/32", 6, (1234, 443))), Some(3));
    assert_eq!(index(selector("10.0.0.1/32", "10.1.2.3/32", 6, (1234, 80))), Some(2));
    assert_eq!(index(any("10.9.0.1/32", "10.1.2.3/32")), Some(2), "priority comes before what is more specific");
    assert_eq!(index(any("192.0.2.1/32", "10.1.0.0/16")), Some(1));
    assert_eq!(index(any("192.0.2.1/32", "10.0.0.0/8")), None, "no policy is for all of it");
    assert_eq!(index(any("::1/128", "::2/128")), None);
    let found = spd.covering(Direction::Out, &any("10.0.0.1/32", "10.1.0.1/32"), |policy| policy.index != 2);
    assert_eq!(found.unwrap().index, 1);
}

#[test]
fn the_mirror_protects_the_other_way() {
    let mut spd = Spd::default();
    let out = policy(1, Direction::Out, selector("10.0.0.0/24", "10.1.0.0/24", 6, (0, 80)), 0);
    let back = selector("10.1.0.0/24", "10.0.0.0/24", 6, (80, 0));
    spd.insert(out.clone());
    assert!(spd.mirror(&out).is_none());
    spd.insert(policy(2, Direction::In, back, 0));
    assert_eq!(spd.mirror(&out).unwrap().index, 2);
    spd.insert(Policy { action: PolicyAction::Pass, ..policy(2, Direction::In, back, 0) });
    assert!(spd.mirror(&out).is_none());
}

fn prefixes() -> impl Strategy<Value = Prefix> {
    (any_bits(), 0_u8..=4)
        .prop_map(|(bits, length)| Prefix::new(std::net::Ipv4Addr::from_bits(bits << 28).into(), length))
}

fn any_bits() -> impl Strategy<Value = u32> {
    0_u32..16
}

fn selectors() -> impl Strategy<Value = Selector> {
    (prefixes(), prefixes(), 0_u8..3, 0_u16..2, 0_u16..2).prop_map(
        |(source, destination, protocol, source_port, destination_port)| Selector {
            source,
            destination,
            protocol,
            source_port,
            destination_port,
        },
    )
}

/// The definition of covering, to compare with.
fn covers(wide: &Selector, narrow: &Selector) -> bool {
    let any_or_same = |wide: u16, narrow: u16| wide == 0 || wide == narrow;
    wide.source.contains(narrow.source)
        && wide.destination.contains(narrow.destination)
        && any_or_same(wide.protocol.into(), narrow.protocol.into())
        && any_or_same(wide.source_port, narrow.source_port)
        && any_or_same(wide.destination_port, narrow.destination_port)
}

proptest! {
    #[test]
    fn probes_find_what_a_scan_finds(
        policies in prop::collection::vec((selectors(), 0_u32..4), 0..40),
        removed in prop::collection::vec(proptest::arbitrary::any::<prop::sample::Index>(), 0..10),
        query in selectors(),
    ) {
        let mut spd = Spd::default();
        let mut all = HashMap::new();
        for (selector, priority) in &policies {
            spd.insert(policy(0, Direction::Out, *selector, *priority));
            all.insert(*selector, *priority);
        }
        for index in removed.iter().filter(|_| !policies.is_empty()) {
            let (selector, _) = index.get(&policies);
            prop_assert_eq!(spd.remove(Direction::Out, selector).is_some(), all.remove(selector).is_some());
        }
        let best = all.iter().filter(|(selector, _)| covers(selector, &query)).map(|(_, priority)| *priority).min();
        let found = spd.covering(Direction::Out, &query, |_| true);
        prop_assert_eq!(found.map(|policy| policy.priority), best);
        prop_assert!(found.is_none_or(|policy| covers(&policy.selector, &query)));
        prop_assert_eq!(spd.len(), all.len());
    }
}

/// What a peer's side overlaps is found without a look at all tunnels, though all of them are for everywhere at our side.
#[test]
fn full_tunnels_of_others_are_not_looked_through() {
    let mut spd = Spd::default();
    let everywhere = Prefix::new([0, 0, 0, 0].into(), 0);
    let client = |third: u8, fourth: u8| Prefix::host([10, 3, third, fourth].into());
    let us = [192, 0, 2, 1].into();
    let mut index = 0;
    for side in (0..8).flat_map(|third| (0..=u8::MAX).map(move |fourth| client(third, fourth))) {
        let outbound =
            Selector { source: everywhere, destination: side, protocol: 0, source_port: 0, destination_port: 0 };
        for direction in [Direction::In, Direction::Forward, Direction::Out] {
            index += 8;
            let is_out = direction == Direction::Out;
            let selector = if is_out { outbound } else { outbound.mirrored() };
            let (from, to) = if is_out { (us, side.address()) } else { (side.address(), us) };
            let template = Template {
                protocol: Protocol::ESP,
                mode: Mode::Tunnel,
                level: TemplateLevel::Require,
                reqid: 0,
                endpoints: Some((from, to)),
            };
            spd.insert(Policy {
                index,
                direction,
                selector,
                action: PolicyAction::Protect(vec![template]),
                priority: 0,
            });
        }
    }
    assert_eq!(spd.at_remote_side(client(9, 1)).count(), 0);
    // Three policies for it, each by its side and by the end of its tunnel, which is the same address here.
    assert_eq!(spd.at_remote_side(client(3, 7)).count(), 3);
    let all = spd.at_remote_side(Prefix::new([10, 3, 0, 0].into(), 16)).count();
    assert_eq!(all, 3 * 8 * 256);
    spd.clear();
    assert_eq!(spd.at_remote_side(everywhere).count(), 0);
}
