//! The library as a program outside it uses it.

use std::net::IpAddr;

use libpfkey::algorithm::{self, Authentication, Encryption, Supported};
use libpfkey::dump::{self, Options};
use libpfkey::lifetime::{Limit, SoftRate};
use libpfkey::num::MODE_TUNNEL;
use libpfkey::wire::{Address, Algorithm, Key, Lifetime, Policy, Sa, Sa2, SockAddr, peek_header};
use libpfkey::{
    Abi, Builder, ByteOrder, Code, Dialect, Error, Extension, ExtensionType, Header, Message, MessageType, Result,
    SaFlags, SaState, SaType,
};

fn host(text: &str) -> Address {
    Address::host(SockAddr::from(text.parse::<IpAddr>().expect("an address")))
}

/// An ADD, as a key manager composes it for any kernel.
fn add(abi: Abi, buffer: &mut Vec<u8>) -> Result<()> {
    let header = Header { seq: 7, pid: 1234, ..Header::new(MessageType::Add, SaType::Esp) };
    let mut builder = Builder::new(abi, header, buffer)?;
    builder.push(&Extension::Sa(Sa {
        spi: 0x1001,
        replay: 32,
        state: SaState::Mature,
        auth: algorithm::auth_number(abi.dialect, Authentication::HmacSha256)?,
        encrypt: algorithm::encrypt_number(abi.dialect, Encryption::AesCbc)?,
        flags: SaFlags::empty(),
    }))?;
    builder.push(&Extension::Sa2(Sa2 { mode: MODE_TUNNEL, reqid: 5, ..Sa2::default() }))?;
    builder.push(&Extension::Address(ExtensionType::AddressSrc, host("192.0.2.1")))?;
    builder.push(&Extension::Address(ExtensionType::AddressDst, host("192.0.2.2")))?;
    builder.push(&Extension::Key(ExtensionType::KeyEncrypt, Key::new(b"sixteen byte key")?))?;
    builder.push(&Extension::Key(ExtensionType::KeyAuth, Key::new(&[0x5a; 32])?))?;
    let hard = Lifetime { addtime: 3600, ..Lifetime::default() };
    builder.push(&Extension::Lifetime(ExtensionType::LifetimeHard, hard))?;
    builder.push(&Extension::Lifetime(ExtensionType::LifetimeSoft, SoftRate::default().soften(&hard)))?;
    builder.finish()
}

#[test]
fn a_request_for_every_kernel() -> Result<()> {
    let mut buffer = Vec::new();
    for dialect in Dialect::ALL {
        for byte_order in [ByteOrder::Big, ByteOrder::Little] {
            let abi = Abi { dialect, byte_order };
            add(abi, &mut buffer)?;
            assert_eq!(peek_header(abi, &buffer)?.words, 28);
            let message = Message::parse(abi, &buffer)?;
            message.check()?;
            let sa = message.sa().expect("an SA");
            assert_eq!(Authentication::from_number(dialect, sa.auth), Authentication::HmacSha256);
            assert_eq!(message.lifetime(ExtensionType::LifetimeSoft).map(|soft| soft.addtime), Some(2880));
            let mut text = String::new();
            dump::sa_entry(&mut text, &message, &Options::default());
            assert_eq!(
                text,
                "192.0.2.1 192.0.2.2 \n\
                 \tesp mode=tunnel spi=4097(0x00001001) reqid=5(0x00000005)\n\
                 \tE: aes-cbc  73697874 65656e20 62797465 206b6579\n\
                 \tA: hmac-sha256  5a5a5a5a 5a5a5a5a 5a5a5a5a 5a5a5a5a 5a5a5a5a 5a5a5a5a 5a5a5a5a 5a5a5a5a\n\
                 \tseq=0x00000000 replay=32 flags=0x00000000 state=mature \n\
                 \tsadb_seq=7 pid=1234 refcnt=0\n"
            );
        }
    }
    Ok(())
}

#[test]
fn a_buffer_is_used_again_and_holds_one_message() -> Result<()> {
    let mut buffer = Vec::new();
    add(Abi::HOST, &mut buffer)?;
    Builder::new(Abi::HOST, Header::new(MessageType::Flush, SaType::Unspec), &mut buffer)?.finish()?;
    assert_eq!(buffer.len(), 16);
    assert_eq!(Message::parse(Abi::HOST, &buffer)?.header.message_type, MessageType::Flush);
    Ok(())
}

#[test]
fn policies_from_text() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let text = "out ipsec esp/tunnel/192.0.2.1-192.0.2.2/unique:5";
    let typed = libpfkey::policy::parse(text)?;
    let abi = Abi::of(Dialect::NetBsd);
    let blob = Policy::from_text(&typed, abi.dialect)?.to_blob(abi)?;
    assert_eq!(Policy::from_blob(abi, &blob)?.to_text(abi.dialect, " ", false)?, text);
    Ok(())
}

