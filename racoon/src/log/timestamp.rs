//! Timestamps of log lines.

use std::fmt;

use super::sys;
use crate::clock::since_1970;

/// Local date and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timestamp {
    pub(super) year: i32,
    /// 1 to 12.
    pub(super) month: u8,
    pub(super) day: u8,
    pub(super) hour: u8,
    pub(super) minute: u8,
    pub(super) second: u8,
}

impl Timestamp {
    /// Returns the current time, or the beginning of 1970 if there is none.
    pub(super) fn now() -> Self {
        let epoch = Self { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
        i64::try_from(since_1970()).ok().and_then(Self::of).unwrap_or(epoch)
    }

    /// Converts seconds since 1970; `None` if the calendar cannot represent it.
    pub(super) fn of(seconds: i64) -> Option<Self> {
        let tm = sys::local_time(seconds)?;
        Some(Self {
            year: tm.tm_year.checked_add(1900)?,
            month: u8::try_from(tm.tm_mon).ok()?.checked_add(1)?,
            day: u8::try_from(tm.tm_mday).ok()?,
            hour: u8::try_from(tm.tm_hour).ok()?,
            minute: u8::try_from(tm.tm_min).ok()?,
            second: u8::try_from(tm.tm_sec).ok()?,
        })
    }

    /// Formats the timestamp of RFC 3164, which has no year.
    pub(super) fn traditional(self) -> String {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let month = MONTHS.get(usize::from(self.month).wrapping_sub(1)).unwrap_or(&"Jan");
        format!("{month} {:2} {:02}:{:02}:{:02}", self.day, self.hour, self.minute, self.second)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, second } = self;
        write!(formatter, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let stamp = Timestamp { year: 2026, month: 1, day: 2, hour: 3, minute: 4, second: 5 };
        assert_eq!(stamp.to_string(), "2026-01-02 03:04:05");
        assert_eq!(stamp.traditional(), "Jan  2 03:04:05");
        assert!(Timestamp::now().year > 2000);
    }
}
