//! What every part of the engine needs: the settings, the time, randomness, timers, and the queue of outputs.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::panic::Location;
use std::sync::Arc;

use crate::conversation::ConversationId;
use crate::crypto::Job;
use crate::engine::delivery_errors::DeliveryErrors;
use crate::engine::jobs::Jobs;
use crate::engine::timers::Timers;
use crate::engine::{Phase2Id, Timer};
use crate::kernel::{KernelRequest, RequestId};
use crate::message::codec::{MessageCodec, PlaintextTrace};
use crate::num::ExchangeType;
use crate::output::{Event, JobId, Level, LogLine, Output, Transmit, Urgency};
use crate::path::Path;
use crate::phase1::rate_limit::RateLimits;
use crate::random::Random;
use crate::reason::{Journal, Outcome};
use crate::settings::Settings;
use crate::spd::Spd;
use crate::time::Time;
use crate::wire::Cookie;

/// State shared by all parts of the engine, and the only way to produce outputs.
pub(crate) struct Core {
    pub(crate) settings: Settings,
    pub(crate) codec: MessageCodec,
    pub(crate) random: Box<dyn Random>,
    /// The time of the input that is being handled.
    pub(crate) now: Time,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) timers: Timers<Timer>,
    /// Addresses and ports that the shell listens on.
    pub(crate) locals: BTreeSet<SocketAddr>,
    /// All addresses of this host.
    pub(crate) host_addresses: BTreeSet<IpAddr>,
    /// The kernel's policies.
    pub(crate) spd: Spd,
    /// Local tunnel endpoints that are not addresses of this host and were warned about.
    pub(crate) foreign_endpoints: BTreeSet<IpAddr>,
    pub(crate) jobs: Jobs,
    /// Kernel requests that are not answered yet.
    pub(crate) requests: HashMap<RequestId, Phase2Id>,
    pub(crate) rate_limits: RateLimits,
    /// Datagrams of ours that were not delivered.
    pub(crate) delivery_errors: DeliveryErrors,
    pub(crate) journal: Journal,
    /// The next number of a phase 1, phase 2, job or request.
    next_id: u64,
    /// The daemon shuts down: nothing new begins.
    pub(crate) stopping: bool,
}

impl Core {
    pub(crate) fn new(settings: Settings, random: Box<dyn Random>, now: Time) -> Self {
        Self {
            journal: Journal::new(settings.journal),
            codec: MessageCodec::new(&settings),
            settings,
            random,
            now,
            outputs: VecDeque::new(),
            timers: Timers::default(),
            locals: BTreeSet::new(),
            host_addresses: BTreeSet::new(),
            spd: Spd::default(),
            foreign_endpoints: BTreeSet::new(),
            jobs: Jobs::default(),
            requests: HashMap::new(),
            rate_limits: RateLimits::default(),
            delivery_errors: DeliveryErrors::default(),
            next_id: 1,
            stopping: false,
        }
    }

