//! When the SAs of a renewal take the place of the old ones for what we send.
//!
//! Not every responder has its inbound SAs in place before it sends message 2; strongSwan installs them when message 3
//! comes, and drops what is faster. So an initiator goes on sending by the old pair for a while. It changes over at once
//! if the old pair goes, or if the kernel asks.
//!
//! An old pair whose lifetime in bytes is used up has most of its seconds left, so that renewals would pile up.
//! So it is deleted a while after both sides have switched over, with a DELETE to the peer.

use std::mem;
use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::{Engine, Phase2Id, Timer};
use crate::phase2::TrafficKey;
use crate::phase2::table::{EstablishedPhase2, Outbound, Phase2s};
use crate::reason::Role;
use crate::time::Time;

/// Longer than that no responder needs, not even one that has to ask for message 3 again.
const SWITCHOVER_DELAY_MAX: Duration = Duration::from_secs(5);

/// How long a replaced pair still receives packets in flight.
const REPLACED_GRACE: Duration = Duration::from_secs(5);

/// It is no longer than this part of what is left of the old pair's life.
const REMAINING_FRACTION: u32 = 4;

impl Engine {
    /// It is established but for its outbound SAs, which wait.
    pub(crate) fn hold_outbound(&mut self, id: Phase2Id, outbound: Outbound, until: Time) {
        let established = outbound.established(self.core.now);
        if let Err(cause) = self.claim_names(id, &outbound.installations) {
            return self.fail_phase2(id, cause);
        }
        if let Some(phase2) = self.phase2s.get_mut(id) {
            phase2.held = outbound.installations;
        }
        self.core.timers.set(Timer::Phase2SwitchOver(id), until);
        self.phase2_established(id, established);
    }

    /// From now on it is what we send by.
    pub(crate) fn phase2_switch_over(&mut self, id: Phase2Id) {
        self.core.timers.stop(Timer::Phase2SwitchOver(id));
        let Some(phase2) = self.phase2s.get_mut(id).filter(|phase2| !phase2.held.is_empty()) else { return };
        phase2.set_deadline(&mut self.core);
        let held = mem::take(&mut phase2.held);
        self.install(id, held);
    }

    /// A pair was replaced a while ago: it goes, unless what replaced it is gone itself.
    pub(crate) fn phase2_replaced(&mut self, id: Phase2Id) {
        let Some(phase2) = self.phase2s.get(id) else { return };
        if self.phase2s.established(&phase2.traffic_key).any(|(newer, _)| newer > id) {
            self.expire_phase2(id, true);
        }
    }

    /// Nothing else is left to send by. False: nothing waits.
    pub(crate) fn switch_over_now(&mut self, traffic_key: &TrafficKey) -> bool {
        let waits = |id: &Phase2Id| self.phase2s.get(*id).is_some_and(|phase2| !phase2.held.is_empty());
        let waiting = self.phase2s.established(traffic_key).map(|(id, _)| id).filter(waits).collect::<Vec<_>>();
        waiting.iter().for_each(|id| self.phase2_switch_over(*id));
        !waiting.is_empty()
    }
}

impl Phase2s {
    /// Until when the pair that it renews serves for what we send; none: there is none, or it may end any moment because of
    /// its bytes.
    pub(crate) fn serves_until(&self, core: &Core, id: Phase2Id) -> Option<Time> {
        let old = self.get(id)?.renews?;
        let old = self.get(old)?.established().filter(|old| old.terms.kilobytes.is_none())?;
        Some(core.now + SWITCHOVER_DELAY_MAX.min(old.expires.since(core.now) / REMAINING_FRACTION))
    }

    /// A phase 2 is established: pairs with a lifetime in bytes that it replaces go after a while.
    ///
    /// A responder has message 3, so both sides send by the new pair. An initiator does not know whether message 3 has
    /// arrived: it waits longer than the peer does before it repeats message 2. While a phase 2 is still negotiated, the pair
    /// before it stays: the peer may repeat message 1 and never get further.
    pub(crate) fn retire_replaced(&self, core: &mut Core, id: Phase2Id) {
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
