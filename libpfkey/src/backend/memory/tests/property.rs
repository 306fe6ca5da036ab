//! Whatever comes, the engine stands, and its dumps are what was put in and not taken out.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::num::MessageType as M;

fn dialects() -> impl Strategy<Value = Dialect> {
    prop::sample::select(Dialect::ALL.as_slice())
}

/// A message of a random type with well-formed extensions of random bodies.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let extension = (0u8..32, prop::collection::vec(any::<u8>(), 0..8)).prop_map(|(number, words)| {
        let body: Vec<u8> = words.iter().flat_map(|word| [*word, 0, 2, *word, 10, 0, 0, word >> 4]).collect();
        let length = u8::try_from(body.len() / 8 + 1).unwrap();
        [vec![length, 0, number, 0, 0, 0, 0, 0], body].concat()
    });
    let head = (0u8..28, 0u8..12);
    (head, prop::collection::vec(extension, 0..8)).prop_map(|((kind, sa_type), extensions)| {
        let body = extensions.concat();
        let words = u8::try_from(body.len() / 8 + 2).unwrap();
        [vec![2, kind, 0, sa_type, words, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0], body].concat()
    })
}

/// A request that makes sense, with its bytes spoiled at one place.
fn spoiled() -> impl Strategy<Value = (u8, u32, prop::sample::Index, u8)> {
    (0u8..8, 0x100u32..0x104, any::<prop::sample::Index>(), any::<u8>())
}

fn sensible(lab: &Lab, choice: u8, spi: u32) -> Message<'static> {
    match choice {
        0 => lab.esp(M::Add, spi),
        1 => lab.esp(M::Update, spi),
        2 => lab.named(M::Delete, spi),
        3 => lab.getspi(spi, spi),
        4 => lab.policy(M::SpdAdd, 2, 2, vec![tunnel(3, spi)]),
        5 => lab.policy(M::SpdUpdate, 1, 2, vec![tunnel(2, 0)]),
        6 => lab.by_id(M::SpdGet, spi & 15),
        _ => lab.bare(M::Dump, SaType::Unspec),
    }
}

proptest! {
    #[test]
    fn any_bytes(dialect in dialects(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut lab = Lab::new(dialect);
        let _ = lab.backend.send(&bytes);
        lab.take_all();
    }

    #[test]
    fn any_messages(dialect in dialects(), requests in prop::collection::vec(messages(), 1..20)) {
        let mut lab = Lab::new(dialect);
        for request in requests {
            let _ = lab.backend.send(&request);
        }
        let abi = lab.abi;
        for answer in lab.take_all() {
            peek_header(abi, &answer).unwrap();
        }
    }

    #[test]
    fn spoiled_requests(dialect in dialects(), requests in prop::collection::vec(spoiled(), 1..30)) {
        let mut lab = Lab::new(dialect);
        for (choice, spi, at, value) in requests {
            let mut bytes = Vec::new();
            sensible(&lab, choice, spi).emit(&mut bytes).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = value;
            let _ = lab.backend.send(&bytes);
            lab.backend.set_time(1000 + u64::from(value));
        }
        lab.take_all();
    }

    #[test]
    fn dumps_tell_what_is_there(
        dialect in dialects(),
        steps in prop::collection::vec((0u8..5, 0x100u32..0x108), 1..60),
    ) {
        let mut lab = Lab::new(dialect);
        // SPI to state: what should be there.
        let mut model = BTreeMap::new();
        for (choice, spi) in steps {
            let there = model.contains_key(&spi);
            // NetBSD gives another host's SPI although it is there, and has two then.
            if choice == 2 && there && dialect == Dialect::NetBsd {
                continue;
            }
            let (request, works) = match choice {
                0 => (lab.esp(M::Add, spi), !there),
                1 => (lab.named(M::Delete, spi), there),
                2 => {
                    // NetBSD looks for the SA of an UPDATE among those of its reqid.
                    let mut request = lab.getspi(spi, spi);
                    request.extensions[0] = Extension::Sa2(Sa2 { mode: 1, reqid: 7, ..Sa2::default() });
                    (request, !there)
                }
                3 => (lab.esp(M::Update, spi), there && !(dialect == Dialect::FreeBsd && model[&spi] == 1)),
                _ => (lab.named(M::Get, spi), there),
            };
            prop_assert_eq!(lab.errno(&request) == 0, works, "{:?} {:x}", request.header.message_type, spi);
            match choice {
                0 | 3 if works => drop(model.insert(spi, 1)),
                1 => drop(model.remove(&spi)),
                2 if works => drop(model.insert(spi, 0)),
                _ => {}
            }
        }
        let request = lab.bare(M::Dump, SaType::Esp);
        let answers = lab.ask(&request);
        let last = peek_header(lab.abi, answers.last().unwrap()).unwrap();
        prop_assert_eq!((last.seq, last.errno), (0, if model.is_empty() { 2 } else { 0 }));
        let entry = |bytes: &Vec<u8>| {
            let sa = *Message::parse(lab.abi, bytes).unwrap().sa().unwrap();
            (sa.spi, u8::from(sa.state))
        };
        let dumped: BTreeMap<u32, u8> =
            if model.is_empty() { BTreeMap::new() } else { answers.iter().map(entry).collect() };
        prop_assert_eq!(dumped, model);
    }
}
