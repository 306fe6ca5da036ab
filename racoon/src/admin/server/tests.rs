//! Clients of the control socket: slow, malformed, silent and too many.

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
        Self { directory, server: Server::new(listener), asked: Vec::new(), errors: Vec::new(), now: Time::default() }
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.directory.path().join("racoon.sock")).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    }

    fn serve(&mut self, result: &Result<Vec<u8>, ErrorReply>) {
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
    assert_eq!(read(&mut huge), b"");
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
    fixture.serve(&Err(ErrorReply::new(17, "it is there")));
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
