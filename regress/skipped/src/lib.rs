//! Reporting of skipped tests.
//!
//! Rust's test harness cannot skip a test that has started. A test that finds a requirement missing returns early, and
//! counts as passed. Such a test calls [`skip`] or [`lacks`] first, which print a line. `cargo regress` reads these
//! lines, counts the tests as skipped, and names them in its summary; in the lab, where nothing should be missing, it
//! counts them as failed.

use std::collections::HashSet;
use std::fmt::Display;
use std::io::Write as _;
use std::panic::Location;
use std::str::FromStr;

/// Prefix of a line that reports a skipped test.
pub const MARK: &str = "SKIPPED: ";

/// Text between the location and the missing feature.
const LACKS: &str = "the kernel lacks ";

/// Reports the calling test as skipped. The line bypasses the harness's capture of output.
#[track_caller]
pub fn skip(reason: impl Display) {
    let place = Location::caller();
    // The harness may have printed the beginning of a line.
    let line = format!("\n{MARK}{}:{}: {reason}\n", place.file(), place.line());
    // If standard error is closed, nobody is interested in the line.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Reports the calling test as skipped because the kernel lacks a feature. `said` is the kernel's error.
#[track_caller]
pub fn lacks(feature: &str, said: impl Display) {
    skip(format_args!("{LACKS}{feature}: {said}"));
}

/// A skipped test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// File and line of the call.
    pub place: String,
    /// The reason.
    pub reason: String,
}

impl Skipped {
    /// Returns the skipped tests that the output of tests reports. A test with several reasons is listed once.
    pub fn all_in(text: &str) -> Vec<Self> {
        let mut places = HashSet::new();
        let mut all: Vec<Self> = text.lines().filter_map(|line| line.parse().ok()).collect();
        all.retain(|skipped| places.insert(skipped.place.clone()));
        all
    }

    /// Returns the kernel feature that was missing, if that was the reason.
    pub fn feature(&self) -> Option<&str> {
        self.reason.strip_prefix(LACKS)?.split_once(':').map(|(feature, _)| feature)
    }
}

/// Parses a line printed by [`skip`].
impl FromStr for Skipped {
    type Err = NotSkipped;

    fn from_str(line: &str) -> Result<Self, NotSkipped> {
        let rest = line.strip_prefix(MARK).ok_or(NotSkipped)?;
        let (place, reason) = rest.split_once(": ").ok_or(NotSkipped)?;
        Ok(Self { place: place.to_owned(), reason: reason.to_owned() })
    }
}

/// The error for a line that does not report a skipped test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSkipped;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_with_several_reasons_counts_once() {
        let text = "running 2 tests\nSKIPPED: a.rs:7: no network namespace: EPERM\nSKIPPED: a.rs:7: the same\n\
                    SKIPPED: b.rs:1: the kernel lacks PF_KEY: EAFNOSUPPORT\n  SKIPPED: a.rs:9: indented\n\
                    test result: ok. 2 passed\nSKIPPED: \nSKIPPED:";
        let all = Skipped::all_in(text);
        let seen: Vec<_> = all.iter().map(|one| (one.place.as_str(), one.reason.as_str(), one.feature())).collect();
        let expected = [
            ("a.rs:7", "no network namespace: EPERM", None),
            ("b.rs:1", "the kernel lacks PF_KEY: EAFNOSUPPORT", Some("PF_KEY")),
        ];
        assert_eq!(seen, expected);
    }
}
