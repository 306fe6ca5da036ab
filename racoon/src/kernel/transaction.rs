//! Requests and their replies, one at a time.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use libpfkey::request::RequestHeader;
use libpfkey::wire::peek_header;
use libpfkey::{Abi, Connection, Error, Header, Message, MessageType, Request, Result, list};

/// Time to wait for a reply after the previous one did not come in time. The event loop stands still meanwhile.
const SHORT_TIMEOUT: Duration = Duration::from_millis(20);

/// Upper bound of other messages read after the deadline. The reply may be queued behind them: on a busy machine this
/// process may be scheduled only after its deadline.
const LATE_MAX: u32 = 1 << 16;

/// First sequence number of requests that no ACQUIRE caused. It is above those of ACQUIREs, because Linux takes a
/// request with the sequence number of an ACQUIRE for the answer to it.
const FIRST_SEQ: u32 = 0x8000_0000;

/// A connection for requests. It is not registered: only replies and broadcasts arrive.
#[derive(Debug)]
pub(super) struct RequestConnection {
    connection: Connection,
    next_seq: u32,
    /// Time to wait for the first message of the next reply.
    timeout: Duration,
    /// The kernel's explanation of the last error reply (NETLINK_XFRM's extended acknowledgement).
    explanation: Option<String>,
}

/// How long to wait for a reply.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// For its first message.
    pub(super) first: Duration,
    /// For each further message, as in a dump.
    pub(super) next: Duration,
}

impl RequestConnection {
    pub(super) fn new(connection: Connection) -> Self {
        let timeout = connection.answer_timeout();
        Self { connection, next_seq: FIRST_SEQ, timeout, explanation: None }
    }

    pub(super) fn abi(&self) -> Abi {
        self.connection.abi()
    }

    pub(super) fn has_xfrm_extensions(&mut self) -> bool {
        self.connection.backend().has_xfrm_extensions()
    }

    /// Returns the kernel's explanation of the last error reply, if it gave one.
    pub(super) fn explanation(&self) -> Option<&str> {
        self.explanation.as_deref()
    }

    /// Returns the header fields of the next request. `acquire` is the sequence number of the ACQUIRE that caused it,
    /// 0 for none.
    pub(super) fn request_header(&mut self, acquire: u32) -> RequestHeader {
        if acquire != 0 {
            return self.connection.request_header(acquire);
        }
        let header = self.connection.request_header(self.next_seq);
        self.next_seq = self.next_seq.checked_add(1).unwrap_or(FIRST_SEQ);
        header
    }

