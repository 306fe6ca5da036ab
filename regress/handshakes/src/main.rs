//! Benchmarks of IKE negotiations. `cargo regress bench ike` runs them; the program is also a load generator for any
//! daemon.
//!
//! It is a separate program because its figures are useful only if it is optimized.

mod engine_bench;
mod flood;
mod keys;
mod load_generator;
mod lookup;
mod meter;
mod operations;
mod simulated_host;
mod suite;
mod sys;
mod udp;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::keys::Keys;

const USAGE: &str = "\
usage: regress-handshakes engine COUNT DIRECTORY
           the engine alone, both sides in this process; DIRECTORY has root.pem, and client-KIND.pem and
           client-KIND.key for rsa and p256
       regress-handshakes load PID ADDRESS:PORT COUNT SUITE DIRECTORY
           main and quick modes with a daemon that accepts any peer from 127/8 with the key `handshakes', or a certificate;
           prints seconds of the daemon's processor time, seconds elapsed, and bytes of its memory per tunnel
       regress-handshakes flood PID ADDRESS:PORT RATE SECONDS SUITE
           RATE forged first messages per second, and honest handshakes at the same time; prints forged messages
           sent, datagrams that the kernel dropped, handshakes, failed handshakes, retransmissions, milliseconds of
           the longest handshake, and seconds of the daemon's processor time
suites: modp2048, modp2048-pfs, modp3072, ecp256, x25519, modp2048-rsa, ecp256-rsa, modp2048-p256, ecp256-p256
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("regress-handshakes: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        ["engine", count, certificates] => {
            engine_bench::run(count.parse().context("a count of handshakes")?, Path::new(certificates))?;
            lookup::run()
        }
        ["load", pid, target, count, suite, certificates] => {
            let target = target.parse().context("an address and a port")?;
            let pid = pid.parse().context("a process id")?;
            let (count, suite) = (count.parse().context("a count of handshakes")?, suite::of(suite)?);
            load_generator::run(pid, target, count, suite, Keys::load(suite, Path::new(certificates))?)
        }
        ["flood", pid, target, rate, seconds, suite] => {
            let target = target.parse().context("an address and a port")?;
            let pid = pid.parse().context("a process id")?;
            let (rate, seconds) = (rate.parse().context("a rate")?, seconds.parse().context("seconds")?);
            flood::run(pid, target, rate, seconds, suite::of(suite)?)
        }
        _ => bail!("{USAGE}"),
    }
}
