//! Authorities, certificates and revocation lists, made for a test.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::BigNum;
use openssl::conf::{Conf, ConfMethod};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, CrlNumber, KeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{
    X509, X509Builder, X509Crl, X509CrlBuilder, X509Extension, X509Name, X509NameBuilder, X509NameRef,
    X509RevokedBuilder,
};
use racoon_proto::credentials::Certificate;
use racoon_proto::num::CertEncoding;

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// A certificate and its key.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) certificate: X509,
    pub(super) key: PKey<Private>,
}

/// What a certificate is to contain.
pub(super) struct Template<'a> {
    pub(super) subject: &'a str,
    pub(super) serial: u32,
    /// Beginning and end of the validity, in seconds from now.
    pub(super) valid: (i64, i64),
    pub(super) authority: bool,
    /// Greatest number of authorities below.
    pub(super) path_length: Option<u32>,
    pub(super) usage: Option<KeyUsage>,
    /// Host name among the alternative names.
    pub(super) host: Option<&'a str>,
    /// The value of the extension nameConstraints.
    pub(super) constraints: Option<&'a str>,
    pub(super) hash: MessageDigest,
    pub(super) key: Option<PKey<Private>>,
}

impl Default for Template<'_> {
    fn default() -> Self {
        Self {
            subject: "gw",
            serial: 1,
            valid: (-DAY, 300 * DAY),
            authority: false,
            path_length: None,
            usage: None,
            host: None,
            constraints: None,
            hash: MessageDigest::sha256(),
            key: None,
        }
    }
}

/// Returns a key on a curve.
pub(super) fn ec_key(curve: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap()
}

fn name(common: &str) -> X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("O", "Test").unwrap();
    name.append_entry_by_text("CN", common).unwrap();
    name.build()
}

/// Returns the time in a number of seconds.
pub(super) fn time(seconds: i64) -> Asn1Time {
    let now = i64::try_from(crate::clock::since_1970()).unwrap();
    Asn1Time::from_unix(now + seconds).unwrap()
}

fn serial(number: u32) -> Asn1Integer {
    BigNum::from_u32(number).unwrap().to_asn1_integer().unwrap()
}

impl Template<'_> {
    /// A certificate that signs itself.
    pub(super) fn self_signed(&self) -> Pair {
        let key = self.key.clone().unwrap_or_else(|| ec_key(Nid::X9_62_PRIME256V1));
        Pair { certificate: self.build(&key, &name(self.subject), &key), key }
    }

    /// A certificate of an issuer.
    pub(super) fn issued_by(&self, issuer: &Pair) -> Pair {
        let key = self.key.clone().unwrap_or_else(|| ec_key(Nid::X9_62_PRIME256V1));
        Pair { certificate: self.build(&key, issuer.certificate.subject_name(), &issuer.key), key }
    }

    fn build(&self, key: &PKey<Private>, issuer: &X509NameRef, issuer_key: &PKey<Private>) -> X509 {
        let mut builder = X509Builder::new().unwrap();
        builder.set_version(2).unwrap();
        builder.set_serial_number(&serial(self.serial)).unwrap();
        builder.set_subject_name(&name(self.subject)).unwrap();
        builder.set_issuer_name(issuer).unwrap();
        builder.set_pubkey(key).unwrap();
        builder.set_not_before(&time(self.valid.0)).unwrap();
        builder.set_not_after(&time(self.valid.1)).unwrap();
        if self.authority {
            let mut constraints = BasicConstraints::new();
            constraints.critical().ca();
            if let Some(length) = self.path_length {
                constraints.pathlen(length);
            }
            builder.append_extension(constraints.build().unwrap()).unwrap();
            let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(identifier).unwrap();
        }
        if let Some(usage) = &self.usage {
            builder.append_extension(usage.build().unwrap()).unwrap();
        }
        if let Some(host) = self.host {
            let names = SubjectAlternativeName::new().dns(host).build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(names).unwrap();
        }
        if let Some(constraints) = self.constraints {
            let conf = Conf::new(ConfMethod::default()).unwrap();
            #[allow(deprecated)]
            let extension = {
                let context = builder.x509v3_context(None, Some(&conf));
                X509Extension::new_nid(Some(&conf), Some(&context), Nid::NAME_CONSTRAINTS, constraints).unwrap()
            };
            builder.append_extension(extension).unwrap();
        }
        builder.sign(issuer_key, self.hash).unwrap();
        builder.build()
    }
}

/// A root authority.
pub(super) fn root(subject: &str) -> Pair {
    Template { subject, authority: true, valid: (-400 * DAY, 400 * DAY), ..Template::default() }.self_signed()
}

/// Returns a revocation list, valid for a time in seconds from now.
pub(super) fn list(issuer: &Pair, revoked: &[u32], valid: (i64, i64)) -> X509Crl {
    let mut list = X509CrlBuilder::new().unwrap();
    list.set_issuer_name(issuer.certificate.subject_name()).unwrap();
    list.set_last_update(&time(valid.0)).unwrap();
    list.set_next_update(&time(valid.1)).unwrap();
    for number in revoked {
        let mut entry = X509RevokedBuilder::new().unwrap();
        entry.set_serial_number(&serial(*number)).unwrap();
        entry.set_revocation_date(&Asn1Time::from_unix(951_868_800).unwrap()).unwrap();
        list.add_revoked(entry.build()).unwrap();
    }
    let context = X509Builder::new().unwrap();
    let context = context.x509v3_context(Some(&issuer.certificate), None);
    // RFC 5280 section 5.2 wants both in every list.
    list.append_extension(AuthorityKeyIdentifier::new().keyid(true).build(&context).unwrap()).unwrap();
    list.append_extension(CrlNumber::new(BigNum::from_u32(1).unwrap()).unwrap().build().unwrap()).unwrap();
    list.sign(&issuer.key, MessageDigest::sha256()).unwrap();
    list.build().unwrap()
}

/// Returns a certificate as a peer sends it.
pub(super) fn payload(pair: &Pair) -> Certificate {
    Certificate { encoding: CertEncoding::X509_SIGNATURE, data: pair.certificate.to_der().unwrap() }
}

/// Writes a file with a mode, and returns its path.
pub(super) fn write(directory: &Path, name: &str, bytes: impl AsRef<[u8]>, mode: u32) -> PathBuf {
    let path = directory.join(name);
    // Another inode, so that a change within the clock's resolution is seen.
    let new = directory.join(".new");
    fs::write(&new, bytes).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(mode)).unwrap();
    fs::rename(&new, &path).unwrap();
    path
}

/// Puts a certificate into a hashed directory.
pub(super) fn trust(directory: &Path, authority: &Pair) {
    let name = format!("{:08x}.0", authority.certificate.subject_name_hash());
    write(directory, &name, authority.certificate.to_pem().unwrap(), 0o644);
}

/// Puts a revocation list into a hashed directory.
pub(super) fn publish(directory: &Path, authority: &Pair, list: &X509Crl) {
    let name = format!("{:08x}.r0", authority.certificate.subject_name_hash());
    write(directory, &name, list.to_pem().unwrap(), 0o644);
}
