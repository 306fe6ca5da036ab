//! Tests of lines and of the file.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use libpfkey::request::RequestHeader;
use libpfkey::wire::{Address, Builder, Header, Key, Lifetime, Sa, Sa2, XfrmAuthTrunc, XfrmReplay};
use libpfkey::{Abi, Extension, MessageType, SaFlags, SaState};

use super::*;

fn saved(at: u64) -> SavedSa {
    SavedSa {
        source: "192.0.2.1".parse().unwrap(),
        destination: "192.0.2.2".parse().unwrap(),
        sa_type: 3,
        spi: 0x1001,
        mode: 2,
        reqid: 7,
        window: 32,
        encrypt: 12,
        auth: 5,
        flags: 0,
        limits: [0, 1024, 3600, 0],
        keys: [Zeroizing::new(vec![0x01, 0xab]), Zeroizing::new(vec![0xff])],
        at,
        extensions: vec![("icv", [128, 0]), ("replay", [64, 1])],
        inside: Some("::".parse().unwrap()),
    }
}

const FIELDS: &str = "%192.0.2.1 192.0.2.2 3 4097 2 7 32 12 16 5 8 0 0 1024 3600 0 0 01abff at=1000 icv=128,0 \
                      replay=64,1 inside=::\n";

#[test]
fn line_round_trips() {
    let line = saved(1000).line();
    let (date, fields) = line.split_at(20);
    assert!(date.ends_with(" 1970"), "{date}");
    assert_eq!(fields, FIELDS);
    assert_eq!(SavedSa::parse(line.trim_end()), Some(saved(1000)));
}

#[test]
fn longest_line_fits_the_buffer() {
    let address = || "2001:db8:1111:2222:3333:4444:5555:6666".parse().unwrap();
    let longest = SavedSa {
        source: address(),
        destination: address(),
        sa_type: u8::MAX,
        spi: u32::MAX,
        mode: u8::MAX,
        reqid: u32::MAX,
        window: u8::MAX,
        encrypt: u8::MAX,
        auth: u8::MAX,
        flags: u32::MAX,
        limits: [u64::MAX; 4],
        keys: [56, 64].map(|length| Zeroizing::new(vec![0xff; length])),
        at: u64::from(u32::MAX),
        extensions: EXTENSIONS.map(|(word, _)| (word, [u32::MAX; 2])).into(),
        inside: Some(address()),
    };
    assert_eq!(longest.line().capacity(), LINE_MAX);
}

#[test]
fn invalid_lines() {
    let good = saved(1000).line();
    let good = good.trim_end();
    for end in 0..good.len() {
        // Cut within its last fields, a line may still be valid.
        let _ = SavedSa::parse(&good[..end]);
    }
    for bad in [
        "",
        "%",
        "no date",
        &good.replace("01abff", "01abf"),
        &good.replace("01abff", "01ab"),
        &good.replace(" 16 ", " 9999 "),
    ] {
        assert_eq!(SavedSa::parse(bad), None, "{bad}");
    }
    for bad in [good.replace("at=1000", "1000"), good.replace("icv", "xyz"), good.replace("192.0.2.2", "host")] {
        assert_eq!(SavedSa::parse(&bad), None, "{bad}");
    }
}

#[test]
fn remaining_lifetime() {
    assert_eq!(saved(1000).left(1000), Some(3600));
    assert_eq!(saved(1000).left(4599), Some(1));
    assert_eq!(saved(1000).left(4600), None);
    assert_eq!(saved(1000).left(900), Some(3600), "a clock that was set back");
    assert_eq!(SavedSa { limits: [0; 4], ..saved(1000) }.left(u64::MAX), Some(0), "for ever");
}

#[test]
fn expired_sas_are_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sa.backup");
    let mut backup = Backup::open(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let living = saved(since_1970());
    let mut text = format!("{}{}gibberish\n", *saved(1000).line(), *living.line()).into_bytes();
    text.extend(b"\xff\xfe\n");
    fs::write(&path, text).unwrap();
    assert_eq!(backup.restore().unwrap(), (vec![living.clone()], 2));
    assert_eq!(fs::read_to_string(&path).unwrap(), *living.line());
    backup.clear().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn later_line_of_a_name_wins() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sa.backup");
    let (old, other) = (saved(since_1970()), SavedSa { spi: 0x1002, ..saved(since_1970()) });
    let new = SavedSa { keys: [Zeroizing::new(vec![0x02, 0xab]), Zeroizing::new(vec![0xff])], ..old.clone() };
    let mut backup = Backup::open(&path).unwrap();
    fs::write(&path, format!("{}{}{}", *old.line(), *other.line(), *new.line())).unwrap();
    assert_eq!(backup.restore().unwrap(), (vec![other, new], 0));
}

#[test]
fn oversized_file_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sa.backup");
    let mut backup = Backup::open(&path).unwrap();
    fs::write(&path, saved(since_1970()).line().as_bytes()).unwrap();
    backup.file.set_len(SIZE_MAX + 1).unwrap();
    let error = backup.restore().unwrap_err().to_string();
    assert_eq!(error, format!("{}: file too large", path.display()));
    assert_eq!(fs::metadata(&path).unwrap().len(), SIZE_MAX + 1);
}

