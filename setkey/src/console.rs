//! What users and scripts see: text on standard output, messages in the reference's form.

use std::io::{self, BufWriter, IsTerminal as _, Write as _};

use ipsec_conf::setkey::{Diagnostic, ParseError, RawStatement, narrow};

use crate::output;

/// Where statements come from, which decides the form of messages and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A script: messages go to standard error and name file and line.
    File(String),
    /// Standard input, or a command line option: messages go to standard output.
    Unnamed,
}

/// The output of one run.
#[derive(Debug)]
pub(crate) struct Console {
    source: Source,
    out: BufWriter<io::Stdout>,
    /// Standard error, or what a test reads.
    errors: Errors,
    /// People read standard error: source lines and hints follow messages.
    explains: bool,
    /// Lines are typed and edited at a terminal: a message has a line of its own, and the hint follows.
    edited: bool,
    /// A statement failed.
    failed: bool,
}

/// Where error lines go.
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

    /// One whose error lines a test reads.
    #[cfg(test)]
    pub(crate) fn heard_by(errors: impl io::Write + Send + 'static) -> Self {
        Self { errors: Errors(Box::new(errors)), explains: false, ..Self::new(Source::Unnamed) }
    }

    /// Whether a statement failed so far.
    pub(crate) fn failed(&self) -> bool {
        self.failed
    }

    /// Whether people read standard error.
    pub(crate) fn explains(&self) -> bool {
        self.explains
    }

    /// Whether messages are about a script, and so go to standard error.
    pub(crate) fn is_script(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// Text for standard output. When it cannot be written the program ends: nobody is left to work for.
    pub(crate) fn print(&mut self, text: impl AsRef<[u8]>) {
        if let Err(error) = self.out.write_all(text.as_ref()) {
            output::abort(&error);
        }
    }

    /// Makes what was printed visible.
    pub(crate) fn flush(&mut self) {
        if let Err(error) = self.out.flush() {
            output::abort(&error);
        }
    }

    /// A line on standard error, behind all that was printed.
    fn complain(&mut self, line: impl AsRef<[u8]>) {
        self.flush();
        let line = [line.as_ref(), b"\n"].concat();
        let _ = self.errors.0.write_all(&line);
    }

    /// From now on messages stand between lines that are edited.
    pub(crate) fn stand_between_edited_lines(&mut self) {
        self.edited = true;
    }

    /// Names the script that messages are about from now on.
    pub(crate) fn set_file(&mut self, name: &str) {
        self.source = Source::File(name.to_owned());
    }

    /// A line on standard error that is no failure: `setkey: TEXT`.
    pub(crate) fn note(&mut self, text: &str) {
        self.complain(format!("setkey: {text}"));
    }

    /// A failure of the system: `setkey: TEXT` on standard error.
    pub(crate) fn system(&mut self, text: &str) {
        self.failed = true;
        self.complain(format!("setkey: {text}"));
    }

    /// A failure to hand a request over: on standard error, with the line where there is one.
    pub(crate) fn refused(&mut self, line: u32, text: &str) {
        match &self.source {
            Source::File(_) => self.kernel(line, text),
            Source::Unnamed => self.system(text),
        }
    }

    /// What the kernel said to the statement that ends on `line`.
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

    /// An error in a statement. Whether reading goes on is the caller's business.
    pub(crate) fn error(&mut self, raw: RawStatement<'_>, error: &ParseError) {
        self.failed = true;
        if let Some(line) = &error.library_line {
            self.complain(narrow(line));
        }
        self.message(error);
        if matches!(self.source, Source::File(_)) && !error.is_fatal() {
            self.parse_failed(error.line);
        }
        self.explain(raw, error);
    }

    /// A warning about a statement, which is carried out all the same.
    pub(crate) fn warning(&mut self, raw: RawStatement<'_>, warning: &ParseError) {
        self.message(warning);
        self.explain(raw, warning);
    }

    /// Source and destination of a statement have no family in common: programs read `parse failed`, people also why.
    pub(crate) fn no_family(&mut self, raw: RawStatement<'_>, error: Option<&ParseError>) {
        self.parse_failed(raw.line);
        let Some(error) = error else { return };
        if self.edited {
            self.message(error);
        }
        self.explain(raw, error);
    }

    /// The last line about an error in a script; about some it is the only one.
    fn parse_failed(&mut self, line: u32) {
        self.failed = true;
        if let Source::File(file) = &self.source {
            let line = format!("setkey: {file},{line}: parse failed");
            self.complain(line);
        }
    }

    fn message(&mut self, error: &ParseError) {
        // The token is shown in the bytes of the script.
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
            // No newline, as it always was.
            Source::Unnamed => self.print(text),
        }
    }

    /// The source line of a script, for people. What was typed stands on the screen already.
    fn explain(&mut self, raw: RawStatement<'_>, error: &ParseError) {
        let Source::File(file) = &self.source else { return };
        if self.explains {
            let text = Diagnostic::new(file, raw, error).to_string();
            self.complain(text);
        }
    }
}
