//! Two engines and two kernels in memory.

mod acquires;
mod configured;
mod crafted;
mod exchange;
mod explained;
mod generate_policy;
mod initial_contact;
mod leftover;
mod levels;

mod life;
mod moved;
mod portless;
mod readiness;
mod refused;
mod rekey_switchover;
mod restarted;

use std::collections::BTreeMap;

use super::*;
use crate::config::{Encryption, RemoteSide, Sainfo, Side};
use crate::crypto::Secret;
use crate::kernel::{
    Acquire, Direction, KernelError, KernelEvent, Limit, Mode, Policy, PolicyAction, Prefix, SaInstallation, SaName,
    SaTransform, Selector, Template, Way,
};
use crate::num::{AuthAlgorithm, EspTransform, IpcompTransform, Protocol};
use crate::select::Sainfos;

/// A kernel, as far as the engine needs one.
#[derive(Default)]
struct Kernel {
    /// SAs, in the order in which they came.
    sas: Vec<SaInstallation>,
    larval: Vec<SaName>,
    next_spi: u32,
    policies: BTreeMap<(Direction, Selector), Policy>,
    last_index: u32,
    failed: Vec<Acquire>,
    deleted: Vec<SaName>,
    /// It does not answer.
    silent: bool,
    /// It refuses SAs of this way.
    refuses: Option<Way>,
    /// It has each outbound SA already.
    has_outbound: bool,
}

impl Kernel {
    fn carry_out(&mut self, request: KernelRequest) -> Option<KernelEvent> {
        match request {
            KernelRequest::AllocateSpi(spi) => {
                self.next_spi += 1;
                let name = SaName {
                    protocol: spi.protocol,
                    source: spi.source,
                    destination: spi.destination,
                    spi: self.next_spi,
                };
                self.larval.push(name);
                Some(KernelEvent::Spi(spi.id, Ok(name.spi)))
            }
            KernelRequest::Install(sa) => {
                let id = sa.id;
                if self.refuses == Some(sa.way) {
                    let error = KernelError::new("no such algorithm");
                    return Some(KernelEvent::Installed(id, Err(error)));
                }
                if self.has_outbound && sa.way == Way::Outbound {
                    let error = KernelError { exists: true, ..KernelError::new("File exists") };
                    return Some(KernelEvent::Installed(id, Err(error)));
                }
                if sa.way == Way::Inbound {
                    let larval = self.larval.iter().position(|name| *name == sa.name);
                    self.larval.remove(larval.expect("an SPI that was reserved"));
                }
                self.sas.push(*sa);
                Some(KernelEvent::Installed(id, Ok(())))
            }
            KernelRequest::Delete(name) => {
                self.sas.retain(|sa| sa.name != name);
                self.larval.retain(|larval| *larval != name);
                self.deleted.push(name);
                None
            }
            KernelRequest::AcquireFailed(acquire) => {
                self.failed.push(acquire);
                None
            }
            KernelRequest::AddPolicy(id, policy) => {
                Some(KernelEvent::PolicyAdded(id, self.add_policy(policy.into()).map(Some)))
            }
            KernelRequest::DeletePolicy(name) => {
                self.policies.retain(|_, policy| policy.index != name.index);
                None
            }
        }
    }

    /// The policy with the index that it gets.
    fn add_policy(&mut self, policy: Policy) -> Result<Policy, KernelError> {
        let key = (policy.direction, policy.selector);
        if self.policies.contains_key(&key) {
            return Err(KernelError { exists: true, ..KernelError::new("File exists") });
        }
        self.last_index += 8;
        let policy = Policy { index: self.last_index, ..policy };
        self.policies.insert(key, policy.clone());
        Ok(policy)
    }

    fn names(&self, way: Way) -> Vec<SaName> {
        self.sas.iter().filter(|sa| sa.way == way).map(|sa| sa.name).collect()
    }
}

/// Two hosts and their kernels.
struct Net {
    world: World,
    kernels: [Kernel; 2],
}

