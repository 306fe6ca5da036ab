//! Conversations on the control socket. None of them can hold the daemon up: nothing blocks, and who does not read loses.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;

use zeroize::Zeroizing;

use super::protocol::{Failure, HEADER_LENGTH, Header, Malformed, REQUEST_MAX, Request, reply};
use super::socket::AdminListener;

/// Conversations at once; one more, and the oldest ends.
const CLIENTS_MAX: usize = 32;

/// A reply's body, which may hold keys, or why there is none.
pub type Answer = Result<Zeroizing<Vec<u8>>, Failure>;

/// The control socket and who speaks there.
#[derive(Debug)]
pub struct Server {
    listener: AdminListener,
    clients: VecDeque<Client>,
}

/// What a descriptor is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Bytes to read, or a connection to accept.
    Read,
    /// Room to write.
    Write,
}

/// One conversation: a request, a reply.
#[derive(Debug)]
struct Client {
    stream: UnixStream,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// What has come of the request.
    Asking(Vec<u8>),
    /// The reply, and how much of it is gone.
    Answering(Zeroizing<Vec<u8>>, usize),
    Over,
}

impl Server {
    /// Serves a socket.
    pub fn new(listener: AdminListener) -> Self {
        Self { listener, clients: VecDeque::new() }
    }

    /// What to wait for; on anything of it call [`Server::serve`].
    pub fn descriptors(&self) -> impl Iterator<Item = (BorrowedFd<'_>, Wanted)> {
        let clients = self.clients.iter().map(|client| {
            let wanted = if matches!(client.phase, Phase::Asking(_)) { Wanted::Read } else { Wanted::Write };
            (client.stream.as_fd(), wanted)
        });
        std::iter::once((self.listener.listener.as_fd(), Wanted::Read)).chain(clients)
    }

    /// Goes on with every conversation as far as possible. `complain` hears of what is no request.
    pub fn serve(&mut self, answer: &mut dyn FnMut(Request) -> Answer, complain: &mut dyn FnMut(&Malformed)) {
        self.accept();
        for client in &mut self.clients {
            // Who goes away has no more questions.
            if client.go_on(answer, complain).is_err() {
                client.phase = Phase::Over;
            }
        }
        self.clients.retain(|client| !matches!(client.phase, Phase::Over));
    }

    fn accept(&mut self) {
        // At most so many a turn: somebody may connect faster than we accept.
        for _ in 0..CLIENTS_MAX {
            let stream = match self.listener.listener.accept() {
                Ok((stream, _)) => stream,
                // Without descriptors it would stay ready for ever.
                Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE)) => {
                    self.clients.pop_front();
                    return;
                }
                Err(_) => return,
            };
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            if self.clients.len() >= CLIENTS_MAX {
                self.clients.pop_front();
            }
            self.clients.push_back(Client { stream, phase: Phase::Asking(Vec::new()) });
        }
    }
}

