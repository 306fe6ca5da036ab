//! What libipsec refuses, and how it arranges messages.

use super::*;
use crate::dialect::{Abi, Dialect};
use crate::num::{ExtensionType, MODE_TRANSPORT, SaFlags, SaType};
use crate::request::RequestHeader;
use crate::wire::{Extension, Lifetime, Message};

fn header() -> RequestHeader {
    RequestHeader { abi: Abi::of(Dialect::Linux), pid: 7, seq: 3 }
}

fn sa<'a>(sa_type: SaType, encrypt: u8, auth: u8) -> SaRequest<'a> {
    SaRequest {
        sa_type,
        mode: MODE_TRANSPORT,
        source: SockAddr::Inet("10.0.0.1:0".parse().unwrap()),
        destination: SockAddr::Inet("10.0.0.2:0".parse().unwrap()),
        spi: 0x1001,
        reqid: 0,
        window: 4,
        encrypt: (encrypt, b"0123456789abcdef"),
        auth: (auth, b"0123456789abcdef"),
        flags: SaFlags::empty(),
        hard: Lifetime::default(),
        soft: Lifetime::default(),
        natt: None,
        context: None,
    }
}

fn code(result: Result<()>) -> Option<Code> {
    result.err().map(|error| error.code())
}

#[test]
fn what_each_sa_type_needs() {
    let mut buffer = Vec::new();
    let mut of = |sa_type, encrypt, auth| code(add(header(), &sa(sa_type, encrypt, auth), &mut buffer));
    assert_eq!(of(SaType::Esp, 12, 0), None);
    assert_eq!(of(SaType::Esp, 0, 3), Some(Code::NoAlgorithm));
    assert_eq!(of(SaType::Ah, 0, 3), None);
    assert_eq!(of(SaType::Ah, 12, 3), Some(Code::InvalidAlgorithm));
    assert_eq!(of(SaType::Ah, 0, 0), Some(Code::NoAlgorithm));
    assert_eq!(of(SaType::IpComp, 0, 0), Some(Code::InvalidAlgorithm));
    assert_eq!(of(SaType::IpComp, 2, 3), Some(Code::NoAlgorithm));
    assert_eq!(of(SaType::IpComp, 2, 0), None);
    assert_eq!(of(SaType::TcpSignature, 0, 3), Some(Code::InvalidAlgorithm));
    assert_eq!(of(SaType::Mip, 0, 3), Some(Code::InvalidSaType));
    let mut natt = sa(SaType::Ah, 0, 3);
    natt.natt = Some(Natt { kind: 2, source_port: 4500, destination_port: 4500, original_address: None, fragment: 0 });
    assert_eq!(code(add(header(), &natt, &mut buffer)), Some(Code::NoAlgorithm));
}

#[test]
fn extension_order_of_add_is_libipsecs() {
    let mut buffer = Vec::new();
    let mut request = sa(SaType::Esp, 12, 3);
    let original_address = Some(SockAddr::Inet("192.168.7.7:0".parse().unwrap()));
    request.natt = Some(Natt { kind: 2, source_port: 1, destination_port: 2, original_address, fragment: 0 });
    add(header(), &request, &mut buffer).unwrap();
    let message = Message::parse(header().abi, &buffer).unwrap();
    use ExtensionType as T;
    let kinds: Vec<_> = message.extensions.iter().map(Extension::kind).collect();
    let expected = [
        T::Sa,
        T::Sa2,
        T::AddressSrc,
        T::AddressDst,
        T::KeyEncrypt,
        T::KeyAuth,
        T::LifetimeHard,
        T::LifetimeSoft,
        T::NatTType,
        T::NatTSport,
        T::NatTDport,
        T::NatTOaInitiator,
    ];
    assert_eq!(kinds, expected);
    // The reference sends the size of the sockaddr as the prefix length of the original address.
    assert_eq!(message.address(T::NatTOaInitiator).unwrap().prefix, 32);
}

#[test]
fn spi_ranges() {
    let mut buffer = Vec::new();
    let mut of = |min, max| {
        let SaRequest { sa_type, mode, source, destination, .. } = sa(SaType::Esp, 12, 0);
        let request = SpiRequest { sa_type, mode, source, destination, min, max, reqid: 0, natt: None };
        code(getspi(header(), &request, &mut buffer))
    };
    assert_eq!(of(255, 300), Some(Code::SpiRange));
    assert_eq!(of(300, 299), Some(Code::SpiRange));
    assert_eq!(of(256, 300), None);
    assert_eq!(of(0, u32::MAX), None);
}

#[test]
fn linux_has_no_delete_all() {
    let mut buffer = Vec::new();
    let SaRequest { source, destination, .. } = sa(SaType::Esp, 12, 0);
    let error = delete_all(header(), SaType::Esp, source, destination, &mut buffer).unwrap_err();
    assert_eq!(error.to_string(), "Not supported: linux PF_KEY has no DELETE without an SPI");
}
