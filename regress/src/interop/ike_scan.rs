//! Probes by ike-scan, which does not negotiate.

use std::fs;

use anyhow::{Context, Result, bail};

use super::algorithm::{GROUPS, HASHES, PHASE1_CIPHERS, Peer};
use super::connection::{Authentication, Connection, Exchange, Identity};
use super::daemon::{Implementation, RunningDaemon};
use super::host_pair::HostPair;
use super::matrix::rows;
use crate::lab::{Finished, Host, Program, daemon_dir};
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

/// The identity of the probe in aggressive mode.
const PROBE: &str = "bob@mail.example";

/// How often a handshake is tried. The public value of ike-scan is a random number, and every second one of those is not
/// in the subgroup of order q of the group, which a responder may refuse.
const ATTEMPTS: u32 = 16;

/// The pre-shared key that psk-crack has to find.
const KEY: &str = "letmein2026letmein2026";

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
    summary += crack(kind)?;
    Ok(summary)
}

/// Lets psk-crack recover the pre-shared key from an answer in aggressive mode, which shows that HASH_R is what another
/// implementation computes. It supports two hashes.
fn crack(kind: &Implementation) -> Result<Summary> {
    let (first, second) = (aggressive(0, "sha1")?, aggressive(1, "md5")?);
    let connections = [first, second];
    let pair = HostPair::new(&connections)?;
    let daemon = RunningDaemon::start(kind, &pair.alice, &connections)?;
    let dictionary = daemon_dir(&pair.bob, "psk-crack")?.join("dictionary");
    fs::write(&dictionary, format!("password\n{KEY}\nsecret\n"))?;
    let mut summary = Summary::default();
    for (c, hash) in connections.iter().zip(["2", "1"]) {
        let parameters = dictionary.with_file_name(format!("parameters.{hash}"));
        let (target, file) = (c.local.address.to_string(), parameters.to_string_lossy());
        let output = format!("--pskcrack={file}");
        let transform = format!("--trans=7/128,{hash},1,14");
        let aggressive = ["--aggressive", &format!("--id={PROBE}"), "--idtype=3", "--dhgroup=14"];
        let arguments = [&aggressive[..], &[&transform, &output, &target]].concat();
        let mut scan = String::new();
        for _ in 0..ATTEMPTS {
            scan = ike_scan(&pair.bob, &arguments)?.text();
            if scan.contains("1 returned handshake") {
                break;
            }
        }
        let words = [&format!("--dictionary={}", dictionary.display()), &*file];
        let seen = pair.bob.run(Program::new("psk-crack", &words))?.text();
        let passed = seen.contains(&format!("key \"{KEY}\" matches"));
        let hash = c.phase1.hash.racoon;
        println!("psk-crack, {hash}: {}", if passed { "the key".to_owned() } else { scan + &seen });
        summary += Summary::of(passed);
    }
    daemon.stop()?;
    Ok(summary)
}

/// Returns a connection in aggressive mode with the probe.
fn aggressive(row: usize, hash: &str) -> Result<Connection> {
    let rows = rows(Peer::Strongswan).into_iter().map(|row| row.connection);
    let mut c = rows.filter(|c| c.local.address.is_ipv4()).nth(row).context("a row over IPv4")?;
    c.exchange = Exchange::Aggressive;
    c.authentication = Authentication::PreSharedKey(KEY.to_owned());
    c.local.identity = Identity::UserFqdn("alice@mail.example".to_owned());
    c.remote.identity = Identity::UserFqdn(PROBE.to_owned());
    c.phase1.encryption = PHASE1_CIPHERS.first().context("a cipher")?;
    c.phase1.hash = HASHES.iter().find(|known| known.racoon == hash).context("a hash")?;
    c.phase1.group = GROUPS.first().context("a group")?;
    Ok(c)
}

/// Runs ike-scan on `host`, with one attempt of two seconds. Its own port avoids that of a daemon on the same host.
fn ike_scan(host: &Host, arguments: &[&str]) -> Result<Finished> {
    let own = ["--sport=0", "--retry=1", "--timeout=2000", "--nodns"];
    host.run(Program::new("ike-scan", &[&own, arguments].concat()))
}
