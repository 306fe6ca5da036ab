//! What comes after a phase 1 is established: renewal, expiry, dead peers, reload, the end.

use super::*;
use crate::config::{DpdMode, Rekey};
use crate::engine::LastTraffic;
use crate::num::NotifyType;
use crate::path::Path;
use crate::phase1::lifecycle::{WITH_HOST_MAX, WITH_PORT_MAX};
use crate::phase1::{MESSAGE_IDS_MAX, MESSAGE_IDS_RENEWED_AFTER};

fn dpd(mode: DpdMode) -> Option<Dpd> {
    Some(Dpd { delay: 20, retry: 5, max_fail: 3, mode })
}

fn silence(_: &Transmit) -> Fate {
    Fate::Drop
}

#[test]
fn it_expires_without_need_of_it() {
    let mut world = World::established();
    world.a.forget_outputs();
    world.pass(seconds(2699));
    assert_eq!(world.a.states(), [9]);
    world.pass(seconds(182));
    assert_eq!(world.a.states(), [10]);
    world.pass(seconds(720));
    assert_eq!((world.a.states(), world.b.states()), (vec![], vec![]));
    assert_eq!(world.a.sent, [], "the peer knows it, too");
    let lines = world.a.lines(Level::Info);
    assert!(lines[0].starts_with("ISAKMP-SA expired 192.0.2.1[500]-192.0.2.2[500] spi:"), "{lines:?}");
    assert!(lines[1].starts_with("ISAKMP-SA deleted 192.0.2.1[500]-192.0.2.2[500] spi:"), "{lines:?}");
    assert_eq!(world.a.event_kinds(), [EventKind::Phase1Down]);
    assert_eq!(world.a.engine.poll_timeout(), None);
}

#[test]
fn its_initiator_renews_it() {
    let force = |remote: &mut Remote, _: &mut Settings| remote.rekey = Rekey::Force;
    let mut world = World::established_with(force, force);
    let first = world.a.engine.phase1s().next().unwrap().cookies;
    world.pass(seconds(2881));
    assert_eq!((world.a.states(), world.b.states()), (vec![10, 9], vec![10, 9]));
    assert!(world.a.lines(Level::Info).contains(&"renegotiating phase1 to 192.0.2.2[500]"));
    assert!(!world.b.has_logged(Level::Info, "renegotiating"));
    let newest = world.a.engine.phase1s.usable(Path::new(world.a.address, world.b.address)).unwrap();
    assert_ne!(world.a.engine.phase1s.sa(newest).unwrap().cookies, first);
    world.pass(seconds(720));
    world.assert_up();
    // And again and again.
    world.pass(seconds(36_000));
    assert!(world.a.failures().is_empty());
    assert!(world.a.states().contains(&9));
}

/// Both have begun at once, and each has one that it would renew. The first to do so relieves the other one.
#[test]
fn both_begin_at_once_and_do_not_renew_two_for_ever() {
    let force = |remote: &mut Remote, _: &mut Settings| remote.rekey = Rekey::Force;
    let mut world = World::with(force, force);
    world.initiate();
    world.initiate_back();
    world.run();
    assert_eq!((world.a.states(), world.b.states()), (vec![9, 9], vec![9, 9]));
    for round in 0..10 {
        world.pass(seconds(3600));
        for host in [&world.a, &world.b] {
            let living = host.states().into_iter().filter(|state| *state == 9).count();
            assert_eq!(living, 1, "{round}: {:?}", host.states());
        }
    }
    assert!(world.a.failures().is_empty() && world.b.failures().is_empty());
}

#[test]
fn a_renewal_that_fails_is_tried_again() {
    let force = |remote: &mut Remote, _: &mut Settings| remote.rekey = Rekey::Force;
    let mut world = World::established_with(force, force);
    while world.a.states() == [9] {
        world.pass_with(seconds(1), silence);
    }
    world.pass_with(seconds(55), silence);
    assert_eq!(world.a.failures().len(), 1);
    world.pass(seconds(20));
    assert_eq!(world.a.states(), [10, 9]);
}

