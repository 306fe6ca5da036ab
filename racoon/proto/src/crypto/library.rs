//! The algorithms that this system's libcrypto supports.

use std::sync::OnceLock;

use openssl::cipher::{Cipher as LibraryCipher, CipherRef};
use openssl::error::ErrorStack;
use openssl::md::{Md, MdRef};
use openssl::provider::Provider;

use super::{CryptoError, group};
use crate::num::{Cipher, Group, Hash};

/// Names of the hashes in libcrypto.
const HASHES: &[(Hash, &str)] = &[
    (Hash::MD5, "MD5"),
    (Hash::SHA1, "SHA1"),
    (Hash::SHA256, "SHA256"),
    (Hash::SHA384, "SHA384"),
    (Hash::SHA512, "SHA512"),
];

/// Names of the ciphers in libcrypto, with their key lengths in bits.
const CIPHERS: &[(Cipher, KeyBits, &str)] = &[
    (Cipher::DES, KeyBits::Only(64), "DES-CBC"),
    (Cipher::TRIPLE_DES, KeyBits::Only(192), "DES-EDE3-CBC"),
    (Cipher::BLOWFISH, KeyBits::Range(40, 448), "BF-CBC"),
    (Cipher::CAST128, KeyBits::Range(40, 128), "CAST5-CBC"),
    (Cipher::AES, KeyBits::OneOf(128), "AES-128-CBC"),
    (Cipher::AES, KeyBits::OneOf(192), "AES-192-CBC"),
    (Cipher::AES, KeyBits::OneOf(256), "AES-256-CBC"),
    (Cipher::CAMELLIA, KeyBits::OneOf(128), "CAMELLIA-128-CBC"),
    (Cipher::CAMELLIA, KeyBits::OneOf(192), "CAMELLIA-192-CBC"),
    (Cipher::CAMELLIA, KeyBits::OneOf(256), "CAMELLIA-256-CBC"),
];

/// Key length of a cipher with several, if none is negotiated.
const DEFAULT_KEY_BITS: u16 = 128;

#[derive(Clone, Copy)]
enum KeyBits {
    /// The only key length of the cipher.
    Only(u16),
    /// One of several, each of which has a name of its own.
    OneOf(u16),
    /// Any whole number of bytes in a range.
    Range(u16, u16),
}

impl KeyBits {
    /// Returns the key length for a negotiated one, which is 0 without the attribute; `None` if the cipher does not have it.
    fn choose(self, agreed: u16) -> Option<u16> {
        match self {
            Self::Only(bits) => (agreed == 0 || agreed == bits).then_some(bits),
            Self::OneOf(bits) => (if agreed == 0 { DEFAULT_KEY_BITS } else { agreed } == bits).then_some(bits),
            Self::Range(least, most) => {
                let bits = if agreed == 0 { DEFAULT_KEY_BITS } else { agreed };
                ((least..=most).contains(&bits) && bits.is_multiple_of(8)).then_some(bits)
            }
        }
    }
}

/// Returns the version of libcrypto as text.
pub fn version() -> &'static str {
    openssl::version::version()
}

/// Loads libcrypto's legacy provider, and fetches every algorithm once. Call it when the process starts: after a chroot, the
/// provider's file may be out of reach.
///
/// Returns a line for each algorithm that racoon knows and libcrypto does not have.
pub fn initialise() -> Vec<String> {
    let library = library();
    let mut warnings: Vec<String> = library.legacy.as_ref().err().cloned().into_iter().collect();
    let mut missing = |name: String| warnings.push(format!("{name} is not supported by this libcrypto"));
    for (hash, _) in HASHES.iter().filter(|(hash, _)| !is_supported_hash(*hash)) {
        missing(format!("hash algorithm {hash}"));
    }
    for (_, _, name) in CIPHERS.iter().filter(|(_, _, name)| !library.ciphers.iter().any(|(_, _, has, _)| has == name))
    {
        missing(format!("encryption algorithm {name}"));
    }
    for known in group::known().filter(|known| !is_supported_group(*known)) {
        missing(format!("Diffie-Hellman group {known}"));
    }
    warnings
}

