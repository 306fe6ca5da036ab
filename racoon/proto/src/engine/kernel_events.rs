//! Events of the kernel.

use crate::engine::{Engine, Phase1Id};
use std::net::SocketAddr;

use crate::engine::datagram::is_plausible;
use crate::kernel::{Direction, KernelEvent, Limit, Migration, SaName};
use crate::num::Protocol;
use crate::output::Level;
use crate::path::{AddrPort, Encapsulation, Path};
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase2::entry::Phase2;
use crate::phase2::kernel_state::protocol_name;
use crate::phase2::lifecycle::has;
use crate::phase2::table::sa_key;
use crate::reason::explain::tunnel_of;
use crate::reason::{FailureReason, KernelFailure};

impl Engine {
    pub(crate) fn kernel_event(&mut self, event: KernelEvent) {
        match event {
            KernelEvent::Spi(request, answer) => self.phase2_spi(request, answer),
            KernelEvent::Installed(request, answer) => self.phase2_installed(request, answer),
            KernelEvent::PolicyAdded(request, answer) => self.policy_added(request, answer),
            KernelEvent::Acquire(acquire) => self.acquire(acquire),
            KernelEvent::Expire(name, limit) => self.sa_expires(&name, limit),
            KernelEvent::MappingChanged { protocol, spi, old, new } => self.mapping_changed((protocol, spi), old, new),
            KernelEvent::Migrated(migrations) => self.sas_were_migrated(&migrations),
            KernelEvent::Deleted(name) => self.sa_was_deleted(&name),
            KernelEvent::Flushed(protocol) => self.sas_were_flushed(protocol),
            KernelEvent::Policy(policy) => {
                self.generated.heard(&policy);
                let tunnel = Some(&policy).filter(|policy| policy.direction == Direction::Out).and_then(tunnel_of);
                self.core.spd.insert(policy);
                if let Some(traffic_key) =
                    tunnel.filter(|traffic_key| self.core.local_address(traffic_key.endpoints.local).is_none())
                {
                    self.core.warn_of_foreign_endpoint(&traffic_key, "policy");
                }
            }
            KernelEvent::PolicyDeleted(direction, selector) => drop(self.core.spd.remove(direction, &selector)),
            KernelEvent::PoliciesFlushed => self.core.spd.clear(),
            KernelEvent::Policies(policies) => {
                policies.iter().for_each(|policy| self.generated.heard(policy));
                self.core.spd.replace_all(policies);
                self.core.warn_of_foreign_endpoints();
            }
        }
    }

    /// A NAT has changed the port of a peer: its phase 1 follows, and so do the exchanges under it.
    ///
    /// The packet was authenticated by the peer's own SA, but its source was not. So a phase 1 moves only if its path has UDP
    /// encapsulation, only to another port of the address that it was authenticated for, and not to where another phase 1 is:
    /// otherwise a peer could take another one's place.
    fn mapping_changed(&mut self, (protocol, spi): (Protocol, u32), old: SocketAddr, new: SocketAddr) {
        let inbound = self.core.locals.iter().find_map(|local| self.phase2s.of_sa((local.ip(), protocol, spi)));
        let phase1 = inbound.and_then(|id| self.phase2s.get(id)?.phase1);
        let found = phase1.and_then(|id| Some((id, self.phase1s.get(id)?.path())));
        let Some((id, path)) = found.filter(|(_, path)| path.remote == old) else {
            return self
                .core
                .log(Level::Debug, Some(old), || format!("no phase 1 for the new NAT mapping {}", AddrPort(new)));
        };
        let is_there = |other: &Phase1Id| self.phase1s.get(*other).is_some_and(|other| other.remote() == new);
        let ignored = if path.encapsulation != Encapsulation::NonEspMarker {
            Some("phase 1 does not use UDP encapsulation")
        } else if new.ip() != old.ip() || !is_plausible(new) {
            Some("its address is not the one that phase 1 has authenticated")
        } else if self.phase1s.between(path.addresses()).iter().any(is_there) {
            Some("another phase 1 has it")
        } else {
            None
        };
        if let Some(reason) = ignored {
            let text = || format!("NAT mapping {} ignored: {reason}", AddrPort(new));
            self.core.log_of_peer(LoggedEvent::OtherAddress, Level::Warning, old, text);
            return;
        }
        let moved = Path { remote: new, ..path };
        self.phase1s.move_to(id, moved);
        self.phase2s.move_under(id, path, moved);
        let text = || format!("NAT mapping changed: {} is now {}", AddrPort(old), AddrPort(new));
        self.core.log_of_peer(LoggedEvent::OtherAddress, Level::Info, new, text);
    }

