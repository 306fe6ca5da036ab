//! Clocks and memory.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// Returns the processor time of this thread.
pub(crate) fn cpu_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Another process.
pub(crate) struct Process {
    pid: i32,
    clock: ClockId,
}

impl Process {
    pub(crate) fn new(pid: i32) -> Result<Self> {
        Ok(Self { pid, clock: ClockId::pid_cpu_clock_id(Pid::from_raw(pid)).context("the clock of a process")? })
    }

    /// Returns the processor time of all its threads, including that in the kernel. It is finer than the ticks of
    /// `/proc/PID/stat`.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        Ok(clock_gettime(self.clock)?.into())
    }

    /// Returns the resident memory in KiB.
    pub(crate) fn resident(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
        line.split_ascii_whitespace().next().and_then(|number| number.parse().ok()).context("VmRSS")
    }
}

/// Returns a number of events per second.
pub(crate) fn rate(count: u32, time: Duration) -> f64 {
    f64::from(count) / time.as_secs_f64()
}
