//! Clients, a server and an engine behind it: NetBSD's dialect, whatever the host speaks.
#![cfg(not(target_os = "macos"))]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use libpfkey::backend::{Backend, ClientEvent, MESSAGE_MAX, Memory, Socket, SocketServer};
use libpfkey::wire::{Address, Sa};
use libpfkey::{Abi, Dialect, Extension, ExtensionType, Header, Message, MessageType, SaType};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, send, socketpair};
use tempfile::TempDir;

const ABI: Abi = Abi::of(Dialect::NetBsd);

/// A server on a socket file of its own, with an engine behind it.
struct Lab {
    server: SocketServer,
    engine: Memory,
    path: PathBuf,
    _directory: TempDir,
}

impl Lab {
    fn new(abi: Abi) -> Self {
        let engine = Memory::new(abi).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kernel");
        let server = SocketServer::bind(&path, Box::new(engine.another_handle().unwrap())).unwrap();
        Self { server, engine, path, _directory: directory }
    }

    fn client(&mut self) -> Socket {
        let client = Socket::connect(&self.path, self.server_abi()).unwrap();
        let events = self.settle();
        let own = nix::unistd::geteuid().as_raw();
        assert!(matches!(events.as_slice(), [ClientEvent::Accepted { uid }] if *uid == own), "{events:?}");
        client
    }

    fn server_abi(&self) -> Abi {
        self.engine.abi()
    }

    /// Lets the server work until it has nothing to do.
    fn settle(&mut self) -> Vec<ClientEvent> {
        (0..8).flat_map(|_| self.server.turn(Some(Duration::ZERO)).unwrap()).collect()
    }
}

fn request(abi: Abi, header: Header, extensions: Vec<Extension<'_>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    Message { abi, header, extensions }.emit(&mut bytes).unwrap();
    bytes
}

fn header(message_type: MessageType, sa_type: SaType, seq: u32, pid: u32) -> Header {
    Header { seq, pid, ..Header::new(message_type, sa_type) }
}

/// GETSPI of any SPI.
fn getspi(seq: u32, pid: u32) -> Vec<u8> {
    let end = |last| Address::host(std::net::IpAddr::from([10, 0, 0, last]).into());
    let ends = vec![
        Extension::Address(ExtensionType::AddressSrc, end(1)),
        Extension::Address(ExtensionType::AddressDst, end(2)),
    ];
    request(ABI, header(MessageType::GetSpi, SaType::Esp, seq, pid), ends)
}

/// What waits for a client: type, errno, sequence number, process id.
fn answers(client: &mut Socket) -> Vec<(MessageType, u8, u32, u32)> {
    let mut buffer = vec![0; MESSAGE_MAX];
    let mut all = Vec::new();
    let abi = client.abi();
    while let Some(bytes) = client.recv(&mut buffer).unwrap() {
        let header = libpfkey::wire::peek_header(abi, bytes).unwrap();
        all.push((header.message_type, header.errno, header.seq, header.pid));
    }
    all
}

#[test]
fn each_client_gets_its_own_answers() {
    let mut lab = Lab::new(ABI);
    let (mut one, mut two) = (lab.client(), lab.client());
    // The same sequence number and process id, as in two jails.
    one.send(&getspi(7, 99)).unwrap();
    two.send(&getspi(7, 99)).unwrap();
    two.send(&request(ABI, header(MessageType::Get, SaType::Esp, 8, 99), vec![Extension::Sa(Sa::named(1))])).unwrap();
    lab.settle();
    assert_eq!(answers(&mut one), [(MessageType::GetSpi, 0, 7, 99)]);
    assert_eq!(answers(&mut two), [(MessageType::GetSpi, 0, 7, 99), (MessageType::Get, 22, 8, 99)]);
}

#[test]
fn dumps_take_turns_and_end_for_each() {
    let mut lab = Lab::new(ABI);
    let (mut one, mut two) = (lab.client(), lab.client());
    for seq in 0..3 {
        one.send(&getspi(seq, 1)).unwrap();
    }
    lab.settle();
    assert_eq!(answers(&mut one).len(), 3);
    for client in [&mut one, &mut two] {
        client.send(&request(ABI, header(MessageType::Dump, SaType::Unspec, 5, 1), vec![])).unwrap();
    }
    lab.settle();
    for client in [&mut one, &mut two] {
        let seqs: Vec<u32> = answers(client).iter().map(|answer| answer.2).collect();
        assert_eq!(seqs, [2, 1, 0]);
    }
}

