//! Negotiation of a second phase 1 when the peer may have lost the first.
//!
//! A peer that was killed and started again no longer has our phase 1, and cannot prove that: a notify about a phase 1 that it
//! has lost is unencrypted, so anybody may have sent it. Only a new phase 1 is proof.
//!
//! 1. If a quick mode of ours is not answered, the peer is probed.
//! 2. If it does not answer the probe either, or cannot be probed, a second phase 1 is negotiated. The first one stays.
//! 3. When the second one is established, our negotiations continue under it, and the peer is probed under both.
//! 4. If it answers under the second one only, it has lost the first, which is removed with its SAs. Otherwise it has both.
//!
//! A peer that answers probes, but drops a quick mode silently because of its proposal, keeps its phase 1. For one that cannot be
//! probed, a second phase 1 is negotiated at intervals that double each time, until it answers a quick mode.

use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Phase2Id, Timer};
use crate::informational::dpd_state::IfSilent;
use crate::kernel::KernelRequest;
use crate::output::Level;
use crate::path::AddrPort;
use crate::phase1::entry::Phase1;
use crate::phase1::table::Phase1s;
use crate::phase2::acquire::Phase2Trigger;
use crate::phase2::entry::{Phase2, State};
use crate::phase2::table::Phase2s;
use crate::reason::{NegotiationResult, Role};
use crate::time::Time;

/// Age below which a phase 1 that replaced another one is not replaced itself. It doubles for each successor.
const WAIT: Duration = Duration::from_secs(60);

/// Upper bound of that age.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// State of the replacement of an established phase 1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Replacement {
    /// The peer did not answer under it: the next phase 1 that is established replaces it.
    suspected: bool,
    /// Time of the last unencrypted notify that says that the peer does not have it.
    hinted: Option<Time>,
    /// It is not replaced before this.
    not_before: Time,
    /// Set if it replaced another one: the age below which its own successor is not replaced.
    wait: Option<Duration>,
}

impl Replacement {
    /// Records an answer of the peer.
    pub(crate) fn is_answered(&mut self) {
        self.suspected = false;
        self.hinted = None;
    }

    /// Records an answer to a quick mode: earlier failures no longer matter.
    pub(crate) fn is_of_use(&mut self) {
        *self = Self::default();
    }

    /// The state of the phase 1 that replaces it now.
    fn of_successor(self, now: Time) -> Self {
        let wait = self.wait.unwrap_or(WAIT);
        Self { not_before: now + wait, wait: Some((wait * 2).min(WAIT_MAX)), ..Self::default() }
    }
}

impl Engine {
    /// Lets an established phase 1 replace those with the peer under which the peer did not answer.
    pub(crate) fn replace_suspected(&mut self, new: Phase1Id) {
        for (old, replacement) in self.phase1s.suspected(new) {
            if let Some(established) = self.phase1s.get_mut(new).and_then(Phase1::established_mut) {
                established.replacement = replacement.of_successor(self.core.now);
            }
            for phase2 in self.phase2s.under(old) {
                self.begin_again(phase2);
            }
            if self.phase1s.probe(&mut self.core, old, IfSilent::Forget) {
                self.phase1s.probe(&mut self.core, new, IfSilent::Replace);
            } else {
                // One that supports no DPD cannot be asked, so the old phase 1 is left to expire.
                self.phase1s.supersede(&mut self.core, &mut self.phase2s, old);
            }
        }
    }

    /// Begins an unanswered quick mode of ours again, under the newest phase 1.
    fn begin_again(&mut self, id: Phase2Id) {
        // One that the peer has answered continues under its phase 1.
        let Some(phase2) = self.phase2s.get_mut(id).filter(|phase2| phase2.is_unanswered()) else { return };
        let (traffic_key, renews) = (phase2.traffic_key, phase2.renews);
        let acquires = std::mem::take(&mut phase2.acquires);
        // Its generated policies are kept for the one that begins.
        let generated = phase2.generated.take();
        self.end_phase2(id, NegotiationResult::Superseded);
        let trigger = match (renews, acquires.first()) {
            (Some(old), _) => Phase2Trigger::Renewal(old),
            (None, Some(acquire)) => Phase2Trigger::Acquire(acquire.clone()),
            (None, None) => Phase2Trigger::Control,
        };
        match self.begin_phase2(traffic_key, trigger) {
            Ok(()) => {
                let begun = self.phase2s.negotiating(&traffic_key).and_then(|id| self.phase2s.get_mut(id));
                begun.into_iter().for_each(|phase2| phase2.acquires = acquires.clone());
            }
            Err(reason) => {
                acquires
                    .into_iter()
                    .for_each(|acquire| self.core.send_to_kernel(KernelRequest::AcquireFailed(acquire)));
                renews.into_iter().for_each(|old| self.phase2s.renew_later(&mut self.core, old));
                self.core.phase2_not_begun(&traffic_key, reason);
            }
        }
        generated.into_iter().for_each(|outbound| self.generated.release(&mut self.core, outbound, id));
    }

