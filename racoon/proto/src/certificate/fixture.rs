//! Certificates for tests.

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509Builder, X509Extension, X509Name};

use crate::identity::{Name, NameAttribute};

/// Returns a key.
pub(crate) fn key() -> PKey<Private> {
    PKey::ec_gen("P-256").unwrap()
}

/// Returns a name.
pub(crate) fn name(attributes: &[(&str, &str)]) -> Name {
    Name(attributes.iter().map(|(kind, text)| NameAttribute::text(kind, *text).unwrap()).collect())
}

/// Returns a certificate with a subject in DER, and whatever `add` adds, which its own key has signed.
pub(crate) fn certificate(subject: &[u8], key: &PKey<Private>, add: impl FnOnce(&mut X509Builder)) -> X509 {
    let mut builder = X509::builder().unwrap();
    let subject = X509Name::from_der(subject).unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&BigNum::from_u32(1).unwrap()).unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    add(&mut builder);
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}

/// Returns an extension with the names that `add` adds.
pub(crate) fn alternatives(add: impl FnOnce(&mut SubjectAlternativeName)) -> X509Extension {
    let mut names = SubjectAlternativeName::new();
    add(&mut names);
    names.build(&X509::builder().unwrap().x509v3_context(None, None)).unwrap()
}
