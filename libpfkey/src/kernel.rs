//! A kernel's key engine, for programs: typed requests, and what comes of them.

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use crate::algorithm::Supported;
use crate::arbitrary::arbitrary_u32;
use crate::backend::{Backend, BackendKind};
use crate::connection::Connection;
use crate::dialect::Dialect;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::num::{MessageType, SaType};
use crate::pipeline::Answer;
use crate::request::{Request, SpiSpec};
use crate::sa::{InstalledSa, SaId, SaSpec};
use crate::security_policy::{InstalledPolicy, PolicyId, PolicySpec};
use crate::wire::{Header, Message};

/// Events that are kept for [`Kernel::next_event`] while answers are awaited.
const EVENTS_MAX: usize = 4096;
/// How often a database is listed whose entries get lost on the way.
const LIST_TRIES: usize = 4;
/// Receive buffer for lists, in KiB.
const LIST_BUFFER_KIB: usize = 8 << 10;

/// A connection to a key engine: the SAs and policies of a kernel.
///
/// Each method sends one request, waits for its answer, and keeps the events that come in between.
///
/// ```
/// use libpfkey::algorithm::{Authentication, Encryption};
/// use libpfkey::backend::{BackendKind, Memory};
/// use libpfkey::{Abi, Kernel, SaSpec, SaType};
///
/// // Kernel::open() for the system's own kernel.
/// let mut kernel = Kernel::with_backend(Box::new(Memory::new(Abi::HOST)?));
/// let sa = SaSpec::esp("192.0.2.1".parse()?, "192.0.2.2".parse()?, 0x1001)
///     .encryption(Encryption::AesCbc, b"sixteen byte key")
///     .authentication(Authentication::HmacSha1, &[0x5a; 20])
///     .build()?;
/// kernel.add(&sa)?;
/// assert_eq!(kernel.dump(SaType::Esp)?.len(), 1);
/// let error = kernel.add(&sa).unwrap_err();
/// assert_eq!(error.errno(), Some(17), "EEXIST");
/// kernel.delete(&sa.id)?;
/// assert_eq!(kernel.get(&sa.id)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Kernel {
    connection: Connection,
    /// Numbers of requests: those of this connection are from the first up to the next.
    first_seq: u32,
    next_seq: u32,
    events: VecDeque<Event>,
    has_lost_events: bool,
}

impl Kernel {
    /// Opens the system's best kernel interface: on Linux NETLINK_XFRM, else PF_KEY. The environment variable
    /// `LIBPFKEY_BACKEND` chooses another.
    ///
    /// # Errors
    /// What the system said; mostly a lack of privilege.
    pub fn open() -> Result<Self> {
        Self::open_kind(&BackendKind::from_environment()?, Dialect::from_environment()?)
    }

    /// Opens a kernel interface. The dialect is the system's; for [`BackendKind::Memory`] and [`BackendKind::Socket`] it
    /// can be chosen.
    ///
    /// # Errors
    /// As [`BackendKind::open`].
    pub fn open_kind(kind: &BackendKind, dialect: Option<Dialect>) -> Result<Self> {
        Ok(Self::with_backend(kind.open(dialect)?))
    }

    /// Speaks through a backend.
    pub fn with_backend(backend: Box<dyn Backend>) -> Self {
        // On Linux a small number can match a pending acquire and consume it.
        let first_seq = 0x8000_0000 | arbitrary_u32() >> 2;
        Self {
            connection: Connection::new(backend),
            first_seq,
            next_seq: first_seq,
            events: VecDeque::new(),
            has_lost_events: false,
        }
    }

    /// The dialect of the kernel.
    pub fn dialect(&self) -> Dialect {
        self.connection.abi().dialect
    }

