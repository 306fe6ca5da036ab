//! A peer that was killed and started again, and one that only does not answer.

use super::*;
use crate::engine::Phase2Id;
use crate::num::{Flags, NotifyType, PayloadType};
use crate::wire::{self, CookiePair, Header, Notify};

/// Whether `a` and `b` have DPD, with which delay.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Probing {
    Off,
    OnDemand,
    Each(u32),
}

impl Probing {
    fn dpd(self) -> Option<Dpd> {
        match self {
            Self::Off => None,
            Self::OnDemand => Some(Dpd::default()),
            Self::Each(delay) => Some(Dpd { delay, ..Dpd::default() }),
        }
    }
}

/// Two hosts with a phase 1, and with SAs if a packet of `a` needed them.
fn up(probing: Probing, with_sas: bool) -> Net {
    let sainfos = [sainfo(), sainfo()];
    let dpd = probing.dpd();
    let mut net = Net::with(hosts(), &transport(), sainfos, |remote, _| remote.dpd = dpd, |remote, _| remote.dpd = dpd);
    if with_sas {
        net.acquire();
    } else {
        net.world.initiate();
    }
    net.settle();
    net.pass(seconds(10));
    net.assert_pairs(usize::from(with_sas));
    net
}

/// `b` is killed and started again: neither it nor its kernel knows anything.
fn restart_b(net: &mut Net, probing: Probing, change: impl FnOnce(&mut Remote)) {
    let changed = settings(A, |remote, settings| {
        remote.dpd = probing.dpd();
        settings.sainfos = Sainfos::new(vec![sainfo()]);
        change(remote);
    });
    net.world.b = Host::new(B, 99, changed, &[("192.0.2.1", "a secret of a and b")]);
    net.kernels[1] = Kernel { next_spi: 0x3000, ..Kernel::default() };
    net.tell_b(KernelEvent::Policies(policies(hosts(), &transport(), false)));
}

/// `b` is gone for a while, and does not know anything after it.
fn silence_of_b(sent: &Transmit) -> Fate {
    if sent.path.local.to_string() == B || sent.path.remote.to_string() == B { Fate::Drop } else { Fate::Deliver }
}

fn is_clear_informational(sent: &Transmit) -> bool {
    let (header, _) = Header::parse(&sent.bytes).unwrap();
    header.exchange == ExchangeType::INFORMATIONAL && !header.flags.contains(Flags::ENCRYPTED)
}

/// Whether what `a` sends arrives: both have the same pair, and `b` has it in use.
fn is_healed(net: &Net) -> bool {
    let inbound = net.kernels[1].names(Way::Inbound);
    net.kernels[0].names(Way::Outbound).last().is_some_and(|name| inbound.contains(name))
}

/// Seconds until what `a` sends arrives again, while it has a packet to send each second.
fn time_to_heal(net: &mut Net, fate: impl Fn(&Transmit) -> Fate) -> Option<u64> {
    (0..4000).find(|_| {
        if net.kernels[0].names(Way::Outbound).is_empty() {
            net.acquire();
        }
        net.settle_with(&fate);
        let is_healed = is_healed(net);
        if !is_healed {
            net.pass_with(seconds(1), &fate);
        }
        is_healed
    })
}

fn cookies(net: &Net) -> CookiePair {
    net.world.a.engine.phase1s().next().unwrap().cookies
}

/// A notify in clear, as anybody can send it who has seen the cookies.
fn in_clear(cookies: CookiePair, kind: NotifyType) -> Vec<u8> {
    let notify = Notify::of_isakmp(cookies, kind, &[]).encode();
    wire::message(&Header::new(cookies, ExchangeType::INFORMATIONAL, 7), &[(PayloadType::NOTIFY, &notify)])
}

/// What `a` has sent of an exchange.
fn sent_by_a(net: &Net, exchange: ExchangeType) -> usize {
    let sent = net.world.a.sent.iter().filter_map(|sent| Header::parse(&sent.bytes).ok());
    sent.filter(|(header, _)| header.exchange == exchange).count()
}

/// The first messages of phase 1 that `a` has sent.
fn phase1s_begun(net: &Net) -> usize {
    net.world.a.lines(Level::Info).iter().filter(|line| line.starts_with("initiate new phase 1")).count()
}

