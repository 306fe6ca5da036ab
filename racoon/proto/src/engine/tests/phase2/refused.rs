//! What goes wrong.

use super::*;
use crate::config::GeneratePolicy;
use crate::num::{Group, NotifyType};
use crate::wire::Notify;

/// Two hosts whose configuration does not fit: what `b` refuses it by, and what `a` hears.
fn refused(a: Sainfo, b: Sainfo) -> (Vec<FailureReason>, Vec<FailureReason>) {
    let mut net = Net::with(hosts(), &transport(), [a, b], |_, _| {}, |_, _| {});
    net.acquire();
    net.settle();
    assert_eq!(net.kernels[0].failed, [acquire(1)]);
    net.assert_empty();
    let told = net.world.a.log.iter().filter(|line| line.level <= Level::Warning).collect::<Vec<_>>();
    let [line] = &told[..] else { panic!("one line for one refusal: {told:?}") };
    assert!(line.text.contains("NO-PROPOSAL-CHOSEN: 192.0.2.1/32 -> 192.0.2.2/32 "), "{line:?}");
    assert!(line.text.contains("; offered: [1 esp transport aes 128 hmac_sha256 1000 s]"), "{line:?}");
    (net.world.b.failures(), net.world.a.failures())
}

#[test]
fn a_mismatch_is_told_at_once_and_names_both_sides() {
    for (change, expected) in [
        (
            (|one| one.encryption[0].key_length = 256) as fn(&mut Sainfo),
            "key of 128 bits proposed, 256 bits configured (proposal_check strict)",
        ),
        (|one| one.authentication[0] = AuthAlgorithm::HMAC_SHA1.into(), "hmac_sha256 proposed, hmac_sha1 configured"),
        (|one| one.terms.lifetime = 10, "lifetime 1000 s proposed, 10 s configured (proposal_check strict)"),
        (
            |one| one.terms.group = Some(Group::X25519),
            "pfs_group none proposed, x25519 configured (proposal_check strict)",
        ),
    ] {
        let mut other = sainfo();
        change(&mut other);
        let (b, a) = refused(sainfo(), other);
        assert!(matches!(b[..], [FailureReason::NoProposalChosen(_)]), "{b:?}");
        assert_eq!(b[0].to_string(), format!("no suitable proposal found: esp: {expected}"));
        assert_eq!(a, [FailureReason::Refused(NotifyType::NO_PROPOSAL_CHOSEN)]);
    }
}

/// A peer that does not know an SPI any more says so, and that has nothing to do with what is negotiated.
#[test]
fn not_every_error_is_about_a_negotiation() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.world.initiate();
    net.settle();
    net.acquire();
    net.settle_with(|_| Fate::Drop);
    let phase1 = net.world.b.only();
    net.world.b.engine.phase1s.get_mut(phase1).unwrap().send_notify(
        &mut net.world.b.engine.core,
        NotifyType::INVALID_SPI,
        &[],
    );
    net.settle();
    assert!(net.world.a.failures().is_empty());
    net.pass(seconds(20));
    net.assert_pairs(1);
}

#[test]
fn a_sainfo_for_somebody_else() {
    let mut other = sainfo();
    other.local = Side::Id(crate::identity::Identity::address("198.51.100.1".parse().unwrap()));
    let (b, _) = refused(sainfo(), other);
    let expected = "no sainfo matches 192.0.2.2/32 -> 192.0.2.1/32 for a peer with the identity IPv4_address 192.0.2.1, \
                    protocol udp, port 500; nearest: sainfo IPv4_address 198.51.100.1 anonymous";
    assert_eq!(b.iter().map(FailureReason::to_string).collect::<Vec<_>>(), [expected]);
}

