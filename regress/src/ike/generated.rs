//! A peer for which there are no policies: they are made, and go when it goes (`generate_policy`).

use anyhow::{Result, ensure};

use super::Play;
use super::scene::{Knobs, Scene, Shape, Side};
use crate::racoon::Ours;

pub(super) const PLAYS: &[Play] = &[
    ("generated policies, transport", |ours| {
        made(ours, Shape::Transport, "generate_policy on;", "require", Side::Alice)
    }),
    ("generated policies, tunnel", |ours| made(ours, Shape::Tunnel, "generate_policy require;", "require", Side::Bob)),
    ("generated policies, transport, unique", |ours| {
        made(ours, Shape::Transport, "generate_policy unique;", "unique:16383", Side::Bob)
    }),
    ("generated policies, tunnel, unique", |ours| {
        made(ours, Shape::Tunnel, "generate_policy unique;", "unique:16383", Side::Alice)
    }),
    ("generated policies, killed", killed),
];

/// Seconds that a phase 2 lives. A renewal begins at four fifths of it.
const LIFETIME: u32 = 20;

/// A policy of Bob's that is none of racoon's business.
const FOREIGN: &str = "spdadd 192.0.2.2 192.0.2.99 any -P out ipsec esp/transport//require;\n";

/// Alice has policies and begins, Bob has none. One of them stops: Bob has none again.
fn made(ours: &Ours, shape: Shape, bobs: &'static str, level: &str, stops: Side) -> Result<()> {
    let scene = Scene::new(ours, shape)?;
    let knobs = Knobs { phase2_lifetime: LIFETIME, ..Knobs::default() };
    let alice = scene.start(Side::Alice, &knobs)?;
    scene.load(Side::Bob, FOREIGN.into())?;
    let bob = scene.restart(Side::Bob, &Knobs { remote: bobs, ..knobs })?;
    ensure!(count(&scene)? == 0, "there are policies already:\n{}", policies(&scene)?);

    scene.bring_up(Side::Alice)?;
    scene.protected("ESP")?;
    let wanted = if shape == Shape::Tunnel { 3 } else { 2 };
    check(&scene, wanted, level)?;

    // The first SAs are renewed, and come to their end.
    let seconds = (LIFETIME + 3).to_string();
    let pings = scene.ping(Side::Bob, &["-i", "0.05", "-w", &seconds])?;
    ensure!(pings.lost() == 0 && pings.received > 0, "{pings:?}");
    let installed = bob.log()?.matches("IPsec-SA established").count();
    ensure!(installed >= 4, "{installed} SAs were installed:\n{}", bob.log()?);
    check(&scene, wanted, level)?;
    scene.protected("ESP")?;

    let (first, second) = if stops == Side::Alice { (alice, bob) } else { (bob, alice) };
    first.stop()?;
    for side in Side::BOTH {
        scene.until("no SAs", || Ok(scene.count_sas(side)? == 0))?;
    }
    scene.until("no generated policies", || Ok(count(&scene)? == 0))?;
    ensure!(policies(&scene)?.contains("192.0.2.99"), "somebody else's policy is gone:\n{}", policies(&scene)?);
    second.stop()
}

/// Bob is killed: his policies block plain traffic until he starts again. Then Alice gets in as before.
fn killed(ours: &Ours) -> Result<()> {
    let scene = Scene::new(ours, Shape::Tunnel)?;
    let knobs = Knobs::default();
    let alice = scene.start(Side::Alice, &knobs)?;
    scene.load(Side::Bob, FOREIGN.into())?;
    let bobs = Knobs { remote: "generate_policy on;", ..knobs.clone() };
    let bob = scene.restart(Side::Bob, &bobs)?;
    scene.bring_up(Side::Alice)?;
    check(&scene, 3, "require")?;
    bob.kill()?;
    alice.stop()?;
    scene.setkey(Side::Alice, &["-FP"])?;
    let plain = || scene.ping(Side::Alice, &["-c", "1", "-W", "1"]);
    ensure!(plain()?.received == 0, "no policy is left");

    let bob = scene.restart(Side::Bob, &bobs)?;
    bob.wait_for_log("removed what an earlier racoon left in the kernel: policies: 3, SAs: 2")?;
    ensure!(count(&scene)? == 0 && scene.count_sas(Side::Bob)? == 0, "left:\n{}", policies(&scene)?);
    ensure!(policies(&scene)?.contains("192.0.2.99"), "somebody else's policy is gone:\n{}", policies(&scene)?);
    ensure!(plain()?.received == 1, "plain traffic is blocked:\n{}", policies(&scene)?);

    let alice = scene.start(Side::Alice, &knobs)?;
    scene.bring_up(Side::Alice)?;
    scene.protected("ESP")?;
    check(&scene, 3, "require")?;
    alice.stop()?;
    scene.until("no generated policies", || Ok(count(&scene)? == 0))?;
    bob.stop()
}

/// As many policies as there should be, of a level.
fn check(scene: &Scene, wanted: usize, level: &str) -> Result<()> {
    let (found, text) = (count(scene)?, policies(scene)?);
    let of_level = text.matches(&format!("/{level}\n")).count();
    // The foreign one is there, too.
    let expected = wanted + usize::from(level == "require");
    ensure!(found == wanted && of_level == expected, "{found} policies, {of_level} of level {level}:\n{text}");
    Ok(())
}

/// How many policies Bob has for what is between him and Alice.
fn count(scene: &Scene) -> Result<usize> {
    let foreign = |line: &str| line.contains("192.0.2.99");
    Ok(policies(scene)?.lines().filter(|line| line.contains("[any]") && !foreign(line)).count())
}

/// `setkey -DP` of Bob, without the policies of sockets.
fn policies(scene: &Scene) -> Result<String> {
    scene.setkey(Side::Bob, &["-NDP"])
}
