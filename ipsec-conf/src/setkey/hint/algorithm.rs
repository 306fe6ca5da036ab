//! Hints for names that other programs use for algorithms.

use libpfkey::algorithm::{AuthenticationWord, Encryption, EncryptionWord, KeyBits};

/// Parts of algorithm names besides numbers and the names of ciphers.
const PARTS: [&str; 28] = [
    "ripemd", "authenc", "cipher", "digest", "triple", "keyed", "aead", "cmac", "gmac", "hmac", "none", "poly", "xcbc",
    "cbc", "ccm", "ctr", "des", "ecb", "ede", "enc", "esp", "gcm", "mac", "rfc", "rmd", "sha", "sig", "md",
];
/// Parts that only occur together with others.
const LOOSE: [&str; 4] = ["tcp", "bits", "bit", "v"];
/// Numbers in algorithm names: lengths in bytes and bits, versions, RFCs.
const NUMBERS: [u16; 31] = [
    1, 2, 3, 5, 8, 12, 16, 20, 32, 64, 80, 96, 128, 160, 168, 192, 224, 256, 320, 384, 448, 512, 1305, 2403, 2404,
    3686, 4106, 4309, 4543, 4868, 7539,
];

/// Returns all parts of algorithm names.
fn parts_of_names() -> impl Iterator<Item = &'static str> {
    Encryption::ALL.iter().flat_map(|one| one.names_elsewhere()).copied().chain(PARTS)
}

/// The parts of a name.
struct Parts<'w> {
    words: Vec<&'w str>,
    numbers: Vec<u16>,
}

impl<'w> Parts<'w> {
    /// Splits a name; `None` if some of it is not part of an algorithm's name.
    fn of(lower: &'w str) -> Option<Self> {
        let mut parts = Self { words: Vec::new(), numbers: Vec::new() };
        let mut rest = lower;
        while let Some(first) = rest.chars().next() {
            let length = if first.is_ascii_digit() {
                let length = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                let number = rest.get(..length)?.parse().ok().filter(|number| NUMBERS.contains(number))?;
                parts.numbers.push(number);
                length
            } else if first.is_ascii_alphabetic() {
                let fitting = parts_of_names().chain(LOOSE).filter(|part| rest.starts_with(part));
                let part = fitting.max_by_key(|part| part.len())?;
                parts.words.push(rest.get(..part.len())?);
                part.len()
            } else if "-_()/,.".contains(first) {
                first.len_utf8()
            } else {
                return None;
            };
            rest = rest.get(length..)?;
        }
        parts.words.iter().any(|word| parts_of_names().any(|part| part == *word)).then_some(parts)
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn number(&self, numbers: &[u16]) -> Option<u16> {
        self.numbers.iter().copied().find(|number| numbers.contains(number))
    }

    /// Returns the ICV length in bytes at the end of an AEAD's name; 16 if there is none.
    fn icv(&self) -> u16 {
        match self.numbers.last() {
            Some(8 | 64) => 8,
            Some(12 | 96) => 12,
            _ => 16,
        }
    }

    /// Returns the encryption algorithm that the name means.
    fn cipher(&self) -> Option<Encryption> {
        let icv = |algorithms: [Encryption; 3]| match self.icv() {
            8 => algorithms[0],
            12 => algorithms[1],
            _ => algorithms[2],
        };
        let is_named = |one: &&Encryption| one.names_elsewhere().iter().any(|name| self.has(name));
        // In reverse order, so that the null cipher comes last.
        let named = Encryption::ALL.iter().rev().find(is_named).copied();
        // AES in another mode than CBC is an algorithm of its own, and the name may consist of the mode alone.
        Some(if let Some(named) = named.filter(|named| !matches!(named, Encryption::AesCbc | Encryption::Null)) {
            named
        } else if self.has("gmac") || self.number(&[4543]).is_some() {
            Encryption::AesGmac
        } else if self.has("gcm") || self.number(&[4106]).is_some() {
            icv([Encryption::AesGcm8, Encryption::AesGcm12, Encryption::AesGcm16])
        } else if self.has("ccm") || self.number(&[4309]).is_some() {
            icv([Encryption::AesCcm8, Encryption::AesCcm12, Encryption::AesCcm16])
        } else if self.has("des") && (self.has("ede") || self.has("triple") || self.number(&[3]).is_some()) {
            Encryption::TripleDesCbc
        } else if self.has("ctr") {
            Encryption::AesCtr
        } else if self.has("des") {
            Encryption::DesCbc
        } else if self.has("xcbc") || self.has("cmac") {
            return None;
        } else if self.has("none") && named.is_none() {
            Encryption::Null
        } else {
            return named;
        })
    }

    /// Returns the authentication algorithm that the name means.
    fn hash(&self) -> Option<&'static str> {
        Some(if self.has("xcbc") {
            "aes-xcbc-mac"
        } else if self.has("ripemd") || self.has("rmd") {
            "hmac-ripemd160"
        } else if self.has("md") && (self.has("tcp") || self.has("sig")) {
            "tcp-md5"
        } else if self.has("md") {
            if self.has("keyed") { "keyed-md5" } else { "hmac-md5" }
        } else if self.has("sha") {
            match self.number(&[224, 256, 384, 512]) {
                Some(512) => "hmac-sha512",
                Some(384) => "hmac-sha384",
                Some(256) if self.number(&[128]).is_some() => "hmac-sha2-256-128",
                Some(256) => "hmac-sha256",
                Some(_) => return None,
                None if self.number(&[2]).is_some() => "hmac-sha256",
                None if self.has("keyed") => "keyed-sha1",
                None => "hmac-sha1",
            }
        } else if self.has("null") || self.has("none") {
            "null"
        } else {
            return None;
        })
    }
}

