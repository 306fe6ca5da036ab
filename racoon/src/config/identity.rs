//! Translation of identifiers.

use ipsec_conf::racoon::{DistinguishedName, Identifier};
use racoon_proto::config::LocalIdentity;
use racoon_proto::identity::{
    AttributeType, Expected, Identity, Name, NameAttribute, NamePattern, PatternAttribute, Value,
};
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
        NameAttribute::text(&one.name, one.value.as_deref().unwrap_or("*")).ok_or_else(|| unknown(&one.name))
    };
    let name = attributes.iter().map(attribute).collect::<Result<_, String>>().map(Name)?;
    // Its encoding is needed only in an exchange, when it is too late for the operator to learn of an error.
    name.to_der().map_err(|error| format!("asn1dn: {error}"))?;
    Ok(name)
}

fn pattern(attributes: &[ipsec_conf::racoon::Attribute]) -> Result<NamePattern, String> {
    let attribute = |one: &ipsec_conf::racoon::Attribute| {
        let kind = AttributeType::named(&one.name).ok_or_else(|| unknown(&one.name))?;
        Ok(PatternAttribute { kind, value: one.value.as_deref().map(|text| Value::Text(text.into())) })
    };
    attributes.iter().map(attribute).collect::<Result<_, String>>().map(NamePattern)
}

fn unknown(attribute: &str) -> String {
    format!("unknown attribute `{attribute}` in a distinguished name")
}
