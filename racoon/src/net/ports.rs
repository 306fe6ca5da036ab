//! Which ports, and which family of addresses.

use std::net::IpAddr;

use ipsec_conf::racoon::ListenSocket;

/// Of IP addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Whether an address is of it.
    pub fn holds(self, address: IpAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }
}

/// UDP ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Of ISAKMP: 500, or what `-p` says.
    pub isakmp: u16,
    /// Of ISAKMP behind a NAT, and of ESP in UDP: 4500, or what `-P` says.
    pub natt: u16,
}

impl Ports {
    /// The port of a socket of the configuration: one that has the usual port moves with it.
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
