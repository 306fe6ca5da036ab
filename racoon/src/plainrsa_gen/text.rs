//! Keys in the format that was asked for, and the file that they go to.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ipsec_conf::plainrsa::{RsaEntry, RsaKey};
use zeroize::Zeroizing;

use super::cli::Format;
use crate::output::with_path;
use crate::plain_rsa::{library, private_key, public_key};

/// Returns an entry as text with a line feed at its end.
///
/// # Errors
/// If the entry's numbers are not a key, which OpenSSL needs for PEM.
pub(super) fn of(entry: &RsaEntry, format: Format) -> Result<Zeroizing<String>, String> {
    let public = match &entry.key {
        RsaKey::Private(key) => key.public(),
        RsaKey::Public(key) => key.clone(),
    };
    match format {
        Format::Plain => Ok(entry.to_text()),
        Format::Public => Ok(RsaEntry { key: RsaKey::Public(public), ..*entry }.to_text()),
        Format::Libreswan => Ok(Zeroizing::new(format!("{}\n", public.to_text()))),
        Format::Pem => {
            let pem = match &entry.key {
                RsaKey::Private(key) => private_key(key)?.private_key_to_pem_pkcs8(),
                RsaKey::Public(key) => public_key(key)?.public_key_to_pem(),
            };
            let pem = String::from_utf8(pem.map_err(library)?).map_err(|error| error.to_string())?;
            Ok(Zeroizing::new(pem))
        }
    }
}

/// Creates a file that only its owner can read. There must be none of that name yet, nor a link.
///
/// # Errors
/// Names the file and the reason. A file that could not be written whole is removed.
pub(super) fn create(path: &Path, text: &[u8]) -> Result<(), String> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => format!("{}: file exists! Please use a different name.", path.display()),
        _ => with_path(path, &error).to_string(),
    })?;
    let written = file.write_all(text).and_then(|()| file.sync_all());
    written.map_err(|error| {
        let _ = fs::remove_file(path);
        with_path(path, &error).to_string()
    })
}
