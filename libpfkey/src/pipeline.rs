//! Many requests in flight, with answers in the order of the requests.
//!
//! Requests carry sequence numbers counted from a random base above 2^31 (on Linux a small number can match a pending
//! acquire and consume it). A kernel that runs out of receive buffer drops answers silently: the pipeline
//! then asks for the SA or policy, and reports the request as lost if the answer does not settle it.

mod recovery;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::arbitrary::arbitrary_u32;
use crate::connection::{AnswerTimer, Connection};
use crate::error::{Error, Result};
use crate::num::MessageType;
use crate::request::{Encoding, Request, RequestHeader};
use crate::wire::{Header, peek_header};

/// Outcome of a request.
#[derive(Debug)]
pub enum Answer<'a> {
    /// The kernel's answer; for a dump, one of many.
    Reply(&'a [u8]),
    /// The kernel refused the request: errno in the host's numbering, type of the request, and details.
    Errno(i32, MessageType, Refusal<'a>),
    /// No answer came, but a second request showed that the first was carried out.
    Confirmed,
    /// No answer came, and it is unknown whether the request was carried out.
    Lost(Error),
}

/// Details of a refusal.
#[derive(Clone, Copy, Debug, Default)]
pub struct Refusal<'a> {
    /// The kernel's answer.
    pub reply: &'a [u8],
    /// The refused request; empty for a dump.
    pub request: &'a [u8],
    /// The kernel's explanation, where its interface has one: see
    /// [`Backend::explanation`](crate::backend::Backend::explanation).
    pub explanation: Option<&'a str>,
}

/// How requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendMode {
    /// One at a time, with sequence number 0, as KAME setkey does.
    Sequential,
    /// As many at once as the backend can answer.
    Pipelined,
}

/// A request in flight.
#[derive(Debug)]
struct Pending<T> {
    seq: u32,
    message_type: MessageType,
    tag: T,
    /// The request, to explain a refusal, and to find out the outcome if the answer is lost.
    sent: Sent,
    /// A later request was answered first. Kernels answer in order, so the answer to this one was dropped.
    overtaken: bool,
}

/// A request that was sent.
#[derive(Debug)]
enum Sent {
    /// A PF_KEY message.
    Message(Zeroizing<Vec<u8>>),
    /// A typed request to a backend that has another form for it.
    Typed(Request, RequestHeader, Encoding),
}

/// A connection with a window of requests in flight. `T` identifies a request to the caller, for example by file and line.
///
/// Each request has one outcome. Answers are reported as they arrive, in the order of the requests. Requests without an
/// answer are looked up and reported when no others are in flight.
///
/// ```
/// use libpfkey::backend::Memory;
/// use libpfkey::{Abi, Answer, Connection, SendMode, Pipeline, SaType, request};
///
/// let connection = Connection::new(Box::new(Memory::new(Abi::HOST)?));
/// let mut pipeline = Pipeline::new(connection, SendMode::Pipelined);
/// let mut done = Vec::new();
/// let mut on_answer = |line: &u32, answer: Answer<'_>| done.push((*line, matches!(answer, Answer::Reply(_))));
/// for (line, sa_type) in [(1, SaType::Esp), (2, SaType::Ah)] {
///     let mut bytes = pipeline.buffer();
///     request::flush(pipeline.next_request_header(), sa_type, &mut bytes)?;
///     pipeline.submit(bytes, line, &mut on_answer)?;
/// }
/// pipeline.finish(&mut on_answer);
/// assert_eq!(done, [(1, true), (2, true)]);
/// # Ok::<(), libpfkey::Error>(())
/// ```
///
/// [`Pipeline::submit_request`] does the same with a typed request, which NETLINK_XFRM needs no message for.
#[derive(Debug)]
pub struct Pipeline<T> {
    connection: Connection,
    send_mode: SendMode,
    window: usize,
    next_seq: u32,
    pending: VecDeque<Pending<T>>,
    /// Requests whose answer never came.
    lost: Vec<Pending<T>>,
    /// Deadline of the oldest request.
    timer: AnswerTimer,
    /// Emptied buffers of answered requests.
    spare: Vec<Zeroizing<Vec<u8>>>,
}

