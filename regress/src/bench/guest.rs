//! Inside the lab: both programs do the same, one after the other.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use nix::sched::{CloneFlags, unshare};

use super::cost::Cost;
use super::load;
use crate::lab::{Program, lo_up};

/// One table of the kernel: how each program fills it and shows it.
struct Table {
    name: &'static str,
    setkey_file: fn(usize) -> String,
    ip_file: fn(usize) -> String,
    setkey_dump: &'static str,
    /// iproute2's name for it.
    object: &'static str,
}

const TABLES: [Table; 2] = [
    Table { name: "SAs", setkey_file: load::setkey_sas, ip_file: load::ip_sas, setkey_dump: "-D", object: "state" },
    Table {
        name: "policies",
        setkey_file: load::setkey_policies,
        ip_file: load::ip_policies,
        setkey_dump: "-DP",
        object: "policy",
    },
];

const FILE: &str = "/run/bench";

/// Prints the table of results for each of `counts`.
pub(crate) fn race(setkey: &Path, counts: &[&str]) -> Result<()> {
    println!(
        "{:>6} {:8}  {:24} {:>8} {:>8} {:>8}  {:28} {:>8} {:>8} {:>8}  {:>6}",
        "", "", "setkey", "elapsed", "user", "system", "ip", "elapsed", "user", "system", "ratio"
    );
    for count in counts {
        let count: usize = count.parse().context("a count of entries")?;
        for table in &TABLES {
            let work = || table.race(setkey, count);
            thread::scope(|scope| scope.spawn(work).join()).map_err(|_| anyhow!("the race failed"))??;
        }
    }
    println!("ratio: user and system time of setkey to those of ip");
    Ok(())
}

impl Table {
    /// In a network namespace of its own.
    fn race(&self, setkey: &Path, count: usize) -> Result<()> {
        unshare(CloneFlags::CLONE_NEWNET).context("unshare")?;
        lo_up().context("lo")?;
        let ip = Path::new("/usr/sbin/ip");
        let ip = if ip.exists() { ip } else { Path::new("/sbin/ip") };

        fs::write(FILE, (self.setkey_file)(count))?;
        let setkey_load = self.timed(setkey, &["-f", FILE])?;
        self.expect(count)?;
        let setkey_dump = self.timed(setkey, &[self.setkey_dump])?;
        self.flush()?;

        fs::write(FILE, (self.ip_file)(count))?;
        let ip_load = self.timed(ip, &["-batch", FILE])?;
        self.expect(count)?;
        let ip_dump = self.timed(ip, &["xfrm", self.object])?;
        self.flush()?;

        let name = self.name;
        row(count, name, ("setkey -f", setkey_load), ("ip -batch", ip_load));
        let (dump, show) = (format!("setkey {}", self.setkey_dump), format!("ip xfrm {}", self.object));
        row(count, name, (&dump, setkey_dump), (&show, ip_dump));
        Ok(())
    }

    fn timed(&self, program: &Path, arguments: &[&str]) -> Result<Cost> {
        let words: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        let cost = Cost::of(program, &words)?;
        ensure!(cost.success, "{} {} failed", program.display(), arguments.join(" "));
        Ok(cost)
    }

    /// Neither program's exit status tells whether the kernel took everything.
    fn expect(&self, count: usize) -> Result<()> {
        let text = Program::new("ip", &["xfrm", self.object, "count"]).run()?.text();
        let found: usize =
            text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse::<usize>().ok()).sum();
        ensure!(found == count, "expected {count} {}, the kernel has: {text}", self.name);
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        let done = Program::new("ip", &["xfrm", self.object, "flush"]).run()?;
        ensure!(done.success(), "ip xfrm {} flush: {}", self.object, done.text());
        Ok(())
    }
}

fn row(count: usize, table: &str, setkey: (&str, Cost), ip: (&str, Cost)) {
    let columns = |cost: &Cost| {
        let [elapsed, user, system] =
            [cost.elapsed, cost.usage.user, cost.usage.system].map(|time| format!("{:8.2}", time.as_secs_f64()));
        format!("{elapsed} {user} {system}")
    };
    let ratio = setkey.1.processor().as_secs_f64() / ip.1.processor().as_secs_f64().max(0.01);
    println!(
        "{count:6} {table:8}  {:24} {}  {:28} {}  {ratio:6.2}",
        setkey.0,
        columns(&setkey.1),
        ip.0,
        columns(&ip.1)
    );
}
