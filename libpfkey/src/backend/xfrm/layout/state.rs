//! Structures about SAs.

use super::{ALIGN, Addr, Current, INET, INET6, Id, XfrmLimits, XfrmSelector};
use crate::algorithm::CryptoApi;
use crate::backend::xfrm::numbers::attribute;
use crate::error::Result;
use crate::strerror::Code;
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;

/// `xfrm_usersa_info`, 224 bytes (220 on i386).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) selector: XfrmSelector,
    pub(crate) id: Id,
    pub(crate) source: Addr,
    pub(crate) limits: XfrmLimits,
    pub(crate) current: Current,
    pub(crate) seq: u32,
    pub(crate) reqid: u32,
    pub(crate) family: u16,
    pub(crate) mode: u8,
    pub(crate) replay_window: u8,
    pub(crate) flags: u8,
}

impl State {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let mut state = Self {
            selector: XfrmSelector::parse(reader)?,
            id: Id::parse(reader)?,
            source: Addr::parse(reader)?,
            limits: XfrmLimits::parse(reader)?,
            current: Current::parse(reader)?,
            ..Self::default()
        };
        // xfrm_stats
        reader.skip(12)?;
        state.seq = reader.u32()?;
        state.reqid = reader.u32()?;
        state.family = reader.u16()?;
        state.mode = reader.u8()?;
        state.replay_window = reader.u8()?;
        state.flags = reader.u8()?;
        reader.skip(217_usize.next_multiple_of(ALIGN) - 217)?;
        if state.family != INET && state.family != INET6 {
            return Err(reader.malformed(Code::InvalidFamily, "a state of an unknown address family"));
        }
        Ok(state)
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        self.selector.emit(writer);
        self.id.emit(writer);
        self.source.emit(writer);
        self.limits.emit(writer);
        // Only the kernel knows current use and statistics.
        writer.zeros(32 + 12);
        writer.u32(self.seq);
        writer.u32(self.reqid);
        writer.u16(self.family);
        writer.u8(self.mode);
        writer.u8(self.replay_window);
        writer.u8(self.flags);
        writer.zeros(217_usize.next_multiple_of(ALIGN) - 217);
    }
}

/// `xfrm_usersa_id`, 24 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StateId {
    pub(crate) destination: Addr,
    /// Network order on the wire.
    pub(crate) spi: u32,
    pub(crate) family: u16,
    pub(crate) proto: u8,
}

impl StateId {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let id = Self {
            destination: Addr::parse(reader)?,
            spi: reader.net_u32()?,
            family: reader.u16()?,
            proto: reader.u8()?,
        };
        reader.skip(1)?;
        Ok(id)
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        self.destination.emit(writer);
        writer.net_u32(self.spi);
        writer.u16(self.family);
        writer.u8(self.proto);
        writer.zeros(1);
    }
}

/// `xfrm_encap_tmpl`, 24 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Encap {
    pub(crate) kind: u16,
    /// Ports: network order on the wire.
    pub(crate) source_port: u16,
    pub(crate) destination_port: u16,
}

impl Encap {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { kind: reader.u16()?, source_port: reader.net_u16()?, destination_port: reader.net_u16()? })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        writer.u16(self.kind);
        writer.net_u16(self.source_port);
        writer.net_u16(self.destination_port);
        // Padding, and the original address, which `af_key` leaves empty, too.
        writer.zeros(2 + 16);
    }
}

/// `xfrm_algo`, `xfrm_algo_auth` or `xfrm_algo_aead`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Algo<'a> {
    /// The kernel's name of the algorithm, at most 63 bytes.
    pub(crate) name: &'a [u8],
    /// Bits of the key.
    pub(crate) key_bits: u32,
    /// Bits of the ICV; `None` in `xfrm_algo`.
    pub(crate) icv_bits: Option<u32>,
    pub(crate) key: &'a [u8],
}

impl<'a> Algo<'a> {
    pub(crate) fn new(api: &CryptoApi, key: &'a [u8], key_bits: u32, icv_bits: Option<u32>) -> Self {
        Self { name: api.name.as_bytes(), key_bits, icv_bits, key }
    }

