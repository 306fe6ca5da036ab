//! The server behind [`Socket`](super::Socket): shares one backend among many clients, as a kernel serves many sockets.
//!
//! Process ids repeat across jails and containers. The backend therefore sees every request with the id of this process and
//! with a sequence number that no other request in flight has; the answer gets the client's numbers back. Other clients see
//! process id 0, so that a client sees its own id on its own answers only. Promiscuous mode (X_PROMISC) is refused with
//! EOPNOTSUPP.

mod client;
mod listener;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zeroize::Zeroizing;

use self::client::Client;
pub use self::client::ClientEvent;
use self::listener::Listener;
use super::socket::check_length;
use super::{Backend, MESSAGE_MAX};
use crate::dialect::{Abi, Dialect};
use crate::error::{Error, Result};
use crate::num::{MessageType, SaType};
use crate::wire::{Header, peek_header, replace_header};

/// Time after which a request without an answer no longer counts as in flight.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Upper bound of the messages that one turn takes from the backend and from each client, so that none starves the others.
const TURN: usize = 64;

/// A forwarded request, with its client's numbers.
#[derive(Clone, Copy, Debug)]
struct Pending {
    client: u64,
    seq: u32,
    pid: u32,
    since: Instant,
}

/// Serves a backend over a UNIX `SOCK_SEQPACKET` socket. Call [`SocketServer::turn`] in a loop.
#[derive(Debug)]
pub struct SocketServer {
    backend: Box<dyn Backend>,
    listener: Option<Listener>,
    clients: BTreeMap<u64, Client>,
    next_client: u64,
    pending: HashMap<u32, Pending>,
    /// Kernels put a count into the sequence numbers of a dump, so only one of each kind is in flight; the others wait.
    dumps: HashMap<MessageType, Pending>,
    held: VecDeque<(u64, Zeroizing<Vec<u8>>)>,
    /// Lists of algorithms as the backend reported them: it accepts one registration per SA type, clients may send several.
    lists: HashMap<SaType, Zeroizing<Vec<u8>>>,
    next_seq: u32,
    buffer: Vec<u8>,
    events: Vec<ClientEvent>,
}

impl SocketServer {
    /// Binds the socket at `path`, mode 0600. A stale socket file is replaced.
    ///
    /// # Errors
    /// [`Error::System`]; [`Error::Backend`] on systems without `SOCK_SEQPACKET` (macOS).
    pub fn bind(path: &Path, backend: Box<dyn Backend>) -> Result<Self> {
        let listener = Listener::bind(path)?;
        Ok(Self { listener: Some(listener), ..Self::without_listener(backend) })
    }

    /// A server without a listening socket, for clients that are added with [`SocketServer::adopt`].
    pub fn without_listener(backend: Box<dyn Backend>) -> Self {
        Self {
            backend,
            listener: None,
            clients: BTreeMap::new(),
            next_client: 0,
            pending: HashMap::new(),
            dumps: HashMap::new(),
            held: VecDeque::new(),
            lists: HashMap::new(),
            next_seq: 1 << 31,
            buffer: vec![0; MESSAGE_MAX],
            events: Vec::new(),
        }
    }

    /// Adds a connected socket as a client, without a check of its user.
    pub fn adopt(&mut self, socket: OwnedFd) {
        self.clients.insert(self.next_client, Client::new(socket));
        self.next_client += 1;
    }

    /// Waits for something to do, at most `timeout` (`None`: indefinitely), does it, and returns the events of clients.
    ///
    /// # Errors
    /// [`Error::System`] of the listening socket or the backend: the server cannot continue.
    pub fn turn(&mut self, timeout: Option<Duration>) -> Result<Vec<ClientEvent>> {
        let ready = self.wait(timeout)?;
        if ready.listener {
            self.accept()?;
        }
        self.forget_old();
        self.pass_held();
        for client in ready.clients {
            self.serve(client);
        }
        self.answer()?;
        let ids: Vec<u64> = self.clients.keys().copied().collect();
        ids.into_iter().for_each(|id| self.drain(id));
        Ok(std::mem::take(&mut self.events))
    }

