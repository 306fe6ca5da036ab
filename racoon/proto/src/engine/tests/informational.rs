//! Informational messages: what is authenticated counts, what is not does not.

use super::*;
use crate::num::{Doi, Flags, NotifyType, PayloadType, Protocol};
use crate::path::Path;
use crate::phase1::Phase1Sa;
use crate::wire::{self, CookiePair, Delete, Header, Notify};

fn delete_of(cookies: CookiePair) -> (PayloadType, Vec<u8>) {
    let spis = vec![cookies.to_bytes().to_vec()];
    (PayloadType::DELETE, Delete { doi: Doi::IPSEC, protocol: Protocol::ISAKMP, spis }.encode())
}

fn notify(kind: NotifyType, spi: &[u8], data: &[u8]) -> (PayloadType, Vec<u8>) {
    let notify = Notify { doi: Doi::IPSEC, protocol: Protocol::ISAKMP, spi: spi.to_vec(), kind, data: data.to_vec() };
    (PayloadType::NOTIFY, notify.encode())
}

fn cookies(world: &World) -> CookiePair {
    world.a.engine.phase1s().next().unwrap().cookies
}

fn in_clear(cookies: CookiePair, payload: &(PayloadType, Vec<u8>)) -> Vec<u8> {
    let header = Header::new(cookies, ExchangeType::INFORMATIONAL, 7);
    wire::message(&header, &[(payload.0, &payload.1)])
}

/// A message of `b` under its SA, whose HASH covers only the first of its payloads, if `part` says so.
fn by_b(world: &mut World, message_id: u32, payloads: &[(PayloadType, Vec<u8>)], part: bool) -> Vec<u8> {
    let id = world.b.only();
    let sa: &Phase1Sa = world.b.engine.phase1s.sa(id).unwrap();
    let payloads: Vec<_> = payloads.iter().map(|(kind, body)| (*kind, body.as_slice())).collect();
    let covered = if part { &payloads[..1] } else { &payloads[..] };
    let mut rest = wire::chain::encode(covered);
    if part {
        // The payload knows what follows it.
        rest[0] = payloads[1].0.0;
    }
    let hash = sa.keys.hash1(message_id, &rest).unwrap();
    let all = [&[(PayloadType::HASH, hash.as_bytes())], payloads.as_slice()].concat();
    let mut iv = sa.iv(message_id).unwrap();
    let header = sa.header(ExchangeType::INFORMATIONAL, message_id);
    sa.protect(&header, &all, &mut iv, (&Default::default(), world.a.address), &mut SeededRandom::new(9)).unwrap()
}

#[test]
fn the_peer_deletes_its_phase_1() {
    let mut world = World::established();
    world.a.forget_outputs();
    let id = world.b.only();
    world.b.engine.purge_phase1(id, true);
    world.run();
    assert_eq!((world.a.states(), world.b.states()), (vec![], vec![]));
    assert_eq!(world.a.event_kinds(), [EventKind::PeerDeleted, EventKind::Phase1Down]);
    assert!(world.a.has_logged(Level::Info, "ISAKMP-SA deleted 192.0.2.1[500]-192.0.2.2[500] spi:"));
}

#[test]
fn forged_deletes_change_nothing() {
    let mut world = World::established();
    let ours = cookies(&world);
    world.forge_to_a(&in_clear(ours, &delete_of(ours)));
    assert_eq!(world.a.states(), [9]);
    // Encrypted, with a wrong hash; with a hash over the first payload only; cut short.
    let mut wrong = by_b(&mut world, 1, &[delete_of(ours)], false);
    let last = wrong.len() - 20;
    wrong[last] ^= 1;
    world.forge_to_a(&wrong);
    let harmless = notify(NotifyType::HEARTBEAT, &[], &[]);
    let part = by_b(&mut world, 2, &[harmless.clone(), delete_of(ours)], true);
    world.forge_to_a(&part);
    let whole = by_b(&mut world, 3, &[harmless.clone(), delete_of(ours)], false);
    for length in 0..whole.len() {
        world.forge_to_a(&whole[..length]);
    }
    assert_eq!(world.a.states(), [9]);
    assert!(world.a.has_logged(Level::Error, "the hash is wrong"));
    // The same as it should be.
    world.forge_to_a(&whole);
    assert_eq!(world.a.states(), []);
}

