//! Parser of a file's words.

use std::net::IpAddr;

use zeroize::Zeroizing;

use super::{Network, Number, PrivateKey, PublicKey, RsaEntry, RsaKey, SyntaxError};
use crate::hex;

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

/// The words of a file that have not been read yet.
pub(super) struct Reader<'b> {
    words: Vec<(u32, &'b [u8])>,
    at: usize,
    /// Line of the last word taken.
    line: u32,
}

impl<'b> Reader<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { words: words(bytes), at: 0, line: 1 }
    }

    pub(super) fn peek(&self) -> Option<&'b [u8]> {
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

    pub(super) fn entry(&mut self) -> Result<RsaEntry, SyntaxError> {
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
pub(super) fn base64(text: &[u8]) -> Option<Number> {
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
