//! SAs and policies that stay, whatever the files say: those that racoon has listed in its state file.

use libpfkey::kernel_state::KernelState;
use libpfkey::{InstalledPolicy, InstalledSa, Message, state_file};

/// Entries of racoon.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    racoon: KernelState,
}

impl Foreign {
    /// Reads racoon's list for this boot and network namespace. It is empty if racoon has not written one.
    ///
    /// # Errors
    /// Returns the line that says why the list cannot be read.
    pub(crate) fn of_this_host() -> Result<Self, String> {
        // A system without a boot id has no list.
        let Ok(id) = state_file::kernel_id() else { return Ok(Self::default()) };
        let path = state_file::path(&id);
        let read = state_file::read(&path, &id);
        let file = read.map_err(|error| {
            format!("cannot read racoon's state file {}: {error}; remove it if racoon is not running", path.display())
        })?;
        Ok(file.map_or_else(Self::default, |file| Self::listed(file.state)))
    }

    /// Returns the entries of a list.
    pub(super) fn listed(racoon: KernelState) -> Self {
        Self { racoon }
    }

    /// Returns whether an SA in the kernel belongs to racoon.
    pub(super) fn has_sa(&self, message: &Message<'_>) -> bool {
        // Most hosts run no racoon: then nothing is read of the message, whose keys would be copied.
        !self.racoon.sas.is_empty() && InstalledSa::from_message(message).is_some_and(|sa| self.racoon.has_sa(&sa))
    }

    /// Returns whether a policy in the kernel belongs to racoon.
    pub(super) fn has_policy(&self, message: &Message<'_>) -> bool {
        !self.racoon.policies.is_empty()
            && InstalledPolicy::from_message(message).is_some_and(|policy| self.racoon.has_policy(&policy))
    }
}