/// Everything between both hosts is in ESP.
fn transport() -> Vec<Template> {
    vec![template(Protocol::ESP, Mode::Transport)]
}

fn template(protocol: Protocol, mode: Mode) -> Template {
    let endpoints = (mode == Mode::Tunnel).then(|| (ip(A), ip(B)));
    Template { protocol, mode, level: crate::kernel::TemplateLevel::Require, reqid: 0, endpoints }
}

fn ip(host: &str) -> std::net::IpAddr {
    host.parse::<SocketAddr>().unwrap().ip()
}

fn hosts() -> Selector {
    let (source, destination) = (Prefix::host(ip(A)), Prefix::host(ip(B)));
    Selector { source, destination, protocol: 0, source_port: 0, destination_port: 0 }
}

fn networks() -> Selector {
    let network = |third: u8| Prefix::new([10, 0, third, 0].into(), 24);
    Selector { source: network(1), destination: network(2), ..hosts() }
}

fn sainfo() -> Sainfo {
    let mut sainfo = Sainfo::new(Side::Anonymous, RemoteSide::Anonymous);
    sainfo.encryption = vec![Encryption { transform: EspTransform::AES, key_length: 128 }];
    sainfo.authentication = vec![AuthAlgorithm::HMAC_SHA256.into()];
    sainfo.compression = vec![IpcompTransform::DEFLATE];
    sainfo.terms.lifetime = 1000;
    sainfo
}

/// The policies of `a`, or of `b`: `out` is the outbound selector of `a`.
fn policies(out: Selector, templates: &[Template], of_a: bool) -> Vec<Policy> {
    let turned = |one: &Template| Template { endpoints: one.endpoints.map(|(a, b)| (b, a)), ..*one };
    let policy = |index, direction, selector, turn: bool| Policy {
        index,
        direction,
        selector,
        action: PolicyAction::Protect(templates.iter().map(|one| if turn { turned(one) } else { *one }).collect()),
        priority: 0x8000_0000,
    };
    let (sent, received) = if of_a { (out, out.mirrored()) } else { (out.mirrored(), out) };
    vec![policy(8, Direction::In, received, of_a), policy(17, Direction::Out, sent, !of_a)]
}

impl Net {
    /// Hosts with the same policies and sainfos.
    fn new(selector: Selector, templates: &[Template], sainfo: &Sainfo) -> Self {
        Self::with(selector, templates, [sainfo.clone(), sainfo.clone()], |_, _| {}, |_, _| {})
    }

    fn with(
        selector: Selector,
        templates: &[Template],
        [sainfo_a, sainfo_b]: [Sainfo; 2],
        a: impl FnOnce(&mut Remote, &mut Settings),
        b: impl FnOnce(&mut Remote, &mut Settings),
    ) -> Self {
        let world = World::with(
            |remote, settings| {
                settings.sainfos = Sainfos::new(vec![sainfo_a]);
                a(remote, settings);
            },
            |remote, settings| {
                settings.sainfos = Sainfos::new(vec![sainfo_b]);
                b(remote, settings);
            },
        );
        let kernels = [0x1000, 0x2000].map(|next_spi| Kernel { next_spi, ..Kernel::default() });
        let mut net = Self { world, kernels };
        net.world.a.engine.handle_kernel(Time::default(), KernelEvent::Policies(policies(selector, templates, true)));
        net.world.b.engine.handle_kernel(Time::default(), KernelEvent::Policies(policies(selector, templates, false)));
        net
    }

    /// Hosts that have come to SAs between them, because a packet of `a` needed them.
    fn up(selector: Selector, templates: &[Template], sainfo: &Sainfo) -> Self {
        let mut net = Self::new(selector, templates, sainfo);
        net.acquire();
        net.settle();
        net.assert_pairs(templates.len());
        net
    }

    /// A packet of `a` needs SAs.
    fn acquire(&mut self) {
        self.tell_a(KernelEvent::Acquire(acquire(1)));
    }

