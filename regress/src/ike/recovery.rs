//! Stops, crashes and restarts of either side, and what remains of the SAs.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::testbed::{Settings, Side, Testbed, Topology};
use super::{Environment, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("stop: nothing remains on either side", stopped),
    ("crash and restart: traffic continues", killed),
    ("saved SAs: the kernel has lost them", saved_and_lost),
    ("saved SAs: the kernel still has them", saved_and_present),
    ("restart of the peer: initial contact", initial_contact),
    ("loss of the peer: dead peer detection", dead_peer),
    ("crash of the responder during a negotiation: another phase 1", replaced),
    ("the same without dead peer detection", replaced_without_dpd),
    ("SAs of others survive a stop", others_survive),
    ("SAs flushed with setkey are renegotiated", flushed),
];

fn stopped(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let (alice, bob) = testbed.start_both(&Settings::default())?;
    testbed.bring_up(Side::Alice)?;
    alice.stop()?;
    for side in Side::BOTH {
        testbed.wait_for("no SAs", || Ok(testbed.count_sas(side)? == 0))?;
    }
    bob.wait_for_log("ISAKMP-SA deleted")?;
    bob.stop()
}

/// A killed daemon leaves its SAs in the kernel. The next one removes and renegotiates them.
fn killed(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let (alice, bob) = testbed.start_both(&Settings::default())?;
    testbed.bring_up(Side::Alice)?;
    bob.kill()?;
    testbed.check_protected("ESP")?;
    let bob = testbed.restart(Side::Bob, &Settings::default())?;
    bob.wait_for_log("removed what an earlier racoon left in the kernel: policies: 0, SAs: 2")?;
    // No packet triggers this negotiation.
    testbed.wait_for("other SAs", || Ok(bob.log()?.matches("IPsec-SA established").count() == 2))?;
    testbed.check_protected("ESP")?;
    alice.stop()?;
    bob.stop()
}

/// Alice's kernel loses its SAs, as in a reboot, and Bob's keeps them. The saved ones are renewed at once.
fn saved_and_lost(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let file = format!("/run/{}.sas", env.host_name("alice"));
    let _ = std::fs::remove_file(&file);
    let settings = Settings { backup: Some(file.clone()), ..Settings::default() };
    let (alice, bob) = (testbed.start(Side::Alice, &settings)?, testbed.start(Side::Bob, &Settings::default())?);
    testbed.bring_up(Side::Alice)?;
    testbed.ping(Side::Alice, &["-c", "60", "-i", "0.01", "-W", "1"])?;
    alice.kill()?;
    testbed.setkey(Side::Alice, &["-F"])?;
    let alice = testbed.restart(Side::Alice, &Settings { restore_sas: true, ..settings })?;
    alice.wait_for_log("0 of 2 saved SAs are in the kernel; all are renewed")?;
    // No packet triggers this negotiation.
    testbed.wait_for("renewed SAs", || Ok(alice.log()?.matches("IPsec-SA established").count() == 2))?;
    testbed.check_protected("ESP")?;
    alice.stop()?;
    let left = std::fs::read_to_string(&file)?;
    ensure!(left.is_empty(), "SAs are still saved: {} bytes", left.len());
    bob.stop()
}

/// Alice is killed, and her kernel keeps the SAs. They stay in use until they are replaced, without loss of packets.
fn saved_and_present(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let file = format!("/run/{}.sas", env.host_name("alice"));
    let _ = std::fs::remove_file(&file);
    let settings = Settings { backup: Some(file), ..Settings::default() };
    let (alice, bob) = (testbed.start(Side::Alice, &settings)?, testbed.start(Side::Bob, &Settings::default())?);
    testbed.bring_up(Side::Alice)?;
    alice.kill()?;
    testbed.check_protected("ESP")?;
    let alice = testbed.restart(Side::Alice, &Settings { restore_sas: true, ..settings })?;
    // Longer than replaced SAs stay in use.
    let pings = testbed.ping(Side::Alice, &["-i", "0.05", "-w", "8"])?;
    ensure!(pings.lost() == 0 && pings.received > 0, "{pings:?}\n{}", alice.log()?);
    ensure!(alice.log()?.contains("2 of 2 saved SAs are in the kernel; all are renewed"), "{}", alice.log()?);
    for side in Side::BOTH {
        testbed.wait_for("the old SAs are gone", || Ok(testbed.count_sas(side)? == 2))?;
    }
    let established = alice.log()?.matches("IPsec-SA established").count();
    ensure!(established == 2, "{established} SAs:\n{}", alice.log()?);
    alice.stop()?;
    bob.stop()
}

