//! A failing negotiation: two hosts on a link, a daemon on each, and their logs.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::failure::{DaemonStart, Expected, HostConfig, Setup, Words};
use super::verdict::{LogExcerpt, Verdict};
use crate::lab::{Daemon, Host, Link, Program, Stdin, daemon_dir, wait_until, write_secret};
use crate::racoon::{Programs, Racoon, RacoonFiles};

/// The sides whose logs are examined.
const ROLES: [&str; 2] = ["initiator", "responder"];

/// The hosts of a failure.
pub(super) struct Hosts {
    pub(super) programs: Programs,
    pub(super) link: Link,
    pub(super) alice: Host,
    pub(super) bob: Host,
}

impl Hosts {
    /// Creates two hosts, each with a network behind it. Their names contain `number`.
    fn new(programs: &Programs, number: usize) -> Result<Self> {
        let link = Link::new(&format!("link{number}"))?;
        let [alice, bob] = ["alice", "bob"].map(|name| Host::new(&format!("{name}{number}")));
        let hosts = Self { programs: programs.clone(), link, alice: alice?, bob: bob? };
        for (host, own, peer) in [(&hosts.alice, 1, 2), (&hosts.bob, 2, 1)] {
            hosts.link.plug(host, "eth0", &[&format!("192.0.2.{own}/24")])?;
            host.must(&format!("ip address add 192.168.{own}.1/32 dev lo"))?;
            host.must(&format!("ip route add 192.168.{peer}.0/24 dev eth0 src 192.168.{own}.1"))?;
        }
        Ok(hosts)
    }

    /// Sends a packet from Alice to Bob.
    pub(super) fn send(&self) -> Result<()> {
        self.send_between("192.0.2.1:0", "192.0.2.2:9")
    }

    /// Sends a packet from the network behind Alice to that behind Bob.
    pub(super) fn send_inside(&self) -> Result<()> {
        self.send_between("192.168.1.1:0", "192.168.2.1:9")
    }

    pub(super) fn send_between(&self, from: &'static str, to: &'static str) -> Result<()> {
        self.alice.enter(move || {
            let socket = UdpSocket::bind(from)?;
            // The kernel refuses or holds the packet that triggers the acquire; either is fine.
            let _ = socket.send_to(b"hello", to);
            Ok(())
        })?
    }

    /// Runs a setkey script on a host.
    pub(super) fn load(&self, host: &Host, script: &str) -> Result<()> {
        let program = Program::new(&self.programs.setkey.to_string_lossy(), &["-c"]);
        let program = program.env("LIBPFKEY_BACKEND", &self.programs.backend).stdin(Stdin::Bytes(script.into()));
        let done = host.run(program)?;
        ensure!(done.success() && done.text().is_empty(), "{}: setkey: {}", host.name(), done.text());
        Ok(())
    }

    /// Loads the policies of `config`, and starts its daemon if it has one.
    pub(super) fn start<'a>(&'a self, host: &'a Host, config: &HostConfig) -> Result<Option<Racoon<'a>>> {
        if !config.runs {
            self.load(host, &config.policies)?;
            return Ok(None);
        }
        let (conf, psk, setkey) = (config.conf(), config.psk.clone(), config.policies.clone());
        Racoon::start(host, &self.programs, &RacoonFiles { conf, psk, setkey, restore_sas: false }).map(Some)
    }
}

/// The hosts and daemons of a failure while it is provoked.
pub(super) struct Negotiation<'a> {
    pub(super) hosts: &'a Hosts,
    pub(super) setup: &'a Setup,
    /// The daemons of Alice and Bob.
    pub(super) daemons: [Option<Racoon<'a>>; 2],
    /// A program on Alice's host that sends what racoon would not.
    pub(super) probe: Option<Daemon>,
    excerpts: [LogExcerpt; 2],
    start: Instant,
}

