//! The UDP sockets of IKE: one for each local address and port, so that an answer leaves from where the question went.
//!
//! Without entries in `listen`, every address of this host has a socket on both ports, and addresses that come and go
//! are followed. With entries, those are followed. With `strict_address`, all entries have to be there and nothing is
//! followed.

mod addresses;
mod batch;
mod bypass;
mod port_owner;
mod ports;
mod socket;
mod sys;
mod unreachable;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, BorrowedFd};

use ipsec_conf::racoon::Listen;

use crate::log::Log;
use addresses::Watch;
use batch::{Arrived, Batch};
pub use bypass::Bypass;
pub use port_owner::PortOwner;
pub use ports::{Family, Ports};
use socket::{IkeSocket, ReadOutcome};
pub use unreachable::Unreachable;
pub(crate) use unreachable::local_error;

/// So many batches of datagrams that are not for IKE are read at once, before others have their turn.
const DROPPED_AT_ONCE: usize = 4;

/// Bytes that may wait to be read from a socket: some ten thousand first messages, which is a second of a flood.
const RECEIVE_BUFFER: usize = 4 << 20;

/// What sockets there are to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The section of the configuration.
    pub listen: Listen,
    /// `-p` and `-P`
    pub ports: Ports,
    /// `-4` and `-6`: where the section has no entries, addresses of this family only.
    pub family: Option<Family>,
    /// Whether the sockets need policies of their own.
    pub bypass: Bypass,
}

/// All sockets.
#[derive(Debug)]
pub struct Sockets {
    options: Options,
    sockets: BTreeMap<SocketAddr, IkeSocket>,
    watch: Option<Watch>,
    /// Addresses that cannot be used yet, or not at all; each is complained about once.
    failed: BTreeSet<SocketAddr>,
    /// Entries whose address or interface is not there, in words: warned of once, as long as it is not.
    awaited: BTreeSet<String>,
    /// What was read and not returned yet.
    batch: Batch,
    /// From which socket.
    read_from: SocketAddr,
    /// The system gave less room than was asked for, and that was logged.
    is_short: bool,
    log: Log,
}

/// An ISAKMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// Whom it was sent to: an address of ours.
    pub local: SocketAddr,
    /// Who says to have sent it.
    pub remote: SocketAddr,
    /// The message, without a non-ESP marker.
    pub bytes: &'a [u8],
    /// It came to a port where ESP in UDP comes, too.
    pub natt: bool,
}

/// Something that a socket had to tell.
#[derive(Debug)]
pub enum Input<'a> {
    /// A message.
    Message(Received<'a>),
    /// A message of ours did not arrive.
    Unreachable(Unreachable),
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has the port.
    #[error("{}: another {} has this port", DisplayAddr(*.address), DisplayOwner(.owner.as_ref()))]
    InUse {
        /// The address.
        address: SocketAddr,
        /// The process, if the system tells.
        owner: Option<PortOwner>,
    },
    /// The host does not have the address.
    #[error("{}: not an address of this host", DisplayAddr(*.0))]
    Absent(SocketAddr),
    /// An interface that the configuration names is not there.
    #[error("{0}: no such interface: {1}")]
    Scope(String, String),
    /// The system refuses.
    #[error("{}: {call}: {}", DisplayAddr(*.address), crate::output::reason(source))]
    System {
        /// The address.
        address: SocketAddr,
        /// What was asked of it.
        call: &'static str,
        /// Its answer.
        source: io::Error,
    },
    /// The addresses of this host cannot be learned.
    #[error("addresses of this host: {}", crate::output::reason(.0))]
    Addresses(#[source] io::Error),
}

/// An address with a port, as this daemon has always shown it: `192.0.2.1[500]`.
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

struct DisplayOwner<'a>(Option<&'a PortOwner>);

impl fmt::Display for DisplayOwner<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(owner) => owner.fmt(formatter),
            None => formatter.write_str("process"),
        }
    }
}

/// A socket that is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wanted {
    natt: bool,
    /// The address is there; else this is an entry that has to wait for it.
    present: bool,
}

