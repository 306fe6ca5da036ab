//! Two hosts on a link, with their addresses, policies and configurations.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Environment;
use crate::lab::{Finished, Host, Link, Pings, Program, Stdin, TIMEOUT, wait_until};
use crate::racoon::{Programs, Racoon, RacoonFiles};

/// The traffic between the hosts, and its encapsulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topology {
    /// Between the hosts, over IPv4.
    Transport,
    /// Between the hosts, over IPv6.
    Transport6,
    /// Between networks behind the hosts, in a tunnel.
    Tunnel,
    /// Between IPv6 networks behind the hosts, in an IPv4 tunnel.
    Tunnel6In4,
}

/// One of the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Alice,
    Bob,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Alice, Self::Bob];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Alice => "alice",
            Self::Bob => "bob",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Alice => Self::Bob,
            Self::Bob => Self::Alice,
        }
    }

    /// The number in the addresses of the host.
    fn number(self) -> u8 {
        match self {
            Self::Alice => 1,
            Self::Bob => 2,
        }
    }
}

impl Topology {
    /// Returns the address of a side's IKE daemon.
    fn outer(self, side: Side) -> String {
        match self {
            Self::Transport6 => format!("2001:db8::{}", side.number()),
            _ => format!("192.0.2.{}", side.number()),
        }
    }

    /// Returns the source address of a side's traffic.
    fn inner(self, side: Side) -> String {
        match self {
            Self::Transport | Self::Transport6 => self.outer(side),
            Self::Tunnel => format!("192.168.{}.1", side.number()),
            Self::Tunnel6In4 => format!("2001:db8:{}::1", side.number()),
        }
    }

    /// Returns the network of a side that policies select.
    fn network(self, side: Side) -> String {
        match self {
            Self::Transport | Self::Transport6 => self.outer(side),
            Self::Tunnel => format!("192.168.{}.0/24", side.number()),
            Self::Tunnel6In4 => format!("2001:db8:{}::/64", side.number()),
        }
    }

    /// Returns the kind of an unprotected echo request on the link.
    pub(super) fn echo(self) -> &'static str {
        match self {
            Self::Transport | Self::Tunnel => "ICMP",
            Self::Transport6 | Self::Tunnel6In4 => "ICMPv6 echo",
        }
    }

    /// Returns the policies of one side. `protocols` lists the SAs to use, the innermost first.
    pub(super) fn policies(self, side: Side, protocols: &[&str]) -> String {
        let line = |from: Side, to: Side, direction: &str| {
            let (source, destination) = (self.network(from), self.network(to));
            let mut line = format!("spdadd {source} {destination} any -P {direction} ipsec");
            for protocol in protocols {
                // Packets that compression does not shorten are sent without IPComp.
                let level = if *protocol == "ipcomp" { "use" } else { "require" };
                // Writing to a string cannot fail.
                let _ = match self {
                    Self::Transport | Self::Transport6 => write!(line, " {protocol}/transport//{level}"),
                    Self::Tunnel | Self::Tunnel6In4 => {
                        write!(line, " {protocol}/tunnel/{}-{}/{level}", self.outer(from), self.outer(to))
                    }
                };
            }
            line + ";\n"
        };
        format!("flush;\nspdflush;\n{}{}", line(side, side.other(), "out"), line(side.other(), side, "in"))
    }
}

/// Values in a side's `racoon.conf` that differ between scenarios.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Lifetime of phase 1 in seconds.
    pub(super) phase1_lifetime: u32,
    /// Lifetime of phase 2 in seconds.
    pub(super) phase2_lifetime: u32,
    /// Directives before the sections.
    pub(super) head: String,
    pub(super) exchange: &'static str,
    pub(super) method: &'static str,
    /// Directives on identities and certificates.
    pub(super) credentials: String,
    /// Directives of the proposal, apart from the authentication method.
    pub(super) proposal: &'static str,
    /// More directives of the remote section.
    pub(super) remote: &'static str,
    /// Directives of the sainfo.
    pub(super) sainfo: &'static str,
    /// The peer's name in `psk.txt`, if that is not its address.
    pub(super) key_of: Option<&'static str>,
    /// The pre-shared key.
    pub(super) key: &'static str,
    /// Number of times that a message is sent, one second apart.
    pub(super) counter: u32,
    /// The file in which SAs are saved.
    pub(super) backup: Option<String>,
    /// Whether saved SAs are restored (`-B`).
    pub(super) restore_sas: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            phase1_lifetime: 3600,
            phase2_lifetime: 1800,
            head: String::new(),
            exchange: "main",
            method: "pre_shared_key",
            credentials: String::new(),
            proposal: "encryption_algorithm aes 256; hash_algorithm sha256; dh_group modp2048;",
            remote: "proposal_check obey;",
            sainfo: "pfs_group modp2048; encryption_algorithm aes 256; authentication_algorithm hmac_sha256;",
            key_of: None,
            key: "a key for two hosts in a lab",
            counter: 60,
            backup: None,
            restore_sas: false,
        }
    }
}

