use proptest::prelude::*;

use super::*;

fn net(text: &str) -> Identity {
    let (address, prefix) = text.split_once('/').unwrap();
    Identity::subnet(address.parse().unwrap(), prefix.parse().unwrap())
}

fn user(name: &str) -> Identity {
    Identity::named(IdType::USER_FQDN, name.as_bytes())
}

fn between(local: &str, remote: &str) -> Sainfo {
    let local = if local == "*" { Side::Anonymous } else { Side::Id(net(local)) };
    let remote = match remote {
        "*" => RemoteSide::Anonymous,
        "client" => RemoteSide::ClientAddress,
        text => RemoteSide::Id(net(text)),
    };
    Sainfo::new(local, remote)
}

fn from(section: Sainfo, name: &str) -> Sainfo {
    Sainfo { from: Some(Expected::exactly(&user(name))), ..section }
}

fn traffic<'a>(local: &'a Identity, remote: &'a Identity) -> SainfoQuery<'a> {
    SainfoQuery { local, remote, claimed: None, client: None, remoteid: 0 }
}

fn selected(sections: Vec<Sainfo>, traffic: &SainfoQuery<'_>) -> Option<usize> {
    Sainfos::new(sections).select(traffic).map(|index| index.0)
}

#[test]
fn the_most_specific_wins_and_the_first_of_equals() {
    let (local, remote) = (net("10.1.0.0/16"), net("10.2.0.0/16"));
    let traffic = traffic(&local, &remote);
    let sections = vec![
        between("*", "*"),
        between("*", "10.2.0.0/16"),
        between("10.1.0.0/16", "*"),
        between("10.1.0.0/16", "10.2.0.0/16"),
    ];
    assert_eq!(selected(sections.clone(), &traffic), Some(3));
    assert_eq!(selected(sections.get(..3).unwrap().to_vec(), &traffic), Some(1));
    assert_eq!(selected(sections.get(..1).unwrap().to_vec(), &traffic), Some(0));
    assert_eq!(selected(vec![between("*", "*"), between("*", "*")], &traffic), Some(0));
    assert_eq!(selected(vec![], &traffic), None);
}

#[test]
fn identities_are_equal_not_contained() {
    let (local, remote) = (net("10.1.0.0/24"), net("10.2.0.0/16"));
    assert_eq!(selected(vec![between("10.1.0.0/16", "10.2.0.0/16")], &traffic(&local, &remote)), None);
}

#[test]
fn protocols_count_and_ports_do_not() {
    let tcp = |port| net("10.1.0.0/16").with_protocol(6, port);
    let sections = vec![Sainfo::new(Side::Id(tcp(80)), RemoteSide::Anonymous)];
    let remote = net("10.2.0.0/16");
    assert_eq!(selected(sections.clone(), &traffic(&tcp(443), &remote)), Some(0));
    assert_eq!(selected(sections, &traffic(&net("10.1.0.0/16"), &remote)), None);
}

#[test]
fn a_host_is_a_subnet_with_a_full_mask() {
    let host = Identity::address("10.1.0.1".parse().unwrap());
    let remote = net("10.2.0.0/16");
    assert_eq!(selected(vec![between("10.1.0.1/32", "*")], &traffic(&host, &remote)), Some(0));
}

#[test]
fn from_and_remoteid() {
    let (local, remote) = (net("10.1.0.0/16"), net("10.2.0.0/16"));
    let joe = user("joe");
    let plain = traffic(&local, &remote);
    let is_joe = SainfoQuery { claimed: Some(Claimed::plain(&joe)), ..plain };
    let sections = vec![between("*", "*"), from(between("*", "*"), "ann"), from(between("*", "*"), "joe")];
    assert_eq!(selected(sections.clone(), &is_joe), Some(2));
    assert_eq!(selected(sections.clone(), &plain), Some(1), "nobody is known yet");
    assert_eq!(selected(sections.get(1..2).unwrap().to_vec(), &is_joe), None);
    let seven = Sainfo { remoteid: 7, ..between("*", "*") };
    assert_eq!(selected(vec![between("*", "*"), seven.clone()], &SainfoQuery { remoteid: 7, ..plain }), Some(1));
    assert_eq!(selected(vec![seven], &plain), None);
    assert_eq!(selected(vec![between("*", "*")], &SainfoQuery { remoteid: 7, ..plain }), None);
}

