//! The state that the handles share: databases, registrations, and the dispatch of messages.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use zeroize::Zeroizing;

use super::queue::Queue;
use super::sad::{SaEndpoints, Sad};
use super::spd::Spd;
use crate::dialect::{Abi, Dialect};
use crate::num::{MessageType, PF_KEY_V2, SaType};
use crate::rules;
use crate::wire::{Builder, Extension, HEADER_LEN, Header, Message, peek_header, replace_header};

/// Result of a request; the errno goes to the requester.
pub(super) type Outcome = Result<(), Errno>;

/// Recipients of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    All,
    One(u64),
    /// One handle, without promiscuous ones (dumps of the BSDs).
    Quietly(u64),
    Registered,
    RegisteredAnd(u64),
    Listeners,
}

/// A handle as the engine sees it.
#[derive(Debug)]
struct Handle {
    queue: Queue,
    registered: HashSet<SaType>,
    promiscuous: bool,
}

/// A key engine.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) abi: Abi,
    pub(super) sad: Sad,
    pub(super) spd: Spd,
    /// Pending acquires: when they end, and Linux' larval entry in the SAD.
    pub(super) acquires: HashMap<SaEndpoints, (u64, Option<u64>)>,
    pub(super) acquire_seq: u32,
    handles: BTreeMap<u64, Handle>,
    next_handle: u64,
    /// Time set by a test.
    time: Option<u64>,
    /// Time at which the engine was created.
    booted: u64,
    failures: Vec<(MessageType, Errno)>,
    drops: usize,
}

impl Engine {
    pub(super) fn new(abi: Abi) -> Self {
        Self {
            abi,
            sad: Sad::new(abi.dialect),
            spd: Spd::new(abi.dialect),
            acquires: HashMap::new(),
            acquire_seq: 0,
            handles: BTreeMap::new(),
            next_handle: 0,
            time: None,
            booted: system_time(),
            failures: Vec::new(),
            drops: 0,
        }
    }

    pub(super) fn add_handle(&mut self, queue: Queue) -> u64 {
        let id = self.next_handle;
        self.next_handle += 1;
        self.handles.insert(id, Handle { queue, registered: HashSet::new(), promiscuous: false });
        id
    }

    pub(super) fn remove_handle(&mut self, id: u64) {
        self.handles.remove(&id);
    }

    pub(super) fn queue(&mut self, id: u64) -> Option<&mut Queue> {
        self.handles.get_mut(&id).map(|handle| &mut handle.queue)
    }

    pub(super) fn is_linux(&self) -> bool {
        self.abi.dialect == Dialect::Linux
    }

