//! Identities of quick mode and the policies that they stand for (RFC 2407 section 4.6.2, RFC 2409 section 5.5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use crate::identity::Identity;
use crate::kernel::{Direction, Mode, Policy, PolicyAction, Prefix, Selector, Template};
use crate::num::{IdType, IpProtocol};
use crate::path::Path;
use crate::spd::Spd;

/// Our address and the peer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Endpoints {
    pub(crate) local: IpAddr,
    pub(crate) remote: IpAddr,
}

impl Endpoints {
    /// The addresses of a path.
    pub(crate) fn of(path: Path) -> Self {
        Self { local: path.local.ip(), remote: path.remote.ip() }
    }
}

/// The identities of both sides of the protected traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identities {
    pub(crate) local: Identity,
    pub(crate) remote: Identity,
}

/// Why no policy can match a pair of identities.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TrafficError {
    /// An identity of this type is not an address, a subnet or a range.
    #[error("an identity of type {0} stands for no addresses")]
    Kind(IdType),
    /// The range is not a prefix.
    #[error("the range {0} to {1} is not a prefix, and policies have prefixes")]
    Range(IpAddr, IpAddr),
    /// The data is invalid for this type.
    #[error("the data of an identity of type {0} is malformed")]
    Data(IdType),
    /// The sides name different protocols.
    #[error("one identity is for protocol {0}, the other one for {1}")]
    Protocols(IpProtocol, IpProtocol),
    /// One side is IPv4, the other one is IPv6.
    #[error("one identity is IPv4, the other one IPv6")]
    Families,
}

impl Identities {
    /// The identities of the traffic that an outbound selector matches.
    pub(crate) fn of_selector(outbound: &Selector) -> Self {
        Self {
            local: of_prefix(outbound.source).with_protocol(outbound.protocol, outbound.source_port),
            remote: of_prefix(outbound.destination).with_protocol(outbound.protocol, outbound.destination_port),
        }
    }

    /// The identities of two hosts.
    pub(crate) fn of_hosts(endpoints: Endpoints, outbound: &Selector) -> Self {
        Self {
            local: Identity::address(endpoints.local).with_protocol(outbound.protocol, outbound.source_port),
            remote: Identity::address(endpoints.remote).with_protocol(outbound.protocol, outbound.destination_port),
        }
    }

    /// The identities that an initiator sends for a policy: the selector in tunnel mode, both hosts in transport mode. They are sent
    /// even if they repeat the addresses of phase 1, because without them KAME's racoon generates unusable policies.
    pub(crate) fn to_send(mode: Mode, outbound: &Selector, sa: Endpoints) -> Self {
        match mode {
            Mode::Tunnel => Self::of_selector(outbound),
            Mode::Transport => Self::of_hosts(sa, outbound),
        }
    }

    /// The outbound selector that the identities stand for.
    ///
    /// # Errors
    /// If no policy can express them.
    pub(crate) fn selector(&self) -> Result<Selector, TrafficError> {
        let (source, destination) = (prefix_of(&self.local)?, prefix_of(&self.remote)?);
        if source.address().is_ipv4() != destination.address().is_ipv4() {
            return Err(TrafficError::Families);
        }
        // Some peers name the protocol only on their own side.
        let protocol = match (self.local.protocol, self.remote.protocol) {
            (local, remote) if local == remote => local,
            (0, one) | (one, 0) => one,
            (local, remote) => return Err(TrafficError::Protocols(IpProtocol(local), IpProtocol(remote))),
        };
        Ok(Selector { source, destination, protocol, source_port: self.local.port, destination_port: self.remote.port })
    }
}

/// The selector of all packets between two hosts.
pub(crate) fn between_hosts(endpoints: Endpoints) -> Selector {
    Selector {
        source: Prefix::host(endpoints.local),
        destination: Prefix::host(endpoints.remote),
        protocol: 0,
        source_port: 0,
        destination_port: 0,
    }
}

/// The templates of a policy that protects.
pub(crate) fn templates(policy: &Policy) -> Option<&[Template]> {
    match &policy.action {
        PolicyAction::Protect(templates) if !templates.is_empty() => Some(templates),
        _ => None,
    }
}

/// The mode of a bundle, which identities and covering policies must have: for a complex bundle that of its first SA, otherwise
/// tunnel if any of them is one.
pub(crate) fn bundle_mode(templates: &[Template], complex_bundle: bool) -> Mode {
    let is_tunnel = |template: &Template| template.mode == Mode::Tunnel;
    let tunnel =
        if complex_bundle { templates.first().is_some_and(is_tunnel) } else { templates.iter().any(is_tunnel) };
    if tunnel { Mode::Tunnel } else { Mode::Transport }
}

/// The endpoints of the tunnel of an outbound policy, if it has one.
pub(crate) fn tunnel_endpoints(templates: &[Template]) -> Option<Endpoints> {
    let (local, remote) =
        templates.iter().find_map(|template| template.endpoints.filter(|_| template.mode == Mode::Tunnel))?;
    Some(Endpoints { local, remote })
}

