//! Entry point of `racoon`: runs the daemon, or checks and prints a configuration.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use ipsec_conf::racoon::{Changes, Config, Passwords, load};
use racoon_proto::crypto;

use crate::certificates::{Snapshot, no_report};
use crate::cli::{self, EarlyExit, Invocation, Mode};
use crate::config;
use crate::config_diff;
use crate::daemon;
use crate::files::Files;
use crate::output;
use crate::unimplemented;

/// Warning of `-t` about a file without remotes.
const NO_REMOTE: &str = "no remote section: racoon negotiates with nobody, \
                         and a running racoon with tunnels refuses to reload such a file";

/// Runs the command.
pub fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).collect::<Vec<OsString>>();
    match cli::parse(&arguments) {
        Ok(run) => execute(&run),
        Err(refused) => refuse(refused),
    }
}

fn refuse(refused: EarlyExit) -> ExitCode {
    match refused {
        EarlyExit::Version => print(&cli::version()),
        EarlyExit::ShortVersion => print(cli::SHORT_VERSION),
        EarlyExit::Help => print(&cli::usage()),
        EarlyExit::Usage(line) => {
            print_diagnostic(io::stderr(), &format!("{line}\n{}", cli::usage()));
            ExitCode::FAILURE
        }
    }
}

fn execute(run: &Invocation) -> ExitCode {
    let (test, dump, against) = match &run.mode {
        // Everything below needs neither root nor a kernel.
        Mode::Daemon(options) => return daemon::run(&run.file, options.clone()),
        Mode::Check { test, dump, against } => (test, dump, against),
    };
    let Some(config) = read(&run.file) else {
        if *test {
            print_diagnostic(io::stderr(), &format!("racoon: configuration file \"{}\" test failed\n", run.file));
        } else {
            // The wording of the C racoon, which scripts may look for.
            print_diagnostic(io::stderr(), "racoon: failed to parse configuration file.\n");
        }
        return ExitCode::FAILURE;
    };
    let mut shown = String::new();
    if *dump {
        shown.push_str(&config.to_text(Passwords::Hidden));
    }
    if let Some(old) = against {
        let Some(old) = read(old) else {
            print_diagnostic(io::stderr(), &format!("racoon: cannot compare with \"{old}\": it has errors\n"));
            return ExitCode::FAILURE;
        };
        shown.push_str(&config_diff::describe(&Changes::between(&old, &config)));
    }
    if *test {
        let warning = unimplemented::warning(&config);
        if !warning.is_empty() {
            print_diagnostic(io::stderr(), &format!("{warning}\n"));
        }
        if config.remotes.is_empty() {
            print_diagnostic(io::stderr(), &format!("{}: warning: {NO_REMOTE}\n", run.file));
        }
    }
    // With -C, standard output is a configuration that racoon can read.
    if *test && !*dump {
        let file = &run.file;
        shown.push_str(&format!(
            "racoon: configuration file \"{file}\" syntax is ok\nracoon: configuration file \"{file}\" test is successful\n"
        ));
    }
    print(&shown)
}

/// Prints the requested output.
fn print(text: &str) -> ExitCode {
    match output::print(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => output::not_printed("racoon", &error),
    }
}

/// Reads a configuration and reports its problems; `None` if it is unusable.
fn read(file: &str) -> Option<Config> {
    // Old PKCS#12 files have ciphers that it provides. What it lacks is the daemon's business.
    let _ = crypto::initialise();
    let files = Files::default();
    let load = load(file, &files);
    let mut shown = load.problems.iter().map(|problem| format!("{problem}\n")).collect::<String>();
    let translated = load.config.as_ref().map(|config| translate(config, &files, &mut shown));
    print_diagnostic(io::stderr(), &shown);
    load.config.filter(|_| translated == Some(true))
}

/// Reads the certificates of a configuration and translates it. Returns whether it can be used, and appends the problems.
fn translate(config: &Config, files: &Files, shown: &mut String) -> bool {
    let snapshot = match Snapshot::load(config, files, &no_report()) {
        Ok((snapshot, warnings)) => {
            let warnings = warnings.into_iter().chain(snapshot.ending_soon());
            warnings.for_each(|warning| shown.push_str(&format!("warning: {warning}\n")));
            snapshot
        }
        Err(errors) => {
            errors.iter().for_each(|error| shown.push_str(&format!("{error}\n")));
            return false;
        }
    };
    let errors = config::translate(config, &snapshot).err().unwrap_or_default();
    errors.iter().for_each(|error| shown.push_str(&format!("{error}\n")));
    errors.is_empty()
}

/// Prints a diagnostic. Errors are ignored, because there is nowhere else to report them.
fn print_diagnostic(mut to: impl Write, text: &str) {
    let _ = to.write_all(text.as_bytes());
}
