//! Links that lose, repeat and reorder packets: lost messages are sent again, repeated ones have no further effect.

use anyhow::{Result, ensure};

use super::testbed::{Settings, Side, Testbed, Topology};
use super::{Environment, Scenario};

pub(super) const SCENARIOS: &[Scenario] = &[
    ("5 % of packets lost", |env| negotiate_over(env, "loss 5%")),
    ("20 % of packets lost", |env| negotiate_over(env, "loss 20%")),
    ("20 % of packets are repeated", |env| negotiate_over(env, "duplicate 20%")),
    ("packets are reordered", |env| negotiate_over(env, "delay 30ms 25ms")),
    ("loss, repetition and reordering at once", |env| negotiate_over(env, "delay 20ms 15ms loss 10% duplicate 10%")),
];

/// How often phase 1 and phase 2 are negotiated.
const ROUNDS: usize = 4;

fn negotiate_over(env: &Environment<'_>, link: &str) -> Result<()> {
    let testbed = Testbed::new(env, Topology::Transport)?;
    // At a loss of 20 %, twelve transmissions and their answers are all lost once in about 200,000 times.
    let settings = Settings { counter: 12, ..Settings::default() };
    for side in Side::BOTH {
        testbed.impair(side, link)?;
    }
    for round in 0..ROUNDS {
        let (alice, bob) = testbed.start_both(&settings)?;
        let from = if round % 2 == 0 { Side::Alice } else { Side::Bob };
        testbed.bring_up(from)?;
        let pings = testbed.ping(from, &["-c", "40", "-i", "0.02", "-W", "1"])?;
        // The link also loses pings, so most of them may be unanswered.
        ensure!(pings.received >= 10, "round {round}: {pings:?}");
        let established = alice.log()?.matches("IPsec-SA established").count();
        ensure!(established >= 2, "round {round}: {established} SAs were installed");
        alice.stop()?;
        bob.stop()?;
    }
    Ok(())
}
