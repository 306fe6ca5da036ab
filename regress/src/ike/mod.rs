//! racoon with itself on a real kernel: two hosts, whose kernels trigger negotiations.

mod authorization;
mod certificates;
mod esn;
mod generate_policy;
mod loss;
mod mismatch;
mod negotiation;
mod recovery;
mod rekey;
mod setkey_replace;
mod testbed;

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::command::HostCommand;
use crate::lab::Boot;
use crate::racoon::Programs;
use crate::summary::{FAILURE, Summary, with_retry};
use crate::{tools, tree};

/// A scenario with its name. Each creates its own hosts.
type Scenario = (&'static str, fn(&Environment<'_>) -> Result<()>);

/// What a scenario needs to create hosts.
struct Environment<'a> {
    programs: &'a Programs,
    /// Distinguishes the hosts of scenarios that run at the same time.
    lane: usize,
}

/// Number of scenarios that run at a time. They mostly wait for lifetimes and timeouts; more of them would delay each other's
/// packets.
const CONCURRENT: usize = 3;

/// The suites by name.
const SUITES: [(&str, &[&[Scenario]]); 2] = [
    (
        "ike",
        // The longest scenarios come first, so that none of them runs alone at the end.
        &[
            rekey::SCENARIOS,
            generate_policy::SCENARIOS,
            recovery::SCENARIOS,
            negotiation::SCENARIOS,
            certificates::SCENARIOS,
            mismatch::SCENARIOS,
            authorization::SCENARIOS,
            esn::SCENARIOS,
            setkey_replace::SCENARIOS,
        ],
    ),
    ("loss", &[loss::SCENARIOS]),
];

/// Prefixes of the result line of a scenario that passed, and of one that failed.
const MARKS: [&str; 2] = ["passed: ", FAILURE];

/// Runs `cargo regress scenarios`: a suite, or those of its scenarios whose names contain a word.
pub(crate) fn run(arguments: &[&str]) -> Result<bool> {
    let (suite, backend, filter) = match arguments {
        [suite, backend] => (suite, backend, ""),
        [suite, backend, filter] => (suite, backend, *filter),
        _ => bail!("usage: cargo regress scenarios ike|loss pfkey|xfrm [WORD]"),
    };
    tools::packages(tools::LAB)?;
    HostCommand::cargo("build --quiet --package racoon --package setkey").run()?;
    let summary = check(suite, backend, filter)?;
    summary.print_remarks();
    Ok(summary.failed == 0)
}

/// Boots the lab for a suite, or for those of its scenarios whose names contain `filter`.
pub(crate) fn check(suite: &str, backend: &str, filter: &str) -> Result<Summary> {
    let [racoon, setkey] = ["racoon", "setkey"].map(|name| tree::program(name, "debug").display().to_string());
    let boot = Boot::regress(&["ike", &racoon, &setkey, backend, suite, filter])?
        .env("LIBPFKEY_BACKEND", backend)
        .limit(Duration::from_secs(3600))
        .for_backend(backend);
    let (status, output) = boot.run_captured()?;
    status.check()?;
    // The exit status only says whether the lab worked; the scenarios have result lines.
    let [passed, failed] = MARKS.map(|mark| output.lines().filter(|line| line.starts_with(mark)).count());
    ensure!(passed + failed > 0, "no scenario matches");
    Ok(Summary { passed, failed, ..Summary::default() }.with_remarks_in(&output))
}

/// Runs inside the lab.
pub(crate) fn run_in_lab(arguments: &[&str]) -> Result<()> {
    let [racoon, setkey, backend, suite, filter] = arguments else { bail!("unexpected arguments: {arguments:?}") };
    let programs = Programs { racoon: racoon.into(), setkey: setkey.into(), backend: (*backend).to_owned() };
    let scenarios =
        SUITES.iter().filter(|(name, _)| name == suite).flat_map(|(_, lists)| lists.iter().copied().flatten());
    let waiting = Mutex::new(scenarios.filter(|(name, _)| name.contains(filter)));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    thread::scope(|scope| {
        for lane in 0..CONCURRENT {
            let env = Environment { programs: &programs, lane };
            scope.spawn(move || {
                while let Some((name, scenario)) = next() {
                    env.run(name, *scenario);
                }
            });
        }
    });
    Ok(())
}

impl Environment<'_> {
    /// Runs a scenario and prints its result.
    fn run(&self, name: &str, scenario: fn(&Environment<'_>) -> Result<()>) {
        let start = Instant::now();
        let result = with_retry(name, || scenario(self).inspect_err(|_| self.print_logs(name)));
        let took = start.elapsed().as_secs_f64();
        match result {
            // An error ends one scenario, and the others still run.
            Ok(()) => println!("{}{name} ({took:.1} s)", MARKS[0]),
            Err(error) => println!("{}{name} ({took:.1} s): {error:#}", MARKS[1]),
        }
    }

    /// Returns the name of a host in this lane.
    fn host_name(&self, name: &str) -> String {
        format!("{name}{}", self.lane)
    }

    /// Prints the last lines of both logs.
    fn print_logs(&self, scenario: &str) {
        for host in ["alice", "bob"].map(|name| self.host_name(name)) {
            let Ok(log) = std::fs::read_to_string(format!("/run/{host}/racoon/log")) else { continue };
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.get(lines.len().saturating_sub(40)..).unwrap_or_default();
            // A single write, so that lines of other scenarios do not come between.
            println!("{scenario}: {host}'s log ends with:\n  {}", last.join("\n  "));
        }
    }
}
