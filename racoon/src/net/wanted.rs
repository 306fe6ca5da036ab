//! Opening and closing sockets as the configuration and the addresses of this host require.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::socket::{self, IkeSocket};
use super::{DisplayAddr, Error, SocketOptions, Sockets, addresses, is_wildcard_pair, port_owner, with_port};

/// Receive buffer to ask for, in bytes. It holds some ten thousand first messages, a second of a flood.
pub(super) const RECEIVE_BUFFER: usize = 4 << 20;

/// A socket that should exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WantedSocket {
    natt: bool,
    /// Whether the address is present. If not, the entry waits for it.
    present: bool,
}

impl Sockets {
    /// Opens and closes sockets until they match the configuration. Returns the errors that are new.
    pub(super) fn synchronise(&mut self) -> Result<Vec<Error>, Error> {
        let wanted = self.wanted(&addresses::present().map_err(Error::Addresses)?)?;
        // An address that left is reported again if it returns and still fails.
        self.failed.retain(|address| wanted.get(address).is_some_and(|wanted| wanted.present));
        // Before any is opened: a socket whose purpose changes has to free its port.
        self.sockets.retain(|address, socket| {
            let stays = wanted.get(address).is_some_and(|wanted| wanted.present && wanted.natt == socket.natt());
            if !stays {
                self.log.info(format_args!("{} closed", DisplayAddr(*address)));
            }
            stays
        });
        self.warn_of_missing(&wanted);
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

    /// Warns of missing addresses: one may be a typing error.
    fn warn_of_missing(&mut self, wanted: &BTreeMap<SocketAddr, WantedSocket>) {
        if self.options.listen.strict_address {
            return;
        }
        let addresses = wanted.iter().filter(|(_, wanted)| !wanted.present).map(|(address, _)| Error::Absent(*address));
        let interfaces = self.options.listen.sockets.iter().filter_map(|entry| {
            let name = entry.address.scope.as_ref().filter(|name| addresses::scope_number(name).is_none())?;
            Some(Error::Scope(entry.address.ip.to_string(), name.to_string()))
        });
        let missing = addresses.chain(interfaces).map(|error| error.to_string()).collect::<BTreeSet<_>>();
        for what in missing.difference(&self.missing) {
            self.log.warning(format_args!("{what}; waiting for it"));
        }
        self.missing = missing;
    }

    fn open_one(&mut self, address: SocketAddr, wanted: WantedSocket) -> Result<(), Error> {
        if !wanted.present {
            return Err(Error::Absent(address));
        }
        let relatives =
            self.sockets.values().filter(|other| is_wildcard_pair(other.address(), address)).collect::<Vec<_>>();
        let shared = !relatives.is_empty();
        if !shared && !socket::is_free(address) {
            // Looking through all processes is expensive, so only the first failure does it.
            let owner = if self.failed.contains(&address) { None } else { port_owner::find(address) };
            return Err(Error::InUse { address, owner });
        }
        // All of them need the option before another one can bind the port.
        for relative in relatives {
            relative.share().map_err(|source| Error::System { address, call: "address sharing", source })?;
        }
        let socket = IkeSocket::open(address, wanted.natt, shared, self.options.bypass, &self.log)?;
        self.enlarge_buffer(&socket);
        let purpose = if wanted.natt { "for NAT-T" } else { "as isakmp port" };
        self.log.info(format_args!("{} used {purpose}", DisplayAddr(address)));
        self.sockets.insert(address, socket);
        Ok(())
    }

    /// Enlarges the receive buffer, and logs once if the system's limit is lower: the kernel then drops more messages
    /// in a flood.
    fn enlarge_buffer(&mut self, socket: &IkeSocket) {
        let address = DisplayAddr(socket.address());
        let room = match socket.enlarge_buffer(RECEIVE_BUFFER) {
            Ok(room) => room,
            Err(error) => {
                return self.log.warning(format_args!("{address}: receive buffer: {}", crate::output::reason(&error)));
            }
        };
        if room < RECEIVE_BUFFER && !self.buffer_limit_logged {
            self.buffer_limit_logged = true;
            let limit = match std::env::consts::OS {
                "linux" => "net.core.rmem_max",
                "netbsd" => "kern.sbmax",
                _ => "kern.ipc.maxsockbuf",
            };
            self.log.info(format_args!(
                "{address}: receive buffer limited to {room} of {RECEIVE_BUFFER} bytes; raise {limit} to lose less in a flood"
            ));
        }
    }

    /// Records a failure. Returns the error unless it will resolve itself.
    fn first_failure(&mut self, address: SocketAddr, wanted: WantedSocket, error: Error) -> Option<Error> {
        if wanted.present {
            self.failed.insert(address);
        }
        if self.options.listen.strict_address || !error.is_transient() {
            return Some(error);
        }
        if wanted.present {
            self.log.debug(format_args!("{error}; waiting for it"));
        }
        None
    }

    /// Returns the sockets that should exist.
    fn wanted(&self, present: &BTreeSet<SocketAddr>) -> Result<BTreeMap<SocketAddr, WantedSocket>, Error> {
        let SocketOptions { listen, ports, family, .. } = &self.options;
        let mut wanted = BTreeMap::new();
        if listen.sockets.is_empty() {
            for &address in
                present.iter().filter(|address| family.is_none_or(|family| family.contains_address(address.ip())))
            {
                for (port, natt) in [(ports.isakmp, false), (ports.natt, true)] {
                    wanted.insert(with_port(address, port), WantedSocket { natt, present: true });
                }
            }
        }
        for entry in &listen.sockets {
            let scope = match &entry.address.scope {
                None => 0,
                Some(name) => match addresses::scope_number(name) {
                    Some(number) => number,
                    // The interface may be created later.
                    None if !listen.strict_address => continue,
                    None => return Err(Error::Scope(entry.address.ip.to_string(), name.to_string())),
                },
            };
            let address = addresses::scoped(entry.address.ip, ports.of(entry), scope);
            let present = address.ip().is_unspecified() || addresses::is_local(address, present);
            wanted.insert(address, WantedSocket { natt: entry.natt, present });
        }
        Ok(wanted)
    }
}
