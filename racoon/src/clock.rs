//! Boot-time and wall clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use racoon_proto::time::Time;

/// The clock that includes suspended time. The BSDs have only the monotonic clock.
#[cfg(target_os = "linux")]
const BOOT: ClockId = ClockId::CLOCK_BOOTTIME;
#[cfg(not(target_os = "linux"))]
const BOOT: ClockId = ClockId::CLOCK_MONOTONIC;

/// Returns the boot time.
pub fn now() -> Time {
    // Fails only on systems without this clock.
    Time(clock_gettime(BOOT).map_or(Duration::ZERO, Duration::from))
}

/// Returns the wall-clock time in seconds since 1970, for people and for what outlives a boot.
pub fn since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Converts a past boot time to seconds since 1970. Repeated calls give the same result unless the wall clock is set in
/// between.
pub fn wall_time(moment: Time) -> u64 {
    past(moment, now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// As [`wall_time`], given both clocks' current time. Whole seconds would be too coarse, because the seconds of the two
/// clocks do not begin at the same time.
fn past(moment: Time, boot: Time, wall: Duration) -> u64 {
    wall.saturating_sub(boot.since(moment)).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversion_is_stable() {
        let moment = Time(Duration::from_millis(5_300));
        for age in (0..3_000).step_by(100) {
            let age = Duration::from_millis(age);
            assert_eq!(past(moment, moment + age, Duration::from_millis(1_000_000_600) + age), 1_000_000);
        }
        assert_eq!(past(moment, Time::default(), Duration::from_secs(7)), 7);
    }

    #[test]
    fn clock_advances() {
        let before = now();
        std::thread::sleep(Duration::from_millis(10));
        let passed = now().since(before);
        // A busy machine may oversleep, but not by a factor of the next unit.
        assert!(passed >= Duration::from_millis(10) && passed < Duration::from_secs(10_000), "{passed:?}");
    }
}
