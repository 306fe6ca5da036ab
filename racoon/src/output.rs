//! Standard output of the programs: what was asked for, and so is an error if it cannot be written.

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

/// Prints a text, all of it.
///
/// # Errors
/// It cannot be written, as to a full device or to a pipe without a reader.
pub(crate) fn print(text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_ref())?;
    stdout.flush()
}

/// The exit status of a program whose output could not be written. A reader that has seen enough needs no message.
pub(crate) fn not_printed(program: &str, error: &io::Error) -> ExitCode {
    if error.kind() != ErrorKind::BrokenPipe {
        let reason = error.raw_os_error().map_or_else(|| error.to_string(), libpfkey::errno_text);
        let _ = io::stderr().write_all(format!("{program}: standard output: {reason}\n").as_bytes());
    }
    ExitCode::FAILURE
}
