//! Many requests under way at once, answers in the order of the requests.
//!
//! Requests carry sequence numbers counted from a random base above 2^31 (on Linux a small number can match a pending
//! acquire and consume it). A kernel that runs out of receive buffer drops answers without a word: what stays
//! unanswered is asked for, and reported if it cannot be found.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::connection::{ANSWER_TIMEOUT, Connection};
use crate::crypto::random_u32;
use crate::error::{Error, Result};
use crate::num::MessageType;
use crate::request::{self, Origin, SaName};
use crate::wire::{Address, Header, Message, peek_header};

/// What became of a request.
#[derive(Debug)]
pub enum Answer<'a> {
    /// The kernel's answer. For dumps one of many.
    Reply(&'a [u8]),
    /// The kernel refused: an errno of the host's numbering, and what the request was.
    Errno(i32, MessageType),
    /// No answer came, but asked again the kernel showed that it was done.
    Confirmed,
    /// No answer came, and it cannot be told whether it was done.
    Lost(Error),
}

/// How requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One at a time, with sequence number 0, as KAME setkey does.
    OneByOne,
    /// As many as the door takes.
    Pipelined,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Pending<T> {
    seq: u32,
    message_type: MessageType,
    sent: Instant,
    tag: T,
    /// The request, to ask for its outcome.
    bytes: Zeroizing<Vec<u8>>,
    /// A later request was answered before: kernels answer in order, so this one's answer was dropped.
    overtaken: bool,
}

/// A connection with a window of requests. `T` is what the caller knows a request by (file and line, say).
#[derive(Debug)]
pub struct Pipeline<T> {
    connection: Connection,
    pace: Pace,
    window: usize,
    next_seq: u32,
    pending: VecDeque<Pending<T>>,
    /// Requests whose answer never came.
    lost: Vec<Pending<T>>,
    /// Emptied buffers of answered requests.
    spare: Vec<Zeroizing<Vec<u8>>>,
}

impl<T> Pipeline<T> {
    /// Takes over a connection.
    ///
    /// # Errors
    /// When no random number is to be had.
    pub fn new(mut connection: Connection, pace: Pace) -> Result<Self> {
        let window = connection.backend().window().max(1);
        let next_seq = 0x8000_0000 | random_u32()? >> 2;
        Ok(Self { connection, pace, window, next_seq, pending: VecDeque::new(), lost: Vec::new(), spare: Vec::new() })
    }

    /// The connection. What is received on it directly is lost to waiting requests.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// What the next request carries.
    pub fn next_origin(&mut self) -> Origin {
        let seq = match self.pace {
            Pace::OneByOne => 0,
            Pace::Pipelined => {
                let seq = self.next_seq;
                self.next_seq = self.next_seq.checked_add(1).unwrap_or(0x8000_0000);
                seq
            }
        };
        self.connection.origin(seq)
    }

    /// A buffer for the next request.
    pub fn buffer(&mut self) -> Zeroizing<Vec<u8>> {
        self.spare.pop().unwrap_or_default()
    }

