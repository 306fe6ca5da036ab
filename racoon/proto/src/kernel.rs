//! What the engine and a kernel's IPsec have to say to each other, in words of neither PF_KEY nor netlink. The shell
//! translates.

use std::fmt;
use std::net::IpAddr;

use crate::config::Authentication;
use crate::crypto::Secret;
use crate::num::{EspTransform, IpcompTransform, Protocol};

/// A request that is answered; the answer bears the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What the kernel is asked to do. Requests are carried out in the order in which they were made.
#[derive(Debug)]
pub enum KernelRequest {
    /// Reserve an SPI for an inbound SA. Answered by [`KernelEvent::Spi`].
    AllocateSpi(SpiAllocation),
    /// Install an SA. Answered by [`KernelEvent::Installed`].
    Install(Box<SaInstallation>),
    /// Delete an SA, or give a reserved SPI back. Not answered; that there is none is no error.
    Delete(SaName),
    /// An acquire comes to nothing: what the kernel holds back for it may go.
    AcquireFailed(Acquire),
    /// Add a policy, and refuse if one with its selector and direction exists: it is never replaced. Answered by
    /// [`KernelEvent::PolicyAdded`].
    AddPolicy(RequestId, Policy),
    /// Delete a policy that an `AddPolicy` of ours created: the one with this index, if it still has this selector and
    /// direction, and no other. Not answered; that it is gone already is no error.
    DeletePolicy(PolicyName),
}

/// Reservation of an SPI.
#[derive(Clone, Debug)]
pub struct SpiAllocation {
    /// Its number.
    pub id: RequestId,
    /// ESP, AH or IPComp (whose CPI is from 0x100 to 0xefff).
    pub protocol: Protocol,
    /// The peer: where the SA's packets come from.
    pub source: IpAddr,
    /// We.
    pub destination: IpAddr,
    /// Transport or tunnel.
    pub mode: Mode,
    /// Reqid, 0 for none.
    pub reqid: u32,
    /// Ports of ESP in UDP.
    pub udp: Option<UdpPorts>,
    /// [`Acquire::seq`] of what began it; 0 if nothing did.
    pub acquire: u32,
}

/// What names an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaName {
    /// ESP, AH or IPComp.
    pub protocol: Protocol,
    /// Where its packets come from.
    pub source: IpAddr,
    /// Where they go to.
    pub destination: IpAddr,
    /// SPI in host order; of IPComp the CPI.
    pub spi: u32,
}

impl fmt::Display for SaName {
    /// As the log names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}->{} spi={}({:#x})", self.protocol, self.source, self.destination, self.spi, self.spi)
    }
}

/// An SA to install.
#[derive(Debug)]
pub struct SaInstallation {
    /// Its number.
    pub id: RequestId,
    /// Inbound: it takes the place of the reservation. Outbound: it is new.
    pub way: Way,
    /// Its name.
    pub name: SaName,
    /// Transport or tunnel.
    pub mode: Mode,
    /// Its tunnel carries IPv6 over IPv4, or IPv4 over IPv6.
    pub crosses_families: bool,
    /// Reqid, 0 for none: that of the policy's template, or the SA would not be found by it.
    pub reqid: u32,
    /// What it does.
    pub transform: SaTransform,
    /// When it ends.
    pub hard: Lifetime,
    /// When the kernel tells that it will end.
    pub soft: Lifetime,
    /// Packets that may overtake each other.
    pub replay_window: u32,
    /// Extended sequence numbers (RFC 4304).
    pub esn: bool,
    /// Ports of ESP in UDP: of source and destination of the SA.
    pub udp: Option<UdpPorts>,
    /// [`Acquire::seq`] of what began it; 0 if nothing did.
    pub acquire: u32,
}

/// An SA that an earlier run negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftoverSa {
    /// Its name.
    pub name: SaName,
    /// Its reqid, 0 for none.
    pub reqid: u32,
    /// The kernel still has it; false: it had it.
    pub in_kernel: bool,
}

/// Which way an SA's packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To us.
    Inbound,
    /// To the peer.
    Outbound,
}

/// What an SA does, with its keys.
#[derive(Debug)]
pub enum SaTransform {
    /// ESP. The key of a counter mode ends with its salt. An AEAD has no authentication beside it.
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
    /// Seconds from when it was added; 0: no limit.
    pub seconds: u64,
    /// Kilobytes (1024 bytes); none: no limit.
    pub kilobytes: Option<u32>,
}

/// UDP ports around ESP (RFC 3948).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpPorts {
    /// At the SA's source.
    pub source: u16,
    /// At its destination.
    pub destination: u16,
}

/// How packets are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Header of the packet kept.
    Transport,
    /// Packet in a packet.
    Tunnel,
}

/// Which way a policy's packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To this host.
    In,
    /// From this host.
    Out,
    /// Through it (Linux; its copy of `in`).
    Forward,
}

impl fmt::Display for Direction {
    /// As setkey(8) names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Forward => "fwd",
        })
    }
}

/// The packets that a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Selector {
    /// Where they come from.
    pub source: Prefix,
    /// Where they go to.
    pub destination: Prefix,
    /// Upper-layer protocol; 0: any.
    pub protocol: u8,
    /// Source port, or ICMP type; 0: any.
    pub source_port: u16,
    /// Destination port, or ICMP code; 0: any.
    pub destination_port: u16,
}

