//! Hashes, the prf, and comparison.

use std::fmt;

use openssl::md::MdRef;
use openssl::md_ctx::MdCtx;
use openssl::memcmp;
use openssl::pkey::{PKey, Private};

use super::{CryptoError, Secret, library};
use crate::num::Hash;

/// Returns the hash of the concatenated parts.
///
/// # Errors
/// If libcrypto does not have the hash.
pub fn digest(hash: Hash, parts: &[&[u8]]) -> Result<Vec<u8>, CryptoError> {
    let md = library::fetched_hash(hash)?;
    let mut context = MdCtx::new()?;
    context.digest_init(md)?;
    for part in parts {
        context.digest_update(part)?;
    }
    let mut value = vec![0; md.size()];
    context.digest_final(&mut value)?;
    Ok(value)
}

/// prf(key, ...): the HMAC of the negotiated hash (RFC 2409 section 4) with its key, which is wiped on drop and not shown. To create
/// one takes libcrypto almost as long as to use it, so a key that is used more than once is kept in this form.
pub struct Prf {
    md: &'static MdRef,
    key: PKey<Private>,
}

impl Prf {
    /// The prf with a key, which may be empty.
    ///
    /// # Errors
    /// If libcrypto does not have the hash.
    pub fn new(hash: Hash, key: &[u8]) -> Result<Self, CryptoError> {
        let md = library::fetched_hash(hash)?;
        // libcrypto refuses an empty key. HMAC pads keys with zeros, so a single zero is the same key.
        let key = PKey::hmac(if key.is_empty() { &[0] } else { key })?;
        Ok(Self { md, key })
    }

    /// Returns the prf of the concatenated parts.
    ///
    /// # Errors
    /// If libcrypto fails.
    pub fn of(&self, parts: &[&[u8]]) -> Result<Secret, CryptoError> {
        let mut context = MdCtx::new()?;
        context.digest_sign_init(Some(self.md), &self.key)?;
        for part in parts {
            context.digest_sign_update(part)?;
        }
        let mut value = Secret::from(vec![0; self.md.size()]);
        context.digest_sign_final(Some(value.as_mut_bytes()))?;
        Ok(value)
    }

    /// Returns the prf of another hash with the same key.
    ///
    /// # Errors
    /// If libcrypto does not have the hash.
    pub fn with_hash(&self, hash: Hash) -> Result<Self, CryptoError> {
        Ok(Self { md: library::fetched_hash(hash)?, key: self.key.clone() })
    }

    #[cfg(test)]
    pub(crate) fn key(&self) -> Secret {
        self.key.raw_private_key().unwrap().into()
    }
}

impl fmt::Debug for Prf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prf({} bytes)", self.md.size())
    }
}

/// Returns the prf of the concatenated parts, with a key that is used once.
///
/// # Errors
/// If libcrypto does not have the hash.
pub fn prf(hash: Hash, key: &[u8], parts: &[&[u8]]) -> Result<Secret, CryptoError> {
    Prf::new(hash, key)?.of(parts)
}

/// Whether two values are equal, in a time that depends only on their lengths.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && memcmp::eq(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::hex;

    const ALL: [Hash; 5] = [Hash::MD5, Hash::SHA1, Hash::SHA256, Hash::SHA384, Hash::SHA512];

    fn hmac(hash: Hash, key: &[u8], data: &[u8]) -> String {
        hex::text(prf(hash, key, &[data]).unwrap().as_bytes())
    }

    /// RFC 2202 and RFC 4231, test cases 1 (a key as long as the hash: MD5 16, else 20 bytes) and 2.
    #[test]
    fn prf_gives_the_values_of_the_rfcs() {
        let first = [
            "9294727a3638bb1c13f48ef8158bfc9d",
            "b617318655057264e28bc0b6fb378c8ef146be00",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde\
             daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
        ];
        for (hash, expected) in ALL.into_iter().zip(first) {
            let key = vec![0x0b; if hash == Hash::MD5 { 16 } else { 20 }];
            assert_eq!(hmac(hash, &key, b"Hi There"), expected, "{hash}");
        }
        let jefe = |hash| hmac(hash, b"Jefe", b"what do ya want for nothing?");
        assert_eq!(jefe(Hash::MD5), "750c783e6ab0b503eaa86e310a5db738");
        assert_eq!(jefe(Hash::SHA1), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(jefe(Hash::SHA256), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    /// Test case 6 of the same.
    #[test]
    fn prf_takes_keys_longer_than_a_block() {
        let data = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(hmac(Hash::MD5, &[0xaa; 80], data), "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
        assert_eq!(hmac(Hash::SHA1, &[0xaa; 80], data), "aa4ae5e15272d00e95705637ce8a3b55ed402112");
        let sha256 = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        assert_eq!(hmac(Hash::SHA256, &[0xaa; 131], data), sha256);
    }

    #[test]
    fn prf_takes_an_empty_key_and_no_data() {
        assert_eq!(hmac(Hash::MD5, b"", b""), "74e6f7298a9c2d168935f58c001bad88");
        assert_eq!(hmac(Hash::SHA1, b"", b""), "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
        let sha256 = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
        assert_eq!(hmac(Hash::SHA256, b"", b""), sha256);
        assert_eq!(hex::text(prf(Hash::SHA256, b"", &[]).unwrap().as_bytes()), sha256);
    }

    #[test]
    fn parts_follow_each_other() {
        for hash in ALL {
            assert_eq!(prf(hash, b"key", &[b"a", b"", b"bc"]), prf(hash, b"key", &[b"abc"]), "{hash}");
            assert_eq!(digest(hash, &[b"a", b"", b"bc"]), digest(hash, &[b"abc"]), "{hash}");
        }
        // RFC 1321 appendix A.5, FIPS 180-4.
        assert_eq!(hex::text(&digest(Hash::MD5, &[b"abc"]).unwrap()), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(hex::text(&digest(Hash::SHA1, &[b"abc"]).unwrap()), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex::text(&digest(Hash::SHA256, &[b"abc"]).unwrap()), sha256);
    }

    #[test]
    fn a_hash_that_is_not_there_is_named() {
        assert_eq!(digest(Hash::TIGER, &[]), Err(CryptoError::Hash(Hash::TIGER)));
        let error = prf(Hash(99), b"", &[]).unwrap_err();
        assert_eq!(error.to_string(), "hash algorithm 99 is not supported by this libcrypto");
    }

    #[test]
    fn equal_is_the_same_length_and_bytes() {
        assert!(equal(b"", b""));
        assert!(equal(b"ab", b"ab"));
        assert!(!equal(b"ab", b"ac"));
        assert!(!equal(b"ab", b"abc"));
        assert!(!equal(b"", b"a"));
    }
}
