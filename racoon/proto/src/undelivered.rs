//! Reports, by ICMP or the system, that a datagram of ours was not delivered.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// A report that a datagram was not delivered. Anybody can forge an ICMP error, so it ends no negotiation; the error line of one
/// that fails mentions it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// The destination of the datagram.
    pub remote: SocketAddr,
    /// The reason.
    pub error: DeliveryError,
}

/// The reason why a datagram was not delivered. Displayed as `ICMP port unreachable from 192.0.2.2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryError {
    /// A host on the way has reported it.
    Icmp {
        /// The error.
        error: IcmpError,
        /// The host.
        reporter: IpAddr,
    },
    /// This host could not send it; the text of the system's error.
    Local(String),
}

/// An ICMP or ICMPv6 error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcmpError {
    /// There is no route to the network.
    NetworkUnreachable,
    /// The host does not answer on its link.
    HostUnreachable,
    /// The host does not speak UDP.
    ProtocolUnreachable,
    /// No socket is bound to the port.
    PortUnreachable,
    /// A packet filter forbids it.
    Prohibited,
    /// The packet exceeds the MTU of the next link, and must not be fragmented.
    FragmentationNeeded {
        /// The MTU of the next link; 0 if it is not given.
        mtu: u32,
    },
    /// Fragments were lost on the way.
    ReassemblyTimeout,
    /// The packet went through too many routers: a routing loop.
    HopLimit,
    /// Another type and code.
    Other {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
    },
}

impl IcmpError {
    /// Returns the error for a type and code of ICMP (RFC 792, RFC 1812). `info` is the MTU, if the type has one.
    pub fn v4(kind: u8, code: u8, info: u32) -> Self {
        match (kind, code) {
            (3, 0 | 6 | 11) => Self::NetworkUnreachable,
            (3, 1 | 7 | 12) => Self::HostUnreachable,
            (3, 2) => Self::ProtocolUnreachable,
            (3, 3) => Self::PortUnreachable,
            (3, 4) => Self::FragmentationNeeded { mtu: info },
            (3, 9 | 10 | 13) => Self::Prohibited,
            (11, 0) => Self::HopLimit,
            (11, 1) => Self::ReassemblyTimeout,
            _ => Self::Other { kind, code },
        }
    }

    /// Returns the error for a type and code of ICMPv6 (RFC 4443). `info` is the MTU, if the type has one.
    pub fn v6(kind: u8, code: u8, info: u32) -> Self {
        match (kind, code) {
            (1, 0) => Self::NetworkUnreachable,
            (1, 1 | 5 | 6) => Self::Prohibited,
            (1, 2 | 3) => Self::HostUnreachable,
            (1, 4) => Self::PortUnreachable,
            (2, _) => Self::FragmentationNeeded { mtu: info },
            (3, 0) => Self::HopLimit,
            (3, 1) => Self::ReassemblyTimeout,
            (4, 1) => Self::ProtocolUnreachable,
            _ => Self::Other { kind, code },
        }
    }
}

impl fmt::Display for IcmpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NetworkUnreachable => f.write_str("network unreachable"),
            Self::HostUnreachable => f.write_str("host unreachable"),
            Self::ProtocolUnreachable => f.write_str("protocol unreachable"),
            Self::PortUnreachable => f.write_str("port unreachable"),
            Self::Prohibited => f.write_str("administratively prohibited"),
            Self::FragmentationNeeded { mtu: 0 } => f.write_str("fragmentation needed"),
            Self::FragmentationNeeded { mtu } => write!(f, "fragmentation needed (MTU {mtu})"),
            Self::ReassemblyTimeout => f.write_str("fragment reassembly time exceeded"),
            Self::HopLimit => f.write_str("hop limit exceeded"),
            Self::Other { kind, code } => write!(f, "type {kind} code {code}"),
        }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Icmp { error, reporter } => write!(f, "ICMP {error} from {reporter}"),
            Self::Local(error) => write!(f, "this host cannot send: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn icmp_and_icmpv6_errors_have_the_same_text() {
        for (v4, v6, words) in [
            ((3, 0), (1, 0), "network unreachable"),
            ((3, 1), (1, 3), "host unreachable"),
            ((3, 2), (4, 1), "protocol unreachable"),
            ((3, 3), (1, 4), "port unreachable"),
            ((3, 13), (1, 1), "administratively prohibited"),
            ((3, 4), (2, 0), "fragmentation needed (MTU 1400)"),
            ((11, 1), (3, 1), "fragment reassembly time exceeded"),
            ((11, 0), (3, 0), "hop limit exceeded"),
            ((12, 7), (12, 7), "type 12 code 7"),
        ] {
            assert_eq!(IcmpError::v4(v4.0, v4.1, 1400).to_string(), words);
            assert_eq!(IcmpError::v6(v6.0, v6.1, 1400).to_string(), words);
        }
    }
}
