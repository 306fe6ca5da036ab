//! How a phase 2 is established, renewed and removed.

use std::net::SocketAddr;
use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Phase2Id, Timer};
use crate::num::Protocol;
use crate::output::{EventKind, Level};
use crate::path::Path;
use crate::phase1::entry::Phase1;
use crate::phase1::renewal::{RETRY, outlives};
use crate::phase1::table::Phase1s;
use crate::phase2::TrafficKey;
use crate::phase2::acquire::Phase2Trigger;
use crate::phase2::entry::{EstablishedPhase2, Phase2, State};
use crate::phase2::kernel_state::protocol_name;
use crate::phase2::table::Phase2s;
use crate::phase2::traffic::{Endpoints, Identities};
use crate::reason::{FailureReason, NegotiationResult, Role};
use crate::select::{RemoteQuery, SainfoQuery};

impl Engine {
    /// Begins the phase 2s that waited for a phase 1.
    pub(crate) fn begin_waiting(&mut self, phase1: Phase1Id, waiting: Vec<Phase2Id>) {
        waiting.into_iter().for_each(|id| self.phase2_under(id, phase1));
    }

    /// Removes all SAs with a peer, except those under the phase 1 `keep` and those that still wait for a phase 1.
    pub(crate) fn purge_peer(&mut self, path: Path, keep: Option<Phase1Id>, tell_peer: bool) {
        self.leftovers.delete(&mut self.core, &mut self.phase1s, Endpoints::of(path), tell_peer);
        for id in self.phase2s.with(Endpoints::of(path)) {
            let is_hit = self.phase2s.get(id).is_some_and(|phase2| {
                let is_kept = phase2.phase1.is_some() && phase2.phase1 == keep;
                phase2.is_with(&self.phase1s, path.remote) && !is_kept && !matches!(phase2.state, State::Waiting(..))
            });
            if is_hit {
                self.purge_or_end_phase2(id, tell_peer, NegotiationResult::Failed(FailureReason::phase1_gone()));
            }
        }
    }

    /// Processes a DELETE of SAs by which we send to the peer: their inbound counterparts are removed with them.
    pub(crate) fn peer_deleted(&mut self, phase1: Phase1Id, protocol: Protocol, spis: Vec<u32>) {
        // The phase 1 has just authenticated the message.
        let Some(path) = self.phase1s.get(phase1).map(Phase1::path) else { return };
        let remote = path.remote;
        for spi in spis {
            let found = self.phase2s.of_sa((remote.ip(), protocol, spi));
            let is_of_peer = |phase2: &Phase2| phase2.is_with(&self.phase1s, remote);
            if let Some(id) = found.filter(|id| self.phase2s.get(*id).is_some_and(is_of_peer)) {
                let name = protocol_name(protocol);
                self.core
                    .log(Level::Info, Some(remote), || format!("the peer deletes its {name} SA spi={spi}({spi:#x})"));
                self.purge_or_end_phase2(id, false, NegotiationResult::Failed(FailureReason::Deleted(protocol)));
            } else if !self.leftovers.deleted_by(&mut self.core, &mut self.phase1s, path, (protocol, spi)) {
                self.core.log(Level::Debug, Some(remote), || {
                    format!("ignored a DELETE for an unknown {protocol} SA {spi:#x}")
                });
            }
        }
    }

    /// Removes the phase 2s that the new configuration would not allow.
    pub(crate) fn phase2_reload(&mut self) {
        let (core, phase1s) = (&self.core, &self.phase1s);
        for id in self.phase2s.ids(|phase2| !phase2.is_configured(core, phase1s)) {
            self.purge_or_end_phase2(id, true, NegotiationResult::Abandoned);
        }
    }

    /// Removes all phase 2s at shutdown, and sends DELETEs for the established ones.
    pub(crate) fn phase2_shutdown(&mut self) {
        for id in self.phase2s.ids(|_| true) {
            if self.phase2s.is_established(id) {
                self.delete_phase2(id, true);
            } else {
                self.end_phase2(id, NegotiationResult::Abandoned);
            }
        }
    }

