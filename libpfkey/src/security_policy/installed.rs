//! A policy as a kernel reports it.

use super::{PolicyId, PolicySpec, Template};
use crate::num::{
    DIR_FWD, DIR_IN, DIR_OUT, ExtensionType, POLICY_BYPASS, POLICY_DISCARD, POLICY_ENTRUST, POLICY_IPSEC, POLICY_NONE,
};
use crate::policy::{Action, Direction};
use crate::selector::Selector;
use crate::wire::{Lifetime, Message};

/// A policy in a kernel's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledPolicy {
    /// What it was installed with: it can be added again.
    pub spec: PolicySpec,
    /// The kernel's index of it (`sadb_x_policy_id`).
    pub index: u32,
    /// Times of creation and of last use.
    pub current: Lifetime,
}

impl InstalledPolicy {
    /// The policy in a reply or event; `None` if the message has none, for the policies of sockets, and for what no
    /// [`PolicySpec`] expresses.
    pub fn from_message(message: &Message<'_>) -> Option<Self> {
        let policy = message.policy()?;
        let direction = match policy.direction {
            DIR_IN => Direction::In,
            DIR_OUT => Direction::Out,
            DIR_FWD => Direction::Forward,
            _ => return None,
        };
        let action = match policy.kind {
            POLICY_DISCARD => Action::Discard,
            POLICY_NONE => Action::None,
            POLICY_IPSEC => Action::Ipsec,
            POLICY_ENTRUST => Action::Entrust,
            POLICY_BYPASS => Action::Bypass,
            _ => return None,
        };
        let xfrm = message.xfrm();
        let limits = message.lifetime(ExtensionType::LifetimeHard).copied().unwrap_or_default();
        let id = PolicyId {
            selector: Selector::from_wire(message.source()?, message.destination()?)?,
            direction,
            label: message.security_context().map(|context| (*context).into()),
            mark: xfrm.mark,
            if_id: xfrm.if_id,
        };
        let spec = PolicySpec {
            id,
            action: Some(action),
            priority: message.abi.dialect.has_priority().then_some(policy.priority),
            templates: policy.requests.iter().map(Template::from_wire).collect::<Option<_>>()?,
            lifetime: limits.addtime,
            idle_lifetime: limits.usetime,
        };
        let current = message.lifetime(ExtensionType::LifetimeCurrent).copied().unwrap_or_default();
        Some(Self { spec, index: policy.id, current })
    }
}
