//! Signatures in aggressive and base mode, made and verified by a stand-in.

use std::path::PathBuf;

use super::signature::keys::{Keeper, Kind, Pair};
use super::*;
use crate::config::LocalIdentity;
use crate::credentials::Trust;
use crate::identity::{Expected, Identity};
use crate::num::{IdType, PayloadType};
use crate::wire::{self, Header, Tail, chain};

const MODES: [ExchangeType; 2] = [ExchangeType::AGGRESSIVE, ExchangeType::BASE];

fn fqdn(name: &str) -> Identity {
    Identity::named(IdType::FQDN, name.as_bytes())
}

/// Two hosts with names that sign.
fn world(exchange: ExchangeType, method: AuthMethod) -> World {
    with(exchange, method, |_| {})
}

fn with(exchange: ExchangeType, method: AuthMethod, change: impl FnOnce(&mut Remote)) -> World {
    let signed = |section: &mut Remote, own: &str, peer: &str| {
        section.exchange_modes = vec![exchange];
        section.proposals = vec![Phase1Terms { method, ..TERMS }];
        section.my_identifier = LocalIdentity::Fixed(fqdn(own));
        section.peers_identifiers = vec![Expected::exactly(&fqdn(peer))];
        section.verify_identifier = true;
        section.own_key = Some(Arc::new(OwnKey::PlainRsa(PathBuf::from(own))));
        let pinned = Some(PinnedKey::PlainRsa(PathBuf::from(peer)));
        section.trust = Arc::new(Trust { pinned, ..Trust::default() });
    };
    let a = |section: &mut Remote, _: &mut Settings| {
        signed(section, "a.example", "b.example");
        change(section);
    };
    let b = |section: &mut Remote, _: &mut Settings| signed(section, "b.example", "a.example");
    let mut world = World::with(a, b);
    (world.a.keys, world.b.keys) = (keys("key of a"), keys("key of a"));
    world
}

/// Both keys.
fn keys(of_a: &'static str) -> Keys {
    Keys(vec![(b"a.example".to_vec(), of_a), (b"b.example".to_vec(), "key of b")])
}

fn kinds(message: &[u8]) -> Vec<PayloadType> {
    let (header, body) = Header::parse(message).unwrap();
    chain::walk(header.next_payload, body, Tail::Padding).unwrap().iter().map(|payload| payload.kind).collect()
}

#[test]
fn each_method_comes_up() {
    use PayloadType as P;
    for exchange in MODES {
        for method in [AuthMethod::RSA_SIGNATURES, AuthMethod::ECDSA_256, AuthMethod::ECDSA_384, AuthMethod::ECDSA_521]
        {
            let mut world = world(exchange, method);
            world.initiate();
            world.run();
            world.assert_up();
            let signed = if exchange == ExchangeType::BASE {
                [P::KEY_EXCHANGE, P::SIGNATURE].to_vec()
            } else {
                [P::SA, P::KEY_EXCHANGE, P::NONCE, P::ID, P::SIGNATURE, P::VENDOR_ID].to_vec()
            };
            let answer = &world.b.sent[usize::from(exchange == ExchangeType::BASE)];
            assert_eq!(kinds(&answer.bytes), signed);
            assert_eq!((world.a.lines(Level::Warning), world.b.lines(Level::Warning)), (vec![], vec![]));
        }
    }
}

/// With X.509 certificates, which are sent before the signature.
#[test]
fn certificates_come_before_the_signature() {
    use PayloadType as P;
    for exchange in MODES {
        let x509 = |section: &mut Remote, _: &mut Settings| {
            section.exchange_modes = vec![exchange];
            section.proposals = vec![Phase1Terms { method: AuthMethod::RSA_SIGNATURES, ..TERMS }];
            section.own_key = Some(Pair::own_key());
        };
        let mut world = World::with(x509, x509);
        let [a, b] = [&world.a, &world.b].map(|host| Pair::of(host.address.ip(), Kind::Rsa));
        world.a.keeper = Some(keeper(&a, &b));
        world.b.keeper = Some(keeper(&b, &a));
        world.initiate();
        world.run();
        world.assert_up();
        let answer = kinds(&world.b.sent[usize::from(exchange == ExchangeType::BASE)].bytes);
        let proof = answer.iter().skip_while(|kind| **kind != P::CERT).take(2).copied().collect::<Vec<_>>();
        assert_eq!(proof, [P::CERT, P::SIGNATURE], "{answer:?}");
        let view = world.a.engine.phase1s().next().unwrap();
        assert_eq!(view.certificate.map(|der| der.to_vec()), Some(b.certificate));
        assert!(world.a.has_logged(Level::Info, "the peer's certificate is that of"), "{:?}", world.a.log);
    }
}

