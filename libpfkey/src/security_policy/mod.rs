//! Security policies: the name of one ([`PolicyId`]), its specification ([`PolicySpec`]), and what a kernel reports
//! ([`InstalledPolicy`]).

mod builder;
mod installed;
mod template;
#[cfg(test)]
mod tests;

use std::fmt;

pub use builder::PolicyBuilder;
pub use installed::InstalledPolicy;
pub use template::Template;

use crate::dialect::Dialect;
use crate::error::Result;
use crate::num::{
    DIR_FWD, DIR_IN, DIR_OUT, POLICY_BYPASS, POLICY_DISCARD, POLICY_ENTRUST, POLICY_IPSEC, POLICY_NONE, ULPROTO_ANY,
};
use crate::policy::{self, Action, Direction, PRIORITY_DEFAULT};
use crate::sa::SecurityLabel;
use crate::selector::Selector;
use crate::strerror::Code;
use crate::wire::{Policy, XfrmMark};

/// The name of a policy. A kernel has at most one policy with this name; the priority is not part of it.
///
/// ```
/// use libpfkey::policy::Direction;
/// use libpfkey::{PolicyId, Selector};
///
/// let id = PolicyId::new(Selector::hosts("192.0.2.1".parse()?, "192.0.2.2".parse()?), Direction::Out);
/// assert_eq!(id.to_string(), "out 192.0.2.1/32 192.0.2.2/32 any 0 0");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PolicyId {
    /// The packets that it applies to.
    pub selector: Selector,
    /// Their direction.
    pub direction: Direction,
    /// Security label (Linux).
    pub label: Option<SecurityLabel>,
    /// Mark of the packets, by which Linux tells apart policies with the same selector (NETLINK_XFRM only).
    pub mark: Option<XfrmMark>,
    /// Identifier of an XFRM interface (NETLINK_XFRM only).
    pub if_id: Option<u32>,
}

impl PolicyId {
    /// The policy of a selector and direction.
    pub fn new(selector: Selector, direction: Direction) -> Self {
        Self { selector, direction, label: None, mark: None, if_id: None }
    }
}

impl fmt::Display for PolicyId {
    /// Direction, addresses, upper-layer protocol (`any` or a number) and ports: `out 10.0.0.0/24 10.1.0.0/24 6 0 80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Selector { source, destination, protocol } = self.selector;
        f.write_str(match self.direction {
            Direction::In => "in",
            Direction::Out => "out",
            Direction::Forward => "fwd",
        })?;
        for end in [source, destination] {
            write!(f, " {}/{}", end.address.ip(), end.prefix_len)?;
        }
        match protocol {
            ULPROTO_ANY => f.write_str(" any")?,
            number => write!(f, " {number}")?,
        }
        write!(f, " {} {}", source.address.port(), destination.address.port())
    }
}

/// A policy to be added or updated. [`PolicySpec::builder`] checks that its parts go together.
///
/// ```
/// use libpfkey::policy::{Direction, Level};
/// use libpfkey::{PolicySpec, SaType, Selector, Template};
///
/// let (here, there) = ("192.0.2.1".parse()?, "192.0.2.2".parse()?);
/// let policy = PolicySpec::ipsec(Selector::hosts(here, there), Direction::Out)
///     .template(Template::transport(SaType::Esp, Level::Require))
///     .build()?;
/// assert_eq!(policy.templates.len(), 1);
///
/// let error = PolicySpec::ipsec(Selector::hosts(here, there), Direction::Out).build().unwrap_err();
/// assert_eq!(error.to_string(), "an ipsec policy needs a template: add one with PolicyBuilder::template");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySpec {
    /// Its name.
    pub id: PolicyId,
    /// Treatment of the packets; `None` in SPDDELETE, which needs only the name.
    pub action: Option<Action>,
    /// Priority: smaller values come first (Linux and FreeBSD). `None` is the default of the dialect, see
    /// [`Dialect::default_priority`]. Among equals the one that was added first comes first.
    pub priority: Option<u32>,
    /// The SAs that protect the packets, the innermost first.
    pub templates: Vec<Template>,
    /// Seconds until the kernel removes it; 0 is never.
    pub lifetime: u64,
    /// Seconds without use until the kernel removes it; 0 is never.
    pub idle_lifetime: u64,
}

