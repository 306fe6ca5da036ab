//! Typed requests as PF_KEY messages: the one place that knows which extension holds what.

use std::net::SocketAddr;

use ExtensionType as T;

use super::{Request, RequestHeader, SpiSpec};
use crate::algorithm;
use crate::dialect::{Abi, Dialect};
use crate::error::Result;
use crate::num::{ExtensionType, MessageType, SaFlags, SaState, SaType, UDP_ENCAP_ESPINUDP};
use crate::sa::{Keyed, SaId, SaSpec, UdpEncapsulation};
use crate::security_policy::{PolicyId, PolicySpec};
use crate::spec_error::SpecError;
use crate::wire::{
    Address, Extension, Header, Key, Lifetime, Message, Sa, Sa2, SockAddr, SpiRange, XfrmExtensions, XfrmReplay,
};

/// Largest window that a PF_KEY message of Linux carries to the kernel, in packets.
const LINUX_WINDOW_MAX: u32 = 32;
/// Window of an SA with extended sequence numbers that asks for none: Linux takes them with a window only.
const ESN_WINDOW: u32 = 64;

/// How a request is written as a PF_KEY message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Whether the backend understands [`XfrmExtensions`].
    pub xfrm_extensions: bool,
    /// Order of the extensions.
    pub order: Order,
}

/// Order of the extensions in a message. To kernels it makes no difference; `setkey -v` shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// That of libipsec.
    #[default]
    Libipsec,
    /// That of KAME's setkey.
    Setkey,
}

/// Extensions of a message about an SA, in the order of libipsec.
const SA_OF_LIBIPSEC: [T; 21] = [
    T::Sa,
    T::Sa2,
    T::AddressSrc,
    T::AddressDst,
    T::AddressProxy,
    T::KeyEncrypt,
    T::KeyAuth,
    T::LifetimeHard,
    T::LifetimeSoft,
    T::SecurityContext,
    T::NatTType,
    T::NatTSport,
    T::NatTDport,
    T::NatTOaInitiator,
    T::NatTFrag,
    T::SpiRange,
    T::SaReplay,
    T::XfrmMark,
    T::XfrmOutputMark,
    T::XfrmIfId,
    T::XfrmAuthTrunc,
];

/// The same, in the order of setkey.
const SA_OF_SETKEY: [T; 21] = [
    T::KeyEncrypt,
    T::KeyAuth,
    T::LifetimeHard,
    T::LifetimeSoft,
    T::SecurityContext,
    T::SpiRange,
    T::Sa,
    T::Sa2,
    T::SaReplay,
    T::NatTType,
    T::NatTOaInitiator,
    T::NatTFrag,
    T::AddressSrc,
    T::AddressDst,
    T::AddressProxy,
    T::NatTSport,
    T::NatTDport,
    T::XfrmMark,
    T::XfrmOutputMark,
    T::XfrmIfId,
    T::XfrmAuthTrunc,
];

/// Extensions that end a message about an SA in either order.
const SA_LAST: [T; 2] = [T::XfrmReplay, T::XfrmOffload];

impl Request {
    /// Writes the request as a PF_KEY message.
    ///
    /// It is not checked whether the parts go together (see [`Request::check`]), only whether the message can express them.
    ///
    /// # Errors
    /// [`Error::NotInDialect`](crate::Error::NotInDialect) for what the dialect has no number for,
    /// [`Error::Spec`](crate::Error::Spec) for what the message has no field for.
    pub fn encode(&self, header: RequestHeader, encoding: Encoding, buffer: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Add(sa) => encode_sa(MessageType::Add, sa, None, header, encoding, buffer),
            Self::Update(sa) => encode_sa(MessageType::Update, sa, None, header, encoding, buffer),
            Self::Delete(id) => encode_name(MessageType::Delete, id, header, encoding, buffer),
            // NETLINK_XFRM deletes them one by one.
            Self::DeleteAll(sa_type, source, destination) if encoding.xfrm_extensions => {
                header.write(MessageType::Delete, *sa_type, buffer, |builder| {
                    builder.push(&host(ExtensionType::AddressSrc, *source))?;
                    builder.push(&host(ExtensionType::AddressDst, *destination))
                })
            }
            Self::DeleteAll(sa_type, source, destination) => {
                super::delete_all(header, *sa_type, (*source).into(), (*destination).into(), buffer)
            }
            Self::Get(id) => encode_name(MessageType::Get, id, header, encoding, buffer),
            Self::AllocateSpi(spi) => encode_spi(spi, header, encoding, buffer),
            Self::Register(sa_type) => super::register(header, *sa_type, buffer),
            Self::Flush(sa_type) => super::flush(header, *sa_type, buffer),
            Self::Dump(sa_type) => super::dump(header, *sa_type, buffer),
            Self::PolicyAdd(policy) => encode_policy(MessageType::SpdAdd, policy, header, encoding, buffer),
            Self::PolicyUpdate(policy) => encode_policy(MessageType::SpdUpdate, policy, header, encoding, buffer),
            Self::PolicyDelete(id) => {
                let named = PolicySpec::named((**id).clone());
                encode_policy(MessageType::SpdDelete, &named, header, encoding, buffer)
            }
            Self::PolicyDeleteIndex(index) => super::spddelete2(header, *index, buffer),
            Self::PolicyGet(index) => super::spdget(header, *index, buffer),
            Self::PolicyFlush => super::spdflush(header, buffer),
            Self::PolicyDump => super::spddump(header, buffer),
        }
    }
}

