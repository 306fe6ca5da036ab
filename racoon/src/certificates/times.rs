//! Times of certificates.

use openssl::asn1::{Asn1Time, Asn1TimeRef};

/// Returns a time in UTC, such as `2026-11-30 20:00:00 UTC`.
pub(super) fn text(time: &Asn1TimeRef) -> String {
    let Some(seconds) = seconds(time) else { return time.to_string() };
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Seconds since 1970.
fn seconds(time: &Asn1TimeRef) -> Option<i64> {
    let passed = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    i64::from(passed.days).checked_mul(86_400)?.checked_add(i64::from(passed.secs))
}

/// Year, month and day of a number of days since 1970 in the Gregorian calendar.
fn date(days: i64) -> (i64, i64, i64) {
    // Years that begin in March have their leap day at the end; eras of 400 years are all alike.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let at = |unix| text(&Asn1Time::from_unix(unix).unwrap());
        assert_eq!(at(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(at(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(at(951_868_800), "2000-03-01 00:00:00 UTC");
        assert_eq!(at(1_796_068_800), "2026-11-30 20:00:00 UTC");
        assert_eq!(at(4_133_980_799), "2100-12-31 23:59:59 UTC");
    }
}
