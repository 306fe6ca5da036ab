//! The network path between a peer and us: both addresses, their ports, and how messages are encapsulated between them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The path of a phase 1 and of all exchanges under it.
///
/// The phase 1 table owns the path of each phase 1 and changes it in one place, `Phase1s::move_to`. A phase 2 is negotiated on
/// the path of its phase 1, and follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Path {
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// How messages are told from UDP-encapsulated ESP.
    pub encapsulation: Encapsulation,
}

/// How IKE messages share a UDP port with ESP. It is a property of our port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Encapsulation {
    /// The port carries IKE messages only, as port 500 does (RFC 2408 section 2.5.1).
    #[default]
    None,
    /// The port also carries ESP, as port 4500 does: IKE messages follow a non-ESP marker (RFC 3948 section 2.2). The shell
    /// adds and removes the marker.
    NonEspMarker,
}

impl Path {
    /// The path between two ports that carry IKE messages only.
    pub fn new(local: SocketAddr, remote: SocketAddr) -> Self {
        Self { local, remote, encapsulation: Encapsulation::None }
    }

    /// The same path as the peer sees it.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { local: self.remote, remote: self.local, ..self }
    }

    /// Both addresses, without ports.
    pub(crate) fn addresses(self) -> (IpAddr, IpAddr) {
        (self.local.ip(), self.remote.ip())
    }
}

impl fmt::Display for Path {
    /// Writes `192.0.2.1[500]<=>192.0.2.2[500]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}<=>{}", AddrPort(self.local), AddrPort(self.remote))
    }
}

/// Displays an address and a port as logs do: `192.0.2.1[500]`.
pub(crate) struct AddrPort(pub(crate) SocketAddr);

impl fmt::Display for AddrPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.0.ip(), self.0.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_in_brackets() {
        assert_eq!(AddrPort("192.0.2.1:500".parse().unwrap()).to_string(), "192.0.2.1[500]");
        assert_eq!(AddrPort("[2001:db8::1]:4500".parse().unwrap()).to_string(), "2001:db8::1[4500]");
    }

    #[test]
    fn a_path_names_both_ends() {
        let path = Path::new("192.0.2.1:500".parse().unwrap(), "192.0.2.2:4500".parse().unwrap());
        assert_eq!(path.to_string(), "192.0.2.1[500]<=>192.0.2.2[4500]");
        assert_eq!(path.reversed().to_string(), "192.0.2.2[4500]<=>192.0.2.1[500]");
    }
}
