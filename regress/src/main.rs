//! `cargo regress`, `cargo demo`, and what runs in the lab for them.

mod bench;
mod beside;
mod compliance;
mod demo;
mod failures;
mod host_lab;
mod ike;
mod interop;
mod job;
mod lab;
mod racoon;
mod readme;
mod soak;
mod steps;
mod tally;
mod tools;
mod tree;
mod twins;

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
       cargo regress rows [--racoon BACKEND] [ROW ...]
       cargo regress scenes SUITE BACKEND [WORD]
       cargo regress failures [--backend NAME] [WORD]
       cargo regress lab [--lab host|uml|auto] [--share DIR] [--limit SECONDS] -- COMMAND ...
       cargo demo [-- [--lab host|uml|auto] [--backend NAME] [--programs FOLDER]]
steps:
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("regress: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<ExitCode> {
    match words {
        ["guest", rest @ ..] => guest(rest),
        ["story", rest @ ..] => demo::run(rest),
        ["lab", rest @ ..] => lab(rest),
        ["bench", rest @ ..] => bench::run(rest),
        ["rows", rest @ ..] => interop::run(rest).map(passed),
        ["scenes", rest @ ..] => ike::run(rest).map(passed),
        ["failures", rest @ ..] => failures::run(rest).map(passed),
        ["cases", rest @ ..] => compliance::run(rest).map(passed),
        ["help" | "--help" | "-h", ..] => {
            print!("{USAGE}{}", steps::list());
            Ok(ExitCode::SUCCESS)
        }
        steps => steps::run(steps).map(passed),
    }
}

fn passed(all: bool) -> ExitCode {
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What this program does inside the lab.
fn guest(words: &[&str]) -> Result<ExitCode> {
    match words {
        ["init", work, ..] => lab::init::run(Path::new(work))?,
        ["namespaces", work, parent] => lab::namespaces::make(Path::new(work), parent)?,
        ["watch", work] => lab::watcher::run(Path::new(work))?,
        ["probe"] => lab::serve_probe()?,
        ["first", work] => lab::namespaces::run(Path::new(work))?,
        ["bench", setkey, backends, counts @ ..] => bench::guest::race(Path::new(setkey), backends, counts)?,
        ["bench-ike", words @ ..] => bench::ike::serve(words)?,
        ["soak", setkey] => soak::soak(Path::new(setkey))?,
        ["demo", folder] => demo::play(&demo::Programs::of(Path::new(folder)))?,
        ["host-lab", folder] => host_lab::serve(folder)?,
        ["ike", words @ ..] => ike::serve(words)?,
        ["failures", words @ ..] => failures::serve(words)?,
        ["readme", programs] => readme::play(programs)?,
        ["interop", words @ ..] => interop::serve(words)?,
        ["compliance", job] => compliance::guest::serve(Path::new(job))?,
        _ => bail!("no such guest command: {words:?}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Boots the lab for one command.
fn lab(words: &[&str]) -> Result<ExitCode> {
    let (options, command) = words.split_at(words.iter().position(|&word| word == "--").unwrap_or(0));
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
