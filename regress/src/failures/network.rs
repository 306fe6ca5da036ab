//! The network and the peer's host.

use super::row::Expected::{Line, Nothing};
use super::row::{Row, Station, TIME_UP};
use crate::racoon::Racoon;

pub(super) const ROWS: &[Row] = &[
    Row::new(
        "network: no daemon at the peer, transport mode",
        |row| row.bob.runs = false,
        Line(TIME_UP, &["no answer to message 1 of main mode"]),
        Nothing,
    ),
    Row::new(
        "network: no daemon at the peer, tunnel",
        |row| {
            row.tunnel();
            row.bob.runs = false;
        },
        Line(TIME_UP, &["no answer to message 1 of main mode"]),
        Nothing,
    ),
    Row::new(
        "network: no host has the peer's address",
        |row| {
            row.tunnel();
            row.bob.runs = false;
            row.before = |hosts| {
                hosts.bob.must("ip address del 192.0.2.2/24 dev eth0")?;
                Ok(())
            };
        },
        Line(TIME_UP, &["no answer to message 1 of main mode"]),
        Nothing,
    ),
    Row::new(
        "network: no route to the peer",
        |row| {
            row.tunnel();
            row.bob.runs = false;
            row.before = |hosts| {
                hosts.alice.must("ip route add unreachable 192.0.2.2/32")?;
                Ok(())
            };
        },
        Line(TIME_UP, &["no answer", "this host cannot send: "]),
        Nothing,
    ),
    Row::new(
        "network: UDP port 500 is filtered both ways",
        |row| {
            row.before = |hosts| {
                hosts.wire.drop_port_500(&hosts.alice)?;
                hosts.wire.drop_port_500(&hosts.bob)
            };
        },
        Line(TIME_UP, &["no answer to message 1 of main mode"]),
        Nothing,
    ),
    Row::new(
        "network: answers are lost",
        |row| row.before = |hosts| hosts.wire.drop_port_500(&hosts.alice),
        Line(TIME_UP, &["no answer to message 1 of main mode"]),
        Line(TIME_UP, &["no answer to message 2 of main mode", "the peer repeated message 1", "do not reach"]),
    ),
    Row::new(
        "network: large packets are lost",
        |row| row.before = |hosts| hosts.wire.drop_larger(&hosts.bob, 300),
        Line(TIME_UP, &["no answer to message 3 of main mode (", "message 1 was answered", "MTU"]),
        Line(TIME_UP, &["no answer to message 2 of main mode", "MTU"]),
    ),
    Row::new(
        "network: the peer was killed and its SAs are gone",
        |row| {
            row.provoke = |play| {
                play.hosts.send()?;
                play.established()?;
                let [_, bob] = &mut play.daemons;
                if let Some(bob) = bob.take() {
                    bob.kill()?;
                }
                play.hosts.load(&play.hosts.alice, "flush;")?;
                play.begin()?;
                play.hosts.send()
            };
        },
        Line(TIME_UP, &["no answer to message 1 of quick mode"]),
        Nothing,
    ),
    Row::new(
        "network: the peer stops after this daemon was killed and restarted",
        |row| {
            row.provoke = |play| {
                play.hosts.send()?;
                play.established()?;
                let [alice, bob] = &mut play.daemons;
                if let Some(alice) = alice.take() {
                    alice.kill()?;
                }
                // Else the next daemon would replace the SAs.
                play.hosts.load(&play.hosts.alice, "flush;")?;
                let policies_stay = Station { policies: String::new(), ..play.setup.alice.clone() };
                *alice = play.hosts.start(&play.hosts.alice, &policies_stay)?;
                let bob = bob.take();
                play.begin()?;
                bob.map_or(Ok(()), Racoon::stop)
            };
        },
        Nothing,
        Nothing,
    ),
];
