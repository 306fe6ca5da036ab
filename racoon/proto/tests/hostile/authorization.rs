//! Authenticated peers that request the traffic of others.

use std::net::SocketAddr;
use std::time::Duration;

use racoon_proto::config::GeneratePolicy;
use racoon_proto::identity::{Expected, Identity};
use racoon_proto::kernel::{Direction, KernelEvent, Policy, PolicyAction, Prefix, Selector};
use racoon_proto::num::{EncapsulationMode, IdType, NotifyType, PayloadType};
use racoon_proto::reason::{ExpectedIdentity, FailureReason};
use racoon_proto::wire::Notify;

use crate::fixture::{Configuration, Fixture, TERMS, remote_section};
use crate::scripted_peer::{ScriptedPeer, Step};

/// A gateway that generates policies for all peers that have a key.
fn gateway(change: impl FnOnce(&mut Configuration)) -> Fixture {
    let mut configuration = Configuration::default();
    let mut anyone = remote_section("anyone", None);
    anyone.generate_policy = GeneratePolicy::Require;
    anyone.initial_contact = false;
    configuration.anonymous = Some(anyone);
    change(&mut configuration);
    let mut fixture = Fixture::new(configuration);
    fixture.give_keys();
    fixture
}

/// A peer that requests a tunnel between its side and ours.
fn client(fixture: &Fixture, address: &str, theirs: &str, ours: &str) -> ScriptedPeer {
    let address: SocketAddr = address.parse().expect("an endpoint");
    let mut client =
        ScriptedPeer::new(address, fixture.address, true, address.ip().to_string().bytes().map(u64::from).sum());
    client.has_dpd = true;
    client.mode = EncapsulationMode::TUNNEL;
    client.traffic = Some([subnet(theirs), subnet(ours)]);
    client
}

fn subnet(text: &str) -> Identity {
    let (address, length) = text.split_once('/').expect("a prefix");
    Identity::subnet(address.parse().expect("an address"), length.parse().expect("a length"))
}

fn say(fixture: &mut Fixture, client: &mut ScriptedPeer, step: Step) {
    let draft = client.draft(step);
    let message = client.seal(&draft);
    client.has_said(&draft, &message);
    fixture.receive_from(client.address, &message);
    listen(fixture, client);
}

/// Receives the datagrams for this peer, and leaves those for others.
fn listen(fixture: &mut Fixture, client: &mut ScriptedPeer) {
    let (own, others) =
        fixture.sent.drain(..).partition::<Vec<_>, _>(|datagram| datagram.path.remote == client.address);
    fixture.sent.extend(others);
    for datagram in own {
        client.hear(&datagram.bytes);
    }
}

/// Negotiates phase 1, if there is none, and a quick mode. Returns whether SAs are established.
fn connects(fixture: &mut Fixture, client: &mut ScriptedPeer) -> bool {
    if client.is_keyed() {
        client.new_quick_mode();
    } else {
        [Step::Main1, Step::Main3, Step::Main5].into_iter().for_each(|step| say(fixture, client, step));
        assert!(client.has_proof, "{}", fixture.log_text());
    }
    client.heard.clear();
    let before = fixture.sas.len();
    say(fixture, client, Step::Quick1);
    if client.is_ready_for(Step::Quick3) {
        say(fixture, client, Step::Quick3);
    }
    fixture.sas.len() == before + 2
}

/// Returns the reason why the last request was refused.
fn refusal(fixture: &Fixture) -> String {
    match fixture.failures().last() {
        Some(cause @ (FailureReason::NotAuthorized(_) | FailureReason::NoPolicy(_))) => cause.to_string(),
        other => panic!("{other:?}\n{}", fixture.log_text()),
    }
}

