//! `spdadd`, `spdupdate`, `spddelete`.

use std::net::{Ipv4Addr, SocketAddr};

use ipsec_conf::setkey::{
    self as language, AddressOptions, ParseError, Range, Selector, Statement, Upper, Word, upper_spec,
};
use libpfkey::num::ULPROTO_ANY;
use libpfkey::policy::{Direction, Level};
use libpfkey::protocol::protocol_number;
use libpfkey::request::{Encoding, Request, RequestHeader, encode_policy};
use libpfkey::rules;
use libpfkey::{Code, Extension, ExtensionType, MessageType, PolicySpec, SaType, SelectorAddress};

use super::{Refusal, Target, at_culprit, label};
use crate::resolve::addresses;

/// A statement about one policy.
#[derive(Clone, Debug)]
pub(crate) struct SpdPlan {
    message_type: MessageType,
    pub(crate) policy: PolicySpec,
    /// Its priority as the kernel shows it.
    pub(crate) priority: u32,
    /// A tag stands for the selector, which no kernel takes from PF_KEY.
    is_tagged: bool,
    encoding: Encoding,
}

/// Checks a statement's operands and prepares its message.
///
/// # Errors
/// What is wrong, with KAME setkey's token: the text after `-P`, for it looks at the operands last.
pub(crate) fn plan_spd(
    message_type: MessageType,
    statement: &Statement<'_>,
    spd: &language::Spd<'_>,
    target: &Target<'_>,
) -> Result<SpdPlan, Refusal> {
    let (selector, label, is_tagged) = match &spd.selector {
        // No current kernel has an extension for the tag: the message lacks a selector and is refused.
        Selector::Tagged(_) => {
            let any = SelectorAddress { address: (Ipv4Addr::UNSPECIFIED, 0).into(), prefix_len: 0 };
            (libpfkey::Selector::new(any, any), None, true)
        }
        Selector::Ranges { source, destination, upper, misc, context } => {
            let (proto, ports) = upper_layer(statement, upper, misc.as_ref())?;
            let ends = ends(statement, source, destination, spd.options, target)?;
            (selector(source, destination, ends, proto, ports), context.as_ref().map(label), false)
        }
    };
    let refused = |error| refused(statement, spd, target, &error);
    let mut policy = PolicySpec::from_text(selector, &spd.policy).map_err(refused)?;
    let expressed = policy.to_wire(target.dialect()).map_err(refused)?;
    if !is_tagged
        && !target.has_xfrm
        && message_type != MessageType::SpdDelete
        && let Err(refused) = rules::family_change(target.dialect(), selector.source.address.ip(), &expressed)
    {
        return Err(statement.error_at_end(start_of_policy(spd), refused.reason).into());
    }
    if label.is_some() && ExtensionType::SecurityContext.number(target.dialect()).is_none() {
        let text = format!("Not supported: a PF_KEY message of {} has no place for -ctx", target.dialect());
        return Err(statement.error_at_end(statement.option_offset(&["-ctx"]).unwrap_or(0), text).into());
    }
    policy.id.label = label;
    let encoding = target.encoding();
    Ok(SpdPlan { message_type, policy, priority: expressed.priority, is_tagged, encoding })
}

/// A policy that the dialect cannot say, with the part that it cannot.
fn refused(
    statement: &Statement<'_>,
    spd: &language::Spd<'_>,
    target: &Target<'_>,
    error: &libpfkey::Error,
) -> ParseError {
    let at = |part: &str| spd.policy_text.text.find(part).map(|at| spd.policy_text.offset + at);
    let too_big = spd.policy.requests.iter().find_map(|request| match request.level {
        Level::Unique(reqid) => Some(reqid).filter(|reqid| u16::try_from(*reqid).is_err()),
        _ => None,
    });
    let (place, text) = match (error, too_big) {
        (libpfkey::Error::Refused(Code::InvalidLevel), Some(reqid)) => {
            let bits = format!("reqid {reqid} not in 0 to 65535: policies of {} have 16 bits for it", target.dialect());
            (at(&format!("unique:{reqid}")), bits)
        }
        (libpfkey::Error::Refused(Code::PriorityNotSupported), _) => (at("prio"), error.strerror()),
        _ => (None, error.strerror()),
    };
    statement.error_at_end(place.unwrap_or_else(|| start_of_policy(spd)), text)
}

/// Where the text of a policy begins.
pub(crate) fn start_of_policy(spd: &language::Spd<'_>) -> usize {
    let text = spd.policy_text;
    text.offset + (text.text.len() - text.text.trim_start().len())
}

