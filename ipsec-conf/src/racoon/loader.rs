//! Access to files and other information about the system that a configuration refers to.

use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::problem::Severity;

/// Maximum size of a file with keys in bytes, enough for some ten thousand keys.
pub const KEY_FILE_MAX: u64 = 4 << 20;

/// Reader of files: real ones in the commands, files in memory in tests.
pub trait Loader {
    /// Returns the bytes of a file. Follows links.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Returns the paths that match a pattern of glob(3), in glob's order; `~` is expanded. A pattern without special
    /// characters matches itself, even if there is no such file.
    fn expand(&self, pattern: &str) -> io::Result<Vec<PathBuf>>;

    /// Returns a file's type, owner and mode. Follows links.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// Reads a file with keys, and returns the type, owner and mode of the file that was opened. Follows links. Only
    /// regular files are read; more than [`KEY_FILE_MAX`] bytes are an error.
    fn read_keys(&self, path: &Path) -> io::Result<(Metadata, Zeroizing<Vec<u8>>)>;

    /// Whether the system has a network interface of this name or number; `None` if unknown.
    fn has_interface(&self, _name: &str) -> Option<bool> {
        None
    }

    /// Returns the directory in which systemd passes credentials to this process; `None` if there is none.
    fn credentials_directory(&self) -> Option<PathBuf> {
        None
    }

    /// Checks the contents of existing files of certificates and keys.
    fn check_credential(&self, _credential: &Credential<'_>) -> Vec<FileFault> {
        Vec::new()
    }

    /// Returns the real user id of the process, which must own files with keys.
    fn uid(&self) -> u32;
}

/// Type, owner and mode of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// A regular file, not a directory or a device.
    pub regular: bool,
    /// User id of the owner.
    pub owner: u32,
    /// Permission bits.
    pub mode: u32,
}

/// Files of certificates and keys that a directive names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential<'a> {
    /// `certificate_type x509`.
    Own {
        /// The file of the certificate.
        certificate: &'a Path,
        /// The file of the private key.
        key: &'a Path,
        /// The file of the passphrase.
        passphrase: Option<&'a Path>,
    },
    /// `peers_certfile x509`.
    Peer(&'a Path),
    /// `ca_type x509`.
    Authorities(&'a Path),
}

/// Which file of a [`Credential`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialFile {
    /// The one with certificates.
    Certificate,
    /// The one with a private key.
    Key,
    /// The one with a passphrase.
    Passphrase,
}

/// What is wrong with a file of a [`Credential`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// Which file.
    pub file: CredentialFile,
    /// Whether it can be used.
    pub severity: Severity,
    /// What is wrong, beginning with the file's name.
    pub why: String,
}
