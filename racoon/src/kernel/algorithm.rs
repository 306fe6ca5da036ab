//! Phase 2 algorithms in libpfkey's terms, and whether a kernel supports them.

use std::cmp::Ordering;

use libpfkey::algorithm::{self as pf_key, Compression, Encryption};
use libpfkey::{Dialect, Keyed, SaFlags};
use racoon_proto::config::Authentication;
use racoon_proto::kernel::{KernelError, SaTransform};
use racoon_proto::num::{AuthAlgorithm, EspTransform, IpcompTransform};

use super::{Target, refused};

/// Length of the ICV in bits before RFC 4868.
const OLD_ICV_BITS: u16 = 96;

/// The algorithms of an SA.
#[derive(Debug)]
pub(super) struct Suite {
    pub(super) encryption: Option<Keyed<Encryption>>,
    pub(super) authentication: Option<Keyed<pf_key::Authentication>>,
    pub(super) compression: Option<Compression>,
    /// Flags that the algorithms need.
    pub(super) flags: SaFlags,
    /// Length of the ICV in bits, where it has to be requested.
    pub(super) icv_bits: Option<u32>,
    /// Whether the ICV is shorter than negotiated, because this kernel has no other.
    pub(super) is_truncated: bool,
}

/// How to get the ICV of an authentication algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Icv {
    /// It is what the algorithm's number stands for.
    Default,
    /// Its length in bits has to be requested (NETLINK_XFRM).
    Requested(u32),
    /// The kernel only has a shorter one than negotiated.
    Truncated,
    /// The kernel only has a longer one than negotiated.
    Unsupported,
}

impl Suite {
    /// Translates the algorithms of an SA.
    ///
    /// # Errors
    /// If the kernel, or PF_KEY, lacks one of them.
    pub(super) fn new(target: Target, transform: &SaTransform) -> Result<Self, KernelError> {
        let mut suite = Self {
            encryption: None,
            authentication: None,
            compression: None,
            flags: SaFlags::empty(),
            icv_bits: None,
            is_truncated: false,
        };
        match transform {
            SaTransform::Esp { encryption: (transform, key), authentication } => {
                encrypt_number(target, *transform)?;
                // Kernels expect a key extension for the null cipher too, with no bits.
                suite.encryption = encrypt_of(*transform).map(|algorithm| Keyed::new(algorithm, key.as_bytes()));
                if let Some((authentication, key)) = authentication {
                    suite.authenticate(target, *authentication, key.as_bytes())?;
                }
            }
            SaTransform::Ah { authentication: (authentication, key) } => {
                suite.authenticate(target, *authentication, key.as_bytes())?;
                // Keyed MD5 belongs to the AH of RFC 1826.
                if let Some((_, ike)) = pf_key::Authentication::from_ike_attribute(authentication.algorithm.0) {
                    suite.flags |= ike.flags;
                }
            }
            SaTransform::Ipcomp(transform) => {
                let compression = compress_of(*transform);
                suite.compression = compression.filter(|one| one.number(target.abi.dialect).is_some());
                if suite.compression.is_none() {
                    return Err(refused(format!("the kernel has no IPComp with {transform}")));
                }
                // The SPI of an IPComp SA is its CPI. Kernels without this flag assume so.
                suite.flags |= SaFlags::RAWCPI;
            }
        }
        Ok(suite)
    }

    fn authenticate(&mut self, target: Target, wanted: Authentication, key: &[u8]) -> Result<(), KernelError> {
        auth_number(target, wanted.algorithm)?;
        let algorithm = auth_of(wanted.algorithm).filter(|algorithm| *algorithm != pf_key::Authentication::None);
        self.authentication = algorithm.map(|algorithm| Keyed::new(algorithm, key));
        match icv(target, wanted) {
            Icv::Default => {}
            Icv::Requested(bits) => self.icv_bits = Some(bits),
            Icv::Truncated => self.is_truncated = true,
            Icv::Unsupported => {
                let text = format!("the kernel has no {} with an ICV of 96 bits", wanted.algorithm);
                return Err(refused(text));
            }
        }
        Ok(())
    }
}

/// Returns how to get the ICV of an authentication algorithm. In Linux' PF_KEY the number of HMAC-SHA-256 stands for 96
/// bits; everywhere else it is 128.
pub(super) fn icv(target: Target, wanted: Authentication) -> Icv {
    let Some(algorithm) = auth_of(wanted.algorithm) else { return Icv::Default };
    let (inherent, standard) = (algorithm.icv_bits(target.abi.dialect), algorithm.standard_icv_bits());
    let bits = if wanted.truncated { standard.min(OLD_ICV_BITS) } else { standard };
    match bits.cmp(&inherent) {
        Ordering::Equal => Icv::Default,
        _ if target.has_xfrm => Icv::Requested(bits.into()),
        Ordering::Greater => Icv::Truncated,
        Ordering::Less => Icv::Unsupported,
    }
}

/// Returns the PF_KEY number of a cipher.
///
/// # Errors
/// If the kernel, or PF_KEY, lacks the cipher.
pub(super) fn encrypt_number(target: Target, transform: EspTransform) -> Result<u8, KernelError> {
    if transform.is_aead() && target.abi.dialect == Dialect::Linux && !target.has_xfrm {
        return Err(refused(format!("PF_KEY of Linux has no {transform}; use backend xfrm")));
    }
    let number = encrypt_of(transform).and_then(|encrypt| encrypt.number(target.abi.dialect));
    number.ok_or_else(|| refused(format!("the kernel has no ESP with {transform}")))
}

/// Returns the PF_KEY number of an authentication algorithm.
///
/// # Errors
/// If the kernel lacks the algorithm.
pub(super) fn auth_number(target: Target, algorithm: AuthAlgorithm) -> Result<u8, KernelError> {
    let number = auth_of(algorithm).and_then(|auth| auth.number(target.abi.dialect));
    number.ok_or_else(|| refused(format!("the kernel has no authentication with {algorithm}")))
}

/// Returns the cipher of an ESP transform. DES with the 4-byte IV of RFC 1829 is left out: no kernel has it, and some
/// would use DES instead.
pub(super) fn encrypt_of(transform: EspTransform) -> Option<Encryption> {
    let (algorithm, ike) = Encryption::from_esp_transform(transform.0)?;
    ike.flags.is_empty().then_some(algorithm)
}

/// Returns the algorithm of an Authentication Algorithm attribute.
pub(super) fn auth_of(algorithm: AuthAlgorithm) -> Option<pf_key::Authentication> {
    pf_key::Authentication::from_ike_attribute(algorithm.0).map(|(algorithm, _)| algorithm)
}

/// Returns the algorithm of an IPComp transform.
pub(super) fn compress_of(transform: IpcompTransform) -> Option<Compression> {
    Compression::from_ipcomp_transform(transform.0)
}
