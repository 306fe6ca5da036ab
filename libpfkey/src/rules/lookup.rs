//! The keys by which kernels find SAs and policies, and a detector of requests that create an entry twice.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use crate::dialect::Dialect;
use crate::num::{MessageType, SaType, ULPROTO_ANY};
use crate::wire::{Address, Message, SockAddr};

/// The keys of the SAs and policies that earlier requests of a script have created. It starts empty, because the databases of
/// the kernel are unknown.
#[derive(Debug, Default)]
pub struct DuplicateDetector {
    /// With the reqid of the group: NetBSD accepts an SPI once in each.
    sas: HashMap<SaKey, Vec<(SaEndpoints, u32)>>,
    /// NetBSD: the reqids of the groups between two addresses, the newest last.
    groups: HashMap<SaEndpoints, Vec<u32>>,
    policies: HashSet<PolicyKey>,
}

impl DuplicateDetector {
    /// Records a request; returns `false` if it creates an entry that exists already.
    pub fn apply(&mut self, request: &Message<'_>) -> bool {
        use MessageType as M;
        match request.header.message_type {
            M::Add | M::Update | M::GetSpi | M::Delete => self.apply_to_sa(request),
            M::SpdAdd | M::SpdUpdate | M::SpdDelete => self.apply_to_policy(request),
            M::Flush => {
                let flushed = request.header.sa_type;
                let stays = |pair: &SaEndpoints| flushed != SaType::Unspec && pair.0 != flushed;
                self.sas.retain(|_, sas| sas.iter().all(|(pair, _)| stays(pair)));
                self.groups.retain(|pair, _| stays(pair));
                true
            }
            M::SpdFlush => {
                self.policies.clear();
                true
            }
            _ => true,
        }
    }

    fn apply_to_sa(&mut self, request: &Message<'_>) -> bool {
        let dialect = request.abi.dialect;
        let end = |address: Option<&Address>| address.and_then(|address| without_port(dialect, &address.sockaddr));
        let (Some(source), Some(destination)) = (end(request.source()), end(request.destination())) else {
            return true;
        };
        let pair = (request.header.sa_type, source, destination);
        let spi = request.sa().map_or(0, |sa| sa.spi);
        let name = SaKey::new(dialect, pair, spi);
        match request.header.message_type {
            // The kernel chooses.
            MessageType::GetSpi if spi == 0 => true,
            // All SAs of the type between the addresses.
            MessageType::Delete if request.sa().is_none() => {
                self.sas.retain(|_, sas| sas.iter().all(|(other, _)| *other != pair));
                self.groups.remove(&pair);
                true
            }
            MessageType::Delete => {
                self.sas.remove(&name);
                true
            }
            // UPDATE creates nothing: without an SA of this name it fails, which is not known here.
            MessageType::Update => true,
            kind => {
                let reqid = self.group(dialect, pair, request.sa2().map_or(0, |sa2| sa2.reqid));
                let sas = self.sas.entry(name).or_default();
                let is_new = sas.iter().all(|(_, other)| *other != reqid);
                sas.push((pair, reqid));
                // NetBSD looks for an SPI only among SAs to its own addresses before it gives it.
                let is_given =
                    kind == MessageType::GetSpi && dialect == Dialect::NetBsd && !destination.ip().is_loopback();
                is_new || is_given
            }
        }
    }

    /// The reqid of the group that a new SA joins; kernels without groups have one.
    fn group(&mut self, dialect: Dialect, pair: SaEndpoints, reqid: u32) -> u32 {
        if dialect != Dialect::NetBsd {
            return 0;
        }
        let groups = self.groups.entry(pair).or_default();
        match groups.last() {
            Some(newest) if reqid == 0 => *newest,
            _ if groups.contains(&reqid) => reqid,
            _ => {
                groups.push(reqid);
                reqid
            }
        }
    }

    fn apply_to_policy(&mut self, request: &Message<'_>) -> bool {
        let (Some(source), Some(destination), Some(policy)) =
            (request.source(), request.destination(), request.policy())
        else {
            return true;
        };
        let Some(selector) = PolicyKey::new(request.abi.dialect, policy.direction, source, destination) else {
            return true;
        };
        match request.header.message_type {
            MessageType::SpdDelete => {
                self.policies.remove(&selector);
                true
            }
            MessageType::SpdUpdate => {
                self.policies.insert(selector);
                true
            }
            _ => self.policies.insert(selector),
        }
    }
}

/// Type, source and destination of an SA, the addresses as [`without_port`] returns them.
pub type SaEndpoints = (SaType, SocketAddr, SocketAddr);

/// The key by which a kernel finds an SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SaKey {
    sa_type: Option<SaType>,
    source: Option<SocketAddr>,
    destination: Option<SocketAddr>,
    spi: u32,
}

impl SaKey {
    /// The key in a dialect. Linux: destination, protocol, SPI. FreeBSD: the SPI, except for TCP-MD5, where all SAs have the
    /// same. NetBSD and macOS: everything.
    pub fn new(dialect: Dialect, (sa_type, source, destination): SaEndpoints, spi: u32) -> Self {
        let whole = matches!(dialect, Dialect::NetBsd | Dialect::Darwin)
            || (dialect == Dialect::FreeBsd && sa_type == SaType::TcpSignature);
        let linux = dialect == Dialect::Linux;
        Self {
            sa_type: (whole || linux).then_some(sa_type),
            source: whole.then_some(source),
            destination: (whole || linux).then_some(destination),
            spi,
        }
    }
}

/// An address as kernels compare it: without port and flow label, on Linux without zone. `None` for families other than IP.
pub fn without_port(dialect: Dialect, address: &SockAddr) -> Option<SocketAddr> {
    let SockAddr::Inet(mut address) = *address else { return None };
    address.set_port(0);
    if let SocketAddr::V6(v6) = &mut address {
        v6.set_flowinfo(0);
        if dialect == Dialect::Linux {
            v6.set_scope_id(0);
        }
    }
    Some(address)
}

/// The key by which a kernel finds a policy: direction, addresses with prefix and port, protocol. Bits behind the prefix
/// count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PolicyKey {
    /// The direction.
    pub direction: u8,
    /// Source address with its port, and prefix length.
    pub source: (SocketAddr, u8),
    /// Destination address with its port, and prefix length.
    pub destination: (SocketAddr, u8),
    /// Upper-layer protocol.
    pub proto: u8,
}

impl PolicyKey {
    /// The selector of two addresses; `None` when one is of another family than IP.
    pub fn new(dialect: Dialect, direction: u8, source: &Address, destination: &Address) -> Option<Self> {
        let end = |address: &Address| {
            let mut bare = without_port(dialect, &address.sockaddr)?;
            bare.set_port(address.sockaddr.port());
            Some((bare, address.prefix))
        };
        // `af_key` reads 0 as any, too.
        let proto = match destination.proto {
            0 if dialect == Dialect::Linux => ULPROTO_ANY,
            proto => proto,
        };
        Some(Self { direction, source: end(source)?, destination: end(destination)?, proto })
    }
}