#[test]
fn key_lengths_of_a_register_reply() -> Result<()> {
    let abi = Abi::of(Dialect::Linux);
    let mut buffer = Vec::new();
    let aes = Algorithm { id: 12, iv_len: 16, min_bits: 128, max_bits: 256, reserved: 0 };
    let mut builder = Builder::new(abi, Header::new(MessageType::Register, SaType::Esp), &mut buffer)?;
    builder.push(&Extension::Supported(ExtensionType::SupportedEncrypt, vec![aes]))?;
    builder.finish()?;
    let supported = Supported::from_reply(&Message::parse(abi, &buffer)?);
    assert_eq!(supported.algorithm(ExtensionType::SupportedEncrypt, 12)?, &aes);
    supported.check_key_bits_of(SaType::Esp, 12, 192)?;
    let error = supported.check_key_bits_of(SaType::Esp, 12, 64).expect_err("too short");
    assert_eq!((error.code(), error.strerror()), (Code::InvalidKeyLength, "Invalid key length".to_owned()));
    let error = supported.check_key_bits_of(SaType::Ah, 3, 160).expect_err("not listed");
    assert_eq!(error.strerror(), "Not supported");
    Ok(())
}

#[test]
fn soft_rates_are_percentages() {
    let mut rate = SoftRate::default();
    rate.set(Limit::Bytes, 50);
    assert_eq!((rate.rate(Limit::Bytes), rate.rate(Limit::AddTime)), (50, 80));
}

#[test]
fn errors_say_whose_fault() {
    let bytes = Message::parse(Abi::HOST, &[2, 1]).expect_err("too short");
    assert!(matches!(bytes, Error::Malformed { .. }), "{bytes:?}");
    let dialect = algorithm::auth_number(Dialect::Linux, Authentication::TcpMd5).expect_err("no such algorithm");
    assert_eq!(dialect.to_string(), "Not supported: linux PF_KEY has no tcp-md5");
    assert_eq!(Error::Kernel(i32::from(2u8)).strerror(), libpfkey::errno_text(2));
}

#[test]
fn keys_are_not_shown_by_debug() {
    let mut buffer = Vec::new();
    add(Abi::HOST, &mut buffer).expect("a message");
    let message = Message::parse(Abi::HOST, &buffer).expect("a message");
    let shown = format!("{message:?}");
    assert!(shown.contains("Key { bits: 128, .. }"), "{shown}");
    assert!(!shown.contains("90, 90"), "{shown}");
}

#[test]
fn texts_of_codes() {
    let texts = [
        (Code::Success, 0, "Success"),
        (Code::NotSupported, 1, "Not supported"),
        (Code::InvalidArgument, 2, "Invalid argument"),
        (Code::InvalidMessage, 3, "Invalid sadb message"),
        (Code::InvalidVersion, 4, "Invalid version"),
        (Code::InvalidPolicy, 5, "Invalid security policy"),
        (Code::InvalidAddress, 6, "Invalid address specification"),
        (Code::InvalidProtocol, 7, "Invalid ipsec protocol"),
        (Code::InvalidMode, 8, "Invalid ipsec mode"),
        (Code::InvalidLevel, 9, "Invalid ipsec level"),
        (Code::InvalidSaType, 10, "Invalid SA type"),
        (Code::InvalidMessageType, 11, "Invalid message type"),
        (Code::InvalidExtensionType, 12, "Invalid extension type"),
        (Code::InvalidAlgorithm, 13, "Invalid algorithm type"),
        (Code::InvalidKeyLength, 14, "Invalid key length"),
        (Code::InvalidFamily, 15, "Invalid address family"),
        (Code::InvalidPrefix, 16, "Invalid prefix length"),
        (Code::InvalidDirection, 17, "Invalid direction"),
        (Code::SpiRange, 18, "SPI range violation"),
        (Code::NoProtocol, 19, "No protocol specified"),
        (Code::NoAlgorithm, 20, "No algorithm specified"),
        (Code::NoBuffers, 21, "No buffers available"),
        (Code::NotRegistered, 22, "Must get supported algorithms list first"),
        (Code::ProtocolMismatch, 23, "Protocol mismatch"),
        (Code::FamilyMismatch, 24, "Family mismatch"),
        (Code::TooFewArguments, 25, "Too few arguments"),
        (Code::PriorityNotSupported, 29, "Policy priority not compiled in"),
        (Code::Unknown, 30, "Unknown error"),
    ];
    for (code, number, text) in texts {
        assert_eq!((code as u8, code.to_string().as_str()), (number, text));
    }
}
