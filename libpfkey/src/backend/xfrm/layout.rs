//! The structures of NETLINK_XFRM (`linux/xfrm.h`), read and written field by field. All fields are in host order
//! unless "net" is said. 64-bit fields are aligned as the machine's C compiler aligns them, which on i386 is 4.

use super::numbers::attribute;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::algorithm::CryptoApi;
use crate::error::Result;
use crate::strerror::Code;
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;

/// Alignment of 64-bit fields, which structures that hold them are padded to.
const ALIGN: usize = align_of::<u64>();

/// `AF_INET` and `AF_INET6`.
pub(super) const INET: u16 = 2;
pub(super) const INET6: u16 = 10;

/// An address without its family: IPv4 in the first four bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Addr(pub(super) [u8; 16]);

impl Addr {
    pub(super) fn of(address: IpAddr) -> Self {
        let mut bytes = [0; 16];
        match address {
            IpAddr::V4(v4) => bytes[..4].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => bytes = v6.octets(),
        }
        Self(bytes)
    }

    pub(super) fn ip(self, family: u16) -> IpAddr {
        let [a, b, c, d, ..] = self.0;
        if family == INET6 { Ipv6Addr::from(self.0).into() } else { Ipv4Addr::new(a, b, c, d).into() }
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self(reader.array()?))
    }

    fn emit(self, writer: &mut Writer<'_>) {
        writer.bytes(&self.0);
    }
}

/// The number of an address's family.
pub(super) fn family(address: IpAddr) -> u16 {
    if address.is_ipv4() { INET } else { INET6 }
}

/// `xfrm_selector`, 56 bytes: the destination stands first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) destination: Addr,
    pub(super) source: Addr,
    /// Net, as all four.
    pub(super) destination_port: u16,
    pub(super) destination_port_mask: u16,
    pub(super) source_port: u16,
    pub(super) source_port_mask: u16,
    pub(super) family: u16,
    pub(super) destination_prefix: u8,
    pub(super) source_prefix: u8,
    pub(super) proto: u8,
    pub(super) interface: u32,
    pub(super) user: u32,
}

impl Selector {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let mut selector = Self {
            destination: Addr::parse(reader)?,
            source: Addr::parse(reader)?,
            destination_port: reader.net_u16()?,
            destination_port_mask: reader.net_u16()?,
            source_port: reader.net_u16()?,
            source_port_mask: reader.net_u16()?,
            family: reader.u16()?,
            destination_prefix: reader.u8()?,
            source_prefix: reader.u8()?,
            proto: reader.u8()?,
            ..Self::default()
        };
        reader.skip(3)?;
        selector.interface = reader.u32()?;
        selector.user = reader.u32()?;
        Ok(selector)
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        self.destination.emit(writer);
        self.source.emit(writer);
        writer.net_u16(self.destination_port);
        writer.net_u16(self.destination_port_mask);
        writer.net_u16(self.source_port);
        writer.net_u16(self.source_port_mask);
        writer.u16(self.family);
        writer.u8(self.destination_prefix);
        writer.u8(self.source_prefix);
        writer.u8(self.proto);
        writer.zeros(3);
        writer.u32(self.interface);
        writer.u32(self.user);
    }
}

/// `xfrm_id`, 24 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Id {
    pub(super) destination: Addr,
    /// Host order here, net on the wire.
    pub(super) spi: u32,
    pub(super) proto: u8,
}

impl Id {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let id = Self { destination: Addr::parse(reader)?, spi: reader.net_u32()?, proto: reader.u8()? };
        reader.skip(3)?;
        Ok(id)
    }

    fn emit(&self, writer: &mut Writer<'_>) {
        self.destination.emit(writer);
        writer.net_u32(self.spi);
        writer.u8(self.proto);
        writer.zeros(3);
    }
}

/// `xfrm_lifetime_cfg`, 64 bytes: soft before hard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) soft_bytes: u64,
    pub(super) hard_bytes: u64,
    pub(super) soft_packets: u64,
    pub(super) hard_packets: u64,
    pub(super) soft_add: u64,
    pub(super) hard_add: u64,
    pub(super) soft_use: u64,
    pub(super) hard_use: u64,
}

