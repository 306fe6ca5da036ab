//! Decoding of messages that are not replies to our requests: ACQUIRE, EXPIRE, and broadcasts of other programs'
//! requests.
//!
//! An ACQUIRE of Linux carries the policy's index, over PF_KEY and NETLINK_XFRM alike, but neither its selector, mode
//! or reqid nor (over PF_KEY) the packet. Its sequence number is only a hint: af_key and xfrm_user count separately, so
//! where both are loaded the number in a NETLINK_XFRM message is not the one that the kernel keeps.

use std::net::{IpAddr, SocketAddr};

use libpfkey::{ExtensionType, Message, MessageType, SaType, wire};
use racoon_proto::kernel::{Acquire, KernelEvent, Limit, Migration, SaName};
use racoon_proto::num::Protocol;

use super::{policy, protocol_of, protocol_of_ip};

/// The meaning of a message.
#[derive(Debug)]
pub(super) enum DecodedEvent {
    /// An event for the engine.
    Event(KernelEvent),
    /// All SAs of a protocol between two addresses were deleted: the BSDs broadcast `deleteall` like this.
    DeletedBetween(Protocol, IpAddr, IpAddr),
    /// SAs and the templates of a policy were moved to other addresses. The policies have to be read again.
    Migrated(Vec<Migration>),
    /// Some policy changed; the message does not say which.
    PoliciesChanged,
    /// The policy with this index was deleted. The BSDs say no more of a deletion by index.
    PolicyDeleted(u32),
    /// Irrelevant.
    Ignored,
    /// Malformed, with the reason.
    Malformed(&'static str),
}

impl From<Result<Option<KernelEvent>, &'static str>> for DecodedEvent {
    fn from(result: Result<Option<KernelEvent>, &'static str>) -> Self {
        match result {
            Ok(Some(event)) => Self::Event(event),
            Ok(None) => Self::Ignored,
            Err(what) => Self::Malformed(what),
        }
    }
}

/// Decodes a message of the event connection.
pub(super) fn decode(message: &Message<'_>) -> DecodedEvent {
    use MessageType as M;
    if message.header.errno != 0 {
        // An error reply to another program's request.
        return DecodedEvent::Ignored;
    }
    match message.header.message_type {
        M::Acquire => acquire(message).into(),
        M::Expire => expire(message).into(),
        M::NatTNewMapping => mapping_changed(message).into(),
        M::Migrate => DecodedEvent::Migrated(migrations(message)),
        M::Delete if message.sa().is_none() => deleted_between(message),
        M::Delete => sa_name(message).map(|name| name.map(KernelEvent::Deleted)).into(),
        M::Flush => flushed(message.header.sa_type),
        M::SpdAdd | M::SpdUpdate | M::SpdSetIdx => {
            policy::from_message(message).map(|policy| policy.map(KernelEvent::Policy)).into()
        }
        M::SpdDelete2 if message.source().is_none() => {
            message.policy().map_or(DecodedEvent::PoliciesChanged, |policy| DecodedEvent::PolicyDeleted(policy.id))
        }
        M::SpdDelete | M::SpdDelete2 | M::SpdExpire => policy::name(message)
            .map(|name| name.map(|(direction, selector)| KernelEvent::PolicyDeleted(direction, selector)))
            .into(),
        M::SpdFlush => DecodedEvent::Event(KernelEvent::PoliciesFlushed),
        // Enabling or disabling policies (macOS) changes policies that the message does not name.
        M::SpdEnable | M::SpdDisable => DecodedEvent::PoliciesChanged,
        _ => DecodedEvent::Ignored,
    }
}

