//! Renewal and expiry of a phase 1, and the renewal times that phase 2 shares.

use std::time::Duration;

use crate::config::Rekey;
use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Timer};
use crate::output::Level;
use crate::path::AddrPort;
use crate::phase1::entry::Phase1;
use crate::phase1::table::Phase1s;
use crate::phase2::table::Phase2s;
use crate::reason::Role;
use crate::time::Time;

/// Percent of its lifetime after which an SA is renewed.
const RENEWED_AFTER: u32 = 80;

/// Percent of the lifetime by which the renewal may be earlier, at random, so that both sides seldom renew at the same time.
const JITTER: u32 = 5;

/// Fraction of the lifetime by which an SA must outlive another one to replace it. If both sides negotiate at once, the lifetimes
/// of the two results differ by less.
const CLEARLY: u32 = 10;

/// Delay until the next attempt after a failed renewal.
pub(crate) const RETRY: Duration = Duration::from_secs(10);

/// Whether an SA that expires at `other` clearly outlives one that expires at `own` and has this lifetime.
pub(crate) fn outlives(other: Time, own: Time, lifetime: Duration) -> bool {
    other > own + lifetime / CLEARLY
}

impl Core {
    /// Draws the age at which an SA is renewed.
    pub(crate) fn renewed_after(&mut self, lifetime: Duration) -> Duration {
        let mut bytes = [0; 4];
        self.random.fill(&mut bytes);
        // Expressed in hundredths of a percent, so that lifetimes of a few seconds differ as well.
        let early = lifetime * (u32::from_be_bytes(bytes) % (JITTER * 100)) / 10_000;
        lifetime * RENEWED_AFTER / 100 - early
    }
}

impl Engine {
    /// Ends a phase 1 whose lifetime is over. The peer knows the lifetime, so no DELETE is sent, unless the message ids ran out.
    pub(crate) fn phase1_expire(&mut self, id: Phase1Id) {
        let lingers = self.phase1s.lingers(&self.core, &self.phase2s, id);
        // The timer stops when the phase 1 is removed.
        let Some(phase1) = self.phase1s.get(id) else { return };
        let (path, cookies) = (phase1.path(), phase1.cookies);
        if lingers {
            let again = self.core.now + self.core.settings.retransmission.interval;
            return self.core.timers.set(Timer::Phase1Expire(id), again);
        }
        self.core.log(Level::Info, Some(path.remote), || {
            format!("ISAKMP-SA expired {}-{} spi:{cookies}", AddrPort(path.local), AddrPort(path.remote))
        });
        self.leave_phase2s(id);
        // The peer cannot know that we have no more message ids.
        let is_full = self.phase1s.sa(id).is_some_and(|sa| sa.used.is_full());
        self.drop_phase1(id, is_full);
    }
}

impl Phase1s {
    /// Renews a phase 1 if it is needed, and if we began it: otherwise the peer renews it. If a newer one is there already, it gets
    /// the phase 2s.
    pub(crate) fn renew(&mut self, core: &mut Core, phase2s: &mut Phase2s, id: Phase1Id) {
        let of = self.get(id).map(|phase1| (phase1.path(), phase1.role, phase1.remote_section));
        // The timer is set when it is established, and stops when it is removed.
        let Some(((path, role, remote_section), established)) =
            of.zip(self.get_mut(id).and_then(Phase1::established_mut))
        else {
            return;
        };
        // Also without a renewal: new quick modes then prefer a newer phase 1 of the peer.
        established.dying = true;
        let (expires, lifetime) = (established.expires, established.expires.since(established.since));
        let is_worn = established.is_worn(role);
        let is_newer = |other: &Phase1Id| {
            let other = self.get(*other).and_then(Phase1::established);
            other.is_some_and(|other| outlives(other.expires, expires, lifetime) || is_worn && !other.dying)
        };
        if let Some(newer) = self.newest(path, Some(id)).filter(is_newer) {
            return phase2s.move_established(id, newer);
        }
        let section = core.settings.remotes.get(remote_section);
        let (rekey, passive) = section.map_or((Rekey::Off, true), |section| (section.rekey, section.passive));
        let phase2_count = phase2s.count(id);
        let needed = match rekey {
            Rekey::Off => false,
            Rekey::On => phase2_count > 0,
            Rekey::Force => true,
        };
        // The peer may not count message ids, so a worn phase 1 is renewed by either side.
        let is_ours = role == Role::Initiator || is_worn && !passive;
        if !needed || !is_ours || self.initiation(path).is_some() {
            return;
        }
        let why = match phase2_count {
            _ if is_worn => " due to too many message ids",
            0 => "",
            _ => " due to active phase2",
        };
        core.log(Level::Info, Some(path.remote), || format!("renegotiating phase1 to {}{why}", AddrPort(path.remote)));
        // An immediate failure is logged, and the renewal is tried again.
        let _ = self.begin(core, path, remote_section, Some(id));
    }

    /// Whether an expired phase 1 stays for exchanges under it, for as long as messages are retransmitted.
    ///
    /// The two sides do not measure its lifetime from the same moment. Without this, a phase 2 could be established at one side and
    /// fail at the other.
    fn lingers(&self, core: &Core, phase2s: &Phase2s, id: Phase1Id) -> bool {
        let expires = self.get(id).and_then(Phase1::established).map(|established| established.expires);
        let is_recent = |expires| core.now < expires + core.settings.retransmission.whole();
        expires.is_some_and(is_recent) && phase2s.talks_under(id)
    }
}

impl Phase1 {
    /// Renews a phase 1 under which many message ids were used, and ends one with too many. None may be used twice, so all have to
    /// be remembered, and memory is bounded.
    pub(crate) fn message_id_used(&mut self, core: &mut Core) {
        let (id, role, now) = (self.id, self.role, core.now);
        match self.established_mut() {
            Some(established) if established.sa.used.is_full() => {
                established.expires = established.expires.min(now);
                core.timers.set(Timer::Phase1Expire(id), now);
            }
            Some(established) if established.is_worn(role) && !established.worn => {
                established.worn = true;
                core.timers.set(Timer::Phase1Renew(id), now);
            }
            // Too few, or no SA to use them under.
            Some(_) | None => {}
        }
    }
}
