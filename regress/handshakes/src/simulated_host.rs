//! An engine with a kernel that accepts every request: one side of many negotiations.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use racoon_proto::crypto::OpenSslRandom;
use racoon_proto::engine::{Control, Engine};
use racoon_proto::kernel::{
    Acquire, Direction, KernelEvent, KernelRequest, Mode, Policy, PolicyAction, Prefix, Selector, Template,
    TemplateLevel,
};
use racoon_proto::num::Protocol;
use racoon_proto::output::{EventKind, Output, Transmit};
use racoon_proto::path::Path;
use racoon_proto::settings::Settings;
use racoon_proto::time::Time;

use crate::keys::Keys;
use crate::meter::cpu_time;

/// One side of many negotiations.
pub(crate) struct SimulatedHost {
    engine: Engine,
    keys: Arc<Keys>,
    began: Instant,
    next_spi: u32,
    /// Established phase 2s.
    pub(crate) up: usize,
    /// Warnings and errors of the engine.
    pub(crate) failures: Vec<String>,
    /// Processor time spent in public-key operations.
    pub(crate) job_time: Duration,
}

impl SimulatedHost {
    /// Creates a side with local addresses, and a policy for each peer.
    pub(crate) fn new(
        settings: Settings,
        keys: Arc<Keys>,
        local: Vec<SocketAddr>,
        policies: Vec<Policy>,
    ) -> Result<Self> {
        let now = Time::default();
        let mut engine = Engine::new(settings, Box::new(OpenSslRandom), now);
        engine.handle_control(now, Control::Addresses(local.into_iter().collect()))?;
        engine.handle_kernel(now, KernelEvent::Policies(policies));
        let failures = Vec::new();
        Ok(Self { engine, keys, began: Instant::now(), next_spi: 0x1000, up: 0, failures, job_time: Duration::ZERO })
    }

    /// Simulates an acquire for a policy. Returns the datagrams to send.
    pub(crate) fn acquire(&mut self, policy: &Policy) -> Vec<Transmit> {
        let (source, destination) = (policy.selector.source.address(), policy.selector.destination.address());
        let (index, seq) = (Some(policy.index), policy.index);
        let acquire = Acquire { policy: index, source, destination, protocol: Protocol::ESP, seq, selector: None };
        self.engine.handle_kernel(self.now(), KernelEvent::Acquire(acquire));
        self.work()
    }

    /// Processes a received datagram. Returns the datagrams to send.
    pub(crate) fn receive(&mut self, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) -> Vec<Transmit> {
        self.engine.handle_datagram(self.now(), Path::new(local, remote), bytes);
        self.work()
    }

    /// Handles expired timers. Returns the datagrams to send.
    pub(crate) fn tick(&mut self) -> Vec<Transmit> {
        self.engine.handle_timeout(self.now());
        self.work()
    }

    fn now(&self) -> Time {
        Time(self.began.elapsed())
    }

    fn work(&mut self) -> Vec<Transmit> {
        let mut datagrams = Vec::new();
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Transmit(datagram) => datagrams.push(datagram),
                Output::Kernel(request) => self.kernel(request),
                Output::Job(id, _, job) => {
                    let begin = cpu_time();
                    let result = job.perform(&*self.keys);
                    self.job_time += cpu_time().saturating_sub(begin);
                    self.engine.handle_crypto(self.now(), id, result);
                }
                Output::Event(event) if event.kind == EventKind::Phase2Up => self.up += 1,
                Output::Event(_) => {}
                Output::Log(line) if line.level <= racoon_proto::output::Level::Warning => {
                    self.failures.push(line.text);
                }
                Output::Log(_) | Output::Outcome(_) => {}
            }
        }
        datagrams
    }

    fn kernel(&mut self, request: KernelRequest) {
        let answer = match request {
            KernelRequest::AllocateSpi(spi) => {
                self.next_spi += 1;
                KernelEvent::Spi(spi.id, Ok(self.next_spi))
            }
            KernelRequest::Install(sa) => KernelEvent::Installed(sa.id, Ok(())),
            _ => return,
        };
        self.engine.handle_kernel(self.now(), answer);
    }
}

/// Returns the address of a client.
pub(crate) fn client(number: u32, port: u16) -> SocketAddr {
    const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 1);
    SocketAddr::from((Ipv4Addr::from_bits(FIRST.to_bits() + number), port))
}

/// Returns an outbound policy and its inbound counterpart: ESP for all traffic between two hosts, or with `port` for
/// that UDP port of the destination.
pub(crate) fn policies(index: u32, local: IpAddr, remote: IpAddr, port: u16) -> [Policy; 2] {
    let protocol = if port == 0 { 0 } else { 17 };
    let (source, destination) = (Prefix::host(local), Prefix::host(remote));
    let out = Selector { source, destination, protocol, source_port: 0, destination_port: port };
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
    [policy(index * 2, Direction::Out, out), policy(index * 2 + 1, Direction::In, out.mirrored())]
}
