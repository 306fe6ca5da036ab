//! Counts of passed, failed and skipped checks, and remarks about them for the final summary.

use std::collections::HashSet;
use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use regress_skipped::{MARK as SKIPPED, Skipped};

use crate::lab::without_number;

/// Prefix of a line that names a failed check and the reason. The summary repeats the line.
pub(crate) const FAILURE: &str = "FAILED: ";

/// Suffixes of the line in which a Rust test program names a failed test.
const FAILED_TESTS: [&str; 2] = [" ... FAILED", " --- FAILED"];

/// Characters of a line that the summary repeats.
const REMARK_LENGTH: usize = 300;

/// Prefix of the line for a scenario that passed only at the second attempt.
const SECOND_ATTEMPT: &str = "PASSED AT THE SECOND ATTEMPT: ";

/// Number of checks that passed, failed, or were skipped.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// Lines for the summary: failures, skipped tests with their reasons, and scenarios that passed at the second
    /// attempt with their first failure. `Display` omits them.
    pub(crate) remarks: Vec<String>,
}

impl Summary {
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0, remarks: Vec::new() };
    pub(crate) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0, remarks: Vec::new() };

    /// Returns the summary of a check that failed with `error`. Prints the error, and keeps it as a remark.
    pub(crate) fn failed_with(error: &anyhow::Error) -> Self {
        let line = format!("{FAILURE}{}", without_number(&format!("{error:#}")));
        println!("{line}");
        Self::FAILED.with_remarks_in(&line)
    }

    pub(crate) fn of(passed: bool) -> Self {
        if passed { Self::PASSED } else { Self::FAILED }
    }

    /// Returns the last line of `text` that parses as a summary.
    pub(crate) fn last_in(text: &str) -> Option<Self> {
        text.lines().rev().find_map(|line| line.parse().ok())
    }

    /// Adds the remarks found in the output of the checks.
    pub(crate) fn with_remarks_in(mut self, output: &str) -> Self {
        let mut seen = HashSet::new();
        let is_remark = |line: &&str| {
            [FAILURE, SECOND_ATTEMPT, SKIPPED].iter().any(|start| line.starts_with(start))
                || FAILED_TESTS.iter().any(|end| line.ends_with(end))
        };
        let remarks = output.lines().filter(is_remark).filter(|line| seen.insert(*line));
        self.remarks.extend(remarks.map(|line| line.chars().take(REMARK_LENGTH).collect()));
        self
    }

    /// Moves tests that reported themselves as skipped out of `passed`, where the test harness counts them: to
    /// `skipped` if `may` permits the reason, otherwise to `failed`.
    pub(crate) fn without_skipped_in(mut self, output: &str, may: impl Fn(&Skipped) -> bool) -> Self {
        for skipped in Skipped::all_in(output) {
            self.passed = self.passed.saturating_sub(1);
            *(if may(&skipped) { &mut self.skipped } else { &mut self.failed }) += 1;
        }
        self
    }

    /// Prints the remarks.
    pub(crate) fn print_remarks(&self) {
        self.remarks.iter().for_each(|remark| println!("  {remark}"));
    }
}

/// Runs a scenario, and if it fails, once more.
///
/// The lab shares its machine with other programs, and its clock sometimes stands still, so a single failure is not
/// conclusive. The summary lists scenarios that needed the second attempt.
pub(crate) fn with_retry(scenario: &str, mut run: impl FnMut() -> Result<()>) -> Result<()> {
    let Err(first) = run() else { return Ok(()) };
    let first = format!("{first:#}");
    println!("RETRYING: {scenario}: {first}");
    run()?;
    // The full error was printed above.
    println!("{SECOND_ATTEMPT}{scenario}: {}", first.lines().next().unwrap_or_default());
    Ok(())
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.remarks.extend(other.remarks);
    }
}

impl std::iter::Sum for Summary {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        let mut total = Self::default();
        parts.for_each(|part| total += part);
        total
    }
}

/// Parses what `Display` writes.
impl FromStr for Summary {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut summary = Self::default();
        for part in text.split(", ") {
            let (count, what) = part.split_once(' ').with_context(|| format!("not a summary: {text:?}"))?;
            let count = count.parse().with_context(|| format!("not a summary: {text:?}"))?;
            match what {
                "passed" => summary.passed = count,
                "failed" => summary.failed = count,
                "skipped" => summary.skipped = count,
                _ => bail!("not a summary: {text:?}"),
            }
        }
        Ok(summary)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_and_parse_agree() {
        for text in ["3 passed, 0 failed", "0 passed, 12 failed, 1 skipped"] {
            assert_eq!(text.parse::<Summary>().unwrap().to_string(), text);
        }
        assert!("== summary (3 s)".parse::<Summary>().is_err());
        assert!("".parse::<Summary>().is_err());
    }

    #[test]
    fn the_last_summary_is_used() {
        let text = "0 passed, 7 failed\n199 passed, 2 failed\n5 packets transmitted, 5 received\n\n";
        assert_eq!(Summary::last_in(text), Some(Summary { passed: 199, failed: 2, ..Summary::default() }));
        assert_eq!(Summary::last_in("ok\n"), None);
    }

    #[test]
    fn skipped_tests_do_not_count_as_passed() {
        let output = "SKIPPED: a.rs:1: no namespace\nSKIPPED: a.rs:1: no namespace\n\
                      SKIPPED: b.rs:2: the kernel lacks PF_KEY: EAFNOSUPPORT\n";
        let counted = || Summary { passed: 5, ..Summary::default() };
        let count = |summary: Summary| (summary.passed, summary.failed, summary.skipped);
        assert_eq!(count(counted().without_skipped_in(output, |_| true)), (3, 0, 2));
        let may = |skipped: &Skipped| skipped.feature() == Some("PF_KEY");
        assert_eq!(count(counted().without_skipped_in(output, may)), (3, 1, 1));
        let remarks = counted().with_remarks_in(output).remarks;
        let lines: Vec<_> = output.lines().collect();
        assert_eq!(remarks, [lines[0], lines[2]], "repeated lines are dropped");
    }

    #[test]
    fn remarks_name_failures() {
        let long = format!("FAILED: {}", "x".repeat(1000));
        let output = format!(
            "FAILED: s12 (3.0 s): no answer\n--- log\nFAILED once\nwire::is_read --- FAILED\ntest a::b ... FAILED\n{long}\n"
        );
        let remarks = Summary::FAILED.with_remarks_in(&output).remarks;
        let expected = ["FAILED: s12 (3.0 s): no answer", "wire::is_read --- FAILED", "test a::b ... FAILED"];
        assert_eq!(remarks[..3], expected);
        assert_eq!(remarks[3], long[..REMARK_LENGTH]);
    }

    #[test]
    fn one_failure_is_retried() {
        let mut results = vec![Ok(()), Err(anyhow::anyhow!("no answer\nlong output"))];
        assert!(with_retry("scenario", || results.pop().unwrap()).is_ok());
        assert!(with_retry("scenario", || bail!("no answer")).is_err());
        let printed =
            "RETRYING: scenario: no answer\nPASSED AT THE SECOND ATTEMPT: scenario: no answer\npassed: scenario\n";
        let summary = Summary::PASSED.with_remarks_in(printed);
        assert_eq!(summary.remarks, ["PASSED AT THE SECOND ATTEMPT: scenario: no answer"]);
        assert_eq!(summary.to_string(), "1 passed, 0 failed", "remarks are not displayed");
    }
}
