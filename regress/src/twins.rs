//! Tests of packages that want a kernel with SAs in it, each in a lab of its own.

use std::io::stdout;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::lab::Boot;
use crate::tally::Tally;
use crate::tree;

/// Tests of libpfkey: PF_KEY and NETLINK_XFRM compared, and NETLINK_XFRM alone.
pub(crate) fn check() -> Result<Tally> {
    run("libpfkey", &["twins", "xfrm_host"])
}

/// The test of racoon's door to the kernel.
pub(crate) fn check_door() -> Result<Tally> {
    run("racoon", &["kernel_door"])
}

/// Builds tests of a package and boots the lab for each.
fn run(package: &str, tests: &[&str]) -> Result<Tally> {
    let mut tally = Tally::default();
    for test in tests {
        let program =
            build(package, test)?.into_os_string().into_string().ok().context("the path of a test is not text")?;
        let boot = Boot::new(vec![program, "--nocapture".to_owned()]).limit(Duration::from_secs(1200));
        tally += Tally::of(boot.run(&mut stdout())?.is_success());
    }
    Ok(tally)
}

/// The program of a test.
fn build(package: &str, test: &str) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words = ["test", "--quiet", "--package", package, "--no-run", "--message-format", "json", "--test", test];
    let output = Command::new(cargo).args(words).current_dir(tree::root()).output().context("cargo")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = output.stdout.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    // Cargo builds the package's programs, too: a test may run them.
    let is_test = |message: &Value| message.pointer("/target/name").and_then(Value::as_str) == Some(test);
    let mut programs = messages.filter(is_test).filter_map(|it| Some(PathBuf::from(it.get("executable")?.as_str()?)));
    let program = programs.next_back();
    program.with_context(|| format!("cargo names no program of the test {test}"))
}
