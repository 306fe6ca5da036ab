//! Command line of `plainrsa-gen`.

use std::ffi::OsString;
use std::path::PathBuf;

use getopts::{Fail, Matches, Options};

use crate::plain_rsa::{BITS_MAX, BITS_MIN};

/// Output of `--version`.
pub(super) const VERSION_LINE: &str = concat!("plainrsa-gen (ipsec-tools-rs) ", env!("CARGO_PKG_VERSION"), "\n");

/// Usage text.
pub(super) const USAGE: &str = "\
Usage: plainrsa-gen [-b bits] [-e pubexp] [-f file] [-o format]
       plainrsa-gen -i file [-f file] [-o format]
       plainrsa-gen --help | --version

  -b bits    Length of the new key (default: 3072)
  -e pubexp  Its public exponent (default: 65537)
  -f file    File to create (default: standard output)
  -i file    Convert the keys of a file: plain, PEM, or libreswan's 0s...
  -o format  plain (default), public, pem or libreswan
";

/// Length of a new key in bits.
const DEFAULT_BITS: u32 = 3072;

/// Public exponent of a new key.
const DEFAULT_EXPONENT: u64 = 65_537;

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Invocation {
    /// Where the keys come from.
    pub(super) source: Source,
    /// `-f`: the file to create.
    pub(super) file: Option<PathBuf>,
    /// `-o`.
    pub(super) format: Format,
}

/// Where keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A new key.
    New {
        /// `-b`: length in bits.
        bits: u32,
        /// `-e`: public exponent.
        exponent: u64,
    },
    /// `-i`: a file.
    File(PathBuf),
}

/// Format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Entries of a file of plain keys.
    Plain,
    /// The same without private keys.
    Public,
    /// PEM: PKCS #8 or SubjectPublicKeyInfo.
    Pem,
    /// The public key as libreswan's `leftrsasigkey` has it.
    Libreswan,
}

/// Reason to exit without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EarlyExit {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// An invalid option or operand.
    Usage(String),
    /// Any other error.
    Error(String),
}

/// Parses the arguments after the program's name. Of an option that is given twice, the last one counts.
pub(super) fn parse(arguments: &[OsString]) -> Result<Invocation, EarlyExit> {
    let mut options = Options::new();
    for name in ["b", "e", "f", "i", "o"] {
        options.optmulti(name, "", "", "");
    }
    options.optflagmulti("h", "help", "").optflagmulti("V", "version", "");
    let given = options.parse(arguments).map_err(|fail| EarlyExit::Usage(like_getopt(&fail)))?;
    if given.opt_present("V") {
        return Err(EarlyExit::Version);
    }
    if given.opt_present("h") {
        return Err(EarlyExit::Help);
    }
    if let Some(operand) = given.free.first() {
        return Err(EarlyExit::Usage(format!("unexpected operand {operand}")));
    }
    Ok(Invocation { source: source(&given)?, file: last(&given, "f").map(PathBuf::from), format: format(&given)? })
}

fn source(given: &Matches) -> Result<Source, EarlyExit> {
    if let Some(file) = last(given, "i") {
        return match ["b", "e"].into_iter().find(|option| given.opt_present(option)) {
            Some(option) => Err(EarlyExit::Usage(format!("-{option} is for a new key, and -i converts one"))),
            None => Ok(Source::File(file.into())),
        };
    }
    let bits = last(given, "b").map_or(Ok(DEFAULT_BITS), |text| {
        let bits = text.parse().ok().filter(|bits| (BITS_MIN..=BITS_MAX).contains(bits));
        bits.ok_or_else(|| EarlyExit::Error(format!("-b {text}: not a length from {BITS_MIN} to {BITS_MAX} bits")))
    })?;
    let exponent = last(given, "e").map_or(Ok(DEFAULT_EXPONENT), |text| {
        let exponent = number(&text).filter(|exponent| *exponent >= 3 && exponent % 2 == 1);
        exponent.ok_or_else(|| EarlyExit::Error(format!("-e {text}: not an odd number from 3 to {}", u64::MAX)))
    })?;
    Ok(Source::New { bits, exponent })
}

fn format(given: &Matches) -> Result<Format, EarlyExit> {
    match last(given, "o").as_deref() {
        None | Some("plain") => Ok(Format::Plain),
        Some("public") => Ok(Format::Public),
        Some("pem") => Ok(Format::Pem),
        Some("libreswan") => Ok(Format::Libreswan),
        Some(other) => Err(EarlyExit::Error(format!("-o {other}: not one of plain, public, pem and libreswan"))),
    }
}

fn last(given: &Matches, option: &str) -> Option<String> {
    given.opt_strs(option).pop()
}

/// Parses a number in decimal, or in hex after `0x`.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Formats an error as getopt(3) does.
fn like_getopt(fail: &Fail) -> String {
    match fail {
        Fail::UnrecognizedOption(name) if name.chars().count() == 1 => format!("invalid option -- '{name}'"),
        Fail::UnrecognizedOption(name) => format!("unrecognized option '--{name}'"),
        Fail::ArgumentMissing(name) => format!("option requires an argument -- '{name}'"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Invocation, EarlyExit> {
        parse(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn options() {
        let new = |bits, exponent| Source::New { bits, exponent };
        for (line, source, file, format) in [
            ("", new(3072, 65537), None, Format::Plain),
            ("-b 2048 -e 3", new(2048, 3), None, Format::Plain),
            ("-b 1024 -b 4096 -e 0x10001 -f out", new(4096, 65537), Some("out"), Format::Plain),
            ("-i in -o pem", Source::File("in".into()), None, Format::Pem),
            ("-iin -f out -o public", Source::File("in".into()), Some("out"), Format::Public),
            ("-o libreswan", new(3072, 65537), None, Format::Libreswan),
        ] {
            assert_eq!(parsed(line), Ok(Invocation { source, file: file.map(PathBuf::from), format }), "{line}");
        }
        assert_eq!(parsed("-h -b x"), Err(EarlyExit::Help));
        assert_eq!(parsed("--version"), Err(EarlyExit::Version));
    }

    #[test]
    fn errors() {
        for (line, text) in [
            ("-b 1023", "-b 1023: not a length from 1024 to 16384 bits"),
            ("-b 16385", "-b 16385: not a length from 1024 to 16384 bits"),
            ("-b abc", "-b abc: not a length from 1024 to 16384 bits"),
            ("-e 1", "-e 1: not an odd number from 3 to 18446744073709551615"),
            ("-e 0", "-e 0: not an odd number from 3 to 18446744073709551615"),
            ("-e 4", "-e 4: not an odd number from 3 to 18446744073709551615"),
            ("-e 0x", "-e 0x: not an odd number from 3 to 18446744073709551615"),
            ("-o der", "-o der: not one of plain, public, pem and libreswan"),
        ] {
            assert_eq!(parsed(line), Err(EarlyExit::Error(text.into())), "{line}");
        }
        for (line, text) in [
            ("-x", "invalid option -- 'x'"),
            ("-b", "option requires an argument -- 'b'"),
            ("extra", "unexpected operand extra"),
            ("-i in -b 2048", "-b is for a new key, and -i converts one"),
        ] {
            assert_eq!(parsed(line), Err(EarlyExit::Usage(text.into())), "{line}");
        }
    }
}
