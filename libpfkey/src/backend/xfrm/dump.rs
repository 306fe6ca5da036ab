//! A dump under way. PF_KEY marks the last entry, so each entry is held back until the next one arrives. The kernel may
//! report that the table changed during the dump, which is then repeated.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash, RandomState};

use zeroize::Zeroizing;

use super::numbers::flag;
use crate::dialect::Abi;
use crate::wire::{Header, peek_header, replace_header};

/// How often a dump is sent while the table keeps changing.
const ROUNDS: u32 = 8;

/// A dump under way.
#[derive(Debug, Default)]
pub(super) struct Dump {
    /// The latest entry, and the header that it gets if another entry follows.
    held: Option<(Header, Zeroizing<Vec<u8>>)>,
    /// Number of entries so far, in all rounds.
    entries: u32,
    /// Whether the table changed during this round.
    interrupted: bool,
    rounds: u32,
    /// Hashes of the names of all entries so far. Another round reports only new ones.
    seen: HashSet<u64>,
    hasher: RandomState,
}

/// How a dump ends.
#[derive(Debug)]
pub(super) enum DumpEnd {
    /// The dump has to be sent again.
    Again,
    /// There was no entry.
    Empty,
    /// The last entry.
    Last(Zeroizing<Vec<u8>>),
    /// The last entry; the table changed during every round.
    Unsettled(Zeroizing<Vec<u8>>),
}

impl Dump {
    /// Notes the flags of an entry's frame. Returns whether no earlier entry had its name.
    pub(super) fn is_new(&mut self, flags: u16, name: impl Hash) -> bool {
        self.interrupted |= flags & flag::DUMP_INTR != 0;
        // Hashes, because 50,000 names would take several times the memory. A collision, which would hide an entry,
        // is improbable and cannot be provoked: the hasher's key is random.
        self.seen.insert(self.hasher.hash_one(name))
    }

    /// Takes an entry and returns the previous one with its number.
    pub(super) fn hold(&mut self, message: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
        let header = peek_header(Abi::HOST, &message).ok()?;
        self.entries = self.entries.saturating_add(1);
        let (header, before) = self.held.replace((Header { seq: self.entries, ..header }, message))?;
        numbered(header, before)
    }

    /// Ends a round. `flags` are those of the frame that ended it.
    pub(super) fn end(&mut self, flags: u16) -> DumpEnd {
        let interrupted = std::mem::take(&mut self.interrupted) || flags & flag::DUMP_INTR != 0;
        self.rounds += 1;
        if interrupted && self.rounds < ROUNDS {
            return DumpEnd::Again;
        }
        let Some((header, last)) = std::mem::take(self).held else { return DumpEnd::Empty };
        // Number 0 ends a dump, unless an errno follows and ends it.
        let seq = if interrupted { header.seq } else { 0 };
        match numbered(Header { seq, ..header }, last) {
            None => DumpEnd::Empty,
            Some(last) if interrupted => DumpEnd::Unsettled(last),
            Some(last) => DumpEnd::Last(last),
        }
    }
}

fn numbered(header: Header, mut message: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
    replace_header(Abi::HOST, &mut message, &header).ok()?;
    Some(message)
}
