//! Checks that the peer's side of some traffic belongs to no one else.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Environment, Peer};
use crate::kernel::{Direction, Policy, PolicyAction, Prefix, Selector};
use crate::phase2::traffic::templates;
use crate::reason::DenialReason;

/// Checks the peer's side if no sainfo names it: it must be one host or one subnet, and belong to no other peer.
///
/// # Errors
/// The owner of the addresses.
pub(super) fn check_side(
    environment: &Environment<'_>,
    peer: &Peer<'_>,
    outbound: &Selector,
) -> Result<(), DenialReason> {
    let side = outbound.destination;
    // Everything would include the traffic of all other peers.
    if side.length() == 0 {
        return Err(DenialReason::Everything);
    }
    if special().iter().any(|one| one.overlaps(side)) {
        return Err(DenialReason::NotUnicast(side));
    }
    if link_local().iter().any(|one| one.overlaps(side)) && side != Prefix::host(peer.endpoints.remote) {
        return Err(DenialReason::LinkLocal(side));
    }
    // Otherwise packets to this host would be sent to the peer.
    if let Some(own) = environment.addresses.range(side.address()..=side.last()).next() {
        return Err(DenialReason::OwnAddress(side, *own));
    }
    if let Some(other) = environment.settings.remotes.addresses_in(side).find(|other| *other != peer.endpoints.remote) {
        return Err(DenialReason::OtherRemote(side, other));
    }
    // The sainfo of this peer names no side, so one that names it is for another peer.
    if environment.settings.sainfos.names_remote_side(side) {
        return Err(DenialReason::OtherSainfo(side));
    }
    let is_static = |policy: &&Policy| (environment.holder_of)(policy).is_none() && !is_default_discard(policy);
    let mut there = environment.spd.at_remote_side(side).filter(is_static);
    match there.find(|policy| claims(policy, outbound, peer)) {
        Some(policy) => {
            let Selector { source, destination, .. } = policy.selector;
            Err(DenialReason::Policy { side, direction: policy.direction, source, destination })
        }
        None => Ok(()),
    }
}

/// Prefixes whose addresses exist on every link, also as those of routers and other neighbours.
fn link_local() -> [Prefix; 2] {
    [
        Prefix::new(Ipv4Addr::new(169, 254, 0, 0).into(), 16),
        Prefix::new(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0).into(), 10),
    ]
}

/// Prefixes that cannot be a peer's side: unspecified, loopback, multicast, and IPv4-mapped addresses.
fn special() -> [Prefix; 7] {
    [
        Prefix::new(Ipv4Addr::UNSPECIFIED.into(), 8),
        Prefix::new(Ipv4Addr::LOCALHOST.into(), 8),
        Prefix::new(Ipv4Addr::new(224, 0, 0, 0).into(), 3),
        Prefix::host(Ipv6Addr::UNSPECIFIED.into()),
        Prefix::host(Ipv6Addr::LOCALHOST.into()),
        Prefix::new(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0).into(), 8),
        Prefix::new(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().into(), 96),
    ]
}

/// Whether a policy assigns the peer's side of `outbound` to another peer, as its side or as its tunnel endpoint. A policy for all
/// addresses does so only for packets that match both.
fn claims(policy: &Policy, outbound: &Selector, peer: &Peer<'_>) -> bool {
    let side = outbound.destination;
    let is_endpoint = |end: IpAddr| end != peer.endpoints.remote && side.contains(Prefix::host(end));
    remote_endpoints(policy).any(is_endpoint)
        || remote_sides(policy).any(|one| one.overlaps(side) && (one.length() > 0 || covers_some(policy, outbound)))
}

/// Whether a packet can match both a policy and the request.
fn covers_some(policy: &Policy, outbound: &Selector) -> bool {
    let own = if policy.direction == Direction::Out { policy.selector } else { policy.selector.mirrored() };
    let same = |one: u16, other: u16| one == 0 || other == 0 || one == other;
    own.source.overlaps(outbound.source)
        && own.destination.overlaps(outbound.destination)
        && same(own.protocol.into(), outbound.protocol.into())
        && same(own.source_port, outbound.source_port)
        && same(own.destination_port, outbound.destination_port)
}

/// Whether a policy drops everything that no other policy matches.
pub(super) fn is_default_discard(policy: &Policy) -> bool {
    let Selector { source, destination, .. } = policy.selector;
    policy.action == PolicyAction::Discard && source.length() == 0 && destination.length() == 0
}

/// The peers' sides of a policy. For forwarded and unprotected packets, either side may be a peer's.
pub(crate) fn remote_sides(policy: &Policy) -> impl Iterator<Item = Prefix> + use<> {
    let Selector { source, destination, .. } = policy.selector;
    let sides = match policy.direction {
        // A packet from a tunnel is checked when it is forwarded; its source is the peer's.
        Direction::Forward if templates(policy).is_some() => [Some(source), None],
        Direction::In => [Some(source), None],
        Direction::Out => [None, Some(destination)],
        Direction::Forward => [Some(source), Some(destination)],
    };
    sides.into_iter().flatten()
}

/// The peers' endpoints of a policy's tunnels.
pub(crate) fn remote_endpoints(policy: &Policy) -> impl Iterator<Item = IpAddr> {
    let is_out = policy.direction == Direction::Out;
    let endpoints = templates(policy).unwrap_or_default().iter().filter_map(|template| template.endpoints);
    endpoints.map(move |(source, destination)| if is_out { destination } else { source })
}