impl Client {
    fn go_on(
        &mut self,
        answer: &mut dyn FnMut(Request) -> Answer,
        complain: &mut dyn FnMut(&Malformed),
    ) -> io::Result<()> {
        if let Phase::Asking(bytes) = &mut self.phase {
            let Some(reply) = asked(&mut self.stream, bytes, answer, complain)? else { return Ok(()) };
            self.phase = Phase::Answering(reply, 0);
        }
        if let Phase::Answering(bytes, gone) = &mut self.phase {
            while let Some(rest) = bytes.get(*gone..).filter(|rest| !rest.is_empty()) {
                match self.stream.write(rest) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(count) => *gone += count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            self.phase = Phase::Over;
        }
        Ok(())
    }
}

/// The reply, once the request is there as a whole.
fn asked(
    stream: &mut UnixStream,
    bytes: &mut Vec<u8>,
    answer: &mut dyn FnMut(Request) -> Answer,
    complain: &mut dyn FnMut(&Malformed),
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    loop {
        let mut missing = HEADER_LENGTH;
        if let Some((head, body)) = bytes.split_first_chunk() {
            let header = match Header::parse(*head, REQUEST_MAX) {
                Ok(header) => header,
                Err(malformed) => {
                    complain(&malformed);
                    return Err(ErrorKind::InvalidData.into());
                }
            };
            if bytes.len() == header.length {
                let result = Request::parse(&header, body).map_err(|malformed| {
                    complain(&malformed);
                    failure(&malformed)
                });
                let result = result.and_then(&mut *answer);
                return Ok(Some(reply(&header, result.as_ref().map(|body| body.as_slice()))));
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

fn failure(malformed: &Malformed) -> Failure {
    let errno = match malformed {
        Malformed::Command(_) | Malformed::Protocol(_) => libc::ENOTSUP,
        Malformed::Length(_) | Malformed::Body => libc::EINVAL,
    };
    Failure::new(errno, malformed.to_string())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::protocol::{REPLY_MAX, Table};
    use super::super::socket::listen;
    use super::*;

    struct Site {
        directory: TempDir,
        server: Server,
        asked: Vec<Request>,
        complaints: Vec<Malformed>,
    }

    impl Site {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let listener = listen(&directory.path().join("racoon.sock"), None).unwrap();
            Self { directory, server: Server::new(listener), asked: Vec::new(), complaints: Vec::new() }
        }

        fn connect(&self) -> UnixStream {
            let stream = UnixStream::connect(self.directory.path().join("racoon.sock")).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        }

        fn serve(&mut self, result: &Result<Vec<u8>, Failure>) {
            let (asked, complaints) = (&mut self.asked, &mut self.complaints);
            let answer = &mut |request| {
                asked.push(request);
                result.clone().map(Zeroizing::new)
            };
            self.server.serve(answer, &mut |malformed| complaints.push(*malformed));
        }
    }

    fn read(stream: &mut UnixStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    }

    #[test]
    fn a_request_in_pieces() {
        let mut site = Site::new();
        let mut client = site.connect();
        let request = Request::ShowSa(Table::Isakmp);
        for byte in request.encode() {
            assert_eq!(site.asked, []);
            client.write_all(&[byte]).unwrap();
            site.serve(&Ok(b"rows".to_vec()));
        }
        assert_eq!(site.asked, [request]);
        let bytes = read(&mut client);
        assert_eq!(&bytes[HEADER_LENGTH..], b"rows");
        assert_eq!(site.server.clients.len(), 0);
    }

    #[test]
    fn a_long_reply_to_a_slow_reader() {
        let mut site = Site::new();
        let mut client = site.connect();
        client.write_all(&Request::ShowSa(Table::Esp).encode()).unwrap();
        let body = vec![7; 3_000_000];
        let mut received = Vec::new();
        for _ in 0..10_000 {
            site.serve(&Ok(body.clone()));
            received.extend(read(&mut client));
            if site.server.clients.is_empty() {
                break;
            }
            assert_eq!(site.server.descriptors().last().unwrap().1, Wanted::Write);
        }
        received.extend(read(&mut client));
        assert_eq!(received.len(), HEADER_LENGTH + body.len());
        let header = Header::parse(*received.first_chunk().unwrap(), REPLY_MAX).unwrap();
        assert_eq!(header.length, received.len());
        assert_eq!(site.asked.len(), 1);
    }

    #[test]
    fn what_is_no_request() {
        let mut site = Site::new();
        let mut unknown = site.connect();
        unknown.write_all(&[8u16, 0x0777, 0, 0].map(u16::to_ne_bytes).concat()).unwrap();
        let mut huge = site.connect();
        huge.write_all(&[0xffff_u16, 1, 0, 0].map(u16::to_ne_bytes).concat()).unwrap();
        let gone = site.connect();
        drop(gone);
        site.serve(&Ok(Vec::new()));
        let bytes = read(&mut unknown);
        let header = Header::parse(*bytes.first_chunk().unwrap(), REPLY_MAX).unwrap();
        assert_eq!((i32::from(header.errno), &bytes[HEADER_LENGTH..]), (libc::ENOTSUP, &b"invalid command: 1911"[..]));
        assert_eq!(read(&mut huge), []);
        assert_eq!(site.complaints, [Malformed::Command(0x0777), Malformed::Length(0xffff)]);
        assert_eq!((site.asked.len(), site.server.clients.len()), (0, 0));
    }

    #[test]
    fn errors_are_answered_with_their_number() {
        let mut site = Site::new();
        let mut client = site.connect();
        client.write_all(&Request::Reload.encode()).unwrap();
        site.serve(&Err(Failure::new(17, "it is there")));
        let bytes = read(&mut client);
        let header = Header::parse(*bytes.first_chunk().unwrap(), REPLY_MAX).unwrap();
        assert_eq!((header.errno, header.command, &bytes[HEADER_LENGTH..]), (17, 1, &b"it is there"[..]));
    }

    #[test]
    fn the_silent_make_room() {
        let mut site = Site::new();
        let silent = (0..CLIENTS_MAX).map(|_| site.connect()).collect::<Vec<_>>();
        site.serve(&Ok(Vec::new()));
        assert_eq!(site.server.clients.len(), CLIENTS_MAX);
        let mut client = site.connect();
        client.write_all(&Request::Reload.encode()).unwrap();
        site.serve(&Ok(Vec::new()));
        assert_eq!(site.asked, [Request::Reload]);
        assert_eq!(site.server.clients.len(), CLIENTS_MAX - 1);
        drop(silent);
        site.serve(&Ok(Vec::new()));
        assert_eq!(site.server.clients.len(), 0);
    }
}
