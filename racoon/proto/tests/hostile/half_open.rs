//! While unknown peers fill the pool of half-open negotiations, other peers can still connect: those whose address is configured, and
//! those whose address may be any.
//!
//! Known defects: CVE-2008-3652, and negotiations without a limit. A naive limit would itself allow an attack.

use std::net::SocketAddr;
use std::time::Duration;

use racoon_proto::proposal::phase1_sa;
use racoon_proto::settings::HalfOpenLimit;

use crate::fixture::{Configuration, Fixture, TERMS, remote_section};
use crate::flood::{message_1, unknown_peer};
use crate::scripted_peer::{ScriptedPeer, Step};
use crate::session::{Role, Session};

const LIMIT: HalfOpenLimit = HalfOpenLimit { total: 50, per_source: 4 };

/// A session that has not begun. The peer's address is any, or the one in its remote section.
fn session(peer_is_anywhere: bool) -> Session {
    session_with(peer_is_anywhere, LIMIT)
}

fn session_with(peer_is_anywhere: bool, limit: HalfOpenLimit) -> Session {
    let mut configuration = Configuration::default();
    let anybody = remote_section("anybody", None);
    if peer_is_anywhere {
        configuration.remote = anybody;
    } else {
        configuration.anonymous = Some(anybody);
    }
    configuration.settings.half_open = limit;
    configuration.settings.log = racoon_proto::output::Level::Error;
    Session::new(Role::Initiator, configuration)
}

/// Sends first messages from `count` forged addresses, one from each.
fn flood(fixture: &mut Fixture, from: u32, count: u32) {
    let sa = phase1_sa(&[TERMS]).encode();
    for number in from..from + count {
        fixture.receive_from(unknown_peer(number), &message_1(u64::from(number) + 1, &sa));
        fixture.pass(Duration::from_micros(100));
    }
    fixture.sent.clear();
}

/// Sends first messages from one address, which may be forged.
fn flood_from(fixture: &mut Fixture, address: SocketAddr, from: u64, count: u64) {
    let sa = phase1_sa(&[TERMS]).encode();
    (from..from + count).for_each(|cookie| fixture.receive_from(address, &message_1(cookie, &sa)));
    fixture.sent.clear();
}

/// Plays a peer at its true address that sends message 3 and then nothing more.
fn linger(fixture: &mut Fixture, address: SocketAddr, seed: u64) {
    let mut scripted_peer = ScriptedPeer::new(address, fixture.address, true, seed);
    fixture.sent.clear();
    for step in [Step::Main1, Step::Main3] {
        let draft = scripted_peer.draft(step);
        let message = scripted_peer.seal(&draft);
        scripted_peer.has_said(&draft, &message);
        fixture.receive_from(address, &message);
        let answer = fixture.sent.pop_front().expect("an answer");
        scripted_peer.hear(&answer.bytes);
    }
}

/// Runs the peer's session, with `flood` between its messages. Returns whether SAs are established.
fn gets_through(session: &mut Session, mut flood: impl FnMut(&mut Fixture, Step)) -> bool {
    for step in Role::Initiator.steps() {
        flood(&mut session.fixture, *step);
        let draft = session.scripted_peer.draft(*step);
        // A peer that was evicted has no keys for its next message.
        if *step > Step::Main1 && session.scripted_peer.cookies.responder.is_zero() {
            return false;
        }
        if *step >= Step::Main5 && !session.scripted_peer.is_keyed() {
            return false;
        }
        session.utter(&draft);
    }
    session.fixture.sas.len() == 2
}

/// The flood replaces a tenth of the pool in each round trip of the peer. The oldest negotiations are evicted, but the peer answers
/// before it is one of them. After message 3, any rate of the flood is harmless.
#[test]
fn a_flood_from_nowhere_does_not_keep_others_out() {
    let mut through = 0;
    for run in 0..40 {
        let mut session = session(true);
        flood(&mut session.fixture, 0, 100 + run);
        assert_eq!(session.fixture.engine.load().half_open, LIMIT.total as usize);
        let mut from = 1000;
        let up = gets_through(&mut session, |fixture, step| {
            let count = if step == Step::Main3 { 5 } else { 1000 };
            flood(fixture, from, count);
            from += count;
            assert!(fixture.engine.load().half_open <= LIMIT.total as usize);
        });
        through += u32::from(up);
        session.fixture.wind_up("after a flood");
    }
    assert_eq!(through, 40);
}

/// Runs the handshake of an unknown peer while `rate` forged first messages a second arrive in its name. Returns whether it succeeds.
fn handshake_under_forgery(limit: HalfOpenLimit, rate: u32, round_trip: Duration) -> bool {
    let mut session = session_with(true, limit);
    let peer = session.fixture.peer;
    flood_from(&mut session.fixture, peer, 1, 2 * u64::from(limit.total));
    let in_round_trip = u64::from(rate) * u64::try_from(round_trip.as_millis()).expect("a round trip") / 1000;
    let mut from = 1_000_000;
    let up = gets_through(&mut session, |fixture, step| {
        if step != Step::Main1 {
            let end = fixture.now + round_trip;
            for _ in 0..in_round_trip {
                flood_from(fixture, peer, from, 1);
                from += 1;
                fixture.pass(Duration::from_secs(1) / rate);
            }
            fixture.pass(end.since(fixture.now));
        }
        assert!(fixture.engine.load().half_open <= limit.total as usize);
    });
    session.fixture.wind_up("after forged first messages");
    up
}

