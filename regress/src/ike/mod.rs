//! racoon against itself on a real kernel: two hosts, their kernels' acquires, and all that can happen on the way.

mod authorization;
mod endings;
mod generated;
mod loss;
mod mismatch;
mod paths;
mod renewal;
mod replaced;
mod scene;
mod sequence;

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::job::Job;
use crate::lab::Boot;
use crate::racoon::Ours;
use crate::tally::{FAILURE, Tally, twice};
use crate::{tools, tree};

/// A scene with a name. Each makes its own hosts.
type Play = (&'static str, fn(&Ours) -> Result<()>);

/// The suites, by name.
const SUITES: [(&str, &[&[Play]]); 2] = [
    (
        "ike",
        &[
            paths::PLAYS,
            mismatch::PLAYS,
            endings::PLAYS,
            renewal::PLAYS,
            generated::PLAYS,
            authorization::PLAYS,
            sequence::PLAYS,
            replaced::PLAYS,
        ],
    ),
    ("loss", &[loss::PLAYS]),
];

/// What begins the line of a scene that went well, and of one that did not.
const MARKS: [&str; 2] = ["passed: ", FAILURE];

/// `cargo regress scenes`: a suite, or the scenes of it that have a word in their names.
pub(crate) fn run(words: &[&str]) -> Result<bool> {
    let (suite, backend, filter) = match words {
        [suite, backend] => (suite, backend, ""),
        [suite, backend, filter] => (suite, backend, *filter),
        _ => bail!("usage: cargo regress scenes ike|loss pfkey|xfrm [WORD]"),
    };
    tools::packages(tools::LAB)?;
    Job::cargo("build --quiet --package racoon --package setkey").run()?;
    let tally = check(suite, backend, filter)?;
    tally.print_remarks();
    Ok(tally.failed == 0)
}

/// Boots the lab for a suite, or for those of its scenes whose names contain `filter`.
pub(crate) fn check(suite: &str, backend: &str, filter: &str) -> Result<Tally> {
    let [racoon, setkey] = ["racoon", "setkey"].map(|name| tree::program(name, "debug").display().to_string());
    let boot = Boot::agent(&["ike", &racoon, &setkey, backend, suite, filter])?
        .env("LIBPFKEY_BACKEND", backend)
        .limit(Duration::from_secs(3600))
        .for_backend(backend);
    let (status, said) = boot.run_heard()?;
    status.check()?;
    let [passed, failed] = MARKS.map(|mark| said.lines().filter(|line| line.starts_with(mark)).count());
    ensure!(passed + failed > 0, "no scene was played");
    Ok(Tally { passed, failed, ..Tally::default() }.with_remarks_in(&said))
}

/// In the guest.
pub(crate) fn serve(words: &[&str]) -> Result<()> {
    let [racoon, setkey, backend, suite, filter] = words else { bail!("no such play: {words:?}") };
    let ours = Ours { racoon: racoon.into(), setkey: setkey.into(), backend: (*backend).to_owned() };
    let plays = SUITES.iter().filter(|(name, _)| name == suite).flat_map(|(_, lists)| lists.iter().copied().flatten());
    for (name, play) in plays.filter(|(name, _)| name.contains(filter)) {
        let start = Instant::now();
        let result = twice(name, || play(&ours).inspect_err(|_| show_logs()));
        let took = start.elapsed().as_secs_f64();
        match result {
            Ok(()) => println!("{}{name} ({took:.1} s)", MARKS[0]),
            Err(error) => println!("{}{name} ({took:.1} s): {error:#}", MARKS[1]),
        }
    }
    Ok(())
}

/// The last lines that both daemons wrote.
fn show_logs() {
    for host in ["alice", "bob"] {
        let Ok(log) = std::fs::read_to_string(format!("/run/{host}/racoon/log")) else { continue };
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(40)..).unwrap_or_default();
        println!("{host}'s log ends with:\n  {}", last.join("\n  "));
    }
}