#[test]
fn without_a_policy_there_is_nothing() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.tell_b(KernelEvent::PoliciesFlushed);
    net.acquire();
    net.settle();
    let expected = "no policy matches 192.0.2.2/32 -> 192.0.2.1/32; needed: 192.0.2.1/32 192.0.2.2/32 any -P in ipsec \
                    esp/transport//require; there is none for these addresses";
    assert_eq!(net.world.b.failures().iter().map(FailureReason::to_string).collect::<Vec<_>>(), [expected]);
    let [line] = net.world.b.lines(Level::Error)[..] else { panic!("{:?}", net.world.b.log) };
    assert!(line.contains("; offered: [1 esp transport aes 128 hmac_sha256 1000 s]; each out policy"), "{line}");
    assert_eq!(net.world.a.failures(), [FailureReason::Refused(NotifyType::INVALID_ID_INFORMATION)]);
    let [line] = net.world.a.lines(Level::Error)[..] else { panic!("{:?}", net.world.a.log) };
    let said = "; offered: [1 esp transport aes 128 hmac_sha256 1000 s]; the peer needs a policy and a sainfo for this \
                traffic: compare those of both hosts";
    assert!(line.ends_with(said), "{line}");
    net.assert_empty();
}

/// The policy that comes closest to the one that is needed is named.
#[test]
fn the_nearest_policy_is_named() {
    let out = policies(hosts(), &transport(), false).remove(1);
    let other = Selector { protocol: 6, destination_port: 80, ..hosts() };
    let select_remote_by_identity = policies(other, &transport(), false).remove(0);
    for (policy, nearest) in [
        (out, "; only the other direction is there: 192.0.2.2/32 192.0.2.1/32 any -P out ipsec esp/transport//require"),
        (select_remote_by_identity, "; nearest: 192.0.2.1/32 192.0.2.2/32[80] tcp -P in ipsec esp/transport//require"),
    ] {
        let mut net = Net::new(hosts(), &transport(), &sainfo());
        net.tell_b(KernelEvent::Policies(vec![policy]));
        net.acquire();
        net.settle();
        let why = net.world.b.failures()[0].to_string();
        assert!(why.ends_with(nearest), "{why}");
    }
}

#[test]
fn policies_are_made_for_those_who_have_none_and_go_with_them() {
    for (how, mode) in [(GeneratePolicy::Require, Mode::Tunnel), (GeneratePolicy::Unique, Mode::Transport)] {
        let generate = move |remote: &mut Remote, _: &mut Settings| remote.generate_policy = how;
        let selector = if mode == Mode::Tunnel { networks() } else { hosts() };
        let mut net = Net::with(selector, &[template(Protocol::ESP, mode)], [sainfo(), sainfo()], |_, _| {}, generate);
        net.tell_b(KernelEvent::PoliciesFlushed);
        net.acquire();
        net.settle();
        net.assert_pairs(1);
        let made: Vec<_> = net.kernels[1].policies.keys().map(|(direction, _)| *direction).collect();
        match mode {
            Mode::Tunnel => assert_eq!(made, [Direction::In, Direction::Out, Direction::Forward]),
            Mode::Transport => assert_eq!(made, [Direction::In, Direction::Out]),
        }
        // A larger one the kernels would replace, in each policy by another.
        let reqid = if how == GeneratePolicy::Unique { 16_383 } else { 0 };
        assert!(net.kernels[1].sas.iter().all(|sa| sa.reqid == reqid));
        for policy in net.kernels[1].policies.values() {
            let PolicyAction::Protect(templates) = &policy.action else { panic!("{policy:?}") };
            assert!(templates.iter().all(|template| template.reqid == reqid), "{policy:?}");
        }
        net.pass(seconds(850));
        net.assert_pairs(2);
        net.pass(seconds(200));
        net.assert_pairs(1);
        assert_eq!(net.kernels[1].policies.len(), made.len(), "the renewal still uses them");
        let now = net.world.now;
        net.world.a.engine.handle_control(now, Control::FlushPhase2(None)).unwrap();
        net.settle();
        net.assert_empty();
    }
}

