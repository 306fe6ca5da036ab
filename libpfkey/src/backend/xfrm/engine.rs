//! What was asked, and how answers and events become PF_KEY messages: no socket in here.

use std::collections::{BTreeSet, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::dump::{Dump, End};
use super::event;
use super::layout::{Addr, Id, PolicyId, PolicyInfo, State, StateId, parse_expire};
use super::netlink::{Frame, Verdict, next_frame};
use super::numbers::{flag, message};
use super::policy::{PolicyAttributes, policy_message};
use super::sa_reply::{ReplyHeader, StateAttributes, Tell, sa_message};
use super::sa_request::sa_type_of;
use crate::dialect::{Abi, Dialect};
use crate::error::Result;
use crate::num::{MessageType, SaState, SaType};
use crate::wire::reader::Reader;
use crate::wire::{Builder, Header, XfrmMark};

/// Counts that `af_key` shows in `sadb_msg_reserved`: in a dump, in the answer to SPDGET, in a notification.
const REFERENCES_DUMP: u16 = 1;
const REFERENCES_GET: u16 = 2;
const REFERENCES_EVENT: u16 = 3;

/// What answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expect {
    /// An acknowledgement that is itself the answer: FLUSH, SPDFLUSH.
    Ack,
    /// A dump whose SAs between two addresses are noted, or the removal of one of them.
    Between,
    /// Many entries, then an end.
    Dump,
    /// The notification of the change, which this socket gets as everybody does.
    Echo,
    /// The same of a removal, with the sequence numbers that the SA had.
    EchoWithNumbers,
    /// One entry.
    Entry,
    /// An errno that tells of an algorithm.
    Probe(usize),
    /// A dump whose reqids are noted.
    Reqids,
    /// An acknowledgement that PF_KEY has no answer for: MIGRATE.
    Silence,
    /// The SA whose soft limit was reached.
    Soft,
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// Sequence number of the frame.
    pub(super) seq: u32,
    /// Its type.
    pub(super) kind: u16,
    pub(super) expect: Expect,
    /// The request's own header, which its answer repeats.
    pub(super) header: Header,
}

impl Pending {
    /// The type of the frame that answers it.
    fn answer(&self) -> u16 {
        match self.kind {
            message::GETSA | message::ALLOCSPI => message::NEWSA,
            message::GETPOLICY => message::NEWPOLICY,
            kind => kind,
        }
    }

    /// Whether a frame that is no part of a dump answers it. Answers carry the socket's port, and notifications the
    /// process id that the request carried.
    fn is_answered_by(&self, frame: &Frame<'_>, port: u32) -> bool {
        let pid = match self.expect {
            Expect::Echo | Expect::EchoWithNumbers => self.header.pid,
            Expect::Entry | Expect::Soft => port,
            _ => return false,
        };
        self.seq == frame.seq && pid == frame.pid && self.answer() == frame.kind
    }

    fn is_dump(&self, seq: u32) -> bool {
        self.seq == seq && matches!(self.expect, Expect::Between | Expect::Dump | Expect::Reqids)
    }

    /// Whether a verdict is about it. Only what asked for it gets one that is favourable.
    fn is_judged_by(&self, seq: u32, verdict: &Verdict) -> bool {
        let asked = matches!(self.expect, Expect::Ack | Expect::Silence | Expect::Probe(_));
        let repeated = verdict.request.is_none_or(|(kind, pid)| (kind, pid) == (self.kind, self.header.pid));
        self.seq == seq && repeated && (asked || verdict.errno != 0)
    }
}

/// An SA whose soft limit was reached. The notification tells neither its algorithms nor its ports.
#[derive(Debug)]
struct Soft {
    id: StateId,
    /// A mark is part of the SA's name.
    mark: Option<XfrmMark>,
    /// The EXPIRE without what is not known, for when the SA cannot be asked for; `None` once it is told.
    message: Option<Zeroizing<Vec<u8>>>,
}

/// A message to be handed out.
#[derive(Debug)]
struct Queued {
    message: Zeroizing<Vec<u8>>,
    /// The kernel's explanation of a refusal.
    explanation: Option<String>,
}

impl From<Zeroizing<Vec<u8>>> for Queued {
    fn from(message: Zeroizing<Vec<u8>>) -> Self {
        Self { message, explanation: None }
    }
}

