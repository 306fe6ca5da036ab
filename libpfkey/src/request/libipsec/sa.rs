//! Requests about SAs, and those without operands.

use super::{check_pair, check_whole};
use crate::algorithm::Authentication;
use crate::dialect::Abi;
use crate::error::{Error, Result};
use crate::num::{ExtensionType, MessageType, SaFlags, SaState, SaType};
use crate::request::RequestHeader;
use crate::sa::SaId;
use crate::strerror::Code;
use crate::wire::{Address, Builder, Extension, Key, Lifetime, Sa, Sa2, SecurityContext, SockAddr, SpiRange};

/// NAT traversal of an SA (RFC 3948), with numbers. [`UdpEncapsulation`](crate::UdpEncapsulation) is its typed form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Natt {
    /// Encapsulation type; [`crate::num::UDP_ENCAP_ESPINUDP`].
    pub kind: u8,
    /// Source port, host order.
    pub source_port: u16,
    /// Destination port, host order.
    pub destination_port: u16,
    /// Original address of the peer.
    pub original_address: Option<SockAddr>,
    /// Fragment size in bytes, 0 for none (BSD).
    pub fragment: u16,
}

/// The operands of ADD and UPDATE (`struct pfkey_send_sa_args`). [`SaSpec`](crate::SaSpec) is their typed form.
#[derive(Clone, Debug)]
pub struct SaRequest<'a> {
    /// ESP, AH, IPComp or TCP signatures.
    pub sa_type: SaType,
    /// Mode.
    pub mode: u8,
    /// Source.
    pub source: SockAddr,
    /// Destination.
    pub destination: SockAddr,
    /// SPI, host order.
    pub spi: u32,
    /// Reqid.
    pub reqid: u32,
    /// Replay window in the dialect's unit.
    pub window: u8,
    /// Cipher (or compression algorithm) and key; number 0 is none.
    pub encrypt: (u8, &'a [u8]),
    /// Authentication algorithm and key; number 0 is none.
    pub auth: (u8, &'a [u8]),
    /// Flags.
    pub flags: SaFlags,
    /// Hard limits.
    pub hard: Lifetime,
    /// Soft limits; see [`crate::lifetime::SoftRate::soften`].
    pub soft: Lifetime,
    /// NAT traversal.
    pub natt: Option<Natt>,
    /// Security label.
    pub context: Option<SecurityContext<'a>>,
}

fn push_pair(builder: &mut Builder<'_>, source: SockAddr, destination: SockAddr) -> Result<()> {
    builder.push(&Extension::Address(ExtensionType::AddressSrc, Address::host(source)))?;
    builder.push(&Extension::Address(ExtensionType::AddressDst, Address::host(destination)))
}

fn push_natt(builder: &mut Builder<'_>, natt: &Natt) -> Result<()> {
    builder.push(&Extension::NatTType(natt.kind))?;
    builder.push(&Extension::NatTPort(ExtensionType::NatTSport, natt.source_port))?;
    builder.push(&Extension::NatTPort(ExtensionType::NatTDport, natt.destination_port))?;
    if let Some(original) = natt.original_address {
        builder.push(&Extension::Address(ExtensionType::NatTOaInitiator, Address::host(original)))?;
    }
    if natt.fragment != 0 {
        builder.push(&Extension::NatTFrag(natt.fragment))?;
    }
    Ok(())
}

impl SaRequest<'_> {
    fn check(&self, abi: Abi) -> Result<()> {
        check_pair(&self.source, &self.destination)?;
        let tcp_md5 = Authentication::TcpMd5.number(abi.dialect);
        match (self.sa_type, self.encrypt.0, self.auth.0) {
            (SaType::Esp, 0, _) | (SaType::Ah, 0, 0) => Err(Code::NoAlgorithm.into()),
            (SaType::Ah, 1.., _) | (SaType::IpComp, 0, _) => Err(Code::InvalidAlgorithm.into()),
            (SaType::IpComp, _, 1..) => Err(Code::NoAlgorithm.into()),
            // RFC 3948 encapsulates ESP only. libipsec reports it with this code.
            (SaType::Ah, ..) if self.natt.is_some() => Err(Code::NoAlgorithm.into()),
            (SaType::TcpSignature, encrypt, auth) if encrypt != 0 || Some(auth) != tcp_md5 => {
                Err(Code::InvalidAlgorithm.into())
            }
            (SaType::Esp | SaType::Ah | SaType::IpComp | SaType::TcpSignature, ..) => Ok(()),
            _ => Err(Code::InvalidSaType.into()),
        }
    }

    fn push(&self, builder: &mut Builder<'_>) -> Result<()> {
        builder.push(&Extension::Sa(Sa {
            spi: self.spi,
            replay: self.window,
            // Kernels ignore the state of a request.
            state: SaState::Larval,
            auth: self.auth.0,
            encrypt: self.encrypt.0,
            flags: self.flags,
        }))?;
        builder.push(&Extension::Sa2(Sa2 { mode: self.mode, reqid: self.reqid, ..Sa2::default() }))?;
        push_pair(builder, self.source, self.destination)?;
        // Compression has no key. The null cipher has one of no bits, without which kernels refuse an ESP SA.
        if self.encrypt.0 != 0 && self.sa_type != SaType::IpComp {
            builder.push(&Extension::Key(ExtensionType::KeyEncrypt, Key::new(self.encrypt.1)?))?;
        }
        if self.auth.0 != 0 {
            builder.push(&Extension::Key(ExtensionType::KeyAuth, Key::new(self.auth.1)?))?;
        }
        builder.push(&Extension::Lifetime(ExtensionType::LifetimeHard, self.hard))?;
        builder.push(&Extension::Lifetime(ExtensionType::LifetimeSoft, self.soft))?;
        if let Some(context) = self.context {
            builder.push(&Extension::SecurityContext(context))?;
        }
        self.natt.as_ref().map_or(Ok(()), |natt| push_natt(builder, natt))
    }
}

