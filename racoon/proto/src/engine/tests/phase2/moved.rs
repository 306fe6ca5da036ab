//! Changes of a peer's address that the kernel reports.

use super::*;
use crate::path::{Encapsulation, Path};
use crate::wire::Header;

const MOVED: &str = "192.0.2.1:61000";

/// Two hosts with SAs, and the paths of `b`'s phase 1: the present one and the one after the NAT has changed it.
fn behind_nat(encapsulation: Encapsulation) -> (Net, Path, Path) {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    let (id, path) = (net.world.b.only(), Path::new(net.world.b.address, net.world.a.address));
    let plain = path;
    let path = Path { encapsulation, ..path };
    net.world.b.engine.phase1s.move_to(id, path);
    net.world.b.engine.phase2s.move_under(id, plain, path);
    (net, path, Path { remote: MOVED.parse().unwrap(), ..path })
}

/// The kernel of `b` has received a packet from the new address under the SA by which `a` sends.
fn mapping_changed(net: &Net, (old, new): (Path, Path)) -> KernelEvent {
    let spi = net.kernels[1].names(Way::Inbound)[0].spi;
    KernelEvent::MappingChanged { protocol: Protocol::ESP, spi, old: old.remote, new: new.remote }
}

fn path_of_b(net: &Net) -> Path {
    net.world.b.engine.phase1s.get(net.world.b.only()).unwrap().path()
}

#[test]
fn a_phase_1_behind_a_nat_follows_with_its_phase_2s() {
    let (mut net, old, new) = behind_nat(Encapsulation::NonEspMarker);
    net.tell_b(mapping_changed(&net, (old, new)));
    assert_eq!(path_of_b(&net), new);
    let phase2s = net.world.b.engine.phase2s().map(|view| view.remote).collect::<Vec<_>>();
    assert_eq!(phase2s, [new.remote]);
    net.settle();
    assert!(net.world.b.has_logged(Level::Info, "NAT mapping changed: 192.0.2.1[500] is now 192.0.2.1[61000]"));
    // What is said from now on goes there, and nothing is left under the old address.
    net.world.b.engine.handle_control(net.world.now, Control::Shutdown).unwrap();
    net.settle();
    let sent = net.world.b.sent.last().unwrap();
    assert_eq!(sent.path, new);
    assert!(net.world.b.engine.phase1s.is_empty());
}

#[test]
fn a_phase_1_without_udp_encapsulation_does_not_follow() {
    let (mut net, old, new) = behind_nat(Encapsulation::None);
    net.tell_b(mapping_changed(&net, (old, new)));
    net.settle();
    assert_eq!(path_of_b(&net), old);
    assert!(
        net.world
            .b
            .has_logged(Level::Warning, "NAT mapping 192.0.2.1[61000] ignored: phase 1 does not use UDP encapsulation")
    );
}

#[test]
fn a_mapping_that_names_another_sa_or_peer_moves_nothing() {
    let (mut net, old, new) = behind_nat(Encapsulation::NonEspMarker);
    let other_peer = Path { remote: "192.0.2.77:4500".parse().unwrap(), ..old };
    net.tell_b(mapping_changed(&net, (other_peer, new)));
    net.tell_b(KernelEvent::MappingChanged { protocol: Protocol::ESP, spi: 0x9999, old: old.remote, new: new.remote });
    assert_eq!(path_of_b(&net), old);
}

#[test]
fn a_peer_cannot_take_the_address_of_another() {
    let (mut net, old, new) = behind_nat(Encapsulation::NonEspMarker);
    // The source of an ESP packet is not authenticated.
    for forged in ["203.0.113.9:4500", "255.255.255.255:4500", "192.0.2.1:0"] {
        let forged = Path { remote: forged.parse().unwrap(), ..old };
        net.tell_b(mapping_changed(&net, (old, forged)));
        assert_eq!(path_of_b(&net), old, "{}", forged.remote);
    }
    // Another phase 1, of another peer behind the same NAT, has the port already.
    let first = net.world.b.only();
    let (a, b) = (&net.world.a, net.world.b.address);
    let (path, remote_section) = (Path::new(a.address, b), a.engine.phase1s.get(a.only()).unwrap().remote_section);
    let a = &mut net.world.a.engine;
    a.phase1s.begin(&mut a.core, path, remote_section, None).unwrap();
    net.settle();
    let second = net.world.b.engine.phase1s.iter().map(|(id, _)| id).find(|id| *id != first).unwrap();
    net.world.b.engine.phase1s.move_to(second, new);
    net.tell_b(mapping_changed(&net, (old, new)));
    net.settle();
    assert_eq!(net.world.b.engine.phase1s.get(first).unwrap().path(), old);
    assert!(net.world.b.has_logged(Level::Warning, "NAT mapping 192.0.2.1[61000] ignored: another phase 1 has it"));
}

/// Another peer behind the same NAT has a newer phase 1: it must not get the DELETEs of the first peer's SAs.
#[test]
fn deletes_go_to_the_peer_that_has_the_sas() {
    let (mut net, old, new) = behind_nat(Encapsulation::NonEspMarker);
    let first = net.world.b.only();
    let (a, b) = (&net.world.a, net.world.b.address);
    let (path, remote_section) = (Path::new(a.address, b), a.engine.phase1s.get(a.only()).unwrap().remote_section);
    let a = &mut net.world.a.engine;
    a.phase1s.begin(&mut a.core, path, remote_section, None).unwrap();
    net.settle();
    let phase1s = &mut net.world.b.engine.phase1s;
    let second = phase1s.iter().map(|(id, _)| id).find(|id| *id != first).unwrap();
    phase1s.move_to(second, new);
    phase1s.get_mut(first).unwrap().established_mut().unwrap().dying = true;
    let cookies = phase1s.get(first).unwrap().cookies;
    let before = net.world.b.sent.len();
    net.world.b.engine.handle_control(net.world.now, Control::FlushPhase2(None)).unwrap();
    net.settle();
    let deletes = &net.world.b.sent[before..];
    assert_eq!(deletes.len(), 1);
    assert_eq!(deletes[0].path, old);
    assert_eq!(Header::parse(&deletes[0].bytes).unwrap().0.cookies, cookies);
}

#[test]
fn migrated_sas_are_logged() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    let migration =
        crate::kernel::Migration { protocol: Protocol::ESP, old: (ip(A), ip(B)), new: (ip(A), ip("192.0.2.9:500")) };
    net.tell_a(KernelEvent::Migrated(vec![migration]));
    net.settle();
    let line = "ESP SAs 192.0.2.1 -> 192.0.2.2 were migrated to 192.0.2.1 -> 192.0.2.9";
    assert!(net.world.a.has_logged(Level::Info, line));
}
