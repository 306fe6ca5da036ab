//! How a phase 2 is established, renewed and removed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Phase2Id, Timer};
use crate::kernel::SaName;
use crate::num::Protocol;
use crate::output::{Event, EventKind, Level};
use crate::path::Path;
use crate::phase1::entry::Phase1;
use crate::phase1::renewal::{RETRY, outlives};
use crate::phase2::TrafficKey;
use crate::phase2::acquire::Phase2Trigger;
use crate::phase2::entry::{EstablishedPhase2, Phase2, State};
use crate::phase2::failure::phase2_outcome;
use crate::phase2::kernel_state::protocol_name;
use crate::phase2::table::Phase2s;
use crate::phase2::traffic::{Endpoints, Identities};
use crate::reason::{FailureReason, NegotiationResult, NoPhase1, Outcome, Role};
use crate::select::{RemoteQuery, SainfoQuery};

impl Engine {
    /// Begins the phase 2s that waited for a phase 1.
    pub(crate) fn phase1_up(&mut self, phase1: Phase1Id, waiting: Vec<Phase2Id>) {
        waiting.into_iter().for_each(|id| self.phase2_under(id, phase1));
    }

    /// Fails the phase 2s that waited for a phase 1.
    pub(crate) fn phase1_failed(&mut self, waiting: Vec<Phase2Id>, why: &NoPhase1) {
        waiting.into_iter().for_each(|id| self.fail_phase2(id, FailureReason::NoPhase1(why.clone())));
    }

    /// Detaches the phase 2s of a phase 1 that is removed without a successor. Established ones stay; negotiations fail.
    pub(crate) fn phase2s_orphaned(&mut self, phase1: Phase1Id) {
        for id in self.phase2s.under(phase1) {
            if self.phase2s.get(id).is_some_and(|phase2| phase2.established().is_some()) {
                self.phase2s.close(id);
                self.phase2s.unbind(id);
            } else {
                self.fail_phase2(id, FailureReason::phase1_gone());
            }
        }
    }

    /// Removes all SAs with a peer, except those under the phase 1 `keep` and those that still wait for a phase 1.
    pub(crate) fn purge_peer(&mut self, path: Path, keep: Option<Phase1Id>, tell_peer: bool) {
        self.delete_leftovers(Endpoints::of(path), tell_peer);
        for id in self.phase2s.with(Endpoints::of(path)) {
            let Some(phase2) = self.phase2s.get(id).filter(|phase2| self.is_with(phase2, path.remote)) else {
                continue;
            };
            if phase2.phase1.is_some() && phase2.phase1 == keep {
                continue;
            }
            match phase2.state {
                State::Waiting(..) => {}
                State::Established(_) => self.purge_phase2(id, tell_peer),
                _ => self.fail_phase2(id, FailureReason::phase1_gone()),
            }
        }
    }

    /// Processes a DELETE of SAs by which we send to the peer: their inbound counterparts are removed with them.
    pub(crate) fn peer_deleted(&mut self, phase1: Phase1Id, protocol: Protocol, spis: Vec<u32>) {
        let Some(remote) = self.phase1s.get(phase1).map(Phase1::remote) else { return };
        for spi in spis {
            let found = self.phase2s.of_sa((remote.ip(), protocol, spi));
            let found = found.and_then(|id| Some((id, self.phase2s.get(id)?)));
            let Some((id, phase2)) = found.filter(|(_, phase2)| self.is_with(phase2, remote)) else {
                if self.leftover_deleted_by(phase1, protocol, spi) {
                    continue;
                }
                self.core
                    .log(Level::Debug, Some(remote), || format!("the peer deletes an unknown {protocol} SA {spi:#x}"));
                continue;
            };
            let is_established = phase2.established().is_some();
            let name = protocol_name(protocol);
            self.core.log(Level::Info, Some(remote), || format!("the peer deletes its {name} SA spi={spi}({spi:#x})"));
            if is_established {
                self.purge_phase2(id, false);
            } else {
                self.fail_phase2(id, FailureReason::Deleted(protocol));
            }
        }
    }

