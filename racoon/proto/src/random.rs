//! The source of randomness, which the shell provides like the time.

/// The engine's only source of randomness: for cookies, nonces, message ids, exponents, padding and jitter. With the same seed, a
/// run of the engine repeats byte for byte.
///
/// It cannot fail: a source without randomness must not return.
pub trait Random {
    /// Overwrites all of `buffer`.
    fn fill(&mut self, buffer: &mut [u8]);
}

impl<R: Random + ?Sized> Random for &mut R {
    fn fill(&mut self, buffer: &mut [u8]) {
        (**self).fill(buffer);
    }
}

impl<R: Random + ?Sized> Random for Box<R> {
    fn fill(&mut self, buffer: &mut [u8]) {
        (**self).fill(buffer);
    }
}
