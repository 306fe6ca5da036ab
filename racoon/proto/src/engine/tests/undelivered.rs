//! ICMP errors stand in the lines of failures, and end nothing.

use super::*;
use crate::undelivered::{DeliveryError, IcmpError, Undelivered};

fn icmp(error: IcmpError, reporter: &str) -> DeliveryError {
    DeliveryError::Icmp { error, reporter: reporter.parse().unwrap() }
}

fn tell(host: &mut Host, now: Time, remote: &str, error: DeliveryError) {
    host.engine.handle_undelivered(now, Undelivered { remote: remote.parse().unwrap(), error });
}

#[test]
fn an_initiator_names_them() {
    let mut world = World::new();
    tell(&mut world.a, Time::default(), B, icmp(IcmpError::HostUnreachable, "198.51.100.1"));
    world.now = Time::from_secs(1);
    world.initiate();
    for _ in 0..3 {
        tell(&mut world.a, world.now, B, icmp(IcmpError::PortUnreachable, "192.0.2.2"));
    }
    tell(&mut world.a, world.now, "192.0.2.7:500", icmp(IcmpError::Prohibited, "192.0.2.7"));
    tell(&mut world.a, world.now, B, DeliveryError::Local("Message too long".into()));
    assert_eq!(world.a.states(), [3]);
    world.pass_with(seconds(100), |_| Fate::Drop);
    let [line] = world.a.lines(Level::Error)[..] else { panic!("{:?}", world.a.log) };
    let expected = "after 5 transmissions; ICMP port unreachable from 192.0.2.2; this host cannot send: Message too \
                    long; check that an IKEv1 daemon runs there";
    assert!(line.contains(expected), "{line}");
}

#[test]
fn a_responder_names_them() {
    let mut world = World::new();
    world.initiate();
    let message_1 = world.link.pop_front().unwrap();
    world.deliver(&message_1);
    tell(&mut world.b, world.now, A, icmp(IcmpError::ReassemblyTimeout, "192.0.2.1"));
    world.pass_with(seconds(100), |_| Fate::Drop);
    let [line] = world.b.lines(Level::Error)[..] else { panic!("{:?}", world.b.log) };
    assert!(line.contains("; ICMP fragment reassembly time exceeded from 192.0.2.1; "), "{line}");
}

/// A negotiation that succeeds says nothing of them.
#[test]
fn they_end_nothing() {
    let mut world = World::new();
    world.initiate();
    tell(&mut world.a, world.now, B, icmp(IcmpError::PortUnreachable, "192.0.2.2"));
    world.run();
    world.assert_up();
    assert_eq!(world.a.lines(Level::Error), [""; 0]);
}
