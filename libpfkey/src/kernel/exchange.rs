//! Sends a request and reads its answers; keeps the events that arrive meanwhile.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use super::Kernel;
use crate::dialect::{Abi, Dialect};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::list;
use crate::num::MessageType;
use crate::pipeline::Answer;
use crate::request::{LINUX_WINDOW_MAX, Request};
use crate::spec_error::SpecError;
use crate::wire::{Header, Message};

/// Events that are kept for [`Kernel::next_event`].
const EVENTS_MAX: usize = 4096;

/// Events in the order in which they arrived.
#[derive(Debug, Default)]
pub(super) struct EventQueue {
    events: VecDeque<Event>,
    has_lost: bool,
}

impl EventQueue {
    pub(super) fn pop(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Appends the event of a message, if it is one. The oldest event is dropped when there are too many.
    fn push(&mut self, event: Option<Event>) {
        self.events.extend(event);
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
            self.has_lost = true;
        }
    }

    /// Whether events were dropped since the last call.
    pub(super) fn has_lost(&mut self) -> bool {
        std::mem::take(&mut self.has_lost)
    }
}

impl Kernel {
    /// Sends a request whose answer only confirms it.
    pub(super) fn run(&mut self, request: &Request) -> Result<()> {
        self.ask(request, |_| ()).map(drop)
    }

    /// Sends a request that has one answer, and reads it.
    pub(super) fn ask<T>(&mut self, request: &Request, read: impl Fn(&Message<'_>) -> T) -> Result<Option<T>> {
        let mut answers = self.exchange(request, read)?;
        Ok(answers.pop().map(|(_, answer)| answer))
    }

    /// Lists a database, and again if entries are lost.
    pub(crate) fn list<T>(&mut self, request: &Request, read: impl Fn(&Message<'_>) -> Option<T>) -> Result<Vec<T>> {
        // A kernel may silently drop answers for which there is no room. Where a list counts down, the loss of its first
        // entries does not show in the numbers, so nothing else may occupy the buffer either.
        let _ = self.connection.backend().set_receive_buffer(list::BUFFER_KIB);
        for _ in 0..list::TRIES {
            self.take_messages()?;
            match self.exchange(request, &read) {
                Ok(answers) => {
                    let (numbers, entries): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
                    if list::is_complete(&numbers) {
                        return Ok(entries.into_iter().flatten().collect());
                    }
                }
                Err(Error::Timeout | Error::Incomplete | Error::Malformed { .. }) => {}
                // Kernels answer so for an empty database.
                Err(error) if error.errno() == Some(libc::ENOENT) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        Err(Error::Incomplete)
    }

    /// Sends a request and reads its answers, each with its sequence number.
    fn exchange<T>(&mut self, request: &Request, read: impl Fn(&Message<'_>) -> T) -> Result<Vec<(u32, T)>> {
        self.check(request)?;
        let seq = self.next_seq;
        self.next_seq = self.next_seq.checked_add(1).unwrap_or(0x8000_0000);
        let header = self.connection.request_header(seq);
        self.connection.backend().submit(request, header)?;
        let wanted = Header { seq, ..Header::new(request.message_type(), request.sa_type()) };
        let own = self.own_requests();
        let (mut answers, mut failure) = (Vec::new(), None);
        let events = &mut self.events;
        let on_other = &mut |bytes: &[u8]| events.push(event_of(header.abi, bytes, &own));
        self.connection.answers(&wanted, request.is_dump(), on_other, |answer| match answer {
            Answer::Reply(bytes) => match Message::parse(header.abi, bytes) {
                Ok(message) => answers.push((message.header.seq, read(&message))),
                Err(error) => failure = Some(error),
            },
            Answer::Errno(errno, _, refusal) => {
                let explanation = refusal.explanation.map(Into::into);
                failure = Some(Error::Request { request: request.to_string().into(), errno, explanation });
            }
            // The message may have been for another process. If it was the answer, a timeout follows.
            Answer::Lost(Error::Malformed { .. }) if !request.is_dump() => {}
            Answer::Lost(error) => failure = Some(error),
            Answer::Confirmed => {}
        });
        failure.map_or(Ok(answers), Err)
    }

    /// Checks a request before it is sent.
    fn check(&mut self, request: &Request) -> Result<()> {
        let dialect = self.dialect();
        request.check(dialect)?;
        let (Request::Add(sa) | Request::Update(sa)) = request else { return Ok(()) };
        // The field has 8 bits, but the kernel takes larger windows for 32 and does not say so.
        let is_cut = dialect == Dialect::Linux && sa.replay.window > LINUX_WINDOW_MAX;
        if is_cut && !self.connection.backend().has_xfrm_extensions() {
            return Err(SpecError::NotExpressible { dialect, what: "a replay window above 32 packets" }.into());
        }
        Ok(())
    }

    /// Reads the messages that have arrived, and keeps the events.
    fn take_messages(&mut self) -> Result<()> {
        // A limit, because another process may cause events faster than they are read.
        for _ in 0..EVENTS_MAX {
            if !self.take_message(Some(Duration::ZERO))? {
                break;
            }
        }
        Ok(())
    }

    /// Waits for a message and keeps the event in it. Returns `false` at the timeout.
    pub(super) fn take_message(&mut self, timeout: Option<Duration>) -> Result<bool> {
        let (abi, own) = (self.connection.abi(), self.own_requests());
        match self.connection.recv(timeout) {
            Ok(None) => return Ok(false),
            Ok(Some(bytes)) => self.events.push(event_of(abi, bytes, &own)),
            // A malformed datagram may have been for another process.
            Err(Error::Malformed { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// The process id and the sequence numbers of the requests so far.
    fn own_requests(&self) -> OwnRequests {
        OwnRequests { pid: self.connection.pid(), seqs: self.first_seq..self.next_seq }
    }
}

/// Distinguishes the requests of one connection from those of others.
struct OwnRequests {
    pid: u32,
    seqs: Range<u32>,
}

/// The event in a message; `None` for a message that is no event, or malformed.
fn event_of(abi: Abi, bytes: &[u8], own: &OwnRequests) -> Option<Event> {
    let message = Message::parse(abi, bytes).ok()?;
    let header = &message.header;
    // Linux sends the requester of a flush a second copy.
    let is_flush = matches!(header.message_type, MessageType::Flush | MessageType::SpdFlush);
    if is_flush && header.pid == own.pid && own.seqs.contains(&header.seq) {
        return None;
    }
    Event::from_message(&message)
}

/// Whether the kernel refused a request because what it names does not exist.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::ESRCH | libc::ENOENT))
}
