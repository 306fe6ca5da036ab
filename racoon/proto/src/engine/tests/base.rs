//! Base mode from its first message to its last.

use super::*;
use crate::config::LocalIdentity;
use crate::identity::{Expected, Identity};
use crate::num::{IdType, NotifyType, PayloadType};
use crate::wire::{self, Header, RawPayload, Tail, chain};

fn fqdn(name: &str) -> Identity {
    Identity::named(IdType::FQDN, name.as_bytes())
}

/// Two hosts with names, whose key is found by these names.
fn world() -> World {
    with(|_| {}, |_| {})
}

fn with(a: impl FnOnce(&mut Remote), b: impl FnOnce(&mut Remote)) -> World {
    let named = |section: &mut Remote, own: &str, peer: &str| {
        section.exchange_modes = vec![ExchangeType::BASE];
        section.my_identifier = LocalIdentity::Fixed(fqdn(own));
        section.peers_identifiers = vec![Expected::exactly(&fqdn(peer))];
        section.verify_identifier = true;
    };
    let a = |section: &mut Remote, _: &mut Settings| {
        named(section, "a.example", "b.example");
        a(section);
    };
    let b = |section: &mut Remote, _: &mut Settings| {
        named(section, "b.example", "a.example");
        b(section);
    };
    let mut world = World::with(a, b);
    world.a.keys = Keys(vec![(b"b.example".to_vec(), "a secret of a and b")]);
    world.b.keys = Keys(vec![(b"a.example".to_vec(), "a secret of a and b")]);
    world
}

fn up(mut world: World) -> World {
    world.initiate();
    world.run();
    world.assert_up();
    world
}

fn payloads(message: &[u8]) -> Vec<RawPayload<'_>> {
    let (header, body) = Header::parse(message).unwrap();
    chain::walk(header.next_payload, body, Tail::Padding).unwrap()
}

fn kinds(message: &[u8]) -> Vec<PayloadType> {
    payloads(message).iter().map(|payload| payload.kind).collect()
}

/// An unencrypted message with the payloads of another one, without one of them.
fn without(message: &[u8], missing: usize) -> Vec<u8> {
    let (header, _) = Header::parse(message).unwrap();
    let mut all: Vec<_> = payloads(message).iter().map(|payload| (payload.kind, payload.body)).collect();
    all.remove(missing);
    wire::message(&Header::new(header.cookies, header.exchange, 0), &all)
}

/// The order of the payloads is that of ipsec-tools.
#[test]
fn it_comes_up() {
    use PayloadType as P;
    let world = up(world());
    let exchanges = |host: &Host| host.sent.iter().map(|sent| sent.bytes[18..20].to_vec()).collect::<Vec<_>>();
    assert_eq!(exchanges(&world.a), [[1, 0], [1, 0], [5, 1]], "INITIAL-CONTACT follows");
    assert_eq!(exchanges(&world.b), [[1, 0], [1, 0], [5, 1]]);
    for host in [&world.a, &world.b] {
        assert_eq!(kinds(&host.sent[0].bytes), [P::SA, P::ID, P::NONCE, P::VENDOR_ID]);
        assert_eq!(kinds(&host.sent[1].bytes), [P::KEY_EXCHANGE, P::HASH, P::VENDOR_ID]);
        assert!(host.has_logged(Level::Info, "begin Base mode."));
        assert!(host.has_logged(Level::Info, "received Vendor ID: DPD"));
        assert!(host.has_logged(Level::Info, "received INITIAL-CONTACT"));
        assert_eq!((host.lines(Level::Error), host.lines(Level::Warning)), (vec![], vec![]));
        assert_eq!(host.endings(), [NegotiationResult::Established]);
        assert_eq!(host.outcomes[0].offered, ["aes 128, sha256, x25519, pre_shared_key, 3600 s"]);
    }
    assert_eq!(world.a.engine.phase1s.sa(world.a.only()).unwrap().peer.id, fqdn("b.example"));
    assert_eq!(world.b.engine.phase1s.sa(world.b.only()).unwrap().peer.id, fqdn("a.example"));
}

/// The responder chooses the group, too.
#[test]
fn the_group_is_negotiated() {
    let terms = |group| Phase1Terms { group, ..TERMS };
    let world = up(with(
        |section| section.proposals = vec![terms(Group::MODP1024), terms(Group::ECP256)],
        |section| section.proposals = vec![TERMS, terms(Group::ECP256)],
    ));
    assert_eq!(world.a.engine.phase1s().next().unwrap().terms, Some(terms(Group::ECP256)));
}

#[test]
fn states_are_those_of_racoonctl() {
    let mut world = world();
    (world.a.slow, world.b.slow) = (true, true);
    world.initiate();
    assert_eq!(world.a.states(), [3]);
    world.run();
    assert_eq!((world.a.states(), world.b.states()), (vec![4], vec![3]));
    let mut states = Vec::new();
    for _ in 0..3 {
        let sent = [world.a.work(world.now), world.b.work(world.now)].concat();
        world.link.extend(sent);
        world.run();
        states.push((world.a.states()[0], world.b.states()[0]));
    }
    assert_eq!(states, [(5, 4), (6, 9), (9, 9)]);
}

