//! `cargo regress bench`: compares setkey with iproute2 in the lab, and times its parser on this machine.

pub(crate) mod comparison;
mod cost;
pub(crate) mod ike;
mod meter;
mod racoon;
mod scripts;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

pub(crate) use self::cost::Cost;
use self::meter::Meter;
use crate::command::HostCommand;
use crate::lab::Boot;
use crate::{tools, tree};

/// Default numbers of entries.
const COUNTS: &[&str] = &["1000", "10000", "50000"];

/// Numbers of statements for the parser: a few, and enough to show whether memory grows with them.
const CHECK_COUNTS: [usize; 2] = [1000, 500_000];

/// Runs the benchmark that the command line selects.
pub(crate) fn run(arguments: &[&str]) -> Result<ExitCode> {
    match arguments {
        ["racoon", rest @ ..] => return racoon::run(rest),
        ["ike", rest @ ..] => return ike::run(rest),
        ["flood", rest @ ..] => return ike::flood::run(rest),
        _ => {}
    }
    let (mut backend, mut setkey, mut counts) = ("pfkey,xfrm", None, Vec::new());
    let mut arguments = arguments.iter();
    while let Some(&argument) = arguments.next() {
        match argument {
            // Cargo passes this on.
            "--" => {}
            "--backend" => backend = arguments.next().context("--backend needs a name")?,
            "--setkey" => setkey = Some(PathBuf::from(arguments.next().context("--setkey needs a path")?)),
            count if count.parse::<usize>().is_ok() => counts.push(count),
            other => bail!("unexpected argument: {other}"),
        }
    }
    tools::packages(tools::LAB)?;
    let setkey = match setkey {
        Some(program) => program,
        None => {
            tools::packages(tools::BUILD)?;
            HostCommand::cargo("build --release --package setkey").run()?;
            tree::program("setkey", "release")
        }
    };
    let setkey = setkey.canonicalize().with_context(|| setkey.display().to_string())?;
    lab(&setkey, backend, if counts.is_empty() { COUNTS } else { &counts })?;
    parser(&setkey)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the comparison in the lab.
fn lab(setkey: &Path, backend: &str, counts: &[&str]) -> Result<()> {
    let program = setkey.to_str().context("the path of setkey is not text")?;
    let arguments: Vec<&str> = ["bench", program, backend].into_iter().chain(counts.iter().copied()).collect();
    let boot = Boot::regress(&arguments)?.limit(Duration::from_secs(3000)).for_backend(backend);
    println!("\nIn the lab, seconds: elapsed, in the program, in the kernel");
    let mut meter = Meter::default();
    let status = boot.run_watched(&mut |group, bytes| meter.watch(group, bytes))?;
    print!("\nProcessor time:\n{}", meter.ratios());
    status.check()
}

/// Writes a script in pieces: the peak memory of this process is inherited as that of the programs it starts.
fn write_statements(file: &Path, count: usize) -> Result<()> {
    let mut file = fs::File::create(file)?;
    for first in (1..=count).step_by(1000) {
        file.write_all(scripts::setkey_sas(first..=count.min(first + 999)).as_bytes())?;
    }
    Ok(())
}

/// Times `setkey --check` on this machine.
fn parser(setkey: &Path) -> Result<()> {
    println!("\nOn this machine, `setkey --check`:");
    println!(
        "{:>8}  {:>8}  {:>8}  {:>8}  {:>14}  {:>8}",
        "lines", "elapsed", "user", "system", "us/statement", "peak KiB"
    );
    let file = std::env::temp_dir().join(format!("bench.{}", std::process::id()));
    for count in CHECK_COUNTS {
        write_statements(&file, count)?;
        let cost = Cost::of(setkey, &["--check".as_ref(), file.as_os_str()]);
        fs::remove_file(&file)?;
        let cost = cost?;
        ensure!(cost.success, "setkey --check failed");
        let each = cost.processor().as_secs_f64() * 1e6 / f64::from(u32::try_from(count)?);
        let usage = cost.usage;
        println!(
            "{count:8}  {:8.3}  {:8.3}  {:8.3}  {each:14.2}  {:8}",
            cost.elapsed.as_secs_f64(),
            usage.user.as_secs_f64(),
            usage.system.as_secs_f64(),
            usage.peak
        );
    }
    Ok(())
}
