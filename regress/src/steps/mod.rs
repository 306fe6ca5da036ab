//! The steps of `cargo regress`, in the order in which a failure is most useful, and the summary printed at the end.

mod bsd;
mod fuzz;
mod headers;
mod manual;
mod rust;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::command::HostCommand;
use crate::summary::Summary;
pub(crate) use rust::test_results;

use crate::{
    backend_parity, compliance, demo, failures, host_lab, ike, interop, parallel, readme, renamed, soak, tools,
};

/// One kind of check.
struct Step {
    name: &'static str,
    about: &'static str,
    when: When,
    work: Work,
}

/// When a step runs if the command line names no steps.
#[derive(PartialEq, Eq)]
enum When {
    Always,
    /// Only without `--full`, which runs a superset of this step instead.
    Short,
    /// Only with `--full`.
    Full,
}

/// What a step does, and where.
enum Work {
    /// Runs on this machine, with all its processors.
    Host(fn(&Options) -> Result<Summary>),
    /// Runs in the lab. A lab has one processor and is idle most of the time, so two of these steps run at once.
    Lab(fn() -> Result<Summary>),
}

/// Options of the command line that steps need.
pub(crate) struct Options {
    /// Seconds of fuzzing for each target.
    fuzz_seconds: u32,
}

/// The outcome of a step.
struct StepResult {
    name: &'static str,
    summary: Summary,
    took: Duration,
}

const STEPS: &[Step] = &[
    Step::host("fmt", "formatting", When::Always, |_| rust::format()),
    Step::host("clippy", "lints", When::Always, |_| rust::clippy()),
    Step::host("deny", "licences, sources and bans of dependencies", When::Always, |_| rust::deny()),
    Step::host("test", "unit, property and documentation tests", When::Short, |_| rust::test()),
    Step::host("properties", "the same, with many more cases for each property", When::Full, |_| rust::properties()),
    Step::host("doc", "documentation builds without warnings", When::Always, |_| rust::doc()),
    Step::host("man", "manual pages", When::Always, |_| manual::check()),
    Step::host("headers", "numbers and layouts against the headers of four systems", When::Always, |_| headers::run()),
    Step::host("freebsd", "type check for FreeBSD", When::Always, |_| bsd::check("freebsd")),
    Step::host("netbsd", "type check for NetBSD", When::Always, |_| bsd::check("netbsd")),
    Step::lab("compliance", "setkey on a real kernel, PF_KEY", When::Always, || compliance::check("pfkey")),
    Step::lab("compliance-xfrm", "setkey on a real kernel, NETLINK_XFRM", When::Always, || compliance::check("xfrm")),
    Step::lab("kernel-interface", "racoon's kernel module over PF_KEY and NETLINK_XFRM", When::Always, || {
        backend_parity::check_kernel_interface()
    }),
    Step::lab("backend-parity", "PF_KEY and NETLINK_XFRM answer alike", When::Always, backend_parity::check),
    Step::lab("readme", "files and commands of README.md, in order", When::Always, readme::check),
    Step::lab("demo", "two hosts ping through ESP, PF_KEY", When::Always, || demo::check("pfkey")),
    Step::lab("demo-xfrm", "the demo on a kernel without PF_KEY", When::Always, || demo::check("xfrm")),
    Step::lab("demo-amx", "the demo as on a processor with AMX", When::Always, demo::check_like_amx),
    Step::lab("demo-host", "the demo in namespaces, as root and as a user", When::Always, host_lab::check),
    Step::lab("interop-peers", "strongSwan with libreswan, without racoon", When::Full, interop::check_sample),
    Step::lab("interop", "racoon with strongSwan and libreswan, NETLINK_XFRM", When::Full, || {
        interop::check("xfrm", &[])
    }),
    Step::lab("ike", "racoon with itself, PF_KEY", When::Full, || ike::check("ike", "pfkey", "")),
    Step::lab("ike-xfrm", "racoon with itself, NETLINK_XFRM", When::Full, || ike::check("ike", "xfrm", "")),
    Step::lab("failures", "what the logs say of failed negotiations", When::Full, || failures::check("xfrm", "")),
    Step::lab("loss", "racoon with itself over lossy links", When::Full, || ike::check("loss", "xfrm", "")),
    Step::lab("interop-pfkey", "a part of interop, PF_KEY", When::Full, || interop::check("pfkey", interop::SAMPLE)),
    Step::lab("soak", "memory of a long-running setkey", When::Full, || soak::check("pfkey")),
    Step::host("fuzz", "fuzzing of all parsers of untrusted bytes", When::Full, |options| {
        fuzz::run(options.fuzz_seconds)
    }),
];

/// Steps that a parallel run starts first, the longest first, so that none of them runs alone at the end.
const STARTED_FIRST: &[&str] = &["interop", "ike", "ike-xfrm"];

impl Step {
    const fn host(name: &'static str, about: &'static str, when: When, run: fn(&Options) -> Result<Summary>) -> Self {
        Self { name, about, when, work: Work::Host(run) }
    }

    const fn lab(name: &'static str, about: &'static str, when: When, check: fn() -> Result<Summary>) -> Self {
        Self { name, about, when, work: Work::Lab(check) }
    }

    fn in_lab(&self) -> bool {
        matches!(self.work, Work::Lab(_))
    }
}

