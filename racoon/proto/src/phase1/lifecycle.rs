//! Establishment and deletion of a phase 1.

use std::time::Duration;

use crate::engine::{Engine, Phase1Id, Timer};
use crate::informational::dpd::DpdState;
use crate::num::NotifyType;
use crate::output::{Event, EventKind, Level};
use crate::path::AddrPort;
use crate::phase1::Phase1Sa;
use crate::phase1::entry::{EstablishedPhase1, Phase1};
use crate::phase1::exchange::Features;
use crate::phase1::rate_limit::LoggedEvent;
use crate::phase1::readiness::Readiness;
use crate::phase1::replacement::Replacement;
use crate::reason::{FailureReason, NegotiationResult, Role};

/// Limit on established phase 1s with one address and port: an authenticated peer can negotiate any number.
pub(crate) const WITH_END_MAX: usize = 16;
/// Limit on established phase 1s with one address.
pub(crate) const WITH_HOST_MAX: usize = 1024;

/// Limit on remembered addresses to which INITIAL-CONTACT was sent; further ones get none.
const CONTACTED_MAX: usize = 1 << 16;

impl Engine {
    /// Enters the SA that an exchange has negotiated. The order matters: later steps depend on earlier ones.
    pub(crate) fn phase1_established(&mut self, id: Phase1Id, sa: Phase1Sa, features: Features, initial_contact: bool) {
        let Some(path) = self.phase1s.get(id).map(Phase1::path) else { return };
        let (remote, cookies) = (path.remote, sa.cookies);
        // 1. Enter it in the tables.
        let dpd = DpdState::new(features, &mut *self.core.random);
        let lifetime = Duration::from_secs(sa.terms.lifetime.into());
        let expires = self.core.now + lifetime;
        let (since, heard, replacement) = (self.core.now, self.core.now, Replacement::default());
        let established = EstablishedPhase1 {
            sa,
            since,
            expires,
            negotiated: false,
            dying: false,
            worn: false,
            heard,
            dpd,
            replacement,
            readiness: Readiness::Negotiated,
        };
        self.phase1s.establish(id, established);
        // 2. Take over the phase 2s of dying phase 1s with the peer.
        for old in self.phase1s.between(path.addresses()) {
            if old != id && self.phase1s.get(old).is_some_and(|old| is_dying_with(old, remote.port())) {
                self.phase2s.move_established(old, id);
            }
        }
        self.thin_out(id);
        // 3. Start the timers for its end and for dead peer detection.
        let renewed_after = self.renewed_after(lifetime);
        self.core.timers.set(Timer::Phase1Renew(id), self.core.now + renewed_after);
        self.core.timers.set(Timer::Phase1Expire(id), expires);
        self.phase1s.start_dpd(&mut self.core, id);
        // 4. Process the peer's INITIAL-CONTACT, and send ours.
        if initial_contact {
            self.initial_contact_received(id);
        }
        self.send_initial_contact(id);
        // 5. Report it.
        self.core.log(Level::Info, Some(remote), || {
            format!("ISAKMP-SA established {}-{} spi:{cookies}", AddrPort(path.local), AddrPort(remote))
        });
        if let Some(phase1) = self.phase1s.get(id) {
            let outcome = self.phase1_outcome(phase1, NegotiationResult::Established);
            let event = self.phase1_event(phase1, EventKind::Phase1Up);
            let outcome = Some(self.core.record_outcome(outcome));
            self.core.emit(Event { outcome, ..event });
        }
        // 6. Nothing has to precede quick modes yet. Logins and mode configuration begin here, and make it usable at their end.
        self.phase1_usable(id);
    }

    /// Deletes the oldest phase 1 with the peer if there are too many. The newest stays even if its negotiation began first.
    fn thin_out(&mut self, newest: Phase1Id) {
        let Some(phase1) = self.phase1s.get(newest) else { return };
        let path = phase1.path();
        let end_of_established = |id: Phase1Id| {
            let phase1 = self.phase1s.get(id).filter(|_| id != newest)?;
            phase1.established().map(|_| (id, phase1.remote()))
        };
        let with_host = self.phase1s.between(path.addresses()).into_iter().filter_map(end_of_established);
        let with_host = with_host.collect::<Vec<_>>();
        let with_end = with_host.iter().filter(|(_, end)| *end == path.remote);
        let oldest = match with_host.first() {
            _ if with_end.clone().count() >= WITH_END_MAX => with_end.clone().next(),
            oldest if with_host.len() >= WITH_HOST_MAX => oldest,
            _ => None,
        };
        if let Some((oldest, _)) = oldest.copied() {
            self.core
                .log(Level::Warning, Some(path.remote), || "too many phase 1s with the peer: the oldest goes".into());
            self.purge_phase1(oldest, true);
        }
    }

