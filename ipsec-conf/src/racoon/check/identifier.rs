//! Identities.

use std::net::IpAddr;
use std::path::Path;

use super::Check;
use crate::racoon::distinguished_name::DistinguishedName;
use crate::racoon::identifier::{Identifier, KeyId};
use crate::racoon::meaning;
use crate::racoon::operands::Operands;
use crate::racoon::token;
use crate::system_error;

const KINDS: [(&str, Kind); 6] = [
    ("address", Kind::Address),
    ("fqdn", Kind::Fqdn),
    ("user_fqdn", Kind::UserFqdn),
    ("keyid", Kind::KeyId),
    ("asn1dn", Kind::Asn1Dn),
    ("subnet", Kind::Subnet),
];

const NOUN: &str = "address, fqdn, user_fqdn, keyid or asn1dn";

#[derive(Clone, Copy)]
enum Kind {
    Address,
    Fqdn,
    UserFqdn,
    KeyId,
    Asn1Dn,
    Subnet,
}

impl Check<'_> {
    /// Reads `my_identifier`.
    pub(super) fn my_identifier(&self, op: &mut Operands<'_, '_>) -> Option<Identifier> {
        let first = op.peek();
        let identifier = self.identifier(op)?;
        let wild = match &identifier {
            Identifier::DistinguishedName(Some(DistinguishedName::Text(attributes))) => {
                attributes.iter().any(|attribute| attribute.value.is_none())
            }
            _ => false,
        };
        match identifier {
            Identifier::KeyId(None) => op.fail(&first, "a keyid needs a value", None),
            // What is sent is a name, not a pattern.
            _ if wild => op.fail(&first, "`*` is valid in peers_identifier only", None),
            identifier => Some(identifier),
        }
    }

    /// Reads `peers_identifier`.
    pub(super) fn peers_identifier(&self, op: &mut Operands<'_, '_>) -> Option<Identifier> {
        self.identifier(op)
    }

    /// Reads the identity behind `from` of a sainfo.
    pub(super) fn phase1_identifier(&self, op: &mut Operands<'_, '_>) -> Option<Identifier> {
        let first = op.peek();
        match self.identifier(op)? {
            Identifier::Address(None) | Identifier::KeyId(None) | Identifier::DistinguishedName(None) => {
                op.fail(&first, "the identity needs a value", None)
            }
            identifier => Some(identifier),
        }
    }

    /// Reads a kind and its value, which some kinds may lack.
    fn identifier(&self, op: &mut Operands<'_, '_>) -> Option<Identifier> {
        let first = op.peek();
        if first.kind == token::Kind::String && !op.at_end() {
            return op.unexpected(&format!("{NOUN}, and then the value"));
        }
        let kind = op.choice_or(&KINDS, NOUN, meaning::identifier)?;
        Some(match kind {
            Kind::Address => Identifier::Address(if op.at_end() { None } else { Some(op.quoted_ip()?) }),
            Kind::Fqdn => Identifier::Fqdn(name(op)?.into()),
            Kind::UserFqdn => Identifier::UserFqdn(name(op)?.into()),
            Kind::KeyId if op.at_end() => Identifier::KeyId(None),
            Kind::KeyId => Identifier::KeyId(Some(self.key_id(op)?)),
            Kind::Asn1Dn if op.at_end() => Identifier::DistinguishedName(None),
            Kind::Asn1Dn => Identifier::DistinguishedName(Some(distinguished_name(op)?)),
            Kind::Subnet => {
                let hint = "`subnet` is valid in sainfo only: write an address here".to_owned();
                return op.fail(&first, "a subnet cannot identify a peer", Some(hint));
            }
        })
    }

    /// Reads `"file"`, `file "file"` or `tag "text"`.
    fn key_id(&self, op: &mut Operands<'_, '_>) -> Option<KeyId> {
        if op.accept("tag") {
            return tag(op);
        }
        op.accept("file");
        let token = op.string_token("file or tag and a string")?;
        let path = Path::new(token.value());
        match self.loader.read(path) {
            // All bytes count, a newline at the end too: the peer compares them.
            Ok(bytes) => Some(KeyId { bytes: bytes.into(), file: Some(path.into()) }),
            Err(error) => {
                let hint =
                    "`keyid` takes the name of a file; for a value write `keyid tag` before the string".to_owned();
                op.fail(&token, &format!("failed to read keyid file: {}", system_error(&error)), Some(hint))
            }
        }
    }
}

/// Reads a string; an address may be written without quotes.
fn name<'s>(op: &mut Operands<'_, 's>) -> Option<&'s str> {
    let token = op.peek();
    if !op.at_end() && token.kind == token::Kind::Word && token.text.parse::<IpAddr>().is_ok() {
        op.next();
        return Some(token.text);
    }
    op.name("a name")
}

/// Reads a string as the bytes that it has in the file.
pub(super) fn tag(op: &mut Operands<'_, '_>) -> Option<KeyId> {
    let text = op.name("a string")?;
    Some(KeyId { bytes: op.source.bytes(text), file: None })
}

fn distinguished_name(op: &mut Operands<'_, '_>) -> Option<DistinguishedName> {
    let token = op.string_token("a distinguished name")?;
    match DistinguishedName::parse(token.value()) {
        Ok(name) => Some(name),
        Err(why) => op.fail(&token, "not a distinguished name", Some(why)),
    }
}
