//! Quick mode, as it should go.

use super::*;
use crate::config::Esn;
use crate::kernel::Lifetime;
use crate::num::Group;
use crate::reason::Negotiation;

#[test]
fn a_packet_brings_up_a_pair() {
    let net = Net::up(hosts(), &transport(), &sainfo());
    for (host, role) in [(&net.world.a, "initiate"), (&net.world.b, "respond")] {
        let lines = host.lines(Level::Info);
        let peer =
            if role == "initiate" { "192.0.2.1[500]<=>192.0.2.2[500]" } else { "192.0.2.2[500]<=>192.0.2.1[500]" };
        assert!(lines.contains(&format!("{role} new phase 2 negotiation: {peer}").as_str()), "{lines:?}");
        assert!(host.event_kinds().contains(&EventKind::Phase2Up));
        assert_eq!(host.endings(), [NegotiationResult::Established, NegotiationResult::Established]);
    }
    let lines = net.world.a.lines(Level::Info);
    let sas: Vec<_> = lines.iter().filter(|line| line.starts_with("IPsec-SA established")).collect();
    assert_eq!(
        sas,
        [
            &"IPsec-SA established: ESP/Transport 192.0.2.2[500]->192.0.2.1[500] spi=4097(0x1001)",
            &"IPsec-SA established: ESP/Transport 192.0.2.1[500]->192.0.2.2[500] spi=8193(0x2001)",
        ]
    );
}

/// What users search their logs for, in the order in which it happens.
#[test]
fn the_log_tells_the_story() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    let now = net.world.now;
    net.world.a.engine.handle_control(now, Control::Shutdown).unwrap();
    net.settle();
    let cookies = net.world.a.outcomes.iter().find_map(|outcome| match outcome.negotiation {
        Negotiation::Phase1 { cookies, .. } => Some(cookies.to_string()),
        Negotiation::Phase2 { .. } => None,
    });
    let cookies = cookies.unwrap();
    let events = |host: &Host| -> Vec<_> {
        host.lines(Level::Info).into_iter().map(|line| line.replace(&cookies, "COOKIES")).collect()
    };
    assert_eq!(
        events(&net.world.a),
        [
            "IPsec-SA request for 192.0.2.2 queued due to no phase1 found.",
            "initiate new phase 1 negotiation: 192.0.2.1[500]<=>192.0.2.2[500]",
            "begin Identity Protection mode.",
            "received Vendor ID: DPD",
            "received Vendor ID: IPSec-Tools",
            "ISAKMP-SA established 192.0.2.1[500]-192.0.2.2[500] spi:COOKIES",
            "initiate new phase 2 negotiation: 192.0.2.1[500]<=>192.0.2.2[500]",
            "received INITIAL-CONTACT",
            "IPsec-SA established: ESP/Transport 192.0.2.2[500]->192.0.2.1[500] spi=4097(0x1001)",
            "IPsec-SA established: ESP/Transport 192.0.2.1[500]->192.0.2.2[500] spi=8193(0x2001)",
            "ISAKMP-SA deleted 192.0.2.1[500]-192.0.2.2[500] spi:COOKIES",
        ]
    );
    assert_eq!(
        events(&net.world.b),
        [
            "respond new phase 1 negotiation: 192.0.2.2[500]<=>192.0.2.1[500]",
            "begin Identity Protection mode.",
            "received Vendor ID: DPD",
            "received Vendor ID: IPSec-Tools",
            "received INITIAL-CONTACT",
            "ISAKMP-SA established 192.0.2.2[500]-192.0.2.1[500] spi:COOKIES",
            "respond new phase 2 negotiation: 192.0.2.2[500]<=>192.0.2.1[500]",
            "IPsec-SA established: ESP/Transport 192.0.2.1[500]->192.0.2.2[500] spi=8193(0x2001)",
            "IPsec-SA established: ESP/Transport 192.0.2.2[500]->192.0.2.1[500] spi=4097(0x1001)",
            "the peer deletes its ESP SA spi=4097(0x1001)",
            "purged IPsec-SA proto_id=ESP spi=8193.",
            "purged IPsec-SA proto_id=ESP spi=4097.",
            "ISAKMP-SA expired 192.0.2.2[500]-192.0.2.1[500] spi:COOKIES",
            "ISAKMP-SA deleted 192.0.2.2[500]-192.0.2.1[500] spi:COOKIES",
        ]
    );
    let place = |text: &str| net.world.a.log.iter().find(|line| line.text.starts_with(text)).unwrap().place.file();
    assert!(place("ISAKMP-SA established").ends_with("phase1/lifecycle.rs"));
    assert!(place("IPsec-SA established").ends_with("phase2/lifecycle.rs"));
}

