//! Translation of the engine's SA requests to libpfkey's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use libpfkey::request::{RequestHeader, SpiSpec};
use libpfkey::wire::{Lifetime, XfrmAuthTrunc};
use libpfkey::{
    Builder, Dialect, Header, Lifetimes, MessageType, Replay, Request, SaId, SaSpec, SaType, UdpEncapsulation,
};
use racoon_proto::kernel::{self, KernelError, SaInstallation, SaName, SpiAllocation, UdpPorts, Way};
use racoon_proto::num::Protocol;

use super::algorithm::Suite;
use super::{Target, failed, mode_of, refused, sa_type_of};

/// Largest replay window that PF_KEY of Linux can express, in packets.
const LINUX_WINDOW_MAX: u32 = 32;
/// Largest replay window that PF_KEY of NetBSD and macOS can express, in packets: 255 bytes of bitmap.
const BITMAP_WINDOW_MAX: u32 = 255 * 8;
/// Largest replay window that NETLINK_XFRM accepts, in packets.
const XFRM_WINDOW_MAX: u32 = 4096;

/// ENOENT, which has the same number on every system: the errno of a failed negotiation.
const NO_ENTRY: u8 = 2;

/// Returns the GETSPI for an allocation.
///
/// # Errors
/// If the protocol has no SA type.
pub(super) fn allocate_spi(dialect: Dialect, allocation: &SpiAllocation) -> Result<Request, KernelError> {
    let SpiAllocation { protocol, source, destination, mode, reqid, udp, .. } = *allocation;
    Ok(Request::AllocateSpi(SpiSpec {
        mode: mode_of(mode),
        reqid,
        // Only on NetBSD the ports are part of an SA's name.
        encapsulation: udp.filter(|_| dialect == Dialect::NetBsd).map(encapsulation),
        ..SpiSpec::new(sa_type(protocol)?, source, destination)
    }))
}

fn encapsulation(ports: UdpPorts) -> UdpEncapsulation {
    UdpEncapsulation::new(ports.source, ports.destination)
}

fn sa_type(protocol: Protocol) -> Result<SaType, KernelError> {
    sa_type_of(protocol).ok_or_else(|| refused(format!("the kernel has no SAs of {protocol}")))
}

/// Returns the request that installs an SA: UPDATE inbound, where the SPI was reserved; ADD outbound.
///
/// # Errors
/// If the kernel, or PF_KEY, cannot express the SA.
pub(super) fn install(target: Target, installation: &SaInstallation, suite: Suite) -> Result<Request, KernelError> {
    let spec = Box::new(sa_spec(target, installation, suite)?);
    Ok(match installation.way {
        Way::Inbound => Request::Update(spec),
        Way::Outbound => Request::Add(spec),
    })
}

fn sa_spec(target: Target, installation: &SaInstallation, suite: Suite) -> Result<SaSpec, KernelError> {
    let SaName { protocol, source, destination, spi } = installation.name;
    let dialect = target.abi.dialect;
    let hard = lifetime(installation.hard);
    let soft = complete_soft(dialect, hard, lifetime(installation.soft));
    let auth_trunc = auth_trunc(target, &installation.name, &suite);
    Ok(SaSpec {
        mode: mode_of(installation.mode),
        reqid: installation.reqid,
        encryption: suite.encryption,
        authentication: suite.authentication,
        compression: suite.compression,
        replay: if protocol == Protocol::IPCOMP { Replay::default() } else { replay(target, installation)? },
        flags: suite.flags,
        lifetimes: Lifetimes { hard: Some(hard), soft: Some(soft) },
        encapsulation: installation.udp.filter(|_| protocol == Protocol::ESP).map(encapsulation),
        // Unless told so, an SA of Linux accepts inner packets of the outer address family only.
        inner_source: (installation.crosses_families && dialect == Dialect::Linux)
            .then(|| (any_of_other_family(source), 0)),
        auth_trunc,
        ..SaSpec::new(SaId::new(sa_type(protocol)?, source, destination, spi))
    })
}

fn any_of_other_family(outer: IpAddr) -> IpAddr {
    if outer.is_ipv4() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

fn auth_trunc(target: Target, name: &SaName, suite: &Suite) -> Option<XfrmAuthTrunc> {
    // RFC 4302 section 2.2 pads an AH header over IPv4 to a multiple of 4 bytes. Linux' default is 8, so that ICVs of 128,
    // 192 and 256 bits interoperate with no other system; PF_KEY cannot change it.
    let align4 = target.has_xfrm && name.protocol == Protocol::AH && name.source.is_ipv4();
    let auth_trunc = XfrmAuthTrunc { icv_bits: suite.icv_bits.unwrap_or_default(), align4 };
    (auth_trunc != XfrmAuthTrunc::default()).then_some(auth_trunc)
}

/// Returns the replay window, reduced to what the kernel can have.
fn replay(target: Target, installation: &SaInstallation) -> Result<Replay, KernelError> {
    let SaInstallation { replay_window: window, esn, .. } = *installation;
    let dialect = target.abi.dialect;
    let max = match dialect {
        _ if target.has_xfrm => XFRM_WINDOW_MAX,
        Dialect::Linux | Dialect::NetBsd if esn => {
            return Err(refused(format!("a PF_KEY message of {dialect} has no place for extended sequence numbers")));
        }
        Dialect::Linux => LINUX_WINDOW_MAX,
        Dialect::NetBsd | Dialect::Darwin => BITMAP_WINDOW_MAX,
        // It has an extension for windows of any size.
        Dialect::FreeBsd => u32::MAX,
    };
    Ok(Replay { window: window.min(max), esn })
}

fn lifetime(limit: kernel::Lifetime) -> Lifetime {
    // IKE negotiates seconds and kilobytes only (RFC 2407 section 4.5).
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

/// Returns the name of an SA in a DELETE or GET. `ports` are the NAT-T ports where they are part of it.
///
/// # Errors
/// If the protocol has no SA type.
pub(super) fn sa_id(name: &SaName, ports: Option<UdpPorts>) -> Result<SaId, KernelError> {
    let UdpPorts { source, destination } = ports.unwrap_or(UdpPorts { source: 0, destination: 0 });
    Ok(SaId {
        source: SocketAddr::new(name.source, source),
        destination: SocketAddr::new(name.destination, destination),
        ..SaId::new(sa_type(name.protocol)?, name.source, name.destination, name.spi)
    })
}

/// Composes the ACQUIRE that reports a failed negotiation to the kernel.
///
/// # Errors
/// If the protocol has no SA type.
pub(super) fn acquire_failed(
    request: RequestHeader,
    protocol: Protocol,
    buffer: &mut Vec<u8>,
) -> Result<(), KernelError> {
    let header = Header {
        seq: request.seq,
        pid: request.pid,
        errno: NO_ENTRY,
        ..Header::new(MessageType::Acquire, sa_type(protocol)?)
    };
    let written = Builder::new(request.abi, header, buffer).and_then(Builder::finish);
    written.map_err(|error| failed("ACQUIRE", &error, None))
}
