//! Messages 5 and 6 on the wire with the payload of another method in place of the proof.

use super::*;
use crate::crypto::{Iv, Task};
use crate::message::codec::MessageCodec;
use crate::message::rules;
use crate::reason::PayloadProblem;
use crate::wire::{Header, Tail, chain};

/// A negotiation that has completed. Randomness is seeded, so that another one between equal hosts has the same keys and hashes.
struct Completed {
    world: World,
    /// HASH_I and HASH_R, if they were signed. Anybody who has exchanged public values can compute them.
    hashes: Vec<Vec<u8>>,
}

impl Completed {
    fn new(mut world: World) -> Self {
        (world.a.slow, world.b.slow) = (true, true);
        world.initiate();
        let mut hashes = Vec::new();
        while world.a.jobs.len() + world.b.jobs.len() > 0 || !world.link.is_empty() {
            world.run();
            let tasks = world.a.jobs.iter().chain(&world.b.jobs).flat_map(|(_, job)| &job.tasks);
            hashes.extend(tasks.filter_map(|task| match task {
                Task::Verify(request) => Some(request.hash.as_bytes().to_vec()),
                _ => None,
            }));
            let sent = [world.a.work(world.now), world.b.work(world.now)].concat();
            world.link.extend(sent);
        }
        world.assert_up();
        Self { world, hashes }
    }

    /// The IV of message 5.
    fn first_iv(&self) -> Iv {
        let public = |host: &Host| {
            let (header, body) = Header::parse(&host.sent[1].bytes).unwrap();
            let payloads = chain::walk(header.next_payload, body, Tail::Padding).unwrap();
            rules::find(&payloads, PayloadType::KEY_EXCHANGE).unwrap().to_vec()
        };
        Iv::phase1(TERMS.hash, &public(&self.world.a), &public(&self.world.b), 16).unwrap()
    }

    /// Encrypts `message`, which is message 5 or 6 of the other negotiation, with a payload of the type `other` in place of `proof`.
    /// `before` are the encrypted messages before it.
    fn substituted(&self, message: &[u8], before: &[&[u8]], proof: PayloadType, other: PayloadType) -> Vec<u8> {
        let codec = MessageCodec::default();
        let sa = self.world.a.engine.phase1s.sa(self.world.a.only()).unwrap();
        let mut iv = before.iter().fold(self.first_iv(), |iv, message| {
            let (header, body) = Header::parse(message).unwrap();
            sa.open(&iv, &header, body).unwrap().next_iv
        });
        let (header, body) = Header::parse(message).unwrap();
        let opened = sa.open(&iv, &header, body).unwrap();
        let payloads = opened.payloads(&codec, self.world.a.address).unwrap();
        let hash = self.hashes.get(before.len());
        let changed = payloads.iter().map(|payload| match payload.kind {
            kind if kind == proof => (other, hash.map_or(payload.body, Vec::as_slice)),
            kind => (kind, payload.body),
        });
        let changed: Vec<_> = changed.collect();
        assert!(changed.iter().any(|(kind, _)| *kind == other));
        let codec = (&codec, self.world.a.address);
        sa.protect(&header, &changed, &mut iv, codec, &mut SeededRandom::new(7)).unwrap()
    }
}

/// The message is refused because the payload is missing, and the exchange continues to wait for a good one: it comes up when that
/// arrives, and otherwise fails for this reason.
#[test]
fn the_payload_of_another_method_is_refused_on_the_wire() {
    let (hash, signature) = (PayloadType::HASH, PayloadType::SIGNATURE);
    let rsa = || world(AuthMethod::RSA_SIGNATURES, Kind::Rsa);
    let cases: [(&dyn Fn() -> World, _, _); 3] =
        [(&rsa, signature, hash), (&ecdsa, signature, hash), (&World::new, hash, signature)];
    for (hosts, proof, other) in cases {
        let completed = Completed::new(hosts());
        for (to_initiator, is_lost) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut world = hosts();
            world.initiate();
            let number = if to_initiator { 6 } else { 5 };
            for _ in 1..number {
                let message = world.link.pop_front().unwrap();
                world.deliver(&message);
            }
            let good = world.link.pop_front().unwrap();
            // INITIAL-CONTACT follows message 6.
            world.link.clear();
            let before = if to_initiator { vec![world.a.sent[2].bytes.as_slice()] } else { Vec::new() };
            let changed = completed.substituted(&good.bytes, &before, proof, other);
            world.deliver(&Transmit { bytes: changed, ..good.clone() });
            let receiver = if to_initiator { &world.a } else { &world.b };
            let line = format!("{proof} payload is missing in message {number} of main mode");
            assert!(receiver.has_logged(Level::Warning, &line), "{:?}", receiver.log);
            assert_eq!(receiver.states(), [if to_initiator { 7 } else { 5 }]);
            world.link.clear();
            if !is_lost {
                world.deliver(&good);
                world.run();
                world.assert_up();
                continue;
            }
            world.pass_with(seconds(100), |_| Fate::Drop);
            let problem = PayloadProblem::Missing;
            let reason =
                FailureReason::Payload { payload: proof, problem, message: number, exchange: ExchangeType::MAIN };
            let receiver = if to_initiator { &world.a } else { &world.b };
            assert_eq!(receiver.failures(), [reason], "{:?}", receiver.log);
        }
    }
}