impl Limits {
    fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            soft_bytes: reader.u64()?,
            hard_bytes: reader.u64()?,
            soft_packets: reader.u64()?,
            hard_packets: reader.u64()?,
            soft_add: reader.u64()?,
            hard_add: reader.u64()?,
            soft_use: reader.u64()?,
            hard_use: reader.u64()?,
        })
    }

    fn emit(&self, writer: &mut Writer<'_>) {
        for limit in [
            self.soft_bytes,
            self.hard_bytes,
            self.soft_packets,
            self.hard_packets,
            self.soft_add,
            self.hard_add,
            self.soft_use,
            self.hard_use,
        ] {
            writer.u64(limit);
        }
    }
}

/// `xfrm_lifetime_cur`, 32 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Current {
    pub(super) bytes: u64,
    pub(super) packets: u64,
    pub(super) add_time: u64,
    pub(super) use_time: u64,
}

impl Current {
    /// Writes `xfrm_lifetime_cur`, 32 bytes.
    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        [self.bytes, self.packets, self.add_time, self.use_time].into_iter().for_each(|count| writer.u64(count));
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { bytes: reader.u64()?, packets: reader.u64()?, add_time: reader.u64()?, use_time: reader.u64()? })
    }
}

/// `xfrm_usersa_info`, 224 bytes (220 on i386).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) selector: Selector,
    pub(super) id: Id,
    pub(super) source: Addr,
    pub(super) limits: Limits,
    pub(super) current: Current,
    pub(super) seq: u32,
    pub(super) reqid: u32,
    pub(super) family: u16,
    pub(super) mode: u8,
    pub(super) replay_window: u8,
    pub(super) flags: u8,
}

impl State {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let mut state = Self {
            selector: Selector::parse(reader)?,
            id: Id::parse(reader)?,
            source: Addr::parse(reader)?,
            limits: Limits::parse(reader)?,
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

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        self.selector.emit(writer);
        self.id.emit(writer);
        self.source.emit(writer);
        self.limits.emit(writer);
        // Current use and statistics are the kernel's.
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
pub(super) struct StateId {
    pub(super) destination: Addr,
    /// Host order here, net on the wire.
    pub(super) spi: u32,
    pub(super) family: u16,
    pub(super) proto: u8,
}

impl StateId {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let id = Self {
            destination: Addr::parse(reader)?,
            spi: reader.net_u32()?,
            family: reader.u16()?,
            proto: reader.u8()?,
        };
        reader.skip(1)?;
        Ok(id)
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        self.destination.emit(writer);
        writer.net_u32(self.spi);
        writer.u16(self.family);
        writer.u8(self.proto);
        writer.zeros(1);
    }
}

/// `xfrm_userpolicy_info`, 168 bytes (164 on i386).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PolicyInfo {
    pub(super) selector: Selector,
    pub(super) limits: Limits,
    pub(super) current: Current,
    pub(super) priority: u32,
    pub(super) index: u32,
    pub(super) direction: u8,
    pub(super) action: u8,
    pub(super) flags: u8,
    pub(super) share: u8,
}

impl PolicyInfo {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let info = Self {
            selector: Selector::parse(reader)?,
            limits: Limits::parse(reader)?,
            current: Current::parse(reader)?,
            priority: reader.u32()?,
            index: reader.u32()?,
            direction: reader.u8()?,
            action: reader.u8()?,
            flags: reader.u8()?,
            share: reader.u8()?,
        };
        reader.skip(164_usize.next_multiple_of(ALIGN) - 164)?;
        Ok(info)
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        self.selector.emit(writer);
        self.limits.emit(writer);
        writer.zeros(32);
        writer.u32(self.priority);
        writer.u32(self.index);
        writer.u8(self.direction);
        writer.u8(self.action);
        writer.u8(self.flags);
        writer.u8(self.share);
        writer.zeros(164_usize.next_multiple_of(ALIGN) - 164);
    }
}