#[test]
fn it_is_not_renewed_with_rekey_off() {
    let off = |remote: &mut Remote, _: &mut Settings| remote.rekey = Rekey::Off;
    let mut world = World::established_with(off, off);
    world.pass(seconds(2890));
    assert_eq!(world.a.states(), [10]);
    world.pass(seconds(720));
    assert_eq!(world.a.states(), []);
}

#[test]
fn a_living_peer_answers_probes() {
    let mut world = World::established_with(|remote, _| remote.dpd = dpd(DpdMode::Always), |_, _| {});
    world.a.forget_outputs();
    world.pass(seconds(205));
    assert_eq!(world.a.sent.len(), 10);
    assert_eq!(world.a.states(), [9]);
}

/// Of two with one peer the newer one is watched: what answers there is there.
#[test]
fn the_newest_one_probes() {
    let mut world = World::with(|remote, _| remote.dpd = dpd(DpdMode::Always), |_, _| {});
    world.initiate();
    world.initiate_back();
    world.run();
    assert_eq!(world.a.states(), [9, 9]);
    let newest = world.a.engine.phase1s.usable(Path::new(world.a.address, world.b.address)).unwrap();
    let cookies = world.a.engine.phase1s.sa(newest).unwrap().cookies.to_bytes();
    world.a.forget_outputs();
    world.pass(seconds(205));
    assert_eq!(world.a.sent.len(), 10);
    assert!(world.a.sent.iter().all(|probe| probe.bytes.starts_with(&cookies)));
}

#[test]
fn a_dead_peer_does_not() {
    let mut world = World::established_with(|remote, _| remote.dpd = dpd(DpdMode::Always), |_, _| {});
    world.a.forget_outputs();
    world.pass_with(seconds(34), silence);
    assert_eq!((world.a.states(), world.a.sent.len()), (vec![9], 3));
    world.pass_with(seconds(2), silence);
    assert_eq!(world.a.states(), []);
    assert_eq!(world.a.event_kinds(), [EventKind::DpdTimeout, EventKind::Phase1Down]);
    assert!(world.a.has_logged(Level::Info, "seems to be dead"));
    assert!(world.a.has_logged(Level::Info, "purging ISAKMP-SA spi="));
}

#[test]
fn a_lost_answer_is_no_death() {
    let mut world = World::established_with(|remote, _| remote.dpd = dpd(DpdMode::Always), |_, _| {});
    world.pass_with(seconds(26), silence);
    world.pass(seconds(300));
    assert_eq!(world.a.states(), [9]);
}

#[test]
fn a_peer_that_cannot_is_not_probed() {
    let mut world =
        World::established_with(|remote, _| remote.dpd = dpd(DpdMode::Always), |remote, _| remote.dpd = None);
    world.a.forget_outputs();
    world.pass_with(seconds(500), silence);
    assert_eq!((world.a.states(), world.a.sent.len()), (vec![9], 0));
    // The same with an initiator that does not say that it can.
    let mut world =
        World::established_with(|remote, _| remote.dpd = None, |remote, _| remote.dpd = dpd(DpdMode::Always));
    world.b.forget_outputs();
    world.pass_with(seconds(500), silence);
    assert_eq!((world.b.states(), world.b.sent.len()), (vec![9], 0));
}

#[test]
fn probes_follow_the_mode() {
    // Who hears from the peer does not ask, in mode idle.
    let mut world = World::established_with(
        |remote, _| remote.dpd = dpd(DpdMode::Idle),
        |remote, _| remote.dpd = Some(Dpd { delay: 15, ..Dpd::default() }),
    );
    world.a.forget_outputs();
    world.pass(seconds(100));
    assert!(world.a.sent.iter().all(|sent| sent.bytes.len() == world.a.sent[0].bytes.len()));
    assert_eq!(world.a.sent.len(), 6, "answers only");
    // In mode traffic it asks when packets go out and none come in.
    let mut world = World::established_with(|remote, _| remote.dpd = dpd(DpdMode::Traffic), |_, _| {});
    world.a.forget_outputs();
    let (local, remote) = (world.a.address.ip(), world.b.address.ip());
    let note = |world: &mut World, sent: u64, received: u64| {
        let traffic = LastTraffic { sent: Time::from_secs(sent), received: Time::from_secs(received) };
        world.a.engine.handle_control(world.now, Control::Traffic { local, remote, traffic }).unwrap();
    };
    note(&mut world, 0, 0);
    world.pass(seconds(100));
    assert_eq!(world.a.sent.len(), 0, "nothing goes out");
    note(&mut world, 99, 99);
    world.pass(seconds(18));
    assert_eq!(world.a.sent.len(), 0, "something came in");
    note(&mut world, 110, 99);
    world.pass(seconds(20));
    assert_eq!(world.a.sent.len(), 1);
}

