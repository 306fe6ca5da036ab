//! Aggressive mode from its first message to its last.

use super::*;
use crate::config::{LocalIdentity, RemoteAddress};
use crate::identity::{Expected, Identity, Name, NameAttribute, NamePattern};
use crate::message::codec::MessageCodec;
use crate::num::{Flags, IdType, NotifyType, PayloadType};
use crate::output::Urgency;
use crate::reason::Role;
use crate::wire::{self, CookiePair, Header, RawPayload, Tail, chain};

fn fqdn(name: &str) -> Identity {
    Identity::named(IdType::FQDN, name.as_bytes())
}

/// A section for aggressive mode in which both sides have names.
fn named(section: &mut Remote, own: &str, peer: &str) {
    section.exchange_modes = vec![ExchangeType::AGGRESSIVE];
    section.my_identifier = LocalIdentity::Fixed(fqdn(own));
    section.peers_identifiers = vec![Expected::exactly(&fqdn(peer))];
    section.verify_identifier = true;
}

/// Two hosts with names, whose key is found by these names.
fn world() -> World {
    with(|_| {}, |_| {})
}

fn with(a: impl FnOnce(&mut Remote), b: impl FnOnce(&mut Remote)) -> World {
    let a = |section: &mut Remote, _: &mut Settings| {
        named(section, "a.example", "b.example");
        a(section);
    };
    let b = |section: &mut Remote, _: &mut Settings| {
        named(section, "b.example", "a.example");
        b(section);
    };
    let mut world = World::with(a, b);
    world.a.keys = keys(&["b.example"]);
    world.b.keys = keys(&["a.example"]);
    world
}

/// The same key under several names.
fn keys(names: &[&str]) -> Keys {
    Keys(names.iter().map(|name| (name.as_bytes().to_vec(), "a secret of a and b")).collect())
}

fn up(mut world: World) -> World {
    world.initiate();
    world.run();
    world.assert_up();
    world
}

/// The types of the payloads of an unencrypted message.
fn kinds(message: &[u8]) -> Vec<PayloadType> {
    payloads(message).iter().map(|payload| payload.kind).collect()
}

fn payloads(message: &[u8]) -> Vec<RawPayload<'_>> {
    let (header, body) = Header::parse(message).unwrap();
    chain::walk(header.next_payload, body, Tail::Padding).unwrap()
}

/// An unencrypted message with the payloads of another one, changed.
fn rebuilt(message: &[u8], change: impl FnOnce(&mut Vec<(PayloadType, Vec<u8>)>)) -> Vec<u8> {
    let (header, _) = Header::parse(message).unwrap();
    let mut all = payloads(message).iter().map(|payload| (payload.kind, payload.body.to_vec())).collect();
    change(&mut all);
    let all: Vec<_> = all.iter().map(|(kind, body)| (*kind, body.as_slice())).collect();
    wire::message(&Header::new(header.cookies, header.exchange, 0), &all)
}

#[test]
fn it_comes_up() {
    use PayloadType as P;
    let world = up(world());
    let exchanges = |host: &Host| host.sent.iter().map(|sent| sent.bytes[18]).collect::<Vec<_>>();
    assert_eq!(exchanges(&world.a), [4, 4, 5], "INITIAL-CONTACT follows");
    assert_eq!(exchanges(&world.b), [4, 5]);
    assert_eq!(kinds(&world.a.sent[0].bytes), [P::SA, P::KEY_EXCHANGE, P::NONCE, P::ID, P::VENDOR_ID]);
    assert_eq!(kinds(&world.b.sent[0].bytes), [P::SA, P::KEY_EXCHANGE, P::NONCE, P::ID, P::HASH, P::VENDOR_ID]);
    assert_eq!(world.a.sent[1].bytes[19], 1, "message 3 is encrypted");
    for (host, peer) in [(&world.a, "b.example"), (&world.b, "a.example")] {
        assert!(host.has_logged(Level::Info, "begin Aggressive mode."));
        assert!(host.has_logged(Level::Info, "received Vendor ID: DPD"));
        assert!(host.has_logged(Level::Info, "ISAKMP-SA established"));
        assert!(host.has_logged(Level::Info, "received INITIAL-CONTACT"));
        assert_eq!((host.lines(Level::Error), host.lines(Level::Warning)), (vec![], vec![]));
        assert_eq!(host.endings(), [NegotiationResult::Established]);
        assert_eq!(host.outcomes[0].offered, ["aes 128, sha256, x25519, pre_shared_key, 3600 s"]);
        assert_eq!(host.engine.phase1s.sa(host.only()).unwrap().peer.id, fqdn(peer));
    }
}

