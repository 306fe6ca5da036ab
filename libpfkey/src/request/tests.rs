//! Typed requests against the functions of libipsec, and read back.

use super::*;
use crate::algorithm::{self, Authentication, Compression, Encryption};
use crate::num::{MODE_TRANSPORT, SaFlags};
use crate::policy::{Direction, Level};
use crate::sa::{InstalledSa, Lifetimes, Replay, SecurityLabel};
use crate::security_policy::{InstalledPolicy, Template};
use crate::selector::{Selector, SelectorAddress};
use crate::wire::{Lifetime, Message, Policy, XfrmMark, XfrmOffload};
use crate::{Error, SpecError};

const SOURCE: &str = "192.0.2.1";
const DESTINATION: &str = "192.0.2.2";

fn ip(text: &str) -> std::net::IpAddr {
    text.parse().unwrap()
}

fn header(dialect: Dialect) -> RequestHeader {
    RequestHeader { abi: Abi::of(dialect), pid: 7, seq: 3 }
}

fn encoded(request: &Request, dialect: Dialect, encoding: Encoding) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(header(dialect), encoding, &mut bytes).unwrap();
    bytes
}

fn esp() -> SaSpec {
    SaSpec::esp(ip(SOURCE), ip(DESTINATION), 0x1001)
        .encryption(Encryption::AesCbc, b"0123456789abcdef")
        .authentication(Authentication::HmacSha1, &[7; 20])
        .reqid(5)
        .lifetimes(Lifetimes::seconds(100))
        .build()
        .unwrap()
}

#[test]
fn add_is_that_of_libipsec() {
    for dialect in Dialect::ALL {
        let mut bytes = Vec::new();
        let request = SaRequest {
            sa_type: SaType::Esp,
            mode: MODE_TRANSPORT,
            source: ip(SOURCE).into(),
            destination: ip(DESTINATION).into(),
            spi: 0x1001,
            reqid: 5,
            window: if dialect == Dialect::Linux { 32 } else { 4 },
            encrypt: (algorithm::encrypt_number(dialect, Encryption::AesCbc).unwrap(), b"0123456789abcdef"),
            auth: (algorithm::auth_number(dialect, Authentication::HmacSha1).unwrap(), &[7; 20]),
            flags: SaFlags::empty(),
            hard: Lifetime { addtime: 100, ..Lifetime::default() },
            soft: Lifetime { addtime: 80, ..Lifetime::default() },
            natt: None,
            context: None,
        };
        add(header(dialect), &request, &mut bytes).unwrap();
        let typed = Request::Add(Box::new(esp()));
        assert_eq!(encoded(&typed, dialect, Encoding::default()), bytes, "{dialect}");
    }
}

#[test]
fn sas_are_read_back() {
    for dialect in Dialect::ALL {
        let label = (dialect == Dialect::Linux).then(|| SecurityLabel { algorithm: 1, doi: 1, text: b"x\0".to_vec() });
        let encapsulation = UdpEncapsulation { original_address: None, ..UdpEncapsulation::new(4500, 4501) };
        let sa = SaSpec {
            mode: Mode::Tunnel,
            replay: Replay { window: 64, esn: matches!(dialect, Dialect::FreeBsd | Dialect::Darwin) },
            // macOS has no extension for it.
            encapsulation: (dialect != Dialect::Darwin).then_some(encapsulation),
            label,
            inner_source: Some((ip("10.0.0.0"), 8)),
            ..esp()
        };
        let ipcomp = SaSpec::ipcomp(ip("2001:db8::1"), ip("2001:db8::2"), 0x1234)
            .compression(Compression::Deflate)
            .build()
            .unwrap();
        for sa in [sa, ipcomp] {
            for order in [Order::Libipsec, Order::Setkey] {
                let encoding = Encoding { order, ..Encoding::default() };
                let bytes = encoded(&Request::Update(Box::new(sa.clone())), dialect, encoding);
                let message = Message::parse(Abi::of(dialect), &bytes).unwrap();
                assert_eq!(InstalledSa::from_message(&message).map(|sa| sa.spec), Some(sa.clone()), "{dialect}");
            }
        }
    }
}