    /// Sends INITIAL-CONTACT if this is the first phase 1 with the peer's address since the start (RFC 2407 section 4.6.3.3). An
    /// initiator has sent it in message 5.
    fn send_initial_contact(&mut self, id: Phase1Id) {
        let wanted = self.is_first_contact(id);
        let Some(phase1) = self.phase1s.get(id) else { return };
        let (address, role) = (phase1.remote().ip(), phase1.role);
        if self.phase1s.contacted.len() < CONTACTED_MAX {
            self.phase1s.contacted.insert(address);
        }
        if wanted && role == Role::Responder {
            self.phase1s.send_notify(&mut self.core, id, NotifyType::INITIAL_CONTACT, &[]);
        }
    }

    /// Whether INITIAL-CONTACT has to be sent.
    pub(crate) fn is_first_contact(&self, id: Phase1Id) -> bool {
        let Some(phase1) = self.phase1s.get(id) else { return false };
        let wanted = self.core.settings.remotes.get(phase1.block).is_some_and(|block| block.initial_contact);
        wanted
            && self.phase1s.contacted.len() < CONTACTED_MAX
            && !self.phase1s.contacted.contains(&phase1.remote().ip())
    }

    /// Processes INITIAL-CONTACT: the peer has no other SA with us, so those from before this phase 1 began are removed.
    ///
    /// If another phase 1 came up in the meantime, both sides have begun at the same time and each has sent INITIAL-CONTACT under
    /// its own. The peer has then lost nothing, and the notify is ignored.
    pub(crate) fn initial_contact_received(&mut self, id: Phase1Id) {
        let Some(phase1) = self.phase1s.get(id).filter(|_| !self.core.settings.local_test) else { return };
        let (path, began) = (phase1.path(), phase1.conversation.record.began);
        let others = self.phase1s.between(path.addresses()).into_iter().filter(|other| *other != id);
        let others: Vec<_> = others
            .filter_map(|other| {
                let phase1 = self.phase1s.get(other)?;
                Some((other, phase1.remote().port(), phase1.established()?.since))
            })
            .filter(|(_, port, _)| *port == path.remote.port())
            .collect();
        if others.iter().any(|(_, _, since)| *since >= began) {
            let text = || "INITIAL-CONTACT ignored: another phase 1 with the peer came up in the meantime".into();
            self.core.log_of_peer(LoggedEvent::Notified, Level::Info, path.remote, text);
            return;
        }
        self.core.log_of_peer(LoggedEvent::Notified, Level::Info, path.remote, || "received INITIAL-CONTACT".into());
        self.purge_peer(path, Some(id), false);
        for (other, ..) in others {
            self.drop_phase1(other);
        }
    }

    /// Deletes a phase 1. Its phase 2s continue under another phase 1 with the peer; if there is none, they are deleted too.
    ///
    /// Many peers delete all their SAs with us when the last phase 1 is deleted. Ours would then protect packets that the peer
    /// cannot decrypt.
    pub(crate) fn purge_phase1(&mut self, id: Phase1Id, tell_peer: bool) {
        let Some(phase1) = self.phase1s.get(id) else { return };
        let (path, cookies) = (phase1.path(), phase1.cookies);
        self.core.log(Level::Info, Some(path.remote), || format!("purging ISAKMP-SA spi={cookies}."));
        match self.phase1s.newest(path, Some(id)) {
            Some(_) => self.leave_phase2s(id),
            None => self.purge_peer(path, None, tell_peer),
        }
        if tell_peer {
            self.phase1s.send_delete_of(&mut self.core, id);
        }
        self.drop_phase1(id);
    }

    /// Moves its phase 2s to another phase 1 with the peer. If there is none, the established ones continue without.
    pub(crate) fn leave_phase2s(&mut self, id: Phase1Id) {
        let Some(phase1) = self.phase1s.get(id) else { return };
        if let Some(other) = self.phase1s.newest(phase1.path(), Some(id)) {
            self.phase2s.move_established(id, other);
        }
        self.phase2s_orphaned(id);
    }

    /// Removes an established phase 1 from the tables.
    pub(crate) fn drop_phase1(&mut self, id: Phase1Id) {
        let Some(phase1) = self.phase1s.end(&mut self.core, id) else { return };
        let (path, cookies) = (phase1.path(), phase1.cookies);
        self.core.log(Level::Info, Some(path.remote), || {
            format!("ISAKMP-SA deleted {}-{} spi:{cookies}", AddrPort(path.local), AddrPort(path.remote))
        });
        self.core.emit(self.phase1_event(&phase1, EventKind::Phase1Down));
        self.resume_waiting(path, phase1.waiting, &FailureReason::phase1_gone());
    }
}

fn is_dying_with(phase1: &Phase1, port: u16) -> bool {
    phase1.remote().port() == port && phase1.established().is_some_and(|established| established.dying)
}