/// The credentials of a host that trusts another one.
fn keeper(own: &Pair, peer: &Pair) -> Keeper {
    Keeper { own: Some(own.clone()), trusted: [(peer.certificate.clone(), None)].into(), ..Keeper::default() }
}

/// One job at a time, in the order of the steps.
#[test]
fn states_are_those_of_racoonctl() {
    for (exchange, expected) in [
        (ExchangeType::AGGRESSIVE, [(3, 2), (3, 2), (4, 3), (4, 3), (4, 3), (9, 4)].as_slice()),
        (ExchangeType::BASE, &[(4, 3), (5, 4), (5, 4), (5, 4), (6, 9)]),
    ] {
        let mut world = world(exchange, AuthMethod::RSA_SIGNATURES);
        (world.a.slow, world.b.slow) = (true, true);
        world.initiate();
        let mut states = Vec::new();
        while world.a.jobs.len() + world.b.jobs.len() > 0 || !world.link.is_empty() {
            world.run_with(|_| Fate::Twice);
            assert!(world.a.jobs.len() + world.b.jobs.len() <= 1);
            let sent = [world.a.work(world.now), world.b.work(world.now)].concat();
            world.link.extend(sent);
            world.run_with(|_| Fate::Twice);
            states.push((world.a.states()[0], world.b.states()[0]));
        }
        world.assert_up();
        assert_eq!(states.iter().filter(|state| **state != (9, 9)).copied().collect::<Vec<_>>(), expected);
    }
}

/// The initiator signs with another key: the responder refuses it, and in aggressive mode says so under the keys.
#[test]
fn another_key_signs() {
    for exchange in MODES {
        let mut world = world(exchange, AuthMethod::RSA_SIGNATURES);
        world.a.keys = keys("another key");
        world.initiate();
        world.run();
        world.pass(seconds(100));
        let wrong = FailureReason::Signature(PeerProblem::Signature.into());
        assert_eq!(world.b.failures(), [wrong]);
        assert_eq!(world.b.states(), []);
        assert!(!world.a.states().contains(&9) || exchange == ExchangeType::AGGRESSIVE);
    }
}

/// The responder signs with another key: the initiator ignores its message and gives up in the end.
#[test]
fn another_key_answers() {
    for exchange in MODES {
        let mut world = world(exchange, AuthMethod::RSA_SIGNATURES);
        world.b.keys = Keys(vec![(b"a.example".to_vec(), "key of a"), (b"b.example".to_vec(), "another key")]);
        world.initiate();
        world.run();
        assert!(world.a.states() != [9]);
        world.pass(seconds(100));
        // In base mode the responder has an SA, and begins another exchange because the peer does not answer under it.
        assert_eq!(world.a.failures()[0], FailureReason::Signature(PeerProblem::Signature.into()));
    }
}

