//! Checks the statements of the files and collects the wanted state.

use std::collections::{HashMap, HashSet};

use ipsec_conf::setkey::{Command, ParseError, Protocol, RawStatement, Sa, Spd, Splitter, Statement};
use libpfkey::request::RequestHeader;
use libpfkey::{Message, MessageType, SaType};
use zeroize::Zeroizing;

use super::facts::{PolicyName, SaName, of_policy, of_sa};
use super::plan::{Place, Wanted, WantedPolicy, WantedSa};
use crate::compose::{self, Refusal, Target, sa_type_of};
use crate::console::Console;
use crate::validate::{HAS_COPY, HAS_FORWARD, Severity, Validator, families};

/// A file that was read completely.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// Contents of the files.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) wanted: Wanted,
    /// Types of SAs that are removed unless a statement names them; [`SaType::Unspec`] means all.
    pub(super) flushed: Vec<SaType>,
    /// Policies are removed unless a statement names them.
    pub(super) spd_flushed: bool,
}

/// Reads the statements of all files, and reports every error.
///
/// # Errors
/// Returns the number of errors.
pub(super) fn read(files: &[File], target: Target<'_>, mirror: bool, console: &mut Console) -> Result<Request, usize> {
    let mut reader = Reader {
        validator: Validator::without_duplicates(target),
        target,
        mirror,
        request: Request::default(),
        sas: HashMap::new(),
        policies: HashMap::new(),
        copies: HashSet::new(),
        warnings: Vec::new(),
        files,
        errors: 0,
    };
    for (number, file) in (0..).zip(files) {
        console.set_file(&file.name);
        reader.file(number, &file.bytes, console);
    }
    if reader.errors == 0 { Ok(reader.request) } else { Err(reader.errors) }
}

struct Reader<'f> {
    validator: Validator<'f>,
    target: Target<'f>,
    /// `in` policies get a `fwd` copy.
    mirror: bool,
    request: Request,
    /// Index of each name in the lists.
    sas: HashMap<SaName, usize>,
    policies: HashMap<PolicyName, usize>,
    /// Names of the `fwd` copies.
    copies: HashSet<PolicyName>,
    /// Warnings about the current statement.
    warnings: Vec<ParseError>,
    files: &'f [File],
    errors: usize,
}

/// Position of the next statement.
#[derive(Clone, Copy, Debug)]
struct Position {
    file: usize,
    /// Only `flush` and `spdflush` precede it in its file.
    leading: bool,
}

