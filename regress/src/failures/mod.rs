//! `cargo regress failures`: negotiations that are made to fail, and what both logs say about each.
//!
//! A [`Failure`] changes one thing in two configurations that would otherwise agree, or in the network or kernel
//! between them. A packet from Alice then triggers a negotiation. Both logs are searched as an operator would: does a
//! line name the cause, how many seconds later, and only once? Other failures are configurations with which the daemon
//! does not start.

mod causes;
mod certificates;
mod failure;
mod modes;
mod negotiation;
mod network;
mod phase1;
mod phase2;
mod start;
mod verdict;

use std::io::{Write as _, stdout};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::command::HostCommand;
use crate::lab::Boot;
use crate::racoon::Programs;
use crate::summary::{FAILURE, Summary, with_retry};
use crate::{interop, tools, tree};
use failure::{Failure, FailureKind};
use verdict::Verdict;

/// All failures, by location of the fault.
const ALL: &[&[Failure]] =
    &[phase1::FAILURES, modes::FAILURES, certificates::FAILURES, phase2::FAILURES, network::FAILURES, start::FAILURES];

/// Number of failures provoked at a time. They mostly wait, and each has hosts and a link of its own.
const CONCURRENT: usize = 8;

/// Runs `cargo regress failures`: all failures, or those whose causes contain a word.
pub(crate) fn run(arguments: &[&str]) -> Result<bool> {
    let (backend, word) = match arguments {
        [] => ("xfrm", ""),
        ["--backend", backend] => (*backend, ""),
        ["--backend", backend, word] => (*backend, *word),
        [word] if !word.starts_with('-') => ("xfrm", *word),
        _ => bail!("usage: cargo regress failures [--backend pfkey|xfrm] [WORD]"),
    };
    tools::packages(tools::LAB)?;
    HostCommand::cargo("build --quiet --package racoon --package setkey").run()?;
    let summary = check(backend, word)?;
    summary.print_remarks();
    // The last line, where a parallel run of the steps expects it.
    println!("{summary}");
    Ok(summary.failed == 0)
}

/// Boots the lab for the failures whose causes contain `word`.
pub(crate) fn check(backend: &str, word: &str) -> Result<Summary> {
    let [racoon, setkey] = ["racoon", "setkey"].map(|name| tree::program(name, "debug").display().to_string());
    tools::packages(interop::PROGRAMS)?;
    let boot = Boot::regress(&["failures", &racoon, &setkey, backend, word])?
        .limit(Duration::from_secs(1200))
        .for_backend(backend);
    boot.run_summarized()
}

/// Runs inside the lab.
pub(crate) fn run_in_lab(arguments: &[&str]) -> Result<()> {
    let [racoon, setkey, backend, word] = arguments else { bail!("unexpected arguments: {arguments:?}") };
    let programs = Programs { racoon: racoon.into(), setkey: setkey.into(), backend: (*backend).to_owned() };
    certificates::make()?;
    let failures = ALL.iter().copied().flatten().filter(|failure| failure.cause.contains(word)).enumerate();
    let waiting = Mutex::new(failures);
    let total = Mutex::new((Summary::default(), Vec::new()));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..CONCURRENT {
            scope.spawn(|| {
                while let Some((number, failure)) = next() {
                    let result = provoke(&programs, failure, number);
                    // The lock also keeps the lines of a failure together.
                    let (total, lines) = &mut *total.lock().unwrap_or_else(PoisonError::into_inner);
                    let _ = stdout().write_all(result.text.as_bytes());
                    *total += result.summary;
                    lines.extend(result.lines);
                }
            });
        }
    });
    let (mut total, lines) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    if total == Summary::default() {
        bail!("no cause contains {word:?}");
    }
    // The table names lines of all failures.
    if word.is_empty() {
        println!("README.md's table of causes");
        total += causes::check(&lines).map_or_else(|error| Summary::failed_with(&error), |()| Summary::PASSED);
    }
    println!("{total}");
    Ok(())
}

/// The result of a failure.
#[derive(Default)]
struct FailureResult {
    /// Its part of the printed table.
    text: String,
    summary: Summary,
    /// All lines of both logs.
    lines: Vec<String>,
}

/// Provokes a failure, and once more if the logs are not as expected.
fn provoke(programs: &Programs, failure: &Failure, number: usize) -> FailureResult {
    let mut result = FailureResult::default();
    let done = with_retry(failure.cause, || {
        let verdicts = match failure.kind {
            FailureKind::Negotiation(setup, expected) => negotiation::negotiate(programs, number, setup, expected)?,
            FailureKind::Start(setup, words) => vec![negotiation::start(programs, number, setup, words)?],
        };
        result.text = format!("{}\n", failure.cause);
        verdicts.iter().for_each(|verdict| result.text += &verdict.to_string());
        result.lines = verdicts.iter().flat_map(Verdict::texts).cloned().collect();
        let passed = verdicts.iter().filter(|verdict| verdict.is_good()).count();
        result.summary = Summary { passed, failed: verdicts.len() - passed, ..Summary::default() };
        if result.summary.failed > 0 {
            bail!("{}", verdicts.iter().flat_map(Verdict::problem).collect::<Vec<_>>().join("; "));
        }
        Ok(())
    });
    if let Err(error) = done {
        result.text += &format!("{FAILURE}{}: {error:#}\n", failure.cause);
        if result.summary.failed == 0 {
            // The failure could not be provoked, so nothing was counted.
            result.summary = Summary::FAILED;
        }
    }
    result
}