#[test]
fn what_netlink_has_and_pf_key_has_not() {
    let mark = XfrmMark { value: 7, mask: 0xff };
    let plain = esp();
    let sa = |change: fn(&mut SaSpec)| {
        let mut sa = plain.clone();
        change(&mut sa);
        Request::Add(Box::new(sa))
    };
    let netlink = Encoding { xfrm_extensions: true, ..Encoding::default() };
    for (request, what) in [
        (Request::Get(SaId { mark: Some(mark), ..plain.id }), "a mark"),
        (sa(|sa| sa.output_mark = Some(XfrmMark { value: 1, mask: 1 })), "an output mark"),
        (sa(|sa| sa.if_id = Some(3)), "an XFRM interface"),
        (sa(|sa| sa.offload = Some(XfrmOffload { interface: 2, flags: 6 })), "hardware offload"),
        (sa(|sa| sa.replay.esn = true), "extended sequence numbers"),
    ] {
        let mut bytes = Vec::new();
        let error = request.encode(header(Dialect::Linux), Encoding::default(), &mut bytes).unwrap_err();
        let expected = format!("PF_KEY of linux cannot express {what}: use the backend xfrm");
        assert_eq!(error.to_string(), expected);
        assert!(!encoded(&request, Dialect::Linux, netlink).is_empty());
    }
    let bytes = encoded(&sa(|sa| sa.replay = Replay { window: 0, esn: true }), Dialect::Linux, netlink);
    let message = Message::parse(Abi::of(Dialect::Linux), &bytes).unwrap();
    let replay = message.xfrm().replay.unwrap();
    assert_eq!((replay.window, replay.esn), (64, true), "the kernel takes no ESN without a window");
}

#[test]
fn windows_of_each_dialect() {
    let field = |dialect, window| {
        let sa = SaSpec { replay: Replay { window, esn: false }, ..esp() };
        let mut bytes = Vec::new();
        Request::Add(Box::new(sa)).encode(header(dialect), Encoding::default(), &mut bytes)?;
        Ok::<_, Error>(Message::parse(Abi::of(dialect), &bytes)?.sa().map(|sa| sa.replay))
    };
    assert_eq!(field(Dialect::Linux, 32).unwrap(), Some(32));
    assert_eq!(field(Dialect::NetBsd, 33).unwrap(), Some(5));
    assert_eq!(field(Dialect::FreeBsd, 4096).unwrap(), Some(255));
    let error = field(Dialect::NetBsd, 2041).unwrap_err();
    let expected = SpecError::ReplayWindow { window: 2041, max: 2040, dialect: Dialect::NetBsd };
    assert!(matches!(error, Error::Spec(error) if error == expected));
}

#[test]
fn policies_are_those_of_libipsec() {
    let selector = Selector::new(
        SelectorAddress::network(ip("10.0.0.0"), 8).unwrap().port(80),
        SelectorAddress::host(ip("192.0.2.7")),
    )
    .protocol(6);
    for text in [
        "out ipsec esp/transport//require",
        "in ipsec ah/tunnel/192.0.2.1-192.0.2.2/unique:5 ipcomp/transport//use",
        "fwd discard",
        "out none",
    ] {
        let parsed = crate::policy::parse(text).unwrap();
        let spec = PolicySpec::from_text(selector, &parsed).unwrap();
        for dialect in Dialect::ALL {
            let policy = Policy::from_text(&parsed, dialect).unwrap();
            assert_eq!(spec.to_wire(dialect).unwrap(), policy, "{text}");
            let (source, destination) = (selector.source.address.into(), selector.destination.address.into());
            let request = SpdRequest {
                source,
                source_prefix: 8,
                destination,
                destination_prefix: 32,
                proto: 6,
                lifetime: 0,
                validtime: 0,
                policy,
            };
            let mut bytes = Vec::new();
            spdadd(header(dialect), &request, &mut bytes).unwrap();
            let typed = encoded(&Request::PolicyAdd(Box::new(spec.clone())), dialect, Encoding::default());
            assert_eq!(typed, bytes, "{dialect} {text}");
            let installed = InstalledPolicy::from_message(&Message::parse(Abi::of(dialect), &bytes).unwrap()).unwrap();
            assert_eq!(installed.spec.templates, spec.templates);
        }
    }
}

#[test]
fn policies_are_read_back() {
    let spec = PolicySpec::ipsec(Selector::hosts(ip(SOURCE), ip(DESTINATION)), Direction::In)
        .template(Template::tunnel(SaType::Esp, ip("2001:db8::1"), ip("2001:db8::2"), Level::Unique(9)))
        .priority(0x7000_0000)
        .lifetime(60)
        .build()
        .unwrap();
    let bytes = encoded(&Request::PolicyUpdate(Box::new(spec.clone())), Dialect::Linux, Encoding::default());
    let message = Message::parse(Abi::of(Dialect::Linux), &bytes).unwrap();
    assert_eq!(InstalledPolicy::from_message(&message).map(|policy| policy.spec), Some(spec));
}

