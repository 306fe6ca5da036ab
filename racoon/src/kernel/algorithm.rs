//! Algorithms of phase 2 as a kernel's PF_KEY numbers them.

use libpfkey::algorithm::{self as pf_key, Compression, Encryption};
use libpfkey::{Dialect, SaFlags};
use racoon_proto::config::Authentication;
use racoon_proto::kernel::{KernelError, SaTransform};
use racoon_proto::num::{AuthAlgorithm, EspTransform, IpcompTransform};

use super::{Target, refused};

/// Bits of the ICV that old peers have where RFC 4868 says otherwise.
const OLD_ICV_BITS: u32 = 96;
/// Bits of the ICV of HMAC-SHA-256 (RFC 4868 section 2.3).
const SHA256_ICV_BITS: u32 = 128;

/// What an SA does, in numbers.
#[derive(Debug)]
pub(super) struct Suite<'a> {
    /// Cipher or compression, and key; number 0 for none.
    pub(super) encrypt: (u8, &'a [u8]),
    /// Authentication and key; number 0 for none.
    pub(super) auth: (u8, &'a [u8]),
    /// Flags that belong to it.
    pub(super) flags: SaFlags,
    /// Bits of the ICV, to be said in a private extension.
    pub(super) icv_bits: Option<u32>,
    /// The ICV is shorter than agreed, because this kernel knows no other.
    pub(super) is_cut: bool,
}

/// How the ICV of an authentication algorithm comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Icv {
    /// It is what the number means to the kernel.
    Inherent,
    /// It is said in a private extension.
    Said(u32),
    /// The kernel has only one of 96 bits where 128 are wanted.
    Cut,
    /// The kernel cannot shorten it.
    Impossible,
}

impl<'a> Suite<'a> {
    /// Translates.
    ///
    /// # Errors
    /// Says what the kernel, or the interface to it, has not.
    pub(super) fn new(target: Target, transform: &'a SaTransform) -> Result<Self, KernelError> {
        let dialect = target.abi.dialect;
        let mut suite =
            Self { encrypt: (0, &[]), auth: (0, &[]), flags: SaFlags::empty(), icv_bits: None, is_cut: false };
        match transform {
            SaTransform::Esp { encryption: (transform, key), authentication } => {
                suite.encrypt = (encrypt_number(target, *transform)?, key.as_bytes());
                if let Some((authentication, key)) = authentication {
                    suite.authenticate(target, *authentication, key.as_bytes())?;
                }
            }
            SaTransform::Ah { authentication: (authentication, key) } => {
                suite.authenticate(target, *authentication, key.as_bytes())?;
                if authentication.algorithm == AuthAlgorithm::KPDK {
                    suite.flags |= SaFlags::OLD;
                }
            }
            SaTransform::Ipcomp(transform) => {
                let compress = compress_of(*transform).and_then(|compress| compress.number(dialect));
                let number = compress.ok_or_else(|| refused(format!("the kernel has no IPComp with {transform}")))?;
                suite.encrypt = (number, &[]);
                // The SPI of an IPComp SA is its CPI; kernels that know no such flag take it so anyway.
                suite.flags |= SaFlags::RAWCPI;
            }
        }
        Ok(suite)
    }

    fn authenticate(&mut self, target: Target, wanted: Authentication, key: &'a [u8]) -> Result<(), KernelError> {
        self.auth = (auth_number(target, wanted.algorithm)?, key);
        match icv(target, wanted) {
            Icv::Inherent => {}
            Icv::Said(bits) => self.icv_bits = Some(bits),
            Icv::Cut => self.is_cut = true,
            Icv::Impossible => {
                let text = format!("the kernel has no {} with an ICV of 96 bits", wanted.algorithm);
                return Err(refused(text));
            }
        }
        Ok(())
    }
}

