//! Errors of sockets.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use super::{DisplayAddr, PortOwner};

/// Reason why a socket cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process uses the port.
    #[error("{}: another {} has this port", DisplayAddr(*.address), DisplayOwner(.owner.as_ref()))]
    InUse {
        /// The address.
        address: SocketAddr,
        /// The process, if the system shows it.
        owner: Option<PortOwner>,
    },
    /// The address is not one of this host.
    #[error("{}: not an address of this host", DisplayAddr(*.0))]
    Absent(SocketAddr),
    /// A configured interface does not exist.
    #[error("{0}: no such interface: {1}")]
    Scope(String, String),
    /// A system call failed.
    #[error("{}: {call}: {}", DisplayAddr(*.address), crate::output::reason(source))]
    System {
        /// The address.
        address: SocketAddr,
        /// The call.
        call: &'static str,
        /// Its error.
        source: io::Error,
    },
    /// The addresses of this host cannot be listed.
    #[error("addresses of this host: {}", crate::output::reason(.0))]
    Addresses(#[source] io::Error),
}

impl Error {
    /// Whether the error may resolve itself: the address is missing, or still tentative.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Absent(_) => true,
            Self::System { source, .. } => source.kind() == io::ErrorKind::AddrNotAvailable,
            _ => false,
        }
    }
}

struct DisplayOwner<'a>(Option<&'a PortOwner>);

impl fmt::Display for DisplayOwner<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(owner) => owner.fmt(formatter),
            None => formatter.write_str("process"),
        }
    }
}
