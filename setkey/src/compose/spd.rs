//! `spdadd`, `spdupdate`, `spddelete`.

use std::net::SocketAddr;

use ipsec_conf::setkey::{
    self as language, AddressOptions, ParseError, Range, Selector, Statement, Upper, Word, upper_spec,
};
use libpfkey::num::{DIR_FWD, DIR_IN, LEVEL_REQUIRE, LEVEL_UNIQUE, ULPROTO_ANY};
use libpfkey::policy::Level;
use libpfkey::protocol::protocol_number;
use libpfkey::request::RequestHeader;
use libpfkey::rules;
use libpfkey::wire::{Address, Policy, SockAddr};
use libpfkey::{Code, Extension, ExtensionType, MessageType, SaType};

use super::{Label, Refusal, Target, at_culprit};
use crate::resolve::addresses;

/// A statement about one policy.
#[derive(Debug)]
pub(crate) struct SpdPlan {
    message_type: MessageType,
    /// The policy.
    pub(crate) policy: Policy,
    /// Source and destination; none for a tagged policy.
    selector: Option<(Address, Address)>,
    label: Option<Label>,
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
    let (selector, label) = match &spd.selector {
        // The tag itself has an extension in no current kernel: what is sent lacks a selector, and is refused.
        Selector::Tagged(_) => (None, None),
        Selector::Ranges { source, destination, upper, misc, context } => {
            let (proto, ports) = upper_layer(statement, upper, misc.as_ref())?;
            let ends = ends(statement, source, destination, spd.options, target)?;
            (Some(selector(source, destination, ends, proto, ports)), context.as_ref().map(Label::new))
        }
    };
    let policy =
        Policy::from_text(&spd.policy, target.dialect()).map_err(|error| refused(statement, spd, target, &error))?;
    if let Some((source, _)) = selector.filter(|_| !target.has_xfrm && message_type != MessageType::SpdDelete)
        && let Some(source) = source.sockaddr.ip()
        && let Err(refused) = rules::family_change(target.dialect(), source, &policy)
    {
        return Err(statement.error_at_end(start_of_policy(spd), refused.reason).into());
    }
    if label.is_some() && ExtensionType::SecurityContext.number(target.dialect()).is_none() {
        let text = format!("Not supported: a PF_KEY message of {} has no place for -ctx", target.dialect());
        return Err(statement.error_at_end(statement.option_offset(&["-ctx"]).unwrap_or(0), text).into());
    }
    Ok(SpdPlan { message_type, policy, selector, label })
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
    /// What the dialect cannot say.
    pub(crate) fn emit(&self, header: RequestHeader, buffer: &mut Vec<u8>) -> libpfkey::Result<()> {
        let mut builder = header.builder(self.message_type, SaType::Unspec, buffer)?;
        builder.push(&Extension::Policy(self.policy.clone()))?;
        if let Some((source, destination)) = self.selector {
            builder.push(&Extension::Address(ExtensionType::AddressSrc, source))?;
            builder.push(&Extension::Address(ExtensionType::AddressDst, destination))?;
        }
        if let Some(label) = &self.label {
            builder.push(&label.extension())?;
        }
        builder.finish()
    }

    /// Turns an `in` policy into the `fwd` one that goes with it; `false` for another direction. A first request of
    /// level unique loses its reqid: forwarded packets were not decrypted by the SA that it names.
    pub(crate) fn make_forward(&mut self) -> bool {
        if self.policy.direction != DIR_IN {
            return false;
        }
        self.policy.direction = DIR_FWD;
        if let Some(first) = self.policy.requests.first_mut().filter(|first| first.level == LEVEL_UNIQUE) {
            first.level = LEVEL_REQUIRE;
            first.reqid = 0;
        }
        true
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
) -> (Address, Address) {
    if let Some((first, second)) = ports {
        ends.0.set_port(first);
        ends.1.set_port(second);
    }
    let address = |range: &Range<'_>, end: SocketAddr| {
        let sockaddr = SockAddr::Inet(end);
        Address { proto, prefix: range.prefix.unwrap_or(sockaddr.full_prefix()), reserved: 0, sockaddr }
    };
    (address(source, ends.0), address(destination, ends.1))
}