    /// Whether a phase 2 is with this peer. Several peers may have the same address, with different ports.
    fn is_with(&self, phase2: &Phase2, remote: SocketAddr) -> bool {
        let under = || phase2.phase1.and_then(|phase1| self.phase1s.get(phase1));
        phase2.path.remote == remote || under().is_some_and(|phase1| phase1.remote() == remote)
    }

    /// Removes the phase 2s that the new configuration would not allow.
    pub(crate) fn phase2_reload(&mut self) {
        let ids = self.phase2s.iter().filter(|(_, phase2)| !self.is_configured(phase2)).map(|(id, _)| id);
        for id in ids.collect::<Vec<_>>() {
            if self.phase2s.get(id).is_some_and(|phase2| phase2.established().is_some()) {
                self.purge_phase2(id, true);
            } else {
                self.end_phase2(id, NegotiationResult::Abandoned);
            }
        }
    }

    /// Whether a remote section and a sainfo match a phase 2.
    fn is_configured(&self, phase2: &Phase2) -> bool {
        let remotes = &self.core.settings.remotes;
        let bound = phase2.phase1.and_then(|phase1| self.phase1s.sa(phase1)).and_then(|sa| remotes.get(sa.block));
        let by_address =
            || remotes.select(&RemoteQuery::address(phase2.path.remote)).ok().flatten().and_then(|at| remotes.get(at));
        let Some(block) = bound.or_else(by_address) else { return false };
        let ids = Identities::of_selector(&phase2.traffic_key.selector);
        let client = Some(phase2.path.remote.ip());
        let traffic =
            SainfoQuery { local: &ids.local, remote: &ids.remote, claimed: None, client, remoteid: block.ph1id };
        self.core.settings.sainfos.select(&traffic).is_some()
    }

    /// Removes all phase 2s at shutdown, and sends DELETEs for the established ones.
    pub(crate) fn phase2_shutdown(&mut self) {
        for id in self.phase2s.iter().map(|(id, _)| id).collect::<Vec<_>>() {
            if self.phase2s.get(id).is_some_and(|phase2| phase2.established().is_some()) {
                self.delete_phase2(id, true);
            } else {
                self.end_phase2(id, NegotiationResult::Abandoned);
            }
        }
    }

    /// Deletes every SA of a protocol, or of all protocols, with the rest of its bundle.
    pub(crate) fn flush_phase2(&mut self, protocol: Option<Protocol>) {
        let concerns = |phase2: &Phase2| phase2.established().is_some_and(|established| has(established, protocol));
        let ids = self.phase2s.iter().filter(|(_, phase2)| concerns(phase2)).map(|(id, _)| id).collect::<Vec<_>>();
        ids.into_iter().for_each(|id| self.purge_phase2(id, true));
        // Leftover bundles are deleted as a whole, too.
        self.delete_all_leftovers();
    }

    /// Enters a phase 2 whose SAs are all installed.
    pub(crate) fn phase2_established(&mut self, id: Phase2Id, established: EstablishedPhase2) {
        let Some(phase2) = self.phase2s.get(id) else { return };
        phase2.conversation.stop_deadline(&mut self.core);
        let (role, traffic_key, remote) = (phase2.role, phase2.traffic_key, phase2.path.remote);
        let lifetime = Duration::from_secs(established.terms.lifetime.into());
        let (since, expires, pairs) = (established.since, established.expires, established.pairs.clone());
        self.log_sas(Level::Info, "IPsec-SA established", id, &pairs);
        self.phase2s.establish(id, established);
        // 1. Start its timers.
        self.core.timers.set(Timer::Phase2Expire(id), expires);
        if role == Role::Initiator {
            let renewed_after = self.renewed_after(lifetime);
            self.core.timers.set(Timer::Phase2Renew(id), since + renewed_after);
        }
        self.core.timers.set(Timer::Phase2Forget(id), self.core.now + self.core.settings.retransmission.whole());
        self.phase2s.retire_replaced(&mut self.core, id);
        // 2. Abandon a phase 2 of ours for the same traffic that still waits.
        if let Some(other) = self.phase2s.negotiating(&traffic_key)
            && self.phase2s.get(other).is_some_and(|other| matches!(other.state, State::Waiting(..)))
        {
            self.end_phase2(other, NegotiationResult::Superseded);
        }
        // 3. Report it.
        self.core.log(Level::Debug, Some(remote), || format!("phase 2 established for {traffic_key}"));
        if let Some(phase2) = self.phase2s.get(id) {
            let outcome = phase2_outcome(phase2, NegotiationResult::Established, &self.core);
            let outcome = self.core.record_outcome(outcome);
            self.emit_phase2_event(id, EventKind::Phase2Up, Some(outcome));
        }
        self.leftovers_replaced(traffic_key.endpoints);
    }