fn count(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().count()
}

/// Composes the message that installs an SA.
fn installation(saved: &SavedSa, origin: RequestHeader, buffer: &mut Vec<u8>) -> libpfkey::Result<()> {
    let sa_type = SaType::from_number(origin.abi.dialect, saved.sa_type);
    let header = Header { seq: origin.seq, pid: origin.pid, ..Header::new(MessageType::Add, sa_type) };
    let mut message = Builder::new(origin.abi, header, buffer)?;
    message.push(&Extension::Sa(Sa {
        spi: saved.spi,
        replay: saved.window,
        state: SaState::Larval,
        auth: saved.auth,
        encrypt: saved.encrypt,
        flags: SaFlags::from_bits_retain(saved.flags),
    }))?;
    message.push(&Extension::Sa2(Sa2 { mode: saved.mode, reqid: saved.reqid, ..Sa2::default() }))?;
    let mut push = |kind, address: IpAddr| message.push(&Extension::Address(kind, Address::host(address.into())));
    push(ExtensionType::AddressSrc, saved.source)?;
    push(ExtensionType::AddressDst, saved.destination)?;
    if let Some(inside) = saved.inside {
        let proxy = Address { prefix: 0, ..Address::host(inside.into()) };
        message.push(&Extension::Address(ExtensionType::AddressProxy, proxy))?;
    }
    for (kind, key) in [ExtensionType::KeyEncrypt, ExtensionType::KeyAuth].into_iter().zip(&saved.keys) {
        if !key.is_empty() {
            message.push(&Extension::Key(kind, Key::new(key)?))?;
        }
    }
    let [_, bytes, addtime, usetime] = saved.limits;
    let hard = Lifetime { allocations: 0, bytes, addtime, usetime };
    message.push(&Extension::Lifetime(ExtensionType::LifetimeHard, hard))?;
    for (name, extensions) in &saved.extensions {
        if let Some((_, kind)) = EXTENSIONS.iter().find(|(known, _)| known == name) {
            let [first, second] = *extensions;
            message.push(&match kind {
                ExtensionType::XfrmReplay => Extension::XfrmReplay(XfrmReplay { window: first, esn: second != 0 }),
                _ => Extension::XfrmAuthTrunc(XfrmAuthTrunc { icv_bits: first, align4: second == 4 }),
            })?;
        }
    }
    message.finish()
}

/// Adds an SA as the daemon does.
fn add(backup: &mut Backup, spi: u32) -> Name {
    let saved = SavedSa { spi, ..saved(since_1970()) };
    let (origin, mut buffer) = (RequestHeader { abi: Abi::of(Dialect::Linux), pid: 1, seq: 2 }, Vec::new());
    installation(&saved, origin, &mut buffer).unwrap();
    backup.add(Dialect::Linux, &Message::parse(origin.abi, &buffer).unwrap()).unwrap();
    saved.name()
}

/// Returns a backup with the SAs 1 to 100.
fn hundred(path: &Path) -> Backup {
    let mut backup = Backup::open(path).unwrap();
    for spi in 1..=100 {
        add(&mut backup, spi);
    }
    backup
}

#[test]
fn file_is_compacted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sa.backup");
    fs::write(directory.path().join("sa.backup.new"), "left behind").unwrap();
    let mut backup = Backup::open(&path).unwrap();
    let stays = (1..=40).map(|spi| add(&mut backup, spi)).collect::<Vec<_>>();
    for spi in 1000..2000 {
        let name = add(&mut backup, spi);
        backup.forget(&name).unwrap();
        backup.forget(&name).unwrap();
        assert!(count(&path) <= 40 + 81, "{}", count(&path));
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    let after = add(&mut backup, 5000);
    backup.forget_all(Some(99)).unwrap();
    let (saved, skipped) = Backup::open(&path).unwrap().restore().unwrap();
    let names = saved.iter().map(SavedSa::name).collect::<HashSet<_>>();
    assert!(skipped == 0 && stays.iter().chain([&after]).all(|name| names.contains(name)), "{names:?}");
}

#[test]
fn flushed_sas_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sa.backup");
    drop(hundred(&path));
    // After a crash. A new SA may reuse an SPI.
    let mut backup = Backup::open(&path).unwrap();
    assert_eq!(backup.restore().unwrap().0.len(), 100);
    backup.forget_all(Some(3)).unwrap();
    assert_eq!(count(&path), 0);
    add(&mut backup, 1);
    assert_eq!(count(&path), 1);
}

#[test]
fn failed_rewrite_keeps_the_old_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sa.backup");
    let mut backup = hundred(&path);
    fs::create_dir(directory.path().join("sa.backup.new")).unwrap();
    let error = backup.forget_all(None).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}.new: ", path.display())), "{error}");
    assert_eq!(count(&path), 100);
    add(&mut backup, 101);
    assert_eq!(count(&path), 101);
}

#[test]
fn file_readable_by_others_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sa.backup");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let error = Backup::open(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("must be a regular file of racoon's user that nobody else can read (mode 0600)"),
        "{error}"
    );
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(Backup::open(&link).is_err());
    assert!(Backup::open(directory.path()).is_err());
}
