//! What is recorded of this racoon's SAs and policies in the state file, and the removal of what an earlier one left behind.

use std::collections::HashMap;
use std::ops::ControlFlow;

use libpfkey::kernel_state::{
    self, Confirmation, PolicyEntry, PolicyInKernel, PolicyKey, Record, SaEntry, SaInKernel, SaKey,
};
use libpfkey::num::MODE_TUNNEL;
use libpfkey::{Dialect, Error, ExtensionType, Message, MessageType, Result, SaState, SaType, request};
use racoon_proto::kernel::{
    Action, Direction, LeftoverSa, Level, Mode, Policy, PolicyName, Prefix, SaInstallation, SaName, Selector, Template,
    UdpPorts,
};
use racoon_proto::num::Protocol;

use super::compose;
use super::event::sa_name;
use super::interface::Removed;
use super::{KernelInterface, LogRecord, is_missing_policy, policy};
use crate::backup::SavedSa;
use crate::clock::since_1970;
use crate::kernel_state::StateLog;

/// What became of the policies and SAs of an earlier racoon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Number of policies that were removed.
    pub policies: usize,
    /// SAs that were removed.
    pub sas: Vec<LeftoverSa>,
    /// Number of policies of which it is unknown whether they are ours: they stay.
    pub ambiguous: usize,
}

impl KernelInterface {
    /// Records in a state file what is installed and removed from now on.
    pub fn set_state_log(&mut self, log: StateLog) {
        self.state = Some(log);
    }

    /// What the state file lists.
    #[cfg(test)]
    pub(super) fn listed(&self) -> Option<&kernel_state::KernelState> {
        self.state.as_ref().map(StateLog::state)
    }

    /// The state file is not needed any more.
    pub fn close_state_log(&mut self) {
        if let Some(log) = self.state.take() {
            log.remove_if_empty();
        }
    }

    /// Removes the policies and SAs that the state file lists and that the kernel has, but for SAs that were
    /// saved. Call it before anything is installed.
    ///
    /// # Errors
    /// What the kernel said when it was asked for all policies and SAs.
    pub fn remove_leftovers(&mut self, saved: &[SavedSa]) -> Result<Leftovers> {
        let mut done = Leftovers::default();
        let Some(log) = &self.state else { return Ok(done) };
        let mut policies = log.state().policies.clone();
        let mut sas = log.state().sas.clone();
        let dialect = self.requests.abi().dialect;
        for key in saved.iter().filter_map(|saved| saved.key(dialect)) {
            sas.remove(&key);
        }
        // Policies first: without its SAs a policy would block what it protects.
        if !policies.is_empty() {
            for there in self.policies_in_kernel()? {
                let Some(entry) = policies.remove(&there.key) else { continue };
                if entry.is(&there) {
                    done.policies += usize::from(self.remove_policy(&there));
                    continue;
                }
                let unknown = entry.confirmed.is_none() && there.added.is_none() && entry.action == there.action;
                if unknown {
                    done.ambiguous += 1;
                    let text =
                        format!("whether racoon or somebody else set the policy {} is unknown: it stays", there.key);
                    (self.log)(LogRecord::Warning(text));
                }
                self.record(Record::PolicyGone(there.key));
            }
            policies.into_keys().for_each(|key| self.record(Record::PolicyGone(key)));
        }
        if !sas.is_empty() {
            for (there, ports) in self.sas_in_kernel()? {
                let Some(entry) = sas.remove(&there.key) else { continue };
                if !entry.is(&there) {
                    self.record(Record::SaGone(there.key));
                } else if self.remove_sa(&there.key, ports) {
                    let (name, reqid) = (name_of(&there.key), there.reqid);
                    done.sas.push(LeftoverSa { name, reqid, in_kernel: false });
                }
            }
            sas.into_keys().for_each(|key| self.record(Record::SaGone(key)));
        }
        Ok(done)
    }

