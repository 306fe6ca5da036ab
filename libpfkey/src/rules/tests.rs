//! Requests and what kernels say to them.

use super::*;
use crate::Abi;
use crate::algorithm::{Authentication, Encryption};
use crate::num::{DIR_IN, LEVEL_REQUIRE, MODE_TRANSPORT, POLICY_NONE, SaState};
use crate::wire::{Key, Lifetime, Sa};

fn host(address: &str) -> Address {
    Address::host(SockAddr::Inet(format!("{address}:0").parse().unwrap()))
}

fn message(dialect: Dialect, kind: MessageType, sa_type: SaType, extensions: Vec<Extension<'_>>) -> Message<'_> {
    let mut extensions = extensions;
    extensions.push(Extension::Address(ExtensionType::AddressSrc, host("192.0.2.1")));
    extensions.push(Extension::Address(ExtensionType::AddressDst, host("192.0.2.2")));
    Message { abi: Abi::of(dialect), header: Header::new(kind, sa_type), extensions }
}

fn sa(encrypt: u8) -> Extension<'static> {
    let (spi, state, flags) = (0x1001, SaState::Mature, SaFlags::empty());
    Extension::Sa(Sa { spi, replay: 0, state, auth: 0, encrypt, flags })
}

/// The part that is refused, and the errno.
fn refusal(request: &Message<'_>) -> Option<(RequestPart, i32)> {
    check(request, false).err().map(|refused| (refused.part, refused.errno()))
}

#[test]
fn lengths_of_keys() {
    let key = [7; 36];
    for dialect in Dialect::ALL {
        let aes = Encryption::AesCbc.number(dialect).unwrap();
        let refused = |octets: usize| {
            let key = Extension::Key(ExtensionType::KeyEncrypt, Key::new(&key[..octets]).unwrap());
            refusal(&message(dialect, MessageType::Add, SaType::Esp, vec![sa(aes), key]))
        };
        for octets in 0..=36 {
            let expected = (![16, 24, 32].contains(&octets)).then_some((RequestPart::Encryption, libc::EINVAL));
            assert_eq!(refused(octets), expected, "{dialect} {octets}");
        }
    }
}

#[test]
fn one_limit_alone() {
    let key = Extension::Key(ExtensionType::KeyEncrypt, Key::new(&[]).unwrap());
    for dialect in Dialect::ALL {
        let null = Encryption::Null.number(dialect).unwrap();
        let limit = |kind| Extension::Lifetime(kind, Lifetime { addtime: 9, ..Lifetime::default() });
        let (hard, soft) = (limit(ExtensionType::LifetimeHard), limit(ExtensionType::LifetimeSoft));
        let refused = |limits: &[&Extension<'static>]| {
            let mut extensions = vec![sa(null), key.clone()];
            extensions.extend(limits.iter().map(|limit| (*limit).clone()));
            refusal(&message(dialect, MessageType::Add, SaType::Esp, extensions))
        };
        let alone = Some((RequestPart::Lifetimes, libc::EINVAL));
        let seen = [refused(&[]), refused(&[&hard, &soft]), refused(&[&hard]), refused(&[&soft])];
        assert_eq!(seen, [None, None, alone, alone], "{dialect}");
    }
}

#[test]
fn steps_of_a_policy() {
    let transport =
        IpsecRequest { proto: IPPROTO_ESP, mode: MODE_TRANSPORT, level: LEVEL_REQUIRE, reqid: 0, endpoints: None };
    let ends = (host("192.0.2.1").sockaddr, host("192.0.2.2").sockaddr);
    let tunnel = IpsecRequest { mode: MODE_TUNNEL, level: LEVEL_USE, endpoints: Some(ends), ..transport };
    let of = |kind, direction, requests: Vec<IpsecRequest>| Policy {
        kind,
        direction,
        scope: 0,
        id: 0,
        priority: 0,
        requests,
    };
    let refused = |dialect, kind, direction, requests: &[IpsecRequest]| {
        policy(dialect, MessageType::SpdAdd, &of(kind, direction, requests.to_vec())).err()
    };
    for (dialect, most, errno) in
        [(Dialect::Linux, 6, libc::ELOOP), (Dialect::FreeBsd, 4, libc::EINVAL), (Dialect::NetBsd, 64, 0)]
    {
        assert_eq!(refused(dialect, POLICY_IPSEC, DIR_IN, &vec![transport; most]), None);
        let seen = refused(dialect, POLICY_IPSEC, DIR_IN, &vec![transport; most + 1]);
        assert_eq!(seen.map_or(0, |refused| refused.errno()), errno, "{dialect}");
        assert_eq!(refused(dialect, POLICY_NONE, DIR_IN, &[]), None);
        assert_eq!(
            refused(dialect, POLICY_BYPASS, DIR_OUT, &[]).map(|refused| refused.part),
            Some(RequestPart::Policy)
        );
    }
    let optional = refused(Dialect::Linux, POLICY_IPSEC, DIR_OUT, &[transport, tunnel]).unwrap();
    assert_eq!((optional.part, optional.versions.is_some()), (RequestPart::Step(1), true));
    assert_eq!(refused(Dialect::Linux, POLICY_IPSEC, DIR_IN, &[tunnel]), None);
    assert_eq!(refused(Dialect::NetBsd, POLICY_IPSEC, DIR_OUT, &[tunnel]), None);
    let required = IpsecRequest { level: LEVEL_REQUIRE, ..tunnel };
    assert_eq!(refused(Dialect::Linux, POLICY_IPSEC, DIR_OUT, &[required]), None);
}