impl Selector {
    /// The packets the other way.
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

/// Addresses that begin alike. The bits behind the prefix are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

impl Prefix {
    /// The first `length` bits of an address; more than it has count as all.
    pub fn new(address: IpAddr, length: u8) -> Self {
        match address {
            IpAddr::V4(v4) => {
                let length = length.min(32);
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

    /// One address.
    pub fn host(address: IpAddr) -> Self {
        Self::new(address, u8::MAX)
    }

    /// The first of the addresses.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Bits that count.
    pub fn length(self) -> u8 {
        self.length
    }

    /// It is one address.
    pub fn is_host(self) -> bool {
        self.length == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// The last of the addresses.
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

    /// Whether an address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// Whether all of `other` is in it.
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
    /// The kernel's number of it; 0 as long as it is not known.
    pub index: u32,
    /// Which way its packets go.
    pub direction: Direction,
    /// Which packets.
    pub selector: Selector,
    /// What becomes of them.
    pub action: Action,
    /// Where it stands among others: a smaller number comes first.
    pub priority: u32,
}

impl Policy {
    /// What names it.
    pub fn name(&self) -> PolicyName {
        PolicyName { index: self.index, direction: self.direction, selector: self.selector }
    }
}

/// What names a policy in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PolicyName {
    /// The kernel's number of it. Linux gives the first one of a network namespace twice.
    pub index: u32,
    /// Which way its packets go.
    pub direction: Direction,
    /// Which packets.
    pub selector: Selector,
}

/// What becomes of a policy's packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// They are dropped.
    Discard,
    /// They pass as they are.
    Pass,
    /// They are protected: by these SAs, the innermost first.
    Protect(Vec<Template>),
}

/// An SA that a policy asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// ESP, AH or IPComp.
    pub protocol: Protocol,
    /// Transport or tunnel.
    pub mode: Mode,
    /// How much it is asked for.
    pub level: Level,
    /// Reqid, 0 for none.
    pub reqid: u32,
    /// Source and destination of the SA; none: those of the packet.
    pub endpoints: Option<(IpAddr, IpAddr)>,
}

/// How much a policy asks for an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As the system is set.
    Default,
    /// If there is one.
    Use,
    /// No packet without one.
    Require,
    /// As `Require`, and none that serves another policy.
    Unique,
}

/// A packet needs an SA that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquire {
    /// [`Policy::index`] of the policy that asks, if the kernel says which.
    pub policy: Option<u32>,
    /// Source of the SA (of a tunnel: its end).
    pub source: IpAddr,
    /// Destination of the SA.
    pub destination: IpAddr,
    /// Protocol of the SA that is missing.
    pub protocol: Protocol,
    /// The kernel's number of the acquire. A hint: Linux counts them globally and repeats them.
    pub seq: u32,
    /// The packet, or the policy's selector, where the kernel shows it.
    pub selector: Option<Selector>,
}

/// What the kernel says.
#[derive(Debug)]
pub enum KernelEvent {
    /// Answer to [`KernelRequest::AllocateSpi`]: the SPI.
    Spi(RequestId, Result<u32, KernelError>),
    /// Answer to [`KernelRequest::Install`].
    Installed(RequestId, Result<(), KernelError>),
    /// Answer to [`KernelRequest::AddPolicy`]: the policy as the kernel has it now, with its index; none if the kernel has no
    /// policies of its direction. Only a policy that such an answer names was created by us.
    PolicyAdded(RequestId, Result<Option<Policy>, KernelError>),
    /// A packet needs an SA.
    Acquire(Acquire),
    /// An SA comes to its end.
    Expire(SaName, Limit),
    /// Somebody else deleted an SA.
    Deleted(SaName),
    /// Somebody else deleted all SAs of a protocol, or of all.
    Flushed(Option<Protocol>),
    /// A policy is new or changed.
    Policy(Policy),
    /// A policy is gone.
    PolicyDeleted(Direction, Selector),
    /// All policies are gone.
    PoliciesFlushed,
    /// These are all policies there are: sent at the start, and when something may have been missed.
    Policies(Vec<Policy>),
}

/// Which limit an SA reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The soft one: it will end.
    Soft,
    /// The hard one: it has ended.
    Hard,
}

/// Why the kernel did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelError {
    /// What it was asked for and what it said, for people.
    pub text: String,
    /// There already is one.
    pub exists: bool,
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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
    fn a_prefix_has_no_host_bits() {
        assert_eq!(prefix("10.1.2.3/8").to_string(), "10.0.0.0/8");
        assert_eq!(prefix("10.1.2.3/0").to_string(), "0.0.0.0/0");
        assert_eq!(prefix("2001:db8:1::1/33").to_string(), "2001:db8::/33");
        assert_eq!(prefix("2001:db8::1/200"), Prefix::host("2001:db8::1".parse().unwrap()));
    }

    #[test]
    fn a_prefix_ends_with_its_last_address() {
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
    fn prefixes_contain_prefixes() {
        assert!(prefix("10.0.0.0/8").contains(prefix("10.1.0.0/16")));
        assert!(prefix("10.0.0.0/8").contains(prefix("10.0.0.0/8")));
        assert!(!prefix("10.1.0.0/16").contains(prefix("10.0.0.0/8")));
        assert!(!prefix("10.0.0.0/8").contains(prefix("11.0.0.0/16")));
        assert!(!prefix("0.0.0.0/0").contains(prefix("::/0")));
    }
}
