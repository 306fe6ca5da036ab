//! Main Mode from its first message to its last.

use super::*;
use crate::config::LocalIdentity;
use crate::identity::{Expected, Identity, Name, NameAttribute, NamePattern};
use crate::num::{IdType, NotifyType, PayloadType};
use crate::path::Path;
use crate::reason::Role;
use crate::wire::Header;

#[test]
fn it_comes_up() {
    let mut world = World::new();
    world.initiate();
    world.run();
    world.assert_up();
    let exchanges: Vec<_> = world.a.sent.iter().map(|sent| sent.bytes[18]).collect();
    assert_eq!(exchanges, [2, 2, 2], "three messages; INITIAL-CONTACT is in the last one");
    let cookies = world.a.engine.phase1s().next().unwrap().cookies;
    for (host, first) in [(&world.a, "initiate"), (&world.b, "respond")] {
        let lines = host.lines(Level::Info);
        let (own, peer) = (host.address.ip(), if first == "initiate" { "192.0.2.2" } else { "192.0.2.1" });
        assert_eq!(lines[0], format!("{first} new phase 1 negotiation: {own}[500]<=>{peer}[500]"));
        assert!(lines.contains(&"received Vendor ID: DPD"), "{lines:?}");
        assert!(lines.contains(&format!("ISAKMP-SA established {own}[500]-{peer}[500] spi:{cookies}").as_str()));
        assert_eq!(host.lines(Level::Error), [""; 0]);
        assert_eq!(host.lines(Level::Warning), [""; 0]);
        assert_eq!(host.event_kinds(), [EventKind::Phase1Up]);
        assert_eq!(host.endings(), [NegotiationResult::Established]);
        assert_eq!(host.outcomes[0].offered, ["aes 128, sha256, x25519, pre_shared_key, 3600 s"]);
    }
}

#[test]
fn every_algorithm_comes_up() {
    let ciphers = [
        (Cipher::DES, 0),
        (Cipher::TRIPLE_DES, 0),
        (Cipher::BLOWFISH, 448),
        (Cipher::CAST128, 128),
        (Cipher::AES, 192),
        (Cipher::AES, 256),
        (Cipher::CAMELLIA, 256),
    ];
    let hashes = [Hash::MD5, Hash::SHA1, Hash::SHA256, Hash::SHA384, Hash::SHA512];
    let groups = [Group::MODP768, Group::MODP1024, Group::ECP256, Group::ECP384, Group::ECP521, Group::X25519];
    for at in 0..ciphers.len() {
        let (cipher, key_length) = ciphers[at];
        let (hash, group) = (hashes[at % hashes.len()], groups[at % groups.len()]);
        let terms = Phase1Terms { cipher, key_length, hash, group, ..TERMS };
        World::established_with(|remote, _| remote.proposals = vec![terms], |remote, _| remote.proposals = vec![terms]);
    }
}

#[test]
fn the_responder_chooses() {
    let triple_des = Phase1Terms { cipher: Cipher::TRIPLE_DES, key_length: 0, ..TERMS };
    let world = World::established_with(
        |remote, _| remote.proposals = vec![Phase1Terms { hash: Hash::MD5, ..TERMS }, triple_des],
        |remote, _| remote.proposals = vec![TERMS, triple_des],
    );
    assert_eq!(world.a.engine.phase1s().next().unwrap().terms, Some(triple_des));
}

#[test]
fn names_as_identities() {
    let name = |name: &str| Identity::named(IdType::FQDN, name.as_bytes());
    let world = World::established_with(
        |remote, _| remote.my_identifier = LocalIdentity::Fixed(name("a.example")),
        |remote, _| {
            remote.my_identifier = LocalIdentity::Fixed(name("b.example"));
            remote.peers_identifiers = vec![Expected::exactly(&name("a.example"))];
            remote.verify_identifier = true;
        },
    );
    assert_eq!(world.a.engine.phase1s.sa(world.a.only()).unwrap().peer.id, name("b.example"));
    assert_eq!(world.b.engine.phase1s.sa(world.b.only()).unwrap().peer.id, name("a.example"));
}

