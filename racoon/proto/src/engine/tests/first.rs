//! First messages: of unknown peers, and what is kept of them.

use super::*;
use crate::num::{Flags, NotifyType, PayloadType};
use crate::output::Urgency;
use crate::path::Path;
use crate::settings::HalfOpenLimit;
use crate::wire::{self, Cookie, CookiePair, Header, Notify};

/// Message 1 of a peer, with another cookie.
fn message_1(cookie: u64) -> Vec<u8> {
    let mut world = World::new();
    world.initiate();
    let mut bytes = world.link.pop_front().unwrap().bytes;
    bytes[..8].copy_from_slice(&cookie.to_be_bytes());
    bytes
}

/// What kind of notification a message in clear is.
fn notified(transmit: &Transmit) -> Option<NotifyType> {
    let (header, body) = Header::parse(&transmit.bytes).unwrap();
    assert_eq!(header.exchange, ExchangeType::INFORMATIONAL);
    let payloads = wire::chain::walk(header.next_payload, body, wire::Tail::Exact).unwrap();
    Notify::parse(payloads.first()?.body).ok().map(|notify| notify.kind)
}

#[test]
fn what_is_no_message_leaves_nothing_behind() {
    let good = message_1(1);
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let mut no_cookie = good.clone();
    no_cookie[..8].fill(0);
    let mut huge = good.clone();
    huge[24..28].fill(0xff);
    for bytes in [
        vec![],
        vec![0xff],
        vec![0; 27],
        good[..good.len() - 1].to_vec(),
        no_cookie,
        huge,
        changed(17, 0x20),
        changed(17, 0x00),
        changed(19, 0x08),
        changed(19, Flags::COMMIT.bits()),
        changed(19, Flags::ENCRYPTED.bits()),
        changed(23, 1),
        changed(15, 1),
        changed(18, 3),
        changed(18, 6),
        changed(18, 99),
        changed(16, 8),
        changed(16, 129),
        changed(16, 132),
        changed(31, 3),
        changed(30, 0xff),
        changed(35, 2),
        changed(39, 0),
    ] {
        let mut world = World::new();
        world.forge_to_b(&bytes);
        assert_eq!(world.b.states(), [], "{bytes:02x?}");
        assert!(world.b.engine.phase1s.half_open.counts() == (0, 0));
    }
    let mut world = World::new();
    world.forge_to_b(&good);
    assert_eq!(world.b.states(), [3]);
}

#[test]
fn port_0_and_keepalives_are_dropped() {
    let mut world = World::new();
    let good = message_1(1);
    let from = SocketAddr::new(world.a.address.ip(), 0);
    world.b.engine.handle_datagram(world.now, Path::new(world.b.address, from), &good);
    world.forge_to_b(&[0xff]);
    assert_eq!((world.b.states(), world.link.len()), (vec![], 0));
}

#[test]
fn the_commit_bit_in_phase_1_is_told() {
    let mut world = World::new();
    let mut bytes = message_1(1);
    bytes[19] = Flags::COMMIT.bits();
    world.forge_to_b(&bytes);
    assert_eq!(notified(&world.link[0]), Some(NotifyType::INVALID_FLAGS));
}

#[test]
fn quick_mode_under_unknown_cookies_is_told() {
    let mut world = World::new();
    let cookies = CookiePair { initiator: Cookie([1; 8]), responder: Cookie([2; 8]) };
    let header = Header { flags: Flags::ENCRYPTED, ..Header::new(cookies, ExchangeType::QUICK, 7) };
    world.forge_to_b(&wire::message(&header, &[(PayloadType::HASH, &[0; 28])]));
    assert_eq!(notified(&world.link[0]), Some(NotifyType::INVALID_COOKIE));
}

