//! The contents of CERT payloads (RFC 2408 section 3.9, RFC 4945 section 3.3).

use openssl::error::ErrorStack;
use openssl::pkcs7::Pkcs7;
use openssl::x509::{X509, X509Ref};

use crate::credentials::{CERTIFICATES_LEN_MAX, CERTIFICATES_MAX, Certificate, PeerProblem};
use crate::num::CertEncoding;

/// Parses the CERT payloads of a peer, in their order. Revocation lists are ignored: those that we trust are in files.
///
/// # Errors
/// If there are none, or only payloads of other encodings; if one is invalid; or if they contain more than
/// [`CERTIFICATES_MAX`] certificates or [`CERTIFICATES_LEN_MAX`] bytes.
pub fn parse_all(payloads: &[Certificate]) -> Result<Vec<X509>, PeerProblem> {
    let length = payloads.iter().map(|payload| payload.data.len()).fold(0, usize::saturating_add);
    if payloads.len() > CERTIFICATES_MAX || length > CERTIFICATES_LEN_MAX {
        return Err(PeerProblem::TooMany(payloads.len(), length));
    }
    let mut certificates = Vec::new();
    let mut other = None;
    for payload in payloads {
        match parse(payload) {
            Ok(found) => certificates.extend(found),
            Err(PeerProblem::Encoding(encoding)) => other = other.or(Some(encoding)),
            Err(problem) => return Err(problem),
        }
    }
    // A single payload may contain many.
    if certificates.len() > CERTIFICATES_MAX {
        return Err(PeerProblem::TooMany(certificates.len(), length));
    }
    match other {
        _ if !certificates.is_empty() => Ok(certificates),
        Some(encoding) => Err(PeerProblem::Encoding(encoding)),
        None => Err(PeerProblem::NoCertificate),
    }
}

/// Parses a CERT payload: a certificate, or a collection of certificates as PKCS #7 signed data (RFC 2315 section 9.1), whose
/// signatures, if any, are not looked at. The collection may be empty.
///
/// # Errors
/// If the encoding is another one, or the data is not of it.
pub fn parse(payload: &Certificate) -> Result<Vec<X509>, PeerProblem> {
    let certificates = match payload.encoding {
        CertEncoding::X509_SIGNATURE | CertEncoding::X509_KEY_EXCHANGE => x509(&payload.data).map(|one| vec![one]),
        CertEncoding::PKCS7 => pkcs7(&payload.data),
        encoding => return Err(PeerProblem::Encoding(encoding)),
    };
    drop(ErrorStack::get());
    certificates.ok_or(PeerProblem::Unparsable(payload.encoding))
}

/// OpenSSL ignores what follows; it keeps the encoding that it has read.
fn x509(der: &[u8]) -> Option<X509> {
    let certificate = X509::from_der(der).ok()?;
    (certificate.to_der().ok()?.len() == der.len()).then_some(certificate)
}

fn pkcs7(der: &[u8]) -> Option<Vec<X509>> {
    let collection = Pkcs7::from_der(der).ok()?;
    let signed = collection.signed()?;
    Some(signed.certificates().into_iter().flatten().map(X509Ref::to_owned).collect())
}

#[cfg(test)]
mod tests;
