//! Compliance: what setkey does on a real kernel, compared with written expectations case by case.

mod assignment;
mod case;
mod diff;
mod escape;
mod mask;
mod report;
pub(crate) mod runner;
mod view;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::stdout;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};

use self::assignment::Assignment;
use self::case::{Case, CaseFile};
use self::report::Outcome;
use self::view::View;
use crate::lab::{Boot, Status};
use crate::summary::{FAILURE, Summary};
use crate::{tools, tree};

/// The cases to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Selection {
    backend: String,
    /// A part of the case's name.
    filter: String,
}

/// A run as requested on the command line.
struct Run {
    selection: Selection,
    bless: bool,
    setkey: PathBuf,
    files: Vec<PathBuf>,
}

/// Outcomes by file and case.
type Outcomes = HashMap<(PathBuf, String), Outcome>;

/// The backend that the plain expectations are for. For another backend, a section of its own overrides them.
const MAIN_BACKEND: &str = "pfkey";

impl Selection {
    fn takes(&self, case: &Case) -> bool {
        case.is_for(&self.backend) && case.name.contains(&self.filter)
    }
}

/// Runs all cases of the project on `backend`, as a step of `cargo regress`.
pub(crate) fn check(backend: &str) -> Result<Summary> {
    Run::new()?.with(&["--backend", backend])?.execute()
}

/// Runs `cargo regress cases`.
pub(crate) fn run(arguments: &[&str]) -> Result<bool> {
    tools::packages(tools::LAB)?;
    let summary = Run::new()?.with(arguments)?.execute()?;
    println!("{summary}");
    Ok(summary.failed == 0)
}

impl Run {
    fn new() -> Result<Self> {
        let files = tree::files(&tree::root().join("regress/compliance"), &[".case"])?;
        let selection = Selection { backend: MAIN_BACKEND.to_owned(), filter: String::new() };
        Ok(Self { selection, bless: false, setkey: tree::program("setkey", "debug"), files })
    }

    fn with(mut self, arguments: &[&str]) -> Result<Self> {
        let mut named = Vec::new();
        let mut arguments = arguments.iter();
        while let Some(&argument) = arguments.next() {
            let mut value = || arguments.next().copied().with_context(|| format!("{argument} needs a value"));
            match argument {
                // Cargo passes this on.
                "--" => {}
                "--backend" => value()?.clone_into(&mut self.selection.backend),
                "--filter" => value()?.clone_into(&mut self.selection.filter),
                "--setkey" => self.setkey = value()?.into(),
                "--bless" => self.bless = true,
                option if option.starts_with('-') => bail!("no option {option}"),
                file => named.push(Path::new(file).canonicalize().with_context(|| file.to_owned())?),
            }
        }
        if !named.is_empty() {
            self.files = named;
        }
        Ok(self)
    }

    fn execute(&self) -> Result<Summary> {
        let mut files = self.files.iter().map(|path| CaseFile::load(path)).collect::<Result<Vec<_>>>()?;
        let chosen = files.iter().flat_map(|file| &file.cases).filter(|case| self.selection.takes(case)).count();
        ensure!(chosen > 0, "no case matches");
        let start = Instant::now();
        let outcomes = self.boot()?;
        println!("{chosen} cases on {} took {:.1} s", self.selection.backend, start.elapsed().as_secs_f64());
        Ok(files.iter_mut().map(|file| self.compare(file, &outcomes)).collect::<Result<Vec<_>>>()?.into_iter().sum())
    }

    /// Boots a lab for each processor, each with its share of the cases.
    fn boot(&self) -> Result<Outcomes> {
        let work = std::env::temp_dir().join(format!("compliance.{}", std::process::id()));
        fs::create_dir(&work).with_context(|| work.display().to_string())?;
        let shares = thread::available_parallelism().map_or(1, usize::from);
        let parts = thread::scope(|scope| {
            let boots = (0..shares).map(|share| {
                scope.spawn({
                    let work = &work;
                    move || self.boot_share(work, share, shares)
                })
            });
            let boots: Vec<_> = boots.collect();
            boots.into_iter().map(|boot| boot.join().map_err(|_| anyhow!("a boot failed"))?).collect::<Result<Vec<_>>>()
        });
        // Removed first, so that an error of a boot leaves no files behind.
        fs::remove_dir_all(&work)?;
        let outcomes = parts?.into_iter().flatten();
        Ok(outcomes.map(|outcome| ((outcome.file.clone(), outcome.case.clone()), outcome)).collect())
    }

    fn boot_share(&self, work: &Path, share: usize, shares: usize) -> Result<Vec<Outcome>> {
        let report = work.join(format!("report.{share}"));
        File::create(&report)?;
        let setkey = self.setkey.canonicalize().with_context(|| self.setkey.display().to_string())?;
        let (selection, files) = (self.selection.clone(), self.files.clone());
        let assignment = work.join(format!("assignment.{share}"));
        Assignment { setkey, selection, files, share, shares, report: report.clone() }.save(&assignment)?;
        let assignment = assignment.to_str().context("the temporary folder's name is not text")?;
        let boot = Boot::regress(&["compliance", assignment])?.share(work).limit(Duration::from_secs(3600));
        let boot = boot.for_backend(&self.selection.backend);
        if let Err(error) = boot.run(&mut stdout()).and_then(Status::check) {
            // Cases that ran still get their diffs; the others fail without a result.
            println!("{error:#}");
        }
        fs::read_to_string(report)?.lines().map(Outcome::parse).collect()
    }

    /// Compares the results of a file's cases with the expectations, or makes them the expectations.
    fn compare(&self, file: &mut CaseFile, outcomes: &Outcomes) -> Result<Summary> {
        let mut summary = Summary::default();
        let name = file.path.strip_prefix(tree::root()).unwrap_or(&file.path).display().to_string();
        for case in file.cases.iter_mut().filter(|case| self.selection.takes(case)) {
            let outcome = outcomes.get(&(file.path.clone(), case.name.clone()));
            let differences = match outcome.map(|outcome| &outcome.seen) {
                None => "  no result\n".to_owned(),
                Some(Err(trouble)) => format!("  could not run: {trouble}\n"),
                Some(Ok(seen)) => {
                    if self.bless {
                        self.bless(case, seen);
                    }
                    self.differences(case, seen)
                }
            };
            if !differences.is_empty() {
                println!("{FAILURE}{name}: {}: expected (-) and got (+)\n{differences}", case.name);
            }
            summary += Summary::of(differences.is_empty());
        }
        if self.bless {
            fs::write(&file.path, file.text()).with_context(|| name)?;
        }
        Ok(summary)
    }

    fn bless(&self, case: &mut Case, seen: &[(View, Vec<u8>)]) {
        let backend = &self.selection.backend;
        for (view, bytes) in seen {
            case.bless(*view, backend, backend == MAIN_BACKEND, bytes);
        }
    }

    fn differences(&self, case: &Case, seen: &[(View, Vec<u8>)]) -> String {
        let mut text = String::new();
        for view in View::ALL {
            let Some(expected) = case.expected(view, &self.selection.backend) else { continue };
            // Expectations may contain unmasked values, for a reader of the file.
            let expected = mask::mask(expected);
            let got = seen.iter().find(|(seen, _)| *seen == view).map_or(&b""[..], |(_, bytes)| bytes);
            if got != expected {
                text.push_str(&format!("  {}:\n{}", view.title(), diff::diff(&expected, got)));
            }
        }
        text
    }
}
