//! Command line of `racoon`.

use std::ffi::OsString;
use std::path::PathBuf;

use getopts::{Fail, Matches, Options, ParsingStyle};

use crate::log;
use crate::net::{Family, Ports};

/// First line of the usage text and of `-V`.
pub const VERSION_LINE: &str = concat!("racoon @(#) ipsec-tools-rs ", env!("CARGO_PKG_VERSION"));

/// Output of `--version`.
pub const SHORT_VERSION: &str = concat!("racoon (ipsec-tools-rs) ", env!("CARGO_PKG_VERSION"), "\n");

/// Configuration file without `-f`.
pub const DEFAULT_FILE: &str = "/etc/racoon/racoon.conf";

/// Features listed by `-V`.
const FEATURES: [&str; 3] = ["IPv6 support", "Dead Peer Detection", "Monotonic clock"];

/// Usage text behind [`VERSION_LINE`].
const USAGE: &str = "\
usage: racoon [-46BdFLvyZ] [-f FILE] [-l LOG] [-p PORT] [-P PORT]
       racoon -t [-C] [-f FILE] [--against OLD]
       racoon -C [-t] [-f FILE]
       racoon -V | --version | -h | --help
  -f FILE         configuration file (/etc/racoon/racoon.conf)
the daemon:
  -4, -6          listen on one address family only, if the file names no addresses
  -B              restore the SAs saved in `path backupsa'
  -d              increase the log level; may be repeated
  -F              stay in the foreground; also log to standard output
  -L              log the source location of each line
  -l LOG          log to a file instead of syslog
  -p PORT         UDP port for IKE instead of 500
  -P PORT         UDP port for NAT traversal instead of 4500
  -v              log the bytes of each message
  -y              accepted and ignored
  -Z              allow two daemons on one kernel, for tests
checking a configuration:
  -t              print all errors and warnings; needs neither a kernel nor root
  --against OLD   with -t: print which remotes and sainfos are new, gone or different
  -C              print the configuration with all defaults
  -V              print the version and the supported features
  --version       print the version only
  -h, --help      print this text
";

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Run the daemon.
    Daemon(DaemonOptions),
    /// Check or print a configuration.
    Check {
        /// `-t`: report errors and warnings.
        test: bool,
        /// `-C`: print the configuration with all defaults.
        dump: bool,
        /// `--against`: configuration to compare with.
        against: Option<String>,
    },
}

/// A parsed command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub mode: Mode,
    /// `-f`: the configuration file.
    pub file: String,
}

/// Options of the daemon. They override the configuration, a reloaded one too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonOptions {
    /// `-4` and `-6`; the last one wins.
    pub family: Option<Family>,
    /// `-B`: restore saved SAs.
    pub backup: bool,
    /// `-F`: stay in the foreground.
    pub foreground: bool,
    /// `-d`: number of levels to raise the log by.
    pub debug: u8,
    /// `-v`: verbosity of packet dumps.
    pub verbose: u8,
    /// `-L`: log the source location of each record.
    pub location: bool,
    /// `-l`: log to this file instead of syslog.
    pub log_file: Option<PathBuf>,
    /// `-p` and `-P`: replacements for ports 500 and 4500.
    pub ports: Ports,
    /// `-Z`: another daemon runs on this host.
    pub local_test: bool,
}

impl DaemonOptions {
    /// Returns the options that concern the log.
    pub fn log(&self) -> log::LogOptions {
        log::LogOptions {
            file: self.log_file.clone(),
            foreground: self.foreground,
            location: self.location,
            raise: self.debug,
        }
    }
}

/// Reason to exit before doing anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EarlyExit {
    /// `-h`: print the usage text.
    Help,
    /// Invalid arguments: print this line and the usage text.
    Usage(String),
    /// `-V`: print version and features.
    Version,
    /// `--version`: print the version.
    ShortVersion,
}

fn options() -> Options {
    let mut options = Options::new();
    // As with getopt(3), a flag may be repeated.
    for flag in ["4", "6", "B", "C", "d", "F", "h", "L", "t", "V", "v", "y", "Z"] {
        options.optflagmulti(flag, "", "");
    }
    for option in ["f", "l", "p", "P"] {
        options.optmulti(option, "", "", "");
    }
    options.optmulti("", "against", "", "").optflagmulti("", "help", "").optflagmulti("", "version", "");
    options.parsing_style(ParsingStyle::StopAtFirstFree);
    options
}

/// Parses the arguments after the program's name.
///
/// # Errors
/// What to print instead of running.
pub fn parse(arguments: &[OsString]) -> Result<Invocation, EarlyExit> {
    let given = options().parse(arguments).map_err(|fail| EarlyExit::Usage(getopt_message(&fail)))?;
    if given.opt_present("V") {
        return Err(EarlyExit::Version);
    }
    if given.opt_present("version") {
        return Err(EarlyExit::ShortVersion);
    }
    if given.opt_present("h") || given.opt_present("help") {
        return Err(EarlyExit::Help);
    }
    if let Some(operand) = given.free.first() {
        return Err(EarlyExit::Usage(format!("racoon: unexpected argument `{operand}'")));
    }
    let mode = mode(&given)?;
    Ok(Invocation { mode, file: last(&given, "f").unwrap_or_else(|| DEFAULT_FILE.to_owned()) })
}