/// Returns the probes among the messages to a peer.
fn probes(client: &ScriptedPeer) -> Vec<Notify> {
    let notifies = client.informed.iter().filter(|(kind, _)| *kind == PayloadType::NOTIFY);
    let notifies = notifies.filter_map(|(_, body)| Notify::parse(body).ok());
    notifies.filter(|notify| notify.kind == NotifyType::R_U_THERE).collect()
}

/// An administrator's policy that discards forwarded packets of a network stays in force, and a peer with another network is accepted.
#[test]
fn a_block_of_forwarded_packets_stays() {
    let mut fixture = gateway(|configuration| {
        configuration.anonymous.as_mut().expect("a section").generate_policy_bounds = false;
    });
    let prefix = |text: &str| Prefix::new(text.parse().expect("an address"), 24);
    let (source, destination) = (prefix("10.3.0.0"), prefix("10.1.0.0"));
    let selector = Selector { source, destination, protocol: 0, source_port: 0, destination_port: 0 };
    let remote =
        Policy { index: 7, direction: Direction::Forward, selector, action: PolicyAction::Discard, priority: 0 };
    fixture.policies.push(remote.clone());
    // Once the engine knows the policy, and once only the kernel does.
    for is_known in [false, true] {
        if is_known {
            fixture.kernel(KernelEvent::Policy(remote.clone()));
        }
        let port = if is_known { 501 } else { 500 };
        let mut attacker = client(&fixture, &format!("192.0.2.20:{port}"), "10.3.0.0/24", "10.1.0.0/24");
        assert!(!connects(&mut fixture, &mut attacker));
        assert!(refusal(&fixture).contains("another program has a policy"), "{}", refusal(&fixture));
        assert_eq!(fixture.policies, std::slice::from_ref(&remote));
    }
    let mut honest = client(&fixture, "192.0.2.30:500", "10.4.0.0/24", "10.1.0.0/24");
    assert!(connects(&mut fixture, &mut honest), "{}", fixture.log_text());
    assert_eq!(fixture.policies.len(), 4);
    fixture.wind_up("a block of forwarded packets");
    assert_eq!(fixture.policies, [remote]);
}

/// Requests that are refused under `sainfo anonymous`. Afterwards the peer gets its own traffic.
#[test]
fn what_is_somebody_elses_is_refused() {
    let mut fixture = gateway(|_| ());
    fixture
        .engine
        .handle_control(fixture.now, racoon_proto::engine::Control::HostAddresses([fixture.address.ip()].into()))
        .expect("our addresses");
    let mut attacker = client(&fixture, "192.0.2.20:500", "10.3.0.0/24", "10.1.0.0/24");
    for (theirs, why) in [
        ("0.0.0.0/0", "the peer's side is everything"),
        ("192.0.2.1/32", "an address of this host"),
        ("192.0.0.0/16", "an address of this host"),
        ("192.0.2.2/32", "the address of another remote section"),
    ] {
        attacker.traffic = Some([subnet(theirs), subnet("0.0.0.0/0")]);
        assert!(!connects(&mut fixture, &mut attacker), "{theirs}");
        assert!(refusal(&fixture).contains(why), "{theirs}: {}", refusal(&fixture));
    }
    attacker.mode = EncapsulationMode::TRANSPORT;
    for (theirs, ours) in
        [("192.0.2.2/32", "192.0.2.1/32"), ("0.0.0.0/0", "0.0.0.0/0"), ("192.0.2.20/32", "192.0.2.9/32")]
    {
        attacker.traffic = Some([subnet(theirs), subnet(ours)]);
        assert!(!connects(&mut fixture, &mut attacker), "{theirs}");
    }
    assert!(fixture.policies.is_empty() && fixture.sas.is_empty(), "{:?}", fixture.policies);
    attacker.traffic = None;
    assert!(connects(&mut fixture, &mut attacker), "{}", fixture.log_text());
    attacker.mode = EncapsulationMode::TUNNEL;
    attacker.traffic = Some([subnet("10.3.0.7/32"), subnet("0.0.0.0/0")]);
    assert!(connects(&mut fixture, &mut attacker), "a full tunnel: {}", fixture.log_text());
    fixture.wind_up("what is somebody else's");
    assert!(fixture.policies.is_empty());
}

