use openssl::asn1::{Asn1Object, Asn1OctetString};
use openssl::x509::{X509, X509Extension};

use super::*;
use crate::certificate::fixture::{alternatives, certificate, key, name};
use crate::certificate::{issuer, subject};

/// A certificate for `C=NL, O=Example, CN=gw.example` with two names of each type.
fn gateway() -> X509 {
    let subject = name(&[("C", "NL"), ("O", "Example"), ("CN", "gw.example")]).to_der().unwrap();
    let names = alternatives(|names| {
        names.dns("first.example").dns("Second.example").dns("*.example");
        names.email("admin@example.net").email("Root@example.net");
        names.ip("192.0.2.1").ip("192.0.2.2").ip("2001:db8::1").ip("2001:db8::2");
        names.uri("http://gw.example");
    });
    certificate(&subject, &key(), |builder| builder.append_extension(names).unwrap())
}

/// A certificate with an encoded subjectAltName extension.
fn encoded(extension: &[u8]) -> X509 {
    let oid = Asn1Object::from_str("subjectAltName").unwrap();
    let value = Asn1OctetString::new_from_bytes(extension).unwrap();
    let extension = X509Extension::new_from_der(&oid, false, &value).unwrap();
    certificate(&[0x30, 0], &key(), |builder| builder.append_extension(extension).unwrap())
}

