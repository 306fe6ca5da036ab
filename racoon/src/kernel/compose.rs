//! RequestConnection about SAs, written as messages.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libpfkey::num::UDP_ENCAP_ESPINUDP;
use libpfkey::request::{self, Natt, RequestHeader, SpiRequest};
use libpfkey::wire::{Address, Key, Lifetime, Sa, Sa2, XfrmAuthTrunc, XfrmReplay};
use libpfkey::{Builder, Dialect, Extension, ExtensionType, Header, MessageType, SaFlags, SaState, SaType};
use racoon_proto::kernel::{self, KernelError, SaInstallation, SaName, SpiAllocation, UdpPorts, Way};
use racoon_proto::num::Protocol;

use super::algorithm::Suite;
use super::{Target, failed, mode_number, refused, sa_type_of};

/// CPIs for negotiation: those below are for well-known algorithms, those above for private use (RFC 3173 section 3.3), and
/// libreswan refuses a proposal with one of them.
const CPI_RANGE: (u32, u32) = (0x100, 0xefff);

/// All SPIs: the kernel chooses.
const SPI_RANGE: (u32, u32) = (0, u32::MAX);

/// The largest window that Linux' PF_KEY can say, in packets.
const LINUX_WINDOW_MAX: u32 = 32;
/// The largest window that NETLINK_XFRM takes, in packets.
const XFRM_WINDOW_MAX: u32 = 4096;
/// The window that comes with extended sequence numbers where none is wanted: without one the kernel refuses them.
const ESN_WINDOW: u32 = 64;
/// ENOENT, the same number everywhere: what a negotiation ends with that comes to nothing.
const NO_ENTRY: u8 = 2;

/// GETSPI.
///
/// # Errors
/// Says what cannot be asked for.
pub(super) fn getspi(
    origin: RequestHeader,
    allocation: &SpiAllocation,
    buffer: &mut Vec<u8>,
) -> Result<(), KernelError> {
    let (min, max) = if allocation.protocol == Protocol::IPCOMP { CPI_RANGE } else { SPI_RANGE };
    let request = SpiRequest {
        sa_type: sa_type(allocation.protocol)?,
        mode: mode_number(allocation.mode),
        source: allocation.source.into(),
        destination: allocation.destination.into(),
        min,
        max,
        reqid: allocation.reqid,
        // Only there the ports are part of an SA's name.
        natt: allocation.udp.filter(|_| origin.abi.dialect == Dialect::NetBsd).map(natt),
    };
    request::getspi(origin, &request, buffer).map_err(|error| failed("GETSPI", &error, None))
}

fn natt(ports: UdpPorts) -> Natt {
    Natt {
        kind: UDP_ENCAP_ESPINUDP,
        source_port: ports.source,
        destination_port: ports.destination,
        original_address: None,
        fragment: 0,
    }
}

fn sa_type(protocol: Protocol) -> Result<SaType, KernelError> {
    sa_type_of(protocol).ok_or_else(|| refused(format!("the kernel has no SAs of {protocol}")))
}

/// UPDATE of an inbound SA, ADD of an outbound one.
pub(super) fn installs_by(way: Way) -> MessageType {
    match way {
        Way::Inbound => MessageType::Update,
        Way::Outbound => MessageType::Add,
    }
}

