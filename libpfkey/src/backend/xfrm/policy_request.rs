//! Requests about policies: what `af_key` checks, and the netlink request with the same effect.

use super::conversion::{Errno, emit_context, limits_to_xfrm, mode_to_xfrm};
use super::layout::{Addr, PolicyInfo, XfrmPolicyId, XfrmSelector, XfrmTemplate, family};
use super::netlink::{push_attribute, push_if_id, push_mark};
use super::numbers::{ACTION_BLOCK, attribute};
use crate::error::Result;
use crate::num::{
    DIR_FWD, DIR_IN, DIR_OUT, ExtensionType, LEVEL_UNIQUE, LEVEL_USE, MANUAL_REQID_MAX, MODE_TUNNEL, MessageType,
    POLICY_DISCARD, POLICY_IPSEC, POLICY_NONE, ULPROTO_ANY,
};
use crate::wire::writer::Writer;
use crate::wire::{IpsecRequest, Message, Policy, SecurityContext, XfrmExtensions, XfrmMark};

/// Most templates of a policy (`XFRM_MAX_DEPTH`).
pub(super) const MAX_TEMPLATES: usize = 6;

/// The contents of a NEWPOLICY or UPDPOLICY.
pub(super) struct PolicyFrame<'a> {
    info: PolicyInfo,
    templates: Vec<XfrmTemplate>,
    /// Indices of the templates whose reqid is still to be chosen.
    without_reqid: Vec<usize>,
    context: Option<SecurityContext<'a>>,
    id: XfrmId,
}

impl<'a> PolicyFrame<'a> {
    /// Checks an SPDADD, SPDUPDATE or SPDSETIDX as `af_key` does.
    ///
    /// # Errors
    /// The errno that `af_key` answers with.
    pub(super) fn new(message: &Message<'a>) -> std::result::Result<Self, Errno> {
        let policy = message.policy().ok_or(libc::EINVAL)?;
        let selector = selector(message)?;
        let direction = direction(policy)?;
        if !matches!(policy.kind, POLICY_DISCARD | POLICY_NONE | POLICY_IPSEC) {
            return Err(libc::EINVAL);
        }
        // Only ipsec policies have steps: PF_KEY has no room for those of others.
        let steps = || policy.requests.iter().filter(|_| policy.kind == POLICY_IPSEC);
        // The parser of PF_KEY messages refuses this before any step is checked.
        let mixes_families =
            |step: &IpsecRequest| step.endpoints.is_some_and(|(source, destination)| !source.same_family(&destination));
        if steps().any(mixes_families) {
            return Err(libc::EINVAL);
        }
        let (mut templates, mut without_reqid) = (Vec::new(), Vec::new());
        for step in steps() {
            if templates.len() == MAX_TEMPLATES {
                return Err(libc::ELOOP);
            }
            // A step without endpoints encapsulates what the previous step has made, which may be of another family.
            let family = templates.last().map_or(selector.family, |previous: &XfrmTemplate| previous.family);
            if leaves_reqid_open(step) {
                without_reqid.push(templates.len());
            }
            templates.push(template(step, family)?);
        }
        let limit = |kind| message.lifetime(kind);
        Ok(Self {
            info: PolicyInfo {
                selector,
                limits: limits_to_xfrm(limit(ExtensionType::LifetimeHard), limit(ExtensionType::LifetimeSoft)),
                priority: policy.priority,
                direction,
                action: if policy.kind == POLICY_DISCARD { ACTION_BLOCK } else { 0 },
                // With index 0 the kernel chooses one. `af_key` ignores the index in a request.
                ..PolicyInfo::default()
            },
            templates,
            without_reqid,
            context: message.security_context().copied(),
            id: XfrmId::of(message),
        })
    }

    /// Whether a reqid has to be chosen.
    pub(super) fn wants_reqid(&self) -> bool {
        !self.without_reqid.is_empty()
    }

    /// Chooses the reqids of level unique that the request leaves to the kernel. `free` returns one that is not in use.
    ///
    /// # Errors
    /// Those of `free`.
    pub(super) fn choose_reqids(
        &mut self,
        mut free: impl FnMut() -> std::result::Result<u32, Errno>,
    ) -> std::result::Result<(), Errno> {
        for index in self.without_reqid.drain(..) {
            if let Some(template) = self.templates.get_mut(index) {
                template.reqid = free()?;
            }
        }
        Ok(())
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

/// Mark and XFRM interface, which are part of a policy's name beside selector and direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct XfrmId {
    pub(super) mark: Option<XfrmMark>,
    pub(super) if_id: Option<u32>,
}

impl XfrmId {
    /// The name's parts in a request.
    pub(super) fn of(message: &Message<'_>) -> Self {
        let XfrmExtensions { mark, if_id, .. } = message.xfrm();
        Self { mark, if_id }
    }

