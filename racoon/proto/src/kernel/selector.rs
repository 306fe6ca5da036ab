//! Selectors of policies, and their address prefixes.

use std::fmt;
use std::net::IpAddr;

/// The packets that a policy applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    /// Their source addresses.
    pub source: Prefix,
    /// Their destination addresses.
    pub destination: Prefix,
    /// Upper-layer protocol; 0 for any.
    pub protocol: u8,
    /// Source port, or ICMP type; 0 for any.
    pub source_port: u16,
    /// Destination port, or ICMP code; 0 for any.
    pub destination_port: u16,
}

impl Selector {
    /// Returns the selector of the opposite direction.
    pub fn mirrored(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            ..self
        }
    }
}

/// An address prefix. The bits after it are zero.
///
/// This is not the type of the crate `ipnet`, whose values keep the bits after the prefix: prefixes are keys of maps and ends of
/// ranges here, and must be equal if they contain the same addresses. A wrapper that guarantees this would have the same methods
/// as this type, and save only the two masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The prefix of the first `length` bits of an address. A length greater than that of the address counts as the full length.
    pub fn new(address: IpAddr, length: u8) -> Self {
        match address {
            IpAddr::V4(v4) => {
                let length = length.min(32);
                // A shift by all bits, for length 0, would overflow.
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Self { address: IpAddr::V4((v4.to_bits() & mask).into()), length }
            }
            IpAddr::V6(v6) => {
                let length = length.min(128);
                let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
                Self { address: IpAddr::V6((v6.to_bits() & mask).into()), length }
            }
        }
    }

    /// The prefix of a single address.
    pub fn host(address: IpAddr) -> Self {
        Self::new(address, u8::MAX)
    }

    /// Returns the first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Returns the number of significant bits.
    pub fn length(self) -> u8 {
        self.length
    }

    /// Whether it is a single address.
    pub fn is_host(self) -> bool {
        self.length == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Returns the last address.
    pub fn last(self) -> IpAddr {
        match self.address {
            IpAddr::V4(v4) => {
                let hosts = u32::MAX.checked_shr(self.length.into()).unwrap_or(0);
                IpAddr::V4((v4.to_bits() | hosts).into())
            }
            IpAddr::V6(v6) => {
                let hosts = u128::MAX.checked_shr(self.length.into()).unwrap_or(0);
                IpAddr::V6((v6.to_bits() | hosts).into())
            }
        }
    }

    /// Whether both prefixes have an address in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// Whether it contains all addresses of `other`.
    pub fn contains(self, other: Self) -> bool {
        self.address.is_ipv4() == other.address.is_ipv4()
            && self.length <= other.length
            && Self::new(other.address, self.length) == self
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        let (address, length) = text.split_once('/').unwrap();
        Prefix::new(address.parse().unwrap(), length.parse().unwrap())
    }

    #[test]
    fn bits_after_a_prefix_are_cleared() {
        assert_eq!(prefix("10.1.2.3/8").to_string(), "10.0.0.0/8");
        assert_eq!(prefix("10.1.2.3/0").to_string(), "0.0.0.0/0");
        assert_eq!(prefix("2001:db8:1::1/33").to_string(), "2001:db8::/33");
        assert_eq!(prefix("2001:db8::1/200"), Prefix::host("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn last_address_and_overlap_of_prefixes() {
        for (text, last) in [
            ("10.1.2.0/24", "10.1.2.255"),
            ("0.0.0.0/0", "255.255.255.255"),
            ("10.1.2.3/32", "10.1.2.3"),
            ("2001:db8::/33", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff"),
            ("::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert_eq!(prefix(text).last().to_string(), last);
        }
        assert!(
            prefix("10.0.0.0/8").overlaps(prefix("10.1.0.0/16"))
                && prefix("10.1.0.0/16").overlaps(prefix("10.0.0.0/8"))
        );
        assert!(
            !prefix("10.0.0.0/16").overlaps(prefix("10.1.0.0/16")) && !prefix("0.0.0.0/0").overlaps(prefix("::/0"))
        );
    }

    #[test]
    fn prefixes_contain_longer_ones_and_themselves() {
        assert!(prefix("10.0.0.0/8").contains(prefix("10.1.0.0/16")));
        assert!(prefix("10.0.0.0/8").contains(prefix("10.0.0.0/8")));
        assert!(!prefix("10.1.0.0/16").contains(prefix("10.0.0.0/8")));
        assert!(!prefix("10.0.0.0/8").contains(prefix("11.0.0.0/16")));
        assert!(!prefix("0.0.0.0/0").contains(prefix("::/0")));
    }
}
