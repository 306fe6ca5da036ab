//! Dead peer detection (RFC 3706): probes at the configured interval, and probes on request.
//!
//! [`Phase1s::probe`] sends a probe on request, also with `dpd_delay 0`. The caller chooses the consequence of silence
//! ([`IfSilent`]); an answer has none. However often probes are requested, a phase 1 sends at most one per `dpd_retry`.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::{Dpd, DpdMode};
use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Phase2Id, Timer};
use crate::num::NotifyType;
use crate::output::{EventKind, Level};
use crate::phase1::entry::Phase1;
use crate::phase1::exchange::Features;
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase1::table::Phase1s;
use crate::random::Random;
use crate::time::Time;
use crate::wire::{CookiePair, Notify};

/// Upper bound of the first sequence number.
const FIRST_BELOW: u32 = 4096;

/// Unanswered probes after which a second phase 1 is negotiated. Fewer than `dpd_maxfail`, because nothing is removed.
const REPLACED_AFTER: u32 = 2;

/// Consequence of unanswered probes that [`Phase1s::probe`] sends. A later variant outweighs an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum IfSilent {
    /// A second phase 1 is negotiated ([`Engine::replace_phase1`]), and nothing is removed.
    Replace,
    /// This phase 1 and the SAs under it are removed: the peer has answered under a newer one.
    Forget,
    /// All SAs with the peer are removed, and the policies that were generated for it.
    Purge,
}

/// State of dead peer detection for one phase 1.
#[derive(Debug)]
pub(crate) struct DpdState {
    /// The peer answers probes.
    pub(crate) supported: bool,
    /// The sequence number of our last probe.
    sent: u32,
    /// The last sequence number that the peer acknowledged.
    acknowledged: u32,
    /// Number of unanswered probes.
    pub(crate) fails: u32,
    /// Time of the last probe.
    probed: Option<Time>,
    /// Consequence of silence, if the unanswered probes were requested.
    asked: Option<IfSilent>,
    /// Whether the peer has ever answered a probe.
    answers: bool,
}

/// Times of the last packets to and from a peer, by the counters of the kernel's SAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastTraffic {
    /// The last packet to the peer.
    pub sent: Time,
    /// The last packet from the peer.
    pub received: Time,
}

impl DpdState {
    pub(crate) fn new(features: Features, random: &mut dyn Random) -> Self {
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        let first = u32::from_be_bytes(bytes) % FIRST_BELOW;
        Self {
            supported: features.dpd,
            sent: first,
            acknowledged: first,
            fails: 0,
            probed: None,
            asked: None,
            answers: false,
        }
    }

    /// Returns the sequence number of the next probe, and counts the probe.
    fn probe(&mut self, now: Time) -> u32 {
        self.sent = self.sent.wrapping_add(1);
        self.fails = self.fails.saturating_add(1);
        self.probed = Some(now);
        self.sent
    }

    /// Ends a series of probes without a verdict.
    fn give_up(&mut self) {
        self.fails = 0;
        self.asked = None;
    }

    /// Accepts an acknowledgment. Returns whether it is for a probe that was not acknowledged before.
    fn acknowledge(&mut self, sequence: u32) -> bool {
        let expected = self.acknowledged < sequence && sequence <= self.sent;
        if expected {
            self.acknowledged = sequence;
            self.fails = 0;
            self.answers = true;
        }
        expected
    }
}

impl Engine {
    /// Probes the peer of a phase 2 ([`Phase1s::probe`]) under the newest phase 1 with it. If the peer does not answer, all its SAs
    /// are removed. Returns false if there is no phase 1 with the peer, or no DPD.
    pub(crate) fn probe_holder(&mut self, id: Phase2Id) -> bool {
        let path = self.phase2s.get(id).map(|phase2| phase2.path);
        let phase1 = path.and_then(|path| self.phase1s.usable(path));
        phase1.is_some_and(|phase1| self.phase1s.probe(&mut self.core, phase1, IfSilent::Purge))
    }

    /// Sends a probe, or concludes that the peer does not answer.
    pub(crate) fn dpd_due(&mut self, id: Phase1Id) {
        // A reload may have switched DPD off.
        let Some(dpd) = self.phase1s.dpd_with(&self.core, id) else {
            return self.phase1s.end_of_probes(&mut self.core, id);
        };
        let Some(phase1) = self.phase1s.get(id) else { return };
        let path = phase1.path();
        let Some((fails, asked)) = phase1.established().map(|one| (one.dpd.fails, one.dpd.asked)) else { return };
        let max_fail = dpd.max_fail.max(1);
        let newest = self.phase1s.newest(path, None);
        // The newest phase 1 with a peer does the probing at intervals.
        if newest != Some(id) && asked != Some(IfSilent::Forget) {
            self.phase1s.end_of_probes(&mut self.core, id);
            if let (Some(newest), Some(IfSilent::Purge)) = (newest, asked) {
                self.phase1s.probe(&mut self.core, newest, IfSilent::Purge);
            }
            return;
        }
        match asked {
            Some(IfSilent::Forget) if newest == Some(id) => return self.phase1s.end_of_probes(&mut self.core, id),
            Some(IfSilent::Forget) if fails >= max_fail => return self.peer_is_elsewhere(id, newest),
            Some(IfSilent::Replace) if fails == REPLACED_AFTER.min(max_fail) => {
                self.replace_phase1(id);
                if dpd.delay == 0 {
                    return self.phase1s.end_of_probes(&mut self.core, id);
                }
            }
            Some(_) => {}
            None if dpd.delay == 0 => return self.phase1s.end_of_probes(&mut self.core, id),
            None => {}
        }
        if fails >= max_fail {
            return self.peer_is_dead(id, asked);
        }
        if asked.is_none()
            && let Some(later) = self.is_needless(id, dpd, fails)
        {
            return self.core.timers.set(Timer::Dpd(id), later);
        }
        self.phase1s.send_probe(&mut self.core, id, dpd);
    }