#[test]
fn encrypted_bodies_that_cannot_be() {
    let mut world = World::established();
    let header = Header { flags: Flags::ENCRYPTED, ..Header::new(cookies(&world), ExchangeType::INFORMATIONAL, 5) };
    for length in 0..40 {
        let header = Header { next_payload: PayloadType::HASH, ..header };
        let bytes = [header.encode(length).as_slice(), &vec![0xaa; length]].concat();
        world.forge_to_a(&bytes);
    }
    assert_eq!(world.a.states(), [9]);
}

/// `weak_phase1_check`: a delete in clear ends a negotiation that has no keys yet, and nothing else, in both roles. Of each
/// message in turn, from the one that `cut` numbers on, nothing arrives.
#[test]
fn a_delete_in_clear_counts_early_and_with_weak_phase1_check_only() {
    for (weak, cut, a_goes, b_goes) in [
        (true, 1, true, false),
        (true, 2, true, true),
        (true, 3, true, true),
        (true, 4, true, false),
        (true, 5, false, false),
        (true, 6, false, false),
        (true, 7, false, false),
        (false, 2, false, false),
        (false, 4, false, false),
        (false, 7, false, false),
    ] {
        let change = |remote: &mut Remote, _: &mut Settings| remote.weak_phase1_check = weak;
        let mut world = World::with(change, change);
        world.initiate();
        let mut number = 0;
        world.run_with(|_| {
            number += 1;
            if number < cut { Fate::Deliver } else { Fate::Drop }
        });
        let before = [world.a.states().len(), world.b.states().len()];
        let ours = cookies(&world);
        let theirs = world.b.engine.phase1s().next().map_or(ours, |view| view.cookies);
        // Somebody who does not know the cookies.
        let mut other = theirs;
        other.responder.0[0] ^= 1;
        world.forge_to_b(&in_clear(theirs, &delete_of(other)));
        assert_eq!(world.b.states().len(), before[1]);
        world.forge_to_a(&in_clear(ours, &delete_of(ours)));
        world.forge_to_b(&in_clear(theirs, &delete_of(theirs)));
        let after = [world.a.states().len(), world.b.states().len()];
        let gone = [before[0] - after[0], before[1] - after[1]];
        assert_eq!(gone, [usize::from(a_goes), usize::from(b_goes)], "{weak} {cut}");
        if a_goes {
            assert_eq!(world.a.failures(), [FailureReason::Deleted(Protocol::ISAKMP)]);
            assert!(world.a.has_logged(Level::Error, "the peer deleted its isakmp SA"), "{:?}", world.a.log);
        }
        // The honest peer gets through.
        world.link.clear();
        let _ = world.try_to_initiate();
        world.pass(seconds(60));
        assert!(world.a.states().contains(&9) && world.b.states().contains(&9), "{weak} {cut}");
    }
}

/// With SAs under it, too, and in the name of any SA.
#[test]
fn deletes_in_clear_end_nothing_that_is_established() {
    let mut world = World::established_with(
        |remote, _| remote.weak_phase1_check = true,
        |remote, _| remote.weak_phase1_check = true,
    );
    let ours = cookies(&world);
    world.forge_to_a(&in_clear(ours, &delete_of(ours)));
    world.forge_to_b(&in_clear(ours, &delete_of(ours)));
    world.assert_up();
}

#[test]
fn a_message_id_counts_once() {
    let mut world = World::established();
    let ours = cookies(&world);
    let probe = notify(NotifyType::R_U_THERE, &ours.to_bytes(), &[0, 0, 0, 1]);
    let message = by_b(&mut world, 77, &[probe], false);
    world.a.forget_outputs();
    world.forge_to_a(&message);
    world.forge_to_a(&message);
    assert_eq!(world.a.sent.len(), 1);
    let zero = by_b(&mut world, 0, &[notify(NotifyType::R_U_THERE, &ours.to_bytes(), &[0, 0, 0, 1])], false);
    world.forge_to_a(&zero);
    assert_eq!(world.a.sent.len(), 1);
}

