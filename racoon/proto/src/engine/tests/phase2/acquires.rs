//! What the kernel asks for.

use super::*;
use crate::config::GeneratePolicy;
use crate::phase2::acquire::ATTEMPTS_MAX;

#[test]
fn many_acquires_share_a_phase_1_and_a_phase_2() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    for seq in 1..10 {
        net.tell_a(KernelEvent::Acquire(acquire(seq)));
    }
    net.settle();
    net.assert_pairs(1);
    assert_eq!(net.world.a.states(), [9]);
    assert!(net.kernels[0].failed.is_empty());
}

#[test]
fn all_acquires_of_a_failure_are_told() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    for seq in 1..4 {
        net.tell_a(KernelEvent::Acquire(acquire(seq)));
    }
    net.settle_with(|_| Fate::Drop);
    net.pass_with(seconds(120), |_| Fate::Drop);
    assert_eq!(net.kernels[0].failed, [acquire(1), acquire(2), acquire(3)]);
    assert_eq!(net.world.a.failures()[0], FailureReason::Phase1Late(seconds(30)));
    assert_eq!(net.world.a.unanswered(), [(1, 5)]);
    let line = "phase2 negotiation failed due to time up waiting for phase1: none came up within 30 s: \
                192.0.2.1/32 -> 192.0.2.2/32";
    assert!(net.world.a.has_logged(Level::Notify, line), "{:?}", net.world.a.log);
    let [phase1] = net.world.a.lines(Level::Error)[..] else { panic!("{:?}", net.world.a.log) };
    assert!(phase1.starts_with("phase1 negotiation failed due to time up. "), "one error for one attempt: {phase1}");
    assert!(net.world.a.event_kinds().contains(&EventKind::Phase2NoPhase1));
    net.assert_empty();
}

#[test]
fn what_is_none_of_our_business_is_ignored() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    let multicast = "224.0.0.1".parse().unwrap();
    let elsewhere = "198.51.100.1".parse().unwrap();
    for acquire in [
        Acquire { destination: multicast, ..acquire(1) },
        Acquire { source: multicast, ..acquire(1) },
        Acquire { source: elsewhere, ..acquire(1) },
        Acquire { policy: Some(99), source: elsewhere, ..acquire(1) },
        Acquire { policy: Some(8), destination: elsewhere, ..acquire(1) },
    ] {
        net.tell_a(KernelEvent::Acquire(acquire));
    }
    let mut pass = policies(hosts(), &transport(), true);
    let out = pass.remove(1);
    net.tell_a(KernelEvent::Policy(Policy { action: PolicyAction::Pass, ..out }));
    net.acquire();
    net.settle();
    assert!(net.world.a.sent.is_empty() && net.world.a.outcomes.is_empty());
    assert!(net.kernels[0].failed.is_empty());
}

/// Packets to addresses that nobody has begin a bounded number of phase 1s, and do not keep a configured peer out.
#[test]
fn addresses_that_somebody_makes_up() {
    let anybody = Selector { destination: Prefix::new([0, 0, 0, 0].into(), 0), ..hosts() };
    let mut net = Net::new(anybody, &transport(), &sainfo());
    let remotes = vec![remote_for(B), Remote { address: None, ..remote_for("203.0.113.1:500") }];
    let settings =
        Settings { remotes: Remotes::new(remotes), sainfos: Sainfos::new(vec![sainfo()]), ..Settings::default() };
    net.world.a.engine.handle_control(net.world.now, Control::Reload(Box::new(settings))).unwrap();
    let made_up = |number: u32| {
        let [_, _, third, fourth] = number.to_be_bytes();
        Acquire { destination: [198, 18, third, fourth].into(), seq: 10 + number, ..acquire(1) }
    };
    for number in 0..10_000 {
        net.tell_a(KernelEvent::Acquire(made_up(number)));
    }
    net.world.collect();
    net.world.link.clear();
    assert_eq!(net.world.a.engine.load().phase1s, ATTEMPTS_MAX);
    assert_eq!(net.world.a.engine.load().phase2s, ATTEMPTS_MAX);
    assert_eq!(net.world.a.lines(Level::Error).len(), 1, "one line for all");
    net.acquire();
    net.settle();
    assert_eq!(Net::established(&net.world.a), 1, "the configured peer is served");
    net.pass_with(seconds(300), |_| Fate::Drop);
    net.tell_a(KernelEvent::Acquire(made_up(0)));
    net.settle_with(|_| Fate::Drop);
    assert_eq!(net.world.a.engine.load().phase1s, 2, "and then others again");
}

#[test]
fn a_policy_without_number_is_found_by_its_packets() {
    for selector in [None, Some(Selector { protocol: 6, source_port: 1, destination_port: 2, ..hosts() })] {
        let mut net = Net::new(hosts(), &transport(), &sainfo());
        net.tell_a(KernelEvent::Acquire(Acquire { policy: None, selector, ..acquire(1) }));
        net.settle();
        net.assert_pairs(1);
    }
}

