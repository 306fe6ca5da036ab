//! Policies: `sadb_x_policy` and its `sadb_x_ipsecrequest`s (KAME).
//!
//! ```text
//! len  type=18  policy type  dir  byte 7 | id  priority or reserved | requests …
//!
//! request, Linux   len in BYTES  proto  mode  level  reserved | reqid (u32)  reserved | two sockaddrs
//! request, BSD     len in BYTES  proto  mode  level  reqid (u16)              | two sockaddrs
//! ```
//!
//! The sockaddrs stand back to back; only their sum is padded to 8 bytes.

use super::reader::Reader;
use super::sockaddr::SockAddr;
use super::writer::Writer;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::num::POLICY_IPSEC;
use crate::strerror::Code;

/// `sadb_x_policy` with its requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What to do: one of the `POLICY_` numbers.
    pub kind: u16,
    /// Direction: one of the `DIR_` numbers; 4 and 5 are Linux's per-socket policies.
    pub direction: u8,
    /// Byte 7: scope on FreeBSD, flags on NetBSD, reserved elsewhere.
    pub scope: u8,
    /// The kernel's id of the policy.
    pub id: u32,
    /// Priority where the dialect has one (smaller is earlier), else reserved.
    pub priority: u32,
    /// The processing steps.
    pub requests: Vec<IpsecRequest>,
}

impl Policy {
    /// A policy that is named by its id only, as SPDGET and SPDDELETE2 do.
    pub fn named(id: u32) -> Self {
        Self { kind: 0, direction: 0, scope: 0, id, priority: 0, requests: Vec::new() }
    }

    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let mut policy = Self {
            kind: reader.u16()?,
            direction: reader.u8()?,
            scope: reader.u8()?,
            id: reader.u32()?,
            priority: reader.u32()?,
            requests: Vec::new(),
        };
        // libipsec leaves the requests of other policies in the message, where kernels ignore them.
        if policy.kind != POLICY_IPSEC {
            reader.skip(reader.remaining())?;
            return Ok(policy);
        }
        while !reader.is_empty() {
            policy.requests.push(IpsecRequest::parse(reader)?);
        }
        Ok(policy)
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.u16(self.kind);
        writer.u8(self.direction);
        writer.u8(self.scope);
        writer.u32(self.id);
        writer.u32(self.priority);
        self.requests.iter().try_for_each(|request| request.emit(writer))
    }
}

/// `sadb_x_ipsecrequest`: one processing step of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpsecRequest {
    /// IP protocol: 50 ESP, 51 AH, 108 IPComp.
    pub proto: u16,
    /// Mode: 0 any, 1 transport, 2 tunnel.
    pub mode: u8,
    /// Level: one of the `LEVEL_` numbers.
    pub level: u8,
    /// Reqid of level unique (16 bits on BSD).
    pub reqid: u32,
    /// Addresses of the tunnel.
    pub endpoints: Option<(SockAddr, SockAddr)>,
}

impl IpsecRequest {
    /// The length field: bytes of the request, padding included.
    pub fn wire_len(&self, dialect: Dialect) -> usize {
        let addresses = self.endpoints.as_ref().map_or(0, |(source, dst)| source.wire_len() + dst.wire_len());
        (dialect.request_len() + addresses).next_multiple_of(8)
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let dialect = reader.abi().dialect;
        let head = dialect.request_len();
        let length = usize::from(reader.clone().u16()?);
        // A length of 0 would never end the list.
        if length < head || length > reader.remaining() {
            return Err(reader.malformed(Code::InvalidProtocol, "an ipsec request of impossible length"));
        }
        let mut body = reader.sub(length)?;
        body.skip(2)?;
        let proto = body.u16()?;
        let mode = body.u8()?;
        let level = body.u8()?;
        let reqid = if dialect == Dialect::Linux {
            body.skip(2)?;
            let reqid = body.u32()?;
            body.skip(4)?;
            reqid
        } else {
            u32::from(body.u16()?)
        };
        // Less than a word is padding. Linux ignores what a transport request carries, but it may carry it.
        let endpoints = if body.remaining() < 8 { None } else { Some(SockAddr::parse_pair(&mut body)?) };
        if body.remaining() >= 8 {
            return Err(body.malformed(Code::InvalidAddress, "bytes behind the addresses of an ipsec request"));
        }
        Ok(Self { proto, mode, level, reqid, endpoints })
    }

    fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        let dialect = writer.abi().dialect;
        let start = writer.len();
        // In bytes, although the headers of FreeBSD and NetBSD say words: their kernels compare and advance by bytes.
        let length = u16::try_from(self.wire_len(dialect)).map_err(|_| Error::Refused(Code::NoBuffers))?;
        writer.u16(length);
        writer.u16(self.proto);
        writer.u8(self.mode);
        writer.u8(self.level);
        if dialect == Dialect::Linux {
            writer.u16(0);
            writer.u32(self.reqid);
            writer.u32(0);
        } else {
            writer.u16(u16::try_from(self.reqid).map_err(|_| Error::Refused(Code::InvalidLevel))?);
        }
        if let Some((source, destination)) = &self.endpoints {
            source.emit(writer);
            destination.emit(writer);
        }
        writer.align(start);
        Ok(())
    }
}
