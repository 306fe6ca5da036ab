//! Bytes written down from the headers of the four systems.

use std::net::SocketAddr;

use super::{DARWIN, FREEBSD, LINUX, LINUX_BIG, NETBSD, both_ways, bytes};
use crate::ExtensionType as T;
use crate::dialect::Abi;
use crate::num::{MessageType, SaFlags, SaState, SaType};
use crate::wire::{
    Address, Algorithm, Combination, Extension, Filter, Header, Identity, IpsecRequest, Key, KmAddress, Lifetime,
    Message, Policy, Proposal, Sa, Sa2, SecurityContext, Sensitivity, SockAddr, SpiRange, XfrmAuthTrunc, peek_header,
};

const BSD: [Abi; 3] = [DARWIN, FREEBSD, NETBSD];

fn socket(text: &str) -> SockAddr {
    text.parse::<SocketAddr>().unwrap().into()
}

#[test]
fn header_in_both_byte_orders() {
    let header = Header {
        errno: 17,
        reserved: 0x0102,
        seq: 0x0304_0506,
        pid: 0x0708_090a,
        ..Header::new(MessageType::SpdDump, SaType::Unspec)
    };
    for (abi, hex) in
        [(LINUX, "02121100 0200 0201 06050403 0a090807"), (LINUX_BIG, "02121100 0002 0102 03040506 0708090a")]
    {
        let message = Message { abi, header, extensions: Vec::new() };
        let mut emitted = Vec::new();
        message.emit(&mut emitted).unwrap();
        assert_eq!(emitted, bytes(hex));
        assert_eq!(peek_header(abi, &emitted).unwrap(), Header { words: 2, ..header });
    }
}

#[test]
fn sa() {
    let sa = Extension::Sa(Sa {
        spi: 0x1234_5678,
        replay: 4,
        state: SaState::Mature,
        auth: 3,
        encrypt: 12,
        flags: SaFlags::CYCSEQ | SaFlags::NOECN,
    });
    both_ways(LINUX, &sa, "0200 0100 12345678 04 01 03 0c 40000080");
    both_ways(LINUX_BIG, &sa, "0002 0001 12345678 04 01 03 0c 80000040");
}

#[test]
fn macos_sa_with_natt_words_is_read() {
    let longer = bytes("02030000 05000000 00000000 00000000  0300 0100 00001001 00010203 00000000 9411 0000 0000 9411");
    let message = Message::parse(DARWIN, &longer).unwrap();
    assert_eq!(message.sa().map(|sa| (sa.spi, sa.auth)), Some((0x1001, 2)));
}

#[test]
fn sa2() {
    let sa2 = Extension::Sa2(Sa2 { mode: 2, reserved1: 1, reserved2: 0x0203, sequence: 0x0405_0607, reqid: 0x4001 });
    both_ways(LINUX, &sa2, "0200 1300 02 01 0302 07060504 01400000");
    both_ways(LINUX_BIG, &sa2, "0002 0013 02 01 0203 04050607 00004001");
}

#[test]
fn lifetimes() {
    let lifetime = Lifetime { allocations: 1, bytes: 0x0200, addtime: 3600, usetime: 1800 };
    let hex = "00000001 0000000000000200 0000000000000e10 0000000000000708";
    both_ways(LINUX_BIG, &Extension::Lifetime(T::LifetimeHard, lifetime), &format!("00040003 {hex}"));
    both_ways(LINUX_BIG, &Extension::Lifetime(T::LifetimeSoft, lifetime), &format!("00040004 {hex}"));
    both_ways(
        FREEBSD,
        &Extension::Lifetime(T::LifetimeCurrentHw, lifetime),
        "0400 1e00 01000000 0002000000000000 100e000000000000 0807000000000000",
    );
}

#[test]
fn addresses_of_each_family() {
    let v4 = Address { proto: 17, prefix: 24, reserved: 0, sockaddr: socket("192.0.2.1:500") };
    let v6 = Address { proto: 255, prefix: 128, reserved: 0, sockaddr: socket("[2001:db8::1%7]:0") };
    let (v4, v6) = (Extension::Address(T::AddressSrc, v4), Extension::Address(T::AddressDst, v6));
    let v6_tail = "0000 00000000 20010db8000000000000000000000001 07000000 00000000";
    both_ways(LINUX, &v4, "0300 0500 11 18 0000  0200 01f4 c0000201 0000000000000000");
    both_ways(LINUX, &v6, &format!("0500 0600 ff 80 0000  0a00 {v6_tail}"));
    for (abi, family) in [(FREEBSD, "1c"), (NETBSD, "18"), (DARWIN, "1e")] {
        both_ways(abi, &v4, "0300 0500 11 18 0000  10 02 01f4 c0000201 0000000000000000");
        both_ways(abi, &v6, &format!("0500 0600 ff 80 0000  1c {family} {v6_tail}"));
    }
    both_ways(LINUX_BIG, &v4, "0003 0005 11 18 0000  0002 01f4 c0000201 0000000000000000");
}

