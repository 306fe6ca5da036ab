//! Errors of cryptography, separated by whether the peer has caused them.

use openssl::error::ErrorStack;
use thiserror::Error;

use crate::num::{Cipher, Group, Hash};

/// An error that the peer has not caused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CryptoError {
    /// libcrypto does not have the cipher with this key length in bits; 0 stands for its only one, or its default.
    #[error("encryption with {0} and a key of {1} bits is not supported by this libcrypto")]
    Cipher(Cipher, u16),
    /// libcrypto does not have the hash.
    #[error("hash algorithm {0} is not supported by this libcrypto")]
    Hash(Hash),
    /// The group is not supported.
    #[error("Diffie-Hellman group {0} is not supported")]
    Group(Group),
    /// The derived key is a weak one (RFC 2409 Appendix A). Another exchange derives another key.
    #[error("the key is one of the weak keys of {0}")]
    WeakKey(Cipher),
    /// The data is empty or not a multiple of the block length.
    #[error("{length} bytes are not one or more blocks of {block} bytes")]
    NotBlocks {
        /// The number of bytes.
        length: usize,
        /// The block length of the cipher.
        block: usize,
    },
    /// The IV is not as long as a block of the cipher.
    #[error("an IV of {found} bytes where {block} are needed")]
    IvLength {
        /// Its length.
        found: usize,
        /// The block length of the cipher.
        block: usize,
    },
    /// An error of libcrypto.
    #[error("libcrypto: {0}")]
    Library(String),
}

impl From<ErrorStack> for CryptoError {
    /// Taking an `ErrorStack` has emptied the thread's queue.
    fn from(errors: ErrorStack) -> Self {
        Self::Library(errors.to_string())
    }
}

/// The reason why there is no shared secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GroupError {
    /// The peer's value is invalid.
    #[error(transparent)]
    Peer(#[from] PeerValueError),
    /// Our own cryptography failed.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl From<ErrorStack> for GroupError {
    fn from(errors: ErrorStack) -> Self {
        Self::Crypto(errors.into())
    }
}

/// The reason why a public value of the peer must not be used (RFC 6989; RFC 5903 section 8; RFC 7748 section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PeerValueError {
    /// Its length is wrong for the group.
    #[error("the public value of the peer has {found} bytes, {group} has {expected}")]
    Length {
        /// The group.
        group: Group,
        /// Length of a value of the group, in bytes.
        expected: usize,
        /// Length of the peer's value, in bytes.
        found: usize,
    },
    /// It is not between 1 and p-1.
    #[error("the public value of the peer is out of the range of {0}")]
    Range(Group),
    /// It is not a point of the curve.
    #[error("the public value of the peer is not a point of {0}")]
    NotOnCurve(Group),
    /// It makes the shared secret zero for every exponent.
    #[error("the public value of the peer makes the secret of {0} zero")]
    ZeroSecret(Group),
}
