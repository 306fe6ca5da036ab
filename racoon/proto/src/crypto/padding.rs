//! Padding of encrypted messages (RFC 2408 section 3.1; the `padding` section of racoon.conf).

use thiserror::Error;

use crate::random::Random;

/// Longest padding in bytes: its length must fit into its last byte.
const MOST: usize = 255;

/// The padding of messages to whole blocks. It has at least one byte; the last one contains its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    /// Whether it consists of random bytes instead of zeros.
    pub randomize: bool,
    /// Whether a random number of blocks, from 1 to `maximum_length` + 1, is added.
    pub randomize_length: bool,
    /// The limit of `randomize_length`, in blocks.
    pub maximum_length: u16,
    /// Whether messages are refused whose last byte is not the length of their padding.
    pub strict_check: bool,
    /// Whether the length in the last byte excludes that byte.
    pub exclusive_tail: bool,
}

/// The padding of a peer's message is invalid (only with `strict_check`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the last byte says {claimed} bytes of padding where there is room for {room}")]
pub struct PaddingError {
    /// The length of the padding according to its last byte, including that byte.
    pub claimed: usize,
    /// The number of bytes after the payloads.
    pub room: usize,
}

impl Padding {
    /// Pads the payloads of a message to whole blocks of a cipher.
    pub fn pad(&self, body: &mut Vec<u8>, block: usize, random: &mut dyn Random) {
        let block = block.max(1);
        // At least one byte, which contains the length: a whole block if the payloads end with a block.
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

    /// Draws the number of blocks to add: at least 1, but no more than the last byte can express.
    fn more_blocks(&self, needed: usize, block: usize, random: &mut dyn Random) -> usize {
        let mut number = [0; 4];
        random.fill(&mut number);
        let wanted = u32::from_be_bytes(number) % (u32::from(self.maximum_length) + 1) + 1;
        let possible = MOST.saturating_sub(needed) / block;
        usize::try_from(wanted).unwrap_or(usize::MAX).min(possible)
    }

    /// Checks the padding of a decrypted message whose payloads end at `payload_end` by their own lengths. Without `strict_check`
    /// anything may follow them.
    ///
    /// # Errors
    /// If the last byte is not the length of padding that fits after the payloads, or if nothing follows them.
    pub fn check(&self, plain: &[u8], payload_end: usize) -> Result<(), PaddingError> {
        // RFC 2409 Appendix B requires zeros, without a length.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::SeededRandom;

    fn padded(padding: &Padding, body: &[u8], block: usize) -> Vec<u8> {
        let mut message = body.to_vec();
        padding.pad(&mut message, block, &mut SeededRandom::new(1));
        message
    }

    #[test]
    fn zeros_and_a_last_byte_that_counts_the_others() {
        let zeros = Padding { randomize: false, ..Padding::default() };
        assert_eq!(padded(&zeros, b"abcde", 8), b"abcde\0\0\x02");
        assert_eq!(padded(&zeros, b"abcdefg", 8), b"abcdefg\0");
        assert_eq!(padded(&zeros, b"abcdefgh", 8), b"abcdefgh\0\0\0\0\0\0\0\x07");
        assert_eq!(padded(&zeros, b"", 8), b"\0\0\0\0\0\0\0\x07");
        let inclusive = Padding { exclusive_tail: false, ..zeros };
        assert_eq!(padded(&inclusive, b"abcde", 8), b"abcde\0\0\x03");
        assert_eq!(padded(&inclusive, b"abcdefg", 8), b"abcdefg\x01");
    }

    #[test]
    fn random_bytes() {
        let message = padded(&Padding::default(), b"a", 16);
        assert_eq!(message.len(), 16);
        assert!(message[1..15].iter().any(|byte| *byte != 0));
        assert_eq!(message[15], 14);
        // The settings decide, not the seed.
        assert_eq!(message, padded(&Padding::default(), b"a", 16));
    }

    #[test]
    fn random_lengths_are_one_block_more_up_to_the_maximum_and_one() {
        let padding = Padding { randomize_length: true, maximum_length: 3, ..Padding::default() };
        let mut random = SeededRandom::new(1);
        let mut blocks: Vec<usize> = Vec::new();
        for _ in 0..200 {
            let mut message = b"ab".to_vec();
            padding.pad(&mut message, 8, &mut random);
            assert_eq!(usize::from(*message.last().unwrap()), message.len() - 3);
            blocks.push(message.len() / 8);
        }
        blocks.sort_unstable();
        blocks.dedup();
        assert_eq!(blocks, [2, 3, 4, 5]);
    }

    #[test]
    fn strict_is_padding_that_fits() {
        let strict = Padding { strict_check: true, ..Padding::default() };
        let inclusive = Padding { exclusive_tail: false, ..strict };
        assert_eq!(strict.check(b"abcde\0\0\x02", 5), Ok(()));
        assert_eq!(strict.check(b"abcde\0\0\x03", 5), Err(PaddingError { claimed: 4, room: 3 }));
        assert_eq!(inclusive.check(b"abcde\0\0\x03", 5), Ok(()));
        assert_eq!(inclusive.check(b"abcde\0\0\0", 5), Err(PaddingError { claimed: 0, room: 3 }));
        assert_eq!(strict.check(b"abcdefgh", 8), Err(PaddingError { claimed: 105, room: 0 }));
        assert_eq!(strict.check(b"\xff", 0), Err(PaddingError { claimed: 256, room: 1 }));
        assert_eq!(strict.check(b"", 0), Err(PaddingError { claimed: 1, room: 0 }));
        assert_eq!(strict.check(b"ab", 3), Err(PaddingError { claimed: 99, room: 0 }));
        let error = strict.check(b"abcdefgh", 8).unwrap_err();
        assert_eq!(error.to_string(), "the last byte says 105 bytes of padding where there is room for 0");
        // Others read the lengths of the payloads.
        assert_eq!(Padding::default().check(b"abcdefgh", 8), Ok(()));
    }

    prop_compose! {
        fn any_padding()(
            bits in any::<[bool; 3]>(),
            maximum_length in prop_oneof![0..30_u16, any::<u16>()],
        ) -> Padding {
            let [randomize, randomize_length, exclusive_tail] = bits;
            Padding { randomize, randomize_length, maximum_length, strict_check: true, exclusive_tail }
        }
    }

    proptest! {
        #[test]
        fn what_is_padded_passes(
            padding in any_padding(),
            body in prop::collection::vec(any::<u8>(), 0..100),
            block in prop::sample::select(vec![8_usize, 16]),
            seed: u64,
        ) {
            let mut message = body.clone();
            padding.pad(&mut message, block, &mut SeededRandom::new(seed));
            prop_assert_eq!(message.len() % block, 0);
            prop_assert!(message.starts_with(&body));
            prop_assert!((1..=MOST).contains(&(message.len() - body.len())));
            prop_assert_eq!(padding.check(&message, body.len()), Ok(()));
        }

        #[test]
        fn anything_can_be_checked(
            padding in any_padding(),
            plain in prop::collection::vec(any::<u8>(), 0..100),
            end: usize,
        ) {
            let _ = padding.check(&plain, end);
        }
    }
}
