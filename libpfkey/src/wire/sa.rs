//! The SA and what belongs to it: `sadb_sa`, `sadb_x_sa2`, lifetimes, SPI range, replay window.

use super::reader::Reader;
use super::writer::Writer;
use crate::error::Result;
use crate::num::{SaFlags, SaState};

/// `sadb_sa` (RFC 2367 section 2.3.1).
///
/// ```text
/// len  type=1 | spi (net)
/// replay  state  auth  encrypt | flags
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sa {
    /// SPI in host order (network order on the wire).
    pub spi: u32,
    /// Replay window: packets on Linux, bytes of bitmap (8 packets each) on BSD.
    pub replay: u8,
    /// State.
    pub state: SaState,
    /// Number of the authentication algorithm in the dialect.
    pub auth: u8,
    /// Number of the cipher, or of the compression algorithm, in the dialect.
    pub encrypt: u8,
    /// Flags.
    pub flags: SaFlags,
}

impl Sa {
    /// An SA that is named by its SPI only, as GET and DELETE do.
    pub fn named(spi: u32) -> Self {
        Self { spi, replay: 0, state: SaState::Larval, auth: 0, encrypt: 0, flags: SaFlags::empty() }
    }

    /// Parses `sadb_sa`. macOS kernels append NAT-T words, which are skipped.
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            spi: reader.net_u32()?,
            replay: reader.u8()?,
            state: reader.u8()?.into(),
            auth: reader.u8()?,
            encrypt: reader.u8()?,
            // Unknown flags are kept, so that a dumped SA can be written back as it was.
            flags: SaFlags::from_bits_retain(reader.u32()?),
        })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        writer.net_u32(self.spi);
        writer.u8(self.replay);
        writer.u8(self.state.into());
        writer.u8(self.auth);
        writer.u8(self.encrypt);
        writer.u32(self.flags.bits());
    }
}

/// `sadb_x_sa2` (KAME).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sa2 {
    /// Mode: 0 any, 1 transport, 2 tunnel.
    pub mode: u8,
    /// Reserved.
    pub reserved1: u8,
    /// Reserved.
    pub reserved2: u16,
    /// Lowest 32 bits of the sequence number in BSD dumps, 0 from Linux.
    pub sequence: u32,
    /// Binds policies of level unique to this SA.
    pub reqid: u32,
}

impl Sa2 {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            mode: reader.u8()?,
            // macOS has flags here.
            reserved1: reader.u8()?,
            reserved2: reader.u16()?,
            sequence: reader.u32()?,
            reqid: reader.u32()?,
        })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        writer.u8(self.mode);
        writer.u8(self.reserved1);
        writer.u16(self.reserved2);
        writer.u32(self.sequence);
        writer.u32(self.reqid);
    }
}

/// `sadb_lifetime` (RFC 2367 section 2.3.2): limits, or current use. 0 is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// Allocations (packets on Linux).
    pub allocations: u32,
    /// Bytes.
    pub bytes: u64,
    /// Seconds since creation; in the current lifetime the creation's wall-clock time.
    pub addtime: u64,
    /// Seconds since first use; in the current lifetime the first use's wall-clock time.
    pub usetime: u64,
}

impl Lifetime {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { allocations: reader.u32()?, bytes: reader.u64()?, addtime: reader.u64()?, usetime: reader.u64()? })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        writer.u32(self.allocations);
        writer.u64(self.bytes);
        writer.u64(self.addtime);
        writer.u64(self.usetime);
    }
}

/// `sadb_spirange` (RFC 2367 section 2.3.9): host order, although SPIs elsewhere are in network order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpiRange {
    /// Smallest SPI wanted.
    pub min: u32,
    /// Largest SPI wanted.
    pub max: u32,
}

impl SpiRange {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let range = Self { min: reader.u32()?, max: reader.u32()? };
        reader.skip(4)?;
        Ok(range)
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        writer.u32(self.min);
        writer.u32(self.max);
        writer.u32(0);
    }
}