    /// Renews a phase 2 once, if we began it and no phase 2 for the same traffic outlives it.
    pub(crate) fn phase2_renew(&mut self, id: Phase2Id) {
        let Some(phase2) = self.phase2s.get(id).filter(|_| !self.core.stopping) else { return };
        let Some(established) = phase2.established() else { return };
        if phase2.role == Role::Responder
            || established.renewed
            || self.phase2s.has_newer(&phase2.traffic_key, established)
        {
            return;
        }
        let (traffic_key, remote) = (phase2.traffic_key, phase2.path.remote);
        if self.phase2s.negotiating(&traffic_key).is_some() {
            // If that negotiation fails, this one is renewed later.
            return self.phase2s.renew_later(&mut self.core, id);
        }
        if let Some(established) = self.phase2s.get_mut(id).and_then(Phase2::established_mut) {
            established.renewed = true;
        }
        if let Err(cause) = self.begin_phase2(traffic_key, Phase2Trigger::Renewal(id)) {
            self.core.log(Level::Warning, Some(remote), || format!("{traffic_key} cannot be renewed: {cause}"));
        }
    }

    /// Removes a phase 2 at the end of its lifetime. The peer knows the lifetime, so no DELETE is sent.
    pub(crate) fn phase2_expire(&mut self, id: Phase2Id) {
        self.expire_phase2(id, false);
    }

    /// Removes a phase 2 whose SAs have expired.
    pub(crate) fn expire_phase2(&mut self, id: Phase2Id, tell_peer: bool) {
        let Some(established) = self.phase2s.get(id).and_then(Phase2::established) else { return };
        let pairs = established.pairs.clone();
        self.log_sas(Level::Info, "IPsec-SA expired", id, &pairs);
        self.delete_phase2(id, tell_peer);
    }

    /// Retransmits a message, or fails the negotiation if the peer does not answer.
    pub(crate) fn phase2_retransmit(&mut self, id: Phase2Id) {
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        let addresses = phase2.path;
        if phase2.phase1.and_then(|phase1| self.phase1s.sa(phase1)).is_none() {
            return self.fail_phase2(id, FailureReason::phase1_gone());
        }
        // The timer stops when the peer answers, so there is a message to retransmit.
        let Some(first_sent) = phase2.conversation.first_sent(&self.core) else { return };
        let is_sent = phase2.conversation.retransmit(&mut self.core, addresses);
        self.quick_mode_unanswered(id, first_sent, !is_sent);
        if !is_sent && let Some(phase2) = self.phase2s.get_mut(id) {
            let silence = FailureReason::NoAnswer(phase2.unanswered());
            let reason = phase2.conversation.record.time_up(silence);
            self.fail_phase2(id, reason);
        }
    }

    /// Fails a phase 2 that has waited too long for its phase 1, the kernel or a job.
    pub(crate) fn phase2_deadline(&mut self, id: Phase2Id) {
        let Some(phase2) = self.phase2s.get_mut(id) else { return };
        if let Some(reason) = phase2.late(&self.core) {
            phase2.conversation.record.timed_out = true;
            self.fail_phase2(id, reason);
        }
    }

    /// Stops answering duplicates of the peer's messages.
    pub(crate) fn phase2_forget(&mut self, id: Phase2Id) {
        self.phase2s.close(id);
        if let Some(phase2) = self.phase2s.get_mut(id) {
            phase2.conversation.forget_messages();
        }
    }

    /// Deletes an established phase 2 before it expires, and logs a line for each SA.
    pub(crate) fn purge_phase2(&mut self, id: Phase2Id, tell_peer: bool) {
        let Some(phase2) = self.phase2s.get(id) else { return };
        let remote = phase2.path.remote;
        let pairs = phase2.established().map(|established| established.pairs.clone()).unwrap_or_default();
        for SaName { protocol, spi, .. } in pairs.iter().flat_map(|pair| [pair.inbound, pair.outbound]) {
            self.core.log(Level::Info, Some(remote), || {
                format!("purged IPsec-SA proto_id={} spi={spi}.", protocol_name(protocol))
            });
        }
        self.delete_phase2(id, tell_peer);
    }