#[test]
fn every_algorithm_comes_up() {
    let ciphers = [(Cipher::TRIPLE_DES, 0), (Cipher::AES, 256), (Cipher::CAMELLIA, 256), (Cipher::AES, 192)];
    let hashes = [Hash::MD5, Hash::SHA1, Hash::SHA384, Hash::SHA512];
    let groups = [Group::MODP1024, Group::ECP256, Group::ECP521, Group::X25519];
    for (((cipher, key_length), hash), group) in ciphers.into_iter().zip(hashes).zip(groups) {
        let terms = Phase1Terms { cipher, key_length, hash, group, ..TERMS };
        up(with(|section| section.proposals = vec![terms], |section| section.proposals = vec![terms]));
    }
}

#[test]
fn states_are_those_of_racoonctl() {
    let mut world = world();
    (world.a.slow, world.b.slow) = (true, true);
    world.initiate();
    assert_eq!(world.a.states(), [1], "message 1 is being computed");
    let sent = world.a.work(world.now);
    world.link.extend(sent);
    world.run();
    assert_eq!((world.a.states(), world.b.states()), (vec![3], vec![2]));
    let sent = world.b.work(world.now);
    world.link.extend(sent);
    world.run();
    assert_eq!((world.a.states(), world.b.states()), (vec![4], vec![3]));
    let sent = world.a.work(world.now);
    world.link.extend(sent);
    world.run();
    world.assert_up();
}

/// Each type of identity, for both sides.
#[test]
fn identities() {
    let name = |common: &str| {
        let attributes = [("C", "NL"), ("CN", common)].map(|(kind, text)| NameAttribute::text(kind, text).unwrap());
        Name(attributes.into())
    };
    let named = |kind: IdType, bytes: &[u8]| {
        let identity = Identity::named(kind, bytes);
        (LocalIdentity::Fixed(identity.clone()), Expected::exactly(&identity), bytes.to_vec())
    };
    let dn = |common: &str| {
        let name = name(common);
        let der = name.to_der().unwrap();
        (LocalIdentity::Name(name.clone()), Expected::Name(NamePattern::from(name)), der)
    };
    let address = |address: &str| {
        let identity = Identity::address(address.parse().unwrap());
        (LocalIdentity::Address, Expected::exactly(&identity), address.as_bytes().to_vec())
    };
    let pairs = [
        (address("192.0.2.1"), address("192.0.2.2")),
        (named(IdType::FQDN, b"a.example"), named(IdType::FQDN, b"b.example")),
        (named(IdType::USER_FQDN, b"joe@a.example"), named(IdType::USER_FQDN, b"gw@b.example")),
        (named(IdType::KEY_ID, &[0, 1, 0xff]), named(IdType::KEY_ID, b"group")),
        (dn("a"), dn("b")),
        (named(IdType::KEY_ID, b"x"), dn("b")),
    ];
    for (a, b) in pairs {
        let mut world = with(
            |section| (section.my_identifier, section.peers_identifiers) = (a.0, vec![b.1]),
            |section| (section.my_identifier, section.peers_identifiers) = (b.0, vec![a.1]),
        );
        world.a.keys = Keys(vec![(b.2, "a secret")]);
        world.b.keys = Keys(vec![(a.2, "a secret")]);
        up(world);
    }
}

