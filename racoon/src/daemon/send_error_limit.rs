//! How loudly the log tells that messages of ours could not be sent or did not arrive. The first may be answers to whoever
//! made up an address, the second is what ICMP says: anybody can bring about both, as often as he likes.

use std::time::Duration;

use racoon_proto::time::Time;

use crate::log::Level;

/// For so long they are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// So many are told in that time at their own level; more are at level debug.
const LOUD_MAX: u32 = 20;

/// What was told lately.
#[derive(Debug, Default)]
pub(super) struct SendErrorLimit {
    since: Time,
    count: u32,
}

impl SendErrorLimit {
    /// One more, worth this level: how loudly it is told, and how many before it were not told aloud and have not been mentioned since.
    pub(super) fn note(&mut self, level: Level, now: Time) -> (Level, u32) {
        let mut untold = 0;
        if self.count == 0 || now.since(self.since) >= WINDOW {
            untold = self.count.saturating_sub(LOUD_MAX);
            *self = Self { since: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        (if self.count <= LOUD_MAX { level } else { Level::Debug }, untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted() {
        let mut send_errors = SendErrorLimit::default();
        let told = (0..1000).map(|_| send_errors.note(Level::Notify, Time::from_secs(7))).collect::<Vec<_>>();
        let loud = |count: usize| told.iter().take(count).all(|told| *told == (Level::Notify, 0));
        assert!(loud(20) && !loud(21));
        assert_eq!(send_errors.note(Level::Notify, Time::from_secs(66)), (Level::Debug, 0));
        assert_eq!(send_errors.note(Level::Notify, Time::from_secs(67)), (Level::Notify, 981));
        assert_eq!(send_errors.note(Level::Error, Time::from_secs(500)), (Level::Error, 0));
    }
}
