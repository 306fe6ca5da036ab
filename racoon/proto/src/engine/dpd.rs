//! Dead peer detection (RFC 3706).

use std::net::IpAddr;
use std::time::Duration;

use super::{Engine, Phase1Id, Timer};
use crate::config::{Dpd, DpdMode};
use crate::num::NotifyType;
use crate::output::{EventKind, Level};
use crate::phase1::Features;
use crate::random::Random;
use crate::time::Time;
use crate::wire::{CookiePair, Notify};

/// Sequence numbers begin below this.
const FIRST_BELOW: u32 = 4096;

/// What is known of a peer's being alive.
#[derive(Debug)]
pub(super) struct DpdState {
    /// The peer answers probes.
    pub(super) supported: bool,
    /// The last sequence number that we sent.
    sent: u32,
    /// The last one that the peer acknowledged.
    acknowledged: u32,
    /// Probes that were not answered.
    pub(super) fails: u32,
}

/// When packets went to a peer and came from it, as the counters of the kernel's SAs tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// The last packet to the peer.
    pub sent: Time,
    /// The last packet from it.
    pub received: Time,
}

impl DpdState {
    pub(super) fn new(features: Features, random: &mut dyn Random) -> Self {
        let mut bytes = [0; 4];
        random.fill(&mut bytes);
        let first = u32::from_be_bytes(bytes) % FIRST_BELOW;
        Self { supported: features.dpd, sent: first, acknowledged: first, fails: 0 }
    }

    /// The sequence number of the next probe.
    fn probe(&mut self) -> u32 {
        self.sent = self.sent.wrapping_add(1);
        self.fails = self.fails.saturating_add(1);
        self.sent
    }

    /// Whether an acknowledgment is one of a probe that was not acknowledged before.
    fn acknowledge(&mut self, sequence: u32) -> bool {
        let expected = self.acknowledged < sequence && sequence <= self.sent;
        if expected {
            self.acknowledged = sequence;
            self.fails = 0;
        }
        expected
    }
}

impl Engine {
    /// Begins to probe, if both sides can and it is wanted.
    pub(super) fn start_dpd(&mut self, id: Phase1Id) {
        if let Some(dpd) = self.probing(id) {
            self.timers.set(Timer::Dpd(id), self.now + seconds(dpd.delay));
        }
    }

    /// How a peer is probed, if it is.
    fn probing(&self, id: Phase1Id) -> Option<Dpd> {
        let phase1 = self.phase1s.get(id)?;
        let dpd = self.settings.remotes.get(phase1.block)?.dpd?;
        (phase1.established()?.dpd.supported && dpd.delay > 0).then_some(dpd)
    }

    /// Whether its peer is probed.
    pub(super) fn is_probed(&self, id: Phase1Id) -> bool {
        self.probing(id).is_some()
    }

    /// It is time for a probe, or an answer to one has not come.
    pub(super) fn dpd_due(&mut self, id: Phase1Id) {
        let Some(dpd) = self.probing(id) else { return };
        let Some(phase1) = self.phase1s.get(id) else { return };
        let (local, remote, cookies) = (phase1.local, phase1.remote, phase1.cookies);
        let fails = phase1.established().map_or(0, |established| established.dpd.fails);
        // As long as there is a newer one with the same peer, that one does it.
        if self.phase1s.newest(local.ip(), remote, None) != Some(id) {
            return self.start_dpd(id);
        }
        if fails >= dpd.max_fail {
            self.log(Level::Info, Some(remote), || format!("DPD: remote (ISAKMP-SA spi={cookies}) seems to be dead."));
            self.tell_of_phase1(EventKind::DpdTimeout, local, remote, cookies);
            return self.purge_phase1(id, false);
        }
        if let Some(later) = self.is_needless(id, dpd, fails) {
            return self.timers.set(Timer::Dpd(id), later);
        }
        let established = self.phase1s.get_mut(id).and_then(|phase1| phase1.established_mut());
        let Some(sequence) = established.map(|established| established.dpd.probe()) else { return };
        self.send_notify(id, NotifyType::R_U_THERE, &sequence.to_be_bytes());
        self.timers.set(Timer::Dpd(id), self.now + seconds(dpd.retry.max(1)));
    }

