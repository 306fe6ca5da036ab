//! Two hosts, a link between them, and a virtual clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use racoon_proto::config::{Encryption, PeerAddress, Remote, RemoteAddress, RemoteSide, Sainfo, Side};
use racoon_proto::credentials::Credentials;
use racoon_proto::crypto::{Job, SeededRandom};
use racoon_proto::engine::{Control, Engine};
use racoon_proto::kernel::{
    Direction, KernelEvent, Mode, Policy, PolicyAction, Prefix, SaName, Selector, Template, TemplateLevel,
};
use racoon_proto::num::{AuthAlgorithm, AuthMethod, Cipher, EspTransform, ExchangeType, Group, Hash, Protocol};
use racoon_proto::output::{JobId, Level, Output};
use racoon_proto::path::Path;
use racoon_proto::proposal::Phase1Terms;
use racoon_proto::psk::{KeyTable, NoKey};
use racoon_proto::random::Random as _;
use racoon_proto::select::{Remotes, Sainfos};
use racoon_proto::settings::{Retransmission, Settings};
use racoon_proto::time::Time;
use zeroize::Zeroizing;

use crate::kernel::{Fate, Kernel};

/// The properties of the link, in percent and milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Line {
    pub(crate) loss: u8,
    pub(crate) duplicates: u8,
    pub(crate) delay: u64,
    /// Maximum random addition to the delay, by which datagrams overtake each other.
    pub(crate) jitter: u64,
}

/// The parameters of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) line: Line,
    pub(crate) phase1_lifetime: u32,
    pub(crate) phase2_lifetime: u32,
    pub(crate) pfs: bool,
    /// Duration of a job in milliseconds.
    pub(crate) job: u64,
}

/// One of the two hosts.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) kernel: Kernel,
    pub(crate) address: SocketAddr,
    /// The engine's log.
    pub(crate) log: Vec<String>,
}

/// Something in transit.
enum Flying {
    /// A datagram of IKE.
    Datagram { to: usize, local: SocketAddr, remote: SocketAddr, bytes: Vec<u8> },
    /// A packet protected by SAs.
    Packet { from: usize, used: Vec<SaName> },
    /// A finished job.
    Job { host: usize, id: JobId, job: Job },
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) hosts: [Host; 2],
    flying: BTreeMap<(Time, u64), Flying>,
    count: u64,
    line: Line,
    job: u64,
    random: SeededRandom,
    /// The numbers of packets that arrived with and without their SAs.
    pub(crate) arrived: usize,
    pub(crate) refused: usize,
}

/// A key table with one key for all peers.
struct OneKey;

impl KeyTable for OneKey {
    fn key(&self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoKey> {
        Ok(Zeroizing::new(b"simulated".to_vec()))
    }
}

impl Credentials for OneKey {}

fn address(host: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, if host == 0 { 1 } else { 2 }], 500))
}

fn settings(peer: SocketAddr, terms: &Terms) -> Settings {
    let at = RemoteAddress::At(PeerAddress::from(peer.ip()));
    let mut remote = Remote::new("peer", Some(at));
    remote.exchange_modes = vec![ExchangeType::MAIN];
    remote.proposals = vec![Phase1Terms {
        cipher: Cipher::AES,
        key_length: 128,
        hash: Hash::SHA256,
        group: Group::X25519,
        method: AuthMethod::PRE_SHARED_KEY,
        lifetime: terms.phase1_lifetime,
    }];
    let mut sainfo = Sainfo::new(Side::Anonymous, RemoteSide::Anonymous);
    sainfo.terms.lifetime = terms.phase2_lifetime;
    sainfo.terms.group = terms.pfs.then_some(Group::X25519);
    sainfo.encryption = vec![Encryption { transform: EspTransform::AES, key_length: 128 }];
    sainfo.authentication = vec![AuthAlgorithm::HMAC_SHA256.into()];
    Settings {
        remotes: Remotes::new(vec![remote]),
        sainfos: Sainfos::new(vec![sainfo]),
        retransmission: Retransmission { count: 20, interval: Duration::from_secs(1), copies: 1 },
        phase1_wait: Duration::from_secs(60),
        log: Level::Debug,
        ..Settings::default()
    }
}

