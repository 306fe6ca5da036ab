//! Selectors: the packets that a policy applies to.

use std::net::{IpAddr, SocketAddr};

use crate::num::ULPROTO_ANY;
use crate::spec_error::SpecError;
use crate::wire::{Address, SockAddr};

/// One side of a [`Selector`]: the addresses with a common prefix, and a port.
///
/// ```
/// use libpfkey::SelectorAddress;
///
/// let network = SelectorAddress::network("10.0.0.0".parse()?, 8)?;
/// assert_eq!(network.address.port(), 0, "any port");
/// assert!(SelectorAddress::network("10.0.0.0".parse()?, 33).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SelectorAddress {
    /// Address and port; port 0 is any. Kernels keep the bits behind the prefix, and compare them.
    pub address: SocketAddr,
    /// Length of the prefix in bits.
    pub prefix_len: u8,
}

impl SelectorAddress {
    /// One host, any port.
    pub fn host(address: IpAddr) -> Self {
        let prefix_len = if address.is_ipv4() { 32 } else { 128 };
        Self { address: SocketAddr::new(address, 0), prefix_len }
    }

    /// All addresses of a network, any port.
    ///
    /// # Errors
    /// [`SpecError::PrefixLength`]
    pub fn network(address: IpAddr, prefix_len: u8) -> Result<Self, SpecError> {
        let network = Self { prefix_len, ..Self::host(address) };
        network.check()?;
        Ok(network)
    }

    /// Restricts the addresses to a port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.address.set_port(port);
        self
    }

    fn check(&self) -> Result<(), SpecError> {
        let max = if self.address.is_ipv4() { 32 } else { 128 };
        if self.prefix_len > max {
            return Err(SpecError::PrefixLength { prefix_len: self.prefix_len, max });
        }
        Ok(())
    }

    fn from_wire(address: &Address) -> Option<Self> {
        match address.sockaddr {
            SockAddr::Inet(inet) => Some(Self { address: inet, prefix_len: address.prefix }),
            SockAddr::Other { .. } => None,
        }
    }
}

/// The packets that a policy applies to.
///
/// ```
/// use libpfkey::Selector;
///
/// // TCP from any host of a network to one port of a server.
/// let selector = Selector::networks(("10.0.0.0".parse()?, 24), ("192.0.2.1".parse()?, 32))?.protocol(6);
/// let destination = selector.destination.port(443);
/// let https = Selector { destination, ..selector };
/// assert_eq!(https.reversed().source.address.to_string(), "192.0.2.1:443");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Selector {
    /// Source addresses.
    pub source: SelectorAddress,
    /// Destination addresses.
    pub destination: SelectorAddress,
    /// Upper-layer protocol, as in the IP header; 255 is any. The ports of ICMP are its type (source) and code (destination).
    pub protocol: u8,
}

impl Selector {
    /// All packets from one host to another.
    pub fn hosts(source: IpAddr, destination: IpAddr) -> Self {
        Self::new(SelectorAddress::host(source), SelectorAddress::host(destination))
    }

    /// All packets from one network to another.
    ///
    /// # Errors
    /// [`SpecError::PrefixLength`]
    pub fn networks(source: (IpAddr, u8), destination: (IpAddr, u8)) -> Result<Self, SpecError> {
        let network = |(address, prefix_len)| SelectorAddress::network(address, prefix_len);
        Ok(Self::new(network(source)?, network(destination)?))
    }

    /// All packets from the first addresses to the second ones.
    pub fn new(source: SelectorAddress, destination: SelectorAddress) -> Self {
        Self { source, destination, protocol: ULPROTO_ANY }
    }

    /// Restricts the packets to an upper-layer protocol.
    #[must_use]
    pub fn protocol(mut self, protocol: u8) -> Self {
        self.protocol = protocol;
        self
    }

    /// Returns the selector of the opposite direction.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { source: self.destination, destination: self.source, ..self }
    }

    /// Checks address families and prefix lengths.
    ///
    /// # Errors
    /// [`SpecError::AddressFamilies`], [`SpecError::PrefixLength`]
    pub fn check(&self) -> Result<(), SpecError> {
        self.source.check()?;
        self.destination.check()?;
        // Found here, because a kernel answers no more than EINVAL.
        let (from, to) = (self.source.address.ip(), self.destination.address.ip());
        if from.is_ipv4() == to.is_ipv4() { Ok(()) } else { Err(SpecError::AddressFamilies { from, to }) }
    }

    /// Reads the two addresses of a message; `None` for families other than IP.
    pub(crate) fn from_wire(source: &Address, destination: &Address) -> Option<Self> {
        Some(Self {
            source: SelectorAddress::from_wire(source)?,
            destination: SelectorAddress::from_wire(destination)?,
            // The BSDs refuse a request in which the two differ.
            protocol: destination.proto,
        })
    }

    /// Returns the two addresses of a message.
    pub(crate) fn to_wire(self) -> (Address, Address) {
        let address = |end: SelectorAddress| Address {
            proto: self.protocol,
            prefix: end.prefix_len,
            reserved: 0,
            sockaddr: SockAddr::Inet(end.address),
        };
        (address(self.source), address(self.destination))
    }
}
