//! Mismatched configurations: nothing is established, and both logs give the reason.

use anyhow::{Result, ensure};

use super::testbed::{Settings, Side, Testbed, Topology};
use super::{Environment, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("another pre-shared key", |env| {
        refused(
            env,
            Settings { key: "not that one", ..Settings::default() },
            &["phase1 negotiation failed"],
            &["pre-shared key"],
        )
    }),
    ("another cipher in phase 1", |env| {
        refused(
            env,
            Settings {
                proposal: "encryption_algorithm 3des; hash_algorithm sha256; dh_group modp2048;",
                ..Settings::default()
            },
            &["NO-PROPOSAL-CHOSEN"],
            &["no suitable proposal found", "aes", "3des"],
        )
    }),
    ("another group in phase 1", |env| {
        refused(
            env,
            Settings {
                proposal: "encryption_algorithm aes 256; hash_algorithm sha256; dh_group modp3072;",
                ..Settings::default()
            },
            &["NO-PROPOSAL-CHOSEN"],
            &["no suitable proposal found", "modp2048", "modp3072"],
        )
    }),
    ("another cipher in phase 2", |env| {
        refused(
            env,
            Settings {
                sainfo: "pfs_group modp2048; encryption_algorithm 3des; authentication_algorithm hmac_sha256;",
                ..Settings::default()
            },
            &["NO-PROPOSAL-CHOSEN"],
            &[
                "no suitable proposal found: esp: aes proposed, 3des configured",
                "; offered: [1 esp ",
                "; configured: [1 esp ",
            ],
        )
    }),
    ("another group in phase 2", |env| {
        refused(
            env,
            Settings {
                remote: "proposal_check strict;",
                sainfo: "pfs_group modp3072; encryption_algorithm aes 256; authentication_algorithm hmac_sha256;",
                ..Settings::default()
            },
            &["NO-PROPOSAL-CHOSEN"],
            &["pfs_group", "modp2048", "modp3072"],
        )
    }),
    ("a longer lifetime under strict", |env| {
        refused(
            env,
            Settings { phase2_lifetime: 600, remote: "proposal_check strict;", ..Settings::default() },
            &["NO-PROPOSAL-CHOSEN"],
            &["lifetime 1800 s proposed, 600 s configured (proposal_check strict)"],
        )
    }),
    ("an unexpected identity", |env| {
        refused(
            env,
            Settings { remote: "verify_identifier on; peers_identifier address 192.0.2.77;", ..Settings::default() },
            &[],
            &["192.0.2.77", "192.0.2.1"],
        )
    }),
    ("no policy at the responder", no_policy),
    ("a longer lifetime under claim", claimed),
    ("no daemon at the responder", nobody_listens),
];

/// Bob's settings differ from Alice's. Her pings are not answered, both logs contain the expected lines, and no SA
/// remains.
fn refused(env: &Environment<'_>, bobs: Settings, alice_says: &[&str], bob_says: &[&str]) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let (alice, bob) = (
        testbed.start(Side::Alice, &Settings { counter: 10, ..Settings::default() })?,
        testbed.start(Side::Bob, &bobs)?,
    );
    // The first packet triggers the negotiation.
    let pings = testbed.ping(Side::Alice, &["-c", "2", "-W", "1"])?;
    ensure!(pings.received == 0, "{pings:?}");
    for (racoon, lines) in [(&bob, bob_says), (&alice, alice_says)] {
        for line in lines {
            racoon.wait_for_log(line)?;
        }
    }
    alice.stop()?;
    bob.stop()?;
    for side in Side::BOTH {
        // Only the kernel's own larval SA may remain, until it expires.
        let sas = testbed.sas(side)?;
        ensure!(!sas.contains("state=mature"), "an SA remains:\n{sas}");
    }
    Ok(())
}

fn no_policy(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let (alice, bob) = testbed.start_both(&Settings { counter: 10, ..Settings::default() })?;
    testbed.load(Side::Bob, "spdflush;\n".into())?;
    let pings = testbed.ping(Side::Alice, &["-c", "2", "-W", "1"])?;
    ensure!(pings.received == 0, "{pings:?}");
    bob.wait_for_log("no policy matches")?;
    alice.stop()?;
    bob.stop()
}

/// The responder announces a shorter lifetime, and the initiator respects it.
fn claimed(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let settings =
        |phase2_lifetime| Settings { remote: "proposal_check claim;", phase2_lifetime, ..Settings::default() };
    let (alice, bob) = (testbed.start(Side::Alice, &settings(1800))?, testbed.start(Side::Bob, &settings(600))?);
    testbed.bring_up(Side::Alice)?;
    for side in Side::BOTH {
        let sas = testbed.sas(side)?;
        ensure!(sas.matches("hard: 600(s)").count() == 2, "{sas}");
    }
    alice.stop()?;
    bob.stop()
}

/// The failure names the ICMP error, if a policy admits it: in transport mode it arrives without ESP.
fn nobody_listens(env: &Environment<'_>) -> Result<()> {
    for (exception, is_named) in [("", false), ("spdadd 192.0.2.2 192.0.2.1 icmp 3,3 -P in prio high none;\n", true)] {
        let testbed = Testbed::new(env, Topology::Transport)?;
        let alice = testbed.start(Side::Alice, &Settings { counter: 2, ..Settings::default() })?;
        testbed.load(Side::Bob, "spdflush;\n".into())?;
        if !exception.is_empty() {
            testbed.load(Side::Alice, exception.into())?;
        }
        let pings = testbed.ping(Side::Alice, &["-c", "2", "-W", "1"])?;
        ensure!(pings.received == 0, "{pings:?}");
        alice.wait_for_log("phase1 negotiation failed due to time up.")?;
        let log = alice.log()?;
        let failed = log.lines().find(|line| line.contains("phase1 negotiation failed")).unwrap_or_default();
        ensure!(failed.contains("; ICMP port unreachable from 192.0.2.2; ") == is_named, "{log}");
        ensure!(log.matches("ERROR: ").count() == 1, "one attempt must log one error:\n{log}");
        alice.stop()?;
    }
    Ok(())
}