#[test]
fn a_journal_tells_what_was_offered_and_when() {
    let net = Net::up(hosts(), &transport(), &sainfo());
    let outcome = net.world.b.outcomes.last().unwrap();
    assert_eq!(outcome.offered, ["1 esp transport aes 128 hmac_sha256 1000 s"]);
    assert_eq!(outcome.configured, outcome.offered);
    let steps: Vec<_> = outcome.steps.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, ["message 2", "message 3"]);
    assert_eq!(outcome.remote_section.as_deref(), Some("192.0.2.1"));
}

#[test]
fn every_kind_of_policy() {
    let chain = [
        template(Protocol::IPCOMP, Mode::Transport),
        template(Protocol::ESP, Mode::Transport),
        template(Protocol::AH, Mode::Transport),
    ];
    let tunnel = [template(Protocol::ESP, Mode::Tunnel)];
    let mixed = [template(Protocol::IPCOMP, Mode::Tunnel), template(Protocol::ESP, Mode::Transport)];
    let tcp = Selector { protocol: 6, destination_port: 443, ..hosts() };
    let v6 = |third: u16| Prefix::new(std::net::Ipv6Addr::new(0x2001, 0xdb8, third, 0, 0, 0, 0, 0).into(), 48);
    let v6_networks = Selector { source: v6(1), destination: v6(2), ..hosts() };
    let with_pfs = |group| {
        let mut sainfo = sainfo();
        sainfo.terms.group = Some(group);
        sainfo.esn = Esn::On;
        sainfo
    };
    for (selector, templates, sainfo) in [
        (hosts(), &chain[..], sainfo()),
        (hosts(), &chain[2..], sainfo()),
        (networks(), &tunnel, sainfo()),
        (networks(), &mixed, sainfo()),
        (v6_networks, &tunnel, sainfo()),
        (tcp, &chain[1..2], with_pfs(Group::X25519)),
        (networks(), &tunnel, with_pfs(Group::ECP256)),
        (networks(), &tunnel, with_pfs(Group::MODP1024)),
    ] {
        let net = Net::up(selector, templates, &sainfo);
        for sa in &net.kernels[0].sas {
            let mode = templates.iter().find(|one| one.protocol == sa.name.protocol).unwrap().mode;
            assert_eq!(sa.mode, mode);
            assert_eq!(sa.replay_window, if sa.name.protocol == Protocol::IPCOMP { 0 } else { 64 });
            assert_eq!(sa.esn, sainfo.esn == Esn::On);
        }
    }
}

#[test]
fn counter_modes_have_one_key_with_its_salt() {
    let mut gcm = sainfo();
    gcm.encryption = vec![Encryption { transform: EspTransform::AES_GCM_16, key_length: 256 }];
    let net = Net::up(hosts(), &transport(), &gcm);
    for sa in &net.kernels[0].sas {
        let SaTransform::Esp { encryption, authentication } = &sa.transform else { panic!("{sa:?}") };
        assert_eq!((encryption.1.len(), authentication.is_none()), (36, true));
    }
}

#[test]
fn inbound_comes_before_outbound_and_both_before_the_message_that_needs_them() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.acquire();
    let mut quick = 0;
    let mut at = Vec::new();
    // Message by message: how many SAs are there when it is sent.
    loop {
        net.world.collect();
        while let Some(transmit) = net.world.link.pop_front() {
            if transmit.bytes[18] == ExchangeType::QUICK.0 {
                quick += 1;
                at.push((quick, net.kernels.each_ref().map(|kernel| kernel.sas.len())));
            }
            net.world.deliver(&transmit);
        }
        if !net.answer() {
            break;
        }
    }
    assert_eq!(at, [(1, [0, 0]), (2, [0, 1]), (3, [1, 1])]);
    net.assert_pairs(1);
}

