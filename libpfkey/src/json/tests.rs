//! The schema, against entries of all kinds and against wrong documents.

use std::sync::LazyLock;

use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::algorithm::Encryption;
use crate::backend::BackendKind;
use crate::dialect::{Abi, Dialect};
use crate::num::{ExtensionType, MessageType, SaFlags, SaState, SaType};
use crate::policy::Direction;
use crate::wire::tests::property::message;
use crate::wire::{
    Address, Extension, Header, Key, Lifetime, Message, Sa, Sa2, SecurityContext, SockAddr, XfrmAuthTrunc, XfrmMark,
    XfrmOffload, XfrmReplay,
};
use crate::{Kernel, PolicySpec, SaSpec, Selector};

/// The schema without room for new members.
static CLOSED: LazyLock<Validator> = LazyLock::new(|| validator(&closed(schema())));

/// Refuses members that a schema does not describe, as the shipped one does only where no member can be added.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(members) => {
            if members.contains_key("properties") {
                members.insert("additionalProperties".into(), false.into());
            }
            for member in members.values_mut() {
                *member = closed(member.take());
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| *element = closed(element.take())),
        _ => {}
    }
    schema
}

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn validator(schema: &Value) -> Validator {
    jsonschema::options().should_validate_formats(true).build(schema).unwrap()
}

fn address(kind: ExtensionType, sockaddr: SockAddr) -> Extension<'static> {
    Extension::Address(kind, Address { proto: 255, prefix: 32, reserved: 0, sockaddr })
}

/// An SA with every extension that its entry shows.
fn full() -> Message<'static> {
    let lifetime = Lifetime { allocations: 1, bytes: u64::MAX, addtime: 3, usetime: 4 };
    let sa = Sa { spi: 0x1001, replay: 255, state: SaState::Dying, auth: 5, encrypt: 12, flags: SaFlags::NOECN };
    let source = SockAddr::Inet("192.0.2.1:500".parse().unwrap());
    let extensions = vec![
        Extension::Sa(sa),
        Extension::Sa2(Sa2 { mode: 2, sequence: 7, reqid: 9, ..Sa2::default() }),
        Extension::Lifetime(ExtensionType::LifetimeCurrent, lifetime),
        Extension::Lifetime(ExtensionType::LifetimeHard, lifetime),
        Extension::Lifetime(ExtensionType::LifetimeSoft, lifetime),
        address(ExtensionType::AddressSrc, source),
        address(ExtensionType::AddressDst, SockAddr::Other { family: 40 }),
        Extension::Key(ExtensionType::KeyEncrypt, Key { bits: 16, reserved: 0, bytes: &[0x0f, 0xa0] }),
        Extension::Key(ExtensionType::KeyAuth, Key { bits: 8, reserved: 0, bytes: &[0xff] }),
        Extension::NatTType(2),
        Extension::NatTPort(ExtensionType::NatTSport, 4500),
        Extension::NatTPort(ExtensionType::NatTDport, 4501),
        Extension::SecurityContext(SecurityContext { doi: 1, algorithm: 1, label: b"system_u:object_r\0" }),
        Extension::XfrmMark(XfrmMark { value: 1, mask: 3 }),
        Extension::XfrmOutputMark(XfrmMark { value: 2, mask: 3 }),
        Extension::XfrmIfId(4),
        Extension::XfrmAuthTrunc(XfrmAuthTrunc { icv_bits: 128, align4: false }),
        Extension::XfrmReplay(XfrmReplay { window: 1024, esn: true }),
        Extension::XfrmOffload(XfrmOffload { interface: u32::MAX, flags: 4 }),
    ];
    let header = Header::new(MessageType::Dump, SaType::Esp);
    Message { abi: Abi::of(Dialect::Linux), header, extensions }
}

