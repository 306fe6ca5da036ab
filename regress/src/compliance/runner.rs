//! Runs cases inside the lab, each in a network namespace of its own, and records the results.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, anyhow};
use nix::sched::{CloneFlags, unshare};

use super::assignment::Assignment;
use super::case::{Case, CaseFile};
use super::mask;
use super::report::Outcome;
use super::view::View;
use crate::lab::{Finished, Program, Stdin, lo_up, socket_policies, write_secret};

/// Runs the cases of an assignment, and appends a line for each to its report.
pub(crate) fn run_in_lab(assignment: &Path) -> Result<()> {
    let assignment = Assignment::load(assignment)?;
    let mut report = File::options().append(true).open(&assignment.report)?;
    let files = assignment.files.iter().map(|path| CaseFile::load(path)).collect::<Result<Vec<_>>>()?;
    for (path, case) in assignment.cases(&files) {
        let run = CaseRun { setkey: &assignment.setkey, backend: &assignment.selection.backend, case };
        let seen = run.run_in_namespace().map_err(|error| format!("{error:#}"));
        let line = Outcome { file: path.to_owned(), case: case.name.clone(), seen }.line()?;
        // At once, so that a case that breaks the kernel costs only its own result.
        report.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// A run of one case.
struct CaseRun<'a> {
    setkey: &'a Path,
    backend: &'a str,
    case: &'a Case,
}

/// The working directory of a case.
const CASE_DIR: &str = "/run/case";

impl CaseRun<'_> {
    /// Runs the case in a thread with a network namespace of its own.
    fn run_in_namespace(&self) -> Result<Vec<(View, Vec<u8>)>> {
        let work = || {
            // A new namespace has no SAs and policies, and takes those of the case along when its thread ends.
            unshare(CloneFlags::CLONE_NEWNET).context("unshare")?;
            lo_up().context("lo")?;
            self.run()
        };
        thread::scope(|scope| scope.spawn(work).join()).map_err(|_| anyhow!("the case's thread failed"))?
    }

    fn run(&self) -> Result<Vec<(View, Vec<u8>)>> {
        self.write_files().context("the case's files")?;
        if self.case.input("setup").is_some() {
            let done = self.setkey(&["-f", "setup"]).run()?;
            anyhow::ensure!(done.success() && done.stderr.is_empty(), "setup failed: {}", done.text());
        }
        // The socket stays open until all results are recorded.
        let _policies = match self.case.header("sockets") {
            Some(_) => Some(socket_policies().context("per-socket policies")?),
            None => None,
        };
        if let Some(line) = self.case.header("before") {
            self.shell(line)?;
        }
        let finished = self.run_setkey()?;
        // Only what the case expects: each dump costs the start of a program.
        let views = View::ALL.into_iter().filter(|&view| self.case.expected(view, self.backend).is_some());
        views.map(|view| Ok((view, mask::mask(&self.read_view(view, &finished)?)))).collect()
    }

    fn write_files(&self) -> Result<()> {
        let _ = fs::remove_dir_all(CASE_DIR);
        fs::create_dir(CASE_DIR)?;
        for (name, body) in self.case.files() {
            write_secret(&Path::new(CASE_DIR).join(name), body)?;
        }
        Ok(())
    }

    fn run_setkey(&self) -> Result<Finished> {
        let arguments = self.case.arguments();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let stdin = match (self.case.input("stdin"), self.case.header("stdin")) {
            (Some(text), Some("terminal")) => Stdin::Typed(text.to_owned()),
            (Some(text), _) => Stdin::Bytes(text.to_owned()),
            (None, _) => Stdin::Null,
        };
        let program = self.setkey(&arguments).stdin(stdin);
        match self.case.header("during") {
            Some(line) => program.run_while(|| self.shell(line)),
            None => program.run(),
        }
    }

    fn read_view(&self, view: View, finished: &Finished) -> Result<Vec<u8>> {
        Ok(match view {
            View::Exit => format!("{}\n", finished.exit).into_bytes(),
            View::Stdout => finished.stdout.clone(),
            View::Stderr => finished.stderr.clone(),
            View::Sad => self.setkey(&["-D"]).run()?.text().into_bytes(),
            View::Spd => self.setkey(&["-DP"]).run()?.text().into_bytes(),
            View::State => self.program("ip", &["xfrm", "state"]).run()?.text().into_bytes(),
            View::Policy => self.program("ip", &["xfrm", "policy"]).run()?.text().into_bytes(),
        })
    }

    /// Runs a `before` or `during` line, in which `setkey` is the program under test.
    fn shell(&self, line: &str) -> Result<()> {
        let done = self.program("/bin/sh", &["-c", line]).run()?;
        anyhow::ensure!(done.success(), "`{line}` ended with {}: {}", done.exit, done.text());
        Ok(())
    }

    fn setkey(&self, arguments: &[&str]) -> Program {
        self.program(&self.setkey.to_string_lossy(), arguments)
    }

    fn program(&self, name: &str, arguments: &[&str]) -> Program {
        let dir = self.setkey.parent().unwrap_or(Path::new("/")).display();
        let path = format!("{dir}:{}", std::env::var("PATH").unwrap_or_default());
        Program::new(name, arguments).dir(CASE_DIR).env("PATH", &path).env("LIBPFKEY_BACKEND", self.backend)
    }
}
