//! What a NetBSD kernel was seen to answer to these requests. Difference: it showed stale memory behind the SPI of GETSPI's
//! answer.

use expect_test::expect;

use super::*;
use crate::num::MessageType as M;

#[test]
fn sas() {
    let mut lab = Lab::new(Dialect::NetBsd);
    let mut text = String::new();
    let request = lab.bare(M::Dump, SaType::Unspec);
    lab.show(&mut text, "DUMP of nothing", &request);
    let mut request = lab.esp(M::Add, 0x1234);
    request.header.seq = 1;
    lab.show(&mut text, "ADD", &request);
    lab.show(&mut text, "ADD again", &request);
    let mut request = lab.esp(M::Add, 0x1301);
    request.extensions.push(limits(60, 48)[0].clone());
    assert_eq!(lab.errno(&request), 22);
    let mut request = lab.esp(M::Add, 0x1302);
    request.extensions.extend(limits(60, 48));
    lab.show(&mut text, "ADD with limits", &request);
    let mut request = lab.getspi(0x2706, 0x2706);
    request.header.seq = 55;
    lab.show(&mut text, "GETSPI", &request);
    let request = lab.bare(M::Dump, SaType::Unspec);
    lab.show(&mut text, "DUMP", &request);
    let request = lab.named(M::Get, 0x1234);
    lab.show(&mut text, "GET", &request);
    let request = lab.named(M::Delete, 0x9999);
    lab.show(&mut text, "DELETE of nothing", &request);
    let mut request = lab.named(M::Delete, 0);
    request.extensions.remove(0);
    lab.show(&mut text, "DELETE of all", &request);
    let request = lab.bare(M::Dump, SaType::Esp);
    assert_eq!(lab.ask(&request).len(), 1, "the larval one is left");
    expect![[r#"
        # DUMP of nothing
        type 10 errno 2 satype 0 len 16 resv 0 seq 0 pid 4242
        # ADD
        type 3 errno 0 satype 3 len 96 resv 0 seq 1 pid 4242
          1 000012340401050c00000000
          19 010000000000000007000000
          5 ff200000100200000a0000010000000000000000
          6 ff200000100200000a0000020000000000000000
        # ADD again
        type 3 errno 17 satype 3 len 160 resv 0 seq 1 pid 4242
          1 000012340401050c00000000
          19 010000000000000007000000
          5 ff200000100200000a0000010000000000000000
          6 ff200000100200000a0000020000000000000000
          8 000100006161616161616161616161616161616161616161616161616161616161616161
          9 8000000065656565656565656565656565656565
        # ADD with limits
        type 3 errno 0 satype 3 len 160 resv 0 seq 0 pid 4242
          1 000013020401050c00000000
          19 010000000000000007000000
          5 ff200000100200000a0000010000000000000000
          6 ff200000100200000a0000020000000000000000
          3 0000000000000000000000003c000000000000000000000000000000
          4 00000000000000000000000030000000000000000000000000000000
        # GETSPI
        type 1 errno 0 satype 3 len 80 resv 0 seq 55 pid 4242
          1 000027060000000000000000
          5 ff200000100200000a0000010000000000000000
          6 ff200000100200000a0000020000000000000000
        # DUMP
        type 10 errno 0 satype 3 len 104 resv 1 seq 2 pid 4242
          1 000027060000000000000000
          19 020000000000000009000000
          5 ff200000100200000a0000010000000000000000
          6 ff200000100200000a0000020000000000000000
          20 00000000
        type 10 errno 0 satype 3 len 264 resv 1 seq 1 pid 4242
          1 000013020401050c00000000
          19 010000000000000007000000
          3 0000000000000000000000003c000000000000000000000000000000
          4 00000000000000000000000030000000000000000000000000000000
          2 000000000000000000000000e803000000000000e803000000000000
          5 ff200000100200000a0000010000000000000000
          6 ff200000100200000a0000020000000000000000
          8 000100006161616161616161616161616161616161616161616161616161616161616161
          9 8000000065656565656565656565656565656565
          20 00000000
        type 10 errno 0 satype 3 len 200 resv 1 seq 0 pid 4242
          1 000012340401050c00000000
          19 010000000000000007000000
          2 000000000000000000000000e803000000000000e803000000000000
          5 ff200000100200000a0000010000000000000000
          6 ff200000100200000a0000020000000000000000
          8 000100006161616161616161616161616161616161616161616161616161616161616161
          9 8000000065656565656565656565656565656565
          20 00000000
        # GET
        type 5 errno 0 satype 3 len 200 resv 1 seq 0 pid 4242
          1 000012340401050c00000000
          19 010000000000000007000000
          2 000000000000000000000000e803000000000000e803000000000000
          5 ff200000100200000a0000010000000000000000
          6 ff200000100200000a0000020000000000000000
          8 000100006161616161616161616161616161616161616161616161616161616161616161
          9 8000000065656565656565656565656565656565
          20 00000000
        # DELETE of nothing
        type 4 errno 2 satype 3 len 80 resv 0 seq 0 pid 4242
          1 000099990000000000000000
          5 ff200000100200000a0000010000000000000000
          6 ff200000100200000a0000020000000000000000
        # DELETE of all
        type 4 errno 0 satype 3 len 64 resv 0 seq 0 pid 4242
          5 ff200000100200000a0000010000000000000000
          6 ff200000100200000a0000020000000000000000
    "#]]
    .assert_eq(&text);
}

#[test]
fn policies() {
    let mut lab = Lab::new(Dialect::NetBsd);
    let mut text = String::new();
    let request = lab.policy(M::SpdAdd, 2, 2, vec![tunnel(3, 0)]);
    lab.show(&mut text, "SPDADD", &request);
    lab.show(&mut text, "SPDADD again", &request);
    let request = lab.policy(M::SpdAdd, 1, 0, vec![]);
    lab.show(&mut text, "SPDADD in", &request);
    let mut request = lab.policy(M::SpdUpdate, 1, 1, vec![]);
    let life = Lifetime { addtime: 100, usetime: 50, ..Lifetime::default() };
    request.extensions.push(Extension::Lifetime(T::LifetimeHard, life));
    lab.show(&mut text, "SPDUPDATE", &request);
    let request = lab.bare(M::SpdDump, SaType::Unspec);
    lab.show(&mut text, "SPDDUMP", &request);
    let request = lab.by_id(M::SpdGet, 1);
    lab.show(&mut text, "SPDGET", &request);
    let request = lab.by_id(M::SpdDelete2, 3);
    lab.show(&mut text, "SPDDELETE2", &request);
    let request = lab.bare(M::SpdFlush, SaType::Unspec);
    lab.show(&mut text, "SPDFLUSH", &request);
    expect![[r#"
        # SPDADD
        type 14 errno 0 satype 0 len 120 resv 0 seq 0 pid 4242
          18 0200020001000000000000002800320002030000100200000a0000010000000000000000100200000a0000020000000000000000
          5 ff100000100200000a0100000000000000000000
          6 ff100000100200000a0200000000000000000000
        # SPDADD again
        type 14 errno 17 satype 0 len 120 resv 0 seq 0 pid 4242
          5 ff100000100200000a0100000000000000000000
          6 ff100000100200000a0200000000000000000000
          18 0200020000000000000000002800320002030000100200000a0000010000000000000000100200000a0000020000000000000000
        # SPDADD in
        type 14 errno 0 satype 0 len 80 resv 0 seq 0 pid 4242
          18 000001000200000000000000
          5 ff100000100200000a0100000000000000000000
          6 ff100000100200000a0200000000000000000000
        # SPDUPDATE
        type 13 errno 0 satype 0 len 112 resv 0 seq 0 pid 4242
          18 010001000300000000000000
          3 00000000000000000000000064000000000000003200000000000000
          5 ff100000100200000a0100000000000000000000
          6 ff100000100200000a0200000000000000000000
        # SPDDUMP
        type 18 errno 0 satype 0 len 80 resv 1 seq 1 pid 4242
          5 ff100000100200000a0100000000000000000000
          6 ff100000100200000a0200000000000000000000
          18 010001000300000000000000
        type 18 errno 0 satype 0 len 120 resv 1 seq 0 pid 4242
          5 ff100000100200000a0100000000000000000000
          6 ff100000100200000a0200000000000000000000
          18 0200020001000000000000002800320002030140100200000a0000010000000000000000100200000a0000020000000000000000
        # SPDGET
        type 16 errno 0 satype 0 len 120 resv 2 seq 0 pid 4242
          5 ff100000100200000a0100000000000000000000
          6 ff100000100200000a0200000000000000000000
          18 0200020001000000000000002800320002030140100200000a0000010000000000000000100200000a0000020000000000000000
        # SPDDELETE2
        type 22 errno 0 satype 0 len 32 resv 0 seq 0 pid 4242
          18 000000000300000000000000
        # SPDFLUSH
        type 19 errno 0 satype 0 len 16 resv 0 seq 0 pid 4242
    "#]]
    .assert_eq(&text);
}

#[test]
fn errnos() {
    let mut lab = Lab::new(Dialect::NetBsd);
    let add = lab.esp(M::Add, 0x1234);
    assert_eq!(lab.errno(&add), 0);
    let cases = [
        ("GET of nothing", lab.named(M::Get, 0x9999), 2),
        ("fwd", lab.policy(M::SpdAdd, 3, 0, vec![]), 22),
        ("bypass", lab.policy(M::SpdAdd, 2, 4, vec![]), 22),
        ("IPSEC without steps", lab.policy(M::SpdSetIdx, 2, 2, vec![]), 0),
        ("SPDGET of nothing", lab.by_id(M::SpdGet, 99), 2),
        ("SPDDELETE of nothing", lab.policy(M::SpdDelete, 1, 0, vec![]), 22),
        ("SPDDELETE2 of nothing", lab.by_id(M::SpdDelete2, 77), 22),
        ("unknown type", lab.bare(M::Other(24), SaType::Unspec), 22),
        ("RSVP", lab.bare(M::Dump, SaType::Rsvp), 45),
        ("EXPIRE from a user", lab.bare(M::Expire, SaType::Esp), 22),
        ("SPDDUMP of ESP", lab.bare(M::SpdDump, SaType::Esp), 22),
        ("ADD of no type", Message { header: Header { sa_type: SaType::Unspec, ..add.header }, ..add.clone() }, 22),
        (
            "UPDATE by another",
            Message { header: Header { pid: 999, message_type: M::Update, ..add.header }, ..add },
            22,
        ),
        ("UPDATE of an SPI that is not there", lab.esp(M::Update, 0x77), 22),
        ("REGISTER", lab.bare(M::Register, SaType::Esp), 0),
        ("REGISTER again", lab.bare(M::Register, SaType::Esp), 17),
    ];
    for (what, request, errno) in cases {
        assert_eq!(lab.errno(&request), errno, "{what}");
    }
    let mut request = lab.getspi(0x2000, 0x2000);
    let local = |kind| Extension::Address(kind, Address::host(socket([127, 0, 0, 1])));
    (request.extensions[1], request.extensions[2]) = (local(T::AddressSrc), local(T::AddressDst));
    assert_eq!(lab.errno(&request), 0);
    assert_eq!(lab.errno(&request), 22, "the range is taken");
    request.header.version = 1;
    assert_eq!(lab.errno(&request), 22, "version");
    let mut request = lab.bare(M::Dump, SaType::Unspec);
    request.extensions.push(Extension::Opaque(T::Other(26), &[0; 4]));
    assert_eq!(lab.send(&request).unwrap_err(), "send: Invalid argument");
}

#[test]
fn key_lengths() {
    let mut lab = Lab::new(Dialect::NetBsd);
    for (bytes, errno) in [(31, 22), (32, 0)] {
        let mut request = lab.esp(M::Add, 0x1300);
        request.extensions[4] = Extension::Key(T::KeyAuth, Key::new(&AUTH_KEY[..bytes]).unwrap());
        assert_eq!(lab.errno(&request), errno, "{bytes}");
    }
    let mut request = lab.esp(M::Add, 0x1600);
    request.extensions.truncate(5);
    assert_eq!(lab.errno(&request), 22, "ESP needs an encryption key");
    // AES-GCM needs no other authentication.
    request.extensions[0] = Extension::Sa(Sa { auth: 0, encrypt: 20, ..Sa::named(0x1600) });
    request.extensions[4] = Extension::Key(T::KeyEncrypt, Key::new(&AUTH_KEY[..20]).unwrap());
    assert_eq!(lab.errno(&request), 0);
}

/// The reqid that a DUMP shows of each SA, and its SPI, in the order that they come.
fn listed(lab: &mut Lab) -> Vec<(u32, u32)> {
    let (request, abi) = (lab.bare(M::Dump, SaType::Unspec), lab.abi);
    let entry = |bytes: &Vec<u8>| {
        let message = Message::parse(abi, bytes).unwrap();
        (message.sa2().map_or(0, |sa2| sa2.reqid), message.sa().map_or(0, |sa| sa.spi))
    };
    lab.send(&request).unwrap();
    lab.take_all().iter().map(entry).collect()
}

fn with_reqid(mut request: Message<'static>, reqid: u32) -> Message<'static> {
    request.extensions[1] = Extension::Sa2(Sa2 { mode: 1, reqid, ..Sa2::default() });
    request
}

#[test]
fn reqids_have_16_bits_and_make_groups() {
    let mut lab = Lab::new(Dialect::NetBsd);
    let add = |lab: &mut Lab, spi, reqid| lab.errno(&with_reqid(lab.esp(M::Add, spi), reqid));
    assert_eq!(add(&mut lab, 0x3000, 65541), 0);
    assert_eq!(listed(&mut lab), [(5, 0x3000)]);
    // One without a reqid joins; another reqid makes a group of its own, where the SPI is free.
    assert_eq!((add(&mut lab, 0x3001, 0), add(&mut lab, 0x3000, 0), add(&mut lab, 0x3000, 6)), (0, 17, 0));
    assert_eq!(listed(&mut lab), [(6, 0x3000), (5, 0x3001), (5, 0x3000)]);
    // An UPDATE finds the group by the reqid, and changes neither that nor the mode.
    let update = |lab: &mut Lab, spi, reqid| lab.errno(&with_reqid(lab.esp(M::Update, spi), reqid));
    assert_eq!((update(&mut lab, 0x3001, 7), update(&mut lab, 0x3001, 6), update(&mut lab, 0x3001, 5)), (2, 22, 0));
    assert_eq!(listed(&mut lab), [(6, 0x3000), (5, 0x3001), (5, 0x3000)]);
    // A DELETE does not ask for the reqid.
    let delete = lab.named(M::Delete, 0x3000);
    assert_eq!(lab.errno(&delete), 0);
    assert_eq!(listed(&mut lab), [(5, 0x3001), (5, 0x3000)]);
    assert_eq!((lab.errno(&delete), lab.errno(&delete)), (0, 2));
    let mut all = lab.named(M::Delete, 0);
    all.extensions.remove(0);
    assert_eq!((lab.errno(&all), listed(&mut lab)), (0, vec![(0, 0)]), "the answer to DUMP has no entries");
}

#[test]
fn an_spi_of_another_host_is_given_twice() {
    let mut lab = Lab::new(Dialect::NetBsd);
    let add = lab.esp(M::Add, 0x3000);
    let mut getspi = lab.getspi(0x3000, 0x3000);
    getspi.extensions[0] = Extension::Sa2(Sa2 { mode: 1, reqid: 7, ..Sa2::default() });
    assert_eq!((lab.errno(&add), lab.errno(&getspi)), (0, 0));
    // The first that is found is the mature one.
    let get = lab.named(M::Get, 0x3000);
    let state = |lab: &mut Lab| {
        let answers = lab.ask(&get);
        Message::parse(lab.abi, &answers[0]).unwrap().sa().map(|sa| sa.state)
    };
    assert_eq!(state(&mut lab), Some(SaState::Mature));
    let delete = lab.named(M::Delete, 0x3000);
    assert_eq!(lab.errno(&delete), 0);
    assert_eq!(state(&mut lab), Some(SaState::Larval));
    assert_eq!((lab.errno(&delete), lab.errno(&delete)), (0, 2));
}

#[test]
fn register_lists() {
    let mut lab = Lab::new(Dialect::NetBsd);
    let request = lab.bare(M::Register, SaType::Esp);
    let answer = lab.ask(&request).remove(0);
    // Three of the hashes were not in the list of the kernel that the others are of.
    assert_eq!(answer.len(), 176 + 3 * 8);
    let expected = "  14 000000000200800080000000";
    assert!(show(&answer).contains(expected), "{}", show(&answer));
    assert!(show(&answer).contains("  15 0000000002084000400000000308c000c000000006082800800000000708280"), "ciphers");
}
