//! Main mode with signatures.

mod attacks;
pub(super) mod keys;
mod sections;
mod substitutes;

use openssl::nid::Nid;

use super::*;
use crate::config::{LocalIdentity, OwnCertificate};
use crate::credentials::{CertificateProblem, PeerProblem};
use crate::identity::Identity;
use crate::num::{CertEncoding, IdType, NotifyType, PayloadType};
use keys::{Keeper, Kind, Pair};

const P256: Kind = Kind::Curve(Nid::X9_62_PRIME256V1);

/// Terms with this method.
fn terms(method: AuthMethod) -> Phase1Terms {
    Phase1Terms { method, ..TERMS }
}

/// Changes the section of a host that signs with this method.
fn signing(section: &mut Remote, method: AuthMethod) {
    section.proposals = vec![terms(method)];
    section.own_key = Some(Pair::own_key());
}

/// Two hosts with keys of this kind that trust each other's certificates.
fn world(method: AuthMethod, kind: Kind) -> World {
    world_with(method, kind, |_| {}, |_| {})
}

fn world_with(method: AuthMethod, kind: Kind, a: impl FnOnce(&mut Remote), b: impl FnOnce(&mut Remote)) -> World {
    let change = |section: &mut Remote| signing(section, method);
    let mut world = World::with(
        |section, _| {
            change(section);
            a(section);
        },
        |section, _| {
            change(section);
            b(section);
        },
    );
    let pairs = [&world.a, &world.b].map(|host| Pair::of(host.address.ip(), kind));
    let [a, b] = pairs;
    world.a.keeper =
        Some(Keeper { own: Some(a.clone()), trusted: [(b.certificate.clone(), None)].into(), ..Keeper::default() });
    world.b.keeper = Some(Keeper { own: Some(b), trusted: [(a.certificate, None)].into(), ..Keeper::default() });
    world
}

fn ecdsa() -> World {
    world(AuthMethod::ECDSA_256, P256)
}

impl Host {
    fn keeper(&mut self) -> &mut Keeper {
        self.keeper.as_mut().unwrap()
    }

    /// Number of signatures that were verified.
    fn verified(&self) -> usize {
        *self.keeper.as_ref().unwrap().verified.lock().unwrap()
    }

    /// The reasons for which peers were refused.
    fn refused(&self) -> Vec<PeerProblem> {
        let problem = |reason: FailureReason| match reason {
            FailureReason::Signature(problem) => *problem,
            other => panic!("{other}"),
        };
        self.failures().into_iter().map(problem).collect()
    }
}

#[test]
fn every_method_comes_up() {
    let methods = [
        (AuthMethod::RSA_SIGNATURES, Kind::Rsa),
        (AuthMethod::ECDSA_256, P256),
        (AuthMethod::ECDSA_384, Kind::Curve(Nid::SECP384R1)),
        (AuthMethod::ECDSA_521, Kind::Curve(Nid::SECP521R1)),
    ];
    for (method, kind) in methods {
        let mut world = world(method, kind);
        world.initiate();
        world.run();
        world.assert_up();
        assert_eq!(world.a.sent.len(), 3, "{method}");
        for (host, peer) in [(&world.a, &world.b), (&world.b, &world.a)] {
            let view = host.engine.phase1s().next().unwrap();
            let own = peer.keeper.as_ref().unwrap().own.as_ref().unwrap();
            assert_eq!(view.certificate.map(|der| der.to_vec()), Some(own.certificate.clone()));
            assert!(host.has_logged(Level::Info, "the peer's certificate is that of"), "{:?}", host.log);
            assert_eq!(host.lines(Level::Error), [""; 0]);
            assert_eq!(host.lines(Level::Warning), [""; 0]);
            assert_eq!(host.verified(), 1);
        }
    }
}

/// With ECDSA, HASH_I and HASH_R have the hash of the method, and everything else the negotiated one (RFC 4754 section 7).
#[test]
fn the_negotiated_hash_may_be_another_one() {
    for hash in [Hash::MD5, Hash::SHA1, Hash::SHA512] {
        let change = |section: &mut Remote| section.proposals[0].hash = hash;
        let mut world = world_with(AuthMethod::ECDSA_256, P256, change, change);
        world.initiate();
        world.run();
        world.assert_up();
    }
}

#[test]
fn without_a_private_key_nothing_is_offered_or_accepted() {
    let mut world = world_with(AuthMethod::ECDSA_256, P256, |_| {}, |section| section.own_key = None);
    world.initiate();
    world.run();
    assert!(matches!(world.b.failures().as_slice(), [FailureReason::NoProposalChosen(_)]), "{:?}", world.b.failures());
    let mut world = world_with(AuthMethod::ECDSA_256, P256, |section| section.own_key = None, |_| {});
    assert!(world.try_to_initiate().is_err());
    assert!(matches!(world.a.failures().as_slice(), [FailureReason::NoAuthMethod { .. }]), "{:?}", world.a.failures());
}

