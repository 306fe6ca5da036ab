use proptest::prelude::*;

use super::*;

const UTF8_STRING: u8 = 0x0c;
const NUMERIC_STRING: u8 = 0x12;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;

/// `C=NL, CN=gw` as OpenSSL encodes it.
const GW: [u8; 28] = [
    0x30, 26, 0x31, 11, 0x30, 9, 6, 3, 0x55, 4, 6, 0x13, 2, b'N', b'L', 0x31, 11, 0x30, 9, 6, 3, 0x55, 4, 3, 0x0c, 2,
    b'g', b'w',
];

fn text(kind: &str, text: &str) -> NameAttribute {
    NameAttribute::text(kind, text).unwrap()
}

fn gw() -> Name {
    Name(vec![text("C", "NL"), text("CN", "gw")])
}

/// Returns an element of up to 65535 bytes.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(contents.len()).unwrap().to_be_bytes();
    let head = match contents.len() {
        ..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head.as_slice(), contents].concat()
}

fn pair(oid: &[u8], value: &[u8]) -> Vec<u8> {
    element(0x30, &[element(6, oid), value.to_vec()].concat())
}

/// Encodes a common name with a value of any type, and parses it.
fn common_name(tag: u8, contents: &[u8]) -> Option<Name> {
    let name = element(0x30, &element(0x31, &pair(&[0x55, 4, 3], &element(tag, contents))));
    let parsed = Name::from_der(&name);
    assert!(ErrorStack::get().errors().is_empty());
    parsed
}

#[test]
fn golden_bytes() {
    assert_eq!(gw().to_der().unwrap(), GW);
    assert_eq!(Name::from_der(&GW), Some(gw()));
    assert_eq!(gw().to_string(), "C=NL, CN=gw");
    let long = Name(vec![text("2.5.4.199", &"x".repeat(300))]);
    assert_eq!(long.to_der().unwrap()[..4], [0x30, 0x82, 0x01, 0x3e]);
    assert_eq!(Name::from_der(&long.to_der().unwrap()), Some(long));
}

#[test]
fn types_have_their_strings() {
    for (kind, tag) in [
        ("C", PRINTABLE_STRING),
        ("serialNumber", PRINTABLE_STRING),
        ("DC", IA5_STRING),
        ("E", IA5_STRING),
        ("O", UTF8_STRING),
        ("2.5.4.199", UTF8_STRING),
    ] {
        let der = Name(vec![text(kind, "NL")]).to_der().unwrap();
        assert!(der.ends_with(&[tag, 2, b'N', b'L']), "{kind}");
    }
    assert!(Name(vec![text("O", "é")]).to_der().unwrap().ends_with(&[UTF8_STRING, 2, 0xc3, 0xa9]));
}

#[test]
fn an_error_names_the_attribute() {
    let error = |attribute| Name(vec![text("CN", "gw"), attribute]).to_der().unwrap_err().to_string();
    assert_eq!(error(text("C", "NLD")), "C=NLD: string too long");
    assert_eq!(error(text("O", "")), "O=: string too short");
    assert_eq!(error(text("DC", "é")), "DC=é: illegal characters");
    let kind = AttributeType::named("O").unwrap();
    assert_eq!(error(NameAttribute { kind, value: Value::Other(vec![0, 1]) }), "O=0001: not a text");
}

#[test]
fn all_kinds_of_text() {
    let named = |value: &str| Some(Name(vec![text("CN", value)]));
    for tag in [UTF8_STRING, NUMERIC_STRING, PRINTABLE_STRING, TELETEX_STRING, IA5_STRING] {
        assert_eq!(common_name(tag, b"12"), named("12"), "{tag:#x}");
    }
    assert_eq!(common_name(UTF8_STRING, "é".as_bytes()), named("é"));
    assert_eq!(common_name(TELETEX_STRING, &[0xe9]), named("é"));
    assert_eq!(common_name(BMP_STRING, &[0, 0xe9]), named("é"));
    assert_eq!(common_name(UNIVERSAL_STRING, &[0, 0, 0, 0xe9]), named("é"));
}

#[test]
fn other_values_equal_no_text() {
    // A bit string, and strings that are none of their type.
    for (tag, contents) in [
        (3, &[0, 1][..]),
        (UTF8_STRING, &[0xe9]),
        (BMP_STRING, &[0]),
        (BMP_STRING, &[0xd8, 0]),
        (UNIVERSAL_STRING, &[0, 0, 0xd8, 0]),
    ] {
        if let Some(Name(attributes)) = common_name(tag, contents) {
            assert!(matches!(attributes[0].value, Value::Other(_)), "{tag:#x} {attributes:?}");
        }
    }
    assert_eq!(common_name(3, &[0, 1]).unwrap().to_string(), "CN=01");
}

