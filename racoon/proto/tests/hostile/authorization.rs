//! Peers that have proved who they are, and ask for what is another one's.

use std::net::SocketAddr;
use std::time::Duration;

use racoon_proto::config::GeneratePolicy;
use racoon_proto::identity::{Expected, Identity};
use racoon_proto::kernel::{Action, Direction, KernelEvent, Policy, Prefix, Selector};
use racoon_proto::num::{EncapsulationMode, IdType, NotifyType, PayloadType};
use racoon_proto::outcome::Cause;
use racoon_proto::wire::Notify;

use crate::puppet::{Puppet, Step};
use crate::site::{Configuration, Site, TERMS, block};

/// A gateway that generates policies for whoever has a key.
fn gateway(change: impl FnOnce(&mut Configuration)) -> Site {
    let mut configuration = Configuration::default();
    let mut anyone = block("anyone", None);
    anyone.generate_policy = GeneratePolicy::Require;
    anyone.initial_contact = false;
    configuration.anonymous = Some(anyone);
    change(&mut configuration);
    let mut site = Site::new(configuration);
    site.give_keys();
    site
}

/// A peer that wants a tunnel from its side to ours.
fn client(site: &Site, address: &str, theirs: &str, ours: &str) -> Puppet {
    let address: SocketAddr = address.parse().expect("an endpoint");
    let mut client = Puppet::new(address, site.address, true, address.ip().to_string().bytes().map(u64::from).sum());
    client.has_dpd = true;
    client.mode = EncapsulationMode::TUNNEL;
    client.traffic = Some([subnet(theirs), subnet(ours)]);
    client
}

fn subnet(text: &str) -> Identity {
    let (address, length) = text.split_once('/').expect("a prefix");
    Identity::subnet(address.parse().expect("an address"), length.parse().expect("a length"))
}

fn say(site: &mut Site, client: &mut Puppet, step: Step) {
    let draft = client.draft(step);
    let message = client.seal(&draft);
    client.has_said(&draft, &message);
    site.receive_from(client.address, &message);
    listen(site, client);
}

/// Hears what is for it; what is for others stays.
fn listen(site: &mut Site, client: &mut Puppet) {
    let (own, others) = site.sent.drain(..).partition::<Vec<_>, _>(|datagram| datagram.remote == client.address);
    site.sent.extend(others);
    for datagram in own {
        client.hear(&datagram.bytes);
    }
}

/// Phase 1, if there is none, and a quick mode; whether that comes to its end.
fn connects(site: &mut Site, client: &mut Puppet) -> bool {
    if client.is_keyed() {
        client.new_quick_mode();
    } else {
        [Step::Main1, Step::Main3, Step::Main5].into_iter().for_each(|step| say(site, client, step));
        assert!(client.has_proof, "{}", site.story());
    }
    client.heard.clear();
    let before = site.sas.len();
    say(site, client, Step::Quick1);
    if client.is_ready_for(Step::Quick3) {
        say(site, client, Step::Quick3);
    }
    site.sas.len() == before + 2
}

/// Why the last request was refused.
fn refusal(site: &Site) -> String {
    match site.failures().last() {
        Some(cause @ (Cause::NotAuthorized(_) | Cause::NoPolicy(_))) => cause.to_string(),
        other => panic!("{other:?}\n{}", site.story()),
    }
}

/// The probes among what a peer has been told.
fn probes(client: &Puppet) -> Vec<Notify> {
    let notifies = client.informed.iter().filter(|(kind, _)| *kind == PayloadType::NOTIFY);
    let notifies = notifies.filter_map(|(_, body)| Notify::parse(body).ok());
    notifies.filter(|notify| notify.kind == NotifyType::R_U_THERE).collect()
}

/// An administrator blocks what is forwarded from a network: no peer gets around it, and another one beside it gets through.
#[test]
fn a_block_of_forwarded_packets_stays() {
    let mut site = gateway(|configuration| {
        configuration.anonymous.as_mut().expect("a block").generate_policy_bounds = false;
    });
    let prefix = |text: &str| Prefix::new(text.parse().expect("an address"), 24);
    let (source, destination) = (prefix("10.3.0.0"), prefix("10.1.0.0"));
    let selector = Selector { source, destination, protocol: 0, source_port: 0, destination_port: 0 };
    let block = Policy { index: 7, direction: Direction::Forward, selector, action: Action::Discard, priority: 0 };
    site.policies.push(block.clone());
    // Whether the engine knows of it, or only the kernel.
    for is_known in [false, true] {
        if is_known {
            site.kernel(KernelEvent::Policy(block.clone()));
        }
        let port = if is_known { 501 } else { 500 };
        let mut attacker = client(&site, &format!("192.0.2.20:{port}"), "10.3.0.0/24", "10.1.0.0/24");
        assert!(!connects(&mut site, &mut attacker));
        assert!(refusal(&site).contains("another program has a policy"), "{}", refusal(&site));
        assert_eq!(site.policies, std::slice::from_ref(&block));
    }
    let mut honest = client(&site, "192.0.2.30:500", "10.4.0.0/24", "10.1.0.0/24");
    assert!(connects(&mut site, &mut honest), "{}", site.story());
    assert_eq!(site.policies.len(), 4);
    site.wind_up("a block of forwarded packets");
    assert_eq!(site.policies, [block]);
}

