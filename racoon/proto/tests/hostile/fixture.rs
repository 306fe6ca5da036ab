//! The host under attack: an engine, a minimal kernel, and a clock that only the test advances. Jobs are performed at once, unless a
//! test delays them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use racoon_proto::config::{Encryption, PeerAddress, Remote, RemoteAddress, RemoteSide, Sainfo, Side};
use racoon_proto::credentials::Credentials;
use racoon_proto::crypto::{Job, SeededRandom};
use racoon_proto::engine::{Control, Engine, Load};
use racoon_proto::kernel::{
    Acquire, Direction, KernelError, KernelEvent, KernelRequest, Mode, Policy, PolicyAction, Prefix, SaName, Selector,
    Template, TemplateLevel, Way,
};
use racoon_proto::num::{AuthAlgorithm, AuthMethod, Cipher, EspTransform, ExchangeType, Group, Hash, Protocol};
use racoon_proto::output::{EventKind, JobId, Level, LogLine, Output, Transmit};
use racoon_proto::path::Path;
use racoon_proto::proposal::Phase1Terms;
use racoon_proto::psk::{KeyTable, NoKey};
use racoon_proto::reason::{FailureReason, NegotiationResult, Outcome};
use racoon_proto::select::{Remotes, Sainfos};
use racoon_proto::settings::Settings;
use racoon_proto::time::Time;
use zeroize::Zeroizing;

/// The proposal of both ends, which is fast to compute.
pub(crate) const TERMS: Phase1Terms = Phase1Terms {
    cipher: Cipher::AES,
    key_length: 128,
    hash: Hash::SHA256,
    group: Group::X25519,
    method: AuthMethod::PRE_SHARED_KEY,
    lifetime: 3600,
};

/// The pre-shared key.
pub(crate) const KEY: &[u8] = b"between the two of us";

/// Lifetime of IPsec SAs, in seconds.
pub(crate) const PHASE2_LIFETIME: u32 = 600;

/// The number of the outbound policy.
const POLICY: u32 = 17;

/// The key table: the honest peer has the key, and with `everybody` all others too.
struct Keys {
    peer: String,
    everybody: bool,
}

impl KeyTable for Keys {
    fn key(&self, name: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoKey> {
        let has_key = self.everybody || name == self.peer.as_bytes();
        has_key.then(|| Zeroizing::new(KEY.to_vec())).ok_or(NoKey::NoFile)
    }
}

impl Credentials for Keys {}

/// The configuration, which a test can change.
pub(crate) struct Configuration {
    pub(crate) host: SocketAddr,
    pub(crate) peer: SocketAddr,
    /// The remote section of the peer.
    pub(crate) remote: Remote,
    /// The remote section of all others.
    pub(crate) anonymous: Option<Remote>,
    pub(crate) sainfo: Sainfo,
    /// Everything but remote sections and sainfos.
    pub(crate) settings: Settings,
}

impl Default for Configuration {
    fn default() -> Self {
        Self::between("192.0.2.1:500", "192.0.2.2:500")
    }
}

impl Configuration {
    /// The configuration for a host and its peer with these endpoints.
    pub(crate) fn between(host: &str, peer: &str) -> Self {
        let endpoint = |text: &str| text.parse::<SocketAddr>().expect("an address and a port");
        let peer = endpoint(peer);
        let mut remote = remote_section("peer", Some(peer));
        remote.initial_contact = false;
        let mut sainfo = Sainfo::new(Side::Anonymous, RemoteSide::Anonymous);
        sainfo.terms.lifetime = PHASE2_LIFETIME;
        sainfo.terms.group = Some(Group::X25519);
        sainfo.encryption = vec![Encryption { transform: EspTransform::AES, key_length: 128 }];
        sainfo.authentication = vec![AuthAlgorithm::HMAC_SHA256.into()];
        let settings = Settings { log: Level::Debug2, ..Settings::default() };
        Self { host: endpoint(host), peer, remote, anonymous: None, sainfo, settings }
    }

    /// Returns the settings for an engine.
    pub(crate) fn settings(self) -> Settings {
        let remotes = Remotes::new(std::iter::once(self.remote).chain(self.anonymous).collect());
        Settings { remotes, sainfos: Sainfos::new(vec![self.sainfo]), ..self.settings }
    }
}

/// A remote section for main mode with [`TERMS`].
pub(crate) fn remote_section(name: &str, peer: Option<SocketAddr>) -> Remote {
    let address = peer.map(|peer| RemoteAddress::At(PeerAddress::from(peer.ip())));
    let mut remote = Remote::new(name, address);
    remote.exchange_modes = vec![ExchangeType::MAIN];
    remote.proposals = vec![TERMS];
    remote
}

/// The observable state of an engine and its kernel. A refused message does not change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    phase1s: Vec<(String, u8)>,
    phase2s: Vec<(u32, u8)>,
    sas: Vec<SaName>,
    larval: usize,
}

