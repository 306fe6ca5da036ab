//! The time, which the shell provides.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment on the boot-time clock, which includes suspend like the timers of the kernel's SAs. Its origin has no meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub Duration);

impl Time {
    /// The moment this many seconds after the origin.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The time since `earlier`; zero if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// Saturates at the far future.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    /// Saturates at the origin.
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_neither_overflows_nor_underflows() {
        let minute = Duration::from_secs(60);
        assert_eq!(Time::from_secs(1) + minute, Time::from_secs(61));
        assert_eq!(Time(Duration::MAX) + minute, Time(Duration::MAX));
        assert_eq!(Time::from_secs(1) - minute, Time::default());
        assert_eq!(Time::from_secs(1).since(Time::from_secs(2)), Duration::ZERO);
    }
}
