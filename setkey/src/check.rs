//! `--check`: checks a script without a kernel and without root, and lists every error.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::ExitCode;

use ipsec_conf::setkey::{Command, Diagnostic, ParseError, RawStatement, Splitter};
use libpfkey::backend::BackendKind;
use libpfkey::{Abi, Connection, Dialect, SaType};
use zeroize::Zeroizing;

use crate::compose::Target;
use crate::console::Console;
use crate::resolve::Names;
use crate::script::text_of;
use crate::validate::{Severity, Validator};

/// Bytes that are read from a file at once.
const CHUNK: usize = 64 << 10;

/// State of a check.
struct Check<'f> {
    file: &'f str,
    validator: Validator<'f>,
    errors: usize,
}

/// Checks a file (`-` is standard input) against a kernel of the dialect, and the backend that a run would choose.
///
/// # Errors
/// Returns the line that says why the file cannot be read.
pub(crate) fn run(
    name: &str,
    dialect: Option<Dialect>,
    backend: &BackendKind,
    mirror: bool,
) -> Result<ExitCode, String> {
    let dialect = dialect.unwrap_or(Dialect::HOST);
    let open = |file: io::Result<File>| file.map_err(|error| format!("Can't open `{name}': {}", text_of(&error)));
    let mut input: Box<dyn Read> = match name {
        "-" => Box::new(io::stdin()),
        _ => Box::new(open(File::open(name))?),
    };
    // The in-process key engine knows the algorithms of a kernel of the dialect.
    let engine = BackendKind::Memory.open(Some(dialect)).map_err(|error| error.to_string())?;
    let supported = Connection::new(engine).register(SaType::Unspec).map_err(|error| error.to_string())?;
    // Such a kernel's best backend understands libpfkey's extensions for NETLINK_XFRM.
    let has_xfrm = dialect == Dialect::Linux && matches!(backend, BackendKind::Auto | BackendKind::Xfrm);
    let target = Target { abi: Abi::of(dialect), supported: &supported, has_xfrm, names: Names::Assume };
    let mut check = Check { file: name, validator: Validator::new(target, mirror), errors: 0 };
    let mut splitter = Splitter::script();
    let mut chunk = Zeroizing::new(vec![0; CHUNK]);
    let mut at_start = true;
    'input: loop {
        let length = match input.read(&mut chunk) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("{name}: {}", text_of(&error))),
        };
        if length == 0 {
            break;
        }
        let mut bytes = chunk.get(..length).unwrap_or_default();
        let is_start = std::mem::take(&mut at_start);
        // A file in UTF-16 is reported as a single error, because nothing in it can be parsed.
        let once = is_start && (bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff"));
        loop {
            match splitter.split(&mut bytes) {
                Ok(Some(raw)) => {
                    if check.statement(raw) || once {
                        return Ok(check.verdict());
                    }
                }
                Ok(None) => break,
                // Reading stops at a statement that is too long, because input such as `/dev/zero` never ends.
                Err(_) => break 'input,
            }
        }
    }
    if let Some(raw) = splitter.finish() {
        check.statement(raw);
    }
    Ok(check.verdict())
}

impl Check<'_> {
    /// Checks a statement. Returns whether it ends the script.
    fn statement(&mut self, raw: RawStatement<'_>) -> bool {
        let statement = match raw.parse() {
            Ok(statement) => statement,
            Err(error) => {
                self.error(raw, &error);
                return false;
            }
        };
        for finding in self.validator.statement(&statement) {
            match finding.severity {
                Severity::Warning => self.print(raw, &finding.error),
                Severity::Error => self.error(raw, &finding.error),
            }
        }
        statement.command == Command::Quit
    }

    fn error(&mut self, raw: RawStatement<'_>, error: &ParseError) {
        self.errors += 1;
        self.print(raw, error);
    }

    fn print(&self, raw: RawStatement<'_>, error: &ParseError) {
        // Writes once, because standard error is unbuffered.
        let text = format!("{}\n", Diagnostic::new(self.file, raw, error));
        let _ = io::stderr().write_all(text.as_bytes());
    }

    fn verdict(&self) -> ExitCode {
        if self.errors == 0 {
            return ExitCode::SUCCESS;
        }
        let noun = if self.errors == 1 { "error" } else { "errors" };
        let _ = writeln!(io::stderr(), "setkey: {}: {} {noun}", self.file, self.errors);
        ExitCode::FAILURE
    }
}

/// Warns people, but not scripts, of a file with keys that others can read.
pub(crate) fn warn_of_readers(file: &File, name: &str, console: &mut Console) {
    let Ok(metadata) = file.metadata() else { return };
    let mode = metadata.permissions().mode();
    if console.explains() && metadata.is_file() && mode & 0o044 != 0 {
        let _ = writeln!(
            io::stderr(),
            "setkey: warning: {name} can be read by others (mode {:04o}), so its keys are not secret: chmod 600 {name}",
            mode & 0o7777
        );
    }
}
