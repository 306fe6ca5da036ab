//! The responder's choice among the proposals of a first message.

use std::net::SocketAddr;

use super::Exchange;
use super::claimed_peer::ClaimedPeer;
use super::payloads::{in_clear, usable_proposals};
use crate::config::Remote;
use crate::conversation::record::{Record, bounded, in_words};
use crate::message::rules;
use crate::num::{AuthMethod, ExchangeType, PayloadType};
use crate::phase1::auth;
use crate::proposal::{Phase1Offer, Phase1Terms, ProposalRefusal, closest_phase1, offered_phase1, phase1_answer};
use crate::reason::{FailureReason, Malformed};
use crate::select::{ProposalChoice, RemoteIndex, RemoteQuery};
use crate::settings::Settings;
use crate::wire::{Header, RawPayload, SaBody};

/// Longest SA payload in bytes that is accepted; about 400 transforms. It is kept until the keys are derived, even for a peer whose
/// address may be forged.
const SA_MAX: usize = 1 << 14;

/// Number of remote sections that are compared to find the smallest difference.
const SECTIONS_COMPARED: usize = 16;

/// A first message, and what a responder chooses from it.
pub(crate) struct FirstChoice<'a> {
    /// The first remote section that accepts it.
    pub(crate) remote_section: RemoteIndex,
    pub(super) payloads: Vec<RawPayload<'a>>,
    /// SAi_b.
    pub(super) sa_i: Vec<u8>,
    /// Our SA payload.
    pub(super) answer: SaBody,
    /// The chosen transform as the peer has offered it.
    pub(super) offered: Phase1Terms,
    /// The terms that are agreed on.
    pub(super) terms: Phase1Terms,
    /// The peer as it names itself; none in main mode, where the first message does not.
    pub(super) peer: Option<ClaimedPeer>,
}

impl<'a> FirstChoice<'a> {
    /// Reads a first message and chooses the first of its transforms that a remote section for the peer's address accepts.
    pub(crate) fn read(
        settings: &Settings,
        remote: SocketAddr,
        header: &Header,
        body: &'a [u8],
        record: &mut Record,
    ) -> Result<Self, FailureReason> {
        let payloads = in_clear(Exchange::first_message_rules(header.exchange)?, header, body)?;
        // Kept as received: HASH_I and HASH_R cover these bytes (RFC 2409 section 5).
        let sa_i = rules::find(&payloads, PayloadType::SA).unwrap_or_default();
        if sa_i.len() > SA_MAX {
            return Err(FailureReason::Malformed(Malformed::LongSa(sa_i.len())));
        }
        let sa = SaBody::parse(sa_i)?;
        let mut offer = offered_phase1(&sa);
        if header.exchange == ExchangeType::AGGRESSIVE {
            offer.retain_first_group();
        }
        let query = peer_query(remote, header.exchange);
        let mut peer = ClaimedPeer::read(remote, header.exchange, &payloads)?;
        let of_peer = peer.as_ref().and_then(|peer| peer.choose(settings, &offer.terms()));
        let of_anybody = || choose(settings, &query, &offer.terms());
        let is_expected = of_peer.is_some();
        let chosen = of_peer.or_else(of_anybody);
        let chosen = chosen.and_then(|choice| Some((choice, offer.transforms.get(choice.acceptance.offered)?)));
        let Some((ProposalChoice { remote: remote_section, acceptance, .. }, transform)) = chosen else {
            // In a flood, the line would be suppressed, so that no comparison is made for it.
            if !record.in_words {
                return Err(FailureReason::NoProposalChosen(ProposalRefusal::NotCompared));
            }
            describe(settings, &query, &offer, record);
            return Err(FailureReason::NoProposalChosen(closest(settings, &query, &offer.terms())));
        };
        if let Some(peer) = peer.as_mut().filter(|_| !is_expected) {
            // As above, a comparison is too expensive in a flood.
            peer.set_unexpected(settings, &offer.terms(), record.in_words);
        }
        Ok(Self {
            remote_section,
            peer,
            sa_i: sa_i.to_vec(),
            payloads,
            answer: phase1_answer(transform),
            offered: transform.terms,
            terms: acceptance.terms,
        })
    }
}

/// What is known about a peer when its first message arrives.
pub(crate) fn peer_query(remote: SocketAddr, exchange: ExchangeType) -> RemoteQuery<'static> {
    // In main mode, the pre-shared key is always that of the peer's address (RFC 2409 section 5.4).
    let key_of_address = exchange == ExchangeType::MAIN;
    RemoteQuery { port: remote.port(), exchange: Some(exchange), key_of_address, ..RemoteQuery::address(remote) }
}

/// Adds the method of a transform to what is known about the peer that offers it: with signatures, no address has a key.
pub(super) fn for_method<'a>(query: &RemoteQuery<'a>, method: AuthMethod) -> RemoteQuery<'a> {
    RemoteQuery { key_of_address: query.key_of_address && !method.is_signature(), ..*query }
}

/// Chooses among the transforms whose authentication method is supported.
pub(super) fn choose(settings: &Settings, query: &RemoteQuery<'_>, terms: &[Phase1Terms]) -> Option<ProposalChoice> {
    let choice_of = |(at, terms): (usize, &Phase1Terms)| {
        let query = for_method(query, terms.method);
        let mut choice = settings.remotes.choose_proposal(&query, std::slice::from_ref(terms))?;
        choice.acceptance.offered = at;
        Some(choice)
    };
    let supported = terms.iter().enumerate().filter(|(_, terms)| auth::is_supported(terms.method));
    supported.filter_map(choice_of).next()
}

/// Adds the peer's offer and the configured proposals to the record. This costs more than to refuse a message, so it is not done for
/// every message of a flood.
fn describe(settings: &Settings, query: &RemoteQuery<'_>, offer: &Phase1Offer, record: &mut Record) {
    record.offered = bounded(in_words(&offer.terms()).chain(offer.skipped.iter().map(ToString::to_string)));
    let candidates = settings.remotes.candidates(query);
    let sections = candidates.iter().filter_map(|index| settings.remotes.get(*index));
    record.configured = bounded(sections.flat_map(|section| in_words(&section.proposals)));
}

/// Returns the smallest difference between a transform of the peer and one of the remote sections for its address.
pub(super) fn closest(settings: &Settings, query: &RemoteQuery<'_>, offered: &[Phase1Terms]) -> ProposalRefusal {
    let candidates = settings.remotes.candidates(query);
    let sections = candidates.iter().filter_map(|index| settings.remotes.get(*index));
    let of_section = |section: &Remote| {
        let level = section.proposal_check;
        // A method that is not supported is the difference, even if it is configured.
        let ours = usable_proposals(section).copied().collect::<Vec<_>>();
        let mismatches = closest_phase1(level, offered, &ours)?;
        Some(ProposalRefusal::Phase1 { mismatches, level })
    };
    let unsupported = || offered.first().map(|terms| ProposalRefusal::Method(terms.method));
    let closest = sections.take(SECTIONS_COMPARED).filter_map(of_section).min_by_key(ProposalRefusal::distance);
    closest.or_else(unsupported).unwrap_or(ProposalRefusal::NotUnderstood)
}

/// Adds the offer in an SA payload of the peer, and the configured proposals, to the record.
pub(super) fn describe_offer(
    settings: &Settings,
    (remote, exchange): (SocketAddr, ExchangeType),
    sa_i: &[u8],
    record: &mut Record,
) {
    if let Ok(sa) = SaBody::parse(sa_i) {
        describe(settings, &peer_query(remote, exchange), &offered_phase1(&sa), record);
    }
}
