//! Records as text, and back.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::{FromStr, Split};

use thiserror::Error;

use super::{Confirmation, KernelId, KernelState, LINE_MAX, ListedPolicy, ListedSa, Record, TEMPLATES_MAX, VERSION};
use crate::num::{SaType, ULPROTO_ANY};
use crate::policy::{Action, Direction, Level};
use crate::sa::{Mode, SaId};
use crate::security_policy::{PolicyId, PolicySpec, Template};
use crate::selector::{Selector, SelectorAddress};

/// First word of a file.
const MAGIC: &str = "racoon-kernel-state";

/// Number of skipped lines that are described; the file may have millions.
pub const SKIPPED_MAX: usize = 16;

/// Why a file is not read at all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormatError {
    /// The first line is not that of a state file.
    #[error("line 1: expected `racoon-kernel-state VERSION boot=ID namespace=ID'")]
    Header,
    /// It is of another version of the format.
    #[error("line 1: format version {0}, expected {VERSION}")]
    Version(u32),
}

/// Line that was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {reason}")]
pub struct SkippedLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// State file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFile {
    /// What the file is valid for.
    pub id: KernelId,
    /// What its records amount to.
    pub state: KernelState,
    /// Number of lines behind the first one.
    pub lines: usize,
    /// Lines that are not records, or were not written to their end: the first [`SKIPPED_MAX`] of them.
    pub skipped: Vec<SkippedLine>,
    /// Number of such lines.
    pub skipped_lines: usize,
}

impl StateFile {
    /// Parses the bytes of a file. An empty file is an error, as is one with a first line that was not written to its end.
    ///
    /// # Errors
    /// If the first line is not one of this version.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
        let first = lines.next().and_then(|line| whole(line).ok()).ok_or(FormatError::Header)?;
        let (id, state) = (header(first)?, KernelState::default());
        let mut file = Self { id, state, lines: 0, skipped: Vec::new(), skipped_lines: 0 };
        // Later lines are read even so: each is complete in itself, and skipping one only forgets one entry.
        for (number, line) in (2..).zip(lines) {
            file.lines += 1;
            let applied = whole(line)
                .and_then(|line| record(line).ok_or("not a record"))
                .and_then(|record| file.state.apply(record).then_some(()).ok_or("about an entry that is not listed"));
            if let Err(reason) = applied {
                file.skipped_lines += 1;
                // A damaged file may have millions.
                if file.skipped.len() < SKIPPED_MAX {
                    file.skipped.push(SkippedLine { line: number, reason });
                }
            }
        }
        Ok(file)
    }
}

/// The text of a line that was written to its end.
fn whole(line: &[u8]) -> Result<&str, &'static str> {
    // A record is never this long, so nothing of a longer line is worth reading.
    if line.len() > LINE_MAX {
        return Err("longer than a record");
    }
    // racoon was killed while it wrote this line.
    let line = line.strip_suffix(b"\n").ok_or("cut off")?;
    std::str::from_utf8(line).map_err(|_| "not text")
}

fn header(line: &str) -> Result<KernelId, FormatError> {
    let mut fields = line.split(' ');
    if fields.next() != Some(MAGIC) {
        return Err(FormatError::Header);
    }
    let version = number(&mut fields).ok_or(FormatError::Header)?;
    if version != VERSION {
        return Err(FormatError::Version(version));
    }
    let mut id = |name: &str| {
        let value = fields.next()?.strip_prefix(name)?;
        (!value.is_empty()).then(|| value.to_owned())
    };
    let (boot, namespace) = id("boot=").zip(id("namespace=")).ok_or(FormatError::Header)?;
    fields.next().is_none().then_some(KernelId { boot, namespace }).ok_or(FormatError::Header)
}

type Fields<'a> = Split<'a, char>;

/// A number as it is printed: decimal digits only.
fn number<T: FromStr>(fields: &mut Fields<'_>) -> Option<T> {
    decimal(fields.next()?)
}

fn decimal<T: FromStr>(text: &str) -> Option<T> {
    // `parse` would also take a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn record(line: &str) -> Option<Record> {
    let mut fields = line.split(' ');
    let fields = &mut fields;
    let record = match (fields.next()?, fields.next()?) {
        ("policy", "request") => policy_request(fields)?,
        ("policy", "present") => {
            let id = policy_id(fields)?;
            Record::PolicyPresent(id, Confirmation { index: number(fields)?, time: number(fields)? })
        }
        ("policy", "gone") => Record::PolicyGone(policy_id(fields)?),
        ("sa", "request") => Record::SaRequest(ListedSa {
            id: sa_id(fields)?,
            mode: value_named(&MODES, fields.next()?)?,
            reqid: number(fields)?,
            requested: number(fields)?,
            confirmed: None,
        }),
        ("sa", "present") => Record::SaPresent(sa_id(fields)?, number(fields)?),
        ("sa", "gone") => Record::SaGone(sa_id(fields)?),
        _ => return None,
    };
    fields.next().is_none().then_some(record)
}

fn policy_request(fields: &mut Fields<'_>) -> Option<Record> {
    let (id, priority, requested) = (policy_id(fields)?, number(fields)?, number(fields)?);
    let (action, templates) = match fields.next()? {
        "discard" => (Action::Discard, Vec::new()),
        "pass" => (Action::None, Vec::new()),
        "protect" => {
            let templates = fields.map(template).collect::<Option<Vec<_>>>()?;
            // racoon installs none with more, so a longer list is a damaged line.
            (1..=TEMPLATES_MAX).contains(&templates.len()).then_some((Action::Ipsec, templates))?
        }
        _ => return None,
    };
    let spec = PolicySpec { action: Some(action), priority: Some(priority), templates, ..PolicySpec::named(id) };
    Some(Record::PolicyRequest(ListedPolicy { spec, requested, confirmed: None }))
}