#[test]
fn the_end_tells_the_peer_and_leaves_nothing() {
    let mut world = World::established();
    world.a.engine.handle_control(world.now, Control::Shutdown).unwrap();
    world.run();
    assert_eq!((world.a.states(), world.b.states()), (vec![], vec![]));
    assert_eq!(world.a.engine.poll_timeout(), None);
    let mut world = World::new();
    world.initiate();
    world.a.engine.handle_control(world.now, Control::Shutdown).unwrap();
    world.run();
    assert_eq!(world.a.endings(), [NegotiationResult::Abandoned]);
    assert_eq!((world.a.states(), world.a.engine.poll_timeout()), (vec![], None));
}

#[test]
fn deletes_and_flushes() {
    let mut world = World::established();
    let (local, remote) = ("0.0.0.0".parse().unwrap(), world.b.address.ip());
    let delete = || Control::DeletePeer { local, remote };
    world.a.engine.handle_control(world.now, delete()).unwrap();
    world.run();
    assert_eq!((world.a.states(), world.b.states()), (vec![], vec![]));
    assert_eq!(world.a.engine.handle_control(world.now, delete()), Err(Refusal::Missing));
    world.initiate();
    world.run();
    let establish = Control::EstablishPhase1 { local, remote, remote_section: None };
    assert_eq!(world.a.engine.handle_control(world.now, establish), Err(Refusal::Exists));
    world.a.engine.handle_control(world.now, Control::FlushPhase1).unwrap();
    world.run();
    assert_eq!((world.a.states(), world.b.states()), (vec![], vec![]));
    let unknown = Control::EstablishPhase1 { local, remote: "203.0.113.1".parse().unwrap(), remote_section: None };
    let refused = world.a.engine.handle_control(world.now, unknown);
    assert!(matches!(refused, Err(Refusal::NotConfigured(_))));
}

#[test]
fn a_reload_keeps_what_still_fits() {
    let reload = |world: &mut World, remote: Remote| {
        let settings = Settings { remotes: Remotes::new(vec![remote]), log: Level::Debug2, ..Settings::default() };
        world.a.engine.handle_control(world.now, Control::Reload(Box::new(settings))).unwrap();
        world.run();
    };
    let mut world = World::established();
    reload(&mut world, Remote { name: "renamed".into(), ..remote_for(B) });
    assert_eq!(world.a.engine.phase1s().next().unwrap().remote_section, Some("renamed"));
    reload(&mut world, remote_for("203.0.113.1:500"));
    assert_eq!((world.a.states(), world.b.states()), (vec![], vec![]));
    assert!(world.a.has_logged(Level::Notify, "no remote section matches this peer any longer"));
    let mut world = World::new();
    world.initiate();
    reload(&mut world, remote_for(B));
    world.assert_up();
    let mut world = World::new();
    world.initiate();
    reload(&mut world, remote_for("203.0.113.1:500"));
    assert_eq!((world.a.states(), world.a.endings()), (vec![], vec![NegotiationResult::Abandoned]));
}

/// A reload changes the size of the journal and the level at which decrypted messages are logged.
#[test]
fn a_reload_brings_another_journal_and_other_words() {
    let mut world = World::established();
    let told = |host: &Host| host.lines(Level::Debug2).iter().any(|line| line.contains("decrypted of"));
    assert_eq!((world.b.engine.journal().iter().count(), told(&world.b)), (1, true));
    world.b.forget_outputs();
    let new = Settings { journal: 0, log: Level::Debug, ..settings(A, |_, _| {}) };
    world.b.engine.handle_control(world.now, Control::Reload(Box::new(new))).unwrap();
    world.a.engine.handle_control(world.now, Control::FlushPhase1).unwrap();
    world.run();
    world.initiate();
    world.run();
    world.assert_up();
    assert_eq!((world.b.engine.journal().iter().count(), told(&world.b)), (0, false));
}

