//! Renewal and end.

use super::*;

#[test]
fn a_pair_is_renewed_ahead_of_its_end() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    net.pass(seconds(740));
    net.assert_pairs(1);
    net.pass(seconds(70));
    net.assert_pairs(2);
    net.pass(seconds(200));
    net.assert_pairs(1);
    assert!(net.world.a.has_logged(Level::Info, "IPsec-SA expired: ESP/Transport 192.0.2.2[500]->192.0.2.1[500]"));
    for _ in 0..30 {
        net.pass(seconds(100));
        let pairs = Net::established(&net.world.a);
        assert!((1..=2).contains(&pairs));
        net.assert_pairs(pairs);
    }
    assert!(net.world.a.failures().is_empty() && net.world.b.failures().is_empty());
    let renewed = "renegotiating phase1 to 192.0.2.2[500] due to active phase2";
    assert!(net.world.a.lines(Level::Info).contains(&renewed));
}

#[test]
fn the_kernel_may_say_first_that_it_is_time_and_only_the_initiator_listens() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    let [a, b] = net.kernels.each_ref().map(|kernel| kernel.names(Way::Inbound)[0]);
    net.tell_b(KernelEvent::Expire(b, Limit::Soft));
    net.settle();
    net.assert_pairs(1);
    net.tell_a(KernelEvent::Expire(a, Limit::Soft));
    net.settle();
    net.pass(seconds(5));
    net.assert_pairs(2);
    net.tell_a(KernelEvent::Expire(a, Limit::Soft));
    net.pass(seconds(900));
    assert_eq!(net.kernels[0].names(Way::Inbound).len(), 3, "once, and the new one once");
}

#[test]
fn a_renewal_that_fails_is_tried_again() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    net.pass(seconds(740));
    net.pass_with(seconds(120), |_| Fate::Drop);
    // It, and another phase 1.
    assert_eq!((Net::established(&net.world.a), net.world.a.failures().len()), (1, 2));
    net.pass(seconds(40));
    net.assert_pairs(2);
}

#[test]
fn a_hard_end_by_bytes_is_told_to_the_peer() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    let name = net.kernels[0].names(Way::Outbound)[0];
    net.kernels[0].sas.retain(|sa| sa.name != name);
    net.tell_a(KernelEvent::Expire(name, Limit::Hard));
    net.settle();
    net.assert_empty();
    assert!(net.world.b.has_logged(Level::Info, "the peer deletes its ESP SA"));
}

#[test]
fn what_others_delete_is_told_to_the_peer() {
    for flush in [false, true] {
        let mut net = Net::up(hosts(), &transport(), &sainfo());
        let name = net.kernels[0].names(Way::Inbound)[0];
        net.kernels[0].sas.clear();
        net.tell_a(if flush { KernelEvent::Flushed(Some(Protocol::ESP)) } else { KernelEvent::Deleted(name) });
        net.settle();
        assert!(net.world.a.has_logged(Level::Info, "purged IPsec-SA proto_id=ESP spi=4097."));
        net.assert_empty();
        net.acquire();
        net.settle();
        net.assert_pairs(1);
    }
}

#[test]
fn two_daemons_on_one_host_do_not_care_what_others_do() {
    let test = |_: &mut Remote, settings: &mut Settings| settings.local_test = true;
    let mut net = Net::with(hosts(), &transport(), [sainfo(), sainfo()], test, |_, _| {});
    net.acquire();
    net.settle();
    let name = net.kernels[0].names(Way::Inbound)[0];
    net.tell_a(KernelEvent::Deleted(name));
    net.tell_a(KernelEvent::Flushed(None));
    net.settle();
    net.assert_pairs(1);
}

/// What one of them installs for itself, the other one need not install. Nor does it delete it.
#[test]
fn two_daemons_on_one_kernel_have_one_pair() {
    for local_test in [true, false] {
        let test = move |_: &mut Remote, settings: &mut Settings| settings.local_test = local_test;
        let mut net = Net::with(hosts(), &transport(), [sainfo(), sainfo()], test, test);
        net.kernels.iter_mut().for_each(|kernel| kernel.has_outbound = true);
        net.acquire();
        net.settle();
        if !local_test {
            assert_eq!(
                net.world.a.failures()[0],
                KernelError { exists: true, ..KernelError::new("File exists") }.into()
            );
            continue;
        }
        assert_eq!((net.world.a.failures(), net.world.b.failures()), (vec![], vec![]));
        assert_eq!((Net::established(&net.world.a), Net::established(&net.world.b)), (1, 1));
        let inbound = net.kernels[0].names(Way::Inbound);
        let now = net.world.now;
        net.world.a.engine.handle_control(now, Control::FlushPhase2(None)).unwrap();
        net.settle();
        assert_eq!(net.kernels[0].deleted, inbound);
    }
}

#[test]
fn a_bundle_goes_as_a_whole() {
    let chain = [template(Protocol::ESP, Mode::Transport), template(Protocol::AH, Mode::Transport)];
    let mut net = Net::up(hosts(), &chain, &sainfo());
    let name = net.kernels[0].names(Way::Inbound)[1];
    net.tell_a(KernelEvent::Deleted(name));
    net.settle();
    net.assert_empty();
}

