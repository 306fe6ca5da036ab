//! Addresses added and removed in a network namespace.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use ipsec_conf::racoon::load;
use nix::sched::{CloneFlags, unshare};
use racoon::files::Files;
use racoon::log::{self, Log};
use racoon::net::{Bypass, Ports, SocketOptions, Sockets};
use racoon::poller::{self, Source};
use regress_skipped::skip;
use tempfile::TempDir;

/// Limit for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Opens the sockets of a configuration without `listen`.
fn sockets(directory: &TempDir) -> Sockets {
    let path = |name| directory.path().join(name);
    std::fs::write(path("racoon.conf"), "listen { adminsock disabled; }").unwrap();
    let load = load(path("racoon.conf").to_str().unwrap(), &Files::default());
    let listen = load.config.unwrap_or_else(|| panic!("{:?}", load.problems)).listen;
    let options = SocketOptions { listen, ports: Ports::default(), family: None, bypass: Bypass::BestEffort };
    let log = Log::open(&log::LogOptions { file: Some(path("log")), ..log::LogOptions::default() }).unwrap();
    Sockets::open(options, log).unwrap()
}

fn ip(words: &str) -> bool {
    Command::new("ip").args(words.split(' ')).status().is_ok_and(|status| status.success())
}

fn follow() -> Result<(), String> {
    let unshared = unshare(CloneFlags::CLONE_NEWNET);
    if unshared.is_err() || !ip("link set lo up") || !ip("link add veth0 type veth peer name veth1") {
        return Err(format!("no network namespace with links of its own: {unshared:?}"));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut sockets = sockets(&directory);
    let mut await_socket = |address: &str, is_there: bool| {
        let address = address.parse::<SocketAddr>().unwrap();
        while sockets.descriptors().any(|(socket, _)| socket == address) != is_there {
            let watch = [Source::control(sockets.watch().unwrap(), ())];
            let ready = poller::wait(&watch, Some(PATIENCE)).unwrap();
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
    // A tentative address cannot be bound until duplicate address detection has finished.
    assert!(ip("link set veth0 up") && ip("link set veth1 up") && ip("address add 2001:db8::1/64 dev veth0"));
    await_socket("[2001:db8::1]:500", true);
    Ok(())
}

#[test]
fn sockets_follow_addresses() {
    // The namespace is the thread's.
    if let Err(reason) = std::thread::spawn(follow).join().unwrap() {
        skip(reason);
    }
}