#[test]
fn each_message_lost_twice() {
    for lost in 0..4 {
        let mut world = world();
        world.initiate();
        let (mut message, mut left) = (0, 2);
        let mut fate = |sent: &Transmit| {
            let is_it = message == lost && sent.bytes[18] == 1;
            message += usize::from(sent.bytes[18] == 1 && (!is_it || left == 0));
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
    let mut world = world();
    world.initiate();
    world.run_with(|_| Fate::Twice);
    world.assert_up();
    for host in [&world.a, &world.b] {
        assert_eq!(host.endings(), [NegotiationResult::Established]);
        assert_eq!(host.lines(Level::Warning), [""; 0]);
    }
}

/// An identity that no section expects, one without a key, and a wrong key look alike.
#[test]
fn who_is_unknown_looks_like_one_with_a_wrong_key() {
    type Case = (&'static str, &'static [(&'static [u8], &'static str)], &'static str);
    let cases: [Case; 3] = [
        ("a.example", &[(b"a.example", "another secret")], "the hash is wrong"),
        ("a.example", &[], "no pre-shared key"),
        ("x.example", &[(b"a.example", "another secret")], "is not the expected FQDN a.example"),
    ];
    let mut seen = Vec::new();
    for (identity, keys, reason) in cases {
        let mut world = with(|section| section.my_identifier = LocalIdentity::Fixed(fqdn(identity)), |_| {});
        world.b.keys = Keys(keys.iter().map(|(name, key)| (name.to_vec(), *key)).collect());
        world.initiate();
        world.run();
        world.pass(seconds(100));
        let sent = world.b.sent.iter().map(|sent| (sent.bytes[16..20].to_vec(), sent.bytes.len()));
        seen.push(sent.collect::<Vec<_>>());
        assert!(world.b.has_logged(Level::Error, reason), "{reason}: {:?}", world.b.log);
        assert_eq!(world.a.failures(), [FailureReason::Refused(NotifyType::AUTHENTICATION_FAILED)]);
        assert_eq!((world.a.states(), world.b.states()), (vec![], vec![]));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

/// The initiator checks the responder's proof, too.
#[test]
fn a_wrong_answer_is_ignored() {
    let mut world = world();
    world.initiate();
    let mut is_first = true;
    world.run_with(|sent| {
        let mut bytes = sent.bytes.clone();
        let is_it = sent.path.local.ip().to_string() == "192.0.2.2" && bytes[16..20] == [4, 16, 1, 0] && is_first;
        if is_it {
            is_first = false;
            // The last byte of HASH.
            let end = payloads(&bytes)[2].offset + 28;
            bytes[end - 1] ^= 1;
        }
        Fate::Change(bytes)
    });
    assert!(!is_first && world.a.has_logged(Level::Warning, "the hash is wrong"), "{:?}", world.a.log);
    assert_eq!(world.a.states(), [5]);
    world.pass(seconds(11));
    // The responder has the SA, so the unencrypted notify about the fault made it probe the peer, and perhaps begin another exchange.
    assert!(world.a.states().contains(&9) && world.a.failures().is_empty());
}

#[test]
fn messages_without_a_needed_payload_are_refused() {
    let mut world = world();
    world.initiate();
    let mut delivered = 0;
    while let Some(transmit) = world.link.pop_front() {
        let (header, _) = Header::parse(&transmit.bytes).unwrap();
        if header.exchange == ExchangeType::BASE {
            let needed = payloads(&transmit.bytes).len() - 1;
            let to = if transmit.path.remote == world.a.address { &mut world.a } else { &mut world.b };
            for missing in 0..needed {
                let bytes = without(&transmit.bytes, missing);
                to.engine.handle_datagram(world.now, transmit.path.reversed(), &bytes);
            }
            to.drain(world.now);
            delivered += 1;
        }
        world.deliver(&transmit);
    }
    assert_eq!(delivered, 4);
    world.assert_up();
}

#[test]
fn a_job_that_cannot_be_done() {
    let mut world = world();
    world.b.slow = true;
    world.initiate();
    world.run();
    assert_eq!(world.b.states(), [4]);
    world.b.cannot_work(world.now);
    assert_eq!((world.b.states(), world.b.engine.load().jobs), (vec![3], 0));
    world.b.slow = false;
    world.pass(seconds(11));
    world.assert_up();
}

/// No job runs for an address that has not returned our cookie.
#[test]
fn a_first_message_causes_no_job() {
    let mut world = world();
    world.b.slow = true;
    world.initiate();
    let first = world.link.pop_front().unwrap();
    world.deliver(&first);
    assert_eq!((world.b.jobs.len(), world.b.states()), (0, vec![3]));
    assert!(world.link[0].bytes.len() <= first.bytes.len(), "no answer is larger than the message");
}

/// The peer's first quick mode, or its INITIAL-CONTACT, overtakes message 4.
#[test]
fn what_overtakes_message_4_is_deferred() {
    let mut world = world();
    world.initiate();
    for _ in 0..3 {
        let next = world.link.pop_front().unwrap();
        world.deliver(&next);
    }
    assert_eq!(world.link.len(), 2, "message 4 and INITIAL-CONTACT");
    world.link.swap(0, 1);
    world.run();
    world.assert_up();
    assert!(world.a.has_logged(Level::Info, "received INITIAL-CONTACT"));
}
