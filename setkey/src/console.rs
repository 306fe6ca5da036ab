//! Output for users and scripts: text on standard output, and messages in the form of the C program.

use std::io::{self, BufWriter, IsTerminal as _, Write as _};

use ipsec_conf::setkey::{Diagnostic, ParseError, RawStatement, narrow};

use crate::output;

/// Source of statements, which determines the form and the destination of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A script: messages go to standard error, and name the file and line.
    File(String),
    /// Standard input or a command line option: messages go to standard output.
    Unnamed,
}

/// The output of one run.
#[derive(Debug)]
pub(crate) struct Console {
    source: Source,
    out: BufWriter<io::Stdout>,
    /// Standard error, or the buffer of a test.
    errors: Errors,
    /// Standard error is a terminal: source lines and hints follow messages.
    explains: bool,
    /// Lines are edited at a terminal: a message has a line of its own, and the hint follows.
    edited: bool,
    /// A statement failed.
    failed: bool,
}

/// Destination of error lines.
struct Errors(Box<dyn io::Write + Send>);

impl std::fmt::Debug for Errors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Errors")
    }
}

impl Console {
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            errors: Errors(Box::new(io::stderr())),
            out: BufWriter::with_capacity(64 << 10, io::stdout()),
            explains: io::stderr().is_terminal(),
            edited: false,
            failed: false,
        }
    }

    /// Creates a console whose error lines a test reads.
    #[cfg(test)]
    pub(crate) fn heard_by(errors: impl io::Write + Send + 'static) -> Self {
        Self { errors: Errors(Box::new(errors)), explains: false, ..Self::new(Source::Unnamed) }
    }

    /// Returns whether a statement has failed.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// Returns whether standard error is a terminal.
    pub(crate) fn explains(&self) -> bool {
        self.explains
    }

    /// Returns whether messages are about a script, and therefore go to standard error.
    pub(crate) fn is_script(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// Prints text on standard output. If it cannot be written, the program exits, because its output has no reader.
    pub(crate) fn print(&mut self, text: impl AsRef<[u8]>) {
        if let Err(error) = self.out.write_all(text.as_ref()) {
            output::abort(&error);
        }
    }

    /// Flushes standard output.
    pub(crate) fn flush(&mut self) {
        if let Err(error) = self.out.flush() {
            output::abort(&error);
        }
    }

    /// Prints a line on standard error, after flushing standard output.
    fn complain(&mut self, line: impl AsRef<[u8]>) {
        self.flush();
        // A single write, so that lines of several processes do not mix.
        let line = [line.as_ref(), b"\n"].concat();
        let _ = self.errors.0.write_all(&line);
    }

    /// Switches to messages between edited lines.
    pub(crate) fn stand_between_edited_lines(&mut self) {
        self.edited = true;
    }

    /// Sets the name of the script for later messages.
    pub(crate) fn set_file(&mut self, name: &str) {
        self.source = Source::File(name.to_owned());
    }

    /// Prints `setkey: TEXT` on standard error, without recording a failure.
    pub(crate) fn note(&mut self, text: &str) {
        self.complain(format!("setkey: {text}"));
    }

    /// Reports a failure of the system: `setkey: TEXT` on standard error.
    pub(crate) fn system(&mut self, text: &str) {
        self.failed = true;
        self.complain(format!("setkey: {text}"));
    }

    /// Reports that a request could not be sent, on standard error, with the line if there is one.
    pub(crate) fn refused(&mut self, line: u32, text: &str) {
        match &self.source {
            Source::File(_) => self.kernel(line, text),
            Source::Unnamed => self.system(text),
        }
    }

    /// Reports the kernel's answer to the statement that ends on `line`.
    pub(crate) fn kernel(&mut self, line: u32, text: &str) {
        self.failed = true;
        match &self.source {
            Source::File(file) => {
                let line = format!("setkey: {file},{line}: {text}");
                self.complain(line);
            }
            Source::Unnamed => self.print(format!("{text}.\n")),
        }
    }

    /// Reports an error in a statement. The caller decides whether to continue.
    pub(crate) fn error(&mut self, raw: RawStatement<'_>, error: &ParseError) {
        self.failed = true;
        if let Some(line) = &error.library_line {
            self.complain(narrow(line));
        }
        self.message(error);
        // As in the C program, an illegal character is reported without `parse failed`.
        if matches!(self.source, Source::File(_)) && !error.is_fatal() {
            self.parse_failed(error.line);
        }
        self.explain(raw, error);
    }

    /// Prints a warning about a statement, which is executed nevertheless.
    pub(crate) fn warning(&mut self, raw: RawStatement<'_>, warning: &ParseError) {
        self.message(warning);
        self.explain(raw, warning);
    }

    /// Reports that source and destination of a statement have no address family in common. Programs read `parse failed`; people
    /// also get the reason.
    pub(crate) fn no_family(&mut self, raw: RawStatement<'_>, error: Option<&ParseError>) {
        self.parse_failed(raw.line);
        let Some(error) = error else { return };
        if self.edited {
            self.message(error);
        }
        self.explain(raw, error);
    }

    /// Prints the last line about an error in a script, which for some errors is the only one.
    fn parse_failed(&mut self, line: u32) {
        self.failed = true;
        if let Source::File(file) = &self.source {
            let line = format!("setkey: {file},{line}: parse failed");
            self.complain(line);
        }
    }

    fn message(&mut self, error: &ParseError) {
        // The token is printed with the bytes of the script.
        let text = narrow(&error.to_string());
        match &self.source {
            Source::File(file) => {
                let place = format!("setkey: {file},{}: ", error.line);
                self.complain([place.as_bytes(), &text].concat());
            }
            Source::Unnamed if self.edited => {
                let hint = error.hint.as_deref().map(|hint| format!("\n  {hint}")).unwrap_or_default();
                self.print([&text[..], hint.as_bytes(), b"\n"].concat());
            }
            // Without a newline, as in the C program.
            Source::Unnamed => self.print(text),
        }
    }

    /// Prints the source line of a script, for people. Typed lines are on the screen already.
    fn explain(&mut self, raw: RawStatement<'_>, error: &ParseError) {
        let Source::File(file) = &self.source else { return };
        if self.explains {
            let text = Diagnostic::new(file, raw, error).to_string();
            self.complain(text);
        }
    }
}
