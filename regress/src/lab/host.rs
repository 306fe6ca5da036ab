//! A host of the lab: a thread with a network namespace and an `/etc` of its own.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, unshare};

use super::program::{Finished, Program};
use super::{etc, sys};

type Task = Box<dyn FnOnce() + Send>;

/// A simulated machine. Dropping it ends its thread. Its namespace remains until its last process ends.
pub(crate) struct Host {
    name: String,
    id: i32,
    tasks: Option<mpsc::Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// Creates a host with `lo` up.
    pub(crate) fn new(name: &str) -> Result<Self> {
        let (tasks, inbox) = mpsc::channel::<Task>();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            for task in inbox {
                task();
            }
        })?;
        let mut host = Self { name: name.to_owned(), id: 0, tasks: Some(tasks), thread: Some(thread) };
        host.id = host.enter(isolate_thread)?.with_context(|| format!("host {name}"))?;
        Ok(host)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the id of the host's network namespace for `ip link ... netns ID`.
    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    /// Runs `work` on the host: sockets that it opens and programs that it starts belong to the host.
    pub(crate) fn enter<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        // The channel is closed only if the thread has ended.
        let gone = || anyhow!("host {} has ended", self.name);
        let (answer, result) = mpsc::channel();
        let task = Box::new(move || {
            let _ = answer.send(work());
        });
        self.tasks.as_ref().ok_or_else(gone)?.send(task).map_err(|_| gone())?;
        result.recv().map_err(|_| gone())
    }

    /// Runs a program on the host.
    pub(crate) fn run(&self, program: Program) -> Result<Finished> {
        self.enter(move || program.run())?
    }

    /// Runs a command line without quotes. An exit status other than 0 is an error.
    pub(crate) fn must(&self, line: &str) -> Result<Finished> {
        let mut words = line.split_ascii_whitespace();
        let name = words.next().context("an empty command line")?;
        let done = self.run(Program::new(name, &words.collect::<Vec<_>>()))?;
        if !done.success() {
            anyhow::bail!("{}: `{line}` ended with {}: {}", self.name, done.exit, done.text());
        }
        Ok(done)
    }

    /// Writes a file on the host, below its own `/etc` or the shared `/run`.
    pub(crate) fn write(&self, path: &'static str, text: &str) -> Result<()> {
        let text = text.to_owned();
        self.enter(move || write_secret(Path::new(path), text.as_bytes()))?.with_context(|| path.to_owned())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Closing the channel ends the loop of the thread.
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Creates a file that only its owner can read, as required for keys.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    File::options().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
}

/// Moves the calling thread into namespaces of its own, and returns the thread id, by which `ip` finds them.
fn isolate_thread() -> Result<i32> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).context("unshare")?;
    sys::lo_up().context("lo")?;
    etc::replace()?;
    Ok(nix::unistd::gettid().as_raw())
}
