//! What a row of the table says.

use std::fmt::Write as _;

use anyhow::Result;

use super::negotiation::{Hosts, Negotiation};

/// One cause of failure.
pub(super) struct Failure {
    /// What is wrong, as an operator would put it.
    pub(super) cause: &'static str,
    pub(super) kind: FailureKind,
}

/// How it is provoked and what is expected.
#[derive(Clone, Copy)]
pub(super) enum FailureKind {
    /// Two hosts, of which Alice's begins: what is wrong with them, and what is expected of the initiator's log and of the
    /// responder's.
    Negotiation(fn(&mut Setup), [Expected; 2]),
    /// A daemon that does not start, and the words of a line on its standard error.
    Start(fn(&mut DaemonStart), Words),
}

/// What one line has to contain.
pub(super) type Words = &'static [&'static str];

/// What the log of one side is expected to say.
#[derive(Clone, Copy)]
pub(super) enum Expected {
    /// Within so many seconds, a warning or an error with all of these words; and in all exactly one error.
    Line(u32, Words),
    /// The same without an error: no negotiation began.
    Warning(u32, Words),
    /// No error: the side has no part in the failure, or does not run.
    Nothing,
}

impl Failure {
    /// A negotiation that fails: what is wrong, and what the initiator and the responder are expected to say.
    pub(super) const fn new(
        cause: &'static str,
        setup: fn(&mut Setup),
        initiator: Expected,
        responder: Expected,
    ) -> Self {
        Self { cause, kind: FailureKind::Negotiation(setup, [initiator, responder]) }
    }

    /// A daemon that does not start.
    pub(super) const fn start(cause: &'static str, setup: fn(&mut DaemonStart), words: Words) -> Self {
        Self { cause, kind: FailureKind::Start(setup, words) }
    }
}

/// Told when it happens. As long as a busy machine takes for a whole negotiation, and shorter than [`AFTER_RETRIES`].
pub(super) const AT_ONCE: u32 = 6;

/// Told when the peer has not answered all transmissions.
pub(super) const AFTER_RETRIES: u32 = 16;

/// Told at once of what ike-scan sent, which needs a while to start.
pub(super) const SCAN: u32 = 12;

/// Seconds between transmissions are 1, and there are so many.
const COUNTER: u32 = 10;

/// Two hosts before they start: as they are by default, all is well.
pub(super) struct Setup {
    pub(super) alice: HostConfig,
    pub(super) bob: HostConfig,
    /// Done to the hosts and the wire before the daemons start.
    pub(super) prepare: fn(&Hosts) -> Result<()>,
    /// What then provokes the failure.
    pub(super) trigger: fn(&mut Negotiation<'_>) -> Result<()>,
    /// Seconds in which the logs are watched after that.
    pub(super) watch: u32,
}

/// A daemon before it is started, on a host with the address 192.0.2.1.
pub(super) struct DaemonStart {
    pub(super) config: HostConfig,
    /// Comes before the program in the command line.
    pub(super) prefix: &'static [&'static str],
    /// Comes at the end of it.
    pub(super) arguments: &'static [&'static str],
    /// A UDP port of the host that another program has.
    pub(super) port_in_use: Option<&'static str>,
}

/// What one host has.
#[derive(Clone)]
pub(super) struct HostConfig {
    /// Its own address and the peer's.
    pub(super) local: &'static str,
    pub(super) peer: &'static str,
    /// Whether its daemon runs.
    pub(super) runs: bool,
    /// `psk.txt`
    pub(super) psk: String,
    /// Before the blocks of `racoon.conf`.
    pub(super) head: &'static str,
    /// Lines of the section `listen`, beside the address.
    pub(super) listen: &'static str,
    /// Whom the remote block is for.
    pub(super) remote_of: &'static str,
    pub(super) exchange: &'static str,
    /// Further lines of the remote block.
    pub(super) remote: &'static str,
    /// The proposal's lines but for the authentication method.
    pub(super) proposal: &'static str,
    pub(super) phase1_lifetime: u32,
    /// Whom the sainfo is for; none if it is empty.
    pub(super) sainfo_of: &'static str,
    pub(super) sainfo: &'static str,
    pub(super) phase2_lifetime: u32,
    /// A script of policies.
    pub(super) policies: String,
}

