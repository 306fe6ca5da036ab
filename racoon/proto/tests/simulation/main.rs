//! Two engines, two kernels and a bad link under a virtual clock. Everything depends on a seed. A failure names it, and can be
//! reproduced with it.

mod kernel;
mod world;

use std::time::Duration;

use racoon_proto::engine::Control;
use world::{Line, Terms, World};

const CLEAN: Line = Line { loss: 0, duplicates: 0, delay: 10, jitter: 0 };

const TERMS: Terms = Terms { line: CLEAN, phase1_lifetime: 3600, phase2_lifetime: 600, pfs: true, job: 5 };

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Sends packets from a host every second until one arrives.
fn bring_up(world: &mut World, from: usize, within: u64) {
    let (deadline, before) = (world.now + seconds(within), world.arrived);
    while world.arrived == before {
        assert!(world.now < deadline, "nothing arrived within {within} s\n{}", world.log_text());
        world.packet(from);
        world.run_until(world.now + seconds(1));
    }
}

/// Sends a packet a second in each direction.
fn talk(world: &mut World, duration: u64) {
    for _ in 0..duration {
        world.packet(0);
        world.packet(1);
        world.run_until(world.now + seconds(1));
    }
}

#[test]
fn a_packet_brings_up_sas() {
    let mut world = World::new(1, &TERMS);
    bring_up(&mut world, 0, 5);
    talk(&mut world, 10);
    assert_eq!((world.arrived, world.refused), (21, 0), "{}", world.log_text());
    for host in &world.hosts {
        assert_eq!((host.kernel.sas.len(), host.kernel.larval.len()), (2, 0));
    }
}

#[test]
fn a_run_repeats_bit_for_bit() {
    let log_text = || {
        let line = Line { loss: 20, duplicates: 10, delay: 20, jitter: 50 };
        let mut world = World::new(7, &Terms { line, ..TERMS });
        bring_up(&mut world, 0, 120);
        talk(&mut world, 700);
        (world.log_text(), world.arrived, world.refused)
    };
    assert_eq!(log_text(), log_text());
}

/// Hours of traffic with short lifetimes over a link with delays: everything is renewed, and no packet ever arrives without an SA.
#[test]
fn renewals_lose_nothing() {
    for seed in 0..20 {
        let line = Line { loss: 0, duplicates: 5, delay: 30, jitter: 60 };
        let mut world = World::new(seed, &Terms { line, phase1_lifetime: 500, phase2_lifetime: 120, ..TERMS });
        bring_up(&mut world, 0, 10);
        let before = world.arrived;
        talk(&mut world, 7200);
        world.run_until(world.now + seconds(1));
        assert_eq!(world.refused, 0, "seed {seed}: {}", world.log_text());
        assert_eq!(world.arrived - before, 2 * 7200, "seed {seed}: packets had to wait\n{}", world.log_text());
        for host in &world.hosts {
            assert!(host.kernel.sas.len() <= 6, "seed {seed}: SAs pile up: {:?}", host.kernel.sas.keys());
            assert!(host.engine.phase1s().count() <= 3, "seed {seed}: phase 1s pile up");
        }
    }
}

/// Whatever the link does, both ends agree at the end, and no state is left after they stop.
#[test]
fn ten_thousand_bad_lines() {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("SIMULATION_SEED");
    let runs = number("SIMULATION_RUNS").unwrap_or(if seed.is_some() { 1 } else { 10_000 });
    let first = seed.unwrap_or(0);
    for seed in first..first.saturating_add(runs) {
        one_bad_line(seed);
    }
}

fn one_bad_line(seed: u64) {
    let mut dice = World::new(seed ^ 0xd1ce, &TERMS);
    let line = Line {
        loss: dice.pick(&[0, 5, 20, 30]),
        duplicates: dice.pick(&[0, 10, 50]),
        delay: dice.pick(&[1, 50, 400]),
        jitter: dice.pick(&[0, 50, 2000]),
    };
    let terms = Terms {
        line,
        phase1_lifetime: dice.pick(&[60, 300, 3600]),
        phase2_lifetime: dice.pick(&[60, 600]),
        pfs: dice.draw(2) == 0,
        job: dice.pick(&[0, 30, 1500]),
    };
    let mut world = World::new(seed, &terms);
    let from = dice.pick(&[0, 1]);
    if dice.draw(3) == 0 {
        world.packet(1 - from);
    }
    bring_up(&mut world, from, 180);
    talk(&mut world, 40);
    if dice.draw(4) == 0 {
        world.reboot(1 - from, seed ^ 0xb007, &terms);
        // Datagrams in transit would arrive and look like answers.
        world.run_until(world.now + seconds(5));
        // The restarted host sends packets. Its INITIAL-CONTACT makes the other one remove its old SAs.
        bring_up(&mut world, 1 - from, 180);
    }
    // The link recovers, and both agree.
    world.set_line(CLEAN);
    talk(&mut world, 10);
    let (arrived, refused) = (world.arrived, world.refused);
    talk(&mut world, 5);
    world.run_until(world.now + seconds(1));
    assert_eq!(world.refused, refused, "seed {seed} {terms:?}\n{}", world.log_text());
    assert!(world.arrived >= arrived + 8, "seed {seed} {terms:?}\n{}", world.log_text());
    part(&mut world, from, seed);
}

