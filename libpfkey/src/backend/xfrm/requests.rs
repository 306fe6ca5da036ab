//! Carries out requests: checks each as `af_key` does, and makes the netlink requests that have the same effect.

use super::between::Between;
use super::conversion::{Errno, proto_of};
use super::layout::{Addr, family};
use super::migrate::Migration;
use super::netlink::{Heading, push_attribute, push_frame, push_if_id, push_mark};
use super::numbers::{PROTO_ANY, attribute, flag, group, message};
use super::pending::{Expect, Pending};
use super::policy_request::{PolicyFrame, XfrmId, policy_id};
use super::register::{Lists, probes, push_probes};
use super::sa_request::{SaFrame, endpoints, replay_state, spi_request, state_id};
use super::session::{Session, Transport, errno_of};
use crate::dialect::Abi;
use crate::error::Result;
use crate::num::{ExtensionType, MANUAL_REQID_MAX, MessageType, SaType};
use crate::wire::{Builder, Extension, Header, Message, XfrmExtensions};

/// First of the reqids that the kernel's `af_key` gives to policies of level unique.
const FIRST_REQID: u32 = MANUAL_REQID_MAX + 1;

/// Largest SA type for which `af_key` takes a REGISTER (`SADB_SATYPE_MAX`).
const SA_TYPE_MAX: u8 = 9;

type Outcome = std::result::Result<(), Errno>;

impl<T: Transport> Session<T> {
    /// Carries out a request; a refusal becomes its answer.
    ///
    /// # Errors
    /// As [`Session::settle`].
    pub(super) fn request(&mut self, message: &Message<'_>) -> Result<()> {
        self.carry_out(message).or_else(|errno| self.refuse(&message.header, errno))
    }

    fn carry_out(&mut self, message: &Message<'_>) -> Outcome {
        use MessageType as M;
        let header = &message.header;
        match header.message_type {
            M::Add => self.sa(message, message::NEWSA),
            M::Update => self.sa(message, message::UPDSA),
            M::Delete if message.sa().is_none() => self.delete_between(message),
            M::Delete => self.delete(message),
            M::Get => self.by_name(message, message::GETSA, Expect::Entry),
            M::GetSpi => self.getspi(message),
            M::Flush => self.flush_sas(message),
            M::Dump => self.dump_sas(message),
            M::Register => self.register(message),
            M::Acquire => acquire(message),
            M::Promisc => self.promisc(message),
            // X_SPDSETIDX is an alias on Linux.
            M::SpdAdd | M::SpdSetIdx => self.policy(message, message::NEWPOLICY),
            M::SpdUpdate => self.policy(message, message::UPDPOLICY),
            M::SpdDelete | M::SpdDelete2 => self.by_policy(message, message::DELPOLICY, Expect::Echo),
            M::SpdGet => self.by_policy(message, message::GETPOLICY, Expect::Entry),
            M::SpdDump => self.push_dump(header, message::GETPOLICY, |_| Ok(())),
            M::SpdFlush => self.push(header, Expect::Ack, (message::FLUSHPOLICY, flag::ACK), |_| Ok(())),
            M::Migrate => self.migrate(message),
            _ => Err(libc::EOPNOTSUPP),
        }
    }

    fn sa(&mut self, message: &Message<'_>, kind: u16) -> Outcome {
        let frame = SaFrame::new(message)?;
        self.push(&message.header, Expect::Echo, (kind, 0), |writer| frame.emit(writer))
    }

    fn by_name(&mut self, message: &Message<'_>, kind: u16, expect: Expect) -> Outcome {
        let id = state_id(message)?;
        let mark = message.xfrm().mark;
        self.push(&message.header, expect, (kind, 0), |writer| {
            id.emit(writer);
            push_mark(writer, mark)
        })
    }

    /// Deletes one SA. A request with an `XfrmReplayState`, whatever its contents, is answered with the last sequence numbers,
    /// unless answers are brief.
    fn delete(&mut self, message: &Message<'_>) -> Outcome {
        let expect = if replay_state(message).is_some() { Expect::EchoWithNumbers } else { Expect::Echo };
        self.by_name(message, message::DELSA, expect)
    }