/// Whether libcrypto has a cipher with a key length in bits; 0 stands for its only one, or else 128.
pub fn is_supported(cipher: Cipher, key_bits: u16) -> bool {
    fetched_cipher(cipher, key_bits).is_ok()
}

/// Whether libcrypto has a hash.
pub fn is_supported_hash(hash: Hash) -> bool {
    fetched_hash(hash).is_ok()
}

/// Whether libcrypto has a group.
pub fn is_supported_group(group: Group) -> bool {
    group::is_supported(group)
}

/// Returns libcrypto's implementation of a hash.
pub(super) fn fetched_hash(hash: Hash) -> Result<&'static MdRef, CryptoError> {
    let found = library().hashes.iter().find(|(known, _)| *known == hash);
    found.map(|(_, md)| &**md).ok_or(CryptoError::Hash(hash))
}

/// Returns libcrypto's implementation of a cipher, and the length of its key in bytes.
pub(super) fn fetched_cipher(cipher: Cipher, key_bits: u16) -> Result<(&'static CipherRef, usize), CryptoError> {
    let of_cipher = library().ciphers.iter().filter(|(known, ..)| *known == cipher);
    let found = of_cipher.filter_map(|(_, bits, _, fetched)| Some((bits.choose(key_bits)?, fetched))).next();
    let (bits, fetched) = found.ok_or(CryptoError::Cipher(cipher, key_bits))?;
    Ok((fetched, usize::from(bits / 8)))
}

/// The algorithms that were found. libcrypto looks them up by name, which takes longer than hashing a message.
struct Library {
    /// The legacy provider, kept loaded for its ciphers, or the reason why there is none.
    legacy: Result<Provider, String>,
    hashes: Vec<(Hash, Md)>,
    ciphers: Vec<(Cipher, KeyBits, &'static str, LibraryCipher)>,
}

fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        // `true` keeps the ciphers of the default provider.
        let legacy = Provider::try_load(None, "legacy", true)
            .map_err(|errors| format!("libcrypto has no legacy provider, for des, blowfish and cast128: {errors}"));
        let hashes =
            HASHES.iter().filter_map(|(hash, name)| Some((*hash, Md::fetch(None, name, None).ok()?))).collect();
        let ciphers = CIPHERS
            .iter()
            .filter_map(|(cipher, bits, name)| {
                Some((*cipher, *bits, *name, LibraryCipher::fetch(None, name, None).ok()?))
            })
            .collect();
        // A missing algorithm is not an error: it must not stay in the error queue.
        drop(ErrorStack::get());
        Library { legacy, hashes, ciphers }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_there() {
        assert_eq!(initialise(), Vec::<String>::new());
        for hash in [Hash::MD5, Hash::SHA1, Hash::SHA256, Hash::SHA384, Hash::SHA512] {
            assert!(is_supported_hash(hash), "{hash}");
        }
        assert!(!is_supported_hash(Hash::TIGER));
        assert!(!is_supported_hash(Hash(0)));
        for number in [1, 2, 5, 14, 15, 16, 17, 18, 19, 20, 21, 31] {
            assert!(is_supported_group(Group(number)), "{number}");
        }
        for number in [0, 3, 4, 22, 30, u16::MAX] {
            assert!(!is_supported_group(Group(number)), "{number}");
        }
    }

    #[test]
    fn ciphers_have_their_key_lengths() {
        let supported = |cipher| (0..=512).filter(|bits| is_supported(cipher, *bits)).collect::<Vec<u16>>();
        assert_eq!(supported(Cipher::DES), [0, 64]);
        assert_eq!(supported(Cipher::TRIPLE_DES), [0, 192]);
        assert_eq!(supported(Cipher::AES), [0, 128, 192, 256]);
        assert_eq!(supported(Cipher::CAMELLIA), [0, 128, 192, 256]);
        assert_eq!(supported(Cipher::CAST128), [0, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128]);
        assert_eq!(supported(Cipher::BLOWFISH).len(), 1 + (448 - 40) / 8 + 1);
        assert_eq!(supported(Cipher::IDEA), []);
        assert_eq!(supported(Cipher::RC5), []);
        assert_eq!(supported(Cipher(0)), []);
    }
}