#[test]
fn answers_to_unknown_peers_are_rate_limited() {
    let mut world = World::new();
    let cookies = CookiePair { initiator: Cookie([1; 8]), responder: Cookie([2; 8]) };
    let header = Header { flags: Flags::ENCRYPTED, ..Header::new(cookies, ExchangeType::QUICK, 7) };
    let message = wire::message(&header, &[(PayloadType::HASH, &[0; 28])]);
    (0..1000).for_each(|_| world.forge_to_b(&message));
    assert_eq!(world.link.len(), 10);
    assert!(world.link.iter().all(|answer| answer.bytes.len() <= message.len()));
    world.now = world.now + seconds(1);
    world.forge_to_b(&message);
    assert_eq!(world.link.len(), 11);
    assert_eq!(world.b.lines(Level::Error), [""; 0], "the peer may know an SA from before a restart");
    assert_eq!(world.b.lines(Level::Notify).len(), 3, "the address is a configured one");
}

#[test]
fn a_first_message_is_answered_once_and_then_again_for_duplicates_only() {
    let mut world = World::new();
    let bytes = message_1(1);
    for _ in 0..20 {
        world.forge_to_b(&bytes);
    }
    // The answer, and as many repetitions as a message has transmissions.
    assert_eq!(world.link.len(), 1 + 5);
    assert!(world.link.iter().all(|transmit| transmit.bytes == world.link[0].bytes));
    assert_eq!(world.b.states(), [3]);
    world.link.clear();
    world.pass(seconds(49));
    assert_eq!(world.b.sent.len(), 6, "nothing is repeated unasked");
    world.pass(seconds(2));
    assert_eq!(world.b.states(), []);
    assert_eq!(world.b.engine.poll_timeout(), None, "every failure is told");
    assert_eq!(world.b.unanswered(), [(2, 6)]);
}

#[test]
fn half_open_negotiations_are_limited_and_end() {
    let limit = HalfOpenLimit { total: 5, per_source: 3 };
    let mut world = World::with(
        |_, _| {},
        |remote, settings| {
            remote.address = None;
            settings.half_open = limit;
        },
    );
    let from = |host: u8| SocketAddr::from(([198, 51, 100, host], 500));
    for cookie in 1..=100 {
        world.b.engine.handle_datagram(world.now, Path::new(world.b.address, from(1)), &message_1(cookie));
    }
    assert_eq!(world.b.engine.phase1s.half_open.counts(), (5, 0), "no address is proved");
    for cookie in 101..=200 {
        world.b.engine.handle_datagram(world.now, Path::new(world.b.address, from(2)), &message_1(cookie));
    }
    assert_eq!(world.b.engine.phase1s.half_open.counts(), (5, 0));
    world.collect();
    let mut sent: Vec<_> = world.link.iter().map(|sent| (sent.path.remote, sent.bytes[..8].to_vec())).collect();
    sent.dedup();
    assert_eq!(sent.len(), 200, "who comes is answered once, whoever was there before");
    world.link.clear();
    world.pass(seconds(51));
    assert_eq!(world.b.engine.phase1s.half_open.counts(), (0, 0));
    assert_eq!(world.b.states(), []);
    assert_eq!(world.b.lines(Level::Error).len(), 2, "{:?}", world.b.lines(Level::Error));
    world.pass(seconds(60));
    let counted: Vec<_> =
        world.b.lines(Level::Error).into_iter().filter(|line| line.contains("more")).map(String::from).collect();
    assert!(counted.iter().any(|line| line.starts_with("194 more negotiations over the limit")), "{counted:?}");
    assert!(counted.iter().any(|line| line.starts_with("4 more unfinished negotiations")), "{counted:?}");
    world.pass(seconds(200));
    assert_eq!(world.b.engine.poll_timeout(), None, "in the end nothing is left");
}

#[test]
fn refusals_are_rate_limited_and_name_both_sides() {
    let mut world = World::with(|_, _| {}, |remote, _| remote.proposals[0].cipher = Cipher::CAMELLIA);
    for cookie in 1..=100 {
        world.forge_to_b(&message_1(cookie));
    }
    assert_eq!(world.b.states(), []);
    assert!(world.link.len() <= 10, "{}", world.link.len());
    assert_eq!(notified(&world.link[0]), Some(NotifyType::NO_PROPOSAL_CHOSEN));
    assert_eq!((world.b.outcomes.len(), world.b.lines(Level::Error).len()), (3, 3));
    let line = world.b.lines(Level::Error)[0];
    let begin = "phase1 negotiation failed: 0000000000000001:0000000000000000: no suitable proposal found: ";
    assert!(line.starts_with(begin), "{line}");
    assert!(line.contains("aes 128, sha256, x25519, pre_shared_key, 3600 s"), "{line}");
    assert!(line.contains("camellia 128, sha256"), "{line}");
    assert_eq!(world.b.event_kinds(), [EventKind::Phase1NoProposal; 3]);
}

