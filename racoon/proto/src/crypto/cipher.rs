//! Encryption of messages: CBC, its keys and its IVs (RFC 2409 Appendix B).

use std::fmt;

use openssl::cipher::CipherRef;
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use zeroize::Zeroizing;

use super::keys::expand;
use super::{CryptoError, Secret, digest, equal, library, prf};
use crate::num::{Cipher, Hash};

/// The longest block of any cipher, in bytes.
const LONGEST_BLOCK: usize = 16;

/// An initialization vector, to which the next message is chained.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Iv {
    bytes: [u8; LONGEST_BLOCK],
    length: usize,
}

impl Iv {
    /// The IV of the first encrypted message of phase 1: hash(g^xi | g^xr), cut to the cipher's block.
    ///
    /// # Errors
    /// If libcrypto does not have the hash.
    pub fn phase1(hash: Hash, g_xi: &[u8], g_xr: &[u8], block: usize) -> Result<Self, CryptoError> {
        Ok(Self::cut(&digest(hash, &[g_xi, g_xr])?, block))
    }

    /// The IV of the first message of an exchange after phase 1: hash(last block of phase 1 | M-ID), cut to the
    /// cipher's block.
    ///
    /// # Errors
    /// If libcrypto does not have the hash.
    pub fn phase2(hash: Hash, last: &Self, message_id: u32, block: usize) -> Result<Self, CryptoError> {
        Ok(Self::cut(&digest(hash, &[last.as_bytes(), &message_id.to_be_bytes()])?, block))
    }

    /// Returns the bytes, as many as a block of the cipher has.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }

    /// The IV that consists of the first bytes of `from`.
    fn cut(from: &[u8], block: usize) -> Self {
        let mut bytes = [0; LONGEST_BLOCK];
        // Every hash is at least as long as the longest block: MD5 has 16 bytes.
        let length = block.min(from.len()).min(LONGEST_BLOCK);
        bytes.iter_mut().zip(from.iter().take(length)).for_each(|(to, from)| *to = *from);
        Self { bytes, length }
    }

    /// The last block of an encrypted message.
    fn last_of(encrypted: &[u8], block: usize) -> Self {
        Self::cut(encrypted.rchunks(block.max(1)).next().unwrap_or_default(), block)
    }
}

impl fmt::Debug for Iv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Iv(")?;
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// A cipher with its key.
pub struct CipherKey {
    cipher: Cipher,
    library: &'static CipherRef,
    key: Secret,
}

impl CipherKey {
    /// Derives the key for messages from SKEYID_e. The key is the beginning of SKEYID_e, or if that is too short, of K1 | K2 | ...,
    /// where K1 = prf(SKEYID_e, 0) and each further one is prf(SKEYID_e, previous) (RFC 2409 Appendix B). `key_bits` is the agreed
    /// key length; 0 stands for the only one, or the default of 128.
    ///
    /// # Errors
    /// If libcrypto does not have the cipher with this key length, or if the key is weak.
    pub fn derive(cipher: Cipher, key_bits: u16, hash: Hash, skeyid_e: &[u8]) -> Result<Self, CryptoError> {
        let (library, length) = library::fetched_cipher(cipher, key_bits)?;
        let key = match skeyid_e.get(..length) {
            Some(beginning) => Secret::from(beginning.to_vec()),
            None => {
                expand(length, |previous| prf(hash, skeyid_e, &[if previous.is_empty() { &[0] } else { previous }]))?
            }
        };
        // RFC 2409 Appendix B excludes weak and semi-weak keys.
        if is_weak(cipher, key.as_bytes()) {
            return Err(CryptoError::WeakKey(cipher));
        }
        Ok(Self { cipher, library, key })
    }

    /// The cipher.
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Length of a block, and of an IV, in bytes.
    pub fn block_length(&self) -> usize {
        self.library.block_size()
    }

    #[cfg(test)]
    pub(super) fn key(&self) -> &Secret {
        &self.key
    }

    /// Encrypts whole blocks in place and sets `iv` to that of the next message, the last block.
    ///
    /// # Errors
    /// If the data is empty or not a multiple of the block length, or if the IV is for another cipher. The data is unchanged then.
    pub fn encrypt(&self, iv: &mut Iv, plain: &mut [u8]) -> Result<(), CryptoError> {
        self.run(Operation::Encrypt, iv, plain)?;
        *iv = Iv::last_of(plain, self.block_length());
        Ok(())
    }

    /// Decrypts whole blocks in place. Returns the IV of the next message. The caller must keep it only if the message is accepted:
    /// otherwise a forged message would break the chain of IVs.
    ///
    /// # Errors
    /// If the data is empty or not a multiple of the block length, or if the IV is for another cipher. The data is unchanged then.
    pub fn decrypt(&self, iv: &Iv, data: &mut [u8]) -> Result<Iv, CryptoError> {
        // Taken first: decryption overwrites the ciphertext.
        let next = Iv::last_of(data, self.block_length());
        self.run(Operation::Decrypt, iv, data)?;
        Ok(next)
    }

    fn run(&self, operation: Operation, iv: &Iv, data: &mut [u8]) -> Result<(), CryptoError> {
        let block = self.block_length();
        let length = data.len();
        if length == 0 || !length.is_multiple_of(block) {
            return Err(CryptoError::NotBlocks { length, block });
        }
        if iv.length != block {
            return Err(CryptoError::IvLength { found: iv.length, block });
        }
        let mut context = self.context(operation, iv)?;
        // libcrypto requires space for another block, and reallocating would leave a copy of the plaintext behind.
        let mut output = Zeroizing::new(Vec::with_capacity(length + 2 * block));
        context.cipher_update_vec(data, &mut output)?;
        context.cipher_final_vec(&mut output)?;
        if output.len() != length {
            return Err(CryptoError::NotBlocks { length: output.len(), block });
        }
        data.copy_from_slice(&output);
        Ok(())
    }

    fn context(&self, operation: Operation, iv: &Iv) -> Result<CipherCtx, CryptoError> {
        let mut context = CipherCtx::new()?;
        operation.init(&mut context, Some(self.library), None, None)?;
        // libcrypto needs the length of the key before the key.
        if context.key_length() != self.key.len() {
            context.set_key_length(self.key.len())?;
        }
        operation.init(&mut context, None, Some(self.key.as_bytes()), Some(iv.as_bytes()))?;
        // IKE has its own padding.
        context.set_padding(false);
        Ok(context)
    }
}

impl fmt::Debug for CipherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CipherKey({}, {} bits)", self.cipher, self.key.len() * 8)
    }
}