/// Two peers request the same traffic. The first one keeps it while it answers probes, of which one is sent; when it is dead, the
/// other one gets the traffic.
#[test]
fn who_is_dead_holds_nothing() {
    let mut fixture = gateway(|_| ());
    let mut first = client(&fixture, "192.0.2.20:500", "10.3.0.0/24", "10.1.0.0/24");
    let mut second = client(&fixture, "192.0.2.30:500", "10.3.0.7/32", "10.1.0.0/24");
    assert!(connects(&mut fixture, &mut first), "{}", fixture.log_text());
    for _ in 0..5 {
        assert!(!connects(&mut fixture, &mut second));
        assert!(refusal(&fixture).contains("10.3.0.0/24 is in use by the peer at 192.0.2.20"), "{}", refusal(&fixture));
    }
    listen(&mut fixture, &mut first);
    let asked = probes(&first);
    assert_eq!(asked.len(), 1, "{}", fixture.log_text());
    // The first peer is alive.
    let answer = first.notify(NotifyType::R_U_THERE_ACK, &asked[0].data);
    let draft = first.informational(vec![answer]);
    fixture.receive_from(first.address, &first.seal(&draft));
    fixture.pass(Duration::from_secs(60));
    listen(&mut fixture, &mut first);
    assert_eq!(probes(&first).len(), 1);
    assert!(!connects(&mut fixture, &mut second));
    // Now it is dead.
    fixture.pass(Duration::from_secs(60));
    assert!(connects(&mut fixture, &mut second), "{}", fixture.log_text());
    let sides =
        fixture.policies.iter().map(|policy| policy.selector.source.max(policy.selector.destination).to_string());
    assert_eq!(sides.collect::<Vec<_>>(), ["10.3.0.7/32"; 3]);
    fixture.wind_up("who is dead");
    assert!(fixture.policies.is_empty());
}

/// Traffic that was granted to one peer is refused to others even before the kernel has answered. The kernel would accept policies
/// whose selectors merely overlap.
#[test]
fn what_the_kernel_is_about_to_have_is_somebody_elses() {
    for theirs in ["10.3.0.0/16", "10.3.0.0/24", "10.3.0.128/25"] {
        let mut fixture = gateway(|_| ());
        let mut first = client(&fixture, "192.0.2.20:500", "10.3.0.0/24", "10.1.0.0/24");
        let mut second = client(&fixture, "192.0.2.30:500", theirs, "0.0.0.0/0");
        for one in [&mut first, &mut second] {
            [Step::Main1, Step::Main3, Step::Main5].into_iter().for_each(|step| say(&mut fixture, one, step));
        }
        fixture.slow_kernel = true;
        say(&mut fixture, &mut first, Step::Quick1);
        say(&mut fixture, &mut second, Step::Quick1);
        fixture.slow_kernel = false;
        assert!(refusal(&fixture).contains("is in use by the peer at 192.0.2.20"), "{theirs}: {}", refusal(&fixture));
        fixture.answer();
        fixture.drain();
        listen(&mut fixture, &mut first);
        assert!(first.is_ready_for(Step::Quick3), "{theirs}: {}", fixture.log_text());
        say(&mut fixture, &mut first, Step::Quick3);
        assert!(!second.is_ready_for(Step::Quick3));
        assert_eq!((fixture.policies.len(), fixture.sas.len()), (3, 2), "{theirs}: {}", fixture.log_text());
        // The other peer gets traffic that does not overlap.
        second.traffic = Some([subnet("10.4.0.0/16"), subnet("0.0.0.0/0")]);
        assert!(connects(&mut fixture, &mut second), "{theirs}: {}", fixture.log_text());
        fixture.wind_up("what the kernel is about to have");
        assert!(fixture.policies.is_empty());
    }
}

