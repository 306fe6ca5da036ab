//! Reads statements from a file or standard input, one at a time.

use std::io::{self, IsTerminal as _, Read};
use std::process::ExitCode;

use ipsec_conf::setkey::{RawStatement, Splitter, StatementTooLong};
use zeroize::Zeroizing;

use crate::compose::Refusal;
use crate::session::{Flow, Session};
use crate::terminal::Editor;
use crate::validate::families;

/// Bytes that are read from a file at once. They are more than the standard library buffers for standard input, so that it
/// reads directly into our buffer, which is wiped, and no key stays in its own.
const CHUNK: usize = 64 << 10;

/// How a part of the input ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// More input may follow.
    Open,
    /// `exit`, or the end of the input.
    Done,
    /// An error that ends the run.
    Failed,
}

/// Runs a script (`-f`). The first error ends the run.
pub(crate) fn run_file(session: &mut Session, file: &mut dyn Read, name: &str) -> ExitCode {
    let mut splitter = Splitter::script();
    let end = match feed_all(session, &mut splitter, file, name, Stop::AtErrors) {
        // The remaining text lacks its `;`.
        End::Open => splitter.finish().map_or(End::Done, |raw| statement(session, raw, Stop::AtErrors)),
        end => end,
    };
    done(session, end)
}

/// Runs standard input (`-c`). Errors are reported, and reading continues. Text after the last `;` is reported and ignored, as in
/// the C program; with `strict` (`-e`), it is a failure.
pub(crate) fn run_stdin(session: &mut Session, strict: bool) -> ExitCode {
    let mut splitter = Splitter::interactive();
    let mut input: Box<dyn Read> = match Editor::of_terminal() {
        Some(editor) => {
            session.view.console.stand_between_edited_lines();
            Box::new(editor)
        }
        None => Box::new(io::stdin()),
    };
    let mut end = feed_all(session, &mut splitter, &mut *input, "stdin", Stop::AtIllegalCharacters);
    if end == End::Open {
        end = splitter.finish().map_or(End::Done, |raw| unfinished(session, raw, strict));
    }
    done(session, end)
}

/// Reports the rest of standard input, which lacks its `;`.
fn unfinished(session: &mut Session, raw: RawStatement<'_>, strict: bool) -> End {
    session.finish();
    let text = format!("stdin,{}: the last statement lacks its `;', so it was not run", raw.first_line);
    if strict {
        session.view.console.system(&text);
        return End::Failed;
    }
    session.view.console.note(&text);
    End::Done
}

/// Executes all statements of `input`. [`End::Open`] means that it ended.
fn feed_all(session: &mut Session, splitter: &mut Splitter, input: &mut dyn Read, name: &str, stop: Stop) -> End {
    // `-c` answers as it reads; a file is read as fast as possible.
    let typed = stop == Stop::AtIllegalCharacters;
    let terminal = typed && io::stdin().is_terminal();
    let mut chunk = Zeroizing::new(vec![0; CHUNK]);
    loop {
        let length = match input.read(&mut chunk) {
            Ok(0) => return End::Open,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                session.finish();
                session.view.console.system(&format!("{name}: {}", text_of(&error)));
                return End::Failed;
            }
        };
        let mut bytes = chunk.get(..length).unwrap_or_default();
        match feed(session, splitter, &mut bytes, stop) {
            End::Open => {}
            end => return end,
        }
        // Programs that write line by line are answered line by line.
        if terminal || (typed && length < CHUNK) {
            session.finish();
            session.view.console.flush();
        }
    }
}

/// Which errors end a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    AtErrors,
    AtIllegalCharacters,
}

fn done(session: &mut Session, end: End) -> ExitCode {
    session.finish();
    session.view.console.flush();
    if end == End::Failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Executes the statements that `bytes` complete.
fn feed(session: &mut Session, splitter: &mut Splitter, bytes: &mut &[u8], stop: Stop) -> End {
    loop {
        match splitter.split(bytes) {
            Ok(None) => return End::Open,
            Ok(Some(raw)) => match statement(session, raw, stop) {
                End::Open => {}
                end => return end,
            },
            Err(too_long) => {
                session.finish();
                return over_long(session, splitter, too_long);
            }
        }
    }
}

/// Reports a statement that is too long. The place of its first error shows the cause, unless it is only where the text was
/// cut off.
fn over_long(session: &mut Session, splitter: &mut Splitter, too_long: StatementTooLong) -> End {
    match splitter.finish().map(|raw| (raw, raw.parse())) {
        Some((raw, Err(error))) if error.offset < raw.text.trim_end().len() => session.view.console.error(raw, &error),
        _ => session.view.console.kernel(too_long.line, &too_long.to_string()),
    }
    End::Failed
}

fn statement(session: &mut Session, raw: RawStatement<'_>, stop: Stop) -> End {
    let mut warnings = Vec::new();
    let refusal = match raw.parse() {
        Err(error) => Err(Refusal::from(error)),
        Ok(statement) => session.execute(&statement, &mut warnings),
    };
    if refusal.is_err() || !warnings.is_empty() {
        // Answers to earlier statements are printed first.
        session.finish();
    }
    for warning in &warnings {
        session.view.console.warning(raw, warning);
    }
    // `-f` ends at every error, `-c` only at characters that can begin no word.
    let fatal = match refusal {
        Ok(Flow::Continue) => return End::Open,
        Ok(Flow::Quit) => return End::Done,
        Err(Refusal::Error(error)) => {
            session.view.console.error(raw, &error);
            error.is_fatal()
        }
        Err(Refusal::Families) => {
            let error = raw.parse().ok().map(|statement| families(&statement));
            session.view.console.no_family(raw, error.as_ref());
            false
        }
    };
    if fatal || stop == Stop::AtErrors { End::Failed } else { End::Open }
}

/// Returns the text of an error without the number that the standard library appends.
pub(crate) fn text_of(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), libpfkey::errno_text)
}
