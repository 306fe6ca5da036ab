//! What went wrong in other daemons, and must not here: each with the legitimate traffic that a naive cure would break.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::num::{Doi, NotifyType, PayloadType, Protocol};
use crate::wire::{self, Header, Notify, RawPayload, Tail};

/// Delivers the exchange; each message in clear is first given to `spoil`, and what that makes of it is delivered before it.
fn spoiled(spoil: impl Fn(&[RawPayload<'_>]) -> Vec<Vec<(PayloadType, Vec<u8>)>>) -> World {
    let mut world = World::new();
    world.initiate();
    while let Some(transmit) = world.link.pop_front() {
        let (header, body) = Header::parse(&transmit.bytes).unwrap();
        if header.flags.is_empty() {
            let payloads = wire::chain::walk(header.next_payload, body, Tail::Exact).unwrap();
            for bad in spoil(&payloads) {
                let bad: Vec<_> = bad.iter().map(|(kind, body)| (*kind, body.as_slice())).collect();
                let to = if transmit.path.remote == world.a.address { &mut world.a } else { &mut world.b };
                let before = to.states();
                let bytes = wire::message(&header, &bad);
                to.engine.handle_datagram(world.now, transmit.path.reversed(), &bytes);
                to.drain(world.now);
                assert_eq!(to.states(), before, "{bad:?}");
            }
        }
        world.deliver(&transmit);
    }
    world
}

fn owned(payloads: &[RawPayload<'_>]) -> Vec<(PayloadType, Vec<u8>)> {
    payloads.iter().map(|payload| (payload.kind, payload.body.to_vec())).collect()
}

fn is_needed(kind: PayloadType) -> bool {
    matches!(kind, PayloadType::SA | PayloadType::KEY_EXCHANGE | PayloadType::NONCE)
}

/// CVE-2005-3732: payloads that are missing.
#[test]
fn a_payload_is_missing() {
    let world = spoiled(|payloads| {
        let needed = payloads.iter().enumerate().filter(|(_, payload)| is_needed(payload.kind));
        needed
            .map(|(at, _)| {
                let mut less = owned(payloads);
                less.remove(at);
                less
            })
            .chain([Vec::new()])
            .collect()
    });
    world.assert_up();
}

/// And those that come twice, or do not belong.
#[test]
fn a_payload_comes_twice_or_does_not_belong() {
    let world = spoiled(|payloads| {
        let needed = payloads.iter().filter(|payload| is_needed(payload.kind));
        let twice = needed.map(|payload| [owned(payloads), owned(&[*payload])].concat());
        let others = [PayloadType::ID, PayloadType::HASH, PayloadType::DELETE, PayloadType(129), PayloadType::FRAGMENT];
        let strange = others.map(|kind| [owned(payloads), vec![(kind, vec![0; 20])]].concat());
        twice.chain(strange).collect()
    });
    world.assert_up();
}

/// Bodies of every wrong length.
#[test]
fn a_payload_is_cut() {
    let world = spoiled(|payloads| {
        let cut = |at: usize, length: usize| {
            let mut all = owned(payloads);
            all[at].1.truncate(length);
            all
        };
        let nonces = payloads.iter().position(|payload| payload.kind == PayloadType::NONCE);
        let sas = payloads.iter().position(|payload| payload.kind == PayloadType::SA);
        let nonces = nonces.into_iter().flat_map(|at| (0..8).map(move |length| (at, length)));
        let sas = sas.into_iter().flat_map(|at| (0..payloads[at].body.len()).map(move |length| (at, length)));
        nonces.chain(sas).map(|(at, length)| cut(at, length)).collect()
    });
    world.assert_up();
}

/// CVE-2004-0392: lengths of payloads that lead nowhere, in every message.
#[test]
fn lengths_that_lead_nowhere() {
    let mut world = World::new();
    world.initiate();
    while let Some(transmit) = world.link.pop_front() {
        for length in [0_u16, 1, 2, 3, 0x7fff, u16::MAX] {
            let mut bytes = transmit.bytes.clone();
            bytes[30..32].copy_from_slice(&length.to_be_bytes());
            let to = if transmit.path.remote == world.a.address { &mut world.a } else { &mut world.b };
            to.engine.handle_datagram(world.now, transmit.path.reversed(), &bytes);
            to.drain(world.now);
        }
        world.deliver(&transmit);
    }
    world.assert_up();
}

/// NAT-D, certificates and requests for them where nothing of the kind was agreed.
#[test]
fn what_does_no_harm_is_tolerated() {
    let mut world = World::new();
    world.initiate();
    let extra = [PayloadType::NAT_D, PayloadType::NAT_D_DRAFT, PayloadType::CERT_REQUEST, PayloadType::CERT];
    world.run_with(|sent| {
        let (header, body) = Header::parse(&sent.bytes).unwrap();
        if header.next_payload != PayloadType::KEY_EXCHANGE {
            return Fate::Deliver;
        }
        let mut payloads = owned(&wire::chain::walk(header.next_payload, body, Tail::Exact).unwrap());
        payloads.extend(extra.map(|kind| (kind, vec![1; 16])));
        let payloads: Vec<_> = payloads.iter().map(|(kind, body)| (*kind, body.as_slice())).collect();
        // Filled up to a multiple of 4 bytes, as some do.
        let mut message = wire::message(&header, &payloads);
        message.extend([0; 3]);
        let length = u32::try_from(message.len()).unwrap();
        message[24..28].copy_from_slice(&length.to_be_bytes());
        Fate::Change(message)
    });
    world.assert_up();
}

/// CVE-2004-0164: INITIAL-CONTACT in clear.
#[test]
fn initial_contact_in_clear_is_nobodys() {
    let mut world = World::established();
    let cookies = world.a.engine.phase1s().next().unwrap().cookies;
    let header = Header::new(cookies, ExchangeType::INFORMATIONAL, 5);
    let notify = Notify {
        doi: Doi::IPSEC,
        protocol: Protocol::ISAKMP,
        spi: cookies.to_bytes().to_vec(),
        kind: NotifyType::INITIAL_CONTACT,
        data: Vec::new(),
    };
    world.a.forget_outputs();
    world.forge_to_a(&wire::message(&header, &[(PayloadType::NOTIFY, &notify.encode())]));
    assert_eq!(world.a.states(), [9]);
    assert!(!world.a.has_logged(Level::Info, "INITIAL-CONTACT"));
}

/// CVE-2008-3651 and -3652: invalid first messages leave nothing behind.
#[test]
fn many_bad_first_messages_leave_nothing() {
    let mut world = World::with(|_, _| {}, |remote, _| remote.proposals[0].hash = Hash::MD5);
    world.initiate();
    let mut message = world.link.pop_front().unwrap().bytes;
    for cookie in 1..=5000_u64 {
        message[..8].copy_from_slice(&cookie.to_be_bytes());
        world.forge_to_b(&message);
        world.link.clear();
    }
    assert_eq!(world.b.states(), []);
    assert!(world.b.engine.phase1s.is_empty());
    assert_eq!(world.b.engine.core.timers.len(), 1, "the report of failures that were only counted");
    assert_eq!(world.b.engine.journal().iter().count(), 3);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// CVE-2005-0398: whatever bytes come in whatever state, the exchange comes to its end.
    #[test]
    fn any_bytes_in_any_state(
        garbage in vec(vec(any::<u8>(), 0..200), 8),
        changes in vec((0_usize..400, any::<u8>()), 8),
    ) {
        let mut world = World::new();
        world.initiate();
        let (mut garbage, mut changes) = (garbage.into_iter(), changes.into_iter());
        while let Some(transmit) = world.link.pop_front() {
            let to = if transmit.path.remote == world.a.address { &mut world.a } else { &mut world.b };
            let good = Header::parse(&transmit.bytes).unwrap().0;
            let bad = garbage.next().unwrap_or_default();
            for bytes in [bad.clone(), [good.encode(bad.len()).as_slice(), &bad].concat()] {
                to.engine.handle_datagram(world.now, transmit.path.reversed(), &bytes);
            }
            // One byte of the header changed: the message is another one, or none.
            let (at, value) = changes.next().unwrap_or_default();
            let mut bytes = transmit.bytes.clone();
            bytes[at % 28] ^= value | 1;
            to.engine.handle_datagram(world.now, transmit.path.reversed(), &bytes);
            to.drain(world.now);
            world.deliver(&transmit);
        }
        world.pass(seconds(60));
        prop_assert!(world.a.states().iter().chain(&world.b.states()).all(|state| *state == 9));
    }
}
