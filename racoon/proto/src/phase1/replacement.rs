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
use crate::informational::dpd::IfSilent;
use crate::kernel::KernelRequest;
use crate::output::Level;
use crate::path::AddrPort;
use crate::phase1::entry::Phase1;
use crate::phase1::table::Phase1s;
use crate::phase2::acquire::Phase2Trigger;
use crate::phase2::entry::{Phase2, State};
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
    /// Reacts to an unanswered message 1 of a quick mode that was first sent at `began`. `last` means that it is not repeated again.
    pub(crate) fn quick_mode_unanswered(&mut self, id: Phase2Id, began: Time, last: bool) {
        let Some(phase2) = self.phase2s.get(id).filter(|phase2| is_unanswered(phase2)) else { return };
        let Some(phase1) = phase2.phase1 else { return };
        if self.phase1s.probe(&mut self.core, phase1, IfSilent::Replace) {
            return;
        }
        let Some(established) = self.phase1s.get(phase1).and_then(Phase1::established) else { return };
        let interval = self.core.settings.retransmission.interval;
        let is_hinted = established.replacement.hinted.is_some_and(|hinted| hinted >= began);
        // What the peer sent right after phase 1 does not show that it still has it.
        let is_heard = established.heard >= began + interval;
        if !is_heard && (is_hinted || last) {
            self.replace_phase1(phase1);
        }
    }

    /// Negotiates a second phase 1, unless there is a newer one or one being negotiated, the first one has itself replaced another
    /// one recently, or the remote section is passive.
    pub(crate) fn replace_phase1(&mut self, id: Phase1Id) {
        let now = self.core.now;
        let Some(phase1) = self.phase1s.get(id) else { return };
        let (path, block) = (phase1.path(), phase1.block);
        let remote = path.remote;
        if self.core.settings.remotes.get(block).is_none_or(|block| block.passive)
            || self.phase1s.usable(path) != Some(id)
            || self.phase1s.initiation(path).is_some()
        {
            return;
        }
        let Some(established) = self.phase1s.get_mut(id).and_then(Phase1::established_mut) else { return };
        if now < established.replacement.not_before {
            return;
        }
        established.replacement.suspected = true;
        self.core.log(Level::Notify, Some(remote), || {
            format!(
                "{} does not answer under its phase 1 and may have lost it; negotiating another one",
                AddrPort(remote)
            )
        });
        // A failure is logged, and the first phase 1 stays as it is.
        let _ = self.begin_phase1(path, block, None, Vec::new());
    }

    /// Lets an established phase 1 replace those with the peer under which the peer did not answer.
    pub(crate) fn replace_suspected(&mut self, new: Phase1Id) {
        let Some(path) = self.phase1s.get(new).map(Phase1::path) else { return };
        for old in self.phase1s.between(path.addresses()) {
            let Some(phase1) = self.phase1s.get(old).filter(|_| old != new) else { continue };
            let Some(replacement) = phase1.established().map(|one| one.replacement) else { continue };
            if phase1.remote() != path.remote || !replacement.suspected {
                continue;
            }
            if let Some(established) = self.phase1s.get_mut(new).and_then(Phase1::established_mut) {
                established.replacement = replacement.of_successor(self.core.now);
            }
            for phase2 in self.phase2s.under(old) {
                self.begin_again(phase2);
            }
            if self.phase1s.probe(&mut self.core, old, IfSilent::Forget) {
                self.phase1s.probe(&mut self.core, new, IfSilent::Replace);
            } else {
                self.supersede_phase1(old);
            }
        }
    }

    /// Begins an unanswered quick mode of ours again, under the newest phase 1.
    fn begin_again(&mut self, id: Phase2Id) {
        let Some(phase2) = self.phase2s.get_mut(id).filter(|phase2| is_unanswered(phase2)) else { return };
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
            Err(cause) => {
                acquires
                    .into_iter()
                    .for_each(|acquire| self.core.send_to_kernel(KernelRequest::AcquireFailed(acquire)));
                renews.into_iter().for_each(|old| self.phase2s.renew_later(&mut self.core, old));
                self.phase2_not_begun(&traffic_key, cause);
            }
        }
        generated.into_iter().for_each(|outbound| self.release_policies(outbound, id));
    }

    /// Stops using a phase 1 that the peer still has: its established phase 2s move to the newer one.
    pub(crate) fn supersede_phase1(&mut self, id: Phase1Id) {
        let Some(phase1) = self.phase1s.get_mut(id) else { return };
        let path = phase1.path();
        let Some(established) = phase1.established_mut() else { return };
        established.dying = true;
        established.replacement.is_answered();
        self.core.timers.stop(Timer::Phase1Renew(id));
        if let Some(newer) = self.phase1s.newest(path, Some(id)) {
            self.phase2s.move_established(id, newer);
        }
    }

    /// Removes a phase 1 that the peer has lost, with its SAs: the peer answers only under a newer one.
    pub(crate) fn forget_phase1(&mut self, id: Phase1Id) {
        let Some(phase1) = self.phase1s.get(id) else { return };
        let (remote, cookies) = (phase1.remote(), phase1.cookies);
        self.core.log(Level::Info, Some(remote), || {
            format!("the peer answers under a newer phase 1 and not under ISAKMP-SA spi={cookies}: it has lost that")
        });
        // If packets were only lost, the peer still has the SAs: tell it under the phase 1 that it answers on.
        let established = |id: &Phase2Id| self.phase2s.get(*id).is_some_and(|phase2| phase2.established().is_some());
        let lost = self.phase2s.under(id).into_iter().filter(established).collect::<Vec<_>>();
        self.leave_phase2s(id);
        lost.into_iter().for_each(|phase2| self.purge_phase2(phase2, true));
        self.drop_phase1(id);
    }
}

impl Phase1s {
    /// Probes the peer after an unencrypted message says that it does not have a phase 1. The message may come from anybody, so
    /// nothing else follows from it.
    pub(crate) fn unknown_to_peer(&mut self, core: &mut Core, id: Phase1Id) {
        let now = core.now;
        if let Some(established) = self.get_mut(id).and_then(Phase1::established_mut) {
            established.replacement.hinted = Some(now);
        }
        self.probe(core, id, IfSilent::Replace);
    }
}

/// Whether a phase 2 is a quick mode of ours that the peer has not answered.
fn is_unanswered(phase2: &Phase2) -> bool {
    phase2.role == Role::Initiator && matches!(phase2.state, State::Gathering(..) | State::Offered(_))
}