/// The times are with the defaults: messages each 10 s, 5 times; probes each 5 s.
#[test]
fn an_initiator_comes_to_another_phase_1_with_a_peer_that_was_restarted() {
    for (probing, hints_arrive, expected) in [
        (Probing::OnDemand, true, 10),
        (Probing::OnDemand, false, 20),
        (Probing::Off, true, 10),
        (Probing::Off, false, 50),
        (Probing::Each(30), true, 10),
        (Probing::Each(30), false, 20),
    ] {
        let mut net = up(probing, false);
        restart_b(&mut net, probing, |_| {});
        let healed = time_to_heal(&mut net, |sent| {
            if !hints_arrive && is_clear_informational(sent) { Fate::Drop } else { Fate::Deliver }
        });
        assert_eq!(healed, Some(expected), "{probing:?} {hints_arrive}: {:#?}", net.world.a.log);
        net.assert_pairs(1);
        assert_eq!(net.world.b.states(), [9]);
        // What there was is gone, or will not be used.
        net.pass(seconds(100));
        assert_eq!(net.world.a.states().iter().filter(|state| **state == 9).count(), 1);
        net.assert_pairs(1);
    }
}

/// The responder is killed while phase 1 is negotiated: an initiator repeats its message 5 times, and then begins again.
#[test]
fn a_responder_that_is_restarted_in_main_mode_is_found_when_the_time_is_up() {
    for (delivered, expected) in [(1, 10), (2, 50), (3, 50), (4, 50), (5, 50), (6, 20)] {
        let mut net = Net::new(hosts(), &transport(), &sainfo());
        net.acquire();
        let mut number = 0;
        net.settle_with(|_| {
            number += 1;
            if number <= delivered { Fate::Deliver } else { Fate::Drop }
        });
        restart_b(&mut net, Probing::OnDemand, |_| {});
        let healed =
            time_to_heal(&mut net, |sent| if is_clear_informational(sent) { Fate::Drop } else { Fate::Deliver });
        assert_eq!(healed, Some(expected), "{delivered}: {:#?}", net.world.a.log);
    }
}

/// The one with SAs under it does not know of the loss until it renews them, or is told.
#[test]
fn sas_of_a_peer_that_was_restarted_go_with_its_phase_1() {
    for says_initial_contact in [true, false] {
        let mut net = up(Probing::OnDemand, true);
        restart_b(&mut net, Probing::OnDemand, |remote| remote.initial_contact = says_initial_contact);
        let forged = in_clear(cookies(&net), NotifyType::INVALID_COOKIE);
        net.world.forge_to_a(&forged);
        // Another phase 1 after 10 s; without INITIAL-CONTACT the old one is forgotten 25 s later.
        let expected = if says_initial_contact { 10 } else { 35 };
        assert_eq!(time_to_heal(&mut net, |_| Fate::Deliver), Some(expected), "{:#?}", net.world.a.log);
        net.assert_pairs(1);
        net.world.assert_up();
    }
}

/// Whoever is not there comes back to nothing but a phase 1 that waits for it.
#[test]
fn a_peer_that_is_away_for_long_is_found_when_it_is_back() {
    for probing in [Probing::OnDemand, Probing::Off] {
        let mut net = up(probing, false);
        for _ in 0..7200 {
            net.acquire();
            net.pass_with(seconds(1), silence_of_b);
        }
        let begun = phase1s_begun(&net);
        assert!(begun < 150, "one at a time: {begun}");
        restart_b(&mut net, probing, |_| {});
        let healed = time_to_heal(&mut net, |_| Fate::Deliver);
        assert!(healed.is_some_and(|seconds| seconds <= 60), "{probing:?}: {healed:?}");
    }
}

