//! Quick mode as responder: message 1 of the peer.

use crate::conversation::Record;
use crate::crypto::DhOperation;
use crate::engine::core::Core;
use crate::engine::datagram::Incoming;
use crate::engine::{Engine, Phase1Id, Phase2Id};
use crate::num::NotifyType;
use crate::output::Level;
use crate::phase1::entry::Phase1;
use crate::phase1::rate_limit::{LoggedEvent, PeerStanding};
use crate::phase2::TrafficKey;
use crate::phase2::entry::{Phase2, State};
use crate::phase2::message::{Message, QuickModePayloads, Received, Rejection};
use crate::phase2::offer::{Offer, OfferContext, RefusedRequest};
use crate::phase2::pending_inputs::PendingInputs;
use crate::phase2::responder::{Accepted, read};
use crate::phase2::table::Phase2s;
use crate::phase2::traffic::{Endpoints, between_hosts};
use crate::reason::{self, NegotiationResult, Role};

/// Limit on concurrent exchanges of a peer under one phase 1. A further message 1 is dropped; the peer retransmits it, and by then
/// another exchange may have ended.
pub(crate) const AT_ONCE_MAX: usize = 64;

/// Limit on phase 2s between two hosts: each takes SAs in the kernel.
pub(crate) const WITH_PEER_MAX: usize = 4096;

impl Engine {
    /// Processes message 1 of a peer.
    pub(crate) fn quick_begin(&mut self, id: Phase1Id, incoming: &Incoming<'_>) {
        let read = self.phase1s.get_mut(id);
        let read = read.and_then(|phase1| phase1.read_message_1(&mut self.core, &self.phase2s, incoming));
        // `read_message_1` has logged why there is none.
        let Some(message) = read else { return };
        self.phase1s.heard_from(&mut self.core, &mut self.phase2s, id);
        if message.content.notifies.iter().any(|notify| notify.kind == NotifyType::INITIAL_CONTACT) {
            self.initial_contact_received(id);
        }
        let path = incoming.path;
        self.core.log_of_peer(LoggedEvent::Phase2Begun, Level::Info, path.remote, || {
            format!("respond new phase 2 negotiation: {path}")
        });
        let mut record = Record::new(self.core.now);
        let context = OfferContext {
            core: &mut self.core,
            phase1s: &mut self.phase1s,
            phase2s: &self.phase2s,
            generated: &mut self.generated,
            phase1: id,
        };
        match context.find(&message.content, &mut record) {
            Ok(offer) => self.accept_message_1(id, incoming, message, offer, record),
            Err(refused) => {
                if let Some(phase1) = self.phase1s.get_mut(id) {
                    phase1.refuse_quick_mode(&mut self.core, incoming.header.message_id, *refused, &record);
                }
            }
        }
    }

    /// Begins a phase 2 for an authenticated message 1: generates its policies, and collects the inputs of message 2.
    fn accept_message_1(
        &mut self,
        phase1: Phase1Id,
        incoming: &Incoming<'_>,
        message: Message<QuickModePayloads>,
        offer: Offer,
        record: Record,
    ) {
        let sa = self.phase1s.sa(phase1);
        let section = sa.and_then(|sa| Some((sa.cookies, self.core.settings.remotes.get(sa.remote_section)?)));
        // The offer was made under this phase 1 and by its section.
        let Some((cookies, section)) = section else { return };
        let (name, nonce_size) = (section.name.clone(), section.nonce_size);
        let id = Phase2Id(self.core.fresh_id());
        let group = offer.agreement.terms.group;
        let exchange =
            group.zip(message.content.public.clone()).map(|(group, public)| (group, DhOperation::Both(public)));
        let members = offer.agreement.members.iter().map(|agreed| agreed.member.clone()).collect::<Vec<_>>();
        let pending = PendingInputs::new(members.len(), group);
        let accepted = Accepted::new(offer.agreement, message, nonce_size, &mut *self.core.random);
        let mut phase2 = Phase2 {
            sa_endpoints: offer.sa_endpoints,
            remote_section: name,
            cookies: Some(cookies),
            state: State::Answering(Box::new(accepted), pending),
            ..Phase2::new(id, Role::Responder, offer.traffic_key, incoming.path, record)
        };
        // While SPIs and the key exchange are awaited, repetitions of message 1 are dropped.
        phase2.conversation.accept(incoming.digest.clone());
        let outbound = offer.traffic_key.selector;
        let is_generated = match &offer.generate {
            Some((grant, templates)) => {
                self.generate_policies(id, grant, templates);
                true
            }
            None => self.generated.share(&outbound, id),
        };
        phase2.generated = is_generated.then_some(outbound);
        let gathered = phase2.gather(&mut self.core, members.iter(), exchange);
        self.phase2s.insert(phase2);
        self.phase2s.bind(id, phase1);
        self.phase2s.listen(id, phase1, incoming.header.message_id);
        if let Err(reason) = gathered {
            self.fail_phase2(id, reason);
        }
    }
}

