//! Keys: `sadb_key` (RFC 2367 section 2.3.4).

use std::fmt;

use super::reader::Reader;
use super::writer::Writer;
use crate::error::Result;
use crate::strerror::Code;

/// A key. `Debug` does not show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    /// Length in bits.
    pub bits: u16,
    /// Reserved.
    pub reserved: u16,
    /// The key's bytes: `bits` rounded up to whole bytes.
    pub bytes: &'a [u8],
}

impl<'a> Key<'a> {
    /// A key of whole bytes.
    ///
    /// # Errors
    /// [`Code::InvalidKeyLength`] when its bits do not fit the 16-bit field.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        let bits = u16::try_from(bytes.len().saturating_mul(8)).map_err(|_| Code::InvalidKeyLength)?;
        Ok(Self { bits, reserved: 0, bytes })
    }

    pub(crate) fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let bits = reader.u16()?;
        let reserved = reader.u16()?;
        // The length of the extension counts whole words; only this field tells where the key ends.
        let length = usize::from(bits).div_ceil(8);
        if length > reader.remaining() {
            return Err(reader.malformed(Code::InvalidMessage, "a key longer than its extension"));
        }
        Ok(Self { bits, reserved, bytes: reader.bytes(length)? })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        writer.u16(self.bits);
        writer.u16(self.reserved);
        writer.bytes(self.bytes);
    }
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key {{ bits: {}, .. }}", self.bits)
    }
}
