//! Numbers and layouts, checked by C compilers against the real headers of four systems.

use std::fs;

use anyhow::{Context, Result};

use crate::command::HostCommand;
use crate::summary::Summary;
use crate::{tools, tree};

/// A dialect of libpfkey, and zig's name for the system that speaks it.
const SYSTEMS: &[(&str, &str)] = &[
    ("linux", "x86_64-linux-gnu"),
    ("freebsd", "x86_64-freebsd"),
    ("netbsd", "x86_64-netbsd"),
    ("darwin", "x86_64-macos"),
];

pub(super) fn run() -> Result<Summary> {
    tools::packages(tools::BUILD)?;
    let zig = tools::zig()?;
    let mut summary = Summary::default();
    for (dialect, system) in SYSTEMS {
        // libpfkey's tables become `numbers.h`, which the file written by hand includes.
        let dir = tree::target().join("headers").join(dialect);
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        let numbers = HostCommand::cargo("run --quiet --package regress-headers --").arg(dialect).output()?;
        fs::write(dir.join("numbers.h"), numbers)?;
        let compile = HostCommand::new("python3").split_args("-m ziglang cc -c -Wall -Werror -target").arg(system);
        let source = format!("regress/headers/{dialect}.c");
        let done =
            compile.arg("-I").arg(&dir).arg("-o").arg(dir.join("layout.o")).arg(source).env("PYTHONPATH", &zig).run();
        summary += done.as_ref().map_or_else(Summary::failed_with, |()| Summary::PASSED);
    }
    Ok(summary)
}
