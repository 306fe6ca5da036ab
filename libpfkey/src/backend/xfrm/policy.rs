//! Policies: PF_KEY requests to netlink, and netlink's policies to PF_KEY messages.

use std::net::SocketAddr;

use super::layout::{Addr, Limits, Migrate, PolicyId, PolicyInfo, Selector, Template, family};
use super::netlink::{next_attribute, push_attribute, push_if_id, push_mark};
use super::numbers::{ACTION_BLOCK, INF, attribute};
use super::sa_reply::parse_context;
use super::sa_request::{Errno, emit_context, limits, mode_to_pfkey, mode_to_xfrm};
use crate::dialect::Abi;
use crate::error::Result;
use crate::num::{
    DIR_FWD, DIR_IN, DIR_OUT, ExtensionType, LEVEL_REQUIRE, LEVEL_UNIQUE, LEVEL_USE, MANUAL_REQID_MAX, MODE_TUNNEL,
    MessageType, POLICY_DISCARD, POLICY_IPSEC, POLICY_NONE, SaType, ULPROTO_ANY,
};
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;
use crate::wire::{
    Address, Builder, Extension, Header, IpsecRequest, KmAddress, Lifetime, Message, Policy, SecurityContext, SockAddr,
    XfrmExtensions, XfrmMark,
};

/// Most templates of a policy (`XFRM_MAX_DEPTH`).
const MAX_TEMPLATES: usize = 6;

/// What a NEWPOLICY or UPDPOLICY says.
pub(super) struct PolicyFrame<'a> {
    info: PolicyInfo,
    templates: Vec<Template>,
    context: Option<SecurityContext<'a>>,
    id: XfrmId,
}

impl<'a> PolicyFrame<'a> {
    /// Checks an SPDADD, SPDUPDATE or SPDSETIDX as `af_key` does. `reqid` gives a free one for level unique.
    ///
    /// # Errors
    /// The errno that it answers with.
    pub(super) fn new(
        message: &Message<'a>,
        reqid: &mut dyn FnMut() -> std::result::Result<u32, Errno>,
    ) -> std::result::Result<Self, Errno> {
        let policy = message.policy().ok_or(libc::EINVAL)?;
        let selector = selector(message)?;
        let direction = direction(policy)?;
        // A tunnel has one outer header, even where the endpoints are not used.
        let mixes_families = |request: &IpsecRequest| {
            request.endpoints.is_some_and(|(source, destination)| !source.same_family(&destination))
        };
        if steps(policy).any(mixes_families) {
            return Err(libc::EINVAL);
        }
        if !matches!(policy.kind, POLICY_DISCARD | POLICY_NONE | POLICY_IPSEC) {
            return Err(libc::EINVAL);
        }
        let mut templates = Vec::new();
        for request in steps(policy) {
            if templates.len() == MAX_TEMPLATES {
                return Err(libc::ELOOP);
            }
            // A step without ends has the family that the one before it made.
            let family = templates.last().map_or(selector.family, |before: &Template| before.family);
            templates.push(template(request, family, reqid)?);
        }
        let limit = |kind| message.lifetime(kind);
        Ok(Self {
            info: PolicyInfo {
                selector,
                limits: limits(limit(ExtensionType::LifetimeHard), limit(ExtensionType::LifetimeSoft)),
                priority: policy.priority,
                direction,
                action: if policy.kind == POLICY_DISCARD { ACTION_BLOCK } else { 0 },
                ..PolicyInfo::default()
            },
            templates,
            context: message.security_context().copied(),
            id: XfrmId::of(message),
        })
    }

    /// Writes the frame's body.
    ///
    /// # Errors
    /// For labels longer than an attribute.
    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.info.emit(writer);
        if !self.templates.is_empty() {
            push_attribute(writer, attribute::TMPL, |contents| {
                self.templates.iter().for_each(|template| template.emit(contents));
            })?;
        }
        if let Some(context) = self.context {
            push_attribute(writer, attribute::SEC_CTX, |contents| emit_context(&context, contents))?;
        }
        self.id.emit(writer)
    }
}