fn listing(database: Database, keys: Keys, messages: &[Message<'_>]) -> String {
    let mut listing = Listing::new(Vec::new(), database, keys);
    for message in messages {
        listing.push(message).unwrap();
    }
    String::from_utf8(listing.finish().unwrap()).unwrap()
}

#[test]
fn entry_with_all_members() {
    let (omitted, included) =
        [Keys::Omitted, Keys::Included].map(|keys| listing(Database::Sas, keys, &[full()])).into();
    let expected = "{\"version\":1,\"sas\":[\n\
        {\"source\":{\"address\":\"192.0.2.1\",\"prefix\":32,\"port\":500},\
        \"destination\":{\"address\":\"family 40\",\"prefix\":32,\"port\":0},\
        \"protocol\":\"esp\",\"spi\":4097,\"mode\":\"tunnel\",\"reqid\":9,\"state\":\"dying\",\
        \"replay_window\":1024,\"sequence\":7,\"flags\":2147483648,\
        \"encryption\":{\"name\":\"aes-cbc\",\"key_bits\":16},\
        \"authentication\":{\"name\":\"hmac-sha2-256-128\",\"key_bits\":8},\
        \"nat_t\":{\"source_port\":4500,\"destination_port\":4501},\
        \"current\":{\"allocations\":1,\"bytes\":18446744073709551615,\"add_seconds\":3,\"use_seconds\":4},\
        \"hard\":{\"allocations\":1,\"bytes\":18446744073709551615,\"add_seconds\":3,\"use_seconds\":4},\
        \"soft\":{\"allocations\":1,\"bytes\":18446744073709551615,\"add_seconds\":3,\"use_seconds\":4},\
        \"security_context\":\"system_u:object_r\",\"mark\":{\"value\":1,\"mask\":3},\
        \"output_mark\":{\"value\":2,\"mask\":3},\"if_id\":4,\"icv_bits\":128,\"esn\":true,\
        \"offload\":{\"kind\":\"packet\",\"device\":\"#4294967295\"}}\n]}\n";
    assert_eq!(omitted, expected);
    let with_keys = expected
        .replace("\"key_bits\":16", "\"key_bits\":16,\"key\":\"0fa0\"")
        .replace("\"key_bits\":8", "\"key_bits\":8,\"key\":\"ff\"");
    assert_eq!(included, with_keys);
    assert!(!format!("{:?}", SaEntry::new(&full(), Keys::Included)).contains("0fa0"));
}

/// Each member has a description, so that a reader of the schema needs no other page.
#[test]
fn schema_is_valid_and_described() {
    assert!(jsonschema::meta::is_valid(&schema()));
    assert_eq!(schema()["properties"]["version"]["const"], VERSION);
    let definitions = schema()["$defs"].clone();
    let all = definitions.as_object().unwrap().iter().map(|(name, object)| (name.as_str(), object));
    for (name, object) in all.filter(|(_, object)| object["type"] == "object") {
        for (member, described) in object["properties"].as_object().unwrap() {
            let target = described["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"));
            let text = [described, target.map_or(&Value::Null, |target| &definitions[target])]
                .into_iter()
                .find_map(|schema| schema["description"].as_str());
            assert!(text.is_some_and(|text| text.ends_with('.')), "{name}.{member}");
        }
    }
}

/// Each member of the schema occurs in the entry with all extensions, or only where it has to be absent there.
#[test]
fn schema_has_no_superfluous_members() {
    let entry = serde_json::to_value(SaEntry::new(&full(), Keys::Included)).unwrap();
    let described = schema()["$defs"]["sa"]["properties"].clone();
    let missing = described.as_object().unwrap().keys().filter(|name| entry.get(name).is_none());
    assert_eq!(missing.collect::<Vec<_>>(), ["compression"]);
}

#[test]
fn empty_databases_and_messages() {
    let header = Header::new(MessageType::Dump, SaType::Unspec);
    let empty = Message { abi: Abi::of(Dialect::NetBsd), header, extensions: Vec::new() };
    for (database, member) in [(Database::Sas, "sas"), (Database::Policies, "policies")] {
        let text = listing(database, Keys::Omitted, &[]);
        assert_eq!(text, format!("{{\"version\":1,\"{member}\":[]}}\n"));
        assert!(CLOSED.is_valid(&serde_json::from_str(&text).unwrap()));
        let text = listing(database, Keys::Included, &[empty.clone(), empty.clone()]);
        assert_eq!(text.lines().count(), 4);
        CLOSED.validate(&serde_json::from_str(&text).unwrap()).unwrap();
    }
}

