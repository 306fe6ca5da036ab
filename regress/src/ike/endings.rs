//! How it ends, and what is left.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::Play;
use super::scene::{Knobs, Scene, Shape, Side};
use crate::racoon::Ours;

pub(super) const PLAYS: &[Play] = &[
    ("stopped: nothing is left on either side", stopped),
    ("killed and started again: traffic goes on", killed),
    ("kept SAs: the kernel has lost them", given_back),
    ("kept SAs: the kernel still has them", taken_back),
    ("the peer restarted: initial contact", initial_contact),
    ("the peer is gone: dead peer detection", dead_peer),
    ("the responder is killed in a negotiation: another phase 1", replaced),
    ("the same without dead peer detection", replaced_without_dpd),
    ("SAs of others survive a stop", others_survive),
    ("SAs flushed by hand come back", flushed),
];

fn stopped(ours: &Ours) -> Result<()> {
    let scene = Scene::new(ours, Shape::Transport)?;
    let (alice, bob) = scene.start_both(&Knobs::default())?;
    scene.bring_up(Side::Alice)?;
    alice.stop()?;
    for side in Side::BOTH {
        scene.until("no SAs", || Ok(scene.count_sas(side)? == 0))?;
    }
    bob.wait_for_log("ISAKMP-SA deleted")?;
    bob.stop()
}

/// A daemon that was killed leaves its SAs in the kernel; the next one removes them, and negotiates others.
fn killed(ours: &Ours) -> Result<()> {
    let scene = Scene::new(ours, Shape::Transport)?;
    let (alice, bob) = scene.start_both(&Knobs::default())?;
    scene.bring_up(Side::Alice)?;
    bob.kill()?;
    scene.protected("ESP")?;
    let bob = scene.restart(Side::Bob, &Knobs::default())?;
    bob.wait_for_log("removed what an earlier racoon left in the kernel: policies: 0, SAs: 2")?;
    // No packet has asked for it.
    scene.until("other SAs", || Ok(bob.log()?.matches("IPsec-SA established").count() == 2))?;
    scene.protected("ESP")?;
    alice.stop()?;
    bob.stop()
}

/// Alice's kernel forgets its SAs, as at a reboot; Bob's does not. Those that she kept are renewed at once.
fn given_back(ours: &Ours) -> Result<()> {
    let scene = Scene::new(ours, Shape::Transport)?;
    let knobs = Knobs { backup: Some("/run/alice.sas"), ..Knobs::default() };
    let _ = std::fs::remove_file("/run/alice.sas");
    let (alice, bob) = (scene.start(Side::Alice, &knobs)?, scene.start(Side::Bob, &Knobs::default())?);
    scene.bring_up(Side::Alice)?;
    scene.ping(Side::Alice, &["-c", "60", "-i", "0.01", "-W", "1"])?;
    alice.kill()?;
    scene.setkey(Side::Alice, &["-F"])?;
    let alice = scene.restart(Side::Alice, &Knobs { takes_back: true, ..knobs })?;
    alice.wait_for_log("0 of 2 saved SAs are in the kernel; all are renewed")?;
    // No packet has asked for it.
    scene.until("renewed SAs", || Ok(alice.log()?.matches("IPsec-SA established").count() == 2))?;
    scene.protected("ESP")?;
    alice.stop()?;
    let left = std::fs::read_to_string("/run/alice.sas")?;
    ensure!(left.is_empty(), "SAs are still kept: {} bytes", left.len());
    bob.stop()
}

/// Alice is killed, and her kernel keeps the SAs: they serve until others take their place, and no packet is lost.
fn taken_back(ours: &Ours) -> Result<()> {
    let scene = Scene::new(ours, Shape::Transport)?;
    let knobs = Knobs { backup: Some("/run/alice.sas"), ..Knobs::default() };
    let _ = std::fs::remove_file("/run/alice.sas");
    let (alice, bob) = (scene.start(Side::Alice, &knobs)?, scene.start(Side::Bob, &Knobs::default())?);
    scene.bring_up(Side::Alice)?;
    alice.kill()?;
    scene.protected("ESP")?;
    let alice = scene.restart(Side::Alice, &Knobs { takes_back: true, ..knobs })?;
    // Longer than the old ones still serve when they have been replaced.
    let pings = scene.ping(Side::Alice, &["-i", "0.05", "-w", "8"])?;
    ensure!(pings.lost() == 0 && pings.received > 0, "{pings:?}\n{}", alice.log()?);
    ensure!(alice.log()?.contains("2 of 2 saved SAs are in the kernel; all are renewed"), "{}", alice.log()?);
    for side in Side::BOTH {
        scene.until("the old SAs are gone", || Ok(scene.count_sas(side)? == 2))?;
    }
    let established = alice.log()?.matches("IPsec-SA established").count();
    ensure!(established == 2, "{established} SAs:\n{}", alice.log()?);
    alice.stop()?;
    bob.stop()
}

