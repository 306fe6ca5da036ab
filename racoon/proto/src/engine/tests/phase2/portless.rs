//! Identities with port 0 for policies with ports, as KAME's racoon sends them in transport mode.

use super::crafted::{changed_by_b_in, craft, first_payloads};
use super::*;
use crate::identity::Identity;
use crate::num::PayloadType;

/// Bodies of both identities as KAME's racoon sends them, for `protocol`.
fn of_kame(protocol: u8) -> [Vec<u8>; 2] {
    [vec![1, protocol, 0, 0, 192, 0, 2, 1], vec![1, protocol, 0, 0, 192, 0, 2, 2]]
}

fn with_ports(protocol: u8, source_port: u16, destination_port: u16) -> Selector {
    Selector { protocol, source_port, destination_port, ..hosts() }
}

/// `b` has these policies, seen from `a`, and is asked for SAs with the identities of KAME's racoon.
fn asked_by_kame(selectors: &[Selector], protocol: u8) -> Net {
    let mut net = Net::new(selectors[0], &transport(), &sainfo());
    let pairs = (1..).zip(selectors).flat_map(|(number, selector)| {
        let mut pair = policies(*selector, &transport(), false);
        pair.iter_mut().for_each(|policy| policy.index += 16 * number);
        pair
    });
    net.tell_b(KernelEvent::Policies(pairs.collect()));
    net.world.initiate();
    net.settle();
    let mut payloads = first_payloads(&sainfo());
    payloads.extend(of_kame(protocol).map(|id| (PayloadType::ID, id)));
    let message = craft(&mut net, 0x1234, &payloads);
    net.world.forge_to_b(&message);
    net.settle();
    net
}

#[test]
fn a_responder_takes_the_only_policy_with_narrower_ports() {
    let (l2tp, web, echo) = (with_ports(17, 1701, 1701), with_ports(6, 0, 8080), with_ports(1, 8, 0));
    for (protocol, expected) in [(17, l2tp), (6, web), (1, echo)] {
        let net = asked_by_kame(&[l2tp, web, echo], protocol);
        assert_eq!(net.world.b.failures(), []);
        assert_eq!(net.kernels[1].names(Way::Inbound).len(), 1);
        let selectors = net.world.b.engine.phase2s.iter().map(|(_, phase2)| phase2.traffic_key.selector);
        assert_eq!(selectors.collect::<Vec<_>>(), [expected.mirrored()]);
    }
}

#[test]
fn several_policies_with_narrower_ports_are_refused_and_named() {
    let net = asked_by_kame(&[with_ports(6, 0, 8080), with_ports(6, 22, 0)], 6);
    let why = net.world.b.failures()[0].to_string();
    for named in ["192.0.2.2/32[8080] -> 192.0.2.1/32", "192.0.2.2/32 -> 192.0.2.1/32[22]"] {
        assert!(why.contains(named), "{why}");
    }
    assert!(net.kernels[1].sas.is_empty() && net.kernels[1].larval.is_empty());
}

/// The peer cannot widen its traffic by it, nor take another host's.
#[test]
fn a_policy_for_another_host_is_none_for_this_peer() {
    let other = Prefix::host([192, 0, 2, 77].into());
    let net = asked_by_kame(&[Selector { source: other, ..with_ports(17, 1701, 1701) }], 17);
    assert!(matches!(net.world.b.failures()[..], [FailureReason::NoPolicy(_)]), "{:?}", net.world.b.failures());
}

#[test]
fn an_initiator_sends_its_ports_and_takes_port_0_for_them() {
    let l2tp = with_ports(17, 1701, 1701);
    let own = |host| Identity::address(ip(host)).with_protocol(17, 1701).encode();
    for returned in [[own(A), own(B)], of_kame(17)] {
        let net = Net::new(l2tp, &transport(), &sainfo());
        let (net, reason) = changed_by_b_in(net, |all| {
            let ids = all.iter_mut().filter(|one| one.0 == PayloadType::ID).collect::<Vec<_>>();
            assert_eq!(ids.iter().map(|one| one.1.clone()).collect::<Vec<_>>(), [own(A), own(B)]);
            ids.into_iter().zip(&returned).for_each(|(one, body)| one.1.clone_from(body));
        });
        assert_eq!((reason, net.kernels[0].sas.len()), (None, 2));
    }
    // Another protocol, or another port, is not what was sent.
    for returned in [of_kame(6), [own(A), Identity::address(ip(B)).with_protocol(17, 500).encode()]] {
        let (_, reason) = changed_by_b_in(Net::new(l2tp, &transport(), &sainfo()), |all| {
            let ids = all.iter_mut().filter(|one| one.0 == PayloadType::ID);
            ids.zip(&returned).for_each(|(one, body)| one.1.clone_from(body));
        });
        assert!(matches!(reason, Some(FailureReason::Phase2Identity(_))), "{reason:?}");
    }
}

/// KAME's racoon with `generate_policy` makes policies for nothing if it gets none.
#[test]
fn an_initiator_sends_identities_for_any_protocol_too() {
    let (_, reason) = changed_by_b_in(Net::new(hosts(), &transport(), &sainfo()), |all| {
        let ids = all.iter().filter(|one| one.0 == PayloadType::ID).map(|one| one.1.clone()).collect::<Vec<_>>();
        assert_eq!(ids, of_kame(0));
    });
    assert_eq!(reason, None);
}