#[test]
fn transport_behind_a_tunnel_of_the_other_family() {
    let transport =
        IpsecRequest { proto: IPPROTO_ESP, mode: MODE_TRANSPORT, level: LEVEL_REQUIRE, reqid: 0, endpoints: None };
    let tunnel = |a: &str, b: &str| IpsecRequest {
        mode: MODE_TUNNEL,
        endpoints: Some((host(a).sockaddr, host(b).sockaddr)),
        ..transport
    };
    let (v4, v6) = (tunnel("192.0.2.1", "192.0.2.2"), tunnel("[2001:db8::1]", "[2001:db8::2]"));
    let refused = |dialect, source: &str, requests: &[IpsecRequest]| {
        let requests = requests.to_vec();
        let policy = Policy { kind: POLICY_IPSEC, direction: DIR_IN, scope: 0, id: 0, priority: 0, requests };
        family_change(dialect, source.parse().unwrap(), &policy).err().map(|refused| refused.part)
    };
    let inner = ["10.1.0.1", "2001:db8:1::1"];
    for (same, other, source) in [(v4, v6, inner[0]), (v6, v4, inner[1])] {
        let linux = |requests: &[IpsecRequest]| refused(Dialect::Linux, source, requests);
        assert_eq!(linux(&[other, transport]), Some(RequestPart::Step(1)));
        assert_eq!(linux(&[transport, other, transport, transport]), Some(RequestPart::Step(2)));
        for fine in [&[other][..], &[transport, other], &[same, transport], &[other, same, transport]] {
            assert_eq!(linux(fine), None);
        }
        assert_eq!(refused(Dialect::NetBsd, source, &[other, transport]), None);
    }
    let requests = vec![v6, transport];
    let policy = Policy { kind: POLICY_IPSEC, direction: DIR_IN, scope: 0, id: 0, priority: 0, requests };
    let request = message(Dialect::Linux, MessageType::SpdAdd, SaType::Unspec, vec![Extension::Policy(policy)]);
    let text = "PF_KEY of Linux cannot carry a transport step after an IPv6 tunnel for IPv4 packets: backend xfrm can";
    assert_eq!(check(&request, false).unwrap_err().to_string(), text);
    assert_eq!(check(&request, true), Ok(()));
}

/// Returns why an ADD with these algorithm numbers, and keys of these lengths in bytes, is refused.
fn refused_add(dialect: Dialect, sa_type: SaType, sa: Sa, keys: [Option<usize>; 2]) -> Option<(RequestPart, i32)> {
    let bytes = [7; 96];
    let kinds = [ExtensionType::KeyEncrypt, ExtensionType::KeyAuth];
    let key = |(kind, octets): (ExtensionType, Option<usize>)| {
        octets.map(|octets| Extension::Key(kind, Key::new(&bytes[..octets]).unwrap()))
    };
    let mut extensions = vec![Extension::Sa(sa)];
    extensions.extend(kinds.into_iter().zip(keys).filter_map(key));
    refusal(&message(dialect, MessageType::Add, sa_type, extensions))
}

const BSDS: [Dialect; 3] = [Dialect::Darwin, Dialect::FreeBsd, Dialect::NetBsd];

#[test]
fn spis_of_the_bsds() {
    let spi = Some((RequestPart::Spi, libc::EINVAL));
    for dialect in BSDS {
        let auth = Authentication::HmacSha1.number(dialect).unwrap();
        let null = Encryption::Null.number(dialect).unwrap();
        let of = |spi, auth, encrypt, flags| Sa { auth, encrypt, flags, ..Sa::named(spi) };
        for (number, expected) in [(0, spi), (255, spi), (256, None)] {
            let esp = refused_add(dialect, SaType::Esp, of(number, 0, null, SaFlags::empty()), [Some(0), None]);
            assert_eq!(esp, expected, "{dialect} esp {number}");
            let ah = refused_add(dialect, SaType::Ah, of(number, auth, 0, SaFlags::empty()), [None, Some(20)]);
            assert_eq!(ah, expected, "{dialect} ah {number}");
        }
        for (cpi, flags, expected) in
            [(2, SaFlags::empty(), None), (0x1_0000, SaFlags::empty(), spi), (0x1_0000, SaFlags::RAWCPI, None)]
        {
            let seen = refused_add(dialect, SaType::IpComp, of(cpi, 0, 2, flags), [None, None]);
            assert_eq!(seen, expected, "{dialect} ipcomp {cpi}");
        }
        let Some(md5) = Authentication::TcpMd5.number(dialect) else { continue };
        let tcp =
            |spi, octets| refused_add(dialect, SaType::TcpSignature, of(spi, md5, 0, SaFlags::empty()), [None, octets]);
        assert_eq!([tcp(0x1000, Some(1)), tcp(0x1000, Some(80)), tcp(0x1001, Some(9))], [None, None, spi]);
        let key = Some((RequestPart::Authentication, libc::EINVAL));
        assert_eq!([tcp(0x1000, Some(0)), tcp(0x1000, Some(81)), tcp(0x1000, None)], [key; 3], "{dialect}");
    }
}