/// A notify in clear may be anybody's. It costs a probe in `dpd_retry` seconds, whatever it says and however often.
#[test]
fn errors_in_clear_cause_a_probe_at_most_and_end_nothing() {
    let kinds = [NotifyType::INVALID_COOKIE, NotifyType::INVALID_SPI, NotifyType::INVALID_MESSAGE_ID];
    for kind in kinds.into_iter().chain([NotifyType::AUTHENTICATION_FAILED, NotifyType::NO_PROPOSAL_CHOSEN]) {
        let mut net = up(Probing::OnDemand, true);
        let forged = in_clear(cookies(&net), kind);
        net.world.a.forget_outputs();
        for _ in 0..1000 {
            net.world.forge_to_a(&forged);
            net.pass(Duration::from_millis(20));
        }
        let probes = sent_by_a(&net, ExchangeType::INFORMATIONAL);
        assert_eq!((probes, net.world.a.sent.len()), (4, 4), "{kind}: 20 s");
        net.world.assert_up();
        net.assert_pairs(1);
        // The last one is answered, and nothing is left to do.
        net.pass(seconds(60));
        assert_eq!(net.world.a.sent.len(), 4);
    }
    // A peer without DPD is not even asked.
    let mut net = up(Probing::Off, true);
    let forged = in_clear(cookies(&net), NotifyType::INVALID_COOKIE);
    net.world.a.forget_outputs();
    for _ in 0..1000 {
        net.world.forge_to_a(&forged);
        net.pass(Duration::from_millis(20));
    }
    assert_eq!(net.world.a.sent.len(), 0);
    net.world.assert_up();
}

/// The same without any answer from the peer: a second phase 1 is initiated and fails, and all SAs stay.
#[test]
fn errors_in_clear_while_the_line_is_cut_end_nothing() {
    let mut net = up(Probing::OnDemand, true);
    let forged = in_clear(cookies(&net), NotifyType::INVALID_COOKIE);
    let phase1 = cookies(&net);
    net.world.a.forget_outputs();
    for _ in 0..600 {
        net.world.forge_to_a(&forged);
        net.pass_with(seconds(1), silence_of_b);
    }
    let (probes, others) = (sent_by_a(&net, ExchangeType::INFORMATIONAL), sent_by_a(&net, ExchangeType::MAIN));
    assert!(probes <= 120 && others <= 60, "{probes} probes and {others} first messages in 600 s");
    net.pass(seconds(60));
    assert!(net.world.a.engine.phase1s().any(|one| one.cookies == phase1 && one.state == 9));
    net.assert_pairs(1);
    // And the line is there again.
    net.pass(seconds(400));
    net.assert_pairs(1);
    assert!(is_healed(&net), "renewed in its time");
}

/// A peer that drops one quick mode in silence, because it does not like what is proposed, keeps its phase 1 for good.
#[test]
fn a_peer_that_drops_one_quick_mode_in_silence_suffers_nothing() {
    let is_quick = |sent: &Transmit| Header::parse(&sent.bytes).unwrap().0.exchange == ExchangeType::QUICK;
    for (probing, most) in [(Probing::OnDemand, 0), (Probing::Each(20), 0), (Probing::Off, 9)] {
        let mut net = up(probing, false);
        let first = cookies(&net);
        net.world.a.forget_outputs();
        net.world.b.forget_outputs();
        // An hour, which is less than the lifetime of phase 1.
        for _ in 0..2600 {
            net.acquire();
            net.pass_with(seconds(1), |sent| if is_quick(sent) { Fate::Drop } else { Fate::Deliver });
        }
        let begun = phase1s_begun(&net);
        assert!(begun <= most, "{probing:?}: {begun}");
        assert!(net.world.a.engine.phase1s().any(|one| one.cookies == first), "{probing:?}");
        assert!(net.world.b.engine.phase1s().any(|one| one.cookies == first), "{probing:?}");
        if probing == Probing::OnDemand {
            let probes = sent_by_a(&net, ExchangeType::INFORMATIONAL);
            assert!(probes <= 2600 / 10, "not more than one for each message: {probes}");
        }
        // It has changed its mind.
        assert!(time_to_heal(&mut net, |_| Fate::Deliver).is_some_and(|seconds| seconds <= 50));
    }
}

/// One that answers late is alive: what it says in the end counts. `one_in` answers arrives.
#[test]
fn a_slow_peer_keeps_its_phase_1() {
    for (one_in, most) in [(2, 1), (3, 2)] {
        let mut net = up(Probing::OnDemand, false);
        let first = cookies(&net);
        net.acquire();
        let mut answers = 0;
        let mut fate = |sent: &Transmit| {
            answers += usize::from(sent.path.local.to_string() == B);
            if sent.path.local.to_string() != B || answers % one_in == 0 { Fate::Deliver } else { Fate::Drop }
        };
        net.settle_with(&mut fate);
        net.pass_with(seconds(45), &mut fate);
        net.assert_pairs(1);
        assert!(net.world.a.engine.phase1s().any(|one| one.cookies == first && one.state == 9));
        assert!(phase1s_begun(&net) <= most);
    }
}