/// UPDATE or ADD.
///
/// # Errors
/// Says what the kernel, or the interface to it, has not.
pub(super) fn install(
    target: Target,
    origin: RequestHeader,
    installation: &SaInstallation,
    suite: &Suite<'_>,
    buffer: &mut Vec<u8>,
) -> Result<(), KernelError> {
    let name = &installation.name;
    let is_ipcomp = name.protocol == Protocol::IPCOMP;
    let window = if is_ipcomp { Window::NONE } else { Window::new(target, installation)? };
    let kind = installs_by(installation.way);
    let header = Header { seq: origin.seq, pid: origin.pid, ..Header::new(kind, sa_type(name.protocol)?) };
    let sa = Sa {
        spi: name.spi,
        replay: window.octet,
        // As libipsec says it: kernels make of it what the SA is.
        state: SaState::Larval,
        auth: suite.auth.0,
        encrypt: suite.encrypt.0,
        flags: suite.flags | window.flags,
    };
    let sa2 = Sa2 { mode: mode_number(installation.mode), reqid: installation.reqid, ..Sa2::default() };
    let hard = lifetime(installation.hard);
    let soft = complete_soft(origin.abi.dialect, hard, lifetime(installation.soft));
    let mut write = || -> libpfkey::Result<()> {
        let mut message = Builder::new(origin.abi, header, buffer)?;
        message.push(&Extension::Sa(sa))?;
        message.push(&Extension::Sa2(sa2))?;
        push_ends(&mut message, name)?;
        if installation.crosses_families && origin.abi.dialect == Dialect::Linux {
            message.push(&anything_inside(name.source))?;
        }
        if name.protocol == Protocol::ESP {
            message.push(&Extension::Key(ExtensionType::KeyEncrypt, Key::new(suite.encrypt.1)?))?;
        }
        if suite.auth.0 != 0 {
            message.push(&Extension::Key(ExtensionType::KeyAuth, Key::new(suite.auth.1)?))?;
        }
        message.push(&Extension::Lifetime(ExtensionType::LifetimeHard, hard))?;
        message.push(&Extension::Lifetime(ExtensionType::LifetimeSoft, soft))?;
        if let Some(ports) = installation.udp.filter(|_| name.protocol == Protocol::ESP) {
            push_ports(&mut message, ports)?;
        }
        for extension in window.extension.iter().chain(&icv(target, name, suite)) {
            message.push(extension)?;
        }
        message.finish()
    };
    write().map_err(|error| failed(kind.what(), &error, None))
}

fn push_ends(message: &mut Builder<'_>, name: &SaName) -> libpfkey::Result<()> {
    message.push(&Extension::Address(ExtensionType::AddressSrc, Address::host(name.source.into())))?;
    message.push(&Extension::Address(ExtensionType::AddressDst, Address::host(name.destination.into())))
}

/// Linux takes only packets of the outer family into an SA, unless it is told whose they are: anybody's of the other family.
fn anything_inside(outer: IpAddr) -> Extension<'static> {
    let any: IpAddr = if outer.is_ipv4() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    Extension::Address(ExtensionType::AddressProxy, Address { prefix: 0, ..Address::host(any.into()) })
}

fn push_ports(message: &mut Builder<'_>, ports: UdpPorts) -> libpfkey::Result<()> {
    message.push(&Extension::NatTType(UDP_ENCAP_ESPINUDP))?;
    message.push(&Extension::NatTPort(ExtensionType::NatTSport, ports.source))?;
    message.push(&Extension::NatTPort(ExtensionType::NatTDport, ports.destination))
}

