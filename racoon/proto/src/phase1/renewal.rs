//! The end of an SA's life: another one takes its place before it. What phase 1 and phase 2 have in common of it, and the end
//! of a phase 1.

use std::time::Duration;

use crate::config::Rekey;
use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Timer};
use crate::output::Level;
use crate::path::AddrPort;
use crate::phase1::table::{Phase1, Phase1s};
use crate::reason::Role;
use crate::time::Time;

/// Percent of its lifetime after which an SA is renewed.
const RENEWED_AFTER: u32 = 80;

/// Percent of its lifetime by which that may be earlier, at random: so both sides seldom do it at once.
const JITTER: u32 = 5;

/// Of two that came up at once, one for each side, neither lives longer than the other by this part of its lifetime.
const CLEARLY: u32 = 10;

/// After a renewal that failed comes the next attempt.
pub(crate) const RETRY: Duration = Duration::from_secs(10);

/// Whether one that ends at `other` lives clearly longer than one that ends at `own` and has this lifetime.
pub(crate) fn outlives(other: Time, own: Time, lifetime: Duration) -> bool {
    other > own + lifetime / CLEARLY
}

impl Engine {
    /// When in the life of an SA it is time for another one.
    pub(crate) fn renewed_after(&mut self, lifetime: Duration) -> Duration {
        let mut bytes = [0; 4];
        self.core.random.fill(&mut bytes);
        let early = lifetime * (u32::from_be_bytes(bytes) % (JITTER * 100)) / 10_000;
        lifetime * RENEWED_AFTER / 100 - early
    }

    /// It is time for another one. The side that began this one begins the next, if there is need of it.
    pub(crate) fn phase1_renew(&mut self, id: Phase1Id) {
        let Some(phase1) = self.phase1s.get_mut(id) else { return };
        let (path, role, block) = (phase1.path(), phase1.role, phase1.block);
        let Some(established) = phase1.established_mut() else { return };
        established.dying = true;
        let (expires, lifetime) = (established.expires, established.expires.since(established.since));
        let is_worn = established.is_worn(role);
        let is_newer = |other: &Phase1Id| {
            let other = self.phase1s.get(*other).and_then(Phase1::established);
            other.is_some_and(|other| outlives(other.expires, expires, lifetime) || is_worn && !other.dying)
        };
        if let Some(newer) = self.phase1s.newest(path, Some(id)).filter(is_newer) {
            return self.phase2s.move_established(id, newer);
        }
        let block_of = self.core.settings.remotes.get(block);
        let (rekey, passive) = block_of.map_or((Rekey::Off, true), |block| (block.rekey, block.passive));
        let needed = match rekey {
            Rekey::Off => false,
            Rekey::On => self.phase2s.count(id) > 0,
            Rekey::Force => true,
        };
        // A peer that has begun it does not count message ids, maybe.
        let is_ours = role == Role::Initiator || is_worn && !passive;
        if !needed || !is_ours || self.phase1s.initiation(path).is_some() {
            return;
        }
        let why = match self.phase2s.count(id) {
            _ if is_worn => " due to too many message ids",
            0 => "",
            _ => " due to active phase2",
        };
        self.core
            .log(Level::Info, Some(path.remote), || format!("renegotiating phase1 to {}{why}", AddrPort(path.remote)));
        // What comes of it at once is told in the log, and tried again.
        let _ = self.begin_phase1(path, block, Some(id), Vec::new());
    }

    /// The end of its lifetime. The peer knows it too, and is not told, unless it is the end of message ids.
    pub(crate) fn phase1_expire(&mut self, id: Phase1Id) {
        if self.lingers(id) {
            return self
                .core
                .timers
                .set(Timer::Phase1Expire(id), self.core.now + self.core.settings.retransmission.interval);
        }
        let Some(phase1) = self.phase1s.get(id) else { return };
        let (path, cookies) = (phase1.path(), phase1.cookies);
        self.core.log(Level::Info, Some(path.remote), || {
            format!("ISAKMP-SA expired {}-{} spi:{cookies}", AddrPort(path.local), AddrPort(path.remote))
        });
        self.leave_phase2s(id);
        if self.phase1s.sa(id).is_some_and(|sa| sa.used.is_full()) {
            self.phase1s.send_delete_of(&mut self.core, id);
        }
        self.drop_phase1(id);
    }

    /// Whether it stays for what is being negotiated under it: the two sides do not count its life from the same moment, and
    /// what one of them holds to be established must not fail at the other one. No longer than messages are repeated.
    fn lingers(&self, id: Phase1Id) -> bool {
        let Some(established) = self.phase1s.get(id).and_then(Phase1::established) else { return false };
        self.core.now < established.expires + self.core.settings.retransmission.whole() && self.phase2s.talks_under(id)
    }
}

impl Phase1s {
    /// A renewal came to nothing: there may be time for another one.
    pub(crate) fn renewal_failed(&self, core: &mut Core, old: Phase1Id) {
        if self.get(old).is_some() {
            core.timers.set(Timer::Phase1Renew(old), core.now + RETRY);
        }
    }

    /// A message id was used under a phase 1. None may be used twice, and not all can be remembered: with many it is renewed,
    /// with too many it ends.
    pub(crate) fn message_id_used(&mut self, core: &mut Core, id: Phase1Id) {
        let now = core.now;
        let Some(phase1) = self.get_mut(id) else { return };
        let role = phase1.role;
        let Some(established) = phase1.established_mut() else { return };
        if established.sa.used.is_full() {
            established.expires = established.expires.min(now);
            core.timers.set(Timer::Phase1Expire(id), now);
        } else if established.is_worn(role) && !established.worn {
            established.worn = true;
            core.timers.set(Timer::Phase1Renew(id), now);
        }
    }
}