    /// Which of the SAs that were saved the kernel still has, from now on as ours. The others are not saved any more.
    ///
    /// # Errors
    /// What the kernel said when it was asked for all SAs.
    pub fn restore_saved(&mut self, saved: &[SavedSa]) -> Result<Vec<LeftoverSa>> {
        if saved.is_empty() {
            return Ok(Vec::new());
        }
        let dialect = self.requests.abi().dialect;
        let there =
            self.sas_in_kernel()?.into_iter().map(|(sa, ports)| (sa.key, (sa, ports))).collect::<HashMap<_, _>>();
        let mut sas = Vec::new();
        for key in saved.iter().filter_map(|saved| saved.key(dialect).map(|key| (key, saved))) {
            let (key, saved) = key;
            let name = name_of(&key);
            let found = there.get(&key).filter(|(sa, _)| sa.reqid == saved.reqid());
            if let Some((_, ports)) = found {
                self.note_ports(name, *ports);
                self.installed.insert(name);
            } else {
                self.forget(Removed::One(&name));
                self.record(Record::SaGone(key));
            }
            sas.push(LeftoverSa { name, reqid: saved.reqid(), in_kernel: found.is_some() });
        }
        Ok(sas)
    }

    fn remove_policy(&mut self, there: &PolicyInKernel) -> bool {
        let mut bytes = Vec::new();
        let asked = request::spddelete2(self.requests.request_header(0), there.index, &mut bytes)
            .and_then(|()| self.requests.transact(&bytes, |_| ()));
        self.removed(MessageType::SpdDelete2, &there.key, asked, Record::PolicyGone(there.key))
    }

    fn remove_sa(&mut self, key: &SaKey, ports: Option<UdpPorts>) -> bool {
        let mut bytes = Vec::new();
        let origin = self.requests.request_header(0);
        if let Err(error) = compose::by_name(MessageType::Delete, origin, &name_of(key), ports, &mut bytes) {
            (self.log)(LogRecord::Warning(error.text));
            return false;
        }
        let asked = self.requests.transact(&bytes, |_| ());
        self.removed(MessageType::Delete, key, asked, Record::SaGone(*key))
    }

    /// Records a removal if the kernel has confirmed it; whether it has.
    fn removed(&mut self, what: MessageType, key: &dyn std::fmt::Display, asked: Result<()>, record: Record) -> bool {
        match asked {
            Err(error) if !is_missing_policy(&error) => {
                let text = format!("{} {key}, which an earlier racoon left behind: {error}", what.what());
                (self.log)(LogRecord::Warning(text));
                false
            }
            asked => {
                self.record(record);
                asked.is_ok()
            }
        }
    }

