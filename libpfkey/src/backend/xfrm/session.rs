//! The exchange with the kernel: requests go out in batches, answers and notifications come in.

use std::os::fd::BorrowedFd;

use zeroize::{Zeroize as _, Zeroizing};

use super::conversion::Errno;
use super::netlink::{Heading, NetlinkSocket, push_frame, push_mark};
use super::numbers::{flag, group, message};
use super::pending::{Expect, Pending};
use super::register::Lists;
use super::translator::Translator;
use crate::error::{Error, Result};
use crate::num::{MessageType, SaType};
use crate::strerror::Code;
use crate::wire::Header;
use crate::wire::writer::Writer;

/// Requests of one datagram.
pub(super) const BATCH_REQUESTS: usize = 64;
/// Bytes of one datagram.
const BATCH_BYTES: usize = 32 << 10;
/// Room for the request that exceeds [`BATCH_BYTES`].
const BATCH_SPARE: usize = 4 << 10;

/// What a session sends to and receives from: the kernel's socket, or a recording in tests.
pub(super) trait Transport {
    /// The address that answers carry.
    fn port(&self) -> u32;

    /// Joins a multicast group.
    ///
    /// # Errors
    /// [`Error::System`]
    fn join(&mut self, group: u32) -> Result<()>;

    /// Leaves a multicast group.
    ///
    /// # Errors
    /// [`Error::System`]
    fn leave(&mut self, group: u32) -> Result<()>;

    /// Sends a batch of frames.
    ///
    /// # Errors
    /// [`Error::System`]
    fn send(&mut self, batch: &[u8]) -> Result<()>;

    /// Returns the next datagram; `None` if none is available.
    ///
    /// # Errors
    /// [`Error::System`]; ENOBUFS says that notifications were lost.
    fn receive(&mut self) -> Result<Option<&[u8]>>;
}

/// A transport with the requests that are under way on it.
#[derive(Debug)]
pub(super) struct Session<T> {
    pub(super) transport: T,
    pub(super) translator: Translator,
    /// Frames that are not sent yet. They hold keys.
    batch: Zeroizing<Vec<u8>>,
    /// Number of the frames.
    batched: usize,
    /// The frame of the current dump, which may have to be sent again.
    dump_frame: Vec<u8>,
    /// Notifications were lost, and the datagrams before the loss are not all read yet.
    overrun: bool,
    /// Notifications were lost since [`Session::has_lost`] was called.
    has_lost: bool,
    /// The kernel's algorithms, once they are known.
    pub(super) lists: Option<Lists>,
    /// Groups that it has left: their changes are acknowledged instead of notified.
    pub(super) left: Vec<u32>,
    /// Where the search for a free reqid continues; `None` until the reqids in use are known.
    pub(super) next_reqid: Option<u32>,
}

impl<T: Transport> Session<T> {
    /// Starts a session without requests.
    pub(super) fn new(transport: T) -> Self {
        Self {
            translator: Translator::new(transport.port()),
            transport,
            batch: Zeroizing::new(Vec::with_capacity(BATCH_BYTES + BATCH_SPARE)),
            batched: 0,
            dump_frame: Vec::new(),
            overrun: false,
            has_lost: false,
            lists: None,
            left: Vec::new(),
            next_reqid: None,
        }
    }

