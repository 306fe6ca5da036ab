//! Two engines and a link between them, on a clock that only the test moves. Jobs are done at once.

mod aggressive;
mod base;
mod defects;
mod first;
mod informational;
mod lifetime;
mod main_mode;
mod phase2;
mod priority;
mod rate_limit;
mod signature;
mod signature_defects;
mod signed_modes;
mod unanswered;
mod undelivered;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Control, Engine, Phase1Id, Refusal};
use crate::config::{CheckLevel, Dpd, Remote};
use crate::credentials::{
    Credentials, OwnKey, OwnProblem, PeerProblem, PinnedKey, SignRequest, Signed, VerifiedPeer, VerifyRequest,
};
use crate::crypto::{Job, JobResult, Secret, SeededRandom};
use crate::kernel::KernelRequest;
use crate::num::{AuthMethod, Cipher, ExchangeType, Group, Hash};
use crate::output::{Event, EventKind, JobId, Level, LogLine, Output, Transmit};
use crate::path::Path;
use crate::proposal::Phase1Terms;
use crate::psk::{KeyTable, NoKey};
use crate::reason::{FailureReason, NegotiationResult, Outcome};
use crate::select::Remotes;
use crate::settings::Settings;
use crate::time::Time;

const A: &str = "192.0.2.1:500";
const B: &str = "192.0.2.2:500";

/// Quick to compute.
const TERMS: Phase1Terms = Phase1Terms {
    cipher: Cipher::AES,
    key_length: 128,
    hash: Hash::SHA256,
    group: Group::X25519,
    method: AuthMethod::PRE_SHARED_KEY,
    lifetime: 3600,
};

struct Keys(Vec<(Vec<u8>, &'static str)>);

impl KeyTable for Keys {
    fn key(&self, name: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoKey> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, key)| Zeroizing::new(key.as_bytes().to_vec())).ok_or_else(no_entry)
    }
}

/// A stand-in for signatures: the prf of the hash with a key of this table, named by its file. Both sides know it.
impl Credentials for Keys {
    fn sign(&self, request: &SignRequest) -> Result<Signed, OwnProblem> {
        let OwnKey::PlainRsa(file) = &*request.key else { return Err(OwnProblem::NotConfigured) };
        let signature = self.signature(file, &request.hash).ok_or(OwnProblem::NotConfigured)?;
        Ok(Signed { signature, certificates: Vec::new() })
    }

    fn verify(&self, request: &VerifyRequest) -> Result<VerifiedPeer, PeerProblem> {
        let Some(PinnedKey::PlainRsa(file)) = &request.trust.pinned else { return Err(PeerProblem::NoCertificate) };
        let expected = self.signature(file, &request.hash).ok_or(PeerProblem::NoCertificate)?;
        if expected == request.signature { Ok(VerifiedPeer::default()) } else { Err(PeerProblem::Signature) }
    }
}

impl Keys {
    fn signature(&self, file: &std::path::Path, hash: &Secret) -> Option<Vec<u8>> {
        let key = self.key(file.to_str()?.as_bytes()).ok()?;
        Some(crate::crypto::prf(Hash::SHA256, &key, &[hash.as_bytes()]).ok()?.as_bytes().to_vec())
    }
}

/// The answer of [`Keys`] about a name that it does not have.
fn no_entry() -> NoKey {
    NoKey::NoEntry { file: "psk.txt".into(), nearest: None }
}

/// A host with its engine, and what that has put out.
struct Host {
    address: SocketAddr,
    engine: Engine,
    keys: Keys,
    /// Private keys and certificates; they replace `keys`.
    keeper: Option<signature::keys::Keeper>,
    /// Jobs wait in `jobs` instead of being done.
    slow: bool,
    jobs: Vec<(JobId, Job)>,
    sent: Vec<Transmit>,
    log: Vec<LogLine>,
    events: Vec<Event>,
    outcomes: Vec<Arc<Outcome>>,
    kernel: Vec<KernelRequest>,
}

