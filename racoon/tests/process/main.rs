//! Tests that start processes or change the state of a whole process. They are no unit tests, because between fork and
//! exec a child has all descriptors of its parent: a descriptor closed by a parallel test would stay open.

#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
mod addresses;
mod daemonize;
mod signals;

use std::process::{Command, Output};

/// Environment variable that tells a copy of this program what to do.
const ROLE: &str = "RACOON_TEST_ROLE";

/// Runs an ignored test in a process of its own.
fn alone(name: &str, role: &str) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--ignored", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    command.output().unwrap()
}

/// Returns the role of such a copy.
fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}