fn acquire(message: &Message<'_>) -> Result<Option<KernelEvent>, &'static str> {
    let Some(protocol) = protocol_of(message.header.sa_type) else { return Ok(None) };
    let (from, to) = message.source().zip(message.destination()).ok_or("no addresses")?;
    let (source, destination) = from.sockaddr.ip().zip(to.sockaddr.ip()).ok_or("addresses of neither IPv4 nor IPv6")?;
    // FreeBSD puts the protocol and ports of the policy's selector there, if it has any.
    let selector = policy::selector(from, to)?;
    let shows = selector.protocol != 0;
    Ok(Some(KernelEvent::Acquire(Acquire {
        policy: message.policy().map(|policy| policy.id).filter(|id| *id != 0),
        source,
        destination,
        protocol,
        seq: message.header.seq,
        selector: shows.then_some(selector),
    })))
}

/// Decodes a change of the NAT in front of a peer: the old address and port are the source, the new ones the destination.
fn mapping_changed(message: &Message<'_>) -> Result<Option<KernelEvent>, &'static str> {
    let Some(protocol) = protocol_of(message.header.sa_type) else { return Ok(None) };
    let end = |address: Option<&wire::Address>, port| {
        let ip = address.and_then(|address| address.sockaddr.ip()).ok_or("no addresses")?;
        Ok::<_, &'static str>(SocketAddr::new(ip, message.natt_port(port).ok_or("no ports")?))
    };
    let old = end(message.source(), ExtensionType::NatTSport)?;
    let new = end(message.destination(), ExtensionType::NatTDport)?;
    let spi = message.sa().ok_or("no SA")?.spi;
    Ok(Some(KernelEvent::MappingChanged { protocol, spi, old, new }))
}

/// Decodes a MIGRATE: the requests of its policy come in pairs, the old ends before the new ones.
fn migrations(message: &Message<'_>) -> Vec<Migration> {
    let requests = message.policy().map(|policy| policy.requests.as_slice()).unwrap_or_default();
    let ends = |request: &wire::IpsecRequest| {
        let (source, destination) = request.endpoints.as_ref()?;
        source.ip().zip(destination.ip())
    };
    let pairs = requests.chunks_exact(2).filter_map(|pair| {
        let [before, after] = pair else { return None };
        Some(Migration { protocol: protocol_of_ip(before.proto)?, old: ends(before)?, new: ends(after)? })
    });
    pairs.collect()
}

/// Decodes an EXPIRE. An SA without SPI is an expired ACQUIRE, and is ignored.
fn expire(message: &Message<'_>) -> Result<Option<KernelEvent>, &'static str> {
    let has = |kind| message.lifetime(kind).is_some();
    let limit = match (has(ExtensionType::LifetimeHard), has(ExtensionType::LifetimeSoft)) {
        (true, false) => Limit::Hard,
        (false, true) => Limit::Soft,
        _ => return Err("not one limit"),
    };
    let name = sa_name(message)?.filter(|name| name.spi != 0);
    Ok(name.map(|name| KernelEvent::Expire(name, limit)))
}

fn deleted_between(message: &Message<'_>) -> DecodedEvent {
    let ends = message.source().zip(message.destination());
    let ends = ends.and_then(|(source, destination)| source.sockaddr.ip().zip(destination.sockaddr.ip()));
    match (protocol_of(message.header.sa_type), ends) {
        (None, _) => DecodedEvent::Ignored,
        (Some(protocol), Some((source, destination))) => DecodedEvent::DeletedBetween(protocol, source, destination),
        (Some(_), None) => DecodedEvent::Malformed("no addresses"),
    }
}

fn flushed(sa_type: SaType) -> DecodedEvent {
    match (sa_type, protocol_of(sa_type)) {
        (SaType::Unspec, _) => DecodedEvent::Event(KernelEvent::Flushed(None)),
        (_, Some(protocol)) => DecodedEvent::Event(KernelEvent::Flushed(Some(protocol))),
        _ => DecodedEvent::Ignored,
    }
}

/// Returns the name of the SA that a message is about; `None` for an SA type that racoon does not use.
///
/// # Errors
/// Names the missing part.
pub(super) fn sa_name(message: &Message<'_>) -> Result<Option<SaName>, &'static str> {
    let Some(protocol) = protocol_of(message.header.sa_type) else { return Ok(None) };
    let (source, destination) = message.source().zip(message.destination()).ok_or("no addresses")?;
    let ip = |end: &wire::Address| end.sockaddr.ip().ok_or("an address of neither IPv4 nor IPv6");
    let spi = message.sa().ok_or("no SA")?.spi;
    Ok(Some(SaName { protocol, source: ip(source)?, destination: ip(destination)?, spi }))
}
