//! Does with the seeds of the fuzz targets what the targets do, on any compiler.

use std::fs;
use std::path::Path;

use libpfkey::{Abi, ByteOrder, Dialect, Message};

#[allow(unreachable_pub, reason = "a library to the fuzz targets")]
#[path = "../../regress/fuzz/src/lib.rs"]
mod targets;

#[track_caller]
fn replay(target: &str, run: fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../regress/fuzz/seeds").join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(&dir).expect("a folder of seeds") {
        let path = entry.expect("a seed").path();
        // Shown when the seed fails.
        println!("{}", path.display());
        run(&fs::read(&path).expect("a seed"));
        seeds += 1;
    }
    assert!(seeds > 5, "no seeds in {}", dir.display());
}

#[test]
fn memory_engine() {
    replay("memory_engine", targets::memory_engine);
}

#[test]
fn message() {
    replay("message", targets::message);
}

#[test]
fn seeds_are_messages() {
    replay("message", |seed| {
        let orders = [ByteOrder::Big, ByteOrder::Little];
        let mut abis =
            Dialect::ALL.into_iter().flat_map(|dialect| orders.map(|byte_order| Abi { dialect, byte_order }));
        let broken = seed.is_empty() || seed.ends_with(&[0; 16]) || seed.ends_with(&[0, 0, 1, 0, 0, 0, 0, 0]);
        assert_eq!(abis.any(|abi| Message::parse(abi, seed).is_ok()), !broken);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn netlink() {
    replay("netlink", targets::netlink);
}

#[test]
fn policy_blob() {
    replay("policy_blob", targets::policy_blob);
}

#[test]
fn policy_text() {
    replay("policy_text", targets::policy_text);
}

#[test]
fn psk() {
    replay("psk", targets::psk);
}

#[test]
fn racoon_conf() {
    replay("racoon_conf", targets::racoon_conf);
}

#[test]
fn setkey_script() {
    replay("setkey_script", targets::setkey_script);
}