impl Settings {
    fn text(&self, topology: Topology, side: Side) -> String {
        let (us, peer) = (topology.outer(side), topology.outer(side.other()));
        let backup = self.backup.as_ref().map_or_else(String::new, |path| format!("path backupsa \"{path}\";\n"));
        format!(
            "{backup}{}log debug2;
listen {{ isakmp {us} [500]; adminsock disabled; }}
timer {{ counter {}; interval 1 sec; phase1 60 sec; phase2 60 sec; }}
remote {peer} {{
    exchange_mode {};
    {}
    lifetime time {} sec;
    {}
    proposal {{ authentication_method {}; {} }}
}}
sainfo anonymous {{
    lifetime time {} sec;
    {}
    compression_algorithm deflate;
}}
",
            self.head,
            self.counter,
            self.exchange,
            self.credentials,
            self.phase1_lifetime,
            self.remote,
            self.method,
            self.proposal,
            self.phase2_lifetime,
            self.sainfo
        )
    }
}

/// Two hosts on a link.
pub(super) struct Testbed {
    programs: Programs,
    pub(super) topology: Topology,
    pub(super) link: Link,
    pub(super) alice: Host,
    pub(super) bob: Host,
}

impl Testbed {
    pub(super) fn new(env: &Environment<'_>, topology: Topology) -> Result<Self> {
        let link = Link::new("link")?;
        let [alice, bob] = ["alice", "bob"].map(|name| Host::new(&env.host_name(name)));
        let testbed = Self { programs: env.programs.clone(), topology, link, alice: alice?, bob: bob? };
        for side in Side::BOTH {
            let number = side.number();
            let addresses = [format!("192.0.2.{number}/24"), format!("2001:db8::{number}/64")];
            testbed.link.plug(testbed.host(side), "eth0", &addresses.each_ref().map(String::as_str))?;
            let (inner, outer) = (topology.inner(side), topology.outer(side));
            if inner != outer {
                let length = if inner.contains(':') { 128 } else { 32 };
                let other = side.other();
                testbed.host(side).must(&format!("ip address add {inner}/{length} dev lo"))?;
                // Unprotected packets need a route too, so that they appear on the link.
                testbed.host(side).must(&format!("ip route add {} dev eth0 src {inner}", topology.network(other)))?;
            }
        }
        testbed.add_static_neighbours()?;
        Ok(testbed)
    }

    /// Adds the other side as a static neighbour: a policy for all IPv6 packets also covers neighbour discovery.
    fn add_static_neighbours(&self) -> Result<()> {
        for side in Side::BOTH {
            let other = side.other();
            let link = self.host(other).must("ip -o link show dev eth0")?.text();
            let address = link.split_whitespace().skip_while(|word| *word != "link/ether").nth(1);
            let address = address.with_context(|| format!("no address in {link}"))?;
            let neighbour = format!("2001:db8::{} lladdr {address}", other.number());
            self.host(side).must(&format!("ip neighbour replace {neighbour} dev eth0 nud permanent"))?;
        }
        Ok(())
    }

    pub(super) fn host(&self, side: Side) -> &Host {
        match side {
            Side::Alice => &self.alice,
            Side::Bob => &self.bob,
        }
    }

