//! Addresses: `sadb_address`, `sadb_x_kmaddress`, `sadb_x_filter`.

use super::reader::Reader;
use super::sockaddr::SockAddr;
use super::writer::Writer;
use crate::error::Result;

/// `sadb_address` (RFC 2367 section 2.3.3) with its socket address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Upper-layer protocol: 255 is any in policies; in SAs Linux reports 0 and BSD 255.
    pub proto: u8,
    /// Prefix length in bits.
    pub prefix: u8,
    /// Reserved.
    pub reserved: u16,
    /// The address.
    pub sockaddr: SockAddr,
}

impl Address {
    /// A whole address for any protocol, as SAs have.
    pub fn host(sockaddr: SockAddr) -> Self {
        Self { proto: crate::num::ULPROTO_ANY, prefix: sockaddr.full_prefix(), reserved: 0, sockaddr }
    }

    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            proto: reader.u8()?,
            prefix: reader.u8()?,
            reserved: reader.u16()?,
            // What follows is padding: the length of the extension covers whole words.
            sockaddr: SockAddr::parse(reader)?,
        })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        writer.u8(self.proto);
        writer.u8(self.prefix);
        writer.u16(self.reserved);
        self.sockaddr.emit(writer);
    }
}

/// `sadb_x_kmaddress` (Linux): the key manager's own and its peer's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KmAddress {
    /// Reserved.
    pub reserved: u32,
    /// Local address.
    pub local: SockAddr,
    /// Remote address.
    pub remote: SockAddr,
}

impl KmAddress {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let reserved = reader.u32()?;
        // Unlike two address extensions, these two are not padded one by one.
        let (local, remote) = SockAddr::parse_pair(reader)?;
        Ok(Self { reserved, local, remote })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        writer.u32(self.reserved);
        self.local.emit(writer);
        self.remote.emit(writer);
    }
}

/// `sadb_x_filter` (Linux): restricts DUMP to SAs between two prefixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Source address; IPv4 in the first four bytes.
    pub source: [u8; 16],
    /// Destination address.
    pub destination: [u8; 16],
    /// Address family; 0 is both.
    pub family: u16,
    /// Prefix length of the source.
    pub source_prefix: u8,
    /// Prefix length of the destination.
    pub destination_prefix: u8,
}

impl Filter {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            source: reader.array()?,
            destination: reader.array()?,
            family: reader.u16()?,
            source_prefix: reader.u8()?,
            destination_prefix: reader.u8()?,
        })
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        writer.bytes(&self.source);
        writer.bytes(&self.destination);
        writer.u16(self.family);
        writer.u8(self.source_prefix);
        writer.u8(self.destination_prefix);
    }
}
