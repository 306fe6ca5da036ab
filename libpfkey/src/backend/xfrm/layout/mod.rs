//! The structures of NETLINK_XFRM (`linux/xfrm.h`), read and written field by field. Values are in host order; the comment
//! "network order" says how a field is written. 64-bit fields are aligned as C compilers align them: to 8 bytes, on i386
//! to 4.

mod policy;
mod state;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) use self::policy::{Migrate, PolicyInfo, XfrmAcquire, XfrmPolicyId, XfrmTemplate};
pub(super) use self::state::{Algo, Encap, Mapping, Progress, ReplayEsn, State, StateId, parse_expire};
use crate::error::Result;
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;

/// Alignment of 64-bit fields. A structure with such fields is padded to a multiple of it.
const ALIGN: usize = align_of::<u64>();

/// `AF_INET`
pub(super) const INET: u16 = 2;
/// `AF_INET6`
pub(super) const INET6: u16 = 10;

/// An address without its family; an IPv4 address is in the first four bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Addr(pub(super) [u8; 16]);

impl Addr {
    pub(super) fn of(address: IpAddr) -> Self {
        let mut bytes = [0; 16];
        match address {
            // The kernel compares all 16 bytes, so the rest has to be 0.
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

/// `xfrm_selector`, 56 bytes. The destination comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct XfrmSelector {
    pub(super) destination: Addr,
    pub(super) source: Addr,
    /// Ports and masks: network order on the wire.
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

impl XfrmSelector {
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
    /// Network order on the wire.
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

/// `xfrm_lifetime_cfg`, 64 bytes. Each soft limit comes before its hard one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct XfrmLimits {
    pub(super) soft_bytes: u64,
    pub(super) hard_bytes: u64,
    pub(super) soft_packets: u64,
    pub(super) hard_packets: u64,
    pub(super) soft_add: u64,
    pub(super) hard_add: u64,
    pub(super) soft_use: u64,
    pub(super) hard_use: u64,
}

impl XfrmLimits {
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
