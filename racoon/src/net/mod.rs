//! UDP sockets of IKE. Each local address and port has a socket of its own, so that a reply leaves from the address the
//! request was sent to.
//!
//! Without entries in `listen`, every address of this host gets a socket on both ports. Added and removed addresses are
//! followed, with entries only those that match. With `strict_address` all entries have to be present at the start, and
//! nothing is followed.

mod addresses;
mod batch;
mod bypass;
mod display;
mod error;
mod port_owner;
mod ports;
mod socket;
mod sys;
mod unreachable;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, BorrowedFd};

use ipsec_conf::racoon::Listen;
use racoon_proto::path::Path;

use crate::log::Log;
use addresses::AddressWatch;
use batch::{Arrived, Batch};
pub use bypass::Bypass;
pub use display::DisplayAddr;
pub use error::Error;
pub use port_owner::PortOwner;
pub use ports::{Family, Ports};
use socket::{IkeSocket, ReadOutcome};
pub use unreachable::Unreachable;
pub(crate) use unreachable::local_error;

/// Batches without any IKE message that are read before other sources get their turn.
const IGNORED_BATCHES_MAX: usize = 4;

/// Which sockets to open.
#[derive(Clone, Debug)]
pub struct SocketOptions {
    /// The `listen` section of the configuration.
    pub listen: Listen,
    /// `-p` and `-P`
    pub ports: Ports,
    /// `-4` and `-6`: without entries in `listen`, only addresses of this family.
    pub family: Option<Family>,
    /// Whether bypass policies are required.
    pub bypass: Bypass,
}

/// The set of sockets.
#[derive(Debug)]
pub struct Sockets {
    options: SocketOptions,
    sockets: BTreeMap<SocketAddr, IkeSocket>,
    watch: Option<AddressWatch>,
    /// Present addresses that could not be bound. The failure is logged once per address.
    failed: BTreeSet<SocketAddr>,
    /// Warnings about entries whose address or interface is missing; each is logged once while it is missing.
    missing: BTreeSet<String>,
    /// Datagrams read and not returned yet.
    batch: Batch,
    /// Socket that they were read from.
    read_from: SocketAddr,
    /// Whether it was logged that the system limits the receive buffer.
    buffer_limit_logged: bool,
    log: Log,
}

/// A received ISAKMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// Its destination, an address of this host, and its source, which may be spoofed.
    pub path: Path,
    /// The message, without non-ESP marker.
    pub bytes: &'a [u8],
}

/// Input from a socket.
#[derive(Debug)]
pub enum Input<'a> {
    /// A message.
    Message(Received<'a>),
    /// One of our messages was not delivered.
    Unreachable(Unreachable),
}

