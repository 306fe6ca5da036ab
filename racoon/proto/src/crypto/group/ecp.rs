//! ECP groups: points of a NIST curve (RFC 5903).

use openssl::bn::{BigNum, BigNumContext};
use openssl::ec::{EcGroup, EcPoint, EcPointRef};
use openssl::nid::Nid;

use super::number::{SecretNumber, padded};
use crate::crypto::{CryptoError, GroupError, PeerValueError, Secret};
use crate::num::Group;
use crate::random::Random;

/// First byte of a point with both coordinates (SEC 1 section 2.3.3). IKE does not transmit it.
const UNCOMPRESSED: u8 = 4;

/// A group.
pub(super) struct Ecp {
    curve: EcGroup,
    /// The order of the curve minus 1.
    last: BigNum,
    /// Length of a coordinate in bytes.
    length: usize,
}

impl Ecp {
    pub(super) fn new(curve: Nid) -> Result<Self, CryptoError> {
        let curve = EcGroup::from_curve_name(curve)?;
        let mut last = BigNum::new()?;
        curve.order(&mut last, &mut *BigNumContext::new()?)?;
        last.sub_word(1)?;
        let length = usize::try_from(curve.degree().div_ceil(8)).unwrap_or_default();
        Ok(Self { curve, last, length })
    }

    /// Draws a number from 1 to the order minus 1. It is the remainder of a random number with 64 additional bits, and therefore
    /// practically uniform (FIPS 186-4 appendix B.4.1).
    pub(super) fn draw(&self, random: &mut dyn Random) -> Result<Secret, CryptoError> {
        let mut bytes = Secret::from(vec![0; self.length + 8]);
        random.fill(bytes.as_mut_bytes());
        let number = SecretNumber::from_bytes(bytes.as_bytes())?;
        let mut scalar = SecretNumber::zero()?;
        scalar.as_mut().nnmod(&number, &self.last, &mut *BigNumContext::new()?)?;
        scalar.as_mut().add_word(1)?;
        scalar.to_padded(self.length)
    }

    pub(super) fn public_value(&self, scalar: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let scalar = SecretNumber::from_bytes(scalar)?;
        let mut point = EcPoint::new(&self.curve)?;
        point.mul_generator2(&self.curve, &scalar, &mut *BigNumContext::new()?)?;
        let (x, y) = self.coordinates(&point)?;
        let mut value = padded(&x, self.length)?;
        value.extend(padded(&y, self.length)?);
        Ok(value)
    }

    pub(super) fn shared_secret(&self, group: Group, scalar: &[u8], peer: &[u8]) -> Result<Secret, GroupError> {
        if peer.len() != 2 * self.length {
            return Err(PeerValueError::Length { group, expected: 2 * self.length, found: peer.len() }.into());
        }
        let peer = [&[UNCOMPRESSED], peer].concat();
        // An invalid point could reveal bits of our scalar. libcrypto refuses coordinates that are not a point of the curve or not
        // below the prime.
        let peer = EcPoint::from_bytes(&self.curve, &peer, &mut *BigNumContext::new()?)
            .map_err(|_| PeerValueError::NotOnCurve(group))?;
        let scalar = SecretNumber::from_bytes(scalar)?;
        let mut point = EcPoint::new(&self.curve)?;
        point.mul2(&self.curve, &peer, &scalar, &mut *BigNumContext::new()?)?;
        // Only x: RFC 5903 corrects RFC 4753, whose secret included y.
        let (x, _) = self.coordinates(&point)?;
        Ok(x.to_padded(self.length)?)
    }

    /// Returns the coordinates of a point. This would fail for the point at infinity, but no multiple of a valid point is that,
    /// because these curves have no small subgroups.
    fn coordinates(&self, point: &EcPointRef) -> Result<(SecretNumber, SecretNumber), CryptoError> {
        let (mut x, mut y) = (SecretNumber::zero()?, SecretNumber::zero()?);
        point.affine_coordinates(&self.curve, x.as_mut(), y.as_mut(), &mut *BigNumContext::new()?)?;
        Ok((x, y))
    }
}