    pub(crate) fn parse(reader: &mut Reader<'a>, has_icv: bool) -> Result<Self> {
        let name = reader.bytes(64)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let key_bits = reader.u32()?;
        let icv_bits = if has_icv { Some(reader.u32()?) } else { None };
        let length = usize::try_from(key_bits.div_ceil(8)).unwrap_or(usize::MAX);
        Ok(Self { name, key_bits, icv_bits, key: reader.bytes(length)? })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        // The kernel overwrites the last byte with NUL.
        let name = self.name.get(..63).unwrap_or(self.name);
        writer.bytes(name);
        writer.zeros(64 - name.len());
        writer.u32(self.key_bits);
        if let Some(bits) = self.icv_bits {
            writer.u32(bits);
        }
        writer.bytes(self.key);
    }
}

/// `xfrm_replay_state_esn`: 24 bytes and a bitmap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReplayEsn {
    /// Window in packets.
    pub(crate) window: u32,
}

impl ReplayEsn {
    /// Bytes before the bitmap.
    const LEN: usize = 24;
    /// Largest window that the kernel accepts, in packets.
    pub(crate) const WINDOW_MAX: u32 = 4096;

    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        reader.skip(20)?;
        Ok(Self { window: reader.u32()? })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        // The kernel refuses a bitmap that is too short for the window.
        let words = self.window.div_ceil(32);
        writer.u32(words);
        writer.zeros(16);
        writer.u32(self.window);
        (0..words).for_each(|_| writer.u32(0));
    }
}

/// The counters of an SA and its sequence numbers: `xfrm_replay_state` or `xfrm_replay_state_esn`, unparsed. The extension
/// `XfrmReplayState` of this library has the counters, then number and length of the attribute, then its contents.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress<'a> {
    pub(crate) current: Current,
    /// `XFRMA_REPLAY_VAL` or `XFRMA_REPLAY_ESN_VAL`.
    pub(crate) attribute: u16,
    pub(crate) replay: &'a [u8],
}

impl<'a> Progress<'a> {
    /// Reads `XfrmReplayState`.
    pub(crate) fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let current = Current::parse(reader)?;
        let (attribute, length) = (reader.u16()?, reader.u16()?);
        Ok(Self { current, attribute, replay: reader.bytes(length.into())? })
    }

    /// Writes `XfrmReplayState`.
    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        self.current.emit(writer);
        writer.u16(self.attribute);
        writer.u16(u16::try_from(self.replay.len()).unwrap_or(0));
        writer.bytes(self.replay);
    }

    /// Whether the attribute is one of the two and has a possible length.
    pub(crate) fn is_valid(&self) -> bool {
        match self.attribute {
            attribute::REPLAY_VAL => self.replay.len() == REPLAY_LEN,
            attribute::REPLAY_ESN_VAL => self.replay.len() >= ReplayEsn::LEN && self.replay.len().is_multiple_of(4),
            _ => false,
        }
    }
}

/// Bytes of `xfrm_replay_state`.
const REPLAY_LEN: usize = 12;

/// Reads `xfrm_user_expire`: the state, and whether the hard limit was reached.
pub(crate) fn parse_expire(reader: &mut Reader<'_>) -> Result<(State, bool)> {
    let state = State::parse(reader)?;
    let hard = reader.u8()? != 0;
    reader.skip(ALIGN - 1)?;
    Ok((state, hard))
}

/// `xfrm_user_mapping`, 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) id: StateId,
    pub(crate) old_source: Addr,
    pub(crate) new_source: Addr,
    /// Ports: network order on the wire.
    pub(crate) old_port: u16,
    pub(crate) new_port: u16,
}

impl Mapping {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let id = StateId::parse(reader)?;
        let _reqid = reader.u32()?;
        Ok(Self {
            id,
            old_source: Addr::parse(reader)?,
            new_source: Addr::parse(reader)?,
            old_port: reader.net_u16()?,
            new_port: reader.net_u16()?,
        })
    }
}
