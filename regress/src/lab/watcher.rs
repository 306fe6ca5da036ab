//! A process that ends the lab when this program is killed, which User Mode Linux would survive.

use std::fs;
use std::io::{Read, Write, stdin};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::boot::this_program;

/// The watching process. It ends when this value is dropped.
pub(super) struct Watcher {
    child: Child,
}

impl Watcher {
    /// Starts the process for the boot in the folder `work`, which it also removes.
    pub(super) fn start(work: &Path) -> Result<Self> {
        // In a process group of its own, since an interrupt from the terminal is meant for this program.
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

    /// Sets the process group to end.
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

/// Runs as the watching process: waits until the pipe is closed, which happens when the program ends.
pub(crate) fn run(work: &Path) -> Result<()> {
    let mut group = String::new();
    stdin().read_to_string(&mut group)?;
    // The text is empty if the program was killed before it set a group.
    if let Ok(group) = group.trim().parse() {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    fs::remove_dir_all(work).with_context(|| work.display().to_string())
}
