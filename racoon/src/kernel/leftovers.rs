//! Removal of what a crashed racoon left in the kernel, and the take-over of saved SAs.

use std::collections::HashMap;

use libpfkey::kernel_state::{self, PolicyInKernel, Record, SaInKernel, SaKey};
use libpfkey::num::MODE_TUNNEL;
use libpfkey::{ExtensionType, Message, MessageType, Request, Result, SaState, SaType};
use racoon_proto::kernel::{LeftoverSa, UdpPorts};

use super::event::sa_name;
use super::sa_requests::Removed;
use super::state_record::{entry_of, key_of, name_of};
use super::{KernelInterface, LogRecord, compose, is_missing_policy, policy};
use crate::backup::SavedSa;

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
        let id = match compose::sa_id(&name_of(key), ports) {
            Ok(id) => id,
            Err(error) => {
                (self.log)(LogRecord::Warning(error.to_string()));
                return false;
            }
        };
        let asked = self.requests.transact(&Request::Delete(id), |_| ());
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