    /// Deletes an established phase 2.
    pub(crate) fn delete_phase2(&mut self, id: Phase2Id, tell_peer: bool) {
        self.emit_phase2_event(id, EventKind::Phase2Down, None);
        let Some(phase2) = self.remove_phase2(id) else { return };
        self.switch_over_now(&phase2.traffic_key);
        self.release_kernel_state(id, &phase2, tell_peer);
    }

    /// Removes a phase 2 from the tables, and stops its timers and requests.
    pub(crate) fn remove_phase2(&mut self, id: Phase2Id) -> Option<Phase2> {
        for timer in [
            Timer::Phase2Renew(id),
            Timer::Phase2SwitchOver(id),
            Timer::Phase2Replaced(id),
            Timer::Phase2Expire(id),
            Timer::Phase2Forget(id),
        ] {
            self.core.timers.stop(timer);
        }
        let phase2 = self.phase2s.remove(id)?;
        phase2.conversation.end(&mut self.core);
        if matches!(phase2.state, State::Waiting(..)) {
            self.phase1s.cancel_wait(id);
        }
        for request in phase2.installs.keys().chain(phase2.spi_requests.keys()) {
            self.core.requests.remove(request);
        }
        Some(phase2)
    }

    pub(crate) fn emit_phase2_event(&mut self, id: Phase2Id, kind: EventKind, outcome: Option<Arc<Outcome>>) {
        if let Some(phase2) = self.phase2s.get(id) {
            let event = self.phase2_event((phase2, phase2.phase1), kind, outcome);
            self.core.emit(event);
        }
    }

    /// An event about a phase 2 and the phase 1 that it belongs or belonged to.
    pub(crate) fn phase2_event(
        &self,
        (phase2, phase1): (&Phase2, Option<Phase1Id>),
        kind: EventKind,
        outcome: Option<Arc<Outcome>>,
    ) -> Event {
        let sa = phase1.and_then(|phase1| self.phase1s.sa(phase1));
        Event {
            kind,
            local: Some(phase2.path.local),
            remote: Some(phase2.path.remote),
            cookies: phase2.cookies,
            message_id: phase2.message_id,
            identity: sa.map(|sa| sa.peer.id.clone()),
            remote_section: Some(phase2.block.clone()).filter(|name| !name.is_empty()),
            traffic: Some(phase2.traffic_key.selector),
            outcome,
        }
    }
}

impl Phase2s {
    /// Moves the established phase 2s of a phase 1 to another one; those being negotiated stay.
    pub(crate) fn move_established(&mut self, from: Phase1Id, to: Phase1Id) {
        let is_established = |id: &Phase2Id| self.get(*id).is_some_and(|one| one.established().is_some());
        let ids = self.under(from).into_iter().filter(is_established).collect::<Vec<_>>();
        ids.into_iter().for_each(|id| self.bind(id, to));
    }

    /// Whether a phase 2 for the same traffic clearly outlives this one. If both sides negotiate at once, neither does.
    fn has_newer(&self, traffic_key: &TrafficKey, than: &EstablishedPhase2) -> bool {
        let lifetime = Duration::from_secs(than.terms.lifetime.into());
        self.established(traffic_key).any(|(_, other)| outlives(other.expires, than.expires, lifetime))
    }

    pub(crate) fn renew_later(&mut self, core: &mut Core, id: Phase2Id) {
        if let Some(established) = self.get_mut(id).and_then(Phase2::established_mut) {
            established.renewed = false;
            core.timers.set(Timer::Phase2Renew(id), core.now + RETRY);
        }
    }
}

/// Whether an established phase 2 has SAs of a protocol, or any SAs.
pub(crate) fn has(established: &EstablishedPhase2, protocol: Option<Protocol>) -> bool {
    protocol.is_none_or(|protocol| established.pairs.iter().any(|pair| pair.inbound.protocol == protocol))
}
