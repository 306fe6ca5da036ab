//! Entries of the state file about SAs and policies, and the removal of what a crashed racoon left in the kernel.

use std::collections::HashMap;

use libpfkey::kernel_state::{
    self, Confirmation, PolicyEntry, PolicyInKernel, PolicyKey, Record, SaEntry, SaInKernel, SaKey,
};
use libpfkey::num::MODE_TUNNEL;
use libpfkey::{Dialect, ExtensionType, Message, MessageType, Request, Result, SaState, SaType};
use racoon_proto::kernel::{
    Action, Direction, LeftoverSa, Level, Mode, Policy, PolicyName, Prefix, SaInstallation, SaName, Selector, Template,
    UdpPorts,
};
use racoon_proto::num::Protocol;

use super::compose;
use super::event::sa_name;
use super::sa_requests::Removed;
use super::{KernelInterface, LogRecord, is_missing_policy, policy};
use crate::backup::SavedSa;
use crate::clock::since_1970;
use crate::kernel_state::StateLog;

/// Result of removing the SAs and policies that an earlier racoon left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Number of removed policies.
    pub policies: usize,
    /// Removed SAs.
    pub sas: Vec<LeftoverSa>,
    /// Number of policies that stay, because they may be another program's.
    pub ambiguous: usize,
}

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

    /// Removes the policies and SAs that the state file lists, except for saved SAs. Call it before anything is
    /// installed.
    ///
    /// # Errors
    /// Those of the kernel, if its policies or SAs cannot be read.
    pub fn remove_leftovers(&mut self, saved: &[SavedSa]) -> Result<Leftovers> {
        let mut done = Leftovers::default();
        let Some(log) = &self.state_log else { return Ok(done) };
        let mut policies = log.state().policies.clone();
        let mut sas = log.state().sas.clone();
        let dialect = self.requests.abi().dialect;
        for key in saved.iter().filter_map(|saved| saved.key(dialect)) {
            sas.remove(&key);
        }
        // Policies first: without its SAs a policy would block the traffic that it protects.
        if !policies.is_empty() {
            for present in self.policies_in_kernel()? {
                let Some(entry) = policies.remove(&present.key) else { continue };
                if entry.is(&present) {
                    done.policies += usize::from(self.remove_policy(&present));
                    continue;
                }
                // Killed between request and confirmation, on a kernel that does not show when a policy was added.
                let unknown = entry.confirmed.is_none() && present.added.is_none() && entry.action == present.action;
                if unknown {
                    done.ambiguous += 1;
                    let text = format!("keeping policy {}, which may be another program's", present.key);
                    (self.log)(LogRecord::Warning(text));
                }
                self.record(Record::PolicyGone(present.key));
            }
            // Not in the kernel any more.
            policies.into_keys().for_each(|key| self.record(Record::PolicyGone(key)));
        }
        if !sas.is_empty() {
            for (present, ports) in self.sas_in_kernel()? {
                let Some(entry) = sas.remove(&present.key) else { continue };
                if !entry.is(&present) {
                    self.record(Record::SaGone(present.key));
                } else if self.remove_sa(&present.key, ports) {
                    let (name, reqid) = (name_of(&present.key), present.reqid);
                    done.sas.push(LeftoverSa { name, reqid, in_kernel: false });
                }
            }
            sas.into_keys().for_each(|key| self.record(Record::SaGone(key)));
        }
        Ok(done)
    }

    /// Takes over the saved SAs that the kernel still has, and removes the others from the backup file.
    ///
    /// # Errors
    /// Those of the kernel, if its SAs cannot be read.
    pub fn restore_saved(&mut self, saved: &[SavedSa]) -> Result<Vec<LeftoverSa>> {
        if saved.is_empty() {
            return Ok(Vec::new());
        }
        let dialect = self.requests.abi().dialect;
        let present =
            self.sas_in_kernel()?.into_iter().map(|(sa, ports)| (sa.key, (sa, ports))).collect::<HashMap<_, _>>();
        let mut sas = Vec::new();
        for key in saved.iter().filter_map(|saved| saved.key(dialect).map(|key| (key, saved))) {
            let (key, saved) = key;
            let name = name_of(&key);
            // With another reqid it is another program's SA that reuses the SPI.
            let found = present.get(&key).filter(|(sa, _)| sa.reqid == saved.reqid());
            if let Some((_, ports)) = found {
                self.note_ports(name, *ports);
                self.installed.insert(name);
            } else {
                self.forget_sas(Removed::One(&name));
                self.record(Record::SaGone(key));
            }
            sas.push(LeftoverSa { name, reqid: saved.reqid(), in_kernel: found.is_some() });
        }
        Ok(sas)
    }

    fn remove_policy(&mut self, present: &PolicyInKernel) -> bool {
        let asked = self.requests.transact(&Request::PolicyDeleteIndex(present.index), |_| ());
        self.removed(MessageType::SpdDelete2, &present.key, asked, Record::PolicyGone(present.key))
    }

    fn remove_sa(&mut self, key: &SaKey, ports: Option<UdpPorts>) -> bool {
        let mut bytes = Vec::new();
        let header = self.requests.request_header(0);
        if let Err(error) = compose::by_name(MessageType::Delete, header, &name_of(key), ports, &mut bytes) {
            (self.log)(LogRecord::Warning(error.to_string()));
            return false;
        }
        let asked = self.requests.transact_message(&bytes, |_| ());
        self.removed(MessageType::Delete, key, asked, Record::SaGone(*key))
    }

    /// Records a removal that the kernel confirmed. Returns whether something was removed.
    fn removed(&mut self, what: MessageType, key: &dyn std::fmt::Display, asked: Result<()>, record: Record) -> bool {
        match asked {
            Err(error) if !is_missing_policy(&error) => {
                let text = format!("{} {key}, left behind by an earlier racoon: {error}", what.what());
                (self.log)(LogRecord::Warning(text));
                false
            }
            asked => {
                self.record(record);
                asked.is_ok()
            }
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
    fn record(&mut self, record: Record) {
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

    fn policies_in_kernel(&mut self) -> Result<Vec<PolicyInKernel>> {
        let mut policies = Vec::new();
        self.requests.dump(&Request::PolicyDump, |message| policies.extend(policy_in_kernel(message)))?;
        Ok(policies)
    }

    /// Reads all SAs that have an SPI, with the NAT-T ports that are part of their names.
    fn sas_in_kernel(&mut self) -> Result<Vec<(SaInKernel, Option<UdpPorts>)>> {
        let mut sas = Vec::new();
        self.dump_sas(SaType::Unspec, |message| sas.extend(sa_in_kernel(message)))?;
        Ok(sas)
    }
}

fn policy_in_kernel(message: &Message<'_>) -> Option<PolicyInKernel> {
    let policy = policy::from_message(message).ok()??;
    let (key, action) = entry_of(&policy)?;
    let added = message.lifetime(ExtensionType::LifetimeCurrent).map(|lifetime| lifetime.addtime);
    let added = added.filter(|added| *added != 0);
    Some(PolicyInKernel { key, action, priority: policy.priority, index: policy.index, added })
}

/// Returns the SA in a message, or `None` for a reserved SPI and for types that racoon does not use.
fn sa_in_kernel(message: &Message<'_>) -> Option<(SaInKernel, Option<UdpPorts>)> {
    let name = sa_name(message).ok()??;
    let named = message.sa().is_some_and(|sa| sa.spi != 0 && sa.state != SaState::Larval);
    let sa2 = message.sa2().copied().unwrap_or_default();
    let mode = if sa2.mode == MODE_TUNNEL { kernel_state::Mode::Tunnel } else { kernel_state::Mode::Transport };
    let added = message.lifetime(ExtensionType::LifetimeCurrent)?.addtime;
    let ports = match (message.natt_port(ExtensionType::NatTSport), message.natt_port(ExtensionType::NatTDport)) {
        (Some(source), Some(destination)) => Some(UdpPorts { source, destination }),
        _ => None,
    };
    let key = key_of(&name).filter(|_| named)?;
    Some((SaInKernel { key, mode, reqid: sa2.reqid, added }, ports))
}

/// Returns a policy's key and action in the state file's terms; `None` if the file cannot express it.
fn entry_of(policy: &Policy) -> Option<(PolicyKey, kernel_state::Action)> {
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

fn name_of(key: &SaKey) -> SaName {
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
