//! Processor time of a daemon in the lab, measured from outside.
//!
//! The clocks inside the lab advance while the machine runs other programs. From outside, each program in the lab is a
//! process, and the daemon consists of the processes that existed before the load. The measured time is that of the
//! daemon's own code and of entering the lab's kernel, but not the time spent in that kernel.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::Result;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::row;
use crate::bench::meter::Marks;

/// Marks that the lab prints.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Mark {
    /// The daemon runs, and the load has not started.
    Ready,
    /// The load has ended.
    Over { title: String, suite: String, count: u32, elapsed: Duration, bytes: String },
}

/// Prints a line for each load.
#[derive(Default)]
pub(super) struct CpuClock {
    marks: Marks,
    before: BTreeMap<i32, Duration>,
}

impl CpuClock {
    /// Takes output of the lab.
    pub(super) fn watch(&mut self, group: Pid, bytes: &[u8]) -> Result<()> {
        for mark in self.marks.read(bytes)? {
            let now = programs(group)?;
            match mark {
                Mark::Ready => self.before = now,
                Mark::Over { title, suite, count, elapsed, bytes } => {
                    let took = |(id, before): (&i32, &Duration)| Some(now.get(id)?.saturating_sub(*before));
                    let spent = self.before.iter().filter_map(took).sum();
                    println!("{}", row(&title, &suite, count, spent, elapsed, &bytes));
                }
            }
        }
        Ok(())
    }
}

/// Returns the programs in the lab with their processor times: the processes of the group except its leader, the
/// kernel.
fn programs(group: Pid) -> Result<BTreeMap<i32, Duration>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        // Processes end while this loop runs.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        if id == group.as_raw() || group_of(&stat) != Some(group.as_raw()) {
            continue;
        }
        let Ok(time) = ClockId::pid_cpu_clock_id(Pid::from_raw(id)).and_then(clock_gettime) else { continue };
        found.insert(id, time.into());
    }
    Ok(found)
}

/// Returns the process group in a `/proc/PID/stat`: the third field after the name, which is in parentheses and may
/// contain anything.
fn group_of(stat: &str) -> Option<i32> {
    stat.rsplit_once(") ")?.1.split(' ').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_follows_the_name() {
        assert_eq!(group_of("8 (a) b 1 2 3) R 7 6 5 0"), Some(6));
        assert_eq!(group_of("8 (a)"), None);
    }
}