/// Bob loses all state and initiates: Alice drops her old SAs.
fn initial_contact(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let (alice, bob) = testbed.start_both(&Settings::default())?;
    testbed.bring_up(Side::Alice)?;
    let before = testbed.sas(Side::Alice)?;
    bob.kill()?;
    testbed.setkey(Side::Bob, &["-F"])?;
    let bob = testbed.restart(Side::Bob, &Settings::default())?;
    testbed.bring_up(Side::Bob)?;
    testbed.check_protected("ESP")?;
    let gone = testbed.wait_for("the old SAs are gone", || Ok(testbed.count_sas(Side::Alice)? == 2));
    gone.with_context(|| format!("before:\n{before}and now:\n{}", testbed.sas(Side::Alice).unwrap_or_default()))?;
    alice.stop()?;
    bob.stop()
}

/// Bob loses all state and stays silent: Alice detects it.
fn dead_peer(env: &Environment<'_>) -> Result<()> {
    let settings =
        Settings { remote: "dpd_delay 1; dpd_retry 3; dpd_maxfail 3; initial_contact off;", ..Settings::default() };
    let testbed = Testbed::new(env, Topology::Transport)?;
    let (alice, bob) = testbed.start_both(&settings)?;
    testbed.bring_up(Side::Alice)?;
    // Dead peer detection must not end SAs with a living peer.
    std::thread::sleep(Duration::from_secs(4));
    ensure!(testbed.count_sas(Side::Alice)? == 2, "a live peer was declared dead:\n{}", alice.log()?);
    bob.kill()?;
    testbed.setkey(Side::Bob, &["-F"])?;
    alice.wait_for_log("seems to be dead")?;
    testbed.wait_for("no SAs", || Ok(testbed.count_sas(Side::Alice)? == 0))?;
    let bob = testbed.restart(Side::Bob, &settings)?;
    testbed.bring_up(Side::Alice)?;
    testbed.check_protected("ESP")?;
    alice.stop()?;
    bob.stop()
}

/// Bob is killed during a quick mode of Alice, and restarts without his phase 1. She does not probe periodically.
fn replaced(env: &Environment<'_>) -> Result<()> {
    restart_of_responder(env, ["dpd_delay 0; dpd_retry 1;", "passive on; initial_contact off;"])
}

fn replaced_without_dpd(env: &Environment<'_>) -> Result<()> {
    restart_of_responder(env, ["dpd off;", "dpd off; passive on; initial_contact off;"])
}

/// Bob neither initiates nor announces what he has lost, so Alice has to find out.
fn restart_of_responder(env: &Environment<'_>, remotes: [&'static str; 2]) -> Result<()> {
    let [alices, bobs] = remotes.map(|remote| Settings { remote, counter: 5, ..Settings::default() });
    let testbed = Testbed::new(env, Topology::Transport)?;
    let (alice, bob) = (testbed.start(Side::Alice, &alices)?, testbed.start(Side::Bob, &bobs)?);
    testbed.bring_up(Side::Alice)?;
    bob.kill()?;
    for side in Side::BOTH {
        testbed.setkey(side, &["-F"])?;
    }
    testbed.wait_for("no SAs", || Ok(testbed.count_sas(Side::Alice)? == 0))?;
    let before = alice.log()?.matches("initiate new phase 2").count();
    // Not answered; it makes the kernel acquire SAs.
    let _ = testbed.ping(Side::Alice, &["-c", "1", "-W", "1"]);
    testbed.wait_for("a quick mode", || Ok(alice.log()?.matches("initiate new phase 2").count() > before))?;
    // He answers neither the quick mode nor its retransmissions, since he has lost the keys.
    let bob = testbed.restart(Side::Bob, &bobs)?;
    let restarted = Instant::now();
    testbed.bring_up(Side::Alice)?;
    println!("traffic again {:.1} s after the start of the responder", restarted.elapsed().as_secs_f64());
    alice.wait_for_log("does not answer under its phase 1")?;
    testbed.check_protected("ESP")?;
    alice.stop()?;
    bob.stop()
}

fn others_survive(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let (alice, bob) = testbed.start_both(&Settings::default())?;
    let manual = "add 192.0.2.1 192.0.2.99 esp 0x999 -E aes-cbc 0x000102030405060708090a0b0c0d0e0f -A hmac-sha1 \
                  0x000102030405060708090a0b0c0d0e0f10111213;\n";
    testbed.load(Side::Alice, manual.into())?;
    testbed.bring_up(Side::Alice)?;
    alice.stop()?;
    let sas = testbed.sas(Side::Alice)?;
    ensure!(sas.matches("spi=").count() == 1 && sas.contains("spi=2457("), "{sas}");
    bob.stop()
}

/// `setkey -F`: the peer is told, and the next packet triggers a negotiation.
fn flushed(env: &Environment<'_>) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    let (alice, bob) = testbed.start_both(&Settings::default())?;
    testbed.bring_up(Side::Alice)?;
    testbed.setkey(Side::Alice, &["-F"])?;
    testbed.wait_for("no SAs at the peer", || Ok(testbed.count_sas(Side::Bob)? == 0))?;
    testbed.bring_up(Side::Alice)?;
    testbed.check_protected("ESP")?;
    alice.stop()?;
    bob.stop()
}
