//! Establishment and deletion of a phase 1.

use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Phase2Id, Timer};
use crate::informational::dpd_state::DpdState;
use crate::num::{ExchangeType, NotifyType};
use crate::output::{Event, EventKind, Level};
use crate::path::{AddrPort, Path};
use crate::phase1::entry::{EstablishedPhase1, Phase1};
use crate::phase1::exchange::ExchangeResult;
use crate::phase1::failure::WaitingPhase2s;
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase1::readiness::Readiness;
use crate::phase1::replacement::Replacement;
use crate::phase1::table::Phase1s;
use crate::phase2::table::Phase2s;
use crate::reason::{FailureReason, NegotiationResult, Role};

/// Limit on established phase 1s with one address and port: an authenticated peer can negotiate any number.
pub(crate) const WITH_PORT_MAX: usize = 16;
/// Limit on established phase 1s with one address.
pub(crate) const WITH_HOST_MAX: usize = 1024;

/// Limit on remembered addresses to which INITIAL-CONTACT was sent; further ones get none.
const CONTACTED_MAX: usize = 1 << 16;

impl Engine {
    /// Enters the SA that an exchange has negotiated. The order matters: later steps depend on earlier ones.
    pub(crate) fn phase1_established(&mut self, id: Phase1Id, result: ExchangeResult) {
        let initial_contact = result.initial_contact;
        // 1. Enter it in the tables, and make room if there are too many.
        self.phase1s.enter(&mut self.core, &mut self.phase2s, id, result);
        if let Some(oldest) = self.phase1s.surplus(&mut self.core, id) {
            self.purge_phase1(oldest, true);
        }
        // 2. Start the timers for its end and for dead peer detection.
        self.phase1s.get(id).into_iter().for_each(|phase1| phase1.start_timers(&mut self.core));
        // 3. Process the peer's INITIAL-CONTACT, and send ours.
        if initial_contact {
            self.initial_contact_received(id);
        }
        self.phase1s.send_initial_contact(&mut self.core, id);
        // 4. Report it.
        self.phase1s.get(id).into_iter().for_each(|phase1| phase1.report_established(&mut self.core));
        // 5. Nothing has to precede quick modes yet. Logins and mode configuration begin here, and make it usable at their end.
        self.phase1_usable(id);
    }

    /// Processes INITIAL-CONTACT: the peer has no other SA with us, so those from before this phase 1 began are removed.
    pub(crate) fn initial_contact_received(&mut self, id: Phase1Id) {
        if self.core.settings.local_test {
            // With `-Z` both peers are on this host, and have the same address.
            return;
        }
        let path = self.phase1s.get(id).map(Phase1::path);
        let outdated = path.and_then(|path| Some((path, self.phase1s.outdated_by(&mut self.core, id)?)));
        if let Some((path, others)) = outdated {
            self.purge_peer(path, Some(id), false);
            others.into_iter().for_each(|other| self.drop_phase1(other, false));
        }
    }

    /// Deletes a phase 1. Its phase 2s continue under another phase 1 with the peer; if there is none, they are deleted too.
    ///
    /// Many peers delete all their SAs with us when the last phase 1 is deleted. Ours would then protect packets that the peer
    /// cannot decrypt.
    pub(crate) fn purge_phase1(&mut self, id: Phase1Id, tell_peer: bool) {
        // Another one that was removed before may have taken it along.
        let Some(phase1) = self.phase1s.get(id) else { return };
        let (path, cookies) = (phase1.path(), phase1.cookies);
        self.core.log(Level::Info, Some(path.remote), || format!("purging ISAKMP-SA spi={cookies}."));
        match self.phase1s.newest(path, Some(id)) {
            Some(_) => self.leave_phase2s(id),
            None => self.purge_peer(path, None, tell_peer),
        }
        // The DELETEs for its SAs are sent under it, so its own comes last.
        self.drop_phase1(id, tell_peer);
    }

    /// Moves its phase 2s to another phase 1 with the peer. If there is none, the established ones continue without, and
    /// negotiations fail.
    pub(crate) fn leave_phase2s(&mut self, id: Phase1Id) {
        let other = self.phase1s.get(id).and_then(|phase1| self.phase1s.newest(phase1.path(), Some(id)));
        for phase2 in self.phase2s.leave(id, other) {
            self.fail_phase2(phase2, FailureReason::phase1_gone());
        }
    }