#[test]
fn the_subject_of_the_certificate_is_an_identity() {
    let mut world = ecdsa();
    let subject = world.a.keeper().own.as_ref().unwrap().subject.clone();
    let certificate =
        OwnCertificate { encoding: CertEncoding::X509_SIGNATURE, issuer: None, subject: Some(subject.clone()) };
    let settings = settings(B, |section, _| {
        signing(section, AuthMethod::ECDSA_256);
        section.my_identifier = LocalIdentity::CertificateSubject;
        section.certificate = Some(certificate);
    });
    world.a.engine.handle_control(world.now, Control::Reload(Box::new(settings))).unwrap();
    world.initiate();
    world.run();
    world.assert_up();
    let peer = &world.b.engine.phase1s.sa(world.b.only()).unwrap().peer;
    assert_eq!(peer.id, Identity::named(IdType::DER_ASN1_DN, subject));
}

/// Each message is lost once; the exchange completes nevertheless.
#[test]
fn any_message_may_be_lost() {
    for lost in 0..6 {
        let mut world = ecdsa();
        world.initiate();
        let mut count = 0;
        let mut fate = |_: &Transmit| {
            count += 1;
            if count == lost + 1 { Fate::Drop } else { Fate::Deliver }
        };
        world.run_with(&mut fate);
        world.pass_with(seconds(15), fate);
        world.assert_up();
    }
}

#[test]
fn a_job_that_was_dropped_is_repeated_with_its_message() {
    for of_initiator in [true, false] {
        let mut world = ecdsa();
        world.initiate();
        // Up to the message with the signature that this host verifies.
        let mut left = if of_initiator { 5 } else { 4 };
        world.run_with(|_| {
            left -= 1;
            if left >= 0 { Fate::Deliver } else { Fate::Drop }
        });
        let now = world.now;
        let host = if of_initiator { &mut world.a } else { &mut world.b };
        host.slow = true;
        world.pass(seconds(11));
        let host = if of_initiator { &mut world.a } else { &mut world.b };
        assert_eq!(host.jobs.len(), 1, "{:?}", host.log);
        host.cannot_work(now);
        let line = "the key exchange or signature could not be computed: too much is waiting";
        assert!(host.has_logged(Level::Warning, line), "{:?}", host.log);
        host.slow = false;
        world.pass(seconds(21));
        world.assert_up();
    }
}

#[test]
fn a_responder_whose_signing_was_dropped_answers_the_next_message_5() {
    let mut world = ecdsa();
    world.initiate();
    let mut left = 4;
    world.run_with(|_| {
        left -= 1;
        if left >= 0 { Fate::Deliver } else { Fate::Drop }
    });
    world.b.slow = true;
    world.pass(seconds(11));
    // The verification, which is followed by the signing.
    let now = world.now;
    let sent = world.b.work(now);
    assert_eq!((sent.len(), world.b.jobs.len()), (0, 1));
    world.b.cannot_work(now);
    world.b.slow = false;
    world.pass(seconds(21));
    world.assert_up();
}

/// An impatient or hostile peer causes one verification at a time.
#[test]
fn repeated_messages_5_cause_one_job_at_a_time() {
    let mut world = ecdsa();
    world.initiate();
    let mut left = 4;
    let mut message5 = None;
    world.run_with(|sent| {
        left -= 1;
        if left < 0 {
            message5 = Some(sent.bytes.clone());
            return Fate::Drop;
        }
        Fate::Deliver
    });
    let message5 = message5.unwrap();
    world.b.slow = true;
    for at in 0..100 {
        let mut bytes = message5.clone();
        // The first is the true one; the others have another last block.
        let last = bytes.len() - 1;
        bytes[last] ^= at;
        world.forge_to_b(&bytes);
    }
    assert_eq!(world.b.jobs.len(), 1);
    assert_eq!(world.b.states(), [6]);
    world.b.slow = false;
    let now = world.now;
    let sent = world.b.work(now);
    world.link.extend(sent);
    world.run();
    world.assert_up();
    assert_eq!(world.b.verified(), 1);
}

/// INITIAL-CONTACT and a quick mode may follow message 6 before it is verified.
#[test]
fn what_the_peer_sends_while_message_6_is_verified_is_deferred() {
    let mut world = ecdsa();
    world.initiate();
    world.run_with(|sent| if sent.bytes[18] == 5 { Fate::Drop } else { Fate::Deliver });
    world.assert_up();
    let mut world = ecdsa();
    world.initiate();
    let mut left = 5;
    world.run_with(|_| {
        left -= 1;
        if left >= 0 { Fate::Deliver } else { Fate::Drop }
    });
    assert_eq!((world.a.states(), world.b.states()), (vec![7], vec![9]));
    world.a.slow = true;
    world.pass(seconds(11));
    assert_eq!(world.a.states(), [8]);
    let b = world.b.only();
    world.b.engine.phase1s.get_mut(b).unwrap().send_notify(&mut world.b.engine.core, NotifyType::INITIAL_CONTACT, &[]);
    world.run();
    world.a.slow = false;
    let now = world.now;
    let sent = world.a.work(now);
    world.link.extend(sent);
    world.run();
    world.assert_up();
    assert!(world.a.has_logged(Level::Info, "received INITIAL-CONTACT"), "{:?}", world.a.log);
}