/// The key of a peer is found by its identity, or else by its address unless identities are verified.
#[test]
fn the_key_is_that_of_the_identity_or_else_of_the_address() {
    let mut world = with(|_| {}, |section| section.verify_identifier = false);
    world.b.keys = Keys(vec![(b"192.0.2.1".to_vec(), "a secret of a and b"), (b"192.0.2.9".to_vec(), "another")]);
    let world = up(world);
    let line = "no pre-shared key for FQDN a.example, using that of 192.0.2.1: it proves the address, not the identity";
    assert!(world.b.has_logged(Level::Notify, line), "{:?}", world.b.log);

    let mut world = self::world();
    world.b.keys = keys(&["192.0.2.1"]);
    world.initiate();
    world.pass(seconds(100));
    assert!(
        matches!(world.b.failures().as_slice(), [FailureReason::NoPreSharedKey { .. }]),
        "{:?}",
        world.b.failures()
    );
    // The identity counts more than the address.
    let mut world = with(|_| {}, |section| section.verify_identifier = false);
    world.b.keys = Keys(vec![(b"192.0.2.1".to_vec(), "wrong"), (b"a.example".to_vec(), "a secret of a and b")]);
    up(world);
}

/// Several sections for one address: that of the identity is selected before message 2 is sent.
#[test]
fn the_section_is_that_of_the_identity() {
    let mut world = world();
    let section = |name: &str, own: &str, peer: &str| {
        let mut section = Remote { name: name.into(), ..remote_for(A) };
        named(&mut section, own, peer);
        section
    };
    let mut other = section("other", "other.example", "c.example");
    other.address = None;
    let mut settings = Settings { log: Level::Debug2, ..Settings::default() };
    settings.remotes =
        Remotes::new(vec![other, section("a", "b.example", "a.example"), section("d", "d.example", "d.example")]);
    world.b = Host::new(B, 2, settings, &[("a.example", "a secret of a and b")]);
    let world = up(world);
    let section = world.b.engine.phase1s.sa(world.b.only()).unwrap().remote_section;
    assert_eq!(world.b.engine.core.settings.remotes.get(section).unwrap().name, "a");
}