    /// Removes an established phase 1 from the tables, with a DELETE if the peer is told, and continues what waits for it.
    pub(crate) fn drop_phase1(&mut self, id: Phase1Id, tell_peer: bool) {
        if let Some(waiting) = self.phase1s.delete(&mut self.core, id, tell_peer) {
            self.resume_waiting(waiting);
        }
    }
}

impl Phase1s {
    /// Enters an SA. The phase 2s of dying phase 1s with the peer move to it.
    fn enter(&mut self, core: &mut Core, phase2s: &mut Phase2s, id: Phase1Id, result: ExchangeResult) {
        self.establish(id, EstablishedPhase1::new(core, result));
        // Always found: `establish` keeps the entry.
        let Some(path) = self.get(id).map(Phase1::path) else { return };
        for old in self.between(path.addresses()) {
            if old != id && self.get(old).is_some_and(|old| is_dying_with(old, path.remote.port())) {
                phase2s.move_established(old, id);
            }
        }
    }

    /// Returns the oldest phase 1 with the peer if there are too many. The newest stays even if its negotiation began first.
    fn surplus(&self, core: &mut Core, newest: Phase1Id) -> Option<Phase1Id> {
        let path = self.get(newest)?.path();
        let with_host = self.between(path.addresses()).into_iter().filter(|id| *id != newest);
        let with_host = with_host.filter_map(|id| {
            let phase1 = self.get(id)?;
            phase1.established().map(|_| (id, phase1.remote()))
        });
        let with_host = with_host.collect::<Vec<_>>();
        let with_port = with_host.iter().filter(|(_, remote)| *remote == path.remote);
        let oldest = match with_host.first() {
            _ if with_port.clone().count() >= WITH_PORT_MAX => with_port.clone().next(),
            oldest if with_host.len() >= WITH_HOST_MAX => oldest,
            _ => None,
        };
        let (oldest, _) = oldest.copied()?;
        core.log(Level::Warning, Some(path.remote), || "too many phase 1s with the peer, removing the oldest".into());
        Some(oldest)
    }

    /// Sends INITIAL-CONTACT if this is the first phase 1 with the peer's address since the start (RFC 2407 section 4.6.3.3). An
    /// initiator of main mode has sent it in message 5.
    fn send_initial_contact(&mut self, core: &mut Core, id: Phase1Id) {
        // It may have been removed as the peer's INITIAL-CONTACT was processed.
        let Some(phase1) = self.get(id) else { return };
        let is_sent = phase1.role == Role::Initiator && phase1.exchange == ExchangeType::MAIN;
        let wanted = self.is_first_contact(core, phase1) && !is_sent;
        let address = phase1.remote().ip();
        // Also if none was sent: it would now delete SAs that were negotiated since.
        if self.contacted.len() < CONTACTED_MAX {
            self.contacted.insert(address);
        }
        if let Some(phase1) = self.get_mut(id).filter(|_| wanted) {
            phase1.send_notify(core, NotifyType::INITIAL_CONTACT, &[]);
        }
    }

    /// Whether INITIAL-CONTACT has to be sent.
    pub(super) fn is_first_contact(&self, core: &Core, phase1: &Phase1) -> bool {
        let wanted = core.settings.remotes.get(phase1.remote_section).is_some_and(|section| section.initial_contact);
        wanted && self.contacted.len() < CONTACTED_MAX && !self.contacted.contains(&phase1.remote().ip())
    }

    /// Returns the phase 1s that are removed because of INITIAL-CONTACT under this one: those with the peer from before it began.
    ///
    /// If another phase 1 came up in the meantime, both sides have begun at the same time and each has sent INITIAL-CONTACT under
    /// its own. The peer has then lost nothing, and the notify is ignored: `None`.
    fn outdated_by(&self, core: &mut Core, id: Phase1Id) -> Option<Vec<Phase1Id>> {
        let phase1 = self.get(id)?;
        let (remote, began) = (phase1.remote(), phase1.conversation.record.began);
        let others = self.between(phase1.path().addresses()).into_iter().filter(|other| *other != id);
        let others = others.filter_map(|other| {
            let other = self.get(other).filter(|other| other.remote().port() == remote.port())?;
            Some((other.id, other.established()?.since))
        });
        let others = others.collect::<Vec<_>>();
        if others.iter().any(|(_, since)| *since >= began) {
            let text = || "INITIAL-CONTACT ignored: another phase 1 with the peer came up in the meantime".into();
            core.log_of_peer(LoggedEvent::Notified, Level::Info, remote, text);
            return None;
        }
        core.log_of_peer(LoggedEvent::Notified, Level::Info, remote, || "received INITIAL-CONTACT".into());
        Some(others.into_iter().map(|(other, _)| other).collect())
    }

