//! Receives many messages with one system call: a dump has a message for each entry, and a system call for each would be
//! half of its cost.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::MsgFlags;
use zeroize::Zeroize;

use crate::error::{Error, Result};
use crate::strerror::Code;

/// Do not wait, and report the full length of truncated messages.
const FLAGS: MsgFlags = MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_TRUNC);

/// Slots for messages, each of the maximum length. Pages that no message reaches are never allocated.
#[derive(Debug)]
pub(super) struct Batch {
    slots: Vec<u8>,
    slot_len: usize,
    /// Lengths of the messages received last.
    lengths: Vec<usize>,
    /// Index of the next message to return.
    next: usize,
    /// Bytes of a slot that have held a message and must be wiped.
    used: usize,
}

impl Batch {
    /// Slots for `count` messages of at most `slot_len` bytes.
    pub(super) fn new(count: usize, slot_len: usize) -> Self {
        Self { slots: vec![0; count * slot_len], slot_len, lengths: Vec::with_capacity(count), next: 0, used: 0 }
    }

    /// The next message, read from the socket if no slot holds one; `None` if none is available.
    ///
    /// # Errors
    /// [`Error::System`]; [`Error::Malformed`] for one that is longer than a slot.
    pub(super) fn next(&mut self, socket: BorrowedFd<'_>) -> Result<Option<&[u8]>> {
        if self.next == self.lengths.len() {
            self.receive(socket)?;
        }
        let Some(&length) = self.lengths.get(self.next) else { return Ok(None) };
        let start = self.next * self.slot_len;
        self.next += 1;
        if length > self.slot_len {
            let what = "a message longer than there can be";
            return Err(Error::Malformed { code: Code::InvalidMessage, what, offset: self.slot_len });
        }
        Ok(self.slots.get(start..start + length))
    }

    fn receive(&mut self, socket: BorrowedFd<'_>) -> Result<()> {
        self.lengths.clear();
        self.next = 0;
        loop {
            match receive(socket, &mut self.slots, self.slot_len, &mut self.lengths) {
                Ok(()) | Err(Errno::EAGAIN) => break,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::system("recv", errno)),
            }
        }
        let longest = self.lengths.iter().copied().fold(self.used, usize::max);
        self.used = longest.min(self.slot_len);
        Ok(())
    }
}

/// Fills slots with the queued messages and appends their lengths.
#[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd"))]
fn receive(socket: BorrowedFd<'_>, slots: &mut [u8], slot_len: usize, lengths: &mut Vec<usize>) -> nix::Result<()> {
    use nix::sys::socket::{MultiHeaders, recvmmsg};
    use std::io::IoSliceMut;

    let mut headers = MultiHeaders::<()>::preallocate(slots.len() / slot_len, None);
    let mut slices: Vec<_> = slots.chunks_mut(slot_len).map(|slot| [IoSliceMut::new(slot)]).collect();
    let messages = recvmmsg(socket.as_raw_fd(), &mut headers, &mut slices, FLAGS, None)?;
    lengths.extend(messages.map(|message| message.bytes));
    Ok(())
}

/// Fallback for systems that receive one message at a time.
#[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd")))]
fn receive(socket: BorrowedFd<'_>, slots: &mut [u8], slot_len: usize, lengths: &mut Vec<usize>) -> nix::Result<()> {
    let slot = slots.get_mut(..slot_len).unwrap_or_default();
    lengths.push(nix::sys::socket::recv(socket.as_raw_fd(), slot, FLAGS)?);
    Ok(())
}

impl Drop for Batch {
    fn drop(&mut self) {
        // The messages held keys.
        let used = self.used;
        self.slots.chunks_mut(self.slot_len).for_each(|slot| slot.iter_mut().take(used).for_each(Zeroize::zeroize));
    }
}