/// What a peer must not have under `sainfo anonymous`; afterwards it gets what is its own.
#[test]
fn what_is_somebody_elses_is_refused() {
    let mut site = gateway(|_| ());
    site.engine
        .handle_control(site.now, racoon_proto::engine::Control::HostAddresses([site.address.ip()].into()))
        .expect("our addresses");
    let mut attacker = client(&site, "192.0.2.20:500", "10.3.0.0/24", "10.1.0.0/24");
    for (theirs, why) in [
        ("0.0.0.0/0", "the peer's side is everything"),
        ("192.0.2.1/32", "an address of this host"),
        ("192.0.0.0/16", "an address of this host"),
        ("192.0.2.2/32", "the address of another remote block"),
    ] {
        attacker.traffic = Some([subnet(theirs), subnet("0.0.0.0/0")]);
        assert!(!connects(&mut site, &mut attacker), "{theirs}");
        assert!(refusal(&site).contains(why), "{theirs}: {}", refusal(&site));
    }
    attacker.mode = EncapsulationMode::TRANSPORT;
    for (theirs, ours) in
        [("192.0.2.2/32", "192.0.2.1/32"), ("0.0.0.0/0", "0.0.0.0/0"), ("192.0.2.20/32", "192.0.2.9/32")]
    {
        attacker.traffic = Some([subnet(theirs), subnet(ours)]);
        assert!(!connects(&mut site, &mut attacker), "{theirs}");
    }
    assert!(site.policies.is_empty() && site.sas.is_empty(), "{:?}", site.policies);
    attacker.traffic = None;
    assert!(connects(&mut site, &mut attacker), "{}", site.story());
    attacker.mode = EncapsulationMode::TUNNEL;
    attacker.traffic = Some([subnet("10.3.0.7/32"), subnet("0.0.0.0/0")]);
    assert!(connects(&mut site, &mut attacker), "a full tunnel: {}", site.story());
    site.wind_up("what is somebody else's");
    assert!(site.policies.is_empty());
}

/// Two want the same. The first one keeps it as long as it is alive, and is asked once; when it is dead the other gets it.
#[test]
fn who_is_dead_holds_nothing() {
    let mut site = gateway(|_| ());
    let mut first = client(&site, "192.0.2.20:500", "10.3.0.0/24", "10.1.0.0/24");
    let mut second = client(&site, "192.0.2.30:500", "10.3.0.7/32", "10.1.0.0/24");
    assert!(connects(&mut site, &mut first), "{}", site.story());
    for _ in 0..5 {
        assert!(!connects(&mut site, &mut second));
        assert!(refusal(&site).contains("10.3.0.0/24 is in use by the peer at 192.0.2.20"), "{}", refusal(&site));
    }
    listen(&mut site, &mut first);
    let asked = probes(&first);
    assert_eq!(asked.len(), 1, "{}", site.story());
    // It is alive.
    let answer = first.notify(NotifyType::R_U_THERE_ACK, &asked[0].data);
    let draft = first.informational(vec![answer]);
    site.receive_from(first.address, &first.seal(&draft));
    site.pass(Duration::from_secs(60));
    listen(&mut site, &mut first);
    assert_eq!(probes(&first).len(), 1);
    assert!(!connects(&mut site, &mut second));
    // Now it is not.
    site.pass(Duration::from_secs(60));
    assert!(connects(&mut site, &mut second), "{}", site.story());
    let sides = site.policies.iter().map(|policy| policy.selector.source.max(policy.selector.destination).to_string());
    assert_eq!(sides.collect::<Vec<_>>(), ["10.3.0.7/32"; 3]);
    site.wind_up("who is dead");
    assert!(site.policies.is_empty());
}

