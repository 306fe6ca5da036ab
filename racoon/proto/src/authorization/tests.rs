//! The decision as a table: who asks for what, what is there, what is configured, and what is allowed.

use super::*;
use crate::config::{PeerAddress, RemoteAddress};
use crate::identity::Identity;
use crate::kernel::{PolicyAction, TemplateLevel};
use crate::num::{EncapsulationMode, IdType};
use crate::phase2::bundle::Bundle;
use crate::phase2::traffic::between_hosts;
use crate::select::{Remotes, Sainfos};

const US: &str = "192.0.2.1";
const PEER: &str = "192.0.2.9";
const OTHER: &str = "192.0.2.77";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn prefix(text: &str) -> Prefix {
    match text.split_once('/') {
        Some((address, length)) => Prefix::new(ip(address), length.parse().unwrap()),
        None => Prefix::host(ip(text)),
    }
}

fn id(text: &str) -> Identity {
    let prefix = prefix(text);
    if prefix.is_host() {
        Identity::address(prefix.address())
    } else {
        Identity::subnet(prefix.address(), prefix.length())
    }
}

fn name(text: &str) -> Identity {
    Identity::named(IdType::FQDN, text.as_bytes())
}

/// What differs from a peer with a key of its own, a remote section with `generate_policy on`, `sainfo anonymous`, and no policies.
struct Case {
    peer: &'static str,
    identity: Identity,
    key: KeyOwner,
    /// Our side and the peer's, as the peer asks for them.
    ids: Option<(&'static str, &'static str)>,
    mode: Mode,
    remote: Remote,
    sainfo: Sainfo,
    other_sainfos: Vec<Sainfo>,
    other_remotes: Vec<&'static str>,
    /// Others' policies.
    foreign: Vec<Policy>,
    /// For whom policies were generated: its address, what it says it is, its key, and the outbound selector.
    live: Vec<(&'static str, Identity, KeyOwner, Selector)>,
}

impl Case {
    fn new(mode: Mode, ids: Option<(&'static str, &'static str)>) -> Self {
        let mut remote = Remote::new("peer", None);
        remote.generate_policy = GeneratePolicy::Require;
        Self {
            peer: PEER,
            identity: id(PEER),
            key: KeyOwner::Peer,
            ids,
            mode,
            remote,
            sainfo: Sainfo::new(Side::Anonymous, RemoteSide::Anonymous),
            other_sainfos: Vec::new(),
            other_remotes: Vec::new(),
            foreign: Vec::new(),
            live: Vec::new(),
        }
    }

    fn tunnel(ours: &'static str, theirs: &'static str) -> Self {
        Self::new(Mode::Tunnel, Some((ours, theirs)))
    }

    fn transport(ours: &'static str, theirs: &'static str) -> Self {
        Self::new(Mode::Transport, Some((ours, theirs)))
    }

    fn foreign(mut self, policy: Policy) -> Self {
        self.foreign.push(policy);
        self
    }

