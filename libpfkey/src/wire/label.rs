//! Identities and labels: `sadb_ident`, `sadb_sens`, `sadb_x_sec_ctx`.

use super::reader::Reader;
use super::writer::Writer;
use crate::error::{Error, Result};
use crate::strerror::Code;

/// `sadb_ident` (RFC 2367 section 2.3.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Kind: 1 prefix, 2 FQDN, 3 user FQDN, 4 address (BSD).
    pub kind: u16,
    /// Reserved.
    pub reserved: u16,
    /// A number of the user's system, such as a user id.
    pub id: u64,
    /// What follows: a NUL-terminated string padded with zeros, or (kind 4) a socket address.
    pub value: &'a [u8],
}

impl<'a> Identity<'a> {
    /// The string, up to its NUL.
    pub fn text(&self) -> &'a [u8] {
        self.value.split(|&byte| byte == 0).next().unwrap_or_default()
    }

    pub(crate) fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        Ok(Self {
            kind: reader.u16()?,
            reserved: reader.u16()?,
            id: reader.u64()?,
            // KAME's kind 4 is a socket address, so the value is not read as a string here.
            value: reader.bytes(reader.remaining())?,
        })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        writer.u16(self.kind);
        writer.u16(self.reserved);
        writer.u64(self.id);
        writer.bytes(self.value);
    }
}

/// `sadb_sens` (RFC 2367 section 2.3.6). The bitmaps are kept as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sensitivity<'a> {
    /// Protection domain.
    pub dpd: u32,
    /// Sensitivity level.
    pub level: u8,
    /// Words of the sensitivity bitmap.
    pub words: u8,
    /// Integrity level.
    pub integrity_level: u8,
    /// Words of the integrity bitmap.
    pub integrity_words: u8,
    /// Reserved.
    pub reserved: u32,
    /// The bitmaps.
    pub bitmaps: &'a [u8],
}

impl<'a> Sensitivity<'a> {
    pub(crate) fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        Ok(Self {
            dpd: reader.u32()?,
            level: reader.u8()?,
            words: reader.u8()?,
            integrity_level: reader.u8()?,
            integrity_words: reader.u8()?,
            reserved: reader.u32()?,
            bitmaps: reader.bytes(reader.remaining())?,
        })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        writer.u32(self.dpd);
        writer.u8(self.level);
        writer.u8(self.words);
        writer.u8(self.integrity_level);
        writer.u8(self.integrity_words);
        writer.u32(self.reserved);
        writer.bytes(self.bitmaps);
    }
}

/// `sadb_x_sec_ctx` (Linux): a security label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityContext<'a> {
    /// Label algorithm.
    pub algorithm: u8,
    /// Domain of interpretation.
    pub doi: u8,
    /// The label; setkey sends it with its terminating NUL.
    pub label: &'a [u8],
}

impl<'a> SecurityContext<'a> {
    pub(crate) fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let algorithm = reader.u8()?;
        let doi = reader.u8()?;
        // The label may be shorter than its extension, which has whole words.
        let length = usize::from(reader.u16()?);
        if length > reader.remaining() {
            return Err(reader.malformed(Code::InvalidMessage, "a label longer than its extension"));
        }
        Ok(Self { algorithm, doi, label: reader.bytes(length)? })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        let length = u16::try_from(self.label.len()).map_err(|_| Error::Refused(Code::NoBuffers))?;
        writer.u8(self.algorithm);
        writer.u8(self.doi);
        writer.u16(length);
        writer.bytes(self.label);
        Ok(())
    }
}
