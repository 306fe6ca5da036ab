//! A UDP socket: opening, receiving, sending.

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, getsockopt, sendmsg, setsockopt, sockopt,
};
use racoon_proto::path::Encapsulation;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::Error;
use super::addresses::scoped;
use super::batch::{Arrived, Batch};
use super::bypass::{self, Bypass};
use super::ports::Family;
use super::sys;
use super::unreachable::{self, Unreachable};
use crate::log::Log;

/// Marker in front of an ISAKMP message on a port that also receives ESP (RFC 3948).
const NON_ESP_MARKER: [u8; 4] = [0; 4];
/// NAT keepalive packet (RFC 3948 section 4).
const KEEPALIVE: [u8; 1] = [0xff];

/// Least receive buffer to ask for.
const BUFFER_MIN: usize = 64 * 1024;

/// Values of `UDP_ENCAP` and `UDP_ENCAP_ESPINUDP`, and the IPv6 option that limits packets to the minimum MTU.
const UDP_ENCAP: i32 = if cfg!(target_os = "freebsd") { 1 } else { 100 };
const UDP_ENCAP_ESPINUDP: i32 = 2;
#[cfg(not(target_os = "linux"))]
const IPV6_USE_MIN_MTU: i32 = 42;

/// A socket bound to an address and port.
#[derive(Debug)]
pub(super) struct IkeSocket {
    socket: Socket,
    address: SocketAddr,
    natt: bool,
}

/// Result of a read.
pub(super) enum ReadOutcome {
    /// Nothing to read.
    Empty,
    /// Nothing useful, but there may be more.
    Dropped,
    /// Datagrams are in the batch.
    Read,
    /// One of our datagrams was not delivered.
    Unreachable(Unreachable),
}

