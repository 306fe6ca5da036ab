//! Composition of requests.

use libpfkey::algorithm::{self, Encryption};
use libpfkey::num::ULPROTO_ANY;
use libpfkey::request::Encoding;
use libpfkey::wire::{Sa, SpiRange, XfrmAuthTrunc};
use libpfkey::{Dialect, Extension, ExtensionType as T, Message, MessageType, Request, SaFlags, SaType};
use racoon_proto::config::Authentication;
use racoon_proto::kernel::{
    Direction, KernelError, Mode, Policy, PolicyAction, Prefix, SaInstallation, SaTransform, Selector, Template,
    TemplateLevel, UdpPorts,
};
use racoon_proto::num::{AuthAlgorithm, EspTransform, IpcompTransform, Protocol};

use super::{aes_sha1, allocation, esp, header, inbound, ip, outbound, pf_key, xfrm};
use crate::kernel::algorithm::Suite;
use crate::kernel::quirk::Quirk;
use crate::kernel::{Target, compose, failed, policy};

/// All kinds of kernels.
fn targets() -> [Target; 5] {
    [xfrm(), pf_key(Dialect::Linux), pf_key(Dialect::FreeBsd), pf_key(Dialect::NetBsd), pf_key(Dialect::Darwin)]
}

fn install(target: Target, installation: &SaInstallation) -> Result<Vec<u8>, KernelError> {
    let suite = Suite::new(target, &installation.transform)?;
    encoded(target, &compose::install(target, installation, suite)?)
}

fn encoded(target: Target, request: &Request) -> Result<Vec<u8>, KernelError> {
    let encoding = Encoding { xfrm_extensions: target.has_xfrm, ..Encoding::default() };
    let mut buffer = Vec::new();
    let encoded = request.encode(header(target), encoding, &mut buffer);
    encoded.map_err(|error| failed(request.message_type().what(), &error, None))?;
    Ok(buffer)
}