/// `xfrm_userpolicy_id`, 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PolicyId {
    pub(super) selector: Selector,
    pub(super) index: u32,
    pub(super) direction: u8,
}

impl PolicyId {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let id = Self { selector: Selector::parse(reader)?, index: reader.u32()?, direction: reader.u8()? };
        reader.skip(3)?;
        Ok(id)
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        self.selector.emit(writer);
        writer.u32(self.index);
        writer.u8(self.direction);
        writer.zeros(3);
    }
}

/// `xfrm_user_tmpl`, 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Template {
    pub(super) id: Id,
    pub(super) family: u16,
    pub(super) source: Addr,
    pub(super) reqid: u32,
    pub(super) mode: u8,
    pub(super) optional: bool,
}

impl Template {
    /// Size in bytes.
    pub(super) const LEN: usize = 64;

    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let mut template = Self { id: Id::parse(reader)?, family: reader.u16()?, ..Self::default() };
        reader.skip(2)?;
        template.source = Addr::parse(reader)?;
        template.reqid = reader.u32()?;
        template.mode = reader.u8()?;
        reader.skip(1)?;
        template.optional = reader.u8()? != 0;
        reader.skip(1 + 12)?;
        Ok(template)
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        self.id.emit(writer);
        writer.u16(self.family);
        writer.zeros(2);
        self.source.emit(writer);
        writer.u32(self.reqid);
        writer.u8(self.mode);
        writer.u8(0);
        writer.u8(u8::from(self.optional));
        writer.zeros(1);
        // Any algorithm. With empty masks the kernel's inbound check refuses every SA.
        (0..3).for_each(|_| writer.u32(u32::MAX));
    }
}

/// `xfrm_encap_tmpl`, 24 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Encap {
    pub(super) kind: u16,
    /// Net, as the other.
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
}

impl Encap {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { kind: reader.u16()?, source_port: reader.net_u16()?, destination_port: reader.net_u16()? })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        writer.u16(self.kind);
        writer.net_u16(self.source_port);
        writer.net_u16(self.destination_port);
        writer.zeros(2 + 16);
    }
}

/// `xfrm_algo`, `xfrm_algo_auth` or `xfrm_algo_aead`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Algo<'a> {
    /// The kernel's name, at most 63 bytes.
    pub(super) name: &'a [u8],
    /// Bits of the key.
    pub(super) key_bits: u32,
    /// Bits of the ICV; `xfrm_algo` has none.
    pub(super) icv_bits: Option<u32>,
    pub(super) key: &'a [u8],
}

impl<'a> Algo<'a> {
    pub(super) fn new(api: &CryptoApi, key: &'a [u8], key_bits: u32, icv_bits: Option<u32>) -> Self {
        Self { name: api.name.as_bytes(), key_bits, icv_bits, key }
    }

    pub(super) fn parse(reader: &mut Reader<'a>, has_icv: bool) -> Result<Self> {
        let name = reader.bytes(64)?;
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let key_bits = reader.u32()?;
        let icv_bits = if has_icv { Some(reader.u32()?) } else { None };
        let length = usize::try_from(key_bits.div_ceil(8)).unwrap_or(usize::MAX);
        Ok(Self { name, key_bits, icv_bits, key: reader.bytes(length)? })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
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

/// `xfrm_replay_state_esn` without its bitmap, 24 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ReplayEsn {
    /// Window in packets.
    pub(super) window: u32,
}

impl ReplayEsn {
    /// Bytes without the bitmap.
    const LEN: usize = 24;
    /// Largest window the kernel takes, in packets.
    pub(super) const WINDOW_MAX: u32 = 4096;

    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        reader.skip(20)?;
        Ok(Self { window: reader.u32()? })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        let words = self.window.div_ceil(32);
        writer.u32(words);
        writer.zeros(16);
        writer.u32(self.window);
        (0..words).for_each(|_| writer.u32(0));
    }
}

