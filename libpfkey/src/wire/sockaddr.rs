//! Socket addresses: 16 bytes for IPv4, 28 for IPv6, in each kernel's own shape.
//!
//! ```text
//! Linux  u16 family                  port (net)  IPv4: address, 8 zeros
//! BSD    u8 length, u8 family        port (net)  IPv6: flow info, address, scope id
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::reader::Reader;
use super::writer::Writer;
use crate::error::Result;
use crate::strerror::Code;

/// Size of an IPv4 `sockaddr` in bytes.
pub(crate) const INET_LEN: usize = 16;
/// Size of an IPv6 `sockaddr` in bytes.
pub(crate) const INET6_LEN: usize = 28;
/// `AF_INET`, the same everywhere.
pub(crate) const AF_INET: u8 = 2;

/// A socket address of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SockAddr {
    /// IPv4 or IPv6. The flow information is kept as it stands in memory.
    Inet(SocketAddr),
    /// Another address family.
    Other {
        /// The family's number.
        family: u16,
    },
}

impl SockAddr {
    /// The address, if it is IPv4 or IPv6.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Inet(address) => Some(address.ip()),
            Self::Other { .. } => None,
        }
    }

    /// The port, 0 for other families.
    pub fn port(&self) -> u16 {
        match self {
            Self::Inet(address) => address.port(),
            Self::Other { .. } => 0,
        }
    }

    /// Bits of a whole address: 32 or 128, 0 for other families.
    pub fn full_prefix(&self) -> u8 {
        match self {
            Self::Inet(SocketAddr::V4(_)) => 32,
            Self::Inet(SocketAddr::V6(_)) => 128,
            Self::Other { .. } => 0,
        }
    }

    /// Whether two addresses are of one family.
    pub fn same_family(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Inet(a), Self::Inet(b)) => a.is_ipv4() == b.is_ipv4(),
            (Self::Other { family: a }, Self::Other { family: b }) => a == b,
            _ => false,
        }
    }

    /// Bytes on the wire without padding.
    pub(crate) fn wire_len(&self) -> usize {
        match self {
            Self::Inet(SocketAddr::V4(_)) | Self::Other { .. } => INET_LEN,
            Self::Inet(SocketAddr::V6(_)) => INET6_LEN,
        }
    }

    /// Reads an address; of another family only the family, and all bytes that are left.
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let dialect = reader.abi().dialect;
        let family = if dialect.has_sockaddr_len() {
            // The family decides about the length, and the extension bounds it.
            let _length = reader.u8()?;
            u16::from(reader.u8()?)
        } else {
            reader.u16()?
        };
        if family == u16::from(AF_INET) {
            let port = reader.net_u16()?;
            let address = Ipv4Addr::from(reader.array::<4>()?);
            reader.skip(8)?;
            return Ok(Self::Inet(SocketAddrV4::new(address, port).into()));
        }
        if family == u16::from(dialect.inet6()) {
            let port = reader.net_u16()?;
            let flow = reader.net_u32()?;
            let address = Ipv6Addr::from(reader.array::<16>()?);
            let scope = reader.u32()?;
            return Ok(Self::Inet(SocketAddrV6::new(address, port, flow, scope).into()));
        }
        // Nothing tells how long an address of another family is.
        reader.skip(reader.remaining())?;
        Ok(Self::Other { family })
    }

    /// Reads two addresses that stand back to back.
    pub(crate) fn parse_pair(reader: &mut Reader<'_>) -> Result<(Self, Self)> {
        let first = Self::parse(reader)?;
        let second = Self::parse(reader)?;
        if !first.same_family(&second) {
            return Err(reader.malformed(Code::InvalidAddress, "two addresses of different families"));
        }
        Ok((first, second))
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        let dialect = writer.abi().dialect;
        let (family, length) = match self {
            Self::Inet(SocketAddr::V4(_)) => (u16::from(AF_INET), 16),
            Self::Inet(SocketAddr::V6(_)) => (u16::from(dialect.inet6()), 28),
            // Only the family is known of it: the rest is zeros.
            Self::Other { family } => (*family, 16),
        };
        if dialect.has_sockaddr_len() {
            writer.u8(length);
            writer.u8(u8::try_from(family).unwrap_or(0));
        } else {
            writer.u16(family);
        }
        match self {
            Self::Inet(SocketAddr::V4(address)) => {
                writer.net_u16(address.port());
                writer.bytes(&address.ip().octets());
                writer.zeros(8);
            }
            Self::Inet(SocketAddr::V6(address)) => {
                writer.net_u16(address.port());
                writer.net_u32(address.flowinfo());
                writer.bytes(&address.ip().octets());
                writer.u32(address.scope_id());
            }
            Self::Other { .. } => writer.zeros(14),
        }
    }
}

impl From<SocketAddr> for SockAddr {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

impl From<IpAddr> for SockAddr {
    fn from(address: IpAddr) -> Self {
        Self::Inet(SocketAddr::new(address, 0))
    }
}
