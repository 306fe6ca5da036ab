//! A database as one JSON document.

use std::io::{self, Write};

use serde::Serialize;

use super::{Keys, PolicyEntry, SaEntry, SecretBuffer, VERSION};
use crate::wire::Message;

/// Which database a document lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// The SAD: member `sas`.
    Sas,
    /// The SPD: member `policies`.
    Policies,
}

impl Database {
    fn member(self) -> &'static str {
        match self {
            Self::Sas => "sas",
            Self::Policies => "policies",
        }
    }
}

/// Writes a document entry by entry, each on a line of its own, so that a long list needs no memory.
///
/// A document without [`finish`](Self::finish) is not valid JSON. Each entry reaches the output in one `write_all`, and
/// the text is wiped afterwards; what the output keeps of it is the output's concern.
#[derive(Debug)]
pub struct Listing<W> {
    out: W,
    database: Database,
    keys: Keys,
    is_empty: bool,
    line: SecretBuffer,
}

impl<W: Write> Listing<W> {
    /// Starts a document. Nothing is written before the first entry or the end.
    pub fn new(out: W, database: Database, keys: Keys) -> Self {
        Self { out, database, keys, is_empty: true, line: SecretBuffer::default() }
    }

    /// Appends the SA or policy of one message of a dump.
    ///
    /// # Errors
    /// Those of the output.
    pub fn push(&mut self, message: &Message<'_>) -> io::Result<()> {
        match self.database {
            Database::Sas => self.entry(&SaEntry::new(message, self.keys)),
            Database::Policies => self.entry(&PolicyEntry::new(message)),
        }
    }

    /// Ends the document and returns the output, which is not flushed.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.line.clear();
        match self.is_empty {
            true => self.begin("]}\n")?,
            false => self.line.write_all(b"\n]}\n")?,
        }
        self.out.write_all(&self.line)?;
        Ok(self.out)
    }

    /// Appends an entry, which has to be of the database.
    pub(super) fn entry(&mut self, entry: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        match std::mem::replace(&mut self.is_empty, false) {
            true => self.begin("\n")?,
            false => self.line.write_all(b",\n")?,
        }
        serde_json::to_writer(&mut self.line, entry)?;
        let written = self.out.write_all(&self.line);
        self.line.clear();
        written
    }

    fn begin(&mut self, behind: &str) -> io::Result<()> {
        write!(self.line, "{{\"version\":{VERSION},\"{}\":[{behind}", self.database.member())
    }
}