    /// Deletes an established phase 1. Returns the phase 2s that wait for it, as they do while it is not usable.
    fn delete(&mut self, core: &mut Core, id: Phase1Id, tell_peer: bool) -> Option<WaitingPhase2s> {
        if let Some(phase1) = self.get_mut(id).filter(|_| tell_peer) {
            phase1.send_delete(core);
        }
        let phase1 = self.end(core, id)?;
        let (path, cookies) = (phase1.path(), phase1.cookies);
        core.log(Level::Info, Some(path.remote), || {
            format!("ISAKMP-SA deleted {}-{} spi:{cookies}", AddrPort(path.local), AddrPort(path.remote))
        });
        core.emit(phase1.event(core, EventKind::Phase1Down));
        Some(WaitingPhase2s { path, phase2s: phase1.waiting, reason: FailureReason::phase1_gone() })
    }

    /// Ends a negotiation that is no longer needed. Returns the phase 2s that wait for it.
    pub(crate) fn abandon(&mut self, core: &mut Core, id: Phase1Id, result: NegotiationResult) -> Vec<Phase2Id> {
        let waiting = self.end(core, id).map(|phase1| {
            core.record_outcome(phase1.outcome(core, result));
            phase1.waiting
        });
        waiting.unwrap_or_default()
    }

    /// Removes a phase 1 from the tables, and stops its timers.
    pub(crate) fn end(&mut self, core: &mut Core, id: Phase1Id) -> Option<Phase1> {
        for timer in [Timer::Phase1Renew(id), Timer::Phase1Expire(id), Timer::Dpd(id)] {
            core.timers.stop(timer);
        }
        let phase1 = self.remove(id)?;
        phase1.conversation.end(core);
        let pair = phase1.path().addresses();
        // Without a phase 1 nobody needs the counters, and the table must not grow with former peers.
        if self.between(pair).is_empty() {
            self.traffic.remove(&pair);
        }
        Some(phase1)
    }
}

impl Phase1 {
    /// Starts the timers of an SA: for its renewal, its end, and dead peer detection.
    fn start_timers(&self, core: &mut Core) {
        if let Some(established) = self.established() {
            let renewed_after = core.renewed_after(established.expires.since(established.since));
            core.timers.set(Timer::Phase1Renew(self.id), core.now + renewed_after);
            core.timers.set(Timer::Phase1Expire(self.id), established.expires);
        }
        self.start_dpd(core);
    }

    /// Reports that it is established.
    fn report_established(&self, core: &mut Core) {
        let (Path { local, remote, .. }, cookies) = (self.path(), self.cookies);
        core.log(Level::Info, Some(remote), || {
            format!("ISAKMP-SA established {}-{} spi:{cookies}", AddrPort(local), AddrPort(remote))
        });
        let (outcome, event) =
            (self.outcome(core, NegotiationResult::Established), self.event(core, EventKind::Phase1Up));
        let outcome = Some(core.record_outcome(outcome));
        core.emit(Event { outcome, ..event });
    }
}

impl EstablishedPhase1 {
    /// The state of an SA that is established now, before its peer has used it.
    fn new(core: &mut Core, result: ExchangeResult) -> Self {
        let ExchangeResult { sa, features, .. } = result;
        Self {
            since: core.now,
            expires: core.now + Duration::from_secs(sa.terms.lifetime.into()),
            sa,
            negotiated: false,
            dying: false,
            worn: false,
            heard: core.now,
            dpd: DpdState::new(features, &mut *core.random),
            replacement: Replacement::default(),
            readiness: Readiness::Negotiated,
        }
    }
}

/// Whether a phase 1 with this port of the peer is due for renewal.
fn is_dying_with(phase1: &Phase1, port: u16) -> bool {
    phase1.remote().port() == port && phase1.established().is_some_and(|established| established.dying)
}