#[test]
fn the_initiators_sas_have_a_soft_lifetime() {
    let mut limited = sainfo();
    limited.terms.kilobytes = Some(1000);
    let net = Net::up(hosts(), &transport(), &limited);
    for sa in &net.kernels[0].sas {
        assert_eq!(sa.hard, Lifetime { seconds: 1000, kilobytes: Some(1000) });
        assert_eq!(sa.soft, Lifetime { seconds: 800, kilobytes: Some(800) });
    }
    assert!(net.kernels[1].sas.iter().all(|sa| sa.soft == Lifetime::default()));
}

#[test]
fn a_shorter_lifetime_is_claimed_and_heeded() {
    let mut shorter = sainfo();
    shorter.terms.lifetime = 300;
    let claim = |remote: &mut Remote, _: &mut Settings| remote.proposal_check = CheckLevel::Claim;
    let mut net = Net::with(hosts(), &transport(), [sainfo(), shorter], |_, _| {}, claim);
    net.acquire();
    net.settle();
    net.assert_pairs(1);
    assert_eq!(net.kernels[0].sas[0].hard.seconds, 300);
}

#[test]
fn reqids_are_those_of_the_policies() {
    let unique = |reqid| vec![Template { reqid, ..template(Protocol::ESP, Mode::Transport) }];
    let mut net = Net::new(hosts(), &unique(5), &sainfo());
    let mut inbound = policies(hosts(), &unique(6), true);
    net.tell_a(KernelEvent::Policy(inbound.remove(0)));
    net.acquire();
    net.settle();
    net.assert_pairs(1);
    let reqid = |way| net.kernels[0].sas.iter().find(|sa| sa.way == way).unwrap().reqid;
    assert_eq!((reqid(Way::Inbound), reqid(Way::Outbound)), (6, 5));
}

#[test]
fn each_message_lost_or_doubled() {
    for lost in 0..3 {
        let mut net = Net::new(hosts(), &transport(), &sainfo());
        net.acquire();
        let mut quick = 0;
        net.settle_with(|transmit| {
            let is_quick = transmit.bytes[18] == ExchangeType::QUICK.0;
            quick += usize::from(is_quick);
            if is_quick && quick == lost + 1 { Fate::Drop } else { Fate::Deliver }
        });
        net.pass(seconds(60));
        net.assert_pairs(1);
        let mut net = Net::new(hosts(), &transport(), &sainfo());
        net.acquire();
        net.settle_with(|_| Fate::Twice);
        net.pass(seconds(60));
        net.assert_pairs(1);
        assert!(net.world.b.failures().is_empty());
    }
}

#[test]
fn a_message_that_was_changed_is_as_if_it_had_not_come() {
    for number in 1..=3 {
        for at in [28, 40] {
            let mut net = Net::new(hosts(), &transport(), &sainfo());
            net.acquire();
            let mut quick = 0;
            net.settle_with(|transmit| {
                let mut bytes = transmit.bytes.clone();
                quick += usize::from(bytes[18] == ExchangeType::QUICK.0);
                if bytes[18] != ExchangeType::QUICK.0 || quick != number {
                    return Fate::Deliver;
                }
                bytes[at] ^= 1;
                Fate::Change(bytes)
            });
            net.pass(seconds(60));
            net.assert_pairs(1);
        }
    }
}

#[test]
fn duplicates_of_a_finished_exchange_are_forgotten() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    let is_quick = |transmit: &&Transmit| transmit.bytes[18] == ExchangeType::QUICK.0;
    let quick: Vec<_> = net.world.b.sent.iter().filter(is_quick).cloned().collect();
    net.world.a.forget_outputs();
    net.world.deliver(&quick[0]);
    assert_eq!(net.world.a.sent.len(), 1, "message 2 again: message 3 again");
    net.pass(seconds(51));
    net.world.a.forget_outputs();
    net.world.deliver(&quick[0]);
    assert_eq!(net.world.a.sent.len(), 0);
    net.assert_pairs(1);
}

#[test]
fn both_begin_at_once_and_both_get_a_pair() {
    let mut net = Net::up(hosts(), &transport(), &sainfo());
    net.tell_a(KernelEvent::Flushed(None));
    net.kernels[0].sas.clear();
    net.settle();
    net.assert_pairs(0);
    net.acquire();
    net.tell_b(KernelEvent::Acquire(Acquire { source: ip(B), destination: ip(A), ..acquire(2) }));
    net.settle();
    net.assert_pairs(2);
    // One of both renews, and then there is only one that lives on.
    net.pass(seconds(1001));
    net.settle();
    net.assert_pairs(1);
}