#[test]
fn flow_information_is_in_network_order() {
    let sockaddr = SockAddr::Inet(std::net::SocketAddrV6::new(std::net::Ipv6Addr::LOCALHOST, 9, 0x0102_0304, 2).into());
    let address = Extension::Address(T::AddressProxy, Address { proto: 0, prefix: 0, reserved: 0, sockaddr });
    let loopback = "00000000000000000000000000000001";
    both_ways(LINUX, &address, &format!("0500 0700 00000000 0a00 0009 01020304 {loopback} 02000000 00000000"));
}

#[test]
fn an_address_of_another_family_keeps_the_family() {
    let other = Address { proto: 0, prefix: 0, reserved: 0, sockaddr: SockAddr::Other { family: 17 } };
    let other = Extension::Address(T::AddressProxy, other);
    both_ways(LINUX, &other, "0300 0700 00000000 1100 0000 00000000 0000000000000000");
    both_ways(NETBSD, &other, "0300 0700 00000000 1011 0000 00000000 0000000000000000");
}

#[test]
fn one_meaning_many_numbers() {
    let original = Address::host(socket("10.0.0.9:0"));
    let tail = "ff 20 0000  1002 0000 0a000009 0000000000000000";
    both_ways(
        LINUX,
        &Extension::Address(T::NatTOaInitiator, original),
        "0300 1700 ff 20 0000  0200 0000 0a000009 0000000000000000",
    );
    both_ways(FREEBSD, &Extension::Address(T::NatTOaResponder, original), &format!("0300 1800 {tail}"));
    both_ways(FREEBSD, &Extension::Address(T::NewAddressDst, original), &format!("0300 1c00 {tail}"));
    both_ways(DARWIN, &Extension::Address(T::NewAddressDst, original), &format!("0300 1c00 {tail}"));
    both_ways(DARWIN, &Extension::Address(T::RangeSrcEnd, original), &format!("0300 1800 {tail}"));
    both_ways(
        LINUX,
        &Extension::SecurityContext(SecurityContext { algorithm: 1, doi: 2, label: b"a:b:c:s0\0" }),
        "0300 1800 01 02 0900 613a623a633a7330 0000000000000000",
    );
}

#[test]
fn keys_are_padded_to_words() {
    let key = Key::new(&[0xaa; 20]).unwrap();
    let hex = "a000 0000 aaaaaaaaaaaaaaaa aaaaaaaaaaaaaaaa aaaaaaaa00000000";
    both_ways(LINUX, &Extension::Key(T::KeyAuth, key), &format!("0400 0800 {hex}"));
    both_ways(LINUX, &Extension::Key(T::KeyEncrypt, key), &format!("0400 0900 {hex}"));
    // The null cipher has a key of no bytes.
    both_ways(NETBSD, &Extension::Key(T::KeyEncrypt, Key::new(&[]).unwrap()), "0100 0900 0000 0000");
    // DES with its parity bits left out: 56 bits are 7 bytes.
    let odd = Key { bits: 52, reserved: 0, bytes: &[1, 2, 3, 4, 5, 6, 7] };
    both_ways(LINUX, &Extension::Key(T::KeyEncrypt, odd), "0200 0900 3400 0000 0102030405060700");
    assert!(Key::new(&[0; 8192]).is_err());
}

#[test]
fn natt() {
    for abi in [LINUX, FREEBSD, NETBSD] {
        both_ways(abi, &Extension::NatTType(2), "0100 1400 02 000000");
        both_ways(abi, &Extension::NatTPort(T::NatTSport, 4500), "0100 1500 1194 0000");
        both_ways(abi, &Extension::NatTPort(T::NatTDport, 500), "0100 1600 01f4 0000");
    }
    both_ways(NETBSD, &Extension::NatTFrag(552), "0100 1900 2802 0000");
}