/// The host under attack.
pub(crate) struct Fixture {
    pub(crate) now: Time,
    pub(crate) engine: Engine,
    pub(crate) address: SocketAddr,
    pub(crate) peer: SocketAddr,
    keys: Keys,
    /// SAs in the kernel.
    pub(crate) sas: BTreeMap<SaName, Way>,
    /// Reserved SPIs.
    pub(crate) larval: BTreeSet<SaName>,
    /// Policies that the engine has added.
    pub(crate) policies: Vec<Policy>,
    last_index: u32,
    next_spi: u32,
    acquires: u32,
    /// Datagrams that were sent and not received yet.
    pub(crate) sent: VecDeque<Transmit>,
    pub(crate) log: Vec<LogLine>,
    pub(crate) outcomes: Vec<Arc<Outcome>>,
    pub(crate) events: Vec<EventKind>,
    /// Whether jobs wait until [`Fixture::work`].
    pub(crate) slow: bool,
    jobs: VecDeque<(JobId, Job)>,
    /// Whether kernel requests wait until [`Fixture::answer`].
    pub(crate) slow_kernel: bool,
    requests: VecDeque<KernelRequest>,
    /// Whether the kernel refuses further SAs.
    pub(crate) kernel_refuses: bool,
}

impl Fixture {
    pub(crate) fn new(configuration: Configuration) -> Self {
        let (host, peer) = (configuration.host, configuration.peer);
        let settings = configuration.settings();
        let now = Time::from_secs(1000);
        let mut engine = Engine::new(settings, Box::new(SeededRandom::new(1)), now);
        engine.handle_control(now, Control::Addresses([host].into())).expect("our addresses");
        engine.handle_kernel(now, KernelEvent::Policies(policies(host, peer).into()));
        Self {
            now,
            engine,
            address: host,
            peer,
            keys: Keys { peer: peer.ip().to_string(), everybody: false },
            sas: BTreeMap::new(),
            larval: BTreeSet::new(),
            policies: Vec::new(),
            last_index: 1000,
            next_spi: 0x1000,
            acquires: 0,
            sent: VecDeque::new(),
            log: Vec::new(),
            outcomes: Vec::new(),
            events: Vec::new(),
            slow: false,
            jobs: VecDeque::new(),
            slow_kernel: false,
            requests: VecDeque::new(),
            kernel_refuses: false,
        }
    }

    /// Gives the peer's key to everybody.
    pub(crate) fn give_keys(&mut self) {
        self.keys.everybody = true;
    }

