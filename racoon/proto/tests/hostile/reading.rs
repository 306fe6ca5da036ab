//! Defects that were found by reading another daemon: each attack, and the legitimate traffic that a naive fix would break.
//!
//! | defect | here |
//! |---|---|
//! | informational HASH(1) covers only the first payload | further payloads are appended |
//! | Delete for ISAKMP: owner, number and size of SPIs | deletes of others, and of wrong sizes |
//! | R-U-THERE: cookies and length are not compared | probes with other ones |
//! | higher major versions; header against datagram | versions; lengths are with `defects` |
//! | `peers_identifier` compares a prefix | identities that are longer and shorter |
//! | an SPI of the peer that is in use | a quick mode with the same SPI |
//! | events that are never sent | events of phases 1 and 2 |
//! | first sequence number of DPD, acknowledgements | unexpected acknowledgements |
//!
//! In other files: unencrypted delete after message 1 and transaction exchange without keys in `states`; a changing remote address and
//! duplicates in `replay`; INVALID-COOKIE and INVALID-FLAGS in `flood`.
//!
//! Not tested, because the features are not implemented: fragments, mode configuration and XAUTH, certificates, LDAP, addresses that
//! change with NAT traversal. Defects of files, sockets and privileges do not concern the engine.

use std::net::SocketAddr;

use racoon_proto::config::{Dpd, DpdMode};
use racoon_proto::engine::Control;
use racoon_proto::identity::{Expected, Identity};
use racoon_proto::kernel::{SaName, Way};
use racoon_proto::num::{IdType, NotifyType, PayloadType, Protocol};
use racoon_proto::output::EventKind;
use racoon_proto::reason::FailureReason;
use racoon_proto::wire::{Notify, VendorId};

use crate::fixture::{Configuration, remote_section};
use crate::scripted_peer::{Draft, ScriptedPeer, Step, deletion, notify};
use crate::session::{Role, Session};

/// HASH(1) covers everything that follows it, not only the next payload.
#[test]
fn informational_hash_covers_everything_behind_it() {
    let mut session = Session::up(Role::Initiator);
    let harmless = session.scripted_peer.notify(NotifyType(9999), b"");
    let delete = (PayloadType::DELETE, deletion(Protocol::ESP, &[&session.scripted_peer.spi.to_be_bytes()]));
    let mut draft = session.scripted_peer.informational(vec![harmless.clone()]);
    draft.payloads.push(delete.clone());
    let message = session.scripted_peer.seal(&draft);
    session.fixture.receive(&message);
    assert!(session.fixture.is_up(), "{}", session.fixture.log_text());
    assert!(session.fixture.has_logged("the hash is wrong"));
    // With a hash over both, both are processed in order.
    let draft = session.scripted_peer.informational(vec![harmless, delete]);
    session.utter(&draft);
    assert!(session.fixture.sas.is_empty(), "{}", session.fixture.log_text());
    session.fixture.wind_up("after informational messages");
}

/// A Delete for ISAKMP must name at least one phase 1, each by 16 bytes, and only the sender's own.
#[test]
fn delete_of_isakmp_has_an_owner_and_exact_sizes() {
    let configuration =
        Configuration { anonymous: Some(remote_section("anonymous", None)), ..Configuration::default() };
    let mut session = Session::new(Role::Initiator, configuration).then_up_to(Step::Informational);
    let own = session.scripted_peer.cookies;
    let swapped = [own.responder.0, own.initiator.0].concat();
    let body =
        |size: u8, count: u16, spis: &[u8]| [&[0, 0, 0, 1, 1, size], count.to_be_bytes().as_slice(), spis].concat();
    let own_bytes = own.to_bytes();
    for bad in [
        body(16, 0, &[]),
        body(16, 0, &own_bytes),
        body(16, 2, &own_bytes),
        body(16, u16::MAX, &own_bytes),
        body(8, 2, &own_bytes),
        body(0, 1, &[]),
        body(4, 4, &own_bytes),
        body(16, 1, &own_bytes[..15]),
        body(16, 1, &swapped),
        body(16, 1, &[0; 16]),
    ] {
        let draft = session.scripted_peer.informational(vec![(PayloadType::DELETE, bad.clone())]);
        session.utter(&draft);
        assert!(session.fixture.is_up(), "{bad:?}\n{}", session.fixture.log_text());
    }
    for protocol in [Protocol::ESP, Protocol::AH, Protocol::IPCOMP, Protocol(0), Protocol(9)] {
        let bad = [&[0, 0, 0, 1, protocol.0, 2, 0xff, 0xff], [0xc0; 6].as_slice()].concat();
        let draft = session.scripted_peer.informational(vec![(PayloadType::DELETE, bad)]);
        session.utter(&draft);
    }
    assert!(session.fixture.is_up(), "{}", session.fixture.log_text());
    // Under its first phase 1, the peer may delete its second one, and then the first one itself.
    let first = std::mem::replace(
        &mut session.scripted_peer,
        ScriptedPeer::new(session.fixture.peer, session.fixture.address, true, 77),
    );
    [Step::Main1, Step::Main3, Step::Main5].into_iter().for_each(|step| session.say(step));
    assert_eq!(session.fixture.phase1_states(), [9, 9]);
    let second = std::mem::replace(&mut session.scripted_peer, first);
    for cookies in [second.cookies, own] {
        let delete = (PayloadType::DELETE, deletion(Protocol::ISAKMP, &[&cookies.to_bytes()]));
        let draft = session.scripted_peer.informational(vec![delete]);
        session.utter(&draft);
    }
    assert_eq!(session.fixture.phase1_states(), [0; 0], "{}", session.fixture.log_text());
    session.fixture.wind_up("after deletes of ISAKMP");
}

