//! The network and the peer's host.

use std::net::UdpSocket;
use std::thread;

use anyhow::Result;

use super::play::Hosts;
use super::row::Expected::{Line, Nothing};
use super::row::{AT_ONCE, Row, Station, TIME_UP};
use crate::lab::PATIENCE;
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
        Line(TIME_UP, &["no answer to message 1 of main mode", "ICMP port unreachable from 192.0.2.2"]),
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
        Line(TIME_UP, &["no answer to message 1 of main mode", "ICMP host unreachable"]),
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
        Line(AT_ONCE, &["No route to host"]),
        Nothing,
    ),
    Row::new(
        "network: UDP port 500 is filtered both ways",
        |row| {
            row.before = |hosts| {
                hosts.wire.drop_ike(&hosts.alice)?;
                hosts.wire.drop_ike(&hosts.bob)
            };
        },
        Line(TIME_UP, &["no answer to message 1 of main mode"]),
        Nothing,
    ),
    Row::new(
        "network: answers are lost",
        |row| row.before = |hosts| hosts.wire.drop_ike(&hosts.alice),
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
        "network: encrypted messages are lost",
        |row| row.before = |hosts| hosts.wire.drop_encrypted_ike(&hosts.bob),
        Line(TIME_UP, &["no answer to message 5 of main mode"]),
        Line(TIME_UP, &["no answer to message 4 of main mode"]),
    ),
    Row::new(
        "network: a packet filter of this host's own refuses",
        |row| {
            row.tunnel();
            row.bob.runs = false;
            row.before = |hosts| {
                hosts.alice.must("ip route add prohibit 192.0.2.2/32")?;
                Ok(())
            };
        },
        Line(AT_ONCE, &["Permission denied"]),
        Nothing,
    ),
    Row::new(
        "network: the peer answers in IKEv2",
        |row| {
            row.bob.runs = false;
            row.bob.policies = String::new();
            row.before = answer_in_ikev2;
        },
        Line(AT_ONCE, &["the peer speaks IKEv2"]),
        Nothing,
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
        Line(TIME_UP, &["no answer to message 1 of quick mode", "phase 1 is established"]),
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

/// Answers the first message that comes to Bob as a daemon does that knows IKEv2 only: INVALID_MAJOR_VERSION (RFC 7296, section
/// 2.5), under the cookies that came.
fn answer_in_ikev2(hosts: &Hosts) -> Result<()> {
    let socket = hosts.bob.enter(|| UdpSocket::bind("192.0.2.2:500"))??;
    socket.set_read_timeout(Some(PATIENCE))?;
    thread::spawn(move || -> std::io::Result<()> {
        let mut message = [0; 2048];
        let (length, peer) = socket.recv_from(&mut message)?;
        let Some(cookies) = message.get(..length).and_then(|message| message.get(..16)) else { return Ok(()) };
        // A notify, version 2.0, an INFORMATIONAL response with the number 0, of 36 bytes; type 5 and no data.
        let header = [41, 0x20, 37, 0x20, 0, 0, 0, 0, 0, 0, 0, 36];
        let answer = [cookies, &header, &[0, 0, 0, 8, 0, 0, 0, 5]].concat();
        socket.send_to(&answer, peer)?;
        Ok(())
    });
    Ok(())
}
