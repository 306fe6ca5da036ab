//! `cargo regress bench flood`: the cost of forged first messages, and their effect on honest peers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::responder::Responder;
use super::suite::SUITES;
use crate::command::HostCommand;
use crate::lab::Program;
use crate::{tools, tree};

/// Forged messages per second; 0 is the baseline.
const RATES: [u32; 3] = [0, 10_000, 30_000];

/// Duration of each run.
const SECONDS: u32 = 10;

/// Runs the benchmark. The arguments are other builds of racoon to compare with.
pub(in super::super) fn run(arguments: &[&str]) -> Result<ExitCode> {
    tools::packages(tools::BUILD)?;
    HostCommand::cargo("build --release --package racoon --package regress-handshakes").run()?;
    let programs = tree::program("racoon", "release");
    let others = arguments.iter().map(PathBuf::from);
    let suite = SUITES.iter().find(|suite| suite.name == "ecp256").context("a suite")?;
    let load = tree::program("regress-handshakes", "release");
    println!("load of this machine: {}", std::fs::read_to_string("/proc/loadavg")?.trim());
    println!(
        "forged first messages for {SECONDS} s, and honest handshakes meanwhile; the daemon is stopped for a tenth of each"
    );
    println!("second, as if a request to the kernel took long:");
    println!(
        "{:>8}  {:>9}  {:>16}  {:>10}  {:>6}  {:>8}  {:>10}  {:>5}  program",
        "rate", "forged", "dropped", "handshakes", "failed", "repeated", "longest ms", "cpu %"
    );
    for program in others.chain([programs]) {
        for rate in RATES {
            let responder = Responder::start_program(&program, suite, Path::new("/"))?;
            let (id, target) = (responder.id().to_string(), format!("127.0.0.1:{}", responder.port()));
            let arguments = ["flood", &id, &target, &rate.to_string(), &SECONDS.to_string(), suite.name];
            let done = Program::new(&load.to_string_lossy(), &arguments).limit(Duration::from_secs(300)).run()?;
            ensure!(done.success(), "{}\n{}", done.text(), responder.log());
            println!("{}", row(rate, &done.text())? + &program.display().to_string());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(rate: u32, figures: &str) -> Result<String> {
    let [sent, dropped, up, failed, repeated, longest, spent] =
        figures.split_ascii_whitespace().collect::<Vec<_>>()[..]
    else {
        bail!("not seven figures: {figures}");
    };
    let (all, lost): (f64, f64) = (sent.parse()?, dropped.parse()?);
    let share = format!("{dropped} ({:.1} %)", 100.0 * lost / all.max(1.0));
    let processor = 100.0 * spent.parse::<f64>()? / f64::from(SECONDS);
    Ok(format!(
        "{rate:8}  {sent:>9}  {share:>16}  {up:>10}  {failed:>6}  {repeated:>8}  {longest:>10}  {processor:5.0}  "
    ))
}
