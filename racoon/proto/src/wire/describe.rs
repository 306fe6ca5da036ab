//! Describes messages for the log, with a line for each payload.
//!
//! Of keys, nonces, hashes, signatures and logins, it shows only the length.

use std::fmt;

use super::{
    Attribute, AttributeValue, Attributes, Certificate, CertificateRequest, CookiePair, Delete, Fragment, Header,
    NatOa, Notify, Proposal, RawPayload, SaBody, Transform, VendorId, WireError,
};
use crate::identity::Identity;
use crate::num::{
    AhTransform, AuthAlgorithm, AuthMethod, Cipher, ConfigAttribute, EncapsulationMode, EspTransform, Flags, Group,
    Hash, IpcompTransform, LifeType, PayloadType, Phase1Attribute, Phase2Attribute, Protocol,
};

/// Parts of a list that are described; further ones are counted.
const PARTS_MAX: usize = 16;

/// Bytes of an unknown vendor ID that are shown.
const VENDOR_SHOWN: usize = 32;

/// Describes a header in a line.
pub fn header(header: &Header) -> String {
    let Header { cookies, exchange, message_id, length, major, minor, .. } = header;
    let flags: Vec<_> = header.flags.iter().map(flag).collect();
    let flags = if flags.is_empty() { "none".to_owned() } else { flags.join("+") };
    format!("{cookies} {exchange}, message id {message_id:08x}, flags {flags}, version {major}.{minor}, {length} bytes")
}

/// Describes a message: a line for the header and one for each payload.
pub fn message(head: &Header, payloads: &[RawPayload<'_>]) -> Vec<String> {
    let lines = payloads.iter().map(|one| payload(one.kind, one.body));
    [header(head)].into_iter().chain(lines).collect()
}

/// Describes a payload in a line: its type and its contents, or the error in it.
pub fn payload(kind: PayloadType, body: &[u8]) -> String {
    let said = match kind {
        PayloadType::SA => SaBody::parse(body).map(|sa| self::sa(&sa)),
        PayloadType::ID => Identity::parse(body).map(|id| id.to_string()),
        PayloadType::CERT => Certificate::parse(body).map(|one| sized(one.encoding, &one.data)),
        PayloadType::CERT_REQUEST => CertificateRequest::parse(body).map(|one| sized(one.encoding, &one.authority)),
        PayloadType::NOTIFY => Notify::parse(body).map(|notify| self::notify(&notify)),
        PayloadType::DELETE => Delete::parse(body).map(|delete| self::delete(&delete)),
        PayloadType::VENDOR_ID => Ok(vendor_id(body)),
        PayloadType::ATTRIBUTES => Attributes::parse(body).map(|attributes| config(&attributes)),
        PayloadType::FRAGMENT => Fragment::parse(body).map(|fragment| self::fragment(&fragment)),
        kind if kind.is_nat_oa() => NatOa::parse(body).map(|nat_oa| nat_oa.address.to_string()),
        // The contents of KE, Nonce, HASH and SIG payloads would tell a reader nothing; `-v` logs the bytes.
        _ => Ok(bytes(body)),
    };
    match said {
        Ok(said) => format!("{kind}: {said}"),
        Err(error) => malformed(kind, &error),
    }
}

/// Describes an SA payload with its proposals.
pub fn sa(sa: &SaBody) -> String {
    list(&sa.proposals, "; ", proposal)
}

fn malformed(kind: PayloadType, error: &WireError) -> String {
    format!("{kind}: malformed: {error}")
}

fn flag(flag: Flags) -> &'static str {
    match flag {
        Flags::ENCRYPTED => "encrypted",
        Flags::COMMIT => "commit",
        _ => "authentication-only",
    }
}

fn proposal(proposal: &Proposal) -> String {
    let Proposal { number, protocol, spi, .. } = proposal;
    let spi = if spi.is_empty() { String::new() } else { format!(" {}", self::spi(*protocol, spi)) };
    let transforms = list(&proposal.transforms, ", ", |transform| self::transform(*protocol, transform));
    format!("proposal {number} {protocol}{spi}: {transforms}")
}

fn transform(protocol: Protocol, transform: &Transform) -> String {
    let Transform { number, id, .. } = transform;
    let id: &dyn fmt::Display = match protocol {
        // The only transform identifier of phase 1 (RFC 2407 section 4.4.2).
        Protocol::ISAKMP => &"KEY_IKE",
        Protocol::AH => &AhTransform(*id),
        Protocol::ESP => &EspTransform(*id),
        Protocol::IPCOMP => &IpcompTransform(*id),
        _ => id,
    };
    let attributes = list(&transform.attributes, ", ", |one| attribute(protocol, one));
    format!("transform {number} {id} ({attributes})")
}

