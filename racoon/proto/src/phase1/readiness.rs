//! The step from an established phase 1 to one under which quick modes begin.
//!
//! A phase 1 is established as soon as both sides have proved who they are. It protects informational messages from then on. A
//! login (XAUTH) or mode configuration comes after that and before the first quick mode, so it has a stage of its own:
//! [`Readiness::Negotiated`]. Until [`Engine::phase1_usable`] ends this stage,
//!
//! * phase 2s wait for the phase 1 as if it were still being negotiated,
//! * a quick mode of the peer is deferred ([`Phase1::protects`]).

use crate::engine::core::Core;
use crate::engine::{Engine, Phase1Id, Phase2Id};
use crate::num::ExchangeType;
use crate::phase1::entry::Phase1;
use crate::phase1::exchange::Exchange;
use crate::phase1::table::Phase1s;
use crate::reason::NegotiationResult;

/// Whether quick modes may begin under an established phase 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Not yet: exchanges that have to precede them have not finished.
    Negotiated,
    /// Yes.
    Usable,
}

impl Phase1 {
    /// Whether quick modes may begin under it.
    pub(crate) fn is_usable(&self) -> bool {
        self.established().is_some_and(|established| established.readiness == Readiness::Usable)
    }

    /// Whether it is established, but quick modes may not begin under it yet.
    pub(crate) fn is_unready(&self) -> bool {
        self.established().is_some_and(|established| established.readiness != Readiness::Usable)
    }

    /// Whether it protects messages of an exchange already. If not, but soon, the datagram is deferred until it is usable.
    ///
    /// This is the only place that decides when a quick mode of the peer may begin.
    pub(crate) fn protects(&mut self, exchange: ExchangeType, datagram: &[u8]) -> bool {
        let protects = match exchange {
            ExchangeType::QUICK => self.is_usable(),
            _ => self.established().is_some(),
        };
        // The peer's first quick mode may overtake the last message of phase 1.
        let is_soon = self.is_unready() || self.negotiation().is_some_and(Exchange::awaits_last_message);
        if !protects && is_soon {
            self.conversation.defer(datagram);
        }
        protects
    }
}

impl Engine {
    /// Begins the quick modes that wait for a phase 1: ours and the one that the peer sent too early. This is the only function
    /// that makes a phase 1 usable.
    pub(crate) fn phase1_usable(&mut self, id: Phase1Id) {
        let Some(established) = self.phase1s.get_mut(id).and_then(Phase1::established_mut) else {
            // It was removed by what its establishment caused.
            return;
        };
        established.readiness = Readiness::Usable;
        // Before the quick modes begin: they have to use the phase 1 that the peer still has.
        self.replace_suspected(id);
        let waiting = self.phase1s.take_all_waiting(&mut self.core, id);
        self.begin_waiting(id, waiting);
        self.receive_deferred(id);
    }

    /// Processes the message that arrived before the phase 1 was usable.
    fn receive_deferred(&mut self, id: Phase1Id) {
        let deferred = self.phase1s.get_mut(id).and_then(|phase1| {
            let path = phase1.path();
            Some((path, phase1.conversation.take_deferred()?))
        });
        if let Some((path, datagram)) = deferred {
            self.datagram(path, &datagram);
        }
    }
}

impl Phase1s {
    /// Takes the phase 2s that wait for any phase 1 with the peer. Our own attempts that the peer has not answered yet are
    /// abandoned; those that it has answered run to their end, because the peer may rely on them.
    fn take_all_waiting(&mut self, core: &mut Core, id: Phase1Id) -> Vec<Phase2Id> {
        let mut waiting = self.take_waiting(id);
        for other in self.others_with(id) {
            let negotiation = self.get(other).and_then(Phase1::negotiation);
            let is_unanswered = negotiation.is_some_and(Exchange::is_unanswered);
            if negotiation.is_some() || self.get(other).is_some_and(Phase1::is_unready) {
                waiting.extend(self.take_waiting(other));
            }
            if is_unanswered {
                self.abandon(core, other, NegotiationResult::Superseded);
            }
        }
        waiting
    }
}
