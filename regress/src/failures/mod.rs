//! Negotiations that are made to fail, and what both logs say about each: `cargo regress failures`.
//!
//! A [`Row`] changes one thing in two configurations that would agree, or in the network or the kernel between them. A packet of
//! Alice's then asks for SAs. Both logs are read as an operator reads them: is the cause there, in which line, after how many
//! seconds, and is it told once? Other rows are configurations with which the daemon does not start.

mod causes;
mod judge;
mod network;
mod phase1;
mod phase2;
mod play;
mod row;
mod start;

use std::io::{Write as _, stdout};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::job::Job;
use crate::lab::Boot;
use crate::racoon::Ours;
use crate::tally::{FAILURE, Tally, twice};
use crate::{interop, tools, tree};
use judge::Verdict;
use row::{Row, Scenario};

/// All rows, by where the fault is.
const TABLES: &[&[Row]] = &[phase1::ROWS, phase2::ROWS, network::ROWS, start::ROWS];

/// How many rows are played at a time: they mostly wait, and each has hosts and a wire of its own.
const LANES: usize = 8;

/// `cargo regress failures`: all rows, or those whose causes contain a word.
pub(crate) fn run(words: &[&str]) -> Result<bool> {
    let (backend, word) = match words {
        [] => ("xfrm", ""),
        ["--backend", backend] => (*backend, ""),
        ["--backend", backend, word] => (*backend, *word),
        [word] if !word.starts_with('-') => ("xfrm", *word),
        _ => bail!("usage: cargo regress failures [--backend pfkey|xfrm] [WORD]"),
    };
    tools::packages(tools::LAB)?;
    Job::cargo("build --quiet --package racoon --package setkey").run()?;
    let tally = check(backend, word)?;
    tally.print_remarks();
    Ok(tally.failed == 0)
}

/// Boots the lab for the rows whose causes contain `word`.
pub(crate) fn check(backend: &str, word: &str) -> Result<Tally> {
    let [racoon, setkey] = ["racoon", "setkey"].map(|name| tree::program(name, "debug").display().to_string());
    tools::packages(interop::PROGRAMS)?;
    let boot = Boot::agent(&["failures", &racoon, &setkey, backend, word])?
        .limit(Duration::from_secs(1200))
        .for_backend(backend);
    boot.run_counted()
}

/// In the guest.
pub(crate) fn serve(words: &[&str]) -> Result<()> {
    let [racoon, setkey, backend, word] = words else { bail!("no such rows: {words:?}") };
    let ours = Ours { racoon: racoon.into(), setkey: setkey.into(), backend: (*backend).to_owned() };
    let rows = TABLES.iter().copied().flatten().filter(|row| row.cause.contains(word)).enumerate();
    let waiting = Mutex::new(rows);
    let total = Mutex::new((Tally::default(), Vec::new()));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                while let Some((number, row)) = next() {
                    let played = play(&ours, row, number);
                    // The lock also keeps the rows' lines apart.
                    let (total, lines) = &mut *total.lock().unwrap_or_else(PoisonError::into_inner);
                    let _ = stdout().write_all(played.text.as_bytes());
                    *total += played.tally;
                    lines.extend(played.lines);
                }
            });
        }
    });
    let (mut total, lines) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    if total == Tally::default() {
        bail!("no cause contains {word:?}");
    }
    if word.is_empty() {
        println!("README.md's table of causes");
        total += causes::check(&lines).map_or_else(|error| Tally::failed_with(&error), |()| Tally::PASSED);
    }
    println!("{total}");
    Ok(())
}

/// What came of a row.
#[derive(Default)]
struct Played {
    /// Its part of the table.
    text: String,
    tally: Tally,
    /// All lines of both logs.
    lines: Vec<String>,
}

/// Plays a row, again if it fails.
fn play(ours: &Ours, row: &Row, number: usize) -> Played {
    let mut played = Played::default();
    let done = twice(row.cause, || {
        let verdicts = match row.scenario {
            Scenario::Negotiation(setup, expected) => play::negotiate(ours, number, setup, expected)?,
            Scenario::Start(setup, words) => vec![play::start(ours, number, setup, words)?],
        };
        played.text = format!("{}\n", row.cause);
        verdicts.iter().for_each(|verdict| played.text += &verdict.to_string());
        played.lines = verdicts.iter().flat_map(Verdict::texts).cloned().collect();
        let passed = verdicts.iter().filter(|verdict| verdict.is_good()).count();
        played.tally = Tally { passed, failed: verdicts.len() - passed, ..Tally::default() };
        if played.tally.failed > 0 {
            bail!("{}", verdicts.iter().flat_map(Verdict::problem).collect::<Vec<_>>().join("; "));
        }
        Ok(())
    });
    if let Err(error) = done {
        played.text += &format!("{FAILURE}{}: {error:#}\n", row.cause);
        if played.tally.failed == 0 {
            // It could not be played.
            played.tally = Tally::FAILED;
        }
    }
    played
}
