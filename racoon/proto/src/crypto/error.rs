//! What goes wrong in cryptography, and whose fault it is.

use openssl::error::ErrorStack;
use thiserror::Error;

use crate::num::{Cipher, Group, Hash};

/// Our own fault, or the library's, or bad luck: never the peer's.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CryptoError {
    /// libcrypto has no such cipher, or none with this key length in bits (0: its only one, or its default).
    #[error("encryption with {0} and a key of {1} bits is not supported by this libcrypto")]
    Cipher(Cipher, u16),
    /// libcrypto has no such hash.
    #[error("hash algorithm {0} is not supported by this libcrypto")]
    Hash(Hash),
    /// There is no such group.
    #[error("Diffie-Hellman group {0} is not supported")]
    Group(Group),
    /// The key that came out is one of those with which the cipher does not encrypt well. Another exchange brings
    /// another (RFC 2409 Appendix A).
    #[error("the key is one of the weak keys of {0}")]
    WeakKey(Cipher),
    /// Encrypted are whole blocks, and at least one of them.
    #[error("{length} bytes are not one or more blocks of {block} bytes")]
    NotBlocks {
        /// How many bytes there are.
        length: usize,
        /// The cipher's block.
        block: usize,
    },
    /// An IV that is not as long as the cipher's block.
    #[error("an IV of {found} bytes where {block} are needed")]
    IvLength {
        /// How long it is.
        found: usize,
        /// The cipher's block.
        block: usize,
    },
    /// What libcrypto says.
    #[error("libcrypto: {0}")]
    Library(String),
}

impl From<ErrorStack> for CryptoError {
    /// An `ErrorStack` was taken from the thread's queue, which is empty afterwards.
    fn from(errors: ErrorStack) -> Self {
        Self::Library(errors.to_string())
    }
}

/// Why there is no shared secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GroupError {
    /// The peer's fault.
    #[error(transparent)]
    Peer(#[from] PeerValueError),
    /// Not the peer's fault.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl From<ErrorStack> for GroupError {
    fn from(errors: ErrorStack) -> Self {
        Self::Crypto(errors.into())
    }
}

/// A public value of the peer that must not be used (RFC 6989; RFC 5903 section 8; RFC 7748 section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PeerValueError {
    /// Its length is not the group's.
    #[error("the public value of the peer has {found} bytes, {group} has {expected}")]
    Length {
        /// The group.
        group: Group,
        /// Bytes of a value in it.
        expected: usize,
        /// Bytes of the peer's.
        found: usize,
    },
    /// It is not between 1 and p-1.
    #[error("the public value of the peer is out of the range of {0}")]
    Range(Group),
    /// It is no point of the curve.
    #[error("the public value of the peer is not a point of {0}")]
    NotOnCurve(Group),
    /// It makes the shared secret zero, whatever our exponent is.
    #[error("the public value of the peer makes the secret of {0} zero")]
    ZeroSecret(Group),
}
