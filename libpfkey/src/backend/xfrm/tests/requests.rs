//! PF_KEY requests as frames, and requests that are refused without the kernel.

use std::net::SocketAddr;

use super::written;
use crate::backend::xfrm::layout::{Algo, INET, INET6, PolicyInfo, State, XfrmTemplate};
use crate::backend::xfrm::migrate::Migration;
use crate::backend::xfrm::netlink::next_attribute;
use crate::backend::xfrm::numbers::{INF, attribute};
use crate::backend::xfrm::policy_request::{PolicyFrame, policy_id};
use crate::backend::xfrm::sa_request::{SaFrame, spi_request, state_id};
use crate::dialect::Abi;
use crate::num::{
    DIR_FWD, DIR_IN, DIR_OUT, ExtensionType as E, LEVEL_REQUIRE, LEVEL_UNIQUE, LEVEL_USE, MessageType as M,
    POLICY_BYPASS, POLICY_DISCARD, POLICY_ENTRUST, POLICY_IPSEC, POLICY_NONE, SaFlags, SaType,
};
use crate::wire::{
    Address, Extension, Header, IpsecRequest, Key, Lifetime, Message, Policy, Sa, Sa2, SockAddr, SpiRange,
    XfrmAuthTrunc, XfrmMark, XfrmReplay,
};

fn end(kind: E, text: &str) -> Extension<'static> {
    Extension::Address(kind, Address::host(SockAddr::from(text.parse::<std::net::IpAddr>().unwrap())))
}

fn message(kind: M, sa_type: SaType, extensions: Vec<Extension<'_>>) -> Message<'_> {
    Message { abi: Abi::HOST, header: Header { seq: 5, pid: 6, ..Header::new(kind, sa_type) }, extensions }
}

fn key(kind: E, bytes: &[u8]) -> Extension<'_> {
    Extension::Key(kind, Key::new(bytes).unwrap())
}

/// An ADD with these numbers of algorithms and these further extensions.
fn add(sa_type: SaType, (auth, encrypt): (u8, u8), more: Vec<Extension<'static>>) -> Message<'static> {
    let sa = Sa { replay: 64, auth, encrypt, flags: SaFlags::NOECN, ..Sa::named(0x1000) };
    let mut extensions = vec![Extension::Sa(sa), end(E::AddressSrc, "192.0.2.1"), end(E::AddressDst, "192.0.2.2")];
    extensions.extend(more);
    message(M::Add, sa_type, extensions)
}

fn keys() -> Vec<Extension<'static>> {
    vec![key(E::KeyAuth, &[1; 32]), key(E::KeyEncrypt, &[2; 16])]
}

/// The state and the attributes of the NEWSA for a request.
#[track_caller]
fn newsa(message: &Message<'_>) -> (State, Vec<(u16, Vec<u8>)>) {
    let frame = SaFrame::new(message).unwrap_or_else(|errno| panic!("refused: {errno}"));
    let bytes = written(|writer| frame.emit(writer).unwrap());
    let mut reader = super::reader(&bytes);
    let state = State::parse(&mut reader).unwrap();
    let attributes = std::iter::from_fn(|| next_attribute(&mut reader).unwrap());
    (state, attributes.map(|(number, body)| (number, body.rest().to_vec())).collect())
}

