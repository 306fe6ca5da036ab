//! Peers without policies of their own on the responder, which generates and removes them (`generate_policy`).

use anyhow::{Result, ensure};

use super::testbed::{Settings, Side, Testbed, Topology};
use super::{Environment, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("generated policies, transport", |env| {
        generated(env, Topology::Transport, "generate_policy on;", "require", Side::Alice)
    }),
    ("generated policies, tunnel", |env| {
        generated(env, Topology::Tunnel, "generate_policy require;", "require", Side::Bob)
    }),
    ("generated policies, transport, unique", |env| {
        generated(env, Topology::Transport, "generate_policy unique;", "unique:16383", Side::Bob)
    }),
    ("generated policies, tunnel, unique", |env| {
        generated(env, Topology::Tunnel, "generate_policy unique;", "unique:16383", Side::Alice)
    }),
    ("generated policies after a crash", killed),
];

/// Lifetime of phase 2 in seconds. Its renewal starts at four fifths of it.
const LIFETIME: u32 = 20;

/// A policy of Bob that racoon must not touch.
const FOREIGN: &str = "spdadd 192.0.2.2 192.0.2.99 any -P out ipsec esp/transport//require;\n";

/// Alice has policies and initiates, Bob has none. After one of them stops, Bob has none again.
fn generated(env: &Environment<'_>, topology: Topology, bobs: &'static str, level: &str, stops: Side) -> Result<()> {
    let testbed = Testbed::new(env, topology)?;
    let settings = Settings { phase2_lifetime: LIFETIME, ..Settings::default() };
    let alice = testbed.start(Side::Alice, &settings)?;
    testbed.load(Side::Bob, FOREIGN.into())?;
    let bob = testbed.restart(Side::Bob, &Settings { remote: bobs, ..settings })?;
    ensure!(count(&testbed)? == 0, "unexpected policies:\n{}", policies(&testbed)?);

    testbed.bring_up(Side::Alice)?;
    testbed.check_protected("ESP")?;
    let wanted = if topology == Topology::Tunnel { 3 } else { 2 };
    check(&testbed, wanted, level)?;

    // Long enough for the first SAs to be renewed and to expire.
    let seconds = (LIFETIME + 3).to_string();
    let pings = testbed.ping(Side::Bob, &["-i", "0.05", "-w", &seconds])?;
    ensure!(pings.lost() == 0 && pings.received > 0, "{pings:?}");
    let installed = bob.log()?.matches("IPsec-SA established").count();
    ensure!(installed >= 4, "{installed} SAs were installed:\n{}", bob.log()?);
    check(&testbed, wanted, level)?;
    testbed.check_protected("ESP")?;

    let (first, second) = if stops == Side::Alice { (alice, bob) } else { (bob, alice) };
    first.stop()?;
    for side in Side::BOTH {
        testbed.wait_for("no SAs", || Ok(testbed.count_sas(side)? == 0))?;
    }
    testbed.wait_for("no generated policies", || Ok(count(&testbed)? == 0))?;
    ensure!(policies(&testbed)?.contains("192.0.2.99"), "a foreign policy was deleted:\n{}", policies(&testbed)?);
    second.stop()
}

/// Bob is killed, and his policies block plain traffic until he restarts. Then Alice can connect again.
fn killed(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Tunnel)?;
    let settings = Settings::default();
    let alice = testbed.start(Side::Alice, &settings)?;
    testbed.load(Side::Bob, FOREIGN.into())?;
    let bobs = Settings { remote: "generate_policy on;", ..settings.clone() };
    let bob = testbed.restart(Side::Bob, &bobs)?;
    testbed.bring_up(Side::Alice)?;
    check(&testbed, 3, "require")?;
    bob.kill()?;
    alice.stop()?;
    // Alice would send in clear from now on, so only a policy of Bob can block.
    testbed.setkey(Side::Alice, &["-FP"])?;
    let plain = || testbed.ping(Side::Alice, &["-c", "1", "-W", "1"]);
    ensure!(plain()?.received == 0, "no policy remains");

    let bob = testbed.restart(Side::Bob, &bobs)?;
    bob.wait_for_log("removed what an earlier racoon left in the kernel: policies: 3, SAs: 2")?;
    ensure!(count(&testbed)? == 0 && testbed.count_sas(Side::Bob)? == 0, "remaining:\n{}", policies(&testbed)?);
    ensure!(policies(&testbed)?.contains("192.0.2.99"), "a foreign policy was deleted:\n{}", policies(&testbed)?);
    ensure!(plain()?.received == 1, "plain traffic is blocked:\n{}", policies(&testbed)?);

    let alice = testbed.start(Side::Alice, &settings)?;
    testbed.bring_up(Side::Alice)?;
    testbed.check_protected("ESP")?;
    check(&testbed, 3, "require")?;
    alice.stop()?;
    testbed.wait_for("no generated policies", || Ok(count(&testbed)? == 0))?;
    bob.stop()
}

/// Checks the number and level of the generated policies.
fn check(testbed: &Testbed, wanted: usize, level: &str) -> Result<()> {
    let (found, text) = (count(testbed)?, policies(testbed)?);
    let of_level = text.matches(&format!("/{level}\n")).count();
    // The foreign policy has this level too.
    let expected = wanted + usize::from(level == "require");
    ensure!(found == wanted && of_level == expected, "{found} policies, {of_level} of level {level}:\n{text}");
    Ok(())
}

/// Counts Bob's policies for traffic with Alice.
fn count(testbed: &Testbed) -> Result<usize> {
    let foreign = |line: &str| line.contains("192.0.2.99");
    Ok(policies(testbed)?.lines().filter(|line| line.contains("[any]") && !foreign(line)).count())
}

/// Returns `setkey -DP` of Bob, without policies of sockets.
fn policies(testbed: &Testbed) -> Result<String> {
    testbed.setkey(Side::Bob, &["-NDP"])
}
