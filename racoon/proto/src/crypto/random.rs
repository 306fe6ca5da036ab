//! Sources of randomness.

use std::process;

use openssl::rand;
use openssl::sha::sha256;
use zeroize::Zeroize;

use crate::random::Random;

/// The generator of libcrypto, which the daemon uses.
///
/// It fails only if the system has no entropy, and keeps failing then. A daemon without randomness cannot do anything useful, so
/// the process is aborted with a line on standard error.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenSslRandom;

impl Random for OpenSslRandom {
    fn fill(&mut self, buffer: &mut [u8]) {
        if let Err(errors) = rand::rand_bytes(buffer) {
            eprintln!("no randomness from libcrypto: {errors}");
            process::abort();
        }
    }
}

/// A generator for tests and replays, whose bytes are SHA-256 of a seed and a counter. Nothing derived from them is secret.
#[derive(Clone, Debug)]
pub struct SeededRandom {
    seed: u64,
    /// The number of blocks generated.
    counter: u64,
    block: [u8; 32],
    /// The number of bytes of the block that were used.
    used: usize,
}

impl SeededRandom {
    /// The generator with a seed.
    pub fn new(seed: u64) -> Self {
        // All used: the first block is generated when it is needed.
        Self { seed, counter: 0, block: [0; 32], used: 32 }
    }

    fn refill(&mut self) {
        let mut input = [0; 16];
        let (seed, counter) = input.split_at_mut(8);
        seed.copy_from_slice(&self.seed.to_be_bytes());
        counter.copy_from_slice(&self.counter.to_be_bytes());
        self.block = sha256(&input);
        self.counter = self.counter.wrapping_add(1);
        self.used = 0;
    }
}

impl Random for SeededRandom {
    fn fill(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            if self.used == self.block.len() {
                self.refill();
            }
            *byte = self.block.get(self.used).copied().unwrap_or_default();
            self.used += 1;
        }
    }
}

impl Drop for SeededRandom {
    fn drop(&mut self) {
        self.block.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(source: &mut dyn Random, count: usize) -> Vec<u8> {
        let mut buffer = vec![0; count];
        source.fill(&mut buffer);
        buffer
    }

    #[test]
    fn a_seed_repeats_whatever_the_portions() {
        let whole = bytes(&mut SeededRandom::new(7), 100);
        let mut source = SeededRandom::new(7);
        let portions: Vec<u8> = [1, 31, 0, 33, 35].into_iter().flat_map(|count| bytes(&mut source, count)).collect();
        assert_eq!(whole, portions);
        assert_ne!(whole, bytes(&mut SeededRandom::new(8), 100));
        // printf '\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\1' | openssl dgst -sha256
        assert_eq!(whole[32..64], sha256(&[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1]));
    }

    #[test]
    fn libcrypto_fills_the_buffer() {
        let (first, second) = (bytes(&mut OpenSslRandom, 64), bytes(&mut OpenSslRandom, 64));
        assert_ne!(first, second);
        assert!(first.iter().any(|byte| *byte != 0));
        assert_eq!(bytes(&mut OpenSslRandom, 0), []);
    }
}
