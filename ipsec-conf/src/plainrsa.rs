//! Files of plain RSA keys, without certificates.
//!
//! An entry is `[[LOCAL] REMOTE] : RSA { … }`, a private key, or `[[LOCAL] REMOTE] : PUB …`, a public one. Nothing is
//! computed here.

mod reader;
mod text;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use zeroize::Zeroizing;

pub use crate::key_file::KeyFileError;
use crate::racoon::Loader;
use reader::Reader;

/// An entry of a file.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaEntry {
    /// Line, from 1.
    pub line: u32,
    /// Own addresses that it is for.
    pub local: Network,
    /// Peers that it is for.
    pub remote: Network,
    /// Its key.
    pub key: RsaKey,
}

/// Addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// `any`.
    Any,
    /// Addresses in a prefix.
    Prefix(IpAddr, u8),
}

/// The key of an entry.
#[derive(Clone, PartialEq, Eq)]
pub enum RsaKey {
    /// `PUB`.
    Public(PublicKey),
    /// `RSA`.
    Private(Box<PrivateKey>),
}

/// A number: octets, the highest first, none of them a leading zero.
pub type Number = Zeroizing<Vec<u8>>;

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Public exponent.
    pub exponent: Number,
    /// Modulus.
    pub modulus: Number,
}

/// A private key, wiped when dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PrivateKey {
    /// `Modulus`.
    pub modulus: Number,
    /// `PublicExponent`.
    pub public_exponent: Number,
    /// `PrivateExponent`.
    pub private_exponent: Number,
    /// `Prime1`.
    pub prime1: Number,
    /// `Prime2`.
    pub prime2: Number,
    /// `Exponent1`.
    pub exponent1: Number,
    /// `Exponent2`.
    pub exponent2: Number,
    /// `Coefficient`.
    pub coefficient: Number,
}

/// Reason not to use a file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be read, or its permissions are too open.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// It is malformed.
    #[error("{}:{}: {}", path.display(), error.line, error.message)]
    Syntax {
        /// Its name.
        path: std::path::PathBuf,
        /// The error and its line.
        error: SyntaxError,
    },
    /// It contains no key of the wanted kind.
    #[error("{}: contains no {kind} key", path.display())]
    NoKey {
        /// Its name.
        path: std::path::PathBuf,
        /// `public` or `private`.
        kind: &'static str,
    },
}

/// A syntax error. Its text reveals nothing of the file's contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Line, from 1.
    pub line: u32,
    /// What is wrong.
    pub message: String,
}

/// Reads a file with at least one private key. The file must be protected as [`KeyFileError`] requires.
pub fn load_private(path: &Path, loader: &dyn Loader) -> Result<Vec<RsaEntry>, LoadError> {
    let bytes = crate::key_file::read(path, loader)?;
    entries(path, &bytes, "private", |key| matches!(key, RsaKey::Private(_)))
}

/// Reads a file with at least one public key.
pub fn load_public(path: &Path, loader: &dyn Loader) -> Result<Vec<RsaEntry>, LoadError> {
    // Public keys may be readable by others, unlike private ones.
    let bytes = loader.read(path).map_err(|error| KeyFileError::Io { path: path.into(), error })?;
    entries(path, &Zeroizing::new(bytes), "public", |key| matches!(key, RsaKey::Public(_)))
}

fn entries(
    path: &Path,
    bytes: &[u8],
    kind: &'static str,
    wanted: impl Fn(&RsaKey) -> bool,
) -> Result<Vec<RsaEntry>, LoadError> {
    let entries = parse(bytes).map_err(|error| LoadError::Syntax { path: path.into(), error })?;
    if !entries.iter().any(|entry| wanted(&entry.key)) {
        return Err(LoadError::NoKey { path: path.into(), kind });
    }
    Ok(entries)
}

/// Parses the bytes of a file.
pub fn parse(bytes: &[u8]) -> Result<Vec<RsaEntry>, SyntaxError> {
    let mut reader = Reader::new(bytes);
    let mut entries = Vec::new();
    while reader.peek().is_some() {
        entries.push(reader.entry()?);
    }
    Ok(entries)
}

