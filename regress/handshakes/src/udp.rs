//! A UDP socket that sends from any local address, on behalf of many initiators.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, sendmsg, setsockopt, sockopt,
};

/// The socket and its port.
pub(crate) struct MultiAddressSocket {
    socket: UdpSocket,
    port: u16,
}

impl MultiAddressSocket {
    /// Binds to a free port. Reading times out after `patience`.
    pub(crate) fn new(patience: Duration) -> io::Result<Self> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        socket.set_read_timeout(Some(patience))?;
        let port = socket.local_addr()?.port();
        Ok(Self { socket, port })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Sends a datagram from the address of `local`.
    pub(crate) fn send(&self, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let (SocketAddr::V4(local), SocketAddr::V4(remote)) = (local, remote) else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let source = libc::in_addr { s_addr: local.ip().to_bits().to_be() };
        let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: libc::in_addr { s_addr: 0 } };
        let control = [ControlMessage::Ipv4PacketInfo(&info)];
        let to = SockaddrIn::from(remote);
        sendmsg(self.socket.as_raw_fd(), &[IoSlice::new(bytes)], &control, MsgFlags::empty(), Some(&to))?;
        Ok(())
    }

    /// Returns the local address, the remote address and the length of a datagram, or `None` on a timeout.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<(SocketAddr, SocketAddr, usize)>> {
        let mut space = nix::cmsg_space!(libc::in_pktinfo);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::empty();
        let message = match recvmsg::<SockaddrIn>(self.socket.as_raw_fd(), &mut parts, Some(&mut space), flags) {
            Ok(message) => message,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        let local = message.cmsgs()?.find_map(|info| match info {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Ipv4Addr::from_bits(u32::from_be(info.ipi_addr.s_addr))),
            _ => None,
        });
        let remote = message.address.map(SocketAddrV4::from);
        Ok(local.zip(remote).map(|(local, remote)| ((local, self.port).into(), remote.into(), message.bytes)))
    }
}
