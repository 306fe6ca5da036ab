//! Private keys and certificates: the interface through which jobs use them.
//!
//! The engine names a key or the trusted authorities by the files of racoon.conf(5) and never sees their contents. The shell has
//! loaded the files and answers as [`Credentials`], on the thread that performs the job.

mod problem;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::crypto::Secret;
use crate::identity::Identity;
use crate::num::AuthMethod;
use crate::psk::KeyTable;
pub use crate::wire::Certificate;
pub use problem::{CertificateProblem, OwnProblem, PeerProblem};

/// Number of CERT payloads in a message that are read; those of a peer that sends more are refused.
pub const CERTIFICATES_MAX: usize = 10;

/// Total length in bytes of the CERT payloads of a message; more are refused.
pub const CERTIFICATES_LEN_MAX: usize = 1 << 16;

/// A store of private keys, certificates and pre-shared keys. The default methods are those of a store with pre-shared keys only.
pub trait Credentials: KeyTable {
    /// Signs a hash, and returns what the peer may need to verify the signature.
    ///
    /// # Errors
    /// If the key cannot be used.
    fn sign(&self, _request: &SignRequest) -> Result<Signed, OwnProblem> {
        Err(OwnProblem::NotConfigured)
    }

    /// Checks that a peer has signed a hash with a key that belongs to the identity that it claims.
    ///
    /// # Errors
    /// If it has not, or if the key cannot be traced to anything that the request trusts.
    fn verify(&self, _request: &VerifyRequest) -> Result<VerifiedPeer, PeerProblem> {
        Err(PeerProblem::NoCertificate)
    }
}

/// A private key of ours, named by its files (`certificate_type`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OwnKey {
    /// A key with a certificate.
    X509 {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the private key.
        key: PathBuf,
    },
    /// A file of RSA keys without certificates.
    PlainRsa(PathBuf),
}

/// What proves that a public key is the peer's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Trust {
    /// The file with the peer's certificate or public keys, which replaces what the peer sends (`peers_certfile`).
    pub pinned: Option<PinnedKey>,
    /// The file with certificates of authorities (`ca_type x509`).
    pub authorities: Option<PathBuf>,
    /// Whether the authorities of the operating system are trusted, too (`ca_type system`).
    pub system: bool,
    /// Whether the certificate's chain and names are verified (`verify_cert`).
    pub verify_cert: bool,
    /// Whether an authority without a revocation list is refused (`crl_policy require`).
    pub crl_required: bool,
}

/// A configured public key of a peer (`peers_certfile`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PinnedKey {
    /// A file with a certificate.
    X509(PathBuf),
    /// A file of RSA keys without certificates.
    PlainRsa(PathBuf),
}

/// A request to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignRequest {
    /// The key.
    pub key: Arc<OwnKey>,
    /// Our address and the peer's, by which a plain RSA key is selected.
    pub addresses: (IpAddr, IpAddr),
    /// The method; it determines the form of the signature.
    pub method: AuthMethod,
    /// HASH_I or HASH_R.
    pub hash: Secret,
}

/// A signature, and what is sent with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The body of the SIG payload.
    pub signature: Vec<u8>,
    /// Our certificate and those of intermediate authorities, in this order; none for a plain RSA key.
    pub certificates: Vec<Certificate>,
}

/// A request to check a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyRequest {
    /// What proves that a public key is the peer's.
    pub trust: Arc<Trust>,
    /// Our address and the peer's, by which plain RSA keys are selected.
    pub addresses: (IpAddr, IpAddr),
    /// The method.
    pub method: AuthMethod,
    /// The identity that the peer claims.
    pub identity: Identity,
    /// The peer's CERT payloads, at most [`CERTIFICATES_MAX`].
    pub certificates: Vec<Certificate>,
    /// HASH_I or HASH_R.
    pub hash: Secret,
    /// The body of the SIG payload.
    pub signature: Vec<u8>,
}

/// A peer whose signature and identity have been verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifiedPeer {
    /// Its certificate in DER, unless it has a plain RSA key.
    pub certificate: Option<Vec<u8>>,
    /// The subject of the certificate, as text.
    pub subject: Option<String>,
    /// What the operator should know although the peer is accepted, each a line: an authority without a revocation list.
    pub warnings: Vec<CertificateProblem>,
}
