//! The names in a certificate, and their comparison with an identity (RFC 4945 section 3.1).

use std::cmp::Ordering;
use std::net::IpAddr;

use openssl::error::ErrorStack;
use openssl::x509::{GeneralNameRef, X509Name, X509Ref};

use crate::credentials::PeerProblem;
use crate::identity::Identity;
use crate::num::IdType;

/// Checks that a certificate contains an identity.
///
/// An X.501 name must be the whole subject. Addresses, domain names and mail addresses must be equal, byte for byte, to one of the
/// subjectAltNames of the type. A common name that looks like one does not count, there are no wildcards, and no certificate
/// contains a key ID, a subnet or a range.
///
/// # Errors
/// If the certificate does not contain it: [`PeerProblem::NotNamed`] with the names of its type that it does contain.
pub fn check_identity(identity: &Identity, certificate: &X509Ref) -> Result<(), PeerProblem> {
    let contains = match identity.kind {
        IdType::DER_ASN1_DN => is_subject(&identity.data, certificate),
        kind => alternatives(certificate, kind).iter().any(|name| is_valid(kind, name) && *name == identity.data),
    };
    drop(ErrorStack::get());
    if contains {
        return Ok(());
    }
    let (subject, found) = (super::subject(certificate), names(certificate, identity.kind));
    Err(PeerProblem::NotNamed { identity: identity.clone(), subject, found })
}

/// Returns the names of a type in a certificate as text. Characters that are not allowed in a log line are escaped.
pub fn names(certificate: &X509Ref, kind: IdType) -> Vec<String> {
    let text = |name: Vec<u8>| match kind {
        IdType::IPV4_ADDR | IdType::IPV6_ADDR => address(&name).map(|address| address.to_string()),
        _ => Some(String::from_utf8_lossy(&name).escape_debug().to_string()),
    };
    let found = match kind {
        IdType::DER_ASN1_DN => vec![super::subject(certificate)],
        _ => alternatives(certificate, kind).into_iter().filter_map(text).collect(),
    };
    drop(ErrorStack::get());
    found
}

/// Whether DER is that of a certificate's subject. Values compare as RFC 5280 section 7.1 says: without the case of letters, and
/// whatever string type they have, because a name that the peer's operator has written may have others than the certificate.
fn is_subject(der: &[u8], certificate: &X509Ref) -> bool {
    let subject = certificate.subject_name();
    let Ok(name) = X509Name::from_der(der) else { return false };
    // OpenSSL ignores what follows a name. A certificate without a subject has no name that could be claimed.
    let is_whole = name.to_der().is_ok_and(|whole| whole.len() == der.len());
    is_whole && subject.entries().next().is_some() && name.try_cmp(subject).is_ok_and(Ordering::is_eq)
}

/// Returns the subjectAltNames of a type, as the data of an identity. If there are several such extensions, there are none.
fn alternatives(certificate: &X509Ref, kind: IdType) -> Vec<Vec<u8>> {
    let of_kind = |name: &GeneralNameRef| match kind {
        IdType::FQDN => name.dnsname().map(|name| name.as_bytes().to_vec()),
        IdType::USER_FQDN => name.email().map(|name| name.as_bytes().to_vec()),
        IdType::IPV4_ADDR => name.ipaddress().filter(|octets| octets.len() == 4).map(<[u8]>::to_vec),
        IdType::IPV6_ADDR => name.ipaddress().filter(|octets| octets.len() == 16).map(<[u8]>::to_vec),
        _ => None,
    };
    certificate.subject_alt_names().into_iter().flatten().filter_map(|name| of_kind(&name)).collect()
}

/// Whether a name can be an identity. With a NUL in it, an authority may have read another name than we do.
fn is_valid(kind: IdType, name: &[u8]) -> bool {
    match kind {
        IdType::FQDN | IdType::USER_FQDN => !name.is_empty() && !name.contains(&0),
        _ => true,
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests;