impl PolicySpec {
    /// A name alone, for SPDDELETE.
    pub(crate) fn named(id: PolicyId) -> Self {
        Self { id, action: None, priority: None, templates: Vec::new(), lifetime: 0, idle_lifetime: 0 }
    }

    /// Builds a policy with this name and action.
    pub fn builder(id: PolicyId, action: Action) -> PolicyBuilder {
        PolicyBuilder::new(id, action)
    }

    /// Builds a policy that demands IPsec processing.
    pub fn ipsec(selector: Selector, direction: Direction) -> PolicyBuilder {
        Self::builder(PolicyId::new(selector, direction), Action::Ipsec)
    }

    /// Builds a policy that drops packets.
    pub fn discard(selector: Selector, direction: Direction) -> PolicyBuilder {
        Self::builder(PolicyId::new(selector, direction), Action::Discard)
    }

    /// Builds a policy that lets packets pass in clear.
    pub fn none(selector: Selector, direction: Direction) -> PolicyBuilder {
        Self::builder(PolicyId::new(selector, direction), Action::None)
    }

    /// Converts a text of the policy language, for a selector.
    ///
    /// # Errors
    /// [`Code::InvalidAddress`] for a zone that is not an interface.
    pub fn from_text(selector: Selector, text: &policy::PolicyText) -> Result<Self> {
        Ok(Self {
            id: PolicyId::new(selector, text.direction),
            action: text.action,
            priority: text.priority,
            templates: text.requests.iter().map(Template::from_text).collect::<Result<_>>()?,
            lifetime: 0,
            idle_lifetime: 0,
        })
    }

    /// Returns the policy extension in a dialect. Where there are no forward policies, `fwd` means `in`.
    ///
    /// # Errors
    /// [`Code::PriorityNotSupported`] for a priority where the dialect has none, [`Code::InvalidLevel`] for a reqid that
    /// does not fit.
    pub fn to_wire(&self, dialect: Dialect) -> Result<Policy> {
        let priority = match (self.priority, self.action) {
            // `prio def` is what such a kernel does with every policy.
            (Some(PRIORITY_DEFAULT) | None, _) if !dialect.has_priority() => 0,
            (Some(_), _) if !dialect.has_priority() => return Err(Code::PriorityNotSupported.into()),
            (Some(priority), _) => priority,
            (None, Some(_)) => dialect.default_priority(),
            // libipsec sends no priority in SPDDELETE.
            (None, None) => 0,
        };
        let kind = match self.action {
            // The kind counts for nothing in SPDDELETE, but FreeBSD refuses one above 2.
            None | Some(Action::Discard) => POLICY_DISCARD,
            Some(Action::None) => POLICY_NONE,
            Some(Action::Ipsec) => POLICY_IPSEC,
            Some(Action::Entrust) => POLICY_ENTRUST,
            Some(Action::Bypass) => POLICY_BYPASS,
        };
        let direction = direction_number(self.id.direction, dialect);
        let requests = self.templates.iter().map(|template| template.to_wire(dialect)).collect::<Result<_>>()?;
        // The kernel chooses scope and id.
        Ok(Policy { kind, direction, scope: 0, id: 0, priority, requests })
    }
}

fn direction_number(direction: Direction, dialect: Dialect) -> u8 {
    match direction {
        Direction::In => DIR_IN,
        Direction::Out => DIR_OUT,
        Direction::Forward if dialect.has_forward() => DIR_FWD,
        // There `in` covers the packets that the host forwards, and the number of `fwd` is refused.
        Direction::Forward => DIR_IN,
    }
}
