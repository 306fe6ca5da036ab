//! Datagrams that are read from a socket with one system call.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage};

use super::addresses::socket_address;

/// A datagram is at most so long.
const LARGEST: usize = 64 * 1024;

/// Datagrams that are read at once.
pub(super) const BATCH: usize = 64;

/// Room for a batch, and what is in it. Memory that no datagram was written to is not used.
#[derive(Debug)]
pub(super) struct Batch {
    buffer: Vec<u8>,
    /// What has been read and not taken yet.
    ready: VecDeque<Arrived>,
}

/// A datagram that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrived {
    /// Which place of the buffer it is in.
    at: usize,
    length: usize,
    /// It was longer than its place.
    pub(super) truncated: bool,
    /// Whom it was sent to, if that was asked for and told.
    pub(super) local: Option<SocketAddr>,
    /// Who says to have sent it.
    pub(super) remote: Option<SocketAddr>,
}

/// What the control messages of a datagram say about whom it was sent to.
pub(super) type Destination<'a> = dyn Fn(&ControlMessageOwned) -> Option<SocketAddr> + 'a;

impl Batch {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; BATCH * LARGEST], ready: VecDeque::with_capacity(BATCH) }
    }

    /// The next datagram that was read.
    pub(super) fn take(&mut self) -> Option<Arrived> {
        self.ready.pop_front()
    }

    /// Nothing that was read is left.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// The bytes of a datagram; until the next [`Batch::fill`].
    pub(super) fn bytes(&self, arrived: Arrived) -> &[u8] {
        let begin = arrived.at.saturating_mul(LARGEST);
        self.buffer.get(begin..begin.saturating_add(arrived.length)).unwrap_or_default()
    }

    /// Reads what there is, after all has been taken.
    ///
    /// # Errors
    /// The system's; `EAGAIN`: there is nothing.
    #[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd"))]
    pub(super) fn fill(&mut self, socket: BorrowedFd<'_>, destination: &Destination<'_>) -> Result<(), Errno> {
        use nix::sys::socket::{MultiHeaders, recvmmsg};
        let control = nix::cmsg_space!(libc::in6_pktinfo, libc::in6_pktinfo);
        // Made anew each time: the system writes into them how much of their room it has used.
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, Some(control));
        let mut places = self.buffer.chunks_mut(LARGEST).map(|place| [IoSliceMut::new(place)]).collect::<Vec<_>>();
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = recvmmsg(socket.as_raw_fd(), &mut headers, places.iter_mut(), flags, None)?;
        self.ready.extend(received.enumerate().map(|(at, message)| arrived(at, &message, destination)));
        Ok(())
    }

    /// Reads what there is, after all has been taken.
    ///
    /// # Errors
    /// The system's; `EAGAIN`: there is nothing.
    #[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd")))]
    pub(super) fn fill(&mut self, socket: BorrowedFd<'_>, destination: &Destination<'_>) -> Result<(), Errno> {
        use nix::sys::socket::recvmsg;
        for (at, place) in self.buffer.chunks_mut(LARGEST).enumerate() {
            let mut control = nix::cmsg_space!(libc::in6_pktinfo, libc::in6_pktinfo);
            let mut places = [IoSliceMut::new(place)];
            let flags = MsgFlags::MSG_DONTWAIT;
            match recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut places, Some(&mut control), flags) {
                Ok(message) => self.ready.push_back(arrived(at, &message, destination)),
                Err(errno) if at == 0 => return Err(errno),
                // An error that is not told now comes again, or was of the path.
                Err(_) => break,
            }
        }
        Ok(())
    }
}

fn arrived(at: usize, message: &RecvMsg<'_, '_, SockaddrStorage>, destination: &Destination<'_>) -> Arrived {
    Arrived {
        at,
        length: message.bytes,
        truncated: message.flags.contains(MsgFlags::MSG_TRUNC),
        local: message.cmsgs().ok().and_then(|mut all| all.find_map(|info| destination(&info))),
        remote: message.address.as_ref().and_then(socket_address),
    }
}
