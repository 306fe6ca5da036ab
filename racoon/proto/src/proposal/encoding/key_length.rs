//! The key lengths of algorithms: the Key Length attribute of both phases.

use crate::num::{Cipher, EspTransform};

/// The key lengths of an algorithm.
enum Lengths {
    /// One length, for which there is no attribute.
    Fixed,
    /// 128, 192 and 256 bits.
    Aes,
    /// Whole bytes between two lengths in bits.
    Between(u16, u16),
    /// Nothing is known about the algorithm.
    Any,
}

/// Key length in bits if there is no attribute. Other daemons assume the same.
const DEFAULT: u16 = 128;

/// Returns the key length in bits of a cipher of phase 1, given the value `offered` of its attribute; 0 if the cipher has only one.
///
/// # Errors
/// The value, if the cipher does not have this key length.
pub(super) fn phase1(cipher: Cipher, offered: Option<u16>) -> Result<u16, u16> {
    let lengths = match cipher {
        Cipher::DES | Cipher::TRIPLE_DES | Cipher::IDEA => Lengths::Fixed,
        Cipher::AES | Cipher::CAMELLIA => Lengths::Aes,
        Cipher::BLOWFISH => Lengths::Between(40, 448),
        Cipher::CAST128 => Lengths::Between(40, 128),
        Cipher::RC5 => Lengths::Between(40, 2040),
        _ => Lengths::Any,
    };
    lengths.check(offered)
}

/// Returns the key length in bits of a transform of ESP, given the value `offered` of its attribute; 0 if the transform has only one.
///
/// # Errors
/// The value, if the transform does not have this key length.
pub(super) fn esp(transform: EspTransform, offered: Option<u16>) -> Result<u16, u16> {
    let lengths = match transform {
        EspTransform::DES_IV64
        | EspTransform::DES
        | EspTransform::DES_IV32
        | EspTransform::TRIPLE_DES
        | EspTransform::IDEA
        | EspTransform::TRIPLE_IDEA
        | EspTransform::NULL => Lengths::Fixed,
        EspTransform::AES | EspTransform::AES_CTR | EspTransform::CAMELLIA | EspTransform::TWOFISH => Lengths::Aes,
        aead if aead.is_aead() => Lengths::Aes,
        EspTransform::BLOWFISH => Lengths::Between(40, 448),
        EspTransform::CAST128 => Lengths::Between(40, 128),
        EspTransform::RC5 => Lengths::Between(40, 2040),
        _ => Lengths::Any,
    };
    lengths.check(offered)
}

impl Lengths {
    fn check(self, offered: Option<u16>) -> Result<u16, u16> {
        match (self, offered) {
            (Self::Fixed, None) => Ok(0),
            // RFC 2409 Appendix A forbids the attribute for ciphers with a fixed key length.
            (Self::Fixed, Some(length)) => Err(length),
            // Only the log shows it: no unknown algorithm is ever configured.
            (Self::Any, offered) => Ok(offered.unwrap_or(0)),
            // RFC 3602 section 5.3 requires the attribute for AES; without it, the default is assumed.
            (Self::Aes | Self::Between(..), None) => Ok(DEFAULT),
            (Self::Aes, Some(length @ (128 | 192 | 256))) => Ok(length),
            (Self::Aes, Some(length)) => Err(length),
            (Self::Between(least, most), Some(length)) => {
                let fits = (least..=most).contains(&length) && length.is_multiple_of(8);
                if fits { Ok(length) } else { Err(length) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phase_1() {
        for (cipher, offered, expected) in [
            (Cipher::DES, None, Ok(0)),
            (Cipher::TRIPLE_DES, Some(192), Err(192)),
            (Cipher::AES, None, Ok(128)),
            (Cipher::AES, Some(192), Ok(192)),
            (Cipher::AES, Some(160), Err(160)),
            (Cipher::AES, Some(0), Err(0)),
            (Cipher::CAMELLIA, Some(256), Ok(256)),
            (Cipher::BLOWFISH, None, Ok(128)),
            (Cipher::BLOWFISH, Some(448), Ok(448)),
            (Cipher::BLOWFISH, Some(456), Err(456)),
            (Cipher::BLOWFISH, Some(129), Err(129)),
            (Cipher::CAST128, Some(136), Err(136)),
            (Cipher(99), Some(7), Ok(7)),
            (Cipher(99), None, Ok(0)),
        ] {
            assert_eq!(phase1(cipher, offered), expected, "{cipher} {offered:?}");
        }
    }

    #[test]
    fn of_esp() {
        for (transform, offered, expected) in [
            (EspTransform::NULL, None, Ok(0)),
            (EspTransform::NULL, Some(0), Err(0)),
            (EspTransform::TRIPLE_DES, Some(192), Err(192)),
            (EspTransform::AES, None, Ok(128)),
            (EspTransform::AES_GCM_16, Some(256), Ok(256)),
            (EspTransform::AES_GCM_16, Some(288), Err(288)),
            (EspTransform::AES_GMAC, None, Ok(128)),
            (EspTransform::CAST128, Some(40), Ok(40)),
            (EspTransform(99), Some(7), Ok(7)),
        ] {
            assert_eq!(esp(transform, offered), expected, "{transform} {offered:?}");
        }
    }
}
