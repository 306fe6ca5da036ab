//! racoon with the daemons of other projects in the lab: strongSwan, libreswan, and the probe ike-scan.
//!
//! [`check`] fetches the programs and boots the lab. [`run_in_lab`] runs a matrix of connections in which any two
//! algorithms and circumstances occur together. Runs of the other daemons among themselves show that the lab and the
//! matrix work; then racoon takes one side.
//!
//! Results with racoon:
//!
//! | | strongSwan 5.9.8 | libreswan 4.10 |
//! |---|---|---|
//! | rows over NETLINK_XFRM | 107 of 107 | 78 of 78 |
//! | AH over IPv4 with SHA-384 and SHA-512, over PF_KEY | fails: the kernel pads the header to 8 bytes | the same |
//! | AH with SHA-256, over PF_KEY | works with `sha256_96` | fails: `sha2-truncbug` affects only ESP |
//! | renewal of keys by either side, both phases | no ping is lost at intervals of 20 ms | the same, except if racoon renews: libreswan uses its new SA from message 2 on, and packets that arrive before racoon has processed that message are lost |
//! | IPComp in ESP | works; the answer contains a second proposal, ESP alone, which was not offered | works |
//! | extended sequence numbers | work | not supported in IKEv1 |
//! | INITIAL-CONTACT from racoon | respected in message 5 of main mode, but not in an exchange of its own | ignored in IKEv1; old inbound SAs expire |
//! | INITIAL-CONTACT from the peer | respected | respected, if sent (`initial-contact=yes`) |
//! | SIGTERM to racoon | the peer deletes its SAs | the same |
//! | aggressive mode, pre-shared key: address, FQDN, USER_FQDN and KEY_ID, either side begins | 8 of 8 | 8 of 8 |
//! | aggressive mode, certificates for RSA: subject and FQDN | 4 of 4 | with subjects, it refuses our message 3, and works if it begins |
//! | aggressive mode, certificates for P-256 | 2 of 2 | not supported in IKEv1 |
//! | main mode, certificates for RSA: subject, FQDN and USER_FQDN, either side begins | 6 of 6 | 6 of 6 |
//! | main mode, certificates for ECDSA with P-256, P-384 and P-521 | 6 of 6 | not supported in IKEv1 |
//! | main and aggressive mode, each side below an intermediate authority of its own | 4 of 4 | not tested |
//! | main mode, RSA keys without certificates | not tested | 2 of 2 |
//! | ike-scan 1.9.5 | one handshake for the configured transform, NO-PROPOSAL-CHOSEN for DES | |
//! | psk-crack 1.9.5 | finds the key in racoon's message 2 of aggressive mode, with SHA-1 and MD5 | |

mod algorithm;
mod connection;
mod credentials;
mod daemon;
mod host_pair;
mod ike_scan;
mod libreswan;
mod matrix;
mod package;
mod pairwise;
mod racoon_conf;
mod runner;
mod scenarios;
mod strongswan;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command::HostCommand;
use crate::lab::Boot;
use crate::racoon::Programs;
use crate::summary::Summary;
use crate::{renamed, tools, tree};
use algorithm::Peer;
use connection::Authentication;
pub(crate) use credentials::make_certificates;
use daemon::Implementation;
pub(crate) use package::{PROGRAMS, STRONGSWAN};

/// Given in place of a row: the scenarios, which test what happens after a negotiation.
const SCENARIOS: &str = "scenarios";

/// Given in place of a row: connections with identities and certificates.
const CREDENTIALS: &str = "credentials";

/// The rows that a short run takes.
pub(crate) const SAMPLE: &[&str] = &["s1", "s2", "s3", "s4", "s22", "s35", "s48", "s61", "s74"];

/// `cargo regress matrix`: the given rows, or all of them.
pub(crate) fn run(arguments: &[&str]) -> Result<bool> {
    tools::packages(tools::LAB)?;
    let arguments: Vec<&str> = arguments.iter().map(|argument| renamed::current(argument)).collect();
    let summary = match &arguments[..] {
        ["--racoon", backend, rows @ ..] => {
            HostCommand::cargo("build --quiet --package racoon --package setkey").run()?;
            check(backend, rows)?
        }
        rows => check_peers(rows)?,
    };
    summary.print_remarks();
    Ok(summary.failed == 0)
}

