//! The line by which a test reports that it was skipped.
//!
//! Rust's test harness cannot skip a test that has begun: one that finds its machine lacking returns, and counts as passed.
//! Such a test calls [`skip`] or [`lacks`] first. `cargo regress` reads the lines, counts their tests as skipped and names
//! them in its summary; in the lab, whose machine lacks nothing, it counts them as failed.

use std::collections::HashSet;
use std::fmt::Display;
use std::io::Write as _;
use std::panic::Location;
use std::str::FromStr;

/// How a line begins that reports a skipped test.
pub const MARK: &str = "SKIPPED: ";

/// What stands between the place and the feature.
const LACKS: &str = "the kernel lacks ";

/// Reports the caller as skipped, and why. The line passes by the capture of a test's output.
#[track_caller]
pub fn skip(reason: impl Display) {
    let place = Location::caller();
    // The harness may have begun a line: with the test's name, or with dots.
    let line = format!("\n{MARK}{}:{}: {reason}\n", place.file(), place.line());
    // Whoever closed standard error does not want to know.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Reports the caller as skipped because the kernel lacks a feature, and what the kernel said.
#[track_caller]
pub fn lacks(feature: &str, said: impl Display) {
    skip(format_args!("{LACKS}{feature}: {said}"));
}

/// A test that was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// File and line of the test's call.
    pub place: String,
    /// Why.
    pub reason: String,
}

impl Skipped {
    /// The skipped tests that `text`, the output of tests, reports. One that reports several reasons is there once.
    pub fn all_in(text: &str) -> Vec<Self> {
        let mut places = HashSet::new();
        let mut all: Vec<Self> = text.lines().filter_map(|line| line.parse().ok()).collect();
        all.retain(|skipped| places.insert(skipped.place.clone()));
        all
    }

    /// The kernel's feature that was missing, if it was one.
    pub fn feature(&self) -> Option<&str> {
        self.reason.strip_prefix(LACKS)?.split_once(':').map(|(feature, _)| feature)
    }
}

/// Reads a line that [`skip`] has written.
impl FromStr for Skipped {
    type Err = NotSkipped;

    fn from_str(line: &str) -> Result<Self, NotSkipped> {
        let rest = line.strip_prefix(MARK).ok_or(NotSkipped)?;
        let (place, reason) = rest.split_once(": ").ok_or(NotSkipped)?;
        Ok(Self { place: place.to_owned(), reason: reason.to_owned() })
    }
}

/// A line that reports no skipped test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSkipped;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_counted_once() {
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