    /// Seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.time.unwrap_or_else(system_time)
    }

    /// The time of use that an unused SA shows: on NetBSD that of the boot.
    pub(super) fn unused_since(&self) -> u64 {
        if self.abi.dialect == Dialect::NetBsd { self.booted } else { 0 }
    }

    pub(super) fn set_time(&mut self, seconds: u64) {
        if self.time.is_none() {
            self.booted = seconds;
        }
        self.time = Some(seconds);
        self.expire_due();
    }

    pub(super) fn fail_next(&mut self, message_type: MessageType, errno: Errno) {
        self.failures.push((message_type, errno));
    }

    pub(super) fn drop_next(&mut self, count: usize) {
        self.drops += count;
    }

    pub(super) fn has_registered(&self) -> bool {
        self.handles.values().any(|handle| !handle.registered.is_empty())
    }

    /// Handles a message that was sent through a handle. An error makes sending fail; the result of a request is sent as
    /// an answer.
    pub(super) fn receive(&mut self, from: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.expire_due();
        let header = peek_header(self.abi, bytes);
        let whole = header.as_ref().is_ok_and(|header| usize::from(header.words) * 8 == bytes.len());
        let Ok(header) = header else {
            return Err(if self.is_linux() { Errno::EMSGSIZE } else { Errno::EINVAL });
        };
        let known = header.version == PF_KEY_V2 && !matches!(header.message_type, MessageType::Other(_));
        if self.is_linux() {
            if !whole {
                return Err(Errno::EMSGSIZE);
            }
            if !known || header.reserved != 0 {
                return Err(Errno::EINVAL);
            }
            self.deliver(&bytes.to_vec().into(), To::Listeners);
        }
        if !whole || !known {
            self.refuse(from, bytes, Errno::EINVAL);
            return Ok(());
        }
        let outcome = match Message::parse(self.abi, bytes) {
            // The BSDs refuse what they cannot parse; Linux answers, and skips unknown extensions.
            Err(_) if !self.is_linux() => return Err(Errno::EINVAL),
            Ok(request) if !self.is_linux() && request.extensions.iter().any(is_unknown) => return Err(Errno::EINVAL),
            Err(_) => Err(Errno::EINVAL),
            Ok(request) => self.perform(from, &request),
        };
        if let Err(errno) = outcome {
            self.refuse(from, bytes, errno);
        }
        Ok(())
    }

    fn perform(&mut self, from: u64, request: &Message<'_>) -> Outcome {
        use MessageType as M;
        let kind = request.header.message_type;
        if let Some(at) = self.failures.iter().position(|(failing, _)| *failing == kind) {
            return Err(self.failures.remove(at).1);
        }
        rules::sa_type(self.abi.dialect, &request.header)?;
        match kind {
            M::GetSpi => self.getspi(from, request),
            M::Add => self.add(request),
            M::Update => self.update(request),
            M::Delete => self.delete(request),
            M::Get => self.get(from, request),
            M::Dump => self.dump(from, request),
            M::Flush => self.flush(from, request),
            M::Acquire => self.acquire_from_user(request),
            M::Register => self.register(from, request),
            M::Promisc => self.promisc(from, request),
            M::SpdAdd | M::SpdSetIdx | M::SpdUpdate => self.spdadd(request),
            M::SpdDelete => self.spddelete(request),
            M::SpdDelete2 => self.spddelete2(request),
            M::SpdGet => self.spdget(from, request),
            M::SpdDump => self.spddump(from, request),
            M::SpdFlush => self.spdflush(from, request),
            M::Migrate if self.is_linux() => Err(Errno::ENOPROTOOPT),
            _ if self.is_linux() => Err(Errno::EOPNOTSUPP),
            _ => Err(Errno::EINVAL),
        }
    }

    fn register(&mut self, from: u64, request: &Message<'_>) -> Outcome {
        let sa_type = request.header.sa_type;
        let Some(handle) = self.handles.get_mut(&from) else { return Ok(()) };
        if sa_type != SaType::Unspec && !handle.registered.insert(sa_type) {
            return Err(Errno::EEXIST);
        }
        let lists = rules::algorithms::supported(self.abi.dialect);
        self.answer(&request.header, 0, &lists, To::RegisteredAnd(from))
    }

    fn promisc(&mut self, from: u64, request: &Message<'_>) -> Outcome {
        if !request.extensions.is_empty() {
            return Err(Errno::EINVAL);
        }
        let on = match request.header.sa_type {
            SaType::Unspec => false,
            SaType::Other(1) => true,
            _ => return Err(Errno::EINVAL),
        };
        if let Some(handle) = self.handles.get_mut(&from) {
            handle.promiscuous = on;
        }
        self.answer(&request.header, 0, &[], To::All)
    }

    /// Sends an answer: the request's header with other extensions.
    pub(super) fn answer(&mut self, header: &Header, reserved: u16, reply: &[Extension<'_>], to: To) -> Outcome {
        self.tell(&Header { errno: 0, reserved, ..*header }, reply, to)
    }

    /// Sends a message to handles. Extensions without a number in the dialect are left out.
    pub(super) fn tell(&mut self, header: &Header, reply: &[Extension<'_>], to: To) -> Outcome {
        let message = self.compose(header, reply)?;
        self.deliver(&message, to);
        Ok(())
    }

    /// Writes a message, which may borrow from the databases, before it is delivered.
    pub(super) fn compose(&self, header: &Header, reply: &[Extension<'_>]) -> Result<Zeroizing<Vec<u8>>, Errno> {
        compose(self.abi, header, reply)
    }

    /// Sends an errno to a requester: Linux in a bare header, the BSDs in a copy of the request.
    fn refuse(&mut self, to: u64, request: &[u8], errno: Errno) {
        let end = if self.is_linux() { HEADER_LEN } else { request.len() };
        let mut answer = Zeroizing::new(request.get(..end).unwrap_or(request).to_vec());
        let Ok(mut header) = peek_header(self.abi, &answer) else { return };
        header.errno = self.abi.dialect.errno_from_host(errno);
        header.words = if self.is_linux() { 2 } else { header.words };
        if replace_header(self.abi, &mut answer, &header).is_err() {
            return;
        }
        self.deliver(&answer, To::One(to));
    }

    pub(super) fn deliver(&mut self, message: &Zeroizing<Vec<u8>>, to: To) {
        if self.drops > 0 && to != To::Listeners {
            self.drops -= 1;
            return;
        }
        let linux = self.is_linux();
        let wrapped = if linux || matches!(to, To::Quietly(_)) { None } else { wrap(self.abi, message) };
        for (id, handle) in &mut self.handles {
            let meant = match to {
                To::All => true,
                To::One(one) | To::Quietly(one) => *id == one,
                To::Registered => !handle.registered.is_empty(),
                To::RegisteredAnd(one) => *id == one || !handle.registered.is_empty(),
                To::Listeners => false,
            };
            // Promiscuous handles get the message itself from Linux, and a wrapped one from the BSDs.
            if let Some(wrapped) = wrapped.as_ref().filter(|_| handle.promiscuous) {
                handle.queue.push(wrapped.clone());
            }
            if meant || (linux && handle.promiscuous) {
                handle.queue.push(message.clone());
            }
        }
    }
}

fn system_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn is_unknown(extension: &Extension<'_>) -> bool {
    matches!(extension.kind(), crate::ExtensionType::Other(_))
}

fn compose(abi: Abi, header: &Header, reply: &[Extension<'_>]) -> Result<Zeroizing<Vec<u8>>, Errno> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(512));
    let mut builder = Builder::new(abi, *header, &mut bytes).map_err(|_| Errno::EINVAL)?;
    for extension in reply.iter().filter(|extension| extension.kind().number(abi.dialect).is_some()) {
        builder.push(extension).map_err(|_| Errno::ENOBUFS)?;
    }
    builder.finish().map_err(|_| Errno::ENOBUFS)?;
    Ok(bytes)
}

/// Wraps a message in a header of its own, as the BSDs send it: its length counts that header twice.
fn wrap(abi: Abi, message: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let header = Header::new(MessageType::Promisc, SaType::Unspec);
    let mut bytes = compose(abi, &header, &[]).ok()?;
    bytes.extend_from_slice(message);
    let words = u16::try_from((bytes.len() + HEADER_LEN) / 8).ok()?;
    replace_header(abi, &mut bytes, &Header { words, ..header }).ok()?;
    Some(bytes)
}
