//! Typed requests as PF_KEY messages: the one place that knows which extension holds what.

use std::net::SocketAddr;

use ExtensionType as T;
use zeroize::Zeroize as _;

use super::libipsec::check_whole;
use super::{Request, RequestHeader, SpiSpec};
use crate::algorithm;
use crate::dialect::{Abi, Dialect};
use crate::error::{Error, Result};
use crate::num::{ExtensionType, MessageType, SaFlags, SaState, SaType, UDP_ENCAP_ESPINUDP};
use crate::sa::{Keyed, SaId, SaSpec, UdpEncapsulation};
use crate::security_policy::{PolicyId, PolicySpec};
use crate::spec_error::SpecError;
use crate::wire::{
    Address, Extension, Key, Lifetime, Message, Policy, Sa, Sa2, SockAddr, SpiRange, XfrmExtensions, XfrmReplay,
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
    /// [`Error::NotInDialect`] for what the dialect has no number for, [`Error::Spec`] for what the message has no field for.
    pub fn encode(&self, header: RequestHeader, encoding: Encoding, buffer: &mut Vec<u8>) -> Result<()> {
        match self {
            // PF_KEY has this request only where the kernel deletes all of them itself.
            Self::DeleteAll(sa_type, source, destination) if !encoding.xfrm_extensions => {
                super::delete_all(header, *sa_type, (*source).into(), (*destination).into(), buffer)
            }
            _ => write(&self.message(header, encoding)?, buffer),
        }
    }

    /// Returns the message that [`Request::encode`] writes, as it would be parsed from those bytes.
    ///
    /// # Errors
    /// As [`Request::encode`].
    pub(crate) fn message(&self, header: RequestHeader, encoding: Encoding) -> Result<Message<'_>> {
        let abi = header.abi;
        let extensions = match self {
            Self::Add(sa) | Self::Update(sa) => sa_extensions(self.message_type(), sa, None, abi, encoding)?,
            Self::Delete(id) | Self::Get(id) => name_extensions(id, abi, encoding)?,
            Self::DeleteAll(_, source, destination) => {
                vec![host(T::AddressSrc, *source), host(T::AddressDst, *destination)]
            }
            Self::AllocateSpi(spi) => spi_extensions(spi),
            Self::Flush(sa_type) | Self::Dump(sa_type) => {
                check_whole(*sa_type)?;
                Vec::new()
            }
            Self::PolicyAdd(policy) | Self::PolicyUpdate(policy) => policy_extensions(policy, abi, encoding)?,
            Self::PolicyDelete(id) => {
                let direction = PolicySpec::named((**id).clone()).to_wire(abi.dialect)?;
                policy_parts(id, direction, Lifetime::default(), abi, encoding)?
            }
            Self::PolicyDeleteIndex(index) | Self::PolicyGet(index) => vec![Extension::Policy(Policy::named(*index))],
            Self::Register(_) | Self::PolicyFlush | Self::PolicyDump => Vec::new(),
        };
        header.message(self.message_type(), self.sa_type(), extensions)
    }
}

/// Writes a message to a buffer, which is emptied (and wiped) first.
fn write(message: &Message<'_>, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.zeroize();
    message.emit(buffer)
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
    let extensions = sa_extensions(message_type, sa, range, header.abi, encoding)?;
    write(&header.message(message_type, sa.id.sa_type, extensions)?, buffer)
}

fn sa_extensions(
    message_type: MessageType,
    sa: &SaSpec,
    range: Option<SpiRange>,
    abi: Abi,
    encoding: Encoding,
) -> Result<Vec<Extension<'_>>> {
    let message = SaMessage::new(sa, range, abi, encoding)?;
    let order = match encoding.order {
        Order::Libipsec => &SA_OF_LIBIPSEC,
        Order::Setkey => &SA_OF_SETKEY,
    };
    // GET and DELETE name an SA; its replay protection is no part of the name.
    let names_one = matches!(message_type, MessageType::Get | MessageType::Delete);
    let mut extensions = Vec::with_capacity(SA_OF_LIBIPSEC.len() + SA_LAST.len());
    for kind in order.iter().chain(&SA_LAST) {
        if names_one && *kind == T::XfrmReplay {
            continue;
        }
        extensions.extend(message.extension(*kind)?);
    }
    Ok(extensions)
}

