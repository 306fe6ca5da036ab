//! While strangers fill all the room that there is, others get through: the peer whose address is configured, and who may
//! be anywhere.
//!
//! Known defects: CVE-2008-3652 and no limit on half-open negotiations, where the naive limit is an attack of its own.

use std::net::SocketAddr;
use std::time::Duration;

use racoon_proto::proposal::phase1_sa;
use racoon_proto::settings::HalfOpenLimit;

use crate::crowd::{message_1, stranger};
use crate::dialogue::{Dialogue, Role};
use crate::puppet::{Puppet, Step};
use crate::site::{Configuration, Site, TERMS, block};

const LIMIT: HalfOpenLimit = HalfOpenLimit { total: 50, per_source: 4 };

/// A dialogue that has not begun. The peer may be anywhere, or is where its block says.
fn dialogue(peer_is_anywhere: bool) -> Dialogue {
    dialogue_with(peer_is_anywhere, LIMIT)
}

fn dialogue_with(peer_is_anywhere: bool, limit: HalfOpenLimit) -> Dialogue {
    let mut configuration = Configuration::default();
    let anybody = block("anybody", None);
    if peer_is_anywhere {
        configuration.remote = anybody;
    } else {
        configuration.anonymous = Some(anybody);
    }
    configuration.settings.half_open = limit;
    configuration.settings.log = racoon_proto::output::Level::Error;
    Dialogue::new(Role::Initiator, configuration)
}

/// First messages from so many addresses that nobody has, one from each.
fn flood(site: &mut Site, from: u32, count: u32) {
    let sa = phase1_sa(&[TERMS]).encode();
    for number in from..from + count {
        site.receive_from(stranger(number), &message_1(u64::from(number) + 1, &sa));
        site.pass(Duration::from_micros(100));
    }
    site.sent.clear();
}

/// First messages from one address, which nobody has to have.
fn flood_from(site: &mut Site, address: SocketAddr, from: u64, count: u64) {
    let sa = phase1_sa(&[TERMS]).encode();
    (from..from + count).for_each(|cookie| site.receive_from(address, &message_1(cookie, &sa)));
    site.sent.clear();
}

/// Somebody who is where it says it is, and has gone on to message 3; then it falls silent.
fn linger(site: &mut Site, address: SocketAddr, seed: u64) {
    let mut puppet = Puppet::new(address, site.address, true, seed);
    site.sent.clear();
    for step in [Step::Main1, Step::Main3] {
        let draft = puppet.draft(step);
        let message = puppet.seal(&draft);
        puppet.has_said(&draft, &message);
        site.receive_from(address, &message);
        let answer = site.sent.pop_front().expect("an answer");
        puppet.hear(&answer.bytes);
    }
}

/// The peer says all that it has to say; between its messages `flood` goes on. Whether SAs are there in the end.
fn gets_through(dialogue: &mut Dialogue, mut flood: impl FnMut(&mut Site, Step)) -> bool {
    for step in Role::Initiator.steps() {
        flood(&mut dialogue.site, *step);
        let draft = dialogue.puppet.draft(*step);
        // Who is displaced does not even have the keys for the next one.
        if *step > Step::Main1 && dialogue.puppet.cookies.responder.is_zero() {
            return false;
        }
        if *step >= Step::Main5 && !dialogue.puppet.is_keyed() {
            return false;
        }
        dialogue.utter(&draft);
    }
    dialogue.site.sas.len() == 2
}

/// A tenth of the pool is new in each round trip of the peer, and the oldest make way: never the peer, which has answered
/// before it is one of them. After message 3 the flood may be as fast as it likes.
#[test]
fn a_flood_from_nowhere_does_not_keep_others_out() {
    let mut through = 0;
    for run in 0..40 {
        let mut dialogue = dialogue(true);
        flood(&mut dialogue.site, 0, 100 + run);
        assert_eq!(dialogue.site.engine.load().half_open, LIMIT.total as usize);
        let mut from = 1000;
        let up = gets_through(&mut dialogue, |site, step| {
            let count = if step == Step::Main3 { 5 } else { 1000 };
            flood(site, from, count);
            from += count;
            assert!(site.engine.load().half_open <= LIMIT.total as usize);
        });
        through += u32::from(up);
        dialogue.site.wind_up("after a flood");
    }
    assert_eq!(through, 40);
}

/// A handshake of a stranger while `rate` first messages a second come in its name, from before it begins to its end.
fn handshake_under_forgery(limit: HalfOpenLimit, rate: u32, round_trip: Duration) -> bool {
    let mut dialogue = dialogue_with(true, limit);
    let peer = dialogue.site.peer;
    flood_from(&mut dialogue.site, peer, 1, 2 * u64::from(limit.total));
    let in_round_trip = u64::from(rate) * u64::try_from(round_trip.as_millis()).expect("a round trip") / 1000;
    let mut from = 1_000_000;
    let up = gets_through(&mut dialogue, |site, step| {
        if step != Step::Main1 {
            let end = site.now + round_trip;
            for _ in 0..in_round_trip {
                flood_from(site, peer, from, 1);
                from += 1;
                site.pass(Duration::from_secs(1) / rate);
            }
            site.pass(end.since(site.now));
        }
        assert!(site.engine.load().half_open <= limit.total as usize);
    });
    dialogue.site.wind_up("after forged first messages");
    up
}