#[test]
fn of_one_system_each() {
    both_ways(FREEBSD, &Extension::SaReplay(1024), "0100 1a00 00040000");
    both_ways(DARWIN, &Extension::SessionId([1, 2]), "0300 1400 00000000 0100000000000000 0200000000000000");
    let mut name = [0; 32];
    name[..4].copy_from_slice(b"mce0");
    both_ways(
        FREEBSD,
        &Extension::IfHwOffload { flags: 1, name },
        &format!("0500 1f00 01000000 6d636530{}", "00".repeat(28)),
    );
    let mut filter =
        Filter { source: [0; 16], destination: [0xff; 16], family: 2, source_prefix: 8, destination_prefix: 32 };
    filter.source[0] = 10;
    both_ways(
        LINUX,
        &Extension::Filter(filter),
        &format!("0500 1a00 0a{} {} 0200 08 20", "00".repeat(15), "ff".repeat(16)),
    );
    let addresses = KmAddress { reserved: 0, local: socket("10.0.0.1:0"), remote: socket("10.0.0.2:0") };
    both_ways(
        LINUX,
        &Extension::KmAddress(addresses),
        "0500 1900 00000000 0200 0000 0a000001 0000000000000000 0200 0000 0a000002 0000000000000000",
    );
}

#[test]
fn identities_and_sensitivity() {
    let identity = Identity { kind: 2, reserved: 0, id: 5, value: b"host.org\0\0\0\0\0\0\0\0" };
    both_ways(
        LINUX,
        &Extension::Identity(T::IdentitySrc, identity),
        "0400 0a00 0200 0000 0500000000000000 686f73742e6f7267 0000000000000000",
    );
    assert_eq!(identity.text(), b"host.org");
    let sensitivity = Sensitivity {
        dpd: 1,
        level: 2,
        words: 1,
        integrity_level: 3,
        integrity_words: 0,
        reserved: 0,
        bitmaps: &[7; 8],
    };
    both_ways(LINUX, &Extension::Sensitivity(sensitivity), "0300 0c00 01000000 02010300 00000000 0707070707070707");
}

#[test]
fn spi_range_is_in_host_order() {
    let range = Extension::SpiRange(SpiRange { min: 0x100, max: 0x0fff_ffff });
    both_ways(LINUX, &range, "0200 1000 00010000 ffffff0f 00000000");
    both_ways(LINUX_BIG, &range, "0002 0010 00000100 0fffffff 00000000");
}

#[test]
fn algorithms_on_offer() {
    let algorithm = Algorithm { id: 12, iv_len: 16, min_bits: 128, max_bits: 256, reserved: 0 };
    both_ways(
        LINUX,
        &Extension::Supported(T::SupportedEncrypt, vec![algorithm]),
        "0200 0f00 00000000 0c 10 8000 0001 0000",
    );
    both_ways(LINUX, &Extension::Supported(T::SupportedAuth, vec![]), "0100 0e00 00000000");
}

#[test]
fn proposal() {
    let combination = Combination {
        auth: 3,
        encrypt: 12,
        flags: 1,
        auth_min_bits: 160,
        auth_max_bits: 161,
        encrypt_min_bits: 128,
        encrypt_max_bits: 256,
        reserved: 0,
        soft_allocations: 1,
        hard_allocations: 2,
        soft_bytes: 3,
        hard_bytes: 4,
        soft_addtime: 5,
        hard_addtime: 6,
        soft_usetime: 7,
        hard_usetime: 8,
    };
    let longs: String = (3..9).map(|number| format!("{number:016x}")).collect();
    both_ways(
        LINUX_BIG,
        &Extension::Proposal(Proposal { replay: 32, combinations: vec![combination] }),
        &format!("000a 000d 20 000000 03 0c 0001 00a0 00a1 0080 0100 00000000 00000001 00000002 {longs}"),
    );
}

fn tunnel(reqid: u32, endpoints: Option<(SockAddr, SockAddr)>) -> Extension<'static> {
    let request = IpsecRequest { proto: 50, mode: 2, level: 3, reqid, endpoints };
    let transport = IpsecRequest { proto: 51, mode: 1, level: 2, reqid: 0, endpoints: None };
    let requests = vec![request, transport];
    Extension::Policy(Policy { kind: 2, direction: 2, scope: 0, id: 9, priority: 0x8000_0000, requests })
}

#[test]
fn requests_have_two_layouts() {
    let v4 = tunnel(5, Some((socket("10.0.0.1:0"), socket("10.0.0.2:4500"))));
    both_ways(
        LINUX,
        &v4,
        "0a00 1200 0200 02 00 09000000 00000080 \
         3000 3200 02 03 0000 05000000 00000000 \
         0200 0000 0a000001 0000000000000000 0200 1194 0a000002 0000000000000000 \
         1000 3300 01 02 0000 00000000 00000000",
    );
    for abi in BSD {
        both_ways(
            abi,
            &v4,
            "0800 1200 0200 02 00 09000000 00000080 \
             2800 3200 02 03 0500 \
             1002 0000 0a000001 0000000000000000 1002 1194 0a000002 0000000000000000 \
             0800 3300 01 02 0000",
        );
    }
    both_ways(
        LINUX_BIG,
        &v4,
        "000a 0012 0002 02 00 00000009 80000000 \
         0030 0032 02 03 0000 00000005 00000000 \
         0002 0000 0a000001 0000000000000000 0002 1194 0a000002 0000000000000000 \
         0010 0033 01 02 0000 00000000 00000000",
    );
}

