//! What one phase 1 knows of its probes and their answers.

use crate::phase1::exchange::Features;
use crate::random::Random;
use crate::time::Time;

/// Upper bound of the first sequence number.
const FIRST_BELOW: u32 = 4096;

/// Consequence of unanswered probes that [`Phase1::probe`](crate::phase1::entry::Phase1::probe) sends. A later variant outweighs
/// an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum IfSilent {
    /// A second phase 1 is negotiated, and nothing is removed.
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
    pub(super) probed: Option<Time>,
    /// Consequence of silence, if the unanswered probes were requested.
    pub(super) asked: Option<IfSilent>,
    /// Whether the peer has ever answered a probe.
    pub(super) answers: bool,
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
    pub(super) fn probe(&mut self, now: Time) -> u32 {
        self.sent = self.sent.wrapping_add(1);
        self.fails = self.fails.saturating_add(1);
        self.probed = Some(now);
        self.sent
    }

    /// Ends a series of probes without a verdict.
    pub(super) fn give_up(&mut self) {
        self.fails = 0;
        self.asked = None;
    }

    /// Accepts an acknowledgment. Returns whether it is for a probe that was not acknowledged before.
    pub(super) fn acknowledge(&mut self, sequence: u32) -> bool {
        let expected = self.acknowledged < sequence && sequence <= self.sent;
        if expected {
            self.acknowledged = sequence;
            self.fails = 0;
            self.answers = true;
        }
        expected
    }
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