impl Host {
    fn new(address: &str, seed: u64, settings: Settings, keys: &[(&str, &'static str)]) -> Self {
        let address: SocketAddr = address.parse().unwrap();
        let mut engine = Engine::new(settings, Box::new(SeededRandom::new(seed)), Time::default());
        engine.handle_control(Time::default(), Control::Addresses([address].into())).unwrap();
        let keys = Keys(keys.iter().map(|(name, key)| (name.as_bytes().to_vec(), *key)).collect());
        Self {
            address,
            engine,
            keys,
            keeper: None,
            slow: false,
            jobs: Vec::new(),
            sent: Vec::new(),
            log: Vec::new(),
            events: Vec::new(),
            outcomes: Vec::new(),
            kernel: Vec::new(),
        }
    }

    /// Takes what the engine puts out; returns what is to be sent.
    fn drain(&mut self, now: Time) -> Vec<Transmit> {
        let mut transmits = Vec::new();
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit(transmit) => transmits.push(transmit),
                Output::Job(id, _, job) if self.slow => self.jobs.push((id, job)),
                Output::Job(id, _, job) => {
                    let result = job.perform(self.credentials());
                    self.engine.handle_crypto(now, id, result);
                }
                Output::Log(line) => self.log.push(line),
                Output::Event(event) => self.events.push(event),
                Output::Outcome(outcome) => self.outcomes.push(outcome),
                Output::Kernel(request) => self.kernel.push(request),
            }
        }
        self.sent.extend(transmits.iter().cloned());
        transmits
    }

    fn credentials(&self) -> &dyn Credentials {
        self.keeper.as_ref().map_or(&self.keys, |keeper| keeper)
    }

    /// Does the jobs that wait.
    fn work(&mut self, now: Time) -> Vec<Transmit> {
        for (id, job) in std::mem::take(&mut self.jobs) {
            let result = job.perform(self.credentials());
            self.engine.handle_crypto(now, id, result);
        }
        self.drain(now)
    }

    /// There is no room for the jobs that wait.
    fn cannot_work(&mut self, now: Time) {
        for (id, _) in std::mem::take(&mut self.jobs) {
            self.engine.handle_crypto(now, id, JobResult::default());
        }
        self.drain(now);
    }

    fn has_logged(&self, level: Level, part: &str) -> bool {
        self.log.iter().any(|line| line.level == level && line.text.contains(part))
    }

    fn lines(&self, level: Level) -> Vec<&str> {
        self.log.iter().filter(|line| line.level == level).map(|line| line.text.as_str()).collect()
    }

    fn failures(&self) -> Vec<FailureReason> {
        let reason = |outcome: &Arc<Outcome>| match &outcome.result {
            NegotiationResult::Failed(reason) => Some(reason.clone()),
            _ => None,
        };
        self.outcomes.iter().filter_map(reason).collect()
    }

    /// The messages that were not answered, and how often each was sent.
    fn unanswered(&self) -> Vec<(u8, u32)> {
        let message = |reason: &FailureReason| match reason {
            FailureReason::NoAnswer(unanswered) => Some((unanswered.message, unanswered.sent)),
            _ => None,
        };
        self.failures().iter().filter_map(message).collect()
    }

    fn endings(&self) -> Vec<NegotiationResult> {
        self.outcomes.iter().map(|outcome| outcome.result.clone()).collect()
    }

    fn event_kinds(&self) -> Vec<EventKind> {
        self.events.iter().map(|event| event.kind).collect()
    }

    /// The states of all phase 1s.
    fn states(&self) -> Vec<u8> {
        self.engine.phase1s().map(|view| view.state).collect()
    }

    /// The only phase 1.
    fn only(&self) -> Phase1Id {
        let ids: Vec<_> = self.engine.phase1s.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), 1);
        ids[0]
    }

    fn forget_outputs(&mut self) {
        self.sent.clear();
        self.log.clear();
        self.events.clear();
        self.outcomes.clear();
    }
}

/// Two hosts and what is on its way between them.
struct World {
    now: Time,
    a: Host,
    b: Host,
    link: VecDeque<Transmit>,
}

/// What the link does with a datagram.
enum Fate {
    Deliver,
    Drop,
    Twice,
    Change(Vec<u8>),
}

impl World {
    fn new() -> Self {
        Self::with(|_, _| {}, |_, _| {})
    }

    /// Two hosts whose remote sections and settings are changed before the engines are made.
    fn with(a: impl FnOnce(&mut Remote, &mut Settings), b: impl FnOnce(&mut Remote, &mut Settings)) -> Self {
        Self {
            now: Time::default(),
            a: Host::new(A, 1, settings(B, a), &[("192.0.2.2", "a secret of a and b")]),
            b: Host::new(B, 2, settings(A, b), &[("192.0.2.1", "a secret of a and b")]),
            link: VecDeque::new(),
        }
    }

    /// `a` begins phase 1 with `b`.
    fn initiate(&mut self) {
        self.try_to_initiate().unwrap();
    }

