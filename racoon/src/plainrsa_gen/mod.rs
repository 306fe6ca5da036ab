//! `plainrsa-gen`, which makes plain RSA keys and converts them from and to other formats.

mod cli;
mod input;
mod text;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use ipsec_conf::plainrsa::RsaEntry;
use openssl::bn::BigNum;
use openssl::rsa::Rsa;
use zeroize::Zeroizing;

use crate::output;
use crate::plain_rsa::{library, private_entry};
use cli::{EarlyExit, Invocation, Source};

/// Moduli below this length in bits can be factored by those who have the means, and cause a warning.
const BITS_GOOD: u32 = 2048;

/// Runs the command.
pub fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).collect::<Vec<OsString>>();
    match cli::parse(&arguments) {
        Ok(run) => execute(&run).unwrap_or_else(|text| report(&text)),
        Err(EarlyExit::Help) => print(cli::USAGE.as_bytes()),
        Err(EarlyExit::Version) => print(cli::VERSION_LINE.as_bytes()),
        Err(EarlyExit::Usage(text)) => {
            let status = report(&text);
            let _ = io::stderr().write_all(cli::USAGE.as_bytes());
            status
        }
        Err(EarlyExit::Error(text)) => report(&text),
    }
}

fn execute(run: &Invocation) -> Result<ExitCode, String> {
    let entries = match &run.source {
        Source::File(path) => input::read(path)?,
        Source::New { bits, exponent } => vec![generate(*bits, *exponent)?],
    };
    // Everything is converted before the file is created, so that an error leaves none behind.
    let texts = entries.iter().map(|entry| text::of(entry, run.format)).collect::<Result<Vec<_>, _>>()?;
    let length = texts.iter().map(|one| one.len()).sum();
    let mut whole = Zeroizing::new(String::with_capacity(length));
    texts.iter().for_each(|one| whole.push_str(one));
    match &run.file {
        Some(path) => text::create(path, whole.as_bytes()).map(|()| ExitCode::SUCCESS),
        None => Ok(print(whole.as_bytes())),
    }
}

fn generate(bits: u32, exponent: u64) -> Result<RsaEntry, String> {
    if bits < BITS_GOOD {
        report(&format!("a key of {bits} bits is weak: use at least {BITS_GOOD}"));
    }
    let exponent = BigNum::from_slice(&exponent.to_be_bytes()).map_err(library)?;
    private_entry(&*Rsa::generate_with_e(bits, &exponent).map_err(library)?)
}

fn print(text: &[u8]) -> ExitCode {
    match output::print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::not_printed("plainrsa-gen", &error),
    }
}

fn report(text: &str) -> ExitCode {
    // Ignored: there is nowhere else to report it.
    let _ = io::stderr().write_all(format!("plainrsa-gen: {text}\n").as_bytes());
    ExitCode::FAILURE
}