    /// Sends a request that has one answer. `on_answer` gets the answers that have come in by then, in order.
    ///
    /// # Errors
    /// When the door refuses the request; earlier requests are not affected.
    pub fn submit(
        &mut self,
        request: Zeroizing<Vec<u8>>,
        tag: T,
        on_answer: &mut impl FnMut(&T, Answer<'_>),
    ) -> Result<()> {
        let header = peek_header(self.connection.abi(), &request)?;
        if self.pace == Pace::OneByOne || self.pending.len() >= self.window {
            self.settle(if self.pace == Pace::OneByOne { 0 } else { self.window / 2 }, on_answer);
        }
        self.connection.send(&request)?;
        let Header { seq, message_type, .. } = header;
        let sent = Instant::now();
        self.pending.push_back(Pending { seq, message_type, sent, tag, bytes: request, overtaken: false });
        if self.pace == Pace::OneByOne {
            self.settle(0, on_answer);
        }
        Ok(())
    }

    /// Sends a request with many answers (DUMP, SPDDUMP) once all before it are answered, and waits for the last:
    /// the one with sequence number 0, or an errno.
    ///
    /// # Errors
    /// When the door refuses the request.
    pub fn dump(&mut self, request: &[u8], tag: &T, on_answer: &mut impl FnMut(&T, Answer<'_>)) -> Result<()> {
        self.settle(0, on_answer);
        let abi = self.connection.abi();
        let pid = self.connection.pid();
        let message_type = peek_header(abi, request)?.message_type;
        self.connection.send(request)?;
        loop {
            let bytes = match self.connection.recv(Some(ANSWER_TIMEOUT)) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => {
                    on_answer(tag, Answer::Lost(Error::Timeout));
                    return Ok(());
                }
                Err(error @ Error::Malformed { .. }) => {
                    on_answer(tag, Answer::Lost(error));
                    continue;
                }
                Err(error) => {
                    on_answer(tag, Answer::Lost(error));
                    return Ok(());
                }
            };
            let Ok(header) = peek_header(abi, bytes) else { continue };
            if header.message_type != message_type || header.pid != pid {
                continue;
            }
            if header.errno != 0 {
                on_answer(tag, Answer::Errno(abi.dialect.errno_to_host(header.errno), message_type));
                return Ok(());
            }
            on_answer(tag, Answer::Reply(bytes));
            if header.seq == 0 {
                return Ok(());
            }
        }
    }

    /// Waits until every request is answered.
    pub fn finish(&mut self, on_answer: &mut impl FnMut(&T, Answer<'_>)) {
        self.settle(0, on_answer);
    }

    /// Takes answers until at most `left` requests wait; with none left, asks for those that were lost.
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

    /// Takes one message and reports what it answers; or gives the oldest request up.
    fn take_answer(&mut self, on_answer: &mut impl FnMut(&T, Answer<'_>)) {
        let (abi, pid) = (self.connection.abi(), self.connection.pid());
        let Some(oldest) = self.pending.front() else { return };
        let patience = if oldest.overtaken { Duration::ZERO } else { ANSWER_TIMEOUT };
        let wait = (oldest.sent + patience).saturating_duration_since(Instant::now());
        let bytes = match self.connection.recv(Some(wait)) {
            Ok(Some(bytes)) => bytes,
            // What was malformed may have been anybody's.
            Err(Error::Malformed { .. }) => return,
            Ok(None) => return self.lost.extend(self.pending.pop_front()),
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
        let Some(done) = position.and_then(|position| self.pending.remove(position)) else { return };
        self.pending.iter_mut().take(position.unwrap_or(0)).for_each(|pending| pending.overtaken = true);
        on_answer(
            &done.tag,
            match header.errno {
                0 => Answer::Reply(bytes),
                errno => Answer::Errno(abi.dialect.errno_to_host(errno), done.message_type),
            },
        );
        recycle(&mut self.spare, done.bytes);
    }

    /// Asks what became of a request, with nothing else under way.
    fn ask(&mut self, lost: &Pending<T>) -> Result<Answer<'static>> {
        let abi = self.connection.abi();
        let request = Message::parse(abi, &lost.bytes)?;
        let present = match lost.message_type {
            MessageType::Add | MessageType::Update | MessageType::Delete => self.has_sa(&request)?,
            MessageType::SpdAdd | MessageType::SpdUpdate | MessageType::SpdSetIdx | MessageType::SpdDelete => {
                self.has_policy(&request)?
            }
            _ => return Err(Error::Timeout),
        };
        let removed = matches!(lost.message_type, MessageType::Delete | MessageType::SpdDelete);
        if present == removed { Err(Error::Timeout) } else { Ok(Answer::Confirmed) }
    }

    fn has_sa(&mut self, request: &Message<'_>) -> Result<bool> {
        let (Some(sa), Some(source), Some(destination)) = (request.sa(), request.source(), request.destination())
        else {
            return Err(Error::Timeout);
        };
        let name = SaName {
            sa_type: request.header.sa_type,
            source: source.sockaddr,
            destination: destination.sockaddr,
            spi: sa.spi,
        };
        let mut bytes = Zeroizing::new(Vec::new());
        request::get(self.next_origin(), &name, &mut bytes)?;
        let mut found = false;
        self.exchange(&bytes, |_| found = true)?;
        Ok(found)
    }

    fn has_policy(&mut self, request: &Message<'_>) -> Result<bool> {
        let abi = self.connection.abi();
        let same = |wanted: Option<&Address>, got: Option<&Address>| {
            wanted.zip(got).is_some_and(|(wanted, got)| {
                (wanted.sockaddr, wanted.prefix, wanted.proto) == (got.sockaddr, got.prefix, got.proto)
            })
        };
        let mut bytes = Zeroizing::new(Vec::new());
        request::spddump(self.next_origin(), &mut bytes)?;
        let mut found = false;
        self.exchange(&bytes, |reply| {
            let Ok(entry) = Message::parse(abi, reply) else { return };
            found |= same(request.source(), entry.source())
                && same(request.destination(), entry.destination())
                && request.policy().map(|policy| policy.direction) == entry.policy().map(|policy| policy.direction);
        })?;
        Ok(found)
    }

    /// One request and its answers; an errno is an answer without any.
    fn exchange(&mut self, request: &[u8], mut on_reply: impl FnMut(&[u8])) -> Result<()> {
        let (abi, pid) = (self.connection.abi(), self.connection.pid());
        let wanted = peek_header(abi, request)?;
        let is_dump = wanted.message_type == MessageType::SpdDump;
        self.connection.send(request)?;
        loop {
            let bytes = self.connection.recv(Some(ANSWER_TIMEOUT))?.ok_or(Error::Timeout)?;
            let header = peek_header(abi, bytes)?;
            let stray = header.message_type != wanted.message_type || header.pid != pid;
            // The answers of a dump count in the field of the sequence number.
            if stray || (!is_dump && header.seq != wanted.seq) {
                continue;
            }
            if header.errno != 0 {
                return Ok(());
            }
            on_reply(bytes);
            if !is_dump || header.seq == 0 {
                return Ok(());
            }
        }
    }
}

fn recycle(spare: &mut Vec<Zeroizing<Vec<u8>>>, mut buffer: Zeroizing<Vec<u8>>) {
    use zeroize::Zeroize as _;
    buffer.zeroize();
    spare.push(buffer);
}
