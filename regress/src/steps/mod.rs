//! `cargo regress`: the checks, in the order in which they are worth failing, and their summary.

mod bsd;
mod fuzz;
mod headers;
mod manual;
mod rust;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::job::Job;
use crate::tally::Tally;
pub(crate) use rust::test_results;

use crate::{beside, compliance, demo, failures, host_lab, ike, interop, readme, soak, tools, twins};

/// One kind of check.
struct Step {
    name: &'static str,
    about: &'static str,
    when: When,
    work: Work,
}

/// When a step runs that is not asked for by its name.
#[derive(PartialEq, Eq)]
enum When {
    Always,
    /// Not with `--full`, which has a step that does all of it and more.
    Short,
    /// Only with `--full`.
    Full,
}

/// What a step does, and where.
enum Work {
    /// On the host, with every processor.
    Host(fn(&Options) -> Result<Tally>),
    /// In the lab, which has one processor and mostly waits: such steps run two at a time.
    Lab(fn() -> Result<Tally>),
}

/// What the command line asks of the steps.
pub(crate) struct Options {
    /// Seconds of fuzzing for each target.
    fuzz_seconds: u32,
}

/// What a step came to.
struct Row {
    name: &'static str,
    tally: Tally,
    took: Duration,
}

const STEPS: &[Step] = &[
    Step::host("fmt", "the code is formatted", When::Always, |_| rust::format()),
    Step::host("clippy", "no lint complains", When::Always, |_| rust::clippy()),
    Step::host("deny", "dependencies: licences, sources, bans", When::Always, |_| rust::deny()),
    Step::host("test", "unit, property and documentation tests", When::Short, |_| rust::test()),
    Step::host("properties", "the same, each property with many more cases", When::Full, |_| rust::properties()),
    Step::host("doc", "the documentation builds without a warning", When::Always, |_| rust::doc()),
    Step::host("man", "manual pages", When::Always, |_| manual::check()),
    Step::host("headers", "numbers and layouts against the headers of four systems", When::Always, |_| headers::run()),
    Step::host("freebsd", "type-check for FreeBSD", When::Always, |_| bsd::check("freebsd")),
    Step::host("netbsd", "type-check for NetBSD", When::Always, |_| bsd::check("netbsd")),
    Step::lab("compliance", "setkey on a real kernel, PF_KEY", When::Always, || compliance::check("pfkey")),
    Step::lab("compliance-xfrm", "the same, NETLINK_XFRM", When::Always, || compliance::check("xfrm")),
    Step::lab("door", "racoon at both of the kernel's doors", When::Always, twins::check_door),
    Step::lab("twins", "PF_KEY and NETLINK_XFRM say the same", When::Always, twins::check),
    Step::lab("readme", "README.md's files and commands, in order", When::Always, readme::check),
    Step::lab("demo", "two hosts speak ESP, PF_KEY", When::Always, || demo::check("pfkey")),
    Step::lab("demo-xfrm", "the same on a kernel without PF_KEY", When::Always, || demo::check("xfrm")),
    Step::lab("demo-amx", "the same as on a processor with AMX", When::Always, demo::check_like_amx),
    Step::lab("demo-host", "the same in namespaces of a kernel, as root and as a user", When::Always, host_lab::check),
    Step::lab("interop-peers", "strongSwan and libreswan among themselves", When::Full, interop::check_sample),
    Step::lab("interop", "racoon with strongSwan and libreswan, NETLINK_XFRM", When::Full, || {
        interop::check("xfrm", &[])
    }),
    Step::lab("ike", "racoon against itself, PF_KEY", When::Full, || ike::check("ike", "pfkey", "")),
    Step::lab("ike-xfrm", "the same, NETLINK_XFRM", When::Full, || ike::check("ike", "xfrm", "")),
    Step::lab("failures", "what the logs say of negotiations that fail", When::Full, || failures::check("xfrm", "")),
    Step::lab("loss", "racoon against itself over bad lines", When::Full, || ike::check("loss", "xfrm", "")),
    Step::lab("interop-pfkey", "some of interop, PF_KEY", When::Full, || interop::check("pfkey", interop::SAMPLE)),
    Step::lab("soak", "one setkey that works long", When::Full, || soak::check("pfkey")),
    Step::host("fuzz", "every parser of foreign bytes, fuzzed", When::Full, |options| fuzz::run(options.fuzz_seconds)),
];

impl Step {
    const fn host(name: &'static str, about: &'static str, when: When, run: fn(&Options) -> Result<Tally>) -> Self {
        Self { name, about, when, work: Work::Host(run) }
    }