/// HASH does not replace SIG, whatever it contains.
#[test]
fn a_message_without_a_signature_is_refused() {
    for exchange in MODES {
        let mut world = world(exchange, AuthMethod::RSA_SIGNATURES);
        world.initiate();
        let mut refused = 0;
        while let Some(transmit) = world.link.pop_front() {
            let (header, body) = Header::parse(&transmit.bytes).unwrap();
            let is_clear = header.exchange == exchange && transmit.bytes[19] == 0;
            let payloads = is_clear.then(|| chain::walk(header.next_payload, body, Tail::Padding).unwrap());
            let payloads = payloads.unwrap_or_default();
            if payloads.iter().any(|payload| payload.kind == PayloadType::SIGNATURE) {
                let changed = payloads.iter().map(|payload| match payload.kind {
                    PayloadType::SIGNATURE => (PayloadType::HASH, payload.body),
                    kind => (kind, payload.body),
                });
                let message = wire::message(&Header::new(header.cookies, exchange, 0), &changed.collect::<Vec<_>>());
                let to = if transmit.path.remote == world.a.address { &mut world.a } else { &mut world.b };
                to.engine.handle_datagram(world.now, transmit.path.reversed(), &message);
                to.drain(world.now);
                assert!(to.has_logged(Level::Warning, "SIG payload is missing in message"), "{:?}", to.log);
                refused += 1;
            }
            world.deliver(&transmit);
        }
        assert_eq!(refused, if exchange == ExchangeType::BASE { 2 } else { 1 });
        world.assert_up();
    }
}

#[test]
fn each_message_lost_twice() {
    for exchange in MODES {
        for lost in 0..4 {
            let mut world = world(exchange, AuthMethod::ECDSA_256);
            world.initiate();
            let (mut message, mut left) = (0, 2);
            let mut fate = |sent: &Transmit| {
                let is_it = message == lost && sent.bytes[18] == exchange.0;
                message += usize::from(sent.bytes[18] == exchange.0 && (!is_it || left == 0));
                if is_it && left > 0 {
                    left -= 1;
                    return Fate::Drop;
                }
                Fate::Deliver
            };
            world.run_with(&mut fate);
            world.pass_with(seconds(35), fate);
            if (exchange, lost) != (ExchangeType::AGGRESSIVE, 2) {
                world.assert_up();
            }
        }
    }
}

/// A job that is dropped delays a responder only until the peer repeats its message.
#[test]
fn jobs_that_cannot_be_done() {
    for exchange in MODES {
        for dropped in 0..3 {
            if (exchange, dropped) == (ExchangeType::AGGRESSIVE, 2) {
                // The initiator has the SA, and repeats message 3 only when its first quick mode makes us repeat message 2.
                continue;
            }
            let mut world = world(exchange, AuthMethod::RSA_SIGNATURES);
            world.b.slow = true;
            world.initiate();
            for at in 0..12 {
                world.run();
                if at == dropped {
                    world.b.cannot_work(world.now);
                } else {
                    let sent = world.b.work(world.now);
                    world.link.extend(sent);
                }
                world.run();
                world.pass(seconds(4));
            }
            assert!(world.b.states().contains(&9), "{exchange} {dropped}: {:?}", world.b.log);
        }
    }
}

/// An identity that no section expects is refused although its signature is right.
#[test]
fn an_unexpected_identity_is_refused() {
    for exchange in MODES {
        let identity = LocalIdentity::Fixed(fqdn("x.example"));
        let mut world = with(exchange, AuthMethod::RSA_SIGNATURES, |section| section.my_identifier = identity);
        world.initiate();
        world.run();
        assert!(matches!(world.b.failures().as_slice(), [FailureReason::Identity { .. }]), "{:?}", world.b.failures());
        assert_eq!(world.b.states(), []);
    }
}

/// Who sees the cookies of an aggressive mode can send message 3 unencrypted: that ends nothing.
#[test]
fn a_forged_proof_ends_nothing() {
    let mut world = world(ExchangeType::AGGRESSIVE, AuthMethod::RSA_SIGNATURES);
    world.initiate();
    for _ in 0..2 {
        let next = world.link.pop_front().unwrap();
        if next.path.remote == world.a.address {
            let (header, _) = Header::parse(&next.bytes).unwrap();
            let header = Header::new(header.cookies, ExchangeType::AGGRESSIVE, 0);
            world.forge_to_b(&wire::message(&header, &[(PayloadType::SIGNATURE, &[7; 32])]));
            world.link.clear();
            assert!(world.b.has_logged(Level::Warning, "is ignored"), "{:?}", world.b.log);
            assert_eq!(world.b.states(), [3]);
        }
        world.deliver(&next);
    }
    world.run();
    world.assert_up();
}
