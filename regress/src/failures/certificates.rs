//! Failures of phase 1 with certificates, and certificates with which a daemon does not start.

use std::path::Path;
use std::{fs, io};

use anyhow::Result;

use super::failure::Expected::Line;
use super::failure::{AT_ONCE, Failure, HostConfig, Setup};
use crate::pki::{KeyKind, Leaf, Pki, ROOT, Validity};

/// The folder of the certificates.
macro_rules! folder {
    () => {
        "/run/pki"
    };
}

/// Directives for a side with this certificate, which trusts the root.
macro_rules! own {
    ($name:literal) => {
        own!($name, "my_identifier asn1dn;")
    };
    ($name:literal, $more:literal) => {
        own!($name, $more, "root")
    };
    ($name:literal, $more:literal, $authorities:literal) => {
        concat!(
            "proposal_check obey; certificate_type x509 \"",
            folder!(),
            "/",
            $name,
            ".pem\" \"",
            folder!(),
            "/",
            $name,
            ".key\"; ca_type x509 \"",
            folder!(),
            "/",
            $authorities,
            ".pem\"; ",
            $more
        )
    };
}

/// The revocation list of the root, by its hashed name.
const LISTS: &str = concat!("path certificate \"", folder!(), "/lists\";\n");

pub(super) const FAILURES: &[Failure] = &[
    // A daemon does not start with an expired certificate of its own.
    Failure::new(
        "certificate: that of the initiator's authority has expired",
        |setup| sign(setup, own!("below"), own!("bob", "my_identifier asn1dn;", "both")),
        Line(AT_ONCE, &["the peer says INVALID-CERT-AUTHORITY"]),
        Line(AT_ONCE, &["certificate C=CH, O=Example, CN=old.example expired at 2021-01-01"]),
    ),
    Failure::new(
        "certificate: that of the responder's authority has expired",
        |setup| sign(setup, own!("alice", "my_identifier asn1dn;", "both"), own!("below")),
        Line(AT_ONCE, &["certificate C=CH, O=Example, CN=old.example expired at 2021-01-01"]),
        Line(AT_ONCE, &["the peer says INVALID-CERT-AUTHORITY"]),
    ),
    Failure::new(
        "certificate: the initiator's is not yet valid",
        |setup| sign(setup, own!("future"), own!("bob")),
        Line(AT_ONCE, &["the peer says INVALID-CERT-AUTHORITY"]),
        Line(AT_ONCE, &["certificate C=CH, O=Example, CN=future.example is not valid before 2044-01-01"]),
    ),
    Failure::new(
        "certificate: the initiator's is of an unknown authority",
        |setup| sign(setup, own!("stranger"), own!("bob")),
        Line(AT_ONCE, &["the peer says INVALID-CERT-AUTHORITY"]),
        Line(AT_ONCE, &["issuer C=CH, O=Example, CN=other.example", "is not a trusted authority"]),
    ),
    Failure::new(
        "certificate: the initiator's has been revoked",
        |setup| {
            sign(setup, own!("revoked"), own!("bob"));
            setup.bob.head = LISTS;
        },
        Line(AT_ONCE, &["the peer says INVALID-CERT-AUTHORITY"]),
        Line(AT_ONCE, &["certificate C=CH, O=Example, CN=revoked.example was revoked at "]),
    ),
    Failure::new(
        "certificate: no revocation list, under crl_policy require",
        |setup| sign(setup, own!("alice"), own!("bob", "my_identifier asn1dn; crl_policy require;")),
        Line(AT_ONCE, &["the peer says INVALID-CERT-AUTHORITY"]),
        Line(AT_ONCE, &["there is no revocation list of authority C=CH, O=Example, CN=root.example"]),
    ),
    Failure::new(
        "certificate: it does not have the initiator's identity",
        |setup| sign(setup, own!("alice", "my_identifier fqdn \"carol.example\";"), own!("bob")),
        Line(AT_ONCE, &["the peer says INVALID-ID-INFORMATION"]),
        Line(AT_ONCE, &["carol.example", "CN=alice.example", "which names alice.example"]),
    ),
    Failure::new(
        "certificate: the initiator sends none",
        |setup| sign(setup, own!("alice", "my_identifier asn1dn; send_cert off;"), own!("bob")),
        Line(AT_ONCE, &["the peer says "]),
        Line(AT_ONCE, &["it sent no certificate, and none is configured for it"]),
    ),
    Failure::new(
        "certificate: the initiator has another key than the configured one",
        |setup| {
            sign(
                setup,
                own!("alice"),
                own!("bob", "my_identifier asn1dn; verify_cert off; peers_certfile x509 \"/run/pki/carol.pem\";"),
            );
        },
        Line(AT_ONCE, &["the peer says INVALID-SIGNATURE"]),
        Line(AT_ONCE, &["its signature was not made with its key"]),
    ),
    Failure::new(
        "certificate: the responder expects another subject",
        |setup| {
            sign(
                setup,
                own!("alice"),
                own!(
                    "bob",
                    "my_identifier asn1dn; verify_identifier on; peers_identifier asn1dn \"C=CH, O=Example, CN=carol.example\";"
                ),
            );
        },
        Line(AT_ONCE, &["phase1 negotiation failed"]),
        Line(AT_ONCE, &["CN=alice.example", "CN=carol.example"]),
    ),
    Failure::start(
        "start: the private key is not that of the certificate",
        |start| configure(&mut start.config, own!("mixed")),
        &["mixed.key", "is not that of the certificate in"],
    ),
    Failure::start(
        "start: the certificate has expired",
        |start| configure(&mut start.config, own!("expired")),
        &["expired.pem", "CN=expired.example: expired on 2021-01-01"],
    ),
    Failure::start(
        "start: no such certificate",
        |start| configure(&mut start.config, own!("missing")),
        &["missing.pem", "No such file"],
    ),
    Failure::start(
        "start: others can read the private key",
        |start| configure(&mut start.config, own!("open")),
        &["open.key", "too open"],
    ),
];