    /// Records an authenticated message of the peer, which counts as an answer to all probes.
    pub(crate) fn heard_from(&mut self, id: Phase1Id) {
        let now = self.core.now;
        let Some(established) = self.phase1s.get_mut(id).and_then(Phase1::established_mut) else { return };
        established.heard = now;
        established.replacement.is_answered();
        let asked = established.dpd.asked;
        if asked.is_some() {
            self.phase1s.end_of_probes(&mut self.core, id);
        }
        if asked == Some(IfSilent::Forget) {
            self.supersede_phase1(id);
        }
    }

    /// Concludes that the peer does not answer under a phase 1 while there is a newer one. This is conclusive only if the peer
    /// answers probes under the newer one.
    fn peer_is_elsewhere(&mut self, id: Phase1Id, newest: Option<Phase1Id>) {
        let newest = newest.and_then(|newest| self.phase1s.get(newest)?.established());
        if newest.is_some_and(|newest| newest.dpd.answers) {
            return self.forget_phase1(id);
        }
        self.phase1s.end_of_probes(&mut self.core, id);
        self.supersede_phase1(id);
    }

    /// Removes the phase 1s and SAs of a peer that has answered no probe.
    fn peer_is_dead(&mut self, id: Phase1Id, asked: Option<IfSilent>) {
        let Some(phase1) = self.phase1s.get(id) else { return };
        let (path, cookies) = (phase1.path(), phase1.cookies);
        self.core
            .log(Level::Info, Some(path.remote), || format!("DPD: remote (ISAKMP-SA spi={cookies}) seems to be dead."));
        self.emit_phase1_event(id, EventKind::DpdTimeout);
        self.purge_phase1(id, false);
        // If there is another phase 1, the SAs have moved there.
        if asked == Some(IfSilent::Purge)
            && let Some(other) = self.phase1s.usable(path)
        {
            self.phase1s.probe(&mut self.core, other, IfSilent::Purge);
        }
    }

    /// Returns the time of the next check if no probe is needed now.
    fn is_needless(&self, id: Phase1Id, dpd: Dpd, fails: u32) -> Option<Time> {
        let phase1 = self.phase1s.get(id)?;
        let heard = phase1.established()?.heard;
        let delay = seconds(dpd.delay);
        let traffic = self.phase1s.traffic.get(&phase1.path().addresses()).copied();
        let heard = traffic.map_or(heard, |traffic| heard.max(traffic.received));
        let is_quiet = || self.core.now.since(heard) >= delay;
        let needless = match dpd.mode {
            _ if fails > 0 => false,
            DpdMode::Always => false,
            DpdMode::Idle => !is_quiet(),
            // Packets leave and none arrive. Without counters this is unknown, and a probe is needed.
            DpdMode::Traffic => traffic.is_some_and(|traffic| traffic.sent <= heard || !is_quiet()),
        };
        let again = if is_quiet() { self.core.now } else { heard };
        needless.then_some(again + delay)
    }

    /// Records the counters of the kernel's SAs with a peer.
    pub(crate) fn note_traffic(&mut self, local: IpAddr, remote: IpAddr, traffic: LastTraffic) {
        if !self.phase1s.between((local, remote)).is_empty() {
            self.phase1s.traffic.insert((local, remote), traffic);
        }
    }
}

impl Phase1s {
    /// Starts probing at intervals if both sides support DPD and it is configured.
    pub(crate) fn start_dpd(&self, core: &mut Core, id: Phase1Id) {
        if let Some(dpd) = self.probing(core, id) {
            core.timers.set(Timer::Dpd(id), core.now + seconds(dpd.delay));
        }
    }

    /// Returns the DPD settings for a peer that supports it, unless the remote section switches DPD off.
    fn dpd_with(&self, core: &Core, id: Phase1Id) -> Option<Dpd> {
        let phase1 = self.get(id)?;
        let dpd = core.settings.remotes.get(phase1.block)?.dpd?;
        phase1.established()?.dpd.supported.then_some(dpd)
    }

