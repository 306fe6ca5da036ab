use super::*;
use crate::kernel::TemplateLevel;
use crate::num::{IpProtocol, Protocol};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn prefix(text: &str) -> Prefix {
    let (address, length) = text.split_once('/').unwrap();
    Prefix::new(ip(address), length.parse().unwrap())
}

fn selector(source: &str, destination: &str, protocol: u8, ports: (u16, u16)) -> Selector {
    Selector {
        source: prefix(source),
        destination: prefix(destination),
        protocol,
        source_port: ports.0,
        destination_port: ports.1,
    }
}

fn template(mode: Mode, endpoints: Option<(&str, &str)>) -> Template {
    let endpoints = endpoints.map(|(local, remote)| (ip(local), ip(remote)));
    Template { protocol: Protocol::ESP, mode, level: TemplateLevel::Require, reqid: 0, endpoints }
}

const IKE: Endpoints =
    Endpoints { local: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), remote: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)) };

#[test]
fn a_tunnel_sends_its_selector() {
    let of_lan = selector("10.0.0.0/24", "10.1.0.1/32", 6, (0, 80));
    let sent = Identities::to_send(Mode::Tunnel, &of_lan, IKE);
    assert_eq!(sent.local, Identity::subnet(ip("10.0.0.0"), 24).with_protocol(6, 0));
    assert_eq!(sent.remote, Identity::address(ip("10.1.0.1")).with_protocol(6, 80));
    assert_eq!(sent.selector(), Ok(of_lan));
}

#[test]
fn transport_sends_hosts() {
    let all = selector("192.0.2.0/24", "192.0.2.0/24", 0, (0, 0));
    let tcp = selector("192.0.2.1/32", "192.0.2.2/32", 6, (0, 22));
    let other = Endpoints { local: ip("198.51.100.1"), ..IKE };
    let send = |selector, sa| Identities::to_send(Mode::Transport, selector, sa);
    let hosts = Identities { local: Identity::address(ip("192.0.2.1")), remote: Identity::address(ip("192.0.2.2")) };
    assert_eq!(send(&all, IKE), hosts, "also where they repeat the endpoints of phase 1");
    let sent = send(&tcp, IKE);
    assert_eq!((sent.local.protocol, sent.local.port, sent.remote.port), (6, 0, 22));
    assert_eq!(send(&all, other).local, Identity::address(ip("198.51.100.1")));
}

#[test]
fn identities_stand_for_prefixes() {
    let range = |first, last| Identity::range(ip(first), ip(last)).unwrap();
    for (id, expected) in [
        (Identity::address(ip("10.0.0.1")), Some("10.0.0.1/32")),
        (Identity::subnet(ip("10.0.0.0"), 9), Some("10.0.0.0/9")),
        (Identity::subnet(ip("0.0.0.0"), 0), Some("0.0.0.0/0")),
        (Identity::subnet(ip("2001:db8::"), 45), Some("2001:db8::/45")),
        (range("10.0.0.0", "10.0.0.255"), Some("10.0.0.0/24")),
        (range("10.0.0.7", "10.0.0.7"), Some("10.0.0.7/32")),
        (range("0.0.0.0", "255.255.255.255"), Some("0.0.0.0/0")),
        (range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), Some("::/0")),
        (range("2001:db8::", "2001:db8::ffff"), Some("2001:db8::/112")),
        (range("10.0.0.1", "10.0.0.255"), None),
        (range("10.0.0.0", "10.0.0.254"), None),
        (range("10.0.0.128", "10.0.1.127"), None),
        (Identity::named(IdType::FQDN, "a.example"), None),
        (Identity::named(IdType::IPV4_ADDR, [1, 2, 3]), None),
        (Identity::named(IdType::IPV4_ADDR_SUBNET, [10, 0, 0, 0, 255, 0, 255, 0]), None),
        (Identity::named(IdType::IPV4_ADDR_SUBNET, [10, 0, 0, 0, 255]), None),
    ] {
        assert_eq!(prefix_of(&id).ok(), expected.map(prefix), "{id:?}");
    }
}

#[test]
fn both_sides_are_of_one_protocol_and_family() {
    let any = Identity::address(ip("10.0.0.1"));
    let tcp = any.clone().with_protocol(6, 80);
    let both = |local: &Identity, remote: &Identity| {
        Identities { local: local.clone(), remote: remote.clone() }.selector().map(|selector| selector.protocol)
    };
    assert_eq!(both(&any, &any), Ok(0));
    assert_eq!(both(&tcp, &any), Ok(6));
    assert_eq!(both(&any, &tcp), Ok(6));
    assert_eq!(
        both(&tcp, &any.clone().with_protocol(17, 0)),
        Err(TrafficError::Protocols(IpProtocol::TCP, IpProtocol::UDP))
    );
    assert_eq!(both(&any, &Identity::address(ip("::1"))), Err(TrafficError::Families));
}

#[test]
fn a_bundles_mode() {
    let mixed = [template(Mode::Transport, None), template(Mode::Tunnel, Some(("192.0.2.1", "192.0.2.2")))];
    assert_eq!(bundle_mode(&mixed, true), Mode::Transport);
    assert_eq!(bundle_mode(&mixed, false), Mode::Tunnel);
    assert_eq!(tunnel_endpoints(&mixed), Some(IKE));
    assert_eq!(tunnel_endpoints(&mixed[..1]), None);
}

