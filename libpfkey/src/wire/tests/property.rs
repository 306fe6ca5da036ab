//! Laws that hold for all messages and for all bytes.

use std::net::{SocketAddrV4, SocketAddrV6};

use proptest::collection::vec;
use proptest::prelude::*;

use crate::dialect::{Abi, ByteOrder, Dialect};
use crate::dump::{self, Options};
use crate::num::{ExtensionType as T, MessageType, POLICY_IPSEC, SaFlags, SaType, Tables};
use crate::wire::{
    Address, Algorithm, Combination, Extension, Filter, Header, Identity, IpsecRequest, Key, KmAddress, Lifetime,
    Message, Policy, Proposal, Sa, Sa2, SecurityContext, Sensitivity, SockAddr, SpiRange, XfrmAuthTrunc, XfrmMark,
    XfrmOffload, XfrmReplay,
};

fn abi() -> impl Strategy<Value = Abi> {
    (prop::sample::select(&Dialect::ALL[..]), prop::sample::select(vec![ByteOrder::Big, ByteOrder::Little]))
        .prop_map(|(dialect, byte_order)| Abi { dialect, byte_order })
}

/// Words of bytes, which extensions borrow: kept for the life of the test program.
fn words(remainder: usize) -> impl Strategy<Value = &'static [u8]> {
    vec(any::<u8>(), 0..64).prop_map(move |mut bytes| {
        bytes.resize(bytes.len().next_multiple_of(8) + remainder, 0);
        &*bytes.leak()
    })
}

fn sockaddr(v6: bool) -> BoxedStrategy<SockAddr> {
    if v6 {
        any::<([u8; 16], u16, u32, u32)>()
            .prop_map(|(ip, port, flow, scope)| SockAddr::Inet(SocketAddrV6::new(ip.into(), port, flow, scope).into()))
            .boxed()
    } else {
        any::<([u8; 4], u16)>().prop_map(|(ip, port)| SockAddr::Inet(SocketAddrV4::new(ip.into(), port).into())).boxed()
    }
}

fn pair() -> impl Strategy<Value = (SockAddr, SockAddr)> {
    any::<bool>().prop_flat_map(|v6| (sockaddr(v6), sockaddr(v6)))
}

fn address() -> impl Strategy<Value = Address> {
    // 40 is a family that no dialect takes for IPv4 or IPv6.
    let sockaddr = prop_oneof![
        4 => sockaddr(false),
        4 => sockaddr(true),
        1 => (40u16..255).prop_map(|family| SockAddr::Other { family })
    ];
    (any::<(u8, u8, u16)>(), sockaddr).prop_map(|((proto, prefix, reserved), sockaddr)| Address {
        proto,
        prefix,
        reserved,
        sockaddr,
    })
}