#[test]
fn ipv6_endpoints_stand_back_to_back() {
    let v6 = tunnel(0, Some((socket("[::1]:0"), socket("[::2]:0"))));
    let zeros = "00".repeat(15);
    both_ways(
        FREEBSD,
        &v6,
        &format!(
            "0b00 1200 0200 02 00 09000000 00000080 \
             4000 3200 02 03 0000 \
             1c1c 0000 00000000 {zeros}01 00000000 1c1c 0000 00000000 {zeros}02 00000000 \
             0800 3300 01 02 0000"
        ),
    );
    both_ways(
        LINUX,
        &v6,
        &format!(
            "0d00 1200 0200 02 00 09000000 00000080 \
             4800 3200 02 03 0000 00000000 00000000 \
             0a00 0000 00000000 {zeros}01 00000000 0a00 0000 00000000 {zeros}02 00000000 \
             1000 3300 01 02 0000 00000000 00000000"
        ),
    );
}

#[test]
fn a_transport_request_may_carry_addresses() {
    let pair = Some((socket("10.0.0.1:0"), socket("10.0.0.2:0")));
    let request = IpsecRequest { proto: 50, mode: 1, level: 2, reqid: 0, endpoints: pair };
    let policy = Policy { kind: 2, direction: 2, scope: 0, id: 0, priority: 0, requests: vec![request] };
    both_ways(
        LINUX,
        &Extension::Policy(policy),
        "0800 1200 0200 02 00 00000000 00000000 \
         3000 3200 01 02 0000 00000000 00000000 \
         0200 0000 0a000001 0000000000000000 0200 0000 0a000002 0000000000000000",
    );
}

#[test]
fn unknown_extensions_keep_their_bytes() {
    let opaque = Extension::Opaque(T::Other(100), &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    both_ways(LINUX, &opaque, "0200 6400 01020304 05060708090a0b0c");
    both_ways(
        LINUX,
        &Extension::XfrmAuthTrunc(XfrmAuthTrunc { icv_bits: 128, align4: false }),
        "0200 c800 80000000 00000000 00000000",
    );
    both_ways(NETBSD, &Extension::Opaque(T::Other(26), &[9; 4]), "0100 1a00 09090909");
    both_ways(LINUX, &Extension::Opaque(T::KmPrivate, &[0; 4]), "0100 1100 00000000");
}

#[test]
fn order_of_extensions_is_kept() {
    let sa = Extension::Sa(Sa::named(0x1001));
    let source = Extension::Address(T::AddressSrc, Address::host(socket("10.0.0.1:0")));
    let destination = Extension::Address(T::AddressDst, Address::host(socket("10.0.0.2:0")));
    for extensions in [[sa.clone(), source.clone(), destination.clone()], [destination, sa, source]] {
        let header = Header::new(MessageType::Delete, SaType::Esp);
        let message = Message { abi: LINUX, header, extensions: extensions.to_vec() };
        let mut emitted = Vec::new();
        message.emit(&mut emitted).unwrap();
        assert_eq!(Message::parse(LINUX, &emitted).unwrap().extensions, extensions);
    }
}

#[test]
fn what_a_dialect_has_not_is_refused() {
    let mut buffer = Vec::new();
    let mut emit = |abi, extension: &Extension<'_>| {
        buffer.clear();
        extension.emit(&mut super::Writer::new(&mut buffer, abi)).map_err(|error| error.to_string())
    };
    assert_eq!(emit(LINUX, &Extension::SaReplay(1)), Err("Not supported: linux PF_KEY has no SaReplay".into()));
    assert!(emit(DARWIN, &Extension::NatTType(2)).is_err());
    // 16 bits of reqid on BSD.
    assert_eq!(emit(FREEBSD, &tunnel(0x1_0000, None)), Err("Invalid ipsec level".into()));
    assert_eq!(emit(LINUX, &tunnel(0x1_0000, None)), Ok(()));
    let header = Header::new(MessageType::Migrate, SaType::Unspec);
    assert!(Message { abi: FREEBSD, header, extensions: vec![] }.emit(&mut Vec::new()).is_err());
}
