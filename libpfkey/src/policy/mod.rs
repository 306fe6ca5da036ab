//! The policy language: the text after `-P` in setkey, which `ipsec_set_policy(3)` takes.
//!
//! [`parse`] makes a [`PolicyText`] of the text; [`wire::Policy::from_text`](crate::wire::Policy::from_text) makes of that the
//! policy that a kernel of some dialect takes, and [`wire::Policy::to_text`](crate::wire::Policy::to_text) is the way back.

mod binary;
mod error;
mod grammar;
mod hint;
mod parser;

use std::net::IpAddr;

pub(crate) use binary::push_ip;
pub use error::{ErrorKind, PolicyError};
pub use parser::{MAX_REQUESTS, parse};

use crate::sa::Mode;

/// Kernel value of the priority 0, for which `def` stands too (smaller is earlier). On Linux it is also the priority of a
/// policy that was written without one.
pub const PRIORITY_DEFAULT: u32 = 0x8000_0000;
/// Kernel value of the priority `high`.
const PRIORITY_HIGH: u32 = 0x4000_0000;
/// Kernel value of the priority `low`.
const PRIORITY_LOW: u32 = 0xc000_0000;

/// A policy as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyText {
    /// Which way the packets go.
    pub direction: Direction,
    /// The kernel's priority value (smaller is earlier in the SPD): 0x8000_0000 minus the user's number. `None`
    /// when no `prio` clause was written.
    pub priority: Option<u32>,
    /// What to do; `None` is the direction-only form that `spddelete` takes.
    pub action: Option<Action>,
    /// The IPsec processing, in the order written.
    pub requests: Vec<RequestText>,
}

/// Direction of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `fwd`: forwarded packets. On kernels without forward policies it means `in`.
    Forward,
    /// `in`
    In,
    /// `out`
    Out,
}

/// What is done with a packet that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `bypass` (socket policies): send in clear
    Bypass,
    /// `discard`
    Discard,
    /// `entrust` (socket policies): consult the SPD
    Entrust,
    /// `ipsec`
    Ipsec,
    /// `none`
    None,
}

/// One processing step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestText {
    /// ESP, AH or IPComp.
    pub protocol: Protocol,
    /// Transport or tunnel.
    pub mode: Mode,
    /// Addresses of the tunnel, or `me-any`/`any-me`.
    pub endpoints: Option<Endpoints>,
    /// How strictly it is required.
    pub level: Level,
}

/// The protocol of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `ah`
    Ah,
    /// `esp`
    Esp,
    /// `ipcomp`
    IpComp,
}

/// The endpoints of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// `any-me`: legal with `in`; no addresses are stored.
    AnyToMe,
    /// `me-any`: legal with `out`; no addresses are stored.
    MeToAny,
    /// Two addresses of one family.
    Pair(Endpoint, Endpoint),
}

/// One end of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The zone of a link-local address, as written after `%`.
    pub scope: Option<Box<str>>,
    /// The port of an ESP-in-UDP peer.
    pub port: Option<u16>,
}

/// How strictly a request is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `default`: the system-wide default of the protocol
    Default,
    /// `require`
    Require,
    /// `unique` (0: the kernel or the IKE daemon chooses) or `unique:N`
    Unique(u32),
    /// `use`
    Use,
}

#[cfg(test)]
mod tests;
