//! Reading several datagrams with one system call.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, RecvMsg, SockaddrStorage};

use super::addresses::socket_address;

/// Maximum length of a datagram.
const LARGEST: usize = 64 * 1024;

/// Datagrams per system call.
pub(super) const BATCH: usize = 64;

/// Buffer of a batch, and the datagrams in it. Slots that no datagram reached occupy no physical memory.
#[derive(Debug)]
pub(super) struct Batch {
    buffer: Vec<u8>,
    /// Datagrams that were read and not taken yet.
    ready: VecDeque<Arrived>,
}

/// A received datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrived {
    /// Index of its slot in the buffer.
    at: usize,
    length: usize,
    /// Whether the datagram was longer than the slot.
    pub(super) truncated: bool,
    /// Destination address, if the socket reports it.
    pub(super) local: Option<SocketAddr>,
    /// Source address, which may be spoofed.
    pub(super) remote: Option<SocketAddr>,
}

/// Extracts the destination address from a control message.
pub(super) type Destination<'a> = dyn Fn(&ControlMessageOwned) -> Option<SocketAddr> + 'a;

impl Batch {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; BATCH * LARGEST], ready: VecDeque::with_capacity(BATCH) }
    }

    /// Takes the next datagram.
    pub(super) fn take(&mut self) -> Option<Arrived> {
        self.ready.pop_front()
    }

    /// Whether all datagrams have been taken.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Returns the bytes of a datagram. Valid until the next [`Batch::fill`].
    pub(super) fn bytes(&self, arrived: Arrived) -> &[u8] {
        let begin = arrived.at.saturating_mul(LARGEST);
        self.buffer.get(begin..begin.saturating_add(arrived.length)).unwrap_or_default()
    }

    /// Reads the pending datagrams. All previous ones must have been taken.
    ///
    /// # Errors
    /// Those of the system; `EAGAIN` if there are none.
    #[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd"))]
    pub(super) fn fill(&mut self, socket: BorrowedFd<'_>, destination: &Destination<'_>) -> Result<(), Errno> {
        use nix::sys::socket::{MultiHeaders, recvmmsg};
        let control = nix::cmsg_space!(libc::in6_pktinfo, libc::in6_pktinfo);
        // Rebuilt each time, because the system overwrites the lengths in them.
        let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, Some(control));
        let mut places = self.buffer.chunks_mut(LARGEST).map(|place| [IoSliceMut::new(place)]).collect::<Vec<_>>();
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = recvmmsg(socket.as_raw_fd(), &mut headers, places.iter_mut(), flags, None)?;
        self.ready.extend(received.enumerate().map(|(at, message)| arrived(at, &message, destination)));
        Ok(())
    }

    /// Reads the pending datagrams. All previous ones must have been taken.
    ///
    /// # Errors
    /// Those of the system; `EAGAIN` if there are none.
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
                // A persistent error returns with the next call; others concern a single path.
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