#[test]
fn from_an_address() {
    let (local, remote) = (net("10.1.0.0/16"), net("10.2.0.0/16"));
    let peer = Identity::address("192.0.2.1".parse().unwrap());
    let section = Sainfo { from: Some(Expected::exactly(&peer)), ..between("*", "*") };
    let claims = SainfoQuery { claimed: Some(Claimed::plain(&peer)), ..traffic(&local, &remote) };
    assert_eq!(selected(vec![section.clone()], &claims), Some(0));
    let other = Identity::address("192.0.2.2".parse().unwrap());
    assert_eq!(selected(vec![section], &SainfoQuery { claimed: Some(Claimed::plain(&other)), ..claims }), None);
}

#[test]
fn client_addresses() {
    let (local, remote) = (net("10.1.0.0/16"), net("10.99.0.7/32"));
    let plain = traffic(&local, &remote);
    let assigned = SainfoQuery { client: Some("10.99.0.7".parse().unwrap()), ..plain };
    let sections = vec![between("10.1.0.0/16", "client")];
    assert_eq!(selected(sections.clone(), &assigned), Some(0));
    assert_eq!(selected(sections.clone(), &SainfoQuery { client: Some("10.99.0.8".parse().unwrap()), ..plain }), None);
    assert_eq!(selected(sections, &plain), None, "an initiator has no client");
    let name = user("joe");
    assert_eq!(selected(vec![between("*", "client")], &traffic(&local, &name)), None);
}

#[test]
fn groups_are_asked_for_afterwards() {
    let staff = Sainfo { group: Some("staff".into()), ..between("*", "*") };
    assert!(staff.admits(|group| group == "staff"));
    assert!(!staff.admits(|_| false));
    assert!(between("*", "*").admits(|_| false));
}

/// Every sainfo asked, in order of rank.
fn scan(sections: &[Sainfo], traffic: &SainfoQuery<'_>) -> Option<usize> {
    let mut order = (0..sections.len()).collect::<Vec<_>>();
    order.sort_by_key(|at| Reverse(sections[*at].priority()));
    let same = |id: &Identity, other: &Identity| id.key() == other.key() && id.protocol == other.protocol;
    order.into_iter().find(|at| {
        let section = &sections[*at];
        let local = match &section.local {
            Side::Anonymous => true,
            Side::Id(id) => same(id, traffic.local),
        };
        let remote = match &section.remote {
            RemoteSide::Anonymous => true,
            RemoteSide::ClientAddress => {
                traffic.client.is_some_and(|client| Some(client) == traffic.remote.single_address())
            }
            RemoteSide::Id(id) => same(id, traffic.remote),
        };
        let from = match (&section.from, traffic.claimed) {
            (Some(from), Some(claimed)) => from.matches(claimed),
            _ => true,
        };
        local && remote && from && section.remoteid == traffic.remoteid
    })
}

fn identity() -> impl Strategy<Value = Identity> {
    let subnet = (0u8..3, 31u8..=32, 0u8..2).prop_map(|(number, prefix, protocol)| {
        Identity::subnet(IpAddr::from([10, 0, 0, number]), prefix).with_protocol(protocol, 0)
    });
    let host = (0u8..3, 0u16..2)
        .prop_map(|(number, port)| Identity::address(IpAddr::from([10, 0, 0, number])).with_protocol(0, port));
    prop_oneof![subnet, host]
}

fn peer() -> impl Strategy<Value = Identity> {
    prop_oneof![(0usize..3).prop_map(|at| user(["a", "ab", "b"][at])), identity()]
}

fn expected() -> impl Strategy<Value = Expected> {
    prop_oneof![
        4 => peer().prop_map(|id| Expected::exactly(&id)),
        1 => Just(Expected::Anything),
        1 => Just(Expected::Name(crate::identity::NamePattern::default())),
    ]
}

fn section() -> impl Strategy<Value = Sainfo> {
    let local = prop_oneof![Just(Side::Anonymous), identity().prop_map(Side::Id)];
    let remote =
        prop_oneof![Just(RemoteSide::Anonymous), Just(RemoteSide::ClientAddress), identity().prop_map(RemoteSide::Id)];
    (local, remote, prop::option::of(expected()), 0u32..2).prop_map(|(local, remote, from, remoteid)| Sainfo {
        from,
        remoteid,
        ..Sainfo::new(local, remote)
    })
}

proptest! {
    #[test]
    fn the_index_answers_as_a_scan_does(
        sections in prop::collection::vec(section(), 0..30), local in identity(), remote in identity(),
        claimed in prop::option::of(peer()), client in prop::option::of(0u8..3), remoteid in 0u32..2,
    ) {
        let traffic = SainfoQuery {
            local: &local,
            remote: &remote,
            claimed: claimed.as_ref().map(Claimed::plain),
            client: client.map(|number| IpAddr::from([10, 0, 0, number])),
            remoteid,
        };
        let expected = scan(&sections, &traffic);
        prop_assert_eq!(selected(sections, &traffic), expected);
    }
}