#[test]
fn somebody_elses_phase_1_is_not_the_peers() {
    let mut world = World::established();
    // Another peer of `a`.
    let third = settings(A, |_, _| {});
    let mut third = Host::new("192.0.2.3:500", 3, third, &[("192.0.2.1", "third")]);
    world.a.keys.0.push(("192.0.2.3".into(), "third"));
    let mut anyone = remote_for(B);
    anyone.address = None;
    let reloaded = Settings { remotes: Remotes::new(vec![anyone]), log: Level::Debug2, ..Settings::default() };
    world.a.engine.handle_control(world.now, Control::Reload(Box::new(reloaded))).unwrap();
    let control =
        Control::EstablishPhase1 { local: third.address.ip(), remote: world.a.address.ip(), remote_section: None };
    third.engine.handle_control(world.now, control).unwrap();
    let mut to_a = third.drain(world.now);
    while let Some(transmit) = to_a.pop() {
        world.a.engine.handle_datagram(world.now, Path::new(world.a.address, third.address), &transmit.bytes);
        for answer in world.a.drain(world.now) {
            third.engine.handle_datagram(world.now, Path::new(third.address, world.a.address), &answer.bytes);
        }
        to_a.extend(third.drain(world.now));
    }
    assert_eq!(world.a.states(), [9, 9]);
    let victim = third.engine.phase1s().next().unwrap().cookies;
    let message = by_b(&mut world, 5, &[delete_of(victim)], false);
    world.forge_to_a(&message);
    assert_eq!(world.a.states(), [9, 9]);
    assert!(world.a.has_logged(Level::Warning, "ignored a DELETE for another peer's phase 1"));
}

#[test]
fn a_probe_is_answered_if_it_is_for_us() {
    let mut world = World::established();
    let ours = cookies(&world).to_bytes();
    let swapped = [&ours[8..], &ours[..8]].concat();
    for (message_id, spi, data, answered) in [
        (11, ours.to_vec(), vec![0, 0, 0, 1], true),
        (12, swapped, vec![0, 0, 0, 2], true),
        (13, vec![0; 16], vec![0, 0, 0, 3], false),
        (14, vec![], vec![0, 0, 0, 3], false),
        (15, ours[..15].to_vec(), vec![0, 0, 0, 3], false),
        (16, ours.to_vec(), vec![0, 0, 3], false),
        (17, ours.to_vec(), vec![0, 0, 0, 3, 0], false),
    ] {
        world.a.forget_outputs();
        let message = by_b(&mut world, message_id, &[notify(NotifyType::R_U_THERE, &spi, &data)], false);
        world.forge_to_a(&message);
        assert_eq!(world.a.sent.len(), usize::from(answered), "{message_id}");
        let mut world_b = std::mem::take(&mut world.link);
        world_b.clear();
    }
}

#[test]
fn an_error_in_clear_is_remembered_and_ends_nothing() {
    let mut world = World::new();
    world.initiate();
    let message_1 = world.link.pop_front().unwrap();
    let (header, _) = Header::parse(&message_1.bytes).unwrap();
    world.forge_to_a(&in_clear(header.cookies, &notify(NotifyType::AUTHENTICATION_FAILED, &[], b"so")));
    assert_eq!(world.a.states(), [3]);
    assert!(world.a.has_logged(Level::Warning, "AUTHENTICATION-FAILED: so"));
    // Another's cookies are nobody's.
    let mut other = header.cookies;
    other.initiator.0[0] ^= 1;
    world.forge_to_a(&in_clear(other, &notify(NotifyType::NO_PROPOSAL_CHOSEN, &[], &[])));
    world.deliver(&message_1);
    world.run();
    world.assert_up();
    assert_eq!(world.a.outcomes[0].peer_said, [NotifyType::AUTHENTICATION_FAILED]);
}

/// A refusal in clear is told at once with what was offered; it ends nothing, and there is one error when the time is up.
#[test]
fn a_refusal_in_clear_is_told_at_once_and_once_more_at_the_end() {
    let mut world = World::new();
    world.initiate();
    let message_1 = world.link.pop_front().unwrap();
    let (header, _) = Header::parse(&message_1.bytes).unwrap();
    let refusal = in_clear(header.cookies, &notify(NotifyType::NO_PROPOSAL_CHOSEN, &[], &[]));
    (0..3).for_each(|_| world.forge_to_a(&refusal));
    let offered = "[aes 128, sha256, x25519, pre_shared_key, 3600 s]";
    let hint =
        format!("unauthenticated notify NO-PROPOSAL-CHOSEN; offered: {offered}; negotiation goes on for up to 50 s");
    assert_eq!(world.a.lines(Level::Warning), [hint.as_str()]);
    assert_eq!(world.a.states(), [3]);
    world.pass_with(seconds(100), |_| Fate::Drop);
    let [line] = world.a.lines(Level::Error)[..] else { panic!("{:?}", world.a.log) };
    assert!(line.contains("the peer says NO-PROPOSAL-CHOSEN") && line.contains(offered), "{line}");
}

