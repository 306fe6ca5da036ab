//! Restarted after a crash: SAs of the earlier run, which the kernel still has or has lost.

use super::*;
use crate::kernel::LeftoverSa;
use crate::path::Path;

/// Two hosts with SAs, of which `a` was killed and started again, and knows of the SAs. `kernel` is what it has of them.
fn restarted(in_kernel: bool, change: impl FnOnce(&mut Remote)) -> (Net, [SaName; 2]) {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    net.pass(seconds(10));
    let sas = [net.kernels[0].names(Way::Inbound)[0], net.kernels[0].names(Way::Outbound)[0]];
    let changed = settings(B, |remote, settings| {
        settings.sainfos = Sainfos::new(vec![sainfo()]);
        change(remote);
    });
    net.world.a = Host::new(A, 99, changed, &[("192.0.2.2", "a secret of a and b")]);
    net.tell_a(KernelEvent::Policies(policies(hosts(), &transport(), true)));
    if !in_kernel {
        net.kernels[0] = Kernel { next_spi: 0x3000, ..Kernel::default() };
    }
    tell(&mut net, sas.map(|name| LeftoverSa { name, reqid: 0, in_kernel }).to_vec());
    (net, sas)
}

fn tell(net: &mut Net, sas: Vec<LeftoverSa>) {
    let now = net.world.now;
    net.world.a.engine.handle_control(now, Control::LeftoverSas(sas)).unwrap();
}

fn has(net: &Net, name: &SaName) -> bool {
    net.kernels[0].sas.iter().any(|sa| sa.name == *name)
}

#[test]
fn they_are_renewed_at_once_and_serve_until_then() {
    for in_kernel in [true, false] {
        let (mut net, sas) = restarted(in_kernel, |_| {});
        assert!(sas.iter().all(|name| has(&net, name) == in_kernel));
        net.settle();
        assert_eq!(Net::established(&net.world.a), 1, "no packet has asked for it");
        // What the peer has sent by the old ones is still on its way.
        net.pass(seconds(4));
        assert!(sas.iter().all(|name| has(&net, name) == in_kernel));
        net.pass(seconds(2));
        assert!(!sas.iter().any(|name| has(&net, name)));
        net.assert_pairs(1);
        assert_eq!(net.world.a.engine.leftovers.len(), 0);
        assert!(net.world.a.failures().is_empty());
    }
}

/// The peer keeps its half until then, too: INITIAL-CONTACT is only for a kernel that has lost them.
#[test]
fn the_peer_is_told_that_replaced_ones_are_gone() {
    // The first is of the earlier run.
    let contacts =
        |net: &Net| net.world.b.lines(Level::Info).iter().filter(|line| **line == "received INITIAL-CONTACT").count();
    let (mut net, _) = restarted(false, |_| {});
    net.settle();
    assert_eq!(contacts(&net), 2);
    assert_eq!(Net::established(&net.world.b), 1);

    let (mut net, _) = restarted(true, |_| {});
    net.settle();
    assert_eq!(contacts(&net), 1);
    assert_eq!(Net::established(&net.world.b), 2);
    net.pass(seconds(6));
    net.assert_pairs(1);
    assert!(net.world.b.has_logged(Level::Info, "the peer deletes its ESP SA"));
}

#[test]
fn they_go_if_the_peer_does_not_answer() {
    let (mut net, sas) = restarted(true, |_| {});
    net.pass_with(seconds(10), |_| Fate::Drop);
    assert!(sas.iter().all(|name| has(&net, name)), "it is still asked");
    net.pass_with(seconds(200), |_| Fate::Drop);
    assert!(!sas.iter().any(|name| has(&net, name)));
    assert!(net.world.a.has_logged(Level::Info, "the peer does not answer: removing the SAs of an earlier run"));
    // The next packet makes new ones, and the peer, which has its half still, is told that all before is gone.
    assert_eq!(Net::established(&net.world.b), 1);
    net.acquire();
    net.settle();
    assert_eq!((Net::established(&net.world.a), Net::established(&net.world.b)), (1, 1));
    net.assert_pairs(1);
}

