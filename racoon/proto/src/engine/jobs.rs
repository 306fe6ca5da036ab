//! Jobs that have not finished, and the conversations that wait for them.

use std::collections::HashMap;

use crate::conversation::ConversationId;
use crate::output::JobId;

/// Jobs that have not finished. A conversation waits for one at a time; those that no conversation waits for any longer are
/// not included.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    owners: HashMap<JobId, ConversationId>,
    of_owner: HashMap<ConversationId, JobId>,
}

impl Jobs {
    /// Adds a job, which replaces an earlier one of its owner.
    pub(crate) fn insert(&mut self, job: JobId, owner: ConversationId) {
        self.forget(owner);
        self.owners.insert(job, owner);
        self.of_owner.insert(owner, job);
    }

    /// Removes a finished job and returns its owner, unless that waits no longer.
    pub(crate) fn take(&mut self, job: JobId) -> Option<ConversationId> {
        let owner = self.owners.remove(&job)?;
        self.of_owner.remove(&owner);
        Some(owner)
    }

    /// Drops the job of an owner that waits no longer. A job may never finish: its thread may have panicked.
    pub(crate) fn forget(&mut self, owner: ConversationId) {
        if let Some(job) = self.of_owner.remove(&owner) {
            self.owners.remove(&job);
        }
    }

    /// Number of jobs that have not finished.
    pub(crate) fn len(&self) -> usize {
        self.owners.len()
    }
}
