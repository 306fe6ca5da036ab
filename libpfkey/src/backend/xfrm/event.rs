//! Events of the kernel: acquires and new NAT mappings.

use super::conversion::sa_type_of;
use super::layout::{Mapping, XfrmAcquire};
use super::policy_reply::PolicyAttributes;
use super::sa_reply::host;
use crate::dialect::Abi;
use crate::error::Result;
use crate::num::{DIR_OUT, ExtensionType, MessageType, POLICY_IPSEC, SaType};
use crate::wire::reader::Reader;
use crate::wire::{Builder, Extension, Header, Policy, Proposal, Sa};

/// The replay window that `af_key` proposes.
const PROPOSED_WINDOW: u8 = 32;

/// Writes the ACQUIRE: the endpoints of the SA that a packet needs, and the index of the policy that demands it.
///
/// # Errors
/// [`Error::Malformed`](crate::Error::Malformed) for a body that is too short.
pub(super) fn acquire(body: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<()> {
    let acquire = XfrmAcquire::parse(body)?;
    let attributes = PolicyAttributes::parse(body)?;
    // The selector has the packet's address family; a tunnel's endpoints may be of the other one.
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
    // Without combinations, like the proposal of `af_key` for a policy that was added through it.
    if matches!(sa_type, SaType::Ah | SaType::Esp) {
        builder.push(&Extension::Proposal(Proposal { replay: PROPOSED_WINDOW, combinations: Vec::new() }))?;
    }
    if let Some(context) = attributes.context {
        builder.push(&Extension::SecurityContext(context))?;
    }
    builder.finish()
}

/// Writes the X_NAT_T_NEW_MAPPING: the peer's old address and port as source, the new ones as destination.
///
/// # Errors
/// [`Error::Malformed`](crate::Error::Malformed) for a body that is too short.
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
