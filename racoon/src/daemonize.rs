//! Going to the background.
//!
//! The command that was typed, or that a boot script runs, ends when the daemon works or when it has failed to: with
//! its error on standard error and the exit code 1.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process;

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, chdir, dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::self_pipe;
use crate::sys;

/// What the child says when it is ready. An error text never begins so.
const READY: &[u8] = b"\0";

/// The daemon's duty to say how its start went. Dropped unsaid, it has failed.
#[derive(Debug)]
#[must_use]
pub struct StartupReport {
    parent: Option<OwnedFd>,
}

/// Continues as a child in a session of its own; the parent waits in here for what the child says, and ends. To be
/// called before any thread is started. The working directory and the standard streams stay until [`StartupReport::ready`].
///
/// # Errors
/// The system's, from pipe(2), fork(2) or setsid(2).
pub fn enter() -> io::Result<StartupReport> {
    let (reader, writer) = nix::unistd::pipe()?;
    self_pipe::close_on_exec(&writer)?;
    match sys::fork_once()? {
        ForkResult::Parent { child } => {
            drop(writer);
            let code = await_child(File::from(reader));
            if code != 0 {
                let _ = waitpid(child, None);
            }
            process::exit(code);
        }
        ForkResult::Child => {
            drop(reader);
            setsid()?;
            Ok(StartupReport { parent: Some(writer) })
        }
    }
}

/// The exit code of the parent.
fn await_child(mut child: File) -> i32 {
    let mut said = Vec::new();
    let heard = child.read_to_end(&mut said);
    if heard.is_ok() && said == READY {
        return 0;
    }
    let said = if said.is_empty() { b"racoon: the daemon ended while it was starting\n".as_slice() } else { &said };
    let _ = io::stderr().write_all(said);
    1
}

impl StartupReport {
    /// Stays in the foreground: there is no parent to tell, and nothing is closed but standard input.
    pub fn in_foreground() -> Self {
        Self { parent: None }
    }

    /// The daemon works. In the background it now leaves the terminal and the directory it was started in.
    ///
    /// # Errors
    /// The system's; the parent then hears of no success.
    pub fn ready(mut self) -> io::Result<()> {
        let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
        dup2_stdin(&null)?;
        let Some(parent) = self.parent.take() else { return Ok(()) };
        chdir("/")?;
        dup2_stdout(&null)?;
        dup2_stderr(&null)?;
        File::from(parent).write_all(READY)
    }

    /// The daemon cannot start: the parent prints this text.
    pub fn failed(mut self, text: &str) {
        match self.parent.take() {
            Some(parent) => drop(File::from(parent).write_all(text.as_bytes())),
            None => drop(io::stderr().write_all(text.as_bytes())),
        }
    }
}
