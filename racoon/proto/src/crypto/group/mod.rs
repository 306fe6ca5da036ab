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

/// All groups that racoon knows.
pub(super) fn known() -> impl Iterator<Item = Group> {
    parameters().iter().map(|(group, _)| *group)
}

/// Whether a group can be used with this libcrypto.
pub(super) fn is_supported(group: Group) -> bool {
    of(group).is_ok()
}

/// Our secret half of an exchange in a group. It is wiped when dropped, and is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Exponent {
    group: Group,
    secret: Secret,
}

impl Exponent {
    /// Draws one. For MODP it has twice the bits of the group's strength, which is enough for groups with a safe prime
    /// (RFC 3526 section 8; RFC 7919 section 5.2) and far quicker than as many as the prime has.
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

    /// Our public value, as it is in a KE payload: of MODP as long as the prime; of ECP both coordinates, each as long
    /// as the prime (RFC 5903 section 7); of X25519 32 bytes.
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

    /// g^xy, as long as the prime whatever zeros it begins with (RFC 2409 section 5): of ECP the first coordinate (RFC
    /// 5903 section 7). `peer` is the body of the peer's KE payload. Old peers send a MODP value without its leading
    /// zeros, which is accepted.
    ///
    /// # Errors
    /// If the peer's value is not one of the group, or one that betrays the secret. If libcrypto fails.
    pub fn shared_secret(&self, peer: &[u8]) -> Result<Secret, GroupError> {
        let (group, secret) = (self.group, self.secret.as_bytes());
        match of(group)? {
            Parameters::Modp(modp) => modp.shared_secret(group, secret, peer),
            Parameters::Ecp(ecp) => ecp.shared_secret(group, secret, peer),
            Parameters::X25519 => x25519::shared_secret(group, secret, peer),
        }
    }

    /// Our public value and g^xy. The peer's value is looked at first: with a bad one nothing else is computed.
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

/// What a group is made of.
enum Parameters {
    Modp(Modp),
    Ecp(Ecp),
    X25519,
}

fn of(group: Group) -> Result<&'static Parameters, CryptoError> {
    let found = parameters().iter().find(|(known, _)| *known == group);
    found.and_then(|(_, parameters)| parameters.as_ref()).ok_or(CryptoError::Group(group))
}

/// All groups, made once; those that this libcrypto does not have are `None`.
fn parameters() -> &'static [(Group, Option<Parameters>)] {
    static GROUPS: OnceLock<Vec<(Group, Option<Parameters>)>> = OnceLock::new();
    GROUPS.get_or_init(|| {
        let modp = |prime: Result<BigNum, ErrorStack>, exponent_bits| {
            Some(Parameters::Modp(Modp::new(prime.ok()?, exponent_bits).ok()?))
        };
        let ecp = |curve| Some(Parameters::Ecp(Ecp::new(curve).ok()?));
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
        // What is not there is no error.
        drop(ErrorStack::get());
        groups
    })
}
