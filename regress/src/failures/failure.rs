//! Descriptions of failures: what differs from a working configuration, and what the logs must say.

use std::fmt::Write as _;

use anyhow::Result;

use super::negotiation::{Hosts, Negotiation};

/// A failure with a single cause.
pub(super) struct Failure {
    /// The cause in an operator's words.
    pub(super) cause: &'static str,
    pub(super) kind: FailureKind,
}

/// How the failure is provoked, and what is expected.
#[derive(Clone, Copy)]
pub(super) enum FailureKind {
    /// Two hosts, of which Alice's initiates: a change to their setup, and what the logs of initiator and responder
    /// must say.
    Negotiation(fn(&mut Setup), [Expected; 2]),
    /// A daemon that does not start: a change to its setup, and the words of a line on standard error.
    Start(fn(&mut DaemonStart), Words),
}

/// Texts that a line must contain, all of them.
pub(super) type Words = &'static [&'static str];

/// What the log of one side must say.
#[derive(Clone, Copy)]
pub(super) enum Expected {
    /// Within this number of seconds, a warning or an error with all of these words, and exactly one error in total.
    Line(u32, Words),
    /// Within this number of seconds, a warning with all of these words, and no error: no negotiation was started.
    Warning(u32, Words),
    /// No error: this side is not involved, or does not run.
    Nothing,
}

impl Failure {
    /// Describes a failing negotiation: the change, and what initiator and responder must log.
    pub(super) const fn new(
        cause: &'static str,
        setup: fn(&mut Setup),
        initiator: Expected,
        responder: Expected,
    ) -> Self {
        Self { cause, kind: FailureKind::Negotiation(setup, [initiator, responder]) }
    }

    /// Describes a daemon that does not start.
    pub(super) const fn start(cause: &'static str, setup: fn(&mut DaemonStart), words: Words) -> Self {
        Self { cause, kind: FailureKind::Start(setup, words) }
    }
}

/// Limit for a failure that is logged when it happens. A busy machine may need as long for a negotiation; it must be
/// less than [`AFTER_RETRIES`].
pub(super) const AT_ONCE: u32 = 6;

/// Limit for a failure that is logged when all retransmissions remain unanswered.
pub(super) const AFTER_RETRIES: u32 = 16;

/// Limit for a failure that is logged when it happens, after ike-scan has started.
pub(super) const SCAN: u32 = 12;

/// Number of retransmissions, one per second.
const COUNTER: u32 = 10;

/// Two hosts before they start. By default they can negotiate.
pub(super) struct Setup {
    pub(super) alice: HostConfig,
    pub(super) bob: HostConfig,
    /// Changes the hosts and the link before the daemons start.
    pub(super) prepare: fn(&Hosts) -> Result<()>,
    /// Provokes the failure after the daemons have started.
    pub(super) trigger: fn(&mut Negotiation<'_>) -> Result<()>,
    /// Seconds for which the logs are watched afterwards.
    pub(super) watch: u32,
}

/// A daemon before its start, on a host with the address 192.0.2.1.
pub(super) struct DaemonStart {
    pub(super) config: HostConfig,
    /// Words before the program on the command line.
    pub(super) prefix: &'static [&'static str],
    /// Words at the end of the command line.
    pub(super) arguments: &'static [&'static str],
    /// A UDP port of the host that another program uses.
    pub(super) port_in_use: Option<&'static str>,
}

/// The configuration of a host.
#[derive(Clone)]
pub(super) struct HostConfig {
    /// Its own address, followed by that of the peer.
    pub(super) local: &'static str,
    pub(super) peer: &'static str,
    /// Whether its daemon runs.
    pub(super) runs: bool,
    /// The text of `psk.txt`.
    pub(super) psk: String,
    /// Directives before the sections of `racoon.conf`.
    pub(super) head: &'static str,
    /// Directives of the section `listen`, apart from the address.
    pub(super) listen: &'static str,
    /// The address of the remote section.
    pub(super) remote_of: &'static str,
    pub(super) exchange: &'static str,
    /// The authentication method.
    pub(super) method: &'static str,
    /// More directives of the remote section.
    pub(super) remote: &'static str,
    /// Directives of the proposal, apart from the authentication method.
    pub(super) proposal: &'static str,
    pub(super) phase1_lifetime: u32,
    /// The selectors of the sainfo; without any, there is no sainfo.
    pub(super) sainfo_of: &'static str,
    pub(super) sainfo: &'static str,
    pub(super) phase2_lifetime: u32,
    /// A setkey script with policies.
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

    /// Configures a tunnel between the networks behind the hosts.
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
            method: "pre_shared_key",
            remote: "proposal_check obey;",
            proposal: "encryption_algorithm aes 256; hash_algorithm sha256; dh_group modp2048;",
            phase1_lifetime: 3600,
            sainfo_of: "anonymous",
            sainfo: "pfs_group modp2048; encryption_algorithm aes 256; authentication_algorithm hmac_sha256;",
            phase2_lifetime: 1800,
            policies: transport("esp/transport//require", ["out", "in"], [local, peer]),
        }
    }

    /// Sets policies in transport mode with `request` instead of ESP.
    pub(super) fn request(&mut self, request: &str) {
        self.policies = transport(request, ["out", "in"], [self.local, self.peer]);
    }

    /// Returns `racoon.conf` without the paths.
    pub(super) fn conf(&self) -> String {
        let mut conf = format!(
            "{}\nlisten {{ isakmp {} [500]; {} }}\n\
             timer {{ counter {COUNTER}; interval 1 sec; phase1 60 sec; phase2 {COUNTER} sec; }}\n\
             remote {} {{\n    exchange_mode {};\n    lifetime time {} sec;\n    {}\n    \
             proposal {{ authentication_method {}; {} }}\n}}\n",
            self.head,
            self.local,
            self.listen,
            self.remote_of,
            self.exchange,
            self.phase1_lifetime,
            self.remote,
            self.method,
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

/// Returns policies in transport mode between `ends`, the host's own first.
fn transport(request: &str, directions: [&str; 2], ends: [&str; 2]) -> String {
    let [us, peer] = ends;
    let [outbound, inbound] = directions;
    format!(
        "spdadd {us} {peer} any -P {outbound} ipsec {request};\nspdadd {peer} {us} any -P {inbound} ipsec {request};\n"
    )
}

/// Returns policies for a tunnel between `networks`, the host's own first.
pub(super) fn tunnel(networks: [&str; 2], ends: [&str; 2]) -> String {
    let ([own_network, peer_network], [us, peer]) = (networks, ends);
    format!(
        "spdadd {own_network} {peer_network} any -P out ipsec esp/tunnel/{us}-{peer}/require;\n\
         spdadd {peer_network} {own_network} any -P in ipsec esp/tunnel/{peer}-{us}/require;\n"
    )
}
