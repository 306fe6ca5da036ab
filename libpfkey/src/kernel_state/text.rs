//! Records as text, and back.

use std::fmt;
use std::net::IpAddr;
use std::str::{FromStr, Split};

use thiserror::Error;

use super::{
    Action, Confirmation, Direction, KernelId, KernelState, LINE_MAX, Level, Mode, PolicyEntry, PolicyKey, Prefix,
    Protocol, Record, SaEntry, SaKey, Selector, TEMPLATES_MAX, Template, VERSION,
};

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
        for (number, line) in (2..).zip(lines) {
            file.lines += 1;
            let applied = whole(line)
                .and_then(|line| record(line).ok_or("not a record"))
                .and_then(|record| file.state.apply(record).then_some(()).ok_or("about an entry that is not listed"));
            if let Err(reason) = applied {
                file.skipped_lines += 1;
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
    if line.len() > LINE_MAX {
        return Err("longer than a record");
    }
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
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn record(line: &str) -> Option<Record> {
    let mut fields = line.split(' ');
    let fields = &mut fields;
    let record = match (fields.next()?, fields.next()?) {
        ("policy", "request") => Record::PolicyRequest(PolicyEntry {
            key: policy_key(fields)?,
            priority: number(fields)?,
            requested: number(fields)?,
            action: action(fields)?,
            confirmed: None,
        }),
        ("policy", "present") => {
            let key = policy_key(fields)?;
            Record::PolicyPresent(key, Confirmation { index: number(fields)?, time: number(fields)? })
        }
        ("policy", "gone") => Record::PolicyGone(policy_key(fields)?),
        ("sa", "request") => Record::SaRequest(SaEntry {
            key: sa_key(fields)?,
            mode: Mode::from_word(fields.next()?)?,
            reqid: number(fields)?,
            requested: number(fields)?,
            confirmed: None,
        }),
        ("sa", "present") => Record::SaPresent(sa_key(fields)?, number(fields)?),
        ("sa", "gone") => Record::SaGone(sa_key(fields)?),
        _ => return None,
    };
    fields.next().is_none().then_some(record)
}

fn policy_key(fields: &mut Fields<'_>) -> Option<PolicyKey> {
    let direction = Direction::from_word(fields.next()?)?;
    let (source, destination) = (prefix(fields.next()?)?, prefix(fields.next()?)?);
    let protocol = match fields.next()? {
        "any" => 0,
        number => decimal(number).filter(|number| *number != 0)?,
    };
    let selector =
        Selector { source, destination, protocol, source_port: number(fields)?, destination_port: number(fields)? };
    (source.address.is_ipv4() == destination.address.is_ipv4()).then_some(PolicyKey { direction, selector })
}

fn prefix(text: &str) -> Option<Prefix> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length = decimal(length).filter(|length| *length <= if address.is_ipv4() { 32 } else { 128 })?;
    Some(Prefix { address, length })
}

fn action(fields: &mut Fields<'_>) -> Option<Action> {
    Some(match fields.next()? {
        "discard" => Action::Discard,
        "pass" => Action::Pass,
        "protect" => {
            let templates = fields.map(template).collect::<Option<Vec<_>>>()?;
            (1..=TEMPLATES_MAX).contains(&templates.len()).then_some(Action::Protect(templates))?
        }
        _ => return None,
    })
}

fn template(text: &str) -> Option<Template> {
    let mut fields = text.split(',');
    let fields = &mut fields;
    let protocol = Protocol::from_word(fields.next()?)?;
    let mode = Mode::from_word(fields.next()?)?;
    let level = Level::from_word(fields.next()?)?;
    let reqid = number(fields)?;
    let mut address = || fields.next()?.parse::<IpAddr>().ok();
    let endpoints = match mode {
        Mode::Transport => None,
        Mode::Tunnel => Some((address()?, address()?)),
    };
    fields.next().is_none().then_some(Template { protocol, mode, level, reqid, endpoints })
}

fn sa_key(fields: &mut Fields<'_>) -> Option<SaKey> {
    let protocol = Protocol::from_word(fields.next()?)?;
    let (source, destination) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let digits = fields.next()?.strip_prefix("0x").filter(|digits| digits.len() == 8)?;
    let all_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let spi = all_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()?;
    Some(SaKey { protocol, source, destination, spi })
}

/// The words of an enumeration, both ways.
macro_rules! words {
    ($type:ident, $($variant:ident $word:literal),*) => {
        impl $type {
            fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $type {
            /// Its word in a record.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $word,)*
                })
            }
        }
    };
}

words!(Protocol, Ah "ah", Esp "esp", Ipcomp "ipcomp");
words!(Mode, Transport "transport", Tunnel "tunnel");
words!(Direction, In "in", Out "out", Forward "fwd");
words!(Level, Default "default", Use "use", Require "require", Unique "unique");

impl fmt::Display for KernelId {
    /// First line of a file, without the newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MAGIC} {VERSION} boot={} namespace={}", self.boot, self.namespace)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Display for PolicyKey {
    /// Direction and selector, as in a record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Selector { source, destination, protocol, source_port, destination_port } = self.selector;
        write!(f, "{} {source} {destination} ", self.direction)?;
        match protocol {
            0 => f.write_str("any")?,
            number => write!(f, "{number}")?,
        }
        write!(f, " {source_port} {destination_port}")
    }
}

impl fmt::Display for SaKey {
    /// Protocol, addresses and SPI, as in a record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {:#010x}", self.protocol, self.source, self.destination, self.spi)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{},{}", self.protocol, self.mode, self.level, self.reqid)?;
        match self.endpoints.filter(|_| self.mode == Mode::Tunnel) {
            Some((source, destination)) => write!(f, ",{source},{destination}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discard => f.write_str("discard"),
            Self::Pass => f.write_str("pass"),
            Self::Protect(templates) => {
                f.write_str("protect")?;
                templates.iter().try_for_each(|template| write!(f, " {template}"))
            }
        }
    }
}

impl fmt::Display for Record {
    /// Its line, without the newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PolicyRequest(PolicyEntry { key, action, priority, requested, .. }) => {
                write!(f, "policy request {key} {priority} {requested} {action}")
            }
            Self::PolicyPresent(key, Confirmation { index, time }) => write!(f, "policy present {key} {index} {time}"),
            Self::PolicyGone(key) => write!(f, "policy gone {key}"),
            Self::SaRequest(SaEntry { key, mode, reqid, requested, .. }) => {
                write!(f, "sa request {key} {mode} {reqid} {requested}")
            }
            Self::SaPresent(key, time) => write!(f, "sa present {key} {time}"),
            Self::SaGone(key) => write!(f, "sa gone {key}"),
        }
    }
}