fn policy_id(fields: &mut Fields<'_>) -> Option<PolicyId> {
    let direction = value_named(&DIRECTIONS, fields.next()?)?;
    let (mut source, mut destination) = (prefix(fields.next()?)?, prefix(fields.next()?)?);
    let protocol = match fields.next()? {
        "any" => ULPROTO_ANY,
        number => decimal(number).filter(|number| *number != 0)?,
    };
    source.address.set_port(number(fields)?);
    destination.address.set_port(number(fields)?);
    let selector = Selector { source, destination, protocol };
    (source.address.is_ipv4() == destination.address.is_ipv4()).then_some(PolicyId::new(selector, direction))
}

fn prefix(text: &str) -> Option<SelectorAddress> {
    let (address, length) = text.split_once('/')?;
    SelectorAddress::network(address.parse().ok()?, decimal(length)?).ok()
}

fn template(text: &str) -> Option<Template> {
    let mut fields = text.split(',');
    let fields = &mut fields;
    let sa_type = value_named(&PROTOCOLS, fields.next()?)?;
    let mode = value_named(&MODES, fields.next()?)?;
    let level = match (fields.next()?, number(fields)?) {
        ("default", 0) => Level::Default,
        ("use", 0) => Level::Use,
        ("require", 0) => Level::Require,
        ("unique", reqid) => Level::Unique(reqid),
        // No other level has a reqid.
        _ => return None,
    };
    let mut address = || Some(SocketAddr::new(fields.next()?.parse::<IpAddr>().ok()?, 0));
    let endpoints = match mode {
        Mode::Tunnel => Some((address()?, address()?)),
        _ => None,
    };
    fields.next().is_none().then_some(Template { sa_type, mode, level, endpoints })
}

fn sa_id(fields: &mut Fields<'_>) -> Option<SaId> {
    let sa_type = value_named(&PROTOCOLS, fields.next()?)?;
    let (source, destination) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    // As it is written, with all eight digits: anything else is a damaged line.
    let digits = fields.next()?.strip_prefix("0x").filter(|digits| digits.len() == 8)?;
    let all_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let spi = all_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()?;
    Some(SaId::new(sa_type, source, destination, spi))
}

/// Names of the protocols that racoon negotiates.
const PROTOCOLS: [(SaType, &str); 3] = [(SaType::Ah, "ah"), (SaType::Esp, "esp"), (SaType::IpComp, "ipcomp")];
const MODES: [(Mode, &str); 2] = [(Mode::Transport, "transport"), (Mode::Tunnel, "tunnel")];
const DIRECTIONS: [(Direction, &str); 3] =
    [(Direction::In, "in"), (Direction::Out, "out"), (Direction::Forward, "fwd")];

fn value_named<T: Copy>(names: &[(T, &str)], name: &str) -> Option<T> {
    names.iter().find(|(_, other)| *other == name).map(|(value, _)| *value)
}

/// The name of a value, or `-`, with which a line is no record.
fn name_of<T: Copy + PartialEq>(names: &[(T, &'static str)], value: T) -> &'static str {
    names.iter().find(|(other, _)| *other == value).map_or("-", |(_, name)| name)
}

impl fmt::Display for KernelId {
    /// First line of a file, without the newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MAGIC} {VERSION} boot={} namespace={}", self.boot, self.namespace)
    }
}

impl fmt::Display for Record {
    /// Its line, without the newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PolicyRequest(ListedPolicy { spec, requested, .. }) => {
                write!(f, "policy request {} {} {requested} ", spec.id, spec.priority.unwrap_or(0))?;
                write_action(f, spec)
            }
            Self::PolicyPresent(id, Confirmation { index, time }) => write!(f, "policy present {id} {index} {time}"),
            Self::PolicyGone(id) => write!(f, "policy gone {id}"),
            Self::SaRequest(ListedSa { id, mode, reqid, requested, .. }) => {
                write!(f, "sa request {id} {} {reqid} {requested}", name_of(&MODES, *mode))
            }
            Self::SaPresent(id, time) => write!(f, "sa present {id} {time}"),
            Self::SaGone(id) => write!(f, "sa gone {id}"),
        }
    }
}

fn write_action(f: &mut fmt::Formatter<'_>, spec: &PolicySpec) -> fmt::Result {
    match spec.action {
        Some(Action::Ipsec) => f.write_str("protect")?,
        Some(Action::Discard) | None => f.write_str("discard")?,
        Some(Action::None | Action::Bypass | Action::Entrust) => f.write_str("pass")?,
    }
    for template in &spec.templates {
        let (level, reqid) = match template.level {
            Level::Default => ("default", 0),
            Level::Use => ("use", 0),
            Level::Require => ("require", 0),
            Level::Unique(reqid) => ("unique", reqid),
        };
        let (protocol, mode) = (name_of(&PROTOCOLS, template.sa_type), name_of(&MODES, template.mode));
        write!(f, " {protocol},{mode},{level},{reqid}")?;
        if let Some((source, destination)) = template.endpoints {
            write!(f, ",{},{}", source.ip(), destination.ip())?;
        }
    }
    Ok(())
}
