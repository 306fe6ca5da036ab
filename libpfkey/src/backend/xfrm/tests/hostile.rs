//! Datagrams that no kernel sends.

use proptest::prelude::*;

use super::{reader, written};
use crate::backend::xfrm::netlink::{Heading, Verdict, next_attribute, next_frame, push_attribute, push_frame};
use crate::backend::xfrm::numbers::{flag, message};
use crate::backend::xfrm::{layout, translate};
use crate::dialect::Abi;
use crate::wire::{Message, peek_header};

/// Checks that everything that becomes of a datagram is a PF_KEY message.
fn check(datagram: &[u8]) {
    for message in translate(&[datagram]) {
        let header = peek_header(Abi::HOST, &message).unwrap();
        assert_eq!(usize::from(header.words) * 8, message.len());
        Message::parse(Abi::HOST, &message).unwrap();
    }
}

fn frame(kind: u16, flags: u16, (seq, pid): (u32, u32), body: &[u8]) -> Vec<u8> {
    let mut datagram = Vec::new();
    push_frame(&mut datagram, Heading { kind, flags, seq, pid }, |writer| {
        writer.bytes(body);
        Ok(())
    })
    .unwrap();
    datagram
}

/// An attribute with its padding.
fn attribute(number: u16, contents: &[u8]) -> Vec<u8> {
    written(|writer| push_attribute(writer, number, |inner| inner.bytes(contents)).unwrap())
}

/// The fixed structure at the beginning of a frame of this type, with possible values.
fn fixed(kind: u16) -> Vec<u8> {
    let state = layout::State { family: layout::INET, ..layout::State::default() };
    let id = layout::StateId { destination: layout::Addr::default(), spi: 1, family: layout::INET, proto: 50 };
    written(|writer| match kind {
        message::NEWSA | message::UPDSA | message::EXPIRE => state.emit(writer),
        message::DELSA => id.emit(writer),
        message::NEWPOLICY | message::UPDPOLICY => layout::PolicyInfo::default().emit(writer),
        message::DELPOLICY | message::MIGRATE => layout::XfrmPolicyId::default().emit(writer),
        _ => {}
    })
}

#[test]
fn frames_of_impossible_length() {
    for length in [0_u32, 15, 21, u32::MAX] {
        let mut bytes = frame(message::FLUSHSA, 0, (0, 0), &[255]);
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        assert!(next_frame(&mut reader(&bytes)).is_err(), "{length}");
        assert!(translate(&[&bytes]).is_empty());
    }
    assert!(next_frame(&mut reader(&[0; 15])).unwrap().is_none());
}

#[test]
fn attributes_of_impossible_length() {
    for length in [0_u16, 3, 9, u16::MAX] {
        let mut bytes = attribute(1, &[1, 2, 3, 4]);
        bytes[..2].copy_from_slice(&length.to_ne_bytes());
        assert!(next_attribute(&mut reader(&bytes)).is_err(), "{length}");
    }
    // The last attribute may lack its padding, and an attribute may be empty.
    let bytes = attribute(1, &[7]);
    let (number, contents) = next_attribute(&mut reader(&bytes[..5])).unwrap().unwrap();
    assert_eq!((number, contents.rest()), (1, &[7_u8][..]));
    let bytes = attribute(27, &[]);
    assert_eq!(next_attribute(&mut reader(&bytes)).unwrap().unwrap().1.remaining(), 0);
}

/// A malformed frame is skipped, the next one is not.
#[test]
fn a_malformed_frame_is_skipped() {
    let junk = vec![0; fixed(message::NEWSA).len()];
    let mut datagram = frame(message::NEWSA, 0, (9, 9), &junk);
    datagram.extend(frame(message::FLUSHSA, 0, (9, 9), &[50]));
    assert_eq!(translate(&[&datagram]).len(), 1);
}

