//! SAs as the engine installs and names them.

use std::fmt;
use std::net::IpAddr;

use super::RequestId;
use crate::config::Authentication;
use crate::crypto::Secret;
use crate::num::{EspTransform, IpcompTransform, Protocol};

/// An SA to install.
#[derive(Debug)]
pub struct SaInstallation {
    /// Number of the request.
    pub id: RequestId,
    /// The direction. An inbound SA replaces its reserved SPI; an outbound one is new.
    pub way: Way,
    /// Its name.
    pub name: SaName,
    /// Transport or tunnel.
    pub mode: Mode,
    /// Whether its tunnel carries IPv6 over IPv4 or IPv4 over IPv6.
    pub crosses_families: bool,
    /// Reqid, 0 for none. It must be that of the policy's template, which otherwise does not find the SA.
    pub reqid: u32,
    /// The transform, with its keys.
    pub transform: SaTransform,
    /// The limits at which the SA ends.
    pub hard: Lifetime,
    /// The limits at which the kernel announces the end.
    pub soft: Lifetime,
    /// The size of the replay window, in packets.
    pub replay_window: u32,
    /// Extended sequence numbers (RFC 4304).
    pub esn: bool,
    /// Ports of ESP in UDP, of the SA's source and destination.
    pub udp: Option<UdpPorts>,
    /// [`Acquire::seq`](super::Acquire::seq) of the acquire that it answers, or 0.
    pub acquire: u32,
}

/// The name of an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaName {
    /// ESP, AH or IPComp.
    pub protocol: Protocol,
    /// The source of its packets.
    pub source: IpAddr,
    /// The destination of its packets.
    pub destination: IpAddr,
    /// The SPI in host order; for IPComp the CPI.
    pub spi: u32,
}

impl fmt::Display for SaName {
    /// The name as in log lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}->{} spi={}({:#x})", self.protocol, self.source, self.destination, self.spi, self.spi)
    }
}

/// An SA that an earlier run negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftoverSa {
    /// Its name.
    pub name: SaName,
    /// Its reqid, 0 for none.
    pub reqid: u32,
    /// Whether the kernel still has it.
    pub in_kernel: bool,
}

/// The direction of an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the peer to us.
    Inbound,
    /// From us to the peer.
    Outbound,
}

/// The mode of an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Transport mode: the packet keeps its header.
    Transport,
    /// Tunnel mode: the packet is carried inside another one.
    Tunnel,
}

/// The transform of an SA, with its keys.
#[derive(Debug)]
pub enum SaTransform {
    /// ESP. The key of a counter mode ends with its salt. An AEAD has no separate authentication.
    Esp {
        /// Cipher and key.
        encryption: (EspTransform, Secret),
        /// Authentication and key, if there is one.
        authentication: Option<(Authentication, Secret)>,
    },
    /// AH.
    Ah {
        /// Authentication and key.
        authentication: (Authentication, Secret),
    },
    /// IPComp.
    Ipcomp(IpcompTransform),
}

/// Limits of an SA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// Seconds since the SA was added; 0 for no limit.
    pub seconds: u64,
    /// Kilobytes (1024 bytes); `None` for no limit.
    pub kilobytes: Option<u32>,
}

/// The UDP ports of encapsulated ESP (RFC 3948).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpPorts {
    /// The port of the SA's source.
    pub source: u16,
    /// The port of the SA's destination.
    pub destination: u16,
}