#[test]
fn others_hear_of_changes_under_process_id_0() {
    for dialect in Dialect::ALL {
        let mut lab = Lab::new(Abi::of(dialect));
        let (mut one, mut two) = (lab.client(), lab.client());
        let abi = Abi::of(dialect);
        one.send(&request(abi, header(MessageType::SpdFlush, SaType::Unspec, 3, 42), vec![])).unwrap();
        lab.settle();
        assert_eq!(answers(&mut one), [(MessageType::SpdFlush, 0, 3, 42)]);
        // On Linux a flush of nothing is no news.
        let news = if dialect == Dialect::Linux { vec![] } else { vec![(MessageType::SpdFlush, 0, 3, 0)] };
        assert_eq!(answers(&mut two), news, "{dialect}");
        // A request through another handle of the backend is reported too, although its process has the server's id.
        let pid = std::process::id();
        lab.engine.send(&request(abi, header(MessageType::Promisc, SaType::Unspec, 3, pid + 1), vec![])).unwrap();
        lab.settle();
        assert_eq!(answers(&mut two), [(MessageType::Promisc, 0, 3, 0)], "{dialect}");
    }
}

#[test]
fn every_client_can_register_once() {
    let mut lab = Lab::new(ABI);
    let (mut one, mut two, mut three) = (lab.client(), lab.client(), lab.client());
    let register = |pid| request(ABI, header(MessageType::Register, SaType::Esp, 1, pid), vec![]);
    one.send(&register(1)).unwrap();
    two.send(&register(2)).unwrap();
    lab.settle();
    two.send(&register(2)).unwrap();
    lab.settle();
    assert_eq!(answers(&mut one), [(MessageType::Register, 0, 1, 1)]);
    assert_eq!(answers(&mut two)[..], [(MessageType::Register, 0, 1, 2), (MessageType::Register, 17, 1, 2)]);
    assert_eq!(answers(&mut three), []);
}

#[test]
fn what_is_no_message_ends_the_connection_and_no_other() {
    for bytes in [&[2u8, 10, 0][..], &[2, 10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[0xff; 4096]] {
        let mut lab = Lab::new(ABI);
        let (mut one, mut two) = (lab.client(), lab.client());
        one.send(bytes).unwrap();
        two.send(&getspi(1, 1)).unwrap();
        assert!(matches!(lab.settle().as_slice(), [ClientEvent::CutOff { .. }]));
        assert_eq!(one.recv(&mut vec![0; MESSAGE_MAX]).unwrap_err().to_string(), "recv: Connection reset by peer");
        assert_eq!(answers(&mut two), [(MessageType::GetSpi, 0, 1, 1)]);
    }
}

#[test]
fn a_client_that_leaves_takes_nothing_with_it() {
    let mut lab = Lab::new(ABI);
    let (mut one, mut two) = (lab.client(), lab.client());
    one.send(&getspi(1, 1)).unwrap();
    one.send(&request(ABI, header(MessageType::Dump, SaType::Unspec, 5, 1), vec![])).unwrap();
    drop(one);
    two.send(&request(ABI, header(MessageType::Dump, SaType::Unspec, 6, 2), vec![])).unwrap();
    lab.settle();
    let got = answers(&mut two);
    assert_eq!(got.len(), 1, "{got:?}");
    assert_eq!((got[0].0, got[0].3), (MessageType::Dump, 2));
}

#[test]
fn what_a_server_sends_that_is_no_message_is_an_error() {
    let flags = SockFlag::empty();
    let (ours, theirs): (OwnedFd, OwnedFd) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
    let mut client = Socket::from_fd(ours, ABI).unwrap();
    let mut buffer = vec![0; MESSAGE_MAX];
    assert!(client.recv(&mut buffer).unwrap().is_none());
    send(std::os::fd::AsRawFd::as_raw_fd(&theirs), &[2, 10, 0], MsgFlags::empty()).unwrap();
    assert!(matches!(client.recv(&mut buffer), Err(libpfkey::Error::Malformed { .. })));
    assert!(client.recv(&mut buffer).unwrap().is_none(), "it was consumed");
}

#[test]
fn a_left_over_socket_file_is_replaced_and_a_served_one_is_not() {
    let lab = Lab::new(ABI);
    let backend = || Box::new(Memory::new(ABI).unwrap());
    let error = SocketServer::bind(&lab.path, backend()).unwrap_err();
    assert_eq!(error.to_string(), "bind: Address already in use");
    let path = lab.path.with_extension("old");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    drop(SocketServer::bind(&path, backend()).unwrap());
    assert!(!path.exists(), "a server removes its socket");
}