/// Whether a word consists of parts of algorithm names only.
pub(super) fn is_known(word: &str) -> bool {
    Parts::of(&word.to_ascii_lowercase()).is_some()
}

/// A hint for a word behind `-E`.
pub(super) fn for_cipher(word: &str) -> Option<String> {
    let lower = word.to_ascii_lowercase();
    let parts = Parts::of(&lower)?;
    if AuthenticationWord::from_name(&lower).is_some() && EncryptionWord::from_name(&lower).is_none() {
        return Some(format!("{lower} is an authentication algorithm: it follows -A"));
    }
    let Some((cipher, name)) = parts.cipher().and_then(|cipher| Some((cipher, cipher.name()?))) else {
        let hash = parts.hash()?;
        return Some(format!("an authentication algorithm follows -A: did you mean -A `{hash}`?"));
    };
    let mut hint = format!("did you mean `{name}`?");
    // The key length is worth a hint only if the cipher has several.
    let lengths = matches!(cipher.key_bits(), KeyBits::Each(_)) && !cipher.key_bits().is_fixed();
    let length = parts.number(&[128, 192, 256]).filter(|_| lengths);
    // The 128 of aes-gcm-128 may be the key's or the ICV's.
    let is_icv = name.starts_with("aes-gcm") && parts.numbers.len() == 1 && length == Some(128);
    let salt = cipher.salt_bits() / 8;
    match length.filter(|_| !is_icv) {
        Some(bits) if salt == 0 => hint += &format!(" For {bits} bits give it a key of {} bytes", bits / 8),
        Some(bits) => {
            hint += &format!(" For {bits} bits give it {} bytes: the key and {salt} of salt", bits / 8 + salt)
        }
        None if matches!(name, "aes-gcm-16" | "aes-ccm-16") && parts.number(&[16]).is_none() => {
            hint += " 16 is the length of its ICV: there are 12 and 8, too";
        }
        None => {}
    }
    Some(hint)
}

