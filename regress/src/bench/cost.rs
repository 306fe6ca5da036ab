//! The cost of running a program.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::lab::{Usage, wait_usage};

/// Time and memory of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) success: bool,
    pub(crate) elapsed: Duration,
    pub(crate) usage: Usage,
}

impl Cost {
    /// Runs a program and discards its standard output.
    pub(crate) fn of(program: &Path, arguments: &[&OsStr]) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        let start = Instant::now();
        let child = command.spawn().with_context(|| program.display().to_string())?;
        let (status, usage) = wait_usage(&child)?;
        Ok(Self { success: status.success(), elapsed: start.elapsed(), usage })
    }

    /// User and system time together.
    pub(crate) fn processor(&self) -> Duration {
        self.usage.user + self.usage.system
    }
}
