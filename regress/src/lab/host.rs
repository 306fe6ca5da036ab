//! A host of the lab: a network namespace and an `/etc` of its own, and the thread that lives in them.

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

/// A simulated machine. Dropping it ends its thread; its namespace goes with its last user.
pub(crate) struct Host {
    name: String,
    id: i32,
    tasks: Option<mpsc::Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    /// A new host with `lo` up.
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

    /// What `ip link ... netns ID` calls this host's network namespace.
    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    /// Does `work` inside: sockets it opens and programs it starts belong to this host.
    pub(crate) fn enter<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let gone = || anyhow!("host {} has ended", self.name);
        let (answer, result) = mpsc::channel();
        let task = Box::new(move || {
            let _ = answer.send(work());
        });
        self.tasks.as_ref().ok_or_else(gone)?.send(task).map_err(|_| gone())?;
        result.recv().map_err(|_| gone())
    }

    /// Runs a program on this host.
    pub(crate) fn run(&self, program: Program) -> Result<Finished> {
        self.enter(move || program.run())?
    }

    /// Runs a command line of words without quotes; an exit status other than 0 is an error.
    pub(crate) fn must(&self, line: &str) -> Result<Finished> {
        let mut words = line.split_ascii_whitespace();
        let name = words.next().context("an empty command line")?;
        let done = self.run(Program::new(name, &words.collect::<Vec<_>>()))?;
        if !done.success() {
            anyhow::bail!("{}: `{line}` ended with {}: {}", self.name, done.exit, done.text());
        }
        Ok(done)
    }

    /// Writes a file on this host (below its own `/etc`, or `/run`, which all share).
    pub(crate) fn write(&self, path: &'static str, text: &str) -> Result<()> {
        let text = text.to_owned();
        self.enter(move || write_secret(Path::new(path), text.as_bytes()))?.with_context(|| path.to_owned())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Writes a new file that only its owner can read, as a file with keys should be.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    File::options().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
}

/// Makes the calling thread a machine of its own. Its thread id names its namespace to the kernel.
fn isolate_thread() -> Result<i32> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).context("unshare")?;
    sys::lo_up().context("lo")?;
    etc::replace()?;
    Ok(nix::unistd::gettid().as_raw())
}
