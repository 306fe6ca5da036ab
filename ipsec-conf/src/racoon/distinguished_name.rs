//! Text form of distinguished names.

use std::fmt::{self, Write};

use crate::hex;

/// A distinguished name of an `asn1dn` identifier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DistinguishedName {
    /// Attributes in the order written: `C=XX, O=Y, CN=*`.
    Text(Vec<Attribute>),
    /// `~` and hex digits: the DER encoding, which is not checked.
    Der(Box<[u8]>),
}

/// `ATTRIBUTE=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// Short name or dotted numbers, as written: `CN`, `2.5.4.3`.
    pub name: Box<str>,
    /// The value, without escapes; `None` for `*`, any value.
    pub value: Option<Box<str>>,
}

impl DistinguishedName {
    /// Parses a name. Attributes are separated by `,` or `/` and blanks; escapes are those of RFC 2253.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(digits) = text.strip_prefix('~') {
            return from_hex(digits)
                .map(Self::Der)
                .ok_or_else(|| "`~` must be followed by hex digits, two per octet".to_owned());
        }
        // OpenSSL's form begins with a slash: `/C=NL/O=Example`.
        let mut rest = text.trim_start_matches(|c| is_blank(c) || matches!(c, '/' | ','));
        let mut attributes = Vec::new();
        while !rest.is_empty() {
            let Some((name, after)) = rest.split_once('=') else {
                return Err(format!("`{}` lacks `=`: an attribute is NAME=VALUE", rest.trim()));
            };
            let name = name.trim_matches(is_blank);
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.') {
                return Err(format!("`{name}` is not the name of an attribute"));
            }
            let (value, after) = value(after)?;
            attributes.push(Attribute { name: name.into(), value });
            rest = after.trim_start_matches(is_blank);
        }
        if attributes.is_empty() { Err("an empty name".to_owned()) } else { Ok(Self::Text(attributes)) }
    }
}

/// Returns a value, and what follows it and its separator.
fn value(text: &str) -> Result<(Option<Box<str>>, &str), String> {
    // Bytes, because an escape may stand for a part of a character. Blanks behind `kept` are not part of the value.
    let mut bytes = Vec::new();
    let mut kept = 0;
    let mut rest = text.trim_start_matches(is_blank);
    let mut escaped = false;
    while let Some(c) = rest.chars().next() {
        let (_, after) = rest.split_at(c.len_utf8());
        rest = after;
        match c {
            ',' | '/' => break,
            '\\' => {
                let (byte, after) = escape(rest)?;
                bytes.push(byte);
                rest = after;
                kept = bytes.len();
                escaped = true;
            }
            _ => {
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                if !is_blank(c) {
                    kept = bytes.len();
                }
            }
        }
    }
    bytes.truncate(kept);
    let value = String::from_utf8(bytes).map_err(|_| "escapes that are not UTF-8".to_owned())?;
    // Only an unescaped `*` is the wildcard.
    Ok(((escaped || value != "*").then(|| value.into()), rest))
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Parses what follows a backslash: a special character or two hex digits.
fn escape(text: &str) -> Result<(u8, &str), String> {
    if let Some((digits, after)) = text.split_at_checked(2)
        && let Some([byte]) = from_hex(digits).as_deref()
    {
        return Ok((*byte, after));
    }
    match text.chars().next() {
        Some(c @ (',' | '=' | '+' | '<' | '>' | '#' | ';' | '\\' | '/' | '"' | ' ' | '*')) => {
            let (_, after) = text.split_at(c.len_utf8());
            Ok((u8::try_from(u32::from(c)).unwrap_or(b'?'), after))
        }
        _ => Err("a backslash must be followed by one of `,\\=+<>#;` or by two hex digits".to_owned()),
    }
}

fn from_hex(digits: &str) -> Option<Box<[u8]>> {
    hex::octets(digits.as_bytes()).filter(|octets| !octets.is_empty()).map(|octets| octets.as_slice().into())
}

/// Formats the name as `DistinguishedName::parse` reads it.
impl fmt::Display for DistinguishedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Der(bytes) => {
                f.write_char('~')?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Text(attributes) => {
                for (i, attribute) in attributes.iter().enumerate() {
                    write!(f, "{}{}=", if i == 0 { "" } else { ", " }, attribute.name)?;
                    match &attribute.value {
                        None => f.write_char('*')?,
                        Some(value) => write_value(f, value)?,
                    }
                }
                Ok(())
            }
        }
    }
}

fn write_value(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let last = value.chars().count().saturating_sub(1);
    for (i, c) in value.chars().enumerate() {
        match c {
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '\\' | '/' => write!(f, "\\{c}")?,
            // A string in the configuration cannot contain a quote, and control characters would not be visible.
            '"' | '\0'..='\x1f' | '\x7f' => write!(f, "\\{:02X}", u32::from(c))?,
            '*' if last == 0 => f.write_str("\\2A")?,
            ' ' if i == 0 || i == last => f.write_str("\\20")?,
            _ => f.write_char(c)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Vec<(String, Option<String>)> {
        match DistinguishedName::parse(text).unwrap() {
            DistinguishedName::Text(attributes) => {
                attributes.into_iter().map(|a| (a.name.into(), a.value.map(Into::into))).collect()
            }
            DistinguishedName::Der(_) => panic!("text"),
        }
    }

    #[test]
    fn separators_and_escapes() {
        let expected =
            |cn: Option<&str>| vec![("C".to_owned(), Some("NL".to_owned())), ("CN".to_owned(), cn.map(str::to_owned))];
        assert_eq!(parse("C=NL, CN=a b"), expected(Some("a b")));
        assert_eq!(parse("/C=NL/CN=*"), expected(None));
        assert_eq!(parse("C=NL ,  CN=\\*"), expected(Some("*")));
        assert_eq!(parse(r"C=NL,CN=a\, \C3\A9\20"), expected(Some("a, é ")));
        assert_eq!(DistinguishedName::parse("~3000"), Ok(DistinguishedName::Der([0x30, 0].into())));
    }

    #[test]
    fn refused() {
        for text in ["", "C", "=x", "C=\\q", "C=\\", "~", "~3", "~zz", "C=NL, ", "a b=c", "C=\\FF"] {
            let parsed = DistinguishedName::parse(text);
            // A separator at the end is no error.
            assert_eq!(parsed.is_err(), text != "C=NL, ", "{text}: {parsed:?}");
        }
    }

    proptest! {
        #[test]
        fn printed_names_parse(values in prop::collection::vec(any::<String>(), 1..4), any in any::<bool>()) {
            let mut attributes: Vec<Attribute> =
                values.into_iter().map(|v| Attribute { name: "O".into(), value: Some(v.into()) }).collect();
            attributes.push(Attribute { name: "CN".into(), value: (!any).then(|| "x".into()) });
            let name = DistinguishedName::Text(attributes);
            let text = name.to_string();
            prop_assert!(!text.contains('"'));
            prop_assert_eq!(DistinguishedName::parse(&text), Ok(name));
        }
    }
}
