//! The engine: IKEv1 for all peers of a host, as one state machine.
//!
//! All inputs enter through six functions, so that what a daemon received can be replayed bit for bit:
//! [`Engine::handle_datagram`], [`Engine::handle_kernel`], [`Engine::handle_crypto`], [`Engine::handle_control`],
//! [`Engine::handle_undelivered`] and [`Engine::handle_timeout`]. After each of them, call [`Engine::poll_output`] until it returns
//! `None`, carry out what it returns, and call [`Engine::poll_timeout`] for the time of the next timer.
//!
//! # Keys of the tables
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

use std::fmt;

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
use crate::phase1::rate_limit::PeerStanding;
use crate::phase1::table::Phase1s;
use crate::phase2::generate_policy::GeneratedPolicies;
use crate::phase2::leftover::LeftoverSas;
use crate::phase2::table::Phase2s;
use crate::phase2::traffic::Endpoints;
use crate::random::Random;
use crate::reason::Journal;
use crate::settings::Settings;
use crate::time::Time;
use crate::undelivered::Undelivered;

/// Identifies a phase 1. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phase1Id(pub(crate) u64);

/// Identifies a phase 2. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Phase2Id(pub(crate) u64);

/// A timer, and what happens when it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// The last message of an exchange is retransmitted, or the negotiation fails.
    Retransmit(ConversationId),
    /// An exchange fails that has waited too long for the peer, another exchange, a job or the kernel.
    Deadline(ConversationId),
    /// An established phase 1 is renewed.
    Phase1Renew(Phase1Id),
    /// An established phase 1 ends.
    Phase1Expire(Phase1Id),
    /// The peer is probed, or a probe was not answered.
    Dpd(Phase1Id),
    /// An established phase 2 is renewed.
    Phase2Renew(Phase2Id),
    /// Outbound traffic switches to the SAs of a renewed phase 2.
    Phase2SwitchOver(Phase2Id),
    /// A replaced phase 2 with a lifetime in bytes ends.
    Phase2Replaced(Phase2Id),
    /// An established phase 2 ends.
    Phase2Expire(Phase2Id),
    /// An exchange stops answering duplicates.
    Phase2Forget(Phase2Id),
    /// SAs of an earlier run that were replaced end.
    LeftoversReplaced(Endpoints),
    /// The number of suppressed log lines is logged.
    RateLimitReport,
}

/// IKEv1 for all peers of a host.
pub struct Engine {
    pub(crate) core: Core,
    pub(crate) phase1s: Phase1s,
    pub(crate) phase2s: Phase2s,
    pub(crate) generated: GeneratedPolicies,
    /// SAs of an earlier run.
    pub(crate) leftovers: LeftoverSas,
}

impl Engine {
    /// Creates an engine without SAs. It needs our addresses ([`Control::Addresses`]) and the kernel's policies
    /// ([`KernelEvent::Policies`]) first.
    pub fn new(settings: Settings, random: Box<dyn Random>, now: Time) -> Self {
        Self {
            core: Core::new(settings, random, now),
            phase1s: Phase1s::default(),
            phase2s: Phase2s::default(),
            generated: GeneratedPolicies::default(),
            leftovers: LeftoverSas::default(),
        }
    }

    /// Processes a datagram, without the non-ESP marker that precedes it on a port of NAT traversal.
    pub fn handle_datagram(&mut self, now: Time, path: Path, bytes: &[u8]) {
        self.core.now = now;
        self.datagram(path, bytes);
    }

    /// Processes an event or an answer of the kernel.
    pub fn handle_kernel(&mut self, now: Time, event: KernelEvent) {
        self.core.now = now;
        self.kernel_event(event);
    }

    /// Delivers the result of a job; `JobResult::default()` means that the job was dropped. The result of an abandoned job is
    /// ignored.
    pub fn handle_crypto(&mut self, now: Time, job: JobId, result: JobResult) {
        self.core.now = now;
        match self.core.jobs.take(job) {
            Some(ConversationId::Phase1(id)) => {
                let next = self.phase1s.job_done(&mut self.core, id, result);
                self.perform_for_phase1(next);
            }
            Some(ConversationId::Phase2(id)) => {
                let step = self.phase2s.job_done(&mut self.core, &self.phase1s, id, result);
                self.perform_for_phase2(id, step);
            }
            // Nothing waits for it any longer.
            None => {}
        }
    }

    /// Carries out a control request.
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
        let Undelivered { remote, error } = undelivered;
        let is_known = self.phase1s.standing_of(&self.core, remote) != PeerStanding::Unknown;
        self.core.delivery_errors.note((remote, is_known), error, now);
    }

    /// Processes expired timers. Before the time that [`Engine::poll_timeout`] returns, it does nothing.
    pub fn handle_timeout(&mut self, now: Time) {
        self.core.now = now;
        while let Some(timer) = self.core.timers.take(now) {
            match timer {
                Timer::Retransmit(ConversationId::Phase1(id)) => {
                    let next = self.phase1s.retransmit(&mut self.core, id);
                    self.perform_for_phase1(next);
                }
                Timer::Retransmit(ConversationId::Phase2(id)) => self.phase2_retransmit(id),
                Timer::Deadline(ConversationId::Phase1(id)) => {
                    let next = self.phase1s.time_up(&mut self.core, id);
                    self.perform_for_phase1(next);
                }
                Timer::Deadline(ConversationId::Phase2(id)) => self.phase2_deadline(id),
                Timer::Phase1Renew(id) => self.phase1s.renew(&mut self.core, &mut self.phase2s, id),
                Timer::Phase1Expire(id) => self.phase1_expire(id),
                Timer::Dpd(id) => self.dpd_due(id),
                Timer::Phase2Renew(id) => self.phase2_renew(id),
                Timer::Phase2SwitchOver(id) => self.phase2_switch_over(id),
                Timer::Phase2Replaced(id) if self.phase2s.is_replaced(id) => self.expire_phase2(id, true),
                // Its replacement is gone, so it is used again.
                Timer::Phase2Replaced(_) => {}
                Timer::Phase2Expire(id) => self.expire_phase2(id, false),
                Timer::Phase2Forget(id) => self.phase2s.forget_messages(id),
                Timer::LeftoversReplaced(endpoints) => {
                    self.leftovers.delete(&mut self.core, &mut self.phase1s, endpoints, true);
                }
                Timer::RateLimitReport => self.core.report_suppressed(),
            }
        }
    }

    /// Returns the next output. Call it after each `handle_` function until it returns `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.core.log_plaintext();
        self.core.outputs.pop_front()
    }

    /// Returns the time at which [`Engine::handle_timeout`] must be called, or `None` if no timer is set. Each `handle_` function may
    /// change it.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.core.timers.next()
    }

    /// Returns the outcomes of the last negotiations.
    pub fn journal(&self) -> &Journal {
        &self.core.journal
    }

    /// Returns the configuration.
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
