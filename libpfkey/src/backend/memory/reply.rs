//! What each kernel puts into an answer, and in which order.

use std::net::SocketAddr;

use super::sad::Association;
use super::spd::StoredPolicy;
use crate::dialect::Dialect;
use crate::num::{ExtensionType, POLICY_IPSEC, POLICY_NONE, SCOPE_GLOBAL, SaState, ULPROTO_ANY};
use crate::wire::{Address, Extension, Lifetime, Policy, Sa2, SockAddr};

/// Which limits of an SA a Linux message shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShownLimits {
    Both,
    Hard,
    Soft,
}

/// An SA as GET and DUMP show it.
pub(super) fn association(dialect: Dialect, sa: &Association) -> Vec<Extension<'_>> {
    match dialect {
        Dialect::Linux => linux_association(sa, ShownLimits::Both, true),
        _ => bsd_association(dialect, sa),
    }
}

/// An SA as every message of Linux shows it; events show one limit and no keys.
pub(super) fn linux_association(sa: &Association, limits: ShownLimits, keys: bool) -> Vec<Extension<'_>> {
    use ExtensionType as T;
    let mut reply = vec![Extension::Sa(sa.sa)];
    if limits != ShownLimits::Soft {
        reply.push(Extension::Lifetime(T::LifetimeHard, sa.hard.unwrap_or_default()));
    }
    if limits != ShownLimits::Hard {
        reply.push(Extension::Lifetime(T::LifetimeSoft, sa.soft.unwrap_or_default()));
    }
    reply.push(Extension::Lifetime(T::LifetimeCurrent, sa.current));
    reply.push(Extension::Address(T::AddressSrc, sa_address(Dialect::Linux, sa.source, 0)));
    reply.push(Extension::Address(T::AddressDst, sa_address(Dialect::Linux, sa.destination, 0)));
    reply.extend(sa.proxy.map(|proxy| Extension::Address(T::AddressProxy, proxy)));
    if keys {
        // Keys of no bits, as of the null algorithms, are left out.
        let shown = |key: &&super::sad::StoredKey| key.bits != 0;
        reply.extend(sa.auth_key.as_ref().filter(shown).map(|key| Extension::Key(T::KeyAuth, key.as_key())));
        reply.extend(sa.encrypt_key.as_ref().filter(shown).map(|key| Extension::Key(T::KeyEncrypt, key.as_key())));
    }
    reply.push(Extension::Sa2(sa.sa2));
    if let Some(encapsulation) = sa.encapsulation {
        reply.push(Extension::NatTType(encapsulation.kind));
        reply.push(Extension::NatTPort(T::NatTSport, encapsulation.source_port));
        reply.push(Extension::NatTPort(T::NatTDport, encapsulation.destination_port));
    }
    reply.extend(sa.label.as_ref().map(|label| Extension::SecurityContext(label.as_context())));
    reply
}

fn bsd_association(dialect: Dialect, sa: &Association) -> Vec<Extension<'_>> {
    use ExtensionType as T;
    let (source, destination) = bsd_addresses(dialect, sa);
    let mut reply = vec![Extension::Sa(sa.sa), Extension::Sa2(sa.sa2)];
    if sa.sa.state != SaState::Larval {
        reply.extend(sa.hard.map(|lifetime| Extension::Lifetime(T::LifetimeHard, lifetime)));
        reply.extend(sa.soft.map(|lifetime| Extension::Lifetime(T::LifetimeSoft, lifetime)));
        reply.push(Extension::Lifetime(T::LifetimeCurrent, sa.current));
    }
    reply.push(Extension::Address(T::AddressSrc, source));
    reply.push(Extension::Address(T::AddressDst, destination));
    reply.extend(sa.auth_key.as_ref().map(|key| Extension::Key(T::KeyAuth, key.as_key())));
    reply.extend(sa.encrypt_key.as_ref().map(|key| Extension::Key(T::KeyEncrypt, key.as_key())));
    match sa.encapsulation {
        Some(encapsulation) => reply.extend([
            Extension::NatTType(encapsulation.kind),
            Extension::NatTPort(T::NatTSport, encapsulation.source_port),
            Extension::NatTPort(T::NatTDport, encapsulation.destination_port),
        ]),
        None if dialect == Dialect::NetBsd => reply.push(Extension::NatTType(0)),
        None => {}
    }
    reply
}

