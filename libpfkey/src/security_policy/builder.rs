//! The builder of policies, and the checks that their parts go together.

use super::{PolicyId, PolicySpec, Template};
use crate::policy::Action;
use crate::sa::{Mode, SecurityLabel};
use crate::setters::setters;
use crate::spec_error::SpecError;
use crate::wire::XfrmMark;

/// Builds a [`PolicySpec`]. The defaults are the dialect's priority, no templates and no limits.
#[derive(Clone, Debug)]
pub struct PolicyBuilder(PolicySpec);

impl PolicyBuilder {
    pub(super) fn new(id: PolicyId, action: Action) -> Self {
        Self(PolicySpec {
            id,
            action: Some(action),
            priority: None,
            templates: Vec::new(),
            lifetime: 0,
            idle_lifetime: 0,
        })
    }

    /// Appends a processing step; the first is the innermost.
    #[must_use]
    pub fn template(mut self, template: Template) -> Self {
        self.0.templates.push(template);
        self
    }

    /// Checks and returns the policy.
    ///
    /// # Errors
    /// As [`PolicySpec::check`].
    pub fn build(self) -> Result<PolicySpec, SpecError> {
        self.0.check()?;
        Ok(self.0)
    }
}

setters! {
    PolicyBuilder {
        /// Sets the priority: smaller is earlier in the database.
        priority(priority: u32) => priority = Some(priority);
        /// Lets the kernel remove the policy after this time, in seconds.
        lifetime(seconds: u64) => lifetime = seconds;
        /// Lets the kernel remove the policy when it has not been used for this time, in seconds.
        idle_lifetime(seconds: u64) => idle_lifetime = seconds;
        /// Sets the security label (Linux).
        label(label: SecurityLabel) => id.label = Some(label);
        /// Restricts the policy to packets with a mark (NETLINK_XFRM only).
        mark(mark: XfrmMark) => id.mark = Some(mark);
        /// Binds the policy to an XFRM interface (NETLINK_XFRM only).
        if_id(id: u32) => id.if_id = Some(id);
    }
}

impl PolicySpec {
    /// Checks that the parts go together, on any kernel.
    ///
    /// # Errors
    /// The first contradiction, and how to avoid it.
    pub fn check(&self) -> Result<(), SpecError> {
        self.id.selector.check()?;
        match (self.action, self.templates.is_empty()) {
            // Linux would take it for `none`, and let the packets pass unprotected.
            (Some(Action::Ipsec), true) => return Err(SpecError::MissingTemplate),
            (Some(Action::Ipsec), false) | (_, true) => {}
            // Kernels ignore them, so the caller would believe the packets protected.
            (_, false) => return Err(SpecError::SuperfluousTemplate),
        }
        for Template { mode, endpoints, .. } in &self.templates {
            match endpoints {
                // NetBSD takes such a policy; the others refuse it.
                None if *mode == Mode::Tunnel => return Err(SpecError::MissingEndpoints),
                Some((source, destination)) if source.is_ipv4() != destination.is_ipv4() => {
                    return Err(SpecError::AddressFamilies { from: source.ip(), to: destination.ip() });
                }
                _ => {}
            }
        }
        Ok(())
    }
}