#[test]
fn a_passive_side_waits_for_the_peer() {
    let (mut net, sas) = restarted(true, |remote| remote.passive = true);
    net.pass(seconds(60));
    assert!(sas.iter().all(|name| has(&net, name)), "they serve");
    assert_eq!((Net::established(&net.world.a), net.world.a.failures().len()), (0, 0));
    let now = net.world.now;
    net.world.b.engine.handle_control(now, Control::DeletePeer { local: ip(B), remote: ip(A) }).unwrap();
    net.tell_b(KernelEvent::Acquire(Acquire { policy: Some(17), source: ip(B), destination: ip(A), ..acquire(1) }));
    net.settle();
    net.pass(seconds(6));
    assert!(!sas.iter().any(|name| has(&net, name)));
    net.assert_pairs(1);
}

/// What the peer deletes under a phase 1 with it goes; what another peer deletes does not.
#[test]
fn the_peer_deletes_them() {
    let (mut net, sas) = restarted(true, |remote| (remote.passive, remote.initial_contact) = (true, false));
    let now = net.world.now;
    let other = SaName { spi: 0x7777, destination: [192, 0, 2, 3].into(), ..sas[1] };
    net.kernels[0].sas.retain(|sa| sa.name.source != ip(B));
    // Somebody else's, of which the policies know.
    let mut own = policies(hosts(), &transport(), true);
    let to_other = Selector { destination: Prefix::host(other.destination), ..hosts() };
    own.extend(
        policies(to_other, &transport(), true).into_iter().map(|policy| Policy { index: policy.index + 800, ..policy }),
    );
    net.tell_a(KernelEvent::Policies(own));
    tell(&mut net, vec![LeftoverSa { name: other, reqid: 0, in_kernel: true }]);
    assert_eq!(net.world.a.engine.leftovers.len(), 3);
    // The phase 1 of the earlier run is gone here: what is said under it proves nothing.
    let path = Path::new(B.parse().unwrap(), A.parse().unwrap());
    let deletes = |net: &mut Net| {
        let phase1 = net.world.b.engine.phase1s.usable(path).unwrap();
        net.world
            .b
            .engine
            .phase1s
            .get_mut(phase1)
            .unwrap()
            .send_deletes(&mut net.world.b.engine.core, [sas[1], other].iter());
        net.settle();
    };
    deletes(&mut net);
    assert_eq!(net.world.a.engine.leftovers.len(), 3);
    let phase1 = Control::EstablishPhase1 { local: ip(A), remote: ip(B), remote_section: None };
    net.world.a.engine.handle_control(now, phase1).unwrap();
    net.settle();
    deletes(&mut net);
    let text = format!("the peer deletes its {} of an earlier run", sas[1]);
    assert!(net.world.a.has_logged(Level::Info, &text), "{:#?}", net.world.a.lines(Level::Debug));
    assert_eq!(net.world.a.engine.leftovers.len(), 1, "that of the other peer");
    assert!(!sas.iter().any(|name| has(&net, name)));
    assert!(!net.kernels[0].deleted.contains(&other));
}

#[test]
fn what_no_policy_needs_goes() {
    let (mut net, sas) = restarted(true, |_| {});
    net.settle();
    net.kernels[0].deleted.clear();
    let elsewhere = SaName { destination: [192, 0, 2, 9].into(), ..sas[1] };
    let strange = SaName { source: [192, 0, 2, 8].into(), destination: [192, 0, 2, 9].into(), ..sas[1] };
    tell(&mut net, [elsewhere, strange].map(|name| LeftoverSa { name, reqid: 0, in_kernel: true }).to_vec());
    net.settle();
    assert_eq!(net.kernels[0].deleted, [elsewhere, strange]);
}

#[test]
fn what_others_do_to_them_is_heard() {
    let (mut net, sas) = restarted(true, |remote| remote.passive = true);
    net.tell_a(KernelEvent::Expire(sas[0], Limit::Hard));
    assert_eq!(net.world.a.engine.leftovers.len(), 1);
    net.tell_a(KernelEvent::Deleted(sas[1]));
    assert_eq!(net.world.a.engine.leftovers.len(), 0);

    let (mut net, _) = restarted(true, |remote| remote.passive = true);
    net.tell_a(KernelEvent::Flushed(Some(Protocol::AH)));
    assert_eq!(net.world.a.engine.leftovers.len(), 2);
    net.tell_a(KernelEvent::Flushed(None));
    assert_eq!(net.world.a.engine.leftovers.len(), 0);

    let (mut net, sas) = restarted(true, |remote| remote.passive = true);
    let now = net.world.now;
    net.world.a.engine.handle_control(now, Control::Shutdown).unwrap();
    net.settle();
    assert!(!sas.iter().any(|name| has(&net, name)));
}