#[test]
fn what_the_kernel_refuses_is_undone_at_both_ends() {
    for (at, way) in [(0, Way::Inbound), (0, Way::Outbound), (1, Way::Inbound), (1, Way::Outbound)] {
        let mut net = Net::new(hosts(), &transport(), &sainfo());
        net.kernels[at].refuses = Some(way);
        net.acquire();
        net.settle();
        net.pass(seconds(120));
        net.assert_empty();
        let host = if at == 0 { &net.world.a } else { &net.world.b };
        assert_eq!(host.failures()[0], KernelError::new("no such algorithm").into(), "{at} {way:?}");
        if at == 0 {
            assert_eq!(net.kernels[0].failed, [acquire(1)]);
        }
    }
}

#[test]
fn a_kernel_that_does_not_answer() {
    for at in [0, 1] {
        let mut net = Net::new(hosts(), &transport(), &sainfo());
        net.kernels[at].silent = true;
        net.acquire();
        net.settle();
        net.pass(seconds(120));
        let host = if at == 0 { &mut net.world.a } else { &mut net.world.b };
        assert_eq!(host.failures()[0], FailureReason::KernelTimeout(seconds(30)));
        // It wakes up: what it reserves now is given back.
        net.kernels[at].silent = false;
        net.settle();
        net.assert_empty();
    }
}

/// A phase 2 with PFS whose first job is not done yet.
fn computing() -> Net {
    let mut with_pfs = sainfo();
    with_pfs.terms.group = Some(Group::X25519);
    let mut net = Net::new(hosts(), &transport(), &with_pfs);
    net.world.initiate();
    net.settle();
    net.world.a.slow = true;
    net.acquire();
    net.settle();
    net
}

#[test]
fn a_job_that_is_never_done() {
    let mut net = computing();
    net.pass(seconds(31));
    assert!(matches!(net.world.a.failures()[..], [FailureReason::Crypto(_)]));
    assert_eq!(net.world.a.engine.load().jobs, 0);
    // When it comes after all, nobody waits.
    net.world.a.work(net.world.now);
    net.settle();
    net.assert_empty();
}

#[test]
fn a_job_that_cannot_be_done() {
    let mut net = computing();
    net.world.a.cannot_work(net.world.now);
    net.settle();
    assert_eq!(net.world.a.failures(), [FailureReason::not_computed()]);
    assert_eq!(net.world.a.engine.load().jobs, 0);
    net.assert_empty();
}

#[test]
fn a_peer_that_is_silent() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.world.initiate();
    net.settle();
    net.acquire();
    net.settle_with(|_| Fate::Drop);
    net.pass_with(seconds(100), |_| Fate::Drop);
    // And the second phase 1 that it may want instead of the first one.
    assert_eq!(net.world.a.unanswered(), [(1, 5), (1, 5)]);
    let [line, phase1] = net.world.a.lines(Level::Error)[..] else { panic!("{:?}", net.world.a.log) };
    assert!(phase1.starts_with("phase1 negotiation failed due to time up. "), "{phase1}");
    let said = "phase2 negotiation failed due to time up: no answer to message 1 of quick mode (172 bytes) after 5 \
                transmissions; phase 1 is established: 192.0.2.1/32 -> 192.0.2.2/32 ";
    assert!(line.starts_with(said), "{line}");
    assert!(line.ends_with("; the peer refuses in silence, or has lost phase 1: see its log"), "{line}");
    assert!(net.world.a.event_kinds().contains(&EventKind::Phase2NoResponse));
    assert_eq!(net.kernels[0].failed, [acquire(1)]);
    net.assert_empty();
}

#[test]
fn a_responder_without_message_3_takes_its_sa_back() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.acquire();
    let mut quick = 0;
    let third_is_lost = |transmit: &Transmit| {
        let from_a = transmit.path.remote == B.parse().unwrap() && transmit.bytes[18] == ExchangeType::QUICK.0;
        quick += usize::from(from_a);
        if from_a && quick > 1 { Fate::Drop } else { Fate::Deliver }
    };
    net.settle_with(third_is_lost);
    net.pass_with(seconds(100), |transmit| {
        let from_a = transmit.path.remote == B.parse().unwrap() && transmit.bytes[18] == ExchangeType::QUICK.0;
        if from_a { Fate::Drop } else { Fate::Deliver }
    });
    net.settle();
    assert_eq!(net.world.b.unanswered(), [(2, 5)]);
    let [line] = net.world.b.lines(Level::Error)[..] else { panic!("{:?}", net.world.b.log) };
    let said = "no answer to message 2 of quick mode (172 bytes) after 5 transmissions; phase 1 is established: ";
    assert!(line.contains(said), "{line}");
    assert!(line.ends_with("; the peer gave up, or its message is lost on the path: see its log"), "{line}");
    net.assert_empty();
}

