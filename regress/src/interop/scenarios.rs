//! What happens between two daemons after a negotiation: keys are renewed, and daemons stop, crash and restart.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::algorithm::{Peer, Protection};
use super::connection::{Connection, StartAction};
use super::daemon::{Implementation, RunningDaemon};
use super::host_pair::HostPair;
use super::matrix::{Initiator, rows};
use super::runner::{ping, states, states_between};
use crate::lab::{Host, Pings, Program, TIMEOUT, count_esn, wait_until};
use crate::summary::{FAILURE, Summary, with_retry};

type Scenario = (&'static str, fn(&Implementation, &Implementation, Peer) -> Result<()>);

const SCENARIOS: [Scenario; 7] = [
    ("IPComp in ESP, we initiate", |ours, theirs, peer| compressed(ours, theirs, peer, Initiator::Ours)),
    ("IPComp in ESP, they initiate", |ours, theirs, peer| compressed(ours, theirs, peer, Initiator::Theirs)),
    ("keys renewed by us under a ping every 20 ms", |ours, theirs, peer| renewed(ours, theirs, peer, [1, 20])),
    ("keys renewed by them under a ping every 20 ms", |ours, theirs, peer| renewed(ours, theirs, peer, [20, 1])),
    ("crash and restart of our daemon", we_restart),
    ("crash and restart of their daemon", they_restart),
    ("stop of our daemon", we_stop),
];

/// Not with pluto, which does not support them in IKEv1, nor over PF_KEY.
const ESN_SCENARIOS: [Scenario; 2] = [
    ("extended sequence numbers, we initiate", |ours, theirs, peer| extended(ours, theirs, peer, Initiator::Ours)),
    ("extended sequence numbers, they initiate", |ours, theirs, peer| extended(ours, theirs, peer, Initiator::Theirs)),
];

/// Lifetimes in seconds of phase 1 and phase 2 on the side that renews them.
const LIFETIMES: [u32; 2] = [28, 12];

/// Runs all scenarios.
pub(crate) fn run(peer: Peer, ours: &Implementation, theirs: &Implementation) -> Summary {
    let run_one = |(name, scenario): &Scenario| {
        let start = Instant::now();
        let done = with_retry(name, || scenario(ours, theirs, peer));
        let took = start.elapsed().as_secs_f64();
        match &done {
            Ok(()) => println!("{took:4.1} s  ok      {name}"),
            Err(error) => println!("{FAILURE}{name} ({took:.1} s): {error:#}"),
        }
        Summary::of(done.is_ok())
    };
    // Neither pluto nor PF_KEY supports them.
    let has_esn = peer != Peer::Libreswan && !matches!(ours, Implementation::Racoon(ours) if ours.backend == "pfkey");
    SCENARIOS.iter().chain(ESN_SCENARIOS.iter().filter(|_| has_esn)).map(run_one).sum()
}

/// Returns a tunnel that both kernel interfaces support.
fn tunnel(peer: Peer) -> Result<Connection> {
    plain(peer, Connection::is_tunnel).context("the matrix has no such tunnel")
}

/// Returns a connection over IPv4 with ESP and algorithms that both kernel interfaces support.
fn plain(peer: Peer, fits: impl Fn(&Connection) -> bool) -> Option<Connection> {
    let is_plain = |c: &Connection| {
        let is_v4 = c.local.address.is_ipv4() && c.local.source().is_ipv4();
        is_v4 && matches!(c.phase2.protection, Protection::Esp(_)) && !c.phase2.authentication.is_sha2()
    };
    rows(peer).into_iter().map(|row| row.connection).find(|c| is_plain(c) && fits(c))
}

/// Two running daemons with one connection between them.
struct Session<'a> {
    ours: RunningDaemon<'a>,
    theirs: RunningDaemon<'a>,
    our_view: Connection,
    their_view: Connection,
}

impl<'a> Session<'a> {
    /// Starts both daemons. `factors` multiply [`LIFETIMES`] on our side and on theirs.
    fn set(
        pair: &'a HostPair,
        ours: &Implementation,
        theirs: &Implementation,
        c: &Connection,
        factors: Option<[u32; 2]>,
    ) -> Result<Self> {
        let (mut our_view, mut their_view) = (c.clone(), c.mirrored(StartAction::Respond));
        if let Some(factors) = factors {
            for (c, factor) in [&mut our_view, &mut their_view].into_iter().zip(factors) {
                [c.phase1.lifetime, c.phase2.lifetime] = LIFETIMES.map(|seconds| seconds * factor);
            }
        }
        let session = Self {
            ours: RunningDaemon::start(ours, &pair.alice, std::slice::from_ref(&our_view))?,
            theirs: RunningDaemon::start(theirs, &pair.bob, std::slice::from_ref(&their_view))?,
            our_view,
            their_view,
        };
        Ok(session)
    }

