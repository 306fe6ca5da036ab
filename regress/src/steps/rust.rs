//! The checks that cargo and its companions do.

use anyhow::Result;

use crate::job::Job;
use crate::tally::Tally;
use crate::tools;

pub(super) fn format() -> Result<Tally> {
    tools::component("rustfmt")?;
    Job::cargo("fmt --all --check").run()?;
    Job::cargo("fmt --check --manifest-path regress/fuzz/Cargo.toml").run()?;
    Ok(Tally::PASSED)
}

pub(super) fn clippy() -> Result<Tally> {
    tools::packages(tools::BUILD)?;
    tools::component("clippy")?;
    Job::cargo("clippy --quiet --workspace --all-targets -- -D warnings").run()?;
    Ok(Tally::PASSED)
}

pub(super) fn deny() -> Result<Tally> {
    let deny = tools::cargo_deny()?;
    println!("(advisories are skipped: their database is on the net)");
    Job::new(deny).words("--log-level warn --workspace check bans licenses sources").run()?;
    Ok(Tally::PASSED)
}

pub(super) fn test() -> Result<Tally> {
    tools::packages(tools::BUILD)?;
    counted(Job::cargo("test --quiet --workspace --no-fail-fast"))
}

pub(super) fn properties() -> Result<Tally> {
    tools::packages(tools::BUILD)?;
    counted(Job::cargo("test --quiet --workspace --no-fail-fast").env("PROPTEST_CASES", "5000"))
}

pub(super) fn doc() -> Result<Tally> {
    tools::packages(tools::BUILD)?;
    Job::cargo("doc --quiet --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(Tally::PASSED)
}

/// Runs tests and adds up what each test program says; a failure without a failed test (it did not build) is one. A test that
/// its machine lets skip itself is skipped.
fn counted(job: Job) -> Result<Tally> {
    let mut said = String::new();
    let done = job.run_lines(|line| {
        said.push_str(line);
        said.push('\n');
    });
    let mut tally = test_results(&said).without_skipped_in(&said, |_| true).with_remarks_in(&said);
    match done {
        Err(error) if tally.failed == 0 => tally += Tally::failed_with(&error),
        _ => {}
    }
    Ok(tally)
}

/// Adds up what the test programs say whose output this is.
pub(crate) fn test_results(output: &str) -> Tally {
    output.lines().filter_map(test_result).sum()
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
fn test_result(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |name: &str| {
        counts.split("; ").find_map(|part| part.strip_suffix(name)?.trim().parse().ok()).unwrap_or_default()
    };
    Some(Tally { passed: count("passed"), failed: count("failed"), skipped: count("ignored"), remarks: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(test_result(line), Some(Tally { passed: 12, failed: 3, skipped: 1, ..Tally::default() }));
        assert_eq!(test_result("running 3 tests"), None);
        assert_eq!(test_result("test result: ok"), None);
    }
}
