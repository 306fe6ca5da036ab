//! UDP ports and address families.

use std::net::IpAddr;

use ipsec_conf::racoon::ListenSocket;

/// Address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Whether an address is of this family.
    pub fn contains_address(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }
}

/// UDP ports of IKE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// ISAKMP: 500, or the port of `-p`.
    pub isakmp: u16,
    /// NAT traversal, for ISAKMP and UDP-encapsulated ESP: 4500, or the port of `-P`.
    pub natt: u16,
}

impl Ports {
    /// Returns the port of a configured socket. `-p` and `-P` only replace the default ports.
    pub(super) fn of(self, socket: &ListenSocket) -> u16 {
        let usual = Self::default();
        match (socket.natt, socket.port) {
            (false, port) if port == usual.isakmp => self.isakmp,
            (true, port) if port == usual.natt => self.natt,
            (_, port) => port,
        }
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self { isakmp: 500, natt: 4500 }
    }
}
