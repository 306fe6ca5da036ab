//! A peer that names itself in its first message, as in aggressive and base mode.

use std::net::SocketAddr;

use super::choice::{choose, closest, for_method, peer_query};
use super::identity::{SECTIONS_NAMED, best_section, expected_identities};
use super::payloads::received_requests;
use crate::identity::Identity;
use crate::message::rules;
use crate::num::{ExchangeType, PayloadType};
use crate::phase1::PeerIdentity;
use crate::proposal::{Phase1Terms, ProposalRefusal};
use crate::reason::FailureReason;
use crate::select::{Ambiguous, ProposalChoice, RemoteQuery};
use crate::settings::Settings;
use crate::wire::{CertificateRequest, RawPayload};

/// A peer as its first message names it. It has proved nothing yet.
///
/// If no remote section expects it, the exchange continues under a section that is for others, and nothing that the peer proves is
/// accepted. A refusal would tell anybody which identities are configured (CVE-2002-1623).
pub(crate) struct ClaimedPeer {
    pub(super) identity: PeerIdentity,
    /// The body of its ID payload as received, which its proof covers.
    pub(super) id: Vec<u8>,
    /// Why it is refused in the end, whatever it proves.
    pub(super) unexpected: Option<FailureReason>,
    remote: SocketAddr,
    exchange: ExchangeType,
    /// The certificates that it requests.
    requests: Vec<CertificateRequest>,
}

impl ClaimedPeer {
    /// Reads the ID payload of a first message; none in main mode.
    ///
    /// # Errors
    /// If the payload is malformed.
    pub(super) fn read(
        remote: SocketAddr,
        exchange: ExchangeType,
        payloads: &[RawPayload<'_>],
    ) -> Result<Option<Self>, FailureReason> {
        if exchange == ExchangeType::MAIN {
            return Ok(None);
        }
        let id = rules::find(payloads, PayloadType::ID).unwrap_or_default();
        let identity = PeerIdentity::new(Identity::parse(id)?);
        let requests = received_requests(payloads);
        Ok(Some(Self { identity, id: id.to_vec(), unexpected: None, remote, exchange, requests }))
    }

    /// Chooses the first transform that a remote section for this identity accepts, and the section that matches best of those that
    /// accept it.
    pub(super) fn choose(&self, settings: &Settings, offered: &[Phase1Terms]) -> Option<ProposalChoice> {
        let mut choice = choose(settings, &self.query(), offered)?;
        let transform = offered.get(choice.acceptance.offered)?;
        let accepted = RemoteQuery { accepted: Some(transform), ..for_method(&self.query(), transform.method) };
        let best = match best_section(&settings.remotes, &accepted, &self.requests) {
            Ok(best) => best,
            Err(Ambiguous(sections)) => sections.into_iter().min(),
        };
        choice.remote = best?;
        choice.acceptance.terms = settings.remotes.get(choice.remote)?.accept(&[*transform])?.terms;
        Some(choice)
    }

    /// Records why no section for this identity accepts the offer; `compared`: what the difference is.
    pub(super) fn set_unexpected(&mut self, settings: &Settings, offered: &[Phase1Terms], compared: bool) {
        let for_peer = self.query();
        let reason = if !compared {
            FailureReason::NoProposalChosen(ProposalRefusal::NotCompared)
        } else if settings.remotes.candidates(&for_peer).is_empty() {
            let sections = settings.remotes.candidates(&RemoteQuery { claimed: None, ..for_peer }).into_iter();
            let sections = sections.filter_map(|section| settings.remotes.get(section)).take(SECTIONS_NAMED);
            FailureReason::Identity { claimed: self.identity.id.clone(), expected: expected_identities(sections) }
        } else {
            FailureReason::NoProposalChosen(closest(settings, &for_peer, offered))
        };
        self.unexpected = Some(reason);
    }

    /// What is known about the peer.
    fn query(&self) -> RemoteQuery<'_> {
        RemoteQuery { claimed: Some(self.identity.claimed()), ..peer_query(self.remote, self.exchange) }
    }
}
