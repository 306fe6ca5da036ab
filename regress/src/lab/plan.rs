//! The instructions for the first process in the lab: a JSON file in the folder of the boot.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// Where the folder of a boot is mounted in the lab.
pub(crate) const WORK: &str = "/run/lab";

/// The instructions for one boot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The program to run, and its arguments.
    pub(crate) command: Vec<String>,
    /// Variables added to its environment.
    pub(crate) env: Vec<(String, String)>,
    /// Folders of the machine that are writable, at the same path.
    pub(crate) shares: Vec<PathBuf>,
    /// Kernel modules to load, in order. Modules that the kernel lacks are skipped.
    pub(crate) modules: Vec<String>,
}

impl Plan {
    pub(crate) fn save(&self, work: &Path) -> Result<()> {
        let path = work.join("plan.json");
        std::fs::write(&path, serde_json::to_vec(self)?).with_context(|| path.display().to_string())
    }

    pub(crate) fn load(work: &Path) -> Result<Self> {
        let path = work.join("plan.json");
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_slice(&text)?)
    }
}