impl<T> Pipeline<T> {
    /// Sends requests over a connection.
    pub fn new(mut connection: Connection, send_mode: SendMode) -> Self {
        let window = connection.backend().window().max(1);
        // The base is in the lower half of the range, so that the numbers of a run do not start again.
        let next_seq = 0x8000_0000 | arbitrary_u32() >> 2;
        Self {
            connection,
            send_mode,
            window,
            next_seq,
            pending: VecDeque::new(),
            lost: Vec::new(),
            timer: AnswerTimer::default(),
            spare: Vec::new(),
        }
    }

    /// The connection. A message that is received on it directly does not reach the requests in flight.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The header of the next request.
    pub fn next_request_header(&mut self) -> RequestHeader {
        let seq = match self.send_mode {
            SendMode::Sequential => 0,
            SendMode::Pipelined => {
                let seq = self.next_seq;
                self.next_seq = self.next_seq.checked_add(1).unwrap_or(0x8000_0000);
                seq
            }
        };
        self.connection.request_header(seq)
    }

    /// A buffer for the next request.
    pub fn buffer(&mut self) -> Zeroizing<Vec<u8>> {
        self.spare.pop().unwrap_or_default()
    }

    /// Sends a request that has one answer. `on_answer` gets the answers that have arrived by then, in order.
    ///
    /// # Errors
    /// When the backend refuses the request; earlier requests are not affected.
    pub fn submit(
        &mut self,
        request: Zeroizing<Vec<u8>>,
        tag: T,
        on_answer: &mut impl FnMut(&T, Answer<'_>),
    ) -> Result<()> {
        let Header { seq, message_type, .. } = peek_header(self.connection.abi(), &request)?;
        self.make_room(on_answer);
        self.connection.send(&request)?;
        let sent = Sent::Message(request);
        self.sent(Pending { seq, message_type, tag, sent, overtaken: false }, on_answer);
        Ok(())
    }

    /// Sends a typed request that has one answer, as [`Pipeline::submit`] does. `header` is from
    /// [`Pipeline::next_request_header`]; `encoding` is the form of its PF_KEY message, if the backend takes such messages.
    ///
    /// # Errors
    /// When the message cannot express the request, or the backend refuses it; earlier requests are not affected.
    pub fn submit_request(
        &mut self,
        request: Request,
        header: RequestHeader,
        encoding: Encoding,
        tag: T,
        on_answer: &mut impl FnMut(&T, Answer<'_>),
    ) -> Result<()> {
        if !self.connection.backend().has_xfrm_extensions() {
            let mut message = self.buffer();
            request.encode(header, encoding, &mut message)?;
            return self.submit(message, tag, on_answer);
        }
        self.make_room(on_answer);
        self.connection.backend().submit(&request, header)?;
        let (seq, message_type) = (header.seq, request.message_type());
        let sent = Sent::Typed(request, header, encoding);
        self.sent(Pending { seq, message_type, tag, sent, overtaken: false }, on_answer);
        Ok(())
    }

    /// Receives answers until one more request may be sent.
    fn make_room(&mut self, on_answer: &mut impl FnMut(&T, Answer<'_>)) {
        if self.send_mode == SendMode::Sequential || self.pending.len() >= self.window {
            // Where answers get lost, an occasional full drain keeps the list of lost requests short.
            let drain = self.send_mode == SendMode::Sequential || self.lost.len() >= self.window;
            self.settle(if drain { 0 } else { self.window / 2 }, on_answer);
        }
    }

    /// Records a request that was sent.
    fn sent(&mut self, pending: Pending<T>, on_answer: &mut impl FnMut(&T, Answer<'_>)) {
        self.pending.push_back(pending);
        if self.send_mode == SendMode::Sequential {
            self.settle(0, on_answer);
        }
    }

    /// Sends a request with many answers (DUMP, SPDDUMP) after all earlier ones are answered, and waits for the last answer:
    /// the one with sequence number 0, or an errno.
    ///
    /// # Errors
    /// When the backend refuses the request.
    pub fn dump(&mut self, request: &[u8], tag: &T, on_answer: &mut impl FnMut(&T, Answer<'_>)) -> Result<()> {
        self.settle(0, on_answer);
        let wanted = peek_header(self.connection.abi(), request)?;
        self.connection.send(request)?;
        self.connection.answers(&Header { seq: 0, ..wanted }, true, &mut |_| {}, |answer| on_answer(tag, answer));
        Ok(())
    }

    /// Waits until every request is answered.
    pub fn finish(&mut self, on_answer: &mut impl FnMut(&T, Answer<'_>)) {
        self.settle(0, on_answer);
    }

    /// Receives answers until at most `left` requests are in flight; with none left, looks up the lost ones.
    fn settle(&mut self, left: usize, on_answer: &mut impl FnMut(&T, Answer<'_>)) {
        while self.pending.len() > left {
            self.take_answer(on_answer);
        }
        if self.pending.is_empty() {
            for lost in std::mem::take(&mut self.lost) {
                let answer = self.ask(&lost).unwrap_or_else(Answer::Lost);
                on_answer(&lost.tag, answer);
                recycle(&mut self.spare, lost.sent);
            }
        }
    }

    /// Receives one message and reports the request that it answers, or gives up the oldest request.
    fn take_answer(&mut self, on_answer: &mut impl FnMut(&T, Answer<'_>)) {
        let (abi, pid, time) = (self.connection.abi(), self.connection.pid(), self.connection.answer_timeout());
        let Some(oldest) = self.pending.front() else { return };
        let received = match oldest.overtaken {
            true => self.connection.recv(Some(Duration::ZERO)),
            false => self.connection.recv_until(&mut self.timer),
        };
        let bytes = match received {
            Ok(Some(bytes)) => bytes,
            // A malformed message may have been for another process.
            Err(Error::Malformed { .. }) => {
                self.timer.start(time);
                return;
            }
            Ok(None) => {
                self.timer = AnswerTimer::default();
                return self.lost.extend(self.pending.pop_front());
            }
            Err(error) => {
                if let Some(failed) = self.pending.pop_front() {
                    on_answer(&failed.tag, Answer::Lost(error));
                }
                return;
            }
        };
        let Ok(header) = peek_header(abi, bytes) else { return };
        let answers = |pending: &Pending<T>| pending.seq == header.seq && pending.message_type == header.message_type;
        let position = self.pending.iter().position(answers).filter(|_| header.pid == pid);
        let Some(done) = position.and_then(|position| self.pending.remove(position)) else {
            self.timer.start(time);
            return;
        };
        self.timer = AnswerTimer::default();
        self.pending.iter_mut().take(position.unwrap_or(0)).for_each(|pending| pending.overtaken = true);
        let (reply, explanation) = self.connection.last();
        match header.errno {
            0 => on_answer(&done.tag, Answer::Reply(reply)),
            errno => {
                let mut buffer = self.spare.pop().unwrap_or_default();
                let request = done.sent.message(&mut buffer);
                let refusal = Refusal { reply, request, explanation };
                on_answer(&done.tag, Answer::Errno(abi.dialect.errno_to_host(errno), done.message_type, refusal));
                recycle(&mut self.spare, Sent::Message(buffer));
            }
        }
        recycle(&mut self.spare, done.sent);
    }
}

impl Sent {
    /// The PF_KEY message, written to `buffer` if there is none yet; empty if it cannot be written.
    fn message<'m>(&'m self, buffer: &'m mut Vec<u8>) -> &'m [u8] {
        match self {
            Self::Message(bytes) => bytes,
            Self::Typed(request, header, encoding) => match request.encode(*header, *encoding, buffer) {
                Ok(()) => buffer,
                Err(_) => &[],
            },
        }
    }
}

/// Keeps the buffer of a request, wiped. (A typed request wipes its keys when it is dropped.)
fn recycle(spare: &mut Vec<Zeroizing<Vec<u8>>>, sent: Sent) {
    use zeroize::Zeroize as _;
    if let Sent::Message(mut buffer) = sent {
        buffer.zeroize();
        spare.push(buffer);
    }
}
