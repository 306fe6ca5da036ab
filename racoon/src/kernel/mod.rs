//! Translation between the engine's kernel requests and events ([`racoon_proto::kernel`]) and PF_KEY messages. No other
//! module knows both.
//!
//! A [`KernelInterface`] holds two connections: one receives events, on the other requests are sent and answered one at
//! a time. Kernels answer before `send` returns, so waiting for a reply rarely blocks the event loop.

mod algorithm;
mod capabilities;
mod compose;
mod event;
mod install_error;
mod interface;
mod leftovers;
mod policy;
mod policy_requests;
mod quirk;
mod resync;
mod sa_requests;
mod state_record;
#[cfg(test)]
mod tests;
mod trace;
mod transaction;

use libpfkey::num::{IPPROTO_AH, IPPROTO_ESP, IPPROTO_IPCOMP};
use libpfkey::{Abi, SaType};
use racoon_proto::kernel::{KernelError, Mode};
use racoon_proto::num::Protocol;

pub use capabilities::Capabilities;
pub use interface::{KernelInterface, backend_of};
pub use leftovers::Leftovers;

/// A record for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogRecord {
    /// A problem that the administrator may have to solve.
    Warning(String),
    /// A detail for troubleshooting.
    Debug(String),
    /// A request sent to the kernel; logged at level debug.
    Request(String),
}

/// Receives log records.
pub type LogSink = Box<dyn FnMut(LogRecord) + Send>;

/// The kind of kernel that messages are composed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target {
    /// Numbers and layout of its messages.
    abi: Abi,
    /// Whether it understands libpfkey's private extensions, which express what NETLINK_XFRM can do and PF_KEY cannot.
    has_xfrm: bool,
}

/// Error of a request that cannot be sent at all.
fn refused(text: impl Into<String>) -> KernelError {
    KernelError::new(text)
}

/// Error of a request that failed; `explanation` is the kernel's own explanation, if it gave one.
fn failed(what: &str, error: &libpfkey::Error, explanation: Option<&str>) -> KernelError {
    let errno = match error {
        libpfkey::Error::Kernel(errno) => Some(*errno),
        libpfkey::Error::System { source, .. } => source.raw_os_error(),
        _ => None,
    };
    KernelError {
        operation: what.to_owned(),
        errno,
        message: error.to_string(),
        explanation: explanation.map(str::to_owned),
        missing: None,
        exists: errno == Some(libc::EEXIST),
    }
}

/// Whether the kernel reports that there is no such SA.
fn is_missing(error: &libpfkey::Error) -> bool {
    matches!(error, libpfkey::Error::Kernel(libc::ESRCH | libc::ENOENT))
}

/// Whether the kernel reports that there is no such policy. The BSDs return EINVAL for that too.
fn is_missing_policy(error: &libpfkey::Error) -> bool {
    is_missing(error) || matches!(error, libpfkey::Error::Kernel(libc::EINVAL))
}

/// Returns the SA type of an ISAKMP protocol.
fn sa_type_of(protocol: Protocol) -> Option<SaType> {
    match protocol {
        Protocol::AH => Some(SaType::Ah),
        Protocol::ESP => Some(SaType::Esp),
        Protocol::IPCOMP => Some(SaType::IpComp),
        _ => None,
    }
}

/// Returns the ISAKMP protocol of an SA type.
fn protocol_of(sa_type: SaType) -> Option<Protocol> {
    match sa_type {
        SaType::Ah => Some(Protocol::AH),
        SaType::Esp => Some(Protocol::ESP),
        SaType::IpComp => Some(Protocol::IPCOMP),
        _ => None,
    }
}

/// Returns the ISAKMP protocol of an IP protocol number.
fn protocol_of_ip(number: u16) -> Option<Protocol> {
    match number {
        IPPROTO_AH => Some(Protocol::AH),
        IPPROTO_ESP => Some(Protocol::ESP),
        IPPROTO_IPCOMP => Some(Protocol::IPCOMP),
        _ => None,
    }
}

/// Returns libpfkey's mode.
fn mode_of(mode: Mode) -> libpfkey::Mode {
    match mode {
        Mode::Transport => libpfkey::Mode::Transport,
        Mode::Tunnel => libpfkey::Mode::Tunnel,
    }
}
