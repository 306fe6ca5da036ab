//! What an operator is told of the kernel's side: refusals, reservations that expire, tunnels that begin elsewhere, and at level
//! debug what was chosen.

use super::*;
use crate::num::NotifyType;

/// The peer hears at once that it was not its own kernel.
#[test]
fn a_peer_is_told_of_a_kernel_that_refuses() {
    for (at, way) in [(0, Way::Inbound), (0, Way::Outbound), (1, Way::Inbound), (1, Way::Outbound)] {
        let mut net = Net::new(hosts(), &transport(), &sainfo());
        net.kernels[at].refuses = Some(way);
        net.acquire();
        net.settle();
        let peer = if at == 0 { &net.world.b } else { &net.world.a };
        // What is established already goes by a delete, and the words are a warning of their own.
        let told = match way {
            Way::Inbound => peer.has_logged(Level::Error, "; in its words: kernel: no such algorithm"),
            Way::Outbound => {
                let text = "kernel: no such algorithm";
                [Level::Error, Level::Warning].iter().any(|level| peer.has_logged(*level, text))
            }
        };
        assert!(told, "{at} {way:?}: {:#?}", peer.log);
        if way == Way::Inbound {
            assert_eq!(peer.failures(), [FailureReason::Refused(NotifyType::NO_PROPOSAL_CHOSEN)], "{at}");
        }
        net.assert_empty();
    }
}

#[test]
fn an_spi_whose_reservation_expires() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.world.a.engine.core.settings.larval_limit = "net.core.xfrm_acq_expires";
    net.acquire();
    net.settle();
    net.world.now = net.world.now + seconds(1);
    // Another negotiation, whose message 1 is lost.
    let name = *net.kernels[0].names(Way::Inbound).first().unwrap();
    net.tell_a(KernelEvent::Deleted(name));
    net.tell_a(KernelEvent::Acquire(acquire(2)));
    let lost = |net: &mut Net| net.settle_with(|_| Fate::Drop);
    lost(&mut net);
    net.world.now = net.world.now + seconds(5);
    let larval = net.kernels[0].larval.remove(0);
    net.tell_a(KernelEvent::Expire(larval, Limit::Hard));
    net.settle();
    let expected = format!(
        "the SPI reserved for {larval} expired 5 s into the negotiation; raise net.core.xfrm_acq_expires if the peer needs \
         longer"
    );
    assert!(net.world.a.has_logged(Level::Error, &expected), "{:#?}", net.world.a.lines(Level::Error));
}

#[test]
fn a_tunnel_that_begins_elsewhere() {
    let elsewhere = Some((ip("192.0.2.99:500"), ip(B)));
    let tunnel = Template { endpoints: elsewhere, ..template(Protocol::ESP, Mode::Tunnel) };
    let mut net = Net::new(networks(), &[tunnel], &sainfo());
    net.settle();
    let text = "no keys can be negotiated for the policy 10.0.1.0/24 -> 10.0.2.0/24 from 192.0.2.99: it is no address of this \
                host";
    assert_eq!(net.world.a.lines(Level::Warning), [text]);
    // A packet changes nothing about it.
    let wanted = Acquire { source: ip("192.0.2.99:500"), ..acquire(1) };
    net.tell_a(KernelEvent::Acquire(wanted.clone()));
    net.settle();
    assert_eq!(net.world.a.lines(Level::Warning), [text]);
    // The address comes, and goes again.
    let now = net.world.now;
    let ours = |more: &[&str]| {
        let addresses = [A].iter().chain(more).map(|one| one.parse().unwrap()).collect();
        Control::Addresses(addresses)
    };
    for addresses in [ours(&["192.0.2.99:500"]), ours(&[])] {
        net.world.a.engine.handle_control(now, addresses).unwrap();
    }
    net.settle();
    assert_eq!(net.world.a.lines(Level::Warning), [text, text]);
    // One that is not listened on.
    let here = [ip("192.0.2.99:500")].into_iter().collect();
    net.world.a.engine.handle_control(now, Control::HostAddresses(here)).unwrap();
    net.tell_a(KernelEvent::Acquire(wanted));
    net.settle();
    let text = "from 192.0.2.99: racoon does not listen on it; see the listen section";
    assert!(net.world.a.has_logged(Level::Debug, text), "{:#?}", net.world.a.lines(Level::Debug));
}

#[test]
fn what_was_chosen_and_why() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    let traffic = "192.0.2.1/32 -> 192.0.2.2/32";
    let acquired = format!(
        "acquire: esp 192.0.2.1 -> 192.0.2.2 (seq 1, policy index 17): policy out {traffic}, which the kernel names"
    );
    assert!(net.world.a.has_logged(Level::Debug, &acquired), "{:#?}", net.world.a.lines(Level::Debug));
    let chosen = format!(
        "for {traffic}: remote 192.0.2.2 (it has the peer's address); sainfo anonymous anonymous (none names either side)"
    );
    assert!(net.world.a.has_logged(Level::Debug, &chosen), "{:#?}", net.world.a.lines(Level::Debug));
    let chosen = "for 192.0.2.2/32 -> 192.0.2.1/32: remote 192.0.2.1 (that of the phase 1); sainfo anonymous anonymous";
    assert!(net.world.b.has_logged(Level::Debug, chosen), "{:#?}", net.world.b.lines(Level::Debug));
    // A kernel that does not name the policy, and one that none protects.
    let selector = Some(hosts());
    net.tell_a(KernelEvent::Acquire(Acquire { policy: None, selector, ..acquire(2) }));
    net.tell_a(KernelEvent::Acquire(Acquire { policy: None, destination: [10, 9, 9, 9].into(), ..acquire(3) }));
    net.settle();
    for text in ["the first that covers the packet", "no outbound policy that protects: ignored"] {
        assert!(net.world.a.has_logged(Level::Debug, text), "{text}: {:#?}", net.world.a.lines(Level::Debug));
    }
}
