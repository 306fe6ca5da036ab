//! Parsing of algorithms as other programs write them: `aes256-sha1-modp1024`, `esp-3des`, `AES-128-CBC`, `cbc(aes)`.

use libpfkey::algorithm::Encryption;

use super::algorithm::DhGroup;

/// Maximum length of a word.
const LENGTH_MAX: usize = 64;

/// Parts without a meaning of their own, which are skipped.
const EMPTY: [&str; 21] = [
    "esp",
    "ah",
    "ike",
    "ipsec",
    "hmac",
    "keyed",
    "cbc",
    "suite",
    "qm",
    "mm",
    "trans",
    "transform",
    "phase1",
    "phase2",
    "enc",
    "auth",
    "pfs",
    "hash",
    "grp",
    "with",
    "icv",
];

/// Names of ciphers in other programs that contain a mode or a number, with racoon's names.
const CIPHERS: [(&str, &str); 10] = [
    ("3des", "3des"),
    ("des3", "3des"),
    ("desede3", "3des"),
    ("desede", "3des"),
    ("des", "des"),
    ("aesgcm", "aes_gcm"),
    ("aesccm", "aes_ccm"),
    ("aesctr", "aes_ctr"),
    ("aesgmac", "aes_gmac"),
    ("aescbc", "aes"),
];

/// Returns the cipher whose name `part` begins with, and the rest.
fn cipher_of(part: &str) -> Option<(&'static str, &str)> {
    let elsewhere = Encryption::ALL.iter().flat_map(|one| {
        let name = one.ike().first().and_then(|ike| ike.names.first()).copied();
        one.names_elsewhere().iter().filter_map(move |word| Some((*word, name?)))
    });
    let fitting = CIPHERS.into_iter().chain(elsewhere).filter(|(word, _)| part.starts_with(word));
    // The longest: `aesgcm` begins with `aes`.
    let (word, name) = fitting.max_by_key(|(word, _)| word.len())?;
    Some((name, part.get(word.len()..)?))
}

/// The algorithms that a word names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Suite {
    /// The name of a cipher.
    pub(super) cipher: Option<&'static str>,
    /// The length of its key.
    pub(super) bits: Option<u16>,
    /// A hash under its name in phase 1, or `aes_xcbc`.
    pub(super) hash: Option<&'static str>,
    /// A group.
    pub(super) group: Option<DhGroup>,
    /// Whether SHA-2 is named, whose length may follow.
    sha2: bool,
    /// A kind of group whose number may follow.
    grouped: Option<&'static str>,
}

impl Suite {
    /// Parses a word; `None` if a part of it is unknown or it names nothing.
    pub(super) fn read(text: &str) -> Option<Self> {
        // A longer word is no suite, and the work on it has to stay small.
        if text.len() > LENGTH_MAX {
            return None;
        }
        let text = text.to_ascii_lowercase().replace("triple", "3").replace("3-des", "3des").replace("3_des", "3des");
        let text = text.replace("des-ede", "desede").replace("des_ede", "desede").replace("aes-xcbc", "aesxcbc");
        let text = text.replace("aes_xcbc", "aesxcbc");
        let mut suite = Self::default();
        let parts = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
        for part in parts {
            suite.add(part)?;
        }
        // SHA-2 without a length is SHA-256 in most programs.
        if suite.sha2 && suite.hash.is_none() {
            suite.hash = Some("sha256");
        }
        (suite.cipher.is_some() || suite.hash.is_some() || suite.group.is_some()).then_some(suite)
    }

    /// Returns how many of cipher, hash and group are named.
    pub(super) fn kinds(&self) -> u8 {
        u8::from(self.cipher.is_some()) + u8::from(self.hash.is_some()) + u8::from(self.group.is_some())
    }

    /// Returns the cipher and its key length in racoon's notation.
    pub(super) fn cipher_text(&self) -> Option<String> {
        let cipher = self.cipher?;
        Some(self.bits.map_or_else(|| cipher.to_owned(), |bits| format!("{cipher} {bits}")))
    }

    /// Returns the hash under its name in a sainfo.
    pub(super) fn authentication(&self) -> Option<String> {
        self.hash.map(|hash| if hash == "aes_xcbc" { hash.to_owned() } else { format!("hmac_{hash}") })
    }

    fn add(&mut self, part: &str) -> Option<()> {
        if let Some(kind) = self.grouped.take()
            && let Some(group) = group(kind, part)
        {
            self.group = Some(group);
            return Some(());
        }
        match part {
            "modp" | "ecp" | "dh" | "group" | "grp" => {
                self.grouped = Some(if part == "modp" || part == "ecp" { part_of(part) } else { "" });
                return Some(());
            }
            "sha" | "sha1" => self.hash = Some("sha1"),
            "sha2" => self.sha2 = true,
            "md5" => self.hash = Some("md5"),
            "sha256" | "sha2256" => self.hash = Some("sha256"),
            "sha384" | "sha2384" => self.hash = Some("sha384"),
            "sha512" | "sha2512" => self.hash = Some("sha512"),
            "xcbc" | "aesxcbc" => self.hash = Some("aes_xcbc"),
            "gcm" | "ccm" | "ctr" | "gmac" if self.cipher == Some("aes") => self.cipher = mode(part),
            _ if EMPTY.contains(&part) => {}
            _ if part.bytes().all(|byte| byte.is_ascii_digit()) => return self.number(part),
            _ => return self.compound(part),
        }
        Some(())
    }

