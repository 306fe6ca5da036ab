//! racoon with itself on a real kernel: two hosts, whose kernels trigger negotiations.

mod authorization;
mod esn;
mod generate_policy;
mod loss;
mod mismatch;
mod negotiation;
mod recovery;
mod rekey;
mod setkey_replace;
mod testbed;

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::command::HostCommand;
use crate::lab::Boot;
use crate::racoon::Programs;
use crate::summary::{FAILURE, Summary, with_retry};
use crate::{tools, tree};

/// A scenario with its name. Each creates its own hosts.
type Scenario = (&'static str, fn(&Programs) -> Result<()>);

/// The suites by name.
const SUITES: [(&str, &[&[Scenario]]); 2] = [
    (
        "ike",
        &[
            negotiation::SCENARIOS,
            mismatch::SCENARIOS,
            recovery::SCENARIOS,
            rekey::SCENARIOS,
            generate_policy::SCENARIOS,
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
    for (name, scenario) in scenarios.filter(|(name, _)| name.contains(filter)) {
        let start = Instant::now();
        let result = with_retry(name, || scenario(&programs).inspect_err(|_| show_logs()));
        let took = start.elapsed().as_secs_f64();
        match result {
            // An error ends one scenario, and the others still run.
            Ok(()) => println!("{}{name} ({took:.1} s)", MARKS[0]),
            Err(error) => println!("{}{name} ({took:.1} s): {error:#}", MARKS[1]),
        }
    }
    Ok(())
}

/// Prints the last lines of both logs.
fn show_logs() {
    for host in ["alice", "bob"] {
        let Ok(log) = std::fs::read_to_string(format!("/run/{host}/racoon/log")) else { continue };
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(40)..).unwrap_or_default();
        println!("{host}'s log ends with:\n  {}", last.join("\n  "));
    }
}