fn request() -> impl Strategy<Value = IpsecRequest> {
    (any::<(u16, u8, u8, u16)>(), prop::option::of(pair())).prop_map(|((proto, mode, level, reqid), endpoints)| {
        IpsecRequest { proto, mode, level, reqid: reqid.into(), endpoints }
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    (any::<(u16, u8, u8, u32, u32)>(), vec(request(), 0..7)).prop_map(
        |((kind, direction, scope, id, priority), requests)| Policy {
            kind: if requests.is_empty() { kind } else { POLICY_IPSEC },
            direction,
            scope,
            id,
            priority,
            requests,
        },
    )
}

fn combination() -> impl Strategy<Value = Combination> {
    any::<([u8; 2], [u16; 5], [u32; 3], [u64; 6])>().prop_map(|(bytes, halves, words, longs)| Combination {
        auth: bytes[0],
        encrypt: bytes[1],
        flags: halves[0],
        auth_min_bits: halves[1],
        auth_max_bits: halves[2],
        encrypt_min_bits: halves[3],
        encrypt_max_bits: halves[4],
        reserved: words[0],
        soft_allocations: words[1],
        hard_allocations: words[2],
        soft_bytes: longs[0],
        hard_bytes: longs[1],
        soft_addtime: longs[2],
        hard_addtime: longs[3],
        soft_usetime: longs[4],
        hard_usetime: longs[5],
    })
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    any::<(u8, u8, u16, u16, u16)>().prop_map(|(id, iv_len, min_bits, max_bits, reserved)| Algorithm {
        id,
        iv_len,
        min_bits,
        max_bits,
        reserved,
    })
}

fn sa() -> impl Strategy<Value = Sa> {
    any::<(u32, u8, u8, u8, u8, u32)>().prop_map(|(spi, replay, state, auth, encrypt, flags)| Sa {
        spi,
        replay,
        state: state.into(),
        auth,
        encrypt,
        flags: SaFlags::from_bits_retain(flags),
    })
}

/// Any extension of a kind.
fn extension(kind: T) -> BoxedStrategy<Extension<'static>> {
    match kind {
        T::AddressDst | T::AddressProxy | T::AddressSrc | T::NatTOaInitiator | T::NatTOaResponder => {
            address().prop_map(move |value| Extension::Address(kind, value)).boxed()
        }
        T::NewAddressDst | T::NewAddressSrc => address().prop_map(move |value| Extension::Address(kind, value)).boxed(),
        T::RangeDstEnd | T::RangeDstStart | T::RangeSrcEnd | T::RangeSrcStart => {
            address().prop_map(move |value| Extension::Address(kind, value)).boxed()
        }
        T::Filter => any::<([u8; 16], [u8; 16], u16, u8, u8)>()
            .prop_map(|(source, destination, family, source_prefix, destination_prefix)| {
                Extension::Filter(Filter { source, destination, family, source_prefix, destination_prefix })
            })
            .boxed(),
        T::IdentityDst | T::IdentitySrc => (any::<(u16, u16, u64)>(), words(0))
            .prop_map(move |((of, reserved, id), value)| {
                Extension::Identity(kind, Identity { kind: of, reserved, id, value })
            })
            .boxed(),
        T::IfHwOffload => {
            any::<(u32, [u8; 32])>().prop_map(|(flags, name)| Extension::IfHwOffload { flags, name }).boxed()
        }
        T::KeyAuth | T::KeyEncrypt => (any::<u16>(), vec(any::<u8>(), 0..80))
            .prop_map(move |(reserved, key)| {
                let key = Key { reserved, ..Key::new(key.leak()).unwrap() };
                Extension::Key(kind, key)
            })
            .boxed(),
        T::KmAddress => (any::<u32>(), pair())
            .prop_map(|(reserved, (local, remote))| Extension::KmAddress(KmAddress { reserved, local, remote }))
            .boxed(),
        T::LifetimeCurrent | T::LifetimeCurrentHw | T::LifetimeCurrentSw | T::LifetimeHard | T::LifetimeSoft => {
            any::<(u32, u64, u64, u64)>()
                .prop_map(move |(allocations, bytes, addtime, usetime)| {
                    Extension::Lifetime(kind, Lifetime { allocations, bytes, addtime, usetime })
                })
                .boxed()
        }
        T::NatTDport | T::NatTSport => any::<u16>().prop_map(move |port| Extension::NatTPort(kind, port)).boxed(),
        T::NatTFrag => any::<u16>().prop_map(Extension::NatTFrag).boxed(),
        T::NatTType => any::<u8>().prop_map(Extension::NatTType).boxed(),
        T::Policy => policy().prop_map(Extension::Policy).boxed(),
        T::Proposal => (any::<u8>(), vec(combination(), 0..5))
            .prop_map(|(replay, combinations)| Extension::Proposal(Proposal { replay, combinations }))
            .boxed(),
        T::Sa => sa().prop_map(Extension::Sa).boxed(),
        T::Sa2 => any::<(u8, u8, u16, u32, u32)>()
            .prop_map(|(mode, reserved1, reserved2, sequence, reqid)| {
                Extension::Sa2(Sa2 { mode, reserved1, reserved2, sequence, reqid })
            })
            .boxed(),
        T::SaReplay => any::<u32>().prop_map(Extension::SaReplay).boxed(),
        T::SecurityContext => (any::<(u8, u8)>(), vec(any::<u8>(), 0..80))
            .prop_map(|((algorithm, doi), label)| {
                Extension::SecurityContext(SecurityContext { algorithm, doi, label: label.leak() })
            })
            .boxed(),
        T::Sensitivity => (any::<(u32, [u8; 4], u32)>(), words(0))
            .prop_map(|((dpd, levels, reserved), bitmaps)| {
                let [level, words, integrity_level, integrity_words] = levels;
                let fields = Sensitivity { dpd, level, words, integrity_level, integrity_words, reserved, bitmaps };
                Extension::Sensitivity(fields)
            })
            .boxed(),
        T::SessionId => any::<[u64; 2]>().prop_map(Extension::SessionId).boxed(),
        T::SpiRange => any::<(u32, u32)>().prop_map(|(min, max)| Extension::SpiRange(SpiRange { min, max })).boxed(),
        T::SupportedAuth | T::SupportedEncrypt => {
            vec(algorithm(), 0..20).prop_map(move |list| Extension::Supported(kind, list)).boxed()
        }
        T::XfrmAuthTrunc => any::<(u32, bool)>()
            .prop_map(|(icv_bits, align4)| Extension::XfrmAuthTrunc(XfrmAuthTrunc { icv_bits, align4 }))
            .boxed(),
        T::XfrmIfId => any::<u32>().prop_map(Extension::XfrmIfId).boxed(),
        T::XfrmMark => mark().prop_map(Extension::XfrmMark).boxed(),
        T::XfrmOutputMark => mark().prop_map(Extension::XfrmOutputMark).boxed(),
        T::XfrmOffload => any::<(u32, u32)>()
            .prop_map(|(interface, flags)| Extension::XfrmOffload(XfrmOffload { interface, flags }))
            .boxed(),
        T::XfrmReplay => {
            any::<(u32, bool)>().prop_map(|(window, esn)| Extension::XfrmReplay(XfrmReplay { window, esn })).boxed()
        }
        T::IpsecIf | T::KmPrivate | T::MigrateIpsecIf | T::SaStat | T::XfrmReplayState | T::Other(_) => {
            words(4).prop_map(move |bytes| Extension::Opaque(kind, bytes)).boxed()
        }
    }
}

fn mark() -> impl Strategy<Value = XfrmMark> {
    any::<(u32, u32)>().prop_map(|(value, mask)| XfrmMark { value, mask })
}

/// A message with any of the dialect's extensions, each at most once, in any order, and one of an unknown kind.
pub(crate) fn message() -> impl Strategy<Value = Message<'static>> {
    let header = any::<(u8, u8, u8, u8, u16, u32, u32)>();
    (abi(), header).prop_flat_map(|(abi, (version, number, errno, sa_type, reserved, seq, pid))| {
        let header = Header {
            version,
            message_type: MessageType::from_number(abi.dialect, number),
            errno,
            sa_type: SaType::from_number(abi.dialect, sa_type),
            words: 0,
            reserved,
            seq,
            pid,
        };
        let mut kinds: Vec<T> = Tables::of(abi.dialect).extensions.iter().map(|row| row.1).collect();
        kinds.push(T::Other(0x1234));
        prop::sample::subsequence(kinds.clone(), 0..=kinds.len())
            .prop_shuffle()
            .prop_flat_map(|kinds| kinds.into_iter().map(extension).collect::<Vec<_>>())
            .prop_map(move |extensions| Message { abi, header, extensions })
    })
}