#[test]
fn at_the_end_the_peer_is_told_and_nothing_is_left() {
    let mut net = Net::up(networks(), &[template(Protocol::ESP, Mode::Tunnel)], &sainfo());
    let now = net.world.now;
    net.world.a.engine.handle_control(now, Control::Shutdown).unwrap();
    net.settle();
    net.assert_empty();
    net.acquire();
    net.settle();
    assert_eq!(net.kernels[0].failed, [acquire(1)]);
}

#[test]
fn a_dead_peers_sas_go() {
    let probe = |remote: &mut Remote, _: &mut Settings| remote.dpd = Some(Dpd { delay: 20, ..Dpd::default() });
    let mut net = Net::with(hosts(), &transport(), [sainfo(), sainfo()], probe, |_, _| {});
    net.acquire();
    net.settle();
    net.pass(seconds(100));
    net.assert_pairs(1);
    net.pass_with(seconds(100), |_| Fate::Drop);
    assert!(net.kernels[0].sas.is_empty());
    assert!(net.world.a.engine.phase2s.is_empty());
}

#[test]
fn a_pair_outlives_its_phase_1() {
    let short = |remote: &mut Remote, _: &mut Settings| remote.proposals[0].lifetime = 300;
    let mut net = Net::with(hosts(), &transport(), [sainfo(), sainfo()], short, short);
    net.acquire();
    net.settle();
    for _ in 0..5 {
        net.pass(seconds(290));
        assert!(Net::established(&net.world.a) >= 1);
        assert!(net.world.a.failures().is_empty(), "{:?}", net.world.a.failures());
    }
    net.kernels[0].sas.truncate(2);
}

/// SAs outlive a phase 1 that expires, and their renewal brings another one; to flush them without one does no harm.
#[test]
fn a_pair_without_phase_1_is_renewed_under_another_one() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    let expire = |net: &mut Net| {
        net.pass(seconds(100));
        for host in [&mut net.world.a, &mut net.world.b] {
            let id = host.only();
            host.engine.phase1_expire(id);
        }
        net.settle();
        assert!(net.world.a.states().is_empty() && net.world.b.states().is_empty());
    };
    expire(&mut net);
    net.assert_pairs(1);
    net.pass(seconds(710));
    net.assert_pairs(2);
    assert_eq!(net.world.a.states(), [9]);
    expire(&mut net);
    let now = net.world.now;
    net.world.a.engine.handle_control(now, Control::FlushPhase2(None)).unwrap();
    net.settle();
    assert_eq!((net.kernels[0].sas.len(), net.kernels[1].sas.len()), (0, 4), "nobody could tell the peer");
    net.pass(seconds(1000));
    net.assert_empty();
}

#[test]
fn a_reload_keeps_what_is_configured() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    let settings = |sainfos: Vec<Sainfo>| Box::new(settings(B, |_, settings| settings.sainfos = Sainfos::new(sainfos)));
    let now = net.world.now;
    net.world.a.engine.handle_control(now, Control::Reload(settings(vec![sainfo()]))).unwrap();
    net.settle();
    net.assert_pairs(1);
    net.world.a.engine.handle_control(now, Control::Reload(settings(vec![]))).unwrap();
    net.settle();
    net.assert_empty();
}

/// A peer that probes takes the end of phase 1 for the end of all: a pair that lived on here alone would lead nowhere.
#[test]
fn pairs_go_with_a_phase_1_that_is_deleted_on_purpose() {
    let probe = |remote: &mut Remote, _: &mut Settings| remote.dpd = Some(Dpd { delay: 20, ..Dpd::default() });
    let stronger = |remote: &mut Remote, settings: &mut Settings| {
        remote.proposals[0].key_length = 256;
        settings.sainfos = Sainfos::new(vec![sainfo()]);
    };
    for control in [Control::FlushPhase1, Control::Reload(Box::new(settings(B, stronger)))] {
        let mut net = Net::with(hosts(), &transport(), [sainfo(), sainfo()], probe, probe);
        net.acquire();
        net.settle();
        net.assert_pairs(1);
        let now = net.world.now;
        net.world.a.engine.handle_control(now, control).unwrap();
        net.settle();
        assert_eq!((net.world.a.states(), net.world.b.states()), (vec![], vec![]));
        net.assert_empty();
    }
}

/// Who has only SAs left of a peer can delete them.
#[test]
fn a_peer_without_phase_1_is_deleted() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    let phase1 = net.world.a.only();
    net.world.a.engine.phase1_expire(phase1);
    net.settle();
    net.pass(seconds(100));
    net.world.a.engine.phase1_expire(phase1);
    assert_eq!((net.world.a.states(), Net::established(&net.world.a)), (vec![], 1));
    let delete = || Control::DeletePeer { local: "0.0.0.0".parse().unwrap(), remote: ip(B) };
    let now = net.world.now;
    assert_eq!(net.world.a.engine.handle_control(now, delete()), Ok(()));
    net.settle();
    assert!(net.kernels[0].sas.is_empty());
    assert_eq!(net.world.a.engine.handle_control(now, delete()), Err(Refusal::Missing));
}

#[test]
fn after_the_end_nothing_begins() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    let now = net.world.now;
    net.world.a.engine.handle_control(now, Control::Shutdown).unwrap();
    net.settle();
    let establish = Control::EstablishPhase1 { local: ip(A), remote: ip(B), remote_section: None };
    assert_eq!(net.world.a.engine.handle_control(now, establish), Err(Refusal::Stopping));
    assert_eq!(net.world.a.engine.poll_timeout(), None);
}
