//! X.501 names as lists of attributes, and patterns for them.

use std::fmt;

use super::attribute_type;

/// An X.501 name: its attributes in order (RFC 5280 section 4.1.2.4). Those of a set follow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name(pub Vec<Attribute>);

/// A type and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// The object identifier, as the contents of its DER encoding.
    pub oid: Vec<u8>,
    /// The value.
    pub value: Value,
}

impl Attribute {
    /// A text as the value of the attribute type `oid`.
    pub fn text(oid: impl Into<Vec<u8>>, text: impl Into<String>) -> Self {
        Self { oid: oid.into(), value: Value::Text(text.into()) }
    }
}

/// As it is written in `asn1dn`: `C=NL, O=Example, CN=gw`. Characters that would disturb a line of the log are escaped.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, one)| component(f, at, &one.oid, Some(&one.value)))
    }
}

/// A component; `at` is its place, and none for a value is any.
fn component(f: &mut fmt::Formatter<'_>, at: usize, oid: &[u8], value: Option<&Value>) -> fmt::Result {
    write!(f, "{}{}=", if at == 0 { "" } else { ", " }, attribute_type::title(oid))?;
    match value {
        None => f.write_str("*"),
        Some(Value::Text(text)) => write!(f, "{}", text.escape_debug()),
        Some(Value::Der(bytes)) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
    }
}

/// The value of an attribute.
#[derive(Clone, Debug)]
pub enum Value {
    /// One of the string types, as Unicode. Which of them it was does not matter.
    Text(String),
    /// Something else, in DER.
    Der(Vec<u8>),
}

impl PartialEq for Value {
    /// As RFC 5280 section 7.1 wants names compared, in the form in which X.509 libraries do it: letters of ASCII without
    /// regard to case, blanks at the ends ignored, several blanks like one.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(ours), Self::Text(theirs)) => folded(ours).eq(folded(theirs)),
            (Self::Der(ours), Self::Der(theirs)) => ours == theirs,
            _ => false,
        }
    }
}

impl Eq for Value {}

/// The characters that count in a comparison.
fn folded(text: &str) -> impl Iterator<Item = char> {
    text.split_ascii_whitespace()
        .enumerate()
        .flat_map(|(at, word)| (at > 0).then_some(' ').into_iter().chain(word.chars()))
        .map(|c| c.to_ascii_lowercase())
}

/// A name with open components, as `asn1dn "C=NL, O=Example, CN=*"` writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamePattern(pub Vec<PatternAttribute>);

/// A component of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternAttribute {
    /// The object identifier, as the contents of its DER encoding.
    pub oid: Vec<u8>,
    /// The value, or any.
    pub value: Option<Value>,
}

impl NamePattern {
    /// Whether `name` has the components of the pattern, all of them, in order, and no more.
    ///
    /// An asterisk in `name` is an asterisk: a peer cannot call itself everybody. (The reference lets it.)
    pub fn matches(&self, name: &Name) -> bool {
        self.0.len() == name.0.len()
            && self.0.iter().zip(&name.0).all(|(pattern, attribute)| {
                pattern.oid == attribute.oid && pattern.value.as_ref().is_none_or(|value| *value == attribute.value)
            })
    }
}

/// As [`Name`], with `*` for any value.
impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, one)| component(f, at, &one.oid, one.value.as_ref()))
    }
}

impl From<Name> for NamePattern {
    fn from(name: Name) -> Self {
        let attribute = |Attribute { oid, value }| PatternAttribute { oid, value: Some(value) };
        Self(name.0.into_iter().map(attribute).collect())
    }
}
