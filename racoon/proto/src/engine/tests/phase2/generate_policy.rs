//! Policies that are made for peers: they replace none of others, and only they are deleted.

use super::*;
use crate::config::GeneratePolicy;
use crate::reason::DenialReason;

const ALL: [Direction; 3] = [Direction::In, Direction::Forward, Direction::Out];

fn generate(remote: &mut Remote, _: &mut Settings) {
    remote.generate_policy = GeneratePolicy::Require;
}

/// `a` wants a tunnel for networks for which `b` has no policies.
fn tunnel() -> Net {
    let mut net =
        Net::with(networks(), &[template(Protocol::ESP, Mode::Tunnel)], [sainfo(), sainfo()], |_, _| {}, generate);
    net.tell_b(KernelEvent::Policies(Vec::new()));
    net
}

/// What an administrator of `b` has set for the networks of [`tunnel`].
fn foreign(direction: Direction, action: PolicyAction) -> Policy {
    let selector = if direction == Direction::Out { networks().mirrored() } else { networks() };
    Policy { index: 4711, direction, selector, action, priority: 0 }
}

fn set_by_others(net: &mut Net, policy: &Policy) {
    net.kernels[1].policies.insert((policy.direction, policy.selector), policy.clone());
}

fn is_left(net: &Net, policy: &Policy) -> bool {
    net.kernels[1].policies.values().collect::<Vec<_>>() == [policy]
}

/// An administrator blocks, passes or protects in one direction: nothing is made over it, whether it is known or only the
/// kernel knows of it, and it is still there when the peer has gone.
#[test]
fn a_policy_of_somebody_else_stays_in_any_direction() {
    for direction in ALL {
        for action in [
            PolicyAction::Discard,
            PolicyAction::Pass,
            PolicyAction::Protect(vec![template(Protocol::ESP, Mode::Transport)]),
        ] {
            for is_known in [true, false] {
                let what = format!("{direction} {action:?}, known: {is_known}");
                let mut net = tunnel();
                let policy = foreign(direction, action.clone());
                set_by_others(&mut net, &policy);
                if is_known {
                    net.tell_b(KernelEvent::Policies(vec![policy.clone()]));
                }
                net.acquire();
                net.settle();
                let failures = net.world.b.failures();
                let [FailureReason::NoPolicy(_) | FailureReason::NoProposalChosen(_)] = &failures[..] else {
                    panic!("{what}: {failures:?}")
                };
                assert!(is_left(&net, &policy), "{what}: {:?}", net.kernels[1].policies);
                assert!(net.kernels[1].sas.is_empty() && net.kernels[1].larval.is_empty(), "{what}");
                assert!(net.world.b.engine.generated.is_empty() && net.world.b.engine.phase2s.is_empty(), "{what}");
                assert_eq!(net.world.b.engine.load().requests, 0, "{what}");
            }
        }
    }
}

/// With the policy gone the same peer gets its tunnel.
#[test]
fn the_honest_peer_gets_through_afterwards() {
    let mut net = tunnel();
    set_by_others(&mut net, &foreign(Direction::Forward, PolicyAction::Discard));
    net.acquire();
    net.settle();
    net.kernels[1].policies.clear();
    net.acquire();
    net.settle();
    net.assert_pairs(1);
    assert_eq!(net.kernels[1].policies.len(), 3);
}

/// Somebody deletes what was made and sets policies of his own: those stay when the peer goes, whatever the engine has heard
/// of all that.
#[test]
fn what_somebody_set_in_the_place_of_ours_stays() {
    for heard in 0..4 {
        let mut net = tunnel();
        net.acquire();
        net.settle();
        net.assert_pairs(1);
        let policies = ALL.map(|direction| foreign(direction, PolicyAction::Discard));
        net.kernels[1].policies.clear();
        policies.iter().for_each(|policy| set_by_others(&mut net, policy));
        match heard {
            0 => {}
            1 => net.tell_b(KernelEvent::PoliciesFlushed),
            2 => net.tell_b(KernelEvent::Policies(policies.to_vec())),
            _ => policies.iter().for_each(|policy| net.tell_b(KernelEvent::Policy(policy.clone()))),
        }
        let now = net.world.now;
        net.world.a.engine.handle_control(now, Control::FlushPhase2(None)).unwrap();
        net.settle();
        let left = net.kernels[1].policies.values().cloned().collect::<Vec<_>>();
        assert_eq!(left.len(), 3, "{heard}: {left:?}");
        assert!(left.iter().all(|policy| policy.action == PolicyAction::Discard), "{heard}: {left:?}");
        assert!(net.world.b.engine.generated.is_empty());
    }
}

