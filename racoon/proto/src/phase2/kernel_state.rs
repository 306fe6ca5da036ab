//! Removal of a phase 2's state from the kernel, and the DELETEs for it.

use std::collections::BTreeMap;

use crate::engine::core::Core;
use crate::kernel::{KernelRequest, Mode, SaName};
use crate::num::{Doi, PayloadType, Protocol};
use crate::output::Level;
use crate::path::{AddrPort, Path};
use crate::phase1::entry::Phase1;
use crate::phase1::table::Phase1s;
use crate::phase2::agreement::Pair;
use crate::phase2::entry::Phase2;
use crate::phase2::generate_policy::GeneratedPolicies;
use crate::phase2::lifetime::spi_bytes;
use crate::wire::Delete;

impl Phase2 {
    /// Releases a phase 2 that was removed from the tables: sends its DELETEs if `tell_peer` is set, then deletes its SAs, reserved
    /// SPIs and generated policies.
    pub(crate) fn release(
        &self,
        core: &mut Core,
        phase1s: &mut Phase1s,
        generated: &mut GeneratedPolicies,
        tell_peer: bool,
    ) {
        if tell_peer {
            // Its phase 1 may have ended. If there is no other one with the peer, no DELETE can be sent.
            let bound = self.phase1.filter(|phase1| phase1s.sa(*phase1).is_some());
            let speaker = bound.or_else(|| phase1s.usable(self.path));
            let inbound = self.kernel_sas.iter().filter(|name| name.destination == self.sa_endpoints.local);
            if let Some(phase1) = speaker.and_then(|id| phase1s.get_mut(id)) {
                phase1.send_deletes(core, inbound);
            }
        }
        // The kernel does not have those that are held back.
        let is_held = |name: &SaName| self.held.iter().any(|held| held.name == *name);
        for name in self.kernel_sas.iter().filter(|name| !is_held(name)) {
            core.send_to_kernel(KernelRequest::Delete(*name));
        }
        if let Some(outbound) = self.generated {
            generated.release(core, outbound, self.id);
        }
    }

    /// Logs a line for each SA, inbound before outbound.
    #[track_caller]
    pub(crate) fn log_sas(&self, core: &mut Core, what: &'static str, pairs: &[Pair]) {
        let Path { local, remote, .. } = self.path;
        for pair in pairs {
            for (name, mut from, mut to) in [(pair.inbound, remote, local), (pair.outbound, local, remote)] {
                from.set_ip(name.source);
                to.set_ip(name.destination);
                core.log(Level::Info, Some(remote), || {
                    let (SaName { protocol, spi, .. }, mode) = (name, mode_name(pair.mode));
                    let protocol = protocol_name(protocol);
                    format!("{what}: {protocol}/{mode} {}->{} spi={spi}({spi:#x})", AddrPort(from), AddrPort(to))
                });
            }
        }
    }

    /// Logs that its SAs are removed before they expire.
    pub(crate) fn log_purged(&self, core: &mut Core) {
        let pairs = self.established().map(|established| established.pairs.as_slice()).unwrap_or_default();
        for SaName { protocol, spi, .. } in pairs.iter().flat_map(|pair| [pair.inbound, pair.outbound]) {
            core.log(Level::Info, Some(self.path.remote), || {
                format!("purged IPsec-SA proto_id={} spi={spi}.", protocol_name(protocol))
            });
        }
    }
}

impl Phase1 {
    /// Sends DELETEs for SAs under it, one message per protocol.
    pub(crate) fn send_deletes<'a>(&mut self, core: &mut Core, names: impl Iterator<Item = &'a SaName>) {
        let mut spis = BTreeMap::<Protocol, Vec<Vec<u8>>>::new();
        for name in names {
            spis.entry(name.protocol).or_default().push(spi_bytes(name.protocol, name.spi));
        }
        for (protocol, spis) in spis {
            let delete = Delete { doi: Doi::IPSEC, protocol, spis };
            self.send_informational(core, &[(PayloadType::DELETE, delete.encode())]);
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