#[test]
fn algorithms_that_a_protocol_has_no_use_for() {
    for dialect in BSDS {
        let auth = Authentication::HmacSha1.number(dialect).unwrap();
        let aes = Encryption::AesCbc.number(dialect).unwrap();
        let ah = refused_add(dialect, SaType::Ah, Sa { auth, encrypt: aes, ..Sa::named(0x1001) }, [Some(16), Some(20)]);
        assert_eq!(ah, Some((RequestPart::Encryption, libc::EINVAL)), "{dialect}");
        let ipcomp = refused_add(dialect, SaType::IpComp, Sa { auth, encrypt: 2, ..Sa::named(2) }, [None, Some(20)]);
        assert_eq!(ipcomp, Some((RequestPart::Authentication, libc::EINVAL)), "{dialect}");
    }
}

/// What FreeBSD 13 removed, what it has, and what NetBSD has kept.
#[test]
fn algorithms_of_freebsd_and_netbsd() {
    use Authentication as A;
    use Encryption as E;
    let cipher = |dialect, cipher: E, octets| {
        let encrypt = cipher.number(dialect)?;
        Some(refused_add(dialect, SaType::Esp, Sa { encrypt, ..Sa::named(0x1001) }, [Some(octets), None]).is_none())
    };
    let hash = |dialect, hash: A, octets| {
        let auth = hash.number(dialect)?;
        Some(refused_add(dialect, SaType::Ah, Sa { auth, ..Sa::named(0x1001) }, [None, octets]).is_none())
    };
    let (freebsd, netbsd) = (Dialect::FreeBsd, Dialect::NetBsd);
    for (one, octets, of_freebsd, of_netbsd) in [
        (E::DesCbc, 8, Some(false), Some(true)),
        (E::TripleDesCbc, 24, Some(false), Some(true)),
        (E::BlowfishCbc, 16, Some(false), Some(true)),
        (E::Cast128Cbc, 16, Some(false), Some(true)),
        (E::CamelliaCbc, 8, Some(false), Some(false)),
        (E::CamelliaCbc, 16, Some(false), Some(true)),
        (E::ChaCha20Poly1305, 36, Some(true), None),
        (E::ChaCha20Poly1305, 32, Some(false), None),
        (E::AesGcm16, 20, Some(true), Some(true)),
        (E::AesGcm8, 20, Some(false), Some(false)),
        (E::AesCtr, 36, Some(true), Some(true)),
        (E::AesCtr, 32, Some(false), Some(false)),
        (E::AesGmac, 28, Some(true), Some(true)),
    ] {
        let seen = (cipher(freebsd, one, octets), cipher(netbsd, one, octets));
        assert_eq!(seen, (of_freebsd, of_netbsd), "{one:?} {octets}");
    }
    for (one, octets, of_freebsd, of_netbsd) in [
        (A::HmacMd5, Some(16), false, true),
        (A::HmacRipemd160, Some(20), false, true),
        (A::KeyedMd5, Some(16), false, true),
        (A::KeyedMd5, Some(15), false, false),
        (A::KeyedSha1, Some(20), false, true),
        (A::AesXcbcMac, Some(16), true, true),
        (A::HmacSha1, Some(20), true, true),
        (A::HmacSha512, Some(64), true, true),
        (A::Null, None, false, true),
    ] {
        let seen = (hash(freebsd, one, octets), hash(netbsd, one, octets));
        assert_eq!(seen, (Some(of_freebsd), Some(of_netbsd)), "{one:?} {octets:?}");
    }
}

/// A DELETE without an SA is of all SAs of its type between its addresses, and of no others.
#[test]
fn deletes_of_all_sas_between_two_addresses() {
    for dialect in Dialect::ALL {
        let mut created = DuplicateDetector::default();
        let request = |kind, sa_type, spi: Option<u32>| {
            let sa = spi.map(|spi| Extension::Sa(Sa::named(spi)));
            message(dialect, kind, sa_type, sa.into_iter().collect())
        };
        let mut is_new = |kind, sa_type, spi| created.apply(&request(kind, sa_type, spi));
        for spi in [0x1001, 0x1002] {
            assert!(is_new(MessageType::Add, SaType::Esp, Some(spi)), "{dialect}");
        }
        assert!(is_new(MessageType::Add, SaType::Ah, Some(0x1003)));
        is_new(MessageType::Delete, SaType::Esp, None);
        assert!(is_new(MessageType::Add, SaType::Esp, Some(0x1001)), "{dialect}");
        assert!(is_new(MessageType::Add, SaType::Esp, Some(0x1002)), "{dialect}");
        assert!(!is_new(MessageType::Add, SaType::Ah, Some(0x1003)), "{dialect}");
    }
}