/// Describes an attribute of a transform, with the name of its value.
fn attribute(protocol: Protocol, attribute: &Attribute) -> String {
    let kind = attribute.kind;
    let value = match &attribute.value {
        AttributeValue::Short(value) => named_value(protocol, kind, *value),
        AttributeValue::Long(bytes) => match attribute.value.as_u64() {
            Some(number) => number.to_string(),
            None => self::bytes(bytes),
        },
    };
    match protocol {
        Protocol::ISAKMP => format!("{} {value}", Phase1Attribute(kind)),
        _ => format!("{} {value}", Phase2Attribute(kind)),
    }
}

fn named_value(protocol: Protocol, kind: u16, value: u16) -> String {
    if protocol == Protocol::ISAKMP {
        return match Phase1Attribute(kind) {
            Phase1Attribute::ENCRYPTION_ALGORITHM => Cipher(value).to_string(),
            Phase1Attribute::HASH_ALGORITHM => Hash(value).to_string(),
            Phase1Attribute::AUTHENTICATION_METHOD => AuthMethod(value).to_string(),
            Phase1Attribute::GROUP_DESCRIPTION => Group(value).to_string(),
            Phase1Attribute::LIFE_TYPE => LifeType(value).to_string(),
            _ => value.to_string(),
        };
    }
    match Phase2Attribute(kind) {
        Phase2Attribute::LIFE_TYPE => LifeType(value).to_string(),
        Phase2Attribute::GROUP_DESCRIPTION => Group(value).to_string(),
        Phase2Attribute::ENCAPSULATION_MODE => EncapsulationMode(value).to_string(),
        Phase2Attribute::AUTHENTICATION_ALGORITHM => AuthAlgorithm(value).to_string(),
        _ => value.to_string(),
    }
}

fn notify(notify: &Notify) -> String {
    let Notify { doi, protocol, spi, kind, data } = notify;
    let spi = if spi.is_empty() { "no SPI".to_owned() } else { self::spi(*protocol, spi) };
    format!("{kind}, DOI {doi}, protocol {protocol}, {spi}, {} of data", bytes(data))
}

fn delete(delete: &Delete) -> String {
    let Delete { doi, protocol, spis } = delete;
    format!("DOI {doi}, protocol {protocol}, {}", list(spis, ", ", |one| spi(*protocol, one)))
}

fn vendor_id(body: &[u8]) -> String {
    match VendorId::recognise(body) {
        VendorId::Unknown => {
            let (shown, more) = body.split_at_checked(VENDOR_SHOWN).unwrap_or((body, &[]));
            format!("unknown {}{}", hex(shown), if more.is_empty() { "" } else { "..." })
        }
        VendorId::Fragmentation(capabilities) => format!("FRAGMENTATION, capabilities {capabilities:#010x}"),
        id => id.name().to_owned(),
    }
}

/// Describes an Attributes payload: the names, and the values that reveal nothing about a user.
fn config(body: &Attributes) -> String {
    let attributes = list(&body.attributes, ", ", |one| {
        let kind = ConfigAttribute(one.kind);
        // Other values may be names, passwords or answers of a user.
        match (kind, &one.value) {
            (ConfigAttribute::XAUTH_TYPE | ConfigAttribute::XAUTH_STATUS, AttributeValue::Short(value)) => {
                format!("{kind} {value}")
            }
            (_, AttributeValue::Short(_)) => format!("{kind} (short)"),
            (_, AttributeValue::Long(value)) => format!("{kind} ({})", bytes(value)),
        }
    });
    format!("{} {}: {attributes}", body.kind, body.id)
}

fn fragment(fragment: &Fragment) -> String {
    let Fragment { id, index, last, data } = fragment;
    format!("id {id}, index {index}{}, {}", if *last { ", the last" } else { "" }, bytes(data))
}

/// Describes an SPI: the cookies of ISAKMP, or else a number.
fn spi(protocol: Protocol, spi: &[u8]) -> String {
    match CookiePair::from_spi(spi) {
        Some(cookies) if protocol == Protocol::ISAKMP => format!("SPI {cookies}"),
        _ => format!("SPI 0x{}", hex(spi)),
    }
}

fn sized(what: impl fmt::Display, data: &[u8]) -> String {
    format!("{what}, {}", bytes(data))
}

/// Describes a length.
fn bytes(data: &[u8]) -> String {
    match data.len() {
        1 => "1 byte".to_owned(),
        length => format!("{length} bytes"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Describes the first parts of a list, and the number of the others.
fn list<T>(parts: &[T], separator: &str, part: impl Fn(&T) -> String) -> String {
    let mut said: Vec<_> = parts.iter().take(PARTS_MAX).map(part).collect();
    let more = parts.len() - said.len();
    if more > 0 {
        said.push(format!("{more} more"));
    }
    said.join(separator)
}

#[cfg(test)]
mod tests;
