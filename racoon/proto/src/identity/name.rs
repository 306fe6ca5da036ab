//! X.501 names as lists of attributes, and patterns that match them.

use std::fmt;

use openssl::error::ErrorStack;
use openssl::x509::{X509Name, X509NameRef};
use thiserror::Error;

use super::attribute::{AttributeType, NameAttribute, Value};

/// An X.501 name: its attributes in order (RFC 5280 section 4.1.2.4). Attributes of one set are adjacent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name(pub Vec<NameAttribute>);

/// The reason why a name has no encoding.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{attribute}: {why}")]
pub struct NameError {
    /// The attribute, as in text.
    pub attribute: String,
    /// What is wrong with its value, in OpenSSL's words.
    pub why: String,
}

impl Name {
    /// Encodes the name in DER, with each attribute in a set of its own. The string types are OpenSSL's: PrintableString for
    /// countries, IA5String for domain components and e-mail addresses, UTF8String for most others.
    ///
    /// # Errors
    /// If a value is not a text, or has characters or a length that its type does not allow.
    pub fn to_der(&self) -> Result<Vec<u8>, NameError> {
        let error = |attribute: &str, errors: ErrorStack| {
            let why = errors.errors().last().and_then(|error| error.reason()).unwrap_or("invalid");
            NameError { attribute: attribute.into(), why: why.into() }
        };
        let mut name = X509Name::builder().map_err(|errors| error("a name", errors))?;
        for NameAttribute { kind, value } in &self.0 {
            let shown = format!("{kind}={value}");
            let Value::Text(text) = value else {
                return Err(NameError { attribute: shown, why: "not a text".into() });
            };
            name.append_entry_by_text(kind.openssl_name(), text).map_err(|errors| error(&shown, errors))?;
        }
        name.build().to_der().map_err(|errors| error("a name", errors))
    }

    /// Parses a name; `None` if it is invalid, or if bytes follow it. Encodings that are BER but not DER are accepted: names are
    /// compared by what they contain.
    pub fn from_der(bytes: &[u8]) -> Option<Self> {
        let name = X509Name::from_der(bytes);
        // The queue belongs to the thread, and others would take the error for theirs.
        drop(ErrorStack::get());
        let name = name.ok()?;
        // OpenSSL ignores what follows, and keeps the encoding that it has read.
        if name.to_der().ok()?.len() != bytes.len() {
            return None;
        }
        Self::of(&name)
    }

    /// Returns the name that a certificate contains; `None` if the type of an attribute is longer than any in use.
    pub fn of(name: &X509NameRef) -> Option<Self> {
        let attributes: Option<Vec<_>> = name.entries().map(NameAttribute::of).collect();
        // Values that are not texts leave errors.
        drop(ErrorStack::get());
        Some(Self(attributes?))
    }
}

/// The syntax of `asn1dn`: `C=NL, O=Example, CN=gw`. Characters that are not allowed in a log line are escaped.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, one)| component(f, at, &one.kind, Some(&one.value)))
    }
}

/// Writes a component, where `at` is its index and no value means any.
fn component(f: &mut fmt::Formatter<'_>, at: usize, kind: &AttributeType, value: Option<&Value>) -> fmt::Result {
    write!(f, "{}{kind}=", if at == 0 { "" } else { ", " })?;
    match value {
        None => f.write_str("*"),
        Some(value) => write!(f, "{value}"),
    }
}

/// A name with wildcards, as in `asn1dn "C=NL, O=Example, CN=*"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamePattern(pub Vec<PatternAttribute>);

/// A component of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternAttribute {
    /// The type.
    pub kind: AttributeType,
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
                pattern.kind == attribute.kind && pattern.value.as_ref().is_none_or(|value| *value == attribute.value)
            })
    }
}

/// Like [`Name`], with `*` for any value.
impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, one)| component(f, at, &one.kind, one.value.as_ref()))
    }
}

impl From<Name> for NamePattern {
    fn from(name: Name) -> Self {
        let attribute = |NameAttribute { kind, value }| PatternAttribute { kind, value: Some(value) };
        Self(name.0.into_iter().map(attribute).collect())
    }
}

#[cfg(test)]
mod tests;
