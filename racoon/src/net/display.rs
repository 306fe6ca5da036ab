//! Notation of addresses in the log.

use std::fmt;
use std::net::SocketAddr;

/// Formats an address and port as racoon always has: `192.0.2.1[500]`.
#[derive(Clone, Copy, Debug)]
pub struct DisplayAddr(pub SocketAddr);

impl fmt::Display for DisplayAddr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => {
                write!(formatter, "{}%{}[{}]", v6.ip(), v6.scope_id(), v6.port())
            }
            other => write!(formatter, "{}[{}]", other.ip(), other.port()),
        }
    }
}