    /// Discards everything received, so that the next reply finds room in the buffer: broadcasts, and replies that came
    /// too late. A late reply shows that the kernel answers again, so the next one gets the full timeout.
    ///
    /// # Errors
    /// [`Error::System`]
    pub(super) fn drain(&mut self) -> Result<()> {
        let (abi, pid) = (self.connection.abi(), self.connection.pid());
        let full_timeout = self.connection.answer_timeout();
        loop {
            match self.connection.recv(Some(Duration::ZERO)) {
                Ok(None) => return Ok(()),
                Ok(Some(bytes)) if peek_header(abi, bytes).is_ok_and(|header| header.pid == pid) => {
                    self.timeout = full_timeout;
                }
                Ok(Some(_)) | Err(Error::Malformed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a request that has no reply.
    ///
    /// # Errors
    /// [`Error::System`]
    pub(super) fn send(&mut self, request: &[u8]) -> Result<()> {
        self.drain()?;
        self.connection.send(request)
    }

    /// Submits a request and reads its reply.
    ///
    /// # Errors
    /// [`Error::Kernel`] if the kernel refuses it, [`Error::Timeout`] if there is no reply, [`Error::System`]; others if
    /// the dialect cannot express the request.
    pub(super) fn transact<T>(&mut self, request: &Request, read: impl Fn(&Message<'_>) -> T) -> Result<T> {
        let header = self.request_header(0);
        self.transact_with(header, request, read)
    }

    /// As [`RequestConnection::transact`], with a header from [`RequestConnection::request_header`].
    ///
    /// # Errors
    /// As [`RequestConnection::transact`].
    pub(super) fn transact_with<T>(
        &mut self,
        header: RequestHeader,
        request: &Request,
        read: impl Fn(&Message<'_>) -> T,
    ) -> Result<T> {
        let reply_header = reply_header(request, header);
        self.single_reply(reply_header, |connection| connection.backend().submit(request, header), read)
    }

    /// Submits a [`Request::Dump`] or [`Request::PolicyDump`] and reads all messages of the reply into a `T`. An empty
    /// database is no error. If messages are lost, it starts again with a new `T`.
    ///
    /// # Errors
    /// As [`RequestConnection::transact`]; [`Error::Incomplete`] if messages were lost each time.
    pub(super) fn dump<T>(
        &mut self,
        request: &Request,
        empty: impl Fn() -> T,
        mut take: impl FnMut(&mut T, &Message<'_>),
    ) -> Result<T> {
        for _ in 0..list::TRIES {
            let header = self.request_header(0);
            let (mut entries, mut numbers) = (empty(), Vec::new());
            let submit = |connection: &mut Connection| connection.backend().submit(request, header);
            let dumped = self.exchange(reply_header(request, header), submit, |message| {
                take(&mut entries, message);
                numbers.push(message.header.seq);
                // Whichever way the kernel counts, the last message has 0.
                if message.header.seq == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            match dumped {
                Err(Error::Kernel(libc::ENOENT)) | Ok(()) => {}
                Err(error) => return Err(error),
            }
            if list::is_complete(&numbers) {
                return Ok(entries);
            }
        }
        Err(Error::Incomplete)
    }

    fn single_reply<T>(
        &mut self,
        reply_header: Header,
        submit: impl FnOnce(&mut Connection) -> Result<()>,
        read: impl Fn(&Message<'_>) -> T,
    ) -> Result<T> {
        let mut reply = None;
        self.exchange(reply_header, submit, |message| {
            reply = Some(read(message));
            ControlFlow::Break(())
        })?;
        reply.ok_or(Error::Timeout)
    }

    /// Submits a request and reads the messages of its reply until `take` breaks.
    fn exchange(
        &mut self,
        reply_header: Header,
        submit: impl FnOnce(&mut Connection) -> Result<()>,
        take: impl FnMut(&Message<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let full_timeout = self.connection.answer_timeout();
        self.explanation = None;
        self.drain()?;
        submit(&mut self.connection)?;
        let timeouts = Timeouts { first: self.timeout, next: full_timeout };
        let is_reply = |header: &Header| is_reply_to(&reply_header, header);
        let received = receive_replies(&mut self.connection, timeouts, is_reply, take, |_| ());
        match &received {
            Err(Error::Timeout) => self.timeout = SHORT_TIMEOUT,
            Err(Error::System { .. }) => {}
            Err(Error::Kernel(_)) => {
                self.timeout = full_timeout;
                self.explanation = self.connection.explanation().map(str::to_owned);
            }
            _ => self.timeout = full_timeout,
        }
        received
    }
}

/// Returns the header of the reply to a request, as far as it is known.
fn reply_header(request: &Request, header: RequestHeader) -> Header {
    Header { seq: header.seq, pid: header.pid, ..Header::new(request.message_type(), request.sa_type()) }
}

/// Receives messages until `take` breaks. `is_reply` picks the messages of the reply; every other message goes to
/// `on_other`.
///
/// # Errors
/// [`Error::Kernel`] for an error reply, [`Error::Timeout`], [`Error::System`].
pub(super) fn receive_replies(
    connection: &mut Connection,
    timeouts: Timeouts,
    is_reply: impl Fn(&Header) -> bool,
    mut take: impl FnMut(&Message<'_>) -> ControlFlow<()>,
    mut on_other: impl FnMut(&[u8]),
) -> Result<()> {
    let abi = connection.abi();
    let mut late = 0;
    let mut deadline = Instant::now() + timeouts.first;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let bytes = match connection.recv(Some(left)) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(Error::Timeout),
            // Whose message it was cannot be told; if it was the reply, the deadline will pass.
            Err(Error::Malformed { .. }) => continue,
            Err(error) => return Err(error),
        };
        let header = peek_header(abi, bytes)?;
        if !is_reply(&header) {
            late += u32::from(left.is_zero());
            if late > LATE_MAX {
                return Err(Error::Timeout);
            }
            on_other(bytes);
            continue;
        }
        // Not parsed: the BSDs return the whole request, Linux a bare header.
        if header.errno != 0 {
            return Err(Error::Kernel(abi.dialect.errno_to_host(header.errno)));
        }
        if take(&Message::parse(abi, bytes)?).is_break() {
            return Ok(());
        }
        deadline = Instant::now() + timeouts.next;
    }
}

/// Whether a message is part of the expected reply. In a dump the sequence number counts the messages.
fn is_reply_to(expected: &Header, header: &Header) -> bool {
    let is_dump = matches!(expected.message_type, MessageType::Dump | MessageType::SpdDump);
    header.message_type == expected.message_type
        && header.pid == expected.pid
        && (is_dump || header.seq == expected.seq)
}

#[cfg(test)]
mod tests {
    use libpfkey::SaType;
    use libpfkey::backend::Memory;
    use libpfkey::request::Encoding;

    use super::*;

    #[test]
    fn late_reply_restores_the_full_timeout() {
        let kernel = Memory::new(Abi::HOST).unwrap();
        let mut requests = RequestConnection::new(Connection::new(Box::new(kernel.another_handle().unwrap())));
        let flush = Request::Flush(SaType::Ah);
        kernel.drop_next_replies(1);
        assert!(matches!(requests.transact(&flush, |_| ()), Err(Error::Timeout)));
        assert_eq!(requests.timeout, SHORT_TIMEOUT);
        let mut bytes = Vec::new();
        flush.encode(requests.request_header(0), Encoding::default(), &mut bytes).unwrap();
        requests.send(&bytes).unwrap();
        assert_eq!(requests.timeout, SHORT_TIMEOUT);
        requests.drain().unwrap();
        assert_eq!(requests.timeout, requests.connection.answer_timeout());
    }
}
