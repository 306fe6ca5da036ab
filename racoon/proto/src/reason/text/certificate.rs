//! The text of problems with keys and certificates.

use std::fmt;

use super::joined;
use crate::credentials::{CERTIFICATES_LEN_MAX, CERTIFICATES_MAX, CertificateProblem, OwnProblem, PeerProblem};

impl fmt::Display for PeerProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => f.write_str("it sent no certificate, and none is configured for it"),
            Self::Encoding(encoding) => {
                write!(f, "its certificate has encoding {encoding}, only x509_signature and pkcs7 are read")
            }
            Self::Unparsable(encoding) => write!(f, "its certificate of encoding {encoding} cannot be parsed"),
            Self::TooMany(count, bytes) => write!(
                f,
                "it sent {count} certificates with {bytes} bytes, more than {CERTIFICATES_MAX} or {CERTIFICATES_LEN_MAX} bytes"
            ),
            Self::Certificate(problem) => problem.fmt(f),
            Self::NotNamed { identity, subject, found } if found.is_empty() => {
                write!(f, "identity {identity} is not in its certificate {subject}, which has no name of this type")
            }
            Self::NotNamed { identity, subject, found } => write!(
                f,
                "identity {identity} is not in its certificate {subject}, which names {}",
                joined(found, ", ")
            ),
            Self::KeyKind(kind) => write!(f, "its certificate has a key of type {kind}, not that of the agreed method"),
            Self::File(file, why) => write!(f, "peers_certfile {}: {why}", file.display()),
            Self::NoPlainKey(file) => write!(f, "{} has no public key for its address", file.display()),
            Self::Signature => f.write_str("its signature is not one of the key in its certificate"),
        }
    }
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { subject, since } => write!(f, "certificate {subject} expired at {since}"),
            Self::NotYetValid { subject, from } => write!(f, "certificate {subject} is not valid before {from}"),
            Self::UnknownIssuer { subject, issuer } => {
                write!(f, "issuer {issuer} of certificate {subject} is not a trusted authority")
            }
            Self::SelfSigned { subject } => write!(f, "certificate {subject} is self-signed and not trusted"),
            Self::Revoked { subject, at } => write!(f, "certificate {subject} was revoked at {at}"),
            Self::NoCrl { issuer } => write!(f, "there is no revocation list of authority {issuer}"),
            Self::BadCrl { issuer, why } => write!(f, "the revocation list of authority {issuer} is unusable: {why}"),
            Self::ChainTooLong { subject } => write!(f, "the chain of certificates is too long at {subject}"),
            Self::WeakKey { subject, bits } => write!(f, "certificate {subject} has a weak key of {bits} bits"),
            Self::WeakHash { subject, algorithm } => {
                write!(f, "certificate {subject} is signed with the weak algorithm {algorithm}")
            }
            Self::BadSignature { subject } => write!(f, "the issuer's signature of certificate {subject} is wrong"),
            Self::NotAuthority { issuer } => write!(f, "issuer {issuer} may not sign certificates"),
            Self::KeyUsage { subject } => {
                write!(f, "certificate {subject} does not allow signatures (keyUsage)")
            }
            Self::NameConstraints { subject } => {
                write!(f, "certificate {subject} has a name that its authority may not certify")
            }
            Self::Other { subject, why } => write!(f, "certificate {subject}: {why}"),
        }
    }
}

impl fmt::Display for OwnProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => f.write_str("no private key is configured"),
            Self::File(file, why) => write!(f, "{}: {why}", file.display()),
            Self::Mismatch { certificate, key } => write!(
                f,
                "certificate {} and private key {} do not belong together",
                certificate.display(),
                key.display()
            ),
            Self::KeyKind(kind) => write!(f, "the private key is of type {kind}, not that of the agreed method"),
            Self::NoPlainKey(file) => write!(f, "{} has no private key for these addresses", file.display()),
            Self::Signing(why) => write!(f, "openssl: {why}"),
        }
    }
}
