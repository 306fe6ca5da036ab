//! Linux' NETLINK_XFRM behind PF_KEY messages: each request becomes netlink requests, each answer, acknowledgement and
//! notification the message that `af_key` would have sent. For kernels that have no `af_key`, or will have none.
//!
//! A netlink request that changes something is not acknowledged: this socket gets the notification of the change, as
//! all do, and that is what `af_key` answers with. The kernel copies the request's sequence number and process id into
//! it.

mod algorithm;
mod dump;
mod engine;
mod event;
mod layout;
mod netlink;
mod numbers;
mod policy;
mod register;
mod sa_reply;
mod sa_request;
#[cfg(test)]
mod tests;

use std::os::fd::BorrowedFd;

use zeroize::{Zeroize as _, Zeroizing};

use self::engine::{Between, Engine, Expect, Pending};
use self::layout::{Addr, family};
use self::netlink::{Heading, NetlinkSocket, push_attribute, push_frame, push_if_id, push_mark};
use self::numbers::{PROTO_ANY, attribute, flag, group, message};
use self::policy::{PolicyFrame, XfrmId, policy_id, wants_reqid};
use self::register::{Lists, probes, push_probes};
use self::sa_request::{Errno, SaFrame, ends, proto_of, replay_state, spi_request, state_id};
use super::Backend;
use crate::dialect::Abi;
use crate::error::{Error, Result};
use crate::num::{MANUAL_REQID_MAX, MessageType, PF_KEY_V2, SaType};
use crate::request::{Encoding, Request, RequestHeader};
use crate::strerror::Code;
use crate::wire::writer::Writer;
use crate::wire::{Extension, Header, Message, XfrmExtensions, peek_header};

/// Requests of one datagram.
const BATCH_REQUESTS: usize = 64;
/// Bytes of one datagram.
const BATCH_BYTES: usize = 32 << 10;

/// First of the reqids that the kernel's `af_key` gives to policies of level unique.
const FIRST_REQID: u32 = MANUAL_REQID_MAX + 1;

/// A NETLINK_XFRM socket that speaks PF_KEY.
#[derive(Debug)]
pub struct Xfrm {
    socket: NetlinkSocket,
    engine: Engine,
    /// Frames that are not sent yet. They hold keys.
    batch: Zeroizing<Vec<u8>>,
    batched: usize,
    /// The dump that was asked for last: it may have to be asked for again.
    dump_frame: Vec<u8>,
    /// Notifications were lost.
    overrun: bool,
    /// They were, and nobody has asked about it.
    has_lost: bool,
    lists: Option<Lists>,
    /// The reqids in use have been asked for, and where to go on looking for a free one.
    next_reqid: Option<u32>,
}

impl Xfrm {
    /// Opens the socket.
    ///
    /// # Errors
    /// [`Error::System`]: EPROTONOSUPPORT where the kernel has no NETLINK_XFRM, EPERM without privilege.
    pub fn open() -> Result<Self> {
        let socket = NetlinkSocket::open()?;
        Ok(Self {
            engine: Engine::new(socket.port()),
            socket,
            batch: Zeroizing::new(Vec::with_capacity(BATCH_BYTES + (4 << 10))),
            batched: 0,
            dump_frame: Vec::new(),
            overrun: false,
            has_lost: false,
            lists: None,
            next_reqid: None,
        })
    }

    /// Answers a request with an errno, after the answers to those in flight.
    fn refuse(&mut self, header: &Header, errno: Errno) -> Result<()> {
        self.settle()?;
        self.engine.refuse(header, errno);
        Ok(())
    }

    /// Carries out what a message asks for, as far as it is not for the kernel to answer.
    fn request(&mut self, message: &Message<'_>) -> std::result::Result<(), Errno> {
        use MessageType as M;
        match message.header.message_type {
            M::Add => self.sa(message, message::NEWSA),
            M::Update => self.sa(message, message::UPDSA),
            M::Delete => self.delete(message),
            M::Get => self.by_name(message, message::GETSA, Expect::Entry),
            M::GetSpi => self.getspi(message),
            M::Flush => self.flush_sas(message),
            M::Dump => self.dump_sas(message),
            M::Register => self.register(message),
            M::Acquire => acquire(message),
            M::Promisc => self.promisc(message),
            M::SpdAdd | M::SpdSetIdx => self.policy(message, message::NEWPOLICY),
            M::SpdUpdate => self.policy(message, message::UPDPOLICY),
            M::SpdDelete | M::SpdDelete2 => self.by_policy(message, message::DELPOLICY, Expect::Echo),
            M::SpdGet => self.by_policy(message, message::GETPOLICY, Expect::Entry),
            M::SpdDump => self.push_alone(message, Expect::Dump, message::GETPOLICY, flag::DUMP, |_| Ok(())),
            M::SpdFlush => self.push(message, Expect::Ack, message::FLUSHPOLICY, flag::ACK, |_| Ok(())),
            M::Migrate => self.migrate(message),
            _ => Err(libc::EOPNOTSUPP),
        }
    }

