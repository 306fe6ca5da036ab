//! Translation of policies between the engine and PF_KEY.

use std::net::SocketAddr;

use libpfkey::num::{
    DIR_FWD, DIR_IN, DIR_OUT, POLICY_BYPASS, POLICY_DISCARD, POLICY_IPSEC, POLICY_NONE, SCOPE_PCB, ULPROTO_ANY,
};
use libpfkey::policy::{self as text, PRIORITY_DEFAULT};
use libpfkey::rules;
use libpfkey::wire::{Address, IpsecRequest};
use libpfkey::{Dialect, Message, PolicyId, PolicySpec, SelectorAddress};
use racoon_proto::kernel::{
    Direction, KernelError, Mode, Policy, PolicyAction, Prefix, Selector, Template, TemplateLevel,
};

use super::{Target, mode_of, protocol_of, refused, sa_type_of};

/// Returns the policy in a message, or `None` for a per-socket policy and for kinds that use no SAs.
///
/// # Errors
/// Names the missing or invalid part.
pub(super) fn from_message(message: &Message<'_>) -> Result<Option<Policy>, &'static str> {
    let Some((direction, selector)) = name(message)? else { return Ok(None) };
    let policy = message.policy().ok_or("no policy")?;
    let action = match policy.kind {
        POLICY_DISCARD => PolicyAction::Discard,
        POLICY_NONE | POLICY_BYPASS => PolicyAction::Pass,
        // Linux treats an `ipsec` policy without requests as `none`.
        POLICY_IPSEC if policy.requests.is_empty() => PolicyAction::Pass,
        POLICY_IPSEC => {
            let templates = policy.requests.iter().map(template).collect::<Option<Vec<_>>>();
            PolicyAction::Protect(templates.ok_or("a request for neither AH, ESP nor IPComp, or of an unknown level")?)
        }
        _ => return Ok(None),
    };
    let priority = if message.abi.dialect.has_priority() { policy.priority } else { 0 };
    Ok(Some(Policy { index: policy.id, direction, selector, action, priority }))
}

/// Returns direction and selector of the policy in a message, or `None` for a per-socket policy.
///
/// # Errors
/// Names the missing or invalid part.
pub(super) fn name(message: &Message<'_>) -> Result<Option<(Direction, Selector)>, &'static str> {
    let policy = message.policy().ok_or("no policy")?;
    let dialect = message.abi.dialect;
    if dialect == Dialect::FreeBsd && policy.scope == SCOPE_PCB {
        return Ok(None);
    }
    let direction = match policy.direction {
        DIR_IN => Direction::In,
        DIR_OUT => Direction::Out,
        DIR_FWD if dialect.has_forward() => Direction::Forward,
        _ => return Ok(None),
    };
    let (source, destination) = message.source().zip(message.destination()).ok_or("no addresses")?;
    Ok(Some((direction, selector(source, destination)?)))
}

/// Returns the selector that two address extensions describe.
///
/// # Errors
/// If the addresses are neither IPv4 nor IPv6, or of different families.
pub(super) fn selector(source: &Address, destination: &Address) -> Result<Selector, &'static str> {
    let prefix = |end: &Address| end.sockaddr.ip().map(|ip| Prefix::new(ip, end.prefix));
    let (from, to) = prefix(source).zip(prefix(destination)).ok_or("addresses of neither IPv4 nor IPv6")?;
    if from.address().is_ipv4() != to.address().is_ipv4() {
        return Err("addresses of different families");
    }
    Ok(Selector {
        source: from,
        destination: to,
        protocol: if destination.proto == ULPROTO_ANY { 0 } else { destination.proto },
        source_port: source.sockaddr.port(),
        destination_port: destination.sockaddr.port(),
    })
}

fn template(request: &IpsecRequest) -> Option<Template> {
    let libpfkey::Template { sa_type, mode, level, endpoints } = libpfkey::Template::from_request(request)?;
    let (level, reqid) = match level {
        text::Level::Default => (TemplateLevel::Default, 0),
        text::Level::Use => (TemplateLevel::Use, 0),
        text::Level::Require => (TemplateLevel::Require, 0),
        text::Level::Unique(reqid) => (TemplateLevel::Unique, reqid),
    };
    let mode = match mode {
        libpfkey::Mode::Transport => Mode::Transport,
        libpfkey::Mode::Tunnel => Mode::Tunnel,
        // The BSDs have a mode `any`, and Linux has others, of which only a tunnel has endpoints.
        _ if endpoints.is_some() => Mode::Tunnel,
        _ => Mode::Transport,
    };
    let endpoints = endpoints.map(|(source, destination)| (source.ip(), destination.ip()));
    Some(Template { protocol: protocol_of(sa_type)?, mode, level, reqid, endpoints })
}

/// Returns the request for a policy, or `None` if the kernel has no policies of its direction.
///
/// # Errors
/// For templates of a protocol other than AH, ESP and IPComp, and for what PF_KEY of this kernel cannot carry.
pub(super) fn to_spec(target: Target, policy: &Policy) -> Result<Option<PolicySpec>, KernelError> {
    let dialect = target.abi.dialect;
    let Some(spec) = spec(dialect, policy)? else { return Ok(None) };
    if !target.has_xfrm {
        let source = policy.selector.source.address();
        let checked = spec.to_wire(dialect).map(|policy| rules::family_change(dialect, source, &policy));
        checked.map_err(|error| refused(error.to_string()))?.map_err(|error| refused(error.to_string()))?;
    }
    Ok(Some(spec))
}

/// Returns the specification of a policy, or `None` if the kernel has no policies of its direction.
///
/// # Errors
/// For templates of a protocol other than AH, ESP and IPComp.
pub(super) fn spec(dialect: Dialect, policy: &Policy) -> Result<Option<PolicySpec>, KernelError> {
    let Some(id) = policy_id(dialect, policy.direction, &policy.selector) else { return Ok(None) };
    let (action, templates) = match &policy.action {
        PolicyAction::Discard => (text::Action::Discard, Vec::new()),
        PolicyAction::Pass => (text::Action::None, Vec::new()),
        PolicyAction::Protect(templates) => {
            (text::Action::Ipsec, templates.iter().map(template_spec).collect::<Result<_, _>>()?)
        }
    };
    // Where the engine chose no priority, the policy gets the one of setkey's policies.
    let priority = (dialect.has_priority() && policy.priority != PRIORITY_DEFAULT).then_some(policy.priority);
    Ok(Some(PolicySpec { id, action: Some(action), priority, templates, lifetime: 0, idle_lifetime: 0 }))
}

/// Returns the priority that a policy gets.
pub(super) fn priority_in(dialect: Dialect, priority: u32) -> u32 {
    match priority {
        _ if !dialect.has_priority() => 0,
        PRIORITY_DEFAULT => dialect.default_priority(),
        chosen => chosen,
    }
}

/// Returns the name of a policy, or `None` if the kernel has no policies of its direction.
pub(super) fn policy_id(dialect: Dialect, direction: Direction, selector: &Selector) -> Option<PolicyId> {
    let direction = match direction {
        Direction::In => text::Direction::In,
        Direction::Out => text::Direction::Out,
        Direction::Forward if dialect.has_forward() => text::Direction::Forward,
        Direction::Forward => return None,
    };
    let end = |prefix: Prefix, port| SelectorAddress {
        address: SocketAddr::new(prefix.address(), port),
        prefix_len: prefix.length(),
    };
    let (source, destination) =
        (end(selector.source, selector.source_port), end(selector.destination, selector.destination_port));
    let protocol = if selector.protocol == 0 { ULPROTO_ANY } else { selector.protocol };
    Some(PolicyId::new(libpfkey::Selector { source, destination, protocol }, direction))
}

fn template_spec(template: &Template) -> Result<libpfkey::Template, KernelError> {
    let sa_type =
        sa_type_of(template.protocol).ok_or_else(|| refused(format!("no policy can require {}", template.protocol)))?;
    let level = match template.level {
        TemplateLevel::Default => text::Level::Default,
        TemplateLevel::Use => text::Level::Use,
        TemplateLevel::Require => text::Level::Require,
        TemplateLevel::Unique => text::Level::Unique(template.reqid),
    };
    let endpoints =
        template.endpoints.map(|(source, destination)| (SocketAddr::new(source, 0), SocketAddr::new(destination, 0)));
    Ok(libpfkey::Template { sa_type, mode: mode_of(template.mode), level, endpoints })
}
