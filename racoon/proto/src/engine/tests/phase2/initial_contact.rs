//! INITIAL-CONTACT in message 3 of aggressive mode, which need not be encrypted (RFC 2409 section 5).

use super::*;
use crate::message::codec::MessageCodec;
use crate::num::{NotifyType, PayloadType};
use crate::wire::{self, Header, Notify, Tail, chain};

/// Aggressive mode in which no side sends INITIAL-CONTACT of its own.
fn aggressive(section: &mut Remote) {
    section.exchange_modes = vec![ExchangeType::AGGRESSIVE];
    section.initial_contact = false;
}

/// Two hosts with SAs, of which `b` has lost its state and begins another phase 1. Returns message 3, which `a` does not get.
fn begun_again() -> (Net, Transmit) {
    let change = |section: &mut Remote, _: &mut Settings| aggressive(section);
    let mut net = Net::with(hosts(), &transport(), [sainfo(), sainfo()], change, change);
    net.acquire();
    net.settle();
    net.assert_pairs(1);
    net.pass(seconds(10));
    let settings = settings(A, |section, settings| {
        settings.sainfos = Sainfos::new(vec![sainfo()]);
        aggressive(section);
    });
    net.world.b = Host::new(B, 99, settings, &[("192.0.2.1", "a secret of a and b")]);
    net.world.initiate_back();
    let mut proof = None;
    net.settle_with(|sent| {
        if sent.bytes[18] == ExchangeType::AGGRESSIVE.0 && sent.bytes[19] == 1 {
            proof = Some(sent.clone());
            return Fate::Drop;
        }
        Fate::Deliver
    });
    (net, proof.unwrap())
}

/// Message 3 with the HASH_I of the true one, and with INITIAL-CONTACT or without.
fn message_3(net: &Net, proof: &Transmit, is_encrypted: bool, says_initial_contact: bool) -> Vec<u8> {
    let public = |host: &Host| {
        let is_it = |sent: &&Transmit| sent.bytes[18] == ExchangeType::AGGRESSIVE.0 && sent.bytes[19] == 0;
        let message = &host.sent.iter().rfind(is_it).unwrap().bytes;
        let (header, body) = Header::parse(message).unwrap();
        chain::walk(header.next_payload, body, Tail::Padding).unwrap()[1].body.to_vec()
    };
    let (codec, b) = (MessageCodec::default(), &net.world.b);
    let mut iv = crate::crypto::Iv::phase1(TERMS.hash, &public(b), &public(&net.world.a), 16).unwrap();
    let (header, body) = Header::parse(&proof.bytes).unwrap();
    let sa = b.engine.phase1s.sa(b.only()).unwrap();
    let opened = sa.open(&iv, &header, body).unwrap();
    let payloads = opened.payloads(&codec, b.address).unwrap();
    let contact = Notify::of_isakmp(sa.cookies, NotifyType::INITIAL_CONTACT, &[]).encode();
    let mut all = vec![(PayloadType::HASH, payloads[0].body)];
    all.extend(says_initial_contact.then_some((PayloadType::NOTIFY, contact.as_slice())));
    let header = Header::new(sa.cookies, ExchangeType::AGGRESSIVE, 0);
    if !is_encrypted {
        return wire::message(&header, &all);
    }
    sa.protect(&header, &all, &mut iv, (&codec, b.address), &mut SeededRandom::new(7)).unwrap()
}

/// HASH_I does not cover the notify, so it counts only where the keys protect it.
#[test]
fn only_an_encrypted_message_3_removes_the_old_sas() {
    for is_encrypted in [true, false] {
        for says_initial_contact in [true, false] {
            let case = format!("encrypted: {is_encrypted}, INITIAL-CONTACT: {says_initial_contact}");
            let (mut net, proof) = begun_again();
            assert_eq!(net.kernels[0].sas.len(), 2, "{case}");
            let message = message_3(&net, &proof, is_encrypted, says_initial_contact);
            net.world.forge_to_a(&message);
            net.settle();
            let is_believed = is_encrypted && says_initial_contact;
            let (phase1s, sas) = if is_believed { (vec![9], 0) } else { (vec![9, 9], 2) };
            assert_eq!((net.world.a.states(), net.kernels[0].sas.len()), (phase1s, sas), "{case}");
            assert_eq!(net.world.a.has_logged(Level::Info, "received INITIAL-CONTACT"), is_believed, "{case}");
            let new = net.world.b.engine.phase1s().next().unwrap().cookies;
            assert!(net.world.a.engine.phase1s().any(|view| view.cookies == new), "{case}");
        }
    }
}
