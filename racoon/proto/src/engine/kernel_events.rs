//! Events of the kernel.

use std::net::SocketAddr;

use crate::engine::core::Core;
use crate::engine::datagram::is_plausible;
use crate::engine::{Engine, Phase1Id};
use crate::kernel::{Direction, KernelEvent, Limit, Migration, Policy, SaName};
use crate::num::Protocol;
use crate::output::Level;
use crate::path::{AddrPort, Encapsulation, Path};
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase1::table::Phase1s;
use crate::phase2::TrafficKey;
use crate::phase2::entry::Phase2;
use crate::phase2::kernel_state::protocol_name;
use crate::phase2::lifecycle::has;
use crate::phase2::table::sa_key;
use crate::reason::explain::tunnel_of;
use crate::reason::{FailureReason, KernelFailure, NegotiationResult};

impl Engine {
    /// Hands an event to the owner of what it is about.
    pub(super) fn kernel_event(&mut self, event: KernelEvent) {
        match event {
            KernelEvent::Spi(request, answer) => {
                let answered = self.phase2s.spi_answered(&mut self.core, &self.phase1s, request, answer);
                answered.into_iter().for_each(|(id, step)| self.perform_for_phase2(id, step));
            }
            KernelEvent::Installed(request, answer) => {
                let answered = self.phase2s.installation_answered(&mut self.core, request, answer);
                answered.into_iter().for_each(|(id, step)| self.perform_for_phase2(id, step));
            }
            KernelEvent::PolicyAdded(request, answer) => self.policy_added(request, answer),
            KernelEvent::Acquire(acquire) => self.acquire(acquire),
            KernelEvent::Expire(name, limit) => self.sa_expires(&name, limit),
            KernelEvent::MappingChanged { protocol, spi, old, new } => {
                let inbound = self.core.locals.iter().find_map(|local| self.phase2s.of_sa((local.ip(), protocol, spi)));
                let phase1 = inbound.and_then(|id| self.phase2s.get(id)?.phase1);
                if let Some((id, old, new)) = self.phase1s.mapping_changed(&mut self.core, phase1, old, new) {
                    self.phase2s.move_under(id, old, new);
                }
            }
            KernelEvent::Migrated(migrations) => self.core.sas_were_migrated(&migrations),
            KernelEvent::Deleted(name) => self.sa_was_deleted(&name),
            KernelEvent::Flushed(protocol) => self.sas_were_flushed(protocol),
            KernelEvent::Policy(policy) => {
                self.generated.heard(&policy);
                self.core.policy_reported(policy);
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

    /// Processes a limit that an SA has reached.
    fn sa_expires(&mut self, name: &SaName, limit: Limit) {
        // The kernel has removed it, and its renewal began when it was adopted.
        if limit == Limit::Hard && self.leftovers.remove(name) {
            return;
        }
        let found = self.phase2s.of_sa(sa_key(name)).and_then(|id| Some((id, self.phase2s.get(id)?)));
        // An SA of another program, or one that is deleted already.
        let Some((id, phase2)) = found else { return };
        match (phase2.established(), limit) {
            (Some(_), Limit::Soft) => self.phase2_renew(id),
            // A limit in bytes is reached earlier than the peer expects.
            (Some(established), Limit::Hard) => {
                let tell_peer = self.core.now < established.expires;
                self.expire_phase2(id, tell_peer);
            }
            // A reserved SPI has nothing to renew.
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
            // The peer uses the same kernel, and deletes its SAs.
            return;
        }
        self.leftovers.remove(name);
        let found = self.phase2s.of_sa(sa_key(name)).and_then(|id| self.phase2s.get(id));
        // An SA of another program, or one that is deleted already.
        let Some(phase2) = found else { return };
        let (id, remote) = (phase2.id, phase2.path.remote);
        self.core.log(Level::Info, Some(remote), || format!("somebody deleted {name}"));
        let reason = FailureReason::Kernel(KernelFailure::Deleted(*name));
        self.purge_or_end_phase2(id, true, NegotiationResult::Failed(reason));
    }

    /// Processes the deletion of all SAs of a protocol, or of all protocols, by another program.
    fn sas_were_flushed(&mut self, protocol: Option<Protocol>) {
        if self.core.settings.local_test {
            // The peer uses the same kernel, and flushes its SAs.
            return;
        }
        self.leftovers.remove_all(protocol);
        let is_of = |name: &SaName| protocol.is_none_or(|protocol| name.protocol == protocol);
        let is_hit = |phase2: &Phase2| match phase2.established() {
            Some(established) => has(established, protocol),
            None => phase2.kernel_sas.iter().any(is_of),
        };
        for id in self.phase2s.ids(is_hit) {
            let reason = FailureReason::Kernel(KernelFailure::Flushed);
            self.purge_or_end_phase2(id, true, NegotiationResult::Failed(reason));
        }
    }
}

impl Phase1s {
    /// A NAT has changed the port of a peer: its phase 1 follows. Returns it with its old and its new path, so that the exchanges
    /// under it follow as well; `None` if it stays.
    ///
    /// The packet was authenticated by the peer's own SA, but its source was not. So a phase 1 moves only if its path has UDP
    /// encapsulation, only to another port of the address that it was authenticated for, and not to where another phase 1 is:
    /// otherwise a peer could take another one's place.
    fn mapping_changed(
        &mut self,
        core: &mut Core,
        phase1: Option<Phase1Id>,
        old: SocketAddr,
        new: SocketAddr,
    ) -> Option<(Phase1Id, Path, Path)> {
        let found = phase1.and_then(|id| Some((id, self.get(id)?.path())));
        let Some((id, path)) = found.filter(|(_, path)| path.remote == old) else {
            core.log(Level::Debug, Some(old), || format!("no phase 1 for the new NAT mapping {}", AddrPort(new)));
            return None;
        };
        let is_there = |other: &Phase1Id| self.get(*other).is_some_and(|other| other.remote() == new);
        let ignored = if path.encapsulation != Encapsulation::NonEspMarker {
            Some("phase 1 does not use UDP encapsulation")
        } else if new.ip() != old.ip() || !is_plausible(new) {
            Some("its address is not the one that phase 1 has authenticated")
        } else if self.between(path.addresses()).iter().any(is_there) {
            Some("another phase 1 has it")
        } else {
            None
        };
        if let Some(reason) = ignored {
            let text = || format!("NAT mapping {} ignored: {reason}", AddrPort(new));
            core.log_of_peer(LoggedEvent::OtherAddress, Level::Warning, old, text);
            return None;
        }
        let moved = Path { remote: new, ..path };
        self.move_to(id, moved);
        let text = || format!("NAT mapping changed: {} is now {}", AddrPort(old), AddrPort(new));
        core.log_of_peer(LoggedEvent::OtherAddress, Level::Info, new, text);
        Some((id, path, moved))
    }
}

impl Core {
    /// Records a policy, and warns if it is a tunnel that no keys can be negotiated for.
    fn policy_reported(&mut self, policy: Policy) {
        let tunnel = Some(&policy).filter(|policy| policy.direction == Direction::Out).and_then(tunnel_of);
        self.spd.insert(policy);
        let is_foreign = |traffic_key: &TrafficKey| self.local_address(traffic_key.endpoints.local).is_none();
        if let Some(traffic_key) = tunnel.filter(is_foreign) {
            self.warn_of_foreign_endpoint(&traffic_key, "policy");
        }
    }

    /// Logs SAs that another program has moved. The engine still knows its own by their old addresses.
    fn sas_were_migrated(&mut self, migrations: &[Migration]) {
        for Migration { protocol, old, new } in migrations {
            self.log(Level::Info, None, || {
                let protocol = protocol_name(*protocol);
                format!("{protocol} SAs {} -> {} were migrated to {} -> {}", old.0, old.1, new.0, new.1)
            });
        }
    }
}
