//! The NAT-OA payload, which contains an original address (RFC 3947 section 5.2). A NAT-D payload is a hash without structure.
//!
//! ```text
//!                      1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |    ID Type    |   RESERVED    |           RESERVED            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |              IPv4 (4 octets) or IPv6 address (16 octets)      |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use std::net::IpAddr;

use super::WireError;
use super::reader::Reader;
use crate::identity::Identity;
use crate::num::IdType;

/// The body of a NAT-OA payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatOa {
    /// The address as its sender sees it.
    pub address: IpAddr,
}

impl NatOa {
    /// Reads the body of a NAT-OA payload.
    ///
    /// # Errors
    /// If the type is not that of a single address, or if the length is not the type's.
    pub fn parse(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("NAT-OA payload", body);
        let kind = IdType(reader.u8()?);
        // Ignored like other reserved bytes, although RFC 3947 section 5.2 requires 0.
        let _reserved = reader.bytes(3)?;
        let address = match kind {
            IdType::IPV4_ADDR => IpAddr::from(reader.array::<4>()?),
            IdType::IPV6_ADDR => IpAddr::from(reader.array::<16>()?),
            _ => return Err(reader.value("type", "IPv4_address or IPv6_address", kind.0)),
        };
        reader.finish()?;
        Ok(Self { address })
    }

    /// Encodes the body.
    pub fn encode(&self) -> Vec<u8> {
        // The layout of an Identification payload whose protocol and port are 0.
        Identity::address(self.address).encode()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn golden_bytes() {
        let v4 = NatOa { address: Ipv4Addr::new(192, 168, 1, 2).into() };
        assert_eq!(v4.encode(), [1, 0, 0, 0, 192, 168, 1, 2]);
        assert_eq!(NatOa::parse(&[1, 0, 0, 0, 192, 168, 1, 2]), Ok(v4));
        let v6 = NatOa { address: Ipv6Addr::LOCALHOST.into() };
        let bytes = [vec![5, 0, 0, 0], vec![0; 15], vec![1]].concat();
        assert_eq!(v6.encode(), bytes);
        assert_eq!(NatOa::parse(&bytes), Ok(v6));
    }

    #[test]
    fn one_address_of_its_length() {
        for length in 0..40 {
            let with = |kind| NatOa::parse(&[vec![kind, 0, 0, 0], vec![0; length]].concat()).is_ok();
            assert_eq!((with(1), with(5)), (length == 4, length == 16), "{length}");
            assert!(!with(4) && !with(2), "{length}");
        }
        assert!(NatOa::parse(&[1, 0, 0]).is_err());
    }
}