    const fn lab(name: &'static str, about: &'static str, when: When, check: fn() -> Result<Tally>) -> Self {
        Self { name, about, when, work: Work::Lab(check) }
    }

    fn in_lab(&self) -> bool {
        matches!(self.work, Work::Lab(_))
    }
}

/// Runs the steps that `words` name, or all short ones, or (`--full`) all.
pub(crate) fn run(words: &[&str]) -> Result<bool> {
    let (steps, options) = choose(words)?;
    let start = Instant::now();
    let mut rows: Vec<Row> = Vec::new();
    for steps in steps.chunk_by(|one, next| one.in_lab() && next.in_lab()) {
        match steps {
            [step] => rows.push(perform(step, &options)),
            steps => rows.extend(side_by_side(steps)?),
        }
    }
    println!("\n== summary ({:.0} s)", start.elapsed().as_secs_f64());
    for row in &rows {
        println!("{:15} {:8.1} s  {}", row.name, row.took.as_secs_f64(), row.tally);
        row.tally.print_remarks();
    }
    let total: Tally = rows.into_iter().map(|row| row.tally).sum();
    println!("{total}");
    Ok(total.failed == 0)
}

/// The list of steps.
pub(crate) fn list() -> String {
    let line = |step: &Step| {
        let when = if step.when == When::Full { " (--full)" } else { "" };
        format!("  {:15} {}{when}\n", step.name, step.about)
    };
    STEPS.iter().map(line).collect()
}

fn choose(words: &[&str]) -> Result<(Vec<&'static Step>, Options)> {
    let mut options = Options { fuzz_seconds: 60 };
    let (mut full, mut names) = (false, Vec::new());
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        match word {
            "--full" => full = true,
            "--" => {}
            "--fuzz-seconds" => match words.next().map(|count| count.parse()) {
                Some(Ok(count)) => options.fuzz_seconds = count,
                _ => bail!("--fuzz-seconds needs a number"),
            },
            name if STEPS.iter().any(|step| step.name == name) => names.push(name),
            other => bail!("no step {other}; there are:\n{}", list()),
        }
    }
    let timely = |step: &Step| step.when == When::Always || (step.when == When::Full) == full;
    let wanted = |step: &&Step| if names.is_empty() { timely(step) } else { names.contains(&step.name) };
    Ok((STEPS.iter().filter(wanted).collect(), options))
}

fn perform(step: &Step, options: &Options) -> Row {
    println!("\n== {}: {}", step.name, step.about);
    let start = Instant::now();
    let done = match step.work {
        Work::Host(run) => run(options),
        Work::Lab(check) => programs().and_then(|()| check()),
    };
    let tally = done.unwrap_or_else(|error| Tally::failed_with(&error));
    Row { name: step.name, tally, took: start.elapsed() }
}

/// Runs steps of the lab two at a time, each in a program of its own, whose last line says what it came to.
fn side_by_side(steps: &[&'static Step]) -> Result<Vec<Row>> {
    programs()?;
    let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
    println!("\n== side by side: {}", names.join(" "));
    // Not this program's own file: the tests may have had it built anew.
    let job = |step: &&Step| Job::cargo("run --quiet --package regress --").arg(step.name);
    let jobs = steps.iter().map(job).collect();
    let ends = beside::run(jobs, |done| {
        // One that ended without a count has failed, whatever it did.
        let tally = done.output.lines().last().and_then(|line| line.parse().ok()).unwrap_or(Tally::FAILED);
        (tally.with_remarks_in(&done.output), done.took)
    });
    Ok(steps.iter().zip(ends).map(|(step, (tally, took))| Row { name: step.name, tally, took }).collect())
}

/// What the lab boots with.
fn programs() -> Result<()> {
    tools::packages(tools::BUILD)?;
    tools::packages(tools::LAB)?;
    Job::cargo("build --quiet --package setkey --package racoon").run()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<&'static str> {
        choose(words).unwrap().0.iter().map(|step| step.name).collect()
    }

    #[test]
    fn full_does_all_and_nothing_twice() {
        let (short, full) = (names(&[]), names(&["--full"]));
        assert!(short.contains(&"test") && !short.contains(&"properties") && !short.contains(&"interop"));
        assert!(full.contains(&"properties") && !full.contains(&"test"));
        assert!(short.iter().all(|name| *name == "test" || full.contains(name)), "{short:?} {full:?}");
        assert_eq!(names(&["--full", "twins", "fmt"]), ["fmt", "twins"]);
        assert!(short.contains(&"readme") && full.contains(&"readme"));
    }
}
