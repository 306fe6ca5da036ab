//! The PF_KEY message of an SA: its numbers in a dialect, and the order of its extensions.

use ExtensionType as T;

use super::RequestHeader;
use super::encode::{Encoding, Order, host, refuse_xfrm, write};
use crate::algorithm;
use crate::dialect::{Abi, Dialect};
use crate::error::{Error, Result};
use crate::num::{ExtensionType, MessageType, SaFlags, SaState, UDP_ENCAP_ESPINUDP};
use crate::sa::{Keyed, SaSpec, UdpEncapsulation};
use crate::spec_error::SpecError;
use crate::wire::{Address, Extension, Key, Lifetime, Sa, Sa2, SpiRange, XfrmExtensions, XfrmReplay};

/// Largest replay window that Linux' PF_KEY installs, in packets. It takes larger ones for this one.
pub(crate) const LINUX_WINDOW_MAX: u32 = 32;
/// Window of an SA with extended sequence numbers that asks for none: Linux takes them with a window only.
const ESN_WINDOW: u32 = 64;

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

/// Writes a message with all that is known of an SA, and for GETSPI the range of its SPI. setkey names SAs so, too.
///
/// # Errors
/// As [`Request::encode`](super::Request::encode).
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

pub(super) fn sa_extensions(
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
            // `sadb_sa_encrypt` of an IPComp SA holds the compression algorithm.
            (_, Some(compression)) => compression.number(dialect).unwrap_or(0),
            (Some(Keyed { algorithm, .. }), None) => algorithm::encrypt_number(dialect, *algorithm)?,
            (None, None) => 0,
        };
        let auth = match &sa.authentication {
            Some(Keyed { algorithm, .. }) => algorithm::auth_number(dialect, *algorithm)?,
            None => 0,
        };
        // The state of a request is not looked at; libipsec and KAME's setkey send larval.
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

/// The window of NETLINK_XFRM, where the field of `sadb_sa` does not suffice.
fn xfrm_replay(sa: &SaSpec) -> Option<XfrmReplay> {
    let crate::sa::Replay { window, esn } = sa.replay;
    // The kernel refuses the flag for extended sequence numbers without a bitmap.
    let window = if esn && window == 0 { ESN_WINDOW } else { window };
    (esn || window > LINUX_WINDOW_MAX).then_some(XfrmReplay { window, esn })
}

/// The window as the field of `sadb_sa` holds it, and FreeBSD's extension for larger ones, in packets.
fn window(sa: &SaSpec, dialect: Dialect, encoding: Encoding) -> Result<(u8, Option<u32>)> {
    let packets = sa.replay.window;
    // Linux counts packets, the BSDs bytes of a bitmap with a bit for each packet.
    let field = if dialect == Dialect::Linux { packets } else { packets.div_ceil(8) };
    // `sadb_sa_replay` has 8 bits.
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
