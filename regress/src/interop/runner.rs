//! Runs the matrix inside the lab: two hosts, a daemon on each, and the rows one after the other.

use std::time::Instant;

use anyhow::{Result, bail, ensure};

use super::algorithm::{Peer, Protection};
use super::connection::{Connection, Endpoint};
use super::daemon::{Implementation, RunningDaemon};
use super::host_pair::HostPair;
use super::matrix::{Initiator, Row, rows};
use crate::lab::{Host, Program, TIMEOUT, wait_until};
use crate::summary::{FAILURE, Summary, with_retry};

/// Runs the matrix of `peer`, with `ours` on one side and `theirs` on the other. `only` selects rows by name.
pub(crate) fn run_matrix(peer: Peer, ours: &Implementation, theirs: &Implementation, only: &[&str]) -> Result<Summary> {
    let mut rows = rows(peer);
    rows.retain(|row| only.is_empty() || only.contains(&row.connection.name.as_str()));
    if matches!(ours, Implementation::Racoon(ours) if ours.backend == "pfkey") {
        // PF_KEY on Linux has no AEAD, truncates SHA-256 to 96 bits, and pads AH over IPv4 beyond RFC 4302 unless the
        // ICV has 96 bits, which affects SHA-384 and SHA-512. Pluto truncates SHA-256 in ESP only.
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
    run_rows(ours, theirs, &rows)
}

/// Starts both daemons with all connections of `rows`, and runs the rows.
pub(crate) fn run_rows(ours: &Implementation, theirs: &Implementation, rows: &[Row]) -> Result<Summary> {
    if rows.is_empty() {
        return Ok(Summary::default());
    }
    let (our_views, their_views): (Vec<_>, Vec<_>) =
        rows.iter().map(|row| (row.connection.clone(), row.theirs())).unzip();
    let pair = HostPair::new(&our_views)?;
    let ours = RunningDaemon::start(ours, &pair.alice, &our_views)?;
    let theirs = RunningDaemon::start(theirs, &pair.bob, &their_views)?;
    let mut summary = Summary::default();
    for row in rows {
        let (start, logs) = (Instant::now(), [ours.log().len(), theirs.log().len()]);
        let done = with_retry(&row.connection.name, || perform(&pair, &ours, &theirs, row));
        let took = start.elapsed().as_secs_f64();
        summary += Summary::of(done.is_ok());
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
    Ok(summary)
}

/// Runs a row: a negotiation, pings in both directions, no clear text on the link, and a deletion that both sides see.
fn perform(pair: &HostPair, ours: &RunningDaemon<'_>, theirs: &RunningDaemon<'_>, row: &Row) -> Result<()> {
    let watch = pair.link.watch()?;
    let c = &row.connection;
    let done = negotiate(pair, ours, theirs, row);
    // The capture ends first, also after an error: its thread must not outlive the row.
    let seen = watch.end()?;
    done?;
    let kind = if *c.phase2.protection == Protection::Ah { "AH" } else { "ESP" };
    ensure!(seen.of(kind) >= 4, "expected 4 {kind} packets on the link, saw: {seen}");
    ensure!(seen.of("ICMP") == 0 && seen.of("ICMPv6 echo") == 0, "pings crossed the link in clear: {seen}");
    theirs.terminate(c)?;
    for host in [&pair.alice, &pair.bob] {
        let gone = wait_until(TIMEOUT, || states(host, c).is_ok_and(|text| text.is_empty()), || Ok(()))?;
        ensure!(gone, "{}: SAs remain after a DELETE\n{}", host.name(), states(host, c)?);
    }
    Ok(())
}

fn negotiate(pair: &HostPair, ours: &RunningDaemon<'_>, theirs: &RunningDaemon<'_>, row: &Row) -> Result<()> {
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

/// Returns the SAs of a connection on `host`, without the kernel's own markers for a pending acquire, which time out.
pub(super) fn states(host: &Host, c: &Connection) -> Result<String> {
    Ok(states_between(host, &c.local, &c.remote)? + &states_between(host, &c.remote, &c.local)?)
}

/// Returns those of one direction.
pub(super) fn states_between(host: &Host, from: &Endpoint, to: &Endpoint) -> Result<String> {
    let (from, to) = (from.address.to_string(), to.address.to_string());
    let listed = host.run(Program::new("ip", &["xfrm", "state", "list", "src", &from, "dst", &to]))?.text();
    let sas = listed.lines().filter(|line| line.contains(" spi ") && !line.contains("spi 0x00000000"));
    Ok(sas.collect())
}

/// Pings until there is an answer: the first packets may be lost to the negotiation that they trigger.
pub(super) fn ping(host: &Host, from: &Endpoint, to: &Endpoint) -> Result<()> {
    let (from, to) = (from.source().to_string(), to.source().to_string());
    let done = host.run(Program::new("ping", &["-n", "-c", "1", "-w", "100", "-i", "0.2", "-I", &from, &to]))?;
    if !done.success() {
        let states = host.run(Program::new("ip", &["-s", "xfrm", "state"]))?.text();
        bail!("{}: no answer to pings from {from} to {to}\n{}\n{states}", host.name(), done.text());
    }
    Ok(())
}
