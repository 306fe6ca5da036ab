//! What concerns a process as a whole, or starts others. It is not among the unit tests: a child holds every descriptor of
//! its parent until it executes, so that what a test beside it closes is still open.

#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
mod addresses;
mod daemonize;
mod signals;

use std::process::{Command, Output};

/// What tells the copy of this program that it is one, and what it is to do.
const ROLE: &str = "RACOON_TEST_ROLE";

/// Runs a test that is ignored otherwise in a process of its own.
fn alone(name: &str, role: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command.output().unwrap()
}

/// What this process is to do if it is such a copy.
fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}