/// What a peer sends under SAs that it does not know to be gone is nobody's error.
#[test]
fn messages_from_before_a_restart_are_no_errors() {
    let mut world = World::established();
    let ours = cookies(&world);
    let delete = by_b(&mut world, 1, &[delete_of(ours)], false);
    let probe = by_b(&mut world, 2, &[notify(NotifyType::R_U_THERE, &ours.to_bytes(), &[0, 0, 0, 1])], false);
    let mut restarted = World::new();
    restarted.forge_to_a(&delete);
    restarted.forge_to_a(&probe);
    restarted.forge_to_a(&in_clear(ours, &delete_of(ours)));
    let told = format!("informational message for an unknown ISAKMP SA {ours}, perhaps from before a restart; ignored");
    assert_eq!(restarted.a.lines(Level::Info), [told.as_str(); 3]);
    assert!(restarted.a.log.iter().all(|line| line.level >= Level::Info), "{:?}", restarted.a.log);
}

#[test]
fn wrong_exchanges_in_every_state() {
    for exchange in [1, 3, 4, 5, 6, 32, 33, 34, 240] {
        for encrypted in [false, true] {
            let mut world = World::new();
            world.initiate();
            while let Some(transmit) = world.link.pop_front() {
                let (header, _) = Header::parse(&transmit.bytes).unwrap();
                let flags = if encrypted { Flags::ENCRYPTED } else { Flags::empty() };
                for message_id in [0, 5] {
                    let wrong = Header { exchange: ExchangeType(exchange), flags, message_id, ..header };
                    let first_payloads: &[(PayloadType, &[u8])] = &[(PayloadType::HASH, &[0; 44])];
                    let bytes = wire::message(&wrong, first_payloads);
                    let to = if transmit.path.remote == world.a.address { &mut world.a } else { &mut world.b };
                    to.engine.handle_datagram(world.now, transmit.path.reversed(), &bytes);
                    to.drain(world.now);
                }
                world.deliver(&transmit);
            }
            world.assert_up();
        }
    }
}

#[test]
fn what_overtakes_the_last_message_is_held() {
    let mut world = World::new();
    world.initiate();
    let mut last = None;
    // Message 6 comes behind the informational message that follows it.
    world.run_with(|sent| {
        if sent.path.local.ip().to_string() == "192.0.2.2" && sent.bytes[18] == 2 && sent.bytes[19] == 1 {
            last = Some(sent.clone());
            return Fate::Drop;
        }
        Fate::Deliver
    });
    assert_eq!(world.a.states(), [7]);
    world.deliver(&last.unwrap());
    world.run();
    world.assert_up();
    assert!(world.a.has_logged(Level::Info, "received INITIAL-CONTACT"), "{:?}", world.a.log);
}

/// At level debug2 each encrypted message is told in words, on both sides, and no secret is; at other levels it costs nothing.
#[test]
fn encrypted_messages_are_told_in_words() {
    let world = World::established();
    let identity = "  ID: IPv4_address 192.0.2.1, protocol udp, port 500";
    for (host, what) in [(&world.a, "encrypted for"), (&world.b, "decrypted of")] {
        let lines = host.lines(Level::Debug2);
        let title = lines.iter().position(|line| line.starts_with(what)).expect("message 5");
        assert!(lines[title].ends_with(" main, message id 00000000"), "{lines:?}");
        assert_eq!(lines[title + 1], identity);
        assert_eq!(lines[title + 2], "  HASH: 32 bytes");
        assert!(
            lines.iter().any(|line| line.starts_with("  N: INITIAL-CONTACT, DOI ipsec, protocol isakmp")),
            "{lines:?}"
        );
        let before = |part: &str| host.log.iter().position(|line| line.text.contains(part)).unwrap();
        assert!(before(identity) < before("ISAKMP-SA established"));
        assert!(host.log[before(identity)].peer.is_some());
    }
    let world = World::established_with(|_, settings| settings.log = Level::Debug, |_, _| {});
    assert_eq!(world.a.lines(Level::Debug2), [""; 0]);
}