/// Where an SA is: what it has counted, and the sequence numbers and replay bitmap of `xfrm_replay_state` or
/// `xfrm_replay_state_esn`, which are handed on as they are. In this library's `XfrmReplayState` the counters come first,
/// then the number and the length of the attribute, and the attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress<'a> {
    pub(super) current: Current,
    /// `XFRMA_REPLAY_VAL` or `XFRMA_REPLAY_ESN_VAL`.
    pub(super) attribute: u16,
    pub(super) replay: &'a [u8],
}

impl<'a> Progress<'a> {
    /// Reads `XfrmReplayState`.
    pub(super) fn parse(reader: &mut Reader<'a>) -> Result<Self> {
        let current = Current::parse(reader)?;
        let (attribute, length) = (reader.u16()?, reader.u16()?);
        Ok(Self { current, attribute, replay: reader.bytes(length.into())? })
    }

    /// Writes `XfrmReplayState`.
    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        self.current.emit(writer);
        writer.u16(self.attribute);
        writer.u16(u16::try_from(self.replay.len()).unwrap_or(0));
        writer.bytes(self.replay);
    }

    /// Whether the attribute is one of the two, of a length that it can have.
    pub(super) fn is_valid(&self) -> bool {
        match self.attribute {
            attribute::REPLAY_VAL => self.replay.len() == REPLAY_LEN,
            attribute::REPLAY_ESN_VAL => self.replay.len() >= ReplayEsn::LEN && self.replay.len().is_multiple_of(4),
            _ => false,
        }
    }
}

/// Bytes of `xfrm_replay_state`.
const REPLAY_LEN: usize = 12;

/// `xfrm_user_acquire`, 280 bytes (276 on i386).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Acquire {
    pub(super) id: Id,
    pub(super) source: Addr,
    pub(super) policy: PolicyInfo,
    pub(super) seq: u32,
    pub(super) family: u16,
}

impl Acquire {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let id = Id::parse(reader)?;
        let source = Addr::parse(reader)?;
        let selector = Selector::parse(reader)?;
        let policy = PolicyInfo::parse(reader)?;
        reader.skip(12)?;
        Ok(Self { id, source, policy, seq: reader.u32()?, family: selector.family })
    }
}

/// `xfrm_user_expire`: the state, and whether the limit was hard.
pub(super) fn parse_expire(reader: &mut Reader<'_>) -> Result<(State, bool)> {
    let state = State::parse(reader)?;
    let hard = reader.u8()? != 0;
    reader.skip(ALIGN - 1)?;
    Ok((state, hard))
}

/// `xfrm_user_mapping`, 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) id: StateId,
    pub(super) old_source: Addr,
    pub(super) new_source: Addr,
    /// Net, as the other.
    pub(super) old_port: u16,
    pub(super) new_port: u16,
}

impl Mapping {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
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

/// `xfrm_user_migrate`, 76 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Migrate {
    pub(super) old_destination: Addr,
    pub(super) old_source: Addr,
    pub(super) new_destination: Addr,
    pub(super) new_source: Addr,
    pub(super) proto: u8,
    pub(super) mode: u8,
    pub(super) reqid: u32,
    pub(super) old_family: u16,
    pub(super) new_family: u16,
}

impl Migrate {
    pub(super) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let (old_destination, old_source) = (Addr::parse(reader)?, Addr::parse(reader)?);
        let (new_destination, new_source) = (Addr::parse(reader)?, Addr::parse(reader)?);
        let (proto, mode) = (reader.u8()?, reader.u8()?);
        reader.skip(2)?;
        let reqid = reader.u32()?;
        let (old_family, new_family) = (reader.u16()?, reader.u16()?);
        Ok(Self {
            old_destination,
            old_source,
            new_destination,
            new_source,
            proto,
            mode,
            reqid,
            old_family,
            new_family,
        })
    }

    pub(super) fn emit(&self, writer: &mut Writer<'_>) {
        for address in [self.old_destination, self.old_source, self.new_destination, self.new_source] {
            address.emit(writer);
        }
        writer.u8(self.proto);
        writer.u8(self.mode);
        writer.zeros(2);
        writer.u32(self.reqid);
        writer.u16(self.old_family);
        writer.u16(self.new_family);
    }
}