    /// Returns the next PF_KEY message; `None` if there is none now.
    ///
    /// # Errors
    /// [`Error::System`]; [`Error::Malformed`] for a truncated datagram.
    pub(super) fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        loop {
            if let Some(length) = self.translator.replies.pop(buffer) {
                return Ok(buffer.get(..length));
            }
            self.flush();
            if !self.take_datagram()? {
                return Ok(None);
            }
        }
    }

    /// Lets the kernel acknowledge changes from now on, instead of notifying this and other changes.
    ///
    /// # Errors
    /// [`Error::System`]; changes of a group that it cannot leave are notified as before.
    pub(super) fn set_brief(&mut self) -> Result<()> {
        // The answers to earlier requests may be notifications.
        self.settle()?;
        for group in [group::SA, group::POLICY] {
            self.transport.leave(group)?;
            self.left.push(group);
        }
        Ok(())
    }

    /// Returns what answers a request, and the flags of its frame: a change whose notification does not come is acknowledged.
    fn answer_to(&self, expect: Expect, kind: u16, flags: u16) -> (Expect, u16) {
        let group = match kind {
            message::NEWSA | message::UPDSA | message::DELSA => group::SA,
            _ => group::POLICY,
        };
        match expect {
            Expect::Echo | Expect::EchoWithNumbers if self.left.contains(&group) => (Expect::Ack, flags | flag::ACK),
            _ => (expect, flags),
        }
    }

    /// Whether notifications were lost since the last call.
    pub(super) fn has_lost(&mut self) -> bool {
        std::mem::take(&mut self.has_lost)
    }

    /// Answers a request with an errno, after the answers to earlier requests.
    ///
    /// # Errors
    /// As [`Session::settle`].
    pub(super) fn refuse(&mut self, header: &Header, errno: Errno) -> Result<()> {
        self.settle()?;
        self.translator.replies.refuse(header, errno, None);
        Ok(())
    }

    /// Appends a request to the batch.
    ///
    /// # Errors
    /// The errno for a body that does not fit its attributes.
    pub(super) fn push(
        &mut self,
        header: &Header,
        expect: Expect,
        (kind, flags): (u16, u16),
        body: impl FnOnce(&mut Writer<'_>) -> Result<()>,
    ) -> std::result::Result<(), Errno> {
        let Header { seq, pid, .. } = *header;
        let (expect, flags) = self.answer_to(expect, kind, flags);
        let heading = Heading { kind, flags: flags | flag::REQUEST, seq, pid };
        push_frame(&mut self.batch, heading, body).map_err(errno_of)?;
        // Only now: a request that was refused above gets no answer.
        self.translator.expect(Pending { seq, kind, expect, header: *header });
        self.batched += 1;
        if self.batched >= BATCH_REQUESTS || self.batch.len() >= BATCH_BYTES {
            self.flush();
        }
        Ok(())
    }

    /// Sends a dump in a datagram of its own, with no other request under way: the kernel performs a dump while its answers
    /// are read, and refuses a second one meanwhile.
    ///
    /// # Errors
    /// As [`Session::push`] and [`Session::settle`].
    pub(super) fn push_dump(
        &mut self,
        header: &Header,
        kind: u16,
        body: impl FnOnce(&mut Writer<'_>) -> Result<()>,
    ) -> std::result::Result<(), Errno> {
        self.settle().map_err(errno_of)?;
        self.push(header, Expect::Dump, (kind, flag::DUMP), body)?;
        self.dump_frame.clear();
        self.dump_frame.extend_from_slice(&self.batch);
        self.flush();
        Ok(())
    }

    /// Sends frames of this module's own at once and reads what comes, with no other request under way.
    ///
    /// # Errors
    /// [`Error::System`]
    pub(super) fn ask(&mut self, batch: &[u8]) -> Result<()> {
        let outcome = self.transport.send(batch).and_then(|()| self.take_in());
        self.translator.give_up();
        outcome
    }

    /// Sends the batch. If that fails, each of its requests is answered with the errno.
    pub(super) fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batched = std::mem::take(&mut self.batched);
        let sent = self.transport.send(&self.batch);
        // It held keys. The allocation is kept for the next batch.
        self.batch.zeroize();
        if let Err(error) = sent {
            self.translator.refuse_last(batched, errno_of(error));
        }
    }

    /// Sends the batch and reads all answers. The kernel has answered when `send` returns, so the answer to a request that
    /// is still pending afterwards is lost.
    ///
    /// # Errors
    /// [`Error::System`]; [`Error::Malformed`] for a truncated datagram.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.flush();
        self.take_in()?;
        self.translator.give_up();
        Ok(())
    }

    /// Reads all datagrams that are available.
    fn take_in(&mut self) -> Result<()> {
        while self.take_datagram()? {}
        Ok(())
    }

    /// Reads one datagram; returns `false` if there is none.
    fn take_datagram(&mut self) -> Result<bool> {
        match self.transport.receive() {
            Ok(Some(datagram)) => {
                self.translator.datagram(datagram)?;
                if let Some(dump) = self.translator.again() {
                    self.translator.expect(dump);
                    self.transport.send(&self.dump_frame)?;
                }
                self.look_up_soft()?;
                Ok(true)
            }
            Ok(None) => {
                // Everything that came before the loss has been read, so no answer is left to come.
                if std::mem::take(&mut self.overrun) {
                    self.translator.give_up();
                }
                Ok(false)
            }
            // The kernel reports the loss ahead of the datagrams that it still holds. `Pipeline` looks up the requests whose
            // answers were among the lost ones.
            Err(Error::System { source, .. }) if source.raw_os_error() == Some(libc::ENOBUFS) => {
                self.overrun = true;
                self.has_lost = true;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }

    /// Appends the look-ups of SAs whose soft limit was reached to the batch.
    fn look_up_soft(&mut self) -> Result<()> {
        while let Some((id, mark)) = self.translator.next_soft() {
            let heading = Heading { kind: message::GETSA, flags: flag::REQUEST, seq: 0, pid: 0 };
            push_frame(&mut self.batch, heading, |writer| {
                id.emit(writer);
                push_mark(writer, mark)
            })?;
            self.translator.expect(soft_lookup());
            self.batched += 1;
        }
        Ok(())
    }
}

impl Transport for NetlinkSocket {
    fn port(&self) -> u32 {
        self.port()
    }

    fn join(&mut self, group: u32) -> Result<()> {
        self.join(group)
    }

    fn leave(&mut self, group: u32) -> Result<()> {
        self.leave(group)
    }

    fn send(&mut self, batch: &[u8]) -> Result<()> {
        self.send(batch)
    }

    fn receive(&mut self) -> Result<Option<&[u8]>> {
        self.receive()
    }
}

impl Session<NetlinkSocket> {
    /// Opens the socket.
    ///
    /// # Errors
    /// As [`NetlinkSocket::open`].
    pub(super) fn open() -> Result<Self> {
        NetlinkSocket::open().map(Self::new)
    }

    /// Readable when datagrams are available.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.transport.fd()
    }
}

/// The look-up of an SA whose soft limit was reached.
pub(super) fn soft_lookup() -> Pending {
    let header = Header::new(MessageType::Expire, SaType::Unspec);
    Pending { seq: 0, kind: message::GETSA, expect: Expect::Soft, header }
}

/// The errno that answers a request which failed in this way.
pub(super) fn errno_of(error: Error) -> Errno {
    match error {
        Error::System { source, .. } => source.raw_os_error().unwrap_or(libc::EIO),
        Error::Refused(Code::NoBuffers) => libc::ENOBUFS,
        _ => libc::EINVAL,
    }
}