/// ADD (`pfkey_send_add2`).
///
/// # Errors
/// libipsec's code for operands that do not fit; what the dialect has not.
pub fn add(header: RequestHeader, sa: &SaRequest<'_>, buffer: &mut Vec<u8>) -> Result<()> {
    sa.check(header.abi)?;
    header.write(MessageType::Add, sa.sa_type, buffer, |builder| sa.push(builder))
}

/// UPDATE (`pfkey_send_update2`).
///
/// # Errors
/// As [`add`].
pub fn update(header: RequestHeader, sa: &SaRequest<'_>, buffer: &mut Vec<u8>) -> Result<()> {
    sa.check(header.abi)?;
    header.write(MessageType::Update, sa.sa_type, buffer, |builder| sa.push(builder))
}

/// The operands of GETSPI. [`SpiSpec`](crate::request::SpiSpec) is their typed form.
#[derive(Clone, Copy, Debug)]
pub struct SpiRequest {
    /// ESP, AH or IPComp.
    pub sa_type: SaType,
    /// Mode.
    pub mode: u8,
    /// Source: the peer, for an inbound SA.
    pub source: SockAddr,
    /// Destination.
    pub destination: SockAddr,
    /// Smallest SPI.
    pub min: u32,
    /// Largest SPI.
    pub max: u32,
    /// Reqid.
    pub reqid: u32,
    /// NAT traversal.
    pub natt: Option<Natt>,
}

