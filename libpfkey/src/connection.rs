//! A connection to a key engine: sends requests and waits for messages.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zeroize::Zeroize;

use crate::algorithm::Supported;
use crate::backend::{Backend, MESSAGE_MAX};
use crate::dialect::Abi;
use crate::error::{Error, Result};
use crate::num::{MessageType, SaType};
use crate::pipeline::{Answer, Refusal};
use crate::request::{self, RequestHeader};
use crate::wire::{Header, Message, peek_header};

/// Messages that are read after the deadline. What had arrived by then is in time, even if this process was not scheduled
/// before; the limit ends the wait where messages for others keep coming.
const LATE_MAX: u32 = 1 << 16;

/// A backend with a receive buffer.
///
/// ```
/// use libpfkey::backend::Memory;
/// use libpfkey::{Abi, Connection, SaType};
///
/// let mut connection = Connection::new(Box::new(Memory::new(Abi::HOST)?));
/// let supported = connection.register(SaType::Unspec)?;
/// assert!(supported.algorithm(libpfkey::ExtensionType::SupportedEncrypt, 12).is_ok());
/// # Ok::<(), libpfkey::Error>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    backend: Box<dyn Backend>,
    buffer: Vec<u8>,
    /// Bytes of the buffer that have held a message. They are wiped on drop: received messages hold keys.
    used: usize,
    /// Length of the last message.
    last: usize,
    pid: u32,
}

impl Connection {
    /// Connects through a backend, with the id of this process.
    pub fn new(backend: Box<dyn Backend>) -> Self {
        Self { backend, buffer: vec![0; MESSAGE_MAX], used: 0, last: 0, pid: std::process::id() }
    }

    /// The layout of its messages.
    pub fn abi(&self) -> Abi {
        self.backend.abi()
    }

    /// The process id that requests carry.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The header of a request with this sequence number.
    pub fn request_header(&self, seq: u32) -> RequestHeader {
        RequestHeader { abi: self.abi(), pid: self.pid, seq }
    }

