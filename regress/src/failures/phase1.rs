//! Failures of phase 1: mismatched keys, proposals, identities and remote sections.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::failure::Expected::{Line, Nothing};
use super::failure::{AT_ONCE, Failure, SCAN};
use super::negotiation::Negotiation;
use crate::lab::{Daemon, daemon_dir};

pub(super) const FAILURES: &[Failure] = &[
    Failure::new(
        "phase 1: pre-shared keys differ",
        |setup| setup.bob.psk = "192.0.2.1 not that one\n".into(),
        Line(AT_ONCE, &["AUTHENTICATION-FAILED"]),
        Line(AT_ONCE, &["pre-shared key"]),
    ),
    Failure::new(
        "phase 1: no key at the responder",
        |setup| setup.bob.psk = "192.0.2.9 a key for two hosts in a lab\n".into(),
        Line(AT_ONCE, &["AUTHENTICATION-FAILED"]),
        Line(AT_ONCE, &["no pre-shared key for 192.0.2.1", "psk.txt"]),
    ),
    Failure::new(
        "phase 1: no key at the initiator",
        |setup| setup.alice.psk = String::new(),
        Line(AT_ONCE, &["no pre-shared key for 192.0.2.2", "psk.txt"]),
        Line(AT_ONCE, &["AUTHENTICATION-FAILED"]),
    ),
    Failure::new(
        "phase 1: others can read the responder's key file",
        |setup| setup.trigger = open_key_file,
        Line(AT_ONCE, &["AUTHENTICATION-FAILED"]),
        Line(AT_ONCE, &["no pre-shared key for 192.0.2.1", "psk.txt", "0600"]),
    ),
    Failure::new(
        "phase 1: no remote section at the responder",
        |setup| setup.bob.remote_of = "192.0.2.9",
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["no remote section matches 192.0.2.1; there are only 192.0.2.9"]),
    ),
    Failure::new(
        "phase 1: no remote section at the initiator",
        |setup| setup.alice.remote_of = "192.0.2.9",
        Line(AT_ONCE, &["no remote section matches 192.0.2.2; there are only 192.0.2.9"]),
        Nothing,
    ),
    Failure::new(
        "phase 1: the initiator's remote section is passive",
        |setup| setup.alice.remote = "passive on;",
        Line(AT_ONCE, &["no remote section for 192.0.2.2 may initiate", "passive"]),
        Nothing,
    ),
    Failure::new(
        "phase 1: other exchange mode at the responder",
        |setup| setup.bob.exchange = "aggressive",
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["allows main mode; remote 192.0.2.1 has exchange_mode aggressive"]),
    ),
    Failure::new(
        "phase 1: the peer begins in aggressive mode",
        |setup| {
            setup.alice.runs = false;
            setup.trigger = |negotiation| scan(negotiation, &["--aggressive", "--id=alice"]);
        },
        Nothing,
        Line(SCAN, &["allows aggressive mode; remote 192.0.2.1 has exchange_mode main"]),
    ),
    Failure::new(
        "phase 1: other cipher",
        |setup| setup.bob.proposal = "encryption_algorithm 3des; hash_algorithm sha256; dh_group modp2048;",
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["encryption_algorithm aes proposed, 3des configured; offered: [", "; configured: ["]),
    ),
    Failure::new(
        "phase 1: other key length",
        |setup| {
            setup.bob.proposal = "encryption_algorithm aes 128; hash_algorithm sha256; dh_group modp2048;";
            setup.bob.remote = "proposal_check exact;";
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["key of 256 bits proposed, 128 bits configured (proposal_check exact)"]),
    ),
    Failure::new(
        "phase 1: other hash",
        |setup| setup.bob.proposal = "encryption_algorithm aes 256; hash_algorithm sha1; dh_group modp2048;",
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["hash_algorithm sha256 proposed, sha1 configured"]),
    ),
    Failure::new(
        "phase 1: other group",
        |setup| setup.bob.proposal = "encryption_algorithm aes 256; hash_algorithm sha256; dh_group modp3072;",
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["dh_group modp2048 proposed, modp3072 configured"]),
    ),
    Failure::new(
        "phase 1: other authentication method",
        |setup| {
            setup.alice.runs = false;
            // AES-256, SHA-256, RSA signatures, modp2048.
            setup.trigger = |negotiation| scan(negotiation, &["--trans=7/256,4,3,14"]);
        },
        Nothing,
        Line(SCAN, &["authentication_method rsasig proposed, pre_shared_key configured"]),
    ),
    Failure::new(
        "phase 1: longer lifetime than the responder's under proposal_check strict",
        |setup| {
            setup.bob.remote = "proposal_check strict;";
            setup.bob.phase1_lifetime = 600;
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["lifetime 3600 s proposed, 600 s configured (proposal_check strict)"]),
    ),
    Failure::new(
        "phase 1: the responder expects another identity",
        |setup| setup.bob.remote = "verify_identifier on; peers_identifier address 192.0.2.77;",
        Line(AT_ONCE, &["phase1 negotiation failed"]),
        Line(AT_ONCE, &["192.0.2.1", "192.0.2.77"]),
    ),
    Failure::new(
        "phase 1: the initiator expects another identity",
        |setup| setup.alice.remote = "verify_identifier on; peers_identifier address 192.0.2.77;",
        Line(AT_ONCE, &["192.0.2.2", "192.0.2.77"]),
        Line(AT_ONCE, &["INVALID-ID-INFORMATION"]),
    ),
    Failure::new(
        "phase 1: the peer speaks IKEv2",
        |setup| {
            setup.alice.runs = false;
            setup.trigger = |negotiation| scan(negotiation, &["--ikev2"]);
        },
        Nothing,
        Line(SCAN, &["the peer speaks IKEv2", "configure the peer for IKEv1"]),
    ),
    Failure::new(
        "phase 1: other cipher, after probes from an unknown address",
        |setup| {
            setup.bob.proposal = "encryption_algorithm 3des; hash_algorithm sha256; dh_group modp2048;";
            setup.prepare = |hosts| {
                // Probes leave from this address, and racoon's messages from its own.
                hosts.alice.must("ip address add 192.0.2.66/24 dev eth0")?;
                hosts.alice.must("ip route add 192.0.2.2/32 dev eth0 src 192.0.2.66")?;
                Ok(())
            };
            setup.trigger = |negotiation| {
                probe(negotiation, &["--trans=1,1,1,1"])?;
                negotiation.wait_for_bob("192.0.2.66")?;
                negotiation.begin()?;
                negotiation.hosts.send()
            };
        },
        Line(AT_ONCE, &["NO-PROPOSAL-CHOSEN"]),
        Line(AT_ONCE, &["encryption_algorithm aes proposed, 3des configured"]),
    ),
    Failure::new(
        "phase 1: a probe from an unknown address",
        |setup| {
            setup.alice.runs = false;
            setup.prepare = |hosts| {
                hosts.alice.must("ip address del 192.0.2.1/24 dev eth0")?;
                hosts.alice.must("ip address add 192.0.2.66/24 dev eth0")?;
                Ok(())
            };
            setup.trigger = |negotiation| scan(negotiation, &[]);
        },
        Nothing,
        Line(SCAN, &["no remote section matches 192.0.2.66"]),
    ),
];

/// Probes Bob's daemon from Alice's host, and ignores the answer.
fn scan(negotiation: &mut Negotiation<'_>, arguments: &[&str]) -> Result<()> {
    // Alice's policies would trigger a negotiation.
    negotiation.hosts.load(&negotiation.hosts.alice, "spdflush;")?;
    probe(negotiation, arguments)
}

fn probe(negotiation: &mut Negotiation<'_>, arguments: &[&str]) -> Result<()> {
    let alice = &negotiation.hosts.alice;
    let mut command = Command::new("ike-scan");
    command.args(["--sport=0", "--retry=1", "--nodns"]).args(arguments).arg("192.0.2.2");
    negotiation.probe = Some(Daemon::start(alice, command, &daemon_dir(alice, "ike-scan")?.join("output"))?);
    Ok(())
}

fn open_key_file(negotiation: &mut Negotiation<'_>) -> Result<()> {
    let path = Path::new("/run").join(negotiation.hosts.bob.name()).join("racoon/psk.txt");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).with_context(|| path.display().to_string())?;
    negotiation.hosts.send()
}
