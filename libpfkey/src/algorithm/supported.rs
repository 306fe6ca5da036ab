//! The algorithms of a running kernel.

use crate::error::{Error, Result};
use crate::num::{ExtensionType, SaType};
use crate::strerror::Code;
use crate::wire::{Algorithm, Message};

/// The algorithms that a kernel lists in its REGISTER reply (`pfkey_set_supported`). There is no list for compression, and an
/// algorithm that is not listed may still work: Linux loads modules on demand.
///
/// ```
/// use libpfkey::algorithm::Encryption;
/// use libpfkey::backend::BackendKind;
/// use libpfkey::{Dialect, ExtensionType, Kernel, SaType};
///
/// let mut kernel = Kernel::open_kind(&BackendKind::Memory, Some(Dialect::FreeBsd))?;
/// let supported = kernel.register(SaType::Esp)?;
/// let number = Encryption::AesCbc.number(Dialect::FreeBsd).expect("every dialect has AES");
/// let aes = supported.algorithm(ExtensionType::SupportedEncrypt, number)?;
/// assert_eq!((aes.min_bits, aes.max_bits), (128, 256));
/// # Ok::<(), libpfkey::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supported {
    auth: Vec<Algorithm>,
    encrypt: Vec<Algorithm>,
}

impl Supported {
    /// Reads the lists of a REGISTER reply.
    pub fn from_reply(reply: &Message<'_>) -> Self {
        let list = |kind| reply.supported(kind).map(<[Algorithm]>::to_vec).unwrap_or_default();
        Self { auth: list(ExtensionType::SupportedAuth), encrypt: list(ExtensionType::SupportedEncrypt) }
    }

    /// Returns the record of an algorithm (`ipsec_get_keylen`).
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

    /// Checks a key length for an SA type (`ipsec_check_keylen2`).
    ///
    /// # Errors
    /// As [`Supported::check_key_bits`]; [`Code::InvalidSaType`] for types without keys.
    pub fn check_key_bits_of(&self, sa_type: SaType, id: u8, bits: usize) -> Result<()> {
        let list = match sa_type {
            // Of ESP the cipher is meant, as in libipsec; its authentication is checked by its list.
            SaType::Ah | SaType::TcpSignature => ExtensionType::SupportedAuth,
            SaType::Esp => ExtensionType::SupportedEncrypt,
            _ => return Err(Code::InvalidSaType.into()),
        };
        self.check_key_bits(list, id, bits)
    }
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
}
