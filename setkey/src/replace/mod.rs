//! `-f --replace`: changes the kernel's tables to what files describe. Traffic that is protected before and after the change is
//! never sent in clear, and the previous state is restored if a statement fails.
//!
//! Everything is checked first. Then both databases are read, and the steps are planned ([`plan()`]) and executed.

mod execute;
mod facts;
mod foreign;
mod message;
mod order;
mod plan;
mod present;
#[cfg(test)]
mod tests;
mod undo;
mod wanted;

use std::fs;
use std::io;
use std::process::ExitCode;

use ipsec_conf::setkey::Splitter;
use zeroize::Zeroizing;

use self::execute::Outcome;
pub(crate) use self::facts::in_the_way;
pub(crate) use self::foreign::Foreign;
use self::plan::{Plan, Present, Step, plan};
use self::wanted::{File, Request, written};
use crate::check::warn_of_readers;
use crate::script::text_of;
use crate::session::Session;

/// Maximum size of a file in bytes.
const SIZE_MAX: usize = 1 << 30;
/// Bytes that are read from a file at once.
const CHUNK: usize = 64 << 10;

/// Replaces the contents of the kernel's tables by files. `foreign` returns the entries that they must not remove.
pub(crate) fn run(
    session: &mut Session,
    names: &[String],
    foreign: impl FnOnce() -> Result<Foreign, String>,
) -> ExitCode {
    let loaded = read_files(session, names).and_then(|files| load(session, &files, foreign));
    if let Err(line) = &loaded {
        session.view.console.system(line);
    }
    session.view.console.flush();
    if loaded.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Reads all files completely before anything is changed.
fn read_files(session: &mut Session, names: &[String]) -> Result<Vec<File>, String> {
    let mut read = |name: &String| {
        let failed = |error: io::Error| format!("Can't open `{name}': {}", text_of(&error));
        let bytes = if name == "-" {
            read_statements(&mut io::stdin())
        } else {
            let mut file = fs::File::open(name).map_err(failed)?;
            warn_of_readers(&file, name, &mut session.view.console);
            read_statements(&mut file)
        };
        let bytes = bytes.map_err(|error| format!("{name}: {}", text_of(&error)))?;
        // Reading stopped at the limit, so the file may be longer.
        if bytes.len() >= SIZE_MAX {
            return Err(format!("{name}: longer than {SIZE_MAX} bytes"));
        }
        Ok(File { name: name.clone(), bytes })
    };
    names.iter().map(&mut read).collect()
}

/// Reads to the end, or until a statement exceeds the maximum length, as with `/dev/zero`. The beginning of it suffices to report
/// the error.
fn read_statements(input: &mut dyn io::Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut splitter = Splitter::script();
    let mut chunk = Zeroizing::new(vec![0; CHUNK]);
    let mut bytes = Zeroizing::new(Vec::with_capacity(CHUNK));
    while bytes.len() < SIZE_MAX {
        let length = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut piece = chunk.get(..length).unwrap_or_default();
        if bytes.capacity() - bytes.len() < length {
            // Grow by hand, so that the smaller buffer is wiped: it contains keys.
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * bytes.capacity()));
            larger.extend_from_slice(&bytes);
            bytes = larger;
        }
        bytes.extend_from_slice(piece);
        while !piece.is_empty() {
            if splitter.split(&mut piece).is_err() {
                return Ok(bytes);
            }
        }
    }
    Ok(bytes)
}

/// Loads the files.
///
/// # Errors
/// Returns the last line to print, which says what was done and what was not.
fn load(
    session: &mut Session,
    files: &[File],
    foreign: impl FnOnce() -> Result<Foreign, String>,
) -> Result<(), String> {
    let request = session.with_target(|target, mirror, console| wanted::read(files, target, mirror, console));
    let request = request.map_err(|errors| {
        let noun = if errors == 1 { "error" } else { "errors" };
        format!("{errors} {noun}; nothing was changed")
    })?;
    // `-n` ends here, because everything after this needs the kernel's tables or changes them.
    if session.is_dry() {
        return Ok(());
    }
    let flushes = request.spd_flushed || !request.flushed.is_empty();
    // Without a flush nothing is removed, so racoon's list is not needed.
    let foreign = if flushes { foreign() } else { Ok(Foreign::default()) };
    let before = foreign.and_then(|foreign| present::read(session, &request, &foreign));
    let before = before.map_err(|text| format!("{text}; nothing was changed"))?;
    let plan = plan(session.abi().dialect, &before, &request.wanted);
    // The warnings come before the changes, while there is still time to interrupt.
    warn_of_gaps(session, files, &request, &before, &plan);
    let outcome = execute::run(session, files, &plan, &before, &request.wanted);
    if !outcome.failed {
        return Ok(());
    }
    take_back(session, files, before, request, &plan, outcome)
}

/// Warns of SAs that are deleted before their successors are added.
fn warn_of_gaps(session: &mut Session, files: &[File], request: &Request, before: &Present, plan: &Plan) {
    for step in plan.groups.iter().flatten() {
        let Step::ReplaceSa { sa, old } = *step else { continue };
        let (Some(new), Some(_)) = (request.wanted.sas.get(sa), before.sas.get(old)) else { continue };
        session.view.console.note(&format!(
            "{}: warning: {} changes under its SPI: packets are dropped until both ends have the new one; a new SPI \
             avoids that",
            written(files, new.place),
            new.facts
        ));
    }
}

/// Restores the state before a failure.
///
/// # Errors
/// Returns the line that says what could not be restored.
fn take_back(
    session: &mut Session,
    files: &[File],
    before: Present,
    request: Request,
    done: &Plan,
    outcome: Outcome,
) -> Result<(), String> {
    let unknown = |text: &str| format!("{text}; the previous state could not be restored: load its files again");
    // The tables are read again: other programs may have changed them, and answers may have been lost.
    let mut now = present::read(session, &Request::default(), &Foreign::default()).map_err(|text| unknown(&text))?;
    let back = undo::wanted(session, before, &request, done, outcome, &now);
    undo::mark_removable(&mut now, &request, done, &back.wanted);
    let way_back = plan(session.abi().dialect, &now, &back.wanted);
    if execute::run(session, files, &way_back, &now, &back.wanted).failed {
        return Err(unknown("the previous state is incomplete"));
    }
    for lost in &back.lost {
        session.view.console.note(&format!("{lost} is not restored: its sequence numbers would start from 1 again"));
    }
    Err(match back.lost.len() {
        0 => "nothing was changed: the previous state was restored".into(),
        1 => "the previous state was restored, without 1 SA".into(),
        lost => format!("the previous state was restored, without {lost} SAs"),
    })
}