    /// When to think about it again, if there is no need of a probe now.
    fn is_needless(&self, id: Phase1Id, dpd: Dpd, fails: u32) -> Option<Time> {
        let phase1 = self.phase1s.get(id)?;
        let heard = phase1.established()?.heard;
        let delay = seconds(dpd.delay);
        let traffic = self.traffic.get(&(phase1.local.ip(), phase1.remote.ip())).copied();
        let heard = traffic.map_or(heard, |traffic| heard.max(traffic.received));
        let is_quiet = || self.now.since(heard) >= delay;
        let needless = match dpd.mode {
            _ if fails > 0 => false,
            DpdMode::Always => false,
            DpdMode::Idle => !is_quiet(),
            // Packets go out, and none come in. Without counters nobody knows.
            DpdMode::Traffic => traffic.is_some_and(|traffic| traffic.sent <= heard || !is_quiet()),
        };
        let again = if is_quiet() { self.now } else { heard };
        needless.then_some(again + delay)
    }

    /// The counters of the kernel's SAs with a peer.
    pub(super) fn note_traffic(&mut self, local: IpAddr, remote: IpAddr, traffic: Traffic) {
        if !self.phase1s.between(local, remote).is_empty() {
            self.traffic.insert((local, remote), traffic);
        }
    }

    /// The peer asks whether we are there.
    pub(super) fn r_u_there(&mut self, id: Phase1Id, notify: &Notify) {
        let Some(sequence) = self.dpd_sequence(id, notify) else { return };
        self.send_notify(id, NotifyType::R_U_THERE_ACK, &sequence.to_be_bytes());
    }

    /// The peer says that it is there.
    pub(super) fn r_u_there_ack(&mut self, id: Phase1Id, notify: &Notify) {
        let Some(sequence) = self.dpd_sequence(id, notify) else { return };
        let probing = self.probing(id);
        let now = self.now;
        let Some(phase1) = self.phase1s.get_mut(id) else { return };
        let remote = phase1.remote;
        let Some(established) = phase1.established_mut() else { return };
        if !established.dpd.acknowledge(sequence) {
            return self.log(Level::Debug, Some(remote), || format!("DPD: nobody asked for number {sequence}"));
        }
        if let Some(dpd) = probing {
            self.timers.set(Timer::Dpd(id), now + seconds(dpd.delay));
        }
    }

    /// The sequence number of a probe or its answer, if it is for this phase 1.
    fn dpd_sequence(&mut self, id: Phase1Id, notify: &Notify) -> Option<u32> {
        let phase1 = self.phase1s.get(id)?;
        let (remote, ours) = (phase1.remote, phase1.cookies);
        let swapped = CookiePair { initiator: ours.responder, responder: ours.initiator };
        let names_it = CookiePair::from_spi(&notify.spi).is_some_and(|named| named == ours || named == swapped);
        let sequence = <[u8; 4]>::try_from(notify.data.as_slice()).ok().map(u32::from_be_bytes);
        if !names_it || sequence.is_none() {
            self.log(Level::Warning, Some(remote), || format!("{} ignored: wrong cookies or length", notify.kind));
            return None;
        }
        sequence
    }
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
        let first = dpd.probe();
        assert!(first <= FIRST_BELOW);
        let second = dpd.probe();
        assert_eq!(dpd.fails, 2);
        assert!(!dpd.acknowledge(first - 1));
        assert!(!dpd.acknowledge(second + 1));
        assert!(dpd.acknowledge(first));
        assert_eq!(dpd.fails, 0);
        assert!(!dpd.acknowledge(first));
        assert!(dpd.acknowledge(second));
    }
}
