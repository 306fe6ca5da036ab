//! X.501 names as lists of attributes, and patterns that match them.

use std::fmt;

use super::attribute_type;

/// An X.501 name: its attributes in order (RFC 5280 section 4.1.2.4). Attributes of one set are adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name(pub Vec<NameAttribute>);

/// An attribute of a name: a type and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAttribute {
    /// The object identifier, as the contents of its DER encoding.
    pub oid: Vec<u8>,
    /// The value.
    pub value: Value,
}

impl NameAttribute {
    /// An attribute of type `oid` whose value is a text.
    pub fn text(oid: impl Into<Vec<u8>>, text: impl Into<String>) -> Self {
        Self { oid: oid.into(), value: Value::Text(text.into()) }
    }
}

/// The syntax of `asn1dn`: `C=NL, O=Example, CN=gw`. Characters that are not allowed in a log line are escaped.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, one)| component(f, at, &one.oid, Some(&one.value)))
    }
}

/// Writes a component, where `at` is its index and no value means any.
fn component(f: &mut fmt::Formatter<'_>, at: usize, oid: &[u8], value: Option<&Value>) -> fmt::Result {
    write!(f, "{}{}=", if at == 0 { "" } else { ", " }, attribute_type::title(oid))?;
    match value {
        None => f.write_str("*"),
        // A line feed in a peer's name could forge a log line.
        Some(Value::Text(text)) => write!(f, "{}", text.escape_debug()),
        Some(Value::Der(bytes)) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
    }
}

/// The value of an attribute.
#[derive(Clone, Debug)]
pub enum Value {
    /// A string of any string type, as Unicode.
    Text(String),
    /// Any other value, in DER.
    Der(Vec<u8>),
}

impl PartialEq for Value {
    /// Compares as RFC 5280 section 7.1 requires, to the extent that X.509 libraries implement it: it ignores the case of ASCII
    /// letters and spaces at the ends, and treats several spaces as one.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(ours), Self::Text(theirs)) => folded(ours).eq(folded(theirs)),
            (Self::Der(ours), Self::Der(theirs)) => ours == theirs,
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

/// A name with wildcards, as in `asn1dn "C=NL, O=Example, CN=*"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamePattern(pub Vec<PatternAttribute>);

/// A component of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternAttribute {
    /// The object identifier, as the contents of its DER encoding.
    pub oid: Vec<u8>,
    /// The value; `None` for any.
    pub value: Option<Value>,
}

impl NamePattern {
    /// Whether `name` has exactly the components of the pattern, in order.
    ///
    /// An asterisk in `name` is not a wildcard, as it is in KAME's racoon: otherwise a peer could match every pattern.
    pub fn matches(&self, name: &Name) -> bool {
        // A name with fewer or more components is another one.
        self.0.len() == name.0.len()
            && self.0.iter().zip(&name.0).all(|(pattern, attribute)| {
                pattern.oid == attribute.oid && pattern.value.as_ref().is_none_or(|value| *value == attribute.value)
            })
    }
}

/// Like [`Name`], with `*` for any value.
impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, one)| component(f, at, &one.oid, one.value.as_ref()))
    }
}

impl From<Name> for NamePattern {
    fn from(name: Name) -> Self {
        let attribute = |NameAttribute { oid, value }| PatternAttribute { oid, value: Some(value) };
        Self(name.0.into_iter().map(attribute).collect())
    }
}