/// A certificate for `gw\0.example.net` must not be taken for one for `gw` (CVE-2009-2408).
#[test]
fn a_nul_is_part_of_the_value() {
    for (tag, contents) in [(UTF8_STRING, &b"gw\0x"[..]), (IA5_STRING, b"gw\0\0"), (BMP_STRING, b"\0g\0w\0\0")] {
        let name = common_name(tag, contents).unwrap();
        assert_ne!(name, Name(vec![text("CN", "gw")]), "{tag:#x}");
        assert!(name.to_string().starts_with(r"CN=gw\0"), "{name}");
    }
    assert_eq!(common_name(UTF8_STRING, b"gw\nx").unwrap().to_string(), r"CN=gw\nx");
}

#[test]
fn pairs_of_one_set_follow_each_other() {
    let common = |value: &[u8]| pair(&[0x55, 4, 3], &element(UTF8_STRING, value));
    let both = element(0x30, &element(0x31, &[common(b"a"), common(b"b")].concat()));
    assert_eq!(Name::from_der(&both), Some(Name(vec![text("CN", "a"), text("CN", "b")])));
}

#[test]
fn what_is_no_name() {
    for at in 0..GW.len() {
        assert_eq!(Name::from_der(&GW[..at]), None, "{at}");
    }
    assert_eq!(Name::from_der(&[&GW[..], &[0]].concat()), None);
    for bad in [vec![0x30, 0x82, 0xff, 0xff], vec![0x30, 0x84, 0, 0, 0, 0, 0], vec![0x31, 0], vec![5, 0], vec![0x30; 9]]
    {
        assert_eq!(Name::from_der(&bad), None, "{bad:02x?}");
        assert!(ErrorStack::get().errors().is_empty());
    }
    assert_eq!(Name::from_der(&[0x30, 0]), Some(Name::default()));
}

#[test]
fn long_types_are_refused_and_short_ones_told_apart() {
    let of_type = |oid: &[u8]| {
        Name::from_der(&element(0x30, &element(0x31, &pair(oid, &element(UTF8_STRING, b"x")))))
            .map(|name| name.to_string())
    };
    assert_eq!(of_type(&[0x55, 4, 0x81, 0x47]).as_deref(), Some("2.5.4.199=x"));
    assert_eq!(of_type(&[0x29; 20]).map(|name| name.len()), Some("1.1".len() + 19 * ".41".len() + "=x".len()));
    assert_eq!(of_type(&[0x29; 40]), None);
    // An arc of 64 bytes is cut by some, and then equals another one.
    assert_eq!(of_type(&[&[0x55][..], &[0xff; 63], &[0x7f]].concat()), None);
    assert_eq!(of_type(&[0xff; 40]), None);
    assert_eq!(of_type(&[]), None);
}

#[test]
fn nested_and_long_values_do_no_harm() {
    let mut deep = element(UTF8_STRING, b"x");
    for _ in 0..2000 {
        deep = element(0x30, &deep);
    }
    let name = element(0x30, &element(0x31, &pair(&[0x55, 4, 3], &deep)));
    let _ = Name::from_der(&name);
    let many = element(0x31, &pair(&[0x55, 4, 3], &element(UTF8_STRING, b"x"))).repeat(4000);
    assert_eq!(Name::from_der(&element(0x30, &many)).map(|name| name.0.len()), Some(4000));
}

fn a_type() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["CN", "O", "OU", "L", "title", "2.5.4.199", "1.3.6.1.4.1.99999.1"][..])
}

proptest! {
    #[test]
    fn what_is_written_is_read(texts in prop::collection::vec((a_type(), "\\PC{1,30}"), 0..5)) {
        let name = Name(texts.iter().map(|(kind, value)| text(kind, value)).collect());
        let der = name.to_der().unwrap();
        let read = Name::from_der(&der).unwrap();
        prop_assert_eq!(read.to_der().unwrap(), der);
        prop_assert_eq!(read, name);
    }

    #[test]
    fn anything_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..80), at in any::<prop::sample::Index>()) {
        let _ = Name::from_der(&bytes);
        let mut changed = GW;
        *at.get_mut(&mut changed) = bytes.first().copied().unwrap_or_default();
        if let Some(name) = Name::from_der(&changed) {
            let _ = (name.to_string(), name.to_der());
        }
    }
}
