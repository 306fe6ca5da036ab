//! The length of the KEYMAT of an IPsec SA, and its division into keys.

use super::Secret;
use crate::num::{AuthAlgorithm, EspTransform};

/// Key length of a cipher with several, when the proposal has no Key Length attribute.
const DEFAULT_KEY_BITS: u16 = 128;

/// Returns the length in bytes of the KEYMAT for ESP's encryption: the key, followed by a salt for CTR, GCM and GMAC (4 bytes: RFC
/// 3686 section 5.1, 4106 section 8.1, 4543) and for CCM (3 bytes: RFC 4309 section 7.1). `key_bits` is the Key Length attribute,
/// which does not count the salt; 0 if there is none. `None` if the transform does not have such a key length.
pub fn esp_key_length(transform: EspTransform, key_bits: u16) -> Option<usize> {
    let only = |length: usize| (key_bits == 0 || usize::from(key_bits) == length * 8).then_some(length);
    let bits = if key_bits == 0 { DEFAULT_KEY_BITS } else { key_bits };
    let within = |least: u16, most: u16| {
        ((least..=most).contains(&bits) && bits.is_multiple_of(8)).then_some(usize::from(bits / 8))
    };
    let of_aes = || matches!(bits, 128 | 192 | 256).then_some(usize::from(bits / 8));
    match transform {
        EspTransform::NULL => only(0),
        EspTransform::DES | EspTransform::DES_IV32 | EspTransform::DES_IV64 => only(8),
        EspTransform::TRIPLE_DES => only(24),
        EspTransform::CAST128 => within(40, 128),
        EspTransform::BLOWFISH => within(40, 448),
        EspTransform::AES | EspTransform::CAMELLIA | EspTransform::TWOFISH => of_aes(),
        EspTransform::AES_CTR
        | EspTransform::AES_GCM_8
        | EspTransform::AES_GCM_12
        | EspTransform::AES_GCM_16
        | EspTransform::AES_GMAC => Some(of_aes()? + 4),
        EspTransform::AES_CCM_8 | EspTransform::AES_CCM_12 | EspTransform::AES_CCM_16 => Some(of_aes()? + 3),
        _ => None,
    }
}

/// Returns the length in bytes of the KEYMAT for authentication in ESP and AH: that of the hash (RFC 2403, 2404, 4868), or 16 for
/// AES-XCBC (RFC 3566). `None` for an unsupported algorithm.
pub fn auth_key_length(algorithm: AuthAlgorithm) -> Option<usize> {
    Some(match algorithm {
        AuthAlgorithm::NONE => 0,
        AuthAlgorithm::HMAC_MD5 | AuthAlgorithm::AES_XCBC => 16,
        AuthAlgorithm::HMAC_SHA1 => 20,
        AuthAlgorithm::HMAC_SHA256 => 32,
        AuthAlgorithm::HMAC_SHA384 => 48,
        AuthAlgorithm::HMAC_SHA512 => 64,
        _ => return None,
    })
}

/// Splits KEYMAT into the key for encryption and the one for authentication, in this order (RFC 2401 section 4.4.3). `None` if its
/// length is not the sum of both.
pub fn split_keymat(keymat: &Secret, encryption: usize, authentication: usize) -> Option<(Secret, Secret)> {
    let (first, second) = keymat.as_bytes().split_at_checked(encryption)?;
    (second.len() == authentication).then(|| (Secret::from(first.to_vec()), Secret::from(second.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn esp_takes_a_key_and_for_counters_a_salt() {
        let lengths = |transform, bits: &[u16]| bits.iter().map(|b| esp_key_length(transform, *b)).collect::<Vec<_>>();
        let of_aes = [0, 128, 192, 256, 64, 129, 512];
        let (plain, none) = ([Some(16), Some(16), Some(24), Some(32)], [None; 3]);
        let with = |salt: usize| [plain.map(|key| key.map(|key| key + salt)).to_vec(), none.to_vec()].concat();
        for transform in [EspTransform::AES, EspTransform::CAMELLIA, EspTransform::TWOFISH] {
            assert_eq!(lengths(transform, &of_aes), with(0), "{transform}");
        }
        for number in [13, 18, 19, 20, 23] {
            assert_eq!(lengths(EspTransform(number), &of_aes), with(4), "{number}");
        }
        for number in [14, 15, 16] {
            assert_eq!(lengths(EspTransform(number), &of_aes), with(3), "{number}");
        }
        assert_eq!(lengths(EspTransform::NULL, &[0, 128]), [Some(0), None]);
        assert_eq!(lengths(EspTransform::DES, &[0, 64, 56]), [Some(8), Some(8), None]);
        assert_eq!(lengths(EspTransform::TRIPLE_DES, &[0, 192, 168]), [Some(24), Some(24), None]);
        let blowfish = [Some(16), Some(5), Some(56), None, None, None];
        assert_eq!(lengths(EspTransform::BLOWFISH, &[0, 40, 448, 32, 456, 41]), blowfish);
        assert_eq!(lengths(EspTransform::CAST128, &[0, 40, 128, 136]), [Some(16), Some(5), Some(16), None]);
        assert_eq!(lengths(EspTransform::IDEA, &[0, 128]), [None, None]);
        assert_eq!(lengths(EspTransform(99), &[0]), [None]);
    }

    #[test]
    fn authentication_takes_a_key_as_long_as_the_hash() {
        let lengths = (0..=10).map(|number| auth_key_length(AuthAlgorithm(number)));
        let expected = [Some(0), Some(16), Some(20), None, None, Some(32), Some(48), Some(64), None, Some(16), None];
        assert!(lengths.eq(expected));
    }

    #[test]
    fn keymat_is_split_without_a_rest() {
        let keymat = Secret::from((0..10).collect::<Vec<u8>>());
        let (encryption, authentication) = split_keymat(&keymat, 4, 6).unwrap();
        assert_eq!(encryption.as_bytes(), [0, 1, 2, 3]);
        assert_eq!(authentication.as_bytes(), [4, 5, 6, 7, 8, 9]);
        assert!(split_keymat(&keymat, 0, 10).is_some());
        assert!(split_keymat(&keymat, 10, 0).is_some());
        for (encryption, authentication) in [(4, 5), (4, 7), (11, 0), (usize::MAX, 1)] {
            assert!(split_keymat(&keymat, encryption, authentication).is_none());
        }
    }
}
