//! Runs setkey and iproute2 with equal work, one after the other, inside the lab.

use std::ffi::OsStr;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use nix::sched::{CloneFlags, unshare};

use super::cost::Cost;
use super::meter::{Mark, Marks};
use super::scripts;
use crate::lab::{Program, lo_up};

/// A table of the kernel, and how each program fills and dumps it.
struct Table {
    name: &'static str,
    setkey_file: fn(RangeInclusive<usize>) -> String,
    ip_file: fn(RangeInclusive<usize>) -> String,
    setkey_dump: &'static str,
    /// The name of the table in iproute2.
    object: &'static str,
}

const TABLES: [Table; 2] = [
    Table {
        name: "SAs",
        setkey_file: scripts::setkey_sas,
        ip_file: scripts::ip_sas,
        setkey_dump: "-D",
        object: "state",
    },
    Table {
        name: "policies",
        setkey_file: scripts::setkey_policies,
        ip_file: scripts::ip_policies,
        setkey_dump: "-DP",
        object: "policy",
    },
];

const FILE: &str = "/run/bench";

/// Runs all comparisons and marks where each run starts and ends. [`super::meter`] measures them from outside the lab.
/// `backends` are names separated by commas.
pub(crate) fn run_in_lab(setkey: &Path, backends: &str, counts: &[&str]) -> Result<()> {
    // The first run of a program includes reading it from disk.
    Cost::of(setkey, &[OsStr::new("-D")])?;
    Program::new("ip", &["xfrm", "state"]).run()?;
    for count in counts {
        let count: usize = count.parse().context("a count of entries")?;
        for table in &TABLES {
            // A network namespace belongs to a thread, so each comparison gets a thread of its own.
            let work = || table.compare(setkey, backends, count);
            thread::scope(|scope| scope.spawn(work).join()).map_err(|_| anyhow!("the comparison failed"))??;
        }
    }
    Ok(())
}

impl Table {
    /// Compares the programs in a network namespace of its own.
    fn compare(&self, setkey: &Path, backends: &str, count: usize) -> Result<()> {
        unshare(CloneFlags::CLONE_NEWNET).context("unshare")?;
        lo_up().context("lo")?;
        let ip = Path::new("/usr/sbin/ip");
        let ip = if ip.exists() { ip } else { Path::new("/sbin/ip") };

        fs::write(FILE, (self.setkey_file)(1..=count))?;
        self.metered(count, "setkey --check", setkey, &["--check", FILE])?;
        for backend in backends.split(',') {
            let dump = format!("setkey {} {backend}", self.setkey_dump);
            self.metered(count, &format!("setkey -f {backend}"), setkey, &["--backend", backend, "-f", FILE])?;
            self.expect(count)?;
            self.metered(count, &dump, setkey, &["--backend", backend, self.setkey_dump])?;
            self.flush()?;
        }

        fs::write(FILE, (self.ip_file)(1..=count))?;
        self.metered(count, "ip -batch", ip, &["-batch", FILE])?;
        self.expect(count)?;
        self.metered(count, &format!("ip xfrm {}", self.object), ip, &["xfrm", self.object])?;
        self.flush()
    }

    fn metered(&self, count: usize, what: &str, program: &Path, arguments: &[&str]) -> Result<()> {
        let words: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        Marks::print(&Mark::Start)?;
        let cost = Cost::of(program, &words)?;
        Marks::print(&Mark::End { count, table: self.name.to_owned(), what: what.to_owned(), elapsed: cost.elapsed })?;
        ensure!(cost.success, "{} {} failed", program.display(), arguments.join(" "));
        Ok(())
    }

    /// The exit status of neither program says whether the kernel accepted every entry.
    fn expect(&self, count: usize) -> Result<()> {
        let text = Program::new("ip", &["xfrm", self.object, "count"]).run()?.text();
        let found: usize =
            text.split(|c: char| !c.is_ascii_digit()).filter_map(|argument| argument.parse::<usize>().ok()).sum();
        ensure!(found == count, "expected {count} {}, the kernel has: {text}", self.name);
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        let done = Program::new("ip", &["xfrm", self.object, "flush"]).run()?;
        ensure!(done.success(), "ip xfrm {} flush: {}", self.object, done.text());
        Ok(())
    }
}