/// The explanation in an error frame with these flags and this body after the errno.
fn explanation(flags: u16, body: &[u8]) -> Option<String> {
    let mut whole = (-libc::EINVAL).to_ne_bytes().to_vec();
    whole.extend(body);
    Verdict::parse(flags, &mut reader(&whole)).unwrap().explanation
}

/// The header of a request of this length, as an error frame repeats it.
fn repeated(length: u32) -> Vec<u8> {
    written(|writer| {
        writer.u32(length);
        [message::NEWPOLICY, 1].into_iter().for_each(|half| writer.u16(half));
        [7, 9].into_iter().for_each(|word| writer.u32(word));
    })
}

#[test]
fn explanations_of_the_kernel() {
    let (capped, told) = (flag::CAPPED | flag::ACK_TLVS, flag::ACK_TLVS);
    let text = |bytes: &[u8]| [repeated(100), attribute(2, &[0; 4]), attribute(1, bytes)].concat();
    assert_eq!(
        explanation(capped, &text(b"Invalid number of templates\0")).as_deref(),
        Some("Invalid number of templates")
    );
    assert_eq!(explanation(capped, &text(b"Full stop. \0 behind")).as_deref(), Some("Full stop"));
    assert_eq!(explanation(capped, &text(b"two\nlines\x1b[0m\xff")).as_deref(), Some("two lines [0m\u{fffd}"));
    assert_eq!(explanation(capped, &text(&[b'x'; 9000])).map(|words| words.len()), Some(200));
    for nothing in [&b""[..], b"\0", b" .\0", b"\n"] {
        assert_eq!(explanation(capped, &text(nothing)), None);
    }
    // Without the flag CAPPED the whole request is repeated; without the flag ACK_TLVS no attribute follows.
    let whole = [repeated(21), vec![1; 5], vec![0; 3], attribute(1, b"here")].concat();
    assert_eq!(explanation(told, &whole).as_deref(), Some("here"));
    assert_eq!(explanation(flag::CAPPED, &text(b"unseen")), None);
    for length in [0, 15, 16, 17, 1000, u32::MAX - 1, u32::MAX] {
        let _ = explanation(told, &[repeated(length), attribute(1, b"here")].concat());
    }
    for cut in 0..text(b"words").len() {
        let _ = explanation(capped, &text(b"words")[..cut]);
    }
}

#[test]
fn repeated_attributes_make_one_extension() {
    for number in [21, 31, 28, 8, 20] {
        let mut body = fixed(message::NEWSA);
        (0..2).for_each(|_| body.extend(attribute(number, &[0; 80])));
        check(&frame(message::NEWSA, 0, (9, 9), &body));
    }
}

#[test]
fn truncated_frames() {
    for kind in 16..41 {
        let mut body = fixed(kind);
        (1..33).for_each(|number| body.extend(attribute(number, &[3; 100])));
        let whole = frame(kind, 2, (0, 1), &body);
        for length in 0..whole.len() {
            check(&whole[..length]);
            let cut = frame(kind, 0, (2, 1), body.get(..length).unwrap_or(&body));
            check(&cut);
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_datagrams(bytes: Vec<u8>) {
        check(&bytes);
    }

    #[test]
    fn arbitrary_frames(
        kind in 0_u16..42, flags in 0_u16..4, seq in 0_u32..9, pid in 0_u32..4,
        cut in any::<bool>(), attributes in prop::collection::vec((0_u16..42, prop::collection::vec(any::<u8>(), 0..300)), 0..6),
    ) {
        let mut body = fixed(kind);
        for (number, contents) in &attributes {
            body.extend(attribute(*number, contents));
        }
        if cut {
            body.truncate(body.len() / 2);
        }
        check(&frame(kind, flags, (seq, pid), &body));
    }

    #[test]
    fn arbitrary_bodies(kind in 0_u16..42, flags in 0_u16..4, seq in 0_u32..9, pid in 0_u32..4,
                        body in prop::collection::vec(any::<u8>(), 0..400)) {
        check(&frame(kind, flags, (seq, pid), &body));
    }
}
