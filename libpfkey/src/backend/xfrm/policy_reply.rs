//! A netlink policy as the PF_KEY message that `af_key` would have made of it.

use std::net::SocketAddr;

use super::conversion::{current_to_pfkey, limits_to_pfkey, mode_to_pfkey, parse_context};
use super::layout::{Addr, PolicyInfo, XfrmSelector, XfrmTemplate};
use super::netlink::next_attribute;
use super::numbers::{ACTION_BLOCK, attribute};
use super::policy_request::XfrmId;
use crate::dialect::Abi;
use crate::error::Result;
use crate::num::{
    ExtensionType, LEVEL_REQUIRE, LEVEL_UNIQUE, LEVEL_USE, MODE_TUNNEL, MessageType, POLICY_DISCARD, POLICY_IPSEC,
    POLICY_NONE, SaType, ULPROTO_ANY,
};
use crate::wire::reader::Reader;
use crate::wire::{
    Address, Builder, Extension, Header, IpsecRequest, Policy, SecurityContext, SockAddr, XfrmExtensions, XfrmMark,
};

/// The attributes of a policy.
#[derive(Default)]
pub(super) struct PolicyAttributes<'a> {
    pub(super) templates: Vec<XfrmTemplate>,
    pub(super) context: Option<SecurityContext<'a>>,
    xfrm_id: XfrmId,
    /// Whether the policy is of type SUB, which `af_key` does not show.
    pub(super) is_sub: bool,
    /// The policy itself, in notifications of a removal.
    pub(super) info: Option<PolicyInfo>,
}

impl<'a> PolicyAttributes<'a> {
    /// Reads the remaining attributes.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed) for an attribute that is too short.
    pub(super) fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let mut found = Self::default();
        while let Some((number, mut body)) = next_attribute(reader)? {
            match number {
                attribute::TMPL => {
                    while body.remaining() >= XfrmTemplate::LEN {
                        found.templates.push(XfrmTemplate::parse(&mut body)?);
                    }
                }
                attribute::SEC_CTX => found.context = Some(parse_context(&mut body)?),
                attribute::POLICY_TYPE => found.is_sub = body.u8()? == 1,
                attribute::MARK => found.xfrm_id.mark = Some(XfrmMark::parse(&mut body)?),
                attribute::IF_ID => found.xfrm_id.if_id = Some(body.u32()?),
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

/// Writes the PF_KEY message about a policy. `references` is the reference count that `af_key` would show.
///
/// # Errors
/// Never in practice, because all parts fit their fields.
pub(super) fn policy_message(
    (message_type, seq, pid): (MessageType, u32, u32),
    references: u16,
    info: &PolicyInfo,
    attributes: &PolicyAttributes<'_>,
    out: &mut Vec<u8>,
) -> Result<()> {
    let header = Header { seq, pid, reserved: references, ..Header::new(message_type, SaType::Unspec) };
    let mut builder = Builder::new(Abi::HOST, header, out)?;
    push_selector(&mut builder, &info.selector)?;
    let (hard, soft) = limits_to_pfkey(&info.limits);
    builder.push(&Extension::Lifetime(ExtensionType::LifetimeHard, hard))?;
    builder.push(&Extension::Lifetime(ExtensionType::LifetimeSoft, soft))?;
    builder.push(&Extension::Lifetime(ExtensionType::LifetimeCurrent, current_to_pfkey(&info.current)))?;
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
    let XfrmId { mark, if_id } = attributes.xfrm_id;
    XfrmExtensions { mark, if_id, ..XfrmExtensions::default() }.push(&mut builder)?;
    builder.finish()
}

/// Appends the addresses of a selector.
///
/// # Errors
/// Never in practice, because addresses fit a message.
pub(super) fn push_selector(builder: &mut Builder<'_>, selector: &XfrmSelector) -> Result<()> {
    let proto = if selector.proto == 0 { ULPROTO_ANY } else { selector.proto };
    let end = |address: Addr, port, prefix| {
        let sockaddr = SockAddr::Inet(SocketAddr::new(address.ip(selector.family), port));
        Address { proto, prefix, reserved: 0, sockaddr }
    };
    let source = end(selector.source, selector.source_port, selector.source_prefix);
    let destination = end(selector.destination, selector.destination_port, selector.destination_prefix);
    builder.push(&Extension::Address(ExtensionType::AddressSrc, source))?;
    builder.push(&Extension::Address(ExtensionType::AddressDst, destination))
}

fn kind(info: &PolicyInfo, attributes: &PolicyAttributes<'_>) -> u16 {
    match (info.action, attributes.templates.is_empty()) {
        (ACTION_BLOCK, _) => POLICY_DISCARD,
        (_, true) => POLICY_NONE,
        (_, false) => POLICY_IPSEC,
    }
}

/// The step that a template expresses. XFRM has no levels: a reqid stands for unique.
fn request(template: &XfrmTemplate) -> IpsecRequest {
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
