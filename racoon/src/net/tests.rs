//! Sockets on the loopback interface.

use std::net::UdpSocket;
use std::path::Path;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use ipsec_conf::racoon::load;

use super::*;
use crate::files::Files;
use crate::poller::{self, Source};

/// What a configuration says.
fn listen(text: &str) -> Listen {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("racoon.conf");
    std::fs::write(&file, format!("listen {{ {text} adminsock disabled; }}")).unwrap();
    let load = load(file.to_str().unwrap(), &Files::default());
    load.config.unwrap_or_else(|| panic!("{:?}", load.problems)).listen
}

fn options(text: &str) -> Options {
    Options { listen: listen(text), ports: Ports::default(), family: None, bypass: Bypass::Wished }
}

/// A port of the loopback interface that nobody has just now.
/// A port that nobody has, and that the system gives to nobody who asks for any.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let is_free = |port: &u16| UdpSocket::bind(loopback(*port)).is_ok();
    // Other processes that run these tests begin elsewhere.
    let base = 10_000 + u16::try_from(process::id() % 20_000).unwrap();
    let mut ports = std::iter::from_fn(|| Some(base + NEXT.fetch_add(1, Ordering::Relaxed)));
    ports.find(is_free).unwrap()
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn peer() -> UdpSocket {
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    peer
}

/// Waits for what the socket has to tell, as the daemon does.
fn await_input(sockets: &mut Sockets, socket: SocketAddr) -> Option<Input<'_>> {
    let sources = sockets.descriptors().map(|(address, descriptor)| Source::second(descriptor, address));
    poller::wait(&sources.collect::<Vec<_>>(), Some(Duration::from_secs(10))).unwrap();
    sockets.receive(socket).unwrap()
}

/// The next message, as owned values.
fn message(sockets: &mut Sockets, socket: SocketAddr) -> (SocketAddr, SocketAddr, Vec<u8>, bool) {
    match await_input(sockets, socket) {
        Some(Input::Message(message)) => (message.local, message.remote, message.bytes.to_vec(), message.natt),
        other => panic!("{other:?}"),
    }
}

#[test]
fn messages_in_and_out() {
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
fn markers_where_esp_may_come() {
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
fn a_socket_for_any_address_beside_one_for_some() {
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
fn a_port_that_another_has() {
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
fn addresses_that_are_not_there() {
    let text = format!("isakmp 192.0.2.77 [{0}]; isakmp 127.0.0.1 [{0}];", free_port());
    let mut sockets = Sockets::open(options(&text), Log::in_memory()).unwrap();
    assert_eq!(sockets.descriptors().count(), 1);
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
    let options = Options { ports, family: Some(Family::V4), ..options("") };
    let sockets = Sockets::open(options, Log::in_memory()).unwrap();
    let all = sockets.descriptors().map(|(address, _)| address).collect::<Vec<_>>();
    assert!(all.contains(&loopback(ports.isakmp)) && all.contains(&loopback(ports.natt)), "{all:?}");
    assert!(all.iter().all(SocketAddr::is_ipv4), "{all:?}");
}

#[test]
fn another_configuration() {
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
    let shown = |text: &str| Shown(text.parse().unwrap()).to_string();
    assert_eq!(shown("192.0.2.1:500"), "192.0.2.1[500]");
    assert_eq!(shown("[2001:db8::1]:4500"), "2001:db8::1[4500]");
    assert_eq!(shown("[fe80::1%2]:500"), "fe80::1%2[500]");
}

/// In a network of its own, where a kernel gives us one.
#[cfg(target_os = "linux")]
#[test]
fn addresses_that_come_and_go() {
    let alone = std::thread::spawn(|| {
        let ip = |words: &str| {
            process::Command::new("ip").args(words.split(' ')).status().is_ok_and(|status| status.success())
        };
        let unshared = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET);
        if unshared.is_err() || !ip("link set lo up") || !ip("link add veth0 type veth peer name veth1") {
            eprintln!("no network to play with: {unshared:?}");
            return;
        }
        let mut sockets = Sockets::open(options(""), Log::in_memory()).unwrap();
        let mut await_socket = |address: &str, is_there: bool| {
            let address = address.parse::<SocketAddr>().unwrap();
            while sockets.descriptors().any(|(socket, _)| socket == address) != is_there {
                let watch = [Source::first(sockets.watch().unwrap(), ())];
                let ready = poller::wait(&watch, Some(Duration::from_secs(20))).unwrap();
                assert_eq!(ready.len(), 1, "no news of {address}");
                sockets.addresses_changed().unwrap();
            }
        };
        await_socket("127.0.0.1:500", true);
        assert!(ip("address add 192.0.2.1/32 dev lo"));
        await_socket("192.0.2.1:500", true);
        await_socket("192.0.2.1:4500", true);
        assert!(ip("address del 192.0.2.1/32 dev lo"));
        await_socket("192.0.2.1:4500", false);
        // Duplicates of this one are looked for first: a tentative address cannot be used.
        assert!(ip("link set veth0 up") && ip("link set veth1 up") && ip("address add 2001:db8::1/64 dev veth0"));
        await_socket("[2001:db8::1]:500", true);
    });
    alone.join().unwrap();
}

/// Where the kernel has IPsec and we have the right, policies are not merely wished.
#[cfg(target_os = "linux")]
#[test]
fn policies_of_their_own() {
    let mut ip = vec!["127.0.0.1"];
    ip.extend(Path::new("/proc/net/if_inet6").exists().then_some("::1"));
    for ip in ip {
        let options = Options { bypass: Bypass::Required, ..options(&format!("isakmp {ip} [{}];", free_port())) };
        match Sockets::open(options, Log::in_memory()) {
            Ok(_) => {}
            Err(Error::System { call: "IPsec policy", source, .. }) => {
                let kinds = [libc::EPERM, libc::ENOPROTOOPT, libc::EOPNOTSUPP];
                assert!(source.raw_os_error().is_some_and(|errno| kinds.contains(&errno)), "{source}");
                eprintln!("this kernel takes no policies from us: {source}");
            }
            Err(other) => panic!("{other}"),
        }
    }
}

/// Not every sandbox answers with ICMP errors.
#[cfg(target_os = "linux")]
#[test]
fn nobody_is_there() {
    let port = free_port();
    let mut sockets = Sockets::open(options(&format!("isakmp 127.0.0.1 [{port}];")), Log::in_memory()).unwrap();
    let (ours, nobody, peer) = (loopback(port), loopback(free_port()), peer());
    sockets.send(ours, nobody, b"anybody?").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    sockets.send(ours, peer.local_addr().unwrap(), b"an error of another's is no error of yours").unwrap();
    assert_eq!(peer.recv_from(&mut [0; 100]).unwrap().1, ours);
    match sockets.receive(ours).unwrap() {
        Some(Input::Unreachable(unreachable)) => {
            assert_eq!((unreachable.local, unreachable.remote), (ours, nobody));
            assert_eq!(unreachable.reporter, Some([127, 0, 0, 1].into()));
            let port = nobody.port();
            let expected = format!("127.0.0.1[{port}]: Connection refused (os error 111) (says 127.0.0.1)");
            assert_eq!(unreachable.to_string(), expected);
        }
        None => eprintln!("this kernel reports no ICMP errors"),
        other => panic!("{other:?}"),
    }
    assert!(sockets.receive(ours).unwrap().is_none());
}
