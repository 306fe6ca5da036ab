//! Algorithms: their numbers in each dialect, their names in dumps, and the key lengths that the kernel takes.

use crate::dialect::Dialect;
use crate::error::{Error, Result};
pub use crate::num::{Authentication, Compression, Encryption};
use crate::num::{ExtensionType, SaType};
use crate::strerror::Code;
use crate::wire::{Algorithm, Message};

impl Authentication {
    /// What dumps call it; `None` for numbers without a name.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::Aes128Gmac => "aes-gmac-128",
            Self::Aes192Gmac => "aes-gmac-192",
            Self::Aes256Gmac => "aes-gmac-256",
            Self::AesXcbcMac => "aes-xcbc-mac",
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
            Self::HmacMd5 => "hmac-md5",
            Self::HmacRipemd160 => "hmac-ripemd160",
            Self::HmacSha1 => "hmac-sha1",
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
            Self::HmacSm3 => "hmac-sm3",
            Self::KeyedMd5 => "md5",
            Self::KeyedSha1 => "sha",
            Self::None => "none",
            Self::Null => "null",
            Self::TcpMd5 => "tcp-md5",
            Self::Other(_) => return None,
        })
    }

    /// What dumps call it with an ICV of so many bits, if it is not the one that the kernel's PF_KEY gives.
    pub const fn name_with_icv(self, icv_bits: Option<u32>) -> Option<&'static str> {
        match (self, icv_bits) {
            (Self::HmacSha256, Some(128)) => Some("hmac-sha2-256-128"),
            _ => self.name(),
        }
    }
}

impl Encryption {
    /// What dumps call it; `None` for numbers without a name.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::AesCbc => "aes-cbc",
            Self::AesCcm8 => "aes-ccm-8",
            Self::AesCcm12 => "aes-ccm-12",
            Self::AesCcm16 => "aes-ccm-16",
            Self::AesCtr => "aes-ctr",
            Self::AesGcm8 => "aes-gcm-8",
            Self::AesGcm12 => "aes-gcm-12",
            Self::AesGcm16 => "aes-gcm-16",
            Self::AesGmac => "aes-gmac",
            Self::BlowfishCbc => "blowfish-cbc",
            Self::CamelliaCbc => "camellia-cbc",
            Self::Cast128Cbc => "cast128-cbc",
            Self::ChaCha20Poly1305 => "chacha20-poly1305",
            Self::DesCbc => "des-cbc",
            Self::None => "none",
            Self::Null => "null",
            Self::SerpentCbc => "serpent-cbc",
            Self::Skipjack => "skipjack",
            Self::Sm4Cbc => "sm4-cbc",
            Self::TripleDesCbc => "3des-cbc",
            Self::TwofishCbc => "twofish-cbc",
            Self::Other(_) => return None,
        })
    }

    /// Whether key and counter together must never repeat (RFC 3686, 4106, 4309, 4543, 7634): a key written in a
    /// file repeats both after a reboot.
    pub const fn is_counter_mode(self) -> bool {
        matches!(
            self,
            Self::AesCcm8
                | Self::AesCcm12
                | Self::AesCcm16
                | Self::AesCtr
                | Self::AesGcm8
                | Self::AesGcm12
                | Self::AesGcm16
                | Self::AesGmac
                | Self::ChaCha20Poly1305
        )
    }

    /// Whether it authenticates by itself.
    pub const fn is_aead(self) -> bool {
        self.is_counter_mode() && !matches!(self, Self::AesCtr)
    }

    /// Key lengths in bits, salt included, of the ciphers that authenticate: kernels do not list them in REGISTER.
    pub const fn aead_key_bits(self) -> Option<&'static [u16]> {
        match self {
            Self::AesCcm8 | Self::AesCcm12 | Self::AesCcm16 => Some(&[152, 216, 280]),
            Self::AesGcm8 | Self::AesGcm12 | Self::AesGcm16 | Self::AesGmac => Some(&[160, 224, 288]),
            Self::ChaCha20Poly1305 => Some(&[288]),
            _ => None,
        }
    }
}

impl Compression {
    /// What dumps call it; `None` for numbers without a name.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Deflate => Some("deflate"),
            Self::Lzjh => Some("lzjh"),
            Self::Lzs => Some("lzs"),
            Self::None => Some("none"),
            Self::Oui => Some("oui"),
            Self::Other(_) => None,
        }
    }
}

/// The algorithms a kernel offers: what its REGISTER reply said (`pfkey_set_supported`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supported {
    auth: Vec<Algorithm>,
    encrypt: Vec<Algorithm>,
}

impl Supported {
    /// Takes the lists from a REGISTER reply.
    pub fn from_reply(reply: &Message<'_>) -> Self {
        let list = |kind| reply.supported(kind).map(<[Algorithm]>::to_vec).unwrap_or_default();
        Self { auth: list(ExtensionType::SupportedAuth), encrypt: list(ExtensionType::SupportedEncrypt) }
    }

    /// The record of an algorithm (`ipsec_get_keylen`).
    ///
    /// # Errors
    /// [`Code::InvalidArgument`] for another list, [`Code::NotSupported`] when the kernel does not list it.
    pub fn algorithm(&self, list: ExtensionType, id: u8) -> Result<&Algorithm> {
        let list = match list {
            ExtensionType::SupportedAuth => &self.auth,
            ExtensionType::SupportedEncrypt => &self.encrypt,
            _ => return Err(Code::InvalidArgument.into()),
        };
        list.iter().find(|algorithm| algorithm.id == id).ok_or(Error::Refused(Code::NotSupported))
    }

