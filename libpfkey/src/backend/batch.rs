//! Messages received many at a time: a dump is one message an entry, and a system call each is half its cost.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::socket::MsgFlags;
use zeroize::Zeroize;

use crate::error::{Error, Result};
use crate::strerror::Code;

/// Never wait, and tell the true length of what is cut.
const FLAGS: MsgFlags = MsgFlags::MSG_DONTWAIT.union(MsgFlags::MSG_TRUNC);

/// Room for messages. Each slot takes the longest message there can be; pages that none reaches are never touched.
#[derive(Debug)]
pub(super) struct Batch {
    slots: Vec<u8>,
    slot_len: usize,
    /// Lengths of the messages received last.
    lengths: Vec<usize>,
    /// The next to hand out.
    next: usize,
    /// Bytes of a slot that were ever used, to be wiped.
    used: usize,
}

impl Batch {
    /// For `count` messages in one system call, each of at most `slot_len` bytes.
    pub(super) fn new(count: usize, slot_len: usize) -> Self {
        Self { slots: vec![0; count * slot_len], slot_len, lengths: Vec::with_capacity(count), next: 0, used: 0 }
    }

    /// The next message, from the socket if none is left here; `None` when there is none now.
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

/// Fills slots with what is queued and appends the lengths.
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

/// Where the system receives one message at a time.
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
