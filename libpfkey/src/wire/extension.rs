//! One extension header with its meaning.

use super::address::{Address, Filter, KmAddress};
use super::key::Key;
use super::label::{Identity, SecurityContext, Sensitivity};
use super::policy::Policy;
use super::reader::Reader;
use super::sa::{Lifetime, Sa, Sa2, SpiRange};
use super::supported::{Algorithm, Proposal, emit_algorithms, parse_algorithms};
use super::writer::Writer;
use super::xfrm::{XfrmAuthTrunc, XfrmMark, XfrmOffload, XfrmReplay};
use crate::error::Result;
use crate::num::ExtensionType;

/// An extension. Unknown and private ones keep their bytes.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Extension<'a> {
    /// An address: source, destination, proxy, NAT-T original addresses, new addresses, macOS ranges.
    Address(ExtensionType, Address),
    /// `sadb_x_filter`
    Filter(Filter),
    /// An identity, source or destination.
    Identity(ExtensionType, Identity<'a>),
    /// `sadb_x_if_hw_offl` (FreeBSD): flags and interface name.
    IfHwOffload {
        /// Flags.
        flags: u32,
        /// Interface name, NUL-padded.
        name: [u8; 32],
    },
    /// A key, authentication or encryption.
    Key(ExtensionType, Key<'a>),
    /// `sadb_x_kmaddress`
    KmAddress(KmAddress),
    /// Limits or current use.
    Lifetime(ExtensionType, Lifetime),
    /// `sadb_x_nat_t_frag`: fragment size in bytes.
    NatTFrag(u16),
    /// `sadb_x_nat_t_port`, source or destination; host order (network order on the wire).
    NatTPort(ExtensionType, u16),
    /// `sadb_x_nat_t_type`
    NatTType(u8),
    /// Any other extension: its type and what follows the header.
    Opaque(ExtensionType, &'a [u8]),
    /// `sadb_x_policy`
    Policy(Policy),
    /// `sadb_prop`
    Proposal(Proposal),
    /// `sadb_sa`
    Sa(Sa),
    /// `sadb_x_sa2`
    Sa2(Sa2),
    /// `sadb_x_sa_replay` (FreeBSD): replay window in packets.
    SaReplay(u32),
    /// `sadb_x_sec_ctx`
    SecurityContext(SecurityContext<'a>),
    /// `sadb_sens`
    Sensitivity(Sensitivity<'a>),
    /// `sadb_session_id` (macOS).
    SessionId([u64; 2]),
    /// `sadb_spirange`
    SpiRange(SpiRange),
    /// `sadb_supported`, authentication or encryption.
    Supported(ExtensionType, Vec<Algorithm>),
    /// Length of the ICV; of this library, as all that begin with `Xfrm`: see [`XfrmExtensions`](super::XfrmExtensions).
    XfrmAuthTrunc(XfrmAuthTrunc),
    /// Identifier of an XFRM interface.
    XfrmIfId(u32),
    /// Mark by which an SA or policy is found.
    XfrmMark(XfrmMark),
    /// Hardware offload.
    XfrmOffload(XfrmOffload),
    /// Mark that packets get.
    XfrmOutputMark(XfrmMark),
    /// Replay window and extended sequence numbers.
    XfrmReplay(XfrmReplay),
}

impl<'a> Extension<'a> {
    /// The extension's type.
    pub fn kind(&self) -> ExtensionType {
        match self {
            Self::Address(kind, _)
            | Self::Identity(kind, _)
            | Self::Key(kind, _)
            | Self::Lifetime(kind, _)
            | Self::NatTPort(kind, _)
            | Self::Opaque(kind, _)
            | Self::Supported(kind, _) => *kind,
            Self::Filter(_) => ExtensionType::Filter,
            Self::IfHwOffload { .. } => ExtensionType::IfHwOffload,
            Self::KmAddress(_) => ExtensionType::KmAddress,
            Self::NatTFrag(_) => ExtensionType::NatTFrag,
            Self::NatTType(_) => ExtensionType::NatTType,
            Self::Policy(_) => ExtensionType::Policy,
            Self::Proposal(_) => ExtensionType::Proposal,
            Self::Sa(_) => ExtensionType::Sa,
            Self::Sa2(_) => ExtensionType::Sa2,
            Self::SaReplay(_) => ExtensionType::SaReplay,
            Self::SecurityContext(_) => ExtensionType::SecurityContext,
            Self::Sensitivity(_) => ExtensionType::Sensitivity,
            Self::SessionId(_) => ExtensionType::SessionId,
            Self::SpiRange(_) => ExtensionType::SpiRange,
            Self::XfrmAuthTrunc(_) => ExtensionType::XfrmAuthTrunc,
            Self::XfrmIfId(_) => ExtensionType::XfrmIfId,
            Self::XfrmMark(_) => ExtensionType::XfrmMark,
            Self::XfrmOffload(_) => ExtensionType::XfrmOffload,
            Self::XfrmOutputMark(_) => ExtensionType::XfrmOutputMark,
            Self::XfrmReplay(_) => ExtensionType::XfrmReplay,
        }
    }

    /// Parses what follows an extension's header.
    pub(crate) fn parse(kind: ExtensionType, body: &mut Reader<'a>) -> Result<Self> {
        use ExtensionType as T;
        Ok(match kind {
            T::AddressSrc | T::AddressDst | T::AddressProxy | T::NatTOaInitiator | T::NatTOaResponder => {
                Self::Address(kind, Address::parse(body)?)
            }
            T::NewAddressSrc | T::NewAddressDst => Self::Address(kind, Address::parse(body)?),
            T::RangeSrcStart | T::RangeSrcEnd | T::RangeDstStart | T::RangeDstEnd => {
                Self::Address(kind, Address::parse(body)?)
            }
            T::Filter => Self::Filter(Filter::parse(body)?),
            T::IdentitySrc | T::IdentityDst => Self::Identity(kind, Identity::parse(body)?),
            T::IfHwOffload => Self::IfHwOffload { flags: body.u32()?, name: body.array()? },
            T::KeyAuth | T::KeyEncrypt => Self::Key(kind, Key::parse(body)?),
            T::KmAddress => Self::KmAddress(KmAddress::parse(body)?),
            T::LifetimeCurrent | T::LifetimeHard | T::LifetimeSoft | T::LifetimeCurrentSw | T::LifetimeCurrentHw => {
                Self::Lifetime(kind, Lifetime::parse(body)?)
            }
            T::NatTFrag => Self::NatTFrag(body.u16()?),
            T::NatTSport | T::NatTDport => Self::NatTPort(kind, body.net_u16()?),
            T::NatTType => Self::NatTType(body.u8()?),
            T::Policy => Self::Policy(Policy::parse(body)?),
            T::Proposal => Self::Proposal(Proposal::parse(body)?),
            T::Sa => Self::Sa(Sa::parse(body)?),
            T::Sa2 => Self::Sa2(Sa2::parse(body)?),
            T::SaReplay => Self::SaReplay(body.u32()?),
            T::SecurityContext => Self::SecurityContext(SecurityContext::parse(body)?),
            T::Sensitivity => Self::Sensitivity(Sensitivity::parse(body)?),
            // Four bytes align the two 64-bit words.
            T::SessionId => {
                body.skip(4)?;
                Self::SessionId([body.u64()?, body.u64()?])
            }
            T::SpiRange => Self::SpiRange(SpiRange::parse(body)?),
            T::SupportedAuth | T::SupportedEncrypt => Self::Supported(kind, parse_algorithms(body)?),
            T::XfrmAuthTrunc => Self::XfrmAuthTrunc(XfrmAuthTrunc::parse(body)?),
            T::XfrmIfId => {
                let id = body.u32()?;
                body.skip(4)?;
                Self::XfrmIfId(id)
            }
            T::XfrmMark => Self::XfrmMark(XfrmMark::parse(body)?),
            T::XfrmOffload => Self::XfrmOffload(XfrmOffload::parse(body)?),
            T::XfrmOutputMark => Self::XfrmOutputMark(XfrmMark::parse(body)?),
            T::XfrmReplay => Self::XfrmReplay(XfrmReplay::parse(body)?),
            // Nothing here reads them. They are kept so that a message can be copied.
            T::IpsecIf | T::KmPrivate | T::MigrateIpsecIf | T::SaStat | T::XfrmReplayState | T::Other(_) => {
                Self::Opaque(kind, body.rest())
            }
        })
    }

    /// Appends the extension with header, length and padding.
    pub(crate) fn emit(&self, writer: &mut Writer<'_>) -> Result<()> {
        writer.extension(self.kind(), |body| {
            match self {
                Self::Address(_, address) => address.emit(body),
                Self::Filter(filter) => filter.emit(body),
                Self::Identity(_, identity) => identity.emit(body),
                Self::IfHwOffload { flags, name } => {
                    body.u32(*flags);
                    body.bytes(name);
                }
                Self::Key(_, key) => key.emit(body),
                Self::KmAddress(address) => address.emit(body),
                Self::Lifetime(_, lifetime) => lifetime.emit(body),
                Self::NatTFrag(size) => body.u16(*size),
                // In network order, as the header that it goes into; most fields of PF_KEY are not.
                Self::NatTPort(_, port) => body.net_u16(*port),
                Self::NatTType(number) => body.u8(*number),
                Self::Opaque(_, bytes) => body.bytes(bytes),
                Self::Policy(policy) => policy.emit(body)?,
                Self::Proposal(proposal) => proposal.emit(body),
                Self::Sa(sa) => sa.emit(body),
                Self::Sa2(sa2) => sa2.emit(body),
                Self::SaReplay(packets) => body.u32(*packets),
                Self::SecurityContext(context) => context.emit(body)?,
                Self::Sensitivity(sensitivity) => sensitivity.emit(body),
                Self::SessionId(id) => {
                    body.zeros(4);
                    id.iter().for_each(|word| body.u64(*word));
                }
                Self::SpiRange(range) => range.emit(body),
                Self::Supported(_, algorithms) => emit_algorithms(algorithms, body),
                Self::XfrmAuthTrunc(auth_trunc) => auth_trunc.emit(body),
                Self::XfrmIfId(id) => {
                    body.u32(*id);
                    body.zeros(4);
                }
                Self::XfrmMark(mark) | Self::XfrmOutputMark(mark) => mark.emit(body),
                Self::XfrmOffload(offload) => offload.emit(body),
                Self::XfrmReplay(replay) => replay.emit(body),
            }
            Ok(())
        })
    }
}
