//! Test programs of other packages that need a real kernel. Each runs in a lab of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::lab::{Boot, Status};
use crate::steps::test_results;
use crate::summary::Summary;
use crate::tree;

/// Kernel features that may be missing in the lab; a test that lacks one is skipped. A test skipped for another reason
/// counts as failed.
const OPTIONAL: &[&str] = &[
    // Removal from Linux is planned for 2027.
    "PF_KEY",
];

/// Runs libpfkey's tests that compare PF_KEY with NETLINK_XFRM, and those of NETLINK_XFRM alone.
pub(crate) fn check() -> Result<Summary> {
    run("libpfkey", &["backend_parity", "kernel", "xfrm_host"])
}

/// Runs the tests of racoon's kernel interface.
pub(crate) fn check_kernel_interface() -> Result<Summary> {
    run("racoon", &["kernel_interface"])
}

/// Builds the named tests of a package, and boots the lab for each.
fn run(package: &str, tests: &[&str]) -> Result<Summary> {
    let mut summary = Summary::default();
    for test in tests {
        let program =
            build(package, test)?.into_os_string().into_string().ok().context("the path of a test is not text")?;
        // Without --nocapture, the harness would hide which tests skipped themselves.
        let boot = Boot::new(vec![program, "--nocapture".to_owned()]).limit(Duration::from_secs(1200));
        let (status, output) = boot.run_captured()?;
        summary += summarize(status, &output);
    }
    Ok(summary)
}

/// Derives a summary from the exit status and output of a test program.
fn summarize(status: Status, output: &str) -> Summary {
    let may = |feature: &str| OPTIONAL.contains(&feature);
    let mut summary = test_results(output)
        .without_skipped_in(output, |skipped| skipped.feature().is_some_and(may))
        .with_remarks_in(output);
    // The program crashed, ran no test, or its harness disagrees with this count.
    if summary.failed == 0 && (!status.is_success() || summary.passed + summary.skipped == 0) {
        summary.failed = 1;
    }
    summary
}

/// Builds a test program and returns its path.
fn build(package: &str, test: &str) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["test", "--quiet", "--package", package, "--no-run", "--message-format", "json", "--test", test];
    let built = Command::new(cargo).args(arguments).current_dir(tree::root()).output().context("cargo")?;
    ensure!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let messages = built.stdout.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    // Cargo also builds and reports the programs of the package.
    let is_test = |message: &Value| message.pointer("/target/name").and_then(Value::as_str) == Some(test);
    let mut programs = messages.filter(is_test).filter_map(|it| Some(PathBuf::from(it.get("executable")?.as_str()?)));
    let program = programs.next_back();
    program.with_context(|| format!("cargo reported no program for the test {test}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(status: i32, output: &str) -> (usize, usize, usize) {
        let summary = summarize(Status(status), output);
        (summary.passed, summary.failed, summary.skipped)
    }

    #[test]
    fn skipped_tests_fail_unless_the_feature_is_optional() {
        const RESULT: &str = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        let skipped = |reason: &str| format!("SKIPPED: libpfkey/tests/backend_parity.rs:20: {reason}\n{RESULT}");
        assert_eq!(counts(0, RESULT), (3, 0, 0));
        assert_eq!(counts(0, &skipped("no network namespace: EPERM")), (2, 1, 0));
        assert_eq!(counts(0, &skipped("the kernel lacks NETLINK_XFRM: EPROTONOSUPPORT")), (2, 1, 0));
        assert_eq!(counts(0, &skipped("the kernel lacks PF_KEY: EAFNOSUPPORT")), (2, 0, 1));
        assert_eq!(counts(0, "no result\n"), (0, 1, 0));
        assert_eq!(counts(101, RESULT), (3, 1, 0));
    }
}