/// A hint for a word behind `-A`.
pub(super) fn for_hash(word: &str) -> Option<String> {
    let lower = word.to_ascii_lowercase();
    let parts = Parts::of(&lower)?;
    if EncryptionWord::from_name(&lower).is_some() && AuthenticationWord::from_name(&lower).is_none() {
        return Some(format!("{lower} is a cipher: it follows -E"));
    }
    match parts.hash() {
        Some("hmac-sha256") => {
            Some("did you mean `hmac-sha256`, or `hmac-sha2-256-128` with the ICV of RFC 4868?".into())
        }
        Some(name) => Some(format!("did you mean `{name}`?")),
        None => {
            let name = parts.cipher()?.name()?;
            Some(format!("a cipher follows -E: did you mean -E `{name}`?"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciphers_of_other_programs() {
        for (expected, words) in [
            ("aes-cbc", "aes AES aes256 aes-cbc-256 aes-256-cbc cbc(aes) aes_cbc rijndael rijndael128"),
            ("3des-cbc", "3des des3 3des_cbc cbc(des3_ede) des-ede3-cbc tripledes"),
            ("des-cbc", "des"),
            ("blowfish-cbc", "blowfish blowfish448"),
            ("cast128-cbc", "cast128"),
            ("camellia-cbc", "camellia256"),
            ("aes-ctr", "aesctr rfc3686(ctr(aes))"),
            ("aes-gcm-16", "aes-gcm aes_gcm aes256gcm16 rfc4106(gcm(aes))"),
            ("aes-gcm-8", "aes128gcm8"),
            ("aes-gcm-12", "aes-gcm-96"),
            ("aes-ccm-16", "rfc4309(ccm(aes))"),
            ("aes-gmac", "rfc4543(gcm(aes)) aes_gmac"),
            ("chacha20-poly1305", "rfc7539esp(chacha20,poly1305) chacha20poly1305"),
            ("null", "none null_enc ecb(cipher_null)"),
            ("twofish-cbc", "twofish256"),
        ] {
            for word in words.split(' ') {
                let hint = for_cipher(word).unwrap_or_default();
                assert!(hint.starts_with(&format!("did you mean `{expected}`?")), "{word}: {hint}");
            }
        }
        let hint = |word| for_cipher(word).unwrap_or_default();
        assert_eq!(hint("aes-cbc-256"), "did you mean `aes-cbc`? For 256 bits give it a key of 32 bytes");
        assert_eq!(
            hint("aes256gcm16"),
            "did you mean `aes-gcm-16`? For 256 bits give it 36 bytes: the key and 4 of salt"
        );
        assert_eq!(hint("hmac-sha1"), "hmac-sha1 is an authentication algorithm: it follows -A");
        assert_eq!(hint("sha1"), "an authentication algorithm follows -A: did you mean -A `hmac-sha1`?");
        assert_eq!(for_cipher("secret"), None);
        assert_eq!(for_cipher("aes7000"), None);
    }

    #[test]
    fn hashes_of_other_programs() {
        for (expected, words) in [
            ("hmac-sha1", "sha1 sha SHA-1 hmac_sha1 hmac(sha1) hmac-sha1-96"),
            ("hmac-md5", "md5 hmac_md5 hmac-md5-96"),
            ("hmac-sha512", "sha512 sha2_512"),
            ("hmac-sha384", "hmac-sha384-192"),
            ("hmac-sha2-256-128", "hmac-sha256-128"),
            ("aes-xcbc-mac", "xcbc(aes) aesxcbc"),
            ("hmac-ripemd160", "rmd160 ripemd160"),
            ("tcp-md5", "tcpmd5 md5sig"),
            ("null", "digest_null none"),
        ] {
            for word in words.split(' ') {
                assert_eq!(for_hash(word).unwrap_or_default(), format!("did you mean `{expected}`?"), "{word}");
            }
        }
        let both = "did you mean `hmac-sha256`, or `hmac-sha2-256-128` with the ICV of RFC 4868?";
        assert_eq!(for_hash("sha256").as_deref(), Some(both));
        assert_eq!(for_hash("hmac(sha256)").as_deref(), Some(both));
        assert_eq!(for_hash("aes-cbc").as_deref(), Some("aes-cbc is a cipher: it follows -E"));
        assert_eq!(for_hash("aes256").as_deref(), Some("a cipher follows -E: did you mean -E `aes-cbc`?"));
        assert_eq!(for_hash("sha224"), None);
    }
}
