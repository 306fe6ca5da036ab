//! SAs as kernels report them.

use std::net::{IpAddr, SocketAddr};

use super::{Keyed, Lifetimes, Replay, SaId, SaSpec, UdpEncapsulation};
use crate::algorithm::{Authentication, Compression, Encryption};
use crate::dialect::Dialect;
use crate::num::{ExtensionType, SaFlags, SaState, SaType};
use crate::wire::{Extension, Lifetime, Message, SockAddr, XfrmExtensions};

/// An SA in a kernel's database.
///
/// ```
/// use libpfkey::algorithm::Encryption;
/// use libpfkey::backend::BackendKind;
/// use libpfkey::{Dialect, Kernel, SaSpec, SaState, SaType};
///
/// let mut kernel = Kernel::open_kind(&BackendKind::Memory, Some(Dialect::FreeBsd))?;
/// let sa = SaSpec::esp("192.0.2.1".parse()?, "192.0.2.2".parse()?, 0x1001).encryption(Encryption::Null, b"");
/// kernel.add(&sa.build()?)?;
/// for installed in kernel.dump(SaType::Unspec)? {
///     println!("{}: {} bytes", installed.spec.id, installed.current.bytes);
///     assert_eq!(installed.state, SaState::Mature);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledSa {
    /// What it was installed with, as far as the kernel tells. It can be added again.
    pub spec: SaSpec,
    /// Whether it has keys, is in use, or has expired.
    pub state: SaState,
    /// Packets and bytes so far, and when it was created (`addtime`) and used (`usetime`), in seconds since 1970.
    pub current: Lifetime,
    /// Lowest 32 bits of the sequence number (BSD; 0 on Linux).
    pub sequence: u32,
}

impl InstalledSa {
    /// Reads the SA in a reply or event; `None` if the message has none, or addresses other than IP.
    pub fn from_message(message: &Message<'_>) -> Option<Self> {
        let sa = message.sa()?;
        let sa2 = message.sa2().copied().unwrap_or_default();
        let xfrm = message.xfrm();
        let encryption = encryption(message, sa.encrypt);
        // FreeBSD and NetBSD show the authentication of an AEAD as an algorithm of its own.
        let is_aead = encryption.as_ref().is_some_and(|keyed| keyed.algorithm.is_aead());
        let shows_tag = is_aead && message.abi.dialect != Dialect::Linux;
        let spec = SaSpec {
            mode: sa2.mode.into(),
            reqid: sa2.reqid,
            authentication: authentication(message, sa.auth).filter(|_| !shows_tag),
            encryption,
            compression: compression(message, sa.encrypt),
            replay: replay(message, sa.replay, &xfrm),
            // These are part of `replay`.
            flags: sa.flags - SaFlags::FREEBSD_ESN - SaFlags::DARWIN_ESN,
            lifetimes: lifetimes(message),
            encapsulation: encapsulation(message),
            label: message.security_context().map(|context| (*context).into()),
            inner_source: inner_source(message),
            output_mark: xfrm.output_mark,
            if_id: xfrm.if_id,
            auth_trunc: xfrm.auth_trunc,
            offload: xfrm.offload,
            ..SaSpec::new(SaId::from_message(message)?)
        };
        let current = message.lifetime(ExtensionType::LifetimeCurrent).copied().unwrap_or_default();
        Some(Self { spec, state: sa.state, current, sequence: sa2.sequence })
    }
}

impl SaId {
    /// Reads the name of the SA that a message is about; `None` if it names none, or by addresses other than IP.
    pub fn from_message(message: &Message<'_>) -> Option<Self> {
        Some(Self {
            sa_type: message.header.sa_type,
            source: inet(&message.source()?.sockaddr)?,
            destination: inet(&message.destination()?.sockaddr)?,
            spi: message.sa()?.spi,
            mark: message.xfrm().mark,
        })
    }
}

fn inet(address: &SockAddr) -> Option<SocketAddr> {
    match address {
        SockAddr::Inet(address) => Some(*address),
        SockAddr::Other { .. } => None,
    }
}

fn key_of(message: &Message<'_>, kind: ExtensionType) -> Option<crate::SecretKey> {
    message.key(kind).map(|key| key.bytes.into())
}

