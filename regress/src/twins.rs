//! The twins: libpfkey's test that compares the two doors of Linux, where the kernel has both.

use std::io::stdout;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::lab::{Boot, End};
use crate::tally::Tally;
use crate::tree;

/// Tests of libpfkey that want a kernel with SAs in it.
const TESTS: [&str; 2] = ["twins", "xfrm_host"];

/// Builds them and boots the lab for each.
pub(crate) fn check() -> Result<Tally> {
    let mut tally = Tally::default();
    for test in TESTS {
        let program = build(test)?.into_os_string().into_string().ok().context("the path of a test is not text")?;
        let boot = Boot::new(vec![program, "--nocapture".to_owned()]).limit(Duration::from_secs(120));
        let end = boot.run(&mut stdout())?;
        tally += Tally::of(end == End::Exited(0));
    }
    Ok(tally)
}

/// The program of a test.
fn build(test: &str) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words = ["test", "--quiet", "--package", "libpfkey", "--no-run", "--message-format", "json", "--test", test];
    let output = Command::new(cargo).args(words).current_dir(tree::root()).output().context("cargo")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let messages = output.stdout.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let program = messages.filter_map(|message: Value| Some(message.get("executable")?.as_str()?.into())).next_back();
    program.with_context(|| format!("cargo names no program of the test {test}"))
}
