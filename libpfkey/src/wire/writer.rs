//! The buffer all PF_KEY bytes are written through: length fields are filled in when a part is complete.

use zeroize::Zeroize;

use crate::dialect::{Abi, ByteOrder};
use crate::error::{Error, Result};
use crate::num::ExtensionType;
use crate::strerror::Code;

/// An appending writer.
#[derive(Debug)]
pub(crate) struct Writer<'b> {
    buffer: &'b mut Vec<u8>,
    abi: Abi,
}

impl<'b> Writer<'b> {
    pub(crate) fn new(buffer: &'b mut Vec<u8>, abi: Abi) -> Self {
        Self { buffer, abi }
    }

    pub(crate) fn abi(&self) -> Abi {
        self.abi
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        match self.abi.byte_order {
            ByteOrder::Big => self.bytes(&value.to_be_bytes()),
            ByteOrder::Little => self.bytes(&value.to_le_bytes()),
        }
    }

    pub(crate) fn u32(&mut self, value: u32) {
        match self.abi.byte_order {
            ByteOrder::Big => self.bytes(&value.to_be_bytes()),
            ByteOrder::Little => self.bytes(&value.to_le_bytes()),
        }
    }

    pub(crate) fn u64(&mut self, value: u64) {
        match self.abi.byte_order {
            ByteOrder::Big => self.bytes(&value.to_be_bytes()),
            ByteOrder::Little => self.bytes(&value.to_le_bytes()),
        }
    }

    pub(crate) fn net_u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn net_u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.buffer.extend_from_slice(bytes);
    }

    /// Makes room; a reallocation by `Vec` itself would leave a copy of a key behind.
    fn reserve(&mut self, count: usize) {
        if self.buffer.capacity() - self.buffer.len() >= count {
            return;
        }
        let mut larger = Vec::with_capacity(((self.buffer.len() + count) * 2).max(512));
        larger.extend_from_slice(self.buffer);
        std::mem::swap(self.buffer, &mut larger);
        larger.zeroize();
    }

    pub(crate) fn zeros(&mut self, count: usize) {
        self.reserve(count);
        self.buffer.resize(self.buffer.len() + count, 0);
    }

    /// Pads with zeros to a multiple of 8 bytes from `start`.
    pub(crate) fn align(&mut self, start: usize) {
        let length = self.buffer.len() - start;
        self.zeros(length.next_multiple_of(8) - length);
    }

    /// Overwrites the 16-bit field at `at`.
    pub(crate) fn patch_u16(&mut self, at: usize, value: u16) {
        let bytes = match self.abi.byte_order {
            ByteOrder::Big => value.to_be_bytes(),
            ByteOrder::Little => value.to_le_bytes(),
        };
        if let Some(field) = self.buffer.get_mut(at..at + 2) {
            field.copy_from_slice(&bytes);
        }
    }

    /// Overwrites the 32-bit field at `at`: netlink has such lengths.
    #[cfg(target_os = "linux")]
    pub(crate) fn patch_u32(&mut self, at: usize, value: u32) {
        let bytes = match self.abi.byte_order {
            ByteOrder::Big => value.to_be_bytes(),
            ByteOrder::Little => value.to_le_bytes(),
        };
        if let Some(field) = self.buffer.get_mut(at..at + 4) {
            field.copy_from_slice(&bytes);
        }
    }

    /// Writes one extension: header, what `body` writes, padding; then its length in 8-byte words.
    pub(crate) fn extension(
        &mut self,
        kind: ExtensionType,
        body: impl FnOnce(&mut Writer<'_>) -> Result<()>,
    ) -> Result<()> {
        let dialect = self.abi.dialect;
        let number = kind.number(dialect).ok_or(Error::NotInDialect { dialect, what: kind.what() })?;
        // The length is not known before the body is written.
        let start = self.buffer.len();
        self.u16(0);
        self.u16(number);
        body(self)?;
        self.align(start);
        let words = u16::try_from((self.buffer.len() - start) / 8).map_err(|_| Error::Refused(Code::NoBuffers))?;
        self.patch_u16(start, words);
        Ok(())
    }
}
