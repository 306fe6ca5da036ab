//! Many requests in flight, with answers in the order of the requests.
//!
//! Requests carry sequence numbers counted from a random base above 2^31 (on Linux a small number can match a pending
//! acquire and consume it). A kernel that runs out of receive buffer drops answers silently: the pipeline
//! then asks for the SA or policy, and reports the request as lost if the answer does not settle it.

use std::collections::VecDeque;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::arbitrary::arbitrary_u32;
use crate::connection::{AnswerTimer, Connection};
use crate::error::{Error, Result};
use crate::num::{ExtensionType, MessageType};
use crate::request::{self, RequestHeader};
use crate::sa::SaId;
use crate::wire::{Address, Header, Message, peek_header};

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
    /// The message, to find out the outcome if the answer is lost.
    bytes: Zeroizing<Vec<u8>>,
    /// A later request was answered first. Kernels answer in order, so the answer to this one was dropped.
    overtaken: bool,
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
        let header = peek_header(self.connection.abi(), &request)?;
        if self.send_mode == SendMode::Sequential || self.pending.len() >= self.window {
            // Where answers get lost, an occasional full drain keeps the list of lost requests short.
            let drain = self.send_mode == SendMode::Sequential || self.lost.len() >= self.window;
            self.settle(if drain { 0 } else { self.window / 2 }, on_answer);
        }
        self.connection.send(&request)?;
        let Header { seq, message_type, .. } = header;
        self.pending.push_back(Pending { seq, message_type, tag, bytes: request, overtaken: false });
        if self.send_mode == SendMode::Sequential {
            self.settle(0, on_answer);
        }
        Ok(())
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
                recycle(&mut self.spare, lost.bytes);
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
        on_answer(
            &done.tag,
            match header.errno {
                0 => Answer::Reply(reply),
                errno => {
                    let refusal = Refusal { reply, request: &done.bytes, explanation };
                    Answer::Errno(abi.dialect.errno_to_host(errno), done.message_type, refusal)
                }
            },
        );
        recycle(&mut self.spare, done.bytes);
    }

    /// Finds out whether a request was carried out, while no other is in flight.
    fn ask(&mut self, lost: &Pending<T>) -> Result<Answer<'static>> {
        let request = Message::parse(self.connection.abi(), &lost.bytes)?;
        let done = match lost.message_type {
            MessageType::Add | MessageType::Update => self.any_sa(&request, same_keys)?,
            MessageType::Delete => !self.any_sa(&request, |_, _| true)?,
            MessageType::SpdAdd | MessageType::SpdUpdate | MessageType::SpdSetIdx => {
                self.any_policy(&request, same_policy)?
            }
            MessageType::SpdDelete => !self.any_policy(&request, |_, _| true)?,
            MessageType::SpdDelete2 => !self.any_policy_with_id(&request)?,
            _ => false,
        };
        if done { Ok(Answer::Confirmed) } else { Err(Error::Timeout) }
    }

    /// Whether the SA that a request names exists and satisfies `same`.
    fn any_sa(&mut self, request: &Message<'_>, same: fn(&Message<'_>, &Message<'_>) -> bool) -> Result<bool> {
        let Some(id) = SaId::from_message(request) else { return Err(Error::Timeout) };
        let mut bytes = Zeroizing::new(Vec::new());
        request::get(self.next_request_header(), &id, &mut bytes)?;
        self.any_entry(&bytes, false, |entry| same(request, entry))
    }

    /// Whether a policy with the selector and direction of a request exists and satisfies `same`.
    fn any_policy(&mut self, request: &Message<'_>, same: fn(&Message<'_>, &Message<'_>) -> bool) -> Result<bool> {
        let mut bytes = Zeroizing::new(Vec::new());
        request::spddump(self.next_request_header(), &mut bytes)?;
        self.any_entry(&bytes, true, |entry| same_selector(request, entry) && same(request, entry))
    }

    /// Whether the policy with the index that a request names exists.
    fn any_policy_with_id(&mut self, request: &Message<'_>) -> Result<bool> {
        let id = |message: &Message<'_>| message.policy().map(|policy| policy.id);
        let mut bytes = Zeroizing::new(Vec::new());
        request::spddump(self.next_request_header(), &mut bytes)?;
        self.any_entry(&bytes, true, |entry| id(request) == id(entry))
    }

    /// Requests entries and returns whether one satisfies `same`; an errno means that there are none.
    fn any_entry(&mut self, request: &[u8], many: bool, mut same: impl FnMut(&Message<'_>) -> bool) -> Result<bool> {
        let abi = self.connection.abi();
        let wanted = peek_header(abi, request)?;
        self.connection.send(request)?;
        let mut found = Ok(false);
        self.connection.answers(&wanted, many, &mut |_| {}, |answer| match answer {
            Answer::Reply(bytes) if Message::parse(abi, bytes).is_ok_and(|entry| same(&entry)) => found = Ok(true),
            Answer::Lost(error) => found = Err(error),
            _ => {}
        });
        found
    }
}

/// Whether two messages have the same selector and direction of policy.
fn same_selector(request: &Message<'_>, entry: &Message<'_>) -> bool {
    let end = |address: Option<&Address>| address.map(|end| (end.sockaddr, end.prefix, end.proto));
    let direction = |message: &Message<'_>| message.policy().map(|policy| policy.direction);
    end(request.source()) == end(entry.source())
        && end(request.destination()) == end(entry.destination())
        && direction(request) == direction(entry)
}

/// Whether an entry is the one that a request adds, not an earlier one. If the kernel has completed what the request left
/// open, the outcome counts as unknown, which is safe.
fn same_policy(request: &Message<'_>, entry: &Message<'_>) -> bool {
    let steps = |message: &Message<'_>| message.policy().map(|policy| (policy.kind, policy.requests.clone()));
    steps(request) == steps(entry)
}

/// Whether an SA has the keys of a request, which an earlier SA of the same name would not have.
fn same_keys(request: &Message<'_>, entry: &Message<'_>) -> bool {
    [ExtensionType::KeyEncrypt, ExtensionType::KeyAuth].into_iter().all(|kind| {
        let [wanted, got] = [request, entry].map(|message| message.key(kind).map_or(&[][..], |key| key.bytes));
        wanted == got
    })
}

fn recycle(spare: &mut Vec<Zeroizing<Vec<u8>>>, mut buffer: Zeroizing<Vec<u8>>) {
    use zeroize::Zeroize as _;
    buffer.zeroize();
    spare.push(buffer);
}

#[cfg(test)]
mod tests;
