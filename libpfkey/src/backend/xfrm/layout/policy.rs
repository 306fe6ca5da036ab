//! Structures about policies.

use super::{ALIGN, Addr, Current, Id, XfrmLimits, XfrmSelector};
use crate::error::Result;
use crate::wire::reader::Reader;
use crate::wire::writer::Writer;

/// `xfrm_userpolicy_info`, 168 bytes (164 on i386).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PolicyInfo {
    pub(crate) selector: XfrmSelector,
    pub(crate) limits: XfrmLimits,
    pub(crate) current: Current,
    pub(crate) priority: u32,
    pub(crate) index: u32,
    pub(crate) direction: u8,
    pub(crate) action: u8,
    pub(crate) flags: u8,
    pub(crate) share: u8,
}

impl PolicyInfo {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let info = Self {
            selector: XfrmSelector::parse(reader)?,
            limits: XfrmLimits::parse(reader)?,
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

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
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
pub(crate) struct XfrmPolicyId {
    pub(crate) selector: XfrmSelector,
    pub(crate) index: u32,
    pub(crate) direction: u8,
}

impl XfrmPolicyId {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let id = Self { selector: XfrmSelector::parse(reader)?, index: reader.u32()?, direction: reader.u8()? };
        reader.skip(3)?;
        Ok(id)
    }

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        self.selector.emit(writer);
        writer.u32(self.index);
        writer.u8(self.direction);
        writer.zeros(3);
    }
}

/// `xfrm_user_tmpl`, 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct XfrmTemplate {
    pub(crate) id: Id,
    pub(crate) family: u16,
    pub(crate) source: Addr,
    pub(crate) reqid: u32,
    pub(crate) mode: u8,
    pub(crate) optional: bool,
}

impl XfrmTemplate {
    /// Size in bytes.
    pub(crate) const LEN: usize = 64;

    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
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

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
        self.id.emit(writer);
        writer.u16(self.family);
        writer.zeros(2);
        self.source.emit(writer);
        writer.u32(self.reqid);
        writer.u8(self.mode);
        writer.u8(0);
        writer.u8(u8::from(self.optional));
        writer.zeros(1);
        // Masks of the permitted algorithms. With empty ones the kernel's inbound check refuses every SA.
        (0..3).for_each(|_| writer.u32(u32::MAX));
    }
}

/// `xfrm_user_acquire`, 280 bytes (276 on i386).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct XfrmAcquire {
    pub(crate) id: Id,
    pub(crate) source: Addr,
    pub(crate) policy: PolicyInfo,
    pub(crate) seq: u32,
    pub(crate) family: u16,
}

impl XfrmAcquire {
    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
        let id = Id::parse(reader)?;
        let source = Addr::parse(reader)?;
        let selector = XfrmSelector::parse(reader)?;
        let policy = PolicyInfo::parse(reader)?;
        reader.skip(12)?;
        Ok(Self { id, source, policy, seq: reader.u32()?, family: selector.family })
    }
}

/// `xfrm_user_migrate`, 76 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Migrate {
    pub(crate) old_destination: Addr,
    pub(crate) old_source: Addr,
    pub(crate) new_destination: Addr,
    pub(crate) new_source: Addr,
    pub(crate) proto: u8,
    pub(crate) mode: u8,
    pub(crate) reqid: u32,
    pub(crate) old_family: u16,
    pub(crate) new_family: u16,
}

impl Migrate {
    /// Size in bytes.
    pub(crate) const LEN: usize = 76;

    pub(crate) fn parse(reader: &mut Reader<'_>) -> Result<Self> {
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

    pub(crate) fn emit(&self, writer: &mut Writer<'_>) {
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
