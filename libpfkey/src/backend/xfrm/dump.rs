//! A dump under way: its last entry is marked, so each is held until the next is there; and the kernel may say that
//! the table changed meanwhile, so that it has to be read again.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, Hash, RandomState};

use zeroize::Zeroizing;

use super::numbers::flag;
use crate::dialect::Abi;
use crate::wire::{Header, peek_header, replace_header};

/// How often a table that changes all the time is read.
const ROUNDS: u32 = 8;

/// A dump under way.
#[derive(Debug, Default)]
pub(super) struct Dump {
    /// The entry that waits for its successor, and its header to be.
    held: Option<(Header, Zeroizing<Vec<u8>>)>,
    /// Entries so far.
    entries: u32,
    /// A part of this round was marked: it is no snapshot.
    interrupted: bool,
    rounds: u32,
    /// Hashes of the names of the entries so far, so that another round tells only what is new.
    seen: HashSet<u64>,
    hasher: RandomState,
}

/// How a dump ends.
#[derive(Debug)]
pub(super) enum End {
    /// The kernel is to be asked again.
    Again,
    /// There was nothing.
    Empty,
    /// The last entry.
    Last(Zeroizing<Vec<u8>>),
    /// The last entry; the table never stood still.
    Unsettled(Zeroizing<Vec<u8>>),
}

impl Dump {
    /// Notes the flags of an entry's frame; whether the entry of this name was not there before.
    pub(super) fn is_new(&mut self, flags: u16, name: impl Hash) -> bool {
        self.interrupted |= flags & flag::DUMP_INTR != 0;
        self.seen.insert(self.hasher.hash_one(name))
    }

    /// Takes an entry, and gives the one before, numbered.
    pub(super) fn hold(&mut self, message: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
        let header = peek_header(Abi::HOST, &message).ok()?;
        self.entries = self.entries.saturating_add(1);
        let (header, before) = self.held.replace((Header { seq: self.entries, ..header }, message))?;
        numbered(header, before)
    }

    /// Ends a round. `flags`: those of the frame that ended it.
    pub(super) fn end(&mut self, flags: u16) -> End {
        let interrupted = std::mem::take(&mut self.interrupted) || flags & flag::DUMP_INTR != 0;
        self.rounds += 1;
        if interrupted && self.rounds < ROUNDS {
            return End::Again;
        }
        let Some((header, last)) = std::mem::take(self).held else { return End::Empty };
        // The last of a dump has number 0. Where an errno follows, that is the end.
        let seq = if interrupted { header.seq } else { 0 };
        match numbered(Header { seq, ..header }, last) {
            None => End::Empty,
            Some(last) if interrupted => End::Unsettled(last),
            Some(last) => End::Last(last),
        }
    }
}

fn numbered(header: Header, mut message: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
    replace_header(Abi::HOST, &mut message, &header).ok()?;
    Some(message)
}
