//! Diffie-Hellman groups.

mod ecp;
mod modp;
mod number;
#[cfg(test)]
mod tests;
mod x25519;

use std::fmt;
use std::sync::OnceLock;

use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::nid::Nid;

use self::ecp::Ecp;
use self::modp::Modp;
use super::{CryptoError, GroupError, Secret};
use crate::num::Group;
use crate::random::Random;

/// The groups that racoon knows.
pub(super) fn known() -> impl Iterator<Item = Group> {
    parameters().iter().map(|(group, _)| *group)
}

/// Whether a group can be used with this libcrypto.
pub(super) fn is_supported(group: Group) -> bool {
    of(group).is_ok()
}

/// Our secret exponent (or scalar) in a group. It is wiped on drop and not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Exponent {
    group: Group,
    secret: Secret,
}

impl Exponent {
    /// Draws an exponent. For MODP it has twice the bits of the group's strength, which is enough for groups with a safe prime
    /// (RFC 3526 section 8; RFC 7919 section 5.2) and much faster than an exponent as long as the prime.
    ///
    /// # Errors
    /// If the group is not supported.
    pub fn draw(group: Group, random: &mut dyn Random) -> Result<Self, CryptoError> {
        let secret = match of(group)? {
            Parameters::Modp(modp) => modp.draw(random),
            Parameters::Ecp(ecp) => ecp.draw(random)?,
            Parameters::X25519 => x25519::draw(random),
        };
        Ok(Self { group, secret })
    }

    /// The group that it belongs to.
    pub fn group(&self) -> Group {
        self.group
    }

    /// Our public value, the body of a KE payload: for MODP as long as the prime; for ECP both coordinates, each as long as the
    /// prime (RFC 5903 section 7); for X25519 32 bytes.
    ///
    /// # Errors
    /// If libcrypto fails.
    pub fn public_value(&self) -> Result<Vec<u8>, CryptoError> {
        let secret = self.secret.as_bytes();
        match of(self.group)? {
            Parameters::Modp(modp) => modp.public_value(secret),
            Parameters::Ecp(ecp) => ecp.public_value(secret),
            Parameters::X25519 => x25519::public_value(secret),
        }
    }

    /// g^xy, with leading zeros as long as the prime (RFC 2409 section 5); for ECP the first coordinate (RFC 5903 section 7).
    /// `peer` is the body of the peer's KE payload. Old peers send a MODP value without its leading zeros, which is accepted.
    ///
    /// # Errors
    /// If the peer's value does not belong to the group, or reveals the secret. If libcrypto fails.
    pub fn shared_secret(&self, peer: &[u8]) -> Result<Secret, GroupError> {
        let (group, secret) = (self.group, self.secret.as_bytes());
        match of(group)? {
            Parameters::Modp(modp) => modp.shared_secret(group, secret, peer),
            Parameters::Ecp(ecp) => ecp.shared_secret(group, secret, peer),
            Parameters::X25519 => x25519::shared_secret(group, secret, peer),
        }
    }

    /// Our public value and g^xy. The peer's value is checked first, and if it is invalid nothing is computed.
    ///
    /// # Errors
    /// As [`Exponent::shared_secret`].
    pub fn exchange(&self, peer: &[u8]) -> Result<(Vec<u8>, Secret), GroupError> {
        if let Parameters::X25519 = of(self.group)? {
            return x25519::exchange(self.group, self.secret.as_bytes(), peer);
        }
        let shared = self.shared_secret(peer)?;
        Ok((self.public_value()?, shared))
    }
}

impl fmt::Debug for Exponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exponent({})", self.group)
    }
}

/// The parameters of a group.
enum Parameters {
    Modp(Modp),
    Ecp(Ecp),
    X25519,
}

fn of(group: Group) -> Result<&'static Parameters, CryptoError> {
    let found = parameters().iter().find(|(known, _)| *known == group);
    found.and_then(|(_, parameters)| parameters.as_ref()).ok_or(CryptoError::Group(group))
}

/// The parameters of all groups, made once; `None` for those that libcrypto does not have.
fn parameters() -> &'static [(Group, Option<Parameters>)] {
    static GROUPS: OnceLock<Vec<(Group, Option<Parameters>)>> = OnceLock::new();
    GROUPS.get_or_init(|| {
        let modp = |prime: Result<BigNum, ErrorStack>, exponent_bits| {
            Some(Parameters::Modp(Modp::new(prime.ok()?, exponent_bits).ok()?))
        };
        let ecp = |curve| Some(Parameters::Ecp(Ecp::new(curve).ok()?));
        // The exponents of MODP groups are not shorter than RFC 7919 recommends for primes of their lengths (225 to 400 bits).
        let groups = vec![
            (Group::MODP768, modp(BigNum::get_rfc2409_prime_768(), 256)),
            (Group::MODP1024, modp(BigNum::get_rfc2409_prime_1024(), 256)),
            (Group::MODP1536, modp(BigNum::get_rfc3526_prime_1536(), 256)),
            (Group::MODP2048, modp(BigNum::get_rfc3526_prime_2048(), 256)),
            (Group::MODP3072, modp(BigNum::get_rfc3526_prime_3072(), 320)),
            (Group::MODP4096, modp(BigNum::get_rfc3526_prime_4096(), 352)),
            (Group::MODP6144, modp(BigNum::get_rfc3526_prime_6144(), 400)),
            (Group::MODP8192, modp(BigNum::get_rfc3526_prime_8192(), 448)),
            (Group::ECP256, ecp(Nid::X9_62_PRIME256V1)),
            (Group::ECP384, ecp(Nid::SECP384R1)),
            (Group::ECP521, ecp(Nid::SECP521R1)),
            (Group::X25519, x25519::works().then_some(Parameters::X25519)),
        ];
        // A missing group is not an error: it must not stay in the error queue.
        drop(ErrorStack::get());
        groups
    })
}
