//! Dead peer detection (RFC 3706): probes at the configured interval, and probes on request.
//!
//! [`Phase1::probe`] sends a probe on request, also with `dpd_delay 0`. The caller chooses the consequence of silence
//! ([`IfSilent`]); an answer has none. However often probes are requested, a phase 1 sends at most one per `dpd_retry`.

use std::net::IpAddr;
use std::time::Duration;

use crate::config::{Dpd, DpdMode};
use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Timer};
use crate::informational::dpd_state::IfSilent;
use crate::num::NotifyType;
use crate::output::{EventKind, Level};
use crate::path::Path;
use crate::phase1::entry::Phase1;
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase1::table::Phase1s;
use crate::phase2::table::Phase2s;
use crate::time::Time;
use crate::wire::{CookiePair, Notify};

/// Unanswered probes after which a second phase 1 is negotiated. Fewer than `dpd_maxfail`, because nothing is removed.
const REPLACED_AFTER: u32 = 2;

/// Times of the last packets to and from a peer, by the counters of the kernel's SAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastTraffic {
    /// The last packet to the peer.
    pub sent: Time,
    /// The last packet from the peer.
    pub received: Time,
}

/// What unanswered probes show.
enum Conclusion {
    /// The peer answers under a newer phase 1 only, and has lost this one.
    Lost,
    /// The peer is dead. If the probes were requested, this was to be the consequence.
    Dead(Option<IfSilent>),
}

impl Engine {
    /// Sends a probe, or carries out what follows from the unanswered ones.
    pub(crate) fn dpd_due(&mut self, id: Phase1Id) {
        match self.phase1s.next_probe(&mut self.core, &mut self.phase2s, id) {
            None => {}
            Some(Conclusion::Lost) => self.forget_phase1(id),
            Some(Conclusion::Dead(asked)) => self.peer_is_dead(id, asked),
        }
    }

    /// Removes the phase 1s and SAs of a peer that has answered no probe.
    fn peer_is_dead(&mut self, id: Phase1Id, asked: Option<IfSilent>) {
        // `next_probe` has just seen it.
        let Some(phase1) = self.phase1s.get(id) else { return };
        let (path, cookies) = (phase1.path(), phase1.cookies);
        let event = phase1.event(&self.core, EventKind::DpdTimeout);
        self.core
            .log(Level::Info, Some(path.remote), || format!("DPD: remote (ISAKMP-SA spi={cookies}) seems to be dead."));
        self.core.emit(event);
        self.purge_phase1(id, false);
        // If there is another phase 1, the SAs have moved there.
        if asked == Some(IfSilent::Purge) {
            self.phase1s.probe_peer(&mut self.core, path);
        }
    }
}

impl Phase1s {
    /// Sends a probe, if one is needed, when the timer expires. Returns what the unanswered ones show, if they show something.
    fn next_probe(&mut self, core: &mut Core, phase2s: &mut Phase2s, id: Phase1Id) -> Option<Conclusion> {
        let newest = self.newest(self.get(id)?.path(), None);
        let phase1 = self.get_mut(id)?;
        // A reload may have switched DPD off.
        let Some(dpd) = phase1.dpd_settings(core) else {
            phase1.end_of_probes(core);
            return None;
        };
        let (fails, asked) = phase1.established().map(|one| (one.dpd.fails, one.dpd.asked))?;
        let max_fail = dpd.max_fail.max(1);
        // The newest phase 1 with a peer does the probing at intervals.
        if newest != Some(id) && asked != Some(IfSilent::Forget) {
            phase1.end_of_probes(core);
            if let Some(newest) = newest.filter(|_| asked == Some(IfSilent::Purge)) {
                self.probe(core, newest, IfSilent::Purge);
            }
            return None;
        }
        let is_over = match asked {
            Some(IfSilent::Forget) => newest == Some(id),
            Some(IfSilent::Replace) if fails == REPLACED_AFTER.min(max_fail) => {
                self.replace(core, id);
                dpd.delay == 0
            }
            Some(IfSilent::Replace | IfSilent::Purge) => false,
            None => dpd.delay == 0,
        };
        let phase1 = self.get_mut(id)?;
        if is_over {
            phase1.end_of_probes(core);
            return None;
        }
        if fails >= max_fail {
            return match asked {
                Some(IfSilent::Forget) => self.conclude_elsewhere(core, phase2s, id, newest),
                _ => Some(Conclusion::Dead(asked)),
            };
        }
        let later = if asked.is_none() { self.needed_later(core, id, dpd, fails) } else { None };
        match later {
            Some(later) => core.timers.set(Timer::Dpd(id), later),
            None => self.get_mut(id)?.send_probe(core, dpd),
        }
        None
    }

