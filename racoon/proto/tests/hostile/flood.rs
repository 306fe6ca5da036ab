//! Floods of unknown peers: their state is bounded, answers are not larger than what they send, and the honest peer still connects.
//!
//! Known defects: CVE-2008-3651 (leak of invalid proposals), CVE-2008-3652 (state of invalid first messages), amplification as in
//! CVE-2016-5361, answers to unknown peers (INVALID-COOKIE, INVALID-FLAGS), half-open negotiations without a limit, growing memory.

use std::net::SocketAddr;
use std::time::Duration;

use racoon_proto::num::{Cipher, ExchangeType, Flags, PayloadType};
use racoon_proto::proposal::{Phase1Terms, phase1_sa};
use racoon_proto::settings::HalfOpenLimit;
use racoon_proto::time::Time;
use racoon_proto::wire::{self, Cookie, CookiePair, Header};

use crate::fixture::{Configuration, TERMS, remote_section};
use crate::scripted_peer::Step;
use crate::session::{Role, Session};

const LIMIT: HalfOpenLimit = HalfOpenLimit { total: 50, per_source: 4 };

/// A session that has not begun, with a host that accepts unknown peers.
fn open_to_all() -> Session {
    let anonymous = Some(remote_section("anonymous", None));
    let mut configuration = Configuration { anonymous, ..Configuration::default() };
    configuration.settings.half_open = LIMIT;
    // Lines are only counted here.
    configuration.settings.log = racoon_proto::output::Level::Error;
    Session::new(Role::Initiator, configuration)
}

/// Returns the address of an unknown peer.
pub(crate) fn unknown_peer(number: u32) -> SocketAddr {
    let [_, a, b, c] = number.to_be_bytes();
    SocketAddr::from(([10, a, b, c], 500))
}

pub(crate) fn message_1(cookie: u64, sa: &[u8]) -> Vec<u8> {
    let cookies = CookiePair { initiator: Cookie(cookie.to_be_bytes()), responder: Cookie::ZERO };
    wire::message(&Header::new(cookies, ExchangeType::MAIN, 0), &[(PayloadType::SA, sa)])
}

/// Returns the number of datagrams and bytes that the host has sent since the last call.
fn sent(session: &mut Session) -> (usize, usize) {
    let sent = std::mem::take(&mut session.fixture.sent);
    (sent.len(), sent.iter().map(|datagram| datagram.bytes.len()).sum())
}

/// SA payloads that are refused for different reasons.
fn invalid() -> Vec<Vec<u8>> {
    let good = phase1_sa(&[TERMS]).encode();
    let other = Phase1Terms { cipher: Cipher::CAMELLIA, ..TERMS };
    let with = |at: usize, value: u8| {
        let mut bad = good.clone();
        bad[at] = value;
        bad
    };
    vec![
        phase1_sa(&[other]).encode(),
        phase1_sa(&[other; 20]).encode(),
        good[..good.len() - 1].to_vec(),
        good[..9].to_vec(),
        Vec::new(),
        with(3, 2),
        with(7, 8),
        with(11, 3),
        with(15, 200),
        [good.clone(), vec![0; 1000]].concat(),
    ]
}

/// CVE-2008-3651: refused proposals leave no state, however many there are.
#[test]
fn cve_2008_3651_a_hundred_thousand_invalid_proposals() {
    let mut session = open_to_all();
    let messages: Vec<_> = invalid().iter().map(|sa| message_1(1, sa)).collect();
    let mut received = 0;
    for number in 0..100_000_u32 {
        let mut message = messages[number as usize % messages.len()].clone();
        message[4..8].copy_from_slice(&(number + 1).to_be_bytes());
        received += message.len();
        session.fixture.receive_from(unknown_peer(number), &message);
        // 10,000 a second.
        session.fixture.pass(Duration::from_micros(100));
    }
    let load = session.fixture.engine.load();
    assert_eq!((load.phase1s, load.half_open, load.jobs), (0, 0, 0));
    assert_eq!(load.timers, 1, "what is counted is told later");
    assert!(
        session.fixture.engine.poll_timeout().expect("that timer") <= session.fixture.now + Duration::from_secs(60)
    );
    let (datagrams, bytes) = sent(&mut session);
    assert!(datagrams <= 11 * 10, "{datagrams} answers in 10 seconds");
    assert!(bytes < received / 100, "{bytes} bytes for {received}");
    assert!(session.fixture.log.len() <= 5, "{}", session.fixture.log_text());
    assert!(session.fixture.engine.journal().iter().count() <= 5);
    session.finish(Step::Main1, "after invalid proposals");
    session.fixture.wind_up("after invalid proposals");
}