/// An X.501 name is compared by its components, whether a certificate vouches for it or not.
#[test]
fn distinguished_names_as_identities() {
    let name = |common: &str| {
        let attributes = [("C", "NL"), ("CN", common)].map(|(kind, text)| NameAttribute::text(kind, text).unwrap());
        Name(attributes.into())
    };
    let expecting = |common: Option<&str>| {
        let mut pattern = NamePattern::from(name(common.unwrap_or_default()));
        if common.is_none() {
            pattern.0[1].value = None;
        }
        move |remote: &mut Remote, _: &mut Settings| {
            remote.peers_identifiers = vec![Expected::Name(pattern)];
            remote.verify_identifier = true;
        }
    };
    let called = |remote: &mut Remote, _: &mut Settings| remote.my_identifier = LocalIdentity::Name(name("gw a"));
    for expected in [Some("GW  A"), None] {
        let world = World::established_with(called, expecting(expected));
        let peer = &world.b.engine.phase1s.sa(world.b.only()).unwrap().peer;
        assert_eq!(peer.id, Identity::named(IdType::DER_ASN1_DN, name("gw a").to_der().unwrap()));
        assert_eq!(peer.name, Some(name("gw a")));
    }
    let mut world = World::with(called, expecting(Some("gw b")));
    world.initiate();
    world.run();
    let line = "identity DER_ASN1_DN C=NL, CN=gw a is not the expected DER_ASN1_DN C=NL, CN=gw b (peers_identifier";
    assert!(world.b.has_logged(Level::Error, line), "{:?}", world.b.lines(Level::Error));
    // What is no name at all is none that is expected.
    let junk = |remote: &mut Remote, _: &mut Settings| {
        remote.my_identifier = LocalIdentity::Fixed(Identity::named(IdType::DER_ASN1_DN, *b"junk"));
    };
    let mut world = World::with(junk, expecting(None));
    world.initiate();
    world.run();
    assert!(matches!(world.b.failures().as_slice(), [FailureReason::Identity { .. }]), "{:?}", world.b.failures());
}

#[test]
fn the_identity_is_our_address_with_the_port_of_isakmp() {
    let world = World::established();
    let expected = Identity::address("192.0.2.1".parse().unwrap()).with_protocol(17, 500);
    assert_eq!(world.b.engine.phase1s.sa(world.b.only()).unwrap().peer.id, expected);
}

#[test]
fn another_identity_is_refused_or_tolerated() {
    let name = |name: &str| Expected::exactly(&Identity::named(IdType::FQDN, name.as_bytes()));
    let other = || vec![name("other.example"), name("third.example")];
    for (verify, of_initiator) in [(true, true), (true, false), (false, true), (false, false)] {
        let change = |remote: &mut Remote, _: &mut Settings| {
            remote.peers_identifiers = other();
            remote.verify_identifier = verify;
        };
        let mut world = if of_initiator { World::with(change, |_, _| {}) } else { World::with(|_, _| {}, change) };
        world.initiate();
        world.run();
        let judge = if of_initiator { &world.a } else { &world.b };
        if verify {
            assert!(matches!(judge.failures().as_slice(), [FailureReason::Identity { .. }]), "{:?}", judge.failures());
            assert_eq!(judge.states(), []);
            let peer = if of_initiator { "192.0.2.2" } else { "192.0.2.1" };
            let line = format!(
                "identity IPv4_address {peer}, protocol udp, port 500 is not the expected FQDN other.example or FQDN \
                 third.example (peers_identifier of remote section {peer}); the peer is told INVALID-ID-INFORMATION"
            );
            assert!(judge.has_logged(Level::Error, &line), "{:?}", judge.lines(Level::Error));
            let told = if of_initiator { &world.b } else { &world.a };
            assert_eq!(told.states(), []);
            let [line] = told.lines(Level::Error)[..] else { panic!("{:?}", told.log) };
            let refused = if of_initiator { "the initiator refused message 6: " } else { "" };
            assert!(line.contains(&format!(": {refused}the peer says INVALID-ID-INFORMATION")), "{line}");
            assert!(line.ends_with("; compare my_identifier here with peers_identifier there"), "{line}");
            assert!(told.lines(Level::Warning).is_empty(), "{:?}", told.log);
            assert_eq!(told.failures(), [FailureReason::Refused(NotifyType::INVALID_ID_INFORMATION)]);
        } else {
            assert!(judge.has_logged(Level::Warning, "is not what peers_identifier"));
            world.assert_up();
        }
    }
}

