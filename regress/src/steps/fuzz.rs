//! Fuzzing with cargo-fuzz and the stable compiler.

use std::fs;

use anyhow::Result;

use crate::command::HostCommand;
use crate::summary::Summary;
use crate::{parallel, tools, tree};

/// Fuzzes every target for `seconds`.
pub(super) fn run(seconds: u32) -> Result<Summary> {
    tools::packages(&["g++"])?;
    let cargo_fuzz = tools::cargo_fuzz()?;
    let dir = tree::root().join("regress/fuzz");
    // No sanitizer: safe code has nothing for it to find, and panics and hangs are found without it.
    let fuzz_command = |words: &str| {
        let fuzz_command =
            HostCommand::new(&cargo_fuzz).split_args(words).split_args("--sanitizer none --fuzz-dir").arg(&dir);
        fuzz_command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", tree::target().join("fuzz"))
    };
    fuzz_command("build").run()?;
    let limits =
        format!("-- -max_total_time={seconds} -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1");
    let mut runs = Vec::new();
    for target in tree::files(&dir.join("fuzz_targets"), &[".rs"])? {
        let Some(name) = target.file_stem().and_then(|stem| stem.to_str()) else { continue };
        // The fuzzer writes to the first folder, and only reads the seeds.
        let folders = ["corpus", "seeds"].map(|folder| dir.join(folder).join(name));
        fs::create_dir_all(&folders[0])?;
        runs.push(
            fuzz_command("run")
                .arg(name)
                .arg(&folders[0])
                .arg(&folders[1])
                .split_args(&limits)
                .keep_lines(is_worth_keeping),
        );
    }
    let summaries =
        parallel::run(runs, |done| done.result.as_ref().map_or_else(Summary::failed_with, |()| Summary::PASSED));
    Ok(summaries.into_iter().sum())
}

/// Returns whether a line of a fuzzer is worth showing. It prints hundreds of lines about dictionary entries.
fn is_worth_keeping(line: &str) -> bool {
    !(line.starts_with('"') && line.contains("\" # Uses: "))
}
