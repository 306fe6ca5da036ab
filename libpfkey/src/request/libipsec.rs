//! The `pfkey_send_*` functions of libipsec, with their checks: each writes one message into a buffer.

use super::RequestHeader;
use crate::algorithm::Authentication;
use crate::dialect::{Abi, Dialect};
use crate::error::{Error, Result};
use crate::num::{ExtensionType, MessageType, SaFlags, SaState, SaType};
use crate::sa::SaId;
use crate::strerror::Code;
use crate::wire::{
    Address, Builder, Extension, Key, KmAddress, Lifetime, Policy, Sa, Sa2, SecurityContext, SockAddr, SpiRange,
};

/// NAT traversal of an SA (RFC 3948).
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

/// The operands of ADD and UPDATE (`struct pfkey_send_sa_args`).
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

/// Checks two addresses as every libipsec request does.
fn check_pair(source: &SockAddr, destination: &SockAddr) -> Result<()> {
    if !source.same_family(destination) {
        return Err(Code::FamilyMismatch.into());
    }
    if matches!(source, SockAddr::Other { .. }) {
        return Err(Code::InvalidFamily.into());
    }
    Ok(())
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
            state: SaState::Larval,
            auth: self.auth.0,
            encrypt: self.encrypt.0,
            flags: self.flags,
        }))?;
        builder.push(&Extension::Sa2(Sa2 { mode: self.mode, reqid: self.reqid, ..Sa2::default() }))?;
        push_pair(builder, self.source, self.destination)?;
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

/// The operands of GETSPI.
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

/// REGISTER (`pfkey_send_register`): SA type 0 only asks for the list of algorithms.
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

/// Refuses SA types that FLUSH and DUMP do not have.
pub(super) fn check_whole(sa_type: SaType) -> Result<()> {
    match sa_type {
        SaType::Unspec | SaType::Ah | SaType::Esp | SaType::IpComp | SaType::TcpSignature => Ok(()),
        _ => Err(Code::InvalidSaType.into()),
    }
}

/// X_PROMISC (`pfkey_send_promisc_toggle`).
///
/// # Errors
/// [`Error::NotInDialect`]
pub fn promisc(header: RequestHeader, on: bool, buffer: &mut Vec<u8>) -> Result<()> {
    let sa_type = if on { SaType::Other(1) } else { SaType::Unspec };
    header.write(MessageType::Promisc, sa_type, buffer, |_| Ok(()))
}

/// The selector and policy of X_SPDADD, X_SPDUPDATE, X_SPDDELETE, X_SPDSETIDX.
#[derive(Clone, Debug)]
pub struct SpdRequest {
    /// Source address.
    pub source: SockAddr,
    /// Bits of the source address that count.
    pub source_prefix: u8,
    /// Destination address.
    pub destination: SockAddr,
    /// Bits of the destination address that count.
    pub destination_prefix: u8,
    /// Upper-layer protocol; 255 is any.
    pub proto: u8,
    /// Seconds the policy lives; 0 is for ever.
    pub lifetime: u64,
    /// Seconds it lives unused; 0 is for ever.
    pub validtime: u64,
    /// The policy.
    pub policy: Policy,
}

impl SpdRequest {
    fn write(&self, header: RequestHeader, message_type: MessageType, buffer: &mut Vec<u8>) -> Result<()> {
        check_pair(&self.source, &self.destination)?;
        let full = self.source.full_prefix();
        if self.source_prefix > full || self.destination_prefix > full {
            return Err(Code::InvalidPrefix.into());
        }
        if message_type == MessageType::SpdDelete && !self.policy.requests.is_empty() {
            return Err(Code::InvalidArgument.into());
        }
        header.write(message_type, SaType::Unspec, buffer, |builder| {
            let (source, destination) = (self.source, self.destination);
            let end = |sockaddr, prefix| Address { proto: self.proto, prefix, reserved: 0, sockaddr };
            builder.push(&Extension::Address(ExtensionType::AddressSrc, end(source, self.source_prefix)))?;
            builder.push(&Extension::Address(ExtensionType::AddressDst, end(destination, self.destination_prefix)))?;
            let limits = Lifetime { addtime: self.lifetime, usetime: self.validtime, ..Lifetime::default() };
            builder.push(&Extension::Lifetime(ExtensionType::LifetimeHard, limits))?;
            builder.push(&Extension::Policy(self.policy.clone()))
        })
    }
}

/// X_SPDADD (`pfkey_send_spdadd`, `pfkey_send_spdadd2`).
///
/// # Errors
/// [`Code::InvalidPrefix`]; as [`add`].
pub fn spdadd(header: RequestHeader, request: &SpdRequest, buffer: &mut Vec<u8>) -> Result<()> {
    request.write(header, MessageType::SpdAdd, buffer)
}

