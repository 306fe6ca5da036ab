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

use super::protocol::{Failure, HEADER_LENGTH, REQUEST_MAX, Request, RequestHeader, refusal, reply};
use super::socket::AdminListener;

/// Maximum number of clients. Another one displaces the oldest.
const CLIENTS_MAX: usize = 32;

/// Pause after a failure to accept a connection.
const ACCEPT_RETRY: Duration = Duration::from_secs(1);

/// Body of a reply, which may contain keys, or an error.
pub type Answer = Result<Zeroizing<Vec<u8>>, Failure>;

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
        answer: &mut dyn FnMut(Request) -> Answer,
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
                    self.admit(stream);
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

    fn admit(&mut self, stream: UnixStream) {
        if self.clients.len() >= CLIENTS_MAX {
            self.clients.pop_front();
        }
        self.clients.push_back(Client { stream, state: State::Reading(Vec::new()) });
    }
}

impl Client {
    fn advance(
        &mut self,
        answer: &mut dyn FnMut(Request) -> Answer,
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
    answer: &mut dyn FnMut(Request) -> Answer,
    log_error: &mut dyn FnMut(&dyn Display),
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    loop {
        let mut missing = HEADER_LENGTH;
        if let Some((head, body)) = bytes.split_first_chunk() {
            let header = match RequestHeader::parse(*head) {
                Ok(header) => header,
                Err(malformed) => {
                    log_error(&format_args!("control socket: {malformed}"));
                    return Err(ErrorKind::InvalidData.into());
                }
            };
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
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixListener;

    use tempfile::TempDir;

    use super::super::protocol::{ReplyHeader, Table};
    use super::super::socket::listen;
    use super::*;

    struct Fixture {
        directory: TempDir,
        server: Server,
        asked: Vec<Request>,
        errors: Vec<String>,
        now: Time,
    }

    impl Fixture {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let listener = listen(&directory.path().join("racoon.sock"), None).unwrap();
            Self {
                directory,
                server: Server::new(listener),
                asked: Vec::new(),
                errors: Vec::new(),
                now: Time::default(),
            }
        }

        fn connect(&self) -> UnixStream {
            let stream = UnixStream::connect(self.directory.path().join("racoon.sock")).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        }

        fn serve(&mut self, result: &Result<Vec<u8>, Failure>) {
            let (asked, errors) = (&mut self.asked, &mut self.errors);
            let answer = &mut |request| {
                asked.push(request);
                result.clone().map(Zeroizing::new)
            };
            self.server.serve(self.now, answer, &mut |error| errors.push(error.to_string()));
        }
    }

    fn read(stream: &mut UnixStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    }

    #[test]
    fn request_in_pieces() {
        let mut fixture = Fixture::new();
        let mut client = fixture.connect();
        let request = Request::ShowSa(Table::Isakmp);
        for byte in request.encode() {
            assert_eq!(fixture.asked, []);
            client.write_all(&[byte]).unwrap();
            fixture.serve(&Ok(b"rows".to_vec()));
        }
        assert_eq!(fixture.asked, [request]);
        let bytes = read(&mut client);
        assert_eq!(&bytes[HEADER_LENGTH..], b"rows");
        assert_eq!(fixture.server.clients.len(), 0);
    }

    #[test]
    fn long_reply_to_a_slow_reader() {
        let mut fixture = Fixture::new();
        let mut client = fixture.connect();
        client.write_all(&Request::ShowSa(Table::Esp).encode()).unwrap();
        let body = vec![7; 3_000_000];
        let mut received = Vec::new();
        for _ in 0..10_000 {
            fixture.serve(&Ok(body.clone()));
            received.extend(read(&mut client));
            if fixture.server.clients.is_empty() {
                break;
            }
            assert_eq!(fixture.server.descriptors().last().unwrap().1, Interest::Write);
        }
        received.extend(read(&mut client));
        assert_eq!(received.len(), HEADER_LENGTH + body.len());
        let header = ReplyHeader::parse(*received.first_chunk().unwrap()).unwrap();
        assert_eq!(header.length, received.len());
        assert_eq!(fixture.asked.len(), 1);
    }

    #[test]
    fn malformed_requests() {
        let mut fixture = Fixture::new();
        let mut unknown = fixture.connect();
        unknown.write_all(&[8u16, 0x0777, 0, 0x02ff].map(u16::to_ne_bytes).concat()).unwrap();
        let mut huge = fixture.connect();
        huge.write_all(&[0xffff_u16, 1, 0, 0].map(u16::to_ne_bytes).concat()).unwrap();
        let gone = fixture.connect();
        drop(gone);
        fixture.serve(&Ok(Vec::new()));
        let bytes = read(&mut unknown);
        let errno = u16::try_from(libc::EPROTONOSUPPORT).unwrap();
        assert_eq!(bytes, [8, 0x0777, errno, 0x02ff].map(u16::to_ne_bytes).concat());
        assert_eq!(read(&mut huge), []);
        let refused = "control socket: command 0x0777 refused: the client speaks another protocol, such as the racoonctl \
                       of ipsec-tools";
        assert_eq!(fixture.errors, [refused, "control socket: invalid message length: 65535 bytes"]);
        assert_eq!((fixture.asked.len(), fixture.server.clients.len()), (0, 0));
    }

    /// Requests of KAME's racoonctl, recorded on x86. The body of the last two has addresses of 128 bytes.
    #[test]
    #[cfg(target_endian = "little")]
    fn ipsec_tools_racoonctl_is_refused() {
        let requests: [(&str, [u8; 8], usize, [u8; 4]); 4] = [
            ("show-sa", [8, 0, 0x01, 0x01, 0, 0, 0xff, 0x01], 0, [0x01, 0x01, 0xff, 0x01]),
            ("flush-sa", [8, 0, 0x02, 0x01, 0, 0, 0x01, 0x02], 0, [0x02, 0x01, 0x01, 0x02]),
            ("delete-sa", [0x10, 1, 0x01, 0x02, 0, 0, 0xff, 0x01], 264, [0x01, 0x02, 0xff, 0x01]),
            ("establish-sa", [0x10, 1, 0x02, 0x82, 1, 0, 0x02, 0x02], 264, [0x02, 0x02, 0x02, 0x02]),
        ];
        for (name, head, body, [command, of, protocol, high]) in requests {
            let mut fixture = Fixture::new();
            let mut client = fixture.connect();
            client.write_all(&head).unwrap();
            client.write_all(&vec![0; body]).unwrap();
            fixture.serve(&Ok(Vec::new()));
            let errno = u8::try_from(libc::EPROTONOSUPPORT).unwrap();
            assert_eq!(read(&mut client), [8, 0, command, of, errno, 0, protocol, high], "{name}");
            assert_eq!(fixture.asked, [], "{name}");
            let expected = format!(
                "control socket: {name} refused: the client speaks another protocol, such as the racoonctl of ipsec-tools"
            );
            assert_eq!(fixture.errors, [expected]);
        }
    }

    #[test]
    fn another_version_is_refused() {
        let mut fixture = Fixture::new();
        let mut client = fixture.connect();
        let mut request = Request::FlushSa(Table::Esp).encode();
        request[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        client.write_all(&request).unwrap();
        fixture.serve(&Ok(Vec::new()));
        let bytes = read(&mut client);
        let header = ReplyHeader::parse(*bytes.first_chunk().unwrap()).unwrap();
        assert_eq!((i32::from(header.errno), header.version), (libc::EPROTONOSUPPORT, Some(1)));
        let expected = "racoonctl speaks version 2 of the control protocol, racoon version 1; use the racoonctl that was \
                        installed with racoon";
        assert_eq!(String::from_utf8_lossy(&bytes[HEADER_LENGTH..]), expected);
        assert_eq!((fixture.asked, fixture.errors), (vec![], vec![format!("control socket: {expected}")]));
    }

    #[test]
    fn errors_are_sent_with_errno() {
        let mut fixture = Fixture::new();
        let mut client = fixture.connect();
        client.write_all(&Request::Reload.encode()).unwrap();
        fixture.serve(&Err(Failure::new(17, "it is there")));
        let bytes = read(&mut client);
        let header = ReplyHeader::parse(*bytes.first_chunk().unwrap()).unwrap();
        assert_eq!((header.errno, header.version, &bytes[HEADER_LENGTH..]), (17, Some(1), &b"it is there"[..]));
    }

    #[test]
    fn accept_failure_pauses_the_listener() {
        let mut fixture = Fixture::new();
        let mut client = fixture.connect();
        client.write_all(&Request::Reload.encode()).unwrap();
        // While this replaces the listener, nothing can be accepted.
        let mut broken = UnixListener::from(OwnedFd::from(UnixStream::pair().unwrap().0));
        std::mem::swap(&mut fixture.server.listener.listener, &mut broken);
        for second in [0, 1] {
            fixture.now = Time::from_secs(second);
            fixture.serve(&Ok(Vec::new()));
            assert_eq!(fixture.server.descriptors().count(), 0);
            assert_eq!(fixture.server.due(), Some(Time::from_secs(second + 1)));
        }
        let told = "control socket: cannot accept connections: Invalid argument";
        assert_eq!(fixture.errors, [told], "once");

        std::mem::swap(&mut fixture.server.listener.listener, &mut broken);
        fixture.serve(&Ok(Vec::new()));
        assert_eq!(fixture.asked, [], "not before its time");
        fixture.now = Time::from_secs(2);
        fixture.serve(&Ok(Vec::new()));
        assert_eq!((fixture.asked.as_slice(), fixture.server.due()), ([Request::Reload].as_slice(), None));
        assert_eq!(fixture.server.descriptors().count(), 1);
    }

    #[test]
    fn free_descriptor_ends_the_pause() {
        let mut fixture = Fixture::new();
        let mut client = fixture.connect();
        fixture.serve(&Ok(Vec::new()));
        fixture.server.accept_after = Some(Time::from_secs(1));
        client.write_all(&Request::Reload.encode()).unwrap();
        fixture.serve(&Ok(Vec::new()));
        assert_eq!((fixture.server.due(), fixture.server.descriptors().count()), (None, 1));
    }

    #[test]
    fn oldest_client_makes_room() {
        let mut fixture = Fixture::new();
        let silent = (0..CLIENTS_MAX).map(|_| fixture.connect()).collect::<Vec<_>>();
        fixture.serve(&Ok(Vec::new()));
        assert_eq!(fixture.server.clients.len(), CLIENTS_MAX);
        let mut client = fixture.connect();
        client.write_all(&Request::Reload.encode()).unwrap();
        fixture.serve(&Ok(Vec::new()));
        assert_eq!(fixture.asked, [Request::Reload]);
        assert_eq!(fixture.server.clients.len(), CLIENTS_MAX - 1);
        drop(silent);
        fixture.serve(&Ok(Vec::new()));
        assert_eq!(fixture.server.clients.len(), 0);
    }
}
