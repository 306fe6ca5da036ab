//! A simulated kernel: the part of IPsec that an IKE daemon sees, in virtual time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use racoon_proto::crypto::Secret;
use racoon_proto::kernel::{
    Acquire, Direction, KernelError, KernelEvent, KernelRequest, Limit, Policy, PolicyAction, SaInstallation, SaName,
    SaTransform, Way,
};
use racoon_proto::time::Time;

/// How long the kernel waits for an answer to an acquire, as Linux does.
const ACQUIRE_EXPIRES: Duration = Duration::from_secs(165);

/// An SA in the kernel.
#[derive(Debug)]
pub(crate) struct Sa {
    pub(crate) way: Way,
    pub(crate) keys: Vec<Secret>,
    /// When it was installed, and the number of the installation.
    pub(crate) added: (Time, u64),
    soft: Option<Time>,
    hard: Option<Time>,
}

/// Tables of SAs and policies.
#[derive(Debug, Default)]
pub(crate) struct Kernel {
    pub(crate) sas: BTreeMap<SaName, Sa>,
    /// Reserved SPIs.
    pub(crate) larval: BTreeMap<SaName, Time>,
    pub(crate) policies: Vec<Policy>,
    /// Unanswered acquires by policy, with the time until which they suppress others.
    acquires: BTreeMap<u32, Time>,
    /// The last SPI; each kernel has its own range.
    pub(crate) next_spi: u32,
    installed: u64,
    seq: u32,
}

/// The result of sending a packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is sent in these SAs, the innermost first.
    Sent(Vec<SaName>),
    /// It waits for SAs, for which an acquire is sent.
    Asks(Acquire),
    /// It waits for SAs for which an acquire was sent before.
    Waits,
}

impl Kernel {
    /// A kernel with policies, whose SPIs begin after `spi`.
    pub(crate) fn new(spi: u32, policies: Vec<Policy>) -> Self {
        Self { next_spi: spi, policies, ..Self::default() }
    }

    /// Executes a request of the engine, and returns the answer, if there is one.
    pub(crate) fn carry_out(&mut self, now: Time, request: KernelRequest) -> Option<KernelEvent> {
        match request {
            KernelRequest::AllocateSpi(spi) => {
                self.next_spi += 1;
                let name = SaName {
                    protocol: spi.protocol,
                    source: spi.source,
                    destination: spi.destination,
                    spi: self.next_spi,
                };
                self.larval.insert(name, now);
                Some(KernelEvent::Spi(spi.id, Ok(name.spi)))
            }
            KernelRequest::Install(sa) => Some(KernelEvent::Installed(sa.id, self.install(now, &sa))),
            KernelRequest::Delete(name) => {
                self.sas.remove(&name);
                self.larval.remove(&name);
                None
            }
            KernelRequest::AcquireFailed(acquire) => {
                if let Some(policy) = acquire.policy {
                    self.acquires.remove(&policy);
                }
                None
            }
            KernelRequest::AddPolicy(id, policy) => {
                Some(KernelEvent::PolicyAdded(id, self.add_policy(policy.into()).map(Some)))
            }
            KernelRequest::DeletePolicy(name) => {
                self.policies.retain(|old| old.name() != name);
                None
            }
        }
    }

    fn add_policy(&mut self, policy: Policy) -> Result<Policy, KernelError> {
        if self.policies.iter().any(|old| (old.direction, old.selector) == (policy.direction, policy.selector)) {
            return Err(KernelError { exists: true, ..KernelError::new("exists") });
        }
        let index = self.policies.iter().map(|old| old.index).max().unwrap_or(0) + 8;
        let policy = Policy { index, ..policy };
        self.policies.push(policy.clone());
        Ok(policy)
    }