/// X_SPDUPDATE (`pfkey_send_spdupdate`, `pfkey_send_spdupdate2`).
///
/// # Errors
/// As [`spdadd`].
pub fn spdupdate(header: RequestHeader, request: &SpdRequest, buffer: &mut Vec<u8>) -> Result<()> {
    request.write(header, MessageType::SpdUpdate, buffer)
}

/// X_SPDSETIDX (`pfkey_send_spdsetidx`).
///
/// # Errors
/// As [`spdadd`].
pub fn spdsetidx(header: RequestHeader, request: &SpdRequest, buffer: &mut Vec<u8>) -> Result<()> {
    request.write(header, MessageType::SpdSetIdx, buffer)
}

/// X_SPDDELETE (`pfkey_send_spddelete`): only the policy's direction counts, and it has no requests.
///
/// # Errors
/// [`Code::InvalidArgument`] for a policy with requests; as [`spdadd`].
pub fn spddelete(header: RequestHeader, request: &SpdRequest, buffer: &mut Vec<u8>) -> Result<()> {
    request.write(header, MessageType::SpdDelete, buffer)
}

/// X_SPDDELETE2 (`pfkey_send_spddelete2`): by the kernel's id.
///
/// # Errors
/// [`Error::NotInDialect`]
pub fn spddelete2(header: RequestHeader, id: u32, buffer: &mut Vec<u8>) -> Result<()> {
    by_id(header, MessageType::SpdDelete2, id, buffer)
}

/// X_SPDGET (`pfkey_send_spdget`): by the kernel's id.
///
/// # Errors
/// [`Error::NotInDialect`]
pub fn spdget(header: RequestHeader, id: u32, buffer: &mut Vec<u8>) -> Result<()> {
    by_id(header, MessageType::SpdGet, id, buffer)
}

fn by_id(header: RequestHeader, message_type: MessageType, id: u32, buffer: &mut Vec<u8>) -> Result<()> {
    header.write(message_type, SaType::Unspec, buffer, |builder| builder.push(&Extension::Policy(Policy::named(id))))
}

/// X_SPDFLUSH (`pfkey_send_spdflush`).
///
/// # Errors
/// [`Error::NotInDialect`]
pub fn spdflush(header: RequestHeader, buffer: &mut Vec<u8>) -> Result<()> {
    header.write(MessageType::SpdFlush, SaType::Unspec, buffer, |_| Ok(()))
}

/// X_SPDDUMP (`pfkey_send_spddump`).
///
/// # Errors
/// [`Error::NotInDialect`]
pub fn spddump(header: RequestHeader, buffer: &mut Vec<u8>) -> Result<()> {
    header.write(MessageType::SpdDump, SaType::Unspec, buffer, |_| Ok(()))
}

/// X_SPDDUMP of FreeBSD policies of some scopes: a mask of the `SCOPE_` numbers, 0 for all of them.
///
/// # Errors
/// [`Error::NotInDialect`] where policies have no scope.
pub fn spddump_of_scope(header: RequestHeader, scope: u8, buffer: &mut Vec<u8>) -> Result<()> {
    let dialect = header.abi.dialect;
    if scope != 0 && dialect != Dialect::FreeBsd {
        return Err(Error::NotInDialect { dialect, what: "policies with a scope" });
    }
    // FreeBSD reads the byte of the SA type as the mask.
    header.write(MessageType::SpdDump, SaType::from_number(dialect, scope), buffer, |_| Ok(()))
}