impl Request {
    /// Calls `read` with the message of an ADD or UPDATE, without writing it as bytes; returns `None` for other requests.
    ///
    /// # Errors
    /// As [`Request::encode`].
    pub(crate) fn with_sa_message<T>(
        &self,
        header: RequestHeader,
        encoding: Encoding,
        read: impl FnOnce(&Message<'_>) -> T,
    ) -> Result<Option<T>> {
        let (Self::Add(sa) | Self::Update(sa)) = self else { return Ok(None) };
        let parts = SaMessage::new(sa, None, header.abi, encoding)?;
        let mut extensions = Vec::with_capacity(SA_OF_LIBIPSEC.len() + SA_LAST.len());
        for kind in SA_OF_LIBIPSEC.iter().chain(&SA_LAST) {
            extensions.extend(parts.extension(*kind)?);
        }
        let RequestHeader { abi, pid, seq } = header;
        let header = Header { pid, seq, ..Header::new(self.message_type(), sa.id.sa_type) };
        Ok(Some(read(&Message { abi, header, extensions })))
    }
}

/// Writes a message with all that is known of an SA, and for GETSPI the range of its SPI. setkey names SAs so, too.
///
/// # Errors
/// As [`Request::encode`].
pub fn encode_sa(
    message_type: MessageType,
    sa: &SaSpec,
    range: Option<SpiRange>,
    header: RequestHeader,
    encoding: Encoding,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    let message = SaMessage::new(sa, range, header.abi, encoding)?;
    let order = match encoding.order {
        Order::Libipsec => &SA_OF_LIBIPSEC,
        Order::Setkey => &SA_OF_SETKEY,
    };
    // GET and DELETE name an SA; its replay protection is no part of the name.
    let names_one = matches!(message_type, MessageType::Get | MessageType::Delete);
    let mut builder = header.builder(message_type, sa.id.sa_type, buffer)?;
    for kind in order.iter().chain(&SA_LAST) {
        if names_one && *kind == T::XfrmReplay {
            continue;
        }
        if let Some(extension) = message.extension(*kind)? {
            builder.push(&extension)?;
        }
    }
    builder.finish()
}

/// DELETE and GET: the name alone.
fn encode_name(
    message_type: MessageType,
    id: &SaId,
    header: RequestHeader,
    encoding: Encoding,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    refuse_xfrm(header.abi.dialect, encoding, [(id.mark.is_some(), "a mark")])?;
    let mut builder = header.builder(message_type, id.sa_type, buffer)?;
    builder.push(&Extension::Sa(Sa::named(id.spi)))?;
    builder.push(&host(T::AddressSrc, id.source))?;
    builder.push(&host(T::AddressDst, id.destination))?;
    XfrmExtensions { mark: id.mark, ..XfrmExtensions::default() }.push(&mut builder)?;
    builder.finish()
}

fn encode_spi(spi: &SpiSpec, header: RequestHeader, encoding: Encoding, buffer: &mut Vec<u8>) -> Result<()> {
    let id = SaId { sa_type: spi.sa_type, source: spi.source, destination: spi.destination, spi: 0, mark: None };
    let mut builder = header.builder(MessageType::GetSpi, spi.sa_type, buffer)?;
    let sa = SaSpec { mode: spi.mode, reqid: spi.reqid, encapsulation: spi.encapsulation, ..SaSpec::new(id) };
    let range = spi.range.as_ref().map(|range| SpiRange { min: *range.start(), max: *range.end() });
    let message = SaMessage::new(&sa, range, header.abi, encoding)?;
    let order = [T::AddressSrc, T::AddressDst, T::Sa2, T::NatTType, T::NatTSport, T::NatTDport, T::SpiRange];
    for kind in order {
        if let Some(extension) = message.extension(kind)? {
            builder.push(&extension)?;
        }
    }
    builder.finish()
}

/// Writes a message with all that is known of a policy.
///
/// # Errors
/// As [`Request::encode`].
pub fn encode_policy(
    message_type: MessageType,
    spec: &PolicySpec,
    header: RequestHeader,
    encoding: Encoding,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    let policy = spec.to_wire(header.abi.dialect)?;
    let PolicyId { selector, label, mark, if_id, .. } = &spec.id;
    let dialect = header.abi.dialect;
    refuse_xfrm(dialect, encoding, [(mark.is_some(), "a mark"), (if_id.is_some(), "an XFRM interface")])?;
    let (source, destination) = selector.to_wire();
    let mut builder = header.builder(message_type, SaType::Unspec, buffer)?;
    let limits = Lifetime { addtime: spec.lifetime, usetime: spec.idle_lifetime, ..Lifetime::default() };
    let first = Extension::Policy(policy);
    match encoding.order {
        Order::Libipsec => {
            builder.push(&Extension::Address(T::AddressSrc, source))?;
            builder.push(&Extension::Address(T::AddressDst, destination))?;
            builder.push(&Extension::Lifetime(T::LifetimeHard, limits))?;
            builder.push(&first)?;
        }
        Order::Setkey => {
            builder.push(&first)?;
            builder.push(&Extension::Address(T::AddressSrc, source))?;
            builder.push(&Extension::Address(T::AddressDst, destination))?;
        }
    }
    if let Some(label) = label {
        builder.push(&Extension::SecurityContext(label.extension()))?;
    }
    XfrmExtensions { mark: *mark, if_id: *if_id, ..XfrmExtensions::default() }.push(&mut builder)?;
    builder.finish()
}

/// An SA with its numbers in a dialect.
struct SaMessage<'a> {
    sa: &'a SaSpec,
    numbers: Sa,
    range: Option<SpiRange>,
    /// FreeBSD: a window that the field of `sadb_sa` cannot hold, in packets.
    large_window: Option<u32>,
    xfrm: XfrmExtensions,
}

