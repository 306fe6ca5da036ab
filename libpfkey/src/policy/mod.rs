//! The policy language: the text after `-P` in setkey, which is also the argument of `ipsec_set_policy(3)`.
//!
//! ```text
//! out prio high ipsec esp/tunnel/192.0.2.1-192.0.2.2/require ah/transport//use
//! ^^^ ^^^^^^^^^ ^^^^^ ^^^ ^^^^^^ ^^^^^^^^^^^^^^^^^^^ ^^^^^^^
//! direction     action    mode   endpoints           level
//!     priority        protocol                               another request
//! ```
//!
//! [`parse`] reads such a text. [`PolicySpec::from_text`](crate::PolicySpec::from_text) adds the selector, and gives what
//! [`Kernel::policy_add`](crate::Kernel::policy_add) installs. Programs that send messages themselves, or set the policy of
//! a socket, use [`wire::Policy`](crate::wire::Policy), which converts both ways:
//!
//! ```
//! use libpfkey::wire::Policy;
//! use libpfkey::{Dialect, policy};
//!
//! let text = policy::parse("out ipsec esp/transport//require")?;
//! let policy = Policy::from_text(&text, Dialect::Linux)?;
//! assert_eq!(policy.to_text(Dialect::Linux, " ", false)?, "out prio def ipsec esp/transport//require");
//!
//! let error = policy::parse("out ipsec esp/transport//required").unwrap_err();
//! assert_eq!(error.hint.as_deref(), Some("did you mean `require`?"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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

/// The kernel's value of the user's priority 0, which is also written `def`. Smaller values come first. On Linux it is also the
/// priority of a policy without a `prio` clause.
pub const PRIORITY_DEFAULT: u32 = 0x8000_0000;
/// The kernel's value of `high`.
const PRIORITY_HIGH: u32 = 0x4000_0000;
/// The kernel's value of `low`.
const PRIORITY_LOW: u32 = 0xc000_0000;

/// A policy as it is written, without the selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyText {
    /// Direction of the packets.
    pub direction: Direction,
    /// The kernel's value of the priority: 0x8000_0000 minus the user's number, so that smaller values come first. `None` without
    /// a `prio` clause.
    pub priority: Option<u32>,
    /// Treatment of the packets. `None` if only the direction was written, as after `spddelete`.
    pub action: Option<Action>,
    /// The processing steps, in the order written: the first is applied first to outgoing packets.
    pub requests: Vec<RequestText>,
}

/// Direction of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `fwd`: packets that are forwarded. Only Linux has such policies; elsewhere it means `in`.
    Forward,
    /// `in`: packets to this host, on the BSDs also those that it forwards.
    In,
    /// `out`: packets from this host, and those that it forwards.
    Out,
}

/// Treatment of a packet that the selector matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `bypass`, in policies of sockets: pass without protection; needs privilege.
    Bypass,
    /// `discard`: drop.
    Discard,
    /// `entrust`, in policies of sockets: as the SPD says.
    Entrust,
    /// `ipsec`: protect by the processing steps.
    Ipsec,
    /// `none`: pass without protection.
    None,
}

/// A request: one processing step as it is written. [`Template`](crate::Template) is the step that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestText {
    /// ESP, AH or IPComp.
    pub protocol: Protocol,
    /// Transport or tunnel.
    pub mode: Mode,
    /// The ends of the tunnel, or `me-any` or `any-me`.
    pub endpoints: Option<Endpoints>,
    /// Whether the SA must exist.
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

/// The part between mode and level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoints {
    /// `any-me`: permitted with `in` in transport mode; kernels get no addresses.
    AnyToMe,
    /// `me-any`: permitted with `out` in transport mode; kernels get no addresses.
    MeToAny,
    /// Source and destination of the tunnel, of one address family.
    Pair(Endpoint, Endpoint),
}

/// One end of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The zone of a link-local address, as written after `%`: an interface's name or index.
    pub scope: Option<Box<str>>,
    /// The port of a peer with UDP encapsulation.
    pub port: Option<u16>,
}

/// Whether the SA of a processing step must exist. Where it does not, the kernel asks for it with an ACQUIRE at any level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `default`: as the system's variables say, on the BSDs. Linux takes it for `require`.
    Default,
    /// `require`: packets wait, or are dropped, until it exists.
    Require,
    /// `unique:N`: as `require`, and only SAs with this reqid. 0, which is written `unique`, lets the kernel or the IKE daemon
    /// choose one.
    Unique(u32),
    /// `use`: packets pass without protection until it exists.
    Use,
}

#[cfg(test)]
mod tests;
