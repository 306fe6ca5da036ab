//! The requests of the engine to the kernel's IPsec, and the kernel's events, independent of PF_KEY and netlink. The shell
//! translates them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

pub use crate::authorization::GrantedPolicy;
use crate::config::Authentication;
use crate::crypto::Secret;
use crate::num::{EspTransform, IpcompTransform, Protocol};

/// The number of a request that is answered; the answer has the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A request to the kernel. Requests are carried out in order.
#[derive(Debug)]
pub enum KernelRequest {
    /// Reserve an SPI for an inbound SA. Answered by [`KernelEvent::Spi`].
    AllocateSpi(SpiAllocation),
    /// Install an SA. Answered by [`KernelEvent::Installed`].
    Install(Box<SaInstallation>),
    /// Delete an SA or release a reserved SPI. Not answered; it is no error if there is none.
    Delete(SaName),
    /// Report that an acquire has failed, so that the kernel can drop the packets that it holds for it.
    AcquireFailed(Acquire),
    /// Add a policy, and refuse if one with its selector and direction exists: it is never replaced. Answered by
    /// [`KernelEvent::PolicyAdded`].
    AddPolicy(RequestId, GrantedPolicy),
    /// Delete a policy that an `AddPolicy` of ours created: the one with this index, if it still has this selector and
    /// direction, and no other. Not answered; it is no error if it is gone already.
    DeletePolicy(PolicyName),
}

/// A request to reserve an SPI.
#[derive(Clone, Debug)]
pub struct SpiAllocation {
    /// Number of the request.
    pub id: RequestId,
    /// ESP, AH or IPComp (whose CPI is from 0x100 to 0xefff).
    pub protocol: Protocol,
    /// The source of the SA: the peer.
    pub source: IpAddr,
    /// The destination of the SA: our address.
    pub destination: IpAddr,
    /// Transport or tunnel.
    pub mode: Mode,
    /// Reqid, 0 for none.
    pub reqid: u32,
    /// Ports of ESP in UDP.
    pub udp: Option<UdpPorts>,
    /// [`Acquire::seq`] of the acquire that it answers, or 0.
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
    /// [`Acquire::seq`] of the acquire that it answers, or 0.
    pub acquire: u32,
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

/// The mode of an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Transport mode: the packet keeps its header.
    Transport,
    /// Tunnel mode: the packet is carried inside another one.
    Tunnel,
}

/// The direction of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To this host.
    In,
    /// From this host.
    Out,
    /// Through this host (Linux, which copies `in` policies to it).
    Forward,
}

impl fmt::Display for Direction {
    /// The name as in setkey(8).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Forward => "fwd",
        })
    }
}

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

/// A policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The kernel's index of the policy; 0 while it is unknown.
    pub index: u32,
    /// The direction of its packets.
    pub direction: Direction,
    /// The packets that it applies to.
    pub selector: Selector,
    /// The action for these packets.
    pub action: PolicyAction,
    /// The priority; the policy with the smallest number is applied.
    pub priority: u32,
}

impl Policy {
    /// Returns the name of the policy in the kernel.
    pub fn name(&self) -> PolicyName {
        PolicyName { index: self.index, direction: self.direction, selector: self.selector }
    }
}

/// The name of a policy in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PolicyName {
    /// The kernel's index. Linux assigns the first one of a network namespace twice.
    pub index: u32,
    /// The direction of its packets.
    pub direction: Direction,
    /// The packets that it applies to.
    pub selector: Selector,
}

/// The action of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyAction {
    /// Packets are dropped.
    Discard,
    /// Packets pass unprotected.
    Pass,
    /// Packets are protected by these SAs, the innermost first.
    Protect(Vec<Template>),
}

/// An SA that a policy requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// ESP, AH or IPComp.
    pub protocol: Protocol,
    /// Transport or tunnel.
    pub mode: Mode,
    /// The level at which it is required.
    pub level: TemplateLevel,
    /// Reqid, 0 for none.
    pub reqid: u32,
    /// Source and destination of the SA; `None` for those of the packet.
    pub endpoints: Option<(IpAddr, IpAddr)>,
}

