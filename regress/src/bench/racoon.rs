//! `cargo regress bench racoon`: times `racoon -t` with a large configuration.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::Cost;
use crate::command::HostCommand;
use crate::{tools, tree};

/// Default number of remote sections, each with a sainfo.
const COUNT: usize = 10_000;

/// Permitted processor time for the default number.
const LIMIT: Duration = Duration::from_secs(2);

/// Runs the benchmark; the argument is the number of remote sections.
pub(super) fn run(arguments: &[&str]) -> Result<ExitCode> {
    let count = match arguments {
        [] => COUNT,
        [count] => count.parse().with_context(|| format!("not a number: {count}"))?,
        _ => bail!("expected at most one number"),
    };
    tools::packages(tools::BUILD)?;
    HostCommand::cargo("build --release --package racoon").run()?;
    let racoon = tree::program("racoon", "release");

    let file = std::env::temp_dir().join(format!("bench-racoon.{}", std::process::id()));
    fs::write(&file, configuration(count)?)?;
    let cost = Cost::of(&racoon, &[OsStr::new("-t"), OsStr::new("-f"), file.as_os_str()]);
    fs::remove_file(&file)?;
    let cost = cost?;
    ensure!(cost.success, "racoon -t failed");
    let usage = cost.usage;
    println!(
        "racoon -t, {count} remotes and sainfos: {:.3} s elapsed, {:.3} user, {:.3} system, peak {} KiB",
        cost.elapsed.as_secs_f64(),
        usage.user.as_secs_f64(),
        usage.system.as_secs_f64(),
        usage.peak
    );
    ensure!(count > COUNT || cost.processor() < LIMIT, "it took more than {} s of processor time", LIMIT.as_secs());
    Ok(ExitCode::SUCCESS)
}

/// Returns a configuration of `count` remote sections with different addresses, each with a sainfo of its own.
fn configuration(count: usize) -> Result<String> {
    let mut text = String::new();
    for number in 0..u32::try_from(count)? {
        let [_, high, middle, low] = number.to_be_bytes();
        writeln!(
            text,
            "remote 10.{high}.{middle}.{low} {{ exchange_mode main; proposal {{ encryption_algorithm aes 256; \
             hash_algorithm sha256; authentication_method pre_shared_key; dh_group modp2048; }} }}\n\
             sainfo address 192.0.2.0/24 any address 10.{high}.{middle}.{low}/32 any {{ pfs_group modp2048; \
             encryption_algorithm aes 256; authentication_algorithm hmac_sha256; compression_algorithm deflate; }}"
        )?;
    }
    Ok(text)
}
