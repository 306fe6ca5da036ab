//! Algorithms: their names, their numbers, and the lengths of keys, blocks, IVs and ICVs. Each kind has one table:
//!
//! | kind | enum | its table |
//! |---|---|---|
//! | encryption, with or without authentication (ESP) | [`Encryption`] | `algorithm/encryption/rows.rs` |
//! | authentication (AH, ESP, TCP-MD5) | [`Authentication`] | `algorithm/authentication.rs` |
//! | compression (IPComp) | [`Compression`] | `algorithm/compression.rs` |
//!
//! A row holds the algorithm's names in dumps, in setkey and in racoon.conf, its PF_KEY number in each dialect, what the
//! kernels of that dialect report of it in REGISTER, its name in the crypto API of Linux, and its numbers in IKE. To add an
//! algorithm, add its row, its entry in ipsec.conf(5) or racoon.conf(5), and its tests.
//!
//! ```
//! use libpfkey::Dialect;
//! use libpfkey::algorithm::{Authentication, Encryption, KeyBits};
//!
//! assert_eq!(Encryption::AesGcm16.key_bits(), KeyBits::Each(&[160, 224, 288]), "with a salt of 32 bits");
//! assert_eq!(Encryption::AesGcm16.number(Dialect::Darwin), Some(13));
//! assert_eq!(Authentication::HmacSha256.icv_bits(Dialect::Linux), 96, "RFC 4868 says 128");
//! ```

mod authentication;
mod column;
mod compression;
mod encryption;
mod ike;
mod supported;
mod table;
mod word;

pub use authentication::Authentication;
pub(crate) use column::Listed;
pub use column::{CryptoApi, KeyBits, Weakness};
pub use compression::Compression;
pub use encryption::{Encryption, EncryptionKind};
pub use ike::{IkeAuthentication, IkeCompression, IkeEncryption, IkeHash};
pub use supported::Supported;
pub use word::{AuthenticationWord, CompressionWord, EncryptionWord};

use crate::dialect::Dialect;
use crate::error::{Error, Result};

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
mod tests;