fn mode(given: &Matches) -> Result<Mode, EarlyExit> {
    // In every mode, so that an invalid port is always an error.
    let daemon = daemon(given)?;
    let (test, dump, against) = (given.opt_present("t"), given.opt_present("C"), last(given, "against"));
    if against.is_some() && !test {
        return Err(EarlyExit::Usage("racoon: --against needs -t".into()));
    }
    Ok(if test || dump { Mode::Check { test, dump, against } } else { Mode::Daemon(daemon) })
}

fn daemon(given: &Matches) -> Result<DaemonOptions, EarlyExit> {
    let last_position = |flag| given.opt_positions(flag).pop();
    let family = match (last_position("4"), last_position("6")) {
        (None, None) => None,
        // `None` is less than any position.
        (v4, v6) if v4 > v6 => Some(Family::V4),
        _ => Some(Family::V6),
    };
    let usual = Ports::default();
    Ok(DaemonOptions {
        family,
        backup: given.opt_present("B"),
        foreground: given.opt_present("F"),
        debug: times(given, "d"),
        verbose: times(given, "v"),
        location: given.opt_present("L"),
        log_file: last(given, "l").map(PathBuf::from),
        ports: Ports { isakmp: port(given, "p", usual.isakmp)?, natt: port(given, "P", usual.natt)? },
        local_test: given.opt_present("Z"),
    })
}

/// Returns how often a flag is given.
fn times(given: &Matches, flag: &str) -> u8 {
    u8::try_from(given.opt_count(flag)).unwrap_or(u8::MAX)
}

/// Returns an option's last value.
fn last(given: &Matches, option: &str) -> Option<String> {
    given.opt_strs(option).pop()
}

/// Returns an option's last value as a port; every value must be valid.
fn port(given: &Matches, option: &str, usual: u16) -> Result<u16, EarlyExit> {
    given.opt_strs(option).iter().try_fold(usual, |_, text| {
        let port = text.parse::<u16>().ok().filter(|&port| port != 0);
        port.ok_or_else(|| EarlyExit::Usage(format!("racoon: -{option} needs a port from 1 to 65535, not `{text}'")))
    })
}

/// Formats an error as getopt(3) does.
fn getopt_message(fail: &Fail) -> String {
    let single = |name: &str| name.chars().count() == 1;
    match fail {
        Fail::ArgumentMissing(name) if single(name) => format!("racoon: option requires an argument -- '{name}'"),
        Fail::ArgumentMissing(name) => format!("racoon: option '--{name}' requires an argument"),
        Fail::UnrecognizedOption(name) if single(name) => format!("racoon: invalid option -- '{name}'"),
        Fail::UnrecognizedOption(name) => format!("racoon: unrecognized option '--{name}'"),
        other => format!("racoon: {other}"),
    }
}