/// The state of a first message is small, however many transforms it offers.
#[test]
fn an_offer_without_end_is_not_kept() {
    let of = |count: usize| {
        let mut sa = phase1_sa(&[TERMS]);
        let proposal = sa.proposals.remove(0);
        sa.proposals = vec![proposal; count];
        sa.encode()
    };
    for (count, is_kept) in [(300, true), (1000, false)] {
        let mut session = open_to_all();
        let sa = of(count);
        assert_eq!(sa.len() <= 1 << 14, is_kept, "{count} proposals are {} bytes", sa.len());
        session.fixture.receive_from(unknown_peer(1), &message_1(1, &sa));
        assert_eq!(session.fixture.engine.load().half_open, usize::from(is_kept), "{}", session.fixture.log_text());
        assert_eq!(sent(&mut session).0, 1, "what is refused is told");
        session.pass(60);
        session.finish(Step::Main1, "after an offer without end");
        session.fixture.wind_up("after an offer without end");
    }
}

/// CVE-2008-3652: valid first messages without a continuation. The limit holds, the honest peer connects during the flood, and all
/// state expires.
#[test]
fn cve_2008_3652_a_hundred_thousand_first_messages() {
    let mut session = open_to_all();
    let sa = phase1_sa(&[TERMS]).encode();
    let (mut received, mut most) = (0, 0);
    for number in 0..100_000_u32 {
        // Two thirds come from three addresses.
        let from = unknown_peer(if number % 3 == 0 { number } else { number % 3 });
        let message = message_1(u64::from(number) + 1, &sa);
        received += message.len();
        session.fixture.receive_from(from, &message);
        most = most.max(session.fixture.engine.load().half_open);
        if number == 50_000 {
            let (_, bytes) = sent(&mut session);
            assert!(bytes <= received, "{bytes} bytes for {received}");
            assert_eq!(most, LIMIT.total as usize);
            // In the middle of the flood.
            for step in Role::Initiator.steps() {
                session.say(*step);
            }
            assert_eq!(session.fixture.sas.len(), 2, "the honest peer is locked out\n{}", session.fixture.log_text());
            received = 0;
        }
        session.fixture.pass(Duration::from_micros(500));
    }
    let load = session.fixture.engine.load();
    assert_eq!(load.jobs, 0);
    assert!(load.phase1s <= LIMIT.total as usize + 1, "{load:?}");
    assert!(load.timers <= 2 * load.phase1s + 10, "{load:?}");
    let (_, bytes) = sent(&mut session);
    assert!(bytes <= received, "{bytes} bytes for {received}");
    session.fixture.pass(Duration::from_secs(60));
    assert_eq!(session.fixture.phase1_states(), [9], "only the honest peer's is left");
    session.fixture.wind_up("after a flood");
}

/// As in CVE-2016-5361: message 2 is sent only in answer to message 1, and at most as often as a message is transmitted.
#[test]
fn like_cve_2016_5361_message_2_is_not_repeated_unasked() {
    let mut session = open_to_all();
    let message = message_1(1, &phase1_sa(&[TERMS; 20]).encode());
    let mut received = 0;
    for _ in 0..1000 {
        session.fixture.receive_from(unknown_peer(1), &message);
        received += message.len();
        session.fixture.pass(Duration::from_millis(40));
    }
    let (datagrams, bytes) = sent(&mut session);
    assert!(datagrams <= 6, "{datagrams} answers to the same message");
    assert!(bytes * 10 < received);
    // Without further messages of the attacker, the owner of the forged address receives nothing.
    session.fixture.pass(Duration::from_secs(200));
    assert_eq!(sent(&mut session), (0, 0));
    // A peer that has lost the answer gets it again.
    session.say(Step::Main1);
    let repeated = session.said[0].1.clone();
    session.pass(10);
    session.fixture.receive(&repeated);
    assert_eq!(session.listen(), 1, "a duplicate is answered");
    session.finish(Step::Main3, "after a repeated message 1");
    session.fixture.wind_up("after a repeated message 1");
}

