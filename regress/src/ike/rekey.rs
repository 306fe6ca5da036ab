//! Renewal of keys before they expire, without loss of packets.

use anyhow::{Result, ensure};

use super::testbed::{Settings, Side, Testbed, Topology};
use super::{Environment, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("phase 2 renewed under a ping every 10 ms", |env| renewed(env, 3600, 20, 1)),
    ("three phase 2 and one phase 1 renewed under a ping every 10 ms", |env| renewed(env, 40, 20, 3)),
    ("phase 1 renewed without phase 2", |env| renewed(env, 20, 600, 0)),
    ("phase 2 renewed by its lifetime in bytes", by_bytes),
];

/// Packets of 1 KB every 10 ms through SAs that expire after 800 KB: they are renewed repeatedly, no packet is lost,
/// and one pair of SAs remains.
fn by_bytes(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Tunnel)?;
    let sainfo = "lifetime byte 800 KB; encryption_algorithm aes 128; authentication_algorithm hmac_sha1;";
    let (alice, bob) = testbed.start_both(&Settings { sainfo, ..Settings::default() })?;
    testbed.bring_up(Side::Alice)?;
    let pings = testbed.ping(Side::Alice, &["-s", "1000", "-i", "0.01", "-c", "2000", "-W", "2"])?;
    ensure!(pings.lost() == 0 && pings.received > 0, "{pings:?}");
    let installed = alice.log()?.matches("IPsec-SA established").count();
    ensure!(installed >= 6, "{installed} SAs were installed for two megabytes in each direction");
    // Replaced pairs are removed some time later, before their lifetime in seconds ends.
    for side in Side::BOTH {
        testbed.wait_for("the replaced SAs are gone", || Ok(testbed.count_sas(side)? == 2))?;
    }
    alice.stop()?;
    bob.stop()
}

/// Pings per second: the lab's clock turns intervals of 10 ms into about 20 ms.
const PINGS: u32 = 50;

/// Pings every 10 ms until phase 2 has been renewed `times` times, and phase 1 if it has a shorter lifetime. None may
/// be lost.
fn renewed(env: &Environment<'_>, phase1_lifetime: u32, phase2_lifetime: u32, times: u32) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Tunnel)?;
    let settings = Settings { phase1_lifetime, phase2_lifetime, ..Settings::default() };
    let (alice, bob) = testbed.start_both(&settings)?;
    testbed.bring_up(Side::Alice)?;
    // A renewal starts at four fifths of the lifetime.
    let phase2 = times * phase2_lifetime * 4 / 5;
    // Longer lifetimes do not end during the test.
    let phase1 = if phase1_lifetime < 60 { phase1_lifetime } else { 0 };
    let seconds = phase2.max(phase1) + 3;
    // A count instead of a time, so that ping waits for the last answers.
    let count = (PINGS * seconds).to_string();
    let pings = testbed.ping(Side::Alice, &["-i", "0.01", "-c", &count, "-W", "2"])?;
    ensure!(pings.sent.to_string() == count && pings.lost() == 0 && pings.received > 0, "{pings:?}");
    let log = alice.log()?;
    let installed = log.matches("IPsec-SA established").count();
    let wanted = 2 * (times as usize + 1);
    ensure!(installed >= wanted, "{installed} SAs were installed, not {wanted}:\n{log}");
    if phase1 > 0 {
        let up = log.matches("ISAKMP-SA established").count();
        ensure!(up >= 2, "phase 1 was not renewed:\n{log}");
    }
    for side in Side::BOTH {
        let count = testbed.count_sas(side)?;
        // The last replaced pair may remain beside its successor until it expires.
        ensure!((2..=4).contains(&count), "{count} SAs:\n{}", testbed.sas(side)?);
    }
    alice.stop()?;
    bob.stop()
}
