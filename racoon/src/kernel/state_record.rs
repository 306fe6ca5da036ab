//! Entries of the state file about SAs and policies.

use libpfkey::Dialect;
use libpfkey::kernel_state::{self, Confirmation, PolicyEntry, PolicyKey, Record, SaEntry, SaKey};
use racoon_proto::kernel::{
    Action, Direction, Level, Mode, Policy, PolicyName, Prefix, SaInstallation, SaName, Selector, Template,
};
use racoon_proto::num::Protocol;

use super::{KernelInterface, LogRecord, policy};
use crate::clock::since_1970;
use crate::kernel_state::StateLog;

impl KernelInterface {
    /// Records in a state file what is installed and removed from now on.
    pub fn set_state_log(&mut self, log: StateLog) {
        self.state_log = Some(log);
    }

    /// Returns the contents of the state file.
    #[cfg(test)]
    pub(super) fn listed(&self) -> Option<&kernel_state::KernelState> {
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
        let Some(key) = key_of(&installation.name) else { return };
        let SaInstallation { mode, reqid, .. } = *installation;
        self.record(Record::SaRequest(SaEntry {
            key,
            mode: of_mode(mode),
            reqid,
            requested: since_1970(),
            confirmed: None,
        }));
    }

    /// Records that the kernel has an SA.
    pub(super) fn record_sa_present(&mut self, name: &SaName) {
        if let Some(key) = key_of(name).filter(|_| self.state_log.is_some()) {
            self.record(Record::SaPresent(key, since_1970()));
        }
    }

    /// Records that the kernel has no such SA.
    pub(super) fn record_sa_gone(&mut self, name: &SaName) {
        if let Some(key) = key_of(name) {
            self.record(Record::SaGone(key));
        }
    }

    /// Records that a policy is about to be requested. Returns the previous entry of that name.
    pub(super) fn record_policy_request(&mut self, policy: &Policy) -> Option<PolicyEntry> {
        let log = self.state_log.as_ref()?;
        let (key, action) = entry_of(policy)?;
        let listed = log.state().policies.get(&key).cloned();
        let priority = policy::priority_in(self.requests.abi().dialect, policy.priority);
        let requested = since_1970();
        self.record(Record::PolicyRequest(PolicyEntry { key, action, priority, requested, confirmed: None }));
        listed
    }

    /// Restores the previous entry after the kernel refused a policy: another one exists, which may be ours.
    pub(super) fn record_policy_refused(&mut self, policy: &Policy, listed: Option<PolicyEntry>) {
        let Some(entry) = listed else { return self.record_policy_gone(policy.direction, &policy.selector) };
        let (key, confirmed) = (entry.key, entry.confirmed);
        self.record(Record::PolicyRequest(entry));
        if let Some(confirmation) = confirmed {
            self.record(Record::PolicyPresent(key, confirmation));
        }
    }

    /// Records that the kernel has a policy, with its index.
    pub(super) fn record_policy_present(&mut self, policy: &Policy) {
        if self.state_log.is_some() {
            let key = policy_key(policy.direction, &policy.selector);
            self.record(Record::PolicyPresent(key, Confirmation { index: policy.index, time: since_1970() }));
        }
    }

    /// Whether a policy in the kernel is ours. Its selector has to match; on Linux, where a replaced policy keeps its
    /// index, its action and priority too, as far as the state file lists ours.
    pub(super) fn is_ours(&self, present: &Policy, name: &PolicyName) -> bool {
        if (present.direction, present.selector) != (name.direction, name.selector) {
            return false;
        }
        let Some(log) = self.state_log.as_ref().filter(|_| self.requests.abi().dialect == Dialect::Linux) else {
            return true;
        };
        let listed = log.state().policies.get(&policy_key(name.direction, &name.selector));
        let listed = listed.filter(|entry| entry.confirmed.is_some_and(|confirmed| confirmed.index == name.index));
        listed.is_none_or(|entry| {
            let action = entry_of(present).map(|(_, action)| action);
            present.priority == entry.priority && action.as_ref() == Some(&entry.action)
        })
    }

    /// Records that the kernel has no such policy of ours. Deletion by another program needs no record, because the
    /// policy put in its place differs from the entry.
    pub(super) fn record_policy_gone(&mut self, direction: Direction, selector: &Selector) {
        self.record(Record::PolicyGone(policy_key(direction, selector)));
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

/// Returns a policy's key and action in the state file's terms; `None` if the file cannot express it.
pub(super) fn entry_of(policy: &Policy) -> Option<(PolicyKey, kernel_state::Action)> {
    let action = match &policy.action {
        Action::Discard => kernel_state::Action::Discard,
        Action::Pass => kernel_state::Action::Pass,
        Action::Protect(templates) => {
            kernel_state::Action::Protect(templates.iter().map(template).collect::<Option<_>>()?)
        }
    };
    Some((policy_key(policy.direction, &policy.selector), action))
}

fn template(template: &Template) -> Option<kernel_state::Template> {
    let level = match template.level {
        Level::Default => kernel_state::Level::Default,
        Level::Use => kernel_state::Level::Use,
        Level::Require => kernel_state::Level::Require,
        Level::Unique => kernel_state::Level::Unique,
    };
    let tunnel = template.mode == Mode::Tunnel;
    Some(kernel_state::Template {
        protocol: protocol_of(template.protocol)?,
        mode: of_mode(template.mode),
        level,
        reqid: template.reqid,
        // In transport mode kernels show no endpoints, or those of the packet.
        endpoints: template.endpoints.filter(|_| tunnel),
    })
}

fn policy_key(direction: Direction, selector: &Selector) -> PolicyKey {
    let prefix = |prefix: Prefix| kernel_state::Prefix { address: prefix.address(), length: prefix.length() };
    PolicyKey {
        direction: match direction {
            Direction::In => kernel_state::Direction::In,
            Direction::Out => kernel_state::Direction::Out,
            Direction::Forward => kernel_state::Direction::Forward,
        },
        selector: kernel_state::Selector {
            source: prefix(selector.source),
            destination: prefix(selector.destination),
            protocol: selector.protocol,
            source_port: selector.source_port,
            destination_port: selector.destination_port,
        },
    }
}

/// Returns an SA's key in the state file; `None` if the file cannot express its protocol.
pub(super) fn key_of(name: &SaName) -> Option<SaKey> {
    let SaName { protocol, source, destination, spi } = *name;
    Some(SaKey { protocol: protocol_of(protocol)?, source, destination, spi })
}

pub(super) fn name_of(key: &SaKey) -> SaName {
    let SaKey { protocol, source, destination, spi } = *key;
    let protocol = match protocol {
        kernel_state::Protocol::Ah => Protocol::AH,
        kernel_state::Protocol::Esp => Protocol::ESP,
        kernel_state::Protocol::Ipcomp => Protocol::IPCOMP,
    };
    SaName { protocol, source, destination, spi }
}

fn protocol_of(protocol: Protocol) -> Option<kernel_state::Protocol> {
    match protocol {
        Protocol::AH => Some(kernel_state::Protocol::Ah),
        Protocol::ESP => Some(kernel_state::Protocol::Esp),
        Protocol::IPCOMP => Some(kernel_state::Protocol::Ipcomp),
        _ => None,
    }
}

fn of_mode(mode: Mode) -> kernel_state::Mode {
    match mode {
        Mode::Transport => kernel_state::Mode::Transport,
        Mode::Tunnel => kernel_state::Mode::Tunnel,
    }
}