/// Mark and interface id, by which the kernel tells policies of one selector apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct XfrmId {
    mark: Option<XfrmMark>,
    if_id: Option<u32>,
}

impl XfrmId {
    /// Those of a request.
    pub(super) fn of(message: &Message<'_>) -> Self {
        let XfrmExtensions { mark, if_id, .. } = message.xfrm();
        Self { mark, if_id }
    }

    /// Appends the attributes.
    ///
    /// # Errors
    /// Never in practice: they are short.
    pub(super) fn emit(self, writer: &mut Writer<'_>) -> Result<()> {
        push_mark(writer, self.mark)?;
        push_if_id(writer, self.if_id)
    }
}

/// The processing steps of a policy. Only ipsec policies have any: PF_KEY has no room for others'.
fn steps(policy: &Policy) -> impl Iterator<Item = &IpsecRequest> {
    policy.requests.iter().filter(|_| policy.kind == POLICY_IPSEC)
}

/// Whether a step of level unique leaves the choice of its reqid to the kernel.
pub(super) fn wants_reqid(policy: &Policy) -> bool {
    steps(policy).any(|request| request.level == LEVEL_UNIQUE && is_free_reqid(request.reqid))
}

/// Whether `af_key` replaces a reqid of level unique by one of its own choice.
fn is_free_reqid(reqid: u32) -> bool {
    reqid == 0 || reqid > MANUAL_REQID_MAX
}

/// XFRM's number of a policy's direction.
fn direction(policy: &Policy) -> std::result::Result<u8, Errno> {
    match policy.direction {
        DIR_IN | DIR_OUT | DIR_FWD => Ok(policy.direction - 1),
        _ => Err(libc::EINVAL),
    }
}

/// The selector of a message about policies. The protocol is the destination's.
fn selector(message: &Message<'_>) -> std::result::Result<Selector, Errno> {
    let (source, destination) = message.source().zip(message.destination()).ok_or(libc::EINVAL)?;
    let (Some(source_ip), Some(destination_ip)) = (source.sockaddr.ip(), destination.sockaddr.ip()) else {
        return Err(libc::EINVAL);
    };
    let full = source.sockaddr.full_prefix();
    if source_ip.is_ipv4() != destination_ip.is_ipv4() || source.prefix > full || destination.prefix > full {
        return Err(libc::EINVAL);
    }
    let mask = |port: u16| if port == 0 { 0 } else { u16::MAX };
    Ok(Selector {
        destination: Addr::of(destination_ip),
        source: Addr::of(source_ip),
        destination_port: destination.sockaddr.port(),
        destination_port_mask: mask(destination.sockaddr.port()),
        source_port: source.sockaddr.port(),
        source_port_mask: mask(source.sockaddr.port()),
        family: family(source_ip),
        destination_prefix: destination.prefix,
        source_prefix: source.prefix,
        proto: if destination.proto == ULPROTO_ANY { 0 } else { destination.proto },
        ..Selector::default()
    })
}

fn template(
    request: &IpsecRequest,
    inner_family: u16,
    reqid: &mut dyn FnMut() -> std::result::Result<u32, Errno>,
) -> std::result::Result<Template, Errno> {
    let proto = u8::try_from(request.proto).map_err(|_| libc::EINVAL)?;
    if !matches!(proto, 50 | 51 | 108) || request.mode == 0 {
        return Err(libc::EINVAL);
    }
    let mut template = Template { family: inner_family, mode: mode_to_xfrm(request.mode)?, ..Template::default() };
    template.id.proto = proto;
    match request.level {
        // Whether an outbound tunnel may be optional depends on the kernel's version: it decides.
        LEVEL_USE => template.optional = true,
        LEVEL_UNIQUE if is_free_reqid(request.reqid) => template.reqid = reqid()?,
        LEVEL_UNIQUE => template.reqid = request.reqid,
        // Default, require, and what is no level: a reqid counts for nothing.
        _ => {}
    }
    // BEET has ends, too, but `af_key` passes over them.
    if request.mode == MODE_TUNNEL {
        let (source, destination) = request.endpoints.ok_or(libc::EINVAL)?;
        let (Some(source), Some(destination)) = (source.ip(), destination.ip()) else { return Err(libc::EINVAL) };
        template.family = family(source);
        template.source = Addr::of(source);
        template.id.destination = Addr::of(destination);
    }
    Ok(template)
}