    /// Parses a number on its own, which belongs to the part before it.
    fn number(&mut self, digits: &str) -> Option<()> {
        let number: u16 = digits.parse().ok()?;
        match (number, self.hash) {
            // `sha-1`
            (1, Some("sha1")) => {}
            // `sha-2`, whose length may follow.
            (2, Some("sha1")) => (self.hash, self.sha2) = (None, true),
            (256 | 384 | 512, hash) if self.sha2 || hash == Some("sha1") => {
                (self.sha2, self.hash) = (false, Some(sha2(number)?));
            }
            // The length of the ICV.
            (96 | 128 | 192 | 256, Some(_)) => {}
            (8 | 12 | 16, None) if self.cipher.is_some_and(|cipher| cipher.starts_with("aes_")) => {}
            (40..=448, None) if self.cipher.is_some() && self.bits.is_none() => self.bits = Some(number),
            _ => return None,
        }
        Some(())
    }

    /// Parses a part that contains a number, such as `aes256`, `aes128gcm16` or `modp1024`.
    fn compound(&mut self, part: &str) -> Option<()> {
        for kind in ["modp", "ecp", "x", "curve", "dh", "group", "grp", "secp", "p"] {
            if let Some(group) = part.strip_prefix(kind).and_then(|rest| group(kind, rest)) {
                self.group = Some(group);
                return Some(());
            }
        }
        // The number in `cast128` is part of the name, not the length of a key.
        if part.starts_with("cast") {
            self.cipher = Some("cast128");
            return matches!(part, "cast" | "cast5" | "cast128").then_some(());
        }
        let (name, rest) = cipher_of(part)?;
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (bits, rest) = rest.split_at_checked(digits)?;
        self.cipher = Some(name);
        if !bits.is_empty() {
            self.bits = Some(bits.parse().ok()?);
        }
        match rest.trim_end_matches(|c: char| c.is_ascii_digit()) {
            "" => {}
            "cbc" => {}
            other if name == "aes" => self.cipher = Some(mode(other)?),
            _ => return None,
        }
        Some(())
    }
}

fn part_of(part: &str) -> &'static str {
    if part == "ecp" { "ecp" } else { "modp" }
}

fn mode(mode: &str) -> Option<&'static str> {
    Some(match mode {
        "gcm" => "aes_gcm",
        "ccm" => "aes_ccm",
        "ctr" => "aes_ctr",
        "gmac" => "aes_gmac",
        _ => return None,
    })
}

fn sha2(bits: u16) -> Option<&'static str> {
    Some(match bits {
        256 => "sha256",
        384 => "sha384",
        512 => "sha512",
        _ => return None,
    })
}

/// Returns the group of a kind and a number.
fn group(kind: &str, number: &str) -> Option<DhGroup> {
    let name = match kind {
        "modp" => format!("modp{number}"),
        "x" | "curve" => format!("x{number}"),
        "ecp" => format!("ecp{number}"),
        "secp" | "p" => format!("ecp{}", number.trim_end_matches("r1")),
        _ => number.to_owned(),
    };
    DhGroup::from_name(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_programs() {
        for (text, expected) in [
            ("aes-256", "aes 256"),
            ("AES128", "aes 128"),
            ("aes-128-cbc", "aes 128"),
            ("aes_cbc_192", "aes 192"),
            ("rijndael-cbc", "aes"),
            ("3des-cbc", "3des"),
            ("DES-EDE3-CBC", "3des"),
            ("3-des", "3des"),
            ("tripledes", "3des"),
            ("esp-aes-256", "aes 256"),
            ("aes128gcm16", "aes_gcm 128"),
            ("aes-gcm-256", "aes_gcm 256"),
            ("aesctr", "aes_ctr"),
            ("cast5", "cast128"),
            ("sha-1", "sha1"),
            ("hmac-sha1", "sha1"),
            ("hmac-sha1-96", "sha1"),
            ("HMAC_SHA2_256_128", "sha256"),
            ("esp-sha-hmac", "sha1"),
            ("sha2-512", "sha512"),
            ("sha2", "sha256"),
            ("aes-xcbc-mac", ""),
            ("aes-xcbc", "aes_xcbc"),
            ("group2", "modp1024"),
            ("dh14", "modp2048"),
            ("MODP-1536", "modp1536"),
            ("grp19", "ecp256"),
            ("curve25519", "x25519"),
            ("secp384r1", "ecp384"),
            ("aes128-sha1-modp1024", "aes 128 sha1 modp1024"),
            ("3des-md5", "3des md5"),
            ("aes256-sha2_256-dh14", "aes 256 sha256 modp2048"),
            ("QM-ESP-AES-SHA-SUITE", "aes sha1"),
            ("AES-SHA-GRP5", "aes sha1 modp1536"),
            ("main", ""),
            ("esp", ""),
            ("dh22", ""),
            ("modp2047", ""),
            ("sha3", ""),
            ("256", ""),
        ] {
            let suite = Suite::read(text).unwrap_or_default();
            let parts =
                [suite.cipher_text(), suite.hash.map(str::to_owned), suite.group.map(|group| group.name().to_owned())];
            let all = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
            assert_eq!(all, expected, "{text}");
        }
        assert_eq!(Suite::read(&"aes-".repeat(100)), None);
    }
}