    /// Deletes every SA of a protocol, or of all protocols, with the rest of its bundle.
    pub(crate) fn flush_phase2(&mut self, protocol: Option<Protocol>) {
        let concerns = |phase2: &Phase2| phase2.established().is_some_and(|established| has(established, protocol));
        self.phase2s.ids(concerns).into_iter().for_each(|id| self.purge_phase2(id, true));
        // Leftover bundles are deleted as a whole, too.
        self.leftovers.delete_all(&mut self.core, &mut self.phase1s);
    }

    /// Enters a phase 2 whose SAs are all installed.
    pub(crate) fn phase2_established(&mut self, id: Phase2Id, established: EstablishedPhase2) {
        if let Some(waiting) = self.phase2s.enter(&mut self.core, id, established) {
            self.end_phase2(waiting, NegotiationResult::Superseded);
        }
        // `enter` does not remove it.
        let Some(phase2) = self.phase2s.get(id) else { return };
        let traffic_key = phase2.traffic_key;
        self.core.log(Level::Debug, Some(phase2.path.remote), || format!("phase 2 established for {traffic_key}"));
        let outcome = phase2.outcome(&self.core, NegotiationResult::Established);
        let outcome = self.core.record_outcome(outcome);
        let sa = phase2.phase1.and_then(|phase1| self.phase1s.sa(phase1));
        self.core.emit(phase2.event(sa, EventKind::Phase2Up, Some(outcome)));
        self.leftovers.schedule_deletion(&mut self.core, &self.phase2s, traffic_key.endpoints);
    }

    /// Renews a phase 2 once, if we began it and no phase 2 for the same traffic outlives it.
    pub(crate) fn phase2_renew(&mut self, id: Phase2Id) {
        // Another side or another negotiation renews it, or it is tried again later.
        let Some((traffic_key, remote)) = self.phase2s.due_for_renewal(&mut self.core, id) else { return };
        if let Err(reason) = self.begin_phase2(traffic_key, Phase2Trigger::Renewal(id)) {
            self.core.log(Level::Warning, Some(remote), || format!("{traffic_key} cannot be renewed: {reason}"));
        }
    }

    /// Removes a phase 2 whose SAs have expired. At the end of the lifetime the peer need not be told: it knows the lifetime.
    pub(crate) fn expire_phase2(&mut self, id: Phase2Id, tell_peer: bool) {
        let expired = self.phase2s.get(id).and_then(|phase2| Some((phase2, phase2.established()?)));
        // Its timer stops when it is removed.
        let Some((phase2, established)) = expired else { return };
        phase2.log_sas(&mut self.core, "IPsec-SA expired", &established.pairs);
        self.delete_phase2(id, tell_peer);
    }

    /// Retransmits a message, or fails the negotiation if the peer does not answer.
    pub(crate) fn phase2_retransmit(&mut self, id: Phase2Id) {
        // The timer stops when the phase 2 is removed.
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        let path = phase2.path;
        let Some(phase1) = phase2.phase1.filter(|phase1| self.phase1s.sa(*phase1).is_some()) else {
            return self.fail_phase2(id, FailureReason::phase1_gone());
        };
        // The timer stops when the peer answers, so there is a message to retransmit.
        let Some(first_sent) = phase2.conversation.first_sent() else { return };
        let is_sent = phase2.conversation.retransmit(&mut self.core, path);
        if phase2.is_unanswered() {
            self.phase1s.quick_mode_unanswered(&mut self.core, phase1, first_sent, !is_sent);
        }
        if !is_sent {
            let silence = FailureReason::NoAnswer(phase2.unanswered());
            let reason = phase2.conversation.record.time_up(silence);
            self.fail_phase2(id, reason);
        }
    }