/// A responder of phase 1 may be the first to see that the peer was restarted.
#[test]
fn a_responder_negotiates_another_phase_1_unless_it_is_passive() {
    for passive in [false, true] {
        let dpd = Some(Dpd::default());
        let mut net = Net::with(
            hosts(),
            &transport(),
            [sainfo(), sainfo()],
            |remote, _| (remote.dpd, remote.passive) = (dpd, passive),
            |remote, _| remote.dpd = dpd,
        );
        net.world.initiate_back();
        net.settle();
        net.pass(seconds(10));
        restart_b(&mut net, Probing::OnDemand, |_| {});
        if passive {
            let establish = Control::EstablishPhase2(Direction::Out, hosts());
            net.world.a.engine.handle_control(net.world.now, establish).unwrap();
            net.settle();
            net.pass(seconds(100));
            assert_eq!((phase1s_begun(&net), net.world.a.unanswered()), (0, vec![(1, 5)]));
        } else {
            assert_eq!(time_to_heal(&mut net, |_| Fate::Deliver), Some(10));
        }
    }
}

/// Some peers say that they answer probes, and do not. Silence of such a one says nothing: its SAs stay.
#[test]
fn a_peer_that_never_answers_probes_keeps_its_sas() {
    let is_probe = |sent: &Transmit| {
        let (header, _) = Header::parse(&sent.bytes).unwrap();
        header.exchange == ExchangeType::INFORMATIONAL && sent.path.local.to_string() == A
    };
    let mut net = up(Probing::OnDemand, true);
    // Its pair is renewed when 750 to 800 s are over; for 35 s no quick mode arrives.
    let began = net.world.a.sent.len();
    while !net.world.a.sent[began..].iter().any(|sent| sent.bytes[18] == 32) {
        net.pass_with(
            seconds(1),
            |sent| if sent.bytes[18] == 32 || is_probe(sent) { Fate::Drop } else { Fate::Deliver },
        );
    }
    net.pass_with(seconds(35), |sent| if sent.bytes[18] == 32 || is_probe(sent) { Fate::Drop } else { Fate::Deliver });
    assert_eq!((phase1s_begun(&net), net.world.a.states()), (2, vec![9, 9]));
    net.pass_with(seconds(60), |sent| if is_probe(sent) { Fate::Drop } else { Fate::Deliver });
    net.assert_pairs(2);
    assert_eq!((phase1s_begun(&net), net.world.a.states()), (2, vec![10, 9]), "{:#?}", net.world.a.log);
}

/// A reload switches probes off while one is on its way, and on again: the peer is asked as before.
#[test]
fn a_reload_leaves_no_probe_behind() {
    let mut net = up(Probing::Each(20), true);
    let reload = |net: &mut Net, dpd| {
        let sainfos = Sainfos::new(vec![sainfo()]);
        let new = Settings { sainfos, ..settings(B, |remote, _| remote.dpd = dpd) };
        net.world.a.engine.handle_control(net.world.now, Control::Reload(Box::new(new))).unwrap();
        net.settle();
    };
    for between in [None, Some(Dpd::default())] {
        reload(&mut net, Probing::Each(20).dpd());
        net.pass_with(seconds(21), silence_of_b);
        reload(&mut net, between);
        net.pass_with(seconds(10), silence_of_b);
        reload(&mut net, Some(Dpd::default()));
        let holder = net.world.a.engine.phase2s.iter().next().unwrap().0;
        net.world.a.forget_outputs();
        net.world.a.engine.core.now = net.world.now;
        assert!(probe_peer_of(&mut net, holder));
        net.settle();
        assert_eq!(net.world.a.sent.len(), 1, "{between:?}");
    }
}

