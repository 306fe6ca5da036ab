//! PF_KEY messages over a UNIX `SOCK_SEQPACKET` socket, one datagram a message: to a privileged helper, into a jail,
//! or to an engine of another kernel's dialect. [`SocketServer`](super::SocketServer) serves it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt, recv, send, setsockopt, socket, sockopt,
};

use super::{Backend, MESSAGE_MAX};
use crate::dialect::Abi;
use crate::error::{Error, Result};
use crate::strerror::Code;
use crate::wire::peek_header;

/// Time limit of an answer, and for a full socket to drain. The server is a process, which may be delayed on a busy machine;
/// its end is reported at once.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requested size of the socket buffers; the system may grant less.
const BUFFER: usize = 1 << 20;

/// Requests in flight. Their answers are queued in the server, which disconnects clients that leave too many.
const WINDOW: usize = 64;

/// A connection to a [`SocketServer`](super::SocketServer).
#[derive(Debug)]
pub struct Socket {
    socket: OwnedFd,
    abi: Abi,
}

impl Socket {
    /// Connects to the socket at `path`, whose server uses the layout `abi`.
    ///
    /// # Errors
    /// [`Error::System`]; [`Error::Backend`] on systems without `SOCK_SEQPACKET` (macOS).
    pub fn connect(path: &Path, abi: Abi) -> Result<Self> {
        let socket = seqpacket()?;
        let address = UnixAddr::new(path).map_err(|errno| Error::system("connect", errno))?;
        connect(socket.as_raw_fd(), &address).map_err(|errno| Error::system("connect", errno))?;
        Self::from_fd(socket, abi)
    }

    /// Takes over a connected socket, such as one end of a `socketpair(2)` that crossed a `fork(2)`.
    ///
    /// # Errors
    /// [`Error::System`] when it is no socket.
    pub fn from_fd(socket: OwnedFd, abi: Abi) -> Result<Self> {
        getsockopt(&socket, sockopt::SockType).map_err(|errno| Error::system("getsockopt", errno))?;
        // A smaller buffer than requested only makes `send` wait at times.
        let _ = setsockopt(&socket, sockopt::SndBuf, &BUFFER);
        Ok(Self { socket, abi })
    }
}

impl Backend for Socket {
    fn abi(&self) -> Abi {
        self.abi
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match send_datagram(self.socket.as_fd(), message) {
                Ok(()) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN | Errno::ENOBUFS) => wait_for_room(self.socket.as_fd(), deadline)?,
                Err(errno) => return Err(Error::system("send", errno)),
            }
        }
    }

    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        let length = match recv_datagram(self.socket.as_fd(), buffer) {
            Err(Errno::EAGAIN) => return Ok(None),
            // The end of the stream; no server sends an empty datagram.
            Ok(0) => return Err(Error::system("recv", Errno::ECONNRESET)),
            Ok(length) => length,
            Err(errno) => return Err(Error::system("recv", errno)),
        };
        let message = buffer.get(..length).unwrap_or_default();
        // The length field is not checked, because kernels get it wrong: the BSDs in X_PROMISC, Linux in some policies.
        peek_header(self.abi, message)?;
        Ok(Some(message))
    }

    fn window(&self) -> usize {
        WINDOW
    }

    fn answer_timeout(&self) -> Duration {
        PATIENCE
    }

    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize> {
        let wanted = kib.saturating_mul(1024);
        let size = || getsockopt(&self.socket, sockopt::RcvBuf);
        let current = size().map_err(|errno| Error::system("getsockopt", errno))?;
        if current < wanted {
            let _ = setsockopt(&self.socket, sockopt::RcvBuf, &wanted);
        }
        size().map(|bytes| bytes >> 10).map_err(|errno| Error::system("getsockopt", errno))
    }
}

/// A `SOCK_SEQPACKET` socket that is closed on exec.
pub(super) fn seqpacket() -> Result<OwnedFd> {
    if cfg!(target_os = "macos") {
        return Err(Error::Backend("macOS has no SOCK_SEQPACKET: the socket backend does not exist here".into()));
    }
    let flags = SockFlag::empty();
    #[cfg(not(target_os = "macos"))]
    let flags = flags | SockFlag::SOCK_CLOEXEC;
    socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).map_err(|errno| Error::system("socket", errno))
}

/// Sends one datagram without waiting.
pub(super) fn send_datagram(socket: BorrowedFd<'_>, message: &[u8]) -> nix::Result<()> {
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    match send(socket.as_raw_fd(), message, flags)? {
        sent if sent == message.len() => Ok(()),
        _ => Err(Errno::EMSGSIZE),
    }
}

/// Receives one datagram without waiting; one longer than the buffer is truncated.
pub(super) fn recv_datagram(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> nix::Result<usize> {
    debug_assert!(buffer.len() >= MESSAGE_MAX, "a buffer that holds any message");
    loop {
        match recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// Checks the length field of a message against its size.
pub(super) fn check_length(abi: Abi, datagram: &[u8]) -> Result<()> {
    let header = peek_header(abi, datagram)?;
    if usize::from(header.words) * 8 != datagram.len() {
        let what = "the length field is not the number of bytes";
        return Err(Error::Malformed { code: Code::InvalidMessage, what, offset: 4 });
    }
    Ok(())
}

fn wait_for_room(socket: BorrowedFd<'_>, deadline: Instant) -> Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Error::system("send", Errno::EAGAIN));
    }
    let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(socket, PollFlags::POLLOUT)], timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::system("poll", errno)),
    }
}
