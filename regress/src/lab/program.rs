//! Running a program in the lab to its end, with its input, output and a time limit.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::daemon::{TIMEOUT, wait_until};
use super::sys::unread;

/// The standard input of a program.
#[derive(Debug, Clone)]
pub(crate) enum Stdin {
    /// No input.
    Null,
    /// These bytes, from a file.
    Bytes(Vec<u8>),
    /// These lines, typed one by one on a terminal, and then ^D. Standard output and standard error are the terminal
    /// too.
    Typed(Vec<u8>),
}

/// A program to run.
pub(crate) struct Program {
    command: Command,
    stdin: Stdin,
    limit: Duration,
}

/// The result of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finished {
    /// `0`…, `signal N`, or `time limit`.
    pub(crate) exit: String,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Program {
    pub(crate) fn new(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(name);
        command.args(arguments).process_group(0);
        Self { command, stdin: Stdin::Null, limit: TIMEOUT }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.command.current_dir(dir.into());
        self
    }

    pub(crate) fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs the program to its end.
    pub(crate) fn run(self) -> Result<Finished> {
        match &self.stdin {
            Stdin::Null => self.run_with(Stdio::null(), |_| Ok(())),
            Stdin::Bytes(bytes) => {
                let file = filled(bytes)?;
                self.run_with(file.into(), |_| Ok(()))
            }
            Stdin::Typed(text) => {
                let text = text.clone();
                self.at_terminal(&text)
            }
        }
    }

    /// Starts a program that listens until it is stopped. Runs `meanwhile` when it has started to listen, and sends
    /// SIGTERM when it has processed everything.
    pub(crate) fn run_while(self, meanwhile: impl FnOnce() -> Result<()>) -> Result<Finished> {
        let limit = self.limit;
        self.run_with(Stdio::null(), |child| {
            wait_until_asleep(child, limit)?;
            let done = meanwhile();
            wait_until_asleep(child, limit)?;
            // If the program has ended already, its exit status shows it.
            let _ = killpg(group(child)?, Signal::SIGTERM);
            done
        })
    }

    fn run_with(mut self, stdin: Stdio, meanwhile: impl FnOnce(&Child) -> Result<()>) -> Result<Finished> {
        let (mut stdout, mut stderr) = (scratch()?, scratch()?);
        self.command.stdin(stdin).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
        let mut child = self.spawn()?;
        let done = meanwhile(&child);
        let exit = wait(&mut child, self.limit)?;
        done?;
        Ok(Finished { exit, stdout: contents(&mut stdout)?, stderr: contents(&mut stderr)? })
    }

    fn at_terminal(mut self, text: &[u8]) -> Result<Finished> {
        let terminal = nix::pty::openpty(None, None).context("openpty")?;
        let slave = terminal.slave;
        // `unread` needs a descriptor of the slave side. It must be closed later, or the output would not end.
        let typed = slave.try_clone()?;
        self.command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave).env("TERM", "dumb");
        let mut child = self.spawn()?;
        // The command holds copies of the slave side; while they are open, reading the master side does not end.
        drop(self.command);
        let mut keyboard = File::from(terminal.master.try_clone()?);
        let screen = thread::spawn(move || read_screen(terminal.master));
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            keyboard.write_all(line)?;
            // A line must be answered before the next one is typed.
            wait_until(self.limit, || unread(&typed).is_ok_and(|left| left == 0) && is_asleep(&child), || Ok(()))?;
        }
        drop(typed);
        keyboard.write_all(&[4])?;
        let exit = wait(&mut child, self.limit)?;
        let stdout = screen.join().unwrap_or_default();
        Ok(Finished { exit, stdout, stderr: Vec::new() })
    }

    fn spawn(&mut self) -> Result<Child> {
        let name = self.command.get_program().to_string_lossy().into_owned();
        self.command.spawn().context(name)
    }
}

impl Finished {
    pub(crate) fn success(&self) -> bool {
        self.exit == "0"
    }

    /// Returns both streams as text, standard output first.
    pub(crate) fn text(&self) -> String {
        [&self.stdout, &self.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
    }
}

/// Waits until a program sleeps or has ended.
fn wait_until_asleep(child: &Child, limit: Duration) -> Result<()> {
    ensure!(wait_until(limit, || is_asleep(child), || Ok(()))?, "a program does not become idle");
    Ok(())
}

/// Returns whether a program sleeps or has ended. A program that sleeps has read every message sent to it, because the
/// lab has a single processor and the kernel delivers messages before a request returns.
fn is_asleep(child: &Child) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    // After the name, which may contain anything, the state is a single letter.
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    state.is_none_or(|state| matches!(state, "S" | "Z" | "X"))
}

fn read_screen(master: OwnedFd) -> Vec<u8> {
    let mut screen = Vec::new();
    // The end of a terminal's output on Linux is the error EIO.
    let _ = File::from(master).read_to_end(&mut screen);
    screen
}

fn wait(child: &mut Child, limit: Duration) -> Result<String> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(describe(status));
        }
        if start.elapsed() > limit {
            let _ = killpg(group(child)?, Signal::SIGKILL);
            child.wait()?;
            return Ok(format!("time limit of {} s", limit.as_secs()));
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

fn group(child: &Child) -> Result<Pid> {
    Ok(Pid::from_raw(i32::try_from(child.id())?))
}

/// Returns an exit status as text: `0`…, or `signal N`.
pub(super) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// Creates an unnamed file in memory, which unlike a pipe needs no reader.
fn scratch() -> Result<File> {
    Ok(nix::sys::memfd::memfd_create("lab", nix::sys::memfd::MFdFlags::MFD_CLOEXEC).context("memfd")?.into())
}

fn filled(bytes: &[u8]) -> Result<File> {
    let mut file = scratch()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn contents(file: &mut File) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}