    /// Lets the peer initiate, if it is to. It is finished when it has sent its last message. A packet of ours that is
    /// sent before we have processed that message would trigger a second negotiation.
    fn begin(&self, pair: &HostPair, initiator: Initiator) -> Result<()> {
        if initiator == Initiator::Theirs {
            self.theirs.initiate(&self.their_view)?;
            let (from, to) = (&self.our_view.local, &self.our_view.remote);
            let is_done = || states_between(&pair.alice, from, to).is_ok_and(|sas| !sas.is_empty());
            ensure!(wait_until(TIMEOUT, is_done, || Ok(()))?, "alice has no outbound SA");
        }
        Ok(())
    }

    fn check(&self, pair: &HostPair) -> Result<()> {
        ping(&pair.alice, &self.our_view.local, &self.our_view.remote)?;
        ping(&pair.bob, &self.their_view.local, &self.their_view.remote)
    }

    /// Adds both logs to an error.
    fn explain(&self, done: Result<()>) -> Result<()> {
        done.with_context(|| format!("--- log\n{}\n--- log\n{}", self.ours.log(), self.theirs.log()))
    }
}

/// A packet that compression shortens passes through both SAs.
fn compressed(ours: &Implementation, theirs: &Implementation, peer: Peer, initiator: Initiator) -> Result<()> {
    let mut c = plain(peer, |c| !c.is_tunnel()).context("the matrix has no such connection")?;
    c.phase2.compressed = true;
    let pair = HostPair::new(std::slice::from_ref(&c))?;
    let session = Session::set(&pair, ours, theirs, &c, None)?;
    let done = session.begin(&pair, initiator).and_then(|()| session.check(&pair)).and_then(|()| {
        for (host, from, to) in [(&pair.alice, &c.local, &c.remote), (&pair.bob, &c.remote, &c.local)] {
            let (from, to) = (from.source().to_string(), to.source().to_string());
            let done =
                host.run(Program::new("ping", &["-n", "-c", "2", "-w", "100", "-s", "1000", "-I", &from, &to]))?;
            ensure!(done.success(), "{}: {}", host.name(), done.text());
            let sas = host.run(Program::new("ip", &["-s", "xfrm", "state", "list", "proto", "comp"]))?.text();
            // One SA in each direction that has carried bytes.
            let used = sas.lines().filter(|line| line.contains("(bytes)") && line.contains("(packets)"));
            let used = used.filter(|line| {
                !line.contains("limit") && !line.contains(" 0(bytes)") && !line.trim().starts_with("0(")
            });
            ensure!(used.count() == 2, "{}: IPComp is not used\n{sas}", host.name());
        }
        Ok(())
    });
    session.explain(done)?;
    session.ours.stop()?;
    session.theirs.stop()
}

/// Both sides require extended sequence numbers, and use them.
fn extended(ours: &Implementation, theirs: &Implementation, peer: Peer, initiator: Initiator) -> Result<()> {
    let mut c = tunnel(peer)?;
    c.phase2.esn = true;
    let pair = HostPair::new(std::slice::from_ref(&c))?;
    let session = Session::set(&pair, ours, theirs, &c, None)?;
    let done = session.begin(&pair, initiator).and_then(|()| session.check(&pair)).and_then(|()| {
        for host in [&pair.alice, &pair.bob] {
            let sas = host.run(Program::new("ip", &["xfrm", "state"]))?.text();
            ensure!(count_esn(&sas) == 2, "{}: not two SAs with ESN:\n{sas}", host.name());
        }
        Ok(())
    });
    session.explain(done)?;
    session.ours.stop()?;
    session.theirs.stop()
}

/// Pings while one side renews both phases. Only packets that the peer sends too early may be lost.
fn renewed(ours: &Implementation, theirs: &Implementation, peer: Peer, factors: [u32; 2]) -> Result<()> {
    const SECONDS: usize = 36;
    /// Pings per second: the lab's clock turns intervals of 20 ms into about 30 ms.
    const PINGS: usize = 33;
    let c = tunnel(peer)?;
    let pair = HostPair::new(std::slice::from_ref(&c))?;
    let session = Session::set(&pair, ours, theirs, &c, Some(factors))?;
    let [ours_lasts, theirs_lasts] = factors;
    let initiator = if theirs_lasts < ours_lasts { Initiator::Theirs } else { Initiator::Ours };
    let done = session.begin(&pair, initiator).and_then(|()| session.check(&pair)).and_then(|()| {
        let (from, to) = (c.local.source().to_string(), c.remote.source().to_string());
        // A count instead of a time, so that ping waits for the last answers.
        let words = ["-n", "-i", "0.02", "-c", &(SECONDS * PINGS).to_string(), "-W", "2", "-I", &from, &to];
        let text = pair.alice.run(Program::new("ping", &words).limit(Duration::from_secs(600)))?.text();
        let pings = Pings::read(&text)?;
        // As responder, pluto uses its new SA after sending message 2, before we can have processed that message.
        let early =
            if peer == Peer::Libreswan && initiator == Initiator::Ours { early_packets(&pair.alice)? } else { 0 };
        let all = pings.sent == SECONDS * PINGS && pings.lost() <= early;
        ensure!(all, "pings were lost: {pings:?}\n{}", drops(&pair)?);
        let log = session.ours.log();
        let [phase1, phase2] = ["ISAKMP-SA established", "IPsec-SA established"].map(|line| log.matches(line).count());
        ensure!(phase1 >= 2 && phase2 >= 8, "{phase1} phase 1s and {phase2} SAs in {SECONDS} s");
        Ok(())
    });
    session.explain(done)?;
    session.ours.stop()?;
    session.theirs.stop()
}