#[test]
fn an_sa() {
    let (state, attributes) = newsa(&add(SaType::Esp, (5, 12), keys()));
    assert_eq!((state.id.spi, state.id.proto, state.family, state.seq, state.mode), (0x1000, 50, INET, 5, 0));
    // With limits of 0 the SA would expire with the first packet.
    let limits = state.limits;
    assert_eq!([limits.soft_bytes, limits.hard_bytes, limits.soft_packets, limits.hard_packets], [INF; 4]);
    assert_eq!([limits.soft_add, limits.hard_add, limits.soft_use, limits.hard_use], [0; 4]);
    assert_eq!((state.replay_window, state.flags), (32, 1));
    assert_eq!((state.selector.family, state.selector.source), (INET, Default::default()));
    let [(auth_number, auth), (cipher_number, cipher)] = &attributes[..] else { panic!("{attributes:?}") };
    assert_eq!((*auth_number, *cipher_number), (attribute::ALG_AUTH_TRUNC, attribute::ALG_CRYPT));
    let auth = Algo::parse(&mut super::reader(auth), true).unwrap();
    // `af_key` has 96 bits, not the 128 of RFC 4868.
    assert_eq!(
        (auth.name, auth.key_bits, auth.icv_bits, auth.key),
        (&b"hmac(sha256)"[..], 256, Some(96), &[1; 32][..])
    );
    let cipher = Algo::parse(&mut super::reader(cipher), false).unwrap();
    assert_eq!((cipher.name, cipher.key_bits, cipher.key), (&b"cbc(aes)"[..], 128, &[2; 16][..]));
}

/// The selector's family is that of the inner packets.
#[test]
fn inner_packets_of_the_other_family() {
    let tunnel = Extension::Sa2(Sa2 { mode: 2, ..Sa2::default() });
    let inside = SockAddr::from("2001:db8::".parse::<std::net::IpAddr>().unwrap());
    let proxy = Extension::Address(E::AddressProxy, Address { prefix: 64, ..Address::host(inside) });
    let (state, _) = newsa(&add(SaType::Esp, (3, 12), [keys(), vec![tunnel, proxy]].concat()));
    assert_eq!((state.family, state.selector.family, state.selector.source_prefix), (INET, INET6, 64));
}

#[test]
fn icv_length_and_alignment() {
    for ((said, align4), icv_bits, flags) in [((128, false), 128, 1), ((0, true), 96, 0x41), ((128, true), 128, 0x41)] {
        let mut more = keys();
        more.push(Extension::XfrmAuthTrunc(XfrmAuthTrunc { icv_bits: said, align4 }));
        let (state, attributes) = newsa(&add(SaType::Ah, (5, 0), more));
        let auth = Algo::parse(&mut super::reader(&attributes[0].1), true).unwrap();
        assert_eq!((auth.icv_bits, state.flags), (Some(icv_bits), flags));
    }
}

#[test]
fn other_parts_of_an_sa() {
    let mut more = keys();
    more.push(Extension::Sa2(Sa2 { mode: 3, reqid: 70_000, ..Sa2::default() }));
    let limit = Lifetime { allocations: 1, bytes: 2, addtime: 3, usetime: 4 };
    more.push(Extension::Lifetime(E::LifetimeHard, limit));
    more.push(Extension::Lifetime(E::LifetimeSoft, Lifetime::default()));
    more.extend([Extension::NatTType(2), Extension::NatTPort(E::NatTSport, 4500)]);
    more.push(Extension::XfrmMark(XfrmMark { value: 7, mask: 0xff }));
    more.push(Extension::XfrmReplay(XfrmReplay { window: 128, esn: true }));
    let (state, attributes) = newsa(&add(SaType::Esp, (3, 12), more));
    assert_eq!((state.mode, state.reqid, state.replay_window, state.flags), (4, 70_000, 0, 0x81));
    let limits = state.limits;
    assert_eq!((limits.hard_packets, limits.hard_bytes, limits.hard_add, limits.hard_use), (1, 2, 3, 4));
    assert_eq!((limits.soft_packets, limits.soft_bytes), (INF, INF));
    let of = |number| &attributes.iter().find(|(known, _)| *known == number).unwrap().1;
    assert_eq!(of(attribute::ENCAP)[..6], [2, 0, 0x11, 0x94, 0, 0]);
    assert_eq!(of(attribute::MARK)[..], [7, 0, 0, 0, 0xff, 0, 0, 0]);
    assert_eq!(of(attribute::REPLAY_ESN_VAL).len(), 24 + 16);
}

