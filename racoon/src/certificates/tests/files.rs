//! Faults of files, as the check of the configuration tells them.

use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::stack::Stack;
use openssl::symm::Cipher;
use racoon_proto::credentials::OwnProblem;

use super::pki::{DAY, Template, root, write};
use super::*;

const OWN: &str = "certificate_type x509 \"gw.pem\" \"gw.key\";";

/// A host with a certificate of its own.
fn host(pair: &Pair) -> Host {
    let host = Host::new();
    write(host.path(), "gw.pem", pair.certificate.to_pem().unwrap(), 0o644);
    write(host.path(), "gw.key", pair.key.private_key_to_pem_pkcs8().unwrap(), 0o600);
    host
}

fn sign(host: &Host, directives: &str, method: AuthMethod) -> Result<Vec<usize>, OwnProblem> {
    let snapshot = host.snapshot(directives).unwrap();
    let key = snapshot.own_names().next().unwrap().clone();
    let addresses = ([192, 0, 2, 2].into(), [192, 0, 2, 1].into());
    let request = SignRequest { key: Arc::new(key), addresses, method, hash: Secret::from(HASH.to_vec()) };
    let signed = snapshot.sign(&request)?;
    Ok(signed.certificates.iter().map(|one| one.data.len()).collect())
}

#[test]
fn keys_in_every_format() {
    let ca = root("CA");
    let first = Template { subject: "first", authority: true, ..Template::default() }.issued_by(&ca);
    let pair = Template::default().issued_by(&first);
    let host = host(&pair);
    let lengths = [&pair, &first].map(|one| one.certificate.to_der().unwrap().len());
    let [own, above] = lengths;
    assert_eq!(sign(&host, OWN, AuthMethod::ECDSA_256), Ok(vec![own]));
    // The root is not sent; the order in the file does not matter.
    let bundle = [&ca, &first, &pair].map(|one| one.certificate.to_pem().unwrap()).concat();
    write(host.path(), "gw.pem", bundle, 0o640);
    assert_eq!(sign(&host, OWN, AuthMethod::ECDSA_256), Ok(vec![own, above]));
    assert_eq!(host.problems(OWN), "");

    write(host.path(), "gw.pem", pair.certificate.to_der().unwrap(), 0o644);
    write(host.path(), "gw.key", pair.key.private_key_to_der().unwrap(), 0o640);
    assert_eq!(sign(&host, OWN, AuthMethod::ECDSA_256), Ok(vec![own]));

    write(host.path(), "gw.pass", "secret\nnot this\n", 0o600);
    let encrypted = pair.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), b"secret").unwrap();
    write(host.path(), "gw.key", encrypted, 0o600);
    let with_passphrase = "certificate_type x509 \"gw.pem\" \"gw.key\" passphrase \"gw.pass\";";
    assert_eq!(sign(&host, with_passphrase, AuthMethod::ECDSA_256), Ok(vec![own]));

    let mut above_it = Stack::new().unwrap();
    above_it.push(first.certificate.clone()).unwrap();
    let mut builder = Pkcs12::builder();
    builder.name("gw").pkey(&pair.key).cert(&pair.certificate).ca(above_it);
    write(host.path(), "gw.p12", builder.build2("secret").unwrap().to_der().unwrap(), 0o600);
    let pkcs12 = "certificate_type pkcs12 \"gw.p12\" passphrase \"gw.pass\";";
    assert_eq!(sign(&host, pkcs12, AuthMethod::ECDSA_256), Ok(vec![own, above]));
}

#[test]
fn a_key_of_another_kind_does_not_sign() {
    let host = host(&Template::default().self_signed());
    assert_eq!(sign(&host, OWN, AuthMethod::RSA_SIGNATURES), Err(OwnProblem::KeyKind("P-256".to_owned())));
    let text = OWN.to_owned()
        + " proposal { encryption_algorithm aes; hash_algorithm sha256; \
        authentication_method rsasig; dh_group 14; }";
    let config = host.load(&text).config.unwrap();
    let (_, warnings) = Snapshot::load(&config, &Files::default(), &no_report()).unwrap();
    let expected = format!("{}/racoon.conf:3:42: rsasig cannot be used: our key is P-256", host.path().display());
    assert_eq!(warnings, [expected]);

    let snapshot = Snapshot::default();
    let key = Arc::new(OwnKey::PlainRsa("no.key".into()));
    let addresses = ([192, 0, 2, 2].into(), [192, 0, 2, 1].into());
    let hash = Secret::from(HASH.to_vec());
    let request = SignRequest { key, addresses, method: AuthMethod::RSA_SIGNATURES, hash };
    assert_eq!(snapshot.sign(&request), Err(OwnProblem::NotConfigured));
}

