//! An authority and its certificates, made for a test.

use std::sync::LazyLock;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName, SubjectKeyIdentifier};
use openssl::x509::{X509, X509Builder, X509Name, X509NameBuilder, X509NameRef};

/// A root authority.
pub(crate) struct Authority {
    pub(crate) certificate: X509,
    pub(crate) key: PKey<Private>,
}

/// PEM of a certificate and of its private key.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let (key, name) = (new_key(), name("CA"));
        let mut builder = certificate(&name, &name, &key, 1, 365);
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(identifier).unwrap();
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        Self { certificate: builder.build(), key }
    }

    /// The certificate in PEM.
    pub(crate) fn pem(&self) -> String {
        text(self.certificate.to_pem().unwrap())
    }

    /// A certificate for a host name, valid for a number of days, with a key on P-256.
    // One of the two test programs has no use for it.
    #[allow(dead_code)]
    pub(crate) fn issue(&self, host: &str, serial: u32, days: u32) -> Issued {
        self.issue_for(&new_key(), host, serial, days)
    }

    /// As [`Self::issue`], with an RSA key.
    pub(crate) fn issue_rsa(&self, host: &str, serial: u32, days: u32) -> Issued {
        // One is enough for all tests: making it takes as long as many of them.
        static KEY: LazyLock<PKey<Private>> = LazyLock::new(|| PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap());
        self.issue_for(&KEY, host, serial, days)
    }

    /// As [`Self::issue`], for any key.
    fn issue_for(&self, key: &PKey<Private>, host: &str, serial: u32, days: u32) -> Issued {
        let mut builder = certificate(&name(host), self.certificate.subject_name(), key, serial, days);
        let names = SubjectAlternativeName::new().dns(host).build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        Issued {
            certificate: text(builder.build().to_pem().unwrap()),
            key: text(key.private_key_to_pem_pkcs8().unwrap()),
        }
    }
}

fn new_key() -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap()).unwrap()
}

fn name(common: &str) -> X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", common).unwrap();
    name.build()
}

fn certificate(
    subject: &X509NameRef,
    issuer: &X509NameRef,
    key: &PKey<Private>,
    serial: u32,
    days: u32,
) -> X509Builder {
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(days).unwrap()).unwrap();
    builder
}

fn text(pem: Vec<u8>) -> String {
    String::from_utf8(pem).unwrap()
}
