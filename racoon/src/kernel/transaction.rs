//! The connection on which requests are asked and answered, one at a time.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use libpfkey::request::RequestHeader;
use libpfkey::wire::peek_header;
use libpfkey::{Abi, Connection, Error, Header, Message, MessageType, Result};

/// How long an answer is waited for when the one before did not come in time: whoever waits here does nothing else.
const SHORT_TIMEOUT: Duration = Duration::from_millis(20);

/// Messages of others that are passed over when an answer's time is over: behind them it may be there all the same, if this
/// process had to wait for its turn to look.
const LATE_MAX: u32 = 1 << 16;

/// Sequence numbers of requests that no acquire began: larger than those of acquires, which on Linux a request would
/// complete that has the same.
const FIRST_SEQ: u32 = 0x8000_0000;

/// A connection for requests. It has not registered: what comes in are answers, and what all are told of.
#[derive(Debug)]
pub(super) struct RequestConnection {
    connection: Connection,
    next_seq: u32,
    patience: Duration,
    /// The kernel's own explanation about the last request, which it refused.
    explanation: Option<String>,
}

impl RequestConnection {
    pub(super) fn new(connection: Connection) -> Self {
        let patience = connection.answer_timeout();
        Self { connection, next_seq: FIRST_SEQ, patience, explanation: None }
    }

    pub(super) fn abi(&self) -> Abi {
        self.connection.abi()
    }

    pub(super) fn has_xfrm_extensions(&mut self) -> bool {
        self.connection.backend().has_xfrm_extensions()
    }

    /// The kernel's own explanation about the last request, if it refused it and gave any.
    pub(super) fn explanation(&self) -> Option<&str> {
        self.explanation.as_deref()
    }

    /// What the next request carries: the number of the acquire that began it, if one did.
    pub(super) fn request_header(&mut self, acquire: u32) -> RequestHeader {
        if acquire != 0 {
            return self.connection.request_header(acquire);
        }
        let origin = self.connection.request_header(self.next_seq);
        self.next_seq = self.next_seq.checked_add(1).unwrap_or(FIRST_SEQ);
        origin
    }

    /// Throws away what has come: what all are told of, and answers that came too late, which are worth waiting for then.
    /// There must be room for the next.
    ///
    /// # Errors
    /// [`Error::System`]
    pub(super) fn drain(&mut self) -> Result<()> {
        let (abi, pid, whole) = (self.connection.abi(), self.connection.pid(), self.connection.answer_timeout());
        loop {
            match self.connection.recv(Some(Duration::ZERO)) {
                Ok(None) => return Ok(()),
                Ok(Some(bytes)) if peek_header(abi, bytes).is_ok_and(|header| header.pid == pid) => {
                    self.patience = whole;
                }
                Ok(Some(_)) | Err(Error::Malformed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a request that is not answered.
    ///
    /// # Errors
    /// [`Error::System`]
    pub(super) fn send(&mut self, request: &[u8]) -> Result<()> {
        self.drain()?;
        self.connection.send(request)
    }

    /// Sends a request and takes its answer.
    ///
    /// # Errors
    /// [`Error::Kernel`] when it is refused, [`Error::Timeout`] when there is no answer; [`Error::System`].
    pub(super) fn transact<T>(&mut self, request: &[u8], answer: impl Fn(&Message<'_>) -> T) -> Result<T> {
        let mut answered = None;
        self.transact_many(request, |message| {
            answered = Some(answer(message));
            ControlFlow::Break(())
        })?;
        answered.ok_or(Error::Timeout)
    }

    /// Sends a request and takes its answers, until `take` has enough.
    ///
    /// # Errors
    /// As [`RequestConnection::transact`].
    pub(super) fn transact_many(
        &mut self,
        request: &[u8],
        mut take: impl FnMut(&Message<'_>) -> ControlFlow<()>,
    ) -> Result<()> {
        let (abi, whole) = (self.abi(), self.connection.answer_timeout());
        let asked = peek_header(abi, request)?;
        self.explanation = None;
        self.send(request)?;
        let mut late = 0;
        let mut deadline = Instant::now() + self.patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let bytes = match self.connection.recv(Some(left)) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => {
                    self.patience = SHORT_TIMEOUT;
                    return Err(Error::Timeout);
                }
                // What is malformed may be anybody's.
                Err(Error::Malformed { .. }) => continue,
                Err(error) => return Err(error),
            };
            let header = peek_header(abi, bytes)?;
            if !answers(&asked, &header) {
                late += u32::from(left.is_zero());
                if late > LATE_MAX {
                    return Err(Error::Timeout);
                }
                continue;
            }
            self.patience = whole;
            if header.errno != 0 {
                self.explanation = self.connection.explanation().map(str::to_owned);
                return Err(Error::Kernel(abi.dialect.errno_to_host(header.errno)));
            }
            if take(&Message::parse(abi, bytes)?).is_break() {
                return Ok(());
            }
            deadline = Instant::now() + self.patience;
        }
    }
}

/// Whether a message answers a request. The messages of a dump are numbered.
fn answers(asked: &Header, header: &Header) -> bool {
    let is_dump = matches!(asked.message_type, MessageType::Dump | MessageType::SpdDump);
    header.message_type == asked.message_type && header.pid == asked.pid && (is_dump || header.seq == asked.seq)
}

#[cfg(test)]
mod tests {
    use libpfkey::backend::Memory;
    use libpfkey::{SaType, request};

    use super::*;

    #[test]
    fn whoever_answers_late_is_waited_for_again() {
        let kernel = Memory::new(Abi::HOST).unwrap();
        let mut requests = RequestConnection::new(Connection::new(Box::new(kernel.another_handle().unwrap())));
        let mut bytes = Vec::new();
        request::flush(requests.request_header(0), SaType::Ah, &mut bytes).unwrap();
        kernel.drop_next_replies(1);
        assert!(matches!(requests.transact(&bytes, |_| ()), Err(Error::Timeout)));
        assert_eq!(requests.patience, SHORT_TIMEOUT);
        requests.send(&bytes).unwrap();
        assert_eq!(requests.patience, SHORT_TIMEOUT);
        requests.drain().unwrap();
        assert_eq!(requests.patience, requests.connection.answer_timeout());
    }
}