    fn sa(&mut self, message: &Message<'_>, kind: u16) -> std::result::Result<(), Errno> {
        let frame = SaFrame::new(message)?;
        self.push(message, Expect::Echo, kind, 0, |writer| frame.emit(writer))
    }

    fn by_name(&mut self, message: &Message<'_>, kind: u16, expect: Expect) -> std::result::Result<(), Errno> {
        let id = state_id(message)?;
        let mark = message.xfrm().mark;
        self.push(message, expect, kind, 0, |writer| {
            id.emit(writer);
            push_mark(writer, mark)
        })
    }

    /// What asks for the sequence numbers gets those that the SA had in the end.
    fn delete(&mut self, message: &Message<'_>) -> std::result::Result<(), Errno> {
        if message.sa().is_none() {
            return self.delete_between(message);
        }
        let asked = replay_state(message).is_some();
        let expect = if asked { Expect::EchoWithNumbers } else { Expect::Echo };
        self.by_name(message, message::DELSA, expect)
    }

    /// Deletes all SAs of a protocol between two addresses, as the BSDs do. Netlink has no such request: the SAs are listed, and
    /// deleted one by one, of which everybody hears; then comes the one answer, without an SA.
    fn delete_between(&mut self, message: &Message<'_>) -> std::result::Result<(), Errno> {
        let (source, destination) = ends(message)?;
        let proto = proto_of(message.header.sa_type).ok_or(libc::EINVAL)?;
        self.settle().map_err(errno_of)?;
        self.engine.between = Between {
            source: Addr::of(source),
            destination: Addr::of(destination),
            family: family(destination),
            found: Vec::new(),
        };
        let own = Header { seq: 0, pid: 0, ..Header::new(message.header.message_type, message.header.sa_type) };
        let own = Message { abi: message.abi, header: own, extensions: Vec::new() };
        self.push(&own, Expect::Between, message::GETSA, flag::DUMP, |writer| {
            push_attribute(writer, attribute::PROTO, |contents| contents.u8(proto))
        })?;
        self.settle().map_err(errno_of)?;
        for (id, mark) in std::mem::take(&mut self.engine.between).found {
            self.push(&own, Expect::Between, message::DELSA, 0, |writer| {
                id.emit(writer);
                push_mark(writer, mark)
            })?;
        }
        self.settle().map_err(errno_of)?;
        let addresses = |extension: &&Extension<'_>| {
            matches!(extension.kind(), crate::ExtensionType::AddressSrc | crate::ExtensionType::AddressDst)
        };
        let extensions = message.extensions.iter().filter(addresses).cloned().collect();
        let answer = Message { abi: Abi::HOST, header: message.header, extensions };
        self.engine.push(|out| answer.emit(out));
        Ok(())
    }

    fn getspi(&mut self, message: &Message<'_>) -> std::result::Result<(), Errno> {
        let (state, min, max) = spi_request(message)?;
        let XfrmExtensions { mark, if_id, .. } = message.xfrm();
        self.push(message, Expect::Entry, message::ALLOCSPI, 0, |writer| {
            state.emit(writer);
            writer.u32(min);
            writer.u32(max);
            push_mark(writer, mark)?;
            push_if_id(writer, if_id)
        })
    }

    fn flush_sas(&mut self, message: &Message<'_>) -> std::result::Result<(), Errno> {
        let proto = proto_or_any(message.header.sa_type)?;
        self.push(message, Expect::Ack, message::FLUSHSA, flag::ACK, |writer| {
            writer.u8(proto);
            Ok(())
        })
    }

    /// Without the protocol the kernel would list its helper states, too; attributes stand right behind the header.
    fn dump_sas(&mut self, message: &Message<'_>) -> std::result::Result<(), Errno> {
        let proto = proto_or_any(message.header.sa_type)?;
        let filter = message.extensions.iter().find_map(|extension| match extension {
            Extension::Filter(filter) => Some(*filter),
            _ => None,
        });
        self.push_alone(message, Expect::Dump, message::GETSA, flag::DUMP, |writer| {
            push_attribute(writer, attribute::PROTO, |contents| contents.u8(proto))?;
            let Some(filter) = filter else { return Ok(()) };
            push_attribute(writer, attribute::ADDRESS_FILTER, |contents| {
                contents.bytes(&filter.source);
                contents.bytes(&filter.destination);
                contents.u16(filter.family);
                contents.u8(filter.source_prefix);
                contents.u8(filter.destination_prefix);
            })
        })
    }

    fn register(&mut self, message: &Message<'_>) -> std::result::Result<(), Errno> {
        let sa_type = message.header.sa_type;
        let number = sa_type.number(Abi::HOST.dialect).filter(|number| *number <= 9).ok_or(libc::EINVAL)?;
        if self.engine.registered.contains(&number) {
            return Err(libc::EEXIST);
        }
        self.settle().map_err(errno_of)?;
        if number != 0 && self.engine.registered.is_empty() {
            // Membership is what makes the kernel count on a key manager: not for those who only look.
            for group in [group::ACQUIRE, group::EXPIRE, group::MAPPING] {
                self.socket.join(group).map_err(errno_of)?;
            }
        }
        if number != 0 {
            self.engine.registered.insert(number);
        }
        if self.lists.is_none() {
            self.lists = Some(self.probe().map_err(errno_of)?);
        }
        let Header { seq, pid, .. } = message.header;
        if let Some(lists) = &self.lists {
            self.engine.push(|out| lists.emit(sa_type, (seq, pid), out));
        }
        Ok(())
    }

    /// Asks for each algorithm, when nothing else is under way.
    fn probe(&mut self) -> Result<Lists> {
        let mut batch = Vec::new();
        push_probes(&mut batch)?;
        self.engine.probes = vec![None; probes()];
        for (seq, index) in (0..).zip(0..probes()) {
            let header = Header::new(MessageType::Register, SaType::Unspec);
            self.engine.expect(Pending { seq, kind: message::UPDSA, expect: Expect::Probe(index), header });
        }
        let probed = self.socket.send(&batch).and_then(|()| self.take_in());
        self.engine.give_up();
        probed?;
        Ok(Lists::new(&self.engine.probes))
    }

    fn promisc(&mut self, message: &Message<'_>) -> std::result::Result<(), Errno> {
        match message.header.sa_type {
            // Changes come in any case; others' requests netlink does not show.
            SaType::Unspec | SaType::Other(1) if message.extensions.is_empty() => {
                self.settle().map_err(errno_of)?;
                let header = message.header;
                self.engine.push(|out| crate::Builder::new(Abi::HOST, header, out)?.finish());
                Ok(())
            }
            _ => Err(libc::EINVAL),
        }
    }

    fn policy(&mut self, message: &Message<'_>, kind: u16) -> std::result::Result<(), Errno> {
        let wants_reqid = message.policy().is_some_and(wants_reqid);
        if wants_reqid && self.next_reqid.is_none() {
            self.learn_reqids().map_err(errno_of)?;
        }
        let (next, used) = (&mut self.next_reqid, &self.engine.reqids);
        let frame = PolicyFrame::new(message, &mut || {
            let free = (next.unwrap_or(FIRST_REQID)..=u32::MAX).find(|reqid| !used.contains(reqid));
            *next = free.and_then(|reqid| reqid.checked_add(1));
            free.ok_or(libc::ENOBUFS)
        })?;
        self.push(message, Expect::Echo, kind, 0, |writer| frame.emit(writer))
    }

    /// Lists the policies for the reqids that they use. Those added later tell of themselves.
    fn learn_reqids(&mut self) -> Result<()> {
        self.settle()?;
        let mut batch = Vec::new();
        let heading = Heading { kind: message::GETPOLICY, flags: flag::REQUEST | flag::DUMP, seq: 0, pid: 0 };
        push_frame(&mut batch, heading, |_| Ok(()))?;
        let header = Header::new(MessageType::SpdDump, SaType::Unspec);
        self.engine.expect(Pending { seq: 0, kind: message::GETPOLICY, expect: Expect::Reqids, header });
        let learned = self.socket.send(&batch).and_then(|()| self.take_in());
        self.engine.give_up();
        learned?;
        self.next_reqid = Some(FIRST_REQID);
        Ok(())
    }

    fn by_policy(&mut self, message: &Message<'_>, kind: u16, expect: Expect) -> std::result::Result<(), Errno> {
        let (id, xfrm_id) = (policy_id(message)?, XfrmId::of(message));
        self.push(message, expect, kind, 0, |writer| {
            id.emit(writer);
            xfrm_id.emit(writer)
        })
    }

    fn migrate(&mut self, message: &Message<'_>) -> std::result::Result<(), Errno> {
        let migration = policy::Migration::new(message)?;
        self.push(message, Expect::Silence, message::MIGRATE, flag::ACK, |writer| migration.emit(writer))
    }

    /// Appends a request to the batch.
    fn push(
        &mut self,
        message: &Message<'_>,
        expect: Expect,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Writer<'_>) -> Result<()>,
    ) -> std::result::Result<(), Errno> {
        let Header { seq, pid, .. } = message.header;
        let heading = Heading { kind, flags: flags | flag::REQUEST, seq, pid };
        push_frame(&mut self.batch, heading, body).map_err(errno_of)?;
        self.engine.expect(Pending { seq, kind, expect, header: message.header });
        self.batched += 1;
        if self.batched >= BATCH_REQUESTS || self.batch.len() >= BATCH_BYTES {
            self.flush();
        }
        Ok(())
    }

    /// The same in a datagram of its own, when nothing else is under way: the kernel carries a dump out while its
    /// answers are read, and refuses a second one meanwhile.
    fn push_alone(
        &mut self,
        message: &Message<'_>,
        expect: Expect,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Writer<'_>) -> Result<()>,
    ) -> std::result::Result<(), Errno> {
        self.settle().map_err(errno_of)?;
        self.push(message, expect, kind, flags, body)?;
        self.dump_frame.clear();
        self.dump_frame.extend_from_slice(&self.batch);
        self.flush();
        Ok(())
    }

    /// Sends the batch. Where that fails, each of its requests is answered so.
    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batched = std::mem::take(&mut self.batched);
        let sent = self.socket.send(&self.batch);
        self.batch.zeroize();
        if let Err(error) = sent {
            self.engine.refuse_last(batched, errno_of(error));
        }
    }

    /// Sends the batch and takes all answers in: the kernel has given them when `send` returns. What has none now has
    /// lost it.
    fn settle(&mut self) -> Result<()> {
        self.flush();
        self.take_in()?;
        self.engine.give_up();
        Ok(())
    }

    /// Takes in what there is.
    fn take_in(&mut self) -> Result<()> {
        while self.take_datagram()? {}
        Ok(())
    }

    /// Puts the questions that notifications gave rise to into the batch.
    fn ask(&mut self) -> Result<()> {
        while let Some((id, mark)) = self.engine.ask() {
            let heading = Heading { kind: message::GETSA, flags: flag::REQUEST, seq: 0, pid: 0 };
            push_frame(&mut self.batch, heading, |writer| {
                id.emit(writer);
                push_mark(writer, mark)
            })?;
            self.engine.expect(soft_question());
            self.batched += 1;
        }
        Ok(())
    }

    /// Takes in one datagram; `false` when there is none.
    fn take_datagram(&mut self) -> Result<bool> {
        match self.socket.receive() {
            Ok(Some(datagram)) => {
                self.engine.datagram(datagram)?;
                if let Some(dump) = self.engine.again() {
                    self.engine.expect(dump);
                    self.socket.send(&self.dump_frame)?;
                }
                self.ask()?;
                Ok(true)
            }
            Ok(None) => {
                if std::mem::take(&mut self.overrun) {
                    self.engine.give_up();
                }
                Ok(false)
            }
            // Notifications were lost: those behind what is queued now. Whose answers they were will be asked for: see
            // `Pipeline`.
            Err(Error::System { source, .. }) if source.raw_os_error() == Some(libc::ENOBUFS) => {
                self.overrun = true;
                self.has_lost = true;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }
}

impl Backend for Xfrm {
    fn abi(&self) -> Abi {
        Abi::HOST
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.fd()
    }

    /// Requests are sent many at a time: at the latest when [`Backend::recv`] is called.
    fn send(&mut self, message: &[u8]) -> Result<()> {
        let abi = Abi::HOST;
        let header = peek_header(abi, message).map_err(|_| refused(libc::EMSGSIZE))?;
        if header.version != PF_KEY_V2 || header.reserved != 0 || matches!(header.message_type, MessageType::Other(_)) {
            return Err(refused(libc::EINVAL));
        }
        if usize::from(header.words) * 8 != message.len() {
            return Err(refused(libc::EMSGSIZE));
        }
        let result = match Message::parse(abi, message) {
            Ok(message) => self.request(&message),
            Err(_) => Err(libc::EINVAL),
        };
        result.or_else(|errno| self.refuse(&header, errno))
    }

    /// The request becomes a netlink message without PF_KEY bytes in between.
    fn submit(&mut self, request: &Request, header: RequestHeader) -> Result<()> {
        let encoding = Encoding { xfrm_extensions: true, ..Encoding::default() };
        let message = request.message(header, encoding)?;
        self.request(&message).or_else(|errno| self.refuse(&message.header, errno))
    }

    fn recv<'b>(&mut self, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>> {
        loop {
            if let Some(length) = self.engine.pop(buffer) {
                return Ok(buffer.get(..length));
            }
            self.flush();
            if !self.take_datagram()? {
                return Ok(None);
            }
        }
    }

    fn window(&self) -> usize {
        BATCH_REQUESTS * 2
    }

    fn set_receive_buffer(&mut self, kib: usize) -> Result<usize> {
        self.socket.set_receive_buffer(kib.saturating_mul(1024)).map(|bytes| bytes >> 10)
    }

    fn has_lost(&mut self) -> bool {
        std::mem::take(&mut self.has_lost)
    }

    fn has_xfrm_extensions(&self) -> bool {
        true
    }

    fn explanation(&self) -> Option<&str> {
        self.engine.explanation()
    }
}