    fn live(mut self, address: &'static str, identity: Identity, key: KeyOwner, theirs: &str) -> Self {
        self.live.push((address, identity, key, selector("10.1.0.0/16", theirs)));
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// What is decided, in a line.
    fn decide(&self) -> String {
        let mut spd = Spd::default();
        for (at, policy) in (8..).step_by(8).zip(&self.foreign) {
            spd.insert(Policy { index: at, ..policy.clone() });
        }
        let holders = self.live.iter().map(|(address, identity, key, outbound)| {
            let peer = PeerIdentity::new(identity.clone());
            let endpoints = Endpoints { local: ip(US), remote: ip(address) };
            (*outbound, Holder::from(&Peer { endpoints, identity: &peer, key: *key }))
        });
        let holders = holders.collect::<Vec<_>>();
        for (at, (address, _, _, outbound)) in (1000..).step_by(8).zip(&self.live) {
            for (direction, selector) in [(Direction::Out, *outbound), (Direction::In, outbound.mirrored())] {
                let endpoints = if direction == Direction::Out { (US, *address) } else { (*address, US) };
                spd.insert(Policy { index: at, ..tunnel(direction, selector, endpoints) });
            }
        }
        let holder_of = |policy: &Policy| {
            let outbound =
                if policy.direction == Direction::Out { policy.selector } else { policy.selector.mirrored() };
            holders.iter().find(|(one, _)| *one == outbound && policy.index >= 1000).map(|(_, holder)| holder)
        };
        let mut remotes = vec![self.remote.clone()];
        remotes.extend(
            self.other_remotes
                .iter()
                .map(|address| Remote::new(*address, Some(RemoteAddress::At(PeerAddress::from(ip(address)))))),
        );
        let sainfos = std::iter::once(self.sainfo.clone()).chain(self.other_sainfos.clone()).collect();
        let settings =
            Settings { remotes: Remotes::new(remotes), sainfos: Sainfos::new(sainfos), ..Settings::default() };
        let addresses = [ip(US), ip("10.1.0.1"), ip("2001:db8::1")].into();
        let environment = Environment { spd: &spd, holder_of: &holder_of, addresses: &addresses, settings: &settings };
        let identity = PeerIdentity::new(self.identity.clone());
        let endpoints = Endpoints { local: ip(US), remote: ip(self.peer) };
        let peer = Peer { endpoints, identity: &identity, key: self.key };
        let ids = self.ids.map(|(local, remote)| Identities { local: id(local), remote: id(remote) });
        let suites = [suite(self.mode)];
        let asked = TrafficRequest {
            ids: ids.as_ref(),
            selector: ids.as_ref().map_or(between_hosts(endpoints), |ids| ids.selector().unwrap()),
            suites: &suites,
            mode: self.mode,
            sainfo: &self.sainfo,
            remote_section: &self.remote,
        };
        match authorize(&environment, &peer, &asked) {
            Ok(Allowed::Existing { sa_endpoints, .. }) => format!("existing, SAs with {}", sa_endpoints.remote),
            Ok(Allowed::Generated(grant)) => {
                assert_eq!(grant.outbound(), asked.selector);
                assert_eq!(*grant.holder(), Holder::from(&peer));
                match grant.replaces().iter().map(|one| one.destination.to_string()).collect::<Vec<_>>().as_slice() {
                    [] => String::from("generated"),
                    replaced => format!("generated, replaces {}", replaced.join(" ")),
                }
            }
            Err(Denial { reason, held }) => {
                let held = held.map(|held| format!("; held: {}", held.destination)).unwrap_or_default();
                if let FailureReason::NoPolicy(missing) = &reason
                    && let MissingPolicy { traffic, problem: PolicyProblem::Missing { .. } } = &**missing
                {
                    return format!("{traffic}{held}");
                }
                let text = reason.to_string();
                // The traffic is the same in each.
                let begins = ["no policy matches ", "no policy is generated for ", "not authorized: "];
                let text = begins.iter().find_map(|begin| text.strip_prefix(begin)).unwrap_or(&text);
                format!("{}{held}", text.split_once(": ").map_or(text, |(_, why)| why))
            }
        }
    }
}

fn selector(ours: &str, theirs: &str) -> Selector {
    Selector { source: prefix(ours), destination: prefix(theirs), protocol: 0, source_port: 0, destination_port: 0 }
}

fn suite(mode: Mode) -> Suite {
    let mut sainfo = Sainfo::new(Side::Anonymous, RemoteSide::Anonymous);
    sainfo.authentication = vec![crate::num::AuthAlgorithm::HMAC_SHA256.into()];
    let endpoints = (mode == Mode::Tunnel).then_some((ip(US), ip(PEER)));
    let template = Template { protocol: Protocol::AH, mode, level: TemplateLevel::Require, reqid: 0, endpoints };
    let suite = Bundle::new(&[template], &[], &sainfo, true, false).unwrap().suite(&[1]);
    let of_suite = suite.protocols[0].transforms[0].transform.mode.plain();
    assert_eq!(of_suite == EncapsulationMode::TUNNEL, mode == Mode::Tunnel);
    suite
}

fn policy(direction: Direction, source: &str, destination: &str, action: PolicyAction) -> Policy {
    Policy { index: 0, direction, selector: selector(source, destination), action, priority: 0 }
}

fn tunnel(direction: Direction, selector: Selector, (from, to): (&str, &str)) -> Policy {
    let endpoints = Some((ip(from), ip(to)));
    let template =
        Template { protocol: Protocol::AH, mode: Mode::Tunnel, level: TemplateLevel::Require, reqid: 0, endpoints };
    Policy { index: 0, direction, selector, action: PolicyAction::Protect(vec![template]), priority: 0 }
}

fn transport(direction: Direction, source: &str, destination: &str) -> Policy {
    let template = Template {
        protocol: Protocol::AH,
        mode: Mode::Transport,
        level: TemplateLevel::Require,
        reqid: 0,
        endpoints: None,
    };
    policy(direction, source, destination, PolicyAction::Protect(vec![template]))
}

/// A sainfo that names both sides.
fn named(ours: &str, theirs: &str) -> Sainfo {
    Sainfo::new(Side::Id(id(ours)), RemoteSide::Id(id(theirs)))
}

fn from(identity: &Identity, sainfo: Sainfo) -> Sainfo {
    Sainfo { from: Some(Expected::exactly(identity)), ..sainfo }
}

#[track_caller]
fn check(cases: Vec<(Case, &str)>) {
    let decided = cases.iter().map(|(case, _)| case.decide()).collect::<Vec<_>>();
    for (at, (found, (_, expected))) in decided.iter().zip(&cases).enumerate() {
        assert!(
            found == expected || (expected.ends_with('…') && found.starts_with(expected.trim_end_matches('…'))),
            "case {at}: {found}\nexpected: {expected}\nall: {decided:#?}"
        );
    }
}

const NOT_THE_ENDS: &str = "identities in transport mode have to be the endpoints of phase 1, 192.0.2.1 and 192.0.2.9…";

#[test]
fn generated_in_transport_mode_is_for_the_ends_of_phase_1() {
    check(vec![
        (Case::new(Mode::Transport, None), "generated"),
        (Case::transport(US, PEER), "generated"),
        (Case::transport(US, OTHER), NOT_THE_ENDS),
        (Case::transport("192.0.2.2", PEER), NOT_THE_ENDS),
        (Case::transport("0.0.0.0/0", "0.0.0.0/0"), NOT_THE_ENDS),
        (Case::transport(US, "0.0.0.0/0"), NOT_THE_ENDS),
        (Case::transport(US, US), NOT_THE_ENDS),
        // The bounds are not those of transport mode.
        (Case::transport(US, OTHER).with(|case| case.remote.generate_policy_bounds = false), NOT_THE_ENDS),
        (Case::transport(US, OTHER).with(|case| case.sainfo = named(US, OTHER)), NOT_THE_ENDS),
        (
            Case::new(Mode::Transport, None).with(|case| case.remote.generate_policy = GeneratePolicy::Off),
            "192.0.2.1/32 -> 192.0.2.9/32",
        ),
    ]);
}

#[test]
fn a_policy_of_somebody_else_is_not_replaced() {
    for direction in [Direction::In, Direction::Forward, Direction::Out] {
        for action in [PolicyAction::Discard, PolicyAction::Pass] {
            let (source, destination) = if direction == Direction::Out {
                ("10.1.0.0/16", "10.3.0.0/16")
            } else {
                ("10.3.0.0/16", "10.1.0.0/16")
            };
            let foreign = policy(direction, source, destination, action);
            let expected = if direction == Direction::In {
                let what = if foreign.action == PolicyAction::Pass { "none" } else { "discard" };
                format!("its policy does not protect: 10.3.0.0/16 10.1.0.0/16 any -P in {what}")
            } else {
                format!("another program has a policy for direction {direction} with this selector")
            };
            for change in [
                (|_| ()) as fn(&mut Case),
                |case| case.remote.generate_policy_bounds = false,
                |case| case.sainfo = named("10.1.0.0/16", "10.3.0.0/16"),
            ] {
                let case = Case::tunnel("10.1.0.0/16", "10.3.0.0/16").foreign(foreign.clone()).with(change);
                assert_eq!(case.decide(), expected, "{direction}");
            }
        }
    }
}

#[test]
fn generated_in_tunnel_mode_is_for_a_side_that_is_nobody_elses() {
    const WIDEN: &str = "; name it in a sainfo if the peer may have it";
    let asks = |theirs: &'static str| Case::tunnel("10.1.0.0/16", theirs);
    let static_tunnel = |theirs: &str| tunnel(Direction::Out, selector("10.1.0.0/16", theirs), (US, OTHER));
    let all = |text: &str| format!("{text}{WIDEN}");
    check(vec![
        // What a client may have: a host, a subnet, its own address; and of ours everything.
        (asks("10.3.0.7"), "generated"),
        (asks("10.3.0.0/24"), "generated"),
        (asks(PEER), "generated"),
        (Case::tunnel("0.0.0.0/0", "10.3.0.7"), "generated"),
        (Case::tunnel("::/0", "2001:db8:7::/64"), "generated"),
        // Everything, and what is no side at all.
        (asks("0.0.0.0/0"), &all("the peer's side is everything")),
        (Case::tunnel("::/0", "::/0"), &all("the peer's side is everything")),
        (asks("127.0.0.1"), "127.0.0.1/32 is no host or subnet of unicast addresses"),
        (asks("224.0.0.0/4"), "224.0.0.0/4 is no host or subnet of unicast addresses"),
        (asks("128.0.0.0/1"), "128.0.0.0/1 is no host or subnet of unicast addresses"),
        (Case::tunnel("::/0", "::/1"), "::/1 is no host or subnet of unicast addresses"),
        (Case::tunnel("::/0", "::ffff:10.3.0.7"), "::ffff:10.3.0.7/128 is no host or subnet of unicast addresses"),
        // Link-local addresses are everybody's, but for that which the peer speaks from.
        (Case::tunnel("::/0", "fe80::1"), "fe80::1/128 has link-local addresses, which are not only the peer's"),
        (asks("169.254.0.0/16"), "169.254.0.0/16 has link-local addresses, which are not only the peer's"),
        (Case::tunnel("fe80::2", "fe80::9").with(|case| case.peer = "fe80::9"), "generated"),
        // Our own addresses.
        (asks(US), &all("192.0.2.1/32 overlaps 192.0.2.1, an address of this host")),
        (asks("10.1.0.1"), &all("10.1.0.1/32 overlaps 10.1.0.1, an address of this host")),
        (asks("10.0.0.0/8"), &all("10.0.0.0/8 overlaps 10.1.0.1, an address of this host")),
        (Case::tunnel("::/0", "2001:db8::/32"), &all("2001:db8::/32 overlaps 2001:db8::1, an address of this host")),
        // Other peers' addresses and sides.
        (
            asks(OTHER).with(|case| case.other_remotes.push(OTHER)),
            &all("192.0.2.77/32 overlaps 192.0.2.77, the address of another remote section"),
        ),
        (asks(PEER).with(|case| case.other_remotes.push(PEER)), "generated"),
        (
            asks("10.3.0.0/24").foreign(static_tunnel("10.3.0.0/16")),
            &all("10.3.0.0/24 overlaps the out policy 10.1.0.0/16 -> 10.3.0.0/16"),
        ),
        (
            asks("10.3.0.0/16").foreign(static_tunnel("10.3.7.0/24")),
            &all("10.3.0.0/16 overlaps the out policy 10.1.0.0/16 -> 10.3.7.0/24"),
        ),
        // Its side is its own whatever it wants to talk to.
        (
            Case::tunnel("10.9.0.0/16", "10.3.0.0/24").foreign(static_tunnel("10.3.0.0/16")),
            &all("10.3.0.0/24 overlaps the out policy 10.1.0.0/16 -> 10.3.0.0/16"),
        ),
        (
            asks(OTHER).foreign(static_tunnel("10.3.0.0/16")),
            &all("192.0.2.77/32 overlaps the out policy 10.1.0.0/16 -> 10.3.0.0/16"),
        ),
        (asks("10.4.0.0/24").foreign(static_tunnel("10.3.0.0/16")), "generated"),
        (
            asks("10.3.0.0/24").foreign(policy(
                Direction::Forward,
                "10.3.0.0/16",
                "10.1.0.0/16",
                PolicyAction::Discard,
            )),
            &all("10.3.0.0/24 overlaps the fwd policy 10.3.0.0/16 -> 10.1.0.0/16"),
        ),
        // What drops everything else is in nobody's way; what passes everything is.
        (
            asks("10.3.0.0/24").foreign(policy(Direction::Forward, "0.0.0.0/0", "0.0.0.0/0", PolicyAction::Discard)),
            "generated",
        ),
        (
            asks("10.3.0.0/24").foreign(policy(Direction::In, "0.0.0.0/0", "0.0.0.0/0", PolicyAction::Discard)),
            "generated",
        ),
        (
            asks("10.3.0.0/24").foreign(policy(Direction::Forward, "0.0.0.0/0", "0.0.0.0/0", PolicyAction::Pass)),
            &all("10.3.0.0/24 overlaps the fwd policy 0.0.0.0/0 -> 0.0.0.0/0"),
        ),
        (
            asks("10.3.0.0/24").foreign(policy(Direction::Out, "10.7.0.0/16", "0.0.0.0/0", PolicyAction::Discard)),
            "generated",
        ),
        (
            asks("10.3.0.0/24").foreign(policy(Direction::Out, "10.1.7.0/24", "0.0.0.0/0", PolicyAction::Discard)),
            &all("10.3.0.0/24 overlaps the out policy 10.1.7.0/24 -> 0.0.0.0/0"),
        ),
        // What a sainfo names is its own peer's.
        (
            asks("10.3.0.0/24").with(|case| case.other_sainfos.push(named("10.1.0.0/16", "10.3.0.0/16"))),
            "10.3.0.0/24 overlaps what another sainfo names as a peer's side",
        ),
        (
            asks("10.3.0.0/16")
                .with(|case| case.other_sainfos.push(from(&name("c"), named("10.1.0.0/16", "10.3.0.0/16")))),
            "10.3.0.0/16 overlaps what another sainfo names as a peer's side",
        ),
    ]);
}

#[test]
fn a_sainfo_and_a_word_of_the_configuration_widen_it() {
    let own = || Case::tunnel("10.1.0.0/16", "10.0.0.0/8");
    let by_name = |case: &mut Case| {
        case.sainfo = from(&name("road"), named("10.1.0.0/16", "10.0.0.0/8"));
        case.identity = name("road");
    };
    let verified = |case: &mut Case| {
        by_name(case);
        case.remote.peers_identifiers = vec![Expected::exactly(&name("road"))];
        case.remote.verify_identifier = true;
    };
    check(vec![
        (own().with(|case| case.sainfo = named("10.1.0.0/16", "10.0.0.0/8")), "generated"),
        (own().with(|case| case.remote.generate_policy_bounds = false), "generated"),
        // A sainfo for somebody is for who proves to be that.
        (
            own().with(by_name),
            "its sainfo is for FQDN road, but the peer does not prove that it is that (see verify_identifier)",
        ),
        (own().with(verified), "generated"),
        (
            own().with(|case| {
                verified(case);
                case.key = KeyOwner::Group;
            }),
            "its sainfo is for FQDN road, but the peer does not prove…",
        ),
        (
            own().with(|case| {
                verified(case);
                case.remote.peers_identifiers = vec![Expected::Anything];
            }),
            "its sainfo is for FQDN road, but the peer does not prove…",
        ),
        (own().with(|case| case.sainfo = from(&id(PEER), named("10.1.0.0/16", "10.0.0.0/8"))), "generated"),
    ]);
}

#[test]
fn what_another_peer_has_it_keeps() {
    use KeyOwner::{Group, Peer as Own};
    let asks = |theirs: &'static str| Case::tunnel("10.1.0.0/16", theirs);
    let any = |case: &mut Case| case.remote.generate_policy_bounds = false;
    let by_name = |case: &mut Case| case.sainfo = named("10.1.0.0/16", "10.3.0.0/24");
    check(vec![
        (
            asks("10.3.0.0/24").live(OTHER, id(OTHER), Own, "10.3.0.0/24"),
            "10.3.0.0/24 is in use by the peer at 192.0.2.77; held: 10.3.0.0/24",
        ),
        (
            asks("10.3.0.0/24").live(OTHER, id(OTHER), Own, "10.3.0.0/16"),
            "10.3.0.0/16 is in use by the peer at 192.0.2.77; held: 10.3.0.0/16",
        ),
        (
            asks("10.3.0.0/16").live(OTHER, id(OTHER), Own, "10.3.0.0/24"),
            "10.3.0.0/24 is in use by the peer at 192.0.2.77; held: 10.3.0.0/24",
        ),
        (
            asks("10.3.0.0/24").with(any).live(OTHER, id(OTHER), Own, "0.0.0.0/0"),
            "0.0.0.0/0 is in use by the peer at 192.0.2.77; held: 0.0.0.0/0",
        ),
        (asks("10.3.0.0/24").with(by_name).live(OTHER, id(OTHER), Own, "10.3.0.0/24"), "10.3.0.0/24 is in use…"),
        (
            Case::new(Mode::Transport, None).live(OTHER, id(OTHER), Own, "192.0.2.0/28"),
            "192.0.2.0/28 is in use by the peer at 192.0.2.77; held: 192.0.2.0/28",
        ),
        // The address to which another peer's tunnel goes.
        (
            asks(OTHER).live(OTHER, id(OTHER), Own, "10.3.0.0/24"),
            "10.3.0.0/24 is in use by the peer at 192.0.2.77; held: 10.3.0.0/24",
        ),
        (asks("10.4.0.0/24").live(OTHER, id(OTHER), Own, "10.3.0.0/24"), "generated"),
        // Its own: used again, or beside it; and what it had from another end of ours goes.
        (asks("10.3.0.0/24").live(PEER, id(PEER), Own, "10.3.0.0/24"), "existing, SAs with 192.0.2.9"),
        (asks("10.3.0.0/16").live(PEER, id(PEER), Own, "10.3.0.0/24"), "generated"),
        // Another one with the same key, at the same address.
        (
            asks("10.3.0.0/24").live(PEER, name("other"), Group, "10.3.0.0/24"),
            "10.3.0.0/24 is in use by the peer at 192.0.2.9; held: 10.3.0.0/24",
        ),
        (
            asks("10.3.0.0/24").live(OTHER, id(PEER), Group, "10.3.0.0/24").with(|case| case.key = Group),
            "10.3.0.0/24 is in use…",
        ),
    ]);
}

/// A peer that comes to another address of ours takes its policies with it, unless others have its key.
#[test]
fn the_same_individual_replaces_its_policies() {
    let peer_identity = PeerIdentity::new(id(PEER));
    let holder = |key, local: &str| {
        Holder::from(&Peer {
            endpoints: Endpoints { local: ip(local), remote: ip(PEER) },
            identity: &peer_identity,
            key,
        })
    };
    let outbound = selector("10.1.0.0/16", "10.3.0.0/24");
    let mut spd = Spd::default();
    spd.insert(tunnel(Direction::Out, outbound, ("192.0.2.2", PEER)));
    spd.insert(tunnel(Direction::In, outbound.mirrored(), (PEER, "192.0.2.2")));
    for (had, has, is_replaced) in [
        (KeyOwner::Peer, KeyOwner::Peer, true),
        (KeyOwner::Group, KeyOwner::Peer, false),
        (KeyOwner::Peer, KeyOwner::Group, false),
    ] {
        let holder = holder(had, "192.0.2.2");
        let (holder_of, settings, addresses) = (|_: &Policy| Some(&holder), Settings::default(), BTreeSet::new());
        let environment = Environment { spd: &spd, holder_of: &holder_of, addresses: &addresses, settings: &settings };
        let endpoints = Endpoints { local: ip(US), remote: ip(PEER) };
        let peer = Peer { endpoints, identity: &peer_identity, key: has };
        let case = Case::tunnel("10.1.0.0/16", "10.3.0.0/24");
        let suites = [suite(Mode::Tunnel)];
        let (selector, sainfo, remote) = (outbound, &case.sainfo, &case.remote);
        let asked =
            TrafficRequest { ids: None, selector, suites: &suites, mode: Mode::Tunnel, sainfo, remote_section: remote };
        match authorize(&environment, &peer, &asked) {
            Ok(Allowed::Generated(grant)) => assert!(is_replaced && *grant.replaces() == [outbound].into()),
            Err(denial) => assert!(!is_replaced && denial.held.as_deref() == Some(&outbound), "{denial:?}"),
            Ok(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_policy_in_transport_mode_is_for_the_ends_unless_a_sainfo_for_this_peer_names_others() {
    let hosts = |theirs: &'static str| {
        Case::transport(US, theirs).foreign(transport(Direction::In, "192.0.2.0/24", "192.0.2.0/24"))
    };
    let proxy = |theirs: &'static str| hosts(theirs).with(|case| case.remote.support_proxy = true);
    let tied = |sainfo: fn() -> Sainfo| move |case: &mut Case| case.sainfo = sainfo();
    check(vec![
        (hosts(PEER), "existing, SAs with 192.0.2.9"),
        (proxy(PEER), "existing, SAs with 192.0.2.9"),
        (hosts(PEER).with(|case| case.ids = None), "existing, SAs with 192.0.2.9"),
        // The attack: another one's address.
        (hosts(OTHER), NOT_THE_ENDS),
        (proxy(OTHER), NOT_THE_ENDS),
        // Between two hosts that are neither end.
        (proxy(OTHER).with(|case| case.ids = Some(("192.0.2.2", OTHER))), NOT_THE_ENDS),
        (proxy(OTHER).with(|case| case.ids = Some((US, "192.0.2.64/26"))), NOT_THE_ENDS),
        // Named, but for anybody; for this peer, but not named.
        (proxy(OTHER).with(tied(|| named(US, OTHER))), NOT_THE_ENDS),
        (
            proxy(OTHER).with(tied(|| from(&id(PEER), Sainfo::new(Side::Anonymous, RemoteSide::Anonymous)))),
            NOT_THE_ENDS,
        ),
        (
            proxy(OTHER).with(tied(|| from(&id(PEER), Sainfo::new(Side::Anonymous, RemoteSide::Id(id(OTHER)))))),
            NOT_THE_ENDS,
        ),
        (proxy(OTHER).with(tied(|| Sainfo { from: Some(Expected::Anything), ..named(US, OTHER) })), NOT_THE_ENDS),
        // Both, but who it is is only a claim.
        (
            proxy(OTHER).with(|case| {
                case.identity = name("b");
                case.sainfo = from(&name("b"), named(US, OTHER));
            }),
            NOT_THE_ENDS,
        ),
        (
            proxy(OTHER).with(|case| {
                case.key = KeyOwner::Group;
                case.sainfo = from(&id(PEER), named(US, OTHER));
            }),
            NOT_THE_ENDS,
        ),
        // Both, and without support_proxy.
        (hosts(OTHER).with(tied(|| from(&id(PEER), named(US, OTHER)))), NOT_THE_ENDS),
        // As it should be.
        (proxy(OTHER).with(tied(|| from(&id(PEER), named(US, OTHER)))), "existing, SAs with 192.0.2.77"),
        (
            proxy(OTHER).with(|case| {
                case.remote.ph1id = 7;
                case.sainfo = Sainfo { remoteid: 7, ..named(US, OTHER) };
            }),
            "existing, SAs with 192.0.2.77",
        ),
        (
            proxy(OTHER).with(|case| {
                case.identity = name("b");
                case.sainfo = from(&name("b"), named(US, OTHER));
                case.remote.peers_identifiers = vec![Expected::exactly(&name("b"))];
                case.remote.verify_identifier = true;
            }),
            "existing, SAs with 192.0.2.77",
        ),
    ]);
}

#[test]
fn a_policy_in_tunnel_mode_is_one_with_this_peer() {
    let outbound = selector("10.1.0.0/16", "10.3.0.0/16");
    let with = |end| tunnel(Direction::In, outbound.mirrored(), (end, US));
    check(vec![
        (Case::tunnel("10.1.0.0/16", "10.3.0.0/16").foreign(with(PEER)), "existing, SAs with 192.0.2.9"),
        (Case::tunnel("10.1.0.0/16", "10.3.7.0/24").foreign(with(PEER)), "existing, SAs with 192.0.2.9"),
        (Case::tunnel("10.1.0.0/16", "10.3.0.0/16").foreign(with("0.0.0.0")), "existing, SAs with 192.0.2.9"),
        (
            Case::tunnel("10.1.0.0/16", "10.3.0.0/16").foreign(with(OTHER)),
            "its tunnel is between 192.0.2.1 and 192.0.2.77, phase 1…",
        ),
    ]);
}