    fn install(&mut self, now: Time, sa: &SaInstallation) -> Result<(), KernelError> {
        let refused = |text: &str, exists| Err(KernelError { exists, ..KernelError::new(text) });
        if sa.way == Way::Inbound && self.larval.remove(&sa.name).is_none() {
            return refused("no such SPI", false);
        }
        if self.sas.contains_key(&sa.name) {
            return refused("exists", true);
        }
        let limit = |seconds: u64| (seconds > 0).then(|| now + Duration::from_secs(seconds));
        self.installed += 1;
        let keys = match &sa.transform {
            SaTransform::Esp { encryption, authentication } => {
                std::iter::once(&encryption.1).chain(authentication.as_ref().map(|(_, key)| key)).cloned().collect()
            }
            SaTransform::Ah { authentication } => vec![authentication.1.clone()],
            SaTransform::Ipcomp(_) => Vec::new(),
        };
        let added = (now, self.installed);
        let entry = Sa { way: sa.way, keys, added, soft: limit(sa.soft.seconds), hard: limit(sa.hard.seconds) };
        self.sas.insert(sa.name, entry);
        Ok(())
    }

    /// Sends a packet to the peer.
    pub(crate) fn send(&mut self, now: Time, source: IpAddr, destination: IpAddr) -> Fate {
        let outbound = |policy: &&Policy| policy.direction == Direction::Out;
        let Some(policy) = self.policies.iter().find(outbound).cloned() else { return Fate::Sent(Vec::new()) };
        let PolicyAction::Protect(templates) = &policy.action else { return Fate::Sent(Vec::new()) };
        let mut used = Vec::new();
        for template in templates {
            let (source, destination) = template.endpoints.unwrap_or((source, destination));
            let newest = self
                .sas
                .iter()
                .filter(|(name, sa)| {
                    sa.way == Way::Outbound
                        && name.protocol == template.protocol
                        && (name.source, name.destination) == (source, destination)
                })
                .max_by_key(|(_, sa)| sa.added);
            let Some((name, _)) = newest else {
                return self.ask(now, &policy, source, destination, template.protocol);
            };
            used.push(*name);
        }
        Fate::Sent(used)
    }

    fn ask(
        &mut self,
        now: Time,
        policy: &Policy,
        source: IpAddr,
        destination: IpAddr,
        protocol: racoon_proto::num::Protocol,
    ) -> Fate {
        if self.acquires.get(&policy.index).is_some_and(|until| *until > now) {
            return Fate::Waits;
        }
        self.acquires.insert(policy.index, now + ACQUIRE_EXPIRES);
        self.seq += 1;
        Fate::Asks(Acquire { policy: Some(policy.index), source, destination, protocol, seq: self.seq, selector: None })
    }

    /// Receives a packet. Returns whether each of its SAs exists, with the sender's keys.
    pub(crate) fn receive(&self, sender: &Self, used: &[SaName]) -> bool {
        used.iter().all(|name| match (self.sas.get(name), sender.sas.get(name)) {
            (Some(here), Some(there)) => here.way == Way::Inbound && here.keys == there.keys,
            // The sender's SA existed when the packet was sent, and is gone now.
            (Some(here), None) => here.way == Way::Inbound,
            (None, _) => false,
        })
    }

    /// Returns when the next SA reaches a limit.
    pub(crate) fn next_limit(&self) -> Option<Time> {
        self.sas.values().flat_map(|sa| [sa.soft, sa.hard]).flatten().min()
    }

    /// Returns the SAs that reach a limit now.
    pub(crate) fn expire(&mut self, now: Time) -> Vec<KernelEvent> {
        let mut events = Vec::new();
        self.sas.retain(|name, sa| {
            if sa.soft.is_some_and(|at| at <= now) {
                sa.soft = None;
                events.push(KernelEvent::Expire(*name, Limit::Soft));
            }
            let endpoints = sa.hard.is_some_and(|at| at <= now);
            if endpoints {
                events.push(KernelEvent::Expire(*name, Limit::Hard));
            }
            !endpoints
        });
        events
    }
}
