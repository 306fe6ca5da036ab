use expect_test::{Expect, expect};

use super::*;
use crate::dump::{is_socket_policy, policy_entry};
use crate::wire::{IpsecRequest, Policy};

fn end(kind: T, text: &str, prefix: u8, proto: u8) -> Extension<'static> {
    Extension::Address(kind, Address { proto, prefix, reserved: 0, sockaddr: socket(text) })
}

/// A selector: source, destination, their prefixes, protocol.
fn selector(source: (&str, u8), destination: (&str, u8), proto: u8) -> Vec<Extension<'static>> {
    vec![end(T::AddressSrc, source.0, source.1, proto), end(T::AddressDst, destination.0, destination.1, proto)]
}

fn policy(kind: u16, priority: u32, requests: Vec<IpsecRequest>) -> Policy {
    Policy { kind, direction: 2, scope: 0, id: 0x11, priority, requests }
}

fn request(proto: u16, level: u8, reqid: u32) -> IpsecRequest {
    IpsecRequest { proto, mode: 1, level, reqid, endpoints: None }
}

fn entry(mut extensions: Vec<Extension<'static>>, policy: Policy) -> Message<'static> {
    extensions.push(Extension::Policy(policy));
    message(MessageType::SpdDump, SaType::Unspec, extensions)
}

fn text(message: &Message<'_>, ports: bool) -> String {
    let mut out = String::new();
    policy_entry(&mut out, message, &Options { ports, now: 0 });
    without_times(&out)
}

#[track_caller]
fn prints(message: &Message<'_>, ports: bool, expected: &Expect) {
    expected.assert_eq(&text(message, ports));
}

/// The first line: what the selector looks like.
fn first(source: (&str, u8), destination: (&str, u8), proto: u8) -> String {
    let text = text(&entry(selector(source, destination, proto), policy(1, 0, vec![])), false);
    text.lines().next().unwrap().to_owned()
}

#[test]
fn tunnel_and_transport() {
    let tunnel = IpsecRequest {
        mode: 2,
        endpoints: Some((socket("172.16.0.1:4500"), socket("172.16.0.2:0"))),
        ..request(50, 3, 5)
    };
    let requests = vec![tunnel, request(51, 2, 0), request(108, 1, 0), request(50, 0, 0), request(50, 3, 0x4000)];
    let mut message = entry(selector(("10.1.0.0:0", 16), ("10.2.0.1:80", 32), 6), policy(2, 0x8000_0000, requests));
    prints(
        &message,
        false,
        &expect![[r#"
        10.1.0.0/16[any] 10.2.0.1[80] tcp
        	out prio def ipsec
        	esp/tunnel/172.16.0.1-172.16.0.2/unique:5
        	ah/transport//require
        	ipcomp/transport//use
        	esp/transport//default
        	esp/transport//unique#16384
        	spid=17 seq=3 pid=77
        	refcnt=1
    "#]],
    );
    message
        .extensions
        .push(Extension::Lifetime(T::LifetimeCurrent, Lifetime { addtime: THEN, usetime: 0, ..Lifetime::default() }));
    let hard = Lifetime { addtime: 3600, usetime: 600, ..Lifetime::default() };
    message.extensions.push(Extension::Lifetime(T::LifetimeHard, hard));
    let label = SecurityContext { algorithm: 1, doi: 1, label: b"a:b:c\0" };
    message.extensions.push(Extension::SecurityContext(label));
    prints(
        &message,
        true,
        &expect![[r#"
        10.1.0.0/16[any] 10.2.0.1[80] tcp
        	out prio def ipsec
        	esp/tunnel/172.16.0.1[4500]-172.16.0.2[0]/unique:5
        	ah/transport//require
        	ipcomp/transport//use
        	esp/transport//default
        	esp/transport//unique#16384
        	created: <then>  lastused:                     
        	lifetime: 3600(s) validtime: 600(s)
        	security context doi: 1
        	security context algorithm: 1
        	security context length: 6
        	security context: a:b:c
        	spid=17 seq=3 pid=77
        	refcnt=1
    "#]],
    );
}

#[test]
fn selectors() {
    // Protocol 253 has a name in no table, so that these hold everywhere.
    assert_eq!(first(("10.0.0.1:0", 32), ("10.0.0.2:0", 32), 253), "10.0.0.1[any] 10.0.0.2[any] 253");
    assert_eq!(first(("0.0.0.0:7", 0), ("10.0.0.0:0", 8), 253), "0.0.0.0/0[7] 10.0.0.0/8[any] 253");
    assert_eq!(first(("[::]:0", 0), ("[2001:db8::1]:53", 128), 253), "::/0[any] 2001:db8::1[53] 253");
    assert_eq!(first(("[2001:db8::]:0", 32), ("[::]:9", 1), 253), "2001:db8::/32[any] ::/1[9] 253");
    assert_eq!(first(("10.0.0.1:0", 32), ("10.0.0.2:0", 32), 6), "10.0.0.1[any] 10.0.0.2[any] tcp");
}

#[test]
fn icmp_gre_and_mobility_have_no_ports() {
    assert_eq!(first(("10.0.0.1:8", 32), ("10.0.0.2:0", 32), 1), "10.0.0.1 10.0.0.2 icmp 8,0");
    assert_eq!(first(("10.0.0.1:0", 32), ("10.0.0.0:0", 24), 1), "10.0.0.1 10.0.0.0/24 icmp");
    assert_eq!(first(("10.0.0.1:2312", 32), ("10.0.0.2:1798", 32), 47), "10.0.0.1 10.0.0.2 gre 151521030");
    let icmp6 = first(("[::]:136", 0), ("[::]:0", 0), 58);
    assert!(icmp6.starts_with("::/0 ::/0 ") && icmp6.ends_with(" 136,0"), "{icmp6}");
    let mobility = first(("[::1]:1", 128), ("[::2]:2", 128), 135);
    assert!(mobility.starts_with("::1 ::2 ") && mobility.ends_with(" 1,2"), "{mobility}");
}

#[test]
fn priorities_and_types() {
    let second = |kind, priority| {
        let message = entry(selector(("10.0.0.1:0", 32), ("10.0.0.2:0", 32), 17), policy(kind, priority, vec![]));
        text(&message, false).lines().nth(1).unwrap().to_owned()
    };
    assert_eq!(second(0, 0), "\tout discard");
    assert_eq!(second(1, 0x8000_0000), "\tout prio def none");
    assert_eq!(second(2, 0x7fff_fff6), "\tout prio def + 10 ipsec");
    assert_eq!(second(3, 0x8000_000a), "\tout prio def - 10 entrust");
    assert_eq!(second(4, 0x4000_0000), "\tout prio high bypass");
    assert_eq!(second(2, 1), "\tout prio high + 1073741823 ipsec");
    assert_eq!(second(2, 0x5fff_ffff), "\tout prio high - 536870911 ipsec");
    assert_eq!(second(2, 0x6000_0000), "\tout prio def + 536870912 ipsec");
    assert_eq!(second(2, 0x9fff_ffff), "\tout prio def - 536870911 ipsec");
    assert_eq!(second(2, 0xa000_0000), "\tout prio low + 536870912 ipsec");
    assert_eq!(second(2, u32::MAX), "\tout prio low - 1073741823 ipsec");
    assert_eq!(second(9, 0), "\tPolicy:[ERR]");
}

#[test]
fn policies_of_freebsd() {
    let shown = |scope, priority| {
        let selector = selector(("10.1.1.1:0", 32), ("10.20.1.1:0", 32), 255);
        let policy = Policy { scope, ..policy(2, priority, vec![request(50, 1, 0)]) };
        text(&Message { abi: FREEBSD, ..entry(selector, policy) }, false)
    };
    expect![[r#"
        10.1.1.1[any] 10.20.1.1[any] any
        	out ipsec
        	esp/transport//use
        	spid=17 seq=3 pid=77 scope=global
        	refcnt=1
    "#]]
    .assert_eq(&shown(1, 0));
    assert_eq!(shown(1, 0x4000_0000), shown(1, 0), "its priority is not a part of the text");
    assert!(shown(2, u32::MAX).contains(" pid=77 scope=ifnet ifname=#4294967295\n"), "{}", shown(2, u32::MAX));
    assert!(shown(4, 0).contains(" pid=77 scope=pcb\n"), "{}", shown(4, 0));
    // Before 11.1 there were no scopes.
    assert!(shown(0, 0).contains(" pid=77\n"), "{}", shown(0, 0));
}

#[test]
fn protocols_of_netbsd() {
    let netbsd = Abi { dialect: Dialect::NetBsd, ..LINUX };
    for (proto, name) in [(4, "4(ipv4)"), (255, "255(reserved)"), (6, "6(tcp)"), (253, "253")] {
        let selector = selector(("10.0.0.1:0", 32), ("10.0.0.2:0", 32), proto);
        let text = text(&Message { abi: netbsd, ..entry(selector, policy(1, 0, vec![])) }, false);
        assert!(text.starts_with(&format!("10.0.0.1[any] 10.0.0.2[any] {name}\n\tout none\n")), "{text}");
    }
}

#[test]
fn socket_policies() {
    let direction = |id, direction| {
        let policy = Policy { id, direction, ..policy(4, 0, vec![]) };
        entry(selector(("0.0.0.0:0", 0), ("0.0.0.0:0", 0), 255), policy)
    };
    prints(
        &direction(0x13, 4),
        false,
        &expect![[r#"
        (per-socket policy) 
        	in(socket) bypass
        	spid=19 seq=3 pid=77
        	refcnt=1
    "#]],
    );
    assert!(text(&direction(0x14, 5), false).starts_with("(per-socket policy) \n\tout(socket) bypass\n"));
    assert!(!is_socket_policy(&direction(0x12, 3)));
    let bsd = Message { abi: FREEBSD, ..entry(vec![], policy(3, 0, vec![])) };
    assert!(is_socket_policy(&bsd));
    assert!(text(&bsd, false).starts_with("(no selector, probably per-socket policy) \n\tout entrust\n"));
    assert!(!is_socket_policy(&Message { abi: FREEBSD, ..direction(0x13, 1) }));
}

#[test]
fn what_cannot_be_printed() {
    let missing = message(MessageType::SpdDump, SaType::Unspec, vec![]);
    assert_eq!(text(&missing, false), "no X_POLICY extension.\n");
    let mismatch = vec![end(T::AddressSrc, "10.0.0.1:0", 32, 6), end(T::AddressDst, "10.0.0.2:0", 32, 17)];
    assert_eq!(text(&entry(mismatch, policy(1, 0, vec![])), false), "upper layer protocol mismatched.\n");
    let other = Address { proto: 253, prefix: 0, reserved: 0, sockaddr: SockAddr::Other { family: 9 } };
    let others = vec![Extension::Address(T::AddressSrc, other), Extension::Address(T::AddressDst, other)];
    assert!(text(&entry(others, policy(1, 0, vec![])), false).starts_with("unknown-af unknown-af 253\n"));
    let host = || selector(("10.0.0.1:0", 32), ("10.0.0.2:0", 32), 17);
    for request in [request(49, 2, 0), request(50, 4, 0), IpsecRequest { mode: 3, ..request(50, 2, 0) }] {
        assert!(text(&entry(host(), policy(2, 0, vec![request])), false).contains("\n\tPolicy:[ERR]\n\tspid=17 "));
    }
    // Directions that one system has are errors elsewhere; so are priorities, which are reserved there.
    let forward = entry(host(), Policy { direction: 3, ..policy(1, 0, vec![]) });
    assert!(text(&forward, false).contains("\n\tfwd none\n"));
    assert!(text(&Message { abi: FREEBSD, ..forward }, false).contains("\n\tPolicy:[ERR]\n"));
    let netbsd = Abi { dialect: Dialect::NetBsd, ..LINUX };
    let reserved = Message { abi: netbsd, ..entry(host(), policy(1, 0x8000_0000, vec![])) };
    assert!(text(&reserved, false).contains("\n\tout none\n"));
}
