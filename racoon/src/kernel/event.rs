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
pub(super) enum Heard {
    /// This happened.
    Event(KernelEvent),
    /// All SAs of a protocol from one address to another are gone, as the BSDs tell of `deleteall`.
    DeletedBetween(Protocol, IpAddr, IpAddr),
    /// A policy changed, but the message does not say which.
    SomePolicy,
    /// The policy with this index is gone: the BSDs tell no more of what was deleted by its index.
    PolicyGone(u32),
    /// Nothing for us.
    Nothing,
    /// It makes no sense, because of this.
    Strange(&'static str),
}

impl From<Result<Option<KernelEvent>, &'static str>> for Heard {
    fn from(result: Result<Option<KernelEvent>, &'static str>) -> Self {
        match result {
            Ok(Some(event)) => Self::Event(event),
            Ok(None) => Self::Nothing,
            Err(what) => Self::Strange(what),
        }
    }
}

/// Understands a message of the connection for events.
pub(super) fn understand(message: &Message<'_>) -> Heard {
    use MessageType as M;
    if message.header.errno != 0 {
        return Heard::Nothing;
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
            message.policy().map_or(Heard::SomePolicy, |policy| Heard::PolicyGone(policy.id))
        }
        M::SpdDelete | M::SpdDelete2 | M::SpdExpire => policy::name(message)
            .map(|name| name.map(|(direction, selector)| KernelEvent::PolicyDeleted(direction, selector)))
            .into(),
        M::SpdFlush => Heard::Event(KernelEvent::PoliciesFlushed),
        // What moves policies, or switches them on and off (macOS), changes more than it says.
        M::Migrate | M::SpdEnable | M::SpdDisable => Heard::SomePolicy,
        _ => Heard::Nothing,
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

fn deleted_between(message: &Message<'_>) -> Heard {
    let ends = message.source().zip(message.destination());
    let ends = ends.and_then(|(source, destination)| source.sockaddr.ip().zip(destination.sockaddr.ip()));
    match (protocol_of(message.header.sa_type), ends) {
        (None, _) => Heard::Nothing,
        (Some(protocol), Some((source, destination))) => Heard::DeletedBetween(protocol, source, destination),
        (Some(_), None) => Heard::Strange("no addresses"),
    }
}

fn flushed(sa_type: SaType) -> Heard {
    match (sa_type, protocol_of(sa_type)) {
        (SaType::Unspec, _) => Heard::Event(KernelEvent::Flushed(None)),
        (_, Some(protocol)) => Heard::Event(KernelEvent::Flushed(Some(protocol))),
        _ => Heard::Nothing,
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