/// A peer tries to delete the phase 1 and the SAs of another peer.
#[test]
fn delete_of_somebody_elses() {
    let mut session = Session::up(Role::Initiator);
    let victim = session.scripted_peer.cookies;
    // The same address with another port is another peer, behind a NAT.
    let elsewhere = SocketAddr::new(session.fixture.peer.ip(), 4242);
    let honest = std::mem::replace(&mut session.fixture.peer, elsewhere);
    let mut other = ScriptedPeer::new(elsewhere, session.fixture.address, true, 55);
    std::mem::swap(&mut session.scripted_peer, &mut other);
    [Step::Main1, Step::Main3, Step::Main5].into_iter().for_each(|step| session.say(step));
    assert_eq!(session.fixture.phase1_states(), [9, 9]);
    let delete = (PayloadType::DELETE, deletion(Protocol::ISAKMP, &[&victim.to_bytes()]));
    let draft = session.scripted_peer.informational(vec![delete]);
    session.utter(&draft);
    assert_eq!(session.fixture.phase1_states(), [9, 9], "{}", session.fixture.log_text());
    assert!(session.fixture.has_logged("ignored a DELETE for another peer's phase 1"));
    session.fixture.peer = honest;
    session.fixture.wind_up("after deletes of others");
}

/// Two peers behind one address, distinguished by their ports: neither can delete the other's SAs, not even by INITIAL-CONTACT.
#[test]
fn sas_of_another_peer_behind_the_same_address() {
    let mut session = Session::up(Role::Initiator);
    let before = session.fixture.sas.clone();
    let elsewhere = SocketAddr::new(session.fixture.peer.ip(), 4242);
    let honest = std::mem::replace(&mut session.fixture.peer, elsewhere);
    let other = ScriptedPeer::new(session.fixture.peer, session.fixture.address, true, 55);
    let victim = std::mem::replace(&mut session.scripted_peer, other);
    [Step::Main1, Step::Main3, Step::Main5].into_iter().for_each(|step| session.say(step));
    let contact = session.scripted_peer.notify(NotifyType::INITIAL_CONTACT, &[]);
    let delete = (PayloadType::DELETE, deletion(Protocol::ESP, &[&victim.spi.to_be_bytes()]));
    for payload in [delete, contact] {
        let draft = session.scripted_peer.informational(vec![payload]);
        session.utter(&draft);
        assert_eq!(session.fixture.sas, before, "{}", session.fixture.log_text());
    }
    session.fixture.peer = honest;
    session.scripted_peer = victim;
    session.say(Step::Informational);
    assert!(session.fixture.sas.is_empty(), "the victim's own delete is heeded\n{}", session.fixture.log_text());
    session.fixture.wind_up("after a peer behind the same address");
}