/// The level at which a policy requires an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TemplateLevel {
    /// The system's default level.
    Default,
    /// The SA is used if there is one.
    Use,
    /// Without the SA, packets are held or dropped.
    Require,
    /// Like `Require`, with an SA that no other policy uses.
    Unique,
}

/// A packet needs an SA that does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquire {
    /// [`Policy::index`] of the policy that requires it, if the kernel reports it.
    pub policy: Option<u32>,
    /// The source of the SA.
    pub source: IpAddr,
    /// The destination of the SA.
    pub destination: IpAddr,
    /// The protocol of the SA.
    pub protocol: Protocol,
    /// The kernel's number of the acquire. It is only a hint: Linux counts globally and repeats numbers.
    pub seq: u32,
    /// The packet, or the policy's selector, if the kernel reports it.
    pub selector: Option<Selector>,
}

/// An event of the kernel, or its answer to a request.
#[derive(Debug)]
pub enum KernelEvent {
    /// Answer to [`KernelRequest::AllocateSpi`]: the SPI.
    Spi(RequestId, Result<u32, KernelError>),
    /// Answer to [`KernelRequest::Install`].
    Installed(RequestId, Result<(), KernelError>),
    /// Answer to [`KernelRequest::AddPolicy`]: the policy as the kernel has it now, with its index; `None` if the kernel has no
    /// policies of its direction. Only a policy that such an answer names was created by us.
    PolicyAdded(RequestId, Result<Option<Policy>, KernelError>),
    /// A packet needs an SA.
    Acquire(Acquire),
    /// An SA has reached a limit.
    Expire(SaName, Limit),
    /// The NAT in front of a peer has changed the source of its UDP-encapsulated ESP: the kernel has authenticated a packet
    /// from `new` under the SA with this SPI (RFC 3948 section 4).
    MappingChanged {
        /// Protocol of the SA by which the peer sends.
        protocol: Protocol,
        /// Its SPI.
        spi: u32,
        /// Address and port that the kernel knew.
        old: SocketAddr,
        /// Address and port of the packet.
        new: SocketAddr,
    },
    /// Another program has moved SAs and the templates of their policy to other addresses (MIGRATE).
    Migrated(Vec<Migration>),
    /// Another program has deleted an SA.
    Deleted(SaName),
    /// Another program has deleted all SAs of a protocol, or of all protocols.
    Flushed(Option<Protocol>),
    /// A policy was added or changed.
    Policy(Policy),
    /// A policy was deleted.
    PolicyDeleted(Direction, Selector),
    /// All policies were deleted.
    PoliciesFlushed,
    /// All policies of the kernel: sent at the start, and when an event may have been missed.
    Policies(Vec<Policy>),
}

/// New addresses of the SAs between two ends, in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// Protocol of the SAs.
    pub protocol: Protocol,
    /// Source and destination before.
    pub old: (IpAddr, IpAddr),
    /// Source and destination now.
    pub new: (IpAddr, IpAddr),
}

/// The limit that an SA has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The soft limit: the SA will end.
    Soft,
    /// The hard limit: the SA has ended.
    Hard,
}

/// Why a request to the kernel failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelError {
    /// The request, as the log names it; empty if it could not be composed.
    pub operation: String,
    /// The kernel's error number, if it gave one.
    pub errno: Option<i32>,
    /// The meaning of the error.
    pub message: String,
    /// The kernel's own words, where it gave any.
    pub explanation: Option<String>,
    /// The algorithm or protocol that the kernel lacks, with the module that may have it.
    pub missing: Option<String>,
    /// Whether it failed because the SA or policy exists already.
    pub exists: bool,
}

impl KernelError {
    /// An error without a request: the kernel was not asked.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
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
