//! Keys that are converted.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ipsec_conf::plainrsa::{self, RsaEntry, RsaKey};
use openssl::error::ErrorStack;
use openssl::pkey::{HasPublic, Id, PKey, PKeyRef, Public};
use openssl::rsa::Rsa;
use openssl::x509::X509;
use zeroize::Zeroizing;

use crate::output::reason;
use crate::plain_rsa::{private_entry, private_key, public_entry, public_key};

/// Largest file in bytes.
const FILE_MAX: usize = 1 << 20;

/// Reads the keys of a file: entries of plain keys, a PEM private key, public key or certificate, or the public key of
/// libreswan's `leftrsasigkey`, with or without that word. OpenSSL asks for the passphrase of an encrypted key.
///
/// # Errors
/// Names the file and the reason.
pub(super) fn read(path: &Path) -> Result<Vec<RsaEntry>, String> {
    let named = |why: String| format!("{}: {why}", path.display());
    let bytes = bytes(path).map_err(|error| named(why(&error)))?;
    let text = bytes.trim_ascii();
    let is_pem = contains(text, b"-----BEGIN ");
    let entries = if is_pem { from_pem(text).map(|entry| vec![entry]) } else { from_text(text) };
    entries.map_err(named)
}

fn bytes(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // In a directory that others can write, a link could lead to another file's key.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NOCTTY).open(path)?;
    // A buffer that grows would leave copies of the keys behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_MAX + 1));
    file.take(bytes.capacity() as u64).read_to_end(&mut bytes)?;
    if bytes.len() > FILE_MAX { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

fn why(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ELOOP) => "is a symbolic link".into(),
        _ => reason(error),
    }
}

fn from_pem(pem: &[u8]) -> Result<RsaEntry, String> {
    let entry = if contains(pem, b"PRIVATE KEY-----") {
        let key = PKey::private_key_from_pem(pem).map_err(|_| "the private key cannot be read".to_owned());
        key.and_then(|key| private_entry(&*rsa(&key)?))
    } else {
        let key = public_from_pem(pem).ok_or("not a PEM private key, public key or certificate".to_owned());
        key.and_then(|key| Ok(public_entry(&*rsa(&key)?)))
    };
    drop(ErrorStack::get());
    entry.and_then(check)
}

fn public_from_pem(pem: &[u8]) -> Option<PKey<Public>> {
    let certificate = || X509::from_pem(pem).and_then(|certificate| certificate.public_key());
    let pkcs1 = || Rsa::public_key_from_pem_pkcs1(pem).and_then(PKey::from_rsa);
    PKey::public_key_from_pem(pem).or_else(|_| pkcs1()).or_else(|_| certificate()).ok()
}

fn rsa<T: HasPublic>(key: &PKeyRef<T>) -> Result<Rsa<T>, String> {
    let rsa = if key.id() == Id::RSA { key.rsa().ok() } else { None };
    rsa.ok_or("not an RSA key".into())
}

/// Reads plain keys, or a public key without `PUB`.
fn from_text(text: &[u8]) -> Result<Vec<RsaEntry>, String> {
    let option = [&b"leftrsasigkey="[..], b"rightrsasigkey="].iter().find_map(|name| text.strip_prefix(*name));
    let word = option.unwrap_or(text);
    let is_word = word.starts_with(b"0s") || word.starts_with(b"0x");
    let parsed = if is_word { plainrsa::parse(&[b": PUB ", word].concat()) } else { plainrsa::parse(text) };
    let entries = parsed.map_err(|error| format!("line {}: {}", error.line, error.message))?;
    if entries.is_empty() {
        return Err("contains no key".into());
    }
    entries.into_iter().map(check).collect()
}

/// Checks that the numbers are those of a key.
fn check(entry: RsaEntry) -> Result<RsaEntry, String> {
    let checked = match &entry.key {
        RsaKey::Public(key) => public_key(key).map(|_| ()),
        RsaKey::Private(key) => private_key(key).map(|_| ()),
    };
    checked.map(|()| entry)
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}
