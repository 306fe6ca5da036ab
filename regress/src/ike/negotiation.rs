//! Negotiations triggered by packets: modes, protocols and algorithms.

use anyhow::{Result, ensure};

use super::testbed::{Settings, Side, Testbed, Topology};
use super::{Environment, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("transport", |env| plain(env, Topology::Transport)),
    ("transport over IPv6", |env| plain(env, Topology::Transport6)),
    ("tunnel between gateways", |env| plain(env, Topology::Tunnel)),
    ("IPv6 in an IPv4 tunnel", |env| plain(env, Topology::Tunnel6In4)),
    ("without PFS", |env| {
        with(env, "encryption_algorithm aes 128; authentication_algorithm hmac_sha1;", &["esp"], "ESP")
    }),
    ("AH alone", |env| with(env, "encryption_algorithm aes 128; authentication_algorithm hmac_sha256;", &["ah"], "AH")),
    ("ESP in AH", |env| {
        with(env, "encryption_algorithm aes 128; authentication_algorithm hmac_sha1;", &["esp", "ah"], "AH")
    }),
    ("IPComp in ESP", |env| {
        with(env, "encryption_algorithm aes 128; authentication_algorithm hmac_sha1;", &["ipcomp", "esp"], "ESP")
    }),
    ("elliptic curves", curves),
    ("both sides initiate at once", both_initiate),
    ("many packets, one phase 1", many),
];

fn plain(env: &Environment<'_>, topology: Topology) -> Result<()> {
    let testbed = Testbed::new(env, topology)?;
    let (alice, bob) = testbed.start_both(&Settings::default())?;
    testbed.bring_up(Side::Alice)?;
    testbed.check_protected("ESP")?;
    for side in Side::BOTH {
        let count = testbed.count_sas(side)?;
        ensure!(count == 2, "{count} SAs:\n{}", testbed.sas(side)?);
    }
    for (racoon, began) in [(&alice, "initiate new phase 2 negotiation"), (&bob, "respond new phase 2 negotiation")] {
        let log = racoon.log()?;
        for line in ["ISAKMP-SA established", "IPsec-SA established", began] {
            ensure!(log.contains(line), "no `{line}' in the log:\n{log}");
        }
    }
    alice.stop()?;
    bob.stop()
}

fn with(env: &Environment<'_>, sainfo: &'static str, protocols: &[&str], outermost: &str) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let settings = Settings { sainfo, ..Settings::default() };
    let alice = testbed.start_with(Side::Alice, &settings, protocols)?;
    let bob = testbed.start_with(Side::Bob, &settings, protocols)?;
    testbed.bring_up(Side::Alice)?;
    testbed.check_protected(outermost)?;
    let count = testbed.count_sas(Side::Bob)?;
    ensure!(count == 2 * protocols.len(), "{count} SAs:\n{}", testbed.sas(Side::Bob)?);
    alice.stop()?;
    bob.stop()
}

fn curves(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let settings = Settings {
        proposal: "encryption_algorithm aes 128; hash_algorithm sha512; dh_group x25519;",
        sainfo: "pfs_group ecp384; encryption_algorithm aes 256; authentication_algorithm hmac_sha512;",
        ..Settings::default()
    };
    let (alice, bob) = testbed.start_both(&settings)?;
    testbed.bring_up(Side::Bob)?;
    testbed.check_protected("ESP")?;
    alice.stop()?;
    bob.stop()
}

/// The first messages of both sides cross on the link.
fn both_initiate(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let (alice, bob) = testbed.start_both(&Settings::default())?;
    // Each first message is on its way before the other one arrives.
    testbed.impair(Side::Alice, "delay 100ms")?;
    testbed.impair(Side::Bob, "delay 100ms")?;
    let testbed = &testbed;
    let results = std::thread::scope(|scope| {
        Side::BOTH.map(|side| scope.spawn(move || testbed.bring_up(side))).map(|thread| thread.join())
    });
    for result in results {
        result.map_err(|_| anyhow::anyhow!("a thread failed"))??;
    }
    testbed.check_protected("ESP")?;
    alice.stop()?;
    bob.stop()
}

/// Policies for several ports of one peer: each needs SAs of its own, under one phase 1.
fn many(env: &Environment<'_>) -> Result<()> {
    const PORTS: std::ops::Range<u16> = 7001..7009;
    let testbed = Testbed::new(env, Topology::Transport)?;
    let (alice, bob) = testbed.start_both(&Settings::default())?;
    for (side, out, inward) in [(Side::Alice, "out", "in"), (Side::Bob, "in", "out")] {
        let mut text = String::from("spdflush;\n");
        for port in PORTS {
            let request = "ipsec esp/transport//unique";
            text += &format!("spdadd 192.0.2.1 192.0.2.2[{port}] udp -P {out} {request};\n");
            text += &format!("spdadd 192.0.2.2[{port}] 192.0.2.1 udp -P {inward} {request};\n");
        }
        testbed.load(side, text)?;
    }
    testbed.alice.enter(|| -> std::io::Result<()> {
        let socket = std::net::UdpSocket::bind("192.0.2.1:0")?;
        PORTS.for_each(|port| {
            // The kernel refuses or holds the packet that triggers the acquire; either is fine.
            let _ = socket.send_to(b"hello", ("192.0.2.2", port));
        });
        Ok(())
    })??;
    let wanted = 2 * PORTS.len();
    testbed.wait_for("all SAs", || Ok(testbed.count_sas(Side::Alice)? == wanted))?;
    let initiated = alice.log()?.matches("initiate new phase 1 negotiation").count();
    ensure!(initiated == 1, "phase 1 was initiated {initiated} times");
    alice.stop()?;
    bob.stop()
}