impl Setup {
    pub(super) fn new() -> Self {
        Self {
            alice: HostConfig::new("192.0.2.1", "192.0.2.2"),
            bob: HostConfig::new("192.0.2.2", "192.0.2.1"),
            prepare: |_| Ok(()),
            trigger: |negotiation| negotiation.hosts.send(),
            watch: COUNTER + 4,
        }
    }

    /// A tunnel between the networks behind both.
    pub(super) fn tunnel(&mut self) {
        self.alice.policies = tunnel(["192.168.1.0/24", "192.168.2.0/24"], ["192.0.2.1", "192.0.2.2"]);
        self.bob.policies = tunnel(["192.168.2.0/24", "192.168.1.0/24"], ["192.0.2.2", "192.0.2.1"]);
        self.trigger = |negotiation| negotiation.hosts.send_inside();
    }
}

impl DaemonStart {
    pub(super) fn new() -> Self {
        Self { config: HostConfig::new("192.0.2.1", "192.0.2.2"), prefix: &[], arguments: &[], port_in_use: None }
    }
}

impl HostConfig {
    fn new(local: &'static str, peer: &'static str) -> Self {
        Self {
            local,
            peer,
            runs: true,
            psk: format!("{peer} a key for two hosts in a lab\n"),
            head: "",
            listen: "adminsock disabled;",
            remote_of: peer,
            exchange: "main",
            remote: "proposal_check obey;",
            proposal: "encryption_algorithm aes 256; hash_algorithm sha256; dh_group modp2048;",
            phase1_lifetime: 3600,
            sainfo_of: "anonymous",
            sainfo: "pfs_group modp2048; encryption_algorithm aes 256; authentication_algorithm hmac_sha256;",
            phase2_lifetime: 1800,
            policies: transport("esp/transport//require", ["out", "in"], [local, peer]),
        }
    }

    /// Policies of transport mode with this request instead of ESP alone.
    pub(super) fn request(&mut self, request: &str) {
        self.policies = transport(request, ["out", "in"], [self.local, self.peer]);
    }

    /// `racoon.conf`, without the paths.
    pub(super) fn conf(&self) -> String {
        let mut conf = format!(
            "{}\nlisten {{ isakmp {} [500]; {} }}\n\
             timer {{ counter {COUNTER}; interval 1 sec; phase1 60 sec; phase2 {COUNTER} sec; }}\n\
             remote {} {{\n    exchange_mode {};\n    lifetime time {} sec;\n    {}\n    \
             proposal {{ authentication_method pre_shared_key; {} }}\n}}\n",
            self.head,
            self.local,
            self.listen,
            self.remote_of,
            self.exchange,
            self.phase1_lifetime,
            self.remote,
            self.proposal
        );
        if !self.sainfo_of.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(
                conf,
                "sainfo {} {{\n    lifetime time {} sec;\n    {}\n    compression_algorithm deflate;\n}}\n",
                self.sainfo_of, self.phase2_lifetime, self.sainfo
            );
        }
        conf
    }
}

/// The policies of `ends` (one's own first) in transport mode.
fn transport(request: &str, directions: [&str; 2], ends: [&str; 2]) -> String {
    let [us, peer] = ends;
    let [there, back] = directions;
    format!("spdadd {us} {peer} any -P {there} ipsec {request};\nspdadd {peer} {us} any -P {back} ipsec {request};\n")
}

/// Those of a tunnel between `networks`, one's own first.
pub(super) fn tunnel(networks: [&str; 2], ends: [&str; 2]) -> String {
    let ([here, there], [us, peer]) = (networks, ends);
    format!(
        "spdadd {here} {there} any -P out ipsec esp/tunnel/{us}-{peer}/require;\n\
         spdadd {there} {here} any -P in ipsec esp/tunnel/{peer}-{us}/require;\n"
    )
}
