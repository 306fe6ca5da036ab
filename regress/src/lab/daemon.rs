//! A program that runs on a host in the background.

use std::cell::RefCell;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::host::Host;
use super::program::describe;

/// Time after which an awaited event is considered not to happen. It is long because a busy machine turns milliseconds
/// into seconds.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(120);

/// Interval at which a condition is checked.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A running daemon. Dropping it kills the process.
pub(crate) struct Daemon {
    name: String,
    output: PathBuf,
    child: RefCell<Child>,
}

impl Daemon {
    /// Starts `command` on `host`. Its output goes to the new file `output`.
    pub(crate) fn start(host: &Host, mut command: Command, output: &Path) -> Result<Self> {
        let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = format!("{program} on {}", host.name());
        let file = File::create(output).with_context(|| output.display().to_string())?;
        // Its process group lets `signal` reach its children too.
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let child = host.enter(move || command.spawn())?.with_context(|| name.clone())?;
        Ok(Self { name, output: output.to_owned(), child: RefCell::new(child) })
    }

    /// Waits until `condition` holds.
    ///
    /// # Errors
    /// The daemon ended, or `limit` passed.
    pub(crate) fn wait_until(&self, limit: Duration, what: &str, condition: impl FnMut() -> bool) -> Result<()> {
        let held = wait_until(limit, condition, || match self.child.borrow_mut().try_wait()? {
            Some(status) => bail!("it ended with {}", describe(status)),
            None => Ok(()),
        });
        let why = match held {
            Ok(true) => return Ok(()),
            Ok(false) => format!("not within {} s", limit.as_secs()),
            Err(error) => format!("{error:#}"),
        };
        let output = fs::read_to_string(&self.output).unwrap_or_default();
        bail!("{}: no {what}: {why}\n{output}", self.name)
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.borrow().id()
    }

    /// Returns whether the process is running.
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.child.borrow_mut().try_wait(), Ok(None))
    }

    /// Sends SIGTERM and waits for the end. Returns the exit status: `0`…, or `signal N`.
    pub(crate) fn stop(&self, limit: Duration) -> Result<String> {
        self.signal(Signal::SIGTERM)?;
        let mut status = None;
        let mut ended = || {
            status = self.child.borrow_mut().try_wait()?;
            Ok::<_, anyhow::Error>(status.is_some())
        };
        wait_until(limit, || ended().unwrap_or(false), || Ok(()))?;
        status
            .map(describe)
            .with_context(|| format!("{} did not end within {} s of SIGTERM", self.name, limit.as_secs()))
    }

    /// Sends a signal to the daemon and its children.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let group = Pid::from_raw(i32::try_from(self.child.borrow().id())?);
        killpg(group, signal).with_context(|| format!("{}: {signal}", self.name))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.get_mut().try_wait(), Ok(None)) {
            let _ = self.signal(Signal::SIGKILL);
            let _ = self.child.get_mut().wait();
        }
    }
}

/// Creates an empty folder for a daemon on `host`. All hosts of the lab share `/run`.
pub(crate) fn daemon_dir(host: &Host, daemon: &str) -> Result<PathBuf> {
    let dir = Path::new("/run").join(host.name()).join(daemon);
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}

/// Returns whether `condition` held within `limit`. An error of `alive` ends the wait.
pub(crate) fn wait_until(
    limit: Duration,
    mut condition: impl FnMut() -> bool,
    mut alive: impl FnMut() -> Result<()>,
) -> Result<bool> {
    let start = Instant::now();
    loop {
        // Checked before `alive`: a daemon may do what is awaited and then exit.
        if condition() {
            return Ok(true);
        }
        alive()?;
        if start.elapsed() > limit {
            return Ok(false);
        }
        thread::sleep(POLL_INTERVAL);
    }
}
