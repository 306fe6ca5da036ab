//! Failures of the network and of the peer's host.

use std::net::UdpSocket;
use std::thread;

use anyhow::Result;

use super::failure::Expected::{Line, Nothing};
use super::failure::{AFTER_RETRIES, AT_ONCE, Failure, HostConfig};
use super::negotiation::Hosts;
use crate::lab::TIMEOUT;
use crate::racoon::Racoon;

pub(super) const FAILURES: &[Failure] = &[
    Failure::new(
        "network: no daemon at the peer, transport mode",
        |setup| setup.bob.runs = false,
        Line(AFTER_RETRIES, &["no answer to message 1 of main mode"]),
        Nothing,
    ),
    Failure::new(
        "network: no daemon at the peer, tunnel",
        |setup| {
            setup.tunnel();
            setup.bob.runs = false;
        },
        Line(AFTER_RETRIES, &["no answer to message 1 of main mode", "ICMP port unreachable from 192.0.2.2"]),
        Nothing,
    ),
    Failure::new(
        "network: no host has the peer's address",
        |setup| {
            setup.tunnel();
            setup.bob.runs = false;
            setup.prepare = |hosts| {
                hosts.bob.must("ip address del 192.0.2.2/24 dev eth0")?;
                Ok(())
            };
        },
        Line(AFTER_RETRIES, &["no answer to message 1 of main mode", "ICMP host unreachable"]),
        Nothing,
    ),
    Failure::new(
        "network: no route to the peer",
        |setup| {
            setup.tunnel();
            setup.bob.runs = false;
            setup.prepare = |hosts| {
                hosts.alice.must("ip route add unreachable 192.0.2.2/32")?;
                Ok(())
            };
        },
        Line(AT_ONCE, &["No route to host"]),
        Nothing,
    ),
    Failure::new(
        "network: UDP port 500 is filtered both ways",
        |setup| {
            setup.prepare = |hosts| {
                hosts.link.drop_ike(&hosts.alice)?;
                hosts.link.drop_ike(&hosts.bob)
            };
        },
        Line(AFTER_RETRIES, &["no answer to message 1 of main mode"]),
        Nothing,
    ),
    Failure::new(
        "network: answers are lost",
        |setup| setup.prepare = |hosts| hosts.link.drop_ike(&hosts.alice),
        Line(AFTER_RETRIES, &["no answer to message 1 of main mode"]),
        Line(AFTER_RETRIES, &["no answer to message 2 of main mode", "the peer repeated message 1", "do not reach"]),
    ),
    Failure::new(
        "network: large packets are lost",
        |setup| setup.prepare = |hosts| hosts.link.drop_larger(&hosts.bob, 300),
        Line(AFTER_RETRIES, &["no answer to message 3 of main mode (", "message 1 was answered", "MTU"]),
        Line(AFTER_RETRIES, &["no answer to message 2 of main mode", "MTU"]),
    ),
    Failure::new(
        "network: encrypted messages are lost",
        |setup| setup.prepare = |hosts| hosts.link.drop_encrypted_ike(&hosts.bob),
        Line(AFTER_RETRIES, &["no answer to message 5 of main mode"]),
        Line(AFTER_RETRIES, &["no answer to message 4 of main mode"]),
    ),
    Failure::new(
        "network: a packet filter of this host's own refuses",
        |setup| {
            setup.tunnel();
            setup.bob.runs = false;
            setup.prepare = |hosts| {
                hosts.alice.must("ip route add prohibit 192.0.2.2/32")?;
                Ok(())
            };
        },
        Line(AT_ONCE, &["Permission denied"]),
        Nothing,
    ),
    Failure::new(
        "network: the peer answers in IKEv2",
        |setup| {
            setup.bob.runs = false;
            setup.bob.policies = String::new();
            setup.prepare = answer_in_ikev2;
        },
        Line(AT_ONCE, &["the peer speaks IKEv2"]),
        Nothing,
    ),
    Failure::new(
        "network: the peer was killed and its SAs are gone",
        |setup| {
            setup.trigger = |negotiation| {
                negotiation.hosts.send()?;
                negotiation.established()?;
                let [_, bob] = &mut negotiation.daemons;
                if let Some(bob) = bob.take() {
                    bob.kill()?;
                }
                // Without SAs, the next packet needs a quick mode, under a phase 1 that Bob no longer has.
                negotiation.hosts.load(&negotiation.hosts.alice, "flush;")?;
                negotiation.begin()?;
                negotiation.hosts.send()
            };
        },
        Line(AFTER_RETRIES, &["no answer to message 1 of quick mode", "phase 1 is established"]),
        Nothing,
    ),
    Failure::new(
        "network: the peer stops after this daemon was killed and restarted",
        |setup| {
            setup.trigger = |negotiation| {
                negotiation.hosts.send()?;
                negotiation.established()?;
                let [alice, bob] = &mut negotiation.daemons;
                if let Some(alice) = alice.take() {
                    alice.kill()?;
                }
                // Otherwise the next daemon would replace the SAs.
                negotiation.hosts.load(&negotiation.hosts.alice, "flush;")?;
                let policies_stay = HostConfig { policies: String::new(), ..negotiation.setup.alice.clone() };
                *alice = negotiation.hosts.start(&negotiation.hosts.alice, &policies_stay)?;
                let bob = bob.take();
                negotiation.begin()?;
                bob.map_or(Ok(()), Racoon::stop)
            };
        },
        Nothing,
        Nothing,
    ),
];

/// Answers the first message to Bob as a daemon that only knows IKEv2: with INVALID_MAJOR_VERSION (RFC 7296, section
/// 2.5), under the received cookies.
fn answer_in_ikev2(hosts: &Hosts) -> Result<()> {
    let socket = hosts.bob.enter(|| UdpSocket::bind("192.0.2.2:500"))??;
    socket.set_read_timeout(Some(TIMEOUT))?;
    thread::spawn(move || -> std::io::Result<()> {
        let mut message = [0; 2048];
        let (length, peer) = socket.recv_from(&mut message)?;
        let Some(cookies) = message.get(..length).and_then(|message| message.get(..16)) else { return Ok(()) };
        // Header: next payload notify, version 2.0, INFORMATIONAL response, message id 0, length 36. Payload: type 5,
        // no data.
        let header = [41, 0x20, 37, 0x20, 0, 0, 0, 0, 0, 0, 0, 36];
        let answer = [cookies, &header, &[0, 0, 0, 8, 0, 0, 0, 5]].concat();
        socket.send_to(&answer, peer)?;
        Ok(())
    });
    Ok(())
}