/// Tests racoon with each peer.
pub(crate) fn check(backend: &str, rows: &[&str]) -> Result<Summary> {
    let (racoon, setkey) = (tree::program("racoon", "debug"), tree::program("setkey", "debug"));
    let path = |path: &Path| path.to_str().map(str::to_owned).context("the path of a program is not text");
    boot(&[&["racoon", &path(&racoon)?, &path(&setkey)?, backend], rows].concat(), backend)
}

/// Tests the peers with each other. A few rows show that the lab and the packages work.
pub(crate) fn check_sample() -> Result<Summary> {
    check_peers(SAMPLE)
}

fn check_peers(rows: &[&str]) -> Result<Summary> {
    boot(&[&["peers"], rows].concat(), "xfrm")
}

fn boot(arguments: &[&str], backend: &str) -> Result<Summary> {
    tools::packages(PROGRAMS)?;
    STRONGSWAN.fetch()?;
    package::LIBRESWAN.fetch()?;
    // `run_in_lab` finds the packages below this folder.
    let target = tree::target();
    let target = target.to_str().context("the path of the build folder is not text")?;
    let boot = Boot::regress(&[&["interop"], arguments].concat())?.env("CARGO_TARGET_DIR", target);
    boot.limit(Duration::from_secs(3600)).for_backend(backend).run_summarized()
}

/// Runs inside the lab. `arguments` say which daemon is on our side, and then which rows to run instead of all.
pub(crate) fn run_in_lab(arguments: &[&str]) -> Result<()> {
    let total = match arguments {
        ["peers", only @ ..] => run_peers(only)?,
        ["racoon", racoon, setkey, backend, only @ ..] => {
            let (racoon, setkey) = (PathBuf::from(racoon), PathBuf::from(setkey));
            run_racoon(Programs { racoon, setkey, backend: (*backend).to_owned() }, only)?
        }
        _ => bail!("no such interop test: {arguments:?}"),
    };
    println!("{total}");
    Ok(())
}

fn run_peers(only: &[&str]) -> Result<Summary> {
    let charon = Implementation::Charon;
    let mut total = ike_scan::probe(&charon)?;
    for (title, peer, theirs) in [
        ("charon, pluto", Peer::Libreswan, Implementation::Pluto),
        ("charon, charon", Peer::Strongswan, Implementation::Charon),
    ] {
        total += titled(title, || runner::run_matrix(peer, &charon, &theirs, only))?;
        total += titled(&format!("{title}, credentials"), || run_credentials(peer, &charon, &theirs, only))?;
    }
    Ok(total)
}

fn run_racoon(programs: Programs, only: &[&str]) -> Result<Summary> {
    let ours = Implementation::Racoon(programs);
    let mut total = ike_scan::probe(&ours)?;
    for (title, peer, theirs) in [
        ("racoon, charon", Peer::Strongswan, Implementation::Charon),
        ("racoon, pluto", Peer::Libreswan, Implementation::Pluto),
    ] {
        if only != [SCENARIOS] {
            total += titled(title, || runner::run_matrix(peer, &ours, &theirs, only))?;
        }
        if only != [SCENARIOS] {
            total += titled(&format!("{title}, credentials"), || run_credentials(peer, &ours, &theirs, only))?;
        }
        if only.is_empty() || only.contains(&SCENARIOS) {
            total += titled(title, || Ok(scenarios::run(peer, &ours, &theirs)))?;
        }
    }
    Ok(total)
}

/// Runs the rows with identities and certificates: all, or those that `only` names.
fn run_credentials(peer: Peer, ours: &Implementation, theirs: &Implementation, only: &[&str]) -> Result<Summary> {
    if !only.is_empty() && !only.iter().any(|name| name.starts_with('c')) {
        return Ok(Summary::default());
    }
    let pki = make_certificates(Path::new("/run/pki"))?;
    let mut rows = credentials::credential_rows(peer, &pki)?;
    let is_wanted = |name: &str| only.is_empty() || only.contains(&CREDENTIALS) || only.contains(&name);
    rows.retain(|row| is_wanted(&row.connection.name));
    // charon is not configured for them.
    if matches!(ours, Implementation::Charon) {
        rows.retain(|row| row.connection.authentication != Authentication::RawKeys);
    }
    runner::run_rows(ours, theirs, &rows)
}

fn titled(title: &str, run: impl FnOnce() -> Result<Summary>) -> Result<Summary> {
    println!("\n{title}:");
    run().with_context(|| title.to_owned())
}