/// A probe is answered only if it names this phase 1 and has a sequence number of 4 bytes.
#[test]
fn r_u_there_names_the_phase_1() {
    let mut session = Session::up(Role::Responder);
    let cookies = session.scripted_peer.cookies;
    let swapped = [cookies.responder.0, cookies.initiator.0].concat();
    let other = [0xee; 16];
    let own = cookies.to_bytes();
    for (spi, data, answered) in [
        (own.as_slice(), [0, 0, 1, 2].as_slice(), true),
        (&swapped, &[0, 0, 1, 3], true),
        (&own, &[], false),
        (&own, &[0, 0, 1], false),
        (&own, &[0, 0, 1, 2, 3], false),
        (&own[..15], &[0, 0, 1, 4], false),
        (&[], &[0, 0, 1, 4], false),
        (&other, &[0, 0, 1, 4], false),
    ] {
        session.scripted_peer.informed.clear();
        let draft = session.scripted_peer.informational(vec![notify(spi, NotifyType::R_U_THERE, data)]);
        session.utter(&draft);
        let answers = std::mem::take(&mut session.scripted_peer.informed);
        let answers: Vec<_> =
            answers.iter().map(|(_, body)| Notify::parse(body).expect("a notify of the host")).collect();
        let expected = if answered { vec![(NotifyType::R_U_THERE_ACK, data.to_vec())] } else { Vec::new() };
        assert_eq!(answers.into_iter().map(|one| (one.kind, one.data)).collect::<Vec<_>>(), expected, "{spi:?}");
    }
    session.fixture.wind_up("after probes");
}

/// Only expected acknowledgements keep a peer alive.
#[test]
fn acknowledgements_out_of_nothing() {
    for honest in [true, false] {
        let mut configuration = Configuration::default();
        configuration.remote.dpd = Some(Dpd { delay: 10, retry: 5, max_fail: 3, mode: DpdMode::Always });
        let mut session = Session::new(Role::Initiator, configuration);
        let draft = session.scripted_peer.draft(Step::Main1);
        let vendor = (PayloadType::VENDOR_ID, VendorId::Dpd.encode());
        session.utter(&Draft { payloads: [draft.payloads, vec![vendor]].concat(), ..draft });
        session.finish(Step::Main3, "with DPD");
        for _ in 0..60 {
            session.pass(1);
            session.listen();
            let probe =
                session.scripted_peer.informed.pop().map(|(_, body)| Notify::parse(&body).expect("a probe").data);
            let data = match (probe, honest) {
                (Some(sequence), true) => sequence,
                (None, true) => continue,
                (_, false) => vec![0, 0, 0, 1],
            };
            if session.fixture.phase1_states().is_empty() {
                break;
            }
            let draft = session
                .scripted_peer
                .informational(vec![session.scripted_peer.notify(NotifyType::R_U_THERE_ACK, &data)]);
            session.utter(&draft);
        }
        assert_eq!(session.fixture.events.contains(&EventKind::DpdTimeout), !honest, "{}", session.fixture.log_text());
        assert_eq!(session.fixture.sas.is_empty(), !honest);
        session.fixture.wind_up("after acknowledgements");
    }
}

/// Higher major versions are not read as IKEv1; the minor version is ignored.
#[test]
fn versions() {
    for role in Role::BOTH {
        for step in role.steps() {
            let mut session = Session::up_to(role, *step);
            let before = session.fixture.snapshot();
            let draft = session.scripted_peer.draft(*step);
            let mut message = session.scripted_peer.seal(&draft);
            for major in (0..16).filter(|major| *major != 1) {
                message[17] = major << 4;
                session.fixture.receive(&message);
            }
            assert_eq!(session.fixture.snapshot(), before, "{step:?}");
            assert!(session.fixture.sent.is_empty(), "{step:?}");
            message[17] = 0x1f;
            session.scripted_peer.has_said(&draft, &message);
            session.fixture.receive(&message);
            session.listen();
            assert_ne!(session.fixture.snapshot(), before, "{step:?}: version 1.15");
            session.fixture.wind_up("after versions");
        }
    }
}

/// `peers_identifier` must be equal as a whole, not only at its beginning. A peer that has proved the key is told what is wrong.
#[test]
fn peers_identifier_is_not_a_prefix() {
    let name = |name: &str| Identity::named(IdType::FQDN, name);
    for (claimed, accepted) in [
        (name("gw.example.com"), true),
        (name("gw.example.com.evil.org"), false),
        (name("gw.example.co"), false),
        (name("g"), false),
        (name("GW.example.com\0x"), false),
        (Identity::named(IdType::USER_FQDN, "gw.example.com"), false),
        (Identity::named(IdType::KEY_ID, "gw.example.com"), false),
        (Identity::address("192.0.2.2".parse().expect("an address")), false),
    ] {
        for role in Role::BOTH {
            let mut configuration = Configuration::default();
            configuration.remote.peers_identifiers = vec![Expected::exactly(&name("gw.example.com"))];
            configuration.remote.verify_identifier = true;
            let mut session = Session::new(role, configuration);
            session.scripted_peer.identity = claimed.clone();
            if accepted {
                session.finish(role.steps()[0], "the right name");
                continue;
            }
            role.steps()[..3].iter().for_each(|step| session.say(*step));
            assert_eq!(session.fixture.phase1_states(), [0; 0], "{claimed}\n{}", session.fixture.log_text());
            assert!(
                matches!(session.fixture.failures()[0], FailureReason::Identity { .. }),
                "{:?}",
                session.fixture.failures()
            );
            assert!(session.fixture.events.contains(&EventKind::Phase1AuthFailed), "{:?}", session.fixture.events);
            session.fixture.wind_up("another identity");
        }
    }
}

