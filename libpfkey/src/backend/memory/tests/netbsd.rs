//! What a NetBSD kernel was seen to answer to these requests. Differences: it showed the time it booted as the time
//! of first use, and stale memory behind the SPI of GETSPI's answer.

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
          2 000000000000000000000000e8030000000000000000000000000000
          5 ff200000100200000a0000010000000000000000
          6 ff200000100200000a0000020000000000000000
          8 000100006161616161616161616161616161616161616161616161616161616161616161
          9 8000000065656565656565656565656565656565
          20 00000000
        type 10 errno 0 satype 3 len 200 resv 1 seq 0 pid 4242
          1 000012340401050c00000000
          19 010000000000000007000000
          2 000000000000000000000000e8030000000000000000000000000000
          5 ff200000100200000a0000010000000000000000
          6 ff200000100200000a0000020000000000000000
          8 000100006161616161616161616161616161616161616161616161616161616161616161
          9 8000000065656565656565656565656565656565
          20 00000000
        # GET
        type 5 errno 0 satype 3 len 200 resv 1 seq 0 pid 4242
          1 000012340401050c00000000
          19 010000000000000007000000
          2 000000000000000000000000e8030000000000000000000000000000
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