#[test]
fn faults_of_a_private_key() {
    let pair = Template::default().self_signed();
    let host = host(&pair);
    let pem = pair.key.private_key_to_pem_pkcs8().unwrap();
    let report = |bytes: &[u8], mode| {
        write(host.path(), "gw.key", bytes, mode);
        host.problems(OWN)
    };
    let at_key = |why: &str| {
        format!(
            "racoon.conf:3:32: failed to load private key \"gw.key\"\n  {OWN}\n                                 ^\n  \
             gw.key: {why}\n"
        )
    };
    assert_eq!(report(&pem, 0o644), at_key("mode 0644 is too open: 0600 or 0640 keeps its key secret"));
    assert_eq!(report(&pem, 0o660), at_key("mode 0660 is too open: 0600 or 0640 keeps its key secret"));
    assert_eq!(report(&pem, 0o640), "");
    assert_eq!(report(b"", 0o600), at_key("it is empty"));
    assert_eq!(
        report(&vec![b'x'; (1 << 20) + 1], 0o600),
        at_key("its 1048577 bytes are more than the limit of 1048576")
    );
    assert_eq!(report(b"junk", 0o600), at_key("neither PEM nor the DER of a private key"));
    assert_eq!(report(&pair.certificate.to_pem().unwrap(), 0o600), at_key("contains no private key"));
    let other = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap().private_key_to_pem_pkcs8().unwrap();
    assert_eq!(report(&other, 0o600), at_key("this RSA key is not that of the certificate in gw.pem (P-256)"));
    let encrypted = pair.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), b"secret").unwrap();
    assert_eq!(
        report(&encrypted, 0o600),
        at_key("the key is encrypted: name the file of its passphrase with `passphrase'")
    );
}

#[test]
fn faults_of_a_passphrase() {
    let pair = Template::default().self_signed();
    let host = host(&pair);
    let encrypted = pair.key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), b"secret").unwrap();
    write(host.path(), "gw.key", encrypted, 0o600);
    let report = |text: &str, mode| {
        write(host.path(), "gw.pass", text, mode);
        let problems = host.problems("certificate_type x509 \"gw.pem\" \"gw.key\" passphrase \"gw.pass\";");
        problems.lines().last().unwrap_or_default().trim().to_owned()
    };
    assert_eq!(report("secret", 0o600), "");
    let mut builder = Pkcs12::builder();
    builder.pkey(&pair.key).cert(&pair.certificate);
    write(host.path(), "gw.p12", builder.build2("secret").unwrap().to_der().unwrap(), 0o600);
    let problems = host.problems("certificate_type pkcs12 \"gw.p12\";");
    assert_eq!(problems.matches("gw.p12: it is encrypted").count(), 1, "{problems}");
    assert_eq!(report("other", 0o600), "gw.key: the passphrase is wrong");
    assert_eq!(report("secret", 0o604), "gw.pass: mode 0604 is too open: 0600 or 0640 keeps its key secret");
    assert_eq!(report("\nsecret", 0o600), "gw.pass: its first line is empty");
    let unset = host.problems("certificate_type x509 \"gw.pem\" \"gw.key\" passphrase credential \"gw\";");
    assert!(unset.contains("warning: systemd has passed no credentials"), "{unset}");
    let path = host.problems("certificate_type x509 \"gw.pem\" \"gw.key\" passphrase credential \"../gw\";");
    assert!(path.contains("a credential has a name, not a path"), "{path}");
}

#[test]
fn faults_of_a_certificate() {
    let pair = Template::default().self_signed();
    let host = host(&pair);
    let last = |directives: &str| {
        let problems = host.problems(directives);
        problems.lines().last().unwrap_or_default().trim().to_owned()
    };
    let report = |bytes: &[u8], mode| {
        write(host.path(), "gw.pem", bytes, mode);
        last(OWN)
    };
    let pem = pair.certificate.to_pem().unwrap();
    assert_eq!(report(&pem, 0o646), "gw.pem: mode 0646 is too open: anyone could replace it");
    assert_eq!(report(b"junk", 0o644), "gw.pem: neither PEM nor the DER of a certificate");
    let key = pair.key.private_key_to_pem_pkcs8().unwrap();
    assert_eq!(report(&key, 0o644), "gw.pem: contains no certificate");
    let own = |template: Template<'_>| {
        report(&Template { key: Some(pair.key.clone()), ..template }.self_signed().certificate.to_pem().unwrap(), 0o644)
    };
    let expired = own(Template { valid: (-9 * DAY, -DAY), ..Template::default() });
    assert!(expired.starts_with("gw.pem: O=Test, CN=gw: expired on 2"), "{expired}");
    let early = own(Template { valid: (DAY, 9 * DAY), ..Template::default() });
    assert!(early.starts_with("gw.pem: O=Test, CN=gw: valid only from 2"), "{early}");
    assert!(host.load(OWN).config.is_some(), "a clock may be wrong at the start");
    // The same checks for the files of others.
    assert_eq!(last("ca_type x509 \"gw.key\";"), "gw.key: contains no certificate");
    assert_eq!(last("peers_certfile x509 \"gw.key\";"), "gw.key: contains no certificate");
    assert_eq!(last("ca_type x509 \"none.pem\";"), "none.pem: No such file or directory");
    std::fs::create_dir(host.path().join("dir")).unwrap();
    assert_eq!(last("ca_type x509 \"dir\";"), "dir: not a regular file");
}