/// 200 forged first messages a second in an unknown peer's name do not count against it, at a round trip of 100 ms.
#[test]
fn forged_first_messages_do_not_count_against_their_address() {
    let through = (0..8).filter(|_| handshake_under_forgery(HalfOpenLimit::default(), 200, Duration::from_millis(100)));
    assert_eq!(through.count(), 8);
}

/// An unknown peer is locked out only if rate times round trip reaches the size of the pool: with 1024 entries and a round trip of
/// 100 ms, 10,240 messages a second.
#[test]
fn only_a_whole_pool_in_a_round_trip_keeps_a_peer_out() {
    let round_trip = Duration::from_millis(100);
    let limit = HalfOpenLimit::default();
    assert_eq!(limit.total, 1024);
    assert!(handshake_under_forgery(limit, 10_230, round_trip));
    assert!(!handshake_under_forgery(limit, 10_240, round_trip));
}

/// Half of the pool remains for new peers, however many others have proved their addresses.
#[test]
fn half_of_the_pool_is_for_newcomers() {
    let half = LIMIT.total / 2;
    for (flooded, is_through) in [(half - 1, true), (half, false)] {
        let mut session = session(true);
        session.fixture.give_keys();
        for number in 0..4 * LIMIT.total {
            linger(&mut session.fixture, unknown_peer(1 + number), number.into());
        }
        flood(&mut session.fixture, 1_000_000, half);
        let mut from = 2_000_000;
        let up = gets_through(&mut session, |fixture, step| {
            if step == Step::Main3 {
                flood(fixture, from, flooded);
                from += flooded;
            }
        });
        assert_eq!(up, is_through, "{flooded} of {half}");
        session.fixture.wind_up("after half a pool");
    }
}

/// Message 3 without the cookie of message 2 may have a forged address: nothing is computed for it, and it proves no address.
#[test]
fn without_our_cookie_nothing_is_proved() {
    let mut session = session(true);
    let fixture = &mut session.fixture;
    fixture.give_keys();
    fixture.slow = true;
    let mut scripted_peer = ScriptedPeer::new(unknown_peer(1), fixture.address, true, 5);
    for step in [Step::Main1, Step::Main3] {
        let draft = scripted_peer.draft(step);
        assert!(draft.header.cookies.responder.is_zero(), "message 2 went to the owner of the address");
        let message = scripted_peer.seal(&draft);
        fixture.receive_from(unknown_peer(1), &message);
    }
    assert_eq!((fixture.jobs(), fixture.phase1_states()), (0, vec![3]), "{}", fixture.log_text());
    fixture.slow = false;
    session.pass(60);
    session.finish(Step::Main1, "after message 3 without a cookie");
    session.fixture.wind_up("after message 3 without a cookie");
}

/// An attacker that proves many addresses by message 3 fills at most half of the pool, even together with a flood from forged
/// addresses.
#[test]
fn a_flood_from_somewhere_does_not_keep_others_out() {
    let mut through = 0;
    for run in 0..20_u32 {
        let mut session = session(true);
        session.fixture.give_keys();
        let mut seed = 0;
        let mut fill = |fixture: &mut Fixture, count: u32| {
            for number in 0..count {
                seed += 1;
                linger(fixture, unknown_peer(1 + number % 20), seed);
            }
        };
        fill(&mut session.fixture, 80);
        assert_eq!(session.fixture.engine.load().half_open, LIMIT.total as usize);
        let mut from = 1000;
        let up = gets_through(&mut session, |fixture, step| {
            let (crowded, flooded) = match step {
                Step::Main1 => (80 + run, 100),
                Step::Main3 => (2, 2),
                _ => (40, 100),
            };
            fill(fixture, crowded);
            flood(fixture, from, flooded);
            from += flooded;
            assert!(fixture.engine.load().half_open <= LIMIT.total as usize);
        });
        through += u32::from(up);
        session.fixture.wind_up("after two floods");
    }
    assert!(through >= 16, "{through} of 20");
}

/// A configured peer connects in most runs, although many first messages arrive in its name.
#[test]
fn first_messages_in_the_name_of_the_peer() {
    let mut through = 0;
    for run in 0..20 {
        let mut session = session(false);
        let peer = session.fixture.peer;
        flood(&mut session.fixture, 0, 200);
        let mut from = 1;
        let up = gets_through(&mut session, |fixture, step| {
            let count = if step == Step::Main3 { 5 } else { 100 + run };
            flood_from(fixture, peer, from, count);
            from += count;
            let load = fixture.engine.load();
            assert!(
                load.half_open <= 2 * LIMIT.total as usize,
                "one limit for unknown peers, one for configured ones: {load:?}"
            );
        });
        through += u32::from(up);
        session.fixture.wind_up("after first messages in its name");
    }
    assert!(through >= 16, "{through} of 20");
}