impl Phase1 {
    /// Reads a message 1 under its SA. Returns `None` if it is dropped, ignored or refused, which is logged.
    fn read_message_1(
        &mut self,
        core: &mut Core,
        phase2s: &Phase2s,
        incoming: &Incoming<'_>,
    ) -> Option<Message<QuickModePayloads>> {
        let Incoming { header, body, .. } = incoming;
        let (remote, message_id) = (self.remote(), header.message_id);
        if phase2s.answering(self.id) >= AT_ONCE_MAX {
            let text = || format!("ignored a quick mode: {AT_ONCE_MAX} are in progress");
            core.log_of_peer(LoggedEvent::OverLimit, Level::Error, remote, text);
            return None;
        }
        let unused = self.sa().filter(|sa| message_id != 0 && !sa.used.refuses(message_id));
        let Some(sa) = unused else {
            core.log(Level::Debug, Some(remote), || {
                format!("ignored a quick mode: message id {message_id:#010x} was used before")
            });
            return None;
        };
        match read(sa, Received { header, body, codec: (&core.codec, remote) }) {
            Ok(message) => {
                self.mark_used(core, message_id);
                self.set_negotiated();
                Some(message)
            }
            Err(Rejection::Unproved(reason)) => {
                self.ignore_unproved(core, 1, &reason);
                None
            }
            Err(Rejection::Fatal(reason)) => {
                self.mark_used(core, message_id);
                let record = Record::new(core.now);
                self.refuse_quick_mode(core, message_id, RefusedRequest { traffic_key: None, reason }, &record);
                None
            }
        }
    }

    /// Refuses a message 1, of which only the outcome is kept.
    fn refuse_quick_mode(
        &mut self,
        core: &mut Core,
        message_id: u32,
        RefusedRequest { traffic_key, reason }: RefusedRequest,
        record: &Record,
    ) {
        let (path, cookies) = (self.path(), self.cookies);
        let remote_section = core.settings.remotes.get(self.remote_section).map(|section| section.name.clone());
        let endpoints = Endpoints::of(path);
        let traffic_key = traffic_key.unwrap_or(TrafficKey { selector: between_hosts(endpoints), endpoints });
        let kind = (PeerStanding::Proved(path.remote.ip()), LoggedEvent::Phase2Failed);
        let text = format_args!("{reason}: {traffic_key}");
        let (told, level) = core.apply_rate_limit(kind, Some(&text), Level::Error, path.remote);
        let traffic = traffic_key.selector;
        let negotiation =
            reason::Negotiation::Phase2 { role: Role::Responder, cookies: Some(cookies), message_id, traffic };
        let result = NegotiationResult::Failed(reason.clone());
        let outcome = record.outcome(negotiation, path, remote_section, result, core.now);
        core.log_failure(level, &outcome);
        self.notify_refusal(core, &reason);
        // Suppressed refusals are not recorded: they would displace the outcomes of other peers in the journal.
        if told {
            core.record_outcome(outcome);
        }
    }
}