/// An identity that no section expects, one without a key, and a wrong key: the answers are equally long, take the same work and lead
/// to the same notify. Only the log has the reason.
#[test]
fn who_is_unknown_looks_like_one_with_a_wrong_key() {
    let change_key = |world: &mut World| world.a.keys = Keys(vec![(b"b.example".to_vec(), "a wrong secret")]);
    type Case = (&'static str, fn(&mut World), &'static str);
    let cases: [Case; 3] = [
        ("a.example", |_| {}, "the hash is wrong"),
        ("a.example", |world| world.b.keys = Keys(Vec::new()), "no pre-shared key"),
        ("x.example", |_| {}, "identity FQDN x.example is not the expected FQDN a.example"),
    ];
    let mut seen = Vec::new();
    for (identity, change, reason) in cases {
        let mut world = with(|section| section.my_identifier = LocalIdentity::Fixed(fqdn(identity)), |_| {});
        change_key(&mut world);
        change(&mut world);
        world.b.slow = true;
        world.initiate();
        world.run();
        let work: Vec<_> = world.b.jobs.iter().flat_map(|(_, job)| &job.tasks).map(std::mem::discriminant).collect();
        let sent = world.b.work(world.now);
        let answer = sent[0].clone();
        // The peer cannot check the answer. It sends what it would send with its key.
        let (header, _) = Header::parse(&answer.bytes).unwrap();
        let header = Header::new(header.cookies, ExchangeType::AGGRESSIVE, 0);
        world.forge_to_b(&wire::message(&header, &[(PayloadType::HASH, &[7; 32])]));
        let notify = world.link.pop_back().unwrap().bytes;
        seen.push((work, kinds(&answer.bytes), answer.bytes.len(), notify[28..].to_vec(), world.b.states()));
        assert!(world.b.has_logged(Level::Warning, reason), "{reason}: {:?}", world.b.log);
        world.pass_with(seconds(100), |_| Fate::Drop);
        assert!(world.b.has_logged(Level::Error, reason), "{reason}: {:?}", world.b.log);
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

/// An initiator that is refused, or that refuses.
#[test]
fn differing_keys_and_identities() {
    let mut world = world();
    world.a.keys = Keys(vec![(b"b.example".to_vec(), "a wrong secret")]);
    world.initiate();
    world.pass(seconds(100));
    assert!(matches!(world.a.failures().as_slice(), [FailureReason::Authentication(_)]), "{:?}", world.a.failures());
    assert_eq!((world.a.states(), world.b.states()), (vec![], vec![]));

    let mut world = with(|section| section.peers_identifiers = vec![Expected::exactly(&fqdn("c.example"))], |_| {});
    world.initiate();
    world.run();
    assert!(matches!(world.a.failures().as_slice(), [FailureReason::Identity { .. }]), "{:?}", world.a.failures());
    // The refusal is under the keys, so the responder believes it at once.
    assert_eq!(world.b.failures(), [FailureReason::Refused(NotifyType::INVALID_ID_INFORMATION)]);
}

/// In aggressive mode the group is that of message 1.
#[test]
fn the_group_is_not_negotiated() {
    let ecp = Phase1Terms { group: Group::ECP256, ..TERMS };
    let world =
        up(with(|section| section.proposals = vec![TERMS, ecp], |section| section.proposals = vec![ecp, TERMS]));
    assert_eq!(world.a.outcomes[0].offered.len(), 1);

    let mut world = with(|_| {}, |section| section.proposals = vec![ecp]);
    world.initiate();
    world.pass(seconds(100));
    let line = "dh_group x25519 proposed, ecp256 configured";
    assert!(world.b.has_logged(Level::Error, line), "{:?}", world.b.lines(Level::Error));
    assert_eq!(world.a.failures(), [FailureReason::Refused(NotifyType::NO_PROPOSAL_CHOSEN)]);

    // A transform of another group behind the first one cannot belong to the public value.
    let mut world = with(|_| {}, |section| section.proposals = vec![ecp]);
    world.initiate();
    let message = world.link.pop_front().unwrap();
    let forged = rebuilt(&message.bytes, |payloads| payloads[0].1 = crate::proposal::phase1_sa(&[TERMS, ecp]).encode());
    world.forge_to_b(&forged);
    assert_eq!(world.b.states(), []);
}

#[test]
fn each_message_lost_twice() {
    for lost in 0..3 {
        let mut world = world();
        world.initiate();
        let (mut message, mut left) = (0, 2);
        let mut fate = |sent: &Transmit| {
            let is_it = message == lost && sent.bytes[18] == 4;
            message += usize::from(sent.bytes[18] == 4 && (!is_it || left == 0));
            if is_it && left > 0 {
                left -= 1;
                return Fate::Drop;
            }
            Fate::Deliver
        };
        world.run_with(&mut fate);
        world.pass_with(seconds(35), fate);
        if lost < 2 {
            world.assert_up();
        }
        assert!(world.a.states().contains(&9), "{lost}");
    }
}

/// Message 3 is lost: what the initiator sends under the SA makes the responder repeat message 2, and the initiator message 3.
#[test]
fn a_lost_proof_is_requested() {
    let mut world = world();
    world.initiate();
    let mut is_lost = false;
    world.run_with(|sent| {
        let is_it = !is_lost && sent.bytes[18] == 4 && sent.bytes[19] == 1;
        is_lost |= is_it;
        if is_it { Fate::Drop } else { Fate::Deliver }
    });
    world.assert_up();
    assert!(is_lost);
    assert!(world.b.has_logged(Level::Info, "received INITIAL-CONTACT"), "it was deferred");
}

/// Nobody makes a responder send more than was sent to it.
#[test]
fn message_2_is_not_repeated_unasked() {
    let mut world = world();
    world.initiate();
    let first = world.link.pop_front().unwrap();
    world.forge_to_b(&first.bytes);
    world.pass_with(seconds(100), |_| Fate::Drop);
    let of_exchange = |host: &Host| host.sent.iter().filter(|sent| sent.bytes[18] == 4).count();
    assert_eq!(of_exchange(&world.b), 1);
    assert_eq!(world.b.unanswered(), [(2, 1)]);
    for _ in 0..20 {
        world.forge_to_b(&first.bytes);
    }
    assert_eq!(of_exchange(&world.b), 7, "the answer, and five copies of it");
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

/// Other daemons send NAT-D before HASH, or HASH last, and message 3 encrypted or not.
#[test]
fn other_orders_of_payloads() {
    let nat_d = || (PayloadType::NAT_D, vec![5; 32]);
    let mut world = world();
    world.initiate();
    world.run_with(|sent| {
        if sent.bytes[18] != 4 || sent.bytes[19] == 1 || sent.bytes[8..16] == [0; 8] {
            return Fate::Deliver;
        }
        Fate::Change(rebuilt(&sent.bytes, |payloads| {
            let hash = payloads.remove(4);
            payloads.extend([nat_d(), nat_d(), hash]);
        }))
    });
    world.assert_up();

    // Message 3 in clear: SKEYID of both is the same, so HASH_I can be taken from the initiator's encrypted message.
    for order in 0..2 {
        let mut world = self::world();
        world.initiate();
        let mut clear = None;
        world.run_with(|sent| {
            if sent.bytes[18] == 4 && sent.bytes[19] == 1 {
                clear = Some(sent.clone());
                return Fate::Drop;
            }
            if sent.bytes[18] == 5 { Fate::Drop } else { Fate::Deliver }
        });
        let sa = world.a.engine.phase1s.sa(world.a.only()).unwrap();
        let (header, body) = Header::parse(&clear.as_ref().unwrap().bytes).unwrap();
        let first_iv = first_iv(&world);
        let opened = sa.open(&first_iv, &header, body).unwrap();
        let payloads = opened.payloads(&MessageCodec::default(), world.a.address).unwrap();
        let hash = (PayloadType::HASH, payloads[0].body);
        let contact = wire::Notify::of_isakmp(sa.cookies, NotifyType::INITIAL_CONTACT, &[]).encode();
        let nat_d = nat_d();
        let others = [(nat_d.0, nat_d.1.as_slice()), (nat_d.0, &nat_d.1), (PayloadType::NOTIFY, &contact)];
        let all = if order == 0 { [&[hash], &others[..]].concat() } else { [&others[..], &[hash]].concat() };
        let message = wire::message(&Header::new(sa.cookies, ExchangeType::AGGRESSIVE, 0), &all);
        world.forge_to_b(&message);
        assert_eq!(world.b.states(), [9]);
        assert!(!world.b.has_logged(Level::Info, "received INITIAL-CONTACT"), "it is not authenticated");
        assert_eq!(world.b.engine.phase1s.sa(world.b.only()).unwrap().last_block, first_iv);
    }
}

/// The IV of the first encrypted message.
fn first_iv(world: &World) -> crate::crypto::Iv {
    let value = |host: &Host| payloads(&host.sent[0].bytes)[1].body.to_vec();
    crate::crypto::Iv::phase1(TERMS.hash, &value(&world.a), &value(&world.b), 16).unwrap()
}

/// Before each authentic message come forgeries with its cookies: changed, or cut, at each byte.
#[test]
fn forgeries_end_nothing() {
    let mut world = world();
    world.initiate();
    while let Some(transmit) = world.link.pop_front() {
        let (header, body) = Header::parse(&transmit.bytes).unwrap();
        let is_first = header.cookies.responder.is_zero();
        let to = if transmit.path.remote == world.a.address { &mut world.a } else { &mut world.b };
        // Neither padding, reserved bytes, Vendor IDs nor the lifetime in the SA payload are authenticated; another first message begins another exchange.
        let changeable: Vec<_> = match header.flags.contains(Flags::ENCRYPTED) {
            _ if is_first || header.exchange != ExchangeType::AGGRESSIVE => Vec::new(),
            true => (0..body.len() - 16).collect(),
            false => {
                let payloads = payloads(&transmit.bytes);
                let reserved: Vec<_> = payloads.iter().map(|payload| payload.offset + 1).collect();
                (payloads[1].offset..payloads[5].offset).filter(|at| !reserved.contains(at)).collect()
            }
        };
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

/// The responder's cookie of a forged message 2 is forgotten when its hash turns out to be wrong.
#[test]
fn a_forged_answer_replaces_nobody() {
    let mut world = world();
    world.a.slow = true;
    world.initiate();
    let sent = world.a.work(world.now);
    world.link.extend(sent);
    let first = world.link.pop_front().unwrap();
    world.deliver(&first);
    let answer = world.link.pop_front().unwrap();
    let mut forged = answer.bytes.clone();
    forged[8..16].fill(7);
    world.forge_to_a(&forged);
    assert_eq!(world.a.states(), [4]);
    world.deliver(&answer);
    assert_eq!(world.a.jobs.len(), 1, "the true answer comes while the job for the forged one runs");
    world.a.work(world.now);
    assert_eq!(world.a.states(), [3]);
    assert!(world.a.has_logged(Level::Warning, "the hash is wrong"), "{:?}", world.a.log);
    world.a.slow = false;
    world.pass(seconds(10));
    world.assert_up();
}

#[test]
fn messages_without_a_needed_payload_are_refused() {
    for missing in 0..4 {
        let mut world = world();
        world.initiate();
        let first = world.link.pop_front().unwrap();
        let without = rebuilt(&first.bytes, |payloads| drop(payloads.remove(missing)));
        world.forge_to_b(&without);
        assert_eq!(world.b.states(), [], "{missing}");
        assert!(world.b.has_logged(Level::Error, "payload is missing in message 1 of aggressive mode"));
        world.deliver(&first);
        let answer = world.link.pop_back().unwrap();
        for missing in 0..5 {
            world.forge_to_a(&rebuilt(&answer.bytes, |payloads| drop(payloads.remove(missing))));
            assert_eq!(world.a.states(), [3]);
        }
        let (header, _) = Header::parse(&answer.bytes).unwrap();
        let header = Header::new(header.cookies, ExchangeType::AGGRESSIVE, 0);
        world.forge_to_b(&wire::message(&header, &[(PayloadType::NAT_D, &[1; 32])]));
        world.forge_to_b(&wire::message(&header, &[(PayloadType::HASH, &[])]));
        assert_eq!(world.b.states(), [3]);
        world.deliver(&answer);
        world.run();
        world.assert_up();
    }
}

/// There is no thread for the job of a first message: nothing is kept, and the repeated message begins again.
#[test]
fn a_job_that_cannot_be_done() {
    let mut world = world();
    world.b.slow = true;
    world.initiate();
    world.run();
    world.b.cannot_work(world.now);
    assert_eq!((world.b.states(), world.b.engine.load().jobs), (vec![], 0));
    world.b.slow = false;
    world.pass(seconds(11));
    world.assert_up();
}

#[test]
fn a_job_that_does_not_end_ends_the_negotiation() {
    let mut world = world();
    (world.a.slow, world.b.slow) = (true, true);
    world.initiate();
    world.pass(seconds(60));
    assert_eq!(world.a.states(), []);
    let mut world = self::world();
    world.b.slow = true;
    world.initiate();
    world.run();
    world.pass_with(seconds(100), |_| Fate::Drop);
    assert_eq!((world.a.states(), world.b.states()), (vec![], vec![]));
    assert_eq!(world.b.engine.load().jobs, 0);
}

/// First messages from forged addresses cause a limited number of jobs, none of which comes before those for known peers, and keep no
/// peer out that proves its address first.
#[test]
fn a_flood_of_first_messages() {
    let mut world = with(
        |section| section.exchange_modes = vec![ExchangeType::MAIN],
        |section| {
            section.exchange_modes = vec![ExchangeType::AGGRESSIVE, ExchangeType::MAIN];
            section.address = None;
            section.verify_identifier = false;
        },
    );
    (world.a.keys, world.b.keys) = (keys(&["192.0.2.2"]), keys(&["192.0.2.1"]));
    let mut sender = self::world();
    sender.initiate();
    let first = sender.link.pop_front().unwrap().bytes;
    world.b.slow = true;
    for number in 0..3000_u32 {
        let mut bytes = first.clone();
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let [.., high, low] = number.to_be_bytes();
        let from = SocketAddr::from(([10, 0, high, low], 500));
        world.b.engine.handle_datagram(world.now, Path::new(world.b.address, from), &bytes);
        while let Some(output) = world.b.engine.poll_output() {
            match output {
                Output::Job(_, urgency, _) => assert_eq!(urgency, Urgency::Unknown),
                Output::Transmit(_) => panic!("no answer before the job is done"),
                _ => {}
            }
        }
    }
    assert_eq!(world.b.engine.load().jobs, 128);
    world.b.slow = false;
    world.initiate();
    world.run();
    assert_eq!(world.a.states(), [9]);
}

/// In the name of a configured peer, too, the job of a first message is not urgent.
#[test]
fn a_first_message_is_not_urgent() {
    let mut world = world();
    world.initiate();
    let first = world.link.pop_front().unwrap();
    world.b.engine.handle_datagram(world.now, first.path.reversed(), &first.bytes);
    let urgencies = std::iter::from_fn(|| world.b.engine.poll_output()).filter_map(|output| match output {
        Output::Job(_, urgency, _) => Some(urgency),
        _ => None,
    });
    assert_eq!(urgencies.collect::<Vec<_>>(), [Urgency::Unknown]);
}

/// Both begin at once: both exchanges run, and both sides end up with the same SAs.
#[test]
fn both_begin_at_once() {
    for order in 0..2 {
        let mut world = world();
        world.initiate();
        world.initiate_back();
        if order == 1 {
            world.link.rotate_left(1);
        }
        world.run();
        world.pass(seconds(60));
        let cookies = |host: &Host| {
            let mut cookies: Vec<CookiePair> = host.engine.phase1s().map(|view| view.cookies).collect();
            cookies.sort_unstable();
            cookies
        };
        assert_eq!(cookies(&world.a), cookies(&world.b));
        assert!(!world.a.states().is_empty() && world.a.states().iter().all(|state| *state == 9));
        assert!(world.a.failures().is_empty() && world.b.failures().is_empty());
        assert!(world.a.engine.phase1s().any(|view| view.role == Role::Initiator));
    }
}

/// A section with both exchanges still has an address that is compared.
#[test]
fn an_unlisted_exchange_is_refused() {
    let mut world = with(|_| {}, |section| section.exchange_modes = vec![ExchangeType::MAIN]);
    assert_eq!(remote_for(A).address, Some(RemoteAddress::At(world.a.address.ip().into())));
    world.initiate();
    world.run();
    assert!(world.b.has_logged(Level::Error, "no remote section for this peer allows aggressive mode"));
    assert_eq!(world.b.states(), []);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An exchange byte for byte. Python has computed HASH_R and HASH_I from messages 1 and 2 with
///
/// ```text
/// prf = lambda key, *parts: hmac.new(key, b''.join(parts), hashlib.sha256).digest()
/// skeyid = prf(b'a secret of a and b', ni, nr)
/// hash_r = prf(skeyid, g_xr, g_xi, cookie_r, cookie_i, sa_i, id_ir)
/// hash_i = prf(skeyid, g_xi, g_xr, cookie_i, cookie_r, sa_i, id_ii)
/// ```
#[test]
fn a_fixed_exchange() {
    const MESSAGE_1: &str = "783825822a6f9e6200000000000000000110040000000000000000b10400003800000001000000010000002c01010001\
        000000240101000080010007800e0080800200048004001f80030001800b0001800c0e100a000024f4e7f399aac8ca4f\
        44b0fe933e9f2874c4ef56b016659d65600996b0a8d0ae13050000143995ab5a9cd49bf9b90a079904dc06450d000011\
        02000000612e6578616d706c6500000014afcad71368a1f1c96b8696fc77570100";
    const MESSAGE_2: &str = "783825822a6f9e621309ac3f4e4151280110040000000000000000d50400003800000001000000010000002c01010001\
        000000240101000080010007800e0080800200048004001f80030001800b0001800c0e100a000024fdc0353f2c6a4e4c\
        b24e4751c71610abc3fae33c60481d3a3d42fc11cc71726f05000014c2bbe83fd5640cf0087573349fcda98e08000011\
        02000000622e6578616d706c650d000024be6749991ceec4e6df1bab865d5bc5de9597b2178c3dc449e9f68a4a3e8881\
        1900000014afcad71368a1f1c96b8696fc77570100";
    const HASH_I: &str = "bcb91f4ee26667bb18accbd00d523022077f77dd6e900ae50c9c3b26036c5fe9";
    let world = up(world());
    assert_eq!(hex(&world.a.sent[0].bytes), MESSAGE_1);
    assert_eq!(hex(&world.b.sent[0].bytes), MESSAGE_2);
    let (header, body) = Header::parse(&world.a.sent[1].bytes).unwrap();
    let sa = world.a.engine.phase1s.sa(world.a.only()).unwrap();
    let opened = sa.open(&first_iv(&world), &header, body).unwrap();
    let payloads = opened.payloads(&MessageCodec::default(), world.a.address).unwrap();
    assert_eq!(
        payloads.iter().map(|one| (one.kind, hex(one.body))).collect::<Vec<_>>(),
        [(PayloadType::HASH, HASH_I.into())]
    );
}
