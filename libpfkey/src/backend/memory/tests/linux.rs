//! What Linux was seen to answer.

use expect_test::expect;

use super::*;
use crate::num::MessageType as M;

#[test]
fn sas() {
    let mut lab = Lab::new(Dialect::Linux);
    let mut text = String::new();
    let mut request = lab.esp(M::Add, 0x1001);
    request.extensions.extend(limits(100, 80));
    request.extensions.push(Extension::NatTType(2));
    request.extensions.push(Extension::NatTPort(T::NatTSport, 4500));
    request.extensions.push(Extension::NatTPort(T::NatTDport, 4500));
    lab.show(&mut text, "ADD", &request);
    lab.show(&mut text, "ADD again", &request);
    let request = lab.getspi(0x2000, 0x2000);
    lab.show(&mut text, "GETSPI", &request);
    let request = lab.esp(M::Update, 0x2000);
    lab.show(&mut text, "UPDATE of a larval SA", &request);
    let request = lab.named(M::Delete, 0x1001);
    lab.show(&mut text, "DELETE", &request);
    let request = lab.bare(M::Flush, SaType::Unspec);
    lab.show(&mut text, "FLUSH", &request);
    lab.show(&mut text, "FLUSH of nothing", &request);
    expect![[r#"
        # ADD
        type 3 errno 0 satype 3 len 304 resv 0 seq 0 pid 4242
          1 000010010401050c00000000
          3 00000000000000000000000064000000000000000000000000000000
          4 00000000000000000000000050000000000000000000000000000000
          2 000000000000000000000000e8030000000000000000000000000000
          5 00200000020000000a0000010000000000000000
          6 00200000020000000a0000020000000000000000
          7 ff00000002000000000000000000000000000000
          8 000100006161616161616161616161616161616161616161616161616161616161616161
          9 8000000065656565656565656565656565656565
          19 010000000000000007000000
          20 02000000
          21 11940000
          22 11940000
        # ADD again
        type 3 errno 17 satype 3 len 16 resv 0 seq 0 pid 4242
        # GETSPI
        type 1 errno 0 satype 3 len 192 resv 0 seq 0 pid 4242
          1 000020000000000000000000
          3 0000000000000000000000001e000000000000000000000000000000
          4 00000000000000000000000000000000000000000000000000000000
          2 000000000000000000000000e8030000000000000000000000000000
          5 00200000020000000a0000010000000000000000
          6 00200000020000000a0000020000000000000000
          19 020000000000000009000000
        # UPDATE of a larval SA
        type 2 errno 0 satype 3 len 280 resv 0 seq 0 pid 4242
          1 000020000401050c00000000
          3 00000000000000000000000000000000000000000000000000000000
          4 00000000000000000000000000000000000000000000000000000000
          2 000000000000000000000000e8030000000000000000000000000000
          5 00200000020000000a0000010000000000000000
          6 00200000020000000a0000020000000000000000
          7 ff00000002000000000000000000000000000000
          8 000100006161616161616161616161616161616161616161616161616161616161616161
          9 8000000065656565656565656565656565656565
          19 010000000000000007000000
        # DELETE
        type 4 errno 0 satype 3 len 304 resv 0 seq 0 pid 4242
          1 000010010403050c00000000
          3 00000000000000000000000064000000000000000000000000000000
          4 00000000000000000000000050000000000000000000000000000000
          2 000000000000000000000000e8030000000000000000000000000000
          5 00200000020000000a0000010000000000000000
          6 00200000020000000a0000020000000000000000
          7 ff00000002000000000000000000000000000000
          8 000100006161616161616161616161616161616161616161616161616161616161616161
          9 8000000065656565656565656565656565656565
          19 010000000000000007000000
          20 02000000
          21 11940000
          22 11940000
        # FLUSH
        type 9 errno 0 satype 0 len 16 resv 0 seq 0 pid 4242
        type 9 errno 0 satype 0 len 16 resv 0 seq 0 pid 4242
        # FLUSH of nothing
        type 9 errno 0 satype 0 len 16 resv 0 seq 0 pid 4242
    "#]]
    .assert_eq(&text);
}

#[test]
fn policies() {
    let mut lab = Lab::new(Dialect::Linux);
    let mut text = String::new();
    let request = lab.policy(M::SpdSetIdx, 2, 2, vec![tunnel(3, 0)]);
    lab.show(&mut text, "SPDSETIDX", &request);
    let request = lab.policy(M::SpdAdd, 1, 2, vec![]);
    lab.show(&mut text, "SPDADD without steps", &request);
    let request = lab.policy(M::SpdUpdate, 2, 0, vec![]);
    lab.show(&mut text, "SPDUPDATE keeps the id", &request);
    let request = lab.policy(M::SpdAdd, 3, 1, vec![]);
    lab.ask(&request);
    let request = lab.bare(M::SpdDump, SaType::Unspec);
    lab.show(&mut text, "SPDDUMP", &request);
    let request = lab.by_id(M::SpdDelete2, 1);
    lab.show(&mut text, "SPDDELETE2", &request);
    expect![[r#"
        # SPDSETIDX
        type 14 errno 0 satype 0 len 224 resv 3 seq 0 pid 4242
          5 ff100000020000000a0100000000000000000000
          6 ff100000020000000a0200000000000000000000
          3 00000000000000000000000000000000000000000000000000000000
          4 00000000000000000000000000000000000000000000000000000000
          2 000000000000000000000000e8030000000000000000000000000000
          18 02000200010000000000000030003200020300000040000000000000020000000a0000010000000000000000020000000a0000020000000000000000
        # SPDADD without steps
        type 14 errno 0 satype 0 len 176 resv 3 seq 0 pid 4242
          5 ff100000020000000a0100000000000000000000
          6 ff100000020000000a0200000000000000000000
          3 00000000000000000000000000000000000000000000000000000000
          4 00000000000000000000000000000000000000000000000000000000
          2 000000000000000000000000e8030000000000000000000000000000
          18 010001000800000000000000
        # SPDUPDATE keeps the id
        type 13 errno 0 satype 0 len 176 resv 3 seq 0 pid 4242
          5 ff100000020000000a0100000000000000000000
          6 ff100000020000000a0200000000000000000000
          3 00000000000000000000000000000000000000000000000000000000
          4 00000000000000000000000000000000000000000000000000000000
          2 000000000000000000000000e8030000000000000000000000000000
          18 000002000100000000000000
        # SPDDUMP
        type 18 errno 0 satype 0 len 176 resv 1 seq 1 pid 4242
          5 ff100000020000000a0100000000000000000000
          6 ff100000020000000a0200000000000000000000
          3 00000000000000000000000000000000000000000000000000000000
          4 00000000000000000000000000000000000000000000000000000000
          2 000000000000000000000000e8030000000000000000000000000000
          18 010003001200000000000000
        type 18 errno 0 satype 0 len 176 resv 1 seq 2 pid 4242
          5 ff100000020000000a0100000000000000000000
          6 ff100000020000000a0200000000000000000000
          3 00000000000000000000000000000000000000000000000000000000
          4 00000000000000000000000000000000000000000000000000000000
          2 000000000000000000000000e8030000000000000000000000000000
          18 000002000100000000000000
        type 18 errno 0 satype 0 len 176 resv 1 seq 0 pid 4242
          5 ff100000020000000a0100000000000000000000
          6 ff100000020000000a0200000000000000000000
          3 00000000000000000000000000000000000000000000000000000000
          4 00000000000000000000000000000000000000000000000000000000
          2 000000000000000000000000e8030000000000000000000000000000
          18 010001000800000000000000
        # SPDDELETE2
        type 22 errno 0 satype 0 len 176 resv 1 seq 0 pid 4242
          5 ff100000020000000a0100000000000000000000
          6 ff100000020000000a0200000000000000000000
          3 00000000000000000000000000000000000000000000000000000000
          4 00000000000000000000000000000000000000000000000000000000
          2 000000000000000000000000e8030000000000000000000000000000
          18 000002000100000000000000
    "#]].assert_eq(&text);
}

#[test]
fn dumps_are_newest_first_and_end_with_0() {
    let mut lab = Lab::new(Dialect::Linux);
    for spi in [0x101, 0x102, 0x103] {
        let request = lab.esp(M::Add, spi);
        assert_eq!(lab.errno(&request), 0);
    }
    let request = lab.bare(M::Dump, SaType::Esp);
    let entries: Vec<_> = lab.ask(&request).iter().map(|entry| seq_and_spi(lab.abi, entry)).collect();
    assert_eq!(entries, [(1, 0x103), (2, 0x102), (0, 0x101)]);
}

fn seq_and_spi(abi: Abi, entry: &[u8]) -> (u32, u32) {
    let entry = Message::parse(abi, entry).unwrap();
    (entry.header.seq, entry.sa().unwrap().spi)
}

#[test]
fn errnos() {
    let mut lab = Lab::new(Dialect::Linux);
    let add = lab.esp(M::Add, 0x1001);
    assert_eq!(lab.errno(&add), 0);
    let aead = Extension::Sa(Sa { encrypt: 20, ..Sa::named(0x1002) });
    let mut unknown = lab.esp(M::Add, 0x1002);
    unknown.extensions[0] = aead;
    let mut no_soft = lab.esp(M::Add, 0x1003);
    no_soft.extensions.push(limits(60, 48)[0].clone());
    let seven = vec![tunnel(2, 0); 7];
    let cases = [
        ("DUMP of policies there are not", lab.bare(M::SpdDump, SaType::Unspec), 2),
        ("ADD again", lab.esp(M::Add, 0x1001), 17),
        ("ADD of an AEAD", unknown, 38),
        ("ADD with a hard limit alone", no_soft, 22),
        ("ADD of no type", Message { header: Header { sa_type: SaType::Unspec, ..add.header }, ..add }, 93),
        ("UPDATE of nothing", lab.esp(M::Update, 0x77), 3),
        ("GET of nothing", lab.named(M::Get, 0x77), 3),
        ("DELETE of nothing", lab.named(M::Delete, 0x77), 3),
        ("GETSPI of a taken SPI", lab.getspi(0x1001, 0x1001), 2),
        ("GETSPI backwards", lab.getspi(0x300, 0x200), 22),
        ("EXPIRE from a user", lab.bare(M::Expire, SaType::Esp), 95),
        ("FLUSH of RSVP", lab.bare(M::Flush, SaType::Rsvp), 22),
        ("MIGRATE", lab.bare(M::Migrate, SaType::Unspec), 92),
        ("SPDADD bypass", lab.policy(M::SpdAdd, 2, 4, vec![]), 22),
        ("SPDADD of seven steps", lab.policy(M::SpdAdd, 2, 2, seven), 40),
        ("SPDADD out of an optional tunnel", lab.policy(M::SpdAdd, 2, 2, vec![tunnel(1, 0)]), 22),
        ("SPDADD to nowhere", lab.policy(M::SpdAdd, 4, 0, vec![]), 22),
        ("SPDDELETE of nothing", lab.policy(M::SpdDelete, 1, 0, vec![]), 2),
        ("SPDDELETE2 of nothing", lab.by_id(M::SpdDelete2, 8), 2),
        ("SPDDELETE2 of a socket's", lab.by_id(M::SpdDelete2, 11), 22),
        ("REGISTER", lab.bare(M::Register, SaType::Esp), 0),
        ("REGISTER again", lab.bare(M::Register, SaType::Esp), 17),
        ("REGISTER of no type, twice", lab.bare(M::Register, SaType::Unspec), 0),
        ("PROMISC 2", lab.bare(M::Promisc, SaType::Ah), 22),
    ];
    for (what, request, errno) in cases {
        assert_eq!(lab.errno(&request), errno, "{what}");
    }
}

#[test]
fn what_send_refuses() {
    let mut lab = Lab::new(Dialect::Linux);
    let mut bytes = Vec::new();
    lab.bare(M::Dump, SaType::Unspec).emit(&mut bytes).unwrap();
    let mut send = |bytes: &[u8]| lab.backend.send(bytes).map_err(|error| error.to_string());
    assert_eq!(send(&bytes[..15]).unwrap_err(), "send: Message too long");
    assert_eq!(send(&[bytes.as_slice(), &[0; 8]].concat()).unwrap_err(), "send: Message too long");
    for (at, value) in [(0, 1), (1, 0), (1, 25), (6, 1)] {
        let mut bad = bytes.clone();
        bad[at] = value;
        assert_eq!(send(&bad).unwrap_err(), "send: Invalid argument", "byte {at}");
    }
    assert_eq!(lab.take(), None);
}

#[test]
fn register_lists() {
    let mut lab = Lab::new(Dialect::Linux);
    let request = lab.bare(M::Register, SaType::Unspec);
    let answer = lab.ask(&request).remove(0);
    let answer = Message::parse(lab.abi, &answer).unwrap();
    let list = |kind| -> Vec<_> {
        answer.supported(kind).unwrap().iter().map(|a| (a.id, a.iv_len, a.min_bits, a.max_bits)).collect()
    };
    let auth: Vec<u8> = list(T::SupportedAuth).iter().map(|a| a.0).collect();
    assert_eq!(auth, [251, 2, 3, 5, 6, 7, 8, 9]);
    let ciphers = list(T::SupportedEncrypt);
    assert_eq!(ciphers.iter().map(|a| a.0).collect::<Vec<_>>(), [11, 2, 3, 6, 7, 12, 252, 22, 253, 13]);
    assert_eq!((ciphers[0], ciphers[9]), ((11, 0, 0, 0), (13, 8, 160, 288)));
    assert_eq!(answer.header.words, 22);
}

#[test]
fn aes_has_three_key_lengths() {
    let mut lab = Lab::new(Dialect::Linux);
    for (bytes, errno) in [(15, 22), (16, 0), (17, 22), (24, 0), (32, 0), (33, 22)] {
        let mut request = lab.esp(M::Add, 0x3000 + bytes);
        let key = vec![1; bytes as usize];
        request.extensions[5] = Extension::Key(T::KeyEncrypt, Key::new(&key).unwrap());
        assert_eq!(lab.errno(&request), errno, "{bytes}");
    }
}
