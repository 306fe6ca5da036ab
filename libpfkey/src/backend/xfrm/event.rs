//! What the kernel tells of its own accord: acquires, expiries, new mappings, migrations.

use super::layout::{Acquire, Mapping, Migrate, PolicyId};
use super::netlink::next_attribute;
use super::numbers::attribute;
use super::policy::PolicyAttributes;
use super::sa_reply::host;
use super::sa_request::{mode_to_pfkey, sa_type_of};
use crate::dialect::Abi;
use crate::error::Result;
use crate::num::{DIR_OUT, ExtensionType, LEVEL_REQUIRE, LEVEL_UNIQUE, MessageType, POLICY_IPSEC, SaType, ULPROTO_ANY};
use crate::wire::reader::Reader;
use crate::wire::{Address, Builder, Extension, Header, IpsecRequest, Policy, Proposal, Sa, SockAddr};

/// The replay window that `af_key` proposes.
const PROPOSED_WINDOW: u8 = 32;

/// SADB_ACQUIRE: the ends of the SA to be, and the id of the policy that wants it.
///
/// # Errors
/// For a body that is too short.
pub(super) fn acquire(body: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<()> {
    let acquire = Acquire::parse(body)?;
    let attributes = PolicyAttributes::parse(body)?;
    // The ends of a tunnel may be of another family than the packet's, which the selector tells.
    let family = attributes.templates.iter().find(|template| {
        (template.id.proto, template.id.destination) == (acquire.id.proto, acquire.id.destination) && template.mode != 0
    });
    let family = family.map_or(acquire.family, |template| template.family);
    let sa_type = sa_type_of(acquire.id.proto);
    let header = Header { seq: acquire.seq, ..Header::new(MessageType::Acquire, sa_type) };
    let mut builder = Builder::new(Abi::HOST, header, out)?;
    builder.push(&host(ExtensionType::AddressSrc, acquire.source.ip(family)))?;
    builder.push(&host(ExtensionType::AddressDst, acquire.id.destination.ip(family)))?;
    builder.push(&Extension::Policy(Policy {
        kind: POLICY_IPSEC,
        direction: DIR_OUT,
        scope: 0,
        id: acquire.policy.index,
        priority: acquire.policy.priority,
        requests: Vec::new(),
    }))?;
    if matches!(sa_type, SaType::Ah | SaType::Esp) {
        builder.push(&Extension::Proposal(Proposal { replay: PROPOSED_WINDOW, combinations: Vec::new() }))?;
    }
    if let Some(context) = attributes.context {
        builder.push(&Extension::SecurityContext(context))?;
    }
    builder.finish()
}

/// SADB_X_NAT_T_NEW_MAPPING: old address and port as source, new ones as destination.
///
/// # Errors
/// For a body that is too short.
pub(super) fn mapping(body: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<()> {
    let mapping = Mapping::parse(body)?;
    let header = Header::new(MessageType::NatTNewMapping, sa_type_of(mapping.id.proto));
    let mut builder = Builder::new(Abi::HOST, header, out)?;
    builder.push(&Extension::Sa(Sa::named(mapping.id.spi)))?;
    builder.push(&host(ExtensionType::AddressSrc, mapping.old_source.ip(mapping.id.family)))?;
    builder.push(&Extension::NatTPort(ExtensionType::NatTSport, mapping.old_port))?;
    builder.push(&host(ExtensionType::AddressDst, mapping.new_source.ip(mapping.id.family)))?;
    builder.push(&Extension::NatTPort(ExtensionType::NatTDport, mapping.new_port))?;
    builder.finish()
}

/// SADB_X_MIGRATE: the policy's selector, and its requests in pairs of old and new ends.
///
/// # Errors
/// For a body that is too short.
pub(super) fn migrate(body: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<()> {
    let id = PolicyId::parse(body)?;
    let mut requests = Vec::new();
    let mut sa_type = SaType::Unspec;
    while let Some((number, mut contents)) = next_attribute(body)? {
        if number != attribute::MIGRATE {
            continue;
        }
        while contents.remaining() >= 76 {
            let entry = Migrate::parse(&mut contents)?;
            if requests.is_empty() {
                sa_type = sa_type_of(entry.proto);
            }
            requests.extend(pair(&entry));
        }
    }
    let mut builder = Builder::new(Abi::HOST, Header::new(MessageType::Migrate, sa_type), out)?;
    let selector = &id.selector;
    let proto = if selector.proto == 0 { ULPROTO_ANY } else { selector.proto };
    let end = |address: super::layout::Addr, port, prefix| {
        let sockaddr = SockAddr::Inet(std::net::SocketAddr::new(address.ip(selector.family), port));
        Address { proto, prefix, reserved: 0, sockaddr }
    };
    let source = end(selector.source, selector.source_port, selector.source_prefix);
    let destination = end(selector.destination, selector.destination_port, selector.destination_prefix);
    builder.push(&Extension::Address(ExtensionType::AddressSrc, source))?;
    builder.push(&Extension::Address(ExtensionType::AddressDst, destination))?;
    let direction = id.direction.saturating_add(1);
    builder.push(&Extension::Policy(Policy {
        kind: POLICY_IPSEC,
        direction,
        scope: 0,
        id: 0,
        priority: 0,
        requests,
    }))?;
    builder.finish()
}

/// The two requests of one migration.
fn pair(entry: &Migrate) -> [IpsecRequest; 2] {
    let request = |source: super::layout::Addr, destination: super::layout::Addr, family| IpsecRequest {
        proto: u16::from(entry.proto),
        mode: mode_to_pfkey(entry.mode),
        level: if entry.reqid == 0 { LEVEL_REQUIRE } else { LEVEL_UNIQUE },
        reqid: entry.reqid,
        endpoints: Some((SockAddr::from(source.ip(family)), SockAddr::from(destination.ip(family)))),
    };
    [
        request(entry.old_source, entry.old_destination, entry.old_family),
        request(entry.new_source, entry.new_destination, entry.new_family),
    ]
}