/// Returns the output of `-V`.
pub fn version() -> String {
    let features = FEATURES.iter().map(|feature| format!("- {feature}\n")).collect::<String>();
    format!("{VERSION_LINE}\n\nCompiled with:\n{features}")
}

/// Returns the usage text.
pub fn usage() -> String {
    format!("{VERSION_LINE}\n{USAGE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(arguments: &[&str]) -> Result<Invocation, EarlyExit> {
        parse(&arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn mode_of(arguments: &[&str]) -> Mode {
        of(arguments).unwrap().mode
    }

    #[test]
    fn modes() {
        let check = |test, dump, against: Option<&str>| Mode::Check { test, dump, against: against.map(Into::into) };
        assert_eq!(mode_of(&[]), Mode::Daemon(DaemonOptions::default()));
        assert_eq!(mode_of(&["-t"]), check(true, false, None));
        assert_eq!(mode_of(&["-tC"]), check(true, true, None));
        assert_eq!(mode_of(&["-C", "-v"]), check(false, true, None));
        assert_eq!(mode_of(&["-t", "--against", "old"]), check(true, false, Some("old")));
    }

    #[test]
    fn daemon_options() {
        let daemon = |arguments: &[&str]| match mode_of(arguments) {
            Mode::Daemon(options) => options,
            other => panic!("{other:?}"),
        };
        let all = daemon(&["-46BFLZy", "-ddd", "-vv", "-llog", "-l", "log2", "-p", "1", "-p", "501", "-P4501"]);
        let expected = DaemonOptions {
            family: Some(Family::V6),
            backup: true,
            foreground: true,
            debug: 3,
            verbose: 2,
            location: true,
            log_file: Some("log2".into()),
            ports: Ports { isakmp: 501, natt: 4501 },
            local_test: true,
        };
        assert_eq!(all, expected);
        assert_eq!(daemon(&["-6", "-F", "-4"]).family, Some(Family::V4));
        assert_eq!(daemon(&["-6"]).family, Some(Family::V6));
        assert_eq!(daemon(&[&format!("-{}", "d".repeat(300))]).debug, u8::MAX);
    }

    #[test]
    fn files() {
        assert_eq!(of(&["-t"]).unwrap().file, "/etc/racoon/racoon.conf");
        assert_eq!(of(&["-tf", "a", "-f", "b"]).unwrap().file, "b");
        assert_eq!(of(&["-tfa"]).unwrap().file, "a");
    }

    #[test]
    fn refused() {
        let usage_error = |arguments: &[&str]| match of(arguments).unwrap_err() {
            EarlyExit::Usage(line) => line,
            other => format!("{other:?}"),
        };
        assert_eq!(usage_error(&["-x"]), "racoon: invalid option -- 'x'");
        assert_eq!(usage_error(&["-f"]), "racoon: option requires an argument -- 'f'");
        assert_eq!(usage_error(&["--frob"]), "racoon: unrecognized option '--frob'");
        assert_eq!(usage_error(&["-t", "file"]), "racoon: unexpected argument `file'");
        assert_eq!(usage_error(&["-p", "0"]), "racoon: -p needs a port from 1 to 65535, not `0'");
        assert_eq!(usage_error(&["-P", "65536"]), "racoon: -P needs a port from 1 to 65535, not `65536'");
        assert_eq!(usage_error(&["-px", "-p500"]), "racoon: -p needs a port from 1 to 65535, not `x'");
        assert_eq!(usage_error(&["--against", "old"]), "racoon: --against needs -t");
        assert_eq!(of(&["-Vh"]), Err(EarlyExit::Version));
        assert_eq!(of(&["-h", "file"]), Err(EarlyExit::Help));
        assert_eq!(of(&["-F", "--help"]), Err(EarlyExit::Help));
        assert_eq!(of(&["--version", "--help"]), Err(EarlyExit::ShortVersion));
    }
}
