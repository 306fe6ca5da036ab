//! What the engine says of itself, who hears it, and the knobs of tests.

use std::net::SocketAddr;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::*;
use crate::num::MessageType as M;

fn kinds(lab: &mut Lab) -> Vec<(M, u8)> {
    let abi = lab.abi;
    let header = |bytes: Vec<u8>| peek_header(abi, &bytes).unwrap();
    lab.take_all().into_iter().map(header).map(|header| (header.message_type, header.errno)).collect()
}

fn packet() -> (SocketAddr, SocketAddr) {
    (([10, 1, 0, 1], 1).into(), ([10, 2, 0, 1], 2).into())
}

#[test]
fn acquire_asks_once_until_an_sa_is_there() {
    for dialect in Dialect::ALL {
        let mut lab = Lab::new(dialect);
        let mut other = lab.another();
        let request = lab.policy(M::SpdAdd, 2, 2, vec![tunnel(2, 0)]);
        assert_eq!(lab.errno(&request), 0);
        other.take_all();
        let (from, to) = packet();
        assert_eq!(lab.backend.packet_out(from, to, 17), 0, "nobody registered");
        let request = lab.bare(M::Register, SaType::Esp);
        assert_eq!(lab.errno(&request), 0);
        assert_eq!(lab.backend.packet_out(to, from, 17), 0, "no policy");
        assert_eq!(lab.backend.packet_out(from, to, 17), 1);
        assert_eq!(lab.backend.packet_out(from, to, 17), 0, "a moment ago");
        let acquire = lab.take().unwrap();
        let acquire = Message::parse(lab.abi, &acquire).unwrap();
        assert_eq!((acquire.header.message_type, acquire.header.pid, acquire.header.seq), (M::Acquire, 0, 1));
        assert_eq!(acquire.source().unwrap().sockaddr, socket([10, 0, 0, 1]));
        let policy = acquire.policy().unwrap();
        assert_eq!((policy.direction, policy.id, policy.requests.len()), (2, 1, 0));
        assert_eq!(kinds(&mut other), [], "{dialect}: only for who registered");
        let dump = lab.bare(M::Dump, SaType::Unspec);
        let larvals = lab.ask(&dump);
        assert_eq!(peek_header(lab.abi, &larvals[0]).unwrap().errno, if dialect == Dialect::Linux { 0 } else { 2 });
        let add = lab.esp(M::Add, 0x1000);
        assert_eq!(lab.errno(&add), 0);
        assert_eq!(lab.ask(&dump).len(), 1, "the SA took the larval one's place");
        assert_eq!(lab.backend.packet_out(from, to, 17), 0, "the SA is there");
    }
}

#[test]
fn limits_of_time() {
    for (dialect, heard) in [
        (Dialect::Linux, vec![(M::Expire, 0), (M::Expire, 0), (M::Expire, 0)]),
        (Dialect::FreeBsd, vec![(M::Expire, 0), (M::Expire, 0)]),
        (Dialect::NetBsd, vec![]),
    ] {
        let mut lab = Lab::new(dialect);
        let mut request = lab.esp(M::Add, 0x1000);
        request.extensions.extend(limits(60, 40));
        assert_eq!(lab.errno(&request), 0);
        let request = lab.getspi(0x2000, 0x2000);
        assert_eq!(lab.errno(&request), 0);
        let request = lab.bare(M::Register, SaType::Esp);
        assert_eq!(lab.errno(&request), 0);
        lab.backend.set_time(1029);
        assert_eq!(kinds(&mut lab), []);
        lab.backend.set_time(1030);
        lab.backend.set_time(1040);
        lab.backend.set_time(1060);
        assert_eq!(kinds(&mut lab), heard, "{dialect}");
        let dump = lab.bare(M::Dump, SaType::Unspec);
        assert_eq!(lab.errno(&dump), 2, "all gone");
    }
}

/// NetBSD looks at a hard limit only once the soft one has been reached.
#[test]
fn a_hard_limit_without_a_soft_one() {
    for (dialect, left) in [(Dialect::Linux, 0), (Dialect::FreeBsd, 0), (Dialect::NetBsd, 1)] {
        let mut lab = Lab::new(dialect);
        let mut request = lab.esp(M::Add, 0x1000);
        request.extensions.extend(limits(60, 0));
        assert_eq!(lab.errno(&request), 0);
        lab.backend.set_time(1000 + 86_400);
        let dump = lab.bare(M::Dump, SaType::Unspec);
        assert_eq!(lab.errno(&dump), if left == 0 { 2 } else { 0 }, "{dialect}");
    }
}

