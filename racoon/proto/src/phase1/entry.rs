//! A phase 1: the entry of the table.

use std::mem;
use std::net::{IpAddr, SocketAddr};

use crate::conversation::{Conversation, ConversationId, Record};
use crate::engine::core::Core;
use crate::engine::{Phase1Id, Phase2Id};
use crate::informational::dpd_state::DpdState;
use crate::num::ExchangeType;
use crate::output::{Event, EventKind};
use crate::path::Path;
use crate::phase1::exchange::{Exchange, ExchangeContext, Transition};
use crate::phase1::half_open::PeerClass;
use crate::phase1::readiness::Readiness;
use crate::phase1::replacement::Replacement;
use crate::phase1::table::FirstKey;
use crate::phase1::{MESSAGE_IDS_RENEWED_AFTER, Phase1Sa};
use crate::reason::{Negotiation, NegotiationResult, Outcome, Role, Unanswered};
use crate::select::RemoteIndex;
use crate::settings::Settings;
use crate::time::Time;
use crate::wire::CookiePair;

/// A phase 1, established or being negotiated.
pub(crate) struct Phase1 {
    pub(crate) id: Phase1Id,
    pub(crate) cookies: CookiePair,
    path: Path,
    pub(crate) role: Role,
    /// The half-open limit that it counts against until it is established.
    pub(crate) peer_class: PeerClass,
    pub(crate) exchange: ExchangeType,
    /// The remote section. A responder's is a guess until the peer's identity is known.
    pub(crate) remote_section: RemoteIndex,
    pub(crate) conversation: Conversation,
    /// Phase 2s that wait for it. [`Phase1s::wait`](super::table::Phase1s::wait) adds to them.
    pub(crate) waiting: Vec<Phase2Id>,
    /// The phase 1 that it renews.
    pub(crate) renews: Option<Phase1Id>,
    pub(crate) stage: Stage,
}

/// The stage of a phase 1.
pub(crate) enum Stage {
    /// Being negotiated.
    Negotiating(Box<Exchange>),
    /// The negotiation is over. It is about to be established or removed.
    Over,
    /// Established.
    Established(Box<EstablishedPhase1>),
}

/// An established phase 1.
pub(crate) struct EstablishedPhase1 {
    pub(crate) sa: Phase1Sa,
    /// Time of establishment.
    pub(crate) since: Time,
    /// Time of expiry.
    pub(crate) expires: Time,
    /// Whether either side has begun a phase 2 under it.
    pub(crate) negotiated: bool,
    /// Whether it is due for renewal.
    pub(crate) dying: bool,
    /// Whether it is due because many message ids were used.
    pub(crate) worn: bool,
    /// Time of the last authenticated message under it.
    pub(crate) heard: Time,
    pub(crate) dpd: DpdState,
    pub(crate) replacement: Replacement,
    pub(crate) readiness: Readiness,
}

/// Number of further message ids for which a responder leaves the renewal to its peer.
const MESSAGE_IDS_FOR_PEER: usize = 1024;

impl EstablishedPhase1 {
    /// Whether the side with this role renews it because many message ids were used.
    pub(crate) fn is_worn(&self, role: Role) -> bool {
        let more = if role == Role::Responder { MESSAGE_IDS_FOR_PEER } else { 0 };
        self.sa.used.count() >= MESSAGE_IDS_RENEWED_AFTER + more
    }
}

impl Phase1 {
    /// Creates a phase 1 whose negotiation begins now.
    pub(crate) fn new(
        id: Phase1Id,
        (role, exchange): (Role, ExchangeType),
        cookies: CookiePair,
        path: Path,
        (remote_section, peer_class): (RemoteIndex, PeerClass),
        record: Record,
    ) -> Self {
        Self {
            id,
            cookies,
            path,
            role,
            peer_class,
            exchange,
            remote_section,
            conversation: Conversation::new(ConversationId::Phase1(id), record),
            waiting: Vec::new(),
            renews: None,
            stage: Stage::Over,
        }
    }

