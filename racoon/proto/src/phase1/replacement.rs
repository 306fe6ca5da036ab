//! A second phase 1 beside one under which the peer does not answer.
//!
//! A peer that was killed and started again does not know the phase 1 that we have with it. Nothing that it can send proves
//! that: whatever names a phase 1 that it has lost is in clear, and may be anybody's. What proves it is another phase 1. So
//! when a quick mode of ours is not answered, the peer is probed, and if it does not answer that either (or cannot be
//! probed), another phase 1 is negotiated while this one stays as it is. When it comes up, what we negotiate goes on under
//! it, and the peer is probed under both: if it answers under the new one alone, it has lost the old one, which goes with
//! its SAs; else it has both.
//!
//! A peer that answers probes and drops a quick mode in silence, because it does not like the proposal, has its phase 1 for
//! good. One that cannot be probed has a second one negotiated now and then, after twice the time each time, until it
//! answers a quick mode.

use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Phase2Id, Timer};
use crate::informational::dpd::IfSilent;
use crate::kernel::KernelRequest;
use crate::output::Level;
use crate::path::AddrPort;
use crate::phase1::table::{Phase1, Phase1s};
use crate::phase2::acquire::Phase2Trigger;
use crate::phase2::table::{Phase2, State};
use crate::reason::{NegotiationResult, Role};
use crate::time::Time;

/// A phase 1 that took the place of another one is not replaced itself before this; the next one not before twice as long.
const WAIT: Duration = Duration::from_secs(60);

/// The longest time between two of them.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// Whether an established phase 1 is to be replaced.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Replacement {
    /// The peer did not answer under it: another one takes its place as soon as that is up.
    suspected: bool,
    /// When a notify in clear said last that the peer does not know it.
    hinted: Option<Time>,
    /// It is not replaced before this.
    not_before: Time,
    /// It took the place of another one: how long its own successor is not replaced.
    wait: Option<Duration>,
}

impl Replacement {
    /// The peer answered under it.
    pub(crate) fn is_answered(&mut self) {
        self.suspected = false;
        self.hinted = None;
    }

    /// The peer answered a quick mode under it: what went wrong before is past.
    pub(crate) fn is_of_use(&mut self) {
        *self = Self::default();
    }

    /// That of the phase 1 that takes its place now.
    fn of_successor(self, now: Time) -> Self {
        let wait = self.wait.unwrap_or(WAIT);
        Self { not_before: now + wait, wait: Some((wait * 2).min(WAIT_MAX)), ..Self::default() }
    }
}

impl Engine {
    /// Message 1 of a quick mode, sent first at `began`, is not answered, and is repeated; or, as the `last` time, is not.
    pub(crate) fn quick_mode_unanswered(&mut self, id: Phase2Id, began: Time, last: bool) {
        let Some(phase2) = self.phase2s.get(id).filter(|phase2| is_unanswered(phase2)) else { return };
        let Some(phase1) = phase2.phase1 else { return };
        if self.phase1s.probe(&mut self.core, phase1, IfSilent::Replace) {
            return;
        }
        let Some(established) = self.phase1s.get(phase1).and_then(Phase1::established) else { return };
        let interval = self.core.settings.retransmission.interval;
        let is_hinted = established.replacement.hinted.is_some_and(|hinted| hinted >= began);
        // What the peer has sent right after phase 1 says nothing.
        let is_heard = established.heard >= began + interval;
        if !is_heard && (is_hinted || last) {
            self.replace_phase1(phase1);
        }
    }

    /// Negotiates a second phase 1 beside one that the peer may have lost; not if there is a newer one or one on its way,
    /// if it has itself taken the place of another one not long ago, or if the block is passive.
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
        // A failure is told in the log. The old one stays as it is.
        let _ = self.begin_phase1(path, block, None, Vec::new());
    }

    /// A phase 1 came up: it takes the place of others with the peer under which that did not answer.
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

    /// An unanswered quick mode of ours begins again, under the phase 1 that is to be used now.
    fn begin_again(&mut self, id: Phase2Id) {
        let Some(phase2) = self.phase2s.get_mut(id).filter(|phase2| is_unanswered(phase2)) else { return };
        let (traffic_key, renews) = (phase2.traffic_key, phase2.renews);
        let acquires = std::mem::take(&mut phase2.acquires);
        // Policies that were generated stay for the one that begins.
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

    /// The peer has a phase 1 still, and a newer one: established phase 2s belong to that, and it is not used any more.
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

    /// The peer answers under a newer phase 1, but not under this one: it has lost it, and the SAs under it.
    pub(crate) fn forget_phase1(&mut self, id: Phase1Id) {
        let Some(phase1) = self.phase1s.get(id) else { return };
        let (remote, cookies) = (phase1.remote(), phase1.cookies);
        self.core.log(Level::Info, Some(remote), || {
            format!("the peer answers under a newer phase 1 and not under ISAKMP-SA spi={cookies}: it has lost that")
        });
        // On a bad line the peer may have all of it still, so it is told, where it hears us.
        let established = |id: &Phase2Id| self.phase2s.get(*id).is_some_and(|phase2| phase2.established().is_some());
        let lost = self.phase2s.under(id).into_iter().filter(established).collect::<Vec<_>>();
        self.leave_phase2s(id);
        lost.into_iter().for_each(|phase2| self.purge_phase2(phase2, true));
        self.drop_phase1(id);
    }
}

impl Phase1s {
    /// A message in clear, which may be anybody's, says that the peer does not know a phase 1. The peer is asked; nothing
    /// else follows from it.
    pub(crate) fn unknown_to_peer(&mut self, core: &mut Core, id: Phase1Id) {
        let now = core.now;
        if let Some(established) = self.get_mut(id).and_then(Phase1::established_mut) {
            established.replacement.hinted = Some(now);
        }
        self.probe(core, id, IfSilent::Replace);
    }
}

/// A quick mode that we begin, and that the peer has not answered.
fn is_unanswered(phase2: &Phase2) -> bool {
    phase2.role == Role::Initiator && matches!(phase2.state, State::Gathering(..) | State::Offered(_))
}
