//! Phase 1: keys, proposals, identities and remote blocks that do not fit.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::play::Play;
use super::row::Expected::{Line, Nothing};
use super::row::{AT_ONCE, Row, SCAN};
use crate::lab::{Daemon, daemon_dir};

pub(super) const ROWS: &[Row] = &[
    Row::new(
        "phase 1: pre-shared keys differ",
        |row| row.bob.psk = "192.0.2.1 not that one\n".into(),
        Line(AT_ONCE, &["AUTHENTICATION-FAILED"]),
        Line(AT_ONCE, &["pre-shared key"]),
    ),
    Row::new(
        "phase 1: no key at the responder",
        |row| row.bob.psk = "192.0.2.9 a key for two hosts in a lab\n".into(),
        Line(AT_ONCE, &["AUTHENTICATION-FAILED"]),
        Line(AT_ONCE, &["no pre-shared key for 192.0.2.1", "psk.txt"]),
    ),
    Row::new(
        "phase 1: no key at the initiator",
        |row| row.alice.psk = String::new(),
        Line(AT_ONCE, &["no pre-shared key for 192.0.2.2", "psk.txt"]),
        Line(AT_ONCE, &["AUTHENTICATION-FAILED"]),
    ),
    Row::new(
        "phase 1: others can read the responder's key file",
        |row| row.provoke = open_key_file,
        Line(AT_ONCE, &["AUTHENTICATION-FAILED"]),
        Line(AT_ONCE, &["no pre-shared key for 192.0.2.1", "psk.txt", "0600"]),
    ),
    Row::new(
        "phase 1: no remote section at the responder",
        |row| row.bob.remote_of = "192.0.2.9",
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["no remote section matches 192.0.2.1; there are only 192.0.2.9"]),
    ),
    Row::new(
        "phase 1: no remote section at the initiator",
        |row| row.alice.remote_of = "192.0.2.9",
        Line(AT_ONCE, &["no remote section matches 192.0.2.2; there are only 192.0.2.9"]),
        Nothing,
    ),
    Row::new(
        "phase 1: the initiator's remote section is passive",
        |row| row.alice.remote = "passive on;",
        Line(AT_ONCE, &["no remote section may begin", "passive"]),
        Nothing,
    ),
    Row::new(
        "phase 1: other exchange mode at the responder",
        |row| row.bob.exchange = "aggressive",
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["allows main mode; remote 192.0.2.1 has exchange_mode aggressive"]),
    ),
    Row::new(
        "phase 1: the peer begins in aggressive mode",
        |row| {
            row.alice.runs = false;
            row.provoke = |play| scan(play, &["--aggressive", "--id=alice"]);
        },
        Nothing,
        Line(SCAN, &["allows aggressive mode; remote 192.0.2.1 has exchange_mode main"]),
    ),
    Row::new(
        "phase 1: other cipher",
        |row| row.bob.proposal = "encryption_algorithm 3des; hash_algorithm sha256; dh_group modp2048;",
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["encryption_algorithm aes proposed, 3des configured; offered: [", "; configured: ["]),
    ),
    Row::new(
        "phase 1: other key length",
        |row| {
            row.bob.proposal = "encryption_algorithm aes 128; hash_algorithm sha256; dh_group modp2048;";
            row.bob.remote = "proposal_check exact;";
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["key of 256 bits proposed, 128 bits configured (proposal_check exact)"]),
    ),
    Row::new(
        "phase 1: other hash",
        |row| row.bob.proposal = "encryption_algorithm aes 256; hash_algorithm sha1; dh_group modp2048;",
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["hash_algorithm sha256 proposed, sha1 configured"]),
    ),
    Row::new(
        "phase 1: other group",
        |row| row.bob.proposal = "encryption_algorithm aes 256; hash_algorithm sha256; dh_group modp3072;",
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["dh_group modp2048 proposed, modp3072 configured"]),
    ),
    Row::new(
        "phase 1: other authentication method",
        |row| {
            row.alice.runs = false;
            // AES-256, SHA-256, RSA signatures, modp2048
            row.provoke = |play| scan(play, &["--trans=7/256,4,3,14"]);
        },
        Nothing,
        Line(SCAN, &["authentication_method rsasig proposed, pre_shared_key configured"]),
    ),
    Row::new(
        "phase 1: longer lifetime than the responder's under proposal_check strict",
        |row| {
            row.bob.remote = "proposal_check strict;";
            row.bob.phase1_lifetime = 600;
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["lifetime 3600 s proposed, 600 s configured (proposal_check strict)"]),
    ),
    Row::new(
        "phase 1: the responder expects another identity",
        |row| row.bob.remote = "verify_identifier on; peers_identifier address 192.0.2.77;",
        Line(AT_ONCE, &["phase1 negotiation failed"]),
        Line(AT_ONCE, &["192.0.2.1", "192.0.2.77"]),
    ),
    Row::new(
        "phase 1: the initiator expects another identity",
        |row| row.alice.remote = "verify_identifier on; peers_identifier address 192.0.2.77;",
        Line(AT_ONCE, &["192.0.2.2", "192.0.2.77"]),
        Line(AT_ONCE, &["INVALID-ID-INFORMATION"]),
    ),
    Row::new(
        "phase 1: the peer speaks IKEv2",
        |row| {
            row.alice.runs = false;
            row.provoke = |play| scan(play, &["--ikev2"]);
        },
        Nothing,
        Line(SCAN, &["the peer speaks IKEv2", "configure the peer for IKEv1"]),
    ),
    Row::new(
        "phase 1: other cipher, behind a stranger's probes",
        |row| {
            row.bob.proposal = "encryption_algorithm 3des; hash_algorithm sha256; dh_group modp2048;";
            row.before = |hosts| {
                hosts.alice.must("ip address add 192.0.2.66/24 dev eth0")?;
                hosts.alice.must("ip route add 192.0.2.2/32 dev eth0 src 192.0.2.66")?;
                Ok(())
            };
            row.provoke = |play| {
                probe(play, &["--trans=1,1,1,1"])?;
                play.wait_for_bob("192.0.2.66")?;
                play.begin()?;
                play.hosts.send()
            };
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["encryption_algorithm aes proposed, 3des configured"]),
    ),
    Row::new(
        "phase 1: a stranger's probe",
        |row| {
            row.alice.runs = false;
            row.before = |hosts| {
                hosts.alice.must("ip address del 192.0.2.1/24 dev eth0")?;
                hosts.alice.must("ip address add 192.0.2.66/24 dev eth0")?;
                Ok(())
            };
            row.provoke = |play| scan(play, &[]);
        },
        Nothing,
        Line(SCAN, &["no remote section matches 192.0.2.66"]),
    ),
];

/// Alice's host probes Bob's daemon. The answer is not of interest.
fn scan(play: &mut Play<'_>, arguments: &[&str]) -> Result<()> {
    // Her policies would ask for SAs.
    play.hosts.load(&play.hosts.alice, "spdflush;")?;
    probe(play, arguments)
}

fn probe(play: &mut Play<'_>, arguments: &[&str]) -> Result<()> {
    let alice = &play.hosts.alice;
    let mut command = Command::new("ike-scan");
    command.args(["--sport=0", "--retry=1", "--nodns"]).args(arguments).arg("192.0.2.2");
    play.probe = Some(Daemon::start(alice, command, &daemon_dir(alice, "ike-scan")?.join("output"))?);
    Ok(())
}

fn open_key_file(play: &mut Play<'_>) -> Result<()> {
    let path = Path::new("/run").join(play.hosts.bob.name()).join("racoon/psk.txt");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).with_context(|| path.display().to_string())?;
    play.hosts.send()
}