/// Probes begin, become others and end with a reload.
#[test]
fn a_reload_brings_probes() {
    let mut world = World::established();
    let probes = |world: &mut World, delay| {
        let remote = Remote { dpd: Some(Dpd { delay, ..Dpd::default() }), ..remote_for(B) };
        let settings = Settings { remotes: Remotes::new(vec![remote]), log: Level::Debug2, ..Settings::default() };
        world.a.engine.handle_control(world.now, Control::Reload(Box::new(settings))).unwrap();
        world.a.forget_outputs();
        world.pass(seconds(205));
        world.a.sent.len()
    };
    assert_eq!([20, 20, 50, 0].map(|delay| probes(&mut world, delay)), [10, 10, 4, 0]);
}

#[test]
fn a_peer_that_was_restarted_says_so() {
    let mut world = World::established();
    world.b = Host::new(B, 99, settings(A, |_, _| {}), &[("192.0.2.1", "a secret of a and b")]);
    world.now = world.now + seconds(10);
    world.initiate_back();
    world.run();
    world.assert_up();
    assert!(world.a.has_logged(Level::Info, "received INITIAL-CONTACT"));
    // In a local test nobody believes it.
    let mut world = World::established_with(|_, settings| settings.local_test = true, |_, _| {});
    world.b = Host::new(B, 99, settings(A, |_, _| {}), &[("192.0.2.1", "a secret of a and b")]);
    world.initiate_back();
    world.run();
    assert_eq!(world.a.states(), [9, 9]);
}

/// The number of phase 1s of a peer is limited for each port and for each host; the newest are kept.
#[test]
fn a_peer_has_so_many() {
    let mut world = World::established();
    let attempt = |world: &mut World, port: u16| {
        world.a.address.set_port(port);
        let sent_from = world.a.address;
        world.a.engine.handle_control(world.now, Control::Addresses([sent_from].into())).unwrap();
        world.a.engine.handle_control(world.now, Control::FlushPhase1).unwrap();
        // Its deletes are lost.
        world.a.drain(world.now);
        world.initiate();
        world.run();
        assert_eq!(world.a.states(), [9]);
    };
    for _ in 0..2 * WITH_PORT_MAX {
        attempt(&mut world, 500);
        assert!(world.b.states().len() <= WITH_PORT_MAX);
    }
    assert_eq!(world.b.states(), [9; WITH_PORT_MAX]);
    for port in 1000..2100 {
        attempt(&mut world, port);
    }
    assert_eq!(world.b.states().len(), WITH_HOST_MAX);
    let (ours, theirs) = (world.a.only(), world.b.engine.phase1s.iter().last().unwrap().0);
    let cookies = |host: &Host, id| host.engine.phase1s.get(id).unwrap().cookies;
    assert_eq!(cookies(&world.a, ours), cookies(&world.b, theirs));
}

/// One that took so long that there are too many by then is the newest all the same: others go.
#[test]
fn the_last_to_come_up_stays() {
    let mut world = World::established();
    let again = |world: &mut World| {
        world.a.engine.handle_control(world.now, Control::FlushPhase1).unwrap();
        world.a.drain(world.now);
        world.initiate();
    };
    again(&mut world);
    let mut late = None;
    world.run_with(|sent| {
        // Message 5 is the first one that is encrypted.
        if sent.bytes[19] & 1 == 0 {
            return Fate::Deliver;
        }
        late.get_or_insert_with(|| sent.clone());
        Fate::Drop
    });
    for _ in 0..WITH_PORT_MAX {
        again(&mut world);
        world.run();
    }
    let late = late.unwrap();
    let timers = world.b.engine.load().timers;
    world.deliver(&late);
    assert_eq!(world.b.states(), [9; WITH_PORT_MAX]);
    assert!(world.b.engine.phase1s().any(|one| late.bytes.starts_with(&one.cookies.initiator.0)));
    assert!(world.b.engine.load().timers <= timers + 1, "nothing is set for who is no more");
}