impl Reader<'_> {
    fn file(&mut self, file: usize, mut bytes: &[u8], console: &mut Console) {
        let mut splitter = Splitter::script();
        let mut position = Position { file, leading: true };
        // A statement that is too long is checked as it is, at the end.
        while let Some(raw) = splitter.split(&mut bytes).unwrap_or(None) {
            if !self.raw(raw, &mut position, console) {
                return;
            }
        }
        if let Some(raw) = splitter.finish() {
            self.raw(raw, &mut position, console);
        }
    }

    /// Processes a statement. Returns `false` if it ends the file.
    fn raw(&mut self, raw: RawStatement<'_>, position: &mut Position, console: &mut Console) -> bool {
        let statement = match raw.parse() {
            Ok(statement) => statement,
            Err(error) => {
                self.error(raw, &error, console);
                return true;
            }
        };
        // `quit` ends only its own file; the next one is read as well.
        if statement.command == Command::Quit {
            return false;
        }
        let mut errors = Vec::new();
        for finding in self.validator.statement(&statement) {
            match finding.severity {
                Severity::Warning => console.warning(raw, &finding.error),
                Severity::Error => errors.push(finding.error),
            }
        }
        // A statement with an error is not recorded, but reading continues, to report all errors.
        if errors.is_empty() {
            let refusal = self.statement(&statement, *position).err();
            errors.extend(refusal.map(|refusal| match refusal {
                Refusal::Error(error) => *error,
                Refusal::Families => families(&statement),
            }));
        }
        self.warnings.drain(..).for_each(|warning| console.warning(raw, &warning));
        errors.iter().for_each(|error| self.error(raw, error, console));
        position.leading &= matches!(statement.command, Command::Flush(_) | Command::SpdFlush);
        true
    }

    fn error(&mut self, raw: RawStatement<'_>, error: &ParseError, console: &mut Console) {
        self.errors += 1;
        console.error(raw, error);
    }

    fn statement(&mut self, statement: &Statement<'_>, position: Position) -> Result<(), Refusal> {
        let no_place = |word: &str, advice: &str| {
            Err(error_at_word(statement, format!("`{word}' is not permitted with --replace: {advice}")).into())
        };
        match &statement.command {
            Command::Add(sa) => self.sa(statement, sa, true, position),
            Command::Update(sa) => self.sa(statement, sa, false, position),
            Command::SpdAdd(spd) => self.spd(statement, spd, true, position),
            Command::SpdUpdate(spd) => self.spd(statement, spd, false, position),
            Command::Flush(_) | Command::SpdFlush if !position.leading => {
                let text = "with --replace, a flush is permitted only at the beginning of a file";
                Err(error_at_word(statement, text).into())
            }
            Command::Flush(protocol) => {
                self.flush(*protocol);
                Ok(())
            }
            Command::SpdFlush => {
                self.request.spd_flushed = true;
                Ok(())
            }
            Command::Delete(_) => no_place("delete", "leave out the SA"),
            Command::DeleteAll { .. } => no_place("deleteall", "leave out the SAs"),
            Command::SpdDelete(_) => no_place("spddelete", "leave out the policy"),
            Command::Get(_) => no_place("get", "use setkey -c"),
            Command::Dump(_) => no_place("dump", "use setkey -D"),
            Command::SpdDump => no_place("spddump", "use setkey -DP"),
            Command::GetSpi(_) => no_place("getspi", "use setkey -c"),
            Command::Quit => Ok(()),
        }
    }

    /// Records a flush. A protocol that the kernel does not support has no SAs.
    fn flush(&mut self, protocol: Option<Protocol>) {
        self.request.flushed.extend(sa_type_of(protocol, self.target.dialect()));
    }

    /// `is_new`: the statement is an `add`, so a second one for the same SA is an error.
    fn sa(&mut self, statement: &Statement<'_>, sa: &Sa<'_>, is_new: bool, at: Position) -> Result<(), Refusal> {
        // The validator has reported the warnings.
        let plan = compose::plan_sa(MessageType::Add, statement, sa, &self.target, &mut Vec::new())?;
        for sa in &plan.sas {
            let mut message = Zeroizing::new(Vec::new());
            plan.encode(sa, self.request_header(), &mut message).map_err(|error| unsendable(statement, &error))?;
            let parsed = Message::parse(self.target.abi, &message).map_err(|error| unsendable(statement, &error))?;
            let Some((name, facts)) = of_sa(&parsed) else { continue };
            let place = Place { file: at.file, line: statement.line };
            let earlier = self.sas.get(&name).and_then(|index| self.request.wanted.sas.get_mut(*index));
            match earlier {
                Some(earlier) if is_new => {
                    let text = format!("the SA exists already ({})", written(self.files, earlier.place));
                    return Err(error_at_word(statement, text).into());
                }
                Some(earlier) => *earlier = WantedSa { name, facts, place, message },
                None => {
                    self.sas.insert(name, self.request.wanted.sas.len());
                    self.request.wanted.sas.push(WantedSa { name, facts, place, message });
                }
            }
        }
        Ok(())
    }

    /// `is_new`: the statement is an `spdadd`, so a second one for the same policy is an error.
    fn spd(&mut self, statement: &Statement<'_>, spd: &Spd<'_>, is_new: bool, at: Position) -> Result<(), Refusal> {
        let mut plan = compose::plan_spd(MessageType::SpdUpdate, statement, spd, &self.target)?;
        let mut is_copy = false;
        loop {
            let mut message = Zeroizing::new(Vec::new());
            plan.encode(self.request_header(), &mut message).map_err(|error| unsendable(statement, &error))?;
            let parsed = Message::parse(self.target.abi, &message).map_err(|error| unsendable(statement, &error))?;
            let Some((name, facts)) = of_policy(&parsed) else {
                let text = "Not supported: --replace does not support tagged policies";
                return Err(error_at_word(statement, text).into());
            };
            let place = Place { file: at.file, line: statement.line };
            let earlier = self.policies.get(&name).and_then(|index| self.request.wanted.policies.get_mut(*index));
            match earlier {
                // As without --replace, where the kernel refuses the second one.
                Some(_) if is_new && is_copy => self.warnings.push(error_at_word(statement, HAS_FORWARD)),
                Some(_) if is_new && self.copies.contains(&name) => {
                    self.warnings.push(error_at_word(statement, HAS_COPY));
                }
                Some(earlier) if is_new => {
                    let text = format!("the policy exists already ({})", written(self.files, earlier.place));
                    return Err(error_at_word(statement, text).into());
                }
                Some(earlier) => *earlier = WantedPolicy { name, facts, place, message },
                None => {
                    self.policies.insert(name.clone(), self.request.wanted.policies.len());
                    if is_copy {
                        self.copies.insert(name.clone());
                    }
                    self.request.wanted.policies.push(WantedPolicy { name, facts, place, message });
                }
            }
            let Some(forward) = plan.forward().filter(|_| self.mirror) else { return Ok(()) };
            plan = forward;
            is_copy = true;
        }
    }

    /// The requests get their sequence numbers when they are sent.
    fn request_header(&self) -> RequestHeader {
        RequestHeader { abi: self.target.abi, pid: 0, seq: 0 }
    }
}

/// `/etc/ipsec.conf,12`
pub(super) fn written(files: &[File], place: Place) -> String {
    let name = files.get(place.file).map_or("", |file| file.name.as_str());
    format!("{name},{}", place.line)
}

fn unsendable(statement: &Statement<'_>, error: &libpfkey::Error) -> Refusal {
    error_at_word(statement, error.to_string()).into()
}

/// Returns an error about a whole statement, at its first word.
fn error_at_word(statement: &Statement<'_>, text: impl Into<std::borrow::Cow<'static, str>>) -> ParseError {
    statement.error_at(statement.start(), text)
}
