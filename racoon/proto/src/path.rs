//! How the log writes addresses.

use std::fmt;
use std::net::SocketAddr;

/// An address and a port: `192.0.2.1[500]`.
pub(crate) struct AddrPort(pub(crate) SocketAddr);

impl fmt::Display for AddrPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.0.ip(), self.0.port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_in_brackets() {
        assert_eq!(AddrPort("192.0.2.1:500".parse().unwrap()).to_string(), "192.0.2.1[500]");
        assert_eq!(AddrPort("[2001:db8::1]:4500".parse().unwrap()).to_string(), "2001:db8::1[4500]");
    }
}
