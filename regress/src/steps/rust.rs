//! Steps that run cargo or one of its companions.

use anyhow::Result;

use crate::command::HostCommand;
use crate::summary::Summary;
use crate::tools;

pub(super) fn format() -> Result<Summary> {
    tools::component("rustfmt")?;
    HostCommand::cargo("fmt --all --check").run()?;
    HostCommand::cargo("fmt --check --manifest-path regress/fuzz/Cargo.toml").run()?;
    Ok(Summary::PASSED)
}

pub(super) fn clippy() -> Result<Summary> {
    tools::packages(tools::BUILD)?;
    tools::component("clippy")?;
    HostCommand::cargo("clippy --quiet --workspace --all-targets -- -D warnings").run()?;
    Ok(Summary::PASSED)
}

pub(super) fn deny() -> Result<Summary> {
    let deny = tools::cargo_deny()?;
    println!("(advisories are not checked: their database is on the network)");
    HostCommand::new(deny).split_args("--log-level warn --workspace check bans licenses sources").run()?;
    Ok(Summary::PASSED)
}

pub(super) fn test() -> Result<Summary> {
    tools::packages(tools::BUILD)?;
    // One run reports all failures.
    run_tests(HostCommand::cargo("test --quiet --workspace --no-fail-fast"))
}

pub(super) fn properties() -> Result<Summary> {
    tools::packages(tools::BUILD)?;
    run_tests(HostCommand::cargo("test --quiet --workspace --no-fail-fast").env("PROPTEST_CASES", "5000"))
}

pub(super) fn doc() -> Result<Summary> {
    tools::packages(tools::BUILD)?;
    HostCommand::cargo("doc --quiet --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings").run()?;
    Ok(Summary::PASSED)
}

/// Runs tests and adds up the results of all test programs. An error without a failed test, such as a failed build,
/// counts as one failure. Tests that report themselves as skipped count as skipped.
fn run_tests(command: HostCommand) -> Result<Summary> {
    let mut output = String::new();
    let done = command.run_lines(|line| {
        output.push_str(line);
        output.push('\n');
    });
    let mut summary = test_results(&output).without_skipped_in(&output, |_| true).with_remarks_in(&output);
    match done {
        Err(error) if summary.failed == 0 => summary += Summary::failed_with(&error),
        _ => {}
    }
    Ok(summary)
}

/// Adds up the results in the output of test programs.
pub(crate) fn test_results(output: &str) -> Summary {
    output.lines().filter_map(test_result).sum()
}

/// Parses `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
fn test_result(line: &str) -> Option<Summary> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |name: &str| {
        counts.split("; ").find_map(|part| part.strip_suffix(name)?.trim().parse().ok()).unwrap_or_default()
    };
    Some(Summary { passed: count("passed"), failed: count("failed"), skipped: count("ignored"), remarks: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_parsed() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(test_result(line), Some(Summary { passed: 12, failed: 3, skipped: 1, ..Summary::default() }));
        assert_eq!(test_result("running 3 tests"), None);
        assert_eq!(test_result("test result: ok"), None);
    }
}
