//! The engine: IKEv1 for all peers of a host, as one state machine.
//!
//! It is driven from outside. What happens enters through six functions and nowhere else, so that what a daemon received
//! can be replayed bit for bit: [`Engine::handle_datagram`], [`Engine::handle_kernel`], [`Engine::handle_crypto`],
//! [`Engine::handle_control`], [`Engine::handle_undelivered`] and [`Engine::handle_timeout`]. After each of them call
//! [`Engine::poll_output`] until it returns nothing, do what it returns, and ask [`Engine::poll_timeout`] when to come back
//! at the latest.
//!
//! # What is found by what
//!
//! | thing | key |
//! |---|---|
//! | phase 1 | both cookies; while the responder's is zero: the initiator's and both addresses |
//! | phase 2 | its phase 1 and the message id |
//! | acquire | the policy's index and both addresses |
//! | IPsec SA | destination, protocol, SPI |
//! | policy | selector and direction; its index |

pub(crate) mod control;
pub(crate) mod core;
pub(crate) mod datagram;
pub(crate) mod delivery_errors;
pub(crate) mod jobs;
pub(crate) mod kernel_events;
mod priority;
pub(crate) mod timers;
mod view;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;

pub use crate::informational::dpd::LastTraffic;
pub use crate::phase2::view::{PairView, Phase2View};
pub use control::{Control, Refusal};
pub use priority::Priority;
pub use view::{Load, Phase1View};

use self::core::Core;
use crate::conversation::ConversationId;
use crate::crypto::JobResult;
use crate::kernel::KernelEvent;
use crate::output::{JobId, Output};
use crate::path::Path;
use crate::phase1::table::Phase1s;
use crate::phase2::generate_policy::GeneratedPolicies;
use crate::phase2::leftover::LeftoverSas;
use crate::phase2::table::Phase2s;
use crate::phase2::traffic::Endpoints;
use crate::random::Random;
use crate::reason::Journal;
use crate::settings::Settings;
use crate::spd::Spd;
use crate::time::Time;
use crate::undelivered::Undelivered;

/// A phase 1, established or on its way. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phase1Id(pub(crate) u64);

/// A phase 2, established or on its way. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phase2Id(pub(crate) u64);

/// What becomes due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// The last message of an exchange is retransmitted, or the negotiation fails.
    Retransmit(ConversationId),
    /// An exchange has waited too long for something that is not asked for again: the peer, another exchange, a job, the
    /// kernel.
    Deadline(ConversationId),
    /// An established phase 1 is renewed.
    Phase1Renew(Phase1Id),
    /// An established phase 1 ends.
    Phase1Expire(Phase1Id),
    /// The next probe of a peer, or the end of waiting for an answer to one.
    Dpd(Phase1Id),
    /// An established phase 2 is renewed.
    Phase2Renew(Phase2Id),
    /// What we send goes by a renewed phase 2 from now on.
    Phase2SwitchOver(Phase2Id),
    /// A phase 2 with a lifetime in bytes was replaced a while ago, and ends.
    Phase2Replaced(Phase2Id),
    /// An established phase 2 ends.
    Phase2Expire(Phase2Id),
    /// What is kept of an exchange to answer duplicates may go.
    Phase2Forget(Phase2Id),
    /// SAs of an earlier run are not needed any more.
    LeftoversReplaced(Endpoints),
    /// Failures of unknown peers that were counted are told.
    RateLimitReport,
}

/// IKEv1 for all peers of a host.
pub struct Engine {
    pub(crate) core: Core,
    /// Local tunnel endpoints that are not addresses of this host and were warned about.
    pub(crate) foreign_ends: BTreeSet<IpAddr>,
    pub(crate) phase1s: Phase1s,
    pub(crate) phase2s: Phase2s,
    /// The kernel's policies.
    pub(crate) spd: Spd,
    pub(crate) generated: GeneratedPolicies,
    /// SAs of an earlier run.
    pub(crate) leftovers: LeftoverSas,
    /// Peers that have had their INITIAL-CONTACT.
    pub(crate) contacted: HashSet<IpAddr>,
    /// What the kernel's counters say of traffic between two addresses.
    pub(crate) traffic: HashMap<(IpAddr, IpAddr), LastTraffic>,
}