/// DELETE and GET: the name alone.
fn name_extensions(id: &SaId, abi: Abi, encoding: Encoding) -> Result<Vec<Extension<'_>>> {
    refuse_xfrm(abi.dialect, encoding, [(id.mark.is_some(), "a mark")])?;
    let (mut source, mut destination) = (id.source, id.destination);
    let (source_port, destination_port) = (source.port(), destination.port());
    // NetBSD keeps the ports of UDP encapsulation in the addresses of an SA and compares them there. In a request it reads them
    // from these extensions and ignores those of the addresses.
    let has_ports =
        abi.dialect == Dialect::NetBsd && id.sa_type == SaType::Esp && (source_port, destination_port) != (0, 0);
    if has_ports {
        source.set_port(0);
        destination.set_port(0);
    }
    let mut extensions =
        vec![Extension::Sa(Sa::named(id.spi)), host(T::AddressSrc, source), host(T::AddressDst, destination)];
    if has_ports {
        extensions.extend(natt_extensions(source_port, destination_port));
    }
    extensions.extend(id.mark.map(Extension::XfrmMark));
    Ok(extensions)
}

fn spi_extensions(spi: &SpiSpec) -> Vec<Extension<'static>> {
    let mut extensions = vec![
        host(T::AddressSrc, spi.source),
        host(T::AddressDst, spi.destination),
        Extension::Sa2(Sa2 { mode: spi.mode.into(), reqid: spi.reqid, ..Sa2::default() }),
    ];
    if let Some(natt) = &spi.encapsulation {
        extensions.extend(natt_extensions(natt.source_port, natt.destination_port));
    }
    let range = spi.range.as_ref().map(|range| SpiRange { min: *range.start(), max: *range.end() });
    extensions.extend(range.map(Extension::SpiRange));
    extensions
}

fn natt_extensions(source_port: u16, destination_port: u16) -> [Extension<'static>; 3] {
    [
        Extension::NatTType(UDP_ENCAP_ESPINUDP),
        Extension::NatTPort(T::NatTSport, source_port),
        Extension::NatTPort(T::NatTDport, destination_port),
    ]
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
    let extensions = policy_extensions(spec, header.abi, encoding)?;
    write(&header.message(message_type, SaType::Unspec, extensions)?, buffer)
}

fn policy_extensions(spec: &PolicySpec, abi: Abi, encoding: Encoding) -> Result<Vec<Extension<'_>>> {
    let limits = Lifetime { addtime: spec.lifetime, usetime: spec.idle_lifetime, ..Lifetime::default() };
    policy_parts(&spec.id, spec.to_wire(abi.dialect)?, limits, abi, encoding)
}

fn policy_parts(
    id: &PolicyId,
    policy: Policy,
    limits: Lifetime,
    abi: Abi,
    encoding: Encoding,
) -> Result<Vec<Extension<'_>>> {
    let PolicyId { selector, label, mark, if_id, .. } = id;
    refuse_xfrm(abi.dialect, encoding, [(mark.is_some(), "a mark"), (if_id.is_some(), "an XFRM interface")])?;
    let (source, destination) = selector.to_wire();
    let source = Extension::Address(T::AddressSrc, source);
    let destination = Extension::Address(T::AddressDst, destination);
    let mut extensions = match encoding.order {
        Order::Libipsec => {
            vec![source, destination, Extension::Lifetime(T::LifetimeHard, limits), Extension::Policy(policy)]
        }
        Order::Setkey => vec![Extension::Policy(policy), source, destination],
    };
    extensions.extend(label.as_ref().map(|label| Extension::SecurityContext(label.extension())));
    extensions.extend(mark.map(Extension::XfrmMark));
    extensions.extend(if_id.map(Extension::XfrmIfId));
    Ok(extensions)
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
        // Netlink has no attribute for it either, and would leave it out silently.
        let has_fragment = sa.encapsulation.is_some_and(|natt| natt.fragment != 0);
        if has_fragment && T::NatTFrag.number(dialect).is_none() {
            return Err(Error::NotInDialect { dialect, what: T::NatTFrag.what() });
        }
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
    fn extension(&self, kind: ExtensionType) -> Result<Option<Extension<'a>>> {
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