    /// Logs SAs that another program has moved. The engine still knows its own by their old addresses.
    fn sas_were_migrated(&mut self, migrations: &[Migration]) {
        for Migration { protocol, old, new } in migrations {
            self.core.log(Level::Info, None, || {
                let protocol = protocol_name(*protocol);
                format!("{protocol} SAs {} -> {} were migrated to {} -> {}", old.0, old.1, new.0, new.1)
            });
        }
    }

    /// Processes a limit that an SA has reached.
    fn sa_expires(&mut self, name: &SaName, limit: Limit) {
        if limit == Limit::Hard && self.leftovers.remove(name) {
            return;
        }
        // An SA of another program, or one that is deleted already.
        let Some(id) = self.phase2s.of_sa(sa_key(name)) else { return };
        let Some(phase2) = self.phase2s.get(id) else { return };
        match (phase2.established(), limit) {
            (Some(_), Limit::Soft) => self.phase2_renew(id),
            // A limit in bytes is reached earlier than the peer expects.
            (Some(established), Limit::Hard) => {
                let tell_peer = self.core.now < established.expires;
                self.expire_phase2(id, tell_peer);
            }
            (None, Limit::Soft) => {}
            (None, Limit::Hard) => {
                let after = self.core.now.since(phase2.conversation.record.began);
                let limit = self.core.settings.larval_limit;
                let failure = KernelFailure::SpiExpired { name: *name, after, limit };
                self.fail_phase2(id, FailureReason::Kernel(failure));
            }
        }
    }

    /// Processes the deletion of an SA by another program: the rest of its bundle is deleted too, and the peer is told.
    fn sa_was_deleted(&mut self, name: &SaName) {
        if self.core.settings.local_test {
            return;
        }
        self.leftovers.remove(name);
        // An SA of another program, or one that is deleted already.
        let Some(id) = self.phase2s.of_sa(sa_key(name)) else { return };
        let Some(phase2) = self.phase2s.get(id) else { return };
        let (remote, is_established) = (phase2.path.remote, phase2.established().is_some());
        self.core.log(Level::Info, Some(remote), || format!("somebody deleted {name}"));
        if is_established {
            self.purge_phase2(id, true);
        } else {
            self.fail_phase2(id, FailureReason::Kernel(KernelFailure::Deleted(*name)));
        }
    }

    /// Processes the deletion of all SAs of a protocol, or of all protocols, by another program.
    fn sas_were_flushed(&mut self, protocol: Option<Protocol>) {
        if self.core.settings.local_test {
            return;
        }
        self.leftovers.remove_all(protocol);
        let is_hit = |phase2: &Phase2| {
            let is_of = |name: &SaName| protocol.is_none_or(|protocol| name.protocol == protocol);
            match phase2.established() {
                Some(established) => has(established, protocol),
                None => phase2.kernel_sas.iter().any(is_of),
            }
        };
        let hit = self.phase2s.iter().filter(|(_, phase2)| is_hit(phase2));
        let hit = hit.map(|(id, phase2)| (id, phase2.established().is_some())).collect::<Vec<_>>();
        for (id, is_established) in hit {
            if is_established {
                self.purge_phase2(id, true);
            } else {
                self.fail_phase2(id, FailureReason::Kernel(KernelFailure::Flushed));
            }
        }
    }
}