    /// Readable when there are messages to take. Take all events ([`Kernel::next_event`]) before waiting on it.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.connection.fd()
    }

    /// Installs an SA.
    ///
    /// # Errors
    /// [`Error::Spec`] for a specification that cannot be, [`Error::Request`] when the kernel refuses it.
    pub fn add(&mut self, sa: &SaSpec) -> Result<()> {
        self.run(&Request::Add(Box::new(sa.clone())))
    }

    /// Completes the SA of an allocated SPI. What else can be changed depends on the kernel: mostly the limits.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn update(&mut self, sa: &SaSpec) -> Result<()> {
        self.run(&Request::Update(Box::new(sa.clone())))
    }

    /// Removes an SA.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn delete(&mut self, id: &SaId) -> Result<()> {
        self.run(&Request::Delete(*id))
    }

    /// Removes all SAs of a type between two addresses. The PF_KEY of Linux cannot do it.
    ///
    /// # Errors
    /// As [`Kernel::add`]; [`Error::NotInDialect`]
    pub fn delete_all(&mut self, sa_type: SaType, source: SocketAddr, destination: SocketAddr) -> Result<()> {
        self.run(&Request::DeleteAll(sa_type, source, destination))
    }

    /// Asks for an SA; `None` if there is none of this name.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn get(&mut self, id: &SaId) -> Result<Option<InstalledSa>> {
        let sa = self.ask(&Request::Get(*id), InstalledSa::from_message);
        none_if_missing(sa.map(Option::flatten))
    }

    /// Lists the SAs of a type; [`SaType::Unspec`] is all types.
    ///
    /// # Errors
    /// As [`Kernel::add`]; [`Error::Incomplete`] when entries got lost on the way, again and again.
    pub fn dump(&mut self, sa_type: SaType) -> Result<Vec<InstalledSa>> {
        self.list(&Request::Dump(sa_type), InstalledSa::from_message)
    }

    /// Removes all SAs of a type; [`SaType::Unspec`] is all types.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn flush(&mut self, sa_type: SaType) -> Result<()> {
        self.run(&Request::Flush(sa_type))
    }

    /// Asks for the kernel's algorithms, and for the acquires and expiries of SAs of a type from now on.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn register(&mut self, sa_type: SaType) -> Result<Supported> {
        self.ask(&Request::Register(sa_type), Supported::from_reply).map(Option::unwrap_or_default)
    }

    /// Reserves an SPI for an SA to this host. [`Kernel::update`] completes the SA.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn allocate_spi(&mut self, spi: &SpiSpec) -> Result<u32> {
        let answer = self.ask(&Request::AllocateSpi(spi.clone()), |message| message.sa().map(|sa| sa.spi))?;
        answer.flatten().ok_or(Error::Incomplete)
    }

    /// Installs a policy.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn policy_add(&mut self, policy: &PolicySpec) -> Result<()> {
        self.run(&Request::PolicyAdd(Box::new(policy.clone())))
    }

    /// Installs a policy, or replaces the one of its name.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn policy_update(&mut self, policy: &PolicySpec) -> Result<()> {
        self.run(&Request::PolicyUpdate(Box::new(policy.clone())))
    }

    /// Removes a policy.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn policy_delete(&mut self, id: &PolicyId) -> Result<()> {
        self.run(&Request::PolicyDelete(Box::new(id.clone())))
    }

    /// Removes the policy with this index. NETLINK_XFRM does not find one with a mark or an XFRM interface by its index: use
    /// [`Kernel::policy_delete`].
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn policy_delete_index(&mut self, index: u32) -> Result<()> {
        self.run(&Request::PolicyDeleteIndex(index))
    }

    /// Asks for the policy with this index; `None` if there is none. NETLINK_XFRM does not find one with a mark or an XFRM
    /// interface by its index: use [`Kernel::policy_dump`].
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn policy_get(&mut self, index: u32) -> Result<Option<InstalledPolicy>> {
        let policy = self.ask(&Request::PolicyGet(index), InstalledPolicy::from_message);
        none_if_missing(policy.map(Option::flatten))
    }

    /// Lists the policies, without those of sockets.
    ///
    /// # Errors
    /// As [`Kernel::dump`].
    pub fn policy_dump(&mut self) -> Result<Vec<InstalledPolicy>> {
        self.list(&Request::PolicyDump, InstalledPolicy::from_message)
    }

    /// Removes all policies.
    ///
    /// # Errors
    /// As [`Kernel::add`].
    pub fn policy_flush(&mut self) -> Result<()> {
        self.run(&Request::PolicyFlush)
    }

    /// The next event, or `None` when there is none in this time; without a timeout waits for ever.
    ///
    /// # Errors
    /// [`Error::System`]
    pub fn next_event(&mut self, timeout: Option<Duration>) -> Result<Option<Event>> {
        // A time that cannot be told is for ever.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let (abi, own) = (self.connection.abi(), self.own_requests());
            match self.connection.recv(left) {
                Ok(None) => return Ok(None),
                Ok(Some(bytes)) => self.events.extend(event_of(abi, bytes, &own)),
                // A datagram that is no message tells nothing.
                Err(Error::Malformed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// All events from now on; each call waits for the next one.
    ///
    /// ```no_run
    /// use libpfkey::{Event, Kernel, SaType};
    ///
    /// let mut kernel = Kernel::open()?;
    /// kernel.register(SaType::Esp)?;
    /// for event in kernel.events() {
    ///     if let Event::Acquire(acquire) = event? {
    ///         println!("negotiate an SA with {}", acquire.destination.ip());
    ///     }
    /// }
    /// # Ok::<(), libpfkey::Error>(())
    /// ```
    pub fn events(&mut self) -> Events<'_> {
        Events { kernel: self }
    }

    /// Whether events were lost since this was asked last: the kernel says so, or nobody took them here.
    pub fn has_lost_events(&mut self) -> bool {
        let lost = self.connection.backend().has_lost();
        std::mem::take(&mut self.has_lost_events) || lost
    }

    /// The process and the sequence numbers of the requests so far.
    fn own_requests(&self) -> OwnRequests {
        OwnRequests { pid: self.connection.pid(), seqs: self.first_seq..self.next_seq }
    }

    /// Sends a request whose answer tells nothing but success.
    fn run(&mut self, request: &Request) -> Result<()> {
        self.ask(request, |_| ()).map(drop)
    }

    /// Sends a request that has one answer, and reads it.
    fn ask<T>(&mut self, request: &Request, read: impl Fn(&Message<'_>) -> T) -> Result<Option<T>> {
        let mut answers = self.exchange(request, read)?;
        Ok(answers.pop().map(|(_, answer)| answer))
    }

    /// Lists a database, again if entries get lost.
    pub(crate) fn list<T>(&mut self, request: &Request, read: impl Fn(&Message<'_>) -> Option<T>) -> Result<Vec<T>> {
        // A kernel that has no room for the answers may drop them silently.
        let _ = self.connection.backend().set_receive_buffer(LIST_BUFFER_KIB);
        for _ in 0..LIST_TRIES {
            match self.exchange(request, &read) {
                Ok(entries) if is_whole(&entries) => {
                    return Ok(entries.into_iter().filter_map(|(_, entry)| entry).collect());
                }
                Ok(_) | Err(Error::Timeout | Error::Incomplete | Error::Malformed { .. }) => {}
                // An empty database is no error.
                Err(error) if error.errno() == Some(libc::ENOENT) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        Err(Error::Incomplete)
    }

    /// Sends a request and reads its answers, each with its sequence number.
    fn exchange<T>(&mut self, request: &Request, read: impl Fn(&Message<'_>) -> T) -> Result<Vec<(u32, T)>> {
        let dialect = self.dialect();
        request.check(dialect)?;
        let seq = self.next_seq;
        self.next_seq = self.next_seq.checked_add(1).unwrap_or(0x8000_0000);
        let header = self.connection.request_header(seq);
        self.connection.backend().submit(request, header)?;
        let wanted = Header { seq, ..Header::new(request.message_type(), request.sa_type()) };
        let own = self.own_requests();
        let (mut answers, mut failure) = (Vec::new(), None);
        let (events, lost) = (&mut self.events, &mut self.has_lost_events);
        let on_other = &mut |bytes: &[u8]| {
            events.extend(event_of(header.abi, bytes, &own));
            if events.len() > EVENTS_MAX {
                events.pop_front();
                *lost = true;
            }
        };
        self.connection.answers(&wanted, request.is_dump(), on_other, |answer| match answer {
            Answer::Reply(bytes) => match Message::parse(header.abi, bytes) {
                Ok(message) => answers.push((message.header.seq, read(&message))),
                Err(error) => failure = Some(error),
            },
            Answer::Errno(errno, _, refusal) => {
                let explanation = refusal.explanation.map(Into::into);
                failure = Some(Error::Request { request: request.to_string().into(), errno, explanation });
            }
            // It may have been for another process. If it was the answer, the timeout says so.
            Answer::Lost(Error::Malformed { .. }) if !request.is_dump() => {}
            Answer::Lost(error) => failure = Some(error),
            Answer::Confirmed => {}
        });
        failure.map_or(Ok(answers), Err)
    }
}

/// The events of a [`Kernel`]; see [`Kernel::events`].
#[derive(Debug)]
pub struct Events<'k> {
    kernel: &'k mut Kernel,
}

impl Iterator for Events<'_> {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        self.kernel.next_event(None).transpose()
    }
}

impl fmt::Display for Request {
    /// `add esp 192.0.2.1 192.0.2.2 0x00001001`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message_type().what().to_ascii_lowercase())?;
        match self {
            Self::Add(sa) | Self::Update(sa) => write!(f, " {}", sa.id),
            Self::Delete(id) | Self::Get(id) => write!(f, " {id}"),
            Self::DeleteAll(sa_type, source, destination) => {
                write!(f, " {} {} {}", protocol(*sa_type), source.ip(), destination.ip())
            }
            Self::AllocateSpi(spi) => {
                write!(f, " {} {} {}", protocol(spi.sa_type), spi.source.ip(), spi.destination.ip())
            }
            Self::PolicyDeleteIndex(index) | Self::PolicyGet(index) => write!(f, " {index}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for SaId {
    /// `esp 192.0.2.1 192.0.2.2 0x00001001`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sa_type, source, destination, spi, .. } = self;
        write!(f, "{} {} {} 0x{spi:08x}", protocol(*sa_type), source.ip(), destination.ip())
    }
}

/// The name of a protocol in error texts.
fn protocol(sa_type: SaType) -> String {
    match sa_type {
        SaType::TcpSignature => "tcp".to_owned(),
        other => other.what().to_ascii_lowercase(),
    }
}

/// Whether no entry is missing: the numbers of a list count up or down by one, and the last is 0.
fn is_whole<T>(entries: &[(u32, T)]) -> bool {
    let last = entries.len().saturating_sub(1);
    entries.windows(2).enumerate().all(|(index, pair)| index + 1 == last || pair[0].0.abs_diff(pair[1].0) == 1)
}

fn none_if_missing<T>(result: Result<Option<T>>) -> Result<Option<T>> {
    match result {
        Err(error) if matches!(error.errno(), Some(libc::ESRCH | libc::ENOENT)) => Ok(None),
        other => other,
    }
}

/// What tells requests of one connection from those of others.
struct OwnRequests {
    pid: u32,
    seqs: Range<u32>,
}

/// The event in a message; `None` for what is none, and for what is no message.
fn event_of(abi: crate::Abi, bytes: &[u8], own: &OwnRequests) -> Option<Event> {
    let message = Message::parse(abi, bytes).ok()?;
    let header = &message.header;
    // Linux sends the requester of a flush a second copy.
    let is_flush = matches!(header.message_type, MessageType::Flush | MessageType::SpdFlush);
    if is_flush && header.pid == own.pid && own.seqs.contains(&header.seq) {
        return None;
    }
    Event::from_message(&message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_in_a_list() {
        let whole = |numbers: &[u32]| is_whole(&numbers.iter().map(|seq| (*seq, ())).collect::<Vec<_>>());
        assert!(whole(&[]) && whole(&[0]) && whole(&[2, 1, 0]));
        assert!(whole(&[1, 2, 3, 0]), "the last number is 0, whichever way they count");
        assert!(!whole(&[3, 1, 0]) && !whole(&[1, 3, 0]));
    }
}
