//! The requests of the engine to the kernel's IPsec, and the kernel's events, independent of PF_KEY and netlink. The shell
//! translates them.

mod policy;
mod sa;
mod selector;

use std::net::{IpAddr, SocketAddr};

pub use policy::{Direction, Policy, PolicyAction, PolicyName, Template, TemplateLevel};
pub use sa::{LeftoverSa, Lifetime, Mode, SaInstallation, SaName, SaTransform, UdpPorts, Way};
pub use selector::{Prefix, Selector};

pub use crate::authorization::GrantedPolicy;
use crate::num::Protocol;

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
