//! Which messages go first.

use super::*;
use crate::engine::Priority;
use crate::path::Path;

/// The priority of a message for `host`.
fn of(host: &Host, from: SocketAddr, bytes: &[u8]) -> Priority {
    host.engine.priority(Path::new(host.address, from), bytes)
}

/// Each message of a handshake but the first is of an exchange, for both sides; only from where the peer is, though.
#[test]
fn messages_with_cookies_go_first() {
    let mut world = World::with(|_, _| {}, |remote, _| remote.address = None);
    let (a, b) = (world.a.address, world.b.address);
    let elsewhere = SocketAddr::from(([198, 51, 100, 7], 500));
    world.initiate();
    let first = world.link[0].bytes.clone();
    assert_eq!(of(&world.b, a, &first), Priority::Unknown);
    let mut count = 0;
    while let Some(transmit) = world.link.pop_front() {
        let to = if transmit.path.remote == a { &world.a } else { &world.b };
        if transmit.bytes != first {
            count += 1;
            assert_eq!(of(to, transmit.path.local, &transmit.bytes), Priority::Exchange, "message {count}");
            assert_ne!(of(to, elsewhere, &transmit.bytes), Priority::Exchange, "message {count}");
        }
        world.deliver(&transmit);
    }
    world.assert_up();
    assert!(count >= 5);
    // A renewal begins with new cookies. There is a phase 1 with its sender, who is no unknown peer any more.
    assert_eq!(of(&world.b, a, &first), Priority::Known);
    assert_eq!(of(&world.b, elsewhere, &first), Priority::Unknown);
    assert_eq!(of(&world.a, b, &first), Priority::Known, "it has a remote section");
    // Somebody who guesses.
    let mut guessed = world.b.sent[0].bytes.clone();
    guessed[8] ^= 1;
    assert_eq!(of(&world.a, b, &guessed), Priority::Known);
}

/// Nothing is believed of bytes that are no message.
#[test]
fn short_messages_have_the_lowest_priority() {
    let world = World::new();
    let host = &world.b;
    for length in 0..16 {
        assert_eq!(of(host, world.a.address, &vec![1; length]), Priority::Unknown, "{length} bytes");
    }
    assert_eq!(of(host, world.a.address, &[1; 16]), Priority::Known);
    assert_eq!(of(host, SocketAddr::from(([198, 51, 100, 7], 500)), &[1; 16]), Priority::Unknown);
}