impl Drop for Xfrm {
    fn drop(&mut self) {
        // What was handed over is sent, even if nobody waits for the answer.
        self.flush();
    }
}

/// What the datagrams of a kernel become, for a handle that has registered and has asked for one thing of each kind,
/// with sequence numbers from 0. For tests of hostile bytes.
#[doc(hidden)]
pub fn translate(datagrams: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut engine = Engine::new(1);
    engine.registered.insert(3);
    let requests = [
        (message::GETSA, Expect::Dump, MessageType::Dump),
        (message::GETPOLICY, Expect::Dump, MessageType::SpdDump),
        (message::GETSA, Expect::Entry, MessageType::Get),
        (message::GETPOLICY, Expect::Entry, MessageType::SpdGet),
        (message::NEWSA, Expect::Echo, MessageType::Add),
        (message::FLUSHSA, Expect::Ack, MessageType::Flush),
        (message::GETPOLICY, Expect::Reqids, MessageType::SpdDump),
        (message::UPDSA, Expect::Probe(0), MessageType::Register),
    ];
    for (seq, (kind, expect, message_type)) in (0..).zip(requests) {
        let header = Header { seq, pid: 2, ..Header::new(message_type, SaType::Unspec) };
        engine.expect(Pending { seq, kind, expect, header });
    }
    for datagram in datagrams {
        // What is cut is passed over.
        let _ = engine.datagram(datagram);
        while engine.ask().is_some() {
            engine.expect(soft_question());
        }
    }
    let mut buffer = vec![0; super::MESSAGE_MAX];
    std::iter::from_fn(|| engine.pop(&mut buffer).map(|length| buffer.iter().take(length).copied().collect())).collect()
}

/// The question for an SA whose soft limit was reached.
fn soft_question() -> Pending {
    let header = Header::new(MessageType::Expire, SaType::Unspec);
    Pending { seq: 0, kind: message::GETSA, expect: Expect::Soft, header }
}

fn proto_or_any(sa_type: SaType) -> std::result::Result<u8, Errno> {
    match sa_type {
        SaType::Unspec => Ok(PROTO_ANY),
        _ => proto_of(sa_type).ok_or(libc::EINVAL),
    }
}

/// A negotiation that failed. The kernel's larval state goes when its time is over; netlink cannot end it.
fn acquire(message: &Message<'_>) -> std::result::Result<(), Errno> {
    if message.extensions.is_empty() { Ok(()) } else { Err(libc::EOPNOTSUPP) }
}

/// What `send(2)` on a PF_KEY socket would say.
fn refused(errno: Errno) -> Error {
    Error::System { call: "send", source: std::io::Error::from_raw_os_error(errno) }
}

fn errno_of(error: Error) -> Errno {
    match error {
        Error::System { source, .. } => source.raw_os_error().unwrap_or(libc::EIO),
        Error::Refused(Code::NoBuffers) => libc::ENOBUFS,
        _ => libc::EINVAL,
    }
}