    /// Readable when there is something to receive.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.backend.fd()
    }

    /// The backend.
    pub fn backend(&mut self) -> &mut dyn Backend {
        &mut *self.backend
    }

    /// Sends a message (`pfkey_send`).
    ///
    /// # Errors
    /// [`Error::System`]
    pub fn send(&mut self, message: &[u8]) -> Result<()> {
        self.backend.send(message)
    }

    /// The next message (`pfkey_recv`), or `None` after the timeout; without a timeout it waits indefinitely.
    ///
    /// # Errors
    /// As [`Backend::recv`].
    pub fn recv(&mut self, timeout: Option<Duration>) -> Result<Option<&[u8]>> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.next(|| deadline)
    }

    /// The kernel's explanation of the message that was received last, if that is a refusal and the kernel gave one.
    pub fn explanation(&self) -> Option<&str> {
        self.backend.explanation()
    }

    /// The message that was received last, and the kernel's explanation of it.
    pub(crate) fn last(&self) -> (&[u8], Option<&str>) {
        (self.buffer.get(..self.last).unwrap_or_default(), self.explanation())
    }

    /// How long an answer may take.
    pub fn answer_timeout(&self) -> Duration {
        self.backend.answer_timeout()
    }

    /// The next message, or `None` after the deadline.
    pub(crate) fn recv_until(&mut self, timer: &mut AnswerTimer) -> Result<Option<&[u8]>> {
        if timer.is_over() {
            return Ok(None);
        }
        let time = self.answer_timeout();
        self.next(|| Some(timer.start(time)))
    }

    /// The next message; `deadline` is called only if none is available yet.
    fn next(&mut self, mut deadline: impl FnMut() -> Option<Instant>) -> Result<Option<&[u8]>> {
        loop {
            // Only the length is kept, so that the borrow of the buffer ends before the next iteration.
            let length = self.backend.recv(&mut self.buffer)?.map(<[u8]>::len);
            if let Some(length) = length {
                self.used = self.used.max(length);
                self.last = length;
                return Ok(self.buffer.get(..length));
            }
            if !wait(self.backend.fd(), deadline())? {
                return Ok(None);
            }
        }
    }

    /// Registers and returns the kernel's algorithms (`pfkey_send_register`, `pfkey_recv_register`).
    ///
    /// # Errors
    /// [`Error::Kernel`] when it refuses, [`Error::Timeout`] when it does not answer; as [`Connection::recv`].
    pub fn register(&mut self, sa_type: SaType) -> Result<Supported> {
        let abi = self.abi();
        let mut message = Vec::new();
        request::register(self.request_header(0), sa_type, &mut message)?;
        self.send(&message)?;
        let mut supported = Err(Error::Timeout);
        self.answers(&Header::new(MessageType::Register, sa_type), false, &mut |_| {}, |answer| match answer {
            Answer::Reply(bytes) => {
                supported = Message::parse(abi, bytes).map(|reply| Supported::from_reply(&reply));
            }
            Answer::Errno(errno, ..) => supported = Err(Error::Kernel(errno)),
            // A malformed message may have been for another process.
            Answer::Lost(Error::Malformed { .. }) | Answer::Confirmed => {}
            Answer::Lost(error) => supported = Err(error),
        });
        supported
    }

    /// Receives the answers to a request that was sent, up to the last one. The answers of a dump (`many`) are numbered in
    /// the sequence number, and the last has 0. Other messages go to `on_other`.
    pub(crate) fn answers(
        &mut self,
        wanted: &Header,
        many: bool,
        on_other: &mut dyn FnMut(&[u8]),
        mut on_answer: impl FnMut(Answer<'_>),
    ) {
        let (abi, pid, time) = (self.abi(), self.pid(), self.answer_timeout());
        let mut timer = AnswerTimer::default();
        loop {
            let bytes = match self.recv_until(&mut timer) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return on_answer(Answer::Lost(Error::Timeout)),
                // It may have been an answer, so the list may be incomplete.
                Err(error @ Error::Malformed { .. }) => {
                    on_answer(Answer::Lost(error));
                    timer.start(time);
                    continue;
                }
                Err(error) => return on_answer(Answer::Lost(error)),
            };
            let Ok(header) = peek_header(abi, bytes) else { continue };
            let own = header.message_type == wanted.message_type && header.pid == pid;
            if !own || (!many && header.seq != wanted.seq) {
                on_other(bytes);
                timer.start(time);
                continue;
            }
            if header.errno != 0 {
                let errno = abi.dialect.errno_to_host(header.errno);
                let (reply, explanation) = self.last();
                return on_answer(Answer::Errno(
                    errno,
                    wanted.message_type,
                    Refusal { reply, request: &[], explanation },
                ));
            }
            on_answer(Answer::Reply(bytes));
            if !many || header.seq == 0 {
                return;
            }
            timer = AnswerTimer::default();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Wiping the rest would only make the kernel allocate pages that were never used.
        self.buffer.iter_mut().take(self.used).for_each(Zeroize::zeroize);
    }
}

/// Deadline of an answer: [`Backend::answer_timeout`] after the first time that no message, or none for this process, was
/// available. While answers arrive the clock is not read, which is a system call on some machines.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AnswerTimer {
    end: Option<Instant>,
    /// Messages that were read after the deadline.
    late: u32,
}

impl AnswerTimer {
    /// Sets the deadline unless it is set; returns it.
    pub(crate) fn start(&mut self, time: Duration) -> Instant {
        *self.end.get_or_insert_with(|| Instant::now() + time)
    }

    /// Whether to stop reading, even if more messages are available.
    fn is_over(&mut self) -> bool {
        self.late += u32::from(self.end.is_some_and(|end| end <= Instant::now()));
        self.late > LATE_MAX
    }
}

/// Waits until the descriptor is readable; returns `false` at the deadline.
fn wait(fd: BorrowedFd<'_>, deadline: Option<Instant>) -> Result<bool> {
    loop {
        let timeout = match deadline {
            None => PollTimeout::NONE,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Ok(false);
                }
                // Rounded up: a wait of 0 ms would spin until the deadline.
                let millis = left.as_millis().saturating_add(1);
                PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
            }
        };
        let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
        match poll(&mut fds, timeout) {
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(Error::system("poll", errno)),
        }
    }
}