/// Sets both sides to signatures, each with its own directives.
fn sign(setup: &mut Setup, alice: &'static str, bob: &'static str) {
    configure(&mut setup.alice, alice);
    configure(&mut setup.bob, bob);
}

fn configure(config: &mut HostConfig, directives: &'static str) {
    config.method = "ecdsasig";
    config.remote = directives;
}

/// Makes the certificates of all failures.
pub(super) fn make() -> Result<()> {
    let pki = Pki::new(Path::new(folder!()))?;
    let leaf = |name: &str, issuer: &str, validity: Validity| {
        let names = format!("DNS:{name}.example");
        pki.leaf(&Leaf { issuer, validity, ..Leaf::new(name, KeyKind::P256, &names) })
    };
    for name in ["alice", "bob", "carol", "revoked", "mixed", "open"] {
        leaf(name, ROOT, Validity::Current)?;
    }
    leaf("expired", ROOT, Validity::Expired)?;
    leaf("future", ROOT, Validity::NotYet)?;
    pki.authority("other", None, Validity::Current)?;
    pki.authority("old", Some(ROOT), Validity::Expired)?;
    leaf("below", "old", Validity::Current)?;
    let both = [ROOT, "old"].map(|name| fs::read_to_string(pki.certificate(name)));
    fs::write(pki.certificate("both"), both.into_iter().collect::<io::Result<String>>()?)?;
    leaf("stranger", "other", Validity::Current)?;
    pki.revoke(ROOT, "revoked")?;
    pki.hashed(Path::new(concat!(folder!(), "/lists")), &[pki.revocation_list(ROOT)?])?;
    fs::copy(pki.private_key("alice"), pki.private_key("mixed"))?;
    fs::set_permissions(pki.private_key("open"), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    Ok(())
}