/// Returns the policies of a host: all traffic between the two is in ESP.
fn policies(host: usize) -> Vec<Policy> {
    let endpoints = (Prefix::host(address(host).ip()), Prefix::host(address(1 - host).ip()));
    let out =
        Selector { source: endpoints.0, destination: endpoints.1, protocol: 0, source_port: 0, destination_port: 0 };
    let template = Template {
        protocol: Protocol::ESP,
        mode: Mode::Transport,
        level: TemplateLevel::Require,
        reqid: 0,
        endpoints: None,
    };
    let policy = |index, direction, selector| Policy {
        index,
        direction,
        selector,
        action: PolicyAction::Protect(vec![template]),
        priority: 0x8000_0000,
    };
    vec![policy(8, Direction::In, out.mirrored()), policy(17, Direction::Out, out)]
}

impl World {
    pub(crate) fn new(seed: u64, terms: &Terms) -> Self {
        let hosts = [0, 1].map(|host| Self::host(host, seed, terms));
        let random = SeededRandom::new(seed ^ 0x5eed);
        let (line, job) = (terms.line, terms.job);
        let now = Time::from_secs(1000);
        let (count, arrived, refused) = (0, 0, 0);
        Self { now, hosts, flying: BTreeMap::new(), count, line, job, random, arrived, refused }
    }

    fn host(host: usize, seed: u64, terms: &Terms) -> Host {
        let now = Time::from_secs(1000);
        let random = Box::new(SeededRandom::new(seed.wrapping_mul(2).wrapping_add(host as u64)));
        let mut engine = Engine::new(settings(address(1 - host), terms), random, now);
        engine.handle_control(now, Control::Addresses([address(host)].into())).expect("addresses");
        engine.handle_kernel(now, KernelEvent::Policies(policies(host)));
        let kernel = Kernel::new(if host == 0 { 0x1000_0000 } else { 0x2000_0000 }, policies(host));
        Host { engine, kernel, address: address(host), log: Vec::new() }
    }

    /// Draws a number below `limit`.
    pub(crate) fn draw(&mut self, limit: u64) -> u64 {
        let mut bytes = [0; 8];
        self.random.fill(&mut bytes);
        u64::from_le_bytes(bytes) % limit.max(1)
    }