/// What one peer is about to get no other gets, though the kernel has not even answered: it would add policies whose
/// selectors only overlap.
#[test]
fn what_the_kernel_is_about_to_have_is_somebody_elses() {
    for theirs in ["10.3.0.0/16", "10.3.0.0/24", "10.3.0.128/25"] {
        let mut site = gateway(|_| ());
        let mut first = client(&site, "192.0.2.20:500", "10.3.0.0/24", "10.1.0.0/24");
        let mut second = client(&site, "192.0.2.30:500", theirs, "0.0.0.0/0");
        for one in [&mut first, &mut second] {
            [Step::Main1, Step::Main3, Step::Main5].into_iter().for_each(|step| say(&mut site, one, step));
        }
        site.slow_kernel = true;
        say(&mut site, &mut first, Step::Quick1);
        say(&mut site, &mut second, Step::Quick1);
        site.slow_kernel = false;
        assert!(refusal(&site).contains("is in use by the peer at 192.0.2.20"), "{theirs}: {}", refusal(&site));
        site.answer();
        site.drain();
        listen(&mut site, &mut first);
        assert!(first.is_ready_for(Step::Quick3), "{theirs}: {}", site.story());
        say(&mut site, &mut first, Step::Quick3);
        assert!(!second.is_ready_for(Step::Quick3));
        assert_eq!((site.policies.len(), site.sas.len()), (3, 2), "{theirs}: {}", site.story());
        // What is beside it the other one gets.
        second.traffic = Some([subnet("10.4.0.0/16"), subnet("0.0.0.0/0")]);
        assert!(connects(&mut site, &mut second), "{theirs}: {}", site.story());
        site.wind_up("what the kernel is about to have");
        assert!(site.policies.is_empty());
    }
}

/// Peers with tunnels of their own beside each other, and each again after its end.
#[test]
fn the_honest_get_through_beside_each_other() {
    let mut site = gateway(|_| ());
    let mut clients = (20..30)
        .map(|host| client(&site, &format!("192.0.2.{host}:500"), &format!("10.3.{host}.0/24"), "0.0.0.0/0"))
        .collect::<Vec<_>>();
    for round in 1..=3 {
        for client in &mut clients {
            assert!(connects(&mut site, client), "{round}: {}", site.story());
        }
        assert_eq!(site.policies.len(), 3 * clients.len());
    }
    site.wind_up("beside each other");
    assert!(site.policies.is_empty());
}

/// A peer whose address has a block of its own does not get another block's rights by claiming another identity, nor by
/// proposing what only the other block accepts.
#[test]
fn an_address_with_a_block_has_no_other() {
    let mut site = gateway(|configuration| {
        let own = Identity::address(configuration.peer.ip());
        configuration.remote.verify_identifier = true;
        configuration.remote.peers_identifiers = vec![Expected::exactly(&own)];
        configuration.remote.proposals[0].lifetime = TERMS.lifetime + 1;
    });
    let at_peer = |site: &Site| client(site, "192.0.2.2:500", "10.3.0.0/24", "10.1.0.0/24");
    let mut attacker = at_peer(&site);
    attacker.identity = Identity::named(IdType::FQDN, "somebody.example");
    [Step::Main1, Step::Main3, Step::Main5].into_iter().for_each(|step| say(&mut site, &mut attacker, step));
    assert!(!attacker.has_proof && site.engine.load().phase1s == 0, "{}", site.story());
    let failures = site.failures();
    let [Cause::Identity { claimed, expected }] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!(claimed, "FQDN somebody.example");
    assert!(expected.ends_with("(peers_identifier of remote block peer)"), "{expected}");

    // From elsewhere the same identity is as good as any.
    let mut elsewhere = client(&site, "192.0.2.40:500", "10.3.0.0/24", "10.1.0.0/24");
    elsewhere.identity = Identity::named(IdType::FQDN, "somebody.example");
    assert!(connects(&mut site, &mut elsewhere), "{}", site.story());
    // And the honest peer has its own block, which generates nothing.
    let mut honest = at_peer(&site);
    assert!(!connects(&mut site, &mut honest));
    assert!(honest.has_proof);
    assert!(matches!(site.failures().last(), Some(Cause::NoPolicy(_))), "{}", site.story());
    (honest.mode, honest.traffic) = (EncapsulationMode::TRANSPORT, None);
    assert!(connects(&mut site, &mut honest), "{}", site.story());
    site.wind_up("an address with a block");
}

/// What the block of the address does not accept is refused at once, though an anonymous block would accept it.
#[test]
fn the_proposals_of_another_block_are_not_accepted() {
    let mut site = gateway(|configuration| configuration.remote.proposals[0].key_length = 256);
    let mut attacker = client(&site, "192.0.2.2:500", "10.3.0.0/24", "10.1.0.0/24");
    say(&mut site, &mut attacker, Step::Main1);
    assert_eq!(site.engine.load().phase1s, 0);
    assert!(matches!(site.failures()[..], [Cause::NoProposalChosen(_)]), "{}", site.story());
    let mut elsewhere = client(&site, "192.0.2.40:500", "10.3.0.0/24", "10.1.0.0/24");
    assert!(connects(&mut site, &mut elsewhere), "{}", site.story());
    site.wind_up("another block's proposals");
}
