//! Rate limit for log records about messages that could not be sent or were not delivered. Anybody can cause them at
//! any rate, by spoofing the source of a request or by forging ICMP errors.

use std::time::Duration;

use racoon_proto::time::Time;

use crate::log::Level;

/// Period over which records are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Records per period that keep their level; further ones are logged at level debug.
const LOUD_MAX: u32 = 20;

/// Records in the current period.
#[derive(Debug, Default)]
pub(super) struct SendErrorLimit {
    since: Time,
    count: u32,
}

impl SendErrorLimit {
    /// Counts a record. Returns the level to log it at, and how many earlier records were lowered to debug and not yet
    /// accounted for in the log.
    pub(super) fn note(&mut self, level: Level, now: Time) -> (Level, u32) {
        let mut suppressed = 0;
        if self.count == 0 || now.since(self.since) >= WINDOW {
            // Reported with the first record of the next period, so silence needs no timer.
            suppressed = self.count.saturating_sub(LOUD_MAX);
            *self = Self { since: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        (if self.count <= LOUD_MAX { level } else { Level::Debug }, suppressed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floods_are_counted() {
        let mut send_errors = SendErrorLimit::default();
        let told = (0..1000).map(|_| send_errors.note(Level::Notify, Time::from_secs(7))).collect::<Vec<_>>();
        let loud = |count: usize| told.iter().take(count).all(|told| *told == (Level::Notify, 0));
        assert!(loud(20) && !loud(21));
        assert_eq!(send_errors.note(Level::Notify, Time::from_secs(66)), (Level::Debug, 0));
        assert_eq!(send_errors.note(Level::Notify, Time::from_secs(67)), (Level::Notify, 981));
        assert_eq!(send_errors.note(Level::Error, Time::from_secs(500)), (Level::Error, 0));
    }
}