    /// Deletes all SAs of a protocol between two addresses, as the BSDs do. Netlink has no such request, so the SAs are
    /// listed and deleted one by one. Everybody receives a notification of each; the answer has no SA.
    fn delete_between(&mut self, message: &Message<'_>) -> Outcome {
        let (source, destination) = endpoints(message)?;
        let proto = proto_of(message.header.sa_type).ok_or(libc::EINVAL)?;
        self.settle().map_err(errno_of)?;
        self.translator.between = Between {
            source: Addr::of(source),
            destination: Addr::of(destination),
            family: family(destination),
            found: Vec::new(),
        };
        // With the request's own numbers, the notification of the first removal would pass for its answer.
        let own = Header { seq: 0, pid: 0, ..Header::new(message.header.message_type, message.header.sa_type) };
        self.push(&own, Expect::Between, (message::GETSA, flag::DUMP), |writer| {
            push_attribute(writer, attribute::PROTO, |contents| contents.u8(proto))
        })?;
        self.settle().map_err(errno_of)?;
        // SAs that were deleted meanwhile cause ESRCH, which is ignored.
        for (id, mark) in std::mem::take(&mut self.translator.between).found {
            self.push(&own, Expect::Between, (message::DELSA, 0), |writer| {
                id.emit(writer);
                push_mark(writer, mark)
            })?;
        }
        self.settle().map_err(errno_of)?;
        let is_address = |extension: &&Extension<'_>| {
            matches!(extension.kind(), ExtensionType::AddressSrc | ExtensionType::AddressDst)
        };
        let extensions = message.extensions.iter().filter(is_address).cloned().collect();
        let answer = Message { abi: Abi::HOST, header: message.header, extensions };
        self.translator.replies.push(|out| answer.emit(out));
        Ok(())
    }

    fn getspi(&mut self, message: &Message<'_>) -> Outcome {
        let (state, min, max) = spi_request(message)?;
        let XfrmExtensions { mark, if_id, .. } = message.xfrm();
        self.push(&message.header, Expect::Entry, (message::ALLOCSPI, 0), |writer| {
            state.emit(writer);
            writer.u32(min);
            writer.u32(max);
            push_mark(writer, mark)?;
            push_if_id(writer, if_id)
        })
    }

    fn flush_sas(&mut self, message: &Message<'_>) -> Outcome {
        let proto = proto_or_any(message.header.sa_type)?;
        self.push(&message.header, Expect::Ack, (message::FLUSHSA, flag::ACK), |writer| {
            writer.u8(proto);
            Ok(())
        })
    }

    /// Lists SAs. This request has no fixed part: the attributes follow the frame's header.
    fn dump_sas(&mut self, message: &Message<'_>) -> Outcome {
        let proto = proto_or_any(message.header.sa_type)?;
        let filter = message.extensions.iter().find_map(|extension| match extension {
            Extension::Filter(filter) => Some(*filter),
            _ => None,
        });
        self.push_dump(&message.header, message::GETSA, |writer| {
            // Without it the kernel also lists its helper states, such as the IPIP state of an IPComp tunnel.
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

    fn register(&mut self, message: &Message<'_>) -> Outcome {
        let sa_type = message.header.sa_type;
        // Like `af_key`, it accepts types that have no SAs.
        let number = sa_type.number(Abi::HOST.dialect).filter(|number| *number <= SA_TYPE_MAX).ok_or(libc::EINVAL)?;
        if self.translator.registered.contains(&number) {
            return Err(libc::EEXIST);
        }
        self.settle().map_err(errno_of)?;
        if number != 0 && self.translator.registered.is_empty() {
            // A member of the first group counts as a key manager, for which the kernel creates larval SAs. A program that
            // only asks for the algorithms (SA type 0) must not join.
            for group in [group::ACQUIRE, group::EXPIRE, group::MAPPING] {
                self.transport.join(group).map_err(errno_of)?;
            }
        }
        if number != 0 {
            self.translator.registered.insert(number);
        }
        if self.lists.is_none() {
            self.lists = Some(self.probe().map_err(errno_of)?);
        }
        let Header { seq, pid, .. } = message.header;
        if let Some(lists) = &self.lists {
            self.translator.replies.push(|out| lists.emit(sa_type, (seq, pid), out));
        }
        Ok(())
    }

    /// Finds out which algorithms the kernel has, with no other request under way.
    fn probe(&mut self) -> Result<Lists> {
        let mut batch = Vec::new();
        push_probes(&mut batch)?;
        self.translator.probes = vec![None; probes()];
        for (seq, index) in (0..).zip(0..probes()) {
            let header = Header::new(MessageType::Register, SaType::Unspec);
            self.translator.expect(Pending { seq, kind: message::UPDSA, expect: Expect::Probe(index), header });
        }
        self.ask(&batch)?;
        Ok(Lists::new(&self.translator.probes))
    }

    /// Acknowledges X_PROMISC. Notifications of changes come in any case; netlink cannot show the requests of others.
    fn promisc(&mut self, message: &Message<'_>) -> Outcome {
        match message.header.sa_type {
            SaType::Unspec | SaType::Other(1) if message.extensions.is_empty() => {
                self.settle().map_err(errno_of)?;
                let header = message.header;
                self.translator.replies.push(|out| Builder::new(Abi::HOST, header, out)?.finish());
                Ok(())
            }
            _ => Err(libc::EINVAL),
        }
    }

    fn policy(&mut self, message: &Message<'_>, kind: u16) -> Outcome {
        let mut frame = PolicyFrame::new(message)?;
        if frame.wants_reqid() && self.next_reqid.is_none() {
            self.learn_reqids().map_err(errno_of)?;
        }
        let (next, used) = (&mut self.next_reqid, &self.translator.reqids);
        frame.choose_reqids(|| {
            let free = (next.unwrap_or(FIRST_REQID)..=u32::MAX).find(|reqid| !used.contains(reqid));
            *next = free.and_then(|reqid| reqid.checked_add(1));
            free.ok_or(libc::ENOBUFS)
        })?;
        self.push(&message.header, Expect::Echo, (kind, 0), |writer| frame.emit(writer))
    }

    /// Lists the policies to learn which reqids they use. Notifications tell the reqids of those added later, so from now on
    /// policies are notified again where answers are brief.
    fn learn_reqids(&mut self) -> Result<()> {
        self.settle()?;
        if let Some(left) = self.left.iter().position(|group| *group == group::POLICY) {
            self.transport.join(group::POLICY)?;
            self.left.swap_remove(left);
        }
        let mut batch = Vec::new();
        let heading = Heading { kind: message::GETPOLICY, flags: flag::REQUEST | flag::DUMP, seq: 0, pid: 0 };
        push_frame(&mut batch, heading, |_| Ok(()))?;
        let header = Header::new(MessageType::SpdDump, SaType::Unspec);
        self.translator.expect(Pending { seq: 0, kind: message::GETPOLICY, expect: Expect::Reqids, header });
        self.ask(&batch)?;
        self.next_reqid = Some(FIRST_REQID);
        Ok(())
    }

    fn by_policy(&mut self, message: &Message<'_>, kind: u16, expect: Expect) -> Outcome {
        let (id, xfrm_id) = (policy_id(message)?, XfrmId::of(message));
        self.push(&message.header, expect, (kind, 0), |writer| {
            id.emit(writer);
            xfrm_id.emit(writer)
        })
    }

    fn migrate(&mut self, message: &Message<'_>) -> Outcome {
        let migration = Migration::new(message)?;
        self.push(&message.header, Expect::Silence, (message::MIGRATE, flag::ACK), |writer| migration.emit(writer))
    }
}

fn proto_or_any(sa_type: SaType) -> std::result::Result<u8, Errno> {
    match sa_type {
        SaType::Unspec => Ok(PROTO_ANY),
        _ => proto_of(sa_type).ok_or(libc::EINVAL),
    }
}

/// Takes the report of a failed negotiation, which has no extensions. Netlink cannot remove the kernel's larval state, which
/// expires by itself.
fn acquire(message: &Message<'_>) -> Outcome {
    if message.extensions.is_empty() { Ok(()) } else { Err(libc::EOPNOTSUPP) }
}
