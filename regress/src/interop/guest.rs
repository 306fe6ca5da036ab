//! Inside the lab: two hosts, a daemon on each, and the rows of a table one after the other.

use std::fmt::Write;
use std::net::IpAddr;
use std::time::Instant;

use anyhow::{Result, bail, ensure};

use super::algorithm::{Peer, Protection};
use super::connection::{Connection, End};
use super::ike_scan::ike_scan;
use super::libreswan::Pluto;
use super::ours;
use super::scenario::{Initiator, Scenario, table};
use super::strongswan::Charon;
use crate::lab::{Host, Link, PATIENCE, Program, Stdin, wait_until};
use crate::racoon::{Ours, Racoon};
use crate::tally::{FAILURE, Tally, twice};

/// Which daemon a host has.
pub(crate) enum Kind {
    Charon,
    Pluto,
    Racoon(Ours),
}

/// One of them, running.
pub(super) enum Running<'a> {
    Charon(Charon<'a>),
    Pluto(Pluto<'a>),
    Racoon(Racoon<'a>),
}

impl<'a> Running<'a> {
    pub(super) fn start(kind: &Kind, host: &'a Host, connections: &[Connection]) -> Result<Self> {
        Ok(match kind {
            Kind::Charon => Self::Charon(Charon::start(host, connections)?),
            Kind::Pluto => Self::Pluto(Pluto::start(host, connections)?),
            Kind::Racoon(ours) => Self::Racoon(Racoon::start(host, ours, &ours::files(connections))?),
        })
    }

    /// Begins a connection. Racoon does so by itself, with the first packet.
    pub(super) fn initiate(&self, connection: &Connection) -> Result<()> {
        match self {
            Self::Charon(charon) => charon.initiate(&connection.name),
            Self::Pluto(pluto) => pluto.initiate(&connection.name),
            Self::Racoon(_) => Ok(()),
        }
    }

    /// Ends a connection and tells the peer. Racoon has no such command yet.
    fn terminate(&self, connection: &Connection) -> Result<()> {
        match self {
            Self::Charon(charon) => charon.terminate(&connection.name),
            Self::Pluto(pluto) => pluto.terminate(&connection.name),
            Self::Racoon(_) => Ok(()),
        }
    }

    /// What it says it has, where it can be asked.
    fn status(&self) -> String {
        let status = match self {
            Self::Charon(charon) => charon.status(),
            Self::Pluto(pluto) => pluto.status(),
            Self::Racoon(_) => Ok(String::new()),
        };
        status.unwrap_or_else(|error| format!("{error:#}\n"))
    }

    fn is_alive(&self) -> bool {
        match self {
            Self::Charon(charon) => charon.is_alive(),
            Self::Pluto(pluto) => pluto.is_alive(),
            Self::Racoon(racoon) => racoon.is_alive(),
        }
    }

    pub(super) fn log(&self) -> String {
        let log = match self {
            Self::Charon(charon) => charon.log(),
            Self::Pluto(pluto) => pluto.log(),
            Self::Racoon(racoon) => racoon.log(),
        };
        log.unwrap_or_else(|error| format!("{error:#}\n"))
    }

    pub(super) fn stop(self) -> Result<()> {
        match self {
            Self::Charon(charon) => charon.stop(),
            Self::Pluto(pluto) => pluto.stop(),
            Self::Racoon(racoon) => racoon.stop(),
        }
    }

    /// Ends it as a crash would.
    pub(super) fn kill(self) -> Result<()> {
        match self {
            Self::Charon(charon) => charon.kill(),
            Self::Pluto(pluto) => pluto.kill(),
            Self::Racoon(racoon) => racoon.kill(),
        }
    }
}

/// Two hosts on a wire.
pub(crate) struct Pair {
    wire: Link,
    pub(super) alice: Host,
    pub(super) bob: Host,
}

impl Pair {
    /// With all addresses and routes that `connections` (as alice sees them) need.
    pub(super) fn new(connections: &[Connection]) -> Result<Self> {
        let wire = Link::new("wire")?;
        let (alice, bob) = (Host::new("alice")?, Host::new("bob")?);
        for (host, number) in [(&alice, 1), (&bob, 2)] {
            wire.plug(host, "eth0", &[&format!("fe80::{number}/64")])?;
        }
        address(&alice, 2, connections.iter().map(|c| (&c.local, &c.remote)))?;
        address(&bob, 1, connections.iter().map(|c| (&c.remote, &c.local)))?;
        Ok(Self { wire, alice, bob })
    }
}

/// Gives `host` the addresses of its ends, and the ways to the others, whose link-local address is `fe80::` `next`.
fn address<'a>(host: &Host, next: u8, ends: impl Iterator<Item = (&'a End, &'a End)>) -> Result<()> {
    let (mut addresses, mut routes) = (String::new(), String::new());
    for (here, there) in ends {
        // Writing to a string cannot fail.
        let _ = match here.address {
            IpAddr::V4(local) => writeln!(addresses, "address add {local}/24 dev eth0"),
            // Neighbour discovery between addresses under a policy would itself need the SA: they are not on-link.
            IpAddr::V6(local) => {
                let _ = writeln!(routes, "route add {}/128 via fe80::{next} dev eth0", there.address);
                writeln!(addresses, "address add {local}/128 dev eth0 nodad")
            }
        };
        if let (Some(here), Some(there)) = (&here.behind, &there.behind) {
            let bits = if here.address.is_ipv4() { 32 } else { 128 };
            let _ = writeln!(addresses, "address add {}/{bits} dev lo", here.address);
            let _ = writeln!(routes, "route add {} dev eth0 src {}", there.network, here.address);
        }
    }
    batch(host, addresses)?;
    // The kernel ends the tentative state of an IPv6 address later, even without duplicate address detection, and refuses
    // it as the source of a route before.
    let is_usable = || host.must("ip -6 address show tentative").is_ok_and(|done| done.text().trim().is_empty());
    ensure!(wait_until(PATIENCE, is_usable, || Ok(()))?, "{}: an address stays tentative", host.name());
    batch(host, routes)
}

/// Runs lines of ip(8).
fn batch(host: &Host, lines: String) -> Result<()> {
    let done = host.run(Program::new("ip", &["-batch", "-"]).stdin(Stdin::Bytes(lines.into_bytes())))?;
    ensure!(done.success(), "{}: {}", host.name(), done.text());
    Ok(())
}

/// Plays the table of `peer`, with `ours` on one side and `theirs` on the other. `only` selects rows by their numbers.
pub(crate) fn play(peer: Peer, ours: &Kind, theirs: &Kind, only: &[&str]) -> Result<Tally> {
    let mut rows = table(peer);
    rows.retain(|row| only.is_empty() || only.contains(&row.connection.name.as_str()));
    if matches!(ours, Kind::Racoon(ours) if ours.backend == "pfkey") {
        // Linux's PF_KEY has no AEAD, cuts SHA-256 to 96 bits, and makes AH over IPv4 longer than RFC 4302 has it where the
        // ICV is not of 96 bits: with SHA-384 and SHA-512. Pluto cuts SHA-256 in ESP only.
        rows.retain(|row| match row.connection.phase2.protection {
            Protection::Aead(_) => false,
            Protection::Ah => {
                let authentication = row.connection.phase2.authentication;
                row.connection.local.address.is_ipv6()
                    || !authentication.is_sha2()
                    || (peer == Peer::Strongswan && authentication.racoon == "hmac_sha256")
            }
            Protection::Esp(_) => true,
        });
        rows.iter_mut().for_each(|row| row.connection.phase2.sha256_96 = true);
    }
    let (here, there): (Vec<_>, Vec<_>) = rows.iter().map(|row| (row.connection.clone(), row.theirs())).unzip();
    let pair = Pair::new(&here)?;
    let ours = Running::start(ours, &pair.alice, &here)?;
    let theirs = Running::start(theirs, &pair.bob, &there)?;
    let mut tally = Tally::default();
    for row in &rows {
        let (start, logs) = (Instant::now(), [ours.log().len(), theirs.log().len()]);
        let done = twice(&row.connection.name, || perform(&pair, &ours, &theirs, row));
        let took = start.elapsed().as_secs_f64();
        tally += Tally::of(done.is_ok());
        match done {
            Ok(()) => println!("{took:4.1} s  ok      {row}"),
            Err(error) => {
                println!("{FAILURE}{row} ({took:.1} s): {error:#}");
                for (daemon, from) in [&ours, &theirs].into_iter().zip(logs) {
                    println!("--- log\n{}", daemon.log().get(from..).unwrap_or_default());
                    println!("--- status\n{}", daemon.status());
                }
                ensure!(ours.is_alive() && theirs.is_alive(), "a daemon has ended");
            }
        }
    }
    ours.stop()?;
    theirs.stop()?;
    Ok(tally)
}

/// One row: a negotiation, pings both ways, nothing in clear on the wire, and an end that both sides hear of.
fn perform(pair: &Pair, ours: &Running<'_>, theirs: &Running<'_>, row: &Scenario) -> Result<()> {
    let watch = pair.wire.watch()?;
    let c = &row.connection;
    let done = negotiate(pair, ours, theirs, row);
    let seen = watch.end()?;
    done?;
    let kind = if *c.phase2.protection == Protection::Ah { "AH" } else { "ESP" };
    ensure!(seen.of(kind) >= 4, "expected 4 {kind} packets on the wire, saw: {seen}");
    ensure!(seen.of("ICMP") == 0 && seen.of("ICMPv6 echo") == 0, "pings crossed the wire in clear: {seen}");
    theirs.terminate(c)?;
    for host in [&pair.alice, &pair.bob] {
        let gone = wait_until(PATIENCE, || states(host, c).is_ok_and(|text| text.is_empty()), || Ok(()))?;
        ensure!(gone, "{}: SAs are left after a delete\n{}", host.name(), states(host, c)?);
    }
    Ok(())
}

fn negotiate(pair: &Pair, ours: &Running<'_>, theirs: &Running<'_>, row: &Scenario) -> Result<()> {
    let c = &row.connection;
    match row.initiator {
        Initiator::Ours => ours.initiate(c)?,
        Initiator::Theirs => theirs.initiate(c)?,
        Initiator::TheirTraffic => {}
    }
    let (alice, bob) = ((&pair.alice, &c.local), (&pair.bob, &c.remote));
    let [first, second] = if row.initiator == Initiator::Ours { [alice, bob] } else { [bob, alice] };
    ping(first.0, first.1, second.1)?;
    ping(second.0, second.1, first.1)
}

/// The SAs of a connection that `host` has; not the kernel's own marks that it waits for some, which time out.
pub(super) fn states(host: &Host, c: &Connection) -> Result<String> {
    Ok(states_between(host, &c.local, &c.remote)? + &states_between(host, &c.remote, &c.local)?)
}

/// The same of one direction.
pub(super) fn states_between(host: &Host, from: &End, to: &End) -> Result<String> {
    let (from, to) = (from.address.to_string(), to.address.to_string());
    let listed = host.run(Program::new("ip", &["xfrm", "state", "list", "src", &from, "dst", &to]))?.text();
    let sas = listed.lines().filter(|line| line.contains(" spi ") && !line.contains("spi 0x00000000"));
    Ok(sas.collect())
}

/// Pings until an answer comes: the first packets may be lost to a negotiation that they begin.
pub(super) fn ping(host: &Host, from: &End, to: &End) -> Result<()> {
    let (from, to) = (from.source().to_string(), to.source().to_string());
    let done = host.run(Program::new("ping", &["-n", "-c", "1", "-w", "100", "-i", "0.2", "-I", &from, &to]))?;
    if !done.success() {
        let states = host.run(Program::new("ip", &["-s", "xfrm", "state"]))?.text();
        bail!("{}: no answer to pings from {from} to {to}\n{}\n{states}", host.name(), done.text());
    }
    Ok(())
}

/// Encryption and its bits, hash, authentication, group as IKE numbers them; and what ike-scan has to say.
const PROBES: [(&str, &[&str]); 2] = [
    (
        "7/128,4,1,14",
        // In any order: each daemon has its own.
        &[
            "Enc=AES",
            "KeyLength=128",
            "Hash=SHA2-256",
            "Group=14:modp2048",
            "Auth=PSK",
            "1 returned handshake; 0 returned",
        ],
    ),
    ("1,1,1,1", &["NO-PROPOSAL-CHOSEN", "0 returned handshake; 1 returned notify"]),
];

/// A stranger's main mode probe of a daemon that has one connection for the stranger's address: it answers with the one
/// transform that it has, and knows no other.
pub(crate) fn probe(kind: &Kind) -> Result<Tally> {
    let rows: Vec<_> = table(Peer::Strongswan).into_iter().map(|row| row.connection).take(1).collect();
    let pair = Pair::new(&rows)?;
    let daemon = Running::start(kind, &pair.alice, &rows)?;
    let Some(row) = rows.first() else { bail!("the table is empty") };
    let target = row.local.address.to_string();
    let mut tally = Tally::default();
    for (transform, answer) in PROBES {
        let seen = ike_scan(&pair.bob, &[&format!("--trans={transform}"), &target])?.text();
        let passed = answer.iter().all(|part| seen.contains(part));
        println!("ike-scan --trans={transform}: {}", if passed { answer.join(", ") } else { seen });
        tally += Tally::of(passed);
    }
    daemon.stop()?;
    Ok(tally)
}