/// A policy of the responder may be for more than what is asked for, if it is of the same mode.
#[test]
fn a_wider_policy_serves_a_narrower_request() {
    let wide = Selector {
        source: Prefix::new([10, 0, 0, 0].into(), 16),
        destination: Prefix::new([10, 0, 0, 0].into(), 16),
        ..networks()
    };
    let tunnel = [template(Protocol::ESP, Mode::Tunnel)];
    for (templates, served) in [(&tunnel[..], true), (&transport(), false)] {
        let mut net = Net::new(networks(), &tunnel, &sainfo());
        net.tell_b(KernelEvent::Policies(policies(wide, templates, false)));
        net.acquire();
        net.settle();
        net.assert_pairs(usize::from(served));
        assert_eq!(net.world.b.failures().is_empty(), served);
    }
}

/// `b` with its peer `a` of phase 1, which asks for transport mode between two hosts, as no engine of ours does.
fn spoken_for(hosts: Selector, sainfo_b: Sainfo, b: impl FnOnce(&mut Remote, &mut Settings)) -> Net {
    let wide = |prefix: Prefix| Prefix::new(prefix.address(), 8);
    let policy = Selector { source: wide(hosts.source), destination: wide(hosts.destination), ..hosts };
    let mut net = Net::with(policy, &transport(), [sainfo(), sainfo_b], |_, _| {}, b);
    net.world.initiate();
    net.settle();
    let bundle = crate::phase2::bundle::Bundle::new(&transport(), &[], &sainfo(), true, false).unwrap();
    let ids = crate::phase2::traffic::Identities::of_selector(&hosts);
    let sa = net.world.a.engine.phase1s.sa(net.world.a.only()).unwrap();
    let intention = crate::phase2::initiator::Phase2Request { bundle, ids };
    let codec = crate::message::codec::MessageCodec::default();
    let (_, message) = intention
        .offer(sa, 0x55, (vec![0x4711], None), 16, (&codec, net.world.b.address), &mut SeededRandom::new(3))
        .unwrap();
    net.world.forge_to_b(&message);
    net.settle();
    net
}

fn proxy(remote: &mut Remote, _: &mut Settings) {
    remote.support_proxy = true;
}

/// With `support_proxy` the hosts that the identities name are the ends of the SAs, if a sainfo for this peer names them.
#[test]
fn hosts_behind_the_peers_are_the_ends_of_their_sas() {
    use crate::identity::{Expected, Identity};
    let behind = |host| std::net::IpAddr::from([10, 0, host, 1]);
    let selector = Selector { source: Prefix::host(behind(1)), destination: Prefix::host(behind(2)), ..hosts() };
    let local = Side::Id(Identity::address(behind(2)));
    let remote = RemoteSide::Id(Identity::address(behind(1)));
    let from = Some(Expected::exactly(&Identity::address(ip(A))));
    let net = spoken_for(selector, Sainfo { local, remote, from, ..sainfo() }, proxy);
    let inbound = net.kernels[1].names(Way::Inbound);
    assert_eq!((inbound[0].source, inbound[0].destination), (behind(1), behind(2)));
}

/// A peer asks for SAs in the name of another host with us, or of two others: what we send to them would go by its SPI.
#[test]
fn nobody_gets_sas_in_the_name_of_another_host() {
    let victim = Prefix::host([192, 0, 2, 77].into());
    for selector in [
        Selector { source: victim, ..hosts() },
        Selector { destination: victim, ..hosts() },
        Selector { source: victim, destination: Prefix::host([192, 0, 2, 78].into()), ..hosts() },
    ] {
        for supports_proxy in [true, false] {
            let proxy = move |remote: &mut Remote, _: &mut Settings| remote.support_proxy = supports_proxy;
            let mut net = spoken_for(selector, sainfo(), proxy);
            let failures = net.world.b.failures();
            let [FailureReason::NotAuthorized(why)] = &failures[..] else { panic!("{failures:?}") };
            let text = why.to_string();
            assert!(text.contains("have to be the endpoints of phase 1, 192.0.2.2 and 192.0.2.1"), "{text}");
            assert!(net.kernels[1].sas.is_empty() && net.kernels[1].larval.is_empty());
            // The same peer for itself.
            net.acquire();
            net.settle();
            let failures = net.world.b.failures();
            assert_eq!((net.kernels[1].sas.len(), failures.len()), (2, 1), "{failures:?}");
        }
    }
}
