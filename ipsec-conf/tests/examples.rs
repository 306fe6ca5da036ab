//! The sample files do what their comments promise.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use ipsec_conf::setkey::{Command, Diagnostic, Key, Sa, Spd, Splitter};
use libpfkey::Mode;
use libpfkey::algorithm::{Authentication, Encryption};
use libpfkey::policy::{Direction, Endpoints};

/// Contents that a file loads.
#[derive(Default)]
struct Loaded {
    /// Source, destination and SPI of each association.
    associations: Vec<(String, String, u32)>,
    policies: usize,
    flushes: usize,
    keys: BTreeSet<Vec<u8>>,
}

fn load(name: &str) -> Loaded {
    let bytes = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)).unwrap();
    let mut loaded = Loaded::default();
    let mut splitter = Splitter::script();
    let mut input = bytes.as_slice();
    while let Some(raw) = splitter.split(&mut input).unwrap() {
        match raw.parse() {
            Ok(statement) => loaded.add(statement.command),
            Err(error) => panic!("{}", Diagnostic::new(name, raw, &error)),
        }
    }
    assert_eq!(splitter.finish(), None, "{name}");
    loaded
}

impl Loaded {
    fn add(&mut self, command: Command<'_>) {
        match command {
            Command::Add(sa) => self.add_association(&sa),
            Command::SpdAdd(spd) => self.add_policy(&spd),
            Command::Flush(None) | Command::SpdFlush => self.flushes += 1,
            other => panic!("{other:?}"),
        }
    }

    fn add_association(&mut self, sa: &Sa<'_>) {
        let key = |key: Option<Key<'_>>| key.unwrap().bytes().to_vec();
        if let Some(encryption) = &sa.algorithms.encryption {
            assert_eq!(encryption.algorithm.algorithm, Encryption::AesCbc);
            assert_eq!(key(encryption.key).len(), 16);
            assert!(self.keys.insert(key(encryption.key)), "a key is used twice");
        }
        match &sa.algorithms.authentication {
            Some(keyed) if keyed.algorithm.algorithm == Authentication::TcpMd5 => assert!(key(keyed.key).len() <= 80),
            Some(keyed) => {
                assert_eq!(keyed.algorithm.algorithm, Authentication::HmacSha384);
                assert_eq!(key(keyed.key).len(), 48);
                assert!(self.keys.insert(key(keyed.key)), "a key is used twice");
            }
            None => {}
        }
        assert!(sa.spi > 255);
        self.associations.push((sa.source.host.text.to_owned(), sa.destination.host.text.to_owned(), sa.spi));
    }

    fn add_policy(&mut self, spd: &Spd<'_>) {
        self.policies += 1;
        for request in &spd.policy.requests {
            if request.mode != Mode::Tunnel {
                continue;
            }
            // The associations of the tunnel are there.
            let Some(Endpoints::Pair(from, to)) = &request.endpoints else { panic!("{request:?}") };
            let (from, to) = (from.address.to_string(), to.address.to_string());
            assert!(self.associations.iter().any(|(source, destination, _)| (source, destination) == (&from, &to)));
        }
        assert_ne!(spd.policy.direction, Direction::Forward);
    }
}

#[test]
fn every_example_loads() {
    // Associations, policies and flushes.
    let expected = BTreeMap::from([
        ("gateway-tunnel.conf", (2, 2, 2)),
        ("leaf-to-gateway.conf", (2, 2, 2)),
        ("tcp-md5-bgp.conf", (2, 0, 0)),
        ("transport-ah.conf", (2, 2, 2)),
        ("transport-esp-ah.conf", (4, 2, 2)),
        ("transport-esp.conf", (2, 2, 2)),
        ("transport-ipv6.conf", (2, 6, 2)),
    ]);
    for (name, counts) in &expected {
        let loaded = load(name);
        assert_eq!((loaded.associations.len(), loaded.policies, loaded.flushes), *counts, "{name}");
        for (source, destination, _) in &loaded.associations {
            let reverse = |(from, to, _): &&(String, String, u32)| (from, to) == (destination, source);
            assert!(loaded.associations.iter().find(reverse).is_some(), "{name}: one direction only");
        }
    }
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")).unwrap();
    // Those of racoon.conf have a folder of their own.
    let entries = entries.map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_file());
    let files: BTreeSet<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    assert!(files.iter().map(String::as_str).eq(expected.keys().copied()), "{files:?}");
}