#[test]
fn a_policy_that_was_deleted_asks_for_nothing() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.tell_a(KernelEvent::PolicyDeleted(Direction::Out, hosts()));
    net.acquire();
    net.settle();
    assert!(net.world.a.sent.is_empty());
    net.tell_b(KernelEvent::PoliciesFlushed);
    net.tell_a(KernelEvent::Policies(policies(hosts(), &transport(), true)));
    net.acquire();
    net.settle();
    assert!(matches!(net.world.b.failures()[..], [FailureReason::NoPolicy(_)]));
}

#[test]
fn nobody_to_speak_with() {
    let passive = |remote: &mut Remote, _: &mut Settings| remote.passive = true;
    let mut net = Net::with(hosts(), &transport(), [sainfo(), sainfo()], passive, |_, _| {});
    net.acquire();
    net.settle();
    let error = "phase2 negotiation failed due to no remote section for 192.0.2.2 may initiate; passive is on in remote \
                 192.0.2.2: 192.0.2.1/32 -> 192.0.2.2/32";
    assert_eq!(net.world.a.lines(Level::Error), [error]);
    assert_eq!(net.kernels[0].failed, [acquire(1)]);
    // `remote anonymous` does not take its place: by that the peer would have rights that its own remote section does not give.
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    let own = Remote { passive: true, ..remote_for(B) };
    let any = Remote { address: None, generate_policy: GeneratePolicy::Require, ..remote_for(B) };
    let mut both = settings(B, |_, settings| settings.sainfos = Sainfos::new(vec![sainfo()]));
    both.remotes = Remotes::new(vec![own, any]);
    net.world.a.engine.handle_control(Time::default(), Control::Reload(Box::new(both))).unwrap();
    net.acquire();
    net.settle();
    assert_eq!(net.world.a.lines(Level::Error), [error]);
    assert!(net.world.a.sent.is_empty());
    let none = |_: &mut Remote, settings: &mut Settings| settings.sainfos = Sainfos::default();
    let mut net = Net::with(hosts(), &transport(), [sainfo(), sainfo()], none, |_, _| {});
    net.acquire();
    net.settle();
    let error = "phase2 negotiation failed due to no sainfo matches 192.0.2.1/32 -> 192.0.2.2/32; there is none at all; \
                 both endpoints of a sainfo are anonymous or equal those of the policy";
    assert_eq!(net.world.a.lines(Level::Error), [error]);
    assert_eq!(net.kernels[0].failed, [acquire(1)]);
}

#[test]
fn transport_between_networks_is_a_pair_for_each_two_hosts() {
    let wide = Selector { source: Prefix::new(ip(A), 24), destination: Prefix::new(ip(B), 24), ..hosts() };
    let mut net = Net::new(wide, &transport(), &sainfo());
    net.acquire();
    net.settle();
    net.assert_pairs(1);
    assert_eq!(net.kernels[0].names(Way::Outbound)[0].destination, ip(B));
}

#[test]
fn an_inbound_policy_is_missed() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.tell_a(KernelEvent::PolicyDeleted(Direction::In, hosts().mirrored()));
    net.acquire();
    net.settle();
    net.assert_pairs(1);
    let notice = "no in-bound policy found: 192.0.2.2/32 -> 192.0.2.1/32";
    assert_eq!(net.world.a.lines(Level::Notify), [notice]);
    assert_eq!(net.world.b.lines(Level::Notify), [""; 0]);
}

#[test]
fn somebody_wants_a_phase_2() {
    let tunnel = [template(Protocol::ESP, Mode::Tunnel)];
    let mut net = Net::new(networks(), &tunnel, &sainfo());
    let ask = |net: &mut Net, selector| {
        let now = net.world.now;
        net.world.a.engine.handle_control(now, Control::EstablishPhase2(Direction::Out, selector))
    };
    assert!(matches!(ask(&mut net, hosts()), Err(Refusal::NotConfigured(_))));
    assert_eq!(ask(&mut net, networks()), Ok(()));
    assert_eq!(ask(&mut net, networks()), Err(Refusal::Exists));
    net.settle();
    net.assert_pairs(1);
    assert_eq!(ask(&mut net, networks()), Err(Refusal::Exists));
    let now = net.world.now;
    net.world.a.engine.handle_control(now, Control::FlushPhase2(Some(Protocol::AH))).unwrap();
    net.settle();
    net.assert_pairs(1);
    net.world.a.engine.handle_control(now, Control::FlushPhase2(Some(Protocol::ESP))).unwrap();
    net.settle();
    net.assert_empty();
    // Not because of a packet: a passive remote section will do, and the pair is renewed.
    let passive = |remote: &mut Remote, _: &mut Settings| remote.passive = true;
    let mut net = Net::with(networks(), &tunnel, [sainfo(), sainfo()], passive, |_, _| {});
    assert_eq!(ask(&mut net, networks()), Ok(()));
    net.settle();
    net.assert_pairs(1);
    net.pass(seconds(1001));
    net.assert_pairs(1);
}