/// The policy that an SPDDELETE names by selector, or an SPDDELETE2 or SPDGET by id.
///
/// # Errors
/// The errno that `af_key` answers with.
pub(super) fn policy_id(message: &Message<'_>) -> std::result::Result<PolicyId, Errno> {
    let policy = message.policy().ok_or(libc::EINVAL)?;
    if message.header.message_type == MessageType::SpdDelete {
        return Ok(PolicyId { selector: selector(message)?, index: 0, direction: direction(policy)? });
    }
    // The low three bits of an id are its direction. Without an index the kernel would look at the selector.
    match u8::try_from(policy.id & 7) {
        Ok(direction @ 0..=2) if policy.id != 0 => Ok(PolicyId { index: policy.id, direction, ..PolicyId::default() }),
        Ok(0..=2) => Err(libc::ENOENT),
        _ => Err(libc::EINVAL),
    }
}

/// The attributes of a policy.
#[derive(Default)]
pub(super) struct PolicyAttributes<'a> {
    pub(super) templates: Vec<Template>,
    pub(super) context: Option<SecurityContext<'a>>,
    id: XfrmId,
    /// A policy of type SUB, which `af_key` does not show.
    pub(super) is_sub: bool,
    /// The policy itself, where it comes as an attribute.
    pub(super) info: Option<PolicyInfo>,
}

impl<'a> PolicyAttributes<'a> {
    /// Reads all attributes that are left.
    ///
    /// # Errors
    /// For attributes that are too short.
    pub(super) fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let mut found = Self::default();
        while let Some((number, mut body)) = next_attribute(reader)? {
            match number {
                attribute::TMPL => {
                    while body.remaining() >= Template::LEN {
                        found.templates.push(Template::parse(&mut body)?);
                    }
                }
                attribute::SEC_CTX => found.context = Some(parse_context(&mut body)?),
                attribute::POLICY_TYPE => found.is_sub = body.u8()? == 1,
                attribute::MARK => found.id.mark = Some(XfrmMark::parse(&mut body)?),
                attribute::IF_ID => found.id.if_id = Some(body.u32()?),
                attribute::POLICY => found.info = Some(PolicyInfo::parse(&mut body)?),
                _ => {}
            }
        }
        Ok(found)
    }

    /// The reqids of the templates.
    pub(super) fn reqids(&self) -> impl Iterator<Item = u32> {
        self.templates.iter().map(|template| template.reqid)
    }
}

/// Writes the PF_KEY message about a policy. `references` is the count that `af_key` would show.
///
/// # Errors
/// Never in practice: all parts fit their fields.
pub(super) fn policy_message(
    (message_type, seq, pid): (MessageType, u32, u32),
    references: u16,
    info: &PolicyInfo,
    attributes: &PolicyAttributes<'_>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let header = Header { seq, pid, reserved: references, ..Header::new(message_type, SaType::Unspec) };
    let mut builder = Builder::new(Abi::HOST, header, out)?;
    let selector = &info.selector;
    let proto = if selector.proto == 0 { ULPROTO_ANY } else { selector.proto };
    let end = |address: Addr, port, prefix| {
        let sockaddr = SockAddr::Inet(SocketAddr::new(address.ip(selector.family), port));
        Address { proto, prefix, reserved: 0, sockaddr }
    };
    let source = end(selector.source, selector.source_port, selector.source_prefix);
    let destination = end(selector.destination, selector.destination_port, selector.destination_prefix);
    builder.push(&Extension::Address(ExtensionType::AddressSrc, source))?;
    builder.push(&Extension::Address(ExtensionType::AddressDst, destination))?;
    for (kind, lifetime) in lifetimes(info) {
        builder.push(&Extension::Lifetime(kind, lifetime))?;
    }
    builder.push(&Extension::Policy(Policy {
        kind: kind(info, attributes),
        direction: info.direction.saturating_add(1),
        scope: 0,
        id: info.index,
        priority: info.priority,
        requests: attributes.templates.iter().filter(|_| info.action != ACTION_BLOCK).map(request).collect(),
    }))?;
    if let Some(context) = attributes.context {
        builder.push(&Extension::SecurityContext(context))?;
    }
    let XfrmId { mark, if_id } = attributes.id;
    XfrmExtensions { mark, if_id, ..XfrmExtensions::default() }.push(&mut builder)?;
    builder.finish()
}