/// First messages in a stranger's name do not count against it: 200 a second, and a round trip of 100 ms.
#[test]
fn forged_first_messages_do_not_count_against_a_stranger() {
    let through = (0..8).filter(|_| handshake_under_forgery(HalfOpenLimit::default(), 200, Duration::from_millis(100)));
    assert_eq!(through.count(), 8);
}

/// Rate times round trip has to reach the size of the pool before a stranger is kept out: 1024, or 10,240 a second at a
/// round trip of 100 ms.
#[test]
fn a_stranger_is_kept_out_by_a_whole_pool_in_a_round_trip() {
    let round_trip = Duration::from_millis(100);
    let limit = HalfOpenLimit::default();
    assert_eq!(limit.total, 1024);
    assert!(handshake_under_forgery(limit, 10_230, round_trip));
    assert!(!handshake_under_forgery(limit, 10_240, round_trip));
}

/// Half of the pool is left to newcomers, however many others have addresses of their own.
#[test]
fn half_of_the_pool_is_for_newcomers() {
    let half = LIMIT.total / 2;
    for (flooded, is_through) in [(half - 1, true), (half, false)] {
        let mut dialogue = dialogue(true);
        dialogue.site.give_keys();
        for number in 0..4 * LIMIT.total {
            linger(&mut dialogue.site, stranger(1 + number), number.into());
        }
        flood(&mut dialogue.site, 1_000_000, half);
        let mut from = 2_000_000;
        let up = gets_through(&mut dialogue, |site, step| {
            if step == Step::Main3 {
                flood(site, from, flooded);
                from += flooded;
            }
        });
        assert_eq!(up, is_through, "{flooded} of {half}");
        dialogue.site.wind_up("after half a pool");
    }
}

/// Message 3 without the cookie of message 2 may be in somebody else's name: nothing is computed for it, and it does not
/// count as proof of an address.
#[test]
fn without_our_cookie_nothing_is_proved() {
    let mut dialogue = dialogue(true);
    let site = &mut dialogue.site;
    site.give_keys();
    site.slow = true;
    let mut puppet = Puppet::new(stranger(1), site.address, true, 5);
    for step in [Step::Main1, Step::Main3] {
        let draft = puppet.draft(step);
        assert!(draft.header.cookies.responder.is_zero(), "message 2 went to the owner of the address");
        let message = puppet.seal(&draft);
        site.receive_from(stranger(1), &message);
    }
    assert_eq!((site.jobs(), site.phase1_states()), (0, vec![3]), "{}", site.story());
    site.slow = false;
    dialogue.pass(60);
    dialogue.finish(Step::Main1, "after message 3 without a cookie");
    dialogue.site.wind_up("after message 3 without a cookie");
}

/// Who has addresses and goes on to message 3 with each, as often as it may, fills no more than half of the room for
/// long: the flood from nowhere does not help it, and its addresses have more than the peer's.
#[test]
fn a_flood_from_somewhere_does_not_keep_others_out() {
    let mut through = 0;
    for run in 0..20_u32 {
        let mut dialogue = dialogue(true);
        dialogue.site.give_keys();
        let mut seed = 0;
        let mut crowd = |site: &mut Site, count: u32| {
            for number in 0..count {
                seed += 1;
                linger(site, stranger(1 + number % 20), seed);
            }
        };
        crowd(&mut dialogue.site, 80);
        assert_eq!(dialogue.site.engine.load().half_open, LIMIT.total as usize);
        let mut from = 1000;
        let up = gets_through(&mut dialogue, |site, step| {
            let (crowded, flooded) = match step {
                Step::Main1 => (80 + run, 100),
                Step::Main3 => (2, 2),
                _ => (40, 100),
            };
            crowd(site, crowded);
            flood(site, from, flooded);
            from += flooded;
            assert!(site.engine.load().half_open <= LIMIT.total as usize);
        });
        through += u32::from(up);
        dialogue.site.wind_up("after two floods");
    }
    assert!(through >= 16, "{through} of 20");
}

/// In the honest peer's name: it gets through, for nobody can make the room of configured peers small for one of them.
#[test]
fn first_messages_in_the_name_of_the_peer() {
    let mut through = 0;
    for run in 0..20 {
        let mut dialogue = dialogue(false);
        let peer = dialogue.site.peer;
        flood(&mut dialogue.site, 0, 200);
        let mut from = 1;
        let up = gets_through(&mut dialogue, |site, step| {
            let count = if step == Step::Main3 { 5 } else { 100 + run };
            flood_from(site, peer, from, count);
            from += count;
            let load = site.engine.load();
            assert!(load.half_open <= 2 * LIMIT.total as usize, "one room for strangers, one for peers: {load:?}");
        });
        through += u32::from(up);
        dialogue.site.wind_up("after first messages in its name");
    }
    assert!(through >= 16, "{through} of 20");
}

