//! Entries of the state file about SAs and policies.

use libpfkey::kernel_state::{Confirmation, ListedPolicy, ListedSa, Record, listed_policy};
use libpfkey::{Dialect, PolicyId, PolicySpec, SaId};
use racoon_proto::kernel::{Direction, Policy, PolicyName, SaInstallation, SaName, Selector};

use super::{KernelInterface, LogRecord, compose, mode_of, policy, protocol_of};
use crate::clock::since_1970;
use crate::kernel_state::StateLog;

impl KernelInterface {
    /// Records in a state file what is installed and removed from now on.
    pub fn set_state_log(&mut self, log: StateLog) {
        self.state_log = Some(log);
    }

    /// Returns the contents of the state file.
    #[cfg(test)]
    pub(super) fn listed(&self) -> Option<&libpfkey::kernel_state::KernelState> {
        self.state_log.as_ref().map(StateLog::state)
    }

    /// Stops recording, and removes the state file if it lists nothing.
    pub fn close_state_log(&mut self) {
        if let Some(log) = self.state_log.take() {
            log.remove_if_empty();
        }
    }

    /// Records that an SA is about to be requested.
    pub(super) fn record_sa_request(&mut self, installation: &SaInstallation) {
        if self.state_log.is_none() {
            return;
        }
        let Some(id) = id_of(&installation.name) else { return };
        let SaInstallation { mode, reqid, .. } = *installation;
        self.record(Record::SaRequest(ListedSa {
            id,
            mode: mode_of(mode),
            reqid,
            requested: since_1970(),
            confirmed: None,
        }));
    }

    /// Records that the kernel has an SA.
    pub(super) fn record_sa_present(&mut self, name: &SaName) {
        if let Some(id) = id_of(name).filter(|_| self.state_log.is_some()) {
            self.record(Record::SaPresent(id, since_1970()));
        }
    }

    /// Records that the kernel has no such SA.
    pub(super) fn record_sa_gone(&mut self, name: &SaName) {
        if let Some(id) = id_of(name) {
            self.record(Record::SaGone(id));
        }
    }

    /// Records that a policy is about to be requested. Returns the previous entry of that name.
    pub(super) fn record_policy_request(&mut self, policy: &Policy) -> Option<ListedPolicy> {
        let log = self.state_log.as_ref()?;
        let spec = spec_of(self.requests.abi().dialect, policy)?;
        let listed = log.state().policies.get(&spec.id).cloned();
        self.record(Record::PolicyRequest(ListedPolicy::new(&spec, since_1970())));
        listed
    }

    /// Restores the previous entry after the kernel refused a policy: another one exists, which may be ours.
    pub(super) fn record_policy_refused(&mut self, policy: &Policy, listed: Option<ListedPolicy>) {
        // The request has replaced an entry of ours in the file, but not our policy in the kernel.
        let Some(entry) = listed else { return self.record_policy_gone(policy.direction, &policy.selector) };
        let (id, confirmed) = (entry.spec.id.clone(), entry.confirmed);
        self.record(Record::PolicyRequest(entry));
        if let Some(confirmation) = confirmed {
            self.record(Record::PolicyPresent(id, confirmation));
        }
    }

    /// Records that the kernel has a policy, with its index.
    pub(super) fn record_policy_present(&mut self, policy: &Policy) {
        if self.state_log.is_none() {
            return;
        }
        if let Some(id) = self.policy_id(policy.direction, &policy.selector) {
            self.record(Record::PolicyPresent(id, Confirmation { index: policy.index, time: since_1970() }));
        }
    }

    /// Whether a policy in the kernel is ours. Its selector has to match; on Linux, where a replaced policy keeps its
    /// index, its action and priority too, as far as the state file lists ours.
    pub(super) fn is_ours(&self, present: &Policy, name: &PolicyName) -> bool {
        if (present.direction, present.selector) != (name.direction, name.selector) {
            return false;
        }
        let dialect = self.requests.abi().dialect;
        let Some(log) = self.state_log.as_ref().filter(|_| dialect == Dialect::Linux) else { return true };
        let Some(present) = spec_of(dialect, present) else { return false };
        let listed = log.state().policies.get(&present.id);
        let listed = listed.filter(|entry| entry.confirmed.is_some_and(|confirmed| confirmed.index == name.index));
        listed.is_none_or(|entry| entry.spec == listed_policy(&present))
    }

    /// Records that the kernel has no such policy of ours. Deletion by another program needs no record, because the
    /// policy put in its place differs from the entry.
    pub(super) fn record_policy_gone(&mut self, direction: Direction, selector: &Selector) {
        if let Some(id) = self.policy_id(direction, selector) {
            self.record(Record::PolicyGone(id));
        }
    }

    fn policy_id(&self, direction: Direction, selector: &Selector) -> Option<PolicyId> {
        policy::policy_id(self.requests.abi().dialect, direction, selector)
    }

    /// Writes a record. A failure is logged once, until a record can be written again.
    pub(super) fn record(&mut self, record: Record) {
        let Some(log) = &mut self.state_log else { return };
        match log.record(record) {
            Ok(()) => self.state_write_failed = false,
            Err(_) if self.state_write_failed => {}
            Err(error) => {
                self.state_write_failed = true;
                let text =
                    format!("state file: {error}; if racoon crashes now, SAs and policies are left in the kernel");
                (self.log)(LogRecord::Warning(text));
            }
        }
    }
}

/// Returns a policy as the kernel will show it; `None` if it has none of this direction, or cannot express its templates.
fn spec_of(dialect: Dialect, policy: &Policy) -> Option<PolicySpec> {
    let spec = policy::spec(dialect, policy).ok()??;
    // Where the request leaves the choice to the kernel, the kernel shows a number.
    Some(PolicySpec { priority: Some(policy::priority_in(dialect, policy.priority)), ..spec })
}

/// Returns the name of an SA in the state file; `None` for a protocol that has no SAs.
pub(super) fn id_of(name: &SaName) -> Option<SaId> {
    compose::sa_id(name, None).ok()
}

/// Returns the engine's name of a listed SA; `None` for a protocol that racoon does not negotiate.
pub(super) fn name_of(id: &SaId) -> Option<SaName> {
    let SaId { source, destination, spi, .. } = *id;
    Some(SaName { protocol: protocol_of(id.sa_type)?, source: source.ip(), destination: destination.ip(), spi })
}
