//! What is refused, and with what words.

use super::{FREEBSD, LINUX, LINUX_BIG, bytes};
use crate::dialect::Abi;
use crate::error::Error;
use crate::strerror::Code;
use crate::wire::Message;

/// A message of these words (16 hex digits each) after a header of type DUMP, with the length filled in.
fn message(abi: Abi, body: &str) -> Vec<u8> {
    let body = bytes(body);
    let words = u16::try_from((16 + body.len()) / 8).unwrap();
    let mut message = bytes("020a0003 00000000 00000000 00000000");
    let length = if abi == LINUX_BIG { words.to_be_bytes() } else { words.to_le_bytes() };
    message[4..6].copy_from_slice(&length);
    message.extend(body);
    message
}

#[track_caller]
fn refused(abi: Abi, body: &str, code: Code, what: &str) {
    match Message::parse(abi, &message(abi, body)) {
        Err(Error::Malformed { code: was, what: text, offset }) => {
            assert_eq!((was, text), (code, what));
            assert!(offset <= 16 + bytes(body).len());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn header_and_length() {
    let inside = "the message ends inside a field";
    let length = "the length field is not the number of bytes";
    let whole = bytes("020a0003 0200 0000 00000000 00000000");
    for end in 0..16 {
        let error = Message::parse(LINUX, &whole[..end]).unwrap_err();
        assert!(matches!(error, Error::Malformed { what, .. } if what == inside), "{error}");
    }
    assert!(Message::parse(LINUX, &whole).is_ok());
    let mut longer = whole.clone();
    longer.extend([0; 8]);
    for wrong in [&longer[..], &longer[..17]] {
        let error = Message::parse(LINUX, wrong).unwrap_err();
        assert!(matches!(error, Error::Malformed { what, offset: 16, .. } if what == length), "{error}");
    }
    assert!(Message::parse(LINUX_BIG, &whole).is_err());
}

#[test]
fn extension_lengths() {
    refused(LINUX, "0000 0100 00000000", Code::InvalidMessage, "an extension of length 0");
    refused(LINUX, "0200 0100 00000000", Code::InvalidMessage, "an extension longer than the message");
    refused(LINUX, "ffff c800 00000000", Code::InvalidMessage, "an extension longer than the message");
}

#[test]
fn duplicates() {
    let twice = "0100 1400 02000000 0100 1400 02000000";
    refused(LINUX, twice, Code::InvalidExtensionType, "an extension that was there before");
    // A parser cannot know whether an unknown kind may come twice.
    let unknown = message(LINUX, "0100 6400 02000000 0100 6400 02000000");
    assert_eq!(Message::parse(LINUX, &unknown).unwrap().extensions.len(), 2);
}

#[test]
fn short_structures() {
    let what = "the message ends inside a field";
    // One word where the structure has more: all but those of one word, and those of no fixed fields.
    for number in [1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 16, 18, 19, 23, 25, 26] {
        refused(LINUX, &format!("0100 {number:02x}00 00000000"), Code::InvalidMessage, what);
    }
    for number in 200..=205 {
        refused(LINUX, &format!("0100 {number:02x}00 00000000"), Code::InvalidMessage, what);
    }
    for number in [27, 28, 29, 30, 31] {
        refused(FREEBSD, &format!("0100 {number:02x}00 00000000"), Code::InvalidMessage, what);
    }
    // An IPv6 address in the room of an IPv4 one.
    refused(LINUX, "0300 0500 ff800000 0a00 0000 00000000 0000000000000000", Code::InvalidMessage, what);
}

#[test]
fn inner_lengths() {
    refused(LINUX, "0100 0800 0100 0000", Code::InvalidMessage, "a key longer than its extension");
    refused(LINUX, "0200 0900 4100 0000 0000000000000000", Code::InvalidMessage, "a key longer than its extension");
    refused(LINUX, "0200 1800 0101 0900 0000000000000000", Code::InvalidMessage, "a label longer than its extension");
}

const POLICY: &str = "1200 0200 0100 00000000 00000000";

#[test]
fn requests() {
    let what = "an ipsec request of impossible length";
    for length in ["0000", "0800", "0f00", "1100", "ffff"] {
        let body = format!("0400 {POLICY} {length} 3200 0102 0000 00000000 00000000");
        refused(LINUX, &body, Code::InvalidProtocol, what);
    }
    for length in ["0000", "0700", "0900"] {
        let body = format!("0300 {POLICY} {length} 3200 0102 0000");
        refused(FREEBSD, &body, Code::InvalidProtocol, what);
    }
    // 8 bytes is the whole request on BSD, half of it on Linux.
    let bsd = message(FREEBSD, &format!("0300 {POLICY} 0800 3200 0102 0000"));
    assert!(Message::parse(FREEBSD, &bsd).is_ok());
}

#[test]
fn request_addresses() {
    let head = "3200 0202 0000 00000000 00000000";
    let v4 = "0200 0000 0a000001 0000000000000000";
    let v6 = "0a00 0000 00000000 00000000000000000000000000000001 00000000";
    refused(
        LINUX,
        &format!("0a00 {POLICY} 4000 {head} {v4} {v6} 00000000"),
        Code::InvalidAddress,
        "two addresses of different families",
    );
    refused(
        LINUX,
        &format!("0900 {POLICY} 3800 {head} {v4} {v4} 0000000000000000"),
        Code::InvalidAddress,
        "bytes behind the addresses of an ipsec request",
    );
    let inside = "the message ends inside a field";
    refused(LINUX, &format!("0600 {POLICY} 2000 {head} {v4}"), Code::InvalidMessage, inside);
}

#[test]
fn offsets_point_into_the_message() {
    let error = Message::parse(LINUX, &message(LINUX, "0100 1400 02000000 0000 0100 00000000")).unwrap_err();
    assert_eq!(error.to_string(), "Invalid sadb message: an extension of length 0 at byte 24");
}

mod check {
    //! What `pfkey_check` refuses.

    use std::net::Ipv4Addr;

    use super::*;
    use crate::num::{ExtensionType as T, MessageType as M, SaType as S};
    use crate::wire::{Address, Extension, Header, SockAddr};

    fn check(header: Header, extensions: Vec<Extension<'static>>) -> Option<Code> {
        Message { abi: LINUX, header, extensions }.check().err().map(|error| error.code())
    }

    #[test]
    fn types() {
        let types = |message_type, sa_type| check(Header::new(message_type, sa_type), vec![]);
        assert_eq!(check(Header { version: 1, ..Header::new(M::Dump, S::Esp) }, vec![]), Some(Code::InvalidVersion));
        assert_eq!(types(M::Other(99), S::Esp), Some(Code::InvalidMessageType));
        for message_type in [M::GetSpi, M::Update, M::Add, M::Delete, M::Get, M::Acquire, M::Expire, M::NatTNewMapping]
        {
            assert_eq!(types(message_type, S::Unspec), Some(Code::InvalidSaType), "{message_type:?}");
            assert_eq!(types(message_type, S::Esp), None, "{message_type:?}");
        }
        for message_type in [M::SpdAdd, M::SpdDelete, M::SpdGet, M::SpdDump, M::SpdFlush] {
            for sa_type in [S::Ah, S::Esp, S::IpComp, S::TcpSignature] {
                assert_eq!(types(message_type, sa_type), Some(Code::InvalidSaType), "{message_type:?}");
            }
            assert_eq!(types(message_type, S::Unspec), None, "{message_type:?}");
        }
        assert_eq!(types(M::NatTNewMapping, S::Ah), Some(Code::InvalidSaType));
        for sa_type in [S::Rsvp, S::OspfV2, S::RipV2, S::Mip] {
            assert_eq!(types(M::Dump, sa_type), Some(Code::NotSupported));
        }
        assert_eq!(types(M::Promisc, S::Other(1)), None);
        assert_eq!(types(M::Dump, S::Other(1)), Some(Code::InvalidSaType));
        assert_eq!(types(M::Add, S::Other(77)), Some(Code::InvalidSaType));
        assert_eq!(types(M::SpdFlush, S::Other(77)), None);
    }

    #[test]
    fn addresses() {
        let with = |source: Address, destination: Address| {
            check(
                Header::new(M::Get, S::Esp),
                vec![Extension::Address(T::AddressSrc, source), Extension::Address(T::AddressDst, destination)],
            )
        };
        let v4 = Address::host(SockAddr::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST)));
        let v6 = Address::host(SockAddr::from(std::net::IpAddr::from(std::net::Ipv6Addr::LOCALHOST)));
        let other = Address::host(SockAddr::Other { family: 7 });
        assert_eq!(with(v4, v4), None);
        assert_eq!(with(Address { prefix: 0, ..v4 }, v4), None);
        assert_eq!(with(Address { proto: 6, ..v4 }, v4), Some(Code::ProtocolMismatch));
        assert_eq!(with(v4, v6), Some(Code::FamilyMismatch));
        assert_eq!(with(other, other), Some(Code::InvalidFamily));
    }
}
