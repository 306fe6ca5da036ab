//! Checks the identity that a peer has proved.

use super::ExchangeContext;
use super::choice::{for_method, peer_query};
use crate::config::Remote;
use crate::identity::{Name, Verdict, verify};
use crate::output::Level;
use crate::phase1::PeerIdentity;
use crate::proposal::Phase1Terms;
use crate::reason::{ExpectedIdentity, FailureReason, MissingRemote};
use crate::select::{Ambiguous, CertificateQuery, RemoteIndex, RemoteQuery, Remotes};
use crate::wire::CertificateRequest;

/// Maximum number of remote sections in the reason for the failure of a peer that none of them expects.
pub(super) const SECTIONS_NAMED: usize = 4;

/// Checks a proved identity against `peers_identifier` of the remote section.
///
/// # Errors
/// If it is not an expected one and `verify_identifier` is on.
pub(super) fn expected_peer(cx: &mut ExchangeContext<'_>, peer: &PeerIdentity) -> Result<(), FailureReason> {
    let section = cx.remote_section()?;
    match verify(&section.peers_identifiers, section.verify_identifier, peer.claimed()) {
        Verdict::Expected => Ok(()),
        Verdict::Tolerated => {
            cx.note(Level::Warning, || {
                format!("identity {} is not what peers_identifier of {} expects", peer.id, section.name)
            });
            Ok(())
        }
        Verdict::Refused => {
            Err(FailureReason::Identity { claimed: peer.id.clone(), expected: expected_identities([section]) })
        }
    }
}

/// Returns the identities that remote sections expect.
pub(super) fn expected_identities<'a>(sections: impl IntoIterator<Item = &'a Remote>) -> Vec<ExpectedIdentity> {
    let of = |section: &Remote| ExpectedIdentity {
        remote: section.name.clone(),
        identifiers: section.peers_identifiers.clone(),
    };
    sections.into_iter().map(of).collect()
}

/// Selects the remote section that matches best now that the identity is known, or the first one of several. Without a
/// pre-shared key of its address, a peer may have any section that accepts it; one whose own certificate is of an authority that
/// the peer requests precedes.
///
/// # Errors
/// If no section matches.
pub(super) fn select_remote_by_identity(
    cx: &mut ExchangeContext<'_>,
    offered: &Phase1Terms,
    peer: &PeerIdentity,
    requests: &[CertificateRequest],
) -> Result<RemoteIndex, FailureReason> {
    // The section must also accept the chosen transform, which perhaps only another section has: that of the first guess.
    let known = for_method(&peer_query(cx.path.remote, cx.exchange), offered.method);
    let offered = RemoteQuery { accepted: Some(offered), ..known };
    let query = RemoteQuery { claimed: Some(peer.claimed()), ..offered };
    let remotes = &cx.settings.remotes;
    match best_section(remotes, &query, requests) {
        Ok(Some(section)) => Ok(section),
        Ok(None) => {
            let sections = remotes.candidates(&offered).into_iter().filter_map(|section| remotes.get(section));
            let expected = expected_identities(sections.take(SECTIONS_NAMED));
            Err(FailureReason::Identity { claimed: peer.id.clone(), expected })
        }
        Err(Ambiguous(sections)) => {
            cx.note(Level::Debug, || {
                format!("{} remote sections match equally well, using the first one", sections.len())
            });
            sections.into_iter().min().ok_or(FailureReason::NoRemote(MissingRemote::Removed))
        }
    }
}

/// Selects the section that matches best, preferably one whose certificate the peer requests.
pub(super) fn best_section(
    remotes: &Remotes,
    query: &RemoteQuery<'_>,
    requests: &[CertificateRequest],
) -> Result<Option<RemoteIndex>, Ambiguous> {
    requested(remotes, query, requests).unwrap_or_else(|| remotes.select(query))
}

/// Selects among the sections whose certificate the peer requests; `None` if no section has such a certificate. A peer may know
/// only the root of a chain, so that a request which no section fits excludes none.
fn requested(
    remotes: &Remotes,
    query: &RemoteQuery<'_>,
    requests: &[CertificateRequest],
) -> Option<Result<Option<RemoteIndex>, Ambiguous>> {
    requests.iter().find_map(|request| {
        let issuer = if request.authority.is_empty() { None } else { Some(Name::from_der(&request.authority)?) };
        let certificate = CertificateQuery { encoding: request.encoding, issuer: issuer.as_ref() };
        let selected = remotes.select(&RemoteQuery { certificate_request: Some(certificate), ..*query });
        (selected != Ok(None)).then_some(selected)
    })
}