#[test]
fn algorithms_of_each_protocol() {
    let numbers = |message: &Message<'_>| newsa(message).1.iter().map(|(number, _)| *number).collect::<Vec<_>>();
    let esp = |numbers, keys| add(SaType::Esp, numbers, keys);
    assert_eq!(numbers(&esp((0, 11), vec![key(E::KeyEncrypt, &[])])), [attribute::ALG_CRYPT]);
    assert_eq!(numbers(&esp((0, 20), vec![key(E::KeyEncrypt, &[0; 20])])), [attribute::ALG_AEAD]);
    assert_eq!(numbers(&add(SaType::Ah, (3, 12), keys())), [attribute::ALG_AUTH_TRUNC]);
    assert_eq!(numbers(&add(SaType::IpComp, (0, 2), vec![])), [attribute::ALG_COMP]);
}

#[test]
fn refused_sas() {
    let refused = |message: &Message<'_>| SaFrame::new(message).err();
    let esp = |numbers, more| refused(&add(SaType::Esp, numbers, more));
    let with = |more: Extension<'static>| [keys(), vec![more]].concat();
    let sa2 = |mode| Extension::Sa2(Sa2 { mode, ..Sa2::default() });
    assert_eq!(esp((3, 12), vec![key(E::KeyAuth, &[1; 20])]), Some(libc::EINVAL), "no cipher key");
    assert_eq!(refused(&add(SaType::Ah, (3, 0), vec![])), Some(libc::EINVAL), "no authentication key");
    assert_eq!(esp((3, 12), with(Extension::Lifetime(E::LifetimeHard, Lifetime::default()))), Some(libc::EINVAL));
    assert_eq!(esp((3, 12), with(sa2(4))), Some(libc::EINVAL), "mode");
    assert_eq!(esp((200, 12), with(sa2(4))), Some(libc::ENOSYS), "the algorithm is looked up first");
    assert_eq!(esp((252, 12), keys()), Some(libc::EINVAL));
    assert_eq!(esp((3, 254), keys()), Some(libc::EINVAL));
    assert_eq!(esp((3, 200), keys()), Some(libc::ENOSYS));
    assert_eq!(esp((0, 12), vec![key(E::KeyAuth, &[]), key(E::KeyEncrypt, &[1; 16])]), Some(libc::EINVAL));
    assert_eq!(refused(&add(SaType::IpComp, (0, 1), vec![])), Some(libc::ENOSYS));
    assert_eq!(refused(&add(SaType::IpComp, (0, 5), vec![])), Some(libc::EINVAL));
    assert_eq!(refused(&add(SaType::Unspec, (3, 12), keys())), Some(libc::EPROTONOSUPPORT));
    assert_eq!(refused(&add(SaType::Other(7), (3, 12), keys())), Some(libc::EINVAL));
    assert_eq!(refused(&message(M::Add, SaType::Esp, keys())), Some(libc::EINVAL), "no SA");
    assert_eq!(esp((3, 12), with(Extension::XfrmReplay(XfrmReplay { window: 4097, esn: false }))), Some(libc::EINVAL));
    let mut wide = add(SaType::Esp, (3, 12), keys());
    let Extension::Address(_, address) = &mut wide.extensions[1] else { panic!("an address") };
    address.prefix = 33;
    assert_eq!(refused(&wide), Some(libc::EINVAL));
    wide.extensions[1] = end(E::AddressSrc, "::1");
    assert_eq!(refused(&wide), Some(libc::EINVAL), "families");
}

