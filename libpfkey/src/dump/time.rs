//! Calendar times as `ctime(3)` prints them, without the weekday.

use std::fmt::Write as _;

use crate::sys;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Appends the local time of `seconds` since 1970 in 20 characters, `Nov 21 22:05:49 2026`; 20 blanks for 0 and for
/// what no calendar holds.
pub fn calendar(out: &mut String, seconds: i64) {
    let time = if seconds == 0 { None } else { sys::local_time(seconds) };
    let month = time.and_then(|time| MONTHS.get(usize::try_from(time.tm_mon).ok()?));
    let (Some(time), Some(month)) = (time, month) else {
        out.push_str("                    ");
        return;
    };
    // A year of 32 bits would overflow here.
    let year = i64::from(time.tm_year) + 1900;
    let _ = write!(out, "{month} {:2} {:02}:{:02}:{:02} {year}", time.tm_mday, time.tm_hour, time.tm_min, time.tm_sec);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_characters() {
        let text = |seconds| {
            let mut out = String::new();
            calendar(&mut out, seconds);
            out
        };
        assert_eq!(text(0), " ".repeat(20));
        assert_eq!(text(i64::MAX), " ".repeat(20));
        // Mid-month, so that the month and year hold in every time zone.
        let some = text(1_000_000_000 + 5 * 86_400);
        assert!(some.starts_with("Sep 1") && some.ends_with(" 2001"), "{some}");
        assert_eq!(some.len(), 20);
    }
}