fn kind(info: &PolicyInfo, attributes: &PolicyAttributes<'_>) -> u16 {
    match (info.action, attributes.templates.is_empty()) {
        (ACTION_BLOCK, _) => POLICY_DISCARD,
        (_, true) => POLICY_NONE,
        (_, false) => POLICY_IPSEC,
    }
}

fn request(template: &Template) -> IpsecRequest {
    let level = match (template.optional, template.reqid) {
        (true, _) => LEVEL_USE,
        (false, 0) => LEVEL_REQUIRE,
        (false, _) => LEVEL_UNIQUE,
    };
    let mode = mode_to_pfkey(template.mode);
    let end = |address: Addr| SockAddr::from(address.ip(template.family));
    let endpoints = (mode == MODE_TUNNEL).then(|| (end(template.source), end(template.id.destination)));
    IpsecRequest { proto: u16::from(template.id.proto), mode, level, reqid: template.reqid, endpoints }
}

fn lifetimes(info: &PolicyInfo) -> [(ExtensionType, Lifetime); 3] {
    let count = |value: u64| if value == INF { 0 } else { value };
    let packets = |value| u32::try_from(count(value)).unwrap_or(u32::MAX);
    let Limits { soft_bytes, hard_bytes, soft_packets, hard_packets, soft_add, hard_add, soft_use, hard_use } =
        info.limits;
    let of = |allocations, bytes, addtime, usetime| Lifetime { allocations, bytes, addtime, usetime };
    let current = &info.current;
    let now = of(u32::try_from(current.packets).unwrap_or(u32::MAX), current.bytes, current.add_time, current.use_time);
    [
        (ExtensionType::LifetimeHard, of(packets(hard_packets), count(hard_bytes), hard_add, hard_use)),
        (ExtensionType::LifetimeSoft, of(packets(soft_packets), count(soft_bytes), soft_add, soft_use)),
        (ExtensionType::LifetimeCurrent, now),
    ]
}

/// What a MIGRATE says: the policy, and the ends of its templates before and after.
pub(super) struct Migration {
    id: PolicyId,
    entries: Vec<Migrate>,
    key_manager: Option<KmAddress>,
}

impl Migration {
    /// Checks an X_MIGRATE: its requests come in pairs, old then new.
    ///
    /// # Errors
    /// The errno that `af_key` answers with.
    pub(super) fn new(message: &Message<'_>) -> std::result::Result<Self, Errno> {
        let policy = message.policy().ok_or(libc::EINVAL)?;
        let (pairs, rest) = policy.requests.as_chunks::<2>();
        if pairs.is_empty() || pairs.len() > MAX_TEMPLATES || !rest.is_empty() {
            return Err(libc::EINVAL);
        }
        let id = PolicyId { selector: selector(message)?, index: 0, direction: direction(policy)? };
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
    /// Never in practice: the entries are few.
    pub(super) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        self.id.emit(writer);
        push_attribute(writer, attribute::MIGRATE, |contents| {
            self.entries.iter().for_each(|entry| entry.emit(contents));
        })?;
        let ends = self.key_manager.and_then(|manager| manager.local.ip().zip(manager.remote.ip()));
        let Some((local, remote)) = ends else { return Ok(()) };
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
    let ends = |request: &IpsecRequest| {
        let (source, destination) = request.endpoints.ok_or(libc::EINVAL)?;
        source.ip().zip(destination.ip()).ok_or(libc::EINVAL)
    };
    let ((old_source, old_destination), (new_source, new_destination)) = (ends(old)?, ends(new)?);
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
