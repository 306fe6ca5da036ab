//! Removal of a phase 2's state from the kernel, and the DELETEs for it.

use std::collections::BTreeMap;

use crate::engine::core::Core;
use crate::engine::{Engine, Phase2Id};
use crate::kernel::{KernelRequest, Mode, SaName};
use crate::num::{Doi, PayloadType, Protocol};
use crate::output::Level;
use crate::path::{AddrPort, Path};
use crate::phase1::table::Phase1s;
use crate::phase2::bundle::Pair;
use crate::phase2::entry::Phase2;
use crate::phase2::lifetime::spi_bytes;
use crate::wire::Delete;

impl Engine {
    /// Sends the peer DELETEs for a removed phase 2, then deletes its SAs, reserved SPIs and generated policies.
    pub(crate) fn release_kernel_state(&mut self, id: Phase2Id, phase2: &Phase2, tell_peer: bool) {
        if tell_peer {
            self.send_delete(phase2);
        }
        let is_held = |name: &SaName| phase2.held.iter().any(|held| held.name == *name);
        for name in phase2.kernel_sas.iter().filter(|name| !is_held(name)) {
            self.core.send_to_kernel(KernelRequest::Delete(*name));
        }
        if let Some(selector) = phase2.generated {
            self.release_policies(selector, id);
        }
    }

    /// Sends DELETEs for the inbound SAs of a phase 2, one message per protocol.
    fn send_delete(&mut self, phase2: &Phase2) {
        let alive = |phase1: &crate::engine::Phase1Id| self.phase1s.sa(*phase1).is_some();
        let bound = phase2.phase1.filter(alive);
        // Without a phase 1 no DELETE can be sent.
        let Some(phase1) = bound.or_else(|| self.phase1s.usable(phase2.path)) else { return };
        self.phase1s.send_deletes(
            &mut self.core,
            phase1,
            phase2.kernel_sas.iter().filter(|name| name.destination == phase2.sa_endpoints.local),
        );
    }

    /// Logs a line for each SA, inbound before outbound.
    #[track_caller]
    pub(crate) fn log_sas(&mut self, level: Level, what: &'static str, id: Phase2Id, pairs: &[Pair]) {
        let Some(path) = self.phase2s.get(id).map(|phase2| phase2.path) else { return };
        let Path { local, remote, .. } = path;
        for pair in pairs {
            for (name, mut from, mut to) in [(pair.inbound, remote, local), (pair.outbound, local, remote)] {
                from.set_ip(name.source);
                to.set_ip(name.destination);
                self.core.log(level, Some(remote), || {
                    let (SaName { protocol, spi, .. }, mode) = (name, mode_name(pair.mode));
                    let protocol = protocol_name(protocol);
                    format!("{what}: {protocol}/{mode} {}->{} spi={spi}({spi:#x})", AddrPort(from), AddrPort(to))
                });
            }
        }
    }
}

impl Phase1s {
    /// Sends DELETEs for SAs under a phase 1, one message per protocol.
    pub(crate) fn send_deletes<'a>(
        &mut self,
        core: &mut Core,
        phase1: crate::engine::Phase1Id,
        names: impl Iterator<Item = &'a SaName>,
    ) {
        let mut spis = BTreeMap::<Protocol, Vec<Vec<u8>>>::new();
        for name in names {
            spis.entry(name.protocol).or_default().push(spi_bytes(name.protocol, name.spi));
        }
        for (protocol, spis) in spis {
            let delete = Delete { doi: Doi::IPSEC, protocol, spis };
            self.send_informational(core, phase1, vec![(PayloadType::DELETE, delete.encode())]);
        }
    }
}

/// Returns the protocol as racoon's log has always written it.
pub(crate) fn protocol_name(protocol: Protocol) -> String {
    protocol.to_string().to_uppercase()
}

fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Transport => "Transport",
        Mode::Tunnel => "Tunnel",
    }
}