/// The expiry of an SA, with the limit that it reached.
pub(super) fn expiry(dialect: Dialect, sa: &Association, hard: bool) -> Vec<Extension<'_>> {
    use ExtensionType as T;
    if dialect == Dialect::Linux {
        return linux_association(sa, if hard { ShownLimits::Hard } else { ShownLimits::Soft }, false);
    }
    let (source, destination) = bsd_addresses(dialect, sa);
    let limit = if hard { (T::LifetimeHard, sa.hard) } else { (T::LifetimeSoft, sa.soft) };
    vec![
        Extension::Sa(sa.sa),
        Extension::Sa2(sa.sa2),
        Extension::Lifetime(T::LifetimeCurrent, sa.current),
        Extension::Lifetime(limit.0, limit.1.unwrap_or_default()),
        Extension::Address(T::AddressSrc, source),
        Extension::Address(T::AddressDst, destination),
    ]
}

/// NetBSD keeps the ports of UDP encapsulation in the addresses, which all SAs of a group have.
fn bsd_addresses(dialect: Dialect, sa: &Association) -> (Address, Address) {
    let (source, destination) = sa.group_ports;
    (sa_address(dialect, sa.source, source), sa_address(dialect, sa.destination, destination))
}

/// An end of an SA. Linux writes protocol 0 where the others write any.
pub(super) fn sa_address(dialect: Dialect, mut address: SocketAddr, port: u16) -> Address {
    address.set_port(port);
    let mut address = Address::host(SockAddr::Inet(address));
    if dialect == Dialect::Linux {
        address.proto = 0;
    }
    address
}

/// A policy as SPDGET and SPDDUMP show it, and all messages of Linux.
pub(super) fn policy(dialect: Dialect, stored: &StoredPolicy) -> Vec<Extension<'_>> {
    use ExtensionType as T;
    let addresses =
        [Extension::Address(T::AddressSrc, stored.source), Extension::Address(T::AddressDst, stored.destination)];
    let hard = |lifetime: Option<Lifetime>| Extension::Lifetime(T::LifetimeHard, lifetime.unwrap_or_default());
    let current = Extension::Lifetime(T::LifetimeCurrent, stored.current);
    let mut reply = addresses.to_vec();
    match dialect {
        Dialect::Linux => {
            let soft = Extension::Lifetime(T::LifetimeSoft, stored.soft.unwrap_or_default());
            reply.extend([hard(stored.hard), soft, current, Extension::Policy(linux_policy(&stored.policy))]);
            reply.extend(stored.label.as_ref().map(|label| Extension::SecurityContext(label.as_context())));
        }
        Dialect::FreeBsd => {
            reply.push(Extension::Policy(Policy { scope: SCOPE_GLOBAL, ..stored.policy.clone() }));
            if stored.hard.is_some_and(|hard| hard.addtime != 0 || hard.usetime != 0) {
                reply.extend([current, hard(stored.hard)]);
            }
        }
        _ => reply.push(Extension::Policy(stored.policy.clone())),
    }
    reply
}

/// Linux stores no difference between a policy without steps and none.
fn linux_policy(policy: &Policy) -> Policy {
    let mut policy = policy.clone();
    if policy.kind == POLICY_IPSEC && policy.requests.is_empty() {
        policy.kind = POLICY_NONE;
    }
    policy
}

/// What an ACQUIRE says besides its proposal.
pub(super) fn acquire(
    dialect: Dialect,
    ends: (SocketAddr, SocketAddr),
    policy: Option<&Policy>,
    sa2: Sa2,
) -> Vec<Extension<'static>> {
    use ExtensionType as T;
    let mut reply = vec![
        Extension::Address(T::AddressSrc, sa_address(dialect, ends.0, 0)),
        Extension::Address(T::AddressDst, sa_address(dialect, ends.1, 0)),
    ];
    if let Some(policy) = policy {
        reply.push(Extension::Policy(Policy { kind: POLICY_IPSEC, requests: Vec::new(), scope: 0, ..policy.clone() }));
    }
    if dialect == Dialect::FreeBsd && sa2.reqid != 0 {
        reply.push(Extension::Sa2(sa2));
    }
    reply
}

/// The wildcard of an address' family, as Linux shows an SA's empty selector.
pub(super) fn wildcard(address: SocketAddr) -> Address {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    };
    Address { proto: ULPROTO_ANY, prefix: 0, reserved: 0, sockaddr: SockAddr::Inet(any) }
}
