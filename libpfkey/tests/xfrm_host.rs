//! NETLINK_XFRM of the host's own kernel, in a network namespace of each test's own: what needs no SA with keys, which
//! not every kernel can have.

#![cfg(target_os = "linux")]

use std::net::IpAddr;
use std::thread;

use libpfkey::algorithm::Encryption;
use libpfkey::backend::{Backend, MESSAGE_MAX, Xfrm};
use libpfkey::num::{DIR_FWD, DIR_IN, DIR_OUT, LEVEL_UNIQUE, POLICY_DISCARD, POLICY_IPSEC, POLICY_NONE};
use libpfkey::request::{self, RequestHeader, SaRequest, SpdRequest, SpiRequest};
use libpfkey::wire::{Address, IpsecRequest, Lifetime, Policy, SockAddr, peek_header};
use libpfkey::{
    Abi, Error, Extension, ExtensionType, Header, Message, MessageType as M, SaFlags, SaId, SaState, SaType,
};
use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use regress_skipped::skip;

/// Runs a test in a thread with a network namespace of its own, or reports it as skipped.
#[track_caller]
fn in_namespace(test: impl FnOnce(Xfrm) + Send + 'static) {
    let thread = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| format!("no network namespace: {errno}"))?;
        test(Xfrm::open().map_err(|error| error.to_string())?);
        Ok::<_, String>(())
    });
    match thread.join() {
        Ok(Ok(())) => {}
        Ok(Err(reason)) => skip(reason),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn ip(text: &str) -> SockAddr {
    SockAddr::from(text.parse::<IpAddr>().expect("an address"))
}

fn header(seq: u32) -> RequestHeader {
    RequestHeader { abi: Abi::HOST, pid: std::process::id(), seq }
}

fn message(write: impl FnOnce(&mut Vec<u8>) -> libpfkey::Result<()>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut bytes).expect("a request");
    bytes
}

/// A policy for packets to `destination`.
fn spd(destination: &str, direction: u8, kind: u16) -> SpdRequest {
    let policy = Policy { kind, direction, scope: 0, id: 0, priority: 7, requests: Vec::new() };
    SpdRequest {
        source: ip("192.0.2.1"),
        source_prefix: 32,
        destination: ip(destination),
        destination_prefix: 32,
        proto: 17,
        lifetime: 0,
        validtime: 0,
        policy,
    }
}

fn spi_request(range: (u32, u32)) -> SpiRequest {
    let (source, destination) = (ip("192.0.2.1"), ip("192.0.2.2"));
    let (min, max) = range;
    SpiRequest { sa_type: SaType::Esp, mode: 1, source, destination, min, max, reqid: 5, natt: None }
}

fn name(spi: u32) -> SaId {
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    SaId::new(SaType::Esp, ip("192.0.2.1"), ip("192.0.2.2"), spi)
}

/// All messages that have come.
fn answers(backend: &mut Xfrm) -> Vec<Vec<u8>> {
    let mut buffer = vec![0; MESSAGE_MAX];
    let mut all = Vec::new();
    while let Some(bytes) = backend.recv(&mut buffer).expect("an open backend") {
        all.push(bytes.to_vec());
    }
    all
}

fn ask(backend: &mut Xfrm, request: &[u8]) -> Vec<Vec<u8>> {
    backend.send(request).expect("a request");
    answers(backend)
}

fn headers(messages: &[Vec<u8>]) -> Vec<Header> {
    messages.iter().map(|bytes| peek_header(Abi::HOST, bytes).expect("a message")).collect()
}

/// Type, sequence number and errno of each message.
fn outline(messages: &[Vec<u8>]) -> Vec<(M, u32, u8)> {
    headers(messages).into_iter().map(|header| (header.message_type, header.seq, header.errno)).collect()
}

fn policy_of(bytes: &[u8]) -> Policy {
    Message::parse(Abi::HOST, bytes).expect("a message").policy().expect("a policy").clone()
}

const ENOENT: u8 = 2;
const ESRCH: u8 = 3;
const EEXIST: u8 = 17;
const EINVAL: u8 = 22;
const EOPNOTSUPP: u8 = 95;