impl Sockets {
    /// Opens the sockets. An address that is not there, or not yet usable, is waited for.
    ///
    /// # Errors
    /// A port that another process has, a policy that the system refuses, and with `strict_address` an address that is
    /// not there.
    pub fn open(options: Options, log: Log) -> Result<Self, Error> {
        let watch = if options.listen.strict_address { None } else { Some(Watch::open().map_err(Error::Addresses)?) };
        let mut sockets = Self {
            options,
            sockets: BTreeMap::new(),
            watch,
            failed: BTreeSet::new(),
            awaited: BTreeSet::new(),
            batch: Batch::new(),
            read_from: SocketAddr::from(([0; 4], 0)),
            is_short: false,
            log,
        };
        match sockets.synchronise()?.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(sockets),
        }
    }

    /// After a new configuration has been read: closes what it does not name, and opens what it does. Sockets in both
    /// stay.
    ///
    /// # Errors
    /// The addresses of the host cannot be learned. A socket that cannot be opened is only logged.
    pub fn reconfigure(&mut self, listen: Listen) -> Result<(), Error> {
        self.options.listen = listen;
        self.failed.clear();
        self.refresh()
    }

    /// Opens and closes sockets as addresses have come and gone, and tries again what has failed.
    ///
    /// # Errors
    /// The addresses of the host cannot be learned. A socket that cannot be opened is only logged.
    pub fn refresh(&mut self) -> Result<(), Error> {
        self.watch = match self.watch.take() {
            _ if self.options.listen.strict_address => None,
            None => Some(Watch::open().map_err(Error::Addresses)?),
            watch => watch,
        };
        for error in self.synchronise()? {
            self.log.error(error);
        }
        Ok(())
    }

    /// What to poll for news of addresses; [`Sockets::addresses_changed`] reads them.
    pub fn watch(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(Watch::as_fd)
    }

    /// The watch is readable.
    ///
    /// # Errors
    /// As [`Sockets::refresh`].
    pub fn addresses_changed(&mut self) -> Result<(), Error> {
        if self.watch.as_ref().is_some_and(Watch::changed) { self.refresh() } else { Ok(()) }
    }

    /// Whether an address that is there could not be used: not every system tells when duplicate address detection has
    /// ended, so that [`Sockets::refresh`] is worth a try a second later.
    pub fn is_incomplete(&self) -> bool {
        !self.failed.is_empty()
    }

    /// What to poll, and what [`Sockets::receive`] wants to know.
    pub fn descriptors(&self) -> impl Iterator<Item = (SocketAddr, BorrowedFd<'_>)> {
        self.sockets.iter().map(|(address, socket)| (*address, socket.as_fd()))
    }

    /// The addresses that messages of ISAKMP leave from: of each socket its own, or those that this host has.
    ///
    /// # Errors
    /// The addresses of the host cannot be learned.
    pub fn locals(&self) -> Result<BTreeSet<SocketAddr>, Error> {
        let mut locals = BTreeSet::new();
        for address in self.sockets.iter().filter(|(_, socket)| !socket.natt()).map(|(address, _)| *address) {
            if !address.ip().is_unspecified() {
                locals.insert(address);
                continue;
            }
            let present = addresses::present().map_err(Error::Addresses)?;
            let covered = present.into_iter().map(|present| with_port(present, address.port()));
            locals.extend(covered.filter(|present| overlap(*present, address)));
        }
        Ok(locals)
    }

    /// All addresses of this host, whether there is a socket for them or not.
    ///
    /// # Errors
    /// They cannot be learned.
    pub fn host_addresses() -> Result<BTreeSet<IpAddr>, Error> {
        let present = addresses::present().map_err(Error::Addresses)?;
        Ok(present.iter().map(SocketAddr::ip).collect())
    }

    /// The next message, or news of one of ours, from the socket with this address; but first what was read of another one
    /// before. None: nothing for now.
    ///
    /// # Errors
    /// The system's, from recvmmsg(2) or recvmsg(2).
    pub fn receive(&mut self, socket: SocketAddr) -> io::Result<Option<Input<'_>>> {
        for read in 0..=DROPPED_AT_ONCE {
            if let Some((local, remote, natt, arrived, start)) = self.next_message() {
                let bytes = self.batch.bytes(arrived).get(start..).unwrap_or_default();
                return Ok(Some(Input::Message(Received { local, remote, bytes, natt })));
            }
            // What is left in the socket makes it readable; what is left in a batch does not.
            if read == DROPPED_AT_ONCE {
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

    /// Whether messages were read that [`Sockets::receive`] has not returned yet: nothing makes a socket readable for them.
    pub fn has_read(&self) -> bool {
        !self.batch.is_empty()
    }

    /// The next message of the batch. What is not for IKE is dropped, as is what a socket read that is closed now.
    fn next_message(&mut self) -> Option<(SocketAddr, SocketAddr, bool, Arrived, usize)> {
        let socket = self.sockets.get(&self.read_from);
        while let Some(arrived) = self.batch.take() {
            let message = socket.and_then(|socket| {
                let (local, remote, start) = socket.message(arrived, self.batch.bytes(arrived))?;
                Some((local, remote, socket.natt(), arrived, start))
            });
            if message.is_some() {
                return message;
            }
        }
        None
    }

    /// Sends a message from a local address and port, behind a non-ESP marker where the port asks for one.
    ///
    /// # Errors
    /// The system's, from sendmsg(2); `AddrNotAvailable` if no socket has the address.
    pub fn send(&self, local: SocketAddr, remote: SocketAddr, message: &[u8]) -> io::Result<()> {
        self.from(local)?.send(local, remote, message)
    }

    /// The socket that has a local address: its own, or that for any address.
    fn from(&self, local: SocketAddr) -> io::Result<&IkeSocket> {
        let socket = self.sockets.get(&local).or_else(|| self.sockets.get(&any(local)));
        socket.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))
    }

    /// Makes the sockets what they are to be. What fails is returned the first time.
    fn synchronise(&mut self) -> Result<Vec<Error>, Error> {
        let wanted = self.wanted(&addresses::present().map_err(Error::Addresses)?)?;
        self.failed.retain(|address| wanted.get(address).is_some_and(|wanted| wanted.present));
        self.sockets.retain(|address, socket| {
            let stays = wanted.get(address).is_some_and(|wanted| wanted.present && wanted.natt == socket.natt());
            if !stays {
                self.log.info(format_args!("{} closed", DisplayAddr(*address)));
            }
            stays
        });
        self.warn_of_absent(&wanted);
        let mut errors = Vec::new();
        for (&address, wanted) in &wanted {
            if self.sockets.contains_key(&address) {
                continue;
            }
            match self.open_one(address, *wanted) {
                Ok(()) => drop(self.failed.remove(&address)),
                Err(error) if self.failed.contains(&address) => self.log.debug(error),
                Err(error) => errors.extend(self.first_failure(address, *wanted, error)),
            }
        }
        Ok(errors)
    }

    /// An address that is waited for may be one that was mistyped.
    fn warn_of_absent(&mut self, wanted: &BTreeMap<SocketAddr, Wanted>) {
        if self.options.listen.strict_address {
            return;
        }
        let addresses = wanted.iter().filter(|(_, wanted)| !wanted.present).map(|(address, _)| Error::Absent(*address));
        let interfaces = self.options.listen.sockets.iter().filter_map(|entry| {
            let name = entry.address.scope.as_ref().filter(|name| addresses::scope_number(name).is_none())?;
            Some(Error::Scope(entry.address.ip.to_string(), name.to_string()))
        });
        let awaited = addresses.chain(interfaces).map(|error| error.to_string()).collect::<BTreeSet<_>>();
        for what in awaited.difference(&self.awaited) {
            self.log.warning(format_args!("{what}; waiting for it"));
        }
        self.awaited = awaited;
    }

    fn open_one(&mut self, address: SocketAddr, wanted: Wanted) -> Result<(), Error> {
        if !wanted.present {
            return Err(Error::Absent(address));
        }
        let relatives = self.sockets.values().filter(|other| overlap(other.address(), address)).collect::<Vec<_>>();
        let shared = !relatives.is_empty();
        if !shared && !socket::is_free(address) {
            // That takes a look at every process: once, not at each try.
            let owner = if self.failed.contains(&address) { None } else { port_owner::find(address) };
            return Err(Error::InUse { address, owner });
        }
        for relative in relatives {
            relative.share().map_err(|source| Error::System { address, call: "address sharing", source })?;
        }
        let socket = IkeSocket::open(address, wanted.natt, shared, self.options.bypass, &self.log)?;
        self.make_room(&socket);
        let purpose = if wanted.natt { "for NAT-T" } else { "as isakmp port" };
        self.log.info(format_args!("{} used {purpose}", DisplayAddr(address)));
        self.sockets.insert(address, socket);
        Ok(())
    }

    /// Makes room for a flood. With less the kernel drops what it cannot keep, which is worth a line.
    fn make_room(&mut self, socket: &IkeSocket) {
        let address = DisplayAddr(socket.address());
        let room = match socket.make_room(RECEIVE_BUFFER) {
            Ok(room) => room,
            Err(error) => {
                return self.log.warning(format_args!("{address}: receive buffer: {}", crate::output::reason(&error)));
            }
        };
        if room < RECEIVE_BUFFER && !self.is_short {
            self.is_short = true;
            let limit = match std::env::consts::OS {
                "linux" => "net.core.rmem_max",
                "netbsd" => "kern.sbmax",
                _ => "kern.ipc.maxsockbuf",
            };
            self.log.info(format_args!(
                "{address}: the receive buffer has {room} bytes of {RECEIVE_BUFFER}; raise {limit}, or more is lost in a flood"
            ));
        }
    }

    /// An error, unless waiting is all that it takes.
    fn first_failure(&mut self, address: SocketAddr, wanted: Wanted, error: Error) -> Option<Error> {
        if wanted.present {
            self.failed.insert(address);
        }
        if self.options.listen.strict_address || !error.passes() {
            return Some(error);
        }
        if wanted.present {
            self.log.debug(format_args!("{error}; waiting for it"));
        }
        None
    }

    /// The sockets that there are to be.
    fn wanted(&self, present: &BTreeSet<SocketAddr>) -> Result<BTreeMap<SocketAddr, Wanted>, Error> {
        let Options { listen, ports, family, .. } = &self.options;
        let mut wanted = BTreeMap::new();
        if listen.sockets.is_empty() {
            for &address in present.iter().filter(|address| family.is_none_or(|family| family.holds(address.ip()))) {
                for (port, natt) in [(ports.isakmp, false), (ports.natt, true)] {
                    wanted.insert(with_port(address, port), Wanted { natt, present: true });
                }
            }
        }
        for entry in &listen.sockets {
            let scope = match &entry.address.scope {
                None => 0,
                Some(name) => match addresses::scope_number(name) {
                    Some(number) => number,
                    // An interface may come, too.
                    None if !listen.strict_address => continue,
                    None => return Err(Error::Scope(entry.address.ip.to_string(), name.to_string())),
                },
            };
            let address = addresses::scoped(entry.address.ip, ports.of(entry), scope);
            let present = address.ip().is_unspecified() || addresses::is_here(address, present);
            wanted.insert(address, Wanted { natt: entry.natt, present });
        }
        Ok(wanted)
    }
}

impl Error {
    /// Whether time may heal it: the address is not there, or its duplicates are still being looked for.
    fn passes(&self) -> bool {
        match self {
            Self::Absent(_) => true,
            Self::System { source, .. } => source.kind() == io::ErrorKind::AddrNotAvailable,
            _ => false,
        }
    }
}

/// Whether one of two addresses with the same port covers the other.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port()
        && one.is_ipv4() == other.is_ipv4()
        && (one.ip().is_unspecified() || other.ip().is_unspecified())
}

/// The same port of any address of the family.
fn any(mut address: SocketAddr) -> SocketAddr {
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