/// Returns how many packets `host` received under an SA that it had not installed yet.
fn early_packets(host: &Host) -> Result<usize> {
    let statistics = xfrm_statistics(host)?;
    let count = statistics.lines().find_map(|line| line.strip_prefix("XfrmAcquireError"));
    Ok(count.context("no XfrmAcquireError in xfrm_stat")?.trim().parse()?)
}

fn xfrm_statistics(host: &Host) -> Result<String> {
    Ok(host.enter(|| std::fs::read_to_string("/proc/thread-self/net/xfrm_stat"))??)
}

/// Returns the reasons for which the kernels of both hosts dropped packets.
fn drops(pair: &HostPair) -> Result<String> {
    let mut text = String::new();
    for host in [&pair.alice, &pair.bob] {
        let statistics = xfrm_statistics(host)?;
        let counted = statistics.lines().filter(|line| !line.ends_with("\t0") && !line.ends_with(" 0"));
        text.push_str(&format!("{}: {}\n", host.name(), counted.collect::<Vec<_>>().join(", ")));
    }
    Ok(text)
}

/// Kills a daemon and flushes its kernel, as in a reboot.
fn reboot(daemon: RunningDaemon<'_>, host: &Host) -> Result<()> {
    daemon.kill()?;
    host.must("ip xfrm state flush")?;
    host.must("ip xfrm policy flush")?;
    Ok(())
}

/// Packets get through again, and our INITIAL-CONTACT makes charon drop its old SAs. Pluto does not, since one host may
/// have several connections with it.
fn we_restart(ours: &Implementation, theirs: &Implementation, peer: Peer) -> Result<()> {
    let c = tunnel(peer)?;
    let pair = HostPair::new(std::slice::from_ref(&c))?;
    let mut session = Session::set(&pair, ours, theirs, &c, None)?;
    session.check(&pair)?;
    reboot(session.ours, &pair.alice)?;
    session.ours = RunningDaemon::start(ours, &pair.alice, std::slice::from_ref(&session.our_view))?;
    let done = session.check(&pair).and_then(|()| match peer {
        Peer::Strongswan => one_pair(&pair.bob, &c),
        Peer::Libreswan => Ok(()),
    });
    session.explain(done)?;
    session.ours.stop()?;
    session.theirs.stop()
}

/// Their INITIAL-CONTACT makes us drop our old SAs.
fn they_restart(ours: &Implementation, theirs: &Implementation, peer: Peer) -> Result<()> {
    let c = tunnel(peer)?;
    let pair = HostPair::new(std::slice::from_ref(&c))?;
    let mut session = Session::set(&pair, ours, theirs, &c, None)?;
    session.check(&pair)?;
    reboot(session.theirs, &pair.bob)?;
    session.theirs = RunningDaemon::start(theirs, &pair.bob, std::slice::from_ref(&session.their_view))?;
    session.theirs.initiate(&session.their_view)?;
    let done = session.check(&pair).and_then(|()| one_pair(&pair.alice, &c));
    session.explain(done)?;
    session.ours.stop()?;
    session.theirs.stop()
}

/// Waits until a host has the SAs of a single negotiation.
fn one_pair(host: &Host, c: &Connection) -> Result<()> {
    let is_one = || states(host, c).is_ok_and(|text| text.matches(" spi ").count() == 2);
    ensure!(wait_until(TIMEOUT, is_one, || Ok(()))?, "{}: not two SAs:\n{}", host.name(), states(host, c)?);
    Ok(())
}

/// After SIGTERM, our SAs with the peer are gone on both sides.
fn we_stop(ours: &Implementation, theirs: &Implementation, peer: Peer) -> Result<()> {
    let c = tunnel(peer)?;
    let pair = HostPair::new(std::slice::from_ref(&c))?;
    let session = Session::set(&pair, ours, theirs, &c, None)?;
    session.check(&pair)?;
    session.ours.stop()?;
    for host in [&pair.alice, &pair.bob] {
        let gone = wait_until(TIMEOUT, || states(host, &c).is_ok_and(|text| text.is_empty()), || Ok(()))?;
        ensure!(gone, "{}: SAs remain\n{}\n{}", host.name(), states(host, &c)?, session.theirs.log());
    }
    session.theirs.stop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_has_a_tunnel_and_a_transport_connection() {
        for peer in [Peer::Strongswan, Peer::Libreswan] {
            tunnel(peer).expect("one");
            plain(peer, |c| !c.is_tunnel()).expect("one in transport mode");
        }
    }
}