    /// Draws one of several values.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let at = self.draw(from.len() as u64);
        from[usize::try_from(at).expect("below the length")]
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.draw(100) < u64::from(percent)
    }

    /// Schedules an arrival.
    fn launch(&mut self, after: Duration, what: Flying) {
        self.count += 1;
        self.flying.insert((self.now + after, self.count), what);
    }

    fn line_delay(&mut self) -> Duration {
        let jitter = self.draw(self.line.jitter + 1);
        Duration::from_millis(self.line.delay + jitter)
    }

    /// Sends a packet from a host to the other.
    pub(crate) fn packet(&mut self, from: usize) {
        let (here, there) = (address(from).ip(), address(1 - from).ip());
        match self.hosts[from].kernel.send(self.now, here, there) {
            Fate::Sent(used) => {
                let delay = self.line_delay();
                self.launch(delay, Flying::Packet { from, used });
            }
            Fate::Asks(acquire) => {
                let now = self.now;
                self.hosts[from].engine.handle_kernel(now, KernelEvent::Acquire(acquire));
                self.drain(from);
            }
            Fate::Waits => {}
        }
    }

    /// Makes a request of the operator to an engine.
    pub(crate) fn control(&mut self, host: usize, control: Control) {
        let now = self.now;
        self.hosts[host].engine.handle_control(now, control).expect("control");
        self.drain(host);
    }

    /// Restarts a host without its state.
    pub(crate) fn reboot(&mut self, host: usize, seed: u64, terms: &Terms) {
        let log = std::mem::take(&mut self.hosts[host].log);
        let spi = self.hosts[host].kernel.next_spi;
        self.hosts[host] = Self::host(host, seed, terms);
        self.hosts[host].engine.handle_timeout(self.now);
        self.hosts[host].kernel.next_spi = spi;
        self.hosts[host].log = log;
        let mine = |flying: &Flying| !matches!(flying, Flying::Job { host: of, .. } if *of == host);
        self.flying.retain(|_, flying| mine(flying));
    }

    /// Changes the link.
    pub(crate) fn set_line(&mut self, line: Line) {
        self.line = line;
    }

    /// Lets time pass until `end`.
    pub(crate) fn run_until(&mut self, end: Time) {
        loop {
            let engines = self.hosts.iter().filter_map(|host| host.engine.poll_timeout());
            let kernels = self.hosts.iter().filter_map(|host| host.kernel.next_limit());
            let lines = self.flying.keys().next().map(|(at, _)| *at);
            let Some(next) = engines.chain(kernels).chain(lines).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            self.turn();
        }
        self.now = end;
    }

    /// Processes everything that is due now.
    fn turn(&mut self) {
        if let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let what = entry.remove();
            self.arrive(what);
        }
        for host in 0..2 {
            let now = self.now;
            for event in self.hosts[host].kernel.expire(now) {
                self.hosts[host].engine.handle_kernel(now, event);
            }
            self.hosts[host].engine.handle_timeout(now);
            self.drain(host);
        }
    }

    fn arrive(&mut self, what: Flying) {
        let now = self.now;
        match what {
            Flying::Datagram { to, local, remote, bytes } => {
                self.hosts[to].engine.handle_datagram(now, Path::new(local, remote), &bytes);
                self.drain(to);
            }
            Flying::Packet { from, used } => {
                let [first, second] = &self.hosts;
                let (sender, receiver) = if from == 0 { (first, second) } else { (second, first) };
                if receiver.kernel.receive(&sender.kernel, &used) {
                    self.arrived += 1;
                } else {
                    self.refused += 1;
                }
            }
            Flying::Job { host, id, job } => {
                let result = job.perform(&OneKey);
                self.hosts[host].engine.handle_crypto(now, id, result);
                self.drain(host);
            }
        }
    }

    /// Carries out the outputs of an engine.
    fn drain(&mut self, host: usize) {
        let now = self.now;
        while let Some(output) = self.hosts[host].engine.poll_output() {
            match output {
                Output::Transmit(datagram) => {
                    assert_eq!(datagram.path.local, address(host), "sent from an address of ours");
                    let copies = if self.chance(self.line.duplicates) { 2 } else { 1 };
                    for _ in 0..copies {
                        if self.chance(self.line.loss) {
                            continue;
                        }
                        let delay = self.line_delay();
                        let (local, remote, bytes) =
                            (datagram.path.remote, datagram.path.local, datagram.bytes.clone());
                        self.launch(delay, Flying::Datagram { to: 1 - host, local, remote, bytes });
                    }
                }
                Output::Kernel(request) => {
                    if let Some(answer) = self.hosts[host].kernel.carry_out(now, request) {
                        self.hosts[host].engine.handle_kernel(now, answer);
                    }
                }
                Output::Job(id, _, job) => {
                    let took = Duration::from_millis(self.job);
                    self.launch(took, Flying::Job { host, id, job });
                }
                Output::Log(line) => self.hosts[host].log.push(format!("{:9.3} {}", now.0.as_secs_f64(), line.text)),
                Output::Event(_) | Output::Outcome(_) => {}
            }
        }
    }

    /// Returns both logs, for a failed assertion.
    pub(crate) fn log_text(&self) -> String {
        self.hosts.iter().map(|host| format!("== {}\n{}\n", host.address, host.log.join("\n"))).collect()
    }
}