/// The initiator refuses message 2: the responder ends at once, and its early inbound SA goes.
#[test]
fn an_authenticated_refusal_of_message_2_ends_the_exchange() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.world.initiate();
    net.settle();
    net.acquire();
    // Message 2 is lost, so that the refusal is all that comes of it.
    net.settle_with(|transmit| {
        let is_second = transmit.path.remote == A.parse().unwrap() && transmit.bytes[18] == ExchangeType::QUICK.0;
        if is_second { Fate::Drop } else { Fate::Deliver }
    });
    assert_eq!(net.kernels[1].names(Way::Inbound).len(), 1);
    net.world.b.log.clear();
    let phase1 = net.world.a.only();
    net.world
        .a
        .engine
        .phase1s
        .get_mut(phase1)
        .unwrap()
        .notify_refusal(&mut net.world.a.engine.core, &FailureReason::BadChoice(crate::reason::BadChoice::Incomplete));
    net.settle();
    assert_eq!(net.world.b.failures(), [FailureReason::Refused(NotifyType::BAD_PROPOSAL_SYNTAX)]);
    assert!(net.kernels[1].sas.is_empty() && net.kernels[1].larval.is_empty());
    let told = net.world.b.log.iter().filter(|line| line.level <= Level::Warning).collect::<Vec<_>>();
    let [line] = told[..] else { panic!("{told:?}") };
    let expected = "phase2 negotiation failed due to the peer says BAD-PROPOSAL-SYNTAX: 192.0.2.2/32 -> 192.0.2.1/32 ";
    assert!(line.level == Level::Error && line.text.starts_with(expected), "{line:?}");
}

/// With several exchanges on their way, the SPI of a notify says which one the peer refuses.
#[test]
fn the_spi_of_a_notify_names_the_exchange() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.world.initiate();
    net.settle();
    let selectors = [networks(), hosts()];
    let policies = selectors.iter().enumerate().flat_map(|(at, selector)| {
        let index = 100 * u32::try_from(at).unwrap();
        let templates = if at == 0 { vec![template(Protocol::ESP, Mode::Tunnel)] } else { transport() };
        policies(*selector, &templates, true).into_iter().map(move |one| Policy { index: index + one.index, ..one })
    });
    net.tell_a(KernelEvent::Policies(policies.collect()));
    for index in [17, 117] {
        net.tell_a(KernelEvent::Acquire(Acquire { policy: Some(index), ..acquire(1) }));
    }
    net.settle_with(|_| Fate::Drop);
    let phase1 = net.world.a.only();
    let spi = net.kernels[0].larval[1].spi;
    let refusal = |spi: Vec<u8>| Notify {
        doi: crate::num::Doi::IPSEC,
        protocol: Protocol::ESP,
        spi,
        kind: NotifyType::NO_PROPOSAL_CHOSEN,
        data: Vec::new(),
    };
    let engine = &mut net.world.a.engine;
    assert_eq!(engine.phase2s.refused_by(phase1, &refusal(Vec::new())), None);
    let refused = engine.phase2s.refused_by(phase1, &refusal(spi.to_be_bytes().to_vec())).unwrap();
    engine.fail_phase2(refused, FailureReason::Refused(NotifyType::NO_PROPOSAL_CHOSEN));
    net.world.a.drain(net.world.now);
    let traffic = |outcome: &Outcome| match outcome.negotiation {
        crate::reason::Negotiation::Phase2 { traffic, .. } => traffic.to_string(),
        _ => String::from("phase 1"),
    };
    let all = net.world.a.outcomes[1..].iter().map(|outcome| traffic(outcome)).collect::<Vec<_>>();
    assert_eq!(all, ["192.0.2.1/32 -> 192.0.2.2/32"]);
}

