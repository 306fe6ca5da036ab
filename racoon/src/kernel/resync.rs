//! Comparison of the kernel's SAD and SPD with our records.
//!
//! Events get lost: kernels drop them when a receive buffer is full, PF_KEY without any sign, and NetBSD sends no EXPIRE for
//! a hard lifetime.

use std::collections::HashSet;

use libpfkey::{Error, Request, Result, SaState, SaType};
use racoon_proto::kernel::{KernelEvent, SaName};

use super::event::sa_name;
use super::sa_requests::Removed;
use super::{KernelInterface, LogRecord, compose, is_missing};

impl KernelInterface {
    /// Reads all policies and SAs again and reports what events have not.
    pub fn resync(&mut self, on_event: &mut dyn FnMut(KernelEvent)) {
        // Events already received are older than the dumps. A broken connection shows at the next `read_events`.
        while let Ok(Some(decoded)) = self.next() {
            self.handle(decoded, on_event);
        }
        self.resync_policies(on_event);
        self.resync_sas(on_event);
    }

    /// Reports installed SAs that have vanished, and deletes SAs again whose deletion failed.
    fn resync_sas(&mut self, on_event: &mut dyn FnMut(KernelEvent)) {
        // Their echoes have been read by now, or were lost.
        self.stale_deletes.clear();
        if self.installed.is_empty() && self.expected_deletes.is_empty() {
            return;
        }
        let present = match self.sas() {
            Ok(present) => present,
            // Then each SA is asked for.
            Err(Error::Incomplete) => HashSet::new(),
            Err(error) => {
                return (self.log)(LogRecord::Warning(format!("cannot read the kernel's SAs: {error}")));
            }
        };
        let missing = self.installed.difference(&present).copied().collect::<Vec<_>>();
        for name in missing.into_iter().filter(|name| self.is_gone(name)).collect::<Vec<_>>() {
            (self.log)(LogRecord::Debug(format!("{name} is gone without an event")));
            self.natt_ports.remove(&name);
            self.forget_sas(Removed::One(&name));
            self.record_sa_gone(&name);
            on_event(KernelEvent::Deleted(name));
        }
        let left = self.expected_deletes.intersection(&present).copied().collect::<Vec<_>>();
        left.iter().for_each(|name| self.delete(name));
    }

    /// Reads the names of all SAs but dead ones.
    fn sas(&mut self) -> Result<HashSet<SaName>> {
        self.dump_sas(SaType::Unspec, HashSet::new, |present, message| {
            if message.sa().is_some_and(|sa| sa.state != SaState::Dead) {
                present.extend(sa_name(message).ok().flatten());
            }
        })
    }

    /// Asks for an SA that a dump did not show. Not every loss of a dump's messages shows, so its absence there proves nothing.
    fn is_gone(&mut self, name: &SaName) -> bool {
        let ports = self.natt_ports.get(name).copied();
        let Ok(id) = compose::sa_id(name, ports) else { return false };
        match self.requests.transact(&Request::Get(id), |message| message.sa().map(|sa| sa.state)) {
            Ok(state) => state == Some(SaState::Dead),
            Err(error) => is_missing(&error),
        }
    }
}