/// No flood of unknown peers, however fast, affects peers whose address is configured.
#[test]
fn a_flood_of_unknown_peers_does_not_affect_a_configured_one() {
    let mut session = session(false);
    session.fixture.give_keys();
    let (mut from, mut seed) = (0, 0);
    let up = gets_through(&mut session, |fixture, _| {
        flood(fixture, from, 500);
        from += 500;
        for number in 0..100 {
            seed += 1;
            linger(fixture, unknown_peer(number), seed);
        }
    });
    assert!(up, "{}", session.fixture.log_text());
    session.fixture.wind_up("after strangers");
}

/// An address has a limited number of negotiations in which it has proved itself, however many it begins. For IPv6 the limit applies
/// to a /64, because one host usually controls all of its addresses.
#[test]
fn one_address_has_its_share_only() {
    for (host, source) in [
        ("192.0.2.1:500", ["198.51.100.7:500"; 2]),
        ("[2001:db8::1]:500", ["[2001:db8:7:7::1]:500", "[2001:db8:7:7:ffff::9]:500"]),
    ] {
        let mut configuration =
            Configuration::between(host, if host.starts_with('[') { "[2001:db8::2]:500" } else { "192.0.2.2:500" });
        configuration.anonymous = Some(remote_section("anybody", None));
        configuration.settings.half_open = LIMIT;
        let mut fixture = Fixture::new(configuration);
        fixture.give_keys();
        for (number, source) in source.iter().cycle().take(100).enumerate() {
            let address = source.parse().expect("an address");
            let number = u64::try_from(number).expect("a small number");
            flood_from(&mut fixture, address, 1 + number, 1);
            linger(&mut fixture, address, number);
            assert!(proved(&fixture) <= LIMIT.per_source as usize);
            assert!(fixture.engine.load().half_open <= LIMIT.total as usize);
        }
        assert_eq!(proved(&fixture), LIMIT.per_source as usize);
        fixture.wind_up("after one address");
    }
}

/// Returns the number of half-open negotiations that have received message 3.
fn proved(fixture: &Fixture) -> usize {
    fixture.phase1_states().into_iter().filter(|state| *state > 3).count()
}

/// Hosts with link-local addresses are counted separately, although all have the same /64.
#[test]
fn hosts_on_a_link_are_not_one() {
    let mut configuration = Configuration::between("[fe80::1]:500", "[fe80::2]:500");
    configuration.anonymous = Some(remote_section("anybody", None));
    configuration.settings.half_open = LIMIT;
    let mut fixture = Fixture::new(configuration);
    for host in 3..13_u32 {
        let address = format!("[fe80::{host}]:500").parse().expect("an address");
        flood_from(&mut fixture, address, host.into(), 1);
    }
    assert_eq!(fixture.engine.load().half_open, 10);
    fixture.wind_up("after neighbours");
}

/// Eviction is random, but repeats with the same source of randomness.
#[test]
fn who_makes_way_is_the_same_in_each_run() {
    let run = || {
        let mut session = session(true);
        let fixture = &mut session.fixture;
        fixture.give_keys();
        for number in 0..100 {
            flood(fixture, 100 + 7 * number, 7);
            linger(fixture, unknown_peer(1 + number % 20), number.into());
            flood_from(fixture, unknown_peer(1 + number % 20), 1_000_000 + 7 * u64::from(number), 7);
        }
        fixture.engine.phase1s().map(|one| (one.cookies, one.remote, one.state)).collect::<Vec<_>>()
    };
    let (one, other) = (run(), run());
    assert_eq!(one.len(), LIMIT.total as usize);
    assert_eq!(one, other);
}

/// A negotiation for which a job runs is not evicted. Otherwise a peer that begins again and again would fill the queue of jobs.
#[test]
fn jobs_do_not_outnumber_unknown_peers() {
    let mut session = session(true);
    session.fixture.give_keys();
    let host = session.fixture.address;
    session.fixture.slow = true;
    for number in 0..2000_u32 {
        let address = unknown_peer(1 + number % 20);
        let mut scripted_peer = ScriptedPeer::new(address, host, true, number.into());
        for step in [Step::Main1, Step::Main3] {
            let draft = scripted_peer.draft(step);
            let message = scripted_peer.seal(&draft);
            scripted_peer.has_said(&draft, &message);
            session.fixture.receive_from(address, &message);
            if let Some(answer) = session.fixture.sent.pop_front() {
                scripted_peer.hear(&answer.bytes);
            } else if step == Step::Main1 {
                break;
            }
        }
        assert!(session.fixture.jobs() <= LIMIT.total as usize, "{number}");
        assert!(session.fixture.engine.load().half_open <= LIMIT.total as usize);
    }
    assert_eq!(session.fixture.jobs(), LIMIT.total as usize);
    session.fixture.wind_up("after jobs");
}