    /// Removes a phase 1 that the peer has lost, with its SAs: the peer answers only under a newer one.
    pub(crate) fn forget_phase1(&mut self, id: Phase1Id) {
        // The caller has just seen it.
        let Some(phase1) = self.phase1s.get(id) else { return };
        let (remote, cookies) = (phase1.remote(), phase1.cookies);
        self.core.log(Level::Info, Some(remote), || {
            format!("the peer answers under a newer phase 1 and not under ISAKMP-SA spi={cookies}: it has lost that")
        });
        // If packets were only lost, the peer still has the SAs: tell it under the phase 1 that it answers on.
        let lost = self.phase2s.established_under(id);
        self.leave_phase2s(id);
        lost.into_iter().for_each(|phase2| self.purge_phase2(phase2, true));
        self.drop_phase1(id, false);
    }
}

impl Phase1s {
    /// Reacts to an unanswered message 1 of a quick mode under a phase 1, which was first sent at `began`. `last` means that it is
    /// not repeated again.
    pub(crate) fn quick_mode_unanswered(&mut self, core: &mut Core, id: Phase1Id, began: Time, last: bool) {
        if self.probe(core, id, IfSilent::Replace) {
            return;
        }
        let interval = core.settings.retransmission.interval;
        let may_be_lost = self.get(id).and_then(Phase1::established).is_some_and(|established| {
            let is_hinted = established.replacement.hinted.is_some_and(|hinted| hinted >= began);
            // What the peer sent right after phase 1 does not show that it still has it.
            let is_heard = established.heard >= began + interval;
            !is_heard && (is_hinted || last)
        });
        if may_be_lost {
            self.replace(core, id);
        }
    }

    /// Negotiates a second phase 1, unless there is a newer one or one being negotiated, the first one has itself replaced another
    /// one recently, or the remote section is passive.
    pub(crate) fn replace(&mut self, core: &mut Core, id: Phase1Id) {
        // The caller has just seen it.
        let Some(phase1) = self.get(id) else { return };
        let (path, remote_section) = (phase1.path(), phase1.remote_section);
        let remote = path.remote;
        if core.settings.remotes.get(remote_section).is_none_or(|section| section.passive)
            || self.usable(path) != Some(id)
            || self.initiation(path).is_some()
        {
            return;
        }
        match self.get_mut(id).and_then(Phase1::established_mut) {
            Some(established) if core.now >= established.replacement.not_before => {
                established.replacement.suspected = true;
            }
            // It has replaced another one recently.
            Some(_) | None => return,
        }
        core.log(Level::Notify, Some(remote), || {
            format!(
                "{} does not answer under its phase 1 and may have lost it; negotiating another one",
                AddrPort(remote)
            )
        });
        // A failure is logged, and the first phase 1 stays as it is.
        let _ = self.begin(core, path, remote_section, None);
    }

    /// Returns the other phase 1s with the peer of `new` under which the peer did not answer.
    fn suspected(&self, new: Phase1Id) -> Vec<(Phase1Id, Replacement)> {
        let others = self.others_with(new).into_iter();
        let others = others.filter_map(|old| Some((old, self.get(old)?.established()?.replacement)));
        others.filter(|(_, replacement)| replacement.suspected).collect()
    }

    /// Stops using a phase 1 that the peer still has: its established phase 2s move to the newer one.
    pub(crate) fn supersede(&mut self, core: &mut Core, phase2s: &mut Phase2s, id: Phase1Id) {
        let newer = self.get(id).and_then(|phase1| self.newest(phase1.path(), Some(id)));
        if let Some(established) = self.get_mut(id).and_then(Phase1::established_mut) {
            established.dying = true;
            established.replacement.is_answered();
            core.timers.stop(Timer::Phase1Renew(id));
            newer.into_iter().for_each(|newer| phase2s.move_established(id, newer));
        }
    }
}

impl Phase1 {
    /// Probes the peer after an unencrypted message says that it does not have this phase 1. The message may come from anybody, so
    /// nothing else follows from it.
    pub(crate) fn unknown_to_peer(&mut self, core: &mut Core) {
        if let Some(established) = self.established_mut() {
            established.replacement.hinted = Some(core.now);
        }
        self.probe(core, IfSilent::Replace);
    }
}

impl Phase2 {
    /// Whether it is a quick mode of ours that the peer has not answered.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.role == Role::Initiator && matches!(self.state, State::Gathering(..) | State::Offered(_))
    }
}
