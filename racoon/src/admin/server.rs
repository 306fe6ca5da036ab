//! Server of the control socket. No client can block the daemon: all sockets are non-blocking, and slow clients are
//! dropped when others need room.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use racoon_proto::time::Time;
use zeroize::Zeroizing;

use super::protocol::{ErrorReply, HEADER_LENGTH, REQUEST_MAX, Request, RequestHeader, refusal, reply};
use super::socket::AdminListener;

/// Maximum number of clients. Another one displaces the oldest.
const CLIENTS_MAX: usize = 32;

/// Pause after a failure to accept a connection.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// Body of a reply, which may contain keys, or an error.
pub type Reply = Result<Zeroizing<Vec<u8>>, ErrorReply>;

/// The control socket and its clients.
#[derive(Debug)]
pub struct Server {
    listener: AdminListener,
    clients: VecDeque<Client>,
    /// When to accept the next connection, after the process ran out of descriptors. A client that leaves ends the
    /// pause earlier.
    accept_after: Option<Time>,
    /// Whether the failure was logged, and no connection accepted since.
    accept_error_logged: bool,
}

/// What a descriptor is polled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Data, or a connection to accept.
    Read,
    /// Room to write.
    Write,
}

/// A client: one request, one reply.
#[derive(Debug)]
struct Client {
    stream: UnixStream,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The part of the request received so far.
    Reading(Vec<u8>),
    /// The reply, and how much of it has been sent.
    Writing(Zeroizing<Vec<u8>>, usize),
    Done,
}

impl Server {
    /// Returns a server without clients.
    pub fn new(listener: AdminListener) -> Self {
        Self { listener, clients: VecDeque::new(), accept_after: None, accept_error_logged: false }
    }

    /// Returns when to call [`Server::serve`] even if no descriptor is ready.
    pub fn due(&self) -> Option<Time> {
        self.accept_after
    }

    /// Returns the descriptors to poll; when any is ready, call [`Server::serve`]. During an accept pause the listener
    /// is left out, because it would be ready all the time.
    pub fn descriptors(&self) -> impl Iterator<Item = (BorrowedFd<'_>, Interest)> {
        let clients = self.clients.iter().map(|client| {
            let wanted = if matches!(client.state, State::Reading(_)) { Interest::Read } else { Interest::Write };
            (client.stream.as_fd(), wanted)
        });
        let listener = self.accept_after.is_none().then(|| (self.listener.listener.as_fd(), Interest::Read));
        listener.into_iter().chain(clients)
    }

    /// Serves every client as far as possible without blocking. `log_error` receives malformed requests, and the first
    /// of a series of accept failures.
    pub fn serve(
        &mut self,
        now: Time,
        answer: &mut dyn FnMut(Request) -> Reply,
        log_error: &mut dyn FnMut(&dyn Display),
    ) {
        if self.accept_after.is_none_or(|until| now >= until) {
            self.accept(now, log_error);
        }
        let before = self.clients.len();
        for client in &mut self.clients {
            // A client that hangs up is not worth a log record.
            if client.advance(answer, log_error).is_err() {
                client.state = State::Done;
            }
        }
        self.clients.retain(|client| !matches!(client.state, State::Done));
        // A descriptor is free again.
        if self.clients.len() < before {
            self.accept_after = None;
        }
    }

    fn accept(&mut self, now: Time, log_error: &mut dyn FnMut(&dyn Display)) {
        self.accept_after = None;
        // Bounded, in case clients connect faster than we accept.
        for _ in 0..CLIENTS_MAX {
            match self.listener.accept() {
                Ok(stream) => {
                    self.accept_error_logged = false;
                    self.add_client(stream);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                // The oldest client makes room.
                Err(error) if is_out_of_descriptors(&error) && self.clients.pop_front().is_some() => {}
                Err(error) => {
                    self.accept_after = Some(now + ACCEPT_RETRY);
                    if !std::mem::replace(&mut self.accept_error_logged, true) {
                        log_error(&format_args!(
                            "control socket: cannot accept connections: {}",
                            crate::output::reason(&error)
                        ));
                    }
                    return;
                }
            }
        }
    }

    fn add_client(&mut self, stream: UnixStream) {
        if self.clients.len() >= CLIENTS_MAX {
            self.clients.pop_front();
        }
        self.clients.push_back(Client { stream, state: State::Reading(Vec::new()) });
    }
}

impl Client {
    fn advance(
        &mut self,
        answer: &mut dyn FnMut(Request) -> Reply,
        log_error: &mut dyn FnMut(&dyn Display),
    ) -> io::Result<()> {
        if let State::Reading(bytes) = &mut self.state {
            let Some(reply) = read_request(&mut self.stream, bytes, answer, log_error)? else { return Ok(()) };
            self.state = State::Writing(reply, 0);
        }
        if let State::Writing(bytes, gone) = &mut self.state {
            // As much as the client takes now; the rest when it reads on.
            while let Some(rest) = bytes.get(*gone..).filter(|rest| !rest.is_empty()) {
                match self.stream.write(rest) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(count) => *gone += count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            self.state = State::Done;
        }
        Ok(())
    }
}

/// Reads a request. Returns the reply once the request is complete.
fn read_request(
    stream: &mut UnixStream,
    bytes: &mut Vec<u8>,
    answer: &mut dyn FnMut(Request) -> Reply,
    log_error: &mut dyn FnMut(&dyn Display),
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    loop {
        let mut missing = HEADER_LENGTH;
        if let Some((head, body)) = bytes.split_first_chunk() {
            let header = match RequestHeader::parse(*head) {
                Ok(header) => header,
                // Without a length the stream cannot be read on, so the connection is closed without a reply.
                Err(malformed) => {
                    log_error(&format_args!("control socket: {malformed}"));
                    return Err(ErrorKind::InvalidData.into());
                }
            };
            // Never more: at most as many bytes as are missing are read below.
            if bytes.len() == header.length {
                return Ok(Some(match Request::parse(&header, body) {
                    Ok(request) => reply(answer(request).as_ref().map(|body| body.as_slice())),
                    Err(malformed) => {
                        log_error(&format_args!("control socket: {malformed}"));
                        Zeroizing::new(refusal(&header, &malformed))
                    }
                }));
            }
            missing = header.length;
        }
        missing = missing.saturating_sub(bytes.len());
        let mut buffer = [0; REQUEST_MAX];
        match stream.read(buffer.get_mut(..missing).unwrap_or_default()) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => bytes.extend(buffer.iter().take(count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(test)]
mod tests;