/// Composes the request for an SA and passes it to `look`.
fn installed<R>(target: Target, installation: &SaInstallation, look: impl Fn(&Message<'_>) -> R) -> R {
    let bytes = install(target, installation).expect("what the kernel has");
    look(&Message::parse(target.abi, &bytes).expect("a message"))
}

fn sa_of(target: Target, transform: SaTransform) -> (Sa, Option<XfrmAuthTrunc>) {
    let installation = inbound(1, transform);
    installed(target, &installation, |message| (*message.sa().unwrap(), message.xfrm().auth_trunc))
}

#[test]
fn an_sa_in_full() {
    for target in targets() {
        let mut sa = inbound(0x1001, aes_sha1());
        (sa.mode, sa.reqid) = (Mode::Tunnel, 17);
        installed(target, &sa, |message| {
            let header = message.header;
            assert_eq!((header.message_type, header.sa_type), (MessageType::Update, SaType::Esp));
            assert_eq!((header.seq, header.pid, header.errno), (9, 7, 0));
            let said = message.sa().unwrap();
            let dialect = target.abi.dialect;
            assert_eq!(said.spi, 0x1001);
            assert_eq!(Some(said.encrypt), Encryption::AesCbc.number(dialect));
            assert_eq!(Some(said.auth), algorithm::Authentication::HmacSha1.number(dialect));
            assert_eq!(said.flags, SaFlags::empty());
            let sa2 = message.sa2().unwrap();
            assert_eq!((sa2.mode, sa2.reqid), (2, 17));
            assert_eq!(message.source().unwrap().sockaddr.ip(), Some(ip("10.0.0.2")));
            assert_eq!(message.destination().unwrap().sockaddr.ip(), Some(ip("10.0.0.1")));
            assert_eq!(message.key(T::KeyEncrypt).unwrap().bits, 128);
            assert_eq!(message.key(T::KeyAuth).unwrap().bits, 160);
            let (hard, soft) = (message.lifetime(T::LifetimeHard), message.lifetime(T::LifetimeSoft));
            assert_eq!((hard.unwrap().addtime, hard.unwrap().bytes), (100, 10 * 1024));
            assert_eq!((soft.unwrap().addtime, soft.unwrap().bytes), (80, 8 * 1024));
            assert_eq!(message.natt_type(), None);
            message.check().unwrap();
        });
        installed(target, &outbound(0x1002, aes_sha1()), |message| {
            assert_eq!(message.header.message_type, MessageType::Add);
            assert_eq!(message.destination().unwrap().sockaddr.ip(), Some(ip("10.0.0.2")));
        });
    }
}

#[test]
fn tunnels_across_families_on_linux() {
    for target in targets() {
        let sa = SaInstallation { mode: Mode::Tunnel, crosses_families: true, ..inbound(0x1001, aes_sha1()) };
        installed(target, &sa, |message| {
            let inside = message.address(T::AddressProxy).map(|inside| (inside.sockaddr.ip(), inside.prefix));
            assert_eq!(inside, (target.abi.dialect == Dialect::Linux).then_some((Some(ip("::")), 0)));
        });
        installed(target, &inbound(0x1001, aes_sha1()), |message| assert!(message.address(T::AddressProxy).is_none()));
    }
}

#[test]
fn sha256_has_128_bits_where_supported() {
    let with = |truncated| {
        let authentication = Authentication { algorithm: AuthAlgorithm::HMAC_SHA256, truncated };
        esp((EspTransform::AES, 16), Some((authentication, 32)))
    };
    assert_eq!(sa_of(xfrm(), with(false)).1, Some(XfrmAuthTrunc { icv_bits: 128, align4: false }));
    assert_eq!(sa_of(xfrm(), with(true)).1, None, "as Linux has it");
    assert_eq!(sa_of(pf_key(Dialect::Linux), with(true)).1, None);
    assert_eq!(sa_of(pf_key(Dialect::NetBsd), with(false)).1, None, "as the BSDs have it");
    let refused = install(pf_key(Dialect::NetBsd), &inbound(1, with(true))).unwrap_err();
    assert_eq!(refused.to_string(), "the kernel has no hmac_sha256 with an ICV of 96 bits");
    let is_truncated = |target, truncated| Suite::new(target, &with(truncated)).unwrap().is_truncated;
    assert!(is_truncated(pf_key(Dialect::Linux), false));
    assert!(!is_truncated(pf_key(Dialect::Linux), true) && !is_truncated(xfrm(), false));
}

#[test]
fn quirks_of_linux_pf_key() {
    let quirks = |target, algorithm, source: &str| {
        let key = racoon_proto::crypto::Secret::from(vec![1; 64]);
        let mut ah = inbound(1, SaTransform::Ah { authentication: (Authentication::from(algorithm), key) });
        (ah.name.protocol, ah.name.source) = (Protocol::AH, ip(source));
        Quirk::all(target, &ah, &Suite::new(target, &ah.transform).unwrap()).collect::<Vec<_>>()
    };
    let linux = || pf_key(Dialect::Linux);
    let (sha1, sha256, sha512) = (AuthAlgorithm::HMAC_SHA1, AuthAlgorithm::HMAC_SHA256, AuthAlgorithm::HMAC_SHA512);
    assert_eq!(quirks(linux(), sha512, "10.0.0.2"), [Quirk::PaddedAh]);
    assert_eq!(quirks(linux(), AuthAlgorithm::HMAC_SHA384, "10.0.0.2"), [Quirk::PaddedAh]);
    assert_eq!(quirks(linux(), sha512, "fd00::2"), [], "all have 8 bytes there");
    assert_eq!(quirks(linux(), sha256, "10.0.0.2"), [Quirk::TruncatedSha256], "12 and 12 bytes");
    assert_eq!(quirks(linux(), sha1, "10.0.0.2"), []);
    assert_eq!(quirks(xfrm(), sha512, "10.0.0.2"), []);
    assert_eq!(quirks(pf_key(Dialect::NetBsd), sha512, "10.0.0.2"), []);
}

#[test]
fn aead_ciphers() {
    let gcm = || esp((EspTransform::AES_GCM_16, 20), None);
    let (sa, _) = sa_of(xfrm(), gcm());
    assert_eq!((sa.encrypt, sa.auth), (20, 0));
    assert_eq!(sa_of(pf_key(Dialect::FreeBsd), gcm()).0.encrypt, 20);
    assert_eq!(sa_of(pf_key(Dialect::Darwin), gcm()).0.encrypt, 13);
    let text = |target, transform| install(target, &inbound(1, transform)).unwrap_err().to_string();
    let expected = "PF_KEY of Linux has no aes_gcm; use backend xfrm";
    assert_eq!(text(pf_key(Dialect::Linux), gcm()), expected);
    let ccm = esp((EspTransform::AES_CCM_16, 19), None);
    assert_eq!(text(pf_key(Dialect::NetBsd), ccm), "the kernel has no ESP with aes_ccm");
    let idea = esp((EspTransform::IDEA, 16), None);
    assert_eq!(text(xfrm(), idea), "the kernel has no ESP with idea");
}

#[test]
fn ah_and_ipcomp() {
    for target in targets() {
        let key = || racoon_proto::crypto::Secret::from(vec![1; 20]);
        let mut ah = inbound(1, SaTransform::Ah { authentication: (AuthAlgorithm::HMAC_SHA1.into(), key()) });
        ah.name.protocol = Protocol::AH;
        installed(target, &ah, |message| {
            assert_eq!(message.header.sa_type, SaType::Ah);
            assert!(message.key(T::KeyEncrypt).is_none() && message.key(T::KeyAuth).is_some());
        });
        let aligned = target.has_xfrm.then_some(XfrmAuthTrunc { icv_bits: 0, align4: true });
        assert_eq!(installed(target, &ah, |message| message.xfrm().auth_trunc), aligned);
        (ah.name.source, ah.name.destination) = (ip("fd00::2"), ip("fd00::1"));
        assert_eq!(installed(target, &ah, |message| message.xfrm().auth_trunc), None, "IPv6 has 8 bytes");
        let mut ipcomp = inbound(0x1234, SaTransform::Ipcomp(IpcompTransform::DEFLATE));
        ipcomp.name.protocol = Protocol::IPCOMP;
        ipcomp.udp = Some(UdpPorts { source: 4500, destination: 4500 });
        installed(target, &ipcomp, |message| {
            assert_eq!(message.header.sa_type, SaType::IpComp);
            let sa = message.sa().unwrap();
            assert_eq!((sa.encrypt, sa.auth, sa.replay, sa.flags), (2, 0, 0, SaFlags::RAWCPI));
            assert!(message.key(T::KeyEncrypt).is_none() && message.key(T::KeyAuth).is_none());
            assert_eq!(message.natt_type(), None, "that is ESP's");
        });
    }
    let key = racoon_proto::crypto::Secret::from(vec![1; 16]);
    let mut old = inbound(1, SaTransform::Ah { authentication: (AuthAlgorithm::KPDK.into(), key) });
    old.name.protocol = Protocol::AH;
    let (number, flags) =
        installed(pf_key(Dialect::NetBsd), &old, |message| message.sa().map(|sa| (sa.auth, sa.flags)).unwrap());
    assert_eq!((number, flags), (249, SaFlags::OLD));
    assert!(install(xfrm(), &old).is_err());
}

#[test]
fn null_cipher_has_an_empty_key() {
    for target in targets() {
        let null = esp((EspTransform::NULL, 0), Some((AuthAlgorithm::HMAC_SHA1.into(), 20)));
        let bits = installed(target, &inbound(1, null), |message| message.key(T::KeyEncrypt).map(|key| key.bits));
        assert_eq!(bits, Some(0));
    }
}

#[test]
fn replay_windows() {
    let window = |target, packets, esn| {
        let mut sa = inbound(1, aes_sha1());
        (sa.replay_window, sa.esn) = (packets, esn);
        installed(target, &sa, |message| {
            let replay = message.extensions.iter().find_map(|extension| match extension {
                Extension::SaReplay(packets) => Some(*packets),
                _ => None,
            });
            let sa = message.sa().unwrap();
            (
                sa.replay,
                sa.flags.bits(),
                replay
                    .map(|packets| [packets, 0])
                    .or(message.xfrm().replay.map(|replay| [replay.window, replay.esn.into()])),
            )
        })
    };
    assert_eq!(window(xfrm(), 32, false), (32, 0, None));
    assert_eq!(window(xfrm(), 64, false), (64, 0, Some([64, 0])));
    assert_eq!(window(xfrm(), 100_000, false), (255, 0, Some([4096, 0])));
    assert_eq!(window(xfrm(), 0, true), (0, 0, Some([64, 1])));
    assert_eq!(window(pf_key(Dialect::Linux), 64, false), (32, 0, None));
    assert_eq!(window(pf_key(Dialect::NetBsd), 64, false), (8, 0, None));
    assert_eq!(window(pf_key(Dialect::NetBsd), 5000, false), (255, 0, None));
    assert_eq!(window(pf_key(Dialect::FreeBsd), 33, true), (5, 0x400, None));
    assert_eq!(window(pf_key(Dialect::FreeBsd), 2048, false), (255, 0, Some([2048, 0])));
    assert_eq!(window(pf_key(Dialect::Darwin), 1, true), (1, 0x800, None));
    let mut esn = inbound(1, aes_sha1());
    esn.esn = true;
    for dialect in [Dialect::Linux, Dialect::NetBsd] {
        let text = install(pf_key(dialect), &esn).unwrap_err().to_string();
        assert_eq!(text, format!("a PF_KEY message of {dialect} has no place for extended sequence numbers"));
    }
}

#[test]
fn nat_t_ports() {
    let mut sa = inbound(1, aes_sha1());
    sa.udp = Some(UdpPorts { source: 14_500, destination: 4500 });
    for target in targets() {
        if target.abi.dialect == Dialect::Darwin {
            assert_eq!(
                install(target, &sa).unwrap_err().to_string(),
                "Update: Not supported: darwin PF_KEY has no NatTType"
            );
            continue;
        }
        installed(target, &sa, |message| {
            assert_eq!(message.natt_type(), Some(2));
            assert_eq!(message.natt_port(T::NatTSport), Some(14_500));
            assert_eq!(message.natt_port(T::NatTDport), Some(4500));
        });
    }
}

#[test]
fn spis() {
    for target in targets() {
        let range = |protocol| {
            let request = compose::allocate_spi(target.abi.dialect, &allocation(protocol)).unwrap();
            let bytes = encoded(target, &request).unwrap();
            let message = Message::parse(target.abi, &bytes).unwrap();
            assert_eq!(message.header.message_type, MessageType::GetSpi);
            assert_eq!(message.sa2().map(|sa2| (sa2.mode, sa2.reqid)), Some((2, 5)));
            message.extensions.iter().find_map(|extension| match extension {
                Extension::SpiRange(range) => Some(*range),
                _ => None,
            })
        };
        assert_eq!(range(Protocol::ESP), None);
        assert_eq!(range(Protocol::IPCOMP), Some(SpiRange { min: 0x100, max: 0xefff }));
    }
    let error = compose::allocate_spi(Dialect::Linux, &allocation(Protocol::ISAKMP)).unwrap_err();
    assert_eq!(error.to_string(), "the kernel has no SAs of isakmp");
}

#[test]
fn failed_acquire() {
    for target in targets() {
        let mut bytes = Vec::new();
        compose::acquire_failed(header(target), Protocol::AH, &mut bytes).unwrap();
        assert_eq!(bytes.len(), 16, "a header alone");
        let header = libpfkey::wire::peek_header(target.abi, &bytes).unwrap();
        assert_eq!((header.message_type, header.sa_type), (MessageType::Acquire, SaType::Ah));
        assert_eq!((header.errno, header.seq, header.pid), (2, 9, 7));
    }
}

#[test]
fn policies_round_trip() {
    let selector = Selector {
        source: Prefix::new(ip("2001:db8::"), 32),
        destination: Prefix::host(ip("2001:db8:1::1")),
        protocol: 6,
        source_port: 0,
        destination_port: 80,
    };
    let template = |protocol, level, reqid, ends| {
        let mode = if ends { Mode::Tunnel } else { Mode::Transport };
        Template { protocol, mode, level, reqid, endpoints: ends.then(|| (ip("2001:db8:9::1"), ip("2001:db8:9::2"))) }
    };
    let actions = [
        PolicyAction::Discard,
        PolicyAction::Pass,
        PolicyAction::Protect(vec![
            template(Protocol::IPCOMP, TemplateLevel::Use, 0, false),
            template(Protocol::ESP, TemplateLevel::Unique, 4711, true),
            template(Protocol::AH, TemplateLevel::Require, 0, false),
        ]),
    ];
    for target in targets() {
        let dialect = target.abi.dialect;
        for (direction, action) in [Direction::In, Direction::Out, Direction::Forward].into_iter().zip(&actions) {
            let priority = dialect.default_priority();
            let whole = Policy { index: 0, direction, selector, action: action.clone(), priority };
            let Some(spec) = policy::to_spec(target, &whole).unwrap() else {
                assert!(direction == Direction::Forward && dialect != Dialect::Linux);
                continue;
            };
            let bytes = encoded(target, &Request::PolicyUpdate(Box::new(spec))).unwrap();
            let message = Message::parse(target.abi, &bytes).unwrap();
            assert_eq!(policy::from_message(&message), Ok(Some(whole.clone())));
            // The engine's own policies get the kernel's default priority.
            let own = policy::to_spec(target, &Policy { priority: 0x8000_0000, ..whole }).unwrap().unwrap();
            assert_eq!(own.to_wire(dialect).unwrap().priority, priority, "{dialect}");
            // The same by name.
            let id = policy::policy_id(dialect, direction, &selector).unwrap();
            let bytes = encoded(target, &Request::PolicyDelete(Box::new(id))).unwrap();
            let message = Message::parse(target.abi, &bytes).unwrap();
            assert_eq!(policy::name(&message), Ok(Some((direction, selector))));
        }
        let any = policy::policy_id(dialect, Direction::In, &Selector { protocol: 0, ..selector }).unwrap();
        assert_eq!(any.selector.protocol, ULPROTO_ANY);
    }
}

/// PF_KEY of Linux accepts such a policy, but finds no SA for its second request and announces a wrong length in each
/// dump.
#[test]
fn transport_behind_tunnel_of_other_family() {
    let selector = Selector {
        source: Prefix::new(ip("10.1.0.0"), 24),
        destination: Prefix::new(ip("10.2.0.0"), 24),
        protocol: 0,
        source_port: 0,
        destination_port: 0,
    };
    let transport = Template {
        protocol: Protocol::ESP,
        mode: Mode::Transport,
        level: TemplateLevel::Require,
        reqid: 0,
        endpoints: None,
    };
    let ends = Some((ip("2001:db8::1"), ip("2001:db8::2")));
    let tunnel = Template { protocol: Protocol::IPCOMP, mode: Mode::Tunnel, endpoints: ends, ..transport };
    let action = PolicyAction::Protect(vec![tunnel, transport]);
    let whole = Policy { index: 0, direction: Direction::Out, selector, action, priority: 0 };
    for target in targets() {
        let refused = policy::to_spec(target, &whole).err().map(|error| error.to_string());
        let expected = (target.abi.dialect == Dialect::Linux && !target.has_xfrm).then(|| {
            String::from(
                "PF_KEY of Linux cannot carry a transport step after an IPv6 tunnel for IPv4 packets: \
                 backend xfrm can",
            )
        });
        assert_eq!(refused, expected);
    }
}
