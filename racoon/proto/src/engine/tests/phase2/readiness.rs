//! Quick modes under a phase 1 that is established but not usable yet, as during a login.

use super::*;
use crate::phase1::entry::Phase1;
use crate::phase1::readiness::Readiness;

/// Two hosts with a phase 1 that is not usable yet at the given ones.
fn unready(hosts_unready: [bool; 2]) -> Net {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.world.initiate();
    net.settle();
    net.world.assert_up();
    for (host, unready) in [&mut net.world.a, &mut net.world.b].into_iter().zip(hosts_unready) {
        let id = host.only();
        let established = host.engine.phase1s.get_mut(id).and_then(Phase1::established_mut).unwrap();
        assert_eq!(established.readiness, Readiness::Usable);
        if unready {
            established.readiness = Readiness::Negotiated;
        }
    }
    net
}

fn make_usable(host: &mut Host) {
    let id = host.only();
    host.engine.phase1_usable(id);
}

#[test]
fn our_phase_2_waits_until_the_phase_1_is_usable() {
    let mut net = unready([true, false]);
    net.acquire();
    net.settle();
    assert_eq!(Net::established(&net.world.a), 0);
    assert_eq!((net.world.a.states(), net.world.b.states()), (vec![9], vec![9]), "no second phase 1");
    assert!(net.world.a.has_logged(Level::Info, "IPsec-SA request for 192.0.2.2 queued due to no phase1 found."));
    assert!(!net.world.a.has_logged(Level::Info, "initiate new phase 2 negotiation: 192.0.2.1[500]<=>192.0.2.2[500]"));
    make_usable(&mut net.world.a);
    net.settle();
    net.assert_pairs(1);
    assert!(net.world.a.failures().is_empty());
}

#[test]
fn a_quick_mode_of_the_peer_is_deferred_until_the_phase_1_is_usable() {
    let mut net = unready([false, true]);
    net.acquire();
    net.settle();
    assert!(net.world.b.engine.phase2s.is_empty());
    make_usable(&mut net.world.b);
    net.settle();
    net.assert_pairs(1);
    assert!(net.world.b.failures().is_empty());
}

#[test]
fn informational_messages_are_processed_before_the_phase_1_is_usable() {
    let mut net = unready([false, true]);
    let now = net.world.now;
    let control = Control::DeletePeer { local: ip(A), remote: ip(B) };
    net.world.a.engine.handle_control(now, control).unwrap();
    net.settle();
    assert_eq!(net.world.b.states(), []);
}

#[test]
fn phase_2s_that_wait_fail_with_the_phase_1() {
    let mut net = unready([true, false]);
    net.acquire();
    net.settle();
    let now = net.world.now;
    let control = Control::DeletePeer { local: ip(B), remote: ip(A) };
    net.world.b.engine.handle_control(now, control).unwrap();
    net.settle();
    assert_eq!(net.world.a.states(), []);
    assert_eq!(net.kernels[0].failed, [acquire(1)]);
    net.assert_empty();
    assert!(net.world.a.engine.phase1s.is_empty());
}
