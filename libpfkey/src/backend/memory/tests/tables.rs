//! The algorithms and key lengths of each kernel are the same for the rules, for the engine and in the answer to REGISTER.

use super::*;
use crate::algorithm::{KeyBits, Supported};
use crate::num::MessageType as M;
use crate::rules;

const BYTES: [u8; 300] = [7; 300];

/// An ADD of two algorithms by number, each with the length of its key in bytes.
fn add(
    lab: &Lab,
    sa_type: SaType,
    spi: u32,
    encrypt: (u8, Option<usize>),
    auth: (u8, Option<usize>),
) -> Message<'static> {
    let [source, destination] = ends();
    let sa = Sa { auth: auth.0, encrypt: encrypt.0, state: SaState::Mature, ..Sa::named(spi) };
    let mut body = vec![Extension::Sa(sa), source, destination];
    for (kind, octets) in [(T::KeyEncrypt, encrypt.1), (T::KeyAuth, auth.1)] {
        body.extend(octets.map(|octets| Extension::Key(kind, Key::new(&BYTES[..octets]).unwrap())));
    }
    lab.message(M::Add, sa_type, body)
}

/// Lengths in bytes around all that some kernel takes.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=81).chain([255, 256, 257])
}

/// Whether the engine takes an ADD; the rules have to say the same.
fn is_taken(lab: &mut Lab, request: &Message<'_>, what: &str) -> bool {
    let refused = rules::check(request, false).err();
    let errno = lab.errno(request);
    let expected = refused.as_ref().map_or(0, |refused| {
        let errno = nix::errno::Errno::from_raw(refused.errno());
        lab.abi.dialect.errno_from_host(errno)
    });
    assert_eq!(errno, expected, "{what}: {refused:?}");
    if errno == 0 {
        let flush = lab.bare(M::Flush, SaType::Unspec);
        lab.ask(&flush);
    }
    errno == 0
}

fn supported(lab: &mut Lab) -> Supported {
    let register = lab.bare(M::Register, SaType::Unspec);
    let answers = lab.ask(&register);
    Supported::from_reply(&Message::parse(lab.abi, &answers[0]).unwrap())
}

#[test]
fn ciphers() {
    for dialect in Dialect::ALL {
        let mut lab = Lab::new(dialect);
        let listed = supported(&mut lab);
        for (number, cipher, _) in Encryption::constants(dialect).filter(|row| row.0 != 0) {
            let mut taken = Vec::new();
            for octets in lengths() {
                let what = format!("{dialect} {cipher:?} {octets}");
                let request = add(&lab, SaType::Esp, 0x1001, (number, Some(octets)), (0, None));
                if is_taken(&mut lab, &request, &what) {
                    listed.check_key_bits(T::SupportedEncrypt, number, octets * 8).expect(&what);
                    taken.push(octets);
                }
            }
            let is_listed = listed.algorithm(T::SupportedEncrypt, number).is_ok();
            assert_eq!(is_listed, !taken.is_empty(), "{dialect} {cipher:?}: {taken:?}");
            if is_listed && let (true, KeyBits::Each(bits)) = (cipher.is_aead(), cipher.key_bits()) {
                let known: Vec<usize> = bits.iter().map(|bits| usize::from(*bits) / 8).collect();
                assert_eq!(taken, known, "{dialect} {cipher:?}");
            }
        }
    }
}

#[test]
fn hashes() {
    for dialect in Dialect::ALL {
        let mut lab = Lab::new(dialect);
        let listed = supported(&mut lab);
        // TCP-MD5 is for SAs of its own, and in no list.
        let rows = Authentication::constants(dialect).filter(|row| row.0 != 0 && row.1 != Authentication::TcpMd5);
        for (number, hash, _) in rows {
            let mut is_ever_taken = false;
            for octets in lengths() {
                let what = format!("{dialect} {hash:?} {octets}");
                let request = add(&lab, SaType::Ah, 0x1001, (0, None), (number, Some(octets)));
                let taken = is_taken(&mut lab, &request, &what);
                is_ever_taken |= taken;
                // Linux takes keys of any length for its hashes, whatever it says.
                if taken && dialect != Dialect::Linux {
                    listed.check_key_bits(T::SupportedAuth, number, octets * 8).expect(&what);
                }
            }
            let is_listed = listed.algorithm(T::SupportedAuth, number).is_ok();
            assert_eq!(is_listed, is_ever_taken, "{dialect} {hash:?}");
        }
    }
}

#[test]
fn tcp_md5() {
    for dialect in [Dialect::FreeBsd, Dialect::NetBsd] {
        let mut lab = Lab::new(dialect);
        let number = Authentication::TcpMd5.number(dialect).unwrap();
        for octets in lengths() {
            let what = format!("{dialect} {octets}");
            let request = add(&lab, SaType::TcpSignature, 0x1000, (0, None), (number, Some(octets)));
            assert_eq!(is_taken(&mut lab, &request, &what), (1..=80).contains(&octets), "{what}");
        }
    }
}