    /// Checks a key length in bits against the kernel's bounds (`ipsec_check_keylen`).
    ///
    /// # Errors
    /// As [`Supported::algorithm`]; [`Code::InvalidKeyLength`] outside the bounds.
    pub fn check_key_bits(&self, list: ExtensionType, id: u8, bits: usize) -> Result<()> {
        let algorithm = self.algorithm(list, id)?;
        if bits < usize::from(algorithm.min_bits) || bits > usize::from(algorithm.max_bits) {
            return Err(Code::InvalidKeyLength.into());
        }
        Ok(())
    }

    /// The same by SA type (`ipsec_check_keylen2`).
    ///
    /// # Errors
    /// As [`Supported::check_key_bits`]; [`Code::InvalidSaType`] for types without keys.
    pub fn check_key_bits_of(&self, sa_type: SaType, id: u8, bits: usize) -> Result<()> {
        let list = match sa_type {
            SaType::Ah | SaType::TcpSignature => ExtensionType::SupportedAuth,
            SaType::Esp => ExtensionType::SupportedEncrypt,
            _ => return Err(Code::InvalidSaType.into()),
        };
        self.check_key_bits(list, id, bits)
    }
}

/// Which part of a hard limit the soft one is (`pfkey_set_softrate`): percentages, 80 unless set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SoftRate {
    /// Of allocations, bytes, addtime, usetime.
    rates: [u8; 4],
}

/// A kind of limit, in the order of `SADB_X_LIFETIME_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Allocations.
    Allocations = 0,
    /// Bytes.
    Bytes = 1,
    /// Seconds since creation.
    AddTime = 2,
    /// Seconds since first use.
    UseTime = 3,
}

impl SoftRate {
    /// Sets a percentage; 0 and more than 100 mean 100.
    pub fn set(&mut self, limit: Limit, percent: u32) {
        self.rates[limit as usize] = u8::try_from(percent).ok().filter(|rate| (1..=100).contains(rate)).unwrap_or(100);
    }

    /// The percentage of a kind.
    pub fn rate(&self, limit: Limit) -> u8 {
        self.rates[limit as usize]
    }

    /// The soft limits that go with hard ones.
    pub fn soften(&self, hard: &crate::wire::Lifetime) -> crate::wire::Lifetime {
        let part = |value: u64, limit: Limit| {
            let part = u128::from(value) * u128::from(self.rate(limit)) / 100;
            u64::try_from(part).unwrap_or(u64::MAX)
        };
        crate::wire::Lifetime {
            allocations: u32::try_from(part(hard.allocations.into(), Limit::Allocations)).unwrap_or(u32::MAX),
            bytes: part(hard.bytes, Limit::Bytes),
            addtime: part(hard.addtime, Limit::AddTime),
            usetime: part(hard.usetime, Limit::UseTime),
        }
    }
}

impl Default for SoftRate {
    fn default() -> Self {
        Self { rates: [80; 4] }
    }
}

/// The number of an authentication algorithm in a dialect.
///
/// # Errors
/// [`Error::NotInDialect`]
pub fn auth_number(dialect: Dialect, auth: Authentication) -> Result<u8> {
    auth.number(dialect).ok_or(Error::NotInDialect { dialect, what: auth.name().unwrap_or("such algorithm") })
}

/// The number of a cipher in a dialect.
///
/// # Errors
/// [`Error::NotInDialect`]
pub fn encrypt_number(dialect: Dialect, encrypt: Encryption) -> Result<u8> {
    encrypt.number(dialect).ok_or(Error::NotInDialect { dialect, what: encrypt.name().unwrap_or("such algorithm") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel() -> Supported {
        let algorithm = |id, min_bits, max_bits| Algorithm { id, iv_len: 8, min_bits, max_bits, reserved: 0 };
        Supported { auth: vec![algorithm(2, 128, 128)], encrypt: vec![algorithm(7, 40, 448)] }
    }

    #[test]
    fn key_lengths() {
        let code = |result: Result<()>| result.err().map(|error| error.code());
        let kernel = kernel();
        assert_eq!(code(kernel.check_key_bits(ExtensionType::SupportedAuth, 2, 128)), None);
        assert_eq!(code(kernel.check_key_bits(ExtensionType::SupportedAuth, 2, 136)), Some(Code::InvalidKeyLength));
        assert_eq!(code(kernel.check_key_bits(ExtensionType::SupportedEncrypt, 7, 32)), Some(Code::InvalidKeyLength));
        assert_eq!(code(kernel.check_key_bits(ExtensionType::SupportedEncrypt, 12, 128)), Some(Code::NotSupported));
        assert_eq!(code(kernel.check_key_bits(ExtensionType::Sa, 12, 128)), Some(Code::InvalidArgument));
        assert_eq!(code(kernel.check_key_bits_of(SaType::Esp, 7, 448)), None);
        assert_eq!(code(kernel.check_key_bits_of(SaType::IpComp, 2, 0)), Some(Code::InvalidSaType));
    }

    #[test]
    fn soft_rates() {
        let mut rate = SoftRate::default();
        let hard = crate::wire::Lifetime { allocations: 10, bytes: u64::MAX, addtime: 100, usetime: 7 };
        assert_eq!(rate.soften(&hard).addtime, 80);
        assert_eq!(rate.soften(&hard).bytes, 14_757_395_258_967_641_292);
        rate.set(Limit::AddTime, 0);
        rate.set(Limit::UseTime, 50);
        rate.set(Limit::Bytes, 101);
        assert_eq!((rate.soften(&hard).addtime, rate.soften(&hard).usetime), (100, 3));
        assert_eq!(rate.soften(&hard).bytes, u64::MAX);
    }
}
