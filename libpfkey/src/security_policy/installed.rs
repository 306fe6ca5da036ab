//! Policies as kernels report them.

use super::{PolicyId, PolicySpec, Template};
use crate::num::{
    DIR_FWD, DIR_IN, DIR_OUT, ExtensionType, POLICY_BYPASS, POLICY_DISCARD, POLICY_ENTRUST, POLICY_IPSEC, POLICY_NONE,
};
use crate::policy::{Action, Direction};
use crate::selector::Selector;
use crate::wire::{Lifetime, Message};

/// A policy in a kernel's database.
///
/// ```
/// use libpfkey::backend::BackendKind;
/// use libpfkey::policy::Direction;
/// use libpfkey::{Dialect, Kernel, PolicySpec, Selector};
///
/// let mut kernel = Kernel::open_kind(&BackendKind::Memory, Some(Dialect::Linux))?;
/// let selector = Selector::hosts("192.0.2.1".parse()?, "192.0.2.2".parse()?);
/// kernel.policy_add(&PolicySpec::discard(selector, Direction::In).build()?)?;
/// for installed in kernel.policy_dump()? {
///     assert_eq!(installed.spec.id.selector, selector);
///     kernel.policy_delete_index(installed.index)?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledPolicy {
    /// What it was installed with. It can be added again.
    pub spec: PolicySpec,
    /// The index that the kernel has given it (`sadb_x_policy_id`).
    pub index: u32,
    /// When it was created (`addtime`) and last used (`usetime`), in seconds since 1970; 0 where the kernel does not tell.
    pub current: Lifetime,
}

impl InstalledPolicy {
    /// Reads the policy in a reply or event. `None` if the message has none, for the policies of sockets, and for what no
    /// [`PolicySpec`] expresses.
    pub fn from_message(message: &Message<'_>) -> Option<Self> {
        let policy = message.policy()?;
        let direction = match policy.direction {
            DIR_IN => Direction::In,
            DIR_OUT => Direction::Out,
            DIR_FWD => Direction::Forward,
            // 4 and 5 are those of Linux' socket policies.
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
            // Elsewhere the field is reserved, and may hold anything.
            priority: message.abi.dialect.has_priority().then_some(policy.priority),
            templates: policy.requests.iter().map(Template::from_request).collect::<Option<_>>()?,
            // In policies only these two limits have a meaning on every kernel.
            lifetime: limits.addtime,
            idle_lifetime: limits.usetime,
        };
        let current = message.lifetime(ExtensionType::LifetimeCurrent).copied().unwrap_or_default();
        Some(Self { spec, index: policy.id, current })
    }
}