    /// The kernel is about to be asked for an SA.
    pub(super) fn record_sa_request(&mut self, installation: &SaInstallation) {
        if self.state.is_none() {
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

    /// The kernel has an SA.
    pub(super) fn record_sa_present(&mut self, name: &SaName) {
        if let Some(key) = key_of(name).filter(|_| self.state.is_some()) {
            self.record(Record::SaPresent(key, since_1970()));
        }
    }

    /// The kernel has no such SA.
    pub(super) fn record_sa_gone(&mut self, name: &SaName) {
        if let Some(key) = key_of(name) {
            self.record(Record::SaGone(key));
        }
    }

    /// The kernel is about to be asked for a policy. Returns what is listed of that name already.
    pub(super) fn record_policy_request(&mut self, policy: &Policy) -> Option<PolicyEntry> {
        let log = self.state.as_ref()?;
        let (key, action) = entry_of(policy)?;
        let listed = log.state().policies.get(&key).cloned();
        let priority = policy::priority_in(self.requests.abi().dialect, policy.priority);
        let requested = since_1970();
        self.record(Record::PolicyRequest(PolicyEntry { key, action, priority, requested, confirmed: None }));
        listed
    }

    /// The kernel has refused the policy: there is another one, which may be an earlier one of ours.
    pub(super) fn record_policy_refused(&mut self, policy: &Policy, listed: Option<PolicyEntry>) {
        let Some(entry) = listed else { return self.record_policy_gone(policy.direction, &policy.selector) };
        let (key, confirmed) = (entry.key, entry.confirmed);
        self.record(Record::PolicyRequest(entry));
        if let Some(confirmation) = confirmed {
            self.record(Record::PolicyPresent(key, confirmation));
        }
    }

    /// The kernel has the policy, with its index.
    pub(super) fn record_policy_present(&mut self, policy: &Policy) {
        if self.state.is_some() {
            let key = policy_key(policy.direction, &policy.selector);
            self.record(Record::PolicyPresent(key, Confirmation { index: policy.index, time: since_1970() }));
        }
    }

    /// Whether a policy that the kernel has is ours with this name: its selector is the same, and on Linux, which keeps the
    /// index of a policy that somebody replaces, so is what it does, if ours is listed.
    pub(super) fn is_ours(&self, there: &Policy, name: &PolicyName) -> bool {
        if (there.direction, there.selector) != (name.direction, name.selector) {
            return false;
        }
        let Some(log) = self.state.as_ref().filter(|_| self.requests.abi().dialect == Dialect::Linux) else {
            return true;
        };
        let listed = log.state().policies.get(&policy_key(name.direction, &name.selector));
        let listed = listed.filter(|entry| entry.confirmed.is_some_and(|confirmed| confirmed.index == name.index));
        listed.is_none_or(|entry| {
            let action = entry_of(there).map(|(_, action)| action);
            there.priority == entry.priority && action.as_ref() == Some(&entry.action)
        })
    }

    /// The kernel has no such policy of ours. (That somebody else has deleted it need not be recorded: another one in its place
    /// differs.)
    pub(super) fn record_policy_gone(&mut self, direction: Direction, selector: &Selector) {
        self.record(Record::PolicyGone(policy_key(direction, selector)));
    }

    /// Writes a record. That it cannot be written is told once, until one can be.
    fn record(&mut self, record: Record) {
        let Some(log) = &mut self.state else { return };
        match log.record(record) {
            Ok(()) => self.state_failed = false,
            Err(_) if self.state_failed => {}
            Err(error) => {
                self.state_failed = true;
                let text =
                    format!("state file: {error}; if racoon crashes now, SAs and policies are left in the kernel");
                (self.log)(LogRecord::Warning(text));
            }
        }
    }

    fn policies_in_kernel(&mut self) -> Result<Vec<PolicyInKernel>> {
        let (mut bytes, mut policies) = (Vec::new(), Vec::new());
        request::spddump(self.requests.request_header(0), &mut bytes)?;
        self.dump_into(&bytes, |message| policies.extend(policy_in_kernel(message)))?;
        Ok(policies)
    }

    /// All SAs that have an SPI, and their ports where these are part of their names.
    fn sas_in_kernel(&mut self) -> Result<Vec<(SaInKernel, Option<UdpPorts>)>> {
        let mut sas = Vec::new();
        self.dump_sas(SaType::Unspec, |message| sas.extend(sa_in_kernel(message)))?;
        Ok(sas)
    }

    fn dump_into(&mut self, request: &[u8], mut take: impl FnMut(&Message<'_>)) -> Result<()> {
        let dumped = self.requests.transact_many(request, |message| {
            take(message);
            if message.header.seq == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match dumped {
            Err(Error::Kernel(libc::ENOENT)) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn policy_in_kernel(message: &Message<'_>) -> Option<PolicyInKernel> {
    let policy = policy::from_message(message).ok()??;
    let (key, action) = entry_of(&policy)?;
    let added = message.lifetime(ExtensionType::LifetimeCurrent).map(|lifetime| lifetime.addtime);
    let added = added.filter(|added| *added != 0);
    Some(PolicyInKernel { key, action, priority: policy.priority, index: policy.index, added })
}

/// None: it is only a reservation, or of no protocol of ours.
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

/// What a policy does, as the state file has it; none if that cannot be said there.
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
        // Kernels show none or those of the packet in transport mode.
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

/// How the state file identifies an SA; none if it is of no protocol of its.
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