#[test]
fn policies_live_and_die() {
    in_namespace(|mut backend| {
        let wanted = spd("192.0.2.9", DIR_OUT, POLICY_DISCARD);
        let added = ask(&mut backend, &message(|out| request::spdadd(header(3), &wanted, out)));
        assert_eq!(outline(&added), [(M::SpdAdd, 3, 0)]);
        assert_eq!(headers(&added)[0].pid, std::process::id());
        let id = policy_of(&added[0]).id;
        assert_eq!((id & 7, policy_of(&added[0]).priority), (1, 7));
        let again = ask(&mut backend, &message(|out| request::spdadd(header(4), &wanted, out)));
        assert_eq!((outline(&again), again[0].len()), (vec![(M::SpdAdd, 4, EEXIST)], 16));
        let other = spd("192.0.2.9", DIR_OUT, POLICY_NONE);
        let updated = ask(&mut backend, &message(|out| request::spdupdate(header(5), &other, out)));
        assert_eq!(outline(&updated), [(M::SpdUpdate, 5, 0)]);
        assert_eq!((policy_of(&updated[0]).id, policy_of(&updated[0]).kind), (id, POLICY_NONE));
        let shown = ask(&mut backend, &message(|out| request::spdget(header(6), id, out)));
        assert_eq!(outline(&shown), [(M::SpdGet, 6, 0)]);
        let deleted = ask(&mut backend, &message(|out| request::spddelete2(header(7), id, out)));
        assert_eq!(outline(&deleted), [(M::SpdDelete2, 7, 0)]);
        assert_eq!(policy_of(&deleted[0]).id, id);
        for request in [
            message(|out| request::spddelete(header(8), &wanted, out)),
            message(|out| request::spdget(header(8), id, out)),
            message(|out| request::spdget(header(8), 0, out)),
            message(|out| request::spddump(header(8), out)),
        ] {
            let refused = ask(&mut backend, &request);
            assert_eq!(headers(&refused).iter().map(|header| header.errno).collect::<Vec<_>>(), [ENOENT]);
        }
    });
}

/// Without sequence numbers only the order tells which request an answer belongs to.
#[test]
fn many_requests_of_one_number() {
    in_namespace(|mut backend| {
        let add = |to: &str| message(|out| request::spdadd(header(0), &spd(to, DIR_IN, POLICY_NONE), out));
        let delete = |to: &str| message(|out| request::spddelete(header(0), &spd(to, DIR_IN, POLICY_NONE), out));
        let get = |id| message(|out| request::spdget(header(0), id, out));
        let spi = message(|out| request::getspi(header(0), &spi_request((0x1000, 0x1000)), out));
        let remove = message(|out| request::delete(header(0), &name(0x1000), out));
        let requests = [
            add("192.0.2.1"),
            get(8),
            add("192.0.2.1"),
            delete("192.0.2.7"),
            spi.clone(),
            spi,
            add("192.0.2.2"),
            remove.clone(),
            remove,
            get(7),
            delete("192.0.2.1"),
        ];
        requests.iter().for_each(|request| backend.send(request).unwrap());
        let expected = [
            (M::SpdAdd, 0),
            (M::SpdGet, 0),
            (M::SpdAdd, EEXIST),
            (M::SpdDelete, ENOENT),
            (M::GetSpi, 0),
            (M::GetSpi, ENOENT),
            (M::SpdAdd, 0),
            (M::Delete, 0),
            (M::Delete, ESRCH),
            (M::SpdGet, EINVAL),
            (M::SpdDelete, 0),
        ];
        let seen: Vec<_> = outline(&answers(&mut backend)).into_iter().map(|(kind, _, errno)| (kind, errno)).collect();
        assert_eq!(seen, expected);
    });
}

#[test]
fn dumps_are_numbered_and_newest_first() {
    in_namespace(|mut backend| {
        let directions = [DIR_IN, DIR_OUT, DIR_FWD];
        for (direction, to) in directions.into_iter().zip(["192.0.2.1", "192.0.2.2", "192.0.2.3"]) {
            let request = spd(to, direction, POLICY_NONE);
            backend.send(&message(|out| request::spdadd(header(9), &request, out))).unwrap();
        }
        assert_eq!(answers(&mut backend).len(), 3);
        let dump = message(|out| request::spddump(header(0), out));
        // The second is not refused for the first.
        backend.send(&dump).unwrap();
        backend.send(&dump).unwrap();
        let dumped = answers(&mut backend);
        let seen: Vec<_> = dumped.iter().map(|bytes| policy_of(bytes).direction).collect();
        assert_eq!(seen, [3, 2, 1, 3, 2, 1]);
        let numbers: Vec<_> = outline(&dumped).into_iter().map(|(_, seq, _)| seq).collect();
        assert_eq!(numbers, [1, 2, 0, 1, 2, 0]);
    });
}

