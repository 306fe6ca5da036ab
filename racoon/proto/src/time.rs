//! Time, as the shell tells it.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment on the boot clock: it counts suspend, as the timers of a kernel's SAs do. Where it begins means nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub Duration);

impl Time {
    /// So many seconds after the beginning.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// How long it is since `earlier`; zero if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// The far future instead of an overflow.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl Sub<Duration> for Time {
    type Output = Self;

    /// The beginning instead of an underflow.
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