    fn wait(&self, timeout: Option<Duration>) -> Result<Ready> {
        // With a full window, requests are not read; answers are still sent.
        let read = if self.has_room() { PollFlags::POLLIN } else { PollFlags::empty() };
        let mut fds = vec![PollFd::new(self.backend.fd(), PollFlags::POLLIN)];
        fds.extend(self.clients.values().map(|client| {
            let write = if client.has_waiting() { PollFlags::POLLOUT } else { PollFlags::empty() };
            PollFd::new(client.fd(), read | write)
        }));
        fds.extend(self.listener.iter().map(|listener| PollFd::new(listener.fd(), PollFlags::POLLIN)));
        // Requests whose answers are lost must expire even if nothing else happens.
        let longest = if self.has_room() { timeout } else { Some(timeout.unwrap_or(ANSWER_TIME).min(ANSWER_TIME)) };
        let timeout = longest.map_or(PollTimeout::NONE, |t| PollTimeout::try_from(t).unwrap_or(PollTimeout::MAX));
        match poll(&mut fds, timeout) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Ready::default()),
            Err(errno) => return Err(Error::system("poll", errno)),
        }
        let is_ready = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        let readable = self.clients.keys().zip(fds.iter().skip(1)).filter(|(_, fd)| is_ready(fd));
        let clients = readable.map(|(id, _)| *id).collect();
        let listener = self.listener.is_some() && fds.last().is_some_and(is_ready);
        Ok(Ready { listener, clients })
    }

    fn has_room(&self) -> bool {
        self.pending.len() + self.dumps.len() < self.backend.window() && self.held.len() < TURN
    }

    fn accept(&mut self) -> Result<()> {
        let Some((event, socket)) = self.listener.as_ref().map(Listener::accept).transpose()?.flatten() else {
            return Ok(());
        };
        self.events.push(event);
        if let Some(socket) = socket {
            self.adopt(socket);
        }
        Ok(())
    }

    /// Reads the requests of a client.
    fn serve(&mut self, id: u64) {
        for _ in 0..TURN {
            if !self.has_room() {
                return;
            }
            let Some(client) = self.clients.get(&id) else { return };
            let message = client.receive(&mut self.buffer);
            match message {
                Err(Errno::EAGAIN) => return,
                Err(_) => return self.leave(id),
                Ok(message) if message.is_empty() => return self.leave(id),
                Ok(message) if check_length(self.backend.abi(), &message).is_err() => {
                    return self.cut_off(id, "a datagram is no message");
                }
                Ok(message) => self.request(id, message),
            }
        }
    }

    /// Passes a request on, or answers it here where the backend cannot tell clients apart.
    fn request(&mut self, id: u64, mut message: Zeroizing<Vec<u8>>) {
        let abi = self.backend.abi();
        let Ok(header) = peek_header(abi, &message) else { return };
        let Some(client) = self.clients.get_mut(&id) else { return };
        match header.message_type {
            MessageType::Register if header.sa_type != SaType::Unspec => {
                if client.registered.contains(&header.sa_type) {
                    return self.refuse(id, &message, Errno::EEXIST);
                }
                client.registered.push(header.sa_type);
                if let Some(mut list) = self.lists.get(&header.sa_type).cloned() {
                    set_identity(abi, &mut list, header.seq, header.pid);
                    return self.enqueue(id, list);
                }
            }
            MessageType::Dump | MessageType::SpdDump if self.dumps.contains_key(&header.message_type) => {
                return self.held.push_back((id, message));
            }
            MessageType::Promisc => return self.refuse(id, &message, Errno::EOPNOTSUPP),
            _ => {}
        }
        let pending = Pending { client: id, seq: header.seq, pid: header.pid, since: Instant::now() };
        let seq = self.free_seq(header.seq);
        set_identity(abi, &mut message, seq, std::process::id());
        if let Err(error) = self.backend.send(&message) {
            set_identity(abi, &mut message, header.seq, header.pid);
            return self.refuse(id, &message, errno_of(&error));
        }
        match header.message_type {
            MessageType::Dump | MessageType::SpdDump => drop(self.dumps.insert(header.message_type, pending)),
            // A key manager's report of failure has no answer.
            MessageType::Acquire => {}
            _ => drop(self.pending.insert(seq, pending)),
        }
    }

    /// The client's own sequence number if it is free, because kernels identify an ACQUIRE by it.
    fn free_seq(&mut self, wanted: u32) -> u32 {
        let mut seq = wanted;
        while self.pending.contains_key(&seq) {
            seq = self.next_seq;
            self.next_seq = self.next_seq.wrapping_add(1);
        }
        seq
    }

    /// Reads the backend's answers and events.
    fn answer(&mut self) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut outcome = Ok(());
        for _ in 0..TURN * 16 {
            match self.backend.recv(&mut buffer) {
                Ok(None) => break,
                Ok(Some(message)) => {
                    let message = Zeroizing::new(message.to_vec());
                    self.distribute(message);
                }
                // A datagram that is no PF_KEY message is for no client.
                Err(Error::Malformed { .. }) => {}
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        self.buffer = buffer;
        outcome
    }

    fn distribute(&mut self, mut message: Zeroizing<Vec<u8>>) {
        let abi = self.backend.abi();
        let Ok(header) = peek_header(abi, &message) else { return };
        let own = header.pid == std::process::id();
        if own && let Some(dump) = self.dumps.get_mut(&header.message_type) {
            dump.since = Instant::now();
            let dump = *dump;
            if header.seq == 0 || header.errno != 0 {
                self.dumps.remove(&header.message_type);
            }
            let seq = if header.errno == 0 { header.seq } else { dump.seq };
            set_identity(abi, &mut message, seq, dump.pid);
            return self.enqueue(dump.client, message);
        }
        if own && let Some(pending) = self.pending.remove(&header.seq) {
            self.note_registration(&header, pending.client, &mut message);
            if is_for_others(abi.dialect, &header) {
                self.broadcast(&header, &message, Some(pending.client));
            }
            set_identity(abi, &mut message, pending.seq, pending.pid);
            return self.enqueue(pending.client, message);
        }
        // Linux broadcasts a flush after its answer. An answer without a request in flight is dropped.
        if !own || (header.errno == 0 && changes_something(header.message_type)) {
            self.broadcast(&header, &message, None);
        }
    }

    /// Keeps the lists of a registration; gives them to a client that registers after another one, instead of the backend's refusal.
    fn note_registration(&mut self, header: &Header, client: u64, reply: &mut Zeroizing<Vec<u8>>) {
        if header.message_type != MessageType::Register || header.sa_type == SaType::Unspec {
            return;
        }
        if header.errno == 0 {
            self.lists.insert(header.sa_type, reply.clone());
        } else if let Some(list) = self.lists.get(&header.sa_type) {
            reply.clone_from(list);
        } else if let Some(client) = self.clients.get_mut(&client) {
            client.registered.retain(|sa_type| *sa_type != header.sa_type);
        }
    }

    /// Sends an event, or the result of another client's request, to all clients but one. Acquires and expiries go to
    /// registered clients only.
    fn broadcast(&mut self, header: &Header, message: &[u8], except: Option<u64>) {
        use MessageType as M;
        let for_managers = matches!(header.message_type, M::Acquire | M::Expire | M::NatTNewMapping | M::Register);
        let mut copy = Zeroizing::new(message.to_vec());
        set_identity(self.backend.abi(), &mut copy, header.seq, 0);
        let ids: Vec<u64> = self
            .clients
            .iter()
            .filter(|(id, client)| Some(**id) != except && (!for_managers || !client.registered.is_empty()))
            .map(|(id, _)| *id)
            .collect();
        ids.into_iter().for_each(|id| self.enqueue(id, copy.clone()));
    }

    fn enqueue(&mut self, id: u64, message: Zeroizing<Vec<u8>>) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if !client.enqueue(message) {
            self.cut_off(id, "it does not read what waits for it");
        }
    }

    /// Sends queued messages to a client until its socket is full.
    fn drain(&mut self, id: u64) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.drain().is_err() {
            self.leave(id);
        }
    }

    /// Answers with an errno: the header alone, which clients of every dialect understand.
    fn refuse(&mut self, id: u64, request: &[u8], errno: Errno) {
        let abi = self.backend.abi();
        let Ok(mut header) = peek_header(abi, request) else { return };
        header.errno = abi.dialect.errno_from_host(errno);
        let mut bytes = Vec::new();
        let emitted = crate::Message { abi, header, extensions: Vec::new() }.emit(&mut bytes);
        if emitted.is_ok() {
            self.enqueue(id, bytes.into());
        }
    }

    /// Expires requests whose answers were lost.
    fn forget_old(&mut self) {
        if self.has_room() && self.held.is_empty() {
            return;
        }
        let young = |pending: &Pending| pending.since.elapsed() < ANSWER_TIME;
        self.pending.retain(|_, pending| young(pending));
        self.dumps.retain(|_, pending| young(pending));
    }

    /// Forwards dumps that waited for another.
    fn pass_held(&mut self) {
        for (id, message) in std::mem::take(&mut self.held) {
            self.request(id, message);
        }
    }

    fn cut_off(&mut self, id: u64, reason: &'static str) {
        self.events.push(ClientEvent::CutOff { reason });
        self.leave(id);
    }

    fn leave(&mut self, id: u64) {
        self.clients.remove(&id);
        self.held.retain(|(client, _)| *client != id);
    }
}

