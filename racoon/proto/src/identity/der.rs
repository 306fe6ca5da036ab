//! X.501 names in DER (X.690; RFC 5280 section 4.1.2.4): a sequence of sets of pairs, each of an attribute type and its value.
//!
//! The parser is our own because that of OpenSSL also accepts BER, in which a name has many encodings.

use super::name::{Name, NameAttribute, Value};

const OBJECT_IDENTIFIER: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const NUMERIC_STRING: u8 = 0x12;
const PRINTABLE_STRING: u8 = 0x13;
const TELETEX_STRING: u8 = 0x14;
const IA5_STRING: u8 = 0x16;
const VISIBLE_STRING: u8 = 0x1a;
const UNIVERSAL_STRING: u8 = 0x1c;
const BMP_STRING: u8 = 0x1e;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

impl Name {
    /// Encodes the name, with each attribute in a set of its own and text as UTF8String.
    pub fn to_der(&self) -> Vec<u8> {
        let sets = self.0.iter().flat_map(|NameAttribute { oid, value }| {
            let value = match value {
                Value::Text(text) => element(UTF8_STRING, text.as_bytes()),
                Value::Der(bytes) => bytes.clone(),
            };
            element(SET, &element(SEQUENCE, &[element(OBJECT_IDENTIFIER, oid), value].concat()))
        });
        element(SEQUENCE, &sets.collect::<Vec<_>>())
    }

    /// Parses a name; `None` if it is invalid, or if bytes follow it.
    pub fn from_der(bytes: &[u8]) -> Option<Self> {
        let mut sets = whole(SEQUENCE, bytes)?;
        let mut attributes = Vec::new();
        while !sets.is_empty() {
            let (mut pairs, rest) = take(SET, sets)?;
            sets = rest;
            // A set has at least one attribute (RFC 5280 section 4.1.2.4).
            if pairs.is_empty() {
                return None;
            }
            while !pairs.is_empty() {
                let (pair, rest) = take(SEQUENCE, pairs)?;
                pairs = rest;
                let (oid, encoded) = take(OBJECT_IDENTIFIER, pair)?;
                attributes.push(NameAttribute { oid: oid.to_vec(), value: value(encoded)? });
            }
        }
        Some(Self(attributes))
    }
}

/// Parses a value, which is one element.
fn value(encoded: &[u8]) -> Option<Value> {
    let tag = *encoded.first()?;
    let contents = whole(tag, encoded)?;
    let text = match tag {
        UTF8_STRING => String::from_utf8(contents.to_vec()).ok(),
        NUMERIC_STRING | PRINTABLE_STRING | IA5_STRING | VISIBLE_STRING => {
            contents.is_ascii().then(|| latin_1(contents))
        }
        TELETEX_STRING => Some(latin_1(contents)),
        BMP_STRING => {
            let units = contents.chunks_exact(2).filter_map(|unit| Some(u16::from_be_bytes(unit.try_into().ok()?)));
            let decoded = char::decode_utf16(units).collect::<Result<_, _>>().ok();
            decoded.filter(|_| contents.len() % 2 == 0)
        }
        UNIVERSAL_STRING => {
            let units = contents.chunks_exact(4).map(|unit| char::from_u32(u32::from_be_bytes(unit.try_into().ok()?)));
            units.collect::<Option<_>>().filter(|_| contents.len() % 4 == 0)
        }
        // Values of other types are compared byte by byte.
        _ => return Some(Value::Der(encoded.to_vec())),
    };
    text.map(Value::Text)
}

/// Decodes Latin-1. TeletexString has a character set of its own, but certificates use it for Latin-1.
fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Returns the contents of an element after which nothing follows.
fn whole(tag: u8, bytes: &[u8]) -> Option<&[u8]> {
    take(tag, bytes).and_then(|(contents, rest)| rest.is_empty().then_some(contents))
}

