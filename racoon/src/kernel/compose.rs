//! Composition of request messages about SAs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libpfkey::num::UDP_ENCAP_ESPINUDP;
use libpfkey::request::{self, Natt, RequestHeader, SpiRequest};
use libpfkey::wire::{Address, Key, Lifetime, Sa, Sa2, XfrmAuthTrunc, XfrmReplay};
use libpfkey::{Builder, Dialect, Extension, ExtensionType, Header, MessageType, SaFlags, SaState, SaType};
use racoon_proto::kernel::{self, KernelError, SaInstallation, SaName, SpiAllocation, UdpPorts, Way};
use racoon_proto::num::Protocol;

use super::algorithm::Suite;
use super::{Target, failed, mode_number, refused, sa_type_of};

/// CPIs to choose from. Those below are for well-known algorithms, those above for private use (RFC 3173 section 3.3);
/// libreswan refuses a proposal with one of either.
const CPI_RANGE: (u32, u32) = (0x100, 0xefff);

/// Any SPI.
const SPI_RANGE: (u32, u32) = (0, u32::MAX);

/// Largest replay window that PF_KEY of Linux can express, in packets.
const LINUX_WINDOW_MAX: u32 = 32;
/// Largest replay window that NETLINK_XFRM accepts, in packets.
const XFRM_WINDOW_MAX: u32 = 4096;
/// Replay window of an SA with extended sequence numbers whose configured window is 0: Linux refuses ESN without a
/// window.
const ESN_WINDOW: u32 = 64;

/// ENOENT, which has the same number on every system: the errno of a failed negotiation.
const NO_ENTRY: u8 = 2;

/// Composes a GETSPI.
///
/// # Errors
/// If the protocol has no SA type.
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
        // Only on NetBSD the ports are part of an SA's name.
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

/// Message type that installs an SA: UPDATE inbound, where the SPI was reserved; ADD outbound.
pub(super) fn installs_by(way: Way) -> MessageType {
    match way {
        Way::Inbound => MessageType::Update,
        Way::Outbound => MessageType::Add,
    }
}

/// Composes an UPDATE or ADD.
///
/// # Errors
/// If the kernel, or PF_KEY, cannot express the SA.
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
        // As libipsec sends it. Kernels ignore the field.
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

/// Proxy address that makes Linux accept inner packets of the other address family: any address of that family. Without
/// it an SA takes packets of the outer family only.
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

/// Returns the soft limits to request. The BSDs check a hard limit only after a soft limit was reached, so where there
/// is none, because the peer rekeys, the soft limit is placed just below the hard one. The engine ignores the EXPIRE;
/// NetBSD then deletes an SA that was never used.
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

/// The replay window in the fields of a message.
#[derive(Debug, PartialEq)]
struct Window {
    /// `sadb_sa_replay`: packets on Linux, bytes of bitmap elsewhere.
    octet: u8,
    /// `sadb_sa_flags`.
    flags: SaFlags,
    /// Extension for a window that `octet` cannot hold.
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

/// Composes a DELETE or GET of an SA. `ports` are the NAT-T ports where they are part of the SA's name.
///
/// # Errors
/// If the protocol has no SA type.
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

/// Composes the ACQUIRE that reports a failed negotiation to the kernel.
///
/// # Errors
/// If the protocol has no SA type.
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
