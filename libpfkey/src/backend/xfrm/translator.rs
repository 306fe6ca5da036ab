//! Makes PF_KEY messages of the kernel's frames: answers to the requests under way, and events. It has no socket.

use std::collections::{BTreeSet, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use super::between::Between;
use super::conversion::sa_type_of;
use super::dump::{Dump, DumpEnd};
use super::event;
use super::layout::{PolicyInfo, State, StateId, XfrmPolicyId, parse_expire};
use super::migrate::migrate_message;
use super::netlink::{Frame, Verdict, next_frame};
use super::numbers::{flag, message};
use super::pending::{Expect, Pending};
use super::policy_reply::{PolicyAttributes, policy_message};
use super::reply_queue::ReplyQueue;
use super::sa_reply::{ReplyHeader, StateAttributes, Tell, sa_message};
use super::soft_expiry::SoftExpiries;
use crate::dialect::Abi;
use crate::error::Result;
use crate::num::{MessageType, SaState, SaType};
use crate::wire::reader::Reader;
use crate::wire::{Builder, Header, XfrmMark};

/// Reference counts that `af_key` shows in `sadb_msg_reserved`: in a dump, in the answer to SPDGET, in a notification.
const REFERENCES_DUMP: u16 = 1;
const REFERENCES_GET: u16 = 2;
const REFERENCES_EVENT: u16 = 3;

/// Requests under way, and the messages that have become of the kernel's frames.
#[derive(Debug, Default)]
pub(super) struct Translator {
    /// The socket's address.
    port: u32,
    pending: VecDeque<Pending>,
    pub(super) replies: ReplyQueue,
    soft: SoftExpiries,
    dump: Dump,
    /// The dump that has to be sent again.
    again: Option<Pending>,
    /// SA types that this socket has registered for. Acquires and expiries of every type go to sockets with at least one.
    pub(super) registered: BTreeSet<u8>,
    /// When the current datagram was read, in seconds since 1970.
    now: u64,
    /// Errnos of the algorithm probes, by index; `None` without an answer.
    pub(super) probes: Vec<Option<i32>>,
    /// Reqids that policies use.
    pub(super) reqids: BTreeSet<u32>,
    /// The SAs of the current DELETE without an SPI.
    pub(super) between: Between,
}

impl Translator {
    /// For the socket with this address.
    pub(super) fn new(port: u32) -> Self {
        Self { port, ..Self::default() }
    }

    /// Notes a request that is about to be sent.
    pub(super) fn expect(&mut self, pending: Pending) {
        self.pending.push_back(pending);
    }

    /// Forgets all requests, whose answers are lost.
    pub(super) fn give_up(&mut self) {
        self.pending.clear();
        for message in self.soft.give_up() {
            self.replies.push_message(message);
        }
        self.dump = Dump::default();
    }

    /// The dump to be sent again because the table changed while it was read.
    pub(super) fn again(&mut self) -> Option<Pending> {
        self.again.take()
    }

    /// Answers the last `count` requests with an errno: they could not be sent.
    pub(super) fn refuse_last(&mut self, count: usize, errno: i32) {
        let unsent = self.pending.split_off(self.pending.len().saturating_sub(count));
        unsent.iter().for_each(|pending| self.fail(pending, errno, None));
    }

    /// Name and mark of the next SA to be looked up because its soft limit was reached.
    pub(super) fn next_soft(&mut self) -> Option<(StateId, Option<XfrmMark>)> {
        self.soft.next()
    }

    fn fail(&mut self, pending: &Pending, errno: i32, explanation: Option<String>) {
        if pending.expect == Expect::Soft {
            if let Some(message) = self.soft.answered() {
                self.replies.push_message(message);
            }
            return;
        }
        self.replies.refuse(&pending.header, errno, explanation);
    }

    /// Reads a datagram. A frame with impossible contents, such as an SA of no address family, is skipped.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed) for a truncated frame; those before it have been read.
    pub(super) fn datagram(&mut self, bytes: &[u8]) -> Result<()> {
        let mut reader = Reader::new(bytes, Abi::HOST);
        self.now = now();
        while let Some(frame) = next_frame(&mut reader)? {
            // The frame's length is right, so those behind it can be read even if its contents are not.
            let _ = self.frame(frame);
        }
        Ok(())
    }

    fn frame(&mut self, mut frame: Frame<'_>) -> Result<()> {
        let body = &mut frame.body;
        match frame.kind {
            message::ERROR => {
                let verdict = Verdict::parse(frame.flags, body)?;
                self.verdict(frame.seq, verdict);
            }
            message::DONE => {
                let verdict = Verdict::parse(0, body)?;
                self.end_of_dump(frame.seq, frame.flags, verdict.errno);
            }
            message::NEWSA | message::UPDSA => return self.state(frame),
            message::DELSA => return self.deleted_state(frame),
            message::NEWPOLICY | message::UPDPOLICY => return self.policy(frame),
            message::DELPOLICY => return self.deleted_policy(frame),
            message::FLUSHSA => {
                let proto = body.u8()?;
                let sa_type = if proto == 0 || proto == u8::MAX { SaType::Unspec } else { sa_type_of(proto) };
                self.flushed(Header::new(MessageType::Flush, sa_type), frame.seq, frame.pid);
            }
            message::FLUSHPOLICY => {
                // `af_key` knows nothing of policies of type SUB.
                if PolicyAttributes::parse(body)?.is_sub {
                    return Ok(());
                }
                self.flushed(Header::new(MessageType::SpdFlush, SaType::Unspec), frame.seq, frame.pid);
            }
            message::EXPIRE if !self.registered.is_empty() => self.expired(body)?,
            message::ACQUIRE if !self.registered.is_empty() => self.replies.push(|out| event::acquire(body, out)),
            message::MAPPING if !self.registered.is_empty() => self.replies.push(|out| event::mapping(body, out)),
            message::MIGRATE => self.replies.push(|out| migrate_message(body, out)),
            _ => {}
        }
        Ok(())
    }

    /// Removes the request that a frame answers. The kernel answers in order, so the answers to earlier requests that are
    /// still pending were lost.
    fn answered(&mut self, fits: impl Fn(&Pending) -> bool) -> Option<Pending> {
        let position = self.pending.iter().position(fits)?;
        self.pending.drain(..position);
        self.pending.pop_front()
    }

    fn verdict(&mut self, seq: u32, verdict: Verdict) {
        let errno = verdict.errno;
        let Some(pending) = self.answered(|pending| pending.is_judged_by(seq, &verdict)) else { return };
        match pending.expect {
            Expect::Probe(index) => {
                if let Some(probe) = self.probes.get_mut(index) {
                    *probe = Some(errno);
                }
            }
            // Requests of this module's own: nobody waits for an answer.
            Expect::Between | Expect::Reqids => {}
            Expect::Silence if errno == 0 => {}
            _ if errno != 0 => self.fail(&pending, errno, verdict.explanation),
            _ => {
                let header = pending.header;
                self.replies.push(|out| Builder::new(Abi::HOST, header, out)?.finish());
            }
        }
    }

    /// The notification of a flush. The requester gets it beside its acknowledgement, as it gets two messages of `af_key`.
    fn flushed(&mut self, header: Header, seq: u32, pid: u32) {
        let header = Header { seq, pid, ..header };
        self.replies.push(|out| Builder::new(Abi::HOST, header, out)?.finish());
    }

    /// A state: an entry of a dump, an answer, or the notification of an ADD or UPDATE.
    fn state(&mut self, mut frame: Frame<'_>) -> Result<()> {
        let state = State::parse(&mut frame.body)?;
        let attributes = StateAttributes::parse(&mut frame.body)?;
        let now = self.now;
        let reply_header = match self.purpose(&frame) {
            Purpose::Dump(header) => {
                // SPIs of larval SAs may all be 0; reqid and sequence number distinguish them.
                let name =
                    (state.source.0, state.id.destination.0, state.id.spi, state.id.proto, state.reqid, state.seq);
                if self.dump.is_new(frame.flags, name) {
                    let reply_header = ReplyHeader::of(&header, Tell::All);
                    self.entry(|out| sa_message(reply_header, &state, &attributes, now, out));
                }
                return Ok(());
            }
            Purpose::Entry(header) => ReplyHeader::of(&header, Tell::All),
            Purpose::Soft => {
                // The hard limit came meanwhile, and the EXPIRE of the soft one was queued before its.
                if self.soft.answered().is_none() {
                    return Ok(());
                }
                ReplyHeader::expire(false)
            }
            Purpose::Event => {
                let kind = if frame.kind == message::NEWSA { MessageType::Add } else { MessageType::Update };
                ReplyHeader::event(kind, frame.seq, frame.pid)
            }
            Purpose::Between => {
                self.between.note(&state, &attributes);
                return Ok(());
            }
            Purpose::None => return Ok(()),
        };
        self.replies.push(|out| sa_message(reply_header, &state, &attributes, now, out));
        Ok(())
    }

    fn deleted_state(&mut self, mut frame: Frame<'_>) -> Result<()> {
        let _id = StateId::parse(&mut frame.body)?;
        let attributes = StateAttributes::parse(&mut frame.body)?;
        let request = self.echoed(&frame);
        if let Some(state) = attributes.state {
            let numbers = request.is_some_and(|request| request.expect == Expect::EchoWithNumbers);
            let event = ReplyHeader::event(MessageType::Delete, frame.seq, frame.pid);
            let reply_header = ReplyHeader { state: Some(SaState::Dead), numbers, ..event };
            let now = self.now;
            self.replies.push(|out| sa_message(reply_header, &state, &attributes, now, out));
        }
        Ok(())
    }

    fn policy(&mut self, mut frame: Frame<'_>) -> Result<()> {
        let info = PolicyInfo::parse(&mut frame.body)?;
        let attributes = PolicyAttributes::parse(&mut frame.body)?;
        // Policies of every kind, and also those in events: none of their reqids is free.
        self.reqids.extend(attributes.reqids().filter(|reqid| *reqid != 0));
        let purpose = self.purpose(&frame);
        if attributes.is_sub {
            return Ok(());
        }
        let (numbers, references) = match purpose {
            Purpose::Dump(header) => {
                let numbers = (header.message_type, 0, header.pid);
                if self.dump.is_new(frame.flags, info.index) {
                    self.entry(|out| policy_message(numbers, REFERENCES_DUMP, &info, &attributes, out));
                }
                return Ok(());
            }
            Purpose::Entry(header) => ((header.message_type, header.seq, header.pid), REFERENCES_GET),
            Purpose::Event => {
                let kind = if frame.kind == message::NEWPOLICY { MessageType::SpdAdd } else { MessageType::SpdUpdate };
                ((kind, frame.seq, frame.pid), REFERENCES_EVENT)
            }
            Purpose::Between | Purpose::None | Purpose::Soft => return Ok(()),
        };
        self.replies.push(|out| policy_message(numbers, references, &info, &attributes, out));
        Ok(())
    }

    fn deleted_policy(&mut self, mut frame: Frame<'_>) -> Result<()> {
        let id = XfrmPolicyId::parse(&mut frame.body)?;
        let attributes = PolicyAttributes::parse(&mut frame.body)?;
        self.echoed(&frame);
        if let Some(info) = attributes.info.filter(|_| !attributes.is_sub) {
            // The notification repeats how the request named the policy.
            let kind = if id.index == 0 { MessageType::SpdDelete } else { MessageType::SpdDelete2 };
            let numbers = (kind, frame.seq, frame.pid);
            self.replies.push(|out| policy_message(numbers, REFERENCES_DUMP, &info, &attributes, out));
        }
        Ok(())
    }

    fn expired(&mut self, body: &mut Reader<'_>) -> Result<()> {
        let (state, hard) = parse_expire(body)?;
        let attributes = StateAttributes::parse(body)?;
        let reply_header = ReplyHeader::expire(hard);
        let now = self.now;
        let (destination, family) = (state.id.destination, state.family);
        let id = StateId { destination, spi: state.id.spi, family, proto: state.id.proto };
        if hard {
            // The SA is gone, so its soft expiry cannot be looked up any more and is told as it is.
            for message in self.soft.take(id) {
                self.replies.push_message(message);
            }
            self.replies.push(|out| sa_message(reply_header, &state, &attributes, now, out));
            return Ok(());
        }
        if let Some(message) = self.replies.write(|out| sa_message(reply_header, &state, &attributes, now, out)) {
            self.soft.push(id, attributes.mark(), message);
        }
        Ok(())
    }

    /// Finds out why a state or policy was sent.
    fn purpose(&mut self, frame: &Frame<'_>) -> Purpose {
        if frame.flags & flag::MULTI != 0 {
            // A dump stays pending until its end, so it is looked up and not removed.
            let dump = self.pending.iter().find(|pending| pending.is_dump(frame.seq) && pending.answer() == frame.kind);
            return match dump {
                Some(Pending { expect: Expect::Dump, header, .. }) => Purpose::Dump(*header),
                Some(Pending { expect: Expect::Between, .. }) => Purpose::Between,
                _ => Purpose::None,
            };
        }
        match self.echoed(frame) {
            Some(Pending { expect: Expect::Entry, header, .. }) => Purpose::Entry(header),
            Some(Pending { expect: Expect::Soft, .. }) => Purpose::Soft,
            // An answer to a request that was given up.
            None if frame.pid == self.port => Purpose::None,
            _ => Purpose::Event,
        }
    }

    /// Removes the request that an answer or notification belongs to.
    fn echoed(&mut self, frame: &Frame<'_>) -> Option<Pending> {
        let port = self.port;
        self.answered(|pending| pending.is_answered_by(frame, port))
    }

    /// Takes an entry of a dump, and queues the one before it.
    fn entry(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) {
        let Some(message) = self.replies.write(write) else { return };
        if let Some(previous) = self.dump.hold(message) {
            self.replies.push_message(previous);
        }
    }

    fn end_of_dump(&mut self, seq: u32, flags: u16, errno: i32) {
        let Some(pending) = self.answered(|pending| pending.is_dump(seq)) else { return };
        let is_internal = matches!(pending.expect, Expect::Between | Expect::Reqids);
        if errno != 0 || is_internal {
            self.dump = Dump::default();
            if errno != 0 && !is_internal {
                self.replies.refuse(&pending.header, errno, None);
            }
            return;
        }
        match self.dump.end(flags) {
            DumpEnd::Again => self.again = Some(pending),
            DumpEnd::Empty => self.replies.refuse(&pending.header, libc::ENOENT, None),
            DumpEnd::Last(last) => self.replies.push_message(last),
            DumpEnd::Unsettled(last) => {
                self.replies.push_message(last);
                self.replies.refuse(&pending.header, libc::EAGAIN, None);
            }
        }
    }
}

/// Why a state or policy was sent.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// An entry of the dump with this header.
    Dump(Header),
    /// The answer to the request with this header.
    Entry(Header),
    /// The notification of a change, by whatever process.
    Event,
    /// To complete the EXPIRE of a soft limit.
    Soft,
    /// An SA that a DELETE without an SPI may mean.
    Between,
    /// None that matters to the caller.
    None,
}

impl ReplyHeader {
    fn of(header: &Header, tell: Tell) -> Self {
        Self { message_type: header.message_type, seq: header.seq, pid: header.pid, state: None, tell, numbers: false }
    }

    fn expire(hard: bool) -> Self {
        let (state, tell) = if hard { (SaState::Dead, Tell::Hard) } else { (SaState::Dying, Tell::Soft) };
        Self { state: Some(state), tell, ..Self::event(MessageType::Expire, 0, 0) }
    }

    fn event(message_type: MessageType, seq: u32, pid: u32) -> Self {
        Self { message_type, seq, pid, state: None, tell: Tell::All, numbers: false }
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
