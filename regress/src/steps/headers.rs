//! Numbers and layouts in libpfkey, compared with the headers of four systems by C compilers.

use std::fs;

use anyhow::{Context, Result};

use crate::command::HostCommand;
use crate::summary::Summary;
use crate::{tools, tree};

/// The dialects of libpfkey, and zig's name for a system that uses each.
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
        // libpfkey's tables become `numbers.h`, which the hand-written C file includes.
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
