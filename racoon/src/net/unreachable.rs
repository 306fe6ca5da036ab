//! ICMP errors about our datagrams. Linux reports them with the datagram's destination; the BSDs report none on an
//! unconnected socket.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use racoon_proto::undelivered::{DeliveryError, Undelivered};

/// Report of an undelivered datagram. Anybody can forge it, so it must not end a negotiation.
#[derive(Debug)]
pub struct Unreachable {
    /// Socket that sent the datagram.
    pub local: SocketAddr,
    /// Destination and reason.
    pub undelivered: Undelivered,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Undelivered { remote, error } = &self.undelivered;
        write!(formatter, "message to {} not delivered: {error}", super::DisplayAddr(*remote))
    }
}

/// Whether an errno concerns the path to some peer, and not the call.
pub(super) fn is_path_error(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::ECONNREFUSED
            | Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::EHOSTDOWN
            | Errno::ENETDOWN
            | Errno::EACCES
            | Errno::EPROTO
            | Errno::ENOPROTOOPT
            | Errno::EMSGSIZE
            | Errno::EOPNOTSUPP
    )
}

/// Returns an error of this host with the system's description.
pub(crate) fn local_error(error: &io::Error) -> DeliveryError {
    let errno = error.raw_os_error().map(Errno::from_raw);
    DeliveryError::Local(errno.map_or_else(|| error.to_string(), |errno| errno.desc().to_owned()))
}

/// Reads the next entry of a socket's error queue.
#[cfg(target_os = "linux")]
pub(super) fn read(socket: BorrowedFd<'_>, local: SocketAddr) -> Option<Unreachable> {
    use std::io::IoSliceMut;
    use std::net::IpAddr;
    use std::os::fd::AsRawFd as _;

    use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
    use racoon_proto::undelivered::IcmpError;

    let mut control = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6, libc::in6_pktinfo);
    // The entry contains our own datagram, which is not needed.
    let mut datagram = [0; 1];
    let mut vectors = [IoSliceMut::new(&mut datagram)];
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut vectors, Some(&mut control), flags).ok()?;
    let remote = message.address.as_ref().and_then(super::addresses::socket_address)?;
    let (error, reporter) = message.cmsgs().ok()?.find_map(|detail| match detail {
        ControlMessageOwned::Ipv4RecvErr(error, reporter) => {
            Some((error, reporter.map(|from| IpAddr::from(from.sin_addr.s_addr.to_ne_bytes()))))
        }
        ControlMessageOwned::Ipv6RecvErr(error, reporter) => {
            Some((error, reporter.map(|from| IpAddr::from(from.sin6_addr.s6_addr))))
        }
        _ => None,
    })?;
    let icmp = |error: IcmpError| reporter.map(|reporter| DeliveryError::Icmp { error, reporter });
    // Errors of this host are queued too, and have no ICMP type.
    let foreign = match error.ee_origin {
        libc::SO_EE_ORIGIN_ICMP => icmp(IcmpError::v4(error.ee_type, error.ee_code, error.ee_info)),
        libc::SO_EE_ORIGIN_ICMP6 => icmp(IcmpError::v6(error.ee_type, error.ee_code, error.ee_info)),
        _ => None,
    };
    let error = foreign
        .unwrap_or_else(|| local_error(&io::Error::from_raw_os_error(error.ee_errno.try_into().unwrap_or(libc::EIO))));
    Some(Unreachable { local, undelivered: Undelivered { remote, error } })
}

/// Other systems have no error queue.
#[cfg(not(target_os = "linux"))]
pub(super) fn read(_: BorrowedFd<'_>, _: SocketAddr) -> Option<Unreachable> {
    None
}
