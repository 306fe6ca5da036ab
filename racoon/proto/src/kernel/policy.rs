//! Policies and their templates.

use std::fmt;
use std::net::IpAddr;

use super::{Mode, Selector};
use crate::num::Protocol;

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