impl<'a> SaMessage<'a> {
    fn new(sa: &'a SaSpec, range: Option<SpiRange>, abi: Abi, encoding: Encoding) -> Result<Self> {
        let dialect = abi.dialect;
        let xfrm = XfrmExtensions {
            mark: sa.id.mark,
            output_mark: sa.output_mark,
            if_id: sa.if_id,
            auth_trunc: sa.auth_trunc,
            replay: encoding.xfrm_extensions.then(|| xfrm_replay(sa)).flatten(),
            offload: sa.offload,
        };
        refuse_xfrm(
            dialect,
            encoding,
            [
                (xfrm.mark.is_some(), "a mark"),
                (xfrm.output_mark.is_some(), "an output mark"),
                (xfrm.if_id.is_some(), "an XFRM interface"),
                (xfrm.auth_trunc.is_some(), "the length of an ICV"),
                (xfrm.offload.is_some(), "hardware offload"),
                (sa.replay.esn && matches!(dialect, Dialect::Linux | Dialect::NetBsd), "extended sequence numbers"),
            ],
        )?;
        let (replay, large_window) = window(sa, dialect, encoding)?;
        let mut flags = sa.flags;
        flags.set(SaFlags::FREEBSD_ESN, sa.replay.esn && dialect == Dialect::FreeBsd);
        flags.set(SaFlags::DARWIN_ESN, sa.replay.esn && dialect == Dialect::Darwin);
        let encrypt = match (&sa.encryption, sa.compression) {
            (_, Some(compression)) => compression.number(dialect).unwrap_or(0),
            (Some(Keyed { algorithm, .. }), None) => algorithm::encrypt_number(dialect, *algorithm)?,
            (None, None) => 0,
        };
        let auth = match &sa.authentication {
            Some(Keyed { algorithm, .. }) => algorithm::auth_number(dialect, *algorithm)?,
            None => 0,
        };
        let numbers = Sa { spi: sa.id.spi, replay, state: SaState::Larval, auth, encrypt, flags };
        Ok(Self { sa, numbers, range, large_window, xfrm })
    }

