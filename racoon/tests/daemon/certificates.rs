use std::process::Command;

use nix::sys::signal::Signal;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::Private;
use openssl::rsa::Rsa;
use openssl::x509::extension::{AuthorityKeyIdentifier, CrlNumber};
use openssl::x509::{X509, X509Builder, X509CrlBuilder, X509RevokedBuilder};

use crate::negotiation::{ESTABLISH, TIMER};
use crate::pki::{Authority, Issued};
use crate::{Site, eventually};

/// Gives a host a certificate and its configuration for a peer.
fn configure(site: &Site, issued: (&Authority, &Issued), names: (&str, &str), peer: u16) {
    configure_method(site, issued, names, peer, "ecdsasig");
}

fn configure_method(
    site: &Site,
    (authority, own): (&Authority, &Issued),
    names: (&str, &str),
    peer: u16,
    method: &str,
) {
    std::fs::create_dir_all(site.path("certs")).unwrap();
    site.write("certs/ca.pem", &authority.pem());
    site.write("certs/own.pem", &own.certificate);
    site.write("certs/own.key", &own.key);
    let (own, other) = names;
    site.configure(&format!(
        "path certificate \"DIR/certs\";\n{TIMER}\nremote 127.0.0.1 [{peer}] {{\n    exchange_mode main;\n    \
         my_identifier fqdn \"{own}\";\n    peers_identifier fqdn \"{other}\";\n    verify_identifier on;\n    \
         certificate_type x509 \"own.pem\" \"own.key\";\n    ca_type x509 \"ca.pem\";\n    \
         initial_contact off;\n    proposal {{\n        encryption_algorithm aes 256;\n        hash_algorithm sha256;\n        \
         authentication_method {method};\n        dh_group ecp256;\n    }}\n}}\n"
    ));
}

/// Two hosts with certificates of one authority.
fn two_sites(authority: &Authority) -> (Site, Site) {
    let (a, b) = (Site::new(), Site::new());
    configure(&a, (authority, &authority.issue("a.example", 2, 300)), ("a.example", "b.example"), b.port);
    configure(&b, (authority, &authority.issue("b.example", 3, 300)), ("b.example", "a.example"), a.port);
    (a, b)
}

#[test]
fn phase_1_with_certificates() {
    let authority = Authority::new();
    let (a, b) = two_sites(&authority);
    let _daemons = (a.start(&["-Z"]), b.start(&["-Z"]));
    let ran = a.ctl(&ESTABLISH);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""), "{}", a.log());
    a.await_log("ISAKMP-SA established");
    b.await_log("ISAKMP-SA established");
    assert!(eventually(|| a.log().contains("CN=b.example")), "{}", a.log());
    assert!(eventually(|| b.log().contains("CN=a.example")), "{}", b.log());

    let printed = a.ctl(&["get-cert", "--pem", "inet", "127.0.0.1", "127.0.0.1"]).stdout;
    let der = Command::new(env!("CARGO_BIN_EXE_racoonctl"))
        .arg("-s")
        .arg(a.path("racoon.sock"))
        .args(["gc", "inet", "0.0.0.0", "127.0.0.1"])
        .output()
        .unwrap();
    let issued = X509::from_pem(&std::fs::read(b.path("certs/own.pem")).unwrap()).unwrap().to_der().unwrap();
    assert_eq!(der.stdout, issued, "{}", String::from_utf8_lossy(&der.stderr));
    assert_eq!(X509::from_pem(printed.as_bytes()).unwrap().to_der().unwrap(), issued);
    let text = a.ctl(&["get-cert", "--text", "inet", "127.0.0.1", "127.0.0.1"]).stdout;
    assert!(text.contains("DNS:b.example"), "{text}");
}

#[test]
fn phase_1_with_rsa_signatures() {
    let authority = Authority::new();
    let (a, b) = (Site::new(), Site::new());
    let names = ["a.example", "b.example"];
    let [of_a, of_b] = names.map(|name| authority.issue_rsa(name, 2, 300));
    configure_method(&a, (&authority, &of_a), (names[0], names[1]), b.port, "rsasig");
    configure_method(&b, (&authority, &of_b), (names[1], names[0]), a.port, "rsasig");
    let _daemons = (a.start(&["-Z"]), b.start(&["-Z"]));
    assert_eq!(a.ctl(&ESTABLISH).status, Some(0));
    a.await_log("ISAKMP-SA established");
    b.await_log("ISAKMP-SA established");
}

#[test]
fn phase_1_with_plain_rsa_keys() {
    let keys = [(); 2].map(|()| Rsa::generate(2048).unwrap());
    let (a, b) = (Site::new(), Site::new());
    for (site, own, other, peer) in [(&a, &keys[0], &keys[1], b.port), (&b, &keys[1], &keys[0], a.port)] {
        site.write("own.key", &private_entry(own));
        site.write("peers.pub", &public_entry(other));
        site.configure(&format!(
            "path certificate \"DIR\";\n{TIMER}\nremote 127.0.0.1 [{peer}] {{\n    exchange_mode main;\n    \
             certificate_type plain_rsa \"own.key\";\n    peers_certfile plain_rsa \"peers.pub\";\n    \
             proposal {{ encryption_algorithm aes; hash_algorithm sha256; authentication_method rsasig; dh_group 19; }}\n}}\n"
        ));
    }
    let _daemons = (a.start(&["-Z"]), b.start(&["-Z"]));
    assert_eq!(a.ctl(&ESTABLISH).status, Some(0));
    a.await_log("ISAKMP-SA established");
    b.await_log("ISAKMP-SA established");
}

