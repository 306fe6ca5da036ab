//! A phase 2: the entry of the table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::conversation::{Conversation, ConversationId, Record};
use crate::engine::core::Core;
use crate::engine::{Phase1Id, Phase2Id};
use crate::kernel::{Acquire, RequestId, SaInstallation, SaName, Selector};
use crate::num::{ExchangeType, Protocol};
use crate::output::{Event, EventKind};
use crate::path::Path;
use crate::phase1::Phase1Sa;
use crate::phase2::TrafficKey;
use crate::phase2::agreement::Pair;
use crate::phase2::initiator::{Agreed, Offered, Phase2Request};
use crate::phase2::pending_inputs::PendingInputs;
use crate::phase2::responder::{Accepted, Answered};
use crate::phase2::traffic::Endpoints;
use crate::proposal::Phase2Terms;
use crate::reason::{Negotiation, NegotiationResult, Outcome, Role, Unanswered};
use crate::time::Time;
use crate::wire::CookiePair;

/// A phase 2, established or being negotiated.
pub(crate) struct Phase2 {
    pub(crate) id: Phase2Id,
    pub(crate) role: Role,
    pub(crate) traffic_key: TrafficKey,
    /// The addresses of its SAs: those of phase 1, unless the identities of phase 2 replace them.
    pub(crate) sa_endpoints: Endpoints,
    /// The path on which it is negotiated. It stays when another phase 1 with the peer takes it over.
    pub(crate) path: Path,
    /// Name of the remote section.
    pub(crate) remote_section: String,
    /// The phase 1 that it belongs to, if there is one. Messages of its exchange stay under the phase 1 under which it began.
    pub(crate) phase1: Option<Phase1Id>,
    pub(crate) cookies: Option<CookiePair>,
    pub(crate) message_id: u32,
    pub(crate) conversation: Conversation,
    /// The acquires that it serves. If it fails, the kernel is told.
    pub(crate) acquires: Vec<Acquire>,
    /// The phase 2 that it renews.
    pub(crate) renews: Option<Phase2Id>,
    /// The outbound selector of the policies that were generated for it.
    pub(crate) generated: Option<Selector>,
    /// Its SAs and reserved SPIs in the kernel, requested ones included.
    pub(crate) kernel_sas: Vec<SaName>,
    /// Unanswered requests for SPIs: the member of the bundle, and the name of the SA except for the SPI.
    pub(crate) spi_requests: BTreeMap<RequestId, (usize, SaName)>,
    pub(crate) installs: BTreeMap<RequestId, SaName>,
    /// Outbound SAs that are not installed yet, because those that they renew are still used.
    pub(crate) held: Vec<SaInstallation>,
    /// Whether the peer may have installed its SAs, so that it gets a DELETE for ours.
    pub(crate) peer_may_use: bool,
    pub(crate) state: State,
}

/// The state of a phase 2: what it waits for.
#[derive(Default)]
pub(crate) enum State {
    /// A usable phase 1.
    Waiting(Phase2Request),
    /// The inputs of message 1.
    Gathering(Phase2Request, PendingInputs),
    /// Message 2.
    Offered(Box<Offered>),
    /// The secret shared with the responder.
    Computing(Box<Agreed>),
    /// The inputs of message 2.
    Answering(Box<Accepted>, PendingInputs),
    /// The kernel, to install the inbound SAs. The next message is sent afterwards.
    InstallingInbound(Box<Installing>),
    /// Message 3.
    Answered(Box<Answered>, Box<Outbound>),
    /// The kernel, to install the outbound SAs.
    InstallingOutbound(Box<EstablishedPhase2>),
    Established(Box<EstablishedPhase2>),
    /// In a transition, or ended.
    #[default]
    Over,
}

/// Inbound SAs are being installed; what follows.
pub(crate) struct Installing {
    /// The message to send: 3 as initiator, 2 as responder.
    pub(crate) message: Vec<u8>,
    /// A responder's state while it waits for message 3.
    pub(crate) answered: Option<Answered>,
    pub(crate) outbound: Outbound,
}

/// Outbound SAs to install when the peer can receive.
pub(crate) struct Outbound {
    pub(crate) installations: Vec<SaInstallation>,
    pub(crate) pairs: Vec<Pair>,
    pub(crate) terms: Phase2Terms,
}

