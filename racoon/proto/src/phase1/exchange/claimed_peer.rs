//! A peer that names itself in its first message, as in aggressive and base mode.

use super::choice::{choose, closest};
use super::identity::{SECTIONS_NAMED, expected_identities};
use crate::identity::Identity;
use crate::message::rules;
use crate::num::{ExchangeType, PayloadType};
use crate::phase1::PeerIdentity;
use crate::proposal::{Phase1Terms, ProposalRefusal};
use crate::reason::FailureReason;
use crate::select::{Ambiguous, ProposalChoice, RemoteQuery};
use crate::settings::Settings;
use crate::wire::RawPayload;

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
}

impl ClaimedPeer {
    /// Reads the ID payload of a first message; none in main mode.
    ///
    /// # Errors
    /// If the payload is malformed.
    pub(super) fn read(exchange: ExchangeType, payloads: &[RawPayload<'_>]) -> Result<Option<Self>, FailureReason> {
        if exchange == ExchangeType::MAIN {
            return Ok(None);
        }
        let id = rules::find(payloads, PayloadType::ID).unwrap_or_default();
        let identity = PeerIdentity::new(Identity::parse(id).map_err(FailureReason::from)?);
        Ok(Some(Self { identity, id: id.to_vec(), unexpected: None }))
    }

    /// Chooses the first transform that a remote section for this identity accepts, and the section that matches best of those that
    /// accept it.
    pub(super) fn choose(
        &self,
        settings: &Settings,
        query: &RemoteQuery<'_>,
        offered: &[Phase1Terms],
    ) -> Option<ProposalChoice> {
        let query = self.query(query);
        let mut choice = choose(settings, &query, offered)?;
        let transform = offered.get(choice.acceptance.offered)?;
        let accepted = RemoteQuery { accepted: Some(transform), ..query };
        let best = match settings.remotes.select(&accepted) {
            Ok(best) => best,
            Err(Ambiguous(sections)) => sections.into_iter().min(),
        };
        choice.remote = best?;
        choice.acceptance.terms = settings.remotes.get(choice.remote)?.accept(&[*transform])?.terms;
        Some(choice)
    }

    /// Records why no section for this identity accepts the offer; `compared`: what the difference is.
    pub(super) fn set_unexpected(
        &mut self,
        settings: &Settings,
        query: &RemoteQuery<'_>,
        offered: &[Phase1Terms],
        compared: bool,
    ) {
        let for_peer = self.query(query);
        let reason = if !compared {
            FailureReason::NoProposalChosen(ProposalRefusal::NotCompared)
        } else if settings.remotes.candidates(&for_peer).is_empty() {
            let sections = settings.remotes.candidates(query).into_iter();
            let sections = sections.filter_map(|section| settings.remotes.get(section)).take(SECTIONS_NAMED);
            FailureReason::Identity { claimed: self.identity.id.clone(), expected: expected_identities(sections) }
        } else {
            FailureReason::NoProposalChosen(closest(settings, &for_peer, offered))
        };
        self.unexpected = Some(reason);
    }

    /// Adds the identity to what is known about the peer.
    fn query<'a>(&'a self, known: &RemoteQuery<'a>) -> RemoteQuery<'a> {
        RemoteQuery { claimed: Some(self.identity.claimed()), ..*known }
    }
}