/// Generated policies outlive the quick mode that begins again, if it is the last one under them.
#[test]
fn generated_policies_stay_for_what_begins_again() {
    let dpd = Some(Dpd::default());
    let generate = |remote: &mut Remote, _: &mut Settings| {
        (remote.dpd, remote.generate_policy) = (dpd, crate::config::GeneratePolicy::Require);
    };
    let mut net = Net::with(hosts(), &transport(), [sainfo(), sainfo()], generate, |remote, _| remote.dpd = dpd);
    net.tell_a(KernelEvent::Policies(Vec::new()));
    let establish = Control::EstablishPhase2(Direction::Out, hosts().mirrored());
    net.world.b.engine.handle_control(Time::default(), establish).unwrap();
    net.settle();
    net.assert_pairs(1);
    // Its pair has 5 s left when `b` is killed, and `a` asks for another one.
    net.pass_with(seconds(995), |sent| if sent.bytes[18] == 32 { Fate::Drop } else { Fate::Deliver });
    restart_b(&mut net, Probing::OnDemand, |_| {});
    let policy = net.kernels[0].policies.values().find(|policy| policy.direction == Direction::Out).unwrap().index;
    net.tell_a(KernelEvent::Acquire(Acquire { policy: Some(policy), ..acquire(7) }));
    net.settle();
    net.pass(seconds(9));
    assert_eq!((Net::established(&net.world.a), net.kernels[0].policies.len()), (0, 2), "{:#?}", net.world.a.log);
    net.pass(seconds(2));
    assert_eq!((Net::established(&net.world.a), net.kernels[0].policies.len()), (1, 2), "{:#?}", net.world.a.log);
    assert!(is_healed(&net));
    // And go with the last SAs.
    net.world.a.engine.handle_control(net.world.now, Control::FlushPhase2(None)).unwrap();
    net.settle();
    assert_eq!(net.kernels[0].policies.len(), 0);
}

/// Probes the peer of a phase 2 of `a`.
fn probe_peer_of(net: &mut Net, holder: Phase2Id) -> bool {
    let engine = &mut net.world.a.engine;
    let path = engine.phase2s.get(holder).unwrap().path;
    engine.phase1s.probe_peer(&mut engine.core, path)
}

/// Who holds what another peer asks for is asked once; if it is gone, so is what it has.
#[test]
fn the_holder_of_something_is_asked_whether_it_is_there() {
    let mut net = up(Probing::OnDemand, true);
    let holder = net.world.a.engine.phase2s.iter().next().unwrap().0;
    net.world.a.forget_outputs();
    for _ in 0..100 {
        assert!(probe_peer_of(&mut net, holder));
    }
    net.settle();
    assert_eq!(net.world.a.sent.len(), 1);
    net.pass(seconds(30));
    assert_eq!((net.world.a.sent.len(), Net::established(&net.world.a)), (1, 1));
    net.world.a.engine.core.now = net.world.now;
    assert!(probe_peer_of(&mut net, holder));
    net.settle_with(silence_of_b);
    net.pass_with(seconds(24), silence_of_b);
    assert_eq!(Net::established(&net.world.a), 1);
    net.pass_with(seconds(1), silence_of_b);
    assert_eq!((Net::established(&net.world.a), net.world.a.states()), (0, vec![]));
    assert_eq!(net.world.a.event_kinds().iter().filter(|kind| **kind == EventKind::DpdTimeout).count(), 1);
    // Nobody can be asked without DPD.
    let mut net = up(Probing::Off, true);
    let holder = net.world.a.engine.phase2s.iter().next().unwrap().0;
    assert!(!probe_peer_of(&mut net, holder));
}

/// One with two phase 1s is asked under the newer one, and loses both.
#[test]
fn a_holder_with_two_phase_1s_loses_both() {
    let dpd = Probing::OnDemand.dpd();
    let both = |remote: &mut Remote, _: &mut Settings| remote.dpd = dpd;
    let mut net = Net::with(hosts(), &transport(), [sainfo(), sainfo()], both, both);
    net.world.initiate();
    net.world.initiate_back();
    net.acquire();
    net.settle();
    net.pass(seconds(10));
    assert_eq!((Net::established(&net.world.a), net.world.a.states()), (1, vec![9, 9]));
    let holder = net.world.a.engine.phase2s.iter().next().unwrap().0;
    net.world.a.engine.core.now = net.world.now;
    assert!(probe_peer_of(&mut net, holder));
    net.settle_with(silence_of_b);
    net.pass_with(seconds(60), silence_of_b);
    assert_eq!((Net::established(&net.world.a), net.world.a.states()), (0, vec![]));
}
