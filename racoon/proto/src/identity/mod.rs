//! Identities (RFC 2407 section 4.6.2), and their comparison with the expected ones.

mod attribute;
mod name;

use std::fmt;
use std::net::IpAddr;

pub use attribute::{AttributeType, NameAttribute, Value};
pub use name::{Name, NameError, NamePattern, PatternAttribute};

use crate::num::IdType;

/// The body of an Identification payload (RFC 2407 section 4.6.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The type of [`data`](Self::data).
    pub kind: IdType,
    /// Upper-layer protocol, 0 for any.
    pub protocol: u8,
    /// Port in host order, 0 for any.
    pub port: u16,
    /// The bytes as received: addresses in network order, a subnet's address followed by its mask, names without a final NUL.
    pub data: Vec<u8>,
}

impl Identity {
    /// One address, for any protocol and port.
    pub fn address(address: IpAddr) -> Self {
        let kind = if address.is_ipv4() { IdType::IPV4_ADDR } else { IdType::IPV6_ADDR };
        Self { kind, protocol: 0, port: 0, data: octets(address) }
    }

    /// A subnet, for any protocol and port. A prefix length greater than that of the address counts as the full length.
    pub fn subnet(address: IpAddr, prefix: u8) -> Self {
        let (kind, mut data) = match address {
            IpAddr::V4(_) => (IdType::IPV4_ADDR_SUBNET, octets(address)),
            IpAddr::V6(_) => (IdType::IPV6_ADDR_SUBNET, octets(address)),
        };
        let bits = usize::from(prefix);
        let mask = (0..data.len()).map(|at| mask_octet(bits.saturating_sub(at.saturating_mul(8)))).collect::<Vec<_>>();
        // With host bits, identities of the same subnet would differ.
        for (octet, mask) in data.iter_mut().zip(&mask) {
            *octet &= mask;
        }
        data.extend(mask);
        Self { kind, protocol: 0, port: 0, data }
    }

    /// A range of addresses; `None` if the ends are of different families.
    pub fn range(first: IpAddr, last: IpAddr) -> Option<Self> {
        let kind = match (first, last) {
            (IpAddr::V4(_), IpAddr::V4(_)) => IdType::IPV4_ADDR_RANGE,
            (IpAddr::V6(_), IpAddr::V6(_)) => IdType::IPV6_ADDR_RANGE,
            _ => return None,
        };
        Some(Self { kind, protocol: 0, port: 0, data: [octets(first), octets(last)].concat() })
    }

    /// A name or other bytes of type `kind`.
    pub fn named(kind: IdType, data: impl Into<Vec<u8>>) -> Self {
        Self { kind, protocol: 0, port: 0, data: data.into() }
    }

    /// The same identity for `protocol` and `port` only.
    pub fn with_protocol(self, protocol: u8, port: u16) -> Self {
        Self { protocol, port, ..self }
    }

    /// Returns the address, if it is a single address or a subnet with a full mask.
    pub fn single_address(&self) -> Option<IpAddr> {
        let data = match self.kind {
            IdType::IPV4_ADDR if self.data.len() == 4 => self.data.as_slice(),
            IdType::IPV6_ADDR if self.data.len() == 16 => self.data.as_slice(),
            IdType::IPV4_ADDR_SUBNET if self.data.len() == 8 => full_mask(&self.data)?,
            IdType::IPV6_ADDR_SUBNET if self.data.len() == 32 => full_mask(&self.data)?,
            _ => return None,
        };
        <[u8; 4]>::try_from(data).map(IpAddr::from).or_else(|_| <[u8; 16]>::try_from(data).map(IpAddr::from)).ok()
    }

    /// Returns the canonical type and bytes: a subnet with a full mask becomes an address.
    pub fn key(&self) -> (IdType, Vec<u8>) {
        match self.single_address() {
            Some(address) => (Self::address(address).kind, octets(address)),
            None => (self.kind, self.data.clone()),
        }
    }
}

/// The identity that a peer has claimed in phase 1.
#[derive(Clone, Copy, Debug)]
pub struct Claimed<'a> {
    /// The Identification payload.
    pub id: &'a Identity,
    /// The X.501 name, if it is a valid [`IdType::DER_ASN1_DN`].
    pub name: Option<&'a Name>,
}

impl<'a> Claimed<'a> {
    /// An identity that is not an X.501 name.
    pub fn plain(id: &'a Identity) -> Self {
        Self { id, name: None }
    }
}

/// An identity that the configuration expects: `peers_identifier`, and `from` of a sainfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Configured without a value: any identity of any type.
    Anything,
    /// A type and bytes. All bytes must be equal; KAME's racoon compares only as many as are configured.
    Exactly {
        /// Type of the identity. An address also matches a subnet with a full mask.
        kind: IdType,
        /// Its bytes.
        data: Vec<u8>,
    },
    /// An X.501 name, in which wildcards may replace components.
    Name(NamePattern),
}

impl Expected {
    /// A fixed identity; its protocol and port are ignored.
    pub fn exactly(id: &Identity) -> Self {
        let (kind, data) = id.key();
        Self::Exactly { kind, data }
    }

    /// Whether `claimed` is as expected.
    pub fn matches(&self, claimed: Claimed<'_>) -> bool {
        match self {
            Self::Anything => true,
            // Protocol and port of a phase 1 identity are those of IKE, and say nothing about the peer.
            Self::Exactly { kind, data } => claimed.id.key() == (*kind, data.clone()),
            Self::Name(pattern) => {
                claimed.id.kind == IdType::DER_ASN1_DN && claimed.name.is_some_and(|name| pattern.matches(name))
            }
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => f.write_str("anything"),
            Self::Exactly { kind, data } => Identity::named(*kind, data.as_slice()).fmt(f),
            Self::Name(pattern) => write!(f, "{} {pattern}", IdType::DER_ASN1_DN),
        }
    }
}

/// The result of comparing a peer's identity with the expected ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is one of the expected identities, or none are configured.
    Expected,
    /// It is none of them, which `verify_identifier off` allows with a warning.
    Tolerated,
    /// It is none of them: the exchange ends with INVALID-ID-INFORMATION.
    Refused,
}

/// Compares the identity that a peer claims with the alternatives of `peers_identifier`.
pub fn verify(expected: &[Expected], verify_identifier: bool, claimed: Claimed<'_>) -> Verdict {
    // Without `peers_identifier`, any identity is accepted from a peer that knows the key.
    if expected.is_empty() || expected.iter().any(|one| one.matches(claimed)) {
        return Verdict::Expected;
    }
    if verify_identifier { Verdict::Refused } else { Verdict::Tolerated }
}

/// Returns the bytes of an address in network order.
fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Returns an octet whose first `bits` bits are set.
fn mask_octet(bits: usize) -> u8 {
    match u32::try_from(bits) {
        Ok(bits @ 0..8) => !(0xff_u8 >> bits),
        _ => 0xff,
    }
}

/// Returns the address in the data of a subnet, if its mask is full.
fn full_mask(data: &[u8]) -> Option<&[u8]> {
    let (address, mask) = data.split_at_checked(data.len() / 2)?;
    mask.iter().all(|octet| *octet == 0xff).then_some(address)
}

#[cfg(test)]
mod tests;
