//! A bad line: what is lost is sent again, what comes twice is done once.

use anyhow::{Result, ensure};

use super::Play;
use super::scene::{Knobs, Scene, Shape, Side};
use crate::racoon::Ours;

pub(super) const PLAYS: &[Play] = &[
    ("5 % of packets lost", |ours| over(ours, "loss 5%")),
    ("20 % of packets lost", |ours| over(ours, "loss 20%")),
    ("20 % of packets come twice", |ours| over(ours, "duplicate 20%")),
    ("packets overtake each other", |ours| over(ours, "delay 30ms 25ms")),
    ("loss, repetition and disorder at once", |ours| over(ours, "delay 20ms 15ms loss 10% duplicate 10%")),
];

/// How often phase 1 and phase 2 are made anew.
const ROUNDS: usize = 4;

fn over(ours: &Ours, line: &str) -> Result<()> {
    let scene = Scene::new(ours, Shape::Transport)?;
    let knobs = Knobs { counter: 12, ..Knobs::default() };
    for side in Side::BOTH {
        scene.impair(side, line)?;
    }
    for round in 0..ROUNDS {
        let (alice, bob) = scene.start_both(&knobs)?;
        let from = if round % 2 == 0 { Side::Alice } else { Side::Bob };
        scene.bring_up(from)?;
        let pings = scene.ping(from, &["-c", "40", "-i", "0.02", "-W", "1"])?;
        ensure!(pings.received >= 10, "round {round}: {pings:?}");
        let established = alice.log()?.matches("IPsec-SA established").count();
        ensure!(established >= 2, "round {round}: {established} SAs were installed");
        alice.stop()?;
        bob.stop()?;
    }
    Ok(())
}