    fn tell_a(&mut self, event: KernelEvent) {
        let now = self.world.now;
        self.world.a.engine.handle_kernel(now, event);
    }

    fn tell_b(&mut self, event: KernelEvent) {
        let now = self.world.now;
        self.world.b.engine.handle_kernel(now, event);
    }

    /// Everything comes to rest.
    fn settle(&mut self) {
        self.settle_with(|_| Fate::Deliver);
    }

    fn settle_with(&mut self, mut fate: impl FnMut(&Transmit) -> Fate) {
        loop {
            self.world.run_with(&mut fate);
            if !self.answer() {
                return;
            }
        }
    }

    /// The kernels do what they are asked for. False: nothing.
    fn answer(&mut self) -> bool {
        let now = self.world.now;
        let mut any = false;
        for (host, kernel) in [&mut self.world.a, &mut self.world.b].into_iter().zip(&mut self.kernels) {
            if kernel.silent {
                continue;
            }
            for request in std::mem::take(&mut host.kernel) {
                any = true;
                if let Some(event) = kernel.carry_out(request) {
                    host.engine.handle_kernel(now, event);
                }
            }
        }
        any
    }

    fn pass(&mut self, duration: Duration) {
        self.pass_with(duration, |_| Fate::Deliver);
    }

    fn pass_with(&mut self, duration: Duration, mut fate: impl FnMut(&Transmit) -> Fate) {
        let end = self.world.now + duration;
        loop {
            let due = [self.world.a.engine.poll_timeout(), self.world.b.engine.poll_timeout()];
            match due.into_iter().flatten().min() {
                Some(due) if due <= end => self.world.now = self.world.now.max(due),
                _ => break,
            }
            self.world.a.engine.handle_timeout(self.world.now);
            self.world.b.engine.handle_timeout(self.world.now);
            self.settle_with(&mut fate);
        }
        self.world.now = end;
    }

    /// Asserts that both kernels have `count` pairs and nothing else, and each SA has the same keys at both ends.
    fn assert_pairs(&self, count: usize) {
        let [a, b] = &self.kernels;
        assert!(a.larval.is_empty() && b.larval.is_empty());
        for (one, other) in [(a, b), (b, a)] {
            let sent: Vec<_> = one.sas.iter().filter(|sa| sa.way == Way::Outbound).collect();
            assert_eq!(sent.len(), count, "{:?}", self.world.a.lines(Level::Error));
            for sa in sent {
                let found = other.sas.iter().find(|twin| twin.name == sa.name && twin.way == Way::Inbound);
                let twin = found.expect("the same SA at the other end");
                assert_eq!(keys(&sa.transform), keys(&twin.transform));
                assert_eq!((sa.mode, sa.hard, sa.esn), (twin.mode, twin.hard, twin.esn));
            }
        }
    }

    fn assert_empty(&self) {
        for (host, kernel) in [&self.world.a, &self.world.b].into_iter().zip(&self.kernels) {
            assert!(host.engine.phase2s.is_empty());
            assert!(kernel.sas.is_empty() && kernel.larval.is_empty() && kernel.policies.is_empty());
        }
    }

    /// The phase 2s of a host that are established.
    fn established(host: &Host) -> usize {
        host.engine.phase2s.iter().filter(|(_, phase2)| phase2.established().is_some()).count()
    }
}

fn acquire(seq: u32) -> Acquire {
    Acquire { policy: Some(17), source: ip(A), destination: ip(B), protocol: Protocol::ESP, seq, selector: None }
}

fn keys(transform: &SaTransform) -> Vec<Secret> {
    match transform {
        SaTransform::Esp { encryption, authentication } => {
            let mut keys = vec![encryption.1.clone()];
            keys.extend(authentication.iter().map(|(_, key)| key.clone()));
            keys
        }
        SaTransform::Ah { authentication } => vec![authentication.1.clone()],
        SaTransform::Ipcomp(_) => Vec::new(),
    }
}