/// Peers with separate tunnels do not affect each other, and each gets its tunnel again after it has ended.
#[test]
fn the_honest_get_through_beside_each_other() {
    let mut fixture = gateway(|_| ());
    let mut clients = (20..30)
        .map(|host| client(&fixture, &format!("192.0.2.{host}:500"), &format!("10.3.{host}.0/24"), "0.0.0.0/0"))
        .collect::<Vec<_>>();
    for round in 1..=3 {
        for client in &mut clients {
            assert!(connects(&mut fixture, client), "{round}: {}", fixture.log_text());
        }
        assert_eq!(fixture.policies.len(), 3 * clients.len());
    }
    fixture.wind_up("beside each other");
    assert!(fixture.policies.is_empty());
}

/// A peer whose address has a remote section does not get another section's rights by claiming another identity, nor by a proposal
/// that only the other section accepts.
#[test]
fn an_address_with_a_remote_section_has_no_other() {
    let mut fixture = gateway(|configuration| {
        let own = Identity::address(configuration.peer.ip());
        configuration.remote.verify_identifier = true;
        configuration.remote.peers_identifiers = vec![Expected::exactly(&own)];
        configuration.remote.proposals[0].lifetime = TERMS.lifetime + 1;
    });
    let at_peer = |fixture: &Fixture| client(fixture, "192.0.2.2:500", "10.3.0.0/24", "10.1.0.0/24");
    let mut attacker = at_peer(&fixture);
    attacker.identity = Identity::named(IdType::FQDN, "somebody.example");
    [Step::Main1, Step::Main3, Step::Main5].into_iter().for_each(|step| say(&mut fixture, &mut attacker, step));
    assert!(!attacker.has_proof && fixture.engine.load().phase1s == 0, "{}", fixture.log_text());
    let failures = fixture.failures();
    let [FailureReason::Identity { claimed, expected }] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!(*claimed, attacker.identity);
    assert!(matches!(&expected[..], [ExpectedIdentity { remote, .. }] if remote == "peer"), "{expected:?}");

    // From another address, the same identity is accepted.
    let mut elsewhere = client(&fixture, "192.0.2.40:500", "10.3.0.0/24", "10.1.0.0/24");
    elsewhere.identity = Identity::named(IdType::FQDN, "somebody.example");
    assert!(connects(&mut fixture, &mut elsewhere), "{}", fixture.log_text());
    // The honest peer has its own section, which generates no policies.
    let mut honest = at_peer(&fixture);
    assert!(!connects(&mut fixture, &mut honest));
    assert!(honest.has_proof);
    assert!(matches!(fixture.failures().last(), Some(FailureReason::NoPolicy(_))), "{}", fixture.log_text());
    (honest.mode, honest.traffic) = (EncapsulationMode::TRANSPORT, None);
    assert!(connects(&mut fixture, &mut honest), "{}", fixture.log_text());
    fixture.wind_up("an address with a remote");
}

/// A proposal that the section of the address does not accept is refused at once, although an anonymous section would accept it.
#[test]
fn the_proposals_of_another_remote_section_are_not_accepted() {
    let mut fixture = gateway(|configuration| configuration.remote.proposals[0].key_length = 256);
    let mut attacker = client(&fixture, "192.0.2.2:500", "10.3.0.0/24", "10.1.0.0/24");
    say(&mut fixture, &mut attacker, Step::Main1);
    assert_eq!(fixture.engine.load().phase1s, 0);
    assert!(matches!(fixture.failures()[..], [FailureReason::NoProposalChosen(_)]), "{}", fixture.log_text());
    let mut elsewhere = client(&fixture, "192.0.2.40:500", "10.3.0.0/24", "10.1.0.0/24");
    assert!(connects(&mut fixture, &mut elsewhere), "{}", fixture.log_text());
    fixture.wind_up("another remote's proposals");
}
