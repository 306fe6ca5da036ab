//! A long script for setkey: its memory must not grow with the length of the script, and nothing may be left in the
//! kernel.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::io::stdout;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::Cost;
use crate::lab::{Boot, Program};
use crate::summary::Summary;
use crate::tree;

/// Rounds of the short and the long script.
const ROUNDS: [u32; 2] = [100, 10_000];

/// KiB of memory that the long script may take in addition.
const GROWTH: i64 = 4096;

const FILE: &str = "/run/soak";

/// Boots the lab and runs both scripts.
pub(crate) fn check(backend: &str) -> Result<Summary> {
    let setkey = tree::program("setkey", "debug");
    let setkey = setkey.to_str().context("the path of setkey is not text")?;
    let boot = Boot::regress(&["soak", setkey])?.env("LIBPFKEY_BACKEND", backend).limit(Duration::from_secs(3600));
    boot.run(&mut stdout())?.check()?;
    Ok(Summary::PASSED)
}

/// Runs inside the lab.
pub(crate) fn run_in_lab(setkey: &Path) -> Result<()> {
    let mut peaks = Vec::new();
    for rounds in ROUNDS {
        fs::write(FILE, script(rounds))?;
        let cost = Cost::of(setkey, &[OsStr::new("-f"), OsStr::new(FILE)])?;
        ensure!(cost.success, "setkey failed");
        println!("{rounds} rounds: {:.1} s, peak {} KiB", cost.elapsed.as_secs_f64(), cost.usage.peak);
        peaks.push(cost.usage.peak);
        for object in ["state", "policy"] {
            let left = Program::new("ip", &["xfrm", object]).run()?.text();
            ensure!(left.is_empty(), "left in the kernel after {rounds} rounds:\n{left}");
        }
    }
    if let [short, long] = peaks[..] {
        ensure!(long <= short + GROWTH, "memory grows with the length of the script: {short} KiB, then {long} KiB");
    }
    Ok(())
}

/// Each round adds an SA and a policy, gets the SA, and deletes both.
fn script(rounds: u32) -> String {
    let mut text = String::new();
    for round in 0..rounds {
        let sa = format!("192.0.2.1 192.0.2.2 esp 0x{:x}", 0x1000 + round);
        let selector = "192.0.2.1 192.0.2.2 any";
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "add {sa} -E aes-cbc 0x{round:032x} -A hmac-sha1 0x{round:040x};\nget {sa};\n\
             spdadd {selector} -P out ipsec esp/transport//require;\nspddelete {selector} -P out;\ndelete {sa};\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_deletes_what_it_adds() {
        let text = script(3);
        assert_eq!(text.lines().count(), 15);
        assert_eq!(text.matches("\nadd ").count() + 1, text.matches("\ndelete ").count());
    }
}
