//! A conversation with a key engine: sends requests, waits for messages.

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

/// Messages that are taken after an answer's time is over: what was there then has come in time, even if this process had
/// to wait for its turn to look; but what is for others may never end.
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
    /// Bytes of the buffer that were ever used, to be wiped: received messages hold keys.
    used: usize,
    /// Length of the last message.
    last: usize,
    pid: u32,
}

impl Connection {
    /// Speaks through a backend, as this process.
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

    /// What a request with this sequence number carries.
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

    /// Hands over a message (`pfkey_send`).
    ///
    /// # Errors
    /// [`Error::System`]
    pub fn send(&mut self, message: &[u8]) -> Result<()> {
        self.backend.send(message)
    }

    /// The next message (`pfkey_recv`), or `None` when the time is over; without a timeout waits for ever.
    ///
    /// # Errors
    /// As [`Backend::recv`].
    pub fn recv(&mut self, timeout: Option<Duration>) -> Result<Option<&[u8]>> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        self.next(|| deadline)
    }

    /// The kernel's own words about the last message that was received, a refusal, if it gave any.
    pub fn explanation(&self) -> Option<&str> {
        self.backend.explanation()
    }

    /// The last message that was received, again, and the kernel's words about it.
    pub(crate) fn last(&self) -> (&[u8], Option<&str>) {
        (self.buffer.get(..self.last).unwrap_or_default(), self.explanation())
    }

    /// How long an answer may take.
    pub fn answer_timeout(&self) -> Duration {
        self.backend.answer_timeout()
    }

    /// The next message, or `None` when patience is at its end.
    pub(crate) fn recv_patiently(&mut self, patience: &mut Patience) -> Result<Option<&[u8]>> {
        if patience.is_over() {
            return Ok(None);
        }
        let time = self.answer_timeout();
        self.next(|| Some(patience.start(time)))
    }

    /// The next message; `deadline` is asked for only when there is none now.
    fn next(&mut self, mut deadline: impl FnMut() -> Option<Instant>) -> Result<Option<&[u8]>> {
        loop {
            // Decided on the length alone, so that the borrow of the buffer ends before the next round.
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

    /// Registers and takes the kernel's list of algorithms (`pfkey_send_register`, `pfkey_recv_register`).
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
            // What was malformed may have been anybody's.
            Answer::Lost(Error::Malformed { .. }) | Answer::Confirmed => {}
            Answer::Lost(error) => supported = Err(error),
        });
        supported
    }

    /// Takes the answers to a request that was sent, up to the last one. The answers of a dump (`many`) count in
    /// the field of the sequence number, down to 0. Other messages go to `on_other`.
    pub(crate) fn answers(
        &mut self,
        wanted: &Header,
        many: bool,
        on_other: &mut dyn FnMut(&[u8]),
        mut on_answer: impl FnMut(Answer<'_>),
    ) {
        let (abi, pid, time) = (self.abi(), self.pid(), self.answer_timeout());
        let mut patience = Patience::default();
        loop {
            let bytes = match self.recv_patiently(&mut patience) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return on_answer(Answer::Lost(Error::Timeout)),
                // It may have been an answer: the list is not known to be whole.
                Err(error @ Error::Malformed { .. }) => {
                    on_answer(Answer::Lost(error));
                    patience.start(time);
                    continue;
                }
                Err(error) => return on_answer(Answer::Lost(error)),
            };
            let Ok(header) = peek_header(abi, bytes) else { continue };
            let own = header.message_type == wanted.message_type && header.pid == pid;
            if !own || (!many && header.seq != wanted.seq) {
                on_other(bytes);
                patience.start(time);
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
            patience = Patience::default();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Not all of it: to wipe what was never used, memory would have to be found for it first.
        self.buffer.iter_mut().take(self.used).for_each(Zeroize::zeroize);
    }
}

/// How long an answer is waited for: [`Backend::answer_timeout`] from when there was first nothing to take, or only what is
/// for others. As long as answers come nobody looks at the clock: on some machines that is a system call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Patience {
    end: Option<Instant>,
    /// Messages that were taken after the end.
    late: u32,
}

impl Patience {
    /// Starts the clock if it stands; returns when it will be over.
    pub(crate) fn start(&mut self, time: Duration) -> Instant {
        *self.end.get_or_insert_with(|| Instant::now() + time)
    }

    /// Whether nothing more is to be taken, even if it is there.
    fn is_over(&mut self) -> bool {
        self.late += u32::from(self.end.is_some_and(|end| end <= Instant::now()));
        self.late > LATE_MAX
    }
}

/// Waits until the descriptor is readable; `false` when the deadline came first.
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