    /// Fails a phase 2 that has waited too long for its phase 1, the kernel or a job.
    pub(crate) fn phase2_deadline(&mut self, id: Phase2Id) {
        let late = self.phase2s.get_mut(id).and_then(|phase2| {
            let reason = phase2.late(&self.core)?;
            phase2.conversation.record.timed_out = true;
            Some(reason)
        });
        if let Some(reason) = late {
            self.fail_phase2(id, reason);
        }
    }

    /// Removes a phase 2: an established one before it expires, or a negotiation with this result.
    pub(crate) fn purge_or_end_phase2(&mut self, id: Phase2Id, tell_peer: bool, result: NegotiationResult) {
        if self.phase2s.is_established(id) {
            self.purge_phase2(id, tell_peer);
        } else {
            self.end_phase2(id, result);
        }
    }

    /// Deletes an established phase 2 before it expires, and logs a line for each SA.
    pub(crate) fn purge_phase2(&mut self, id: Phase2Id, tell_peer: bool) {
        if let Some(phase2) = self.phase2s.get(id) {
            phase2.log_purged(&mut self.core);
            self.delete_phase2(id, tell_peer);
        }
    }

    /// Deletes an established phase 2.
    fn delete_phase2(&mut self, id: Phase2Id, tell_peer: bool) {
        if let Some(phase2) = self.phase2s.get(id) {
            let sa = phase2.phase1.and_then(|phase1| self.phase1s.sa(phase1));
            self.core.emit(phase2.event(sa, EventKind::Phase2Down, None));
        }
        if let Some(phase2) = self.phase2s.end(&mut self.core, &mut self.phase1s, id) {
            // Outbound traffic now has only the SAs of its renewal, which were held back.
            self.switch_over_now(&phase2.traffic_key);
            phase2.release(&mut self.core, &mut self.phase1s, &mut self.generated, tell_peer);
        }
    }
}

impl Phase2s {
    /// Enters a phase 2 whose SAs are all installed, and starts its timers. Returns a phase 2 of ours for the same traffic that
    /// still waits, and is not needed any longer.
    fn enter(&mut self, core: &mut Core, id: Phase2Id, established: EstablishedPhase2) -> Option<Phase2Id> {
        let phase2 = self.get(id)?;
        phase2.conversation.stop_deadline(core);
        let (role, traffic_key) = (phase2.role, phase2.traffic_key);
        let lifetime = Duration::from_secs(established.terms.lifetime.into());
        let (since, expires) = (established.since, established.expires);
        phase2.log_sas(core, "IPsec-SA established", &established.pairs);
        self.establish(id, established);
        core.timers.set(Timer::Phase2Expire(id), expires);
        // Only the initiator renews: otherwise both sides would do so at the same time.
        if role == Role::Initiator {
            let renewed_after = core.renewed_after(lifetime);
            core.timers.set(Timer::Phase2Renew(id), since + renewed_after);
        }
        // The peer may repeat its last message for that long.
        core.timers.set(Timer::Phase2Forget(id), core.now + core.settings.retransmission.whole());
        self.retire_replaced(core, id);
        let is_waiting = |phase2: &Phase2| matches!(phase2.state, State::Waiting(..));
        self.negotiating(&traffic_key).filter(|other| self.get(*other).is_some_and(is_waiting))
    }

    /// Returns the traffic and the peer of a phase 2 that is due for renewal, and records that it has begun. If another
    /// negotiation for the traffic goes on, it is renewed later, in case that fails.
    fn due_for_renewal(&mut self, core: &mut Core, id: Phase2Id) -> Option<(TrafficKey, SocketAddr)> {
        let phase2 = self.get(id).filter(|_| !core.stopping)?;
        let established = phase2.established()?;
        let (traffic_key, remote) = (phase2.traffic_key, phase2.path.remote);
        if phase2.role == Role::Responder || established.renewed || self.has_newer(&traffic_key, established) {
            return None;
        }
        if self.negotiating(&traffic_key).is_some() {
            self.renew_later(core, id);
            return None;
        }
        self.get_mut(id)?.established_mut()?.renewed = true;
        Some((traffic_key, remote))
    }

