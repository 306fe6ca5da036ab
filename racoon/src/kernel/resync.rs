//! What the kernel has, compared with what it is believed to have. Kernels drop messages when a receive buffer is full, PF_KEY
//! without a word; and NetBSD does not say that an SA has come to its end.

use std::collections::HashSet;

use libpfkey::{MessageType, Result, SaState, SaType};
use racoon_proto::kernel::{KernelEvent, SaName};

use super::compose;
use super::event::sa_name;
use super::interface::Removed;
use super::{KernelInterface, LogRecord, is_missing};

impl KernelInterface {
    /// Reads all policies and SAs anew: some kernels drop messages without a word.
    pub fn resync(&mut self, on_event: &mut dyn FnMut(KernelEvent)) {
        // What was told before is older. Whoever listens learns that there will be no more.
        while let Ok(Some(decoded)) = self.next() {
            self.handle(decoded, on_event);
        }
        self.resync_policies(on_event);
        self.resync_sas(on_event);
    }

    /// SAs of ours that are gone are told of; SAs that we deleted and that are there all the same are deleted again.
    fn resync_sas(&mut self, on_event: &mut dyn FnMut(KernelEvent)) {
        // What the kernel had to tell of the ones before was told, or dropped.
        self.renewed.clear();
        if self.installed.is_empty() && self.deleted.is_empty() {
            return;
        }
        let there = match self.sas() {
            Ok(there) => there,
            Err(error) => {
                return (self.log)(LogRecord::Warning(format!("the kernel's SAs could not be read: {error}")));
            }
        };
        let missing = self.installed.difference(&there).copied().collect::<Vec<_>>();
        for name in missing.into_iter().filter(|name| self.is_gone(name)).collect::<Vec<_>>() {
            (self.log)(LogRecord::Debug(format!("{name} is gone, and nobody has said so")));
            self.ports.remove(&name);
            self.forget(Removed::One(&name));
            self.record_sa_gone(&name);
            on_event(KernelEvent::Deleted(name));
        }
        let left = self.deleted.intersection(&there).copied().collect::<Vec<_>>();
        left.iter().for_each(|name| self.delete(name));
    }

    /// The SAs that there are, but for those that have come to their end.
    fn sas(&mut self) -> Result<HashSet<SaName>> {
        let mut there = HashSet::new();
        self.dump_sas(SaType::Unspec, |message| {
            if message.sa().is_some_and(|sa| sa.state != SaState::Dead) {
                there.extend(sa_name(message).ok().flatten());
            }
        })?;
        Ok(there)
    }

    /// Whether an SA that was not among all is not there: a part of all may have been dropped, too.
    fn is_gone(&mut self, name: &SaName) -> bool {
        let mut request = Vec::new();
        let ports = self.ports.get(name).copied();
        let origin = self.requests.request_header(0);
        if compose::by_name(MessageType::Get, origin, name, ports, &mut request).is_err() {
            return false;
        }
        match self.requests.transact(&request, |message| message.sa().map(|sa| sa.state)) {
            Ok(state) => state == Some(SaState::Dead),
            Err(error) => is_missing(&error),
        }
    }
}