/// Requests under way, and messages to be handed out.
#[derive(Debug, Default)]
pub(super) struct Engine {
    /// The socket's address.
    port: u32,
    pending: VecDeque<Pending>,
    queue: VecDeque<Queued>,
    /// The kernel's explanation of the message that was handed out last.
    explanation: Option<String>,
    /// To be asked for.
    soft: VecDeque<Soft>,
    /// Those that were asked for.
    asked: VecDeque<Soft>,
    /// Emptied buffers.
    spare: Vec<Zeroizing<Vec<u8>>>,
    dump: Dump,
    /// The dump that has to be asked for again.
    again: Option<Pending>,
    /// SA types that this socket registered for: acquires and expiries go to any that did.
    pub(super) registered: BTreeSet<u8>,
    /// When the datagram was taken in, in seconds since 1970.
    now: u64,
    /// Errnos of the probes.
    pub(super) probes: Vec<Option<i32>>,
    /// Reqids that policies use.
    pub(super) reqids: BTreeSet<u32>,
    /// The SAs that a DELETE without an SA means.
    pub(super) between: Between,
}

/// The SAs between two addresses that a dump has shown, with their marks.
#[derive(Debug, Default)]
pub(super) struct Between {
    pub(super) source: Addr,
    pub(super) destination: Addr,
    pub(super) family: u16,
    pub(super) found: Vec<(StateId, Option<XfrmMark>)>,
}

impl Between {
    /// Notes an SA if it is meant; SPIs that are only reserved are not.
    fn meet(&mut self, state: &State, attributes: &StateAttributes<'_>) {
        let ends = (state.source, state.id.destination, state.family);
        if ends != (self.source, self.destination, self.family) || attributes.is_larval() {
            return;
        }
        let Id { destination, spi, proto } = state.id;
        self.found.push((StateId { destination, spi, family: state.family, proto }, attributes.mark()));
    }
}

impl Engine {
    /// For the socket at `port`.
    pub(super) fn new(port: u32) -> Self {
        Self { port, ..Self::default() }
    }

    /// Notes a request that is sent.
    pub(super) fn expect(&mut self, pending: Pending) {
        self.pending.push_back(pending);
    }

    /// Forgets requests whose answers cannot come any more.
    pub(super) fn give_up(&mut self) {
        self.pending.clear();
        self.queue.extend(self.asked.drain(..).filter_map(|soft| soft.message).map(Queued::from));
        self.dump = Dump::default();
    }

    /// The dump that has to be asked for again, because the table changed while it was read.
    pub(super) fn again(&mut self) -> Option<Pending> {
        self.again.take()
    }

    /// Answers the last `count` requests with an errno: they could not be sent.
    pub(super) fn refuse_last(&mut self, count: usize, errno: i32) {
        let unsent = self.pending.split_off(self.pending.len().saturating_sub(count));
        unsent.iter().for_each(|pending| self.fail(pending, errno, None));
    }

    /// The next SA to be asked for because its soft limit was reached: name and mark.
    pub(super) fn ask(&mut self) -> Option<(StateId, Option<XfrmMark>)> {
        let soft = self.soft.pop_front()?;
        let question = (soft.id, soft.mark);
        self.asked.push_back(soft);
        Some(question)
    }

    fn fail(&mut self, pending: &Pending, errno: i32, explanation: Option<String>) {
        match pending.expect {
            Expect::Soft => {
                let untold = self.asked.pop_front().and_then(|soft| soft.message);
                self.queue.extend(untold.map(Queued::from));
            }
            _ => {
                let before = self.queue.len();
                self.refuse(&pending.header, errno);
                if let Some(refusal) = self.queue.get_mut(before) {
                    refusal.explanation = explanation;
                }
            }
        }
    }

    /// The next message.
    pub(super) fn pop(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let Queued { message, explanation } = self.queue.pop_front()?;
        self.explanation = explanation;
        let length = message.len();
        buffer.get_mut(..length)?.copy_from_slice(&message);
        self.recycle(message);
        Some(length)
    }

    /// The kernel's explanation of the message that was handed out last, if that is a refusal.
    pub(super) fn explanation(&self) -> Option<&str> {
        self.explanation.as_deref()
    }

