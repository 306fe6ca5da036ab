//! Migrations: new endpoints for the tunnels of a policy and for their SAs.

use super::conversion::{Errno, mode_to_pfkey, mode_to_xfrm, sa_type_of};
use super::layout::{Addr, Migrate, XfrmPolicyId, family};
use super::netlink::{next_attribute, push_attribute};
use super::numbers::attribute;
use super::policy_reply::push_selector;
use super::policy_request::{MAX_TEMPLATES, direction, selector};
use crate::dialect::Abi;
use crate::error::Result;
use crate::num::{LEVEL_REQUIRE, LEVEL_UNIQUE, MessageType, POLICY_IPSEC, SaType};
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;
use crate::wire::{Builder, Extension, Header, IpsecRequest, KmAddress, Message, Policy, SockAddr};

/// The contents of a MIGRATE: the policy, and the endpoints of its templates before and after.
pub(super) struct Migration {
    id: XfrmPolicyId,
    entries: Vec<Migrate>,
    key_manager: Option<KmAddress>,
}

impl Migration {
    /// Checks an X_MIGRATE as `af_key` does. Its steps come in pairs, the old one first.
    ///
    /// # Errors
    /// The errno that `af_key` answers with.
    pub(super) fn new(message: &Message<'_>) -> std::result::Result<Self, Errno> {
        let policy = message.policy().ok_or(libc::EINVAL)?;
        let (pairs, rest) = policy.requests.as_chunks::<2>();
        if pairs.is_empty() || pairs.len() > MAX_TEMPLATES || !rest.is_empty() {
            return Err(libc::EINVAL);
        }
        let id = XfrmPolicyId { selector: selector(message)?, index: 0, direction: direction(policy)? };
        let entries = pairs.iter().map(migration).collect::<std::result::Result<_, _>>()?;
        let key_manager = message.extensions.iter().find_map(|extension| match extension {
            Extension::KmAddress(addresses) => Some(*addresses),
            _ => None,
        });
        Ok(Self { id, entries, key_manager })
    }

    /// Writes the frame's body.
    ///
    /// # Errors
    /// Never in practice, because the entries are few.
    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.id.emit(writer);
        push_attribute(writer, attribute::MIGRATE, |contents| {
            self.entries.iter().for_each(|entry| entry.emit(contents));
        })?;
        let addresses = self.key_manager.and_then(|manager| manager.local.ip().zip(manager.remote.ip()));
        let Some((local, remote)) = addresses else { return Ok(()) };
        push_attribute(writer, attribute::KMADDRESS, |contents| {
            contents.bytes(&Addr::of(local).0);
            contents.bytes(&Addr::of(remote).0);
            contents.u32(0);
            contents.u16(family(local));
            contents.zeros(2);
        })
    }
}

fn migration([old, new]: &[IpsecRequest; 2]) -> std::result::Result<Migrate, Errno> {
    if (old.proto, old.mode, old.reqid) != (new.proto, new.mode, new.reqid) {
        return Err(libc::EINVAL);
    }
    let endpoints = |request: &IpsecRequest| {
        let (source, destination) = request.endpoints.ok_or(libc::EINVAL)?;
        source.ip().zip(destination.ip()).ok_or(libc::EINVAL)
    };
    let ((old_source, old_destination), (new_source, new_destination)) = (endpoints(old)?, endpoints(new)?);
    Ok(Migrate {
        old_destination: Addr::of(old_destination),
        old_source: Addr::of(old_source),
        new_destination: Addr::of(new_destination),
        new_source: Addr::of(new_source),
        proto: u8::try_from(old.proto).map_err(|_| libc::EINVAL)?,
        mode: mode_to_xfrm(old.mode)?,
        reqid: old.reqid,
        old_family: family(old_source),
        new_family: family(new_source),
    })
}

/// Writes the X_MIGRATE about a migration: the policy's selector, and its steps in pairs, the old one first.
///
/// # Errors
/// [`Error::Malformed`](crate::Error::Malformed) for a body that is too short.
pub(super) fn migrate_message(body: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<()> {
    let id = XfrmPolicyId::parse(body)?;
    let mut requests = Vec::new();
    let mut sa_type = SaType::Unspec;
    while let Some((number, mut contents)) = next_attribute(body)? {
        // The kernel sends one attribute for each entry, and reads one attribute with all of them.
        if number != attribute::MIGRATE {
            continue;
        }
        while contents.remaining() >= Migrate::LEN {
            let entry = Migrate::parse(&mut contents)?;
            if requests.is_empty() {
                sa_type = sa_type_of(entry.proto);
            }
            requests.extend(pair(&entry));
        }
    }
    let mut builder = Builder::new(Abi::HOST, Header::new(MessageType::Migrate, sa_type), out)?;
    push_selector(&mut builder, &id.selector)?;
    // X_MIGRATE of `af_key` has neither index nor priority.
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

/// The old and the new step of one migration.
fn pair(entry: &Migrate) -> [IpsecRequest; 2] {
    let request = |source: Addr, destination: Addr, family| IpsecRequest {
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
