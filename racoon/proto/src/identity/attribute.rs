//! Attributes of X.501 names: their types, by the names that OpenSSL has for them, and their values.

use std::fmt;

use openssl::asn1::{Asn1Object, Asn1ObjectRef};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::x509::X509NameEntryRef;

/// What e-mail addresses in names are called in text, as by most programs; OpenSSL has no name that is so short.
const EMAIL: &str = "E";

/// A number above those of OpenSSL's object identifiers, of which version 3.5 has about 1500.
const NIDS: i32 = 4096;

/// The type of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeType(String);

impl AttributeType {
    /// Returns the type with a short or long name of OpenSSL, such as `CN` or `commonName`, in any case, or with a dotted object
    /// identifier.
    pub fn named(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case(EMAIL) {
            return Some(Self::of_nid(Nid::PKCS9_EMAILADDRESS));
        }
        // `Asn1Object` would panic at a NUL.
        let object = if name.contains('\0') { None } else { Asn1Object::from_str(name).ok() };
        let found = match object {
            Some(object) => Self::of(&object),
            None => (1..NIDS).map(Nid::from_raw).find(|nid| is_name(*nid, name)).map(Self::of_nid),
        };
        // The queue has an error for each name that was not the one.
        drop(ErrorStack::get());
        found
    }

    /// Returns the type with an object identifier; `None` if its dotted numbers have more than 79 characters.
    pub(super) fn of(object: &Asn1ObjectRef) -> Option<Self> {
        if object.nid() != Nid::UNDEF {
            return Some(Self::of_nid(object.nid()));
        }
        let numbers = object.to_string();
        // A longer one is cut, and could be taken for another one that begins alike.
        (!numbers.is_empty()
            && numbers.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            && !numbers.ends_with('.'))
        .then_some(Self(numbers))
    }

    fn of_nid(nid: Nid) -> Self {
        Self(match nid {
            Nid::PKCS9_EMAILADDRESS => EMAIL.into(),
            nid => nid.short_name().map_or_else(|_| nid.as_raw().to_string(), str::to_owned),
        })
    }

    /// Returns OpenSSL's name of the type, or its dotted numbers.
    pub(super) fn openssl_name(&self) -> &str {
        if self.0 == EMAIL { "emailAddress" } else { &self.0 }
    }
}

/// Whether an object identifier has a name, in any case.
fn is_name(nid: Nid, name: &str) -> bool {
    [nid.short_name(), nid.long_name()].into_iter().flatten().any(|known| known.eq_ignore_ascii_case(name))
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An attribute of a name: a type and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAttribute {
    /// The type.
    pub kind: AttributeType,
    /// The value.
    pub value: Value,
}

impl NameAttribute {
    /// An attribute whose value is a text; `None` if there is no such type (see [`AttributeType::named`]).
    pub fn text(kind: &str, text: impl Into<String>) -> Option<Self> {
        Some(Self { kind: AttributeType::named(kind)?, value: Value::Text(text.into()) })
    }

    pub(super) fn of(entry: &X509NameEntryRef) -> Option<Self> {
        let kind = AttributeType::of(entry.object())?;
        let value = entry.data().to_string();
        Some(Self { kind, value: value.map_or_else(|_| Value::Other(entry.data().as_slice().to_vec()), Value::Text) })
    }
}

/// The value of an attribute.
#[derive(Clone, Debug)]
pub enum Value {
    /// A string of any string type, as Unicode.
    Text(String),
    /// The contents of any other value, or of a string that is not one of its type.
    Other(Vec<u8>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A line feed in a peer's name could forge a log line.
            Self::Text(text) => write!(f, "{}", text.escape_debug()),
            Self::Other(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

impl PartialEq for Value {
    /// Compares as RFC 5280 section 7.1 requires, to the extent that X.509 libraries implement it: it ignores the case of ASCII
    /// letters and spaces at the ends, and treats several spaces as one.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(ours), Self::Text(theirs)) => folded(ours).eq(folded(theirs)),
            (Self::Other(ours), Self::Other(theirs)) => ours == theirs,
            _ => false,
        }
    }
}

impl Eq for Value {}

/// The characters that are significant in a comparison.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.split_ascii_whitespace()
        .enumerate()
        .flat_map(|(at, word)| (at > 0).then_some(' ').into_iter().chain(word.chars()))
        .map(|c| c.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_names_and_numbers() {
        let name = |text: &str| AttributeType::named(text).map(|kind| kind.to_string());
        for (texts, shown) in [
            (&["CN", "cn", "commonName", "COMMONNAME", "2.5.4.3"][..], "CN"),
            (&["DC", "dc", "domainComponent", "0.9.2342.19200300.100.1.25"], "DC"),
            (&["E", "e", "emailAddress", "emailaddress", "1.2.840.113549.1.9.1"], "E"),
            (&["C", "countryName"], "C"),
            (&["GN", "givenName"], "GN"),
            (&["L", "localityName"], "L"),
            (&["O", "organizationName"], "O"),
            (&["OU", "organizationalUnitName"], "OU"),
            (&["SN", "sn", "surname"], "SN"),
            (&["ST", "stateOrProvinceName"], "ST"),
            (&["UID", "userId", "0.9.2342.19200300.100.1.1"], "UID"),
            (&["description"], "description"),
            (&["dnQualifier", "DNQUALIFIER"], "dnQualifier"),
            (&["generationQualifier"], "generationQualifier"),
            (&["initials"], "initials"),
            (&["name"], "name"),
            (&["postalCode"], "postalCode"),
            (&["pseudonym"], "pseudonym"),
            (&["serialNumber", "2.5.4.5"], "serialNumber"),
            (&["street"], "street"),
            (&["title"], "title"),
            (&["unstructuredName"], "unstructuredName"),
            (&["2.5.4.199"], "2.5.4.199"),
            (&["2.999.3"], "2.999.3"),
        ] {
            for text in texts {
                assert_eq!(name(text).as_deref(), Some(shown), "{text}");
            }
        }
        let long = format!("1.2{}", ".3".repeat(60));
        for wrong in ["XX", "", "2", "3.1", "1.40", "2.5.x", "CN\0", "CN ", &long] {
            assert_eq!(name(wrong), None, "{wrong}");
        }
        assert!(ErrorStack::get().errors().is_empty());
    }
}