/// No flood of strangers, however fast, touches the room of those whose address is configured.
#[test]
fn a_configured_peer_does_not_notice_strangers() {
    let mut dialogue = dialogue(false);
    dialogue.site.give_keys();
    let (mut from, mut seed) = (0, 0);
    let up = gets_through(&mut dialogue, |site, _| {
        flood(site, from, 500);
        from += 500;
        for number in 0..100 {
            seed += 1;
            linger(site, stranger(number), seed);
        }
    });
    assert!(up, "{}", dialogue.site.story());
    dialogue.site.wind_up("after strangers");
}

/// An address has so many that it has proved to be its own, however many it begins; of IPv6 that is a network, for who has
/// one address there has all.
#[test]
fn one_address_has_its_share_only() {
    for (host, source) in [
        ("192.0.2.1:500", ["198.51.100.7:500"; 2]),
        ("[2001:db8::1]:500", ["[2001:db8:7:7::1]:500", "[2001:db8:7:7:ffff::9]:500"]),
    ] {
        let mut configuration =
            Configuration::between(host, if host.starts_with('[') { "[2001:db8::2]:500" } else { "192.0.2.2:500" });
        configuration.anonymous = Some(block("anybody", None));
        configuration.settings.half_open = LIMIT;
        let mut site = Site::new(configuration);
        site.give_keys();
        for (number, source) in source.iter().cycle().take(100).enumerate() {
            let address = source.parse().expect("an address");
            let number = u64::try_from(number).expect("a small number");
            flood_from(&mut site, address, 1 + number, 1);
            linger(&mut site, address, number);
            assert!(proved(&site) <= LIMIT.per_source as usize);
            assert!(site.engine.load().half_open <= LIMIT.total as usize);
        }
        assert_eq!(proved(&site), LIMIT.per_source as usize);
        site.wind_up("after one address");
    }
}

/// How many half-open negotiations have got as far as message 3.
fn proved(site: &Site) -> usize {
    site.phase1_states().into_iter().filter(|state| *state > 3).count()
}

/// Neighbours on a link are not one because their network is.
#[test]
fn hosts_on_a_link_are_not_one() {
    let mut configuration = Configuration::between("[fe80::1]:500", "[fe80::2]:500");
    configuration.anonymous = Some(block("anybody", None));
    configuration.settings.half_open = LIMIT;
    let mut site = Site::new(configuration);
    for host in 3..13_u32 {
        let address = format!("[fe80::{host}]:500").parse().expect("an address");
        flood_from(&mut site, address, host.into(), 1);
    }
    assert_eq!(site.engine.load().half_open, 10);
    site.wind_up("after neighbours");
}

/// Chance is what the engine was given: the same goes in, the same come out.
#[test]
fn who_makes_way_is_the_same_in_each_run() {
    let run = || {
        let mut dialogue = dialogue(true);
        let site = &mut dialogue.site;
        site.give_keys();
        for number in 0..100 {
            flood(site, 100 + 7 * number, 7);
            linger(site, stranger(1 + number % 20), number.into());
            flood_from(site, stranger(1 + number % 20), 1_000_000 + 7 * u64::from(number), 7);
        }
        site.engine.phase1s().map(|one| (one.cookies, one.remote, one.state)).collect::<Vec<_>>()
    };
    let (one, other) = (run(), run());
    assert_eq!(one.len(), LIMIT.total as usize);
    assert_eq!(one, other);
}

/// A negotiation for which a job runs does not make way: who could order jobs and begin anew would fill the queue.
#[test]
fn jobs_of_strangers_are_no_more_than_strangers() {
    let mut dialogue = dialogue(true);
    dialogue.site.give_keys();
    let host = dialogue.site.address;
    dialogue.site.slow = true;
    for number in 0..2000_u32 {
        let address = stranger(1 + number % 20);
        let mut puppet = Puppet::new(address, host, true, number.into());
        for step in [Step::Main1, Step::Main3] {
            let draft = puppet.draft(step);
            let message = puppet.seal(&draft);
            puppet.has_said(&draft, &message);
            dialogue.site.receive_from(address, &message);
            if let Some(answer) = dialogue.site.sent.pop_front() {
                puppet.hear(&answer.bytes);
            } else if step == Step::Main1 {
                break;
            }
        }
        assert!(dialogue.site.jobs() <= LIMIT.total as usize, "{number}");
        assert!(dialogue.site.engine.load().half_open <= LIMIT.total as usize);
    }
    assert_eq!(dialogue.site.jobs(), LIMIT.total as usize);
    dialogue.site.wind_up("after jobs");
}
