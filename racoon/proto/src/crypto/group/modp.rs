//! MODP groups: powers of 2 modulo a safe prime (RFC 2409 section 6, RFC 3526).

use openssl::bn::{BigNum, BigNumContext, BigNumRef};

use super::number::{SecretNumber, padded};
use crate::crypto::{CryptoError, GroupError, PeerValueError, Secret};
use crate::num::Group;
use crate::random::Random;

/// A group.
pub(super) struct Modp {
    prime: BigNum,
    /// The prime minus 1, whose order is 2.
    last: BigNum,
    generator: BigNum,
    /// Length of the prime in bytes.
    length: usize,
    /// Length of our exponents in bytes.
    exponent_length: usize,
}

impl Modp {
    pub(super) fn new(prime: BigNum, exponent_bits: usize) -> Result<Self, CryptoError> {
        let mut last = prime.to_owned()?;
        last.sub_word(1)?;
        let length = usize::try_from(prime.num_bytes()).unwrap_or_default();
        // 2 generates every MODP group of IKE (RFC 2409 section 6, RFC 3526).
        Ok(Self { prime, last, generator: BigNum::from_u32(2)?, length, exponent_length: exponent_bits / 8 })
    }

    #[cfg(test)]
    pub(super) fn prime(&self) -> &BigNumRef {
        &self.prime
    }

    pub(super) fn draw(&self, random: &mut dyn Random) -> Secret {
        let mut secret = Secret::from(vec![0; self.exponent_length]);
        random.fill(secret.as_mut_bytes());
        // Setting the highest bit makes all exponents equally long, and none zero.
        if let Some(first) = secret.as_mut_bytes().first_mut() {
            *first |= 0x80;
        }
        secret
    }

    pub(super) fn public_value(&self, exponent: &[u8]) -> Result<Vec<u8>, CryptoError> {
        padded(&*self.power(&self.generator, exponent)?, self.length)
    }

    pub(super) fn shared_secret(&self, group: Group, exponent: &[u8], peer: &[u8]) -> Result<Secret, GroupError> {
        if peer.len() > self.length {
            return Err(PeerValueError::Length { group, expected: self.length, found: peer.len() }.into());
        }
        let peer = BigNum::from_slice(peer)?;
        // Powers of 0 and 1 are 0 and 1, and a power of p-1 reveals whether the exponent is odd.
        if peer <= BigNum::from_u32(1)? || peer >= self.last {
            return Err(PeerValueError::Range(group).into());
        }
        Ok(self.power(&peer, exponent)?.to_padded(self.length)?)
    }

    fn power(&self, base: &BigNumRef, exponent: &[u8]) -> Result<SecretNumber, CryptoError> {
        let exponent = SecretNumber::from_bytes(exponent)?;
        let mut power = SecretNumber::zero()?;
        power.as_mut().mod_exp(base, &exponent, &self.prime, &mut *BigNumContext::new()?)?;
        Ok(power)
    }
}
