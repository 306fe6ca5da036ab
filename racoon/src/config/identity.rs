//! Identifiers.

use ipsec_conf::racoon::{DistinguishedName, Identifier};
use racoon_proto::config::LocalIdentity;
use racoon_proto::identity::{Attribute, Expected, Identity, Name, NamePattern, PatternAttribute, Value};
use racoon_proto::num::IdType;

/// Port that stands in an address as identity of phase 1 (RFC 2407 section 4.6.2).
const ISAKMP_PORT: u16 = 500;
/// Protocol that stands there.
const UDP: u8 = 17;

/// `my_identifier`.
///
/// # Errors
/// What is wrong with a name.
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

/// `peers_identifier`, and `from` of a sainfo.
///
/// # Errors
/// What is wrong with a name.
pub(super) fn expected(identifier: &Identifier) -> Result<Expected, String> {
    if let Identifier::DistinguishedName(Some(DistinguishedName::Text(attributes))) = identifier {
        return pattern(attributes).map(Expected::Name);
    }
    Ok(fixed(identifier).map_or(Expected::Anything, |id| Expected::exactly(&id)))
}

/// An identity that is given as a whole; none if it has no value, or is a name.
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

/// A name whose components are all given. An asterisk of its own is one here.
fn name(attributes: &[ipsec_conf::racoon::Attribute]) -> Result<Name, String> {
    let attribute = |one: &ipsec_conf::racoon::Attribute| {
        Ok(Attribute::text(object_identifier(&one.name)?, one.value.as_deref().unwrap_or("*")))
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

/// Names of attribute types (RFC 4519 section 2, RFC 2985) and their object identifiers.
const ATTRIBUTE_TYPES: &[(&str, &str)] = &[
    ("C", "2.5.4.6"),
    ("CN", "2.5.4.3"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("E", "1.2.840.113549.1.9.1"),
    ("GN", "2.5.4.42"),
    ("L", "2.5.4.7"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("SN", "2.5.4.4"),
    ("ST", "2.5.4.8"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("commonName", "2.5.4.3"),
    ("countryName", "2.5.4.6"),
    ("description", "2.5.4.13"),
    ("dnQualifier", "2.5.4.46"),
    ("domainComponent", "0.9.2342.19200300.100.1.25"),
    ("emailAddress", "1.2.840.113549.1.9.1"),
    ("generationQualifier", "2.5.4.44"),
    ("givenName", "2.5.4.42"),
    ("initials", "2.5.4.43"),
    ("localityName", "2.5.4.7"),
    ("name", "2.5.4.41"),
    ("organizationName", "2.5.4.10"),
    ("organizationalUnitName", "2.5.4.11"),
    ("postalCode", "2.5.4.17"),
    ("pseudonym", "2.5.4.65"),
    ("serialNumber", "2.5.4.5"),
    ("stateOrProvinceName", "2.5.4.8"),
    ("street", "2.5.4.9"),
    ("surname", "2.5.4.4"),
    ("title", "2.5.4.12"),
    ("unstructuredName", "1.2.840.113549.1.9.2"),
    ("userId", "0.9.2342.19200300.100.1.1"),
];

/// The object identifier of an attribute type, by name or in numbers, as the contents of its DER encoding.
fn object_identifier(name: &str) -> Result<Vec<u8>, String> {
    let known = ATTRIBUTE_TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let numbers = known.map_or(name, |(_, numbers)| numbers);
    encode(numbers).ok_or_else(|| format!("unknown attribute `{name}` in a distinguished name"))
}

/// X.690 section 8.19: the first two numbers in one, each in base 128 with the high bit set but in the last byte.
fn encode(numbers: &str) -> Option<Vec<u8>> {
    let arcs = numbers.split('.').map(|arc| arc.parse::<u32>().ok()).collect::<Option<Vec<_>>>()?;
    let [first @ 0..=2, second, rest @ ..] = arcs.as_slice() else {
        return None;
    };
    if *first < 2 && *second > 39 {
        return None;
    }
    let joint = first.checked_mul(40)?.checked_add(*second)?;
    Some(std::iter::once(&joint).chain(rest).flat_map(|arc| base_128(*arc)).collect())
}

fn base_128(number: u32) -> Vec<u8> {
    let digit = |shift: u32| u8::try_from(number >> shift & 0x7f).unwrap_or_default();
    let digits = [28, 21, 14, 7].into_iter().skip_while(|shift| number >> shift == 0).map(|shift| digit(shift) | 0x80);
    digits.chain([digit(0)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_identifiers() {
        assert_eq!(object_identifier("cn"), Ok(vec![0x55, 4, 3]));
        assert_eq!(object_identifier("2.5.4.3"), Ok(vec![0x55, 4, 3]));
        let email = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];
        assert_eq!(object_identifier("emailAddress"), Ok(email.to_vec()));
        let domain = [9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25];
        assert_eq!(object_identifier("DC"), Ok(domain.to_vec()));
        for wrong in ["XX", "", "2", "3.1", "1.40", "2.5.x", "2.4294967295", "1.2.4294967296"] {
            assert!(object_identifier(wrong).is_err(), "{wrong}");
        }
    }
}
