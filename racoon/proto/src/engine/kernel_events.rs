//! What the kernel says.

use crate::engine::Engine;
use crate::kernel::{Direction, KernelEvent, Limit, SaName};
use crate::num::Protocol;
use crate::output::Level;
use crate::phase2::lifecycle::has;
use crate::phase2::table::{Phase2, sa_key};
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
            KernelEvent::Deleted(name) => self.sa_was_deleted(&name),
            KernelEvent::Flushed(protocol) => self.sas_were_flushed(protocol),
            KernelEvent::Policy(policy) => {
                self.generated.heard(&policy);
                let tunnel = Some(&policy).filter(|policy| policy.direction == Direction::Out).and_then(tunnel_of);
                self.spd.insert(policy);
                if let Some(traffic_key) =
                    tunnel.filter(|traffic_key| self.core.local_address(traffic_key.endpoints.local).is_none())
                {
                    self.warn_of_foreign_end(&traffic_key, "policy");
                }
            }
            KernelEvent::PolicyDeleted(direction, selector) => drop(self.spd.remove(direction, &selector)),
            KernelEvent::PoliciesFlushed => self.spd.clear(),
            KernelEvent::Policies(policies) => {
                policies.iter().for_each(|policy| self.generated.heard(policy));
                self.spd.replace_all(policies);
                self.warn_of_foreign_ends();
            }
        }
    }

    /// An SA comes to its end. One that is not ours is none of our business.
    fn sa_expires(&mut self, name: &SaName, limit: Limit) {
        if limit == Limit::Hard && self.leftovers.remove(name) {
            return;
        }
        let Some(id) = self.phase2s.of_sa(sa_key(name)) else { return };
        let Some(phase2) = self.phase2s.get(id) else { return };
        match (phase2.established(), limit) {
            (Some(_), Limit::Soft) => self.phase2_renew(id),
            // By bytes it is earlier than the peer expects.
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

    /// Somebody else deleted an SA: the rest of its bundle is of no use, and the peer has to know.
    fn sa_was_deleted(&mut self, name: &SaName) {
        if self.core.settings.local_test {
            return;
        }
        self.leftovers.remove(name);
        let Some(id) = self.phase2s.of_sa(sa_key(name)) else { return };
        let Some(phase2) = self.phase2s.get(id) else { return };
        let (remote, is_established) = (phase2.remote, phase2.established().is_some());
        self.core.log(Level::Info, Some(remote), || format!("somebody deleted {name}"));
        if is_established {
            self.purge_phase2(id, true);
        } else {
            self.fail_phase2(id, FailureReason::Kernel(KernelFailure::Deleted(*name)));
        }
    }

    /// Somebody else deleted all SAs of a protocol, or of all.
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
