//! The command line.

use std::ffi::OsString;

use getopts::{Fail, Matches, Options, ParsingStyle};

/// The first line of the usage text and of `-V`.
pub const VERSION_LINE: &str = concat!("racoon @(#) ipsec-tools-rs ", env!("CARGO_PKG_VERSION"));

/// The file that is read where `-f` names none.
pub const DEFAULT_FILE: &str = "/etc/racoon/racoon.conf";

/// What follows [`VERSION_LINE`] in the usage text.
const USAGE: &str = "\
usage: racoon -t [-C] [-f FILE] [--against OLD]
       racoon -C [-t] [-f FILE]
       racoon -V | -h
  -f FILE         configuration file (/etc/racoon/racoon.conf)
  -t              check the configuration: all errors and warnings; no kernel, no root
  --against OLD   with -t: print which remotes and sainfos are new, gone or different
  -C              print the configuration with all defaults
  -V              print the version
  -h              print this
and for the daemon, which this version does not have yet:
       racoon [-46BdFLvyZ] [-f FILE] [-l LOG] [-p PORT] [-P PORT]
";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Be the daemon.
    Daemon,
    /// Read the configuration, and say what is wrong with it.
    Check {
        /// `-t`: say how it went, and with `--against` what is new compared with another file.
        test: bool,
        /// `-C`: print it.
        dump: bool,
        /// `--against`
        against: Option<String>,
    },
}

/// A command line understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub mode: Mode,
    /// `-f`
    pub file: String,
}

/// Why there is nothing to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// `-h`: the usage text was asked for.
    Help,
    /// The usage text, and a line that says why.
    Usage(String),
    /// `-V`
    Version,
}

fn options() -> Options {
    let mut options = Options::new();
    // A flag may be given twice, as with getopt(3).
    for flag in ["4", "6", "B", "C", "d", "F", "h", "L", "t", "V", "v", "y", "Z"] {
        options.optflagmulti(flag, "", "");
    }
    for option in ["f", "l", "p", "P"] {
        options.optmulti(option, "", "", "");
    }
    options.optmulti("", "against", "", "");
    options.parsing_style(ParsingStyle::StopAtFirstFree);
    options
}

/// Understands the arguments after the program's name.
///
/// # Errors
/// What to print instead of running.
pub fn parse(arguments: &[OsString]) -> Result<Invocation, Refused> {
    let given = options().parse(arguments).map_err(|fail| Refused::Usage(complaint(&fail)))?;
    if given.opt_present("V") {
        return Err(Refused::Version);
    }
    if given.opt_present("h") {
        return Err(Refused::Help);
    }
    if let Some(operand) = given.free.first() {
        return Err(Refused::Usage(format!("racoon: unexpected argument `{operand}'")));
    }
    for option in ["p", "P"] {
        if let Some(port) = given.opt_strs(option).into_iter().find(|port| !is_port(port)) {
            return Err(Refused::Usage(format!("racoon: -{option} needs a port from 1 to 65535, not `{port}'")));
        }
    }
    Ok(Invocation { mode: mode(&given)?, file: last(&given, "f").unwrap_or_else(|| DEFAULT_FILE.to_owned()) })
}

fn mode(given: &Matches) -> Result<Mode, Refused> {
    let (test, dump, against) = (given.opt_present("t"), given.opt_present("C"), last(given, "against"));
    if against.is_some() && !test {
        return Err(Refused::Usage("racoon: --against needs -t".into()));
    }
    Ok(if test || dump { Mode::Check { test, dump, against } } else { Mode::Daemon })
}

/// The last value counts.
fn last(given: &Matches, option: &str) -> Option<String> {
    given.opt_strs(option).pop()
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port != 0)
}

/// What getopt(3) would say.
fn complaint(fail: &Fail) -> String {
    let single = |name: &str| name.chars().count() == 1;
    match fail {
        Fail::ArgumentMissing(name) if single(name) => format!("racoon: option requires an argument -- '{name}'"),
        Fail::ArgumentMissing(name) => format!("racoon: option '--{name}' requires an argument"),
        Fail::UnrecognizedOption(name) if single(name) => format!("racoon: invalid option -- '{name}'"),
        Fail::UnrecognizedOption(name) => format!("racoon: unrecognized option '--{name}'"),
        other => format!("racoon: {other}"),
    }
}

/// The usage text.
pub fn usage() -> String {
    format!("{VERSION_LINE}\n{USAGE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Result<Invocation, Refused> {
        parse(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn mode_of(arguments: &[&str]) -> Mode {
        of(arguments).unwrap().mode
    }

    #[test]
    fn modes() {
        let check = |test, dump, against: Option<&str>| Mode::Check { test, dump, against: against.map(Into::into) };
        assert_eq!(mode_of(&[]), Mode::Daemon);
        assert_eq!(mode_of(&["-F", "-ddd", "-4", "-l", "log", "-p", "500", "-P4500"]), Mode::Daemon);
        assert_eq!(mode_of(&["-t"]), check(true, false, None));
        assert_eq!(mode_of(&["-tC"]), check(true, true, None));
        assert_eq!(mode_of(&["-C", "-v"]), check(false, true, None));
        assert_eq!(mode_of(&["-t", "--against", "old"]), check(true, false, Some("old")));
    }

    #[test]
    fn files() {
        assert_eq!(of(&["-t"]).unwrap().file, "/etc/racoon/racoon.conf");
        assert_eq!(of(&["-tf", "a", "-f", "b"]).unwrap().file, "b");
        assert_eq!(of(&["-tfa"]).unwrap().file, "a");
    }

    #[test]
    fn refused() {
        let complaint = |arguments: &[&str]| match of(arguments).unwrap_err() {
            Refused::Usage(line) => line,
            other => format!("{other:?}"),
        };
        assert_eq!(complaint(&["-x"]), "racoon: invalid option -- 'x'");
        assert_eq!(complaint(&["-f"]), "racoon: option requires an argument -- 'f'");
        assert_eq!(complaint(&["--frob"]), "racoon: unrecognized option '--frob'");
        assert_eq!(complaint(&["-t", "file"]), "racoon: unexpected argument `file'");
        assert_eq!(complaint(&["-p", "0"]), "racoon: -p needs a port from 1 to 65535, not `0'");
        assert_eq!(complaint(&["-P", "65536"]), "racoon: -P needs a port from 1 to 65535, not `65536'");
        assert_eq!(complaint(&["--against", "old"]), "racoon: --against needs -t");
        assert_eq!(of(&["-Vh"]), Err(Refused::Version));
        assert_eq!(of(&["-h", "file"]), Err(Refused::Help));
    }
}
