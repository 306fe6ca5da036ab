//! Which lines are written, and which are counted, when messages fail again and again.

use super::*;
use crate::kernel::{Direction, KernelEvent, Policy, PolicyAction, Prefix, Selector};
use crate::num::PayloadType;
use crate::path::Path;
use crate::phase1::rate_limit::PeerStanding;
use crate::proposal::phase1_sa;
use crate::wire::{self, Cookie, CookiePair, Header};

const UNKNOWN_PEER: &str = "203.0.113.9:500";
const SECOND: &str = "192.0.2.3:500";

/// A host with remote sections for two peers and for anybody.
fn responder() -> Host {
    let mut settings = settings(A, |_, _| {});
    settings.log = Level::Info;
    let anonymous = Remote { address: None, ..remote_for(A) };
    settings.remotes = Remotes::new(vec![remote_for(A), remote_for(SECOND), anonymous]);
    Host::new(B, 2, settings, &[("192.0.2.1", "a secret of a and b"), ("192.0.2.3", "a secret of the second one")])
}

/// A first message with a cookie of its own.
fn message_1(number: u8, terms: Phase1Terms) -> Vec<u8> {
    let cookies = CookiePair { initiator: Cookie([number; 8]), responder: Cookie::ZERO };
    let header = Header::new(cookies, ExchangeType::MAIN, 0);
    wire::message(&header, &[(PayloadType::SA, &phase1_sa(&[terms]).encode())])
}

fn receive(host: &mut Host, now: Time, from: &str, bytes: &[u8]) {
    host.engine.handle_timeout(now);
    host.engine.handle_datagram(now, Path::new(host.address, from.parse().unwrap()), bytes);
    host.drain(now);
}

/// The errors about a peer.
fn errors<'a>(host: &'a Host, peer: &str) -> Vec<&'a str> {
    let peer: SocketAddr = peer.parse().unwrap();
    let of_peer = host.log.iter().filter(|line| line.level == Level::Error && line.peer == Some(peer));
    of_peer.map(|line| line.text.as_str()).collect()
}

const OTHER_CIPHER: Phase1Terms = Phase1Terms { cipher: Cipher::CAMELLIA, ..TERMS };
const OTHER_HASH: Phase1Terms = Phase1Terms { hash: Hash::SHA1, ..TERMS };

/// An unknown peer's packet each 30 s does not keep the refusals of a configured peer, or of another unknown peer, out of the log.
#[test]
fn an_unknown_peer_hides_no_other() {
    let mut host = responder();
    let mut number = 0;
    for second in 0..300 {
        let now = Time::from_secs(second);
        let mut send = |from: &str, terms| {
            number += 1;
            receive(&mut host, now, from, &message_1(number, terms));
        };
        if second % 30 == 0 {
            send(UNKNOWN_PEER, OTHER_CIPHER);
        }
        if (100..105).contains(&second) {
            send(A, OTHER_CIPHER);
            send("198.51.100.1:500", OTHER_CIPHER);
        }
    }
    let told = errors(&host, A);
    let (named, summed): (Vec<&str>, Vec<&str>) =
        told.iter().partition(|text| text.starts_with("phase1 negotiation failed"));
    assert_eq!(named.len(), 3, "{told:?}");
    let [sum] = summed[..] else { panic!("{told:?}") };
    let expected = "2 more refused negotiations of this peer in the last 60 s: no suitable proposal found: ";
    assert!(sum.starts_with(expected) && sum.contains("camellia proposed"), "{sum}");
    let other = errors(&host, "198.51.100.1:500");
    assert!(other.iter().any(|text| text.starts_with("phase1 negotiation failed: ") && text.contains("camellia")));
    let sums =
        errors(&host, UNKNOWN_PEER).into_iter().filter(|text| text.contains("unknown peers")).collect::<Vec<_>>();
    let [_, sum, _] = sums[..] else { panic!("{sums:?}") };
    assert!(sum.starts_with("6 more refused negotiations of unknown peers in the last 60 s, "), "{sum}");
    for (address, count) in [("203.0.113.9", "(2)"), ("198.51.100.1", "(4)")] {
        let named = format!(" {address}: no suitable proposal found: encryption_algorithm camellia proposed, ");
        let (_, rest) = sum.split_once(&named).expect(sum);
        assert_eq!(rest.find('('), rest.find(count), "{sum}");
    }
}

