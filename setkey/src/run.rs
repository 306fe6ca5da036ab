//! Runs the mode that the command line selects.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use libpfkey::algorithm::Supported;
use libpfkey::backend::BackendKind;
use libpfkey::json::{Keys, SCHEMA};
use libpfkey::{Connection, Dialect, Error, SaType, SendMode, request};

use crate::cli::{self, Invocation, Mode, Refused};
use crate::console::{Console, Source};
use crate::replace::Foreign;
use crate::session::Session;
use crate::view::{Tag, View};
use crate::{check, help, json, monitor, output, replace, replay, script};

/// Interval of `-l -D`.
const ROUND: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let run = match cli::parse(&arguments) {
        Ok(run) => run,
        Err(refused) => return refuse(refused),
    };
    // As in the C program, this is a warning on standard output.
    if run.mirror_chosen && !run.dialect.unwrap_or(Dialect::HOST).has_forward() {
        output::print("warning: -r and -k options are not supported in this environment\n", ExitCode::SUCCESS);
    }
    match execute(&run) {
        Ok(code) => code,
        Err(line) => {
            complain(&format!("setkey: {line}"));
            ExitCode::FAILURE
        }
    }
}

fn refuse(refused: Refused) -> ExitCode {
    match refused {
        Refused::Version => output::print(&format!("{}\n", cli::VERSION_LINE), ExitCode::SUCCESS),
        Refused::LongVersion => output::print(&format!("{}\n", cli::LONG_VERSION), ExitCode::SUCCESS),
        Refused::Help => output::print(&format!("{}\n{}", cli::usage(), help::OPTIONS), ExitCode::SUCCESS),
        Refused::JsonSchema => output::print(SCHEMA, ExitCode::SUCCESS),
        Refused::Usage(line) => {
            if let Some(line) = line {
                complain(&line);
            }
            output::print(&cli::usage(), ExitCode::FAILURE)
        }
        Refused::Failure(line) => {
            complain(&line);
            ExitCode::FAILURE
        }
    }
}

/// Prints a line on standard error. A failure to write it cannot be reported.
fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Runs a mode.
///
/// # Errors
/// Returns the line that says why the mode could not start.
fn execute(run: &Invocation) -> Result<ExitCode, String> {
    match &run.mode {
        Mode::Check(file) => check::run(file, run.dialect, &run.backend, run.mirror),
        Mode::Files(files) => replay::run(files, run.style, run.dialect),
        Mode::Monitor(count) => monitor::run(open(run)?, run.style.hex, *count > 1),
        Mode::Dump if run.json => {
            let keys = if run.keys { Keys::Included } else { Keys::Omitted };
            json::run(open(run)?, run.policies.then_some(run.scope), keys, run.style.dead)
        }
        Mode::Dump => dump(run),
        Mode::Flush => {
            let mut session = unregistered(run)?;
            session.flush(run.policies);
            Ok(finish(run, &mut session, ExitCode::SUCCESS))
        }
        Mode::Replace(files) => {
            let mut session = registered(run, Source::Unnamed)?;
            let foreign = || match run.backend {
                // The engine is private to this process, so it has no entries of other programs.
                BackendKind::Memory => Ok(Foreign::default()),
                _ => Foreign::of_this_host(),
            };
            let code = replace::run(&mut session, files, foreign);
            Ok(finish(run, &mut session, code))
        }
        Mode::Script(file, name) => {
            let mut session = scripted(run, Source::File(name.clone()))?;
            let code = match file {
                Some(file) => {
                    check::warn_of_readers(file, name, &mut session.view.console);
                    script::run_file(&mut session, &mut &*file, name)
                }
                None => script::run_file(&mut session, &mut io::stdin(), name),
            };
            Ok(finish(run, &mut session, code))
        }
        Mode::Stdin => {
            let mut session = scripted(run, Source::Unnamed)?;
            let code = script::run_stdin(&mut session, run.strict);
            Ok(finish(run, &mut session, code))
        }
    }
}

fn finish(run: &Invocation, session: &mut Session, code: ExitCode) -> ExitCode {
    session.view.console.flush();
    if run.strict && session.view.console.failed() { ExitCode::FAILURE } else { code }
}

fn dump(run: &Invocation) -> Result<ExitCode, String> {
    let mut session = unregistered(run)?;
    // The SPD has no short form, so `-l` repeats only SAs.
    let repeats = run.style.short && !run.policies;
    loop {
        if repeats {
            session.view.console.print(libpfkey::dump::SHORT_HEADER);
        }
        session.dump(Tag::default(), |header, buffer| match run.policies {
            true => request::spddump_of_scope(header, run.scope, buffer),
            false => request::dump(header, SaType::Unspec, buffer),
        });
        if !repeats {
            return Ok(finish(run, &mut session, ExitCode::SUCCESS));
        }
        session.view.console.flush();
        std::thread::sleep(ROUND);
    }
}

/// Opens the backend.
fn open(run: &Invocation) -> Result<Connection, String> {
    let backend = match run.backend.open(run.dialect) {
        // `-n` needs no kernel: without one, the in-process key engine provides the algorithms.
        Err(Error::System { .. }) if run.dry && run.backend == BackendKind::Auto => {
            BackendKind::Memory.open(run.dialect)
        }
        opened => opened,
    };
    backend.map(Connection::new).map_err(|error| match error {
        Error::System { ref source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            format!("{error} (needs root or CAP_NET_ADMIN)")
        }
        _ => error.to_string(),
    })
}

/// Selects how requests are sent: one at a time for people who watch single messages, or type.
fn send_mode(run: &Invocation) -> SendMode {
    // Someone who types expects each answer before the next statement.
    let typing = matches!(run.mode, Mode::Stdin) && io::stdin().is_terminal();
    if run.style.verbose || run.style.hex || typing { SendMode::Sequential } else { SendMode::Pipelined }
}

/// Opens a session that knows the kernel's algorithms.
fn registered(run: &Invocation, source: Source) -> Result<Session, String> {
    let mut connection = open(run)?;
    let supported = connection.register(SaType::Unspec).map_err(|error| error.to_string())?;
    Ok(session(run, connection, supported, source))
}

/// Opens a session for the statements of a script. (`--replace` needs the whole answers, which contain the last sequence
/// numbers of deleted SAs.)
fn scripted(run: &Invocation, source: Source) -> Result<Session, String> {
    let mut session = registered(run, source)?;
    if send_mode(run) == SendMode::Pipelined {
        session.set_brief_answers();
    }
    Ok(session)
}

/// Opens a session that does not need the kernel's algorithms.
fn unregistered(run: &Invocation) -> Result<Session, String> {
    Ok(session(run, open(run)?, Supported::default(), Source::Unnamed))
}

fn session(run: &Invocation, connection: Connection, supported: Supported, source: Source) -> Session {
    let view = View::new(Console::new(source), run.style);
    Session::new(connection, supported, view, send_mode(run), (run.dry, run.mirror))
}
