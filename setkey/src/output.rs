//! Failures of standard output.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::script::text_of;

/// Reports why standard output cannot be written, and returns the exit status.
///
/// A closed pipe is not reported, because its reader does not want more.
pub(crate) fn failure(error: &io::Error) -> ExitCode {
    if error.kind() != io::ErrorKind::BrokenPipe {
        let _ = writeln!(io::stderr(), "setkey: standard output: {}", text_of(error));
    }
    ExitCode::FAILURE
}

/// Exits because standard output cannot be written.
pub(crate) fn abort(error: &io::Error) -> ! {
    let _ = failure(error);
    std::process::exit(1)
}

/// Prints a text that is the whole output of the program.
pub(crate) fn print(text: &str, code: ExitCode) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => code,
        Err(error) => failure(&error),
    }
}