#[test]
fn names_and_ranges() {
    let pair = || vec![end(E::AddressSrc, "192.0.2.1"), end(E::AddressDst, "192.0.2.2")];
    let named = |sa_type| message(M::Get, sa_type, [vec![Extension::Sa(Sa::named(9))], pair()].concat());
    assert_eq!(state_id(&named(SaType::Ah)).map(|id| (id.spi, id.proto, id.family)), Ok((9, 51, INET)));
    assert_eq!(state_id(&named(SaType::Unspec)), Err(libc::ESRCH));
    assert_eq!(state_id(&message(M::Get, SaType::Esp, pair())), Err(libc::EINVAL));
    let range = |sa_type, range: Option<(u32, u32)>| {
        let range = range.map(|(min, max)| Extension::SpiRange(SpiRange { min, max }));
        spi_request(&message(M::GetSpi, sa_type, pair().into_iter().chain(range).collect()))
            .map(|(state, min, max)| (state.id.proto, state.seq, min, max))
    };
    assert_eq!(range(SaType::Esp, None), Ok((50, 5, 0x100, 0x0fff_ffff)));
    assert_eq!(range(SaType::IpComp, Some((0x100, 0xffff))), Ok((108, 5, 0x100, 0xffff)));
    assert_eq!(range(SaType::IpComp, None), Err(libc::EINVAL));
    assert_eq!(range(SaType::Esp, Some((2, 1))), Err(libc::EINVAL));
    assert_eq!(range(SaType::Unspec, None), Err(libc::EINVAL));
}

fn request(proto: u16, mode: u8, level: u8, reqid: u32) -> IpsecRequest {
    IpsecRequest { proto, mode, level, reqid, endpoints: None }
}

fn tunnel(level: u8, reqid: u32) -> IpsecRequest {
    let end = |text: &str| SockAddr::from(text.parse::<std::net::IpAddr>().unwrap());
    IpsecRequest { endpoints: Some((end("2001:db8::1"), end("2001:db8::2"))), ..request(50, 2, level, reqid) }
}

fn policy(kind: u16, direction: u8, requests: Vec<IpsecRequest>) -> Message<'static> {
    let end = |kind, port, prefix| {
        let sockaddr = SockAddr::Inet(SocketAddr::new([192, 0, 2, 1].into(), port));
        Extension::Address(kind, Address { proto: 17, prefix, reserved: 0, sockaddr })
    };
    let policy = Policy { kind, direction, scope: 0, id: 99, priority: 3, requests };
    let extensions = vec![end(E::AddressSrc, 0, 24), end(E::AddressDst, 53, 32), Extension::Policy(policy)];
    message(M::SpdAdd, SaType::Unspec, extensions)
}

fn newpolicy(message: &Message<'_>) -> Result<(PolicyInfo, Vec<XfrmTemplate>), i32> {
    let mut frame = PolicyFrame::new(message)?;
    frame.choose_reqids(|| Ok(20_000))?;
    let bytes = written(|writer| frame.emit(writer).unwrap());
    let mut reader = super::reader(&bytes);
    let info = PolicyInfo::parse(&mut reader).unwrap();
    let mut templates = Vec::new();
    while let Some((number, mut body)) = next_attribute(&mut reader).unwrap() {
        assert_eq!(number, attribute::TMPL);
        while body.remaining() > 0 {
            templates.push(XfrmTemplate::parse(&mut body).unwrap());
        }
    }
    Ok((info, templates))
}

