//! What is sent goes by the old pair until the responder is sure to have the new one.

use super::*;

/// A pair that is just being renewed by `a`: `b` has both pairs, `a` sends by the old one.
fn renewed() -> (Net, SaName, SaName) {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    let old = net.kernels[0].names(Way::Outbound)[0];
    let inbound = net.kernels[0].names(Way::Inbound)[0];
    net.tell_a(KernelEvent::Expire(inbound, Limit::Soft));
    net.settle();
    assert_eq!(net.kernels.each_ref().map(|kernel| kernel.names(Way::Inbound).len()), [2, 2]);
    assert_eq!(net.kernels.each_ref().map(|kernel| kernel.names(Way::Outbound).len()), [1, 2]);
    assert_eq!(Net::established(&net.world.a), 2);
    let new = net.kernels[1].names(Way::Inbound)[1];
    (net, old, new)
}

#[test]
fn it_takes_over_after_a_while() {
    let (mut net, old, new) = renewed();
    net.pass(Duration::from_millis(4999));
    assert_eq!(net.kernels[0].names(Way::Outbound), [old]);
    net.pass(Duration::from_millis(1));
    assert_eq!(net.kernels[0].names(Way::Outbound), [old, new]);
    net.assert_pairs(2);
}

#[test]
fn in_a_short_life_the_while_is_short() {
    let mut short = sainfo();
    short.terms.lifetime = 10;
    let mut net = Net::up(hosts(), &transport(), &short);
    // Renewed after 7.5 to 8 s, with a quarter of the rest to wait.
    net.pass(Duration::from_millis(8700));
    net.assert_pairs(2);
    net.pass(seconds(100));
    assert!(net.world.a.failures().is_empty());
}

/// How long the old pair has still to live, nobody knows then.
#[test]
fn with_a_life_in_bytes_nothing_waits() {
    let mut counted = sainfo();
    counted.terms.kilobytes = Some(100);
    let mut net = Net::up(hosts(), &transport(), &counted);
    let inbound = net.kernels[0].names(Way::Inbound)[0];
    net.tell_a(KernelEvent::Expire(inbound, Limit::Soft));
    net.settle();
    net.assert_pairs(2);
}

/// Two hosts whose pairs are counted in bytes.
fn counted() -> Net {
    let mut counted = sainfo();
    counted.terms.kilobytes = Some(100);
    Net::up(hosts(), &transport(), &counted)
}

/// The kernel of `a` has counted enough bytes of the newest pair.
fn worn(net: &mut Net) {
    let inbound = *net.kernels[0].names(Way::Inbound).last().unwrap();
    net.tell_a(KernelEvent::Expire(inbound, Limit::Soft));
}

/// Replaced pairs go when both sides have long changed over, and not before; renewals do not pile up.
#[test]
fn a_replaced_pair_that_is_counted_in_bytes_goes_after_a_while() {
    let mut net = counted();
    let first = net.kernels[0].names(Way::Inbound)[0];
    worn(&mut net);
    net.settle();
    net.pass(Duration::from_millis(4999));
    net.assert_pairs(2);
    net.pass(Duration::from_millis(1));
    net.assert_pairs(1);
    assert!(net.kernels.iter().all(|kernel| kernel.deleted.contains(&first)));
    assert!(net.world.b.has_logged(Level::Info, "IPsec-SA expired"), "{:?}", net.world.b.log);
    for _ in 0..9 {
        worn(&mut net);
        net.settle();
        net.pass(seconds(2));
    }
    net.assert_pairs(3);
    net.pass(seconds(5));
    net.assert_pairs(1);
    net.pass(seconds(2000));
    net.assert_pairs(1);
}

/// As long as the responder does not have message 3, it sends by the old pair. A lost DELETE keeps nothing.
#[test]
fn a_replaced_pair_stays_while_message_3_is_lost() {
    let mut net = counted();
    let is_from_a = |transmit: &Transmit| transmit.path.local == A.parse().unwrap();
    worn(&mut net);
    let mut quick = 0;
    net.settle_with(|transmit| {
        quick += usize::from(is_from_a(transmit));
        if is_from_a(transmit) && quick > 1 { Fate::Drop } else { Fate::Deliver }
    });
    net.pass_with(seconds(29), |transmit| if is_from_a(transmit) { Fate::Drop } else { Fate::Deliver });
    let inbound = |net: &Net| net.kernels.each_ref().map(|kernel| kernel.names(Way::Inbound).len());
    assert_eq!((inbound(&net), net.kernels[1].names(Way::Outbound).len()), ([2, 2], 1));
    net.pass(seconds(2));
    net.assert_pairs(2);
    // The DELETE of the responder is lost, and later that of the initiator.
    net.pass_with(seconds(20), |_| Fate::Drop);
    net.assert_pairs(1);
}

