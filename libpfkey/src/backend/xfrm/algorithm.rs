//! Algorithms: PF_KEY numbers (Linux') and the kernel's names. Sizes in bits.

use super::layout::Algo;

/// An authentication algorithm.
#[derive(Debug)]
pub(super) struct Auth {
    pub(super) id: u8,
    name: &'static str,
    /// An older name that kernels may answer with.
    alias: &'static str,
    pub(super) key_bits: u16,
    /// The ICV that `af_key` gives it.
    pub(super) icv_bits: u32,
}

/// The number of no authentication.
pub(super) const AUTH_NULL: u8 = 251;

/// In the order of `af_key`'s REGISTER answer.
pub(super) const AUTH: [Auth; 9] = [
    Auth { id: AUTH_NULL, name: "digest_null", alias: "digest_null", key_bits: 0, icv_bits: 0 },
    Auth { id: 2, name: "hmac(md5)", alias: "md5", key_bits: 128, icv_bits: 96 },
    Auth { id: 3, name: "hmac(sha1)", alias: "sha1", key_bits: 160, icv_bits: 96 },
    // RFC 4868 says 128: see the extension XfrmAuthTrunc.
    Auth { id: 5, name: "hmac(sha256)", alias: "sha256", key_bits: 256, icv_bits: 96 },
    Auth { id: 6, name: "hmac(sha384)", alias: "hmac(sha384)", key_bits: 384, icv_bits: 192 },
    Auth { id: 7, name: "hmac(sha512)", alias: "hmac(sha512)", key_bits: 512, icv_bits: 256 },
    Auth { id: 8, name: "hmac(rmd160)", alias: "rmd160", key_bits: 160, icv_bits: 96 },
    Auth { id: 9, name: "xcbc(aes)", alias: "xcbc(aes)", key_bits: 128, icv_bits: 96 },
    Auth { id: 10, name: "hmac(sm3)", alias: "sm3", key_bits: 256, icv_bits: 256 },
];

impl Auth {
    pub(super) fn of(id: u8) -> Option<&'static Self> {
        AUTH.iter().find(|auth| auth.id == id)
    }

    pub(super) fn named(name: &[u8]) -> Option<&'static Self> {
        AUTH.iter().find(|auth| auth.name.as_bytes() == name || auth.alias.as_bytes() == name)
    }

    /// With a key and an ICV of a length of its own.
    pub(super) fn algo<'a>(&self, key: &'a [u8], key_bits: u32, icv_bits: u32) -> Algo<'a> {
        Algo { name: self.name.as_bytes(), key_bits, icv_bits: Some(icv_bits), key }
    }
}

/// A cipher.
#[derive(Debug)]
pub(super) struct Cipher {
    pub(super) id: u8,
    name: &'static str,
    alias: &'static str,
    pub(super) iv_len: u8,
    pub(super) min_bits: u16,
    pub(super) max_bits: u16,
}

const fn cipher(id: u8, name: &'static str, alias: &'static str, bits: (u16, u16)) -> Cipher {
    Cipher { id, name, alias, iv_len: if id == NULL { 0 } else { 8 }, min_bits: bits.0, max_bits: bits.1 }
}

/// The null cipher's number.
pub(super) const NULL: u8 = 11;

/// In the order of `af_key`'s REGISTER answer.
pub(super) const CIPHERS: [Cipher; 11] = [
    cipher(NULL, "ecb(cipher_null)", "cipher_null", (0, 0)),
    cipher(2, "cbc(des)", "des", (64, 64)),
    cipher(3, "cbc(des3_ede)", "des3_ede", (192, 192)),
    cipher(6, "cbc(cast5)", "cast5", (40, 128)),
    cipher(7, "cbc(blowfish)", "blowfish", (40, 448)),
    cipher(12, "cbc(aes)", "aes", (128, 256)),
    cipher(252, "cbc(serpent)", "serpent", (128, 256)),
    cipher(22, "cbc(camellia)", "camellia", (128, 256)),
    cipher(253, "cbc(twofish)", "twofish", (128, 256)),
    cipher(13, "rfc3686(ctr(aes))", "rfc3686(ctr(aes))", (160, 288)),
    cipher(24, "cbc(sm4)", "sm4", (128, 128)),
];

impl Cipher {
    pub(super) fn of(id: u8) -> Option<&'static Self> {
        CIPHERS.iter().find(|cipher| cipher.id == id)
    }

    pub(super) fn named(name: &[u8]) -> Option<&'static Self> {
        CIPHERS.iter().find(|cipher| cipher.name.as_bytes() == name || cipher.alias.as_bytes() == name)
    }

    pub(super) fn algo<'a>(&self, key: &'a [u8], key_bits: u32) -> Algo<'a> {
        Algo { name: self.name.as_bytes(), key_bits, icv_bits: None, key }
    }
}

/// A cipher that authenticates. `af_key` knows the numbers and refuses them.
#[derive(Debug)]
pub(super) struct Aead {
    pub(super) id: u8,
    name: &'static str,
    icv_bits: u32,
    pub(super) min_bits: u16,
    pub(super) max_bits: u16,
}

const CCM: &str = "rfc4309(ccm(aes))";
const GCM: &str = "rfc4106(gcm(aes))";

pub(super) const AEADS: [Aead; 8] = [
    Aead { id: 14, name: CCM, icv_bits: 64, min_bits: 152, max_bits: 280 },
    Aead { id: 15, name: CCM, icv_bits: 96, min_bits: 152, max_bits: 280 },
    Aead { id: 16, name: CCM, icv_bits: 128, min_bits: 152, max_bits: 280 },
    Aead { id: 18, name: GCM, icv_bits: 64, min_bits: 160, max_bits: 288 },
    Aead { id: 19, name: GCM, icv_bits: 96, min_bits: 160, max_bits: 288 },
    Aead { id: 20, name: GCM, icv_bits: 128, min_bits: 160, max_bits: 288 },
    Aead { id: 23, name: "rfc4543(gcm(aes))", icv_bits: 128, min_bits: 160, max_bits: 288 },
    // Linux' PF_KEY has no number for it: this one is private to this library.
    Aead { id: 240, name: "rfc7539esp(chacha20,poly1305)", icv_bits: 128, min_bits: 288, max_bits: 288 },
];

impl Aead {
    pub(super) fn of(id: u8) -> Option<&'static Self> {
        AEADS.iter().find(|aead| aead.id == id)
    }

    pub(super) fn named(name: &[u8], icv_bits: u32) -> Option<&'static Self> {
        AEADS.iter().find(|aead| aead.name.as_bytes() == name && aead.icv_bits == icv_bits)
    }

    pub(super) fn algo<'a>(&self, key: &'a [u8], key_bits: u32) -> Algo<'a> {
        Algo { name: self.name.as_bytes(), key_bits, icv_bits: Some(self.icv_bits), key }
    }
}

/// Compression: the one algorithm that kernels have. Its number is that of `sadb_sa_encrypt` in an IPComp SA.
const COMPRESSION: [(u8, &str); 3] = [(2, "deflate"), (3, "lzs"), (4, "lzjh")];

pub(super) fn compression(id: u8) -> Option<Algo<'static>> {
    let (_, name) = COMPRESSION.iter().find(|(number, _)| *number == id)?;
    Some(Algo { name: name.as_bytes(), key_bits: 0, icv_bits: None, key: &[] })
}

pub(super) fn compression_named(name: &[u8]) -> Option<u8> {
    COMPRESSION.iter().find(|(_, known)| known.as_bytes() == name).map(|(number, _)| *number)
}