/// A peer that repeats its message makes one attempt: one error.
#[test]
fn a_repeated_message_is_refused_in_one_line() {
    let mut host = responder();
    for second in [0, 10, 20, 30, 40] {
        receive(&mut host, Time::from_secs(second), A, &message_1(1, OTHER_CIPHER));
    }
    host.engine.handle_timeout(Time::from_secs(200));
    host.drain(Time::from_secs(200));
    let told = errors(&host, A);
    assert!(matches!(told[..], [one] if one.starts_with("phase1 negotiation failed: 0101")), "{told:?}");
    receive(&mut host, Time::from_secs(201), A, &message_1(2, OTHER_CIPHER));
    assert_eq!(errors(&host, A).len(), 2, "another attempt");
}

/// By an anonymous remote section alone, a peer is configured if a policy names it.
#[test]
fn a_policy_names_a_peer() {
    let anonymous = Remote { address: None, ..remote_for(A) };
    let mut settings = settings(A, |_, _| {});
    settings.remotes = Remotes::new(vec![anonymous]);
    let mut host = Host::new(B, 2, settings, &[]);
    let peer: SocketAddr = A.parse().unwrap();
    assert_eq!(host.engine.phase1s.standing_of(&host.engine.core, peer), PeerStanding::Unknown);
    let source = Prefix::host(host.address.ip());
    let selector =
        Selector { source, destination: Prefix::host(peer.ip()), protocol: 0, source_port: 0, destination_port: 0 };
    let policy = Policy { index: 9, direction: Direction::Out, selector, action: PolicyAction::Pass, priority: 0 };
    host.engine.handle_kernel(Time::default(), KernelEvent::Policy(policy));
    assert_eq!(host.engine.phase1s.standing_of(&host.engine.core, peer), PeerStanding::Known(peer.ip()));
    assert_eq!(
        host.engine.phase1s.standing_of(&host.engine.core, UNKNOWN_PEER.parse().unwrap()),
        PeerStanding::Unknown
    );
}

/// A second mismatch is logged although the first one is suppressed by now.
#[test]
fn a_second_mismatch_of_a_peer_is_told() {
    for peer in [A, UNKNOWN_PEER] {
        let mut host = responder();
        for number in 0..10 {
            receive(&mut host, Time::from_secs(1), peer, &message_1(number, OTHER_CIPHER));
        }
        let before = errors(&host, peer).len();
        receive(&mut host, Time::from_secs(2), peer, &message_1(10, OTHER_HASH));
        let told = errors(&host, peer);
        assert_eq!(told.len(), before + 1, "{told:?}");
        assert!(told[before].contains("no suitable proposal found") && told[before].contains("sha1"), "{told:?}");
    }
}

/// Two peers with wrong keys are both named, more than once, whatever else goes on.
#[test]
fn each_wrong_key_is_told() {
    let mut host = responder();
    let mut peers = [A, SECOND].map(|peer| {
        let keys = [("192.0.2.2", "a wrong key")];
        Host::new(peer, 3, settings(B, |remote, _| remote.rekey = crate::config::Rekey::Off), &keys)
    });
    let mut now = Time::default();
    for _ in 0..5 {
        for number in 1..20 {
            receive(&mut host, now, UNKNOWN_PEER, &message_1(number, OTHER_CIPHER));
        }
        for peer in &mut peers {
            let control =
                Control::EstablishPhase1 { local: peer.address.ip(), remote: host.address.ip(), remote_section: None };
            peer.engine.handle_control(now, control).unwrap();
            let mut sent = peer.drain(now);
            while let Some(transmit) = sent.pop() {
                let to = if transmit.path.remote == host.address { &mut host } else { &mut *peer };
                to.engine.handle_datagram(now, transmit.path.reversed(), &transmit.bytes);
                sent.extend(to.drain(now));
            }
        }
        for _ in 0..12 {
            now = now + seconds(5);
            for host in peers.iter_mut().chain([&mut host]) {
                host.engine.handle_timeout(now);
                host.drain(now);
            }
        }
    }
    for peer in [A, SECOND] {
        let failed = errors(&host, peer).into_iter().filter(|text| text.contains("pre-shared key")).count();
        assert_eq!(failed, 5, "{:?}", host.log);
    }
}
