//! Numbers that differ from run to run, so that two programs do not choose the same.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// An arbitrary number. Not for secrets: those come from OpenSSL, which this library does not need.
pub(crate) fn arbitrary_u32() -> u32 {
    // The standard library seeds its hash maps with random keys.
    let [a, b, c, d, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}
