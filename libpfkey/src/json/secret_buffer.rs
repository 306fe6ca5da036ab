//! A buffer for text that contains keys.

use std::fmt;
use std::io::{self, Write};
use std::ops::Deref;

use zeroize::{Zeroize, Zeroizing};

/// First size: most entries fit.
const FIRST_CAPACITY: usize = 2048;

/// A growing buffer that leaves no copy of its content in freed memory.
#[derive(Default)]
pub struct SecretBuffer(Zeroizing<Vec<u8>>);

impl SecretBuffer {
    /// Wipes the content and keeps the memory.
    pub fn clear(&mut self) {
        self.0.zeroize();
    }

    /// The content, still wiped when dropped.
    pub fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

impl Write for SecretBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.0.len() + bytes.len();
        if length > self.0.capacity() {
            // `Vec` would free the old memory without wiping it.
            let capacity = length.max(self.0.capacity() * 2).max(FIRST_CAPACITY);
            let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Deref for SecretBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBuffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretBuffer({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_hides_its_content() {
        let mut buffer = SecretBuffer::default();
        for round in 0..1000_u32 {
            write!(buffer, "{round:08}").unwrap();
        }
        assert_eq!(buffer.len(), 8000);
        assert!(buffer.starts_with(b"0000000000000001") && buffer.ends_with(b"00000999"));
        assert_eq!(format!("{buffer:?}"), "SecretBuffer(8000 bytes)");
        buffer.clear();
        assert!(buffer.is_empty());
        assert!(buffer.into_bytes().is_empty());
    }
}