#[test]
fn flush_answers_twice_when_there_was_something() {
    in_namespace(|mut backend| {
        let flush = message(|out| request::spdflush(header(4), out));
        assert_eq!(outline(&ask(&mut backend, &flush)), [(M::SpdFlush, 4, 0)]);
        ask(&mut backend, &message(|out| request::spdadd(header(0), &spd("192.0.2.1", DIR_IN, POLICY_NONE), out)));
        assert_eq!(outline(&ask(&mut backend, &flush)), [(M::SpdFlush, 4, 0); 2]);
        let flush = message(|out| request::flush(header(5), SaType::Esp, out));
        assert_eq!(outline(&ask(&mut backend, &flush)), [(M::Flush, 5, 0)]);
        ask(&mut backend, &message(|out| request::getspi(header(0), &spi_request((0x1000, 0x1000)), out)));
        let flushed = ask(&mut backend, &flush);
        assert_eq!(outline(&flushed), [(M::Flush, 5, 0); 2]);
        assert_eq!(headers(&flushed)[0].sa_type, SaType::Esp);
    });
}

#[test]
fn spis_are_reserved_by_larval_sas() {
    in_namespace(|mut backend| {
        let reserved =
            ask(&mut backend, &message(|out| request::getspi(header(77), &spi_request((0x2000, 0x2000)), out)));
        assert_eq!(outline(&reserved), [(M::GetSpi, 77, 0)]);
        let parsed = Message::parse(Abi::HOST, &reserved[0]).unwrap();
        let sa = parsed.sa().unwrap();
        assert_eq!((sa.spi, sa.state), (0x2000, SaState::Larval));
        assert_eq!(parsed.sa2().unwrap().reqid, 5);
        let shown = ask(&mut backend, &message(|out| request::get(header(78), &name(0x2000), out)));
        assert_eq!(outline(&shown), [(M::Get, 78, 0)]);
        let dumped = ask(&mut backend, &message(|out| request::dump(header(79), SaType::Unspec, out)));
        assert_eq!(outline(&dumped), [(M::Dump, 0, 0)]);
        let dumped = ask(&mut backend, &message(|out| request::dump(header(79), SaType::Ah, out)));
        assert_eq!(outline(&dumped), [(M::Dump, 79, ENOENT)]);
        let deleted = ask(&mut backend, &message(|out| request::delete(header(80), &name(0x2000), out)));
        assert_eq!(outline(&deleted), [(M::Delete, 80, 0)]);
        assert_eq!(Message::parse(Abi::HOST, &deleted[0]).unwrap().sa().unwrap().state, SaState::Dead);
        let missing = ask(&mut backend, &message(|out| request::get(header(81), &name(0x2000), out)));
        assert_eq!((outline(&missing), missing[0].len()), (vec![(M::Get, 81, ESRCH)], 16));
    });
}

#[test]
fn unique_policies_get_free_reqids() {
    in_namespace(|mut backend| {
        let unique = |to: &str, reqid| {
            let mut request = spd(to, DIR_OUT, POLICY_IPSEC);
            request.policy.requests =
                vec![IpsecRequest { proto: 50, mode: 1, level: LEVEL_UNIQUE, reqid, endpoints: None }];
            message(|out| request::spdadd(header(0), &request, out))
        };
        let reqid = |answers: Vec<Vec<u8>>| policy_of(&answers[0]).requests[0].reqid;
        assert_eq!(reqid(ask(&mut backend, &unique("192.0.2.1", 77))), 77);
        assert_eq!(reqid(ask(&mut backend, &unique("192.0.2.2", 0))), 16384);
        assert_eq!(reqid(ask(&mut backend, &unique("192.0.2.3", 0))), 16385);
        // Another handle looks at what is there.
        let mut other = Xfrm::open().unwrap();
        assert_eq!(reqid(ask(&mut other, &unique("192.0.2.4", 99_999))), 16386);
        let seen = answers(&mut backend);
        assert_eq!(outline(&seen), [(M::SpdAdd, 0, 0)], "everybody is told");
    });
}

#[test]
fn registration_is_for_once() {
    in_namespace(|mut backend| {
        let register = message(|out| request::register(header(1), SaType::Esp, out));
        let listed = ask(&mut backend, &register);
        assert_eq!(outline(&listed), [(M::Register, 1, 0)]);
        assert_eq!(outline(&ask(&mut backend, &register)), [(M::Register, 1, EEXIST)]);
        // A larval SA that is deleted does not expire.
        ask(&mut backend, &message(|out| request::getspi(header(0), &spi_request((0x1000, 0x1000)), out)));
        ask(&mut backend, &message(|out| request::delete(header(0), &name(0x1000), out)));
        assert!(answers(&mut backend).is_empty());
    });
}