    /// Loads a side's policies and starts its daemon.
    pub(super) fn start(&self, side: Side, settings: &Settings) -> Result<Racoon<'_>> {
        self.start_with(side, settings, &["esp"])
    }

    /// Does the same with other protocols than ESP alone.
    pub(super) fn start_with(&self, side: Side, settings: &Settings, protocols: &[&str]) -> Result<Racoon<'_>> {
        self.launch(side, settings, self.topology.policies(side, protocols))
    }

    /// Starts a side's daemon without touching policies and SAs.
    pub(super) fn restart(&self, side: Side, settings: &Settings) -> Result<Racoon<'_>> {
        self.launch(side, settings, String::new())
    }

    fn launch(&self, side: Side, settings: &Settings, setkey: String) -> Result<Racoon<'_>> {
        let peer = settings.key_of.map_or_else(|| self.topology.outer(side.other()), str::to_owned);
        let psk = format!("{peer} {}\n", settings.key);
        let conf = settings.text(self.topology, side);
        Racoon::start(
            self.host(side),
            &self.programs,
            &RacoonFiles { conf, psk, setkey, restore_sas: settings.restore_sas },
        )
    }

    /// Starts both daemons with the same settings.
    pub(super) fn start_both(&self, settings: &Settings) -> Result<(Racoon<'_>, Racoon<'_>)> {
        Ok((self.start(Side::Alice, settings)?, self.start(Side::Bob, settings)?))
    }

    /// Pings the other side from a side's inner address.
    pub(super) fn ping(&self, from: Side, arguments: &[&str]) -> Result<Pings> {
        let (source, target) = (self.topology.inner(from), self.topology.inner(from.other()));
        let mut words = vec!["-n", "-I", &source];
        words.extend_from_slice(arguments);
        words.push(&target);
        let done = self.host(from).run(Program::new("ping", &words).limit(Duration::from_secs(600)))?;
        Pings::read(&done.text())
    }

    /// Pings until there is an answer. The first packet makes the kernel acquire SAs.
    pub(super) fn bring_up(&self, from: Side) -> Result<()> {
        let ping = || self.ping(from, &["-c", "1", "-W", "1"]).is_ok_and(|pings| pings.received > 0);
        ensure!(wait_until(TIMEOUT, ping, || Ok(()))?, "no answer to pings within {} s", TIMEOUT.as_secs());
        Ok(())
    }

    /// Checks that pings are answered, and that they cross the link only in the given protocol.
    pub(super) fn check_protected(&self, by: &str) -> Result<()> {
        const COUNT: usize = 5;
        let watch = self.link.watch()?;
        for side in Side::BOTH {
            let pings = self.ping(side, &["-c", &COUNT.to_string(), "-i", "0.05", "-w", "60"])?;
            ensure!(pings.lost() == 0 && pings.received >= COUNT, "{}: {pings:?}", side.name());
        }
        let seen = watch.end()?;
        ensure!(seen.of(by) >= 4 * COUNT, "expected {} packets of {by} on the link, saw: {seen}", 4 * COUNT);
        ensure!(seen.of(self.topology.echo()) == 0, "in clear on the link: {seen}");
        Ok(())
    }

    /// Returns `setkey -D` of a side.
    pub(super) fn sas(&self, side: Side) -> Result<String> {
        self.setkey(side, &["-D"])
    }

    pub(super) fn setkey(&self, side: Side, arguments: &[&str]) -> Result<String> {
        let program = Program::new(&self.programs.setkey.to_string_lossy(), arguments);
        Ok(self.host(side).run(program.env("LIBPFKEY_BACKEND", &self.programs.backend))?.text())
    }

    /// Runs a setkey script on a side.
    pub(super) fn load(&self, side: Side, script: String) -> Result<()> {
        let program = Program::new(&self.programs.setkey.to_string_lossy(), &["-c"]);
        let program = program.env("LIBPFKEY_BACKEND", &self.programs.backend).stdin(Stdin::Bytes(script.into_bytes()));
        let done = self.host(side).run(program)?;
        ensure!(done.success() && done.text().is_empty(), "setkey: {}", done.text());
        Ok(())
    }

    /// Replaces a side's SAs and policies by those of a script.
    pub(super) fn replace(&self, side: Side, script: String) -> Result<Finished> {
        let program = Program::new(&self.programs.setkey.to_string_lossy(), &["-f", "--replace", "-"]);
        let program = program.env("LIBPFKEY_BACKEND", &self.programs.backend).stdin(Stdin::Bytes(script.into_bytes()));
        self.host(side).run(program)
    }

    /// Waits until `holds` returns true; `what` is used in the error.
    pub(super) fn wait_for(&self, what: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
        // A command may fail while a host changes; only the last state counts.
        let holds = || holds().unwrap_or(false);
        ensure!(wait_until(TIMEOUT, holds, || Ok(()))?, "{what}: not within {} s", TIMEOUT.as_secs());
        Ok(())
    }

    /// Returns the number of a side's SAs.
    pub(super) fn count_sas(&self, side: Side) -> Result<usize> {
        // The kernel marks a pending acquire with an SA of SPI 0.
        let is_one = |line: &&str| line.contains("spi=") && !line.contains("spi=0(");
        Ok(self.sas(side)?.lines().filter(is_one).count())
    }

    /// Adds loss, delay or similar to a side's interface (tc-netem(8)).
    pub(super) fn impair(&self, side: Side, how: &str) -> Result<()> {
        self.host(side).must(&format!("tc qdisc replace dev eth0 root netem {how}"))?;
        Ok(())
    }
}