/// Returns the contents of the first element, which must have this tag, and the bytes after it. Lengths must be definite and in the
/// shortest form (X.690 section 10.1).
fn take(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [found, first, rest @ ..] = bytes else { return None };
    if *found != tag {
        return None;
    }
    let (length, rest) = match *first {
        short @ ..=0x7f => (usize::from(short), rest),
        0x81 => {
            let (length, rest) = rest.split_first()?;
            (usize::from(*length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        // Elements with a longer length do not fit into a message; 0x80 would be an indefinite one, which is not DER.
        _ => return None,
    };
    let is_shortest = match *first {
        0x81 => length >= 0x80,
        0x82 => length >= 0x100,
        _ => true,
    };
    if is_shortest { rest.split_at_checked(length) } else { None }
}

/// Encodes an element.
fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let octets = contents.len().to_be_bytes();
    let length = octets.iter().copied().skip_while(|octet| *octet == 0).collect::<Vec<_>>();
    let head = match length.as_slice() {
        [] => vec![tag, 0],
        [short @ ..=0x7f] => vec![tag, *short],
        long => {
            // Does not fail: a `usize` has at most 8 octets.
            let count = u8::try_from(long.len()).unwrap_or_default();
            [&[tag, 0x80 | count], long].concat()
        }
    };
    [head.as_slice(), contents].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gw() -> Name {
        Name(vec![NameAttribute::text([0x55, 4, 6], "NL"), NameAttribute::text([0x55, 4, 3], "gw")])
    }

    #[test]
    fn golden_bytes() {
        let country = [0x31, 11, 0x30, 9, 6, 3, 0x55, 4, 6, 0x0c, 2, b'N', b'L'];
        let common = [0x31, 11, 0x30, 9, 6, 3, 0x55, 4, 3, 0x0c, 2, b'g', b'w'];
        assert_eq!(gw().to_der(), [&[0x30, 26], country.as_slice(), &common].concat());
        let long = Name(vec![NameAttribute::text([0x55, 4, 3], "x".repeat(300))]);
        assert_eq!(long.to_der()[..4], [0x30, 0x82, 0x01, 0x3d]);
        assert_eq!(Name::from_der(&long.to_der()), Some(long));
    }

    #[test]
    fn all_kinds_of_text() {
        let one = |tag: u8, contents: &[u8]| {
            let pair = [element(OBJECT_IDENTIFIER, &[0x55, 4, 3]), element(tag, contents)].concat();
            Name::from_der(&element(SEQUENCE, &element(SET, &element(SEQUENCE, &pair))))
        };
        let text = |text: &str| Some(Name(vec![NameAttribute::text([0x55, 4, 3], text)]));
        for tag in [UTF8_STRING, NUMERIC_STRING, PRINTABLE_STRING, TELETEX_STRING, IA5_STRING, VISIBLE_STRING] {
            assert_eq!(one(tag, b"12"), text("12"), "{tag:#x}");
        }
        assert_eq!(one(UTF8_STRING, "é".as_bytes()), text("é"));
        assert_eq!(one(TELETEX_STRING, &[0xe9]), text("é"));
        assert_eq!(one(BMP_STRING, &[0, 0xe9]), text("é"));
        assert_eq!(one(UNIVERSAL_STRING, &[0, 0, 0, 0xe9]), text("é"));
        assert_eq!(one(UTF8_STRING, &[0xe9]), None);
        assert_eq!(one(PRINTABLE_STRING, &[0xe9]), None);
        assert_eq!(one(BMP_STRING, &[0]), None);
        assert_eq!(one(BMP_STRING, &[0xd8, 0]), None);
        assert_eq!(one(UNIVERSAL_STRING, &[0, 0, 0xd8, 0]), None);
        let bits = Value::Der(vec![3, 2, 0, 1]);
        assert_eq!(one(3, &[0, 1]), Some(Name(vec![NameAttribute { oid: vec![0x55, 4, 3], value: bits }])));
    }

    #[test]
    fn pairs_of_one_set_follow_each_other() {
        let pair = |common: &[u8]| {
            element(SEQUENCE, &[element(OBJECT_IDENTIFIER, &[0x55, 4, 3]), element(UTF8_STRING, common)].concat())
        };
        let both = element(SEQUENCE, &element(SET, &[pair(b"a"), pair(b"b")].concat()));
        let attribute = |text: &str| NameAttribute::text([0x55, 4, 3], text);
        assert_eq!(Name::from_der(&both), Some(Name(vec![attribute("a"), attribute("b")])));
    }

    #[test]
    fn what_is_no_name() {
        let good = gw().to_der();
        for at in 0..good.len() {
            assert_eq!(Name::from_der(&good[..at]), None, "{at}");
        }
        assert_eq!(Name::from_der(&[good.clone(), vec![0]].concat()), None);
        let indefinite = [&[0x30, 0x80], &good[2..], &[0, 0]].concat();
        let needlessly_long = [&[0x30, 0x81, 26], &good[2..]].concat();
        let of_no_pair = vec![0x30, 2, 0x31, 0];
        for bad in [indefinite, needlessly_long, of_no_pair, vec![0x30, 0x82, 0xff, 0xff], vec![0x30, 0x84, 0, 0, 0, 0]]
        {
            assert_eq!(Name::from_der(&bad), None, "{bad:02x?}");
        }
        assert_eq!(Name::from_der(&[0x30, 0]), Some(Name::default()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(texts in prop::collection::vec((prop::collection::vec(0_u8..128, 1..9), ".*"), 0..5)) {
            let name = Name(texts.into_iter().map(|(oid, text)| NameAttribute::text(oid, text)).collect());
            let read = Name::from_der(&name.to_der()).unwrap();
            prop_assert_eq!(read.to_der(), name.to_der());
        }

        #[test]
        fn anything_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..80), at in any::<prop::sample::Index>()) {
            let _ = Name::from_der(&bytes);
            let mut changed = gw().to_der();
            *at.get_mut(&mut changed) = bytes.first().copied().unwrap_or_default();
            let _ = Name::from_der(&changed);
        }
    }
}