/// One host is killed at any moment during or after a negotiation and restarted, and sends nothing. The other one, without periodic
/// probes, notices this by its own packets.
#[test]
fn killed_peers_are_found_again() {
    for seed in 0..200 {
        let mut dice = World::new(seed ^ 0xd1ce, &TERMS);
        let line = Line {
            loss: dice.pick(&[0, 5, 20]),
            duplicates: dice.pick(&[0, 10]),
            delay: dice.pick(&[1, 50, 400]),
            jitter: dice.pick(&[0, 50, 1000]),
        };
        let terms = Terms { line, phase2_lifetime: 60, pfs: dice.draw(2) == 0, ..TERMS };
        let mut world = World::new(seed, &terms);
        let from = dice.pick(&[0, 1]);
        world.packet(from);
        world.run_until(world.now + Duration::from_millis(dice.draw(10_000)));
        let survivor = dice.pick(&[from, from, 1 - from]);
        world.reboot(1 - survivor, seed ^ 0xb007, &terms);
        world.run_until(world.now + seconds(5));
        bring_up(&mut world, survivor, 300);
        world.set_line(CLEAN);
        talk(&mut world, 120);
        let (arrived, refused) = (world.arrived, world.refused);
        talk(&mut world, 5);
        world.run_until(world.now + seconds(1));
        assert_eq!(world.refused, refused, "seed {seed} {terms:?}\n{}", world.log_text());
        assert!(world.arrived >= arrived + 8, "seed {seed} {terms:?}\n{}", world.log_text());
        for host in &world.hosts {
            let living = host.engine.phase1s().filter(|phase1| phase1.state == 9).count();
            assert!((1..=2).contains(&living), "seed {seed}: {living} phase 1s\n{}", world.log_text());
        }
        part(&mut world, survivor, seed);
    }
}

/// One host stops and keeps no state. The other one keeps none after it has received the deletes.
fn part(world: &mut World, stops: usize, seed: u64) {
    world.control(stops, Control::Shutdown);
    world.run_until(world.now + seconds(5));
    for host in &world.hosts {
        let (sas, larval) = (host.kernel.sas.len(), host.kernel.larval.len());
        assert_eq!((sas, larval), (0, 0), "seed {seed}: left at {}\n{}", host.address, world.log_text());
    }
    assert_eq!(world.hosts[stops].engine.phase1s().count(), 0, "seed {seed}");
    assert_eq!(world.hosts[stops].engine.poll_timeout(), None, "seed {seed}: a timer is left");
    // The reply cache of the other host expires.
    world.run_until(world.now + seconds(4000));
    let other = &world.hosts[1 - stops];
    assert_eq!(other.engine.phase1s().count(), 0, "seed {seed}: {}", world.log_text());
    assert_eq!(other.engine.poll_timeout(), None, "seed {seed}: a timer is left");
}

#[test]
fn nobody_there() {
    let line = Line { loss: 100, ..CLEAN };
    let mut world = World::new(3, &Terms { line, ..TERMS });
    world.packet(0);
    world.run_until(world.now + seconds(300));
    let said = "phase1 negotiation failed due to time up";
    assert!(world.hosts[0].log.iter().any(|line| line.contains(said)), "{}", world.log_text());
    assert_eq!(world.hosts[0].engine.poll_timeout(), None, "a timer is left");
    assert_eq!(world.hosts[0].engine.phase1s().count(), 0);
    assert!(world.hosts[0].kernel.larval.is_empty());
    // When the host runs again, the next packet establishes SAs.
    world.set_line(CLEAN);
    bring_up(&mut world, 0, 5);
}
