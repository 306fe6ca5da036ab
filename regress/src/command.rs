//! Commands that run on this machine, outside the lab.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// A command that runs in the root of the workspace. It is printed before it runs, and an exit status other than 0 is an error.
pub(crate) struct HostCommand {
    command: Command,
    /// Variables added to its environment, in the form in which they are printed.
    settings: String,
    /// Whether a line of captured output is kept.
    keeps: fn(&str) -> bool,
}

/// The result of a command whose output was captured.
pub(crate) struct CommandResult {
    /// Standard output and standard error, in the order in which they were written.
    pub(crate) output: String,
    pub(crate) result: Result<()>,
    pub(crate) took: Duration,
}

impl HostCommand {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(super::tree::root()).stdin(Stdio::null());
        Self { command, settings: String::new(), keeps: |_| true }
    }

    /// Creates a command for the cargo that runs this program, or the one in `PATH`.
    pub(crate) fn cargo(arguments: &str) -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).split_args(arguments)
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments separated by blanks.
    pub(crate) fn split_args(mut self, arguments: &str) -> Self {
        self.command.args(arguments.split_ascii_whitespace());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.settings.push_str(&format!("{name}={} ", value.as_ref().to_string_lossy()));
        self.command.env(name, value);
        self
    }

    /// Drops lines of captured output for which `keeps` is false.
    pub(crate) fn keep_lines(mut self, keeps: fn(&str) -> bool) -> Self {
        self.keeps = keeps;
        self
    }

    /// Sets the working directory.
    pub(crate) fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Removes a variable that cargo sets for this program and that would change what a nested cargo does.
    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs the command with this program's standard output and error.
    pub(crate) fn run(mut self) -> Result<()> {
        self.print();
        let status = self.command.status().with_context(|| self.text())?;
        self.check(status)
    }

    /// Runs the command, prints each line of its output and errors, and passes it to `inspect`.
    pub(crate) fn run_lines(mut self, mut inspect: impl FnMut(&str)) -> Result<()> {
        self.print();
        let (mut child, reader) = self.spawn_piped()?;
        for line in BufReader::new(reader).split(b'\n') {
            let line = line?;
            // A test may print anything, which must not end the run.
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            inspect(&line);
        }
        let status = child.wait()?;
        self.check(status)
    }

    /// Runs the command and returns its standard output instead of printing it.
    pub(crate) fn output(mut self) -> Result<String> {
        self.print();
        let output = self.command.stderr(Stdio::inherit()).output().with_context(|| self.text())?;
        self.check(output.status)?;
        String::from_utf8(output.stdout).with_context(|| self.text())
    }

    /// Runs the command and returns all that it printed, after a line with the command itself.
    pub(crate) fn run_captured(self) -> CommandResult {
        let mut output = format!("$ {}\n", self.text());
        let start = Instant::now();
        let result = self.capture(&mut output);
        CommandResult { output, result, took: start.elapsed() }
    }

    fn capture(mut self, output: &mut String) -> Result<()> {
        let (mut child, mut reader) = self.spawn_piped()?;
        let mut bytes = Vec::new();
        let read = reader.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        output.extend(text.split_inclusive('\n').filter(|line| (self.keeps)(line)));
        let status = child.wait()?;
        // Only after the wait, so that no process is left behind.
        read?;
        self.check(status)
    }

    /// Starts the command with both output streams in one pipe.
    fn spawn_piped(&mut self) -> Result<(Child, io::PipeReader)> {
        let (reader, writer) = io::pipe()?;
        self.command.stdout(writer.try_clone()?).stderr(writer);
        let child = self.command.spawn().with_context(|| self.text());
        // `Command` keeps its copies of the write end, and with them the reader would never see the end.
        self.command.stdout(Stdio::null()).stderr(Stdio::null());
        Ok((child?, reader))
    }

    fn print(&self) {
        println!("$ {}", self.text());
    }

    /// Returns the command line as printed.
    fn text(&self) -> String {
        let program = Path::new(self.command.get_program());
        let program = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let arguments = self.command.get_args().map(|argument| argument.to_string_lossy().into_owned());
        let line: Vec<_> = std::iter::once(program).chain(arguments).collect();
        format!("{}{}", self.settings, line.join(" "))
    }

    fn check(&self, status: ExitStatus) -> Result<()> {
        if !status.success() {
            bail!("`{}` failed: {status}", self.text());
        }
        Ok(())
    }
}