/// Linux keeps the index of a policy that is replaced: it is the replacer's from then on.
#[test]
fn a_policy_that_somebody_replaced_is_not_ours_any_more() {
    for by_dump in [true, false] {
        let mut net = tunnel();
        net.acquire();
        net.settle();
        let key = (Direction::Forward, networks());
        let ours = net.kernels[1].policies[&key].clone();
        let theirs = Policy { action: PolicyAction::Discard, ..ours };
        set_by_others(&mut net, &theirs);
        if by_dump {
            let all = net.kernels[1].policies.values().cloned().collect();
            net.tell_b(KernelEvent::Policies(all));
        } else {
            net.tell_b(KernelEvent::Policy(theirs.clone()));
        }
        let now = net.world.now;
        net.world.a.engine.handle_control(now, Control::FlushPhase2(None)).unwrap();
        net.settle();
        assert!(is_left(&net, &theirs), "{by_dump}: {:?}", net.kernels[1].policies);
    }
}

/// The kernel says late that a policy was added, when nobody needs it any more: it goes.
#[test]
fn an_answer_that_comes_too_late() {
    let mut net = tunnel();
    net.world.initiate();
    net.settle();
    net.kernels[1].silent = true;
    net.acquire();
    net.settle();
    net.pass(seconds(120));
    assert_eq!(net.world.b.engine.load().requests, 0);
    net.kernels[1].silent = false;
    net.settle();
    net.assert_empty();
    assert!(net.world.b.engine.generated.is_empty());
}

/// A renewal uses the generated policies; when one of them was deleted, everything is generated again.
#[test]
fn a_part_that_somebody_deleted_is_made_again() {
    let mut net = tunnel();
    net.acquire();
    net.settle();
    let key = (Direction::In, networks());
    net.kernels[1].policies.remove(&key).unwrap();
    net.tell_b(KernelEvent::PolicyDeleted(key.0, key.1));
    net.pass(seconds(850));
    net.assert_pairs(2);
    assert_eq!(net.kernels[1].policies.len(), 3);
    let now = net.world.now;
    net.world.a.engine.handle_control(now, Control::FlushPhase2(None)).unwrap();
    net.settle();
    net.assert_empty();
}

/// Policies that were generated for a peer are not for whoever has its address later, though we begin.
#[test]
fn somebody_else_at_the_address_of_the_peer() {
    use crate::config::{LocalIdentity, Rekey};
    use crate::identity::Identity;
    use crate::num::IdType;
    let short = |remote: &mut Remote, _: &mut Settings| {
        remote.rekey = Rekey::Off;
        remote.proposals[0].lifetime = 100;
    };
    for is_other in [true, false] {
        let b = |remote: &mut Remote, settings: &mut Settings| {
            short(remote, settings);
            generate(remote, settings);
        };
        let tunnel = [template(Protocol::ESP, Mode::Tunnel)];
        let mut net = Net::with(networks(), &tunnel, [sainfo(), sainfo()], short, b);
        net.tell_b(KernelEvent::Policies(Vec::new()));
        net.acquire();
        net.settle();
        net.pass(seconds(300));
        assert_eq!((net.world.b.states(), net.kernels[1].policies.len()), (vec![], 3));
        if is_other {
            let named = |remote: &mut Remote, settings: &mut Settings| {
                short(remote, settings);
                remote.my_identifier = LocalIdentity::Fixed(Identity::named(IdType::FQDN, *b"other"));
            };
            net.world.a = Host::new(A, 9, settings(B, named), &[("192.0.2.2", "a secret of a and b")]);
        }
        let outbound = &net.kernels[1].policies[&(Direction::Out, networks().mirrored())];
        let policy = Some(outbound.index);
        net.tell_b(KernelEvent::Acquire(Acquire { policy, source: ip(B), destination: ip(A), ..acquire(2) }));
        net.settle();
        let failures = net.world.b.failures();
        if is_other {
            let [FailureReason::NotAuthorized(why)] = &failures[..] else { panic!("{failures:?}") };
            assert_eq!(why.problem, DenialReason::GeneratedForAnother);
        } else {
            assert_eq!((failures, net.kernels[1].sas.len()), (vec![], 4));
        }
    }
}
