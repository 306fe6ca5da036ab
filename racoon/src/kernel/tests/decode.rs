//! Decoding of events.

use libpfkey::num::{LEVEL_REQUIRE, POLICY_ENTRUST, POLICY_IPSEC, ULPROTO_ANY};
use libpfkey::wire::{Address, IpsecRequest, Lifetime, Policy, Sa, SockAddr};
use libpfkey::{Abi, Dialect, Extension, ExtensionType as T, Header, Message, MessageType as M, SaType};
use racoon_proto::kernel::{Acquire, Direction, KernelEvent, Limit, Migration, Mode, Prefix, SaName};
use racoon_proto::num::Protocol;

use super::ip;
use crate::kernel::event::{DecodedEvent, decode};
use crate::kernel::policy;

fn message(dialect: Dialect, kind: M, sa_type: SaType, extensions: Vec<Extension<'static>>) -> Message<'static> {
    Message { abi: Abi::of(dialect), header: Header { seq: 33, ..Header::new(kind, sa_type) }, extensions }
}

fn end(kind: T, text: &str, prefix: u8, proto: u8, port: u16) -> Extension<'static> {
    let sockaddr = SockAddr::Inet(std::net::SocketAddr::new(ip(text), port));
    Extension::Address(kind, Address { proto, prefix, reserved: 0, sockaddr })
}

fn ends(proto: u8, port: u16) -> Vec<Extension<'static>> {
    vec![end(T::AddressSrc, "10.0.0.1", 32, proto, 0), end(T::AddressDst, "10.0.0.2", 32, proto, port)]
}