/// Once something was negotiated under a phase 1, an error of its initiator is not about that.
#[test]
fn an_error_after_a_phase_2_does_not_end_phase_1() {
    let mut world = World::established();
    let [a, b] = [world.a.only(), world.b.only()];
    world.b.engine.phase1s.get_mut(b).unwrap().set_negotiated();
    world.a.engine.phase1s.get_mut(a).unwrap().send_notify(
        &mut world.a.engine.core,
        NotifyType::INVALID_ID_INFORMATION,
        &[],
    );
    world.run();
    world.assert_up();
    assert!(world.b.has_logged(Level::Warning, "the peer says INVALID-ID-INFORMATION"));
}

/// Some peers answer INITIAL-CONTACT or a probe with an error: it is not about message 6.
#[test]
fn payload_malformed_after_initial_contact_does_not_end_phase_1() {
    let mut world = World::established();
    let [a, b] = [world.a.only(), world.b.only()];
    world.b.engine.phase1s.get_mut(b).unwrap().send_notify(&mut world.b.engine.core, NotifyType::INITIAL_CONTACT, &[]);
    world.a.engine.phase1s.get_mut(a).unwrap().send_notify(
        &mut world.a.engine.core,
        NotifyType::PAYLOAD_MALFORMED,
        &[],
    );
    world.run();
    world.assert_up();
    assert!(world.b.has_logged(Level::Warning, "the peer says PAYLOAD-MALFORMED"));
}

#[test]
fn a_peer_that_does_not_answer() {
    let mut world = World::new();
    world.initiate();
    world.pass_with(seconds(100), |_| Fate::Drop);
    assert_eq!(world.a.sent.len(), 5);
    assert!(world.a.sent.iter().all(|sent| sent.bytes == world.a.sent[0].bytes));
    assert_eq!(world.a.unanswered(), [(1, 5)]);
    assert_eq!(world.a.event_kinds(), [EventKind::Phase1NoResponse]);
    let [line] = world.a.lines(Level::Error)[..] else { panic!("{:?}", world.a.log) };
    assert!(line.starts_with("phase1 negotiation failed due to time up. "), "{line}");
    let said = ":0000000000000000: no answer to message 1 of main mode (104 bytes) after 5 transmissions; check that an \
                IKEv1 daemon runs there, that it is configured for this host, and that UDP port 500 is open";
    assert!(line.ends_with(said), "{line}");
    assert_eq!(world.a.engine.poll_timeout(), None);
}

#[test]
fn another_pre_shared_key() {
    let mut world = World::new();
    world.a.keys = Keys(vec![("192.0.2.2".into(), "another secret")]);
    world.initiate();
    world.pass(seconds(100));
    assert!(world.b.has_logged(Level::Warning, "wrong pre-shared key?"));
    assert!(world.b.has_logged(Level::Error, "phase1 negotiation failed due to time up."));
    assert!(matches!(world.b.failures().as_slice(), [FailureReason::Authentication(_)]), "{:?}", world.b.failures());
    assert_eq!(world.b.event_kinds(), [EventKind::Phase1AuthFailed]);
    assert_eq!(world.a.failures(), [FailureReason::Refused(NotifyType::AUTHENTICATION_FAILED)]);
    assert_eq!((world.a.states(), world.b.states()), (vec![], vec![]));
}

