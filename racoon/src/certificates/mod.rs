//! Private keys, certificates and trusted authorities of the configuration, for the jobs of the engine.
//!
//! The files are read at the start and at a reload into a [`Snapshot`], which a reload replaces as a whole. Only trusted
//! authorities and revocation lists are read again when their files change.

mod authorities;
mod chain;
mod file;
mod own;
mod peer;
mod snapshot;
mod times;
mod validity;

use std::sync::{Arc, PoisonError, RwLock};

use ipsec_conf::racoon::{Credential, CredentialFile, FileFault};
use racoon_proto::credentials::{
    Credentials, OwnProblem, PeerProblem, SignRequest, Signed, VerifiedPeer, VerifyRequest,
};
use racoon_proto::psk::{KeyTable, NoKey};
use zeroize::Zeroizing;

use crate::files::Files;
use crate::psk_file::PskFile;
use own::{OwnCertificate, OwnFiles};
pub use snapshot::Snapshot;

/// Receives the faults that appear in files while they are in use. It may be called on any thread.
pub type Report = Arc<dyn Fn(String) + Send + Sync>;

/// Returns a report that nobody reads.
pub fn no_report() -> Report {
    Arc::new(drop)
}

/// The daemon's store of keys and certificates. Clones share its contents.
#[derive(Clone)]
pub struct CredentialStore {
    psk: PskFile,
    snapshot: Arc<RwLock<Arc<Snapshot>>>,
}

impl CredentialStore {
    /// Makes a store of a file of pre-shared keys and a snapshot of the other files.
    pub fn new(psk: PskFile, snapshot: Snapshot) -> Self {
        Self { psk, snapshot: Arc::new(RwLock::new(Arc::new(snapshot))) }
    }

    /// Replaces the snapshot. Jobs in progress finish with the old one.
    pub fn replace(&self, snapshot: Snapshot) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    /// The file of pre-shared keys.
    pub fn psk(&self) -> &PskFile {
        &self.psk
    }

    /// Returns the current snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl KeyTable for CredentialStore {
    fn key(&self, name: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoKey> {
        self.psk.key(name)
    }

    fn is_shared(&self, name: &[u8]) -> bool {
        self.psk.is_shared(name)
    }
}

impl Credentials for CredentialStore {
    fn sign(&self, request: &SignRequest) -> Result<Signed, OwnProblem> {
        self.snapshot().sign(request)
    }

    fn verify(&self, request: &VerifyRequest) -> Result<VerifiedPeer, PeerProblem> {
        self.snapshot().verify(request)
    }
}

/// Checks files for the configuration's diagnostics.
pub(crate) fn check(credential: &Credential<'_>, files: &Files) -> Vec<FileFault> {
    match *credential {
        Credential::Own { certificate, key, passphrase } => {
            OwnCertificate::load(OwnFiles { certificate, key, passphrase }, files)
                .map_or_else(|faults| faults, |(_, warnings)| warnings)
        }
        Credential::Peer(path) | Credential::Authorities(path) => {
            let read = file::read(path, files).and_then(|bytes| file::certificates(path, &bytes));
            read.err().map(|error| own::fault(CredentialFile::Certificate, &error)).into_iter().collect()
        }
    }
}

#[cfg(test)]
mod tests;