impl IkeSocket {
    /// Opens a socket. With `shared` another socket of this process covers the same port; one of them is a wildcard
    /// socket.
    pub(super) fn open(
        address: SocketAddr,
        natt: bool,
        shared: bool,
        bypass: Bypass,
        log: &Log,
    ) -> Result<Self, Error> {
        let family = family_of(address);
        let fails = |call| move |source| Error::System { address, call, source };
        let socket =
            Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP)).map_err(fails("socket"))?;
        socket.set_nonblocking(true).map_err(fails("nonblocking"))?;
        let socket = Self { socket, address, natt };
        if family == Family::V6 {
            // IPv4 has sockets of its own, which would conflict with a wildcard socket for both families.
            socket.socket.set_only_v6(true).map_err(fails("IPV6_V6ONLY"))?;
        }
        // Before `bind`, so that no packet arrives without the policies.
        match bypass::apply(&socket, family) {
            Err(source) if bypass == Bypass::Required => return Err(fails("IPsec policy")(source)),
            Err(source) => log.debug(format_args!(
                "{}: no bypass policy: {}",
                super::DisplayAddr(address),
                crate::output::reason(&source)
            )),
            Ok(()) => {}
        }
        socket.report_destinations().map_err(|errno| fails("packet information")(errno.into()))?;
        socket.allow_fragmentation().map_err(fails("path MTU"))?;
        if shared {
            socket.share().map_err(fails("address sharing"))?;
        }
        socket.socket.bind(&SockAddr::from(address)).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => Error::InUse { address, owner: super::port_owner::find(address) },
            _ => fails("bind")(source),
        })?;
        // IKE itself works without it.
        if natt && let Err(source) = socket.receive_esp() {
            log.warning(format_args!(
                "{}: cannot receive ESP in UDP: {}",
                super::DisplayAddr(address),
                crate::output::reason(&source)
            ));
        }
        Ok(socket)
    }

    pub(super) fn natt(&self) -> bool {
        self.natt
    }

    /// Returns how messages on this port are told from ESP.
    pub(super) fn encapsulation(&self) -> Encapsulation {
        if self.natt { Encapsulation::NonEspMarker } else { Encapsulation::None }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Allows another socket of this process to use the port.
    pub(super) fn share(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        return self.socket.set_reuse_address(true);
        #[cfg(not(target_os = "linux"))]
        return self.socket.set_reuse_port(true);
    }

    /// Enlarges the receive buffer towards `wanted` bytes, as far as the system allows. Returns its size.
    pub(super) fn enlarge_buffer(&self, wanted: usize) -> io::Result<usize> {
        let current = self.buffer_size()?;
        if current >= wanted {
            return Ok(current);
        }
        // CAP_NET_ADMIN overrides the system's limit.
        #[cfg(target_os = "linux")]
        let forced = setsockopt(self, sockopt::RcvBufForce, &wanted).is_ok();
        #[cfg(not(target_os = "linux"))]
        let forced = false;
        if !forced {
            // Above its limit, Linux grants less, other systems refuse.
            let sizes =
                std::iter::successors(Some(wanted), |size| Some(size / 2)).take_while(|size| *size > BUFFER_MIN);
            let _ =
                sizes.take_while(|size| *size > current).find(|size| setsockopt(self, sockopt::RcvBuf, size).is_ok());
        }
        self.buffer_size()
    }

    /// Returns the size of the receive buffer in bytes.
    fn buffer_size(&self) -> io::Result<usize> {
        let size = getsockopt(self, sockopt::RcvBuf)?;
        // Linux reports twice the size, which includes its overhead.
        Ok(if cfg!(target_os = "linux") { size / 2 } else { size })
    }

    fn report_destinations(&self) -> nix::Result<()> {
        match family_of(self.address) {
            #[cfg(target_os = "linux")]
            Family::V4 => {
                setsockopt(self, sockopt::Ipv4PacketInfo, &true)?;
                setsockopt(self, sockopt::Ipv4RecvErr, &true)
            }
            #[cfg(not(target_os = "linux"))]
            Family::V4 => setsockopt(self, sockopt::Ipv4RecvDstAddr, &true),
            Family::V6 => {
                #[cfg(target_os = "linux")]
                setsockopt(self, sockopt::Ipv6RecvErr, &true)?;
                setsockopt(self, sockopt::Ipv6RecvPacketInfo, &true)
            }
        }
    }

    /// Lets large messages be fragmented at once. Path MTU discovery needs ICMP errors, which firewalls drop.
    fn allow_fragmentation(&self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        let options: Vec<(i32, i32, i32)> = match family_of(self.address) {
            Family::V4 => vec![(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)],
            Family::V6 => vec![
                (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IP_PMTUDISC_DONT),
                (libc::IPPROTO_IPV6, libc::IPV6_MTU, 1280),
            ],
        };
        #[cfg(not(target_os = "linux"))]
        let options: Vec<(i32, i32, i32)> = match family_of(self.address) {
            Family::V4 => Vec::new(),
            Family::V6 => vec![(libc::IPPROTO_IPV6, IPV6_USE_MIN_MTU, 1)],
        };
        options
            .iter()
            .try_for_each(|(level, option, value)| sys::set_option(self, *level, *option, &value.to_ne_bytes()))
    }

    /// Passes UDP-encapsulated ESP to the kernel's IPsec.
    fn receive_esp(&self) -> io::Result<()> {
        sys::set_option(self, libc::IPPROTO_UDP, UDP_ENCAP, &UDP_ENCAP_ESPINUDP.to_ne_bytes())
    }

    /// Reads a batch of datagrams.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn receive(&self, batch: &mut Batch) -> io::Result<ReadOutcome> {
        match batch.fill(self.as_fd(), &|info| self.destination(info)) {
            Ok(()) => Ok(ReadOutcome::Read),
            Err(Errno::EINTR) => Ok(ReadOutcome::Dropped),
            Err(errno) => self.failed(errno),
        }
    }

    /// Returns the destination and the source of a datagram's ISAKMP message, and where the message begins; `None` if
    /// there is none.
    pub(super) fn message(&self, arrived: Arrived, bytes: &[u8]) -> Option<(SocketAddr, SocketAddr, usize)> {
        // A message from port 0 cannot be answered.
        let remote = arrived.remote.filter(|remote| remote.port() != 0 && !arrived.truncated)?;
        Some((arrived.local.unwrap_or(self.address), remote, self.message_start(bytes)?))
    }

    /// Returns where the ISAKMP message in a datagram begins; `None` if it has none.
    fn message_start(&self, datagram: &[u8]) -> Option<usize> {
        if datagram == KEEPALIVE {
            return None;
        }
        if !self.natt {
            return Some(0);
        }
        datagram.starts_with(&NON_ESP_MARKER).then_some(NON_ESP_MARKER.len())
    }

    /// Returns the local address of a datagram received on a wildcard socket.
    fn destination(&self, info: &ControlMessageOwned) -> Option<SocketAddr> {
        let port = self.address.port();
        match info {
            // The bound address is the destination.
            _ if !self.address.ip().is_unspecified() => None,
            #[cfg(target_os = "linux")]
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(v4(info.ipi_addr.s_addr, port)),
            #[cfg(not(target_os = "linux"))]
            ControlMessageOwned::Ipv4RecvDstAddr(address) => Some(v4(address.s_addr, port)),
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                let scope = info.ipi6_ifindex;
                Some(scoped(IpAddr::from(info.ipi6_addr.s6_addr), port, scope))
            }
            _ => None,
        }
    }

    /// Handles a failed read. On Linux the error of an earlier datagram is first returned by whichever call comes next,
    /// and its details follow in the error queue.
    fn failed(&self, errno: Errno) -> io::Result<ReadOutcome> {
        if let Some(unreachable) = unreachable::read(self.as_fd(), self.address) {
            return Ok(ReadOutcome::Unreachable(unreachable));
        }
        match errno {
            Errno::EAGAIN => Ok(ReadOutcome::Empty),
            errno if unreachable::is_path_error(errno) => Ok(ReadOutcome::Dropped),
            errno => Err(errno.into()),
        }
    }

    /// Sends an ISAKMP message from one of the socket's addresses.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn send(&self, local: SocketAddr, remote: SocketAddr, message: &[u8]) -> io::Result<()> {
        let marker = if self.natt { NON_ESP_MARKER.as_slice() } else { &[] };
        let parts = [IoSlice::new(marker), IoSlice::new(message)];
        let mut sent = self.send_once(local, remote, &parts);
        // The error may be about an earlier datagram to another peer. It is reported only once, so try again.
        if sent.is_err_and(unreachable::is_path_error) {
            sent = self.send_once(local, remote, &parts);
        }
        Ok(sent?)
    }

    fn send_once(&self, local: SocketAddr, remote: SocketAddr, parts: &[IoSlice<'_>]) -> nix::Result<()> {
        let to = SockaddrStorage::from(remote);
        let send = |control: &[ControlMessage<'_>]| {
            sendmsg(self.socket.as_raw_fd(), parts, control, MsgFlags::empty(), Some(&to)).map(drop)
        };
        match local.ip() {
            // The bound address is the source.
            _ if !self.address.ip().is_unspecified() => send(&[]),
            #[cfg(target_os = "linux")]
            IpAddr::V4(ip) => {
                let source = libc::in_addr { s_addr: u32::from(ip).to_be() };
                let info =
                    libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: libc::in_addr { s_addr: 0 } };
                send(&[ControlMessage::Ipv4PacketInfo(&info)])
            }
            #[cfg(any(target_os = "freebsd", target_os = "netbsd"))]
            IpAddr::V4(ip) => {
                send(&[ControlMessage::Ipv4SendSrcAddr(&libc::in_addr { s_addr: u32::from(ip).to_be() })])
            }
            #[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd")))]
            IpAddr::V4(_) => send(&[]),
            IpAddr::V6(ip) => {
                let info = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: ip.octets() }, ipi6_ifindex: 0 };
                send(&[ControlMessage::Ipv6PacketInfo(&info)])
            }
        }
    }
}

impl AsFd for IkeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether no other process uses a port, tested by binding it without sharing. (Linux lets two daemons bind the same
/// port if both set SO_REUSEADDR.)
pub(super) fn is_free(address: SocketAddr) -> bool {
    let bind = || -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&SockAddr::from(address))
    };
    !bind().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// Returns the family of an address.
pub(super) fn family_of(address: SocketAddr) -> Family {
    if address.is_ipv4() { Family::V4 } else { Family::V6 }
}

fn v4(address: u32, port: u16) -> SocketAddr {
    (Ipv4Addr::from(u32::from_be(address)), port).into()
}
