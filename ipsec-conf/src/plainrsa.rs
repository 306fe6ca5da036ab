//! Files of plain RSA keys, without certificates.
//!
//! An entry is `[[LOCAL] REMOTE] : RSA { … }`, a private key, or `[[LOCAL] REMOTE] : PUB …`, a public one. Nothing is
//! computed here.

mod text;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use zeroize::Zeroizing;

use crate::hex;
pub use crate::key_file::KeyFileError;
use crate::racoon::Loader;

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
    let mut reader = Reader { words: words(bytes), at: 0, line: 1 };
    let mut entries = Vec::new();
    while reader.peek().is_some() {
        entries.push(reader.entry()?);
    }
    Ok(entries)
}

/// Returns the words of a file with their lines. Colons and braces are words of their own, except in an IPv6 address.
fn words(bytes: &[u8]) -> Vec<(u32, &[u8])> {
    let mut words = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default();
        for word in line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty()) {
            split(number, word, &mut words);
        }
    }
    words
}

fn split<'b>(line: u32, word: &'b [u8], words: &mut Vec<(u32, &'b [u8])>) {
    // Field names and the colon of an entry may touch what is beside them: `Modulus:0x…`, `:PUB`, `any:`.
    let is_address =
        word.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.' | b'/')) && word.len() > 1;
    let mut start = 0;
    for (at, byte) in word.iter().enumerate() {
        if matches!(byte, b'{' | b'}') || (*byte == b':' && !is_address) {
            words.extend(word.get(start..at).filter(|part| !part.is_empty()).map(|part| (line, part)));
            words.extend(word.get(at..=at).map(|part| (line, part)));
            start = at + 1;
        }
    }
    words.extend(word.get(start..).filter(|part| !part.is_empty()).map(|part| (line, part)));
}

struct Reader<'b> {
    words: Vec<(u32, &'b [u8])>,
    at: usize,
    /// Line of the last word taken.
    line: u32,
}

