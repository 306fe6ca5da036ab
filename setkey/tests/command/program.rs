//! Runs setkey.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Status and output, to be compared at once.
    pub(crate) fn all(&self) -> (Option<i32>, &str, &str) {
        (self.code, &self.stdout, &self.stderr)
    }
}

/// setkey with arguments, in a clean environment.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_setkey"));
    command.args(arguments).env("TZ", "UTC").env("LC_ALL", "C");
    command.env_remove("LIBPFKEY_BACKEND").env_remove("LIBPFKEY_DIALECT");
    command
}

/// Runs setkey without input.
pub(crate) fn setkey(arguments: &[&str]) -> Ended {
    fed(arguments, b"")
}

/// Runs setkey with bytes on its standard input.
pub(crate) fn fed(arguments: &[&str], input: &[u8]) -> Ended {
    let mut command = command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may exit before it has read everything.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Runs a script against the in-process engine of a dialect.
pub(crate) fn script(dialect: &str, text: &str) -> Ended {
    fed(&["--backend", "memory", "--dialect", dialect, "-f", "-"], text.as_bytes())
}

/// A file that is removed after the test.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    _directory: TempDir,
}

impl Scratch {
    /// An unused path, short enough for sockets.
    pub(crate) fn path() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { path: directory.path().join("file"), _directory: directory }
    }

    pub(crate) fn file(bytes: impl AsRef<[u8]>) -> Self {
        let scratch = Self::path();
        std::fs::write(&scratch.path, bytes).unwrap();
        scratch
    }

    pub(crate) fn as_path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn as_str(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

/// Masks the parts of output that differ between runs: times and process ids.
pub(crate) fn masked(text: &str) -> String {
    let mask = |line: &str| {
        for varies in ["\tcreated: ", "\tdiff: ", "\tlast: "] {
            if line.starts_with(varies) {
                return varies.trim_end().to_owned();
            }
        }
        match line.split_once(" pid=") {
            None => line.to_owned(),
            Some((before, behind)) => {
                format!("{before} pid=PID{}", behind.trim_start_matches(|digit: char| digit.is_ascii_digit()))
            }
        }
    };
    text.lines().map(|line| mask(line) + "\n").collect()
}
