//! Sockets on the loopback interface.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ipsec_conf::racoon::load;
#[cfg(target_os = "linux")]
use regress_skipped::skip;

use racoon_proto::path::Encapsulation;

use super::wanted::RECEIVE_BUFFER;
use super::*;
use crate::files::Files;
use crate::poller::{self, Source};

/// Returns the `listen` section of a configuration.
fn listen(text: &str) -> Listen {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("racoon.conf");
    std::fs::write(&file, format!("listen {{ {text} adminsock disabled; }}")).unwrap();
    let load = load(file.to_str().unwrap(), &Files::default());
    load.config.unwrap_or_else(|| panic!("{:?}", load.problems)).listen
}

fn options(text: &str) -> SocketOptions {
    SocketOptions { listen: listen(text), ports: Ports::default(), family: None, bypass: Bypass::BestEffort }
}

/// Limit for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Returns a free UDP port outside the ephemeral range. Holding the TCP port of the same number keeps it from other
/// processes that run these tests.
fn free_port() -> u16 {
    static TAKEN: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let free = (10_000..30_000).find_map(|port| {
        let reserved = TcpListener::bind(loopback(port)).ok()?;
        UdpSocket::bind(loopback(port)).ok().map(|_| (port, reserved))
    });
    let (port, reserved) = free.unwrap();
    taken.push(reserved);
    port
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn peer() -> UdpSocket {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(PATIENCE)).unwrap();
    peer
}

/// Waits until a socket is readable, at most for `patience`.
fn await_input(sockets: &Sockets, patience: Duration) -> bool {
    let sources = sockets.descriptors().map(|(address, descriptor)| Source::peers(descriptor, address));
    !poller::wait(&sources.collect::<Vec<_>>(), Some(patience)).unwrap().is_empty()
}

