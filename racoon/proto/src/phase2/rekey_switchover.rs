//! The switch of outbound traffic from the old SAs to those of a renewal.
//!
//! Not every responder installs its inbound SAs before it sends message 2: strongSwan does so when message 3 arrives, and drops
//! packets that are faster. An initiator therefore keeps sending by the old pair for a while. It switches at once if the old pair
//! is removed, or if the kernel sends an acquire.
//!
//! A pair that is renewed because of its lifetime in bytes has most of its seconds left, so old pairs would pile up. They are
//! deleted some time after both sides have switched, with a DELETE to the peer.

use std::mem;
use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::{Engine, Phase2Id, Timer};
use crate::phase2::TrafficKey;
use crate::phase2::entry::{EstablishedPhase2, Outbound};
use crate::phase2::table::Phase2s;
use crate::reason::Role;
use crate::time::Time;

/// Upper bound of the delay; covers one retransmission of message 3.
const SWITCHOVER_DELAY_MAX: Duration = Duration::from_secs(5);

/// Time for which a replaced pair still receives packets in flight.
const REPLACED_GRACE: Duration = Duration::from_secs(5);

/// Fraction of the old pair's remaining life that bounds the delay.
const REMAINING_FRACTION: u32 = 4;

impl Engine {
    /// Holds back the outbound SAs of a phase 2 that is otherwise established.
    pub(crate) fn hold_outbound(&mut self, id: Phase2Id, outbound: Outbound, until: Time) {
        let established = outbound.established(self.core.now);
        // Both sides have agreed on the SAs: no other phase 2 may take their names in the meantime.
        if let Err(reason) = self.claim_names(id, &outbound.installations) {
            return self.fail_phase2(id, reason);
        }
        if let Some(phase2) = self.phase2s.get_mut(id) {
            phase2.held = outbound.installations;
        }
        self.core.timers.set(Timer::Phase2SwitchOver(id), until);
        self.phase2_established(id, established);
    }

    /// Installs the outbound SAs that were held back.
    pub(crate) fn phase2_switch_over(&mut self, id: Phase2Id) {
        self.core.timers.stop(Timer::Phase2SwitchOver(id));
        if let Some(phase2) = self.phase2s.get_mut(id).filter(|phase2| !phase2.held.is_empty()) {
            // The kernel may not answer; the phase 2 then fails as any other that installs SAs.
            phase2.set_deadline(&mut self.core);
            let held = mem::take(&mut phase2.held);
            self.install(id, held);
        }
    }

    /// Switches at once, because there is no other pair to send by. Returns false if none is held back.
    pub(crate) fn switch_over_now(&mut self, traffic_key: &TrafficKey) -> bool {
        let waiting = self.phase2s.holding_back(traffic_key);
        waiting.iter().for_each(|id| self.phase2_switch_over(*id));
        !waiting.is_empty()
    }
}

impl Phase2s {
    /// Returns the phase 2s for a traffic key whose outbound SAs are held back.
    fn holding_back(&self, traffic_key: &TrafficKey) -> Vec<Phase2Id> {
        let holds = |id: &Phase2Id| self.get(*id).is_some_and(|phase2| !phase2.held.is_empty());
        self.established(traffic_key).map(|(id, _)| id).filter(holds).collect()
    }

    /// Whether a phase 2 is replaced by a newer one that still exists.
    pub(crate) fn is_replaced(&self, id: Phase2Id) -> bool {
        let traffic_key = self.get(id).map(|phase2| phase2.traffic_key);
        traffic_key.is_some_and(|traffic_key| self.established(&traffic_key).any(|(newer, _)| newer > id))
    }

    /// Returns the time until which the old pair is used for sending; `None` if there is none, or if it may end at any moment by its
    /// bytes.
    pub(crate) fn serves_until(&self, core: &Core, id: Phase2Id) -> Option<Time> {
        let old = self.get(id)?.renews?;
        let old = self.get(old)?.established().filter(|old| old.terms.kilobytes.is_none())?;
        Some(core.now + SWITCHOVER_DELAY_MAX.min(old.expires.since(core.now) / REMAINING_FRACTION))
    }

    /// Schedules the deletion of pairs with a lifetime in bytes that an established phase 2 replaces.
    ///
    /// A responder has received message 3, so both sides use the new pair. An initiator does not know whether message 3 has arrived,
    /// and waits longer than the interval after which the peer would repeat message 2. While a phase 2 is being negotiated, the old
    /// pair stays: the peer may repeat message 1 and never continue.
    pub(crate) fn retire_replaced(&self, core: &mut Core, id: Phase2Id) {
        // The peer repeats message 2 also while a new pair is being installed; the old one is needed then.
        let Some(phase2) = self.get(id).filter(|phase2| phase2.established().is_some()) else { return };
        let is_counted = |old: &EstablishedPhase2| old.terms.kilobytes.is_some();
        let (replaced, wait) = match phase2.role {
            Role::Initiator => {
                let old = phase2.renews.and_then(|old| Some((old, self.get(old)?.established()?)));
                let old = old.filter(|(_, old)| is_counted(old)).map(|(old, _)| old);
                (old.into_iter().collect::<Vec<_>>(), core.settings.retransmission.interval + REPLACED_GRACE)
            }
            Role::Responder => {
                let by_peer = |one: Phase2Id| self.get(one).is_some_and(|one| one.role == Role::Responder);
                let older = self.established(&phase2.traffic_key).filter(|(old, _)| *old < id && by_peer(*old));
                // A pair that was replaced earlier already has its timer.
                let unset = |old: &Phase2Id| !core.timers.is_set(Timer::Phase2Replaced(*old));
                (older.filter(|(_, old)| is_counted(old)).map(|(old, _)| old).filter(unset).collect(), REPLACED_GRACE)
            }
        };
        replaced.into_iter().for_each(|old| core.timers.set(Timer::Phase2Replaced(old), core.now + wait));
    }
}
