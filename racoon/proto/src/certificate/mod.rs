//! Certificates (RFC 5280, RFC 4945): which names they contain, and how they arrive in CERT payloads.
//!
//! OpenSSL parses them. Whether a certificate can be trusted is decided outside of the engine, see [`crate::credentials`].

#[cfg(test)]
pub(crate) mod fixture;
mod names;
mod payload;

use openssl::x509::{X509NameRef, X509Ref};

use crate::identity::Name;
pub use names::{check_identity, names};
pub use payload::{parse, parse_all};

/// Returns the subject of a certificate as text.
pub fn subject(certificate: &X509Ref) -> String {
    name_text(certificate.subject_name())
}

/// Returns the issuer of a certificate as text.
pub fn issuer(certificate: &X509Ref) -> String {
    name_text(certificate.issuer_name())
}

/// Returns a name in the syntax of `asn1dn`.
pub fn name_text(name: &X509NameRef) -> String {
    Name::of(name).map_or_else(|| "a name with an unreadable type".into(), |name| name.to_string())
}