/// The cipher of ESP; its number is 0 in AH SAs.
fn encryption(message: &Message<'_>, number: u8) -> Option<Keyed<Encryption>> {
    let is_esp = message.header.sa_type == SaType::Esp;
    let algorithm = Encryption::from_number(message.abi.dialect, number);
    // Kernels leave keys of no bits out.
    let no_key = || (algorithm == Encryption::Null).then(crate::SecretKey::default);
    let key = key_of(message, ExtensionType::KeyEncrypt).or_else(no_key);
    (is_esp && algorithm != Encryption::None).then_some(Keyed { algorithm, key })
}

fn authentication(message: &Message<'_>, number: u8) -> Option<Keyed<Authentication>> {
    let algorithm = Authentication::from_number(message.abi.dialect, number);
    let key = key_of(message, ExtensionType::KeyAuth);
    (algorithm != Authentication::None).then_some(Keyed { algorithm, key })
}

fn compression(message: &Message<'_>, number: u8) -> Option<Compression> {
    let algorithm = Compression::from_number(message.abi.dialect, number);
    (message.header.sa_type == SaType::IpComp && algorithm != Compression::None).then_some(algorithm)
}

/// Both limits, or neither: kernels show zeros for none, and take one limit only with the other.
fn lifetimes(message: &Message<'_>) -> Lifetimes {
    let limit = |kind| message.lifetime(kind).copied();
    let (hard, soft) = (limit(ExtensionType::LifetimeHard), limit(ExtensionType::LifetimeSoft));
    let is_limited = [hard, soft].into_iter().flatten().any(|limit| limit != Lifetime::default());
    if is_limited { Lifetimes { hard, soft } } else { Lifetimes::default() }
}

/// The window in packets: on Linux the field counts packets, elsewhere bytes of bitmap.
fn replay(message: &Message<'_>, field: u8, xfrm: &XfrmExtensions) -> Replay {
    if let Some(replay) = xfrm.replay {
        return Replay { window: replay.window, esn: replay.esn };
    }
    // FreeBSD adds this extension where 255 bytes of bitmap do not suffice.
    let large = message.extensions.iter().find_map(|extension| match extension {
        Extension::SaReplay(packets) => Some(*packets),
        _ => None,
    });
    let field = u32::from(field);
    let flags = message.sa().map_or(SaFlags::empty(), |sa| sa.flags);
    match message.abi.dialect {
        Dialect::Linux => Replay { window: field, esn: false },
        Dialect::FreeBsd => Replay { window: large.unwrap_or(field * 8), esn: flags.contains(SaFlags::FREEBSD_ESN) },
        Dialect::Darwin => Replay { window: field * 8, esn: flags.contains(SaFlags::DARWIN_ESN) },
        Dialect::NetBsd => Replay { window: field * 8, esn: false },
    }
}

/// ESP in UDP; NetBSD shows type 0 for none.
fn encapsulation(message: &Message<'_>) -> Option<UdpEncapsulation> {
    message.natt_type().filter(|kind| *kind != 0)?;
    let port = |kind| message.natt_port(kind).unwrap_or(0);
    let fragment = message.extensions.iter().find_map(|extension| match extension {
        Extension::NatTFrag(size) => Some(*size),
        _ => None,
    });
    Some(UdpEncapsulation {
        source_port: port(ExtensionType::NatTSport),
        destination_port: port(ExtensionType::NatTDport),
        original_address: message.address(ExtensionType::NatTOaInitiator).and_then(|end| inet(&end.sockaddr)),
        fragment: fragment.unwrap_or(0),
    })
}

/// The inner source. Linux shows any address of the outer family for most SAs; any address of the other family is that of a
/// tunnel between families.
fn inner_source(message: &Message<'_>) -> Option<(IpAddr, u8)> {
    let proxy = message.address(ExtensionType::AddressProxy)?;
    let (inner, outer) = (proxy.sockaddr.ip()?, message.source()?.sockaddr.ip()?);
    (proxy.prefix != 0 || inner.is_ipv4() != outer.is_ipv4()).then_some((inner, proxy.prefix))
}
