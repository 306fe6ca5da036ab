//! Extensions of this library for what NETLINK_XFRM can do and the PF_KEY of Linux has no field for.
//!
//! They have the form of PF_KEY extensions, with numbers that no kernel uses, so that one message type serves both
//! interfaces. [`Backend::has_xfrm_extensions`](crate::backend::Backend::has_xfrm_extensions) tells whether a backend
//! understands them; `af_key` ignores them.

use super::extension::Extension;
use super::message::{Builder, Message};
use super::reader::Reader;
use super::writer::Writer;
use crate::error::Result;

/// A mark and the mask of its bits that count (`xfrm_mark`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct XfrmMark {
    /// The mark.
    pub value: u32,
    /// Bits that are compared, or set.
    pub mask: u32,
}

/// The replay window of an SA, where the 8 bits of `sadb_sa` cannot express it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct XfrmReplay {
    /// Window in packets.
    pub window: u32,
    /// Extended sequence numbers (RFC 4304).
    pub esn: bool,
}

/// How the ICV of an SA differs from the one that Linux' PF_KEY implies for the algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct XfrmAuthTrunc {
    /// Bits of the ICV; 0 for the length that PF_KEY implies.
    pub icv_bits: u32,
    /// Pads an AH header to a multiple of 4 bytes, as RFC 4302 specifies for IPv4. Linux' default is 8.
    pub align4: bool,
}

/// Hardware offload of an SA (`xfrm_user_offload`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct XfrmOffload {
    /// Index of the network interface.
    pub interface: u32,
    /// [`OFFLOAD_INBOUND`](crate::num::OFFLOAD_INBOUND), [`OFFLOAD_PACKET`](crate::num::OFFLOAD_PACKET).
    pub flags: u32,
}

/// All of them, of an SA or a policy.
///
/// ```
/// use libpfkey::request::{self, RequestHeader};
/// use libpfkey::wire::{XfrmExtensions, XfrmMark};
/// use libpfkey::{Abi, Dialect, Message, SaId, SaType};
///
/// let header = RequestHeader { abi: Abi::of(Dialect::Linux), pid: 1, seq: 2 };
/// let mark = Some(XfrmMark { value: 7, mask: 0xff });
/// let id = SaId { mark, ..SaId::new(SaType::Esp, "192.0.2.1".parse()?, "192.0.2.2".parse()?, 0x1001) };
/// let mut bytes = Vec::new();
/// request::get(header, &id, &mut bytes)?;
/// let message = Message::parse(header.abi, &bytes)?;
/// assert_eq!(message.xfrm(), XfrmExtensions { mark, ..XfrmExtensions::default() });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct XfrmExtensions {
    /// Mark by which the kernel tells apart SAs and policies that otherwise have the same name.
    pub mark: Option<XfrmMark>,
    /// Mark that packets get which the SA has processed.
    pub output_mark: Option<XfrmMark>,
    /// Identifier of an XFRM interface.
    pub if_id: Option<u32>,
    /// Length of the ICV.
    pub auth_trunc: Option<XfrmAuthTrunc>,
    /// Replay window and extended sequence numbers.
    pub replay: Option<XfrmReplay>,
    /// Hardware offload.
    pub offload: Option<XfrmOffload>,
}

impl XfrmExtensions {
    /// The extensions of a message.
    pub fn of(message: &Message<'_>) -> Self {
        // A search for each would read the extensions six times, for each SA of a dump.
        let mut all = Self::default();
        for extension in &message.extensions {
            match extension {
                Extension::XfrmAuthTrunc(auth_trunc) => all.auth_trunc = Some(*auth_trunc),
                Extension::XfrmIfId(id) => all.if_id = Some(*id),
                Extension::XfrmMark(mark) => all.mark = Some(*mark),
                Extension::XfrmOffload(offload) => all.offload = Some(*offload),
                Extension::XfrmOutputMark(mark) => all.output_mark = Some(*mark),
                Extension::XfrmReplay(replay) => all.replay = Some(*replay),
                _ => {}
            }
        }
        all
    }

    /// Appends those that are set to a message.
    ///
    /// # Errors
    /// [`Error::NotInDialect`](crate::Error::NotInDialect) in any dialect but Linux'.
    pub fn push(&self, builder: &mut Builder<'_>) -> Result<()> {
        let all = [
            self.mark.map(Extension::XfrmMark),
            self.output_mark.map(Extension::XfrmOutputMark),
            self.if_id.map(Extension::XfrmIfId),
            self.auth_trunc.map(Extension::XfrmAuthTrunc),
            self.replay.map(Extension::XfrmReplay),
            self.offload.map(Extension::XfrmOffload),
        ];
        all.iter().flatten().try_for_each(|extension| builder.push(extension))
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Value of the second word of `XfrmAuthTrunc` that stands for [`XfrmAuthTrunc::align4`].
const ALIGN4: u32 = 4;

impl XfrmMark {
    pub(crate) fn parse(body: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { value: body.u32()?, mask: body.u32()? })
    }

    pub(crate) fn emit(self, body: &mut Writer<'_>) {
        body.u32(self.value);
        body.u32(self.mask);
    }
}

impl XfrmReplay {
    pub(super) fn parse(body: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { window: body.u32()?, esn: body.u32()? != 0 })
    }

    pub(super) fn emit(self, body: &mut Writer<'_>) {
        body.u32(self.window);
        body.u32(self.esn.into());
    }
}

impl XfrmAuthTrunc {
    pub(super) fn parse(body: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { icv_bits: body.u32()?, align4: body.u32()? == ALIGN4 })
    }

    pub(super) fn emit(self, body: &mut Writer<'_>) {
        body.u32(self.icv_bits);
        body.u32(if self.align4 { ALIGN4 } else { 0 });
    }
}

impl XfrmOffload {
    pub(super) fn parse(body: &mut Reader<'_>) -> Result<Self> {
        Ok(Self { interface: body.u32()?, flags: body.u32()? })
    }

    pub(super) fn emit(self, body: &mut Writer<'_>) {
        body.u32(self.interface);
        body.u32(self.flags);
    }
}