    /// The same, if it can.
    fn try_to_initiate(&mut self) -> Result<(), Refusal> {
        let control = Control::EstablishPhase1 {
            local: "0.0.0.0".parse().unwrap(),
            remote: self.b.address.ip(),
            remote_section: None,
        };
        let begun = self.a.engine.handle_control(self.now, control);
        self.collect();
        begun
    }

    /// The other way round.
    fn initiate_back(&mut self) {
        let control =
            Control::EstablishPhase1 { local: self.b.address.ip(), remote: self.a.address.ip(), remote_section: None };
        self.b.engine.handle_control(self.now, control).unwrap();
        self.collect();
    }

    /// Puts what both engines have to send on the link.
    fn collect(&mut self) {
        let sent = [self.a.drain(self.now), self.b.drain(self.now)].concat();
        self.link.extend(sent);
    }

    /// Delivers all that is on its way, and what that brings.
    fn run(&mut self) {
        self.run_with(|_| Fate::Deliver);
    }

    fn run_with(&mut self, mut fate: impl FnMut(&Transmit) -> Fate) {
        self.collect();
        while let Some(transmit) = self.link.pop_front() {
            match fate(&transmit) {
                Fate::Deliver => self.deliver(&transmit),
                Fate::Drop => {}
                Fate::Twice => {
                    self.deliver(&transmit);
                    self.deliver(&transmit);
                }
                Fate::Change(bytes) => self.deliver(&Transmit { bytes, ..transmit }),
            }
        }
    }

    fn deliver(&mut self, transmit: &Transmit) {
        let to = if transmit.path.remote == self.a.address { &mut self.a } else { &mut self.b };
        if transmit.path.remote == to.address {
            to.engine.handle_datagram(self.now, transmit.path.reversed(), &transmit.bytes);
        }
        self.collect();
    }

    /// Something that `b` did not send comes to `a` from its address.
    fn forge_to_a(&mut self, bytes: &[u8]) {
        self.a.engine.handle_datagram(self.now, Path::new(self.a.address, self.b.address), bytes);
        self.collect();
    }

    /// Something that `a` did not send comes to `b` from its address.
    fn forge_to_b(&mut self, bytes: &[u8]) {
        self.b.engine.handle_datagram(self.now, Path::new(self.b.address, self.a.address), bytes);
        self.collect();
    }

    /// Time passes; nothing is lost.
    fn pass(&mut self, duration: Duration) {
        self.pass_with(duration, |_| Fate::Deliver);
    }

    fn pass_with(&mut self, duration: Duration, mut fate: impl FnMut(&Transmit) -> Fate) {
        let end = self.now + duration;
        loop {
            let due = [self.a.engine.poll_timeout(), self.b.engine.poll_timeout()].into_iter().flatten().min();
            match due {
                Some(due) if due <= end => self.now = self.now.max(due),
                _ => break,
            }
            self.a.engine.handle_timeout(self.now);
            self.b.engine.handle_timeout(self.now);
            self.run_with(&mut fate);
        }
        self.now = end;
    }

    /// Both have one phase 1, established, and it is the same.
    fn assert_up(&self) {
        assert_eq!((self.a.states(), self.b.states()), (vec![9], vec![9]));
        let (a, b) = (self.a.engine.phase1s.sa(self.a.only()), self.b.engine.phase1s.sa(self.b.only()));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!(a.cookies, b.cookies);
        assert_eq!(a.keys.d.key(), b.keys.d.key());
        assert_eq!(a.last_block, b.last_block);
        assert_eq!(a.terms, b.terms);
    }

    fn established() -> Self {
        let mut world = Self::new();
        world.initiate();
        world.run();
        world.assert_up();
        world
    }

    fn established_with(
        a: impl FnOnce(&mut Remote, &mut Settings),
        b: impl FnOnce(&mut Remote, &mut Settings),
    ) -> Self {
        let mut world = Self::with(a, b);
        world.initiate();
        world.run();
        world.assert_up();
        world
    }
}

/// Settings with one remote section, for the peer.
fn settings(peer: &str, change: impl FnOnce(&mut Remote, &mut Settings)) -> Settings {
    let mut remote = remote_for(peer);
    let mut settings = Settings { log: Level::Debug2, ..Settings::default() };
    change(&mut remote, &mut settings);
    settings.remotes = Remotes::new(vec![remote]);
    settings
}

fn remote_for(peer: &str) -> Remote {
    let peer: SocketAddr = peer.parse().unwrap();
    let address = crate::config::RemoteAddress::At(peer.ip().into());
    Remote {
        exchange_modes: vec![ExchangeType::MAIN],
        proposals: vec![TERMS],
        ..Remote::new(peer.ip().to_string(), Some(address))
    }
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}
