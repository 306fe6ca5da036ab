//! `--check`: a script judged without a kernel and without root, every error listed.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::ExitCode;

use ipsec_conf::setkey::{Command, Diagnostic, ParseError, RawStatement, Splitter, Statement, parse};
use libpfkey::algorithm::Supported;
use libpfkey::backend::Choice;
use libpfkey::request::Origin;
use libpfkey::{Abi, Connection, Dialect, MessageType, SaType};
use zeroize::Zeroizing;

use crate::compose::{self, Refusal, Target};
use crate::console::Console;
use crate::resolve::Names;
use crate::script::text_of;

/// Bytes of a file read at once.
const CHUNK: usize = 64 << 10;

/// The state of a check.
struct Check<'f> {
    file: &'f str,
    abi: Abi,
    supported: Supported,
    /// Such a kernel's best door understands this library's private extensions.
    private: bool,
    errors: usize,
}

/// Judges a file (`-` is standard input) for a dialect's kernel, and the door that a run would choose.
///
/// # Errors
/// The line that says why the file cannot be read.
pub(crate) fn run(name: &str, dialect: Option<Dialect>, backend: &Choice) -> Result<ExitCode, String> {
    let dialect = dialect.unwrap_or(Dialect::HOST);
    let open = |file: io::Result<File>| file.map_err(|error| format!("Can't open `{name}': {}", text_of(&error)));
    let mut input: Box<dyn Read> = match name {
        "-" => Box::new(io::stdin()),
        _ => Box::new(open(File::open(name))?),
    };
    // The in-process engine knows what algorithms a kernel of the dialect has.
    let engine = Choice::Memory.open(Some(dialect)).map_err(|error| error.to_string())?;
    let supported = Connection::new(engine).register(SaType::Unspec).map_err(|error| error.to_string())?;
    let private = dialect == Dialect::Linux && matches!(backend, Choice::Auto | Choice::Xfrm);
    let mut check = Check { file: name, abi: Abi::of(dialect), supported, private, errors: 0 };
    let mut splitter = Splitter::script();
    let mut chunk = Zeroizing::new(vec![0; CHUNK]);
    loop {
        let length = match input.read(&mut chunk) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(format!("{name}: {}", text_of(&error))),
        };
        if length == 0 {
            break;
        }
        let mut bytes = chunk.get(..length).unwrap_or_default();
        // A statement that is too long takes nothing more in: it is judged as it stands, at the end.
        while let Some(raw) = splitter.split(&mut bytes).unwrap_or(None) {
            check.statement(raw);
        }
    }
    if let Some(raw) = splitter.finish() {
        check.statement(raw);
    }
    Ok(check.verdict())
}

impl Check<'_> {
    fn statement(&mut self, raw: RawStatement<'_>) {
        let statement = match parse(raw.text, raw.first_line) {
            Ok(statement) => statement,
            Err(error) => return self.error(raw, &error),
        };
        let mut warnings = Vec::new();
        let judged = self.compose(raw, &statement, &mut warnings);
        warnings.iter().for_each(|warning| self.print(raw, warning));
        match judged {
            Ok(()) => {}
            Err(Refusal::Error(error)) => self.error(raw, &error),
            Err(Refusal::Families) => {
                let text = "source and destination are of different address families";
                self.error(raw, &statement.error_at_end(first_word(raw.text), text));
            }
        }
    }

    /// Composes what a run would send, which finds what a run would find before it asks the kernel.
    fn compose(
        &self,
        raw: RawStatement<'_>,
        statement: &Statement<'_>,
        warnings: &mut Vec<ParseError>,
    ) -> Result<(), Refusal> {
        let (abi, private) = (self.abi, self.private);
        let target = Target { abi, supported: &self.supported, private, names: Names::Assume };
        let origin = Origin { abi: self.abi, pid: 0, seq: 0 };
        let mut bytes = Zeroizing::new(Vec::new());
        let unsendable = |error: libpfkey::Error| statement.error_at_end(first_word(raw.text), error.to_string());
        let mut sa = |message_type, sa| -> Result<(), Refusal> {
            let plan = compose::plan_sa(message_type, statement, sa, &target, warnings)?;
            plan.pairs.iter().try_for_each(|pair| plan.emit(origin, *pair, &mut bytes)).map_err(unsendable)?;
            Ok(())
        };
        let spd = |message_type, spd| -> Result<(), Refusal> {
            let plan = compose::plan_spd(message_type, statement, spd, &target)?;
            plan.emit(origin, &mut Vec::new()).map_err(unsendable)?;
            Ok(())
        };
        match &statement.command {
            Command::Add(operands) => sa(MessageType::Add, operands),
            Command::Update(operands) => sa(MessageType::Update, operands),
            Command::GetSpi(operands) => sa(MessageType::GetSpi, operands),
            Command::Get(operands) => sa(MessageType::Get, operands),
            Command::Delete(operands) => sa(MessageType::Delete, operands),
            Command::DeleteAll { options, source, destination, .. } => {
                compose::host_pairs(statement, *source, *destination, *options, Names::Assume).map(drop)
            }
            Command::SpdAdd(operands) => spd(MessageType::SpdAdd, operands),
            Command::SpdUpdate(operands) => spd(MessageType::SpdUpdate, operands),
            Command::SpdDelete(operands) => spd(MessageType::SpdDelete, operands),
            Command::Dump(_) | Command::Flush(_) | Command::SpdDump | Command::SpdFlush | Command::Quit => Ok(()),
        }
    }

    fn error(&mut self, raw: RawStatement<'_>, error: &ParseError) {
        self.errors += 1;
        self.print(raw, error);
    }

    fn print(&self, raw: RawStatement<'_>, error: &ParseError) {
        // At once: standard error has no buffer.
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

/// Where the statement itself begins.
fn first_word(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

/// Tells people, not scripts, that a file of keys can be read by others.
pub(crate) fn warn_of_readers(file: &File, name: &str, console: &mut Console) {
    let Ok(metadata) = file.metadata() else { return };
    let mode = metadata.permissions().mode();
    if console.explains() && metadata.is_file() && mode & 0o044 != 0 {
        let _ = writeln!(
            io::stderr(),
            "setkey: warning: {name} can be read by others (mode {:04o}): keys in it are no secret; chmod 600 {name}",
            mode & 0o7777
        );
    }
}