/// Returns the inbound policy for the traffic that a peer wants to protect: the one with exactly this selector, or one that covers
/// it and has a mode that the peer proposes. It is returned whatever its action is.
///
/// For a transport policy with ports, KAME's racoon sends identities with the protocol and port 0. They stand for the policy with
/// narrower ports, if it is the only one, protects its packets and `may_narrow` accepts it. A policy that covers the identities and
/// has their protocol takes precedence.
///
/// # Errors
/// The inbound policies with narrower ports, if there are several and no other policy protects the traffic.
pub(crate) fn policy_for<'a>(
    spd: &'a Spd,
    outbound: &Selector,
    complex_bundle: bool,
    proposed: impl Fn(Mode) -> bool,
    may_narrow: impl Fn(&Policy) -> bool,
) -> Result<Option<&'a Policy>, Vec<&'a Policy>> {
    let inbound = outbound.mirrored();
    // A policy for just this traffic is meant for it, whatever else covers it.
    if let Some(exact) = spd.exact(Direction::In, &inbound) {
        return Ok(Some(exact));
    }
    let covering = spd.covering(Direction::In, &inbound, |policy| {
        templates(policy).is_none_or(|templates| proposed(bundle_mode(templates, complex_bundle)))
    });
    // A policy without the protocol covers the identities by accident: a narrower one may be meant.
    if covering.is_some_and(|policy| policy.selector.protocol == inbound.protocol) || !proposed(Mode::Transport) {
        return Ok(covering);
    }
    let is_transport = |policy: &Policy| {
        templates(policy).is_some_and(|templates| bundle_mode(templates, complex_bundle) == Mode::Transport)
    };
    let narrower = spd.inbound_with_ports_within(&inbound, |policy| is_transport(policy) && may_narrow(policy));
    match narrower.as_slice() {
        [] => Ok(covering),
        [policy] => Ok(Some(policy)),
        _ if covering.and_then(templates).is_some() => Ok(covering),
        _ => Err(narrower),
    }
}

/// The identity of an address or a subnet.
fn of_prefix(prefix: Prefix) -> Identity {
    if prefix.is_host() {
        Identity::address(prefix.address())
    } else {
        Identity::subnet(prefix.address(), prefix.length())
    }
}

/// The prefix that an identity stands for.
fn prefix_of(id: &Identity) -> Result<Prefix, TrafficError> {
    let malformed = || TrafficError::Data(id.kind);
    let halves = || id.data.split_at_checked(id.data.len() / 2).ok_or_else(malformed);
    match id.kind {
        IdType::IPV4_ADDR | IdType::IPV6_ADDR => address(&id.data).map(Prefix::host).ok_or_else(malformed),
        IdType::IPV4_ADDR_SUBNET | IdType::IPV6_ADDR_SUBNET => {
            let (network, mask) = halves()?;
            let network = address(network).ok_or_else(malformed)?;
            let length = mask_length(mask).ok_or_else(malformed)?;
            Ok(Prefix::new(network, length))
        }
        IdType::IPV4_ADDR_RANGE | IdType::IPV6_ADDR_RANGE => {
            let (first, last) = halves()?;
            let (first, last) = (address(first).ok_or_else(malformed)?, address(last).ok_or_else(malformed)?);
            prefix_of_range(first, last).ok_or(TrafficError::Range(first, last))
        }
        other => Err(TrafficError::Kind(other)),
    }
}

/// The smallest prefix that contains all addresses of an identity; `None` if it is not made of addresses.
pub(crate) fn enclosing_prefix(id: &Identity) -> Option<Prefix> {
    match prefix_of(id) {
        Ok(prefix) => Some(prefix),
        Err(TrafficError::Range(first, last)) => {
            (0..=128).rev().map(|length| Prefix::new(first, length)).find(|prefix| prefix.contains(Prefix::host(last)))
        }
        Err(_) => None,
    }
}

/// The address of bytes in network order.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from).map(IpAddr::from);
    v4().or_else(v6)
}

/// The prefix length of a contiguous mask.
fn mask_length(mask: &[u8]) -> Option<u8> {
    let ones: u32 = mask.iter().map(|octet| octet.count_ones()).sum();
    let mut seen = 0;
    for octet in mask {
        seen += octet.leading_ones();
        if octet.leading_ones() < 8 {
            break;
        }
    }
    if seen == ones { u8::try_from(ones).ok() } else { None }
}

/// The prefix with this first and last address, if there is one.
fn prefix_of_range(first: IpAddr, last: IpAddr) -> Option<Prefix> {
    let (low, high, bits) = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => (u128::from(first.to_bits()), u128::from(last.to_bits()), 32_u32),
        (IpAddr::V6(first), IpAddr::V6(last)) => (first.to_bits(), last.to_bits(), 128),
        _ => return None,
    };
    let hosts = low ^ high;
    // The differing bits must all be at the end, 0 in the first address and 1 in the last.
    let at_the_end = hosts.checked_add(1).is_none_or(u128::is_power_of_two);
    let length = bits.checked_sub(u128::BITS - hosts.leading_zeros())?;
    (at_the_end && low & hosts == 0).then_some(Prefix::new(first, u8::try_from(length).ok()?))
}

#[cfg(test)]
mod tests;
