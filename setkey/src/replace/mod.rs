//! `-f --replace`: a load that makes the kernel have what files say, without a moment in which what is protected before and
//! afterwards is not; and puts the old state back where a statement fails.
//!
//! All is checked first. Then both databases are read, the steps are planned ([`plan()`]), and carried out.

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
use std::io::{self, Read as _};
use std::process::ExitCode;

use zeroize::Zeroizing;

use self::execute::Outcome;
pub(crate) use self::foreign::Foreign;
use self::plan::{Plan, Present, Step, plan};
use self::wanted::{File, Request, written};
use crate::check::warn_of_readers;
use crate::script::text_of;
use crate::session::Session;

/// Bytes of all files at most: a mistaken name (`/dev/zero`) does not fill the memory.
const SIZE_MAX: u64 = 1 << 30;

/// Loads files in place of what the kernel has. `foreign` tells what is not theirs to remove.
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

/// Reads all files to their ends before anything is done.
fn read_files(session: &mut Session, names: &[String]) -> Result<Vec<File>, String> {
    let mut read = |name: &String| {
        let failed = |error: io::Error| format!("Can't open `{name}': {}", text_of(&error));
        let mut bytes = Zeroizing::new(Vec::new());
        let length = if name == "-" {
            io::stdin().take(SIZE_MAX).read_to_end(&mut bytes)
        } else {
            let file = fs::File::open(name).map_err(failed)?;
            warn_of_readers(&file, name, &mut session.view.console);
            // Room for all of it at once, so that no copy of keys stays behind where a smaller buffer was.
            bytes.reserve(file.metadata().map_or(0, |metadata| usize::try_from(metadata.len()).unwrap_or(0)));
            file.take(SIZE_MAX).read_to_end(&mut bytes)
        };
        let length = length.map_err(|error| format!("{name}: {}", text_of(&error)))?;
        if u64::try_from(length).unwrap_or(u64::MAX) == SIZE_MAX {
            return Err(format!("{name}: longer than {SIZE_MAX} bytes"));
        }
        Ok(File { name: name.clone(), bytes })
    };
    names.iter().map(&mut read).collect()
}

/// Loads what was read.
///
/// # Errors
/// The last line to print: what was done, or not done.
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
    if session.is_dry() {
        return Ok(());
    }
    let flushes = request.spd_flushed || !request.flushed.is_empty();
    let foreign = if flushes { foreign() } else { Ok(Foreign::default()) };
    let before = foreign.and_then(|foreign| present::read(session, &request, &foreign));
    let before = before.map_err(|text| format!("{text}; nothing was changed"))?;
    let plan = plan(session.abi().dialect, &before, &request.wanted);
    warn_of_gaps(session, files, &request, &before, &plan);
    let outcome = execute::run(session, files, &plan, &before, &request.wanted);
    if !outcome.failed {
        return Ok(());
    }
    take_back(session, files, before, request, &plan, outcome)
}

/// Tells of SAs that go before their successors come.
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

/// Puts back what was there before a failure.
///
/// # Errors
/// The line that says how that ended.
fn take_back(
    session: &mut Session,
    files: &[File],
    before: Present,
    request: Request,
    done: &Plan,
    outcome: Outcome,
) -> Result<(), String> {
    let unknown = |text: &str| format!("{text}; the old state could not be put back: load its files again");
    let mut now = present::read(session, &Request::default(), &Foreign::default()).map_err(|text| unknown(&text))?;
    let back = undo::wanted(session, before, &request, done, outcome, &now);
    undo::mark_removable(&mut now, &request, done, &back.wanted);
    let way_back = plan(session.abi().dialect, &now, &back.wanted);
    if execute::run(session, files, &way_back, &now, &back.wanted).failed {
        return Err(unknown("the old state is not whole"));
    }
    for lost in &back.lost {
        session.view.console.note(&format!("{lost} is not put back: its packets would be numbered from 1 again"));
    }
    Err(match back.lost.len() {
        0 => "nothing was changed: the old state was put back".into(),
        1 => "the old state was put back, without 1 SA".into(),
        lost => format!("the old state was put back, without {lost} SAs"),
    })
}