    /// Queues a message that `write` makes. What cannot be said in PF_KEY is left out.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) {
        let mut message = self.spare.pop().unwrap_or_default();
        match write(&mut message) {
            Ok(()) => self.queue.push_back(message.into()),
            Err(_) => self.recycle(message),
        }
    }

    /// Answers a request with an errno, as `af_key` does: with the bare header.
    pub(super) fn refuse(&mut self, header: &Header, errno: i32) {
        let errno = u8::try_from(errno).unwrap_or(u8::MAX);
        let header = Header { errno, ..*header };
        self.push(|out| Builder::new(Abi::of(Dialect::Linux), header, out)?.finish());
    }

    fn recycle(&mut self, mut message: Zeroizing<Vec<u8>>) {
        use zeroize::Zeroize as _;
        message.zeroize();
        if self.spare.len() < 64 {
            self.spare.push(message);
        }
    }

    /// Takes in a datagram. A frame that says what cannot be (an SA of no address family, say) is passed over.
    ///
    /// # Errors
    /// For one that is cut; what stood before the cut has been taken in.
    pub(super) fn datagram(&mut self, bytes: &[u8]) -> Result<()> {
        let mut reader = Reader::new(bytes, Abi::HOST);
        self.now = now();
        while let Some(frame) = next_frame(&mut reader)? {
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
                if PolicyAttributes::parse(body)?.is_sub {
                    return Ok(());
                }
                self.flushed(Header::new(MessageType::SpdFlush, SaType::Unspec), frame.seq, frame.pid);
            }
            message::EXPIRE if !self.registered.is_empty() => self.expired(body)?,
            message::ACQUIRE if !self.registered.is_empty() => self.push(|out| event::acquire(body, out)),
            message::MAPPING if !self.registered.is_empty() => self.push(|out| event::mapping(body, out)),
            message::MIGRATE => self.push(|out| event::migrate(body, out)),
            _ => {}
        }
        Ok(())
    }

    /// Takes the request that a frame answers off the list. Answers come in order: earlier requests that still wait
    /// have lost theirs.
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
            Expect::Between | Expect::Reqids => {}
            Expect::Silence if errno == 0 => {}
            _ if errno != 0 => self.fail(&pending, errno, verdict.explanation),
            _ => {
                let header = pending.header;
                self.push(|out| Builder::new(Abi::HOST, header, out)?.finish());
            }
        }
    }

    /// The notification of a flush: everybody gets a copy, and the requester another with its acknowledgement.
    fn flushed(&mut self, header: Header, seq: u32, pid: u32) {
        let header = Header { seq, pid, ..header };
        self.push(|out| Builder::new(Abi::HOST, header, out)?.finish());
    }

    /// A state: a dump's entry, an answer, or the notification of an ADD or UPDATE.
    fn state(&mut self, mut frame: Frame<'_>) -> Result<()> {
        let state = State::parse(&mut frame.body)?;
        let attributes = StateAttributes::parse(&mut frame.body)?;
        let (reply_header, in_dump) = match self.purpose(&frame) {
            Purpose::Dump(header) => (ReplyHeader::of(&header, Tell::All), true),
            Purpose::Entry(header) => (ReplyHeader::of(&header, Tell::All), false),
            Purpose::Soft => {
                if self.asked.pop_front().is_none_or(|soft| soft.message.is_none()) {
                    return Ok(());
                }
                (ReplyHeader::expire(false), false)
            }
            Purpose::Event => {
                let kind = if frame.kind == message::NEWSA { MessageType::Add } else { MessageType::Update };
                (ReplyHeader::event(kind, frame.seq, frame.pid), false)
            }
            Purpose::Between => {
                self.between.meet(&state, &attributes);
                return Ok(());
            }
            Purpose::None => return Ok(()),
        };
        let now = self.now;
        if in_dump {
            let name = (state.source.0, state.id.destination.0, state.id.spi, state.id.proto, state.reqid, state.seq);
            if self.dump.is_new(frame.flags, name) {
                self.entry(|out| sa_message(reply_header, &state, &attributes, now, out));
            }
        } else {
            self.push(|out| sa_message(reply_header, &state, &attributes, now, out));
        }
        Ok(())
    }

    fn deleted_state(&mut self, mut frame: Frame<'_>) -> Result<()> {
        let _id = StateId::parse(&mut frame.body)?;
        let attributes = StateAttributes::parse(&mut frame.body)?;
        let asked = self.echoed(&frame);
        if let Some(state) = attributes.state {
            let numbers = asked.is_some_and(|asked| asked.expect == Expect::EchoWithNumbers);
            let event = ReplyHeader::event(MessageType::Delete, frame.seq, frame.pid);
            let reply_header = ReplyHeader { state: Some(SaState::Dead), numbers, ..event };
            let now = self.now;
            self.push(|out| sa_message(reply_header, &state, &attributes, now, out));
        }
        Ok(())
    }

    fn policy(&mut self, mut frame: Frame<'_>) -> Result<()> {
        let info = PolicyInfo::parse(&mut frame.body)?;
        let attributes = PolicyAttributes::parse(&mut frame.body)?;
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
        self.push(|out| policy_message(numbers, references, &info, &attributes, out));
        Ok(())
    }

    fn deleted_policy(&mut self, mut frame: Frame<'_>) -> Result<()> {
        let id = PolicyId::parse(&mut frame.body)?;
        let attributes = PolicyAttributes::parse(&mut frame.body)?;
        self.echoed(&frame);
        if let Some(info) = attributes.info.filter(|_| !attributes.is_sub) {
            let kind = if id.index == 0 { MessageType::SpdDelete } else { MessageType::SpdDelete2 };
            let numbers = (kind, frame.seq, frame.pid);
            self.push(|out| policy_message(numbers, REFERENCES_DUMP, &info, &attributes, out));
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
            // The SA is gone: what its soft limit had to say comes first, and cannot be asked for.
            let before = self.soft.iter_mut().chain(&mut self.asked).filter(|soft| soft.id == id);
            self.queue.extend(before.filter_map(|soft| soft.message.take()).map(Queued::from));
            self.push(|out| sa_message(reply_header, &state, &attributes, now, out));
            return Ok(());
        }
        let mut message = self.spare.pop().unwrap_or_default();
        sa_message(reply_header, &state, &attributes, now, &mut message)?;
        self.soft.push_back(Soft { id, mark: attributes.mark(), message: Some(message) });
        Ok(())
    }

    /// What a state or policy was sent for.
    fn purpose(&mut self, frame: &Frame<'_>) -> Purpose {
        if frame.flags & flag::MULTI != 0 {
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
            // An answer that nobody waits for any more.
            None if frame.pid == self.port => Purpose::None,
            _ => Purpose::Event,
        }
    }

    /// The request that an answer or notification belongs to.
    fn echoed(&mut self, frame: &Frame<'_>) -> Option<Pending> {
        let port = self.port;
        self.answered(|pending| pending.is_answered_by(frame, port))
    }

    /// An entry of a dump: handed out when the next is there, or the end.
    fn entry(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<()>) {
        let mut message = self.spare.pop().unwrap_or_default();
        if write(&mut message).is_err() {
            return self.recycle(message);
        }
        self.queue.extend(self.dump.hold(message).map(Queued::from));
    }

    fn end_of_dump(&mut self, seq: u32, flags: u16, errno: i32) {
        let Some(pending) = self.answered(|pending| pending.is_dump(seq)) else { return };
        let is_own = matches!(pending.expect, Expect::Between | Expect::Reqids);
        if errno != 0 || is_own {
            self.dump = Dump::default();
            if errno != 0 && !is_own {
                self.refuse(&pending.header, errno);
            }
            return;
        }
        match self.dump.end(flags) {
            End::Again => self.again = Some(pending),
            End::Empty => self.refuse(&pending.header, libc::ENOENT),
            End::Last(last) => self.queue.push_back(last.into()),
            End::Unsettled(last) => {
                self.queue.push_back(last.into());
                self.refuse(&pending.header, libc::EAGAIN);
            }
        }
    }
}

/// What a state or policy was sent for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// An entry of the dump that was asked for so.
    Dump(Header),
    /// The answer to a request.
    Entry(Header),
    /// A change that somebody made.
    Event,
    /// To fill an EXPIRE.
    Soft,
    /// One that a DELETE without an SA may mean.
    Between,
    /// Nobody is to see it.
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
