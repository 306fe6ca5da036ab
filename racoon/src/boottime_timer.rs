//! A timer on the boot-time clock, as a descriptor to poll.
//!
//! The timeout of poll(2) does not advance while the machine is suspended, so after a resume everything due would be
//! late by up to the whole timeout. Linux' timerfd avoids that; other systems rely on the timeout.

use std::io;
use std::os::fd::BorrowedFd;

use racoon_proto::time::Time;

/// A one-shot timer.
#[derive(Debug)]
pub struct BoottimeTimer {
    #[cfg(target_os = "linux")]
    timer: nix::sys::timerfd::TimerFd,
}

#[cfg(target_os = "linux")]
impl BoottimeTimer {
    /// Creates a disarmed timer.
    ///
    /// # Errors
    /// Those of timerfd_create(2).
    pub fn new() -> io::Result<Self> {
        use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        Ok(Self { timer: TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)? })
    }

    /// Arms the timer for a time, replacing the previous one.
    ///
    /// # Errors
    /// Those of timerfd_settime(2).
    pub fn set(&self, at: Time) -> io::Result<()> {
        use nix::sys::time::TimeSpec;
        use nix::sys::timerfd::{Expiration, TimerSetTimeFlags};
        // A time of 0 would disarm the timer.
        let at = TimeSpec::from_duration(at.0.max(std::time::Duration::from_nanos(1)));
        Ok(self.timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?)
    }

    /// Returns the descriptor to poll, if there is one.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        use std::os::fd::AsFd as _;
        Some(self.timer.as_fd())
    }
}

#[cfg(not(target_os = "linux"))]
impl BoottimeTimer {
    /// Creates a timer without effect.
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

    /// Returns the descriptor to poll, if there is one.
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
    fn readable_once_due_until_rearmed() {
        let timer = BoottimeTimer::new().unwrap();
        let is_due = |timeout: Option<Duration>| {
            let source = Source::control(timer.fd().unwrap(), ());
            !poller::wait(&[source], timeout).unwrap().is_empty()
        };
        let now = Some(Duration::ZERO);
        assert!(!is_due(now));
        for past in [Time::default(), clock::now()] {
            timer.set(past).unwrap();
            assert!(is_due(None) && is_due(now));
            timer.set(clock::now() + Duration::from_secs(3600)).unwrap();
            assert!(!is_due(now));
        }
        timer.set(clock::now() + Duration::from_millis(20)).unwrap();
        assert!(is_due(None));
    }
}
