//! What is logged when a peer stops answering: which message, which were answered, and what that means.

use super::*;
use crate::num::{Flags, PayloadType};
use crate::wire::{self, Header};

/// Negotiates without the messages that `lost` selects until both give up. Returns the errors of `a` and `b`.
fn errors(mut world: World, mut lost: impl FnMut(&Transmit) -> bool) -> [String; 2] {
    let mut fate = move |transmit: &Transmit| if lost(transmit) { Fate::Drop } else { Fate::Deliver };
    world.initiate();
    world.run_with(&mut fate);
    world.pass_with(seconds(150), fate);
    [&world.a, &world.b].map(|host| match host.lines(Level::Error)[..] {
        [] => String::new(),
        [line] => line.rsplit_once("0: ").or(line.split_once(": ")).map_or("", |(_, why)| why).to_string(),
        _ => panic!("{:?}", host.lines(Level::Error)),
    })
}

fn is_from_a(transmit: &Transmit) -> bool {
    transmit.path.remote == B.parse().unwrap()
}

/// Which message of main mode it is, by what it carries.
fn number(transmit: &Transmit) -> u8 {
    let first = PayloadType(transmit.bytes[16]);
    let number = match first {
        PayloadType::SA => 1,
        PayloadType::KEY_EXCHANGE => 3,
        PayloadType::ID => 5,
        _ => return 0,
    };
    if is_from_a(transmit) { number } else { number + 1 }
}

/// Both errors when one message of main mode is always lost: what they say behind the cookies.
fn told_without(message: u8) -> [String; 2] {
    errors(World::new(), |transmit| number(transmit) == message).map(|line| behind_cookies(&line))
}

fn behind_cookies(line: &str) -> String {
    line.find("no answer").and_then(|at| line.get(at..)).unwrap_or(line).to_string()
}

#[test]
fn message_2_does_not_arrive() {
    let [a, b] = told_without(2);
    assert!(a.starts_with("no answer to message 1 of main mode (104 bytes) after 5 transmissions; check that"), "{a}");
    let expected = "no answer to message 2 of main mode (104 bytes) after 5 transmissions; the peer repeated message 1 4 \
                    times; our answers do not reach the peer: check the route to it and packet filters";
    assert_eq!(b, expected);
}

#[test]
fn message_3_does_not_arrive() {
    let [a, b] = told_without(3);
    let size = "(104 bytes)";
    let expected = format!(
        "no answer to message 3 of main mode {size} after 5 transmissions; message 1 was answered; packets of this size, or \
         the answers to them, may be lost on the path: check its MTU, and that fragments pass; otherwise see the peer's log"
    );
    assert_eq!(a, expected);
    let expected = "no answer to message 2 of main mode (104 bytes) after 1 transmission; the peer gave up, or its message 3 \
                    is lost on the path (check the MTU, and that fragments pass): see its log";
    assert_eq!(b, expected);
}

#[test]
fn message_4_does_not_arrive() {
    let [a, b] = told_without(4);
    assert!(a.starts_with("no answer to message 3 of main mode"), "{a}");
    let expected = "no answer to message 4 of main mode (104 bytes) after 5 transmissions; message 2 was answered; the peer \
                    repeated message 3 4 times; packets of this size seem to be lost on the path to the peer: check its MTU, and \
                    that fragments pass";
    assert_eq!(b, expected);
}

#[test]
fn message_5_does_not_arrive() {
    let [a, b] = told_without(5);
    let expected = "no answer to message 5 of main mode (108 bytes) after 5 transmissions; messages 1 and 3 were answered; the \
                    pre-shared keys probably differ: compare those of both hosts; otherwise see the peer's log";
    assert_eq!(a, expected);
    let expected = "no answer to message 4 of main mode (104 bytes) after 1 transmission; message 2 was answered; the peer \
                    gave up or has no key for this host, or its message 5 is lost: see its log";
    assert_eq!(b, expected);
}

/// Other daemons that cannot decrypt message 5 repeat message 4, or send a notify that we cannot decrypt in turn.
#[test]
fn signs_of_different_keys() {
    let mut world = World::new();
    let mut message_4 = None;
    world.initiate();
    world.run_with(|transmit| {
        if number(transmit) == 4 {
            message_4 = Some(transmit.clone());
        }
        if number(transmit) == 5 { Fate::Drop } else { Fate::Deliver }
    });
    let message_4 = message_4.unwrap();
    for _ in 0..2 {
        world.forge_to_a(&message_4.bytes);
    }
    let (header, _) = Header::parse(&message_4.bytes).unwrap();
    let header = Header { flags: Flags::ENCRYPTED, ..Header::new(header.cookies, ExchangeType::INFORMATIONAL, 7) };
    world.forge_to_a(&wire::message(&header, &[(PayloadType::HASH, &[0; 44])]));
    world.pass_with(seconds(100), |_| Fate::Drop);
    let [line] = world.a.lines(Level::Error)[..] else { panic!("{:?}", world.a.log) };
    let expected = "no answer to message 5 of main mode (108 bytes) after 7 transmissions; messages 1 and 3 were answered; the \
                    peer repeated message 4 2 times; the peer sent 1 encrypted message that cannot be read; the pre-shared \
                    keys probably differ: compare those of both hosts; otherwise see the peer's log";
    assert_eq!(behind_cookies(line), expected);
}

/// A peer that speaks IKEv2 only, as it begins and as it answers.
#[test]
fn a_peer_that_speaks_ikev2() {
    const SAID: &str = "the peer speaks IKEv2, this host only IKEv1; configure the peer for IKEv1 (strongSwan: `version = 1` \
                        or `keyexchange=ikev1`, libreswan: `ikev2=no` or `keyexchange=ikev1`)";
    let mut world = World::new();
    world.initiate();
    let mut message = world.link.pop_front().unwrap().bytes;
    message[17] = 0x20;
    // Another initiator's.
    message[0] ^= 1;
    world.forge_to_a(&message);
    assert_eq!(world.a.lines(Level::Error), [SAID]);
    // The answer to ours.
    message[0] ^= 1;
    world.forge_to_a(&message);
    assert!(world.a.has_logged(Level::Warning, SAID), "{:?}", world.a.log);
    world.pass_with(seconds(100), |_| Fate::Drop);
    assert_eq!(world.a.failures(), [FailureReason::OtherVersion { major: 2, minor: 0 }]);
    assert!(world.a.lines(Level::Error)[1].ends_with(SAID), "{:?}", world.a.log);
}