#[test]
fn expiry_on_demand() {
    let mut lab = Lab::new(Dialect::NetBsd);
    let request = lab.bare(M::Register, SaType::Ah);
    assert_eq!(lab.errno(&request), 0);
    let request = lab.esp(M::Add, 0x2001);
    assert_eq!(lab.errno(&request), 0);
    let (from, to) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    assert!(!lab.backend.expire_soft(SaType::Esp, from, to, 0x9999));
    assert!(lab.backend.expire_soft(SaType::Esp, from, to, 0x2001));
    let expire = lab.take().unwrap();
    let expire = Message::parse(lab.abi, &expire).unwrap();
    let order: Vec<_> = expire.extensions.iter().map(Extension::kind).collect();
    assert_eq!(order, [T::Sa, T::Sa2, T::LifetimeCurrent, T::LifetimeSoft, T::AddressSrc, T::AddressDst]);
    assert_eq!(expire.sa().unwrap().state, SaState::Dying);
    assert!(lab.backend.expire_hard(SaType::Esp, from, to, 0x2001));
    assert_eq!(kinds(&mut lab), [], "NetBSD is silent");
}

#[test]
fn who_hears_what() {
    for dialect in Dialect::ALL {
        let mut lab = Lab::new(dialect);
        let mut other = lab.another();
        let request = lab.esp(M::Add, 0x1000);
        lab.send(&request).unwrap();
        assert_eq!(kinds(&mut other), [(M::Add, 0)]);
        let request = lab.named(M::Get, 0x1000);
        lab.send(&request).unwrap();
        let request = lab.bare(M::Flush, SaType::Esp);
        lab.send(&request).unwrap();
        assert_eq!(kinds(&mut other), [(M::Flush, 0)]);
        let flushes = if dialect == Dialect::Linux { 2 } else { 1 };
        assert_eq!(kinds(&mut lab).len(), 2 + flushes, "{dialect}");
        // Nothing to flush.
        lab.send(&request).unwrap();
        assert_eq!(kinds(&mut other).len(), usize::from(dialect != Dialect::Linux));
    }
}

#[test]
fn promiscuous_handles() {
    let mut lab = Lab::new(Dialect::Linux);
    let mut ear = lab.another();
    let on = ear.bare(M::Promisc, SaType::Other(1));
    assert_eq!(ear.ask(&on).len(), 1);
    let get = lab.named(M::Get, 0x1000);
    lab.ask(&get);
    assert_eq!(kinds(&mut ear), [(M::Get, 0), (M::Get, 3)], "the request and its answer");
    let mut lab = Lab::new(Dialect::NetBsd);
    let mut ear = lab.another();
    ear.ask(&on);
    lab.ask(&get);
    let wrapped = ear.take_all();
    assert_eq!((wrapped.len(), wrapped[0].len()), (1, 16 + 80), "a header of its own");
    assert_eq!(wrapped[0][1], 11);
}

#[test]
fn faults_on_demand() {
    let mut lab = Lab::new(Dialect::NetBsd);
    lab.backend.fail_next(M::Add, libc::ENOBUFS);
    let request = lab.esp(M::Add, 0x1000);
    let get = lab.named(M::Get, 0x1000);
    assert_eq!(lab.errno(&get), 2, "another type is not meant");
    assert_eq!(lab.errno(&request), 55, "ENOBUFS as NetBSD numbers it");
    lab.backend.drop_next_replies(1);
    assert!(lab.ask(&request).is_empty());
    assert_eq!(lab.errno(&get), 0, "yet it was done");
}

#[test]
fn the_descriptor_is_readable_while_there_are_messages() {
    let mut lab = Lab::new(Dialect::Linux);
    let readable = |lab: &Lab| {
        let mut fds = [PollFd::new(lab.backend.fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).unwrap() == 1
    };
    assert!(!readable(&lab));
    let request = lab.bare(M::Register, SaType::Esp);
    lab.send(&request).unwrap();
    lab.send(&request).unwrap();
    assert!(readable(&lab));
    lab.take().unwrap();
    assert!(readable(&lab));
    lab.take().unwrap();
    assert!(!readable(&lab));
}