#[test]
fn what_is_no_message_is_refused_at_once() {
    in_namespace(|mut backend| {
        let flush = message(|out| request::spdflush(header(4), out));
        let changed = |at: usize, value: u8| {
            let mut bytes = flush.clone();
            bytes[at] = value;
            bytes
        };
        let refused = |backend: &mut Xfrm, bytes: &[u8]| match backend.send(bytes) {
            Err(Error::System { source, .. }) => Errno::from_raw(source.raw_os_error().unwrap()),
            other => panic!("{other:?}"),
        };
        for bytes in [changed(0, 1), changed(1, 0), changed(1, 25), changed(6, 1)] {
            assert_eq!(refused(&mut backend, &bytes), Errno::EINVAL);
        }
        assert_eq!(refused(&mut backend, &changed(4, 3)), Errno::EMSGSIZE);
        assert_eq!(refused(&mut backend, &flush[..15]), Errno::EMSGSIZE);
        // These are messages, but not for the kernel.
        for kind in [8, 12, 17, 21, 23] {
            let refused = ask(&mut backend, &changed(1, kind));
            assert_eq!(headers(&refused).iter().map(|header| header.errno).collect::<Vec<_>>(), [EOPNOTSUPP]);
        }
    });
}

/// DELETE without an SA.
fn delete_between(source: &str, destination: &str) -> Vec<u8> {
    let end = |kind, text| Extension::Address(kind, Address::host(ip(text)));
    let extensions = vec![end(ExtensionType::AddressSrc, source), end(ExtensionType::AddressDst, destination)];
    let header = Header { seq: 5, pid: std::process::id(), ..Header::new(M::Delete, SaType::Esp) };
    message(|out| Message { abi: Abi::HOST, header, extensions }.emit(out))
}

/// As on the BSDs: the SPIs that are only reserved stay, and nothing to delete is no error.
#[test]
fn delete_of_all_sas_between_two_addresses() {
    in_namespace(|mut backend| {
        ask(&mut backend, &message(|out| request::getspi(header(0), &spi_request((0x1000, 0x1000)), out)));
        let delete = delete_between("192.0.2.1", "192.0.2.2");
        let answers = ask(&mut backend, &delete);
        assert_eq!((outline(&answers), answers[0].len()), (vec![(M::Delete, 5, 0)], 16 + 24 + 24));
        let get = message(|out| request::get(header(6), &name(0x1000), out));
        assert_eq!(outline(&ask(&mut backend, &get)), [(M::Get, 6, 0)]);
        // Under way with others.
        let spi = message(|out| request::getspi(header(7), &spi_request((0x1001, 0x1001)), out));
        [&spi, &delete, &get].iter().for_each(|request| backend.send(request).unwrap());
        assert_eq!(outline(&self::answers(&mut backend)), [(M::GetSpi, 7, 0), (M::Delete, 5, 0), (M::Get, 6, 0)]);
    });
}

#[test]
fn delete_of_all_sas_tells_of_each() {
    in_namespace(|mut backend| {
        let add = |spi, destination| {
            let null = Encryption::Null.number(Abi::HOST.dialect).unwrap();
            let request = SaRequest {
                sa_type: SaType::Esp,
                mode: 1,
                source: ip("192.0.2.1"),
                destination: ip(destination),
                spi,
                reqid: 0,
                window: 0,
                encrypt: (null, &[]),
                auth: (0, &[]),
                flags: SaFlags::empty(),
                hard: Lifetime::default(),
                soft: Lifetime::default(),
                natt: None,
                context: None,
            };
            message(|out| request::add(header(1), &request, out))
        };
        for (spi, destination) in [(0x1001, "192.0.2.2"), (0x1002, "192.0.2.3"), (0x1003, "192.0.2.2")] {
            if headers(&ask(&mut backend, &add(spi, destination)))[0].errno != 0 {
                return skip("the kernel has no ESP");
            }
        }
        let answers = ask(&mut backend, &delete_between("192.0.2.1", "192.0.2.2"));
        let told = |bytes: &Vec<u8>| {
            let message = Message::parse(Abi::HOST, bytes).unwrap();
            (message.header.message_type, message.header.seq, message.sa().map(|sa| sa.spi))
        };
        let mut told: Vec<_> = answers.iter().map(told).collect();
        assert_eq!(told.pop(), Some((M::Delete, 5, None)));
        told.sort_by_key(|(_, _, spi)| *spi);
        assert_eq!(told, [(M::Delete, 0, Some(0x1001)), (M::Delete, 0, Some(0x1003))]);
        let left = ask(&mut backend, &message(|out| request::dump(header(0), SaType::Esp, out)));
        assert_eq!(left.len(), 1);
        assert_eq!(Message::parse(Abi::HOST, &left[0]).unwrap().sa().map(|sa| sa.spi), Some(0x1002));
    });
}