impl Engine {
    /// An engine that knows no peer yet. Tell it our addresses ([`Control::Addresses`]) and the policies that there are
    /// ([`KernelEvent::Policies`]).
    pub fn new(settings: Settings, random: Box<dyn Random>, now: Time) -> Self {
        Self {
            core: Core::new(settings, random, now),
            foreign_ends: BTreeSet::new(),
            phase1s: Phase1s::default(),
            phase2s: Phase2s::default(),
            spd: Spd::default(),
            generated: GeneratedPolicies::default(),
            leftovers: LeftoverSas::default(),
            contacted: HashSet::new(),
            traffic: HashMap::new(),
        }
    }

    /// A datagram came in, without the marker that stands before it on a port of NAT traversal.
    pub fn handle_datagram(&mut self, now: Time, path: Path, bytes: &[u8]) {
        self.core.now = now;
        self.datagram(path, bytes);
    }

    /// The kernel said something.
    pub fn handle_kernel(&mut self, now: Time, event: KernelEvent) {
        self.core.now = now;
        self.kernel_event(event);
    }

    /// A job is done, or will not be: then the result is the default one, which answers nothing. One that nobody waits for
    /// any more is dropped.
    pub fn handle_crypto(&mut self, now: Time, job: JobId, result: JobResult) {
        self.core.now = now;
        match self.core.jobs.take(job) {
            Some(ConversationId::Phase1(id)) => self.phase1_job_done(id, result),
            Some(ConversationId::Phase2(id)) => self.phase2_job_done(id, result),
            None => {}
        }
    }

    /// Somebody asks for something.
    ///
    /// # Errors
    /// Why it was not begun.
    pub fn handle_control(&mut self, now: Time, control: Control) -> Result<(), Refusal> {
        self.core.now = now;
        self.control(control)
    }

    /// Records that a datagram was not delivered, as ICMP or the system reports; a negotiation that fails names it.
    pub fn handle_undelivered(&mut self, now: Time, undelivered: Undelivered) {
        self.core.now = now;
        self.undelivered(undelivered);
    }

    /// Time has passed. Called earlier than [`Engine::poll_timeout`] says, nothing happens.
    pub fn handle_timeout(&mut self, now: Time) {
        self.core.now = now;
        while let Some(timer) = self.core.timers.take(now) {
            match timer {
                Timer::Retransmit(ConversationId::Phase1(id)) => self.phase1_retransmit(id),
                Timer::Retransmit(ConversationId::Phase2(id)) => self.phase2_retransmit(id),
                Timer::Deadline(ConversationId::Phase1(id)) => self.phase1_time_up(id),
                Timer::Deadline(ConversationId::Phase2(id)) => self.phase2_deadline(id),
                Timer::Phase1Renew(id) => self.phase1_renew(id),
                Timer::Phase1Expire(id) => self.phase1_expire(id),
                Timer::Dpd(id) => self.dpd_due(id),
                Timer::Phase2Renew(id) => self.phase2_renew(id),
                Timer::Phase2SwitchOver(id) => self.phase2_switch_over(id),
                Timer::Phase2Replaced(id) => self.phase2_replaced(id),
                Timer::Phase2Expire(id) => self.phase2_expire(id),
                Timer::Phase2Forget(id) => self.phase2_forget(id),
                Timer::LeftoversReplaced(endpoints) => self.delete_leftovers(endpoints, true),
                Timer::RateLimitReport => self.core.report_suppressed(),
            }
        }
    }

    /// The next thing to do. Ask after each `handle_` function until there is none.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.core.log_plaintext();
        self.core.outputs.pop_front()
    }

    /// When [`Engine::handle_timeout`] is to be called at the latest; none: something has to come in first. Changes with each
    /// `handle_` function.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.core.timers.next()
    }

    /// The last outcomes.
    pub fn journal(&self) -> &Journal {
        &self.core.journal
    }

    /// What the engine works by.
    pub fn settings(&self) -> &Settings {
        &self.core.settings
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("load", &self.load()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
