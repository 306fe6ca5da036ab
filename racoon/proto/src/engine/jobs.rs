//! Jobs that are not done, and who waits for them.

use std::collections::HashMap;

use crate::engine::{Phase1Id, Phase2Id};
use crate::output::JobId;

/// Who waits for a job: for one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Phase1(Phase1Id),
    Phase2(Phase2Id),
}

/// Jobs that are not done. Those that nobody waits for any more are not among them.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    owners: HashMap<JobId, Owner>,
    of_owner: HashMap<Owner, JobId>,
}

impl Jobs {
    /// A job is handed out.
    pub(crate) fn insert(&mut self, job: JobId, owner: Owner) {
        self.forget(owner);
        self.owners.insert(job, owner);
        self.of_owner.insert(owner, job);
    }

    /// A job is done: who waited for it, if still somebody does.
    pub(crate) fn take(&mut self, job: JobId) -> Option<Owner> {
        let owner = self.owners.remove(&job)?;
        self.of_owner.remove(&owner);
        Some(owner)
    }

    /// Nobody is there any more to wait. (A job may never be done: its thread may have panicked.)
    pub(crate) fn forget(&mut self, owner: Owner) {
        if let Some(job) = self.of_owner.remove(&owner) {
            self.owners.remove(&job);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.owners.len()
    }
}