/// A pair whose replacement is deleted meanwhile is not replaced any more.
#[test]
fn a_pair_stays_when_its_replacement_is_gone() {
    let mut net = counted();
    let first = net.kernels[0].names(Way::Inbound)[0];
    worn(&mut net);
    net.settle();
    let new = net.kernels[0].names(Way::Inbound)[1];
    net.kernels[0].sas.retain(|sa| sa.name != new);
    net.tell_a(KernelEvent::Deleted(new));
    net.settle();
    net.pass(seconds(20));
    net.assert_pairs(1);
    assert_eq!(net.kernels[0].names(Way::Inbound), [first]);
}

/// A renewal whose message 2 never arrives replaces nothing, however often the peer repeats message 1.
#[test]
fn a_pair_stays_while_message_2_is_lost() {
    let mut net = counted();
    let is_from_b = |transmit: &Transmit| transmit.path.local == B.parse().unwrap();
    let fate = |transmit: &Transmit| if is_from_b(transmit) { Fate::Drop } else { Fate::Deliver };
    worn(&mut net);
    net.settle_with(fate);
    net.pass_with(seconds(25), fate);
    let inbound = |net: &Net| net.kernels[1].names(Way::Inbound).len();
    let outbound = |net: &Net| net.kernels.each_ref().map(|kernel| kernel.names(Way::Outbound).len());
    assert_eq!((inbound(&net), outbound(&net)), (2, [1, 1]));
    assert!(net.kernels[1].deleted.is_empty(), "{:?}", net.kernels[1].deleted);
}

#[test]
fn it_takes_over_at_once_when_the_old_pair_goes() {
    let (mut net, old, new) = renewed();
    net.kernels[0].sas.retain(|sa| sa.name != old);
    net.tell_a(KernelEvent::Expire(old, Limit::Hard));
    net.settle();
    assert_eq!(net.kernels[0].names(Way::Outbound), [new]);
    net.assert_pairs(1);

    let (mut net, old, new) = renewed();
    net.tell_b(KernelEvent::Deleted(old));
    net.settle();
    assert_eq!(net.kernels[0].names(Way::Outbound), [new]);
}

#[test]
fn it_takes_over_at_once_when_the_kernel_has_nothing_to_send_by() {
    let (mut net, old, new) = renewed();
    net.kernels[0].sas.retain(|sa| sa.name != old);
    net.acquire();
    net.settle();
    assert_eq!(net.kernels[0].names(Way::Outbound), [new]);
    assert_eq!(net.world.a.engine.phase2s.iter().count(), 2, "nothing else was begun");
    assert_eq!(net.kernels[0].failed, []);
    // The next one is for another policy, or a packet that these do not serve.
    net.acquire();
    net.settle();
    assert_eq!(Net::established(&net.world.a), 3);
}

#[test]
fn a_pair_that_the_peer_deletes_before_never_takes_over() {
    let (mut net, old, new) = renewed();
    net.tell_b(KernelEvent::Deleted(new));
    net.settle();
    net.assert_pairs(1);
    assert!(!net.kernels[0].deleted.contains(&new), "it was not there");
    net.pass(seconds(10));
    assert_eq!(net.kernels[0].names(Way::Outbound), [old]);
}

#[test]
fn if_the_kernel_refuses_it_then_there_is_another_one() {
    let (mut net, old, _) = renewed();
    net.kernels[0].refuses = Some(Way::Outbound);
    net.pass(seconds(5));
    assert_eq!(net.kernels[0].names(Way::Outbound), [old]);
    assert_eq!(net.kernels.each_ref().map(|kernel| kernel.names(Way::Inbound).len()), [1, 1], "the peer is told");
    net.kernels[0].refuses = None;
    net.pass(seconds(15));
    net.assert_pairs(2);
    assert!(net.kernels[0].names(Way::Outbound).contains(&old));
}

#[test]
fn if_the_kernel_does_not_answer_then_there_is_another_one() {
    let (mut net, old, _) = renewed();
    net.kernels[0].silent = true;
    let wait = net.world.a.engine.settings().phase2_wait;
    net.pass(seconds(6) + wait);
    assert_eq!(Net::established(&net.world.a), 1);
    net.kernels[0].silent = false;
    net.pass(seconds(30));
    assert!(net.kernels[0].names(Way::Outbound).contains(&old));
    net.assert_pairs(2);
}

#[test]
fn at_the_end_nothing_is_left() {
    let (mut net, ..) = renewed();
    let now = net.world.now;
    net.world.a.engine.handle_control(now, Control::Shutdown).unwrap();
    net.settle();
    net.assert_empty();
}