    /// Returns the DPD settings if the peer is probed at intervals.
    fn probing(&self, core: &Core, id: Phase1Id) -> Option<Dpd> {
        self.dpd_with(core, id).filter(|dpd| dpd.delay > 0)
    }

    /// Whether the peer is probed at intervals.
    pub(crate) fn is_probed(&self, core: &Core, id: Phase1Id) -> bool {
        self.probing(core, id).is_some()
    }

    fn dpd_mut(&mut self, id: Phase1Id) -> Option<&mut DpdState> {
        Some(&mut self.get_mut(id)?.established_mut()?.dpd)
    }

    /// Probes the peer of an established phase 1, whatever `dpd_delay` is. The probe is repeated each `dpd_retry` until it is
    /// answered; `if_silent` is the consequence if `dpd_maxfail` probes are not.
    ///
    /// It may be called at any rate: while probes are unanswered, and for `dpd_retry` after an answer, no further probe is sent.
    /// Returns false, and does nothing, if the peer or the configuration has no DPD.
    pub(crate) fn probe(&mut self, core: &mut Core, id: Phase1Id, if_silent: IfSilent) -> bool {
        let Some(dpd) = self.dpd_with(core, id) else { return false };
        let now = core.now;
        let Some(state) = self.dpd_mut(id) else { return false };
        let next = state.probed.map_or(now, |probed| probed + retry(dpd));
        if state.fails > 0 {
            state.asked = state.asked.max(Some(if_silent));
        } else if next <= now {
            state.asked = Some(if_silent);
            self.send_probe(core, id, dpd);
        } else if if_silent == IfSilent::Forget {
            state.asked = Some(if_silent);
            core.timers.set(Timer::Dpd(id), next);
        }
        true
    }

    fn send_probe(&mut self, core: &mut Core, id: Phase1Id, dpd: Dpd) {
        let now = core.now;
        let Some(sequence) = self.dpd_mut(id).map(|state| state.probe(now)) else { return };
        self.send_notify(core, id, NotifyType::R_U_THERE, &sequence.to_be_bytes());
        core.timers.set(Timer::Dpd(id), now + retry(dpd));
    }

    /// Ends requested probes; with `dpd_delay` the next probe is sent after that interval.
    fn end_of_probes(&mut self, core: &mut Core, id: Phase1Id) {
        if let Some(state) = self.dpd_mut(id) {
            state.give_up();
        }
        core.timers.stop(Timer::Dpd(id));
        self.start_dpd(core, id);
    }

    /// Answers a probe of the peer.
    pub(crate) fn r_u_there(&mut self, core: &mut Core, id: Phase1Id, notify: &Notify) {
        let Some(sequence) = self.dpd_sequence(core, id, notify) else { return };
        self.send_notify(core, id, NotifyType::R_U_THERE_ACK, &sequence.to_be_bytes());
    }

    /// Processes the answer to a probe.
    pub(crate) fn r_u_there_ack(&mut self, core: &mut Core, id: Phase1Id, notify: &Notify) {
        let Some(sequence) = self.dpd_sequence(core, id, notify) else { return };
        let Some(phase1) = self.get_mut(id) else { return };
        let remote = phase1.remote();
        let Some(established) = phase1.established_mut() else { return };
        if !established.dpd.acknowledge(sequence) {
            return core.log(Level::Debug, Some(remote), || format!("DPD: nobody asked for number {sequence}"));
        }
        self.end_of_probes(core, id);
    }

    /// Returns the sequence number of a probe or an answer, if it is for this phase 1.
    fn dpd_sequence(&self, core: &mut Core, id: Phase1Id, notify: &Notify) -> Option<u32> {
        let phase1 = self.get(id)?;
        let (remote, ours) = (phase1.remote(), phase1.cookies);
        let swapped = CookiePair { initiator: ours.responder, responder: ours.initiator };
        let names_it = CookiePair::from_spi(&notify.spi).is_some_and(|named| named == ours || named == swapped);
        let sequence = <[u8; 4]>::try_from(notify.data.as_slice()).ok().map(u32::from_be_bytes);
        if !names_it || sequence.is_none() {
            let text = || format!("{} ignored: wrong cookies or length", notify.kind);
            core.log_of_peer(LoggedEvent::Misplaced, Level::Warning, remote, text);
            return None;
        }
        sequence
    }
}

/// Returns the minimum time between two probes.
fn retry(dpd: Dpd) -> Duration {
    seconds(dpd.retry.max(1))
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(number.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SeededRandom;

    #[test]
    fn an_acknowledgment_counts_once() {
        let mut dpd = DpdState::new(Features { dpd: true }, &mut SeededRandom::new(1));
        let first = dpd.probe(Time::default());
        assert!(first <= FIRST_BELOW);
        let second = dpd.probe(Time::default());
        assert_eq!(dpd.fails, 2);
        assert!(!dpd.acknowledge(first - 1));
        assert!(!dpd.acknowledge(second + 1));
        assert!(dpd.acknowledge(first));
        assert_eq!(dpd.fails, 0);
        assert!(!dpd.acknowledge(first));
        assert!(dpd.acknowledge(second));
    }
}
