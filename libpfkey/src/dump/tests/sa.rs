use expect_test::{Expect, expect};

use super::*;
use crate::dump::sa::{largest, sa_entry};
use crate::wire::{XfrmAuthTrunc, XfrmMark, XfrmOffload, XfrmReplay};

fn sa(auth: u8, encrypt: u8) -> Extension<'static> {
    let flags = SaFlags::CYCSEQ;
    Extension::Sa(Sa { spi: 0x1001, replay: 32, state: SaState::Mature, auth, encrypt, flags })
}

fn sa2(mode: u8, reqid: u32) -> Extension<'static> {
    Extension::Sa2(Sa2 { mode, reqid, sequence: 5, ..Sa2::default() })
}

fn key(kind: T, bytes: &[u8]) -> Extension<'_> {
    Extension::Key(kind, Key::new(bytes).unwrap())
}

fn entry(sa_type: SaType, extensions: Vec<Extension<'_>>) -> Message<'_> {
    let mut all = vec![host(T::AddressSrc, "10.0.0.1:500"), host(T::AddressDst, "10.0.0.2:0")];
    all.extend(extensions);
    message(MessageType::Dump, sa_type, all)
}

#[track_caller]
fn prints(message: &Message<'_>, ports: bool, now: u64, expected: &Expect) {
    let mut out = String::new();
    sa_entry(&mut out, message, &Options { ports, now: i64::try_from(now).unwrap() });
    expected.assert_eq(&without_times(&out));
}

#[test]
fn esp() {
    let esp = entry(
        SaType::Esp,
        vec![sa(3, 12), sa2(2, 0x4001), key(T::KeyEncrypt, &[0x11; 16]), key(T::KeyAuth, &[0xab; 20])],
    );
    prints(
        &esp,
        false,
        0,
        &expect![[r#"
        10.0.0.1 10.0.0.2 
        	esp mode=tunnel spi=4097(0x00001001) reqid=16385(0x00004001)
        	E: aes-cbc  11111111 11111111 11111111 11111111
        	A: hmac-sha1  abababab abababab abababab abababab abababab
        	seq=0x00000005 replay=32 flags=0x00000040 state=mature 
        	sadb_seq=3 pid=77 refcnt=1
    "#]],
    );
    prints(
        &esp,
        true,
        0,
        &expect![[r#"
        10.0.0.1[500] 10.0.0.2[0] 
        	esp mode=tunnel spi=4097(0x00001001) reqid=16385(0x00004001)
        	E: aes-cbc  11111111 11111111 11111111 11111111
        	A: hmac-sha1  abababab abababab abababab abababab abababab
        	seq=0x00000005 replay=32 flags=0x00000040 state=mature 
        	sadb_seq=3 pid=77 refcnt=1
    "#]],
    );
}

#[test]
fn ah_with_a_key_longer_than_a_line() {
    let bytes: Vec<u8> = (0..64).collect();
    let mut ah = entry(SaType::Ah, vec![sa(7, 0), sa2(1, 0), key(T::KeyAuth, &bytes)]);
    ah.extensions[0] = host(T::AddressSrc, "[2001:db8::1]:0");
    ah.extensions[1] = host(T::AddressDst, "[2001:db8::2]:0");
    prints(
        &ah,
        false,
        0,
        &expect![[r#"
        2001:db8::1 2001:db8::2 
        	ah mode=transport spi=4097(0x00001001) reqid=0(0x00000000)
        	A: hmac-sha512  00010203 04050607 08090a0b 0c0d0e0f 10111213 14151617 18191a1b 1c1d1e1f
         20212223 24252627 28292a2b 2c2d2e2f 30313233 34353637 38393a3b 3c3d3e3f
        	seq=0x00000005 replay=32 flags=0x00000040 state=mature 
        	sadb_seq=3 pid=77 refcnt=1
    "#]],
    );
}

#[test]
fn ipcomp_has_no_newline_after_its_algorithm() {
    prints(
        &entry(SaType::IpComp, vec![sa(0, 2), sa2(0, 0)]),
        false,
        0,
        &expect![[r#"
        10.0.0.1 10.0.0.2 
        	ipcomp mode=any spi=4097(0x00001001) reqid=0(0x00000000)
        	C: deflate 	seq=0x00000005 replay=32 flags=0x00000040 state=mature 
        	sadb_seq=3 pid=77 refcnt=1
    "#]],
    );
}

#[test]
fn natt() {
    let with = |kind, sa_type| {
        let ports = [Extension::NatTPort(T::NatTSport, 4500), Extension::NatTPort(T::NatTDport, 40000)];
        let mut message = entry(sa_type, vec![sa(2, 11), sa2(1, 0), Extension::NatTType(kind)]);
        message.extensions.extend(ports);
        message
    };
    let mut esp = with(2, SaType::Esp);
    esp.extensions.push(host(T::NatTOaInitiator, "192.168.1.1:0"));
    prints(
        &esp,
        true,
        0,
        &expect![[r#"
        10.0.0.1[500][4500] 10.0.0.2[0][40000] 
        	esp-udp mode=transport spi=4097(0x00001001) reqid=0(0x00000000)
        	NAT OA=192.168.1.1
        	seq=0x00000005 replay=32 flags=0x00000040 state=mature 
        	sadb_seq=3 pid=77 refcnt=1
    "#]],
    );
    prints(
        &with(2, SaType::Ah),
        false,
        0,
        &expect![[r#"
        10.0.0.1[4500] 10.0.0.2[40000] 
        	natt+ah mode=transport spi=4097(0x00001001) reqid=0(0x00000000)
        	seq=0x00000005 replay=32 flags=0x00000040 state=mature 
        	sadb_seq=3 pid=77 refcnt=1
    "#]],
    );
    // NetBSD always sends the type; 0 is no NAT-T.
    prints(
        &with(0, SaType::Esp),
        false,
        0,
        &expect![[r#"
        10.0.0.1 10.0.0.2 
        	esp mode=transport spi=4097(0x00001001) reqid=0(0x00000000)
        	seq=0x00000005 replay=32 flags=0x00000040 state=mature 
        	sadb_seq=3 pid=77 refcnt=1
    "#]],
    );
}

#[test]
fn lifetimes() {
    let hard = Lifetime { allocations: 10, bytes: u64::MAX, addtime: 3600, usetime: 1800 };
    let soft = Lifetime { allocations: 8, bytes: 900, addtime: 2880, usetime: 1440 };
    let current = Lifetime { allocations: 2, bytes: 168, addtime: THEN, usetime: THEN };
    let mut esp = entry(SaType::Esp, vec![sa(0, 11), sa2(1, 0), Extension::Lifetime(T::LifetimeCurrent, current)]);
    prints(
        &esp,
        false,
        THEN + 90,
        &expect![[r#"
        10.0.0.1 10.0.0.2 
        	esp mode=transport spi=4097(0x00001001) reqid=0(0x00000000)
        	seq=0x00000005 replay=32 flags=0x00000040 state=mature 
        	created: <then>	current: <now>
        	diff: 90(s)	hard: 0(s)	soft: 0(s)
        	last: <then>	hard: 0(s)	soft: 0(s)
        	current: 168(bytes)	hard: 0(bytes)	soft: 0(bytes)
        	allocated: 2	hard: 0	soft: 0
        	sadb_seq=3 pid=77 refcnt=1
    "#]],
    );
    esp.extensions.push(Extension::Lifetime(T::LifetimeHard, hard));
    esp.extensions.push(Extension::Lifetime(T::LifetimeSoft, soft));
    prints(
        &esp,
        false,
        THEN + 90,
        &expect![[r#"
        10.0.0.1 10.0.0.2 
        	esp mode=transport spi=4097(0x00001001) reqid=0(0x00000000)
        	seq=0x00000005 replay=32 flags=0x00000040 state=mature 
        	created: <then>	current: <now>
        	diff: 90(s)	hard: 3600(s)	soft: 2880(s)
        	last: <then>	hard: 1800(s)	soft: 1440(s)
        	current: 168(bytes)	hard: 18446744073709551615(bytes)	soft: 900(bytes)
        	allocated: 2	hard: 10	soft: 8
        	sadb_seq=3 pid=77 refcnt=1
    "#]],
    );
    let unused = Lifetime::default();
    esp.extensions[4] = Extension::Lifetime(T::LifetimeCurrent, unused);
    prints(
        &esp,
        false,
        THEN + 90,
        &expect![[r#"
        10.0.0.1 10.0.0.2 
        	esp mode=transport spi=4097(0x00001001) reqid=0(0x00000000)
        	seq=0x00000005 replay=32 flags=0x00000040 state=mature 
        	created:                     	current: <now>
        	diff: 0(s)	hard: 3600(s)	soft: 2880(s)
        	last:                     	hard: 1800(s)	soft: 1440(s)
        	current: 0(bytes)	hard: 18446744073709551615(bytes)	soft: 900(bytes)
        	allocated: 0	hard: 10	soft: 8
        	sadb_seq=3 pid=77 refcnt=1
    "#]],
    );
}

#[test]
fn security_label() {
    let label = SecurityContext { algorithm: 1, doi: 1, label: b"user:role:type:s0\0" };
    prints(
        &entry(SaType::Esp, vec![sa(0, 11), sa2(1, 0), Extension::SecurityContext(label)]),
        false,
        0,
        &expect![[r#"
        10.0.0.1 10.0.0.2 
        	esp mode=transport spi=4097(0x00001001) reqid=0(0x00000000)
        	seq=0x00000005 replay=32 flags=0x00000040 state=mature 
        	security context doi: 1
        	security context algorithm: 1
        	security context length: 18
        	security context: user:role:type:s0
        	sadb_seq=3 pid=77 refcnt=1
    "#]],
    );
    // What a terminal could take for a command is not sent to it.
    let hostile = SecurityContext { algorithm: 1, doi: 1, label: b"\x1b[2J\xff\n" };
    let mut out = String::new();
    let hostile = entry(SaType::Esp, vec![sa(0, 11), sa2(1, 0), Extension::SecurityContext(hostile)]);
    sa_entry(&mut out, &hostile, &Options::default());
    assert!(out.contains("\tsecurity context: \\u{1b}[2J\u{fffd}\\n\n"), "{out}");
}

/// Or else it would grow behind its keys, and leave a copy of them where it was.
#[test]
fn there_is_room_for_the_longest() {
    let ipv6 = |kind| host(kind, "[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
    let most = Lifetime { allocations: u32::MAX, bytes: u64::MAX, addtime: u64::MAX, usetime: u64::MAX };
    let mark = XfrmMark { value: u32::MAX, mask: u32::MAX };
    let extensions = vec![
        ipv6(T::AddressSrc),
        ipv6(T::AddressDst),
        Extension::NatTType(2),
        Extension::NatTPort(T::NatTSport, u16::MAX),
        Extension::NatTPort(T::NatTDport, u16::MAX),
        ipv6(T::NatTOaInitiator),
        Extension::Sa(Sa { spi: u32::MAX, replay: 255, auth: 255, encrypt: 255, ..Sa::named(u32::MAX) }),
        Extension::Sa2(Sa2 { mode: 255, reqid: u32::MAX, sequence: u32::MAX, ..Sa2::default() }),
        key(T::KeyEncrypt, &[0xee; 8191]),
        key(T::KeyAuth, &[0xaa; 8191]),
        Extension::Lifetime(T::LifetimeCurrent, most),
        Extension::Lifetime(T::LifetimeHard, most),
        Extension::Lifetime(T::LifetimeSoft, most),
        Extension::SecurityContext(SecurityContext { algorithm: 255, doi: 255, label: &[0x1b; 1000] }),
        Extension::XfrmMark(mark),
        Extension::XfrmOutputMark(mark),
        Extension::XfrmIfId(u32::MAX),
        Extension::XfrmAuthTrunc(XfrmAuthTrunc { icv_bits: u32::MAX, align4: false }),
        Extension::XfrmReplay(XfrmReplay { window: u32::MAX, esn: true }),
        Extension::XfrmOffload(XfrmOffload { interface: u32::MAX, flags: u32::MAX }),
    ];
    let message = message(MessageType::Dump, SaType::Esp, extensions);
    let room = largest(&message);
    for (mut out, capacity) in [(String::with_capacity(room), room), (String::new(), 2 * room)] {
        sa_entry(&mut out, &message, &Options { ports: true, now: i64::MIN });
        assert_eq!(out.capacity(), capacity);
        assert_eq!(out.matches("eeeeeeee eeeeeeee\n").count(), 255);
        assert!(out.lines().last().unwrap().starts_with("\tsadb_seq"), "{out}");
    }
}

#[test]
fn missing_extensions() {
    let text = |extensions: Vec<Extension<'_>>| {
        let mut out = String::new();
        sa_entry(&mut out, &message(MessageType::Dump, SaType::Esp, extensions), &Options::default());
        out
    };
    let (source, destination) = (host(T::AddressSrc, "10.0.0.1:0"), host(T::AddressDst, "10.0.0.2:0"));
    assert_eq!(text(vec![]), "no ADDRESS_SRC extension.\n");
    assert_eq!(text(vec![source.clone()]), "10.0.0.1 no ADDRESS_DST extension.\n");
    assert_eq!(text(vec![source.clone(), destination.clone()]), "10.0.0.1 10.0.0.2 \nno SA extension.\n");
    assert_eq!(text(vec![source, destination, sa(0, 0)]), "10.0.0.1 10.0.0.2 \nno SA2 extension.\n");
}

#[test]
fn names_and_numbers() {
    let second_line = |abi, sa_type, mode| {
        let mut out = String::new();
        let message = Message { abi, ..entry(sa_type, vec![sa(0, 0), sa2(mode, 0)]) };
        sa_entry(&mut out, &message, &Options::default());
        out.lines().nth(1).unwrap().to_owned()
    };
    let tail = "spi=4097(0x00001001) reqid=0(0x00000000)";
    for (sa_type, name) in [
        (SaType::Unspec, "unspec"),
        (SaType::Other(1), "unknown"),
        (SaType::Other(4), "unknown"),
        (SaType::Rsvp, "rsvp"),
        (SaType::OspfV2, "ospfv2"),
        (SaType::RipV2, "ripv2"),
        (SaType::Mip, "mip"),
        (SaType::Policy, "policy"),
        (SaType::TcpSignature, "tcp"),
        (SaType::Other(200), "200"),
    ] {
        assert_eq!(second_line(FREEBSD, sa_type, 0), format!("\t{name} mode=any {tail}"));
    }
    assert_eq!(second_line(LINUX, SaType::Esp, 3), format!("\tesp mode=3 {tail}"));
}

#[test]
fn algorithm_names_and_states() {
    let lines = |abi, auth, encrypt, state| {
        let mut out = String::new();
        let sa = Extension::Sa(Sa { auth, encrypt, state, ..Sa::named(256) });
        let keys = [key(T::KeyEncrypt, &[1]), key(T::KeyAuth, &[2])];
        let mut message = entry(SaType::Esp, vec![sa, sa2(0, 0)]);
        message.abi = abi;
        message.extensions.extend(keys);
        sa_entry(&mut out, &message, &Options::default());
        let lines: Vec<&str> = out.lines().skip(2).take(3).collect();
        lines.join("|")
    };
    let tail = |state| format!("\tseq=0x00000005 replay=0 flags=0x00000000 state={state} ");
    let mature = SaState::Mature;
    assert_eq!(lines(LINUX, 5, 22, mature), format!("\tE: camellia-cbc  01|\tA: hmac-sha256  02|{}", tail("mature")));
    assert_eq!(lines(LINUX, 99, 98, mature), format!("\tE: 98  01|\tA: 99  02|{}", tail("mature")));
    assert_eq!(lines(FREEBSD, 249, 15, SaState::Larval), {
        format!("\tE: chacha20-poly1305  01|\tA: md5  02|{}", tail("larval"))
    });
    let darwin = Abi { dialect: Dialect::Darwin, ..LINUX };
    assert_eq!(lines(darwin, 2, 2, SaState::Dying), format!("\tE: 3des-cbc  01|\tA: hmac-sha1  02|{}", tail("dying")));
    assert_eq!(lines(LINUX, 0, 0, SaState::Dead), format!("\tE: none  01|\tA: none  02|{}", tail("dead")));
    assert_eq!(lines(LINUX, 251, 11, SaState::Other(9)), format!("\tE: null  01|\tA: null  02|{}", tail("9")));
}

#[test]
fn what_only_netlink_tells() {
    let sha256 = |extra: Vec<Extension<'static>>| {
        let mut all = vec![sa(5, 12), sa2(1, 0), key(T::KeyEncrypt, &[0x11; 16]), key(T::KeyAuth, &[0xab; 32])];
        all.extend(extra);
        entry(SaType::Esp, all)
    };
    let all = sha256(vec![
        Extension::XfrmAuthTrunc(XfrmAuthTrunc { icv_bits: 128, align4: false }),
        Extension::XfrmReplay(XfrmReplay { window: 128, esn: true }),
        Extension::XfrmMark(XfrmMark { value: 1, mask: 0xff }),
        Extension::XfrmOutputMark(XfrmMark { value: 0x20, mask: u32::MAX }),
        Extension::XfrmIfId(7),
        // No interface has this index.
        Extension::XfrmOffload(XfrmOffload { interface: 0x7fff_ffff, flags: 4 }),
    ]);
    prints(
        &all,
        false,
        0,
        &expect![[r#"
        10.0.0.1 10.0.0.2 
        	esp mode=transport spi=4097(0x00001001) reqid=0(0x00000000)
        	E: aes-cbc  11111111 11111111 11111111 11111111
        	A: hmac-sha2-256-128  abababab abababab abababab abababab abababab abababab abababab abababab
        	seq=0x00000005 replay=32 flags=0x00000040 state=mature 
        	mark=0x1/0xff output-mark=0x20/0xffffffff if-id=7 window=128 esn offload=packet dev #2147483647
        	sadb_seq=3 pid=77 refcnt=1
    "#]],
    );
    let odd = sha256(vec![
        Extension::XfrmAuthTrunc(XfrmAuthTrunc { icv_bits: 160, align4: false }),
        Extension::XfrmReplay(XfrmReplay { window: 64, esn: false }),
    ]);
    prints(
        &odd,
        false,
        0,
        &expect![[r#"
        10.0.0.1 10.0.0.2 
        	esp mode=transport spi=4097(0x00001001) reqid=0(0x00000000)
        	E: aes-cbc  11111111 11111111 11111111 11111111
        	A: hmac-sha256  abababab abababab abababab abababab abababab abababab abababab abababab
        	seq=0x00000005 replay=32 flags=0x00000040 state=mature 
        	icv=160 window=64
        	sadb_seq=3 pid=77 refcnt=1
    "#]],
    );
}