impl fmt::Debug for RsaEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RsaEntry");
        shown.field("local", &self.local).field("remote", &self.remote).field("key", &self.key).finish()
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Public(key) => write!(f, "Public({} octets)", key.modulus.len()),
            Self::Private(key) => write!(f, "Private({} octets)", key.modulus.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIVATE: &str = "\
# a comment
: RSA\t{
\t# RSA 16 bits
\tModulus: 0xc0ffee
\tPublicExponent: 0x010001
\tPrivateExponent:0x123
\tPrime1: 0x1
\tPrime2: 0x2
\tExponent1: 0x3
\tExponent2: 0x4
\tCoefficient: 0x0005
  }
";

    fn error(text: &str) -> (u32, String) {
        let error = parse(text.as_bytes()).unwrap_err();
        (error.line, error.message)
    }

    #[test]
    fn private_keys() {
        let entries = parse(PRIVATE.as_bytes()).unwrap();
        assert_eq!(format!("{entries:?}"), "[RsaEntry { local: Any, remote: Any, key: Private(3 octets) }]");
        let RsaKey::Private(key) = &entries[0].key else { panic!("private") };
        assert_eq!(key.modulus.as_slice(), [0xc0, 0xff, 0xee]);
        assert_eq!(key.public_exponent.as_slice(), [1, 0, 1]);
        assert_eq!(key.private_exponent.as_slice(), [1, 0x23]);
        assert_eq!(key.coefficient.as_slice(), [5]);
        assert_eq!(entries[0].line, 2);
    }

    #[test]
    fn public_keys_and_addresses() {
        // Exponent 3, modulus c0ffee.
        let text = "192.0.2.1 : PUB 0sAQPA/+4=\n192.0.2.1/24 2001:db8::/32 :PUB 0x0103c0ffee\nany any: PUB 0x000001\
                    03c0ffee\n";
        let entries = parse(text.as_bytes()).unwrap();
        let key = RsaKey::Public(PublicKey {
            exponent: Zeroizing::new(vec![3]),
            modulus: Zeroizing::new(vec![0xc0, 0xff, 0xee]),
        });
        let v4 = |prefix| Network::Prefix("192.0.2.1".parse().unwrap(), prefix);
        let v6 = Network::Prefix("2001:db8::".parse().unwrap(), 32);
        let expected = [(1, Network::Any, v4(32)), (2, v4(24), v6), (3, Network::Any, Network::Any)]
            .map(|(line, local, remote)| RsaEntry { line, local, remote, key: key.clone() });
        assert_eq!(entries, expected);
    }

    #[test]
    fn refused() {
        assert_eq!(error(": RSA {\n Modulus: 0x1 }"), (2, "a part of the key is missing".into()));
        assert_eq!(error(": RSA { Modulus: 0x1 Modulus: 0x1 }").1, "a part of the key is 0 or occurs twice");
        assert_eq!(error(&PRIVATE.replace("Prime2", "Prime3")), (8, "unknown part of a key".into()));
        assert_eq!(error(&PRIVATE.replace("0x4", "0xg")).1, "expected 0x and hex digits");
        assert_eq!(error("192.0.2.1/33 : PUB 0sAQPA/+4=").1, "invalid prefix length");
        assert_eq!(error("host : PUB 0sAQPA/+4=").1, "expected an address, any or `:`");
        assert_eq!(error("any any any : PUB 0sAQPA/+4=").1, "expected `:`");
        let public = "expected a public key: 0s and base64, or 0x and hex digits";
        for key in ["", "0s", "0sA", "0s!!!!", "0x", "0x01", "0x0103", "0x03c0ff", "c0ffee", "0x0100c0"] {
            assert_eq!(error(&format!(": PUB {key}")).1, public, "{key}");
        }
        assert_eq!(error(": DSA").1, "expected PUB or RSA");
    }
}