impl SpdPlan {
    /// Writes the message.
    ///
    /// # Errors
    /// What the dialect cannot express.
    pub(crate) fn encode(&self, header: RequestHeader, buffer: &mut Vec<u8>) -> libpfkey::Result<()> {
        if !self.is_tagged {
            return encode_policy(self.message_type, &self.policy, header, self.encoding, buffer);
        }
        let policy = self.policy.to_wire(header.abi.dialect)?;
        header.write(self.message_type, SaType::Unspec, buffer, |builder| builder.push(&Extension::Policy(policy)))
    }

    /// Whether it is a policy for forwarded packets.
    pub(crate) fn is_forward(&self) -> bool {
        self.policy.id.direction == Direction::Forward
    }

    /// Returns the `fwd` policy that goes with an `in` one; `None` for another direction. A first template of level unique
    /// loses its reqid: forwarded packets were not decrypted by the SA that it names.
    pub(crate) fn forward(&self) -> Option<Self> {
        if self.policy.id.direction != Direction::In {
            return None;
        }
        let mut plan = self.clone();
        plan.policy.id.direction = Direction::Forward;
        if let Some(first) = plan.policy.templates.first_mut().filter(|first| matches!(first.level, Level::Unique(_))) {
            first.level = Level::Require;
        }
        Some(plan)
    }

    /// Returns the constructor of the typed request. There is none for a deletion, where KAME setkey sends all that was
    /// written of the policy, and none for a tagged policy, which lacks a selector.
    pub(crate) fn typed(&self) -> Option<fn(Box<PolicySpec>) -> Request> {
        match self.message_type {
            MessageType::SpdAdd if !self.is_tagged => Some(Request::PolicyAdd),
            MessageType::SpdUpdate if !self.is_tagged => Some(Request::PolicyUpdate),
            _ => None,
        }
    }
}

/// Protocol number, and the ports that a specification after it stands for.
fn upper_layer(
    statement: &Statement<'_>,
    upper: &Upper<'_>,
    misc: Option<&Word<'_>>,
) -> Result<(u8, Option<(u16, u16)>), Refusal> {
    let proto = match upper {
        Upper::Any => ULPROTO_ANY,
        Upper::Number(number) => *number,
        Upper::Named(name) => protocol_number(name.text).ok_or_else(|| unknown_protocol(statement, *name))?,
    };
    let Some(misc) = misc else { return Ok((proto, None)) };
    let ports = upper_spec(proto, misc.text)
        .ok_or_else(|| statement.error_at_end(misc.offset, "invalid an upper layer protocol spec"))?;
    Ok((proto, Some(ports)))
}

/// An upper-layer protocol that the system has no number for.
fn unknown_protocol(statement: &Statement<'_>, name: Word<'_>) -> ParseError {
    let hint = match name.text.to_ascii_lowercase().as_str() {
        "all" | "ipv4" | "inet" => "did you mean `any`? IPv4 in IP is 4",
        "icmpv6" => "did you mean `icmp6`?",
        "ping" | "icmp4" | "icmpv4" => "did you mean `icmp`?",
        _ => "a name from /etc/protocols, a number or `any` stands here",
    };
    ParseError { hint: Some(hint.into()), ..statement.error_at(name.offset, "invalid upper layer protocol") }
}

/// The one address of each end.
fn ends(
    statement: &Statement<'_>,
    source: &Range<'_>,
    destination: &Range<'_>,
    options: AddressOptions,
    target: &Target<'_>,
) -> Result<(SocketAddr, SocketAddr), Refusal> {
    let resolve = |range: &Range<'_>| {
        addresses(range.host, range.port, options, target.names).map_err(|unresolved| {
            let error = statement.error_at_end(range.host.offset, unresolved.text.clone());
            Refusal::from(at_culprit(error, range.host, range.port, &unresolved))
        })
    };
    let (sources, destinations) = (resolve(source)?, resolve(destination)?);
    let one = |all: &[SocketAddr], range: &Range<'_>| match all {
        [one] => Ok(*one),
        _ => Err(Refusal::from(statement.error_at_end(range.host.offset, "multiple address specified"))),
    };
    let ends = (one(&sources, source)?, one(&destinations, destination)?);
    if ends.0.is_ipv4() == ends.1.is_ipv4() { Ok(ends) } else { Err(Refusal::Families) }
}

fn selector(
    source: &Range<'_>,
    destination: &Range<'_>,
    mut ends: (SocketAddr, SocketAddr),
    proto: u8,
    ports: Option<(u16, u16)>,
) -> libpfkey::Selector {
    // PF_KEY has no field for a type and code or a key: they are sent in place of the ports.
    if let Some((first, second)) = ports {
        ends.0.set_port(first);
        ends.1.set_port(second);
    }
    let end = |range: &Range<'_>, address: SocketAddr| {
        let whole = SelectorAddress::host(address.ip()).prefix_len;
        SelectorAddress { address, prefix_len: range.prefix.unwrap_or(whole) }
    };
    libpfkey::Selector::new(end(source, ends.0), end(destination, ends.1)).protocol(proto)
}
