//! Running a command on the host: shown before it runs, an error when it fails.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A command to be run in the workspace's root.
pub(crate) struct Job {
    command: Command,
    settings: String,
    /// Whether a line of its output is worth keeping when it is captured.
    keeps: fn(&str) -> bool,
}

/// How a job that printed to us came out.
pub(crate) struct Done {
    /// What it printed.
    pub(crate) output: String,
    /// Whether it ran and succeeded.
    pub(crate) end: Result<()>,
    pub(crate) took: Duration,
}

impl Job {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(super::tree::root()).stdin(Stdio::null());
        Self { command, settings: String::new(), keeps: |_| true }
    }

    /// The cargo that runs us, or the one in `PATH`.
    pub(crate) fn cargo(words: &str) -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).words(words)
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments, split at blanks.
    pub(crate) fn words(mut self, words: &str) -> Self {
        self.command.args(words.split_ascii_whitespace());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.settings.push_str(&format!("{name}={} ", value.as_ref().to_string_lossy()));
        self.command.env(name, value);
        self
    }

    /// Drops the lines of its captured output that `keeps` refuses.
    pub(crate) fn keep_lines(mut self, keeps: fn(&str) -> bool) -> Self {
        self.keeps = keeps;
        self
    }

    /// Runs it in the folder `dir`.
    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Removes a variable that cargo sets for us and that would change what a nested cargo does.
    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs it, its output going where ours goes.
    pub(crate) fn run(mut self) -> Result<()> {
        self.show();
        let status = self.command.status().with_context(|| self.shown())?;
        self.judge(status)
    }

    /// Runs it and shows each line of its output and errors, and `look` too.
    pub(crate) fn run_lines(mut self, mut look: impl FnMut(&str)) -> Result<()> {
        self.show();
        let (reader, writer) = io::pipe()?;
        self.command.stdout(writer.try_clone()?).stderr(writer);
        let child = self.command.spawn().with_context(|| self.shown());
        // Our own copies of the pipe's end: with them it would never end.
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = child?;
        for line in BufReader::new(reader).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            look(&line);
        }
        let status = child.wait()?;
        self.judge(status)
    }

    /// Runs it and returns its standard output instead of showing it.
    pub(crate) fn output(mut self) -> Result<String> {
        self.show();
        let output = self.command.stderr(Stdio::inherit()).output().with_context(|| self.shown())?;
        self.judge(output.status)?;
        String::from_utf8(output.stdout).with_context(|| self.shown())
    }

    /// Runs it and returns all that it printed, in the order in which it came.
    pub(crate) fn captured(self) -> Done {
        let mut output = format!("$ {}\n", self.shown());
        let start = Instant::now();
        let end = self.capture(&mut output);
        Done { output, end, took: start.elapsed() }
    }

    fn capture(mut self, output: &mut String) -> Result<()> {
        let (mut reader, writer) = io::pipe()?;
        self.command.stdout(writer.try_clone()?).stderr(writer);
        let child = self.command.spawn().with_context(|| self.shown());
        // Our own copies of the pipe's end: with them it would never end.
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = child?;
        let mut bytes = Vec::new();
        let read = reader.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        output.extend(text.split_inclusive('\n').filter(|line| (self.keeps)(line)));
        let status = child.wait()?;
        read?;
        self.judge(status)
    }

    fn show(&self) {
        println!("$ {}", self.shown());
    }

    fn shown(&self) -> String {
        let program = Path::new(self.command.get_program());
        let program = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let words = self.command.get_args().map(|word| word.to_string_lossy().into_owned());
        let line: Vec<_> = std::iter::once(program).chain(words).collect();
        format!("{}{}", self.settings, line.join(" "))
    }

    fn judge(&self, status: ExitStatus) -> Result<()> {
        if !status.success() {
            bail!("`{}` failed: {status}", self.shown());
        }
        Ok(())
    }
}