#[test]
fn weak_keys_of_ours() {
    let rsa = |bits| PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap();
    let report = |bits| {
        let pair = Template { key: Some(rsa(bits)), ..Template::default() }.self_signed();
        let problems = host(&pair).problems(OWN);
        problems.lines().last().unwrap_or_default().trim().to_owned()
    };
    assert_eq!(report(768), "gw.pem: O=Test, CN=gw: its key of 768 bits is too short");
    assert_eq!(report(1024), "gw.pem: O=Test, CN=gw: its RSA key of 1024 bits is weak: use at least 2048");
    assert_eq!(report(2048), "");
}

#[test]
fn certificates_that_end_soon_are_named() {
    let pair = Template { valid: (-DAY, 20 * DAY), ..Template::default() }.self_signed();
    let host = host(&pair);
    let end = super::super::times::text(pair.certificate.not_after());
    let warnings = host.snapshot(OWN).unwrap().ending_soon();
    let expected = format!("{}/gw.pem: certificate of O=Test, CN=gw expires on {end}", host.path().display());
    assert_eq!(warnings, [expected]);
}

#[test]
fn plain_rsa_keys() {
    let hex = |number: &openssl::bn::BigNumRef| format!("0x{}", number.to_hex_str().unwrap());
    let private = |rsa: &Rsa<openssl::pkey::Private>| {
        format!(
            ": RSA {{ Modulus: {} PublicExponent: {} PrivateExponent: {} Prime1: {} Prime2: {} Exponent1: {} Exponent2: {} \
             Coefficient: {} }}\n",
            hex(rsa.n()),
            hex(rsa.e()),
            hex(rsa.d()),
            hex(rsa.p().unwrap()),
            hex(rsa.q().unwrap()),
            hex(rsa.dmp1().unwrap()),
            hex(rsa.dmq1().unwrap()),
            hex(rsa.iqmp().unwrap())
        )
    };
    // RFC 3110: the exponent's length, the exponent, the modulus.
    let public = |rsa: &Rsa<openssl::pkey::Private>| {
        let exponent = rsa.e().to_vec();
        let bytes = [vec![u8::try_from(exponent.len()).unwrap()], exponent, rsa.n().to_vec()].concat();
        format!(": PUB 0x{}\n", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    let [ours, other] = [(); 2].map(|()| Rsa::generate(2048).unwrap());
    let host = Host::new();
    let own = write(host.path(), "own.key", format!("192.0.2.9 {}any {}", private(&other), private(&ours)), 0o600);
    let keys = format!("192.0.2.0/24 {0}192.0.2.0/24 {1}any {0}", public(&other), public(&ours));
    let peers = write(host.path(), "peers.pub", keys, 0o644);
    let snapshot =
        host.snapshot("certificate_type plain_rsa \"own.key\"; peers_certfile plain_rsa \"peers.pub\";").unwrap();
    let hash = || Secret::from(HASH.to_vec());
    let method = AuthMethod::RSA_SIGNATURES;
    let request = |remote: [u8; 4]| SignRequest {
        key: Arc::new(OwnKey::PlainRsa(own.clone())),
        addresses: ([192, 0, 2, 2].into(), remote.into()),
        method,
        hash: hash(),
    };
    let verify = |signature, remote: [u8; 4]| {
        let pinned = Some(racoon_proto::credentials::PinnedKey::PlainRsa(peers.clone()));
        snapshot.verify(&VerifyRequest {
            trust: Arc::new(Trust { pinned, ..Trust::default() }),
            addresses: ([192, 0, 2, 2].into(), remote.into()),
            method,
            identity: Identity::address(remote.into()),
            certificates: Vec::new(),
            hash: hash(),
            signature,
        })
    };
    let signed = snapshot.sign(&request([192, 0, 2, 1])).unwrap();
    assert_eq!(signed.certificates, []);
    // The second of two keys that fit equally well.
    assert_eq!(verify(signed.signature.clone(), [192, 0, 2, 1]), Ok(VerifiedPeer::default()));
    assert_eq!(verify(signed.signature.clone(), [198, 51, 100, 1]), Err(PeerProblem::Signature));
    let other = snapshot.sign(&request([192, 0, 2, 9])).unwrap();
    assert_ne!(other, signed);
    assert_eq!(verify(other.signature, [198, 51, 100, 1]), Ok(VerifiedPeer::default()));
    let none = write(host.path(), "none.pub", format!("192.0.2.0/24 {}", public(&ours)), 0o644);
    let snapshot = host.snapshot("peers_certfile plain_rsa \"none.pub\";").unwrap();
    let pinned = Some(racoon_proto::credentials::PinnedKey::PlainRsa(none.clone()));
    let unknown = VerifyRequest {
        trust: Arc::new(Trust { pinned, ..Trust::default() }),
        addresses: ([192, 0, 2, 2].into(), [198, 51, 100, 1].into()),
        ..by_subject(&Template::default().self_signed(), &[])
    };
    assert_eq!(snapshot.verify(&unknown), Err(PeerProblem::NoPlainKey(none)));
}
