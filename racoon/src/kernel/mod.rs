//! The kernel's IPsec: between the engine's words ([`racoon_proto::kernel`]) and PF_KEY messages, in the only place that
//! knows both.
//!
//! A [`KernelInterface`] has two connections. Events come in on one; on the other requests are asked and answered one at a time,
//! which kernels do before `send` returns.

mod algorithm;
mod capabilities;
mod compose;
mod event;
mod interface;
mod policy;
mod quirk;
mod refusal;
mod resync;
mod state_record;
#[cfg(test)]
mod tests;
mod trace;
mod transaction;

use libpfkey::num::{IPPROTO_AH, IPPROTO_ESP, IPPROTO_IPCOMP, MODE_TRANSPORT, MODE_TUNNEL};
use libpfkey::{Abi, SaType};
use racoon_proto::kernel::{KernelError, Mode};
use racoon_proto::num::Protocol;

pub use capabilities::Capabilities;
pub use interface::{KernelInterface, backend_of};
pub use state_record::Leftovers;

/// Something for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogRecord {
    /// What somebody should know and perhaps mend.
    Warning(String),
    /// What helps to find out why.
    Debug(String),
    /// What the kernel is asked to do, for level debug.
    Request(String),
}

/// Where remarks go.
pub type LogSink = Box<dyn FnMut(LogRecord) + Send>;

/// To whom messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Target {
    /// Numbers and layout.
    abi: Abi,
    /// It understands libpfkey's private extensions: what NETLINK_XFRM can do and PF_KEY cannot say.
    has_xfrm: bool,
}

/// Why something cannot be asked for at all.
fn refused(text: impl Into<String>) -> KernelError {
    KernelError { text: text.into(), exists: false }
}

/// Why a request failed; `words` are the kernel's own, where it gave any.
fn failed(what: &str, error: &libpfkey::Error, words: Option<&str>) -> KernelError {
    let errno = match error {
        libpfkey::Error::Kernel(errno) => Some(*errno),
        libpfkey::Error::System { source, .. } => source.raw_os_error(),
        _ => None,
    };
    let words = words.map(|words| format!(": {words}")).unwrap_or_default();
    KernelError { text: format!("{what}: {error}{words}"), exists: errno == Some(libc::EEXIST) }
}

/// Whether a kernel says that there is no such SA.
fn is_missing(error: &libpfkey::Error) -> bool {
    matches!(error, libpfkey::Error::Kernel(libc::ESRCH | libc::ENOENT))
}

/// Whether a kernel says that there is no such policy. The BSDs have no errno for it alone.
fn is_missing_policy(error: &libpfkey::Error) -> bool {
    is_missing(error) || matches!(error, libpfkey::Error::Kernel(libc::EINVAL))
}

/// The SA type of a protocol.
fn sa_type_of(protocol: Protocol) -> Option<SaType> {
    match protocol {
        Protocol::AH => Some(SaType::Ah),
        Protocol::ESP => Some(SaType::Esp),
        Protocol::IPCOMP => Some(SaType::IpComp),
        _ => None,
    }
}

/// The protocol of an SA type.
fn protocol_of(sa_type: SaType) -> Option<Protocol> {
    match sa_type {
        SaType::Ah => Some(Protocol::AH),
        SaType::Esp => Some(Protocol::ESP),
        SaType::IpComp => Some(Protocol::IPCOMP),
        _ => None,
    }
}

/// The IP protocol of a protocol.
fn ip_protocol_of(protocol: Protocol) -> Option<u16> {
    match protocol {
        Protocol::AH => Some(IPPROTO_AH),
        Protocol::ESP => Some(IPPROTO_ESP),
        Protocol::IPCOMP => Some(IPPROTO_IPCOMP),
        _ => None,
    }
}

/// The protocol of an IP protocol.
fn protocol_of_ip(number: u16) -> Option<Protocol> {
    match number {
        IPPROTO_AH => Some(Protocol::AH),
        IPPROTO_ESP => Some(Protocol::ESP),
        IPPROTO_IPCOMP => Some(Protocol::IPCOMP),
        _ => None,
    }
}

fn mode_number(mode: Mode) -> u8 {
    match mode {
        Mode::Transport => MODE_TRANSPORT,
        Mode::Tunnel => MODE_TUNNEL,
    }
}
