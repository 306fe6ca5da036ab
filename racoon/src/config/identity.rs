//! Translation of identifiers.

use ipsec_conf::racoon::{DistinguishedName, Identifier};
use racoon_proto::config::LocalIdentity;
use racoon_proto::identity::{Expected, Identity, Name, NameAttribute, NamePattern, PatternAttribute, Value};
use racoon_proto::num::IdType;

/// Port in an address used as phase 1 identity (RFC 2407 section 4.6.2).
const ISAKMP_PORT: u16 = 500;
/// Protocol in such an identity.
const UDP: u8 = 17;

/// Translates `my_identifier`.
///
/// # Errors
/// Describes an invalid name.
pub(super) fn local(identifier: &Identifier) -> Result<LocalIdentity, String> {
    Ok(match identifier {
        Identifier::Address(None) => LocalIdentity::Address,
        Identifier::Address(Some(address)) => {
            LocalIdentity::Fixed(Identity::address(*address).with_protocol(UDP, ISAKMP_PORT))
        }
        Identifier::DistinguishedName(None) => LocalIdentity::CertificateSubject,
        Identifier::DistinguishedName(Some(DistinguishedName::Text(attributes))) => {
            LocalIdentity::Name(name(attributes)?)
        }
        Identifier::KeyId(None) => return Err("my_identifier keyid has no value".into()),
        other => LocalIdentity::Fixed(fixed(other).ok_or("an identifier without a value")?),
    })
}

/// Translates `peers_identifier`, and `from` of a sainfo.
///
/// # Errors
/// Describes an invalid name.
pub(super) fn expected(identifier: &Identifier) -> Result<Expected, String> {
    match identifier {
        Identifier::DistinguishedName(Some(DistinguishedName::Text(attributes))) => {
            pattern(attributes).map(Expected::Name)
        }
        // Compared as names, because one name has several encodings.
        Identifier::DistinguishedName(Some(DistinguishedName::Der(bytes))) => {
            let name = Name::from_der(bytes).ok_or("asn1dn: what follows `~` is not the encoding of a name")?;
            Ok(Expected::Name(name.into()))
        }
        other => Ok(fixed(other).map_or(Expected::Anything, |id| Expected::exactly(&id))),
    }
}

/// Returns a fully specified identity; `None` without a value, and for a name given as text.
pub(super) fn fixed(identifier: &Identifier) -> Option<Identity> {
    Some(match identifier {
        Identifier::Address(address) => Identity::address((*address)?),
        Identifier::Fqdn(name) => Identity::named(IdType::FQDN, name.as_bytes()),
        Identifier::UserFqdn(name) => Identity::named(IdType::USER_FQDN, name.as_bytes()),
        Identifier::KeyId(id) => Identity::named(IdType::KEY_ID, id.as_ref()?.bytes.as_ref()),
        Identifier::DistinguishedName(Some(DistinguishedName::Der(bytes))) => {
            Identity::named(IdType::DER_ASN1_DN, bytes.as_ref())
        }
        Identifier::DistinguishedName(_) => return None,
    })
}

/// Translates a fully specified name. A value of `*` stands for itself here.
fn name(attributes: &[ipsec_conf::racoon::Attribute]) -> Result<Name, String> {
    let attribute = |one: &ipsec_conf::racoon::Attribute| {
        Ok(NameAttribute::text(object_identifier(&one.name)?, one.value.as_deref().unwrap_or("*")))
    };
    attributes.iter().map(attribute).collect::<Result<_, String>>().map(Name)
}

fn pattern(attributes: &[ipsec_conf::racoon::Attribute]) -> Result<NamePattern, String> {
    let attribute = |one: &ipsec_conf::racoon::Attribute| {
        let value = one.value.as_deref().map(|text| Value::Text(text.into()));
        Ok(PatternAttribute { oid: object_identifier(&one.name)?, value })
    };
    attributes.iter().map(attribute).collect::<Result<_, String>>().map(NamePattern)
}

/// Returns the object identifier of an attribute type.
fn object_identifier(name: &str) -> Result<Vec<u8>, String> {
    racoon_proto::identity::object_identifier(name)
        .ok_or_else(|| format!("unknown attribute `{name}` in a distinguished name"))
}
