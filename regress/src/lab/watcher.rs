//! A process that ends a boot when this program is killed: User Mode Linux would go on without it.

use std::fs;
use std::io::{Read, Write, stdin};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::boot::this_program;

/// The process. It ends when this value is dropped.
pub(super) struct Watcher {
    child: Child,
}

impl Watcher {
    /// Starts it for the boot whose folder is `work`, which is removed with the boot.
    pub(super) fn start(work: &Path) -> Result<Self> {
        // In a group of its own: an interrupt from the terminal is for this program.
        let child = Command::new(this_program()?)
            .args(["in-lab", "watch"])
            .arg(work)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("the process that ends the lab")?;
        Ok(Self { child })
    }

    /// Names the process group that is to end.
    pub(super) fn watch(&mut self, group: Pid) -> Result<()> {
        let pipe = self.child.stdin.as_mut().context("no pipe")?;
        writeln!(pipe, "{group}").context("the process that ends the lab")
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs as this process: waits until the pipe is closed, which the death of the program does.
pub(crate) fn run(work: &Path) -> Result<()> {
    let mut group = String::new();
    stdin().read_to_string(&mut group)?;
    // It was killed before it had a group to name when the pipe is empty.
    if let Ok(group) = group.trim().parse() {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    fs::remove_dir_all(work).with_context(|| work.display().to_string())
}
