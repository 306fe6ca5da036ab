//! Builds a policy and checks that its parts go together.

use super::{PolicyId, PolicySpec, Template};
use crate::policy::Action;
use crate::sa::{Mode, SecurityLabel};
use crate::spec_error::SpecError;
use crate::wire::XfrmMark;

/// Builds a [`PolicySpec`]. Defaults: the dialect's priority, no templates, no limits.
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

    /// Sets the priority: smaller is earlier in the database.
    #[must_use]
    pub fn priority(mut self, priority: u32) -> Self {
        self.0.priority = Some(priority);
        self
    }

    /// Removes the policy after so many seconds.
    #[must_use]
    pub fn lifetime(mut self, seconds: u64) -> Self {
        self.0.lifetime = seconds;
        self
    }

    /// Removes the policy when it was not used for so many seconds.
    #[must_use]
    pub fn idle_lifetime(mut self, seconds: u64) -> Self {
        self.0.idle_lifetime = seconds;
        self
    }

    /// Sets the security label.
    #[must_use]
    pub fn label(mut self, label: SecurityLabel) -> Self {
        self.0.id.label = Some(label);
        self
    }

    /// Sets the mark that packets have.
    #[must_use]
    pub fn mark(mut self, mark: XfrmMark) -> Self {
        self.0.id.mark = Some(mark);
        self
    }

    /// Binds the policy to an XFRM interface.
    #[must_use]
    pub fn if_id(mut self, id: u32) -> Self {
        self.0.id.if_id = Some(id);
        self
    }

    /// Finishes the policy.
    ///
    /// # Errors
    /// As [`PolicySpec::check`].
    pub fn build(self) -> Result<PolicySpec, SpecError> {
        self.0.check()?;
        Ok(self.0)
    }
}

impl PolicySpec {
    /// Checks that the parts go together, whatever the kernel.
    ///
    /// # Errors
    /// The first contradiction, with what was expected.
    pub fn check(&self) -> Result<(), SpecError> {
        self.id.selector.check()?;
        match (self.action, self.templates.is_empty()) {
            (Some(Action::Ipsec), true) => return Err(SpecError::MissingTemplate),
            (Some(Action::Ipsec), false) | (_, true) => {}
            (_, false) => return Err(SpecError::SuperfluousTemplate),
        }
        for Template { mode, endpoints, .. } in &self.templates {
            match endpoints {
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