impl Sockets {
    /// Opens the sockets. Addresses that are missing or not usable yet are waited for.
    ///
    /// # Errors
    /// If another process uses a port, if the system refuses a required bypass policy, and with `strict_address` if an
    /// address is missing.
    pub fn open(options: SocketOptions, log: Log) -> Result<Self, Error> {
        let watch =
            if options.listen.strict_address { None } else { Some(AddressWatch::open().map_err(Error::Addresses)?) };
        let mut sockets = Self {
            options,
            sockets: BTreeMap::new(),
            watch,
            failed: BTreeSet::new(),
            missing: BTreeSet::new(),
            batch: Batch::new(),
            read_from: SocketAddr::from(([0; 4], 0)),
            buffer_limit_logged: false,
            log,
        };
        match sockets.synchronise()?.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(sockets),
        }
    }

    /// Applies a new `listen` section. Sockets that it keeps are not touched.
    ///
    /// # Errors
    /// If the addresses of this host cannot be listed. A socket that cannot be opened is only logged.
    pub fn reconfigure(&mut self, listen: Listen) -> Result<(), Error> {
        self.options.listen = listen;
        self.failed.clear();
        self.refresh()
    }

    /// Opens and closes sockets as addresses have changed, and retries failed ones.
    ///
    /// # Errors
    /// If the addresses of this host cannot be listed. A socket that cannot be opened is only logged.
    pub fn refresh(&mut self) -> Result<(), Error> {
        self.watch = match self.watch.take() {
            _ if self.options.listen.strict_address => None,
            None => Some(AddressWatch::open().map_err(Error::Addresses)?),
            watch => watch,
        };
        for error in self.synchronise()? {
            self.log.error(error);
        }
        Ok(())
    }

    /// Returns the descriptor that reports address changes; [`Sockets::addresses_changed`] reads it.
    pub fn watch(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AddressWatch::as_fd)
    }

    /// Handles a readable address watch.
    ///
    /// # Errors
    /// As [`Sockets::refresh`].
    pub fn addresses_changed(&mut self) -> Result<(), Error> {
        if self.watch.as_ref().is_some_and(AddressWatch::changed) { self.refresh() } else { Ok(()) }
    }

    /// Whether a present address could not be bound. It may still be tentative, and not every system reports the end of
    /// duplicate address detection, so [`Sockets::refresh`] should be tried again after a second.
    pub fn is_incomplete(&self) -> bool {
        !self.failed.is_empty()
    }

    /// Returns the descriptors to poll, with the addresses to pass to [`Sockets::receive`].
    pub fn descriptors(&self) -> impl Iterator<Item = (SocketAddr, BorrowedFd<'_>)> {
        self.sockets.iter().map(|(address, socket)| (*address, socket.as_fd()))
    }

    /// Returns the addresses that ISAKMP messages are sent from. A wildcard socket stands for all addresses of its
    /// family.
    ///
    /// # Errors
    /// If the addresses of this host cannot be listed.
    pub fn locals(&self) -> Result<BTreeSet<SocketAddr>, Error> {
        let mut locals = BTreeSet::new();
        // A negotiation begins on the ISAKMP port, and moves to the NAT-T port only behind a NAT (RFC 3947 section 4).
        for address in self.sockets.iter().filter(|(_, socket)| !socket.natt()).map(|(address, _)| *address) {
            if !address.ip().is_unspecified() {
                locals.insert(address);
                continue;
            }
            let present = addresses::present().map_err(Error::Addresses)?;
            let covered = present.into_iter().map(|present| with_port(present, address.port()));
            locals.extend(covered.filter(|present| is_wildcard_pair(*present, address)));
        }
        Ok(locals)
    }

    /// Returns all addresses of this host, with or without a socket.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn host_addresses() -> Result<BTreeSet<IpAddr>, Error> {
        let present = addresses::present().map_err(Error::Addresses)?;
        Ok(present.iter().map(SocketAddr::ip).collect())
    }

    /// Returns the next input from a socket, or `None` if there is none now. What was read before from another socket
    /// comes first.
    ///
    /// # Errors
    /// Those of recvmmsg(2) or recvmsg(2).
    pub fn receive(&mut self, socket: SocketAddr) -> io::Result<Option<Input<'_>>> {
        for read in 0..=IGNORED_BATCHES_MAX {
            if let Some((path, arrived, start)) = self.next_message() {
                let bytes = self.batch.bytes(arrived).get(start..).unwrap_or_default();
                return Ok(Some(Input::Message(Received { path, bytes })));
            }
            // Datagrams left in the socket keep it readable, those left in the batch do not. So stop only when the
            // batch is empty.
            if read == IGNORED_BATCHES_MAX {
                break;
            }
            let Some(reader) = self.sockets.get(&socket) else { return Ok(None) };
            self.read_from = socket;
            match reader.receive(&mut self.batch)? {
                ReadOutcome::Empty => break,
                ReadOutcome::Read | ReadOutcome::Dropped => {}
                ReadOutcome::Unreachable(unreachable) => return Ok(Some(Input::Unreachable(unreachable))),
            }
        }
        Ok(None)
    }

    /// Whether [`Sockets::receive`] has datagrams that poll(2) does not show.
    pub fn has_read(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Returns the next message of the batch. Datagrams that are not for IKE are dropped, and so are those of a closed
    /// socket.
    fn next_message(&mut self) -> Option<(Path, Arrived, usize)> {
        let socket = self.sockets.get(&self.read_from);
        while let Some(arrived) = self.batch.take() {
            let message = socket.and_then(|socket| {
                let (local, remote, start) = socket.message(arrived, self.batch.bytes(arrived))?;
                Some((Path { local, remote, encapsulation: socket.encapsulation() }, arrived, start))
            });
            if message.is_some() {
                return message;
            }
        }
        None
    }

    /// Sends a message from a local address and port, with a non-ESP marker where the port requires it.
    ///
    /// # Errors
    /// Those of sendmsg(2); `AddrNotAvailable` if no socket has the address.
    pub fn send(&self, local: SocketAddr, remote: SocketAddr, message: &[u8]) -> io::Result<()> {
        self.from(local)?.send(local, remote, message)
    }

    /// Returns the socket for a local address: its own, or the wildcard socket.
    fn from(&self, local: SocketAddr) -> io::Result<&IkeSocket> {
        let socket = self.sockets.get(&local).or_else(|| self.sockets.get(&wildcard(local)));
        socket.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
    }
}

/// Whether one of two addresses is the wildcard that covers the other.
fn is_wildcard_pair(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && one.is_ipv4() == other.is_ipv4()
        && (one.ip().is_unspecified() || other.ip().is_unspecified())
}

/// Returns the wildcard address of the same family and port.
fn wildcard(mut address: SocketAddr) -> SocketAddr {
    let unspecified = if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    address.set_ip(unspecified);
    if let SocketAddr::V6(v6) = &mut address {
        v6.set_scope_id(0);
    }
    address
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

#[cfg(test)]
mod tests;
