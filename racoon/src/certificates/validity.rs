//! What a certificate's own contents say about its use: times, strength of its key and of its signature.

use std::path::Path;

use ipsec_conf::racoon::{CredentialFile, FileFault, Severity};
use openssl::asn1::Asn1Time;
use openssl::nid::Nid;
use openssl::pkey::Id;
use openssl::x509::{X509, X509KeyUsage, X509Ref};
use racoon_proto::certificate;
use racoon_proto::credentials::CertificateProblem;

use super::times;

/// Days before its end from which a certificate is reported.
const SOON: u32 = 30;

/// The shortest accepted RSA key in bits, for old peers that have none longer.
const RSA_MIN: u32 = 1024;

/// The shortest RSA key in bits that is not reported.
const RSA_GOOD: u32 = 2048;

/// The shortest accepted key on an elliptic curve in bits.
const EC_MIN: u32 = 224;

/// Checks the strength of a certificate's key and of the hash under its signature.
///
/// # Errors
/// If one is too weak.
pub(super) fn strength(certificate: &X509Ref, is_trusted: bool) -> Result<(), CertificateProblem> {
    let subject = || certificate::subject(certificate);
    if let Ok(key) = certificate.public_key() {
        let minimum = match key.id() {
            Id::RSA | Id::RSA_PSS | Id::DSA => RSA_MIN,
            _ => EC_MIN,
        };
        if key.bits() < minimum {
            return Err(CertificateProblem::WeakKey { subject: subject(), bits: key.bits() });
        }
    }
    let algorithm = certificate.signature_algorithm().object().nid();
    // Nobody needs to forge the signature of a certificate that is trusted by itself.
    if !is_trusted && [Nid::MD5WITHRSAENCRYPTION, Nid::MD2WITHRSAENCRYPTION].contains(&algorithm) {
        let algorithm = algorithm.long_name().unwrap_or("MD5").to_owned();
        return Err(CertificateProblem::WeakHash { subject: subject(), algorithm });
    }
    Ok(())
}

/// Whether the key of a certificate may make signatures: its key usage allows it, or it has none (RFC 4945 section 5.1.3.2).
pub(super) fn may_sign(certificate: &X509Ref) -> bool {
    let signing = X509KeyUsage::DIGITAL_SIGNATURE | X509KeyUsage::NON_REPUDIATION;
    certificate.key_usage().is_none_or(|usage| usage.intersects(signing))
}

/// Returns what is wrong with a certificate of ours, the first of a chain, or with those of its issuers.
pub(super) fn faults(path: &Path, chain: &[X509]) -> Vec<FileFault> {
    let mut faults = Vec::new();
    for (at, one) in chain.iter().enumerate() {
        let subject = certificate::subject(one);
        let mut add = |severity, why: String| {
            let why = format!("{}: {subject}: {why}", path.display());
            faults.push(FileFault { file: CredentialFile::Certificate, severity, why });
        };
        if is_past(one) {
            add(Severity::Error, format!("expired on {}", times::text(one.not_after())));
        } else if !has_begun(one) {
            // Only a warning: a host without a clock of its own has the wrong time until it has a network.
            add(Severity::Warning, format!("valid only from {}", times::text(one.not_before())));
        }
        match strength(one, false) {
            Err(CertificateProblem::WeakKey { bits, .. }) => {
                add(Severity::Error, format!("its key of {bits} bits is too short"));
            }
            Err(_) => add(Severity::Error, "it is signed with MD5, which can be forged".to_owned()),
            Ok(()) => {}
        }
        let bits = one.public_key().ok().filter(|key| key.id() == Id::RSA).map(|key| key.bits());
        if let Some(bits @ RSA_MIN..RSA_GOOD) = bits {
            add(Severity::Warning, format!("its RSA key of {bits} bits is weak: use at least {RSA_GOOD}"));
        }
        if at == 0 && !may_sign(one) {
            add(Severity::Warning, "its key usage does not include digitalSignature: peers refuse it".to_owned());
        }
    }
    faults
}

/// Returns a warning about each certificate that ends soon.
pub(super) fn ending_soon<'a>(path: &Path, chain: impl IntoIterator<Item = &'a X509>) -> Vec<String> {
    let Ok(limit) = Asn1Time::days_from_now(SOON) else { return Vec::new() };
    let soon = chain.into_iter().filter(|one| one.not_after() < limit);
    soon.map(|one| {
        let (subject, end) = (certificate::subject(one), times::text(one.not_after()));
        let verb = if is_past(one) { "expired" } else { "expires" };
        format!("{}: certificate of {subject} {verb} on {end}", path.display())
    })
    .collect()
}

fn is_past(certificate: &X509Ref) -> bool {
    Asn1Time::days_from_now(0).is_ok_and(|now| certificate.not_after() < now)
}

fn has_begun(certificate: &X509Ref) -> bool {
    Asn1Time::days_from_now(0).is_ok_and(|now| certificate.not_before() <= now)
}