#[test]
fn no_pre_shared_key() {
    let no_key = |peer: &str| FailureReason::NoPreSharedKey { peer: peer.parse().unwrap(), why: no_entry() };
    assert_eq!(no_key("192.0.2.2").to_string(), "no pre-shared key for 192.0.2.2: add a line to psk.txt");
    let mut world = World::new();
    world.a.keys = Keys(Vec::new());
    world.initiate();
    world.run();
    assert_eq!(world.a.failures(), [no_key("192.0.2.2")]);
    // A responder says so when message 5 proves nothing, and goes on as with a wrong key.
    let mut world = World::new();
    world.b.keys = Keys(Vec::new());
    world.initiate();
    world.run();
    let line = "is ignored: no pre-shared key for 192.0.2.1: add a line to psk.txt";
    assert!(world.b.has_logged(Level::Warning, line), "{:?}", world.b.log);
    assert_eq!(world.b.states(), [5]);
    world.pass(seconds(60));
    assert_eq!(world.b.failures(), [no_key("192.0.2.1")]);
    assert_eq!(world.b.event_kinds(), [EventKind::Phase1AuthFailed]);
    assert_eq!(world.a.failures(), [FailureReason::Refused(NotifyType::AUTHENTICATION_FAILED)]);
    // Without a message 5 that is the reason, too.
    let mut world = World::new();
    world.b.keys = Keys(Vec::new());
    world.initiate();
    world.run_with(|sent| if sent.bytes[19] & 1 == 0 { Fate::Deliver } else { Fate::Drop });
    world.pass_with(seconds(60), |_| Fate::Drop);
    assert_eq!(world.b.failures(), [no_key("192.0.2.1")]);
    // It is added while the peer goes on: the exchange that has begun fails, the next one does not.
    let mut world = World::new();
    let keys = std::mem::replace(&mut world.b.keys, Keys(Vec::new()));
    world.initiate();
    world.run();
    world.b.keys = keys;
    world.pass(seconds(60));
    world.initiate();
    world.run();
    world.assert_up();
}