/// X_MIGRATE (`pfkey_send_migrate`): the policy's requests come in pairs, old then new.
///
/// # Errors
/// As [`spdadd`]; [`Error::NotInDialect`] where the kernel has none.
pub fn migrate(
    header: RequestHeader,
    request: &SpdRequest,
    key_manager: Option<KmAddress>,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    check_pair(&request.source, &request.destination)?;
    header.write(MessageType::Migrate, SaType::Unspec, buffer, |builder| {
        if let Some(addresses) = key_manager {
            builder.push(&Extension::KmAddress(addresses))?;
        }
        let end = |sockaddr, prefix| Address { proto: request.proto, prefix, reserved: 0, sockaddr };
        let source = end(request.source, request.source_prefix);
        let destination = end(request.destination, request.destination_prefix);
        builder.push(&Extension::Address(ExtensionType::AddressSrc, source))?;
        builder.push(&Extension::Address(ExtensionType::AddressDst, destination))?;
        builder.push(&Extension::Policy(request.policy.clone()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use crate::num::MODE_TRANSPORT;
    use crate::wire::Message;

    fn header() -> RequestHeader {
        RequestHeader { abi: Abi::of(Dialect::Linux), pid: 7, seq: 3 }
    }

    fn sa<'a>(sa_type: SaType, encrypt: u8, auth: u8) -> SaRequest<'a> {
        SaRequest {
            sa_type,
            mode: MODE_TRANSPORT,
            source: SockAddr::Inet("10.0.0.1:0".parse().unwrap()),
            destination: SockAddr::Inet("10.0.0.2:0".parse().unwrap()),
            spi: 0x1001,
            reqid: 0,
            window: 4,
            encrypt: (encrypt, b"0123456789abcdef"),
            auth: (auth, b"0123456789abcdef"),
            flags: SaFlags::empty(),
            hard: Lifetime::default(),
            soft: Lifetime::default(),
            natt: None,
            context: None,
        }
    }

    fn code(result: Result<()>) -> Option<Code> {
        result.err().map(|error| error.code())
    }

    #[test]
    fn what_each_sa_type_needs() {
        let mut buffer = Vec::new();
        let mut of = |sa_type, encrypt, auth| code(add(header(), &sa(sa_type, encrypt, auth), &mut buffer));
        assert_eq!(of(SaType::Esp, 12, 0), None);
        assert_eq!(of(SaType::Esp, 0, 3), Some(Code::NoAlgorithm));
        assert_eq!(of(SaType::Ah, 0, 3), None);
        assert_eq!(of(SaType::Ah, 12, 3), Some(Code::InvalidAlgorithm));
        assert_eq!(of(SaType::Ah, 0, 0), Some(Code::NoAlgorithm));
        assert_eq!(of(SaType::IpComp, 0, 0), Some(Code::InvalidAlgorithm));
        assert_eq!(of(SaType::IpComp, 2, 3), Some(Code::NoAlgorithm));
        assert_eq!(of(SaType::IpComp, 2, 0), None);
        assert_eq!(of(SaType::TcpSignature, 0, 3), Some(Code::InvalidAlgorithm));
        assert_eq!(of(SaType::Mip, 0, 3), Some(Code::InvalidSaType));
        let mut natt = sa(SaType::Ah, 0, 3);
        natt.natt =
            Some(Natt { kind: 2, source_port: 4500, destination_port: 4500, original_address: None, fragment: 0 });
        assert_eq!(code(add(header(), &natt, &mut buffer)), Some(Code::NoAlgorithm));
    }

    #[test]
    fn extension_order_of_add_is_libipsecs() {
        let mut buffer = Vec::new();
        let mut request = sa(SaType::Esp, 12, 3);
        let original_address = Some(SockAddr::Inet("192.168.7.7:0".parse().unwrap()));
        request.natt = Some(Natt { kind: 2, source_port: 1, destination_port: 2, original_address, fragment: 0 });
        add(header(), &request, &mut buffer).unwrap();
        let message = Message::parse(header().abi, &buffer).unwrap();
        use ExtensionType as T;
        let kinds: Vec<_> = message.extensions.iter().map(Extension::kind).collect();
        let expected = [
            T::Sa,
            T::Sa2,
            T::AddressSrc,
            T::AddressDst,
            T::KeyEncrypt,
            T::KeyAuth,
            T::LifetimeHard,
            T::LifetimeSoft,
            T::NatTType,
            T::NatTSport,
            T::NatTDport,
            T::NatTOaInitiator,
        ];
        assert_eq!(kinds, expected);
        // The reference sends the size of the sockaddr as the prefix length of the original address.
        assert_eq!(message.address(T::NatTOaInitiator).unwrap().prefix, 32);
    }

    #[test]
    fn spi_ranges() {
        let mut buffer = Vec::new();
        let mut of = |min, max| {
            let SaRequest { sa_type, mode, source, destination, .. } = sa(SaType::Esp, 12, 0);
            let request = SpiRequest { sa_type, mode, source, destination, min, max, reqid: 0, natt: None };
            code(getspi(header(), &request, &mut buffer))
        };
        assert_eq!(of(255, 300), Some(Code::SpiRange));
        assert_eq!(of(300, 299), Some(Code::SpiRange));
        assert_eq!(of(256, 300), None);
        assert_eq!(of(0, u32::MAX), None);
    }

    #[test]
    fn linux_has_no_delete_all() {
        let mut buffer = Vec::new();
        let SaRequest { source, destination, .. } = sa(SaType::Esp, 12, 0);
        let error = delete_all(header(), SaType::Esp, source, destination, &mut buffer).unwrap_err();
        assert_eq!(error.to_string(), "Not supported: linux PF_KEY has no DELETE without an SPI");
    }
}