#[test]
fn policies() {
    let (info, templates) = newpolicy(&policy(POLICY_DISCARD, DIR_FWD, vec![])).unwrap();
    assert_eq!((info.action, info.direction, info.index, info.priority), (1, 2, 0, 3));
    assert_eq!((info.limits.soft_bytes, info.limits.hard_packets, info.limits.hard_add), (INF, INF, 0));
    let selector = info.selector;
    assert_eq!((selector.proto, selector.destination_port, selector.destination_port_mask), (17, 53, 0xffff));
    assert_eq!((selector.source_port, selector.source_port_mask, selector.source_prefix), (0, 0, 24));
    assert!(templates.is_empty());
    let requests = vec![
        request(108, 1, LEVEL_USE, 9),
        tunnel(LEVEL_UNIQUE, 77),
        request(51, 1, LEVEL_UNIQUE, 16_384),
        request(50, 1, LEVEL_REQUIRE, 9),
        request(50, 1, 9, 9),
    ];
    let (info, templates) = newpolicy(&policy(POLICY_IPSEC, DIR_IN, requests)).unwrap();
    assert_eq!((info.action, info.direction), (0, 0));
    let seen: Vec<_> =
        templates.iter().map(|one| (one.id.proto, one.mode, one.family, one.optional, one.reqid)).collect();
    let expected = [
        (108, 0, INET, true, 0),
        (50, 1, INET6, false, 77),
        // The tunnel before it makes IPv6 packets.
        (51, 0, INET6, false, 20_000),
        (50, 0, INET6, false, 0),
        (50, 0, INET6, false, 0),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn refused_policies() {
    let ipsec = |requests| newpolicy(&policy(POLICY_IPSEC, DIR_OUT, requests)).err();
    for kind in [POLICY_ENTRUST, POLICY_BYPASS] {
        assert_eq!(newpolicy(&policy(kind, DIR_OUT, vec![])).err(), Some(libc::EINVAL));
    }
    for direction in [0, 4] {
        assert_eq!(newpolicy(&policy(POLICY_NONE, direction, vec![])).err(), Some(libc::EINVAL));
    }
    assert_eq!(ipsec(vec![request(50, 0, LEVEL_REQUIRE, 0)]), Some(libc::EINVAL), "any mode");
    assert_eq!(ipsec(vec![request(6, 1, LEVEL_REQUIRE, 0)]), Some(libc::EINVAL), "protocol");
    assert_eq!(ipsec(vec![request(0x132, 1, LEVEL_REQUIRE, 0)]), Some(libc::EINVAL), "protocol of two bytes");
    assert_eq!(ipsec(vec![request(50, 2, LEVEL_REQUIRE, 0)]), Some(libc::EINVAL), "no ends");
    for direction in [DIR_IN, DIR_OUT] {
        // Whether outbound is possible depends on the kernel's version.
        let (_, templates) = newpolicy(&policy(POLICY_IPSEC, direction, vec![tunnel(LEVEL_USE, 0)])).unwrap();
        assert!(templates[0].optional);
    }
    let mut many = vec![request(50, 1, LEVEL_REQUIRE, 0); 7];
    assert_eq!(ipsec(many.clone()), Some(libc::ELOOP));
    many[0].mode = 0;
    assert_eq!(ipsec(many), Some(libc::EINVAL), "found before the seventh");
    let unique = policy(POLICY_IPSEC, DIR_OUT, vec![request(50, 1, LEVEL_UNIQUE, 0)]);
    let no_reqid = PolicyFrame::new(&unique).and_then(|mut frame| frame.choose_reqids(|| Err(libc::ENOBUFS)));
    assert_eq!(no_reqid.err(), Some(libc::ENOBUFS));
    let mut wide = policy(POLICY_NONE, DIR_OUT, vec![]);
    let Extension::Address(_, address) = &mut wide.extensions[0] else { panic!("an address") };
    address.prefix = 33;
    assert_eq!(newpolicy(&wide).err(), Some(libc::EINVAL));
    wide.extensions.pop();
    assert_eq!(newpolicy(&wide).err(), Some(libc::EINVAL), "no policy");
}

#[test]
fn indices_of_policies() {
    let by_id = |id| {
        policy_id(&message(M::SpdGet, SaType::Unspec, vec![Extension::Policy(Policy::named(id))]))
            .map(|id| (id.index, id.direction))
    };
    assert_eq!(by_id(8), Ok((8, 0)));
    assert_eq!(by_id(0x12), Ok((0x12, 2)));
    assert_eq!(by_id(0x0b), Err(libc::EINVAL), "a socket's");
    assert_eq!(by_id(0), Err(libc::ENOENT), "0 would mean the selector");
    let mut delete = policy(POLICY_NONE, DIR_OUT, vec![]);
    delete.header.message_type = M::SpdDelete;
    let id = policy_id(&delete).unwrap();
    assert_eq!((id.index, id.direction, id.selector.destination_port), (0, 1, 53));
}

#[test]
fn migrations_come_in_pairs() {
    let migrate = |requests| Migration::new(&policy(POLICY_IPSEC, DIR_OUT, requests)).err();
    let require = || tunnel(LEVEL_REQUIRE, 0);
    assert_eq!(migrate(vec![require(), require()]), None);
    assert_eq!(migrate(vec![]), Some(libc::EINVAL));
    assert_eq!(migrate(vec![require()]), Some(libc::EINVAL));
    assert_eq!(migrate(vec![require(), IpsecRequest { mode: 1, ..require() }]), Some(libc::EINVAL));
}

/// The contents of `XfrmReplayState`: counters, number of the attribute, its contents.
fn progress(attribute: u16, replay: &[u8]) -> Vec<u8> {
    written(|writer| {
        [900, 9, 1_764_444_444, 1_764_444_445].into_iter().for_each(|count| writer.u64(count));
        writer.u16(attribute);
        writer.u16(u16::try_from(replay.len()).unwrap());
        writer.bytes(replay);
    })
}

#[test]
fn a_restored_sa_continues() {
    let attributes = |bytes: &'static [u8], more: Vec<Extension<'static>>| {
        let mut extensions = keys();
        extensions.push(Extension::Opaque(E::XfrmReplayState, bytes));
        extensions.extend(more);
        newsa(&add(SaType::Esp, (5, 12), extensions)).1.split_off(2)
    };
    let counters = progress(0, &[])[..32].to_vec();
    let bytes = progress(attribute::REPLAY_VAL, &[7; 12]).leak();
    let expected = [(attribute::LTIME_VAL, counters.clone()), (attribute::REPLAY_VAL, vec![7; 12])];
    assert_eq!(attributes(bytes, vec![]), expected);
    // The sequence numbers of a large window replace the attribute with the window alone.
    let bytes = progress(attribute::REPLAY_ESN_VAL, &[7; 32]).leak();
    let window = Extension::XfrmReplay(XfrmReplay { window: 64, esn: true });
    let expected = [(attribute::LTIME_VAL, counters), (attribute::REPLAY_ESN_VAL, vec![7; 32])];
    assert_eq!(attributes(bytes, vec![window]), expected);
}

#[test]
fn malformed_sequence_numbers_are_refused() {
    let refused = |bytes: &'static [u8]| {
        let mut extensions = keys();
        extensions.push(Extension::Opaque(E::XfrmReplayState, bytes));
        SaFrame::new(&add(SaType::Esp, (5, 12), extensions)).err()
    };
    let whole = progress(attribute::REPLAY_VAL, &[7; 12]);
    for length in 0..whole.len() {
        assert_eq!(refused(whole[..length].to_vec().leak()), Some(libc::EINVAL), "{length}");
    }
    for (number, length) in [(attribute::REPLAY_VAL, 11), (attribute::REPLAY_ESN_VAL, 20), (attribute::SA, 12)] {
        assert_eq!(refused(progress(number, &vec![7; length]).leak()), Some(libc::EINVAL), "{number} {length}");
    }
}

#[test]
fn marks_of_policies() {
    let mut request = policy(POLICY_NONE, DIR_IN, vec![]);
    request.extensions.push(Extension::XfrmMark(XfrmMark { value: 5, mask: 0xff }));
    request.extensions.push(Extension::XfrmIfId(7));
    let frame = PolicyFrame::new(&request).unwrap_or_else(|errno| panic!("refused: {errno}"));
    let bytes = written(|writer| frame.emit(writer).unwrap());
    let mut reader = super::reader(&bytes);
    PolicyInfo::parse(&mut reader).unwrap();
    let attributes = std::iter::from_fn(|| next_attribute(&mut reader).unwrap());
    let found: Vec<_> = attributes.map(|(number, body)| (number, body.rest().to_vec())).collect();
    let words = |words: &[u32]| written(|writer| words.iter().for_each(|word| writer.u32(*word)));
    assert_eq!(found, [(attribute::MARK, words(&[5, 0xff])), (attribute::IF_ID, words(&[7]))]);
}