#[test]
fn spis_are_those_of_libipsec() {
    let mut bytes = Vec::new();
    let request = SpiRequest {
        sa_type: SaType::Esp,
        mode: MODE_TRANSPORT,
        source: ip(SOURCE).into(),
        destination: ip(DESTINATION).into(),
        min: 0x1000,
        max: 0x2000,
        reqid: 0,
        natt: None,
    };
    getspi(header(Dialect::Linux), &request, &mut bytes).unwrap();
    let spec = SpiSpec { range: Some(0x1000..=0x2000), ..SpiSpec::new(SaType::Esp, ip(SOURCE), ip(DESTINATION)) };
    assert_eq!(encoded(&Request::AllocateSpi(spec.clone()), Dialect::Linux, Encoding::default()), bytes);
    let reserved = Request::AllocateSpi(SpiSpec { range: Some(1..=300), ..spec });
    assert_eq!(reserved.check(Dialect::Linux), Err(SpecError::SpiRange { min: 1, max: 300 }));
}

/// NETLINK_XFRM composes an ADD from the message that is not written as bytes, or from the bytes of other programs: both
/// become the same netlink bytes if both messages are the same.
#[test]
fn unwritten_messages_are_those_of_the_bytes() {
    use proptest::prelude::*;
    let parts = (any::<u32>(), 0_u32..4096, any::<bool>(), 0_u8..4, any::<Option<u32>>(), any::<[Option<u64>; 2]>());
    proptest!(|((reqid, window, esn, mode, if_id, limits) in parts, key in proptest::collection::vec(any::<u8>(), 0..40))| {
        let limit = |bytes: Option<u64>| bytes.map(|bytes| Lifetime { bytes, ..Lifetime::default() });
        let sa = SaSpec {
            mode: mode.into(),
            reqid,
            replay: Replay { window, esn },
            if_id,
            lifetimes: Lifetimes { hard: limit(limits[0]), soft: limit(limits[1]) },
            encapsulation: (window % 2 == 0).then(|| UdpEncapsulation::new(4500, 4501)),
            ..SaSpec::esp(ip(SOURCE), ip(DESTINATION), 0x1001)
                .encryption(Encryption::AesCbc, b"0123456789abcdef")
                .authentication(Authentication::HmacSha1, &[7; 20])
                .build()
                .unwrap()
        };
        let mut sa = sa;
        if let Some(keyed) = &mut sa.authentication {
            keyed.key = Some(key.into());
        }
        let netlink = Encoding { xfrm_extensions: true, ..Encoding::default() };
        for request in [Request::Add(Box::new(sa.clone())), Request::Update(Box::new(sa))] {
            let bytes = encoded(&request, Dialect::Linux, netlink);
            let parsed = Message::parse(Abi::of(Dialect::Linux), &bytes).unwrap();
            let message = request.message(header(Dialect::Linux), netlink).unwrap();
            let words = parsed.header.words;
            prop_assert_eq!(&message.extensions, &parsed.extensions);
            prop_assert_eq!(Header { words, ..message.header }, parsed.header);
        }
    });
}

/// On NetBSD an SA behind a NAT is found by its ports, too.
#[test]
fn an_sa_behind_a_nat_is_found_by_the_name_that_a_dump_shows() {
    for dialect in [Dialect::FreeBsd, Dialect::Linux, Dialect::NetBsd] {
        let mut kernel = crate::Kernel::open_kind(&crate::backend::BackendKind::Memory, Some(dialect)).unwrap();
        let sa = SaSpec { encapsulation: Some(UdpEncapsulation::new(4500, 14_500)), ..esp() };
        kernel.add(&sa).unwrap();
        let id = kernel.dump(SaType::Esp).unwrap()[0].spec.id;
        let ports = if dialect == Dialect::NetBsd { (4500, 14_500) } else { (0, 0) };
        assert_eq!((id.source.port(), id.destination.port()), ports, "{dialect}");
        assert!(kernel.get(&id).unwrap().is_some(), "{dialect}");
        kernel.delete(&id).unwrap();
        assert_eq!(kernel.dump(SaType::Unspec).unwrap(), [], "{dialect}");
    }
}