/// CVE-2002-1623: who has no key here and who has another one get the same messages, as many, at the same times.
#[test]
fn a_missing_key_looks_like_a_wrong_one() {
    type Message = (Time, SocketAddr, usize, Vec<u8>);
    let seen = |keys: &[(&str, &'static str)], spoil: fn(&Transmit) -> Fate| {
        let mut world = World::new();
        world.b.keys = Keys(keys.iter().map(|(name, key)| (name.as_bytes().to_vec(), *key)).collect());
        let mut seen = Vec::<Message>::new();
        world.initiate();
        world.run_with(spoil);
        for _ in 0..120 {
            for sent in world.b.sent.drain(..) {
                // Next payload, version, exchange, and flags of the header.
                seen.push((world.now, sent.path.remote, sent.bytes.len(), sent.bytes[16..20].to_vec()));
            }
            world.pass_with(seconds(1), spoil);
        }
        assert_eq!((world.a.states(), world.b.states()), (vec![], vec![]));
        seen
    };
    let twice: fn(&Transmit) -> Fate = |_| Fate::Twice;
    let spoilt_5: fn(&Transmit) -> Fate = |sent| {
        let mut bytes = sent.bytes.clone();
        if bytes[19] & 1 == 1 {
            bytes.push(0);
        }
        Fate::Change(bytes)
    };
    let no_5: fn(&Transmit) -> Fate = |sent| if sent.bytes[19] & 1 == 0 { Fate::Deliver } else { Fate::Drop };
    for spoil in [|_: &Transmit| Fate::Deliver, twice, spoilt_5, no_5] {
        let (missing, wrong) = (seen(&[], spoil), seen(&[("192.0.2.1", "another secret")], spoil));
        assert_eq!(missing, wrong);
        assert!(wrong.len() >= 2, "messages 2 and 4");
    }
}

#[test]
fn nothing_is_chosen() {
    let mut world = World::with(|_, _| {}, |remote, _| remote.proposals[0].hash = Hash::MD5);
    world.initiate();
    world.pass(seconds(100));
    assert_eq!(world.a.failures(), [FailureReason::Refused(NotifyType::NO_PROPOSAL_CHOSEN)]);
    assert_eq!(world.a.outcomes[0].peer_said, [NotifyType::NO_PROPOSAL_CHOSEN]);
    assert_eq!(world.a.event_kinds(), [EventKind::Phase1NoProposal]);
}

#[test]
fn a_remote_section_without_pre_shared_key_cannot_begin() {
    let mut world = World::with(|remote, _| remote.proposals[0].method = AuthMethod::RSA_SIGNATURES, |_, _| {});
    assert!(matches!(world.try_to_initiate(), Err(Refusal::Failed(FailureReason::NoAuthMethod { .. }))));
    assert!(matches!(world.a.failures().as_slice(), [FailureReason::NoAuthMethod { .. }]));
    assert_eq!((world.a.states(), world.link.len()), (vec![], 0));
}

/// The first exchange that a section lists and that is implemented is begun.
#[test]
fn the_first_exchange_is_begun() {
    let modes = |modes: &[ExchangeType]| {
        let modes = modes.to_vec();
        move |section: &mut Remote, _: &mut Settings| section.exchange_modes = modes
    };
    let (main, aggressive) = (ExchangeType::MAIN, ExchangeType::AGGRESSIVE);
    for (list, begun) in [([main, aggressive], main), ([aggressive, main], aggressive)] {
        let world = World::established_with(modes(&list), modes(&[main, aggressive]));
        assert_eq!(world.a.sent[0].bytes[18], begun.0);
    }
    let mut world = World::with(modes(&[ExchangeType(240)]), |_, _| {});
    assert!(matches!(world.try_to_initiate(), Err(Refusal::Failed(FailureReason::UnsupportedExchange(_)))));
    assert_eq!(world.a.failures(), [FailureReason::UnsupportedExchange(ExchangeType(240))]);
    assert_eq!((world.a.states(), world.link.len()), (vec![], 0));
}

/// An exchange is initiated to the port of the remote section, with or without an address; by default to that of the settings.
#[test]
fn the_port_of_a_remote_section_is_the_peers() {
    for anonymous in [false, true] {
        for (port, expected) in [(0, 500), (1500, 1500)] {
            let change = |remote: &mut Remote, _: &mut Settings| {
                remote.port = port;
                remote.address = remote.address.filter(|_| !anonymous);
            };
            let mut world = World::with(change, |_, _| {});
            world.initiate();
            assert_eq!(world.a.sent[0].path.remote, SocketAddr::new(world.b.address.ip(), expected));
        }
    }
}

#[test]
fn a_longer_lifetime_than_offered_is_no_choice() {
    let mut world = World::with(
        |_, _| {},
        |remote, _| {
            remote.proposals[0].lifetime = 86400;
            remote.proposal_check = CheckLevel::Obey;
        },
    );
    world.initiate();
    // Message 2 with a lifetime of 65535 seconds.
    world.run_with(|sent| {
        let mut bytes = sent.bytes.clone();
        if sent.path.local.ip().to_string() == "192.0.2.2" && bytes[16] == 1 {
            let lifetime = bytes.windows(4).position(|four| four == [0x80, 12, 0x0e, 0x10]).unwrap();
            bytes[lifetime + 2..lifetime + 4].fill(0xff);
        }
        Fate::Change(bytes)
    });
    assert!(world.a.has_logged(
        Level::Warning,
        "the peer chose what was not offered: lifetime 65535 s proposed, 3600 s configured (proposal_check"
    ));
    assert_eq!(world.a.states(), [3]);
}

#[test]
fn each_message_lost_twice() {
    for lost in 0..6 {
        let mut world = World::new();
        world.initiate();
        let mut message = 0;
        let mut left = 2;
        let mut fate = |sent: &Transmit| {
            let is_it = message == lost && sent.bytes[18] == 2;
            message += usize::from(!is_it || left == 0);
            if is_it && left > 0 {
                left -= 1;
                return Fate::Drop;
            }
            Fate::Deliver
        };
        world.run_with(&mut fate);
        world.pass_with(seconds(35), fate);
        world.assert_up();
    }
}

#[test]
fn every_message_comes_twice() {
    let mut world = World::new();
    world.initiate();
    world.run_with(|_| Fate::Twice);
    world.assert_up();
    for host in [&world.a, &world.b] {
        assert_eq!(host.endings(), [NegotiationResult::Established]);
        assert_eq!(host.lines(Level::Warning), [""; 0]);
    }
}

#[test]
fn duplicates_while_a_job_runs_are_dropped() {
    let mut world = World::new();
    (world.a.slow, world.b.slow) = (true, true);
    world.initiate();
    for _ in 0..4 {
        world.run_with(|_| Fate::Twice);
        assert!(world.a.jobs.len() + world.b.jobs.len() <= 1);
        let sent = [world.a.work(world.now), world.b.work(world.now)].concat();
        assert!(sent.len() <= 2, "a message, and INITIAL-CONTACT");
        world.link.extend(sent);
    }
    world.run();
    world.assert_up();
}

#[test]
fn a_job_that_does_not_end_ends_the_negotiation() {
    let mut world = World::new();
    world.b.slow = true;
    world.initiate();
    world.run();
    world.pass_with(seconds(200), |_| Fate::Drop);
    assert_eq!((world.a.states(), world.b.states()), (vec![], vec![]));
    assert_eq!(world.b.engine.load().jobs, 0, "it may never be done");
    assert!(world.b.work(world.now).is_empty(), "the result is for nobody");
}

/// There is no thread for a job: a responder is where it was, and it may go better when the peer repeats itself. An
/// initiator has nobody who would ask again.
#[test]
fn a_job_that_cannot_be_done() {
    let mut world = World::new();
    world.b.slow = true;
    world.initiate();
    world.run();
    for _ in 0..3 {
        assert_eq!(world.b.states(), [4]);
        world.b.cannot_work(world.now);
        assert_eq!((world.b.states(), world.b.engine.load().jobs), (vec![3], 0));
        world.pass(seconds(10));
    }
    world.b.slow = false;
    let sent = world.b.work(world.now);
    world.link.extend(sent);
    world.run();
    world.assert_up();

    let mut world = World::new();
    world.a.slow = true;
    world.initiate();
    world.run();
    world.a.cannot_work(world.now);
    assert_eq!((world.a.states(), world.a.engine.load().jobs), (vec![], 0));
    assert_eq!(world.a.failures(), [FailureReason::not_computed()]);
}

/// What was wrong with a message counts no more when a good one has come after it.
#[test]
fn an_old_fault_is_not_the_cause() {
    let mut world = World::new();
    world.initiate();
    let mut forged = world.link[0].bytes.clone();
    forged[8..16].fill(7);
    forged[16] = PayloadType::HASH.0;
    world.forge_to_a(&forged);
    assert!(world.a.has_logged(Level::Warning, "is ignored"), "{:?}", world.a.log);
    // Message 1, the notify about the forgery, and message 2.
    for _ in 0..3 {
        let next = world.link.pop_front().unwrap();
        world.deliver(&next);
    }
    assert_eq!(world.a.states(), [5]);
    world.pass_with(seconds(100), |_| Fate::Drop);
    assert_eq!(world.a.unanswered(), [(3, 5)]);
}

#[test]
fn forgeries_end_nothing() {
    let mut world = World::new();
    world.initiate();
    // Before each good message come bad ones with its cookies: changed in each byte that makes it another message. (What a
    // public value or a nonce should be cannot be seen yet; reserved bytes and padding are not authenticated.)
    while let Some(transmit) = world.link.pop_front() {
        let (header, body) = Header::parse(&transmit.bytes).unwrap();
        let changeable = match header.next_payload {
            _ if header.exchange != ExchangeType::MAIN || header.cookies.responder.is_zero() => 0..0,
            PayloadType::SA => 2..8,
            PayloadType::KEY_EXCHANGE => 2..4,
            _ => 0..body.len() - 16,
        };
        let to = if transmit.path.remote == world.a.address { &mut world.a } else { &mut world.b };
        for at in changeable {
            let mut bytes = transmit.bytes.clone();
            bytes[28 + at] ^= 0x55;
            to.engine.handle_datagram(world.now, transmit.path.reversed(), &bytes);
            to.engine.handle_datagram(world.now, transmit.path.reversed(), &bytes[..28 + at]);
            to.drain(world.now);
        }
        world.deliver(&transmit);
    }
    world.assert_up();
    assert!(world.a.lines(Level::Warning).len() < 10, "{:?}", world.a.lines(Level::Warning));
}

#[test]
fn from_another_address_nothing_is_taken() {
    let mut world = World::new();
    world.initiate();
    let message_1 = world.link.pop_front().unwrap();
    world.deliver(&message_1);
    let message_2 = world.link.pop_front().unwrap();
    let elsewhere = "192.0.2.2:501".parse().unwrap();
    world.a.engine.handle_datagram(world.now, Path::new(world.a.address, elsewhere), &message_2.bytes);
    world.collect();
    assert_eq!((world.a.states(), world.link.len()), (vec![3], 0));
    world.deliver(&message_2);
    world.run();
    world.assert_up();
}

#[test]
fn our_own_first_message_reflected() {
    let mut world = World::new();
    world.initiate();
    let message_1 = world.link.pop_front().unwrap();
    world.forge_to_a(&message_1.bytes);
    assert_eq!((world.a.states(), world.link.len()), (vec![3], 0));
    world.deliver(&message_1);
    world.run();
    world.assert_up();
}

#[test]
fn a_degenerate_value_ends_nothing() {
    let mut world = World::new();
    world.initiate();
    let mut first = true;
    // The first message 4 has a public value of zeros.
    world.run_with(|sent| {
        let mut bytes = sent.bytes.clone();
        if sent.path.local.ip().to_string() == "192.0.2.2" && bytes[16] == 4 && first {
            first = false;
            bytes[32..64].fill(0);
        }
        Fate::Change(bytes)
    });
    assert!(world.a.has_logged(Level::Warning, "key exchange in group x25519"));
    assert_eq!(world.a.states(), [5]);
    world.pass(seconds(11));
    world.assert_up();
}

#[test]
fn both_begin_at_once() {
    for order in 0..2 {
        let mut world = World::new();
        world.initiate();
        world.initiate_back();
        if order == 1 {
            world.link.rotate_left(1);
        }
        world.run();
        world.pass(seconds(60));
        // Both have seen both exchanges end the same way, and use the same one.
        let (a, b): (Vec<_>, Vec<_>) = (
            world.a.engine.phase1s().map(|view| view.cookies).collect(),
            world.b.engine.phase1s().map(|view| view.cookies).collect(),
        );
        let sorted = |mut cookies: Vec<_>| {
            cookies.sort_unstable();
            cookies
        };
        assert_eq!(sorted(a), sorted(b));
        assert!(!world.a.states().is_empty());
        assert!(world.a.states().iter().all(|state| *state == 9));
        assert!(world.a.failures().is_empty() && world.b.failures().is_empty());
    }
}

#[test]
fn an_unanswered_attempt_gives_way_to_the_peers() {
    let mut world = World::new();
    world.initiate();
    world.link.clear();
    world.initiate_back();
    world.run();
    world.assert_up();
    assert_eq!(world.a.endings(), [NegotiationResult::Established, NegotiationResult::Superseded]);
    let Some(view) = world.a.engine.phase1s().next() else { panic!() };
    assert_eq!(view.role, Role::Responder);
}

#[test]
fn seeded_loss_and_reordering() {
    for seed in 0..300_u64 {
        let mut world = World::new();
        let mut random = SeededRandom::new(seed);
        let mut roll = move || {
            let mut byte = [0];
            crate::random::Random::fill(&mut random, &mut byte);
            byte[0]
        };
        world.initiate();
        if seed % 3 == 0 {
            world.initiate_back();
        }
        let mut fate = |_: &Transmit| match roll() {
            0..50 => Fate::Drop,
            50..80 => Fate::Twice,
            _ => Fate::Deliver,
        };
        world.run_with(&mut fate);
        world.pass_with(seconds(200), fate);
        let up = world.a.states().contains(&9) && world.b.states().contains(&9);
        let failed = !world.a.failures().is_empty() || !world.b.failures().is_empty();
        assert!(up || failed, "seed {seed}");
        assert!(world.a.states().iter().chain(&world.b.states()).all(|state| *state == 9), "seed {seed}");
    }
}

/// Who proves to know the key and is refused is told of each time: only unknown peers are counted.
#[test]
fn each_wrong_identity_is_told() {
    let mut world = World::with(
        |_, _| {},
        |remote, _| {
            remote.peers_identifiers = vec![Expected::exactly(&Identity::named(IdType::FQDN, b"x".as_slice()))];
            remote.verify_identifier = true;
        },
    );
    for count in 1..=3 {
        world.initiate();
        world.run();
        assert_eq!(world.b.lines(Level::Error).len(), count);
        assert_eq!(world.b.failures().len(), count);
        world.pass(Duration::ZERO);
        world.a.engine.handle_control(world.now, Control::FlushPhase1).unwrap();
    }
}

/// Somebody who sees the cookies sends bad public values again and again: that keeps nothing alive.
#[test]
fn bad_public_values_put_nothing_off() {
    for answers in [2, 3] {
        let mut world = World::new();
        world.initiate();
        for _ in 1..answers {
            let message = world.link.pop_front().expect("the next message");
            world.deliver(&message);
        }
        world.link.clear();
        let cookies = world.b.engine.phase1s().next().expect("b has got message 1").cookies;
        let header = Header::new(cookies, ExchangeType::MAIN, 0);
        for number in 0..20_u8 {
            let payloads = [(PayloadType::KEY_EXCHANGE, [0; 32].as_slice()), (PayloadType::NONCE, &[number; 16])];
            let message = crate::wire::message(&header, &payloads);
            if answers == 2 {
                world.forge_to_b(&message)
            } else {
                world.forge_to_a(&message)
            }
            world.pass_with(seconds(5), |_| Fate::Drop);
        }
        let (a, b) = (world.a.states(), world.b.states());
        assert_eq!((a, b), (vec![], vec![]), "after message {answers}");
    }
}

/// A responder that refuses an identity says so under the keys that both have; and nobody else can.
#[test]
fn a_refused_identity_is_told_under_the_keys() {
    let refuse = |remote: &mut Remote, _: &mut Settings| {
        remote.peers_identifiers = vec![Expected::exactly(&Identity::named(IdType::FQDN, b"x".as_slice()))];
        remote.verify_identifier = true;
    };
    let mut world = World::with(|_, _| {}, refuse);
    world.initiate();
    world.run_with(|transmit| {
        let mut bytes = transmit.bytes.clone();
        if bytes[18] != 5 {
            return Fate::Deliver;
        }
        bytes[35] ^= 1;
        Fate::Change(bytes)
    });
    assert_eq!(world.a.states(), [7], "the message is a forgery");
    let mut world = World::with(|_, _| {}, refuse);
    world.initiate();
    world.run();
    assert_eq!(world.a.failures(), [FailureReason::Refused(NotifyType::INVALID_ID_INFORMATION)]);
    assert!(world.a.has_logged(Level::Error, "the peer says INVALID-ID-INFORMATION"));
    assert_eq!(world.a.states(), []);
}
