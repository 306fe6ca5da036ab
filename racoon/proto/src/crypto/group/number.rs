//! Secret numbers.

use std::ops::Deref;

use openssl::bn::{BigNum, BigNumRef};

use crate::crypto::{CryptoError, Secret};

/// A secret number. It is wiped on drop, and computed with in constant time.
pub(super) struct SecretNumber(BigNum);

impl SecretNumber {
    /// The number with these bytes, in network order.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, CryptoError> {
        let mut number = Self(BigNum::from_slice(bytes)?);
        number.0.set_const_time();
        Ok(number)
    }

    /// Zero, to be overwritten with a result.
    pub(super) fn zero() -> Result<Self, CryptoError> {
        Self::from_bytes(&[])
    }

    /// Returns the number as the place for a result.
    pub(super) fn as_mut(&mut self) -> &mut BigNumRef {
        &mut self.0
    }

    /// Returns `length` bytes in network order, with zeros first.
    pub(super) fn to_padded(&self, length: usize) -> Result<Secret, CryptoError> {
        padded(&self.0, length).map(Secret::from)
    }
}

impl Deref for SecretNumber {
    type Target = BigNumRef;

    fn deref(&self) -> &BigNumRef {
        &self.0
    }
}

impl Drop for SecretNumber {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// Returns the bytes of a number in network order, with zeros first so that there are `length` bytes.
pub(super) fn padded(number: &BigNumRef, length: usize) -> Result<Vec<u8>, CryptoError> {
    let length = i32::try_from(length).unwrap_or(i32::MAX);
    Ok(number.to_vec_padded(length)?)
}