/// The peer reuses one of its SPIs. It must have lost the old SA, which is removed.
#[test]
fn an_spi_that_the_peer_has_used_before() {
    let mut session = Session::up(Role::Initiator);
    let before = session.fixture.sas.clone();
    session.scripted_peer.new_quick_mode();
    session.scripted_peer.spi -= 1;
    session.say(Step::Quick1);
    session.say(Step::Quick3);
    assert!(session.fixture.is_up(), "{:?}\n{}", session.fixture.sas, session.fixture.log_text());
    assert_ne!(session.fixture.sas, before, "our SPI is another one");
    session.say(Step::Informational);
    assert!(session.fixture.sas.is_empty(), "{}", session.fixture.log_text());
    session.finish_anew("after an SPI in use");
    session.fixture.wind_up("after an SPI in use");
}

/// The peer uses the SPI of an SA of another program, or of another peer behind the same address. That SA stays.
#[test]
fn an_spi_of_somebody_elses() {
    let mut session = Session::up_to(Role::Initiator, Step::Quick1);
    let (source, destination) = (session.fixture.address.ip(), session.fixture.peer.ip());
    let by_hand = SaName { protocol: Protocol::ESP, source, destination, spi: session.scripted_peer.spi };
    session.fixture.sas.insert(by_hand, Way::Outbound);
    [Step::Quick1, Step::Quick3].into_iter().for_each(|step| session.say(step));
    assert_eq!(session.fixture.sas.keys().collect::<Vec<_>>(), [&by_hand], "{}", session.fixture.log_text());
    session.scripted_peer.new_quick_mode();
    [Step::Quick1, Step::Quick3].into_iter().for_each(|step| session.say(step));
    assert_eq!(session.fixture.sas.len(), 3, "with another one it gets through\n{}", session.fixture.log_text());
    session.fixture.sas.remove(&by_hand);
    session.fixture.wind_up("after an SA by hand");

    let mut session = Session::up(Role::Initiator);
    let before = session.fixture.sas.clone();
    let honest = std::mem::replace(&mut session.fixture.peer, SocketAddr::new(destination, 4242));
    let victim = std::mem::replace(
        &mut session.scripted_peer,
        ScriptedPeer::new(session.fixture.peer, session.fixture.address, true, 55),
    );
    Step::INITIATOR.into_iter().for_each(|step| session.say(step));
    assert_eq!(session.fixture.sas, before, "{}", session.fixture.log_text());
    session.scripted_peer.new_quick_mode();
    [Step::Quick1, Step::Quick3].into_iter().for_each(|step| session.say(step));
    assert_eq!(session.fixture.sas.len(), 4, "with an SPI of its own it gets through\n{}", session.fixture.log_text());
    session.fixture.peer = honest;
    session.scripted_peer = victim;
    session.say(Step::Informational);
    assert_eq!(session.fixture.sas.len(), 2, "the victim's delete is for its own");
    session.fixture.wind_up("after an SPI of another peer");
}

/// Events are sent.
#[test]
fn events_are_told() {
    let mut session = Session::up(Role::Initiator);
    for kind in [EventKind::Phase1Up, EventKind::Phase2Up] {
        assert!(session.fixture.events.contains(&kind), "{kind:?}");
    }
    session.say(Step::Informational);
    assert!(session.fixture.events.contains(&EventKind::Phase2Down));
    let (local, remote) = (session.fixture.address.ip(), session.fixture.peer.ip());
    session.fixture.control(Control::DeletePeer { local, remote });
    assert!(session.fixture.events.contains(&EventKind::Phase1Down));
    session.fixture.sent.clear();
    // The peer is gone.
    session.fixture.acquire();
    session.pass(120);
    for kind in [EventKind::Phase1NoResponse, EventKind::Phase2NoPhase1] {
        assert!(session.fixture.events.contains(&kind), "{kind:?}: {:?}", session.fixture.events);
    }
    session.fixture.wind_up("after events");
}
