//! Probes by ike-scan, which does not negotiate.

use anyhow::{Result, bail};

use super::algorithm::Peer;
use super::daemon::{Implementation, RunningDaemon};
use super::host_pair::HostPair;
use super::matrix::rows;
use crate::lab::{Finished, Host, Program};
use crate::summary::Summary;

/// Encryption and key length, hash, authentication and group by their IKE numbers, with the expected output of
/// ike-scan.
const PROBES: [(&str, &[&str]); 2] = [
    (
        "7/128,4,1,14",
        // The order depends on the daemon.
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

/// Probes a daemon that has one connection with the address of the probe. It must accept its only transform, and refuse
/// another one.
pub(crate) fn probe(kind: &Implementation) -> Result<Summary> {
    let rows: Vec<_> = rows(Peer::Strongswan).into_iter().map(|row| row.connection).take(1).collect();
    let pair = HostPair::new(&rows)?;
    let daemon = RunningDaemon::start(kind, &pair.alice, &rows)?;
    let Some(row) = rows.first() else { bail!("the matrix is empty") };
    let target = row.local.address.to_string();
    let mut summary = Summary::default();
    for (transform, answer) in PROBES {
        let seen = ike_scan(&pair.bob, &[&format!("--trans={transform}"), &target])?.text();
        let passed = answer.iter().all(|part| seen.contains(part));
        println!("ike-scan --trans={transform}: {}", if passed { answer.join(", ") } else { seen });
        summary += Summary::of(passed);
    }
    daemon.stop()?;
    Ok(summary)
}

/// Runs ike-scan on `host`, with one attempt of two seconds. Its own port avoids that of a daemon on the same host.
fn ike_scan(host: &Host, arguments: &[&str]) -> Result<Finished> {
    let own = ["--sport=0", "--retry=1", "--timeout=2000", "--nodns"];
    host.run(Program::new("ike-scan", &[&own, arguments].concat()))
}
