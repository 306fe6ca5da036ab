//! Verification of peers: each reason for which one is refused, and peers that are accepted.

use openssl::hash::MessageDigest;
use openssl::pkcs7::{Pkcs7, Pkcs7Flags};
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::stack::Stack;
use openssl::x509::extension::KeyUsage;
use racoon_proto::credentials::{CERTIFICATES_LEN_MAX, CertificateProblem};
use racoon_proto::num::CertEncoding;

use super::pki::{DAY, Template, list, payload, publish, root, trust, write};
use super::*;

/// When entries of revocation lists were revoked.
const REVOKED_AT: &str = "2000-03-01 00:00:00 UTC";

/// A hashed directory that trusts an authority, and the snapshot of it.
fn trusting(authority: &Pair) -> (Host, Snapshot) {
    let host = Host::new();
    trust(host.path(), authority);
    let snapshot = host.snapshot("").unwrap();
    (host, snapshot)
}

fn verified(host: &Host, request: &VerifyRequest) -> Result<VerifiedPeer, PeerProblem> {
    host.snapshot("").unwrap().verify(request)
}

fn refused(snapshot: &Snapshot, request: &VerifyRequest) -> CertificateProblem {
    match snapshot.verify(request) {
        Err(PeerProblem::Certificate(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

fn named(common: &str) -> String {
    format!("O=Test, CN={common}")
}

fn intermediate(subject: &'static str, serial: u32) -> Template<'static> {
    Template { subject, serial, authority: true, ..Template::default() }
}

#[test]
fn peers_of_a_trusted_authority() {
    let ca = root("CA");
    let (_host, snapshot) = trusting(&ca);
    let peer = Template::default().issued_by(&ca);
    let found = snapshot.verify(&by_subject(&peer, &[])).unwrap();
    assert_eq!(found.certificate, Some(peer.certificate.to_der().unwrap()));
    assert_eq!(found.warnings, [CertificateProblem::NoCrl { issuer: named("CA") }]);

    let first = intermediate("first", 2).issued_by(&ca);
    let second = intermediate("second", 3).issued_by(&first);
    let below_first = Template::default().issued_by(&first);
    assert_eq!(snapshot.verify(&by_subject(&below_first, &[&first])).unwrap().warnings.len(), 2);
    let below_second = Template::default().issued_by(&second);
    // In any order.
    for sent in [[&first, &second], [&second, &first]] {
        assert!(snapshot.verify(&by_subject(&below_second, &sent)).is_ok());
    }
    let expected = CertificateProblem::UnknownIssuer { subject: named("second"), issuer: named("first") };
    assert_eq!(refused(&snapshot, &by_subject(&below_second, &[&second])), expected);
}

#[test]
fn collections_of_certificates() {
    let ca = root("CA");
    let (_host, snapshot) = trusting(&ca);
    let first = intermediate("first", 2).issued_by(&ca);
    let peer = Template::default().issued_by(&first);
    let mut all = Stack::new().unwrap();
    all.push(first.certificate.clone()).unwrap();
    let collection = Pkcs7::sign(&peer.certificate, &peer.key, &all, b"", Pkcs7Flags::DETACHED).unwrap();
    let wrapped = |data| vec![Certificate { encoding: CertEncoding::PKCS7, data }];
    let subject = by_subject(&peer, &[]);
    let request = VerifyRequest { certificates: wrapped(collection.to_der().unwrap()), ..subject.clone() };
    assert!(snapshot.verify(&request).is_ok());
    let request = VerifyRequest { certificates: wrapped(vec![0x30, 0]), ..subject };
    assert_eq!(snapshot.verify(&request), Err(PeerProblem::Unparsable(CertEncoding::PKCS7)));
}

#[test]
fn the_certificate_that_names_the_peer_is_its_own() {
    let ca = root("CA");
    let (_host, snapshot) = trusting(&ca);
    let first = intermediate("first", 2).issued_by(&ca);
    let peer = Template { host: Some("gw.example"), ..Template::default() }.issued_by(&first);
    let sent = [&first, &peer].map(payload).to_vec();
    let identity = |name: &str| Identity::named(IdType::FQDN, name);
    assert!(snapshot.verify(&request(&peer, identity("gw.example"), sent.clone())).is_ok());
    let other = request(&peer, identity("other.example"), [&peer, &first].map(payload).to_vec());
    let problem = snapshot.verify(&other).unwrap_err();
    let expected = PeerProblem::NotNamed {
        identity: identity("other.example"),
        subject: named("gw"),
        found: vec!["gw.example".to_owned()],
    };
    assert_eq!(problem, expected);
    // Nothing is believed of the certificate, nor does it matter.
    let unverified = with_trust(other, |trust| trust.verify_cert = false);
    assert!(snapshot.verify(&unverified).is_ok());
}

#[test]
fn certificates_that_are_not_read() {
    let ca = root("CA");
    let (_host, snapshot) = trusting(&ca);
    let peer = Template::default().issued_by(&ca);
    let problem =
        |certificates| snapshot.verify(&VerifyRequest { certificates, ..by_subject(&peer, &[]) }).unwrap_err();
    let certificate = |encoding, length| Certificate { encoding, data: vec![1; length] };
    assert_eq!(problem(Vec::new()), PeerProblem::NoCertificate);
    assert_eq!(problem(vec![certificate(CertEncoding::CRL, 9)]), PeerProblem::Encoding(CertEncoding::CRL));
    let unparsable = PeerProblem::Unparsable(CertEncoding::X509_SIGNATURE);
    assert_eq!(problem(vec![certificate(CertEncoding::X509_SIGNATURE, 9)]), unparsable);
    assert_eq!(problem(vec![certificate(CertEncoding::CRL, 1); 11]), PeerProblem::TooMany(11, 11));
    let long = CERTIFICATES_LEN_MAX + 1;
    assert_eq!(problem(vec![certificate(CertEncoding::CRL, long)]), PeerProblem::TooMany(1, long));
    // Others beside a readable one do no harm.
    let beside = vec![certificate(CertEncoding::CRL, 9), payload(&peer)];
    assert!(snapshot.verify(&VerifyRequest { certificates: beside, ..by_subject(&peer, &[]) }).is_ok());
}

#[test]
fn signatures_and_kinds_of_keys() {
    let ca = root("CA");
    let (_host, snapshot) = trusting(&ca);
    let peer = Template::default().issued_by(&ca);
    let other = Template::default().issued_by(&ca);
    let wrong = VerifyRequest { signature: by_subject(&other, &[]).signature, ..by_subject(&peer, &[]) };
    assert_eq!(snapshot.verify(&wrong), Err(PeerProblem::Signature));
    let method = VerifyRequest { method: AuthMethod::RSA_SIGNATURES, ..by_subject(&peer, &[]) };
    assert_eq!(snapshot.verify(&method), Err(PeerProblem::KeyKind("P-256".to_owned())));
}

#[test]
fn times() {
    let ca = root("CA");
    let (_host, snapshot) = trusting(&ca);
    let past = Template { valid: (-9 * DAY, -DAY), ..Template::default() }.issued_by(&ca);
    let since = super::super::times::text(past.certificate.not_after());
    assert_eq!(
        refused(&snapshot, &by_subject(&past, &[])),
        CertificateProblem::Expired { subject: named("gw"), since }
    );
    let future = Template { valid: (DAY, 9 * DAY), ..Template::default() }.issued_by(&ca);
    let from = super::super::times::text(future.certificate.not_before());
    let expected = CertificateProblem::NotYetValid { subject: named("gw"), from };
    assert_eq!(refused(&snapshot, &by_subject(&future, &[])), expected);
}

#[test]
fn authorities_that_are_not_trusted() {
    let ca = root("CA");
    let (_host, snapshot) = trusting(&ca);
    let unknown = Template::default().issued_by(&root("other"));
    let expected = CertificateProblem::UnknownIssuer { subject: named("gw"), issuer: named("other") };
    assert_eq!(refused(&snapshot, &by_subject(&unknown, &[])), expected);
    // Another key of the same name.
    let forged = Template::default().issued_by(&root("CA"));
    assert_eq!(
        refused(&snapshot, &by_subject(&forged, &[])),
        CertificateProblem::BadSignature { subject: named("gw") }
    );
    let alone = Template::default().self_signed();
    assert_eq!(refused(&snapshot, &by_subject(&alone, &[])), CertificateProblem::SelfSigned { subject: named("gw") });
    // The root that comes with the certificate is no more trusted for that.
    let other = root("other");
    let with_root = Template::default().issued_by(&other);
    let expected = CertificateProblem::SelfSigned { subject: named("other") };
    assert_eq!(refused(&snapshot, &by_subject(&with_root, &[&other])), expected);
}

#[test]
fn issuers_that_are_not_authorities() {
    let ca = root("CA");
    let (_host, snapshot) = trusting(&ca);
    let leaf = Template { subject: "leaf", ..Template::default() }.issued_by(&ca);
    let below = Template::default().issued_by(&leaf);
    let expected = CertificateProblem::NotAuthority { issuer: named("leaf") };
    assert_eq!(refused(&snapshot, &by_subject(&below, &[&leaf])), expected);

    let mut usage = KeyUsage::new();
    usage.crl_sign();
    let signs_lists = Template { usage: Some(usage), ..intermediate("lists", 4) }.issued_by(&ca);
    let below = Template::default().issued_by(&signs_lists);
    let expected = CertificateProblem::NotAuthority { issuer: named("lists") };
    assert_eq!(refused(&snapshot, &by_subject(&below, &[&signs_lists])), expected);
}

#[test]
fn long_chains() {
    let ca = root("CA");
    let (_host, snapshot) = trusting(&ca);
    let first = Template { path_length: Some(0), ..intermediate("first", 2) }.issued_by(&ca);
    let second = intermediate("second", 3).issued_by(&first);
    let peer = Template::default().issued_by(&second);
    let problem = refused(&snapshot, &by_subject(&peer, &[&first, &second]));
    assert_eq!(problem, CertificateProblem::ChainTooLong { subject: named("first") });

    let mut chain = vec![intermediate("first", 2).issued_by(&ca)];
    for subject in ["2", "3", "4", "5", "6", "7", "8", "9"] {
        let next = intermediate(subject, 3).issued_by(chain.last().unwrap());
        chain.push(next);
    }
    let peer = Template::default().issued_by(chain.last().unwrap());
    let problem = refused(&snapshot, &by_subject(&peer, &chain.iter().collect::<Vec<_>>()));
    assert!(matches!(problem, CertificateProblem::ChainTooLong { .. }), "{problem:?}");
}

#[test]
fn weak_keys_and_hashes() {
    let ca = root("CA");
    let (_host, snapshot) = trusting(&ca);
    let short = PKey::from_rsa(Rsa::generate(768).unwrap()).unwrap();
    let peer = Template { key: Some(short), ..Template::default() }.issued_by(&ca);
    let request = VerifyRequest { signature: Vec::new(), ..unsigned(&peer) };
    let expected = CertificateProblem::WeakKey { subject: named("gw"), bits: 768 };
    assert_eq!(refused(&snapshot, &request), expected);

    let rsa = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let authority = Template { subject: "RSA", authority: true, key: Some(rsa), ..Template::default() }.self_signed();
    let (_host, snapshot) = trusting(&authority);
    let peer = Template { hash: MessageDigest::md5(), ..Template::default() }.issued_by(&authority);
    let expected = CertificateProblem::WeakHash { subject: named("gw"), algorithm: "md5WithRSAEncryption".to_owned() };
    assert_eq!(refused(&snapshot, &by_subject(&peer, &[])), expected);
}

/// A request whose signature does not matter.
fn unsigned(peer: &Pair) -> VerifyRequest {
    let signer = Template::default().self_signed();
    let subject = peer.certificate.subject_name().to_der().unwrap();
    request(&signer, Identity::named(IdType::DER_ASN1_DN, subject), vec![payload(peer)])
}

#[test]
fn key_usage() {
    let ca = root("CA");
    let (_host, snapshot) = trusting(&ca);
    let with = |usage: &mut KeyUsage| {
        let usage = std::mem::replace(usage, KeyUsage::new());
        Template { usage: Some(usage), ..Template::default() }.issued_by(&ca)
    };
    let peer = with(KeyUsage::new().key_encipherment());
    assert_eq!(refused(&snapshot, &by_subject(&peer, &[])), CertificateProblem::KeyUsage { subject: named("gw") });
    for usage in [KeyUsage::new().digital_signature(), KeyUsage::new().non_repudiation()] {
        assert!(snapshot.verify(&by_subject(&with(usage), &[])).is_ok());
    }
}

#[test]
fn name_constraints() {
    let ca = root("CA");
    let (_host, snapshot) = trusting(&ca);
    let limited = |constraints, serial| {
        let template = Template { constraints: Some(constraints), ..intermediate("limited", serial) };
        template.issued_by(&ca)
    };
    let peer = |issuer: &Pair, host| Template { host: Some(host), ..Template::default() }.issued_by(issuer);
    let permitted = limited("critical,permitted;DNS:example", 2);
    assert!(snapshot.verify(&by_subject(&peer(&permitted, "gw.example"), &[&permitted])).is_ok());
    let expected = CertificateProblem::NameConstraints { subject: named("gw") };
    let foreign = peer(&permitted, "gw.other");
    assert_eq!(refused(&snapshot, &by_subject(&foreign, &[&permitted])), expected);
    let excluded = limited("critical,excluded;DNS:example", 3);
    let inside = peer(&excluded, "gw.example");
    assert_eq!(refused(&snapshot, &by_subject(&inside, &[&excluded])), expected);
}

#[test]
fn missing_revocation_lists() {
    let ca = root("CA");
    let host = Host::new();
    trust(host.path(), &ca);
    let peer = Template::default().issued_by(&ca);
    let required = with_trust(by_subject(&peer, &[]), |trust| trust.crl_required = true);
    let expected = PeerProblem::Certificate(CertificateProblem::NoCrl { issuer: named("CA") });
    assert_eq!(verified(&host, &required), Err(expected));
    publish(host.path(), &ca, &list(&ca, &[], (-DAY, DAY)));
    assert_eq!(verified(&host, &required).unwrap().warnings, []);
}

#[test]
fn revoked_certificates() {
    let ca = root("CA");
    let host = Host::new();
    trust(host.path(), &ca);
    let peer = Template { serial: 7, ..Template::default() }.issued_by(&ca);
    publish(host.path(), &ca, &list(&ca, &[5, 7], (-DAY, DAY)));
    let revoked = |subject: &str| {
        let problem = CertificateProblem::Revoked { subject: named(subject), at: REVOKED_AT.to_owned() };
        Err(PeerProblem::Certificate(problem))
    };
    assert_eq!(verified(&host, &by_subject(&peer, &[])), revoked("gw"));
    // The authority of the peer has no list, but is itself revoked.
    let first = intermediate("first", 5).issued_by(&ca);
    let below = Template { serial: 9, ..Template::default() }.issued_by(&first);
    assert_eq!(verified(&host, &by_subject(&below, &[&first])), revoked("first"));
    let good = Template { serial: 9, ..Template::default() }.issued_by(&ca);
    assert_eq!(verified(&host, &by_subject(&good, &[])).unwrap().warnings, []);
}

#[test]
fn unusable_revocation_lists() {
    let ca = root("CA");
    let host = Host::new();
    trust(host.path(), &ca);
    let peer = by_subject(&Template::default().issued_by(&ca), &[]);
    let with = |list: &openssl::x509::X509Crl| {
        publish(host.path(), &ca, list);
        match verified(&host, &peer) {
            Err(PeerProblem::Certificate(CertificateProblem::BadCrl { issuer, why })) => {
                assert_eq!(issuer, named("CA"));
                why
            }
            other => panic!("{other:?}"),
        }
    };
    assert!(with(&list(&ca, &[], (-9 * DAY, -DAY))).starts_with("expired on 2"));
    assert!(with(&list(&ca, &[], (DAY, 9 * DAY))).starts_with("valid only from 2"));
    assert_eq!(with(&list(&root("CA"), &[], (-DAY, DAY))), "it is not that of this authority's key");
    let same_identifier = Pair { key: root("CA").key, ..ca.clone() };
    assert_eq!(with(&list(&same_identifier, &[], (-DAY, DAY))), "its signature is wrong");
}

#[test]
fn file_of_authorities() {
    let (ca, other) = (root("CA"), root("other"));
    let host = Host::new();
    let revoking = list(&ca, &[7], (-DAY, DAY));
    let bundle = [ca.certificate.to_pem().unwrap(), other.certificate.to_pem().unwrap(), revoking.to_pem().unwrap()];
    let file = write(host.path(), "ca.pem", bundle.concat(), 0o644);
    let snapshot = host.snapshot("ca_type x509 \"ca.pem\";").unwrap();
    let trusting = |request| with_trust(request, |trust| trust.authorities = Some(file.clone()));
    for authority in [&ca, &other] {
        let peer = Template::default().issued_by(authority);
        assert!(snapshot.verify(&trusting(by_subject(&peer, &[]))).is_ok());
    }
    let revoked = Template { serial: 7, ..Template::default() }.issued_by(&ca);
    let problem = refused(&snapshot, &trusting(by_subject(&revoked, &[])));
    assert_eq!(problem, CertificateProblem::Revoked { subject: named("gw"), at: REVOKED_AT.to_owned() });
    // A trust that no section configures believes nobody.
    let peer = Template::default().issued_by(&ca);
    assert!(matches!(refused(&snapshot, &by_subject(&peer, &[])), CertificateProblem::UnknownIssuer { .. }));
}

#[test]
fn system_authorities_are_trusted_if_configured() {
    let host = Host::new();
    let count = |directives: &str, system| {
        let snapshot = host.snapshot(directives).unwrap();
        let authorities = snapshot.authorities(None, system).unwrap();
        // A name that every system's authorities lack: only the kind of look-up shows.
        authorities.store().system
    };
    assert!(!count("", false));
    assert!(count("ca_type system;", true));
}

#[test]
fn pinned_certificates() {
    let ca = root("CA");
    let host = Host::new();
    trust(host.path(), &ca);
    let peer = Template::default().issued_by(&ca);
    let file = write(host.path(), "peer.pem", peer.certificate.to_pem().unwrap(), 0o644);
    let snapshot = host.snapshot("peers_certfile x509 \"peer.pem\";").unwrap();
    let pinned = |request, verify_cert| {
        with_trust(request, |trust| {
            trust.pinned = Some(racoon_proto::credentials::PinnedKey::X509(file.clone()));
            trust.verify_cert = verify_cert;
        })
    };
    let nothing_sent = VerifyRequest { certificates: Vec::new(), ..by_subject(&peer, &[]) };
    assert!(snapshot.verify(&pinned(nothing_sent, true)).is_ok());
    // Another certificate of the same authority does not help, whatever it says.
    let other = Template::default().issued_by(&ca);
    assert_eq!(snapshot.verify(&pinned(by_subject(&other, &[]), true)), Err(PeerProblem::Signature));
    assert_eq!(snapshot.verify(&pinned(by_subject(&other, &[]), false)), Err(PeerProblem::Signature));
}
