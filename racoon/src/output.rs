//! Standard output of the commands, and error texts. Output that was asked for and cannot be written is an error.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// Prints a text and flushes it.
///
/// # Errors
/// Those of write(2), as for a full device or a closed pipe.
pub(crate) fn print(text: impl AsRef<[u8]>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_ref())?;
    stdout.flush()
}

/// Reports an output error and returns the exit status. A closed pipe needs no message.
pub(crate) fn not_printed(program: &str, error: &io::Error) -> ExitCode {
    if error.kind() != ErrorKind::BrokenPipe {
        let _ = io::stderr().write_all(format!("{program}: standard output: {}\n", reason(error)).as_bytes());
    }
    ExitCode::FAILURE
}

/// Returns an error of the same kind whose text begins with the file's name.
pub(crate) fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {}", path.display(), reason(error)))
}

/// Returns an error's text without the `(os error N)` that Rust appends.
pub(crate) fn reason(error: &dyn Display) -> String {
    let text = error.to_string();
    let mut parts = text.split(" (os error ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once(')').map_or("", |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_is_removed() {
        let error = io::Error::from_raw_os_error(libc::ENOENT);
        assert_eq!(reason(&error), "No such file or directory");
        assert_eq!(
            reason(&format!("/no/such: {error}; again: {error}.")),
            "/no/such: No such file or directory; again: No such file or directory."
        );
        assert_eq!(reason(&"nothing of the system"), "nothing of the system");
    }
}
