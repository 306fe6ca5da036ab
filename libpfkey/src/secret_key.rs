//! Key material.

use std::fmt;

use zeroize::Zeroizing;

/// A key. It is wiped when it is dropped, and `Debug` does not show it.
///
/// ```
/// use libpfkey::SecretKey;
///
/// let key = SecretKey::from(b"sixteen byte key");
/// assert_eq!(key.bits(), 128);
/// assert_eq!(format!("{key:?}"), "SecretKey(128 bits)");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretKey(Zeroizing<Vec<u8>>);

impl SecretKey {
    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Length in bits.
    pub fn bits(&self) -> usize {
        self.0.len().saturating_mul(8)
    }

    /// Whether the key has no bytes, as that of the null cipher.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({} bits)", self.bits())
    }
}

impl From<Zeroizing<Vec<u8>>> for SecretKey {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl From<Vec<u8>> for SecretKey {
    /// Takes the vector over without a copy.
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&[u8]> for SecretKey {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec().into())
    }
}

impl<const LENGTH: usize> From<&[u8; LENGTH]> for SecretKey {
    fn from(bytes: &[u8; LENGTH]) -> Self {
        Self(bytes.to_vec().into())
    }
}
