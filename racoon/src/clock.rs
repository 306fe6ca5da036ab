//! The boot clock, and the one on the wall.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use racoon_proto::time::Time;

/// On Linux the clock that counts suspend has a name of its own. On the BSDs the monotonic one is what there is.
#[cfg(target_os = "linux")]
const BOOT: ClockId = ClockId::CLOCK_BOOTTIME;
#[cfg(not(target_os = "linux"))]
const BOOT: ClockId = ClockId::CLOCK_MONOTONIC;

/// Now.
pub fn now() -> Time {
    // It cannot fail on a system that has the clock at all.
    Time(clock_gettime(BOOT).map_or(Duration::ZERO, Duration::from))
}

/// Seconds since 1970 by the clock on the wall, for people and for what outlives a boot.
pub fn since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Seconds since 1970 at a moment of the past. The same whenever it is asked, unless the clock on the wall is set meanwhile.
pub fn on_the_wall(moment: Time) -> u64 {
    past(moment, now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The same, of a moment on the boot clock when both clocks show this. Whole seconds on each would not do: they do not begin
/// together.
fn past(moment: Time, boot: Time, wall: Duration) -> u64 {
    wall.saturating_sub(boot.since(moment)).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_stays_where_it_was() {
        let moment = Time(Duration::from_millis(5_300));
        for age in (0..3_000).step_by(100) {
            let age = Duration::from_millis(age);
            assert_eq!(past(moment, moment + age, Duration::from_millis(1_000_000_600) + age), 1_000_000);
        }
        assert_eq!(past(moment, Time::default(), Duration::from_secs(7)), 7);
    }

    #[test]
    fn it_goes_on() {
        let before = now();
        std::thread::sleep(Duration::from_millis(10));
        let passed = now().since(before);
        // As long as it may take to be awake again, it is not as if the unit were another one.
        assert!(passed >= Duration::from_millis(10) && passed < Duration::from_secs(10_000), "{passed:?}");
    }
}
