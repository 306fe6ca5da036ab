//! Peers nobody here wrote, in the lab: strongSwan, libreswan, ike-scan.
//!
//! Outside: [`check`] fetches and boots. In the guest: [`serve`] plays a table of connections that cover any two
//! algorithms and circumstances. The peers among themselves prove the lab and the table; then racoon takes a side.
//!
//! What was seen with racoon:
//!
//! | | strongSwan 5.9.8 | libreswan 4.10 |
//! |---|---|---|
//! | rows over NETLINK_XFRM | 107 of 107 | 78 of 78 |
//! | AH over IPv4 with SHA-384 and -512, over PF_KEY | no: the kernel pads its header to 8 bytes | the same |
//! | AH with SHA-256, over PF_KEY | with `sha256_96` | no: `sha2-truncbug` is for ESP only |
//! | keys renewed by either side, both phases | no ping of one every 20 ms is lost | the same; but where we renew, it sends by the new SA from message 2 on, and what arrives before we have read that is lost |
//! | IPComp in ESP | yes; beside its choice its answer has a second proposal, ESP alone, which nobody offered | yes |
//! | extended sequence numbers | yes | it has none in IKEv1 |
//! | our INITIAL-CONTACT | is heeded in message 5 of Main Mode; not as an exchange of its own | is not: it never looks for it in IKEv1, old inbound SAs run out |
//! | its INITIAL-CONTACT | is heeded | is, where it sends it (`initial-contact=yes`) |
//! | SIGTERM of racoon | it drops its SAs | the same |
//! | ike-scan 1.9.5 | one handshake for what is configured, NO-PROPOSAL-CHOSEN for DES | |

mod algorithm;
mod connection;
mod guest;
mod ike_scan;
mod libreswan;
mod ours;
mod package;
mod pairs;
mod scenario;
mod scenes;
mod strongswan;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::job::Job;
use crate::lab::Boot;
use crate::racoon::Ours;
use crate::tally::Tally;
use crate::{tools, tree};
use algorithm::Peer;
use guest::Kind;
pub(crate) use package::{PROGRAMS, STRONGSWAN};

/// Instead of a row: what goes on after a negotiation.
const SCENES: &str = "scenes";

/// `cargo regress rows`: some rows, or all.
pub(crate) fn run(words: &[&str]) -> Result<bool> {
    tools::packages(tools::LAB)?;
    let tally = match words {
        ["--racoon", backend, rows @ ..] => {
            Job::cargo("build --quiet --package racoon --package setkey").run()?;
            check(backend, rows)?
        }
        rows => check_peers(rows)?,
    };
    tally.print_remarks();
    Ok(tally.failed == 0)
}

/// Racoon against each peer.
pub(crate) fn check(backend: &str, rows: &[&str]) -> Result<Tally> {
    let (racoon, setkey) = (tree::program("racoon", "debug"), tree::program("setkey", "debug"));
    let path = |path: &Path| path.to_str().map(str::to_owned).context("the path of a program is not text");
    boot(&[&["racoon", &path(&racoon)?, &path(&setkey)?, backend], rows].concat(), backend)
}

/// A few rows of everything.
pub(crate) const SAMPLE: &[&str] = &["s1", "s2", "s3", "s4", "s22", "s35", "s48", "s61", "s74"];

/// The peers against each other: a few rows show that the lab and the packages are sound.
pub(crate) fn check_sample() -> Result<Tally> {
    check_peers(SAMPLE)
}

fn check_peers(rows: &[&str]) -> Result<Tally> {
    boot(&[&["peers"], rows].concat(), "xfrm")
}

fn boot(words: &[&str], backend: &str) -> Result<Tally> {
    tools::packages(PROGRAMS)?;
    STRONGSWAN.fetch()?;
    package::LIBRESWAN.fetch()?;
    // Where the guest finds the packages.
    let target = tree::target();
    let target = target.to_str().context("the path of the build folder is not text")?;
    let boot = Boot::agent(&[&["interop"], words].concat())?.env("CARGO_TARGET_DIR", target);
    boot.limit(Duration::from_secs(3600)).for_backend(backend).run_counted()
}

/// In the guest. `words`: who is on our side, then the rows to play instead of all.
pub(crate) fn serve(words: &[&str]) -> Result<()> {
    let total = match words {
        ["peers", only @ ..] => {
            let mut total = guest::probe(&Kind::Charon)?;
            total += titled("charon, pluto", || guest::play(Peer::Libreswan, &Kind::Charon, &Kind::Pluto, only))?;
            total += titled("charon, charon", || guest::play(Peer::Strongswan, &Kind::Charon, &Kind::Charon, only))?;
            total
        }
        ["racoon", racoon, setkey, backend, only @ ..] => {
            let (racoon, setkey) = (PathBuf::from(racoon), PathBuf::from(setkey));
            let ours = Kind::Racoon(Ours { racoon, setkey, backend: (*backend).to_owned() });
            let mut total = guest::probe(&ours)?;
            for (title, peer, theirs) in
                [("racoon, charon", Peer::Strongswan, Kind::Charon), ("racoon, pluto", Peer::Libreswan, Kind::Pluto)]
            {
                if only != [SCENES] {
                    total += titled(title, || guest::play(peer, &ours, &theirs, only))?;
                }
                if only.is_empty() || only.contains(&SCENES) {
                    total += titled(title, || Ok(scenes::play(peer, &ours, &theirs)))?;
                }
            }
            total
        }
        _ => bail!("no such interop play: {words:?}"),
    };
    println!("{total}");
    Ok(())
}

fn titled(title: &str, play: impl FnOnce() -> Result<Tally>) -> Result<Tally> {
    println!("\n{title}:");
    play().with_context(|| title.to_owned())
}