    /// Removes a phase 2 from the tables, and stops its timers and requests.
    pub(super) fn end(&mut self, core: &mut Core, phase1s: &mut Phase1s, id: Phase2Id) -> Option<Phase2> {
        for timer in [
            Timer::Phase2Renew(id),
            Timer::Phase2SwitchOver(id),
            Timer::Phase2Replaced(id),
            Timer::Phase2Expire(id),
            Timer::Phase2Forget(id),
        ] {
            core.timers.stop(timer);
        }
        let phase2 = self.remove(id)?;
        phase2.conversation.end(core);
        if matches!(phase2.state, State::Waiting(..)) {
            phase1s.cancel_wait(id);
        }
        for request in phase2.installs.keys().chain(phase2.spi_requests.keys()) {
            core.requests.remove(request);
        }
        Some(phase2)
    }

    /// Stops answering duplicates of the peer's messages.
    pub(crate) fn forget_messages(&mut self, id: Phase2Id) {
        self.close(id);
        if let Some(phase2) = self.get_mut(id) {
            phase2.conversation.forget_messages();
        }
    }

    /// Moves the established phase 2s of a phase 1 to another one; those being negotiated stay.
    pub(crate) fn move_established(&mut self, from: Phase1Id, to: Phase1Id) {
        self.established_under(from).into_iter().for_each(|id| self.bind(id, to));
    }

    /// Whether a phase 2 for the same traffic clearly outlives this one. If both sides negotiate at once, neither does.
    fn has_newer(&self, traffic_key: &TrafficKey, than: &EstablishedPhase2) -> bool {
        let lifetime = Duration::from_secs(than.terms.lifetime.into());
        self.established(traffic_key).any(|(_, other)| outlives(other.expires, than.expires, lifetime))
    }

    /// Schedules another attempt to renew a phase 2, if it is still established.
    pub(crate) fn renew_later(&mut self, core: &mut Core, id: Phase2Id) {
        if let Some(established) = self.get_mut(id).and_then(Phase2::established_mut) {
            established.renewed = false;
            core.timers.set(Timer::Phase2Renew(id), core.now + RETRY);
        }
    }
}

impl Phase2 {
    /// Whether it is with this peer. Several peers may have the same address, with different ports.
    fn is_with(&self, phase1s: &Phase1s, remote: SocketAddr) -> bool {
        let under = || self.phase1.and_then(|phase1| phase1s.get(phase1));
        self.path.remote == remote || under().is_some_and(|phase1| phase1.remote() == remote)
    }

    /// Whether a remote section and a sainfo match it.
    fn is_configured(&self, core: &Core, phase1s: &Phase1s) -> bool {
        let (remotes, remote) = (&core.settings.remotes, self.path.remote);
        let bound = self.phase1.and_then(|phase1| phase1s.sa(phase1)).and_then(|sa| remotes.get(sa.remote_section));
        let by_address = || remotes.select(&RemoteQuery::address(remote)).ok().flatten().and_then(|at| remotes.get(at));
        bound.or_else(by_address).is_some_and(|section| {
            let ids = Identities::of_selector(&self.traffic_key.selector);
            let traffic = SainfoQuery {
                local: &ids.local,
                remote: &ids.remote,
                claimed: None,
                client: Some(remote.ip()),
                remoteid: section.ph1id,
            };
            core.settings.sainfos.select(&traffic).is_some()
        })
    }
}

/// Whether an established phase 2 has SAs of a protocol, or any SAs.
pub(crate) fn has(established: &EstablishedPhase2, protocol: Option<Protocol>) -> bool {
    protocol.is_none_or(|protocol| established.pairs.iter().any(|pair| pair.inbound.protocol == protocol))
}