#[derive(Clone, Copy)]
enum Operation {
    Encrypt,
    Decrypt,
}

impl Operation {
    fn init(
        self,
        context: &mut CipherCtx,
        cipher: Option<&CipherRef>,
        key: Option<&[u8]>,
        iv: Option<&[u8]>,
    ) -> Result<(), ErrorStack> {
        match self {
            Self::Encrypt => context.encrypt_init(cipher, key, iv),
            Self::Decrypt => context.decrypt_init(cipher, key, iv),
        }
    }
}

/// Keys of DES under which encryption is its own inverse, or the inverse of encryption under another key (NIST SP 800-67 section
/// 3.3.2).
const WEAK_DES_KEYS: [u64; 16] = [
    0x0101_0101_0101_0101,
    0xfefe_fefe_fefe_fefe,
    0xe0e0_e0e0_f1f1_f1f1,
    0x1f1f_1f1f_0e0e_0e0e,
    0x011f_011f_010e_010e,
    0x1f01_1f01_0e01_0e01,
    0x01e0_01e0_01f1_01f1,
    0xe001_e001_f101_f101,
    0x01fe_01fe_01fe_01fe,
    0xfe01_fe01_fe01_fe01,
    0x1fe0_1fe0_0ef1_0ef1,
    0xe01f_e01f_f10e_f10e,
    0x1ffe_1ffe_0efe_0efe,
    0xfe1f_fe1f_fe0e_fe0e,
    0xe0fe_e0fe_f1fe_f1fe,
    0xfee0_fee0_fef1_fef1,
];

/// Whether a key of DES or 3DES is weak. A key of 3DES is weak if two adjacent parts are equal, which reduces it to single DES
/// (RFC 2451 section 2.3). The lowest bit of each byte is parity.
fn is_weak(cipher: Cipher, key: &[u8]) -> bool {
    let without_parity = |key: &[u8]| Zeroizing::new(key.iter().map(|byte| byte & 0xfe).collect::<Vec<u8>>());
    let key = without_parity(key);
    match cipher {
        Cipher::DES => WEAK_DES_KEYS.iter().any(|weak| equal(&key, &without_parity(&weak.to_be_bytes()))),
        // Weak single keys do no harm in 3DES, and equal outer parts are not excluded (RFC 2451 section 2.3).
        Cipher::TRIPLE_DES => key.chunks(8).zip(key.chunks(8).skip(1)).any(|(one, next)| equal(one, next)),
        // Weak keys of Blowfish cannot be recognized before its S-boxes are computed (RFC 2451 section 2.3).
        _ => false,
    }
}

#[cfg(test)]
mod tests;
