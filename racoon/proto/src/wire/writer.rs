//! The buffer to which all ISAKMP bytes are written. Length fields are filled in when a part is complete.

use crate::num::PayloadType;

/// An appending writer.
///
/// A length that does not fit into its field becomes the largest one that does. No receiver accepts such a message, and UDP cannot
/// carry it.
#[derive(Debug, Default)]
pub(super) struct Writer {
    buffer: Vec<u8>,
}

impl Writer {
    /// A writer with a capacity in bytes.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { buffer: Vec::with_capacity(capacity) }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.buffer
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.buffer.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Writes a length or a count in 8 bits.
    pub(super) fn count8(&mut self, count: usize) {
        self.u8(u8::try_from(count).unwrap_or(u8::MAX));
    }

    /// Writes a length in 16 bits.
    pub(super) fn length16(&mut self, length: usize) {
        self.u16(u16::try_from(length).unwrap_or(u16::MAX));
    }

    /// Writes a generic header (RFC 2408 section 3.2) and what `body` writes, and fills in the length.
    pub(super) fn payload(&mut self, next: PayloadType, body: impl FnOnce(&mut Self)) {
        let start = self.buffer.len();
        self.u8(next.0);
        self.u8(0);
        self.u16(0);
        body(self);
        // The length is known only now. It includes the generic header.
        let length = u16::try_from(self.buffer.len() - start).unwrap_or(u16::MAX);
        if let Some(field) = self.buffer.get_mut(start + 2..start + 4) {
            field.copy_from_slice(&length.to_be_bytes());
        }
    }
}
