//! Measurement of programs in the lab, from outside.
//!
//! The clocks of User Mode Linux attribute all time to programs. Outside, kernel and programs are distinguishable: the
//! kernel is the leader of the process group, the memory of each program is another process in it, and programs that
//! ended are included in the times of the leader's children.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::unistd::{Pid, SysconfVar, sysconf};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Marks that the lab prints before and after each run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Mark {
    Start,
    End { count: usize, table: String, what: String, elapsed: Duration },
}

/// Prints a line for each run.
#[derive(Default)]
pub(super) struct Meter {
    marks: Marks,
    start: Times,
    measurements: Vec<Measurement>,
}

/// A run, with the seconds spent in the program and in the kernel together.
struct Measurement {
    count: usize,
    table: String,
    what: String,
    seconds: f64,
}

/// Processor time of a lab so far, in clock ticks of this machine.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Times {
    programs: u64,
    kernel: u64,
}

/// Splits the output of a lab into marks and other lines.
#[derive(Default)]
pub(super) struct Marks {
    line: Vec<u8>,
}

impl Marks {
    /// Prints a mark, inside the lab, and pauses, so that it does not matter when exactly the mark is seen.
    pub(super) fn print(mark: &impl Serialize) -> Result<()> {
        println!("{MARK}{}", serde_json::to_string(mark)?);
        thread::sleep(MARK_PAUSE);
        Ok(())
    }

    /// Takes output of the lab and returns the marks in it. Other lines are printed.
    pub(super) fn read<T: DeserializeOwned>(&mut self, bytes: &[u8]) -> Result<Vec<T>> {
        let mut marks = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            match line.strip_prefix(MARK) {
                Some(mark) => marks.push(serde_json::from_str(mark)?),
                None => println!("{line}"),
            }
        }
        Ok(marks)
    }
}

impl Meter {
    /// Takes output of the lab.
    pub(super) fn watch(&mut self, group: Pid, bytes: &[u8]) -> Result<()> {
        let marks: Vec<Mark> = self.marks.read(bytes)?;
        marks.iter().try_for_each(|mark| self.mark(group, mark))
    }

    /// Formats the comparisons between the measured runs, by processor time.
    pub(super) fn ratios(&self) -> String {
        let mut text = String::new();
        for one in &self.measurements {
            for (_, reference) in COMPARISONS.iter().filter(|(what, _)| *what == one.what) {
                let is_reference = |other: &&Measurement| {
                    other.count == one.count && other.table == one.table && other.what == *reference
                };
                let other = self.measurements.iter().find(is_reference).filter(|other| other.seconds > 0.0);
                let Some(other) = other else { continue };
                let share = one.seconds / other.seconds * 100.0;
                let (count, table, what) = (one.count, &one.table, &one.what);
                text.push_str(&format!("{count:8} {table:8}  {what:16} {share:6.0} % of {reference}\n"));
            }
        }
        text
    }

    fn mark(&mut self, group: Pid, mark: &Mark) -> Result<()> {
        let now = Times::of(group)?;
        match mark {
            Mark::Start => self.start = now,
            Mark::End { count, table, what, elapsed } => {
                let program = seconds(now.programs.saturating_sub(self.start.programs))?;
                let kernel = seconds(now.kernel.saturating_sub(self.start.kernel))?;
                let elapsed = elapsed.as_secs_f64();
                println!("{count:8} {table:8}  {what:16} {elapsed:8.2} {program:8.2} {kernel:8.2}");
                let (table, what) = (table.clone(), what.clone());
                self.measurements.push(Measurement { count: *count, table, what, seconds: program + kernel });
            }
        }
        Ok(())
    }
}

impl Times {
    fn of(group: Pid) -> Result<Self> {
        let mut times = Self::default();
        for entry in fs::read_dir("/proc")? {
            // Processes end while this loop runs.
            let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else { continue };
            times.add(group.as_raw(), &stat);
        }
        Ok(times)
    }

    /// Adds the times in a process's `/proc/PID/stat` if the process is in the group.
    fn add(&mut self, group: i32, stat: &str) {
        let id = stat.split(' ').next().and_then(|id| id.parse::<i32>().ok());
        // The name, in parentheses, may contain anything. Fields are counted after it; the first of them is the third
        // field.
        let Some((_, fields)) = stat.rsplit_once(") ") else { return };
        let fields: Vec<i64> = fields.split(' ').map(|field| field.trim().parse().unwrap_or(0)).collect();
        let field = |number: usize| fields.get(number - 3).copied().unwrap_or(0);
        let ticks = |number: usize| u64::try_from(field(number)).unwrap_or(0);
        if field(GROUP) != i64::from(group) {
            return;
        }
        let own = ticks(USER) + ticks(SYSTEM);
        if id == Some(group) {
            self.kernel += own;
            self.programs += ticks(WAITED_USER) + ticks(WAITED_SYSTEM);
        } else {
            self.programs += own;
        }
    }
}

/// Prefix of a line with a mark.
const MARK: &str = "@mark ";

const MARK_PAUSE: Duration = Duration::from_millis(150);

/// Pairs of commands that are compared.
const COMPARISONS: &[(&str, &str)] = &[
    ("setkey --check", "setkey -f pfkey"),
    ("setkey --check", "setkey -f xfrm"),
    ("setkey -f pfkey", "ip -batch"),
    ("setkey -f xfrm", "ip -batch"),
    ("setkey -f xfrm", "setkey -f pfkey"),
    ("setkey -D pfkey", "ip xfrm state"),
    ("setkey -D xfrm", "ip xfrm state"),
    ("setkey -DP pfkey", "ip xfrm policy"),
    ("setkey -DP xfrm", "ip xfrm policy"),
];

// Field numbers of /proc/PID/stat, see proc_pid_stat(5).
const GROUP: usize = 5;
const USER: usize = 14;
const SYSTEM: usize = 15;
const WAITED_USER: usize = 16;
const WAITED_SYSTEM: usize = 17;

fn seconds(ticks: u64) -> Result<f64> {
    let rate = sysconf(SysconfVar::CLK_TCK)?.context("the clock's rate")?;
    Ok(f64::from(u32::try_from(ticks)?) / f64::from(i32::try_from(rate)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measurements_are_compared() {
        let measured =
            |what: &str, seconds| Measurement { count: 9, table: "SAs".to_owned(), what: what.to_owned(), seconds };
        let measurements =
            vec![measured("setkey -f xfrm", 1.0), measured("ip -batch", 4.0), measured("ip xfrm state", 1.0)];
        let meter = Meter { measurements, ..Meter::default() };
        assert_eq!(meter.ratios(), "       9 SAs       setkey -f xfrm       25 % of ip -batch\n");
    }

    #[test]
    fn only_times_of_the_group_are_added() {
        let mut times = Times::default();
        times.add(7, "7 (linux.uml) S 1 7 1 0 -1 0 1 2 3 4 100 50 20 10 20 0 1 0");
        times.add(7, "8 (a) b) R 7 7 1 0 -1 0 1 2 3 4 5 6 0 0 20 0 1 0");
        times.add(7, "9 (other) R 1 9 1 0 -1 0 1 2 3 4 900 900 900 900 20 0 1 0");
        times.add(7, "not a stat");
        assert_eq!(times, Times { programs: 41, kernel: 150 });
    }
}