    /// The extension of a kind, if the message has it.
    fn extension(&self, kind: ExtensionType) -> Result<Option<Extension<'_>>> {
        let sa = self.sa;
        let key = |key: Option<&'a crate::SecretKey>| -> Result<_> {
            key.map(|key| Ok(Extension::Key(kind, Key::new(key.as_bytes())?))).transpose()
        };
        let lifetime = |limits: Option<Lifetime>| limits.map(|limits| Extension::Lifetime(kind, limits));
        let natt = sa.encapsulation.as_ref();
        let port = |port: fn(&UdpEncapsulation) -> u16| natt.map(|natt| Extension::NatTPort(kind, port(natt)));
        Ok(match kind {
            T::Sa => Some(Extension::Sa(self.numbers)),
            T::Sa2 => Some(Extension::Sa2(Sa2 { mode: sa.mode.into(), reqid: sa.reqid, ..Sa2::default() })),
            T::SaReplay => self.large_window.map(Extension::SaReplay),
            T::SpiRange => self.range.map(Extension::SpiRange),
            T::AddressSrc => Some(host(kind, sa.id.source)),
            T::AddressDst => Some(host(kind, sa.id.destination)),
            T::AddressProxy => sa
                .inner_source
                .map(|(address, prefix)| Extension::Address(kind, Address { prefix, ..Address::host(address.into()) })),
            T::KeyEncrypt => key(sa.encryption.as_ref().and_then(|keyed| keyed.key.as_ref()))?,
            T::KeyAuth => key(sa.authentication.as_ref().and_then(|keyed| keyed.key.as_ref()))?,
            T::LifetimeHard => lifetime(sa.lifetimes.hard),
            T::LifetimeSoft => lifetime(sa.lifetimes.soft),
            T::SecurityContext => sa.label.as_ref().map(|label| Extension::SecurityContext(label.extension())),
            T::NatTType => natt.map(|_| Extension::NatTType(UDP_ENCAP_ESPINUDP)),
            T::NatTSport => port(|natt| natt.source_port),
            T::NatTDport => port(|natt| natt.destination_port),
            T::NatTOaInitiator => natt.and_then(|natt| natt.original_address).map(|original| host(kind, original)),
            T::NatTFrag => natt.map(|natt| natt.fragment).filter(|size| *size != 0).map(Extension::NatTFrag),
            T::XfrmMark => self.xfrm.mark.map(Extension::XfrmMark),
            T::XfrmOutputMark => self.xfrm.output_mark.map(Extension::XfrmOutputMark),
            T::XfrmIfId => self.xfrm.if_id.map(Extension::XfrmIfId),
            T::XfrmAuthTrunc => self.xfrm.auth_trunc.map(Extension::XfrmAuthTrunc),
            T::XfrmReplay => self.xfrm.replay.map(Extension::XfrmReplay),
            T::XfrmOffload => self.xfrm.offload.map(Extension::XfrmOffload),
            _ => None,
        })
    }
}

fn host(kind: ExtensionType, address: SocketAddr) -> Extension<'static> {
    Extension::Address(kind, Address::host(SockAddr::Inet(address)))
}

/// The window of NETLINK_XFRM, where the field of `sadb_sa` does not suffice.
fn xfrm_replay(sa: &SaSpec) -> Option<XfrmReplay> {
    let crate::sa::Replay { window, esn } = sa.replay;
    let window = if esn && window == 0 { ESN_WINDOW } else { window };
    (esn || window > LINUX_WINDOW_MAX).then_some(XfrmReplay { window, esn })
}

/// The window as the field of `sadb_sa` holds it, and FreeBSD's extension for larger ones, in packets.
fn window(sa: &SaSpec, dialect: Dialect, encoding: Encoding) -> Result<(u8, Option<u32>)> {
    let packets = sa.replay.window;
    // Linux counts packets, the BSDs bytes of the bitmap.
    let field = if dialect == Dialect::Linux { packets } else { packets.div_ceil(8) };
    match u8::try_from(field) {
        Ok(field) => Ok((field, None)),
        // XfrmReplay holds it.
        Err(_) if encoding.xfrm_extensions => Ok((u8::MAX, None)),
        Err(_) if dialect == Dialect::FreeBsd => Ok((u8::MAX, Some(packets))),
        Err(_) => {
            let max = if dialect == Dialect::Linux { u32::from(u8::MAX) } else { u32::from(u8::MAX) * 8 };
            Err(SpecError::ReplayWindow { window: packets, max, dialect }.into())
        }
    }
}

/// Refuses options that only NETLINK_XFRM has, where the backend is another.
fn refuse_xfrm<const COUNT: usize>(
    dialect: Dialect,
    encoding: Encoding,
    options: [(bool, &'static str); COUNT],
) -> Result<()> {
    if encoding.xfrm_extensions {
        return Ok(());
    }
    match options.into_iter().find(|(is_set, _)| *is_set) {
        Some((_, what)) => Err(SpecError::NotExpressible { dialect, what }.into()),
        None => Ok(()),
    }
}