#[test]
fn a_phase_1_that_goes_takes_what_is_on_its_way() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.world.initiate();
    net.settle();
    net.acquire();
    net.settle_with(|_| Fate::Drop);
    let now = net.world.now;
    net.world.a.engine.handle_control(now, Control::FlushPhase1).unwrap();
    net.settle();
    assert_eq!(net.world.a.failures(), [FailureReason::phase1_gone()]);
    net.assert_empty();
}

/// A policy is for a tunnel with somebody else: this peer may not send through it, whoever it is.
#[test]
fn a_tunnel_with_somebody_else() {
    let tunnel = [template(Protocol::ESP, Mode::Tunnel)];
    let mut net = Net::new(networks(), &tunnel, &sainfo());
    let other = "203.0.113.9".parse().unwrap();
    let template = Template { endpoints: Some((other, ip(B))), ..tunnel[0] };
    let mut policies = policies(networks(), &tunnel, false);
    policies[0].action = PolicyAction::Protect(vec![template]);
    net.tell_b(KernelEvent::Policies(policies));
    net.acquire();
    net.settle();
    let why = net.world.b.failures()[0].to_string();
    let expected = "its tunnel is between 192.0.2.2 and 203.0.113.9, phase 1 between 192.0.2.2 and 192.0.2.1";
    assert!(why.ends_with(expected), "{why}");
    net.assert_empty();
}

/// A kernel that never answers fills nothing; one that answers late gets the last SPIs back.
#[test]
fn a_kernel_that_does_not_answer_fills_nothing() {
    let long = |remote: &mut Remote, _: &mut Settings| remote.proposals[0].lifetime = 100_000;
    let mut net = Net::with(hosts(), &transport(), [sainfo(), sainfo()], long, long);
    net.world.initiate();
    net.settle();
    net.kernels[0].silent = true;
    for _ in 0..300 {
        net.acquire();
        net.pass(seconds(31));
        assert_eq!(net.world.a.engine.load().requests, 0);
    }
    assert_eq!(net.world.a.failures().len(), 300);
    assert!(net.world.a.engine.phase2s.orphans() <= 256);
    net.kernels[0].silent = false;
    net.settle();
    assert_eq!((net.kernels[0].deleted.len(), net.world.a.engine.phase2s.orphans()), (256, 0));
}

/// No notify reports a policy that cannot be negotiated. The peer learns that nothing was chosen.
#[test]
fn a_policy_with_a_protocol_twice_is_refused_with_no_proposal_chosen() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    let twice = [transport(), transport()].concat();
    net.tell_b(KernelEvent::Policies(policies(hosts(), &twice, false)));
    net.acquire();
    net.settle();
    assert_eq!(net.world.b.failures(), [FailureReason::RepeatedProtocol(Protocol::ESP)]);
    assert_eq!(net.world.a.failures(), [FailureReason::Refused(NotifyType::NO_PROPOSAL_CHOSEN)]);
}

/// An event says who and why, and shares its outcome with the journal.
#[test]
fn an_event_carries_its_outcome() {
    let mut net = Net::new(hosts(), &transport(), &sainfo());
    net.acquire();
    net.world.pass_with(seconds(120), |_| Fate::Drop);
    let events = &net.world.a.events;
    let failed = events.iter().find(|event| event.kind == EventKind::Phase2NoPhase1).unwrap();
    assert_eq!(failed.traffic, Some(hosts()));
    let outcome = failed.outcome.as_ref().unwrap();
    let NegotiationResult::Failed(FailureReason::NoPhase1(_) | FailureReason::Phase1Late(_)) = outcome.result else {
        panic!("{outcome:?}")
    };
    assert!(net.world.a.engine.journal().iter().any(|kept| std::ptr::eq(kept, &**outcome)));
}