#[test]
fn a_peer_gets_the_exact_policy_or_one_that_covers_with_its_mode() {
    let mut spd = Spd::default();
    let policy = |index, selector, mode| Policy {
        index,
        direction: Direction::In,
        selector,
        action: PolicyAction::Protect(vec![template(mode, None)]),
        priority: 0,
    };
    spd.insert(policy(1, selector("10.1.0.0/16", "10.0.0.0/16", 0, (0, 0)), Mode::Tunnel));
    spd.insert(policy(2, selector("10.1.1.0/24", "10.0.1.0/24", 0, (0, 0)), Mode::Transport));
    let found = |source, destination, mode| {
        let outbound = selector(source, destination, 0, (0, 0));
        policy_for(&spd, &outbound, true, |proposed| proposed == mode, |_| true).unwrap().map(|policy| policy.index)
    };
    assert_eq!(found("10.0.0.0/16", "10.1.0.0/16", Mode::Tunnel), Some(1));
    assert_eq!(found("10.0.1.0/24", "10.1.1.0/24", Mode::Tunnel), Some(2), "exact: the proposal will tell");
    assert_eq!(found("10.0.1.1/32", "10.1.1.1/32", Mode::Transport), Some(2));
    assert_eq!(found("10.0.1.1/32", "10.1.1.1/32", Mode::Tunnel), Some(1));
    assert_eq!(found("10.0.2.1/32", "10.1.1.1/32", Mode::Transport), None);
    assert_eq!(found("10.1.0.0/16", "10.0.0.0/16", Mode::Tunnel), None);
}

/// KAME's racoon sends port 0 in place of the ports, or the ICMP type and code, of a transport policy.
#[test]
fn without_ports_a_peer_gets_the_only_policy_with_narrower_ones() {
    let policy = |index, protocol, ports, mode| Policy {
        index,
        direction: Direction::In,
        selector: selector("192.0.2.2/32", "192.0.2.1/32", protocol, ports),
        action: PolicyAction::Protect(vec![template(mode, None)]),
        priority: 0,
    };
    let transport = |index, protocol, ports| policy(index, protocol, ports, Mode::Transport);
    let found = |policies: &[Policy], protocol, ports| {
        let mut spd = Spd::default();
        policies.iter().for_each(|policy| spd.insert(policy.clone()));
        let outbound = selector("192.0.2.1/32", "192.0.2.2/32", protocol, ports);
        let found = policy_for(&spd, &outbound, true, |mode| mode == Mode::Transport, |policy| policy.index != 99);
        let found = found.map(|policy| policy.map(|policy| policy.index));
        found.map_err(|several| several.iter().map(|policy| policy.index).collect::<Vec<_>>())
    };
    let (l2tp, web, echo) = (transport(1, 17, (1701, 1701)), transport(2, 6, (0, 8080)), transport(3, 1, (8, 0)));
    let three = [l2tp.clone(), web.clone(), echo];
    assert_eq!(found(&three, 17, (0, 0)), Ok(Some(1)));
    assert_eq!(found(&three, 6, (0, 0)), Ok(Some(2)));
    assert_eq!(found(&three, 1, (0, 0)), Ok(Some(3)));
    assert_eq!(found(&three, 17, (1701, 0)), Ok(Some(1)), "one of the ports");
    assert_eq!(found(&three, 17, (1702, 0)), Ok(None), "another port");
    assert_eq!(found(&three, 132, (0, 0)), Ok(None), "another protocol");
    assert_eq!(found(&three, 0, (0, 0)), Ok(None), "any protocol");

    let wide = Policy { selector: selector("0.0.0.0/0", "0.0.0.0/0", 17, (1701, 0)), ..l2tp.clone() };
    assert_eq!(found(std::slice::from_ref(&wide), 17, (0, 0)), Ok(Some(1)), "addresses that cover the peer's");
    let same_ports = Policy { index: 4, selector: selector("0.0.0.0/0", "0.0.0.0/0", 17, (1701, 1701)), ..wide };
    assert_eq!(found(&[same_ports, l2tp.clone()], 17, (0, 0)), Ok(Some(1)), "the more specific of the same ports");

    let several = [web.clone(), transport(5, 6, (0, 443))];
    assert_eq!(found(&several, 6, (0, 0)), Err(vec![5, 2]));
    let any = transport(6, 0, (0, 0));
    assert_eq!(found(&[web.clone(), any.clone()], 6, (0, 0)), Ok(Some(2)), "before one for any protocol");
    assert_eq!(found(&[several.to_vec(), vec![any]].concat(), 6, (0, 0)), Ok(Some(6)));
    let tcp = Policy { selector: selector("192.0.2.0/24", "192.0.2.1/32", 6, (0, 0)), ..transport(7, 6, (0, 0)) };
    assert_eq!(found(&[web.clone(), tcp], 6, (0, 0)), Ok(Some(7)), "all ports come before some");

    let discards = Policy { action: PolicyAction::Discard, ..web.clone() };
    assert_eq!(found(&[discards], 6, (0, 0)), Ok(None));
    assert_eq!(found(&[policy(8, 6, (0, 8080), Mode::Tunnel)], 6, (0, 0)), Ok(None));
    assert_eq!(found(&[Policy { index: 99, ..web }], 6, (0, 0)), Ok(None), "one that may not be narrowed to");
}
