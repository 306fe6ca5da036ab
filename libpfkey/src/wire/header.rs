//! The base header (RFC 2367 section 2.3).
//!
//! ```text
//! version  type  errno  satype | len in 8-byte words  reserved
//! seq                          | pid
//! ```

use super::reader::Reader;
use super::writer::Writer;
use crate::error::Result;
use crate::num::{MessageType, PF_KEY_V2, SaType};

/// Size of the base header in bytes.
pub const HEADER_LEN: usize = 16;

/// The base header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Protocol version: 2.
    pub version: u8,
    /// What the message is.
    pub message_type: MessageType,
    /// The kernel's errno, in the kernel's own numbering; see [`crate::Dialect::errno_to_host`].
    pub errno: u8,
    /// The SA type.
    pub sa_type: SaType,
    /// Length of the whole message in 8-byte words.
    pub words: u16,
    /// Reserved by RFC 2367; kernels put a reference count here in dumps.
    pub reserved: u16,
    /// Sequence number: matches answers to requests; counts in dumps.
    pub seq: u32,
    /// Process id of the requester; 0 from the kernel itself.
    pub pid: u32,
}

impl Header {
    /// A request's header; the length is filled in by the builder.
    pub fn new(message_type: MessageType, sa_type: SaType) -> Self {
        Self { version: PF_KEY_V2, message_type, errno: 0, sa_type, words: 0, reserved: 0, seq: 0, pid: 0 }
    }

    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let dialect = reader.abi().dialect;
        Ok(Self {
            version: reader.u8()?,
            // An unknown type is no error here: a newer kernel may send it, and the reader skips the message.
            message_type: MessageType::from_number(dialect, reader.u8()?),
            errno: reader.u8()?,
            sa_type: SaType::from_number(dialect, reader.u8()?),
            words: reader.u16()?,
            reserved: reader.u16()?,
            seq: reader.u32()?,
            pid: reader.u32()?,
        })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        let dialect = writer.abi().dialect;
        let missing = |what| crate::Error::NotInDialect { dialect, what };
        let message_type = self.message_type.number(dialect).ok_or(missing(self.message_type.what()))?;
        let sa_type = self.sa_type.number(dialect).ok_or(missing(self.sa_type.what()))?;
        writer.u8(self.version);
        writer.u8(message_type);
        writer.u8(self.errno);
        writer.u8(sa_type);
        writer.u16(self.words);
        writer.u16(self.reserved);
        writer.u32(self.seq);
        writer.u32(self.pid);
        Ok(())
    }
}