    /// Concludes that the peer does not answer under a phase 1 while there is a newer one. This shows that it has lost it only if
    /// the peer answers probes under the newer one.
    fn conclude_elsewhere(
        &mut self,
        core: &mut Core,
        phase2s: &mut Phase2s,
        id: Phase1Id,
        newest: Option<Phase1Id>,
    ) -> Option<Conclusion> {
        let newest = newest.and_then(|newest| self.get(newest)?.established());
        if newest.is_some_and(|newest| newest.dpd.answers) {
            return Some(Conclusion::Lost);
        }
        self.get_mut(id)?.end_of_probes(core);
        self.supersede(core, phase2s, id);
        None
    }

    /// Returns the time of the next check if no probe is needed now.
    fn needed_later(&self, core: &Core, id: Phase1Id, dpd: Dpd, fails: u32) -> Option<Time> {
        let phase1 = self.get(id)?;
        let heard = phase1.established()?.heard;
        let delay = seconds(dpd.delay);
        let traffic = self.traffic.get(&phase1.path().addresses()).copied();
        let heard = traffic.map_or(heard, |traffic| heard.max(traffic.received));
        let is_quiet = || core.now.since(heard) >= delay;
        let needless = match dpd.mode {
            _ if fails > 0 => false,
            DpdMode::Always => false,
            DpdMode::Idle => !is_quiet(),
            // Packets leave and none arrive. Without counters this is unknown, and a probe is needed.
            DpdMode::Traffic => traffic.is_some_and(|traffic| traffic.sent <= heard || !is_quiet()),
        };
        let again = if is_quiet() { core.now } else { heard };
        needless.then_some(again + delay)
    }

    /// Records the counters of the kernel's SAs with a peer.
    pub(crate) fn note_traffic(&mut self, local: IpAddr, remote: IpAddr, traffic: LastTraffic) {
        if !self.between((local, remote)).is_empty() {
            self.traffic.insert((local, remote), traffic);
        }
    }

    /// Records an authenticated message of the peer, which counts as an answer to all probes.
    pub(crate) fn heard_from(&mut self, core: &mut Core, phase2s: &mut Phase2s, id: Phase1Id) {
        if self.get_mut(id).and_then(|phase1| phase1.note_heard(core)) == Some(IfSilent::Forget) {
            self.supersede(core, phase2s, id);
        }
    }

    /// Probes a peer under the newest usable phase 1 with it ([`Phase1::probe`]). If the peer does not answer, all its SAs are
    /// removed. Returns false if there is no phase 1 with the peer, or no DPD.
    pub(crate) fn probe_peer(&mut self, core: &mut Core, path: Path) -> bool {
        self.usable(path).is_some_and(|phase1| self.probe(core, phase1, IfSilent::Purge))
    }

    /// Probes the peer of an established phase 1 ([`Phase1::probe`]).
    pub(crate) fn probe(&mut self, core: &mut Core, id: Phase1Id, if_silent: IfSilent) -> bool {
        self.get_mut(id).is_some_and(|phase1| phase1.probe(core, if_silent))
    }
}

impl Phase1 {
    /// Records an authenticated message of the peer. Returns the consequence of silence if probes were requested.
    fn note_heard(&mut self, core: &mut Core) -> Option<IfSilent> {
        let established = self.established_mut()?;
        established.heard = core.now;
        established.replacement.is_answered();
        let asked = established.dpd.asked;
        if asked.is_some() {
            self.end_of_probes(core);
        }
        asked
    }

    /// Starts probing at intervals if both sides support DPD and it is configured.
    pub(crate) fn start_dpd(&self, core: &mut Core) {
        if let Some(dpd) = self.probing(core) {
            core.timers.set(Timer::Dpd(self.id), core.now + seconds(dpd.delay));
        }
    }

