//! Standard output that cannot be written.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::script::text_of;

/// Says why standard output cannot be written, unless it is that its reader is gone: then nobody waits for more.
///
/// The status that the program ends with.
pub(crate) fn failure(error: &io::Error) -> ExitCode {
    if error.kind() != io::ErrorKind::BrokenPipe {
        let _ = writeln!(io::stderr(), "setkey: standard output: {}", text_of(error));
    }
    ExitCode::FAILURE
}

/// Ends the program because standard output cannot be written.
pub(crate) fn abort(error: &io::Error) -> ! {
    let _ = failure(error);
    std::process::exit(1)
}

/// Prints a text that is all the program was asked for.
pub(crate) fn print(text: &str, code: ExitCode) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => code,
        Err(error) => failure(&error),
    }
}
