//! `cargo regress` and `cargo demo`: the project's checks, and the commands that run inside the lab for them.

mod backend_parity;
mod bench;
mod command;
mod compliance;
mod demo;
mod failures;
mod host_lab;
mod ike;
mod interop;
mod lab;
mod parallel;
mod pki;
mod racoon;
mod readme;
mod renamed;
mod soak;
mod steps;
mod summary;
mod tools;
mod tree;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::lab::LabKind;

const USAGE: &str = "\
usage: cargo regress [--full] [--fuzz-seconds N] [STEP ...]
       cargo regress cases [--backend NAME] [--filter WORD] [--bless] [--setkey PROGRAM] [FILE ...]
       cargo regress bench [--backend NAME,...] [--setkey PROGRAM] [COUNT ...]
       cargo regress bench racoon [COUNT]
       cargo regress bench ike [COUNT]
       cargo regress bench flood [OTHER-RACOON ...]
       cargo regress matrix [--racoon BACKEND] [ROW ... | scenarios]
       cargo regress scenarios SUITE BACKEND [WORD]
       cargo regress failures [--backend NAME] [WORD]
       cargo regress lab [--lab host|uml|auto] [--share DIR] [--limit SECONDS] -- COMMAND ...
       cargo demo [-- [--lab host|uml|auto] [--backend NAME] [--programs FOLDER]]
steps:
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("regress: {}", lab::without_number(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<ExitCode> {
    let Some((&first, rest)) = arguments.split_first() else { return steps::run(&[]).map(exit_code) };
    match renamed::current(first) {
        "in-lab" => in_lab(rest),
        "run-demo" => demo::run(rest),
        "lab" => lab(rest),
        "bench" => bench::run(rest),
        "matrix" => interop::run(rest).map(exit_code),
        "scenarios" => ike::run(rest).map(exit_code),
        // Without arguments it is also the name of a step, which does the same.
        "failures" => failures::run(rest).map(exit_code),
        "cases" => compliance::run(rest).map(exit_code),
        "help" | "--help" | "-h" => {
            print!("{USAGE}{}", steps::list());
            Ok(ExitCode::SUCCESS)
        }
        _ => steps::run(arguments).map(exit_code),
    }
}

fn exit_code(passed: bool) -> ExitCode {
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a command that this program gives itself inside the lab.
fn in_lab(arguments: &[&str]) -> Result<ExitCode> {
    match arguments {
        ["init", work, ..] => lab::init::run(Path::new(work))?,
        ["namespaces", work, parent] => lab::namespaces::make(Path::new(work), parent)?,
        ["watch", work] => lab::watcher::run(Path::new(work))?,
        ["probe"] => lab::probe_in_lab()?,
        ["first", work] => lab::namespaces::run(Path::new(work))?,
        ["bench", setkey, backends, counts @ ..] => {
            bench::comparison::run_in_lab(Path::new(setkey), backends, counts)?;
        }
        ["bench-ike", arguments @ ..] => bench::ike::run_in_lab(arguments)?,
        ["soak", setkey] => soak::run_in_lab(Path::new(setkey))?,
        ["demo", folder] => demo::run_in_lab(&demo::DemoPrograms::in_folder(Path::new(folder)))?,
        ["host-lab", folder] => host_lab::run_in_lab(folder)?,
        ["ike", arguments @ ..] => ike::run_in_lab(arguments)?,
        ["failures", arguments @ ..] => failures::run_in_lab(arguments)?,
        ["readme", programs] => readme::run_in_lab(programs)?,
        ["interop", arguments @ ..] => interop::run_in_lab(arguments)?,
        ["compliance", assignment] => compliance::runner::run_in_lab(Path::new(assignment))?,
        _ => bail!("no such command inside the lab: {arguments:?}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Boots the lab for one command.
fn lab(arguments: &[&str]) -> Result<ExitCode> {
    let (options, command) = arguments.split_at(arguments.iter().position(|&word| word == "--").unwrap_or(0));
    let Some((_, command)) = command.split_first().filter(|(_, command)| !command.is_empty()) else { bail!("{USAGE}") };
    let mut boot = lab::Boot::new(command.iter().map(|&word| word.to_owned()).collect());
    let mut kind = LabKind::Uml;
    for pair in options.chunks(2) {
        boot = match pair {
            ["--lab", name] => {
                kind = name.parse()?;
                boot
            }
            ["--share", dir] => boot.share(&Path::new(dir).canonicalize()?),
            ["--limit", seconds] => boot.limit(Duration::from_secs(seconds.parse()?)),
            _ => bail!("{USAGE}"),
        };
    }
    let status = kind.find(false)?.adapt(boot).run(&mut std::io::stdout())?;
    Ok(ExitCode::from(u8::try_from(status.0).unwrap_or(u8::MAX)))
}
