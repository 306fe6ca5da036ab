//! Peers that are refused: each has its reason in our log, and is told.

use super::*;
use crate::credentials::{CERTIFICATES_MAX, Certificate, OwnProblem};

/// Changes the credentials of one host, and returns the problem that the other one finds: as responder with message 5 and as
/// initiator with message 6. The other one is told, and neither keeps an SA.
fn refused(change: impl Fn(&mut Keeper), notify: NotifyType) -> PeerProblem {
    let mut found = Vec::new();
    for of_initiator in [true, false] {
        let mut world = ecdsa();
        change(if of_initiator { world.a.keeper() } else { world.b.keeper() });
        world.initiate();
        world.run();
        let (refused, judge) = if of_initiator { (&world.a, &world.b) } else { (&world.b, &world.a) };
        assert_eq!((judge.states(), refused.states()), (vec![], vec![]), "{:?} {:?}", judge.log, refused.log);
        assert_eq!(judge.event_kinds(), [EventKind::Phase1AuthFailed]);
        let [line] = judge.lines(Level::Error)[..] else { panic!("{:?}", judge.log) };
        assert!(line.contains(": the peer is not authenticated: "), "{line}");
        let [line] = refused.lines(Level::Error)[..] else { panic!("{:?}", refused.log) };
        assert!(line.contains(&format!("the peer says {notify}")), "{line}");
        assert_eq!(refused.failures(), [FailureReason::Refused(notify)]);
        found.extend(judge.refused());
    }
    assert_eq!(found.len(), 2);
    found.swap_remove(0)
}

fn x509(data: Vec<u8>) -> Certificate {
    Certificate { encoding: CertEncoding::X509_SIGNATURE, data }
}

#[test]
fn another_key_has_signed() {
    let other = Pair::of("192.0.2.9".parse().unwrap(), P256);
    let problem = refused(|keeper| keeper.own.as_mut().unwrap().key = other.key.clone(), NotifyType::INVALID_SIGNATURE);
    assert_eq!(problem, PeerProblem::Signature);
}

#[test]
fn a_random_signature() {
    for signature in [vec![7; 64], vec![7; 63], vec![0; 64], vec![7; 1000]] {
        let problem = refused(|keeper| keeper.forged = Some(signature.clone()), NotifyType::INVALID_SIGNATURE);
        assert_eq!(problem, PeerProblem::Signature);
    }
}

#[test]
fn a_certificate_that_is_not_trusted() {
    let stranger = Pair::of("192.0.2.9".parse().unwrap(), P256);
    let problem = refused(|keeper| keeper.own = Some(stranger.clone()), NotifyType::INVALID_CERT_AUTHORITY);
    assert!(matches!(problem, PeerProblem::Certificate(CertificateProblem::UnknownIssuer { .. })), "{problem}");
}

#[test]
fn no_certificate() {
    let problem = refused(|keeper| keeper.sends = Some(Vec::new()), NotifyType::AUTHENTICATION_FAILED);
    assert_eq!(problem, PeerProblem::NoCertificate);
}

#[test]
fn a_certificate_of_another_encoding() {
    let other = Certificate { encoding: CertEncoding(10), data: vec![1, 2, 3] };
    let problem = refused(|keeper| keeper.sends = Some(vec![other.clone()]), NotifyType::INVALID_CERT_ENCODING);
    assert_eq!(problem, PeerProblem::Encoding(CertEncoding(10)));
}

#[test]
fn a_certificate_that_is_none() {
    let problem =
        refused(|keeper| keeper.sends = Some(vec![x509(b"junk".to_vec())]), NotifyType::INVALID_CERT_ENCODING);
    assert_eq!(problem, PeerProblem::Unparsable(CertEncoding::X509_SIGNATURE));
}

#[test]
fn too_many_certificates() {
    let many = vec![x509(vec![1]); CERTIFICATES_MAX + 1];
    let problem = refused(|keeper| keeper.sends = Some(many.clone()), NotifyType::INVALID_CERTIFICATE);
    assert_eq!(problem, PeerProblem::TooMany(CERTIFICATES_MAX + 1, 2 * (CERTIFICATES_MAX + 1)));
}