/// Bob loses everything, and speaks first: Alice forgets what she had with him.
fn initial_contact(ours: &Ours) -> Result<()> {
    let scene = Scene::new(ours, Shape::Transport)?;
    let (alice, bob) = scene.start_both(&Knobs::default())?;
    scene.bring_up(Side::Alice)?;
    let before = scene.sas(Side::Alice)?;
    bob.kill()?;
    scene.setkey(Side::Bob, &["-F"])?;
    let bob = scene.restart(Side::Bob, &Knobs::default())?;
    scene.bring_up(Side::Bob)?;
    scene.protected("ESP")?;
    let gone = scene.until("the old SAs are gone", || Ok(scene.count_sas(Side::Alice)? == 2));
    gone.with_context(|| format!("before:\n{before}and now:\n{}", scene.sas(Side::Alice).unwrap_or_default()))?;
    alice.stop()?;
    bob.stop()
}

/// Bob loses everything, and says nothing: Alice notices by herself.
fn dead_peer(ours: &Ours) -> Result<()> {
    let knobs = Knobs { remote: "dpd_delay 1; dpd_retry 3; dpd_maxfail 3; initial_contact off;", ..Knobs::default() };
    let scene = Scene::new(ours, Shape::Transport)?;
    let (alice, bob) = scene.start_both(&knobs)?;
    scene.bring_up(Side::Alice)?;
    // It lives as long as it answers.
    std::thread::sleep(Duration::from_secs(4));
    ensure!(scene.count_sas(Side::Alice)? == 2, "a living peer was declared dead:\n{}", alice.log()?);
    bob.kill()?;
    scene.setkey(Side::Bob, &["-F"])?;
    alice.wait_for_log("seems to be dead")?;
    scene.until("no SAs", || Ok(scene.count_sas(Side::Alice)? == 0))?;
    let bob = scene.restart(Side::Bob, &knobs)?;
    scene.bring_up(Side::Alice)?;
    scene.protected("ESP")?;
    alice.stop()?;
    bob.stop()
}

/// Bob is killed while Alice negotiates SAs with him, and comes back without his phase 1, which she does not watch.
fn replaced(ours: &Ours) -> Result<()> {
    restart_of_responder(ours, ["dpd_delay 0; dpd_retry 1;", "passive on; initial_contact off;"])
}

fn replaced_without_dpd(ours: &Ours) -> Result<()> {
    restart_of_responder(ours, ["dpd off;", "dpd off; passive on; initial_contact off;"])
}

/// Bob begins nothing and says nothing of what he has lost: it is Alice who has to find out.
fn restart_of_responder(ours: &Ours, remotes: [&'static str; 2]) -> Result<()> {
    let [alices, bobs] = remotes.map(|remote| Knobs { remote, counter: 5, ..Knobs::default() });
    let scene = Scene::new(ours, Shape::Transport)?;
    let (alice, bob) = (scene.start(Side::Alice, &alices)?, scene.start(Side::Bob, &bobs)?);
    scene.bring_up(Side::Alice)?;
    bob.kill()?;
    for side in Side::BOTH {
        scene.setkey(side, &["-F"])?;
    }
    scene.until("no SAs", || Ok(scene.count_sas(Side::Alice)? == 0))?;
    let before = alice.log()?.matches("initiate new phase 2").count();
    // No answer to this one: it makes the kernel ask for SAs.
    let _ = scene.ping(Side::Alice, &["-c", "1", "-W", "1"]);
    scene.until("a quick mode", || Ok(alice.log()?.matches("initiate new phase 2").count() > before))?;
    let bob = scene.restart(Side::Bob, &bobs)?;
    let restarted = Instant::now();
    scene.bring_up(Side::Alice)?;
    println!("traffic again {:.1} s after the start of the responder", restarted.elapsed().as_secs_f64());
    alice.wait_for_log("does not answer under its phase 1")?;
    scene.protected("ESP")?;
    alice.stop()?;
    bob.stop()
}

fn others_survive(ours: &Ours) -> Result<()> {
    let scene = Scene::new(ours, Shape::Transport)?;
    let (alice, bob) = scene.start_both(&Knobs::default())?;
    let manual = "add 192.0.2.1 192.0.2.99 esp 0x999 -E aes-cbc 0x000102030405060708090a0b0c0d0e0f -A hmac-sha1 \
                  0x000102030405060708090a0b0c0d0e0f10111213;\n";
    scene.load(Side::Alice, manual.into())?;
    scene.bring_up(Side::Alice)?;
    alice.stop()?;
    let sas = scene.sas(Side::Alice)?;
    ensure!(sas.matches("spi=").count() == 1 && sas.contains("spi=2457("), "{sas}");
    bob.stop()
}

/// `setkey -F`: the peer is told, and the next packet makes new ones.
fn flushed(ours: &Ours) -> Result<()> {
    let scene = Scene::new(ours, Shape::Transport)?;
    let (alice, bob) = scene.start_both(&Knobs::default())?;
    scene.bring_up(Side::Alice)?;
    scene.setkey(Side::Alice, &["-F"])?;
    scene.until("no SAs at the peer", || Ok(scene.count_sas(Side::Bob)? == 0))?;
    scene.bring_up(Side::Alice)?;
    scene.protected("ESP")?;
    alice.stop()?;
    bob.stop()
}
