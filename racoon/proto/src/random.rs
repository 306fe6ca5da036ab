//! Where randomness comes from: the shell gives it, as it gives the time.

/// The engine's only source of randomness: cookies, nonces, message ids, exponents, padding and jitter. Seeded with a
/// number, a run of the engine repeats byte for byte.
///
/// It cannot fail: a source that has no randomness to give must not return.
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