fn icv(target: Target, name: &SaName, suite: &Suite<'_>) -> Option<Extension<'static>> {
    // RFC 4302 section 2.2 pads an AH header over IPv4 to a multiple of 4 bytes. Linux' default is 8, so that ICVs of 128,
    // 192 and 256 bits interoperate with no other system; PF_KEY cannot change it.
    let aligned = target.has_xfrm && name.protocol == Protocol::AH && name.source.is_ipv4();
    let auth_trunc = XfrmAuthTrunc { icv_bits: suite.icv_bits.unwrap_or_default(), align4: aligned };
    (auth_trunc != XfrmAuthTrunc::default()).then_some(Extension::XfrmAuthTrunc(auth_trunc))
}

fn lifetime(limit: kernel::Lifetime) -> Lifetime {
    Lifetime {
        allocations: 0,
        bytes: limit.kilobytes.map_or(0, |kilobytes| u64::from(kilobytes) * 1024),
        addtime: limit.seconds,
        usetime: 0,
    }
}

/// The soft limits as the kernel is told of them. The BSDs look at a hard limit only once a soft one has been reached: where
/// there is none, because the peer renews the SA, it is just below the hard one. (What they tell then nobody waits for; and
/// NetBSD deletes an SA that was never used when it reaches its soft limit.)
pub(super) fn complete_soft(dialect: Dialect, hard: Lifetime, soft: Lifetime) -> Lifetime {
    if dialect == Dialect::Linux {
        return soft;
    }
    let complete = |hard: u64, soft: u64| match (soft, hard) {
        (0, 1) => 1,
        (0, hard) => hard.saturating_sub(1),
        (soft, _) => soft,
    };
    Lifetime {
        bytes: complete(hard.bytes, soft.bytes),
        addtime: complete(hard.addtime, soft.addtime),
        usetime: complete(hard.usetime, soft.usetime),
        ..soft
    }
}

/// A replay window as the kernel is told of it.
#[derive(Debug, PartialEq)]
struct Window {
    /// Of `sadb_sa`: packets on Linux, bytes of bitmap elsewhere.
    octet: u8,
    /// Flags of `sadb_sa`.
    flags: SaFlags,
    /// Where the octet does not suffice.
    extension: Option<Extension<'static>>,
}

impl Window {
    const NONE: Self = Self { octet: 0, flags: SaFlags::empty(), extension: None };

    fn new(target: Target, installation: &SaInstallation) -> Result<Self, KernelError> {
        let (packets, esn) = (installation.replay_window, installation.esn);
        if target.has_xfrm {
            return Ok(Self::of_xfrm(packets.min(XFRM_WINDOW_MAX), esn));
        }
        let dialect = target.abi.dialect;
        let flags = match dialect {
            _ if !esn => SaFlags::empty(),
            Dialect::FreeBsd => SaFlags::FREEBSD_ESN,
            Dialect::Darwin => SaFlags::DARWIN_ESN,
            Dialect::Linux | Dialect::NetBsd => {
                return Err(refused(format!(
                    "a PF_KEY message of {dialect} has no place for extended sequence numbers"
                )));
            }
        };
        let octet = match dialect {
            Dialect::Linux => packets.min(LINUX_WINDOW_MAX),
            _ => packets.div_ceil(8),
        };
        let extension =
            (octet > u32::from(u8::MAX) && dialect == Dialect::FreeBsd).then_some(Extension::SaReplay(packets));
        Ok(Self { octet: u8::try_from(octet).unwrap_or(u8::MAX), flags, extension })
    }

    fn of_xfrm(packets: u32, esn: bool) -> Self {
        let packets = if esn && packets == 0 { ESN_WINDOW } else { packets };
        let said = esn || packets > LINUX_WINDOW_MAX;
        Self {
            octet: u8::try_from(packets.min(LINUX_WINDOW_MAX)).unwrap_or_default(),
            flags: SaFlags::empty(),
            extension: said.then_some(Extension::XfrmReplay(XfrmReplay { window: packets, esn })),
        }
    }
}

/// DELETE or GET: an SA by its name. `ports` where they are part of it.
///
/// # Errors
/// Says what cannot be asked for.
pub(super) fn by_name(
    kind: MessageType,
    origin: RequestHeader,
    name: &SaName,
    ports: Option<UdpPorts>,
    buffer: &mut Vec<u8>,
) -> Result<(), KernelError> {
    let header = Header { seq: origin.seq, pid: origin.pid, ..Header::new(kind, sa_type(name.protocol)?) };
    let mut write = || -> libpfkey::Result<()> {
        let mut message = Builder::new(origin.abi, header, buffer)?;
        message.push(&Extension::Sa(Sa::named(name.spi)))?;
        push_ends(&mut message, name)?;
        if let Some(ports) = ports {
            push_ports(&mut message, ports)?;
        }
        message.finish()
    };
    write().map_err(|error| failed(kind.what(), &error, None))
}

/// ACQUIRE, back to the kernel: it came to nothing.
///
/// # Errors
/// Says what cannot be said.
pub(super) fn acquire_failed(
    origin: RequestHeader,
    protocol: Protocol,
    buffer: &mut Vec<u8>,
) -> Result<(), KernelError> {
    let header = Header {
        seq: origin.seq,
        pid: origin.pid,
        errno: NO_ENTRY,
        ..Header::new(MessageType::Acquire, sa_type(protocol)?)
    };
    let written = Builder::new(origin.abi, header, buffer).and_then(Builder::finish);
    written.map_err(|error| failed("ACQUIRE", &error, None))
}