fn private_entry(key: &Rsa<Private>) -> String {
    let numbers = [
        ("Modulus", key.n()),
        ("PublicExponent", key.e()),
        ("PrivateExponent", key.d()),
        ("Prime1", key.p().unwrap()),
        ("Prime2", key.q().unwrap()),
        ("Exponent1", key.dmp1().unwrap()),
        ("Exponent2", key.dmq1().unwrap()),
        ("Coefficient", key.iqmp().unwrap()),
    ];
    let fields = numbers.map(|(name, number)| format!("{name}: 0x{}\n", number.to_hex_str().unwrap()));
    format!(": RSA {{\n{}}}\n", fields.concat())
}

/// RFC 3110: the length of the exponent, the exponent, the modulus.
fn public_entry(key: &Rsa<Private>) -> String {
    let exponent = key.e().to_vec();
    let bytes = [vec![u8::try_from(exponent.len()).unwrap()], exponent, key.n().to_vec()].concat();
    format!(": PUB 0x{}\n", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// A list that appears while the daemons run.
#[test]
fn a_revoked_certificate_is_refused() {
    let authority = Authority::new();
    let (a, b) = two_sites(&authority);
    let _daemons = (a.start(&["-Z"]), b.start(&["-Z"]));
    let name = format!("certs/{:08x}.r0", authority.certificate.subject_name_hash());
    b.write(&name, &revoking(&authority, 2));
    a.ctl(&ESTABLISH);
    b.await_log("revoked");
    assert!(!b.log().contains("ISAKMP-SA established"), "{}", b.log());
    // The list no longer has it.
    b.write(&name, &revoking(&authority, 7));
    assert!(
        eventually(|| {
            a.ctl(&ESTABLISH);
            b.log().contains("ISAKMP-SA established")
        }),
        "{}",
        b.log()
    );
}

/// Returns PEM of a revocation list with one entry.
fn revoking(authority: &Authority, serial: u32) -> String {
    let mut list = X509CrlBuilder::new().unwrap();
    list.set_issuer_name(authority.certificate.subject_name()).unwrap();
    list.set_last_update(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    list.set_next_update(&Asn1Time::days_from_now(9).unwrap()).unwrap();
    let mut entry = X509RevokedBuilder::new().unwrap();
    entry.set_serial_number(&BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap()).unwrap();
    entry.set_revocation_date(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    list.add_revoked(entry.build()).unwrap();
    let context = X509Builder::new().unwrap();
    let context = context.x509v3_context(Some(&authority.certificate), None);
    list.append_extension(AuthorityKeyIdentifier::new().keyid(true).build(&context).unwrap()).unwrap();
    list.append_extension(CrlNumber::new(BigNum::from_u32(1).unwrap()).unwrap().build().unwrap()).unwrap();
    list.sign(&authority.key, MessageDigest::sha256()).unwrap();
    String::from_utf8(list.build().unwrap().to_pem().unwrap()).unwrap()
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let (a, b) = two_sites(&authority);
    configure(&a, (&authority, &authority.issue("c.example", 4, 300)), ("a.example", "b.example"), b.port);
    let _daemons = (a.start(&["-Z"]), b.start(&["-Z"]));
    a.ctl(&ESTABLISH);
    b.await_log("c.example");
    assert!(!b.log().contains("ISAKMP-SA established"), "{}", b.log());
}

#[test]
fn reload_with_an_unusable_file_keeps_the_old_certificate() {
    let authority = Authority::new();
    let site = Site::new();
    let own = authority.issue("a.example", 2, 20);
    configure(&site, (&authority, &own), ("a.example", "b.example"), site.port);
    let daemon = site.start(&[]);
    let soon = "WARNING: DIR/certs/own.pem: certificate of CN=a.example expires on 20";
    let directory = site.path("");
    let log = || site.log().replace(directory.to_str().unwrap().trim_end_matches('/'), "DIR");
    assert!(log().contains(soon), "{}", log());

    site.write("certs/own.pem", "nothing\n");
    daemon.signal(Signal::SIGHUP);
    site.await_log("ERROR: the configuration cannot be used: the old one stays in effect");
    assert!(log().contains("failed to load certificate \"own.pem\""), "{}", log());
    assert!(log().contains("DIR/certs/own.pem: neither PEM nor the DER of a certificate"), "{}", log());

    let renewed = authority.issue("a.example", 5, 300);
    site.write("certs/own.pem", &renewed.certificate);
    site.write("certs/own.key", &renewed.key);
    assert_eq!(site.ctl(&["reload-config"]).status, Some(0), "{}", log());
    assert_eq!(log().matches(soon).count(), 1, "{}", log());
}