/// An established phase 2.
#[derive(Clone, Debug)]
pub(crate) struct EstablishedPhase2 {
    pub(crate) pairs: Vec<Pair>,
    pub(crate) terms: Phase2Terms,
    pub(crate) since: Time,
    /// Time of expiry.
    pub(crate) expires: Time,
    /// Whether its renewal has begun.
    pub(crate) renewed: bool,
}

impl Outbound {
    /// Returns the established state that they lead to.
    pub(crate) fn established(&self, now: Time) -> EstablishedPhase2 {
        let expires = now + Duration::from_secs(self.terms.lifetime.into());
        EstablishedPhase2 { pairs: self.pairs.clone(), terms: self.terms, since: now, expires, renewed: false }
    }
}

impl Phase2 {
    /// Creates a phase 2 that begins now.
    pub(crate) fn new(id: Phase2Id, role: Role, traffic_key: TrafficKey, path: Path, record: Record) -> Self {
        Self {
            id,
            role,
            traffic_key,
            sa_endpoints: traffic_key.endpoints,
            path,
            remote_section: String::new(),
            phase1: None,
            cookies: None,
            message_id: 0,
            conversation: Conversation::new(ConversationId::Phase2(id), record),
            acquires: Vec::new(),
            renews: None,
            generated: None,
            kernel_sas: Vec::new(),
            spi_requests: BTreeMap::new(),
            installs: BTreeMap::new(),
            held: Vec::new(),
            peer_may_use: false,
            state: State::Over,
        }
    }

    /// Returns our last message, which the peer has not answered.
    pub(crate) fn unanswered(&self) -> Unanswered {
        let message = if self.role == Role::Initiator { 1 } else { 2 };
        self.conversation.unanswered(ExchangeType::QUICK, self.role, message)
    }

    /// Limits the wait for the kernel or a job.
    pub(crate) fn set_deadline(&self, core: &mut Core) {
        self.conversation.set_deadline(core, |settings| settings.phase2_wait);
    }

    pub(crate) fn established(&self) -> Option<&EstablishedPhase2> {
        match &self.state {
            State::Established(established) => Some(established),
            _ => None,
        }
    }

    pub(crate) fn established_mut(&mut self) -> Option<&mut EstablishedPhase2> {
        match &mut self.state {
            State::Established(established) => Some(established),
            _ => None,
        }
    }

    /// Returns what is kept of it when it has ended, or is established.
    pub(crate) fn outcome(&self, core: &Core, result: NegotiationResult) -> Outcome {
        let Self { role, cookies, message_id, traffic_key, .. } = self;
        let (role, cookies, message_id, traffic) = (*role, *cookies, *message_id, traffic_key.selector);
        let negotiation = Negotiation::Phase2 { role, cookies, message_id, traffic };
        let remote_section = Some(self.remote_section.clone()).filter(|name| !name.is_empty());
        let record = &self.conversation.record;
        let undelivered = match &result {
            NegotiationResult::Failed(reason) => core.delivery_errors(self.path.remote, record.began, reason),
            _ => Vec::new(),
        };
        Outcome { undelivered, ..record.outcome(negotiation, self.path, remote_section, result, core.now) }
    }

    /// Returns an event about it. `sa` is that of the phase 1 that it belongs or belonged to.
    pub(crate) fn event(&self, sa: Option<&Phase1Sa>, kind: EventKind, outcome: Option<Arc<Outcome>>) -> Event {
        Event {
            kind,
            local: Some(self.path.local),
            remote: Some(self.path.remote),
            cookies: self.cookies,
            message_id: self.message_id,
            identity: sa.map(|sa| sa.peer.id.clone()),
            remote_section: Some(self.remote_section.clone()).filter(|name| !name.is_empty()),
            traffic: Some(self.traffic_key.selector),
            outcome,
        }
    }

    /// Returns the number of the kernel's acquire for an SA of this protocol, or 0.
    pub(crate) fn acquire_for(&self, protocol: Protocol) -> u32 {
        let of_protocol = self.acquires.iter().find(|acquire| acquire.protocol == protocol);
        of_protocol.map_or(0, |acquire| acquire.seq)
    }
}