impl Negotiation<'_> {
    /// Ignores what has been logged so far: the failure is provoked now.
    pub(super) fn begin(&mut self) -> Result<()> {
        for (daemon, excerpt) in self.daemons.iter().zip(&mut self.excerpts) {
            *excerpt = LogExcerpt::from(read_log(daemon)?);
        }
        self.start = Instant::now();
        Ok(())
    }

    /// Waits until Alice's daemon has established its SAs.
    pub(super) fn established(&self) -> Result<()> {
        let [alice, _] = &self.daemons;
        alice.as_ref().map_or(Ok(()), |alice| alice.wait_for_log("IPsec-SA established"))
    }

    /// Waits until Bob's log contains `text`.
    pub(super) fn wait_for_bob(&self, text: &str) -> Result<()> {
        let [_, bob] = &self.daemons;
        bob.as_ref().map_or(Ok(()), |bob| bob.wait_for_log(text))
    }

    /// Reads the logs until the time is over, because a second error may follow the first.
    fn watch(&mut self) -> Result<()> {
        let (start, limit) = (self.start, Duration::from_secs(self.setup.watch.into()));
        let mut note = || {
            for (daemon, excerpt) in self.daemons.iter().zip(&mut self.excerpts) {
                excerpt.note(&read_log(daemon).unwrap_or_default(), start.elapsed());
            }
            // Never true: the logs are watched until the time is over.
            false
        };
        wait_until(limit.saturating_sub(start.elapsed()), &mut note, || Ok(()))?;
        Ok(())
    }
}

/// Runs a negotiation and examines both logs.
pub(super) fn negotiate(
    programs: &Programs,
    number: usize,
    prepare: fn(&mut Setup),
    expected: [Expected; 2],
) -> Result<Vec<Verdict>> {
    let mut setup = Setup::new();
    prepare(&mut setup);
    let hosts = Hosts::new(programs, number)?;
    (setup.prepare)(&hosts)?;
    let daemons = [hosts.start(&hosts.alice, &setup.alice)?, hosts.start(&hosts.bob, &setup.bob)?];
    let excerpts = Default::default();
    let mut negotiation =
        Negotiation { hosts: &hosts, setup: &setup, daemons, probe: None, excerpts, start: Instant::now() };
    negotiation.begin()?;
    // The trigger may begin again, if something has to succeed first.
    (setup.trigger)(&mut negotiation)?;
    negotiation.watch()?;
    let sides = ROLES.iter().zip(negotiation.excerpts).zip(expected);
    let verdicts = sides.map(|((role, excerpt), expected)| Verdict::new(role, excerpt, expected)).collect();
    for daemon in negotiation.daemons.into_iter().flatten() {
        daemon.stop().context("after the negotiation")?;
    }
    Ok(verdicts)
}

/// Starts a daemon in the background, as a boot script does, and examines what the command prints.
pub(super) fn start(
    programs: &Programs,
    number: usize,
    prepare: fn(&mut DaemonStart),
    words: Words,
) -> Result<Verdict> {
    let mut setup = DaemonStart::new();
    prepare(&mut setup);
    let host = Host::new(&format!("alice{number}"))?;
    host.must("ip address add 192.0.2.1/24 dev lo")?;
    // Occupies the port until this function returns.
    let _other =
        setup.port_in_use.map(|address| host.enter(move || UdpSocket::bind(address))).transpose()?.transpose()?;
    let dir = daemon_dir(&host, "racoon")?;
    let [conf, psk, pid, log] = ["racoon.conf", "psk.txt", "racoon.pid", "log"].map(|name| dir.join(name));
    write_secret(&psk, setup.config.psk.as_bytes())?;
    let head = format!("path pre_shared_key \"{}\";\npath pidfile \"{}\";\n", psk.display(), pid.display());
    write_secret(&conf, (head + &setup.config.conf()).as_bytes())?;
    let (conf, log) = (conf.to_string_lossy(), log.to_string_lossy());
    let program = programs.racoon.to_string_lossy();
    let command = [setup.prefix, &[&*program, "-f", &*conf, "-l", &*log], setup.arguments].concat();
    let (program, arguments) = command.split_first().context("no program")?;
    let program = Program::new(program, arguments).env("LIBPFKEY_BACKEND", &programs.backend);
    let start = Instant::now();
    let done = host.run(program)?;
    let took = start.elapsed();
    ensure!(done.exit == "1", "the exit status is {} instead of 1: {}", done.exit, done.text());
    Ok(Verdict::of_start(&String::from_utf8_lossy(&done.stderr), took, words))
}

fn read_log(daemon: &Option<Racoon<'_>>) -> Result<String> {
    daemon.as_ref().map_or_else(|| Ok(String::new()), Racoon::log)
}