/// Runs the steps that `arguments` name; without names the short ones, or with `--full` all of them.
pub(crate) fn run(arguments: &[&str]) -> Result<bool> {
    let (steps, options) = choose(arguments)?;
    let start = Instant::now();
    let mut results: Vec<StepResult> = Vec::new();
    // Consecutive steps of the lab run together; the others need the whole machine.
    for steps in steps.chunk_by(|one, next| one.in_lab() && next.in_lab()) {
        match steps {
            [step] => results.push(run_step(step, &options)),
            steps => results.extend(run_parallel(steps)?),
        }
    }
    println!("\n== summary ({:.0} s)", start.elapsed().as_secs_f64());
    for result in &results {
        println!("{:16} {:8.1} s  {}", result.name, result.took.as_secs_f64(), result.summary);
        result.summary.print_remarks();
    }
    let total: Summary = results.into_iter().map(|result| result.summary).sum();
    println!("{total}");
    Ok(total.failed == 0)
}

/// Lists the steps, a line each.
pub(crate) fn list() -> String {
    let line = |step: &Step| {
        let when = if step.when == When::Full { " (--full)" } else { "" };
        format!("  {:16} {}{when}\n", step.name, step.about)
    };
    STEPS.iter().map(line).collect()
}

fn choose(arguments: &[&str]) -> Result<(Vec<&'static Step>, Options)> {
    let mut options = Options { fuzz_seconds: 60 };
    let (mut full, mut names) = (false, Vec::new());
    let mut arguments = arguments.iter();
    while let Some(&argument) = arguments.next() {
        match renamed::current(argument) {
            "--full" => full = true,
            "--" => {}
            "--fuzz-seconds" => match arguments.next().map(|count| count.parse()) {
                Some(Ok(count)) => options.fuzz_seconds = count,
                _ => bail!("--fuzz-seconds needs a number"),
            },
            name if STEPS.iter().any(|step| step.name == name) => names.push(name),
            other => bail!("no step {other}; the steps are:\n{}", list()),
        }
    }
    let by_default = |step: &Step| step.when == When::Always || (step.when == When::Full) == full;
    let wanted = |step: &&Step| if names.is_empty() { by_default(step) } else { names.contains(&step.name) };
    Ok((STEPS.iter().filter(wanted).collect(), options))
}

fn run_step(step: &Step, options: &Options) -> StepResult {
    println!("\n== {}: {}", step.name, step.about);
    let start = Instant::now();
    let done = match step.work {
        Work::Host(run) => run(options),
        Work::Lab(check) => build_programs().and_then(|()| check()),
    };
    let summary = done.unwrap_or_else(|error| Summary::failed_with(&error));
    StepResult { name: step.name, summary, took: start.elapsed() }
}

/// Runs steps of the lab two at a time. Each is a process of its own whose last line is its summary.
fn run_parallel(steps: &[&'static Step]) -> Result<Vec<StepResult>> {
    build_programs()?;
    let steps = longest_first(steps);
    let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
    println!("\n== in parallel: {}", names.join(" "));
    // Not this program's own file: an earlier step may have rebuilt it.
    let command = |step: &&Step| HostCommand::cargo("run --quiet --package regress --").arg(step.name);
    let commands = steps.iter().map(command).collect();
    let summaries = parallel::run(commands, |done| {
        // A process that ended without a summary has failed, whatever its exit status.
        let summary = done.output.lines().last().and_then(|line| line.parse().ok()).unwrap_or(Summary::FAILED);
        (summary.with_remarks_in(&done.output), done.took)
    });
    let results = steps.iter().zip(summaries);
    let mut results: Vec<_> =
        results.map(|(step, (summary, took))| StepResult { name: step.name, summary, took }).collect();
    results.sort_by_key(|result| STEPS.iter().position(|step| step.name == result.name));
    Ok(results)
}

/// Moves the steps in [`STARTED_FIRST`] to the front.
fn longest_first(steps: &[&'static Step]) -> Vec<&'static Step> {
    let mut steps = steps.to_vec();
    let rank = |step: &Step| STARTED_FIRST.iter().position(|name| *name == step.name);
    steps.sort_by_key(|step| rank(step).unwrap_or(STARTED_FIRST.len()));
    steps
}

/// Builds the programs that the lab runs, and installs what it needs to boot.
fn build_programs() -> Result<()> {
    tools::packages(tools::BUILD)?;
    tools::packages(tools::LAB)?;
    HostCommand::cargo("build --quiet --package setkey --package racoon").run()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[&str]) -> Vec<&'static str> {
        choose(arguments).unwrap().0.iter().map(|step| step.name).collect()
    }

    #[test]
    fn the_longest_steps_start_first() {
        let steps: Vec<_> = STEPS.iter().filter(|step| step.in_lab()).collect();
        let names: Vec<_> = longest_first(&steps).iter().map(|step| step.name).collect();
        assert_eq!(names[..4], ["interop", "ike", "ike-xfrm", "compliance"]);
        assert_eq!(names.len(), steps.len());
    }

    #[test]
    fn full_includes_every_short_step_but_test() {
        let (short, full) = (names(&[]), names(&["--full"]));
        assert!(short.contains(&"test") && !short.contains(&"properties") && !short.contains(&"interop"));
        assert!(full.contains(&"properties") && !full.contains(&"test"));
        assert!(short.iter().all(|name| *name == "test" || full.contains(name)), "{short:?} {full:?}");
        assert_eq!(names(&["--full", "backend-parity", "fmt"]), ["fmt", "backend-parity"]);
        assert_eq!(names(&["twins", "door"]), ["kernel-interface", "backend-parity"], "former names");
        assert!(short.contains(&"readme") && full.contains(&"readme"));
    }
}
