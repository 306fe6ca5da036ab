//! Padding of encrypted messages (RFC 2408 section 3.1; the `padding` block of racoon.conf).

use thiserror::Error;

use crate::random::Random;

/// The most bytes that the last byte, which counts the ones before it, can stand for.
const MOST: usize = 255;

/// How messages are padded to whole blocks. Padding is always added: its last byte tells how much of it there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    /// Its bytes are random, else zero.
    pub randomize: bool,
    /// There are up to `maximum_length` + 1, and at least one, blocks more than are needed.
    pub randomize_length: bool,
    /// See `randomize_length`; in blocks.
    pub maximum_length: u16,
    /// Refuse messages of peers whose last byte does not tell how much padding there is.
    pub strict_check: bool,
    /// The last byte does not count itself.
    pub exclusive_tail: bool,
}

/// What a peer's message ends with is not padding (only with `strict_check`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the last byte says {claimed} bytes of padding where there is room for {room}")]
pub struct PaddingError {
    /// Bytes of padding that the last byte stands for, itself counted.
    pub claimed: usize,
    /// Bytes behind the payloads.
    pub room: usize,
}

impl Padding {
    /// Pads the payloads of a message to whole blocks of a cipher.
    pub fn pad(&self, body: &mut Vec<u8>, block: usize, random: &mut dyn Random) {
        let block = block.max(1);
        let needed = block - body.len() % block;
        let more = if self.randomize_length { self.more_blocks(needed, block, random) * block } else { 0 };
        let length = needed + more;
        let start = body.len();
        body.resize(start + length, 0);
        if let (true, Some(padding)) = (self.randomize, body.get_mut(start..)) {
            random.fill(padding);
        }
        if let Some(last) = body.last_mut() {
            let told = if self.exclusive_tail { length - 1 } else { length };
            *last = u8::try_from(told).unwrap_or(u8::MAX);
        }
    }

    /// How many blocks more, from 1 on, but no more than the last byte can tell of.
    fn more_blocks(&self, needed: usize, block: usize, random: &mut dyn Random) -> usize {
        let mut number = [0; 4];
        random.fill(&mut number);
        let wanted = u32::from_be_bytes(number) % (u32::from(self.maximum_length) + 1) + 1;
        let possible = MOST.saturating_sub(needed) / block;
        usize::try_from(wanted).unwrap_or(usize::MAX).min(possible)
    }

    /// Checks the padding of a decrypted message whose payloads, by their own lengths, end at `payload_end`. Without
    /// `strict_check` anything may follow them.
    ///
    /// # Errors
    /// If the last byte does not tell of padding that fits behind the payloads: also if nothing is behind them.
    pub fn check(&self, plain: &[u8], payload_end: usize) -> Result<(), PaddingError> {
        if !self.strict_check {
            return Ok(());
        }
        let room = plain.len().saturating_sub(payload_end);
        let last = plain.last().copied().map_or(0, usize::from);
        let claimed = if self.exclusive_tail { last + 1 } else { last };
        if (1..=room).contains(&claimed) { Ok(()) } else { Err(PaddingError { claimed, room }) }
    }
}

impl Default for Padding {
    /// The defaults of racoon.conf.
    fn default() -> Self {
        Self { randomize: true, randomize_length: false, maximum_length: 20, strict_check: false, exclusive_tail: true }
    }
}