#[test]
fn no_remote_section_is_for_the_peer_or_the_exchange() {
    let mut world = World::with(
        |_, _| {},
        |remote, _| {
            let other = "203.0.113.1".parse::<std::net::IpAddr>().unwrap();
            remote.address = Some(crate::config::RemoteAddress::At(other.into()));
        },
    );
    world.forge_to_b(&message_1(1));
    assert!(world.b.has_logged(Level::Error, "no remote section matches 192.0.2.1; there are only 192.0.2.1; add a remote section for it, or remote anonymous"));
    assert_eq!(world.b.sent.len(), 1, "NO-PROPOSAL-CHOSEN");
    let mut world = World::new();
    let mut bytes = message_1(1);
    bytes[18] = ExchangeType::AGGRESSIVE.0;
    world.forge_to_b(&bytes);
    assert!(world.b.has_logged(
        Level::Error,
        "no remote section for this peer allows aggressive mode; remote 192.0.2.1 has exchange_mode main"
    ));
}

/// Who sends less than an answer has is not answered, and nobody gets an answer in copies: it may go to a victim.
#[test]
fn an_answer_is_not_larger_than_the_message_it_answers() {
    let mut world = World::with(|_, _| {}, |_, settings| settings.retransmission.copies = 3);
    let cookies = CookiePair { initiator: Cookie([1; 8]), responder: Cookie([2; 8]) };
    let header = Header { flags: Flags::ENCRYPTED, ..Header::new(cookies, ExchangeType::QUICK, 7) };
    for length in [0, 7, 8, 100] {
        let message = wire::message(&header, &[(PayloadType::HASH, &vec![0; length])]);
        world.b.sent.clear();
        world.forge_to_b(&message);
        let sent: usize = world.b.sent.iter().map(|sent| sent.bytes.len()).sum();
        assert_eq!(sent, if message.len() < 40 { 0 } else { 40 }, "to {} bytes", message.len());
    }
    let message = message_1(7);
    for _ in 0..2 {
        world.b.sent.clear();
        world.forge_to_b(&message);
        assert_eq!(world.b.sent.len(), 1);
        assert!(world.b.sent[0].bytes.len() <= message.len());
    }
}

/// Nobody can fill the log with exchanges that do not exist, in the name of a configured peer either.
#[test]
fn exchanges_that_there_are_not_are_told_of_a_few_times() {
    for exchange in [ExchangeType::AUTHENTICATION_ONLY, ExchangeType(77)] {
        let mut world = World::new();
        let mut bytes = message_1(1);
        bytes[18] = exchange.0;
        (0..100).for_each(|_| world.forge_to_b(&bytes));
        let told = world.b.log.iter().filter(|line| line.level < Level::Debug).map(|line| line.text.as_str());
        assert_eq!(told.collect::<Vec<_>>(), vec![format!("exchange type {exchange} is not supported"); 3]);
        assert_eq!((world.b.states(), world.b.sent.len()), (vec![], 0));
    }
}

/// What a configured peer needs computed is not behind what all unknown peers do.
#[test]
fn jobs_of_configured_peers_go_first() {
    let job_of_b = |mut world: World| {
        world.initiate();
        loop {
            let transmit = world.link.pop_front().unwrap();
            if transmit.path.remote != world.b.address {
                world.deliver(&transmit);
                continue;
            }
            world.b.engine.handle_datagram(world.now, transmit.path.reversed(), &transmit.bytes);
            while let Some(output) = world.b.engine.poll_output() {
                match output {
                    Output::Job(_, urgency, _) => return urgency,
                    Output::Transmit(answer) => world.link.push_back(answer),
                    _ => {}
                }
            }
        }
    };
    assert_eq!(job_of_b(World::new()), Urgency::Known);
    assert_eq!(job_of_b(World::with(|_, _| {}, |remote, _| remote.address = None)), Urgency::Unknown);
}