#[test]
fn documents_of_a_kernel() {
    for dialect in Dialect::ALL {
        let mut kernel = Kernel::open_kind(&BackendKind::Memory, Some(dialect)).unwrap();
        let sa = SaSpec::esp("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap(), 0x1001);
        kernel.add(&sa.encryption(Encryption::AesCbc, &[0xa5; 16]).build().unwrap()).unwrap();
        let selector = Selector::hosts("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        kernel.policy_add(&PolicySpec::discard(selector, Direction::Out).build().unwrap()).unwrap();
        for (keys, shown) in [(Keys::Omitted, None), (Keys::Included, Some("a5".repeat(16)))] {
            let document = serde_json::from_slice(&kernel.dump_json(SaType::Esp, keys).unwrap()).unwrap();
            CLOSED.validate(&document).unwrap();
            assert_eq!(document["sas"][0]["encryption"]["key"].as_str(), shown.as_deref(), "{dialect}");
            assert_eq!(document["sas"].as_array().unwrap().len(), 1);
        }
        let document = serde_json::from_slice(&kernel.policy_dump_json().unwrap()).unwrap();
        CLOSED.validate(&document).unwrap();
        assert_eq!(document["policies"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn wrong_documents_are_refused() {
    let schema = validator(&schema());
    let good = serde_json::from_str::<Value>(&listing(Database::Sas, Keys::Included, &[full()])).unwrap();
    schema.validate(&good).unwrap();
    let changed = |path: &str, value: Value| {
        let mut document = good.clone();
        *document.pointer_mut(path).unwrap() = value;
        document
    };
    for (path, value) in [
        ("", json!([])),
        ("", json!({"version": 1})),
        ("", json!({"version": 1, "sas": [], "policies": []})),
        ("", json!({"sas": []})),
        ("/version", json!(2)),
        ("/version", json!("1")),
        ("/sas", json!({})),
        ("/sas/0", json!({})),
        ("/sas/0", Value::Null),
        ("/sas/0/source", json!("192.0.2.1")),
        ("/sas/0/source/address", json!("192.0.2")),
        ("/sas/0/source/port", json!(65536)),
        ("/sas/0/protocol", json!("50")),
        ("/sas/0/spi", json!("0x1001")),
        ("/sas/0/spi", json!(-1)),
        ("/sas/0/spi", json!(4_294_967_296_u64)),
        ("/sas/0/mode", json!("beet")),
        ("/sas/0/state", json!(1)),
        ("/sas/0/encryption", Value::Null),
        ("/sas/0/encryption/name", json!("")),
        ("/sas/0/encryption/key", json!("0x0fa0")),
        ("/sas/0/encryption/key", json!("0fa")),
        ("/sas/0/hard/bytes", json!(1.5)),
        ("/sas/0/hard", json!({"allocations": 0, "bytes": 0, "add_seconds": 0})),
        ("/sas/0/mark", json!({"value": 1, "mask": 2, "more": 3})),
        ("/sas/0/esn", json!(1)),
        ("/sas/0/offload/kind", json!("none")),
    ] {
        assert!(!schema.is_valid(&changed(path, value.clone())), "{path} {value}");
    }
    // A later release may add members.
    for path in ["", "/sas/0", "/sas/0/source", "/sas/0/nat_t"] {
        let mut later = good.clone();
        later.pointer_mut(path).unwrap()["new"] = json!(1);
        schema.validate(&later).unwrap();
    }
}

#[test]
fn first_error_of_the_output_is_returned() {
    let mut room = [0; 64];
    let mut listing = Listing::new(&mut room[..], Database::Sas, Keys::Omitted);
    assert_eq!(listing.push(&full()).unwrap_err().kind(), std::io::ErrorKind::WriteZero);
}

proptest! {
    #[test]
    fn every_message_has_a_valid_entry(message in message(), included in any::<bool>()) {
        let keys = if included { Keys::Included } else { Keys::Omitted };
        for database in [Database::Sas, Database::Policies] {
            let text = listing(database, keys, std::slice::from_ref(&message));
            let document = serde_json::from_str(&text).unwrap();
            prop_assert!(CLOSED.is_valid(&document), "{:?}", CLOSED.validate(&document));
        }
    }
}
