//! Runs the fuzz targets on their seeds, with any compiler.

use std::fs;
use std::path::Path;

#[allow(unreachable_pub, reason = "a library to the fuzz target")]
#[path = "../../../regress/fuzz/src/isakmp.rs"]
mod target;

#[allow(unreachable_pub, reason = "a library to the fuzz target")]
#[path = "../../../regress/fuzz/src/certificate.rs"]
mod certificate_target;

use racoon_proto::wire::{Header, Tail, chain};

/// The seeds of a target, each with its name.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../regress/fuzz/seeds").join(target);
    let entries = fs::read_dir(&dir).expect("a folder of seeds").map(|entry| {
        let path = entry.expect("a seed").path();
        (path.display().to_string(), fs::read(&path).expect("a seed"))
    });
    let seeds: Vec<_> = entries.collect();
    assert!(seeds.len() > 5, "no seeds in {}", dir.display());
    seeds
}

#[test]
fn isakmp() {
    for (name, seed) in seeds("isakmp") {
        // Shown when the seed fails.
        println!("{name}");
        target::isakmp(&seed);
    }
}

#[test]
fn seeds_are_messages() {
    for (name, seed) in seeds("isakmp") {
        let payloads = Header::parse(&seed).and_then(|(header, body)| {
            chain::walk(header.next_payload, body, Tail::Padding).map(|payloads| payloads.len())
        });
        assert_eq!(payloads.is_ok(), !name.contains("broken"), "{name}: {payloads:?}");
    }
}

#[test]
fn certificate() {
    for (name, seed) in seeds("certificate") {
        println!("{name}");
        certificate_target::certificate(&seed);
    }
}
