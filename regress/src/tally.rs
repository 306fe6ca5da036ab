//! Counting checks.

use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};

/// How many checks passed, failed, or were left out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    pub(crate) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };
    pub(crate) const SKIPPED: Self = Self { passed: 0, failed: 0, skipped: 1 };

    pub(crate) fn of(passed: bool) -> Self {
        if passed { Self::PASSED } else { Self::FAILED }
    }

    /// The last line of `text` that is one as it is displayed.
    pub(crate) fn last_in(text: &str) -> Option<Self> {
        text.lines().rev().find_map(|line| line.parse().ok())
    }
}

/// Plays a scene, and if it fails, once more. The lab shares its machine with whatever else runs there, and its clock stands
/// still now and then; what fails twice has failed, and what failed once is shown.
pub(crate) fn twice(scene: &str, mut play: impl FnMut() -> Result<()>) -> Result<()> {
    play().or_else(|error| {
        println!("ONCE MORE: {scene}: {error:#}");
        play()
    })
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        let mut total = Self::default();
        parts.for_each(|part| total += part);
        total
    }
}

/// Reads what `Display` wrote.
impl FromStr for Tally {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut tally = Self::default();
        for part in text.split(", ") {
            let (count, what) = part.split_once(' ').with_context(|| format!("no count: {text:?}"))?;
            let count = count.parse().with_context(|| format!("no count: {text:?}"))?;
            match what {
                "passed" => tally.passed = count,
                "failed" => tally.failed = count,
                "skipped" => tally.skipped = count,
                _ => bail!("no count of checks: {text:?}"),
            }
        }
        Ok(tally)
    }
}

impl fmt::Display for Tally {
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
    fn what_is_written_is_read() {
        for text in ["3 passed, 0 failed", "0 passed, 12 failed, 1 skipped"] {
            assert_eq!(text.parse::<Tally>().unwrap().to_string(), text);
        }
        assert!("== summary (3 s)".parse::<Tally>().is_err());
        assert!("".parse::<Tally>().is_err());
    }

    #[test]
    fn the_last_one_counts() {
        let text = "0 passed, 7 failed\n199 passed, 2 failed\n5 packets transmitted, 5 received\n\n";
        assert_eq!(Tally::last_in(text), Some(Tally { passed: 199, failed: 2, skipped: 0 }));
        assert_eq!(Tally::last_in("ok\n"), None);
    }
}
