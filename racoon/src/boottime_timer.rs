//! A descriptor that is readable from a time of the boot clock on.
//!
//! poll(2) counts its timeout by a clock that stands still while the machine sleeps, so that what is due when it wakes up would
//! be late by up to the whole timeout. Linux has a timer for that; elsewhere the timeout has to do.

use std::io;
use std::os::fd::BorrowedFd;

use racoon_proto::time::Time;

/// One time to be woken at.
#[derive(Debug)]
pub struct BoottimeTimer {
    #[cfg(target_os = "linux")]
    timer: nix::sys::timerfd::TimerFd,
}

#[cfg(target_os = "linux")]
impl BoottimeTimer {
    /// It is not set.
    ///
    /// # Errors
    /// The system's, from timerfd_create(2).
    pub fn new() -> io::Result<Self> {
        use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        Ok(Self { timer: TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)? })
    }

    /// From now on it is for this time and no other.
    ///
    /// # Errors
    /// The system's, from timerfd_settime(2).
    pub fn set(&self, at: Time) -> io::Result<()> {
        use nix::sys::time::TimeSpec;
        use nix::sys::timerfd::{Expiration, TimerSetTimeFlags};
        // A time of 0 would switch it off.
        let at = TimeSpec::from_duration(at.0.max(std::time::Duration::from_nanos(1)));
        Ok(self.timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?)
    }

    /// What to poll, if there is anything to.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        use std::os::fd::AsFd as _;
        Some(self.timer.as_fd())
    }
}

#[cfg(not(target_os = "linux"))]
impl BoottimeTimer {
    /// It is not set.
    ///
    /// # Errors
    /// None.
    pub fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Does nothing.
    ///
    /// # Errors
    /// None.
    pub fn set(&self, _: Time) -> io::Result<()> {
        Ok(())
    }

    /// What to poll, if there is anything to.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;
    use crate::poller::{self, Source};

    #[test]
    fn it_is_readable_from_its_time_on_until_it_is_set_anew() {
        let alarm = BoottimeTimer::new().unwrap();
        let rings = |timeout: Option<Duration>| {
            let source = Source::control(alarm.fd().unwrap(), ());
            !poller::wait(&[source], timeout).unwrap().is_empty()
        };
        let now = Some(Duration::ZERO);
        assert!(!rings(now));
        for past in [Time::default(), clock::now()] {
            alarm.set(past).unwrap();
            assert!(rings(None) && rings(now));
            alarm.set(clock::now() + Duration::from_secs(3600)).unwrap();
            assert!(!rings(now));
        }
        alarm.set(clock::now() + Duration::from_millis(20)).unwrap();
        assert!(rings(None));
    }
}