fn contains(certificate: &X509, kind: IdType, data: &[u8]) -> bool {
    let identity = Identity::named(kind, data);
    match check_identity(&identity, certificate) {
        Ok(()) => true,
        Err(PeerProblem::NotNamed { identity: named, .. }) if named == identity => false,
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn every_name_of_the_type_is_looked_at() {
    let gateway = gateway();
    for (kind, name) in [
        (IdType::FQDN, &b"first.example"[..]),
        (IdType::FQDN, b"Second.example"),
        (IdType::FQDN, b"*.example"),
        (IdType::USER_FQDN, b"admin@example.net"),
        (IdType::USER_FQDN, b"Root@example.net"),
        (IdType::IPV4_ADDR, &[192, 0, 2, 1]),
        (IdType::IPV4_ADDR, &[192, 0, 2, 2]),
        (IdType::IPV6_ADDR, &[0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]),
    ] {
        assert!(contains(&gateway, kind, name), "{kind} {}", name.escape_ascii());
    }
}

#[test]
fn other_names_are_not_contained() {
    let gateway = gateway();
    for (kind, name) in [
        (IdType::FQDN, &b"gw.example"[..]),
        (IdType::FQDN, b"FIRST.example"),
        (IdType::FQDN, b"second.example"),
        (IdType::FQDN, b"third.example"),
        (IdType::FQDN, b"first.example."),
        (IdType::FQDN, b"first.exampl"),
        (IdType::FQDN, b"first.example\0"),
        (IdType::FQDN, b"admin@example.net"),
        (IdType::FQDN, b"192.0.2.1"),
        (IdType::FQDN, b""),
        (IdType::USER_FQDN, b"first.example"),
        (IdType::USER_FQDN, b"root@example.net"),
        (IdType::IPV4_ADDR, &[192, 0, 2, 3]),
        (IdType::IPV4_ADDR, &[192, 0, 2]),
        (IdType::IPV4_ADDR, b""),
        (IdType::IPV4_ADDR_SUBNET, &[192, 0, 2, 1, 255, 255, 255, 255]),
        (IdType::IPV4_ADDR_RANGE, &[192, 0, 2, 1, 192, 0, 2, 1]),
        (IdType::IPV6_ADDR, &[192, 0, 2, 1]),
        (IdType::KEY_ID, b"first.example"),
        (IdType::DER_ASN1_GN, b"first.example"),
        (IdType(0), b"first.example"),
        (IdType(99), b""),
    ] {
        assert!(!contains(&gateway, kind, name), "{kind} {}", name.escape_ascii());
    }
}

#[test]
fn a_refusal_lists_the_names_that_are_there() {
    let found = |kind, data: &[u8]| match check_identity(&Identity::named(kind, data), &gateway()) {
        Err(PeerProblem::NotNamed { subject, found, .. }) => (subject, found),
        other => panic!("{other:?}"),
    };
    let subject = "C=NL, O=Example, CN=gw.example";
    assert_eq!(
        found(IdType::FQDN, b"x"),
        (subject.into(), ["first.example", "Second.example", "*.example"].map(Into::into).into())
    );
    assert_eq!(found(IdType::IPV6_ADDR, b"x").1, ["2001:db8::1", "2001:db8::2"]);
    assert_eq!(found(IdType::IPV4_ADDR, b"x").1, ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(found(IdType::DER_ASN1_DN, b"x").1, [subject]);
    assert_eq!(found(IdType::KEY_ID, b"x").1, [""; 0]);
}

#[test]
fn a_distinguished_name_is_the_whole_subject() {
    let gateway = gateway();
    let is = |attributes: &[(&str, &str)]| contains(&gateway, IdType::DER_ASN1_DN, &name(attributes).to_der().unwrap());
    assert!(is(&[("C", "NL"), ("O", "Example"), ("CN", "gw.example")]));
    assert!(is(&[("C", "nl"), ("O", " EXAMPLE"), ("CN", "GW.example")]));
    assert!(!is(&[("C", "NL"), ("O", "Example"), ("CN", "*")]));
    assert!(!is(&[("C", "NL"), ("O", "Example")]));
    assert!(!is(&[("CN", "gw.example"), ("O", "Example"), ("C", "NL")]));
    assert!(!is(&[("C", "NL"), ("O", "Example"), ("CN", "gw.example"), ("CN", "gw.example")]));
    assert!(!is(&[("C", "NL"), ("OU", "Example"), ("CN", "gw.example")]));
    assert!(!is(&[]));
    let der = gateway.subject_name().to_der().unwrap();
    assert!(contains(&gateway, IdType::DER_ASN1_DN, &der));
    assert!(!contains(&gateway, IdType::DER_ASN1_DN, &[&der[..], &[0]].concat()));
    assert!(!contains(&gateway, IdType::DER_ASN1_DN, &der[1..]));
    assert_eq!((subject(&gateway), issuer(&gateway)), (name_of(&gateway), name_of(&gateway)));
}

fn name_of(certificate: &X509) -> String {
    crate::identity::Name::of(certificate.subject_name()).unwrap().to_string()
}

#[test]
fn an_empty_subject_is_nobody() {
    let nameless = certificate(&[0x30, 0], &key(), |_| ());
    assert!(!contains(&nameless, IdType::DER_ASN1_DN, &[0x30, 0]));
    assert!(!contains(&nameless, IdType::FQDN, b""));
    assert_eq!(names(&nameless, IdType::FQDN), [""; 0]);
}

/// Authorities have issued certificates for names with a NUL, of which they had only read the part before it or after it
/// (CVE-2009-2408).
#[test]
fn names_with_a_nul_count_for_nothing() {
    // dNSName "gw\0x", rfc822Name "a\0", dNSName "".
    let certificate = encoded(&[0x30, 12, 0x82, 4, b'g', b'w', 0, b'x', 0x81, 2, b'a', 0, 0x82, 0]);
    for (kind, name) in [
        (IdType::FQDN, &b"gw"[..]),
        (IdType::FQDN, b"gw\0x"),
        (IdType::FQDN, b"x"),
        (IdType::FQDN, b""),
        (IdType::USER_FQDN, b"a"),
        (IdType::USER_FQDN, b"a\0"),
    ] {
        assert!(!contains(&certificate, kind, name), "{}", name.escape_ascii());
    }
    assert_eq!(names(&certificate, IdType::FQDN), [r"gw\0x", ""]);
}

#[test]
fn invalid_names_are_ignored() {
    // iPAddress of 3 and of 8 bytes (a subnet of a name constraint), dNSName of no characters, then a valid one.
    let addresses = [0x87, 3, 192, 0, 2, 0x87, 8, 192, 0, 2, 0, 255, 255, 255, 0, 0x82, 2, 0xff, 0xfe, 0x82, 1, b'a'];
    let certificate = encoded(&[&[0x30, 22], &addresses[..]].concat());
    assert_eq!(names(&certificate, IdType::IPV4_ADDR), [""; 0]);
    assert_eq!(names(&certificate, IdType::FQDN), ["a"]);
    assert!(contains(&certificate, IdType::FQDN, b"a"));
    for broken in [&[][..], &[0x30], &[0x30, 5, 0x82], &[0x31, 0], &[0x30, 0x80, 0, 0], &[0x30, 0]] {
        let certificate = encoded(broken);
        assert!(!contains(&certificate, IdType::FQDN, b"a"), "{broken:02x?}");
        assert!(ErrorStack::get().errors().is_empty());
    }
}

#[test]
fn the_first_of_two_extensions_is_not_preferred() {
    let names = |name: &str| {
        alternatives(|names| {
            names.dns(name);
        })
    };
    let two = certificate(&[0x30, 0], &key(), |builder| {
        builder.append_extension(names("a.example")).unwrap();
        builder.append_extension(names("b.example")).unwrap();
    });
    assert!(!contains(&two, IdType::FQDN, b"a.example") && !contains(&two, IdType::FQDN, b"b.example"));
}