/// GETSPI (`pfkey_send_getspi`, `pfkey_send_getspi_nat`).
///
/// # Errors
/// [`Code::SpiRange`] for an empty range or one that begins in the reserved 1..255; as [`add`].
pub fn getspi(header: RequestHeader, request: &SpiRequest, buffer: &mut Vec<u8>) -> Result<()> {
    check_pair(&request.source, &request.destination)?;
    if request.min > request.max || (1..=255).contains(&request.min) {
        return Err(Code::SpiRange.into());
    }
    header.write(MessageType::GetSpi, request.sa_type, buffer, |builder| {
        push_pair(builder, request.source, request.destination)?;
        builder.push(&Extension::Sa2(Sa2 { mode: request.mode, reqid: request.reqid, ..Sa2::default() }))?;
        if let Some(natt) = &request.natt {
            push_natt(builder, natt)?;
        }
        // As in libipsec, where a range from 0 or up to the largest number lets the kernel choose.
        if request.min > 255 && request.max < u32::MAX {
            builder.push(&Extension::SpiRange(SpiRange { min: request.min, max: request.max }))?;
        }
        Ok(())
    })
}

fn write_name(header: RequestHeader, message_type: MessageType, id: &SaId, buffer: &mut Vec<u8>) -> Result<()> {
    let (source, destination) = (id.source.into(), id.destination.into());
    check_pair(&source, &destination)?;
    header.write(message_type, id.sa_type, buffer, |builder| {
        builder.push(&Extension::Sa(Sa::named(id.spi)))?;
        push_pair(builder, source, destination)?;
        id.mark.map_or(Ok(()), |mark| builder.push(&Extension::XfrmMark(mark)))
    })
}

/// GET (`pfkey_send_get`).
///
/// # Errors
/// As [`add`].
pub fn get(header: RequestHeader, id: &SaId, buffer: &mut Vec<u8>) -> Result<()> {
    write_name(header, MessageType::Get, id, buffer)
}

/// DELETE (`pfkey_send_delete`).
///
/// # Errors
/// As [`add`].
pub fn delete(header: RequestHeader, id: &SaId, buffer: &mut Vec<u8>) -> Result<()> {
    write_name(header, MessageType::Delete, id, buffer)
}

/// DELETE of all SAs between two addresses (`pfkey_send_delete_all`).
///
/// # Errors
/// As [`add`]; [`Error::NotInDialect`] on Linux, whose kernel wants an SPI.
pub fn delete_all(
    header: RequestHeader,
    sa_type: SaType,
    source: SockAddr,
    destination: SockAddr,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    check_pair(&source, &destination)?;
    let dialect = header.abi.dialect;
    if !dialect.has_delete_all() {
        return Err(Error::NotInDialect { dialect, what: "DELETE without an SPI" });
    }
    header.write(MessageType::Delete, sa_type, buffer, |builder| push_pair(builder, source, destination))
}

/// REGISTER (`pfkey_send_register`): SA type 0 only asks for the algorithms.
///
/// # Errors
/// [`Error::NotInDialect`]
pub fn register(header: RequestHeader, sa_type: SaType, buffer: &mut Vec<u8>) -> Result<()> {
    header.write(MessageType::Register, sa_type, buffer, |_| Ok(()))
}

/// FLUSH (`pfkey_send_flush`): SA type 0 is all.
///
/// # Errors
/// [`Code::InvalidSaType`]
pub fn flush(header: RequestHeader, sa_type: SaType, buffer: &mut Vec<u8>) -> Result<()> {
    check_whole(sa_type)?;
    header.write(MessageType::Flush, sa_type, buffer, |_| Ok(()))
}

/// DUMP (`pfkey_send_dump`): SA type 0 is all.
///
/// # Errors
/// [`Code::InvalidSaType`]
pub fn dump(header: RequestHeader, sa_type: SaType, buffer: &mut Vec<u8>) -> Result<()> {
    check_whole(sa_type)?;
    header.write(MessageType::Dump, sa_type, buffer, |_| Ok(()))
}

/// X_PROMISC (`pfkey_send_promisc_toggle`).
///
/// # Errors
/// [`Error::NotInDialect`]
pub fn promisc(header: RequestHeader, on: bool, buffer: &mut Vec<u8>) -> Result<()> {
    // X_PROMISC has no extension: the field of the SA type is the switch (RFC 2367 appendix A).
    let sa_type = if on { SaType::Other(1) } else { SaType::Unspec };
    header.write(MessageType::Promisc, sa_type, buffer, |_| Ok(()))
}