/// All that reads foreign bytes; the results do not matter here.
fn read_everything(abi: Abi, bytes: &[u8]) {
    let mut out = String::new();
    dump::structure(&mut out, abi, bytes);
    let _ = Policy::from_blob(abi, bytes);
    let Ok(message) = Message::parse(abi, bytes) else { return };
    let _ = message.check();
    for options in [Options { ports: false, now: i64::MIN }, Options { ports: true, now: i64::MAX }] {
        dump::sa_entry(&mut out, &message, &options);
        dump::policy_entry(&mut out, &message, &options);
        dump::short_entry(&mut out, &message, &options);
    }
}

/// Writes a true length into the header, so that arbitrary bytes come further than its check.
fn set_length(abi: Abi, at: usize, bytes: &mut [u8]) {
    let words = u16::try_from(bytes.len() / 8).unwrap();
    let length = match abi.byte_order {
        ByteOrder::Big => words.to_be_bytes(),
        ByteOrder::Little => words.to_le_bytes(),
    };
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&length);
    }
}

proptest! {
    #[test]
    fn parse_undoes_emit(message in message()) {
        let mut emitted = Vec::new();
        message.emit(&mut emitted).unwrap();
        let mut parsed = Message::parse(message.abi, &emitted).unwrap();
        prop_assert_eq!(usize::from(parsed.header.words) * 8, emitted.len());
        parsed.header.words = 0;
        prop_assert_eq!(&parsed, &message);
        read_everything(message.abi, &emitted);
    }

    #[test]
    fn emit_undoes_parse_up_to_padding(message in message(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = Vec::new();
        message.emit(&mut bytes).unwrap();
        *at.get_mut(&mut bytes) ^= 1 << bit;
        read_everything(message.abi, &bytes);
        if let Ok(parsed) = Message::parse(message.abi, &bytes) {
            let mut again = Vec::new();
            parsed.emit(&mut again).unwrap();
            let mut second = Message::parse(message.abi, &again).unwrap();
            second.header.words = parsed.header.words;
            prop_assert_eq!(second, parsed);
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(abi in abi(), mut bytes in vec(any::<u8>(), 0..256), kind in 0u8..32) {
        read_everything(abi, &bytes);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        set_length(abi, 4, &mut bytes);
        read_everything(abi, &bytes);
        // As one extension of a known kind that fills the message.
        if bytes.len() > 16 {
            let body = &mut bytes[16..];
            let number = u16::from(kind);
            let number = if abi.byte_order == ByteOrder::Big { number.to_be_bytes() } else { number.to_le_bytes() };
            body[2..4].copy_from_slice(&number);
            set_length(abi, 0, body);
            read_everything(abi, &bytes);
            read_everything(abi, &bytes[16..]);
        }
    }

    #[test]
    fn policies_and_blobs(abi in abi(), policy in policy()) {
        let blob = policy.to_blob(abi).unwrap();
        prop_assert_eq!(Policy::from_blob(abi, &blob).unwrap(), policy);
        for end in 0..blob.len() {
            prop_assert!(Policy::from_blob(abi, &blob[..end]).is_err());
        }
    }
}