/// Source of a readiness event.
#[derive(Debug, Default)]
struct Ready {
    listener: bool,
    clients: Vec<u64>,
}

/// Requests whose answers kernels broadcast.
fn changes_something(message_type: MessageType) -> bool {
    use MessageType as M;
    let of_sa = matches!(message_type, M::Add | M::Update | M::Delete | M::Flush | M::Migrate);
    let of_policy =
        matches!(message_type, M::SpdAdd | M::SpdUpdate | M::SpdSetIdx | M::SpdDelete | M::SpdDelete2 | M::SpdFlush);
    of_sa || of_policy
}

/// Whether an answer is sent to the other clients. After a flush, Linux sends them a message of its own.
fn is_for_others(dialect: Dialect, header: &Header) -> bool {
    let is_flush = matches!(header.message_type, MessageType::Flush | MessageType::SpdFlush);
    header.errno == 0 && changes_something(header.message_type) && !(is_flush && dialect == Dialect::Linux)
}

/// Replaces the sequence number and process id of a message.
fn set_identity(abi: Abi, message: &mut [u8], seq: u32, pid: u32) {
    if let Ok(header) = peek_header(abi, message) {
        // A header that was parsed can be written.
        let _ = replace_header(abi, message, &Header { seq, pid, ..header });
    }
}

/// Errno of a failed backend call.
fn errno_of(error: &Error) -> Errno {
    match error {
        Error::System { source, .. } => Errno::from_raw(source.raw_os_error().unwrap_or(libc::EIO)),
        Error::Kernel(errno) => Errno::from_raw(*errno),
        _ => Errno::EINVAL,
    }
}