/// The initiator says it in message 5, where other daemons look for it; the responder in a message of its own.
#[test]
fn initial_contact_is_sent_once() {
    let said = |host: &Host| host.lines(Level::Info).iter().filter(|line| line.contains("INITIAL-CONTACT")).count();
    let informational = |host: &Host| host.sent.iter().filter(|sent| sent.bytes[18] == 5).count();
    let mut world = World::established();
    assert_eq!((said(&world.a), said(&world.b)), (1, 1));
    assert_eq!((informational(&world.a), informational(&world.b)), (0, 1));
    let id = world.b.only();
    world.b.engine.purge_phase1(id, true);
    world.run();
    world.initiate();
    world.run();
    world.assert_up();
    assert_eq!((said(&world.a), said(&world.b)), (1, 1));
    // Who has deleted all with the peer knows of nothing again.
    let (local, remote) = (world.a.address.ip(), world.b.address.ip());
    world.a.engine.handle_control(world.now, Control::DeletePeer { local, remote }).unwrap();
    world.run();
    world.initiate();
    world.run();
    assert_eq!((said(&world.a), said(&world.b)), (1, 2));
    let world = World::established_with(|remote, _| remote.initial_contact = false, |_, _| {});
    assert_eq!((said(&world.a), said(&world.b)), (1, 0));
}

/// `b` says something that is of no interest, many times, under its oldest phase 1.
fn chatter(world: &mut World, times: usize) {
    for _ in 0..times {
        let Some((id, _)) = world.b.engine.phase1s.iter().next() else { return };
        world.b.engine.phase1s.get_mut(id).unwrap().send_notify(&mut world.b.engine.core, NotifyType::HEARTBEAT, &[]);
        world.run();
        // What is due at once is due.
        world.pass(Duration::ZERO);
        world.a.forget_outputs();
        world.b.forget_outputs();
    }
}

/// All message ids under a phase 1 are remembered to detect replays, so their number is limited. The phase 1 is renewed before
/// the limit is reached.
#[test]
fn many_message_ids_renew_a_phase_1_and_too_many_end_it() {
    let force = |remote: &mut Remote, _: &mut Settings| remote.rekey = Rekey::Force;
    for a_began in [true, false] {
        let mut world = World::with(force, force);
        if a_began {
            world.initiate()
        } else {
            world.initiate_back()
        }
        world.run();
        let first = world.a.engine.phase1s().next().unwrap().cookies;
        let used = world.a.engine.phase1s.sa(world.a.only()).unwrap().used.count();
        chatter(&mut world, MESSAGE_IDS_RENEWED_AFTER - used - 1);
        assert_eq!((world.a.states(), world.b.states()), (vec![9], vec![9]));
        chatter(&mut world, 1);
        // For the responder it is not time yet.
        let states = [world.a.states(), world.b.states()];
        assert_eq!(states, if a_began { [[10, 9], [9, 9]] } else { [[9, 9], [10, 9]] });
        chatter(&mut world, MESSAGE_IDS_MAX - MESSAGE_IDS_RENEWED_AFTER);
        // The old one goes; messages under it are not even read.
        world.assert_up();
        assert_ne!(world.a.engine.phase1s().next().unwrap().cookies, first);
    }
}

/// A responder renews it where its initiator does not count, unless it must not begin.
#[test]
fn a_responder_renews_a_phase_1_with_many_message_ids_if_its_initiator_does_not() {
    for passive in [false, true] {
        let mut world = World::with(
            |remote, _| (remote.rekey, remote.passive) = (Rekey::Force, passive),
            |remote, _| remote.rekey = Rekey::Off,
        );
        world.initiate_back();
        world.run();
        chatter(&mut world, MESSAGE_IDS_RENEWED_AFTER + 1024);
        let expected = if passive { vec![10] } else { vec![10, 9] };
        assert_eq!(world.a.states(), expected);
        // Without another one it ends all the same, and the peer is told.
        chatter(&mut world, MESSAGE_IDS_MAX - MESSAGE_IDS_RENEWED_AFTER - 1024);
        assert_eq!((world.a.states(), world.b.states()), (expected[1..].to_vec(), expected[1..].to_vec()));
    }
}
