//! Keys of IPsec SAs (RFC 2409 section 5.5).

use crate::config::Authentication;
use crate::crypto::{Phase1Keys, Phase2Seed, auth_key_length, esp_key_length, split_keymat};
use crate::kernel::SaTransform;
use crate::num::{AuthAlgorithm, EspTransform, IpcompTransform, Protocol};
use crate::proposal::Phase2Transform;
use crate::reason::FailureReason;

/// The lengths in bytes of the keys of an SA, for encryption and for authentication; `None` for an unknown transform.
pub(crate) fn key_lengths(transform: &Phase2Transform) -> Option<(usize, usize)> {
    let authentication = auth_key_length(transform.authentication)?;
    match transform.protocol {
        Protocol::ESP => Some((esp_key_length(EspTransform(transform.id), transform.key_length)?, authentication)),
        Protocol::AH if authentication > 0 => Some((0, authentication)),
        Protocol::IPCOMP => Some((0, 0)),
        _ => None,
    }
}

/// Derives the keys of an SA. `spi` is that of the SA, which its receiver has chosen.
///
/// # Errors
/// If the transform is unknown, or if libcrypto fails.
pub(crate) fn sa_transform(
    keys: &Phase1Keys,
    seed: &Phase2Seed<'_>,
    transform: &Phase2Transform,
    spi: u32,
) -> Result<SaTransform, FailureReason> {
    // IPComp has no keys (RFC 3173).
    if transform.protocol == Protocol::IPCOMP {
        return Ok(SaTransform::Ipcomp(IpcompTransform(transform.id)));
    }
    let unsupported = || FailureReason::UnsupportedTransform { protocol: transform.protocol, id: transform.id };
    let (encryption, authentication) = key_lengths(transform).ok_or_else(unsupported)?;
    let keymat = keys.keymat(seed, transform.protocol, spi, encryption + authentication)?;
    let (cipher_key, auth_key) = split_keymat(&keymat, encryption, authentication).ok_or_else(unsupported)?;
    let algorithm = Authentication { algorithm: transform.authentication, truncated: transform.truncated };
    Ok(match transform.protocol {
        Protocol::AH => SaTransform::Ah { authentication: (algorithm, auth_key) },
        _ => SaTransform::Esp {
            encryption: (EspTransform(transform.id), cipher_key),
            authentication: (transform.authentication != AuthAlgorithm::NONE).then_some((algorithm, auth_key)),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::EncapsulationMode;

    fn transform(protocol: Protocol, id: u8, key_length: u16, authentication: AuthAlgorithm) -> Phase2Transform {
        Phase2Transform { protocol, id, key_length, authentication, truncated: false, mode: EncapsulationMode::TUNNEL }
    }

    #[test]
    fn how_long_keys_are() {
        let esp =
            |id: EspTransform, bits, authentication| key_lengths(&transform(Protocol::ESP, id.0, bits, authentication));
        assert_eq!(esp(EspTransform::AES, 256, AuthAlgorithm::HMAC_SHA256), Some((32, 32)));
        assert_eq!(esp(EspTransform::AES_GCM_16, 128, AuthAlgorithm::NONE), Some((20, 0)));
        assert_eq!(esp(EspTransform::NULL, 0, AuthAlgorithm::HMAC_SHA1), Some((0, 20)));
        assert_eq!(esp(EspTransform::AES, 512, AuthAlgorithm::HMAC_SHA1), None);
        assert_eq!(esp(EspTransform::RC5, 0, AuthAlgorithm::HMAC_SHA1), None);
        assert_eq!(key_lengths(&transform(Protocol::AH, 2, 0, AuthAlgorithm::HMAC_MD5)), Some((0, 16)));
        assert_eq!(key_lengths(&transform(Protocol::AH, 2, 0, AuthAlgorithm::NONE)), None);
        assert_eq!(key_lengths(&transform(Protocol::IPCOMP, 2, 0, AuthAlgorithm::NONE)), Some((0, 0)));
        assert_eq!(key_lengths(&transform(Protocol(9), 2, 0, AuthAlgorithm::NONE)), None);
    }
}