    /// Receives a datagram from the peer's address.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.receive_from(self.peer, bytes);
    }

    /// Receives a datagram from an address.
    pub(crate) fn receive_from(&mut self, remote: SocketAddr, bytes: &[u8]) {
        self.engine.handle_datagram(self.now, Path::new(self.address, remote), bytes);
        self.drain();
    }

    /// Reports an acquire: a packet for the peer needs an SA.
    pub(crate) fn acquire(&mut self) {
        self.acquires += 1;
        let acquire = Acquire {
            policy: Some(POLICY),
            source: self.address.ip(),
            destination: self.peer.ip(),
            protocol: Protocol::ESP,
            seq: self.acquires,
            selector: None,
        };
        self.kernel(KernelEvent::Acquire(acquire));
    }

    /// Passes an event of the kernel to the engine.
    pub(crate) fn kernel(&mut self, event: KernelEvent) {
        self.engine.handle_kernel(self.now, event);
        self.drain();
    }

    /// Passes a request of the operator to the engine.
    pub(crate) fn control(&mut self, control: Control) {
        self.engine.handle_control(self.now, control).expect("a request that can be fulfilled");
        self.drain();
    }

    /// Performs the waiting jobs.
    pub(crate) fn work(&mut self) {
        while let Some((id, job)) = self.jobs.pop_front() {
            let result = job.perform(&self.keys);
            self.engine.handle_crypto(self.now, id, result);
            self.drain();
        }
    }

    /// Carries out the waiting kernel requests.
    pub(crate) fn answer(&mut self) {
        while let Some(request) = self.requests.pop_front() {
            self.carry_out(request);
        }
    }

    /// Returns the number of waiting jobs.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs.len()
    }

    /// Lets time pass, with each timer at its time.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.engine.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.engine.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Lets hours pass without the peer, and checks that no state is left.
    pub(crate) fn wind_up(&mut self, what: &str) {
        (self.slow, self.slow_kernel) = (false, false);
        self.answer();
        self.drain();
        self.sent.clear();
        self.pass(Duration::from_secs(4 * 3600));
        assert_eq!(self.engine.load(), Load::default(), "{what}: something is left\n{}", self.log_text());
        assert_eq!(self.engine.poll_timeout(), None, "{what}: a timer is left");
        assert!(
            self.sas.is_empty() && self.larval.is_empty(),
            "{what}: left in the kernel: {:?} {:?}",
            self.sas,
            self.larval
        );
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            phase1s: self.engine.phase1s().map(|one| (one.cookies.to_string(), one.state)).collect(),
            phase2s: self.engine.phase2s().map(|one| (one.message_id, one.state)).collect(),
            sas: self.sas.keys().copied().collect(),
            larval: self.larval.len(),
        }
    }

    /// Returns the states of all phase 1s.
    pub(crate) fn phase1_states(&self) -> Vec<u8> {
        self.engine.phase1s().map(|one| one.state).collect()
    }

    /// Whether traffic with the peer is protected: there is a phase 1 and a pair of SAs, and no negotiation.
    pub(crate) fn is_up(&self) -> bool {
        let phase2 = self.engine.phase2s().map(|one| one.state).collect::<Vec<_>>();
        self.phase1_states() == [9] && phase2 == [9] && self.sas.len() == 2 && self.larval.is_empty()
    }

    /// Returns the first line of the log that contains a text.
    pub(crate) fn has_logged(&self, words: &str) -> bool {
        self.log.iter().any(|line| line.text.contains(words))
    }

    /// Returns the reasons of failed negotiations.
    pub(crate) fn failures(&self) -> Vec<&FailureReason> {
        let cause = |outcome: &'_ Outcome| matches!(outcome.result, NegotiationResult::Failed(_));
        let failed = self.outcomes.iter().filter(|outcome| cause(outcome));
        failed
            .filter_map(|one| if let NegotiationResult::Failed(cause) = &one.result { Some(cause) } else { None })
            .collect()
    }

    /// Returns the last log lines, for a failed assertion.
    pub(crate) fn log_text(&self) -> String {
        let last = self.log.iter().skip(self.log.len().saturating_sub(40));
        last.map(|line| format!("{:?}: {}\n", line.level, line.text)).collect()
    }

    /// Carries out the outputs of the engine.
    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit(datagram) => self.sent.push_back(datagram),
                Output::Kernel(request) => {
                    self.requests.push_back(request);
                    if !self.slow_kernel {
                        self.answer();
                    }
                }
                Output::Job(id, _, job) => self.jobs.push_back((id, job)),
                Output::Event(event) => self.events.push(event.kind),
                Output::Log(line) => self.log.push(line),
                Output::Outcome(outcome) => self.outcomes.push(outcome),
            }
        }
        if !self.slow {
            self.work();
        }
    }

    /// Adds a policy, unless one with its selector and direction exists.
    fn add_policy(&mut self, policy: Policy) -> Result<Policy, KernelError> {
        let is_same = |one: &Policy| (one.direction, one.selector) == (policy.direction, policy.selector);
        if self.policies.iter().any(is_same) {
            return Err(KernelError { exists: true, ..KernelError::new("File exists") });
        }
        self.last_index += 8;
        let policy = Policy { index: self.last_index, ..policy };
        self.policies.push(policy.clone());
        Ok(policy)
    }

    fn carry_out(&mut self, request: KernelRequest) {
        let refused = |exists| Err(KernelError { exists, ..KernelError::new("refused") });
        let answer = match request {
            KernelRequest::AllocateSpi(spi) if self.kernel_refuses => {
                KernelEvent::Spi(spi.id, refused(false).map(|()| 0))
            }
            KernelRequest::Install(sa) if self.kernel_refuses => KernelEvent::Installed(sa.id, refused(false)),
            KernelRequest::AllocateSpi(spi) => {
                self.next_spi += 1;
                let (protocol, source, destination) = (spi.protocol, spi.source, spi.destination);
                self.larval.insert(SaName { protocol, source, destination, spi: self.next_spi });
                KernelEvent::Spi(spi.id, Ok(self.next_spi))
            }
            KernelRequest::Install(sa) => {
                let known = sa.way == Way::Outbound || self.larval.remove(&sa.name);
                let exists = self.sas.contains_key(&sa.name);
                if known && !exists {
                    self.sas.insert(sa.name, sa.way);
                    KernelEvent::Installed(sa.id, Ok(()))
                } else {
                    KernelEvent::Installed(sa.id, refused(exists))
                }
            }
            KernelRequest::Delete(name) => {
                self.sas.remove(&name);
                self.larval.remove(&name);
                return;
            }
            KernelRequest::AddPolicy(id, policy) => {
                KernelEvent::PolicyAdded(id, self.add_policy(policy.into()).map(Some))
            }
            KernelRequest::DeletePolicy(name) => return self.policies.retain(|policy| policy.index != name.index),
            KernelRequest::AcquireFailed(_) => return,
        };
        self.engine.handle_kernel(self.now, answer);
    }
}

/// The policies: all traffic between the two hosts is in ESP.
pub(crate) fn policies(host: SocketAddr, peer: SocketAddr) -> [Policy; 2] {
    let out = Selector {
        source: Prefix::host(host.ip()),
        destination: Prefix::host(peer.ip()),
        protocol: 0,
        source_port: 0,
        destination_port: 0,
    };
    let level = TemplateLevel::Require;
    let template = Template { protocol: Protocol::ESP, mode: Mode::Transport, level, reqid: 0, endpoints: None };
    let policy = |index, direction, selector| {
        let action = PolicyAction::Protect(vec![template]);
        Policy { index, direction, selector, action, priority: 0x8000_0000 }
    };
    [policy(8, Direction::In, out.mirrored()), policy(POLICY, Direction::Out, out)]
}