/// The ICV of an authentication algorithm. Linux' PF_KEY number of HMAC-SHA-256 means 96 bits, that of the others 128.
pub(super) fn icv(target: Target, wanted: Authentication) -> Icv {
    let is_linux = target.abi.dialect == Dialect::Linux;
    match (wanted.algorithm, wanted.truncated) {
        (AuthAlgorithm::HMAC_SHA256, true) if is_linux => Icv::Inherent,
        (AuthAlgorithm::HMAC_SHA256, false) if target.has_xfrm => Icv::Said(SHA256_ICV_BITS),
        (AuthAlgorithm::HMAC_SHA256, false) if is_linux => Icv::Cut,
        (AuthAlgorithm::HMAC_SHA384 | AuthAlgorithm::HMAC_SHA512, true) if target.has_xfrm => Icv::Said(OLD_ICV_BITS),
        (AuthAlgorithm::HMAC_SHA256 | AuthAlgorithm::HMAC_SHA384 | AuthAlgorithm::HMAC_SHA512, true) => Icv::Impossible,
        _ => Icv::Inherent,
    }
}

/// The number of a cipher.
///
/// # Errors
/// Says what the kernel, or the interface to it, has not.
pub(super) fn encrypt_number(target: Target, transform: EspTransform) -> Result<u8, KernelError> {
    if transform.is_aead() && target.abi.dialect == Dialect::Linux && !target.has_xfrm {
        return Err(refused(format!("PF_KEY of Linux has no {transform}: it takes NETLINK_XFRM (backend xfrm)")));
    }
    let number = encrypt_of(transform).and_then(|encrypt| encrypt.number(target.abi.dialect));
    number.ok_or_else(|| refused(format!("the kernel has no ESP with {transform}")))
}

/// The number of an authentication algorithm.
///
/// # Errors
/// Says what the kernel has not.
pub(super) fn auth_number(target: Target, algorithm: AuthAlgorithm) -> Result<u8, KernelError> {
    let number = auth_of(algorithm).and_then(|auth| auth.number(target.abi.dialect));
    number.ok_or_else(|| refused(format!("the kernel has no authentication with {algorithm}")))
}

/// A cipher in libpfkey's words. DES with the 4-byte IV of RFC 1829 no kernel has any more, and some take it for DES.
pub(super) fn encrypt_of(transform: EspTransform) -> Option<Encryption> {
    Some(match transform {
        EspTransform::DES_IV64 | EspTransform::DES => Encryption::DesCbc,
        EspTransform::TRIPLE_DES => Encryption::TripleDesCbc,
        EspTransform::CAST128 => Encryption::Cast128Cbc,
        EspTransform::BLOWFISH => Encryption::BlowfishCbc,
        EspTransform::NULL => Encryption::Null,
        EspTransform::AES => Encryption::AesCbc,
        EspTransform::AES_CTR => Encryption::AesCtr,
        EspTransform::AES_CCM_8 => Encryption::AesCcm8,
        EspTransform::AES_CCM_12 => Encryption::AesCcm12,
        EspTransform::AES_CCM_16 => Encryption::AesCcm16,
        EspTransform::AES_GCM_8 => Encryption::AesGcm8,
        EspTransform::AES_GCM_12 => Encryption::AesGcm12,
        EspTransform::AES_GCM_16 => Encryption::AesGcm16,
        EspTransform::CAMELLIA => Encryption::CamelliaCbc,
        EspTransform::AES_GMAC => Encryption::AesGmac,
        EspTransform::TWOFISH => Encryption::TwofishCbc,
        _ => return None,
    })
}

pub(super) fn auth_of(algorithm: AuthAlgorithm) -> Option<pf_key::Authentication> {
    Some(match algorithm {
        AuthAlgorithm::NONE => pf_key::Authentication::None,
        AuthAlgorithm::HMAC_MD5 => pf_key::Authentication::HmacMd5,
        AuthAlgorithm::HMAC_SHA1 => pf_key::Authentication::HmacSha1,
        AuthAlgorithm::KPDK => pf_key::Authentication::KeyedMd5,
        AuthAlgorithm::HMAC_SHA256 => pf_key::Authentication::HmacSha256,
        AuthAlgorithm::HMAC_SHA384 => pf_key::Authentication::HmacSha384,
        AuthAlgorithm::HMAC_SHA512 => pf_key::Authentication::HmacSha512,
        AuthAlgorithm::AES_XCBC => pf_key::Authentication::AesXcbcMac,
        _ => return None,
    })
}

pub(super) fn compress_of(transform: IpcompTransform) -> Option<Compression> {
    match transform {
        IpcompTransform::OUI => Some(Compression::Oui),
        IpcompTransform::DEFLATE => Some(Compression::Deflate),
        IpcompTransform::LZS => Some(Compression::Lzs),
        _ => None,
    }
}
