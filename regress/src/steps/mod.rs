//! `cargo regress`: the checks, in the order in which they are worth failing, and their summary.

mod bsd;
mod fuzz;
mod headers;
mod rust;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::job::Job;
use crate::tally::Tally;
use crate::{compliance, demo, ike, interop, soak, tools, tree, twins};

/// One kind of check.
struct Step {
    name: &'static str,
    about: &'static str,
    /// Only with `--full`.
    long: bool,
    run: fn(&Options) -> Result<Tally>,
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
    Step { name: "fmt", about: "the code is formatted", long: false, run: |_| rust::format() },
    Step { name: "clippy", about: "no lint complains", long: false, run: |_| rust::clippy() },
    Step { name: "deny", about: "dependencies: licences, sources, bans", long: false, run: |_| rust::deny() },
    Step { name: "test", about: "unit, property and documentation tests", long: false, run: |_| rust::test() },
    Step { name: "doc", about: "the documentation builds without a warning", long: false, run: |_| rust::doc() },
    Step { name: "man", about: "manual pages", long: false, run: |_| manual_pages() },
    Step {
        name: "headers",
        about: "numbers and layouts against the headers of four systems",
        long: false,
        run: |_| headers::run(),
    },
    Step { name: "freebsd", about: "type-check for FreeBSD", long: false, run: |_| bsd::check("freebsd") },
    Step { name: "netbsd", about: "type-check for NetBSD", long: false, run: |_| bsd::check("netbsd") },
    Step {
        name: "compliance",
        about: "setkey on a real kernel, PF_KEY",
        long: false,
        run: |_| lab_step(|| compliance::check("pfkey")),
    },
    Step {
        name: "compliance-xfrm",
        about: "the same, NETLINK_XFRM",
        long: false,
        run: |_| lab_step(|| compliance::check("xfrm")),
    },
    Step {
        name: "door",
        about: "racoon at both of the kernel's doors",
        long: false,
        run: |_| lab_step(twins::check_door),
    },
    Step { name: "twins", about: "PF_KEY and NETLINK_XFRM say the same", long: false, run: |_| lab_step(twins::check) },
    Step {
        name: "demo",
        about: "two hosts speak ESP, PF_KEY",
        long: false,
        run: |_| lab_step(|| demo::check("pfkey")),
    },
    Step {
        name: "demo-xfrm",
        about: "the same on a kernel without PF_KEY",
        long: false,
        run: |_| lab_step(|| demo::check("xfrm")),
    },
    Step {
        name: "interop-peers",
        about: "strongSwan and libreswan among themselves",
        long: true,
        run: |_| lab_step(interop::check_sample),
    },
    Step {
        name: "interop",
        about: "racoon with strongSwan and libreswan, NETLINK_XFRM",
        long: true,
        run: |_| lab_step(|| interop::check("xfrm", &[])),
    },
    Step {
        name: "interop-pfkey",
        about: "some of the same, PF_KEY",
        long: true,
        run: |_| lab_step(|| interop::check("pfkey", interop::SAMPLE)),
    },
    Step {
        name: "ike",
        about: "racoon against itself, PF_KEY",
        long: true,
        run: |_| lab_step(|| ike::check("ike", "pfkey", "")),
    },
    Step {
        name: "ike-xfrm",
        about: "the same, NETLINK_XFRM",
        long: true,
        run: |_| lab_step(|| ike::check("ike", "xfrm", "")),
    },
    Step {
        name: "loss",
        about: "racoon against itself over bad lines",
        long: true,
        run: |_| lab_step(|| ike::check("loss", "xfrm", "")),
    },
    Step { name: "soak", about: "one setkey that works long", long: true, run: |_| lab_step(|| soak::check("pfkey")) },
    Step {
        name: "properties",
        about: "the property tests, each with many more cases",
        long: true,
        run: |_| rust::properties(),
    },
    Step {
        name: "fuzz",
        about: "every parser of foreign bytes, fuzzed",
        long: true,
        run: |options| fuzz::run(options.fuzz_seconds),
    },
];

/// Runs the steps that `words` name, or all short ones, or (`--full`) all.
pub(crate) fn run(words: &[&str]) -> Result<bool> {
    let (steps, options) = choose(words)?;
    let start = Instant::now();
    let rows: Vec<Row> = steps.into_iter().map(|step| perform(step, &options)).collect();
    println!("\n== summary ({:.0} s)", start.elapsed().as_secs_f64());
    for row in &rows {
        println!("{:15} {:8.1} s  {}", row.name, row.took.as_secs_f64(), row.tally);
    }
    let total: Tally = rows.iter().map(|row| row.tally).sum();
    println!("{total}");
    Ok(total.failed == 0)
}

/// The list of steps.
pub(crate) fn list() -> String {
    STEPS.iter().map(|s| format!("  {:15} {}{}\n", s.name, s.about, if s.long { " (--full)" } else { "" })).collect()
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
    let wanted = |step: &&Step| if names.is_empty() { full || !step.long } else { names.contains(&step.name) };
    Ok((STEPS.iter().filter(wanted).collect(), options))
}

fn perform(step: &Step, options: &Options) -> Row {
    println!("\n== {}: {}", step.name, step.about);
    let start = Instant::now();
    let tally = (step.run)(options).unwrap_or_else(|error| {
        println!("FAILED: {error:#}");
        Tally::FAILED
    });
    Row { name: step.name, tally, took: start.elapsed() }
}

/// A step that runs the programs in the lab.
fn lab_step(check: impl FnOnce() -> Result<Tally>) -> Result<Tally> {
    tools::packages(tools::BUILD)?;
    tools::packages(tools::LAB)?;
    Job::cargo("build --quiet --package setkey --package racoon").run()?;
    check()
}

fn manual_pages() -> Result<Tally> {
    let pages = tree::files(&tree::root().join("man"), &[".1", ".3", ".5", ".8"])?;
    if pages.is_empty() {
        println!("skipped: there are no manual pages yet");
        return Ok(Tally::SKIPPED);
    }
    tools::packages(&["mandoc"])?;
    let mut tally = Tally::default();
    for page in pages {
        // Style advice (unknown references to pages of other packages) is shown; warnings and errors fail.
        let lint = Job::new("mandoc").words("-T lint -W warning").arg(&page).run();
        tally += Tally::of(lint.is_ok());
    }
    Ok(tally)
}