    /// Performs a step of the exchange and logs what it notes. Returns `None` if the negotiation is over.
    ///
    /// The caller puts the exchange back if it continues.
    pub(crate) fn step(
        &mut self,
        core: &mut Core,
        first_contact: bool,
        step: impl FnOnce(Exchange, &mut ExchangeContext<'_>) -> Transition,
    ) -> Option<Transition> {
        // The stage of an established one must not be replaced.
        if !matches!(self.stage, Stage::Negotiating(_)) {
            return None;
        }
        let Stage::Negotiating(exchange) = mem::replace(&mut self.stage, Stage::Over) else {
            return None;
        };
        let mut context = ExchangeContext::new(core, self, first_contact);
        let transition = step(*exchange, &mut context);
        let (notes, remote_section) = (context.notes, context.remote_section);
        // Chosen by the peer's identity, and needed again when a job for the step is done.
        self.remote_section = remote_section;
        core.log_notes(self.path.remote, notes);
        Some(transition)
    }

    /// Completes the record of a negotiation that has not got beyond message 1.
    pub(crate) fn describe_offer(&mut self, settings: &Settings) {
        if let Stage::Negotiating(exchange) = &self.stage {
            exchange.describe_offer(settings, self.path.remote, &mut self.conversation.record);
        }
    }

    /// Returns our last message, which the peer has not answered; `None` while a job for the next one runs.
    pub(crate) fn unanswered(&self) -> Option<Unanswered> {
        let message = self.negotiation()?.last_sent()?;
        Some(self.conversation.unanswered(self.exchange, self.role, message))
    }

    /// Answers the accepted message. An initiator retransmits its answer until it is answered in turn. A responder repeats it only
    /// when the peer repeats its message, so that nobody can make it flood a victim.
    pub(crate) fn answer(&mut self, core: &mut Core, message: Vec<u8>) {
        self.conversation.answer(Some(message.clone()));
        match self.role {
            Role::Initiator => self.conversation.send(core, self.path, message),
            Role::Responder => {
                self.reply(core, message);
                // An exchange that retransmits nothing lasts no longer than one that does.
                self.conversation.set_deadline(core, |settings| settings.retransmission.whole());
            }
        }
    }

    /// Sends an answer, for the first time or again. As long as the address may be forged, one copy is sent.
    pub(crate) fn reply(&self, core: &mut Core, message: Vec<u8>) {
        if self.negotiation().is_some_and(Exchange::is_from_unproved_address) {
            core.transmit_once(self.path, message);
        } else {
            core.transmit(self.path, &message);
        }
    }

    /// Ends the exchange with its last message, if that is ours. The peer does not answer it.
    pub(crate) fn finish_exchange(&mut self, core: &mut Core, last_message: Option<Vec<u8>>) {
        if let Some(message) = &last_message {
            core.transmit(self.path, message);
        }
        // The peer repeats its last message if ours is lost, and gets it from the cache.
        self.conversation.answer(last_message);
        self.conversation.stop_retransmission(core);
        self.conversation.stop_deadline(core);
    }

    /// The path of its messages.
    pub(crate) fn path(&self) -> Path {
        self.path
    }

    /// Changes the path. Only [`Phase1s::move_to`](super::table::Phase1s::move_to) may: the tables are keyed by it.
    pub(super) fn set_path(&mut self, path: Path) {
        self.path = path;
    }

    /// The peer's address and port.
    pub(crate) fn remote(&self) -> SocketAddr {
        self.path.remote
    }

    /// Returns the exchange, while it is being negotiated.
    pub(crate) fn negotiation(&self) -> Option<&Exchange> {
        match &self.stage {
            Stage::Negotiating(exchange) => Some(exchange),
            Stage::Over | Stage::Established(_) => None,
        }
    }

    /// Whether it is being negotiated, and neither side can encrypt yet.
    pub(crate) fn is_early(&self) -> bool {
        self.negotiation().is_some_and(|exchange| !exchange.is_encrypted())
    }

    /// Returns its state as an established phase 1.
    pub(crate) fn established(&self) -> Option<&EstablishedPhase1> {
        match &self.stage {
            Stage::Established(established) => Some(established),
            Stage::Negotiating(_) | Stage::Over => None,
        }
    }

    /// Mutable counterpart of [`Phase1::established`].
    pub(crate) fn established_mut(&mut self) -> Option<&mut EstablishedPhase1> {
        match &mut self.stage {
            Stage::Established(established) => Some(established),
            Stage::Negotiating(_) | Stage::Over => None,
        }
    }

    /// Sets its remote section, after a reload.
    pub(crate) fn set_section(&mut self, remote_section: RemoteIndex) {
        self.remote_section = remote_section;
        if let Some(established) = self.established_mut() {
            // Exchanges under the SA read the section there.
            established.sa.remote_section = remote_section;
        }
    }

    /// Records that a phase 2 begins under it.
    pub(crate) fn set_negotiated(&mut self) {
        if let Some(established) = self.established_mut() {
            established.negotiated = true;
        }
    }

    /// Returns the outcome of its negotiation with this result.
    pub(crate) fn outcome(&self, core: &Core, result: NegotiationResult) -> Outcome {
        let Self { cookies, exchange, role, remote_section, .. } = *self;
        let remote_section = core.settings.remotes.get(remote_section).map(|section| section.name.clone());
        let negotiation = Negotiation::Phase1 { exchange, role, cookies };
        self.conversation.record.outcome(negotiation, self.path(), remote_section, result, core.now)
    }

    /// Returns an event about it, without an outcome.
    pub(crate) fn event(&self, core: &Core, kind: EventKind) -> Event {
        let section = core.settings.remotes.get(self.remote_section);
        Event {
            kind,
            local: Some(self.path().local),
            remote: Some(self.remote()),
            cookies: Some(self.cookies),
            message_id: 0,
            identity: self.established().map(|established| established.sa.peer.id.clone()),
            remote_section: section.map(|section| section.name.clone()),
            traffic: None,
            outcome: None,
        }
    }

    pub(super) fn is_half_open(&self) -> bool {
        self.role == Role::Responder && self.established().is_none()
    }

    pub(super) fn is_attempt(&self) -> bool {
        self.role == Role::Initiator && self.peer_class == PeerClass::Unknown && self.established().is_none()
    }

    pub(super) fn first_key(&self) -> FirstKey {
        (self.cookies.initiator, self.path)
    }

    pub(super) fn pair(&self) -> (IpAddr, IpAddr) {
        self.path.addresses()
    }
}
