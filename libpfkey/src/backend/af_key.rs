//! The kernel's own PF_KEY socket.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send};
use socket2::{Domain, Protocol, Socket, Type};

use super::batch::Batch;
use super::{Backend, MESSAGE_MAX};
use crate::dialect::{Abi, Dialect};
use crate::error::{Error, Result};
use crate::strerror::Code;
use crate::wire::peek_header;

/// Receive buffer that libipsec requests: when it is full, the kernel drops answers silently.
const SEND_BUFFER: usize = 128 << 10;
const RECEIVE_BUFFER: usize = 2 << 20;

/// Messages received with one system call: a dump has a message for each entry.
const BATCH: usize = 16;

/// Part of the receive buffer that is reserved for one answer, including the kernel's overhead and broadcasts caused by
/// other processes.
const ANSWER_COST: usize = 8 << 10;

/// A `PF_KEY` socket of the host's kernel.
#[derive(Debug)]
pub struct AfKey {
    socket: Socket,
    batch: Batch,
    window: usize,
}

impl AfKey {
    /// Opens the socket and enlarges its buffers as far as the system permits.
    ///
    /// # Errors
    /// [`Error::System`]: EAFNOSUPPORT where the kernel has no PF_KEY, EPERM or EACCES without privilege.
    pub fn open() -> Result<Self> {
        let domain = Domain::from(Dialect::HOST.domain());
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(2)))
            .map_err(|source| Error::System { call: "pfkey_open", source })?;
        grow(SEND_BUFFER, || socket.send_buffer_size(), |size| socket.set_send_buffer_size(size));
        let mut opened = Self { socket, batch: Batch::new(BATCH, MESSAGE_MAX), window: 1 };
        opened.set_receive_buffer(RECEIVE_BUFFER >> 10)?;
        Ok(opened)
    }
}

/// Raises a buffer to `wanted` bytes, or to the largest half, quarter … that the system grants; never shrinks it.
fn grow(wanted: usize, current: impl Fn() -> io::Result<usize>, set: impl Fn(usize) -> io::Result<()>) {
    let current = current().unwrap_or(0);
    let mut size = wanted;
    while size > current && set(size).is_err() {
        size /= 2;
    }
}

impl Backend for AfKey {
    fn abi(&self) -> Abi {
        Abi::HOST
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        loop {
            match send(self.socket.as_raw_fd(), message, MsgFlags::empty()) {
                Ok(sent) if sent == message.len() => return Ok(()),
                Ok(_) => return Err(Error::system("send", Errno::EMSGSIZE)),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::system("send", errno)),
            }
        }
    }

    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        let Some(received) = self.batch.next(self.socket.as_fd())? else { return Ok(None) };
        let length = received.len();
        let Some(message) = buffer.get_mut(..length) else { return Err(Error::Refused(Code::NoBuffers)) };
        message.copy_from_slice(received);
        // The length field is not checked: Linux gets it wrong for some policies, whose type and errno are valid.
        peek_header(Abi::HOST, message)?;
        Ok(Some(message))
    }

    fn window(&self) -> usize {
        self.window
    }

    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize> {
        let wanted = kib.saturating_mul(1024);
        let size = || self.socket.recv_buffer_size();
        #[cfg(target_os = "linux")]
        if size().is_ok_and(|size| size < wanted) {
            // Exceeds rmem_max with CAP_NET_ADMIN, which this socket needs anyway; otherwise rmem_max is the limit.
            let _ = nix::sys::socket::setsockopt(&self.socket, nix::sys::socket::sockopt::RcvBufForce, &wanted);
        }
        grow(wanted, size, |size| self.socket.set_recv_buffer_size(size));
        let actual = size().map_err(|source| Error::System { call: "getsockopt", source })?;
        self.window = (actual / ANSWER_COST).clamp(1, 128);
        Ok(actual >> 10)
    }
}