/// A peer that is trusted under its own name claims that of another one.
#[test]
fn the_certificate_of_another_identity() {
    let mut world = ecdsa();
    let other = Pair::of("192.0.2.9".parse().unwrap(), P256);
    world.b.keeper().trusted.insert(other.certificate.clone(), None);
    world.a.keeper().own = Some(other);
    world.initiate();
    world.run();
    let [PeerProblem::NotNamed { identity, .. }] = &world.b.refused()[..] else { panic!("{:?}", world.b.failures()) };
    assert_eq!(identity.single_address(), Some("192.0.2.1".parse().unwrap()));
    assert_eq!(world.a.failures(), [FailureReason::Refused(NotifyType::INVALID_ID_INFORMATION)]);
}

/// The reason of the keeper is that of the line, with what to do.
#[test]
fn the_line_says_what_is_wrong_and_what_to_do() {
    let mut world = ecdsa();
    let of_a = world.a.keeper().own.as_ref().unwrap().certificate.clone();
    let expired = CertificateProblem::Expired { subject: "C=NL, CN=a".into(), since: "2026-11-30 20:00:00 UTC".into() };
    world.b.keeper().trusted.insert(of_a, Some(expired));
    world.initiate();
    world.run();
    let [line] = world.b.lines(Level::Error)[..] else { panic!("{:?}", world.b.log) };
    let end = "the peer is not authenticated: certificate C=NL, CN=a expired at 2026-11-30 20:00:00 UTC; renew it, or check \
               the clock of this host";
    assert!(line.ends_with(end), "{line}");
    let [line] = world.a.lines(Level::Error)[..] else { panic!("{:?}", world.a.log) };
    assert!(
        line.ends_with("the peer does not accept our certificate or signature: see its log for the reason"),
        "{line}"
    );
}

#[test]
fn a_host_that_cannot_sign_says_so() {
    for of_initiator in [true, false] {
        let mut world = ecdsa();
        if of_initiator { world.a.keeper() } else { world.b.keeper() }.own = None;
        world.initiate();
        world.run();
        let (host, peer) = if of_initiator { (&world.a, &world.b) } else { (&world.b, &world.a) };
        assert_eq!(host.failures(), [FailureReason::OwnKey(OwnProblem::NotConfigured.into())]);
        if !of_initiator {
            assert_eq!(peer.failures(), [FailureReason::Refused(NotifyType::CERTIFICATE_UNAVAILABLE)]);
        }
    }
}

/// A method with signatures needs SIG, and a pre-shared key HASH; the other payload proves nothing.
#[test]
fn the_payload_of_another_method_is_no_proof() {
    use crate::message::rules::MAIN;
    use crate::phase1::auth::PeerProof;
    use crate::wire::RawPayload;
    let message = |kind| {
        let raw = |kind| RawPayload { kind, body: &[1; 4], offset: 0, whole: &[] };
        vec![raw(PayloadType::ID), raw(kind)]
    };
    for rules in &MAIN[4..] {
        for (method, needed, other) in [
            (AuthMethod::RSA_SIGNATURES, PayloadType::SIGNATURE, PayloadType::HASH),
            (AuthMethod::ECDSA_521, PayloadType::SIGNATURE, PayloadType::HASH),
            (AuthMethod::PRE_SHARED_KEY, PayloadType::HASH, PayloadType::SIGNATURE),
        ] {
            assert_eq!(PeerProof::require(rules, method, &message(needed)), Ok(()));
            let missing = PeerProof::require(rules, method, &message(other)).unwrap_err().to_string();
            assert!(missing.starts_with(&format!("{needed} payload is missing in message")), "{missing}");
        }
    }
}

/// Another negotiation from the address of an established peer, with a forged certificate, leaves its SA alone.
#[test]
fn a_forged_certificate_does_not_disturb_a_tunnel() {
    let mut world = ecdsa();
    world.initiate();
    world.run();
    world.assert_up();
    let up = world.b.engine.phase1s().next().unwrap().cookies;
    // Somebody at the address of `a`, without its key.
    let of_a = world.a.keeper.take().unwrap();
    world.a = Host::new(A, 9, settings(B, |section, _| signing(section, AuthMethod::ECDSA_256)), &[]);
    world.a.keeper = Some(Keeper { forged: Some(vec![7; 64]), ..of_a });
    world.initiate();
    world.run();
    assert_eq!(world.b.refused(), [PeerProblem::Signature]);
    let left = world.b.engine.phase1s().map(|view| (view.cookies, view.state)).collect::<Vec<_>>();
    assert_eq!(left, [(up, 9)]);
}