/// Unencrypted answers to unknown peers are rate-limited, and not longer than the messages that they answer.
#[test]
fn reflections_are_rate_limited() {
    let mut session = open_to_all();
    let unknown = CookiePair { initiator: Cookie([1; 8]), responder: Cookie([2; 8]) };
    let quick = Header { flags: Flags::ENCRYPTED, ..Header::new(unknown, ExchangeType::QUICK, 7) };
    let commit = Header { flags: Flags::COMMIT, ..Header::new(unknown, ExchangeType::MAIN, 0) };
    let messages = [
        wire::message(&quick, &[(PayloadType::HASH, &[0; 28])]),
        wire::message(&commit, &[(PayloadType::SA, &[0; 28])]),
        message_1(9, &[0; 28]),
    ];
    let mut received = 0;
    for number in 0..30_000_u32 {
        let message = &messages[number as usize % 3];
        received += message.len();
        session.fixture.receive_from(unknown_peer(number), message);
        session.fixture.pass(Duration::from_micros(100));
    }
    let (datagrams, bytes) = sent(&mut session);
    assert!(datagrams <= 4 * 10, "{datagrams} answers in 3 seconds");
    assert!(bytes * 100 < received, "{bytes} bytes for {received}");
    session.finish(Step::Main1, "after reflections");
    session.fixture.wind_up("after reflections");
}

/// Addresses that no host can have are not answered.
#[test]
fn addresses_that_nobody_has_are_not_answered() {
    let mut session = open_to_all();
    for from in ["224.0.0.1:500", "0.0.0.0:500", "255.255.255.255:500", "10.0.0.1:0"] {
        let from: SocketAddr = from.parse().expect("an address");
        session.fixture.receive_from(from, &message_1(1, &phase1_sa(&[TERMS]).encode()));
        session.fixture.receive_from(from, &message_1(2, &[]));
        assert_eq!(sent(&mut session), (0, 0), "{from}");
        assert_eq!(session.fixture.engine.load().phase1s, 0, "{from}");
    }
    session.finish(Step::Main1, "after nobody");
    session.fixture.wind_up("after nobody");
}

/// An endless series of quick modes under one SA: the state of each is dropped.
#[test]
fn quick_modes_without_end_are_bounded() {
    let mut session = Session::up(Role::Initiator);
    for _ in 0..200 {
        session.scripted_peer.new_quick_mode();
        // It does not continue after message 1.
        session.say(Step::Quick1);
    }
    let load = session.fixture.engine.load();
    assert!(load.phase2s <= 201, "{load:?}");
    session.pass(120);
    assert_eq!(session.fixture.engine.load().phase2s, 1, "{}", session.fixture.log_text());
    assert!(session.fixture.is_up());
    assert!(session.fixture.now > Time::default());
    session.fixture.wind_up("after many quick modes");
}

/// An endless series of informational messages does not use up memory.
#[test]
fn informational_messages_without_end() {
    let mut session = Session::up(Role::Responder);
    let before = session.fixture.engine.load();
    for _ in 0..5000 {
        let notify = session.scripted_peer.notify(racoon_proto::num::NotifyType(9999), b"anything");
        let draft = session.scripted_peer.informational(vec![notify]);
        let message = session.scripted_peer.seal(&draft);
        session.fixture.receive(&message);
    }
    let mut after = session.fixture.engine.load();
    // The number of suppressed lines is reported later.
    after.timers -= 1;
    assert_eq!(after, before);
    assert_eq!(sent(&mut session), (0, 0));
    assert!(session.fixture.is_up());
    session.fixture.wind_up("after much information");
}
