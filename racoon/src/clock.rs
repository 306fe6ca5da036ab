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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on() {
        let before = now();
        std::thread::sleep(Duration::from_millis(10));
        let passed = now().since(before);
        assert!(passed >= Duration::from_millis(10) && passed < Duration::from_secs(60), "{passed:?}");
    }
}