/// Returns the next message as owned values. Dropped datagrams make the socket readable too.
fn message(sockets: &mut Sockets, socket: SocketAddr) -> (SocketAddr, SocketAddr, Vec<u8>, bool) {
    loop {
        assert!(sockets.has_read() || await_input(sockets, PATIENCE), "no message in time");
        match sockets.receive(socket).unwrap() {
            Some(Input::Message(message)) => {
                let path = message.path;
                let natt = path.encapsulation == Encapsulation::NonEspMarker;
                return (path.local, path.remote, message.bytes.to_vec(), natt);
            }
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
}

#[test]
fn send_and_receive() {
    let port = free_port();
    let mut sockets = Sockets::open(options(&format!("isakmp 127.0.0.1 [{port}];")), Log::in_memory()).unwrap();
    let (peer, ours) = (peer(), loopback(port));
    let theirs = peer.local_addr().unwrap();
    peer.send_to(b"\xff", ours).unwrap();
    peer.send_to(b"hello", ours).unwrap();
    assert_eq!(message(&mut sockets, ours), (ours, theirs, b"hello".to_vec(), false));
    assert!(sockets.receive(ours).unwrap().is_none());

    let large = vec![7; 60_000];
    peer.send_to(&large, ours).unwrap();
    assert_eq!(message(&mut sockets, ours).2, large);

    sockets.send(ours, theirs, b"answer").unwrap();
    let mut buffer = [0; 100];
    assert_eq!(peer.recv_from(&mut buffer).unwrap(), (6, ours));
    assert_eq!(&buffer[..6], b"answer");
    let elsewhere = sockets.send(loopback(1), theirs, b"answer").unwrap_err();
    assert_eq!(elsewhere.kind(), io::ErrorKind::AddrNotAvailable);
    assert!(sockets.receive(loopback(1)).unwrap().is_none());
}

#[test]
fn non_esp_marker() {
    let port = free_port();
    let mut sockets = Sockets::open(options(&format!("isakmp_natt 127.0.0.1 [{port}];")), Log::in_memory()).unwrap();
    let (peer, ours) = (peer(), loopback(port));
    let theirs = peer.local_addr().unwrap();
    for dropped in [b"".as_slice(), b"\xff", b"\0\0\0", b"\0\0\x10\x01an ESP packet"] {
        peer.send_to(dropped, ours).unwrap();
    }
    peer.send_to(b"\0\0\0\0message", ours).unwrap();
    assert_eq!(message(&mut sockets, ours), (ours, theirs, b"message".to_vec(), true));

    sockets.send(ours, theirs, b"answer").unwrap();
    let mut buffer = [0; 100];
    assert_eq!(peer.recv_from(&mut buffer).unwrap().0, 10);
    assert_eq!(&buffer[..10], b"\0\0\0\0answer");
}

#[test]
fn wildcard_beside_specific_socket() {
    let port = free_port();
    let text = format!("isakmp 0.0.0.0 [{port}]; isakmp 127.0.0.1 [{port}];");
    let mut sockets = Sockets::open(options(&text), Log::in_memory()).unwrap();
    let (peer, any) = (peer(), SocketAddr::from(([0, 0, 0, 0], port)));
    peer.send_to(b"to one", loopback(port)).unwrap();
    assert_eq!(message(&mut sockets, loopback(port)).2, b"to one");
    if cfg!(target_os = "linux") {
        let other = SocketAddr::from(([127, 0, 0, 2], port));
        peer.send_to(b"to the other", other).unwrap();
        let (local, remote, bytes, _) = message(&mut sockets, any);
        assert_eq!((local, bytes.as_slice()), (other, b"to the other".as_slice()));
        sockets.send(local, remote, b"answer").unwrap();
        assert_eq!(peer.recv_from(&mut [0; 100]).unwrap(), (6, other));
    }
}

#[test]
fn port_in_use() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = Sockets::open(options(&format!("isakmp 127.0.0.1 [{port}];")), Log::in_memory()).unwrap_err();
    let text = error.to_string();
    if cfg!(target_os = "linux") && Path::new("/proc/net/udp").exists() {
        let pid = process::id();
        assert!(text.starts_with(&format!("127.0.0.1[{port}]: another process {pid} (")), "{text}");
        assert!(text.ends_with(") has this port"), "{text}");
    } else {
        assert_eq!(text, format!("127.0.0.1[{port}]: another process has this port"));
    }
}

#[test]
fn two_daemons_exclude_each_other() {
    let text = format!("isakmp 127.0.0.1 [{}];", free_port());
    let first = Sockets::open(options(&text), Log::in_memory()).unwrap();
    assert!(matches!(Sockets::open(options(&text), Log::in_memory()), Err(Error::InUse { .. })));
    drop(first);
    Sockets::open(options(&text), Log::in_memory()).unwrap();
}

#[test]
fn missing_addresses() {
    let port = free_port();
    let text = format!("isakmp 192.0.2.77 [{port}]; isakmp 127.0.0.1 [{port}];");
    let log = Log::in_memory();
    let with_interface = format!("{text} isakmp fe80::1%nosuchif;");
    let mut sockets = Sockets::open(options(&with_interface), log.clone()).unwrap();
    assert_eq!(sockets.descriptors().count(), 1);
    let warnings = |log: &Log| log.written().into_iter().filter(|line| line.starts_with("WARNING")).collect::<Vec<_>>();
    let expected = [
        format!("WARNING: 192.0.2.77[{port}]: not an address of this host; waiting for it"),
        String::from("WARNING: fe80::1: no such interface: nosuchif; waiting for it"),
    ];
    assert_eq!(warnings(&log), expected);
    sockets.refresh().unwrap();
    assert_eq!(warnings(&log), [""; 0], "once");
    assert!(!sockets.is_incomplete());
    assert!(sockets.watch().is_some());
    sockets.addresses_changed().unwrap();
    drop(sockets);
    let error = Sockets::open(options(&format!("{text} strict_address;")), Log::in_memory()).unwrap_err();
    assert!(error.to_string().ends_with("]: not an address of this host"), "{error}");
    let scope = "isakmp fe80::1%nosuchif; strict_address;";
    let error = Sockets::open(options(scope), Log::in_memory()).unwrap_err();
    assert_eq!(error.to_string(), "fe80::1: no such interface: nosuchif");
}

#[test]
fn every_address_on_both_ports() {
    let ports = Ports { isakmp: free_port(), natt: free_port() };
    let options = SocketOptions { ports, family: Some(Family::V4), ..options("") };
    let sockets = Sockets::open(options, Log::in_memory()).unwrap();
    let all = sockets.descriptors().map(|(address, _)| address).collect::<Vec<_>>();
    assert!(all.contains(&loopback(ports.isakmp)) && all.contains(&loopback(ports.natt)), "{all:?}");
    assert!(all.iter().all(SocketAddr::is_ipv4), "{all:?}");
}

#[test]
fn reconfigure() {
    let (a, b, c) = (free_port(), free_port(), free_port());
    let log = Log::in_memory();
    let text = format!("isakmp 127.0.0.1 [{a}]; isakmp 127.0.0.1 [{b}];");
    let mut sockets = Sockets::open(options(&text), log.clone()).unwrap();
    peer().send_to(b"waits", loopback(b)).unwrap();
    log.written();
    let taken = UdpSocket::bind(loopback(c)).unwrap();
    sockets.reconfigure(listen(&format!("isakmp 127.0.0.1 [{b}]; isakmp 127.0.0.1 [{c}];"))).unwrap();
    assert_eq!(sockets.descriptors().map(|(address, _)| address).collect::<Vec<_>>(), [loopback(b)]);
    assert_eq!(message(&mut sockets, loopback(b)).2, b"waits", "a socket that stays loses nothing");
    let said = log.written();
    assert_eq!(said[0], format!("INFO: 127.0.0.1[{a}] closed"));
    assert!(said[1].starts_with(&format!("ERROR: 127.0.0.1[{c}]: another process")), "{said:?}");

    assert!(sockets.is_incomplete());
    sockets.refresh().unwrap();
    let again = format!("DEBUG: 127.0.0.1[{c}]: another process has this port");
    assert_eq!(log.written(), [again], "complained about once, and its owner is looked for once");
    drop(taken);
    sockets.refresh().unwrap();
    assert_eq!(sockets.descriptors().count(), 2);
    assert!(!sockets.is_incomplete());
    assert!(log.written().contains(&format!("INFO: 127.0.0.1[{c}] used as isakmp port")));
}

#[test]
fn ports_of_the_command_line() {
    let ports = Ports { isakmp: 10_500, natt: 14_500 };
    let of = |text| ports.of(&listen(text).sockets[0]);
    assert_eq!(of("isakmp 127.0.0.1;"), 10_500);
    assert_eq!(of("isakmp 127.0.0.1 [500];"), 10_500);
    assert_eq!(of("isakmp 127.0.0.1 [501];"), 501);
    assert_eq!(of("isakmp_natt 127.0.0.1 [4500];"), 14_500);
    assert_eq!(of("isakmp_natt 127.0.0.1 [500];"), 500);
}

#[test]
fn addresses_as_text() {
    let shown = |text: &str| DisplayAddr(text.parse().unwrap()).to_string();
    assert_eq!(shown("192.0.2.1:500"), "192.0.2.1[500]");
    assert_eq!(shown("[2001:db8::1]:4500"), "2001:db8::1[4500]");
    assert_eq!(shown("[fe80::1%2]:500"), "fe80::1%2[500]");
}

/// Where the kernel has IPsec and we have the privilege, bypass policies are set.
#[cfg(target_os = "linux")]
#[test]
fn bypass_policies() {
    let mut ip = vec!["127.0.0.1"];
    ip.extend(Path::new("/proc/net/if_inet6").exists().then_some("::1"));
    for ip in ip {
        let options = SocketOptions { bypass: Bypass::Required, ..options(&format!("isakmp {ip} [{}];", free_port())) };
        match Sockets::open(options, Log::in_memory()) {
            Ok(_) => {}
            Err(Error::System { call: "IPsec policy", source, .. }) => {
                let kinds = [libc::EPERM, libc::ENOPROTOOPT, libc::EOPNOTSUPP];
                assert!(source.raw_os_error().is_some_and(|errno| kinds.contains(&errno)), "{source}");
                return skip(format_args!("this kernel takes no policies from us: {source}"));
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// Not every sandbox sends ICMP errors.
#[cfg(target_os = "linux")]
#[test]
fn port_unreachable() {
    let port = free_port();
    let mut sockets = Sockets::open(options(&format!("isakmp 127.0.0.1 [{port}];")), Log::in_memory()).unwrap();
    let (ours, nobody, peer) = (loopback(port), loopback(free_port()), peer());
    sockets.send(ours, nobody, b"anybody?").unwrap();
    sockets.send(ours, peer.local_addr().unwrap(), b"an error of another's is no error of yours").unwrap();
    assert_eq!(peer.recv_from(&mut [0; 100]).unwrap().1, ours);
    // Longer than that, and we assume such a sandbox.
    await_input(&sockets, Duration::from_secs(2));
    match sockets.receive(ours).unwrap() {
        Some(Input::Unreachable(unreachable)) => {
            assert_eq!((unreachable.local, unreachable.undelivered.remote), (ours, nobody));
            let port = nobody.port();
            let expected = format!("message to 127.0.0.1[{port}] not delivered: ICMP port unreachable from 127.0.0.1");
            assert_eq!(unreachable.to_string(), expected);
            assert!(sockets.receive(ours).unwrap().is_none());
        }
        None => skip("this kernel reports no ICMP errors"),
        other => panic!("{other:?}"),
    }
}

/// More datagrams than a batch holds, of all sizes up to the largest, are returned complete and in order. Those that
/// are not for IKE are dropped.
#[test]
fn batches() {
    let port = free_port();
    let mut sockets = Sockets::open(options(&format!("isakmp 127.0.0.1 [{port}];")), Log::in_memory()).unwrap();
    let (ours, peer) = (loopback(port), peer());
    let sent = (0..150_u8).map(|number| vec![number; 1 + usize::from(number) * 10]).collect::<Vec<_>>();
    for bytes in &sent {
        peer.send_to(bytes, ours).unwrap();
        peer.send_to(&[0xff], ours).unwrap();
    }
    for bytes in &sent {
        let (local, remote, received, natt) = message(&mut sockets, ours);
        assert_eq!((local, remote, natt), (ours, peer.local_addr().unwrap(), false));
        assert_eq!(&received, bytes);
    }
    // The rest are keepalives.
    while sockets.receive(ours).unwrap().is_some() {}
    assert!(!sockets.has_read());
    let largest = vec![7; 65_507];
    peer.send_to(&largest, ours).unwrap();
    assert_eq!(message(&mut sockets, ours).2, largest);
}

/// A message behind as many keepalives as are dropped at once is not left in the batch, where poll(2) would not show
/// it.
#[test]
fn message_behind_keepalives() {
    let port = free_port();
    let mut sockets = Sockets::open(options(&format!("isakmp 127.0.0.1 [{port}];")), Log::in_memory()).unwrap();
    let (ours, peer) = (loopback(port), peer());
    for _ in 0..(IGNORED_BATCHES_MAX - 1) * batch::BATCH {
        peer.send_to(&[0xff], ours).unwrap();
    }
    peer.send_to(b"a message", ours).unwrap();
    while await_input(&sockets, Duration::ZERO) {
        if let Some(Input::Message(message)) = sockets.receive(ours).unwrap() {
            return assert_eq!(message.bytes, b"a message");
        }
    }
    panic!("it waits for another datagram");
}

/// Datagrams of one socket are neither lost nor attributed to another one that is read in between. A closed socket has
/// none.
#[test]
fn datagrams_stay_with_their_socket() {
    let (one, other) = (free_port(), free_port());
    let text = |ports: &[u16]| ports.iter().map(|port| format!("isakmp 127.0.0.1 [{port}]; ")).collect::<String>();
    let mut sockets = Sockets::open(options(&text(&[one, other])), Log::in_memory()).unwrap();
    let peer = peer();
    for (port, bytes) in [(one, b"1"), (one, b"2"), (other, b"3")] {
        peer.send_to(bytes, loopback(port)).unwrap();
    }
    assert_eq!(message(&mut sockets, loopback(one)).2, b"1");
    // Whether both were read at once depends on the system.
    let next = message(&mut sockets, loopback(other));
    let last = message(&mut sockets, loopback(if next.2 == b"3" { one } else { other }));
    let mut both = [(next.0, next.2), (last.0, last.2)];
    both.sort();
    let mut expected = [(loopback(one), b"2".to_vec()), (loopback(other), b"3".to_vec())];
    expected.sort();
    assert_eq!(both, expected);
    for bytes in [b"4", b"5"] {
        peer.send_to(bytes, loopback(one)).unwrap();
    }
    assert_eq!(message(&mut sockets, loopback(one)).2, b"4");
    sockets.reconfigure(listen(&text(&[other]))).unwrap();
    assert!(sockets.receive(loopback(other)).unwrap().is_none());
    assert!(!sockets.has_read());
}

/// The receive buffer has the wanted size, or the log tells its size and the remedy.
#[test]
fn receive_buffer() {
    let (port, log) = (free_port(), Log::in_memory());
    let sockets = Sockets::open(options(&format!("isakmp 127.0.0.1 [{port}];")), log.clone()).unwrap();
    let socket = sockets.sockets.get(&loopback(port)).unwrap();
    let room = socket.enlarge_buffer(RECEIVE_BUFFER).unwrap();
    let lines = log.written();
    let told = lines.iter().find(|line| line.contains("receive buffer limited to"));
    if room >= RECEIVE_BUFFER {
        assert_eq!(told, None);
    } else {
        let expected = format!("INFO: 127.0.0.1[{port}]: receive buffer limited to {room} of 4194304 bytes; raise ");
        assert!(told.is_some_and(|line| line.starts_with(&expected)), "{lines:?}");
    }
    // It never shrinks.
    assert_eq!(socket.enlarge_buffer(1000).unwrap().max(room), socket.enlarge_buffer(1000).unwrap());
}
