//! Reports of a kernel: its own events, and changes that other processes make.

use std::net::SocketAddr;

use crate::num::{ExtensionType, MessageType, SaType};
use crate::sa::{InstalledSa, SaId};
use crate::security_policy::InstalledPolicy;
use crate::wire::{Message, SockAddr};

/// A report from the kernel's key engine.
///
/// Acquires and expiries are sent only to programs that have registered ([`Kernel::register`](crate::Kernel::register)), all
/// other reports to everybody. A kernel drops reports for which it has no buffer: see
/// [`Kernel::has_lost_events`](crate::Kernel::has_lost_events).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A packet needs an SA that does not exist.
    Acquire(Acquire),
    /// An SA has reached a limit. At the soft one it should be renewed; at the hard one the kernel has removed it.
    Expire {
        /// The SA, as far as the report shows it.
        sa: Box<InstalledSa>,
        /// Whether it was the hard limit.
        hard: bool,
    },
    /// An SA was added.
    SaAdded(Box<InstalledSa>),
    /// An SA was completed or changed.
    SaUpdated(Box<InstalledSa>),
    /// An SA was removed.
    SaDeleted(SaId),
    /// All SAs of a type between two addresses were removed (BSD).
    SasDeleted {
        /// Their type.
        sa_type: SaType,
        /// Source address.
        source: SocketAddr,
        /// Destination address.
        destination: SocketAddr,
    },
    /// All SAs of a type were removed; [`SaType::Unspec`] is all types.
    SasFlushed(SaType),
    /// A peer behind a NAT has a new address or port (Linux).
    NatMapping {
        /// Its SA.
        sa: SaId,
        /// The old address and port.
        old: SocketAddr,
        /// The new address and port.
        new: SocketAddr,
    },
    /// A policy was added or replaced.
    PolicyInstalled(Box<InstalledPolicy>),
    /// A policy was removed.
    PolicyDeleted(Box<InstalledPolicy>),
    /// A policy has reached its lifetime (BSD).
    PolicyExpired(Box<InstalledPolicy>),
    /// All policies were removed.
    PoliciesFlushed,
    /// A report of another kind, or one without the SA or policy that it is about. Copies of the databases may be outdated.
    Other(MessageType),
}

/// A request for an SA (RFC 2367 section 3.1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquire {
    /// Protocol of the SA.
    pub sa_type: SaType,
    /// Source address of its packets.
    pub source: SocketAddr,
    /// Destination address of its packets.
    pub destination: SocketAddr,
    /// Index of the policy that demands it, if the kernel reports it.
    pub policy_index: Option<u32>,
    /// Sequence number of the report: a GETSPI that repeats it belongs to the acquire.
    pub seq: u32,
}

impl Event {
    /// The event in a message; `None` for a refusal, and for the answers to GET, DUMP and their like.
    pub fn from_message(message: &Message<'_>) -> Option<Self> {
        use MessageType as M;
        let kind = message.header.message_type;
        if message.header.errno != 0 {
            return None;
        }
        let event = match kind {
            M::Get | M::GetSpi | M::Dump | M::Register | M::Promisc | M::SpdGet | M::SpdDump => return None,
            M::Acquire => acquire(message).map(Self::Acquire),
            M::Expire => {
                let hard = message.lifetime(ExtensionType::LifetimeHard).is_some();
                sa(message).map(|sa| Self::Expire { sa, hard })
            }
            M::Add => sa(message).map(Self::SaAdded),
            M::Update => sa(message).map(Self::SaUpdated),
            M::Delete if message.sa().is_none() => ends(message).map(|(source, destination)| Self::SasDeleted {
                sa_type: message.header.sa_type,
                source,
                destination,
            }),
            M::Delete => SaId::from_message(message).map(Self::SaDeleted),
            M::Flush => Some(Self::SasFlushed(message.header.sa_type)),
            M::NatTNewMapping => nat_mapping(message),
            M::SpdAdd | M::SpdUpdate | M::SpdSetIdx => policy(message).map(Self::PolicyInstalled),
            M::SpdDelete | M::SpdDelete2 => policy(message).map(Self::PolicyDeleted),
            M::SpdExpire => policy(message).map(Self::PolicyExpired),
            M::SpdFlush => Some(Self::PoliciesFlushed),
            _ => None,
        };
        Some(event.unwrap_or(Self::Other(kind)))
    }
}

fn sa(message: &Message<'_>) -> Option<Box<InstalledSa>> {
    InstalledSa::from_message(message).map(Box::new)
}

fn policy(message: &Message<'_>) -> Option<Box<InstalledPolicy>> {
    InstalledPolicy::from_message(message).map(Box::new)
}

fn ends(message: &Message<'_>) -> Option<(SocketAddr, SocketAddr)> {
    match (message.source()?.sockaddr, message.destination()?.sockaddr) {
        (SockAddr::Inet(source), SockAddr::Inet(destination)) => Some((source, destination)),
        _ => None,
    }
}

fn acquire(message: &Message<'_>) -> Option<Acquire> {
    let (source, destination) = ends(message)?;
    let policy_index = message.policy().map(|policy| policy.id).filter(|index| *index != 0);
    Some(Acquire { sa_type: message.header.sa_type, source, destination, policy_index, seq: message.header.seq })
}

/// Reads a new NAT mapping: the peer, which is the source of the SA, has its new address where an SA has its destination.
fn nat_mapping(message: &Message<'_>) -> Option<Event> {
    let (mut old, mut new) = ends(message)?;
    old.set_port(message.natt_port(ExtensionType::NatTSport)?);
    new.set_port(message.natt_port(ExtensionType::NatTDport)?);
    Some(Event::NatMapping { sa: SaId::from_message(message)?, old, new })
}