impl<'b> Reader<'b> {
    fn peek(&self) -> Option<&'b [u8]> {
        self.words.get(self.at).map(|(_, word)| *word)
    }

    fn next(&mut self) -> Option<&'b [u8]> {
        let (line, word) = *self.words.get(self.at)?;
        self.line = line;
        self.at += 1;
        Some(word)
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, SyntaxError> {
        Err(SyntaxError { line: self.line, message: message.into() })
    }

    fn expect(&mut self, word: &str) -> Result<(), SyntaxError> {
        match self.next() {
            Some(next) if next == word.as_bytes() => Ok(()),
            _ => self.fail(format!("expected `{word}`")),
        }
    }

    fn entry(&mut self) -> Result<RsaEntry, SyntaxError> {
        let line = self.words.get(self.at).map_or(self.line, |(line, _)| *line);
        let mut networks = Vec::new();
        // Addresses are optional: an entry may begin with its colon.
        while networks.len() < 2 && self.peek().is_some_and(|word| word != b":") {
            networks.push(self.network()?);
        }
        self.expect(":")?;
        // A single address is the peer's.
        let remote = networks.pop().unwrap_or(Network::Any);
        let local = networks.pop().unwrap_or(Network::Any);
        let key = match self.next() {
            Some(b"PUB") => RsaKey::Public(self.public()?),
            Some(b"RSA") => RsaKey::Private(Box::new(self.private()?)),
            _ => return self.fail("expected PUB or RSA"),
        };
        Ok(RsaEntry { line, local, remote, key })
    }

    fn network(&mut self) -> Result<Network, SyntaxError> {
        let Some(text) = self.next().and_then(|word| std::str::from_utf8(word).ok()) else {
            return self.fail("expected an address");
        };
        if text == "any" {
            return Ok(Network::Any);
        }
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let Ok(address) = address.parse::<IpAddr>() else { return self.fail("expected an address, any or `:`") };
        let width = if address.is_ipv4() { 32 } else { 128 };
        match prefix.map_or(Some(width), |text| text.parse().ok().filter(|prefix| *prefix <= width)) {
            Some(prefix) => Ok(Network::Prefix(address, prefix)),
            None => self.fail("invalid prefix length"),
        }
    }

    /// Reads a public key: `0s` and base64, or `0x` and hex digits, in the format of RFC 3110 section 2.
    fn public(&mut self) -> Result<PublicKey, SyntaxError> {
        let octets = match self.next() {
            Some(word) if word.starts_with(b"0s") => base64(word.strip_prefix(b"0s").unwrap_or_default()),
            Some(word) => number(word),
            None => None,
        };
        match octets.as_deref().and_then(|octets| rfc3110(octets)) {
            Some(key) => Ok(key),
            None => self.fail("expected a public key: 0s and base64, or 0x and hex digits"),
        }
    }

    /// Reads the eight numbers of a private key, in any order.
    fn private(&mut self) -> Result<PrivateKey, SyntaxError> {
        self.expect("{")?;
        let mut key = PrivateKey::default();
        let mut count = 0;
        loop {
            let Some(name) = self.next() else { return self.fail("expected `}`") };
            if name == b"}" {
                break;
            }
            self.expect(":")?;
            let Some(number) = self.next().and_then(number) else { return self.fail("expected 0x and hex digits") };
            let field = match name {
                b"Modulus" => &mut key.modulus,
                b"PublicExponent" => &mut key.public_exponent,
                b"PrivateExponent" => &mut key.private_exponent,
                b"Prime1" => &mut key.prime1,
                b"Prime2" => &mut key.prime2,
                b"Exponent1" => &mut key.exponent1,
                b"Exponent2" => &mut key.exponent2,
                b"Coefficient" => &mut key.coefficient,
                _ => return self.fail("unknown part of a key"),
            };
            // No part of a key is 0, so an empty field has not been set yet.
            if number.is_empty() || !field.is_empty() {
                return self.fail("a part of the key is 0 or occurs twice");
            }
            *field = number;
            count += 1;
        }
        if count == 8 { Ok(key) } else { self.fail("a part of the key is missing") }
    }
}

/// Parses `0x` and hex digits; leading zeros are dropped.
fn number(word: &[u8]) -> Option<Number> {
    let digits = word.strip_prefix(b"0x").or_else(|| word.strip_prefix(b"0X"))?;
    // The first of an odd number of digits is an octet of its own.
    let number = match digits.len() % 2 {
        0 => hex::octets(digits)?,
        _ => hex::octets(&Zeroizing::new([b"0", digits].concat()))?,
    };
    (!digits.is_empty()).then(|| without_zeros(&number))
}

fn without_zeros(octets: &[u8]) -> Number {
    let zeros = octets.iter().take_while(|octet| **octet == 0).count();
    Zeroizing::new(octets.get(zeros..).unwrap_or_default().to_vec())
}

/// Decodes base64 (RFC 4648 section 4). The padding is optional.
fn base64(text: &[u8]) -> Option<Number> {
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    let mut octets = Zeroizing::new(Vec::with_capacity(text.len() * 3 / 4));
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            octets.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    // A single digit at the end has too few bits for an octet.
    (text.len() % 4 != 1).then_some(octets)
}

/// Parses the format of RFC 3110: length of the exponent in one octet, or in two after a 0; exponent; modulus.
fn rfc3110(octets: &[u8]) -> Option<PublicKey> {
    let (length, rest) = match *octets {
        [0, high, low, ref rest @ ..] => (usize::from(u16::from_be_bytes([high, low])), rest),
        [length, ref rest @ ..] => (usize::from(length), rest),
        [] => return None,
    };
    let (exponent, modulus) = rest.split_at_checked(length)?;
    let (exponent, modulus) = (without_zeros(exponent), without_zeros(modulus));
    (!exponent.is_empty() && !modulus.is_empty()).then_some(PublicKey { exponent, modulus })
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
