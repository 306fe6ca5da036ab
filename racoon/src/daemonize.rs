//! Running in the background.
//!
//! The command that the user or a boot script started exits when the daemon is ready, or with its error text and exit
//! code 1 when it has failed to start.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process;

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, chdir, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::self_pipe;
use crate::sys;

/// Message of a child that is ready. No error text begins with it.
const READY: &[u8] = b"\0";

/// Obligation of the daemon to report how its start went. Dropping it reports a failure.
#[derive(Debug)]
#[must_use]
pub struct StartupReport {
    parent: Option<OwnedFd>,
}

/// Forks, and continues as the child in a new session. The parent waits here for the child's report and exits. Call it
/// before any thread is started. The working directory and the standard streams stay as they are until
/// [`StartupReport::ready`].
///
/// # Errors
/// Those of pipe(2), fork(2) and setsid(2).
pub fn enter() -> io::Result<StartupReport> {
    let (reader, writer) = nix::unistd::pipe()?;
    self_pipe::close_on_exec(&writer)?;
    match sys::signals::fork_once()? {
        ForkResult::Parent { child } => {
            // Otherwise this process would keep the pipe open, and the read below would never end.
            drop(writer);
            let code = await_child(File::from(reader));
            if code != 0 {
                // The child is exiting; when this process ends, it should be gone.
                let _ = waitpid(child, None);
            }
            process::exit(code);
        }
        ForkResult::Child => {
            drop(reader);
            // Detached from the terminal: its hang-up would arrive as SIGHUP, which means reload.
            setsid()?;
            Ok(StartupReport { parent: Some(writer) })
        }
    }
}

/// Waits for the child's report and returns the parent's exit code.
fn await_child(mut child: File) -> i32 {
    let mut report = Vec::new();
    let read = child.read_to_end(&mut report);
    if read.is_ok() && report == READY {
        return 0;
    }
    let text = if report.is_empty() { b"racoon: the daemon exited during startup\n".as_slice() } else { &report };
    let _ = io::stderr().write_all(text);
    1
}

impl StartupReport {
    /// Returns a report for a daemon in the foreground, which has no parent to inform.
    pub fn in_foreground() -> Self {
        Self { parent: None }
    }

    /// Reports success. In the background the daemon now detaches from the terminal and the working directory; in
    /// either case standard input is closed.
    ///
    /// # Errors
    /// Those of the system; the parent is then told of no success.
    pub fn ready(mut self) -> io::Result<()> {
        // Not just closed: the next descriptor that is opened would become standard input, also that of child
        // processes.
        let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
        dup2_stdin(&null)?;
        let Some(parent) = self.parent.take() else { return Ok(()) };
        // The directory where the daemon was started could not be unmounted.
        chdir("/")?;
        dup2_stdout(&null)?;
        dup2_stderr(&null)?;
        File::from(parent).write_all(READY)
    }

    /// Reports a failure: the parent prints this text.
    pub fn failed(mut self, text: &str) {
        match self.parent.take() {
            Some(parent) => drop(File::from(parent).write_all(text.as_bytes())),
            None => drop(io::stderr().write_all(text.as_bytes())),
        }
    }
}
