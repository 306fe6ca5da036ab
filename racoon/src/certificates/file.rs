//! Files of certificates, private keys and passphrases: who has access to them, and what they contain.

use std::path::{Path, PathBuf};

use ipsec_conf::key_file::{self, KeyFileError};
use ipsec_conf::racoon::Loader as _;
use openssl::error::ErrorStack;
use openssl::pkcs12::{ParsedPkcs12_2, Pkcs12};
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Crl};
use zeroize::Zeroizing;

use crate::files::Files;
use crate::output::reason;

/// Largest file in bytes. A bundle of all public authorities takes a quarter of it.
const FILE_MAX: usize = 1 << 20;

/// Beginning of each part of a PEM file.
const PEM: &[u8] = b"-----BEGIN ";

/// Beginning of a revocation list in a PEM file.
const PEM_CRL: &[u8] = b"-----BEGIN X509 CRL-----";

/// The reason why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub(super) struct FileError {
    /// The file.
    pub(super) path: PathBuf,
    /// What is wrong with it, without its name.
    pub(super) why: String,
}

impl FileError {
    /// An error of a file.
    pub(super) fn new(path: &Path, why: impl Into<String>) -> Self {
        Self { path: path.into(), why: why.into() }
    }
}

/// Reads a file of certificates, which may contain a private key as well. Others than the owner and the group must not be able
/// to change it.
pub(super) fn read(path: &Path, files: &Files) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let (metadata, bytes) = files.read_keys(path).map_err(|error| FileError::new(path, reason(&error)))?;
    if !metadata.regular {
        return Err(FileError::new(path, "not a regular file"));
    }
    if metadata.mode & 0o002 != 0 {
        return Err(FileError::new(path, format!("mode {:04o} is too open: anyone could replace it", metadata.mode)));
    }
    limited(path, bytes)
}

/// Reads a file with secrets, which must be protected as [`key_file::read`] requires.
pub(super) fn read_secret(path: &Path, files: &Files) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let bytes = key_file::read(path, files).map_err(|error| {
        let why = match &error {
            KeyFileError::Io { error, .. } => reason(error),
            KeyFileError::NotRegular(_) => "not a regular file".to_owned(),
            KeyFileError::Owner { owner, uid, .. } => format!("owned by user {owner}, not by {uid}"),
            KeyFileError::Mode { mode, .. } => {
                format!("mode {mode:04o} is too open: 0600 or 0640 keeps its key secret")
            }
        };
        FileError::new(path, why)
    })?;
    limited(path, bytes)
}

fn limited(path: &Path, bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, FileError> {
    match bytes.len() {
        0 => Err(FileError::new(path, "it is empty")),
        1..=FILE_MAX => Ok(bytes),
        length => Err(FileError::new(path, format!("its {length} bytes are more than the limit of {FILE_MAX}"))),
    }
}

/// Reads a passphrase: the first line of a protected file.
pub(super) fn passphrase(path: &Path, files: &Files) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let bytes = read_secret(path, files)?;
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    match line {
        [] => Err(FileError::new(path, "its first line is empty")),
        line if line.contains(&0) => Err(FileError::new(path, "its first line contains a NUL byte")),
        line => Ok(Zeroizing::new(line.to_vec())),
    }
}

/// Parses the certificates of a PEM file, or the one of a DER file; at least one.
pub(super) fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<X509>, FileError> {
    let parsed = if is_pem(bytes) {
        X509::stack_from_pem(bytes).map_err(|error| library(&error))
    } else {
        X509::from_der(bytes).map(|one| vec![one]).map_err(|_| "neither PEM nor the DER of a certificate".to_owned())
    };
    match parsed {
        Ok(list) if list.is_empty() => Err(FileError::new(path, "contains no certificate")),
        Ok(list) => Ok(list),
        Err(why) => Err(FileError::new(path, why)),
    }
}

/// Parses the revocation lists of a PEM file, or the one of a DER file; at least one.
pub(super) fn revocation_lists(path: &Path, bytes: &[u8]) -> Result<Vec<X509Crl>, FileError> {
    if !is_pem(bytes) {
        let list = X509Crl::from_der(bytes);
        return list
            .map(|one| vec![one])
            .map_err(|_| FileError::new(path, "neither PEM nor the DER of a revocation list"));
    }
    match revocation_lists_beside(path, bytes) {
        Ok(lists) if lists.is_empty() => Err(FileError::new(path, "contains no revocation list")),
        other => other,
    }
}

/// Parses the revocation lists, if any, in a PEM file of certificates.
pub(super) fn revocation_lists_beside(path: &Path, bytes: &[u8]) -> Result<Vec<X509Crl>, FileError> {
    let starts = bytes.windows(PEM_CRL.len()).enumerate().filter(|(_, window)| *window == PEM_CRL);
    let list = |(at, _)| {
        X509Crl::from_pem(bytes.get(at..).unwrap_or_default())
            .map_err(|error| FileError::new(path, format!("revocation list: {}", library(&error))))
    };
    starts.map(list).collect()
}

/// Parses a private key in PEM or DER.
pub(super) fn private_key(path: &Path, bytes: &[u8], passphrase: Option<&[u8]>) -> Result<PKey<Private>, FileError> {
    if !is_pem(bytes) {
        let key = PKey::private_key_from_der(bytes);
        return key.map_err(|_| FileError::new(path, "neither PEM nor the DER of a private key"));
    }
    let mut asked = false;
    // Without a callback OpenSSL would ask at the terminal.
    let parsed = PKey::private_key_from_pem_callback(bytes, |buffer| {
        asked = true;
        let given = passphrase.unwrap_or_default();
        let place = buffer.get_mut(..given.len()).ok_or_else(ErrorStack::get)?;
        place.copy_from_slice(given);
        Ok(given.len())
    });
    parsed.map_err(|error| {
        let why = match (asked, passphrase) {
            (true, None) => "the key is encrypted: name the file of its passphrase with `passphrase'".to_owned(),
            (true, Some(_)) => "the passphrase is wrong".to_owned(),
            (false, _) if !bytes.windows(KEY.len()).any(|window| window == KEY) => "contains no private key".to_owned(),
            (false, _) => library(&error),
        };
        FileError::new(path, why)
    })
}

/// End of the first line of a private key in a PEM file.
const KEY: &[u8] = b"PRIVATE KEY-----";

/// Parses a PKCS#12 file (RFC 7292); `None` if it is something else.
pub(super) fn pkcs12(
    path: &Path,
    bytes: &[u8],
    passphrase: Option<&[u8]>,
) -> Option<Result<ParsedPkcs12_2, FileError>> {
    let archive = if is_pem(bytes) { None } else { Pkcs12::from_der(bytes).ok() }?;
    let Ok(text) = std::str::from_utf8(passphrase.unwrap_or_default()) else {
        return Some(Err(FileError::new(path, "its passphrase is not UTF-8")));
    };
    Some(archive.parse2(text).map_err(|error| {
        let why = match passphrase {
            None => "it is encrypted: name the file of its passphrase with `passphrase'".to_owned(),
            Some(_) if error.errors().iter().any(|one| one.reason() == Some("mac verify failure")) => {
                "the passphrase is wrong".to_owned()
            }
            Some(_) => library(&error),
        };
        FileError::new(path, why)
    }))
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(PEM.len()).any(|window| window == PEM)
}

/// Returns the reason of OpenSSL's last error, which names neither a function nor a source file.
pub(super) fn library(error: &ErrorStack) -> String {
    let reason = error.errors().iter().rev().find_map(openssl::error::Error::reason);
    reason.unwrap_or("OpenSSL cannot parse it").to_owned()
}