    /// Returns a number that was never returned before.
    pub(crate) fn fresh_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        id
    }

    /// Sends a datagram, in as many copies as configured.
    pub(crate) fn transmit(&mut self, path: Path, bytes: &[u8]) {
        for _ in 0..self.settings.retransmission.copies.max(1) {
            self.transmit_once(path, bytes.to_vec());
        }
    }

    /// Sends one copy of a datagram.
    pub(crate) fn transmit_once(&mut self, path: Path, bytes: Vec<u8>) {
        self.log_plaintext();
        self.outputs.push_back(Output::Transmit(Transmit { path, bytes }));
    }

    /// Hands a job to the shell; its result goes to `owner`.
    pub(crate) fn start_job(&mut self, owner: ConversationId, urgency: Urgency, job: Job) {
        let id = JobId(self.fresh_id());
        // An earlier job of the owner is forgotten: its result would come in the wrong state.
        self.jobs.insert(id, owner);
        self.outputs.push_back(Output::Job(id, urgency, job));
    }

    /// Sends the kernel a request that it answers. `request` is given the number under which the answer comes.
    pub(crate) fn ask_kernel(
        &mut self,
        owner: Phase2Id,
        request: impl FnOnce(RequestId) -> KernelRequest,
    ) -> RequestId {
        let id = RequestId(self.fresh_id());
        self.requests.insert(id, owner);
        self.outputs.push_back(Output::Kernel(request(id)));
        id
    }

    /// Sends the kernel a request that it does not answer.
    pub(crate) fn send_to_kernel(&mut self, request: KernelRequest) {
        self.outputs.push_back(Output::Kernel(request));
    }

    /// Reports an event to the shell.
    pub(crate) fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Logs a line. `text` is called only if lines of this level are logged.
    #[track_caller]
    pub(crate) fn log(&mut self, level: Level, peer: Option<SocketAddr>, text: impl FnOnce() -> String) {
        if level <= self.settings.log {
            // The trace of a message comes before the lines that follow from it.
            self.log_plaintext();
            let place = Location::caller();
            self.outputs.push_back(Output::Log(LogLine { level, peer, place, text: text() }));
        }
    }

    /// Formats a text if lines of this level are logged, for a later [`log_formatted`](Self::log_formatted). Unlike that of
    /// [`log`](Self::log), the closure may borrow the settings.
    pub(crate) fn format_at(&self, level: Level, text: impl FnOnce() -> String) -> Option<String> {
        (level <= self.settings.log).then(text)
    }

    /// Logs a text that was formatted for this level.
    #[track_caller]
    pub(crate) fn log_formatted(&mut self, level: Level, peer: SocketAddr, text: Option<String>) {
        if let Some(text) = text {
            self.log(level, Some(peer), || text);
        }
    }

    /// Logs a negotiation that failed.
    #[track_caller]
    pub(crate) fn log_failure(&mut self, level: Level, outcome: &Outcome) {
        if let Some(line) = outcome.failure_line() {
            self.log(level, Some(outcome.remote), || line.to_string());
        }
    }

    /// Logs what encrypted messages contain, ahead of the lines that follow from it.
    pub(crate) fn log_plaintext(&mut self) {
        for PlaintextTrace { peer, lines } in self.codec.take_traces() {
            let (level, peer, place) = (Level::Debug2, Some(peer), Location::caller());
            let lines = lines.into_iter().map(|text| Output::Log(LogLine { level, peer, place, text }));
            self.outputs.extend(lines);
        }
    }

    /// Logs lines that a step of an exchange has left.
    pub(crate) fn log_notes(&mut self, remote: SocketAddr, notes: Vec<(Level, String)>) {
        for (level, text) in notes {
            self.log(level, Some(remote), || text);
        }
    }

    /// Logs the exchange of a phase 1 by its name in RFC 2408.
    pub(crate) fn log_mode(&mut self, level: Level, remote: SocketAddr, exchange: ExchangeType) {
        let name = match exchange {
            ExchangeType::MAIN => "Identity Protection",
            ExchangeType::AGGRESSIVE => "Aggressive",
            ExchangeType::BASE => "Base",
            _ => return,
        };
        self.log(level, Some(remote), || format!("begin {name} mode."));
    }

    /// Keeps the outcome of a negotiation in the journal and reports it to the shell.
    pub(crate) fn record_outcome(&mut self, outcome: Outcome) -> Arc<Outcome> {
        let outcome = Arc::new(outcome);
        self.journal.add(Arc::clone(&outcome));
        self.outputs.push_back(Output::Outcome(Arc::clone(&outcome)));
        outcome
    }

    /// Draws a cookie other than zero, which stands for "not known yet".
    pub(crate) fn draw_cookie(&mut self) -> Cookie {
        loop {
            let mut bytes = [0; 8];
            self.random.fill(&mut bytes);
            if bytes != [0; 8] {
                return Cookie(bytes);
            }
        }
    }

    /// Returns the socket address to use as `ip`: the one with the configured port, if the shell listens on it.
    pub(crate) fn local_address(&self, ip: IpAddr) -> Option<SocketAddr> {
        let here = || self.locals.range(SocketAddr::new(ip, 0)..).copied().take_while(move |one| one.ip() == ip);
        here().find(|address| address.port() == self.settings.port).or_else(|| here().next())
    }
}
