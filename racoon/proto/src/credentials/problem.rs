//! The reasons why a key or a certificate cannot be used. X.501 names are text as by [`crate::identity::Name`].

use std::path::PathBuf;

use crate::identity::Identity;
use crate::num::CertEncoding;

/// The reason why a peer's signature is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerProblem {
    /// The peer has sent no certificate, and none is configured for it.
    NoCertificate,
    /// Its CERT payloads have encodings that are not read; the first of them.
    Encoding(CertEncoding),
    /// A certificate or a collection of certificates cannot be parsed.
    Unparsable(CertEncoding),
    /// It has sent more certificates than are read: their number and total length in bytes.
    TooMany(usize, usize),
    /// Its certificate, or one of an authority above it, is refused.
    Certificate(CertificateProblem),
    /// Its certificate does not name the identity that it claims.
    NotNamed {
        /// The identity.
        identity: Identity,
        /// The certificate's subject.
        subject: String,
        /// The names of the identity's type in the certificate, as text.
        found: Vec<String>,
    },
    /// The key in its certificate is of another kind than the method needs: what it is, such as `RSA` or `P-256`.
    KeyKind(String),
    /// The file with its certificate or public keys cannot be used.
    File(PathBuf, String),
    /// The file of public keys has none for these addresses.
    NoPlainKey(PathBuf),
    /// The signature is not one of its key over the hash: another key has signed, or other values.
    Signature,
}

/// The reason why a certificate is refused. Times are text in UTC, such as `2026-11-30 20:00:00 UTC`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateProblem {
    /// It is no longer valid.
    Expired {
        /// Its subject.
        subject: String,
        /// The end of its validity.
        since: String,
    },
    /// It is not yet valid.
    NotYetValid {
        /// Its subject.
        subject: String,
        /// The beginning of its validity.
        from: String,
    },
    /// Its issuer is not a trusted authority, and no certificate leads to one.
    UnknownIssuer {
        /// Its subject.
        subject: String,
        /// Its issuer.
        issuer: String,
    },
    /// It is signed by its own key and not trusted.
    SelfSigned {
        /// Its subject.
        subject: String,
    },
    /// It has been revoked.
    Revoked {
        /// Its subject.
        subject: String,
        /// When.
        at: String,
    },
    /// There is no revocation list of an authority.
    NoCrl {
        /// The authority.
        issuer: String,
    },
    /// The revocation list of an authority is no longer valid, not yet valid, or not signed by it: which of them.
    BadCrl {
        /// The authority.
        issuer: String,
        /// What is wrong with it.
        why: String,
    },
    /// The chain to a trusted authority is longer than allowed.
    ChainTooLong {
        /// The subject of the last certificate in it.
        subject: String,
    },
    /// The key is too short: its length in bits.
    WeakKey {
        /// The certificate's subject.
        subject: String,
        /// Length in bits.
        bits: u32,
    },
    /// It is signed with a hash that can be forged.
    WeakHash {
        /// Its subject.
        subject: String,
        /// The signature algorithm.
        algorithm: String,
    },
    /// The issuer's signature of it is wrong.
    BadSignature {
        /// Its subject.
        subject: String,
    },
    /// Its issuer is not an authority, or may not sign certificates.
    NotAuthority {
        /// The issuer.
        issuer: String,
    },
    /// Its key may not be used for signatures.
    KeyUsage {
        /// Its subject.
        subject: String,
    },
    /// An authority above it may not issue certificates for its names.
    NameConstraints {
        /// Its subject.
        subject: String,
    },
    /// Another reason, as OpenSSL words it.
    Other {
        /// Its subject.
        subject: String,
        /// The reason.
        why: String,
    },
}

/// The reason why a key of ours cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnProblem {
    /// No key is configured for the remote section.
    NotConfigured,
    /// A file of it cannot be used, and why.
    File(PathBuf, String),
    /// The certificate and the key do not belong together.
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The key is of another kind than the method needs.
    KeyKind(String),
    /// The file of plain RSA keys has none for these addresses.
    NoPlainKey(PathBuf),
    /// OpenSSL cannot sign with it.
    Signing(String),
}
