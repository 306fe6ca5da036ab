//! What the kernel says of its own accord, and what it tells of others' requests.
//!
//! Both of Linux' doors tell with an acquire the index of the policy that asks; neither tells the policy's selector, its
//! mode or its reqid, nor (in a PF_KEY message) the packet. Both count acquires, each for itself: where `af_key` is loaded,
//! the number that NETLINK_XFRM tells is not the one that the kernel keeps.

use std::net::IpAddr;

use libpfkey::{ExtensionType, Message, MessageType, SaType, wire};
use racoon_proto::kernel::{Acquire, KernelEvent, Limit, SaName};
use racoon_proto::num::Protocol;

use super::{policy, protocol_of};

/// What a message means.
#[derive(Debug)]
pub(super) enum DecodedEvent {
    /// This happened.
    Event(KernelEvent),
    /// All SAs of a protocol from one address to another are gone, as the BSDs tell of `deleteall`.
    DeletedBetween(Protocol, IpAddr, IpAddr),
    /// A policy changed, but the message does not say which.
    PoliciesChanged,
    /// The policy with this index is gone: the BSDs tell no more of what was deleted by its index.
    PolicyDeleted(u32),
    /// Nothing for us.
    Ignored,
    /// It makes no sense, because of this.
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

/// Understands a message of the connection for events.
pub(super) fn decode(message: &Message<'_>) -> DecodedEvent {
    use MessageType as M;
    if message.header.errno != 0 {
        return DecodedEvent::Ignored;
    }
    match message.header.message_type {
        M::Acquire => acquire(message).into(),
        M::Expire => expire(message).into(),
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
        // What moves policies, or switches them on and off (macOS), changes more than it says.
        M::Migrate | M::SpdEnable | M::SpdDisable => DecodedEvent::PoliciesChanged,
        _ => DecodedEvent::Ignored,
    }
}

fn acquire(message: &Message<'_>) -> Result<Option<KernelEvent>, &'static str> {
    let Some(protocol) = protocol_of(message.header.sa_type) else { return Ok(None) };
    let (from, to) = message.source().zip(message.destination()).ok_or("no addresses")?;
    let (source, destination) = from.sockaddr.ip().zip(to.sockaddr.ip()).ok_or("addresses of neither IPv4 nor IPv6")?;
    // FreeBSD puts the policy's protocol and ports there, if it has any.
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

/// Of an SA that was waited for and has no SPI yet there is nothing to say.
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

/// The SA in a message about one; none if it is of no protocol of ours.
///
/// # Errors
/// Says what is missing.
pub(super) fn sa_name(message: &Message<'_>) -> Result<Option<SaName>, &'static str> {
    let Some(protocol) = protocol_of(message.header.sa_type) else { return Ok(None) };
    let (source, destination) = message.source().zip(message.destination()).ok_or("no addresses")?;
    let ip = |end: &wire::Address| end.sockaddr.ip().ok_or("an address of neither IPv4 nor IPv6");
    let spi = message.sa().ok_or("no SA")?.spi;
    Ok(Some(SaName { protocol, source: ip(source)?, destination: ip(destination)?, spi }))
}