    /// Returns the DPD settings for a peer that supports it, unless the remote section switches DPD off.
    fn dpd_settings(&self, core: &Core) -> Option<Dpd> {
        let dpd = core.settings.remotes.get(self.remote_section)?.dpd?;
        self.established()?.dpd.supported.then_some(dpd)
    }

    /// Returns the DPD settings if the peer is probed at intervals.
    fn probing(&self, core: &Core) -> Option<Dpd> {
        self.dpd_settings(core).filter(|dpd| dpd.delay > 0)
    }

    /// Whether the peer is probed at intervals.
    pub(crate) fn is_probed(&self, core: &Core) -> bool {
        self.probing(core).is_some()
    }

    /// Probes the peer, whatever `dpd_delay` is. The probe is repeated each `dpd_retry` until it is answered; `if_silent` is the
    /// consequence if `dpd_maxfail` probes are not.
    ///
    /// It may be called at any rate: while probes are unanswered, and for `dpd_retry` after an answer, no further probe is sent.
    /// Returns false, and does nothing, if the peer or the configuration has no DPD.
    pub(crate) fn probe(&mut self, core: &mut Core, if_silent: IfSilent) -> bool {
        let (id, settings) = (self.id, self.dpd_settings(core));
        let Some((dpd, established)) = settings.zip(self.established_mut()) else { return false };
        let state = &mut established.dpd;
        let next = state.probed.map_or(core.now, |probed| probed + retry(dpd));
        if state.fails > 0 {
            state.asked = state.asked.max(Some(if_silent));
        } else if next <= core.now {
            state.asked = Some(if_silent);
            self.send_probe(core, dpd);
        } else if if_silent == IfSilent::Forget {
            state.asked = Some(if_silent);
            core.timers.set(Timer::Dpd(id), next);
        }
        true
    }

    fn send_probe(&mut self, core: &mut Core, dpd: Dpd) {
        if let Some(sequence) = self.established_mut().map(|one| one.dpd.probe(core.now)) {
            self.send_notify(core, NotifyType::R_U_THERE, &sequence.to_be_bytes());
            core.timers.set(Timer::Dpd(self.id), core.now + retry(dpd));
        }
    }

    /// Ends requested probes; with `dpd_delay` the next probe is sent after that interval.
    fn end_of_probes(&mut self, core: &mut Core) {
        if let Some(established) = self.established_mut() {
            established.dpd.give_up();
        }
        core.timers.stop(Timer::Dpd(self.id));
        self.start_dpd(core);
    }

    /// Answers a probe of the peer.
    pub(crate) fn r_u_there(&mut self, core: &mut Core, notify: &Notify) {
        if let Some(sequence) = self.dpd_sequence(core, notify) {
            self.send_notify(core, NotifyType::R_U_THERE_ACK, &sequence.to_be_bytes());
        }
    }

    /// Processes the answer to a probe.
    pub(crate) fn r_u_there_ack(&mut self, core: &mut Core, notify: &Notify) {
        let (remote, sequence) = (self.remote(), self.dpd_sequence(core, notify));
        // `dpd_sequence` has logged why it is ignored.
        let Some((sequence, established)) = sequence.zip(self.established_mut()) else { return };
        if !established.dpd.acknowledge(sequence) {
            return core.log(Level::Debug, Some(remote), || {
                format!("ignored R-U-THERE-ACK {sequence}: no such probe is outstanding")
            });
        }
        self.end_of_probes(core);
    }

    /// Returns the sequence number of a probe or an answer, if it is for this phase 1. Otherwise a line says that it is not.
    fn dpd_sequence(&self, core: &mut Core, notify: &Notify) -> Option<u32> {
        let ours = self.cookies;
        let swapped = CookiePair { initiator: ours.responder, responder: ours.initiator };
        let names_it = CookiePair::from_spi(&notify.spi).is_some_and(|named| named == ours || named == swapped);
        let sequence = <[u8; 4]>::try_from(notify.data.as_slice()).ok().map(u32::from_be_bytes);
        if !names_it || sequence.is_none() {
            let text = || format!("{} ignored: wrong cookies or length", notify.kind);
            core.log_of_peer(LoggedEvent::Misplaced, Level::Warning, self.remote(), text);
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