    /// Appends the attributes.
    ///
    /// # Errors
    /// Never in practice, because the attributes are short.
    pub(super) fn emit(self, writer: &mut Writer<'_>) -> Result<()> {
        push_mark(writer, self.mark)?;
        push_if_id(writer, self.if_id)
    }
}

/// XFRM's number of a policy's direction.
pub(super) fn direction(policy: &Policy) -> std::result::Result<u8, Errno> {
    match policy.direction {
        DIR_IN | DIR_OUT | DIR_FWD => Ok(policy.direction - 1),
        _ => Err(libc::EINVAL),
    }
}

/// The selector of a message about policies. As `af_key` does, it takes the protocol from the destination.
pub(super) fn selector(message: &Message<'_>) -> std::result::Result<XfrmSelector, Errno> {
    let (source, destination) = message.source().zip(message.destination()).ok_or(libc::EINVAL)?;
    let (Some(source_ip), Some(destination_ip)) = (source.sockaddr.ip(), destination.sockaddr.ip()) else {
        return Err(libc::EINVAL);
    };
    let full = source.sockaddr.full_prefix();
    if source_ip.is_ipv4() != destination_ip.is_ipv4() || source.prefix > full || destination.prefix > full {
        return Err(libc::EINVAL);
    }
    // Port 0 is any port, as in PF_KEY. So the ICMP type and code 0, which are ports here, cannot be expressed.
    let mask = |port: u16| if port == 0 { 0 } else { u16::MAX };
    Ok(XfrmSelector {
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
        ..XfrmSelector::default()
    })
}

/// Whether a step of level unique leaves its reqid to the kernel. `af_key` ignores a requested one above the manual range.
fn leaves_reqid_open(request: &IpsecRequest) -> bool {
    request.level == LEVEL_UNIQUE && (request.reqid == 0 || request.reqid > MANUAL_REQID_MAX)
}

/// The template of a step. `inner_family` is the address family of the packets that the step receives.
fn template(request: &IpsecRequest, inner_family: u16) -> std::result::Result<XfrmTemplate, Errno> {
    let proto = u8::try_from(request.proto).map_err(|_| libc::EINVAL)?;
    if !matches!(proto, 50 | 51 | 108) || request.mode == 0 {
        return Err(libc::EINVAL);
    }
    let mut template =
        XfrmTemplate { family: inner_family, mode: mode_to_xfrm(request.mode)?, ..XfrmTemplate::default() };
    template.id.proto = proto;
    match request.level {
        // Some versions of the kernel refuse an optional outbound tunnel, so it is left to the kernel.
        LEVEL_USE => template.optional = true,
        LEVEL_UNIQUE if !leaves_reqid_open(request) => template.reqid = request.reqid,
        // `af_key` ignores the reqid of other levels, and takes an unknown level for require.
        _ => {}
    }
    // `af_key` ignores the endpoints of BEET mode.
    if request.mode == MODE_TUNNEL {
        let (source, destination) = request.endpoints.ok_or(libc::EINVAL)?;
        let (Some(source), Some(destination)) = (source.ip(), destination.ip()) else { return Err(libc::EINVAL) };
        template.family = family(source);
        template.source = Addr::of(source);
        template.id.destination = Addr::of(destination);
    }
    Ok(template)
}

/// The policy that an SPDDELETE names by its selector, or an SPDDELETE2 or SPDGET by its index.
///
/// # Errors
/// The errno that `af_key` answers with.
pub(super) fn policy_id(message: &Message<'_>) -> std::result::Result<XfrmPolicyId, Errno> {
    let policy = message.policy().ok_or(libc::EINVAL)?;
    if message.header.message_type == MessageType::SpdDelete {
        return Ok(XfrmPolicyId { selector: selector(message)?, index: 0, direction: direction(policy)? });
    }
    // The low three bits of an index are the direction. With index 0 the kernel would look up the empty selector.
    match u8::try_from(policy.id & 7) {
        Ok(direction @ 0..=2) if policy.id != 0 => {
            Ok(XfrmPolicyId { index: policy.id, direction, ..XfrmPolicyId::default() })
        }
        Ok(0..=2) => Err(libc::ENOENT),
        _ => Err(libc::EINVAL),
    }
}