fn with_policy(mut extensions: Vec<Extension<'static>>, policy: Policy) -> Vec<Extension<'static>> {
    extensions.push(Extension::Policy(policy));
    extensions
}

fn asked() -> Policy {
    Policy { kind: POLICY_IPSEC, direction: 2, scope: 0, id: 49, priority: 0, requests: Vec::new() }
}

fn event(message: &Message<'_>) -> KernelEvent {
    match decode(message) {
        DecodedEvent::Event(event) => event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn acquires() {
    for (dialect, proto) in [(Dialect::Linux, 0), (Dialect::NetBsd, ULPROTO_ANY), (Dialect::Darwin, ULPROTO_ANY)] {
        let told = message(dialect, M::Acquire, SaType::Esp, with_policy(ends(proto, 0), asked()));
        let expected = Acquire {
            policy: Some(49),
            source: ip("10.0.0.1"),
            destination: ip("10.0.0.2"),
            protocol: Protocol::ESP,
            seq: 33,
            selector: None,
        };
        assert!(matches!(event(&told), KernelEvent::Acquire(acquire) if acquire == expected));
    }
    // FreeBSD shows the protocol and ports of the policy.
    let told = message(Dialect::FreeBsd, M::Acquire, SaType::Ah, ends(17, 53));
    let KernelEvent::Acquire(acquire) = event(&told) else { panic!("no acquire") };
    assert_eq!((acquire.policy, acquire.protocol), (None, Protocol::AH));
    let selector = acquire.selector.unwrap();
    assert_eq!((selector.protocol, selector.destination_port), (17, 53));
    assert_eq!(selector.destination, Prefix::host(ip("10.0.0.2")));
}

#[test]
fn a_changed_nat_mapping() {
    let told = |ports: bool| {
        let mut extensions = vec![Extension::Sa(Sa::named(0x1001))];
        extensions.extend(ends(0, 0));
        if ports {
            extensions.extend([Extension::NatTPort(T::NatTSport, 4500), Extension::NatTPort(T::NatTDport, 61_000)]);
        }
        message(Dialect::Linux, M::NatTNewMapping, SaType::Esp, extensions)
    };
    let KernelEvent::MappingChanged { protocol, spi, old, new } = event(&told(true)) else { panic!("no mapping") };
    assert_eq!((protocol, spi), (Protocol::ESP, 0x1001));
    assert_eq!((old, new), ("10.0.0.1:4500".parse().unwrap(), "10.0.0.2:61000".parse().unwrap()));
    assert!(matches!(decode(&told(false)), DecodedEvent::Malformed("no ports")));
}

#[test]
fn migrated_sas() {
    let request = |source: &str, destination: &str| IpsecRequest {
        proto: 50,
        mode: 2,
        level: LEVEL_REQUIRE,
        reqid: 0,
        endpoints: Some((SockAddr::from(ip(source)), SockAddr::from(ip(destination)))),
    };
    let mut policy = asked();
    policy.requests = vec![request("10.0.0.1", "10.0.0.2"), request("10.0.0.1", "10.0.0.3")];
    let DecodedEvent::Migrated(told) =
        decode(&message(Dialect::Linux, M::Migrate, SaType::Esp, with_policy(ends(0, 0), policy)))
    else {
        panic!("no migration")
    };
    let (old, new) = ((ip("10.0.0.1"), ip("10.0.0.2")), (ip("10.0.0.1"), ip("10.0.0.3")));
    assert_eq!(told, [Migration { protocol: Protocol::ESP, old, new }]);
}

#[test]
fn expiry_and_deletion() {
    let name = SaName { protocol: Protocol::ESP, source: ip("10.0.0.1"), destination: ip("10.0.0.2"), spi: 0x1001 };
    let told = |kind, spi, limits: &[T]| {
        let mut extensions = vec![Extension::Sa(Sa::named(spi))];
        extensions.extend(limits.iter().map(|limit| Extension::Lifetime(*limit, Lifetime::default())));
        extensions.extend(ends(0, 0));
        message(Dialect::Linux, kind, SaType::Esp, extensions)
    };
    let expire = |spi, limits: &[T]| decode(&told(M::Expire, spi, limits));
    let (hard, soft) = (T::LifetimeHard, T::LifetimeSoft);
    let is = |decoded, limit| matches!(decoded, DecodedEvent::Event(KernelEvent::Expire(told, reached)) if told == name && reached == limit);
    assert!(is(expire(0x1001, &[T::LifetimeCurrent, hard]), Limit::Hard));
    assert!(is(expire(0x1001, &[T::LifetimeCurrent, soft]), Limit::Soft));
    assert!(matches!(expire(0, &[hard]), DecodedEvent::Ignored), "an acquire that was given up");
    assert!(matches!(expire(0x1001, &[hard, soft]), DecodedEvent::Malformed(_)));
    assert!(matches!(event(&told(M::Delete, 0x1001, &[])), KernelEvent::Deleted(told) if told == name));
    let flush = |sa_type| decode(&message(Dialect::Linux, M::Flush, sa_type, vec![]));
    assert!(matches!(flush(SaType::Unspec), DecodedEvent::Event(KernelEvent::Flushed(None))));
    assert!(matches!(flush(SaType::IpComp), DecodedEvent::Event(KernelEvent::Flushed(Some(Protocol::IPCOMP)))));
    assert!(matches!(flush(SaType::Mip), DecodedEvent::Ignored));
}

#[test]
fn policies() {
    let told =
        |dialect, kind, policy| decode(&message(dialect, kind, SaType::Unspec, with_policy(ends(6, 80), policy)));
    for kind in [M::SpdDelete, M::SpdDelete2, M::SpdExpire] {
        let decoded = told(Dialect::Linux, kind, asked());
        assert!(
            matches!(decoded, DecodedEvent::Event(KernelEvent::PolicyDeleted(Direction::Out, gone)) if gone.protocol == 6)
        );
    }
    // The BSDs report a deletion by index with the index alone.
    let by_index = message(Dialect::NetBsd, M::SpdDelete2, SaType::Unspec, with_policy(vec![], asked()));
    assert!(matches!(decode(&by_index), DecodedEvent::PolicyDeleted(_)));
    // Per-socket policies are ignored.
    for direction in [0, 4, 5] {
        let decoded = told(Dialect::Linux, M::SpdAdd, Policy { direction, ..asked() });
        assert!(matches!(decoded, DecodedEvent::Ignored), "{direction}");
    }
    assert!(matches!(told(Dialect::NetBsd, M::SpdAdd, Policy { direction: 3, ..asked() }), DecodedEvent::Ignored));
    assert!(matches!(told(Dialect::FreeBsd, M::SpdAdd, Policy { scope: 4, ..asked() }), DecodedEvent::Ignored));
    assert!(matches!(
        told(Dialect::Linux, M::SpdAdd, Policy { kind: POLICY_ENTRUST, ..asked() }),
        DecodedEvent::Ignored
    ));
    let odd = |proto, level| {
        let requests = vec![IpsecRequest { proto, mode: 1, level, reqid: 0, endpoints: None }];
        told(Dialect::Linux, M::SpdAdd, Policy { requests, ..asked() })
    };
    assert!(matches!(odd(50, LEVEL_REQUIRE), DecodedEvent::Event(KernelEvent::Policy(_))));
    assert!(matches!(odd(4, LEVEL_REQUIRE), DecodedEvent::Malformed(_)));
    assert!(matches!(odd(50, 9), DecodedEvent::Malformed(_)));
    let flush = message(Dialect::Linux, M::SpdFlush, SaType::Unspec, vec![]);
    assert!(matches!(event(&flush), KernelEvent::PoliciesFlushed));
}

#[test]
fn mode_any_depends_on_endpoints() {
    let ends_of = |endpoints| IpsecRequest { proto: 50, mode: 0, level: LEVEL_REQUIRE, reqid: 0, endpoints };
    let tunnel = Some((SockAddr::from(ip("10.9.0.1")), SockAddr::from(ip("10.9.0.2"))));
    for (endpoints, mode) in [(None, Mode::Transport), (tunnel, Mode::Tunnel)] {
        let policy = Policy { requests: vec![ends_of(endpoints)], ..asked() };
        let told = message(Dialect::NetBsd, M::SpdAdd, SaType::Unspec, with_policy(ends(6, 0), policy));
        let policy = policy::from_message(&told).unwrap().unwrap();
        let racoon_proto::kernel::PolicyAction::Protect(templates) = policy.action else { panic!("not protected") };
        assert_eq!(templates[0].mode, mode);
    }
}

#[test]
fn malformed_messages() {
    let other = |kind| Extension::Address(kind, Address::host(SockAddr::Other { family: 99 }));
    let mixed = vec![end(T::AddressSrc, "10.0.0.1", 32, 0, 0), end(T::AddressDst, "::1", 128, 0, 0)];
    for extensions in [vec![], vec![other(T::AddressSrc), other(T::AddressDst)], mixed] {
        for kind in [M::Acquire, M::SpdAdd, M::SpdDelete] {
            let told = message(Dialect::Linux, kind, SaType::Esp, with_policy(extensions.clone(), asked()));
            assert!(matches!(decode(&told), DecodedEvent::Malformed(_)), "{kind:?} {extensions:?}");
        }
    }
    for kind in
        [M::Acquire, M::Expire, M::NatTNewMapping, M::Delete, M::SpdAdd, M::SpdUpdate, M::SpdDelete, M::SpdExpire]
    {
        let told = message(Dialect::Linux, kind, SaType::Esp, vec![]);
        assert!(matches!(decode(&told), DecodedEvent::Malformed(_)), "{kind:?}");
        let mut failed = told;
        failed.header.errno = 1;
        assert!(matches!(decode(&failed), DecodedEvent::Ignored));
    }
    for kind in [M::Add, M::Update, M::GetSpi, M::Register, M::Other(0), M::Other(27), M::Other(255)] {
        let told = message(Dialect::Linux, kind, SaType::Esp, vec![]);
        assert!(matches!(decode(&told), DecodedEvent::Ignored), "{kind:?}");
    }
}
