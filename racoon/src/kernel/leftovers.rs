//! Removal of what a crashed racoon left in the kernel, and the take-over of saved SAs.

use std::collections::HashMap;

use libpfkey::kernel_state::{Record, listed_id, listed_sa};
use libpfkey::{
    InstalledPolicy, InstalledSa, MessageType, PolicyId, Request, Result, SaId, SaState, SaType, UdpEncapsulation,
};
use racoon_proto::kernel::{LeftoverSa, UdpPorts};

use super::sa_requests::Removed;
use super::state_record::name_of;
use super::{KernelInterface, LogRecord, is_missing_policy, protocol_of};
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
        for id in saved.iter().filter_map(|saved| saved.id(dialect)) {
            sas.remove(&id);
        }
        // Policies first: without its SAs a policy would block the traffic that it protects.
        if !policies.is_empty() {
            for present in self.policies_in_kernel()? {
                let id = listed_id(&present.spec.id);
                let Some(entry) = policies.remove(&id) else { continue };
                if entry.is(&present) {
                    done.policies += usize::from(self.remove_policy(present.index, id));
                    continue;
                }
                // Killed between request and confirmation, on a kernel that does not show when a policy was added.
                let has_age = present.current.addtime != 0;
                if entry.confirmed.is_none() && !has_age && entry.has_action_of(&present) {
                    done.ambiguous += 1;
                    let text = format!("keeping policy {id}, which may be another program's");
                    (self.log)(LogRecord::Warning(text));
                }
                self.record(Record::PolicyGone(id));
            }
            // Not in the kernel any more.
            policies.into_keys().for_each(|id| self.record(Record::PolicyGone(id)));
        }
        if !sas.is_empty() {
            for present in self.sas_in_kernel()? {
                // The DELETE below takes the kernel's name, which has the ports on NetBSD.
                let id = listed_sa(&present.spec.id);
                let Some(entry) = sas.remove(&id) else { continue };
                if !entry.is(&present) {
                    self.record(Record::SaGone(id));
                } else if self.remove_sa(&present.spec.id) {
                    let reqid = present.spec.reqid;
                    done.sas.extend(name_of(&id).map(|name| LeftoverSa { name, reqid, in_kernel: false }));
                }
            }
            sas.into_keys().for_each(|id| self.record(Record::SaGone(id)));
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
            self.sas_in_kernel()?.into_iter().map(|sa| (listed_sa(&sa.spec.id), sa)).collect::<HashMap<_, _>>();
        let mut sas = Vec::new();
        for saved in saved {
            let Some(id) = saved.id(dialect) else { continue };
            let Some(name) = name_of(&id) else { continue };
            // With another reqid it is another program's SA that reuses the SPI.
            let found = present.get(&id).filter(|sa| sa.spec.reqid == saved.reqid());
            if let Some(sa) = found {
                self.note_ports(name, udp_ports(sa));
                self.installed.insert(name);
            } else {
                self.forget_sas(Removed::One(&name));
                self.record(Record::SaGone(id));
            }
            sas.push(LeftoverSa { name, reqid: saved.reqid(), in_kernel: found.is_some() });
        }
        Ok(sas)
    }

    fn remove_policy(&mut self, index: u32, id: PolicyId) -> bool {
        let asked = self.requests.transact(&Request::PolicyDeleteIndex(index), |_| ());
        self.removed(MessageType::SpdDelete2, &id.to_string(), asked, Record::PolicyGone(id))
    }

    fn remove_sa(&mut self, id: &SaId) -> bool {
        let asked = self.requests.transact(&Request::Delete(*id), |_| ());
        self.removed(MessageType::Delete, &id.to_string(), asked, Record::SaGone(listed_sa(id)))
    }

    /// Records a removal that the kernel confirmed. Returns whether something was removed.
    fn removed(&mut self, what: MessageType, name: &str, asked: Result<()>, record: Record) -> bool {
        match asked {
            Err(error) if !is_missing_policy(&error) => {
                let text = format!("{} {name}, left behind by an earlier racoon: {error}", what.what());
                (self.log)(LogRecord::Warning(text));
                false
            }
            asked => {
                self.record(record);
                asked.is_ok()
            }
        }
    }

    fn policies_in_kernel(&mut self) -> Result<Vec<InstalledPolicy>> {
        self.requests.dump(&Request::PolicyDump, Vec::new, |policies, message| {
            policies.extend(InstalledPolicy::from_message(message));
        })
    }

    /// Reads all SAs that have an SPI, of the types that racoon uses.
    fn sas_in_kernel(&mut self) -> Result<Vec<InstalledSa>> {
        self.dump_sas(SaType::Unspec, Vec::new, |sas, message| {
            let sa = InstalledSa::from_message(message);
            sas.extend(sa.filter(|sa| {
                protocol_of(sa.spec.id.sa_type).is_some() && sa.spec.id.spi != 0 && sa.state != SaState::Larval
            }));
        })
    }
}

/// Returns the ports of an SA with UDP encapsulation.
fn udp_ports(sa: &InstalledSa) -> Option<UdpPorts> {
    // Other kernels than NetBSD find the SA without them, and `note_ports` drops them there.
    let UdpEncapsulation { source_port, destination_port, .. } = sa.spec.encapsulation?;
    Some(UdpPorts { source: source_port, destination: destination_port })
}
