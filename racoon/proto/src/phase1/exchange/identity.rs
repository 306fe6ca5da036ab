//! The check of the identity that a peer has proved.

use super::ExchangeContext;
use super::choice::peer_query;
use super::keyed::Proved;
use crate::config::Remote;
use crate::identity::{Verdict, verify};
use crate::output::Level;
use crate::proposal::Phase1Terms;
use crate::reason::{ExpectedIdentity, FailureReason, MissingRemote};
use crate::select::{Ambiguous, RemoteIndex, RemoteQuery};

/// Remote sections that are named in the failure of a peer that none of them expects.
const BLOCKS_NAMED: usize = 4;

/// Checks a proved identity against `peers_identifier` of the remote section.
///
/// # Errors
/// If it is another one and `verify_identifier` is on.
pub(super) fn expected_peer(cx: &mut ExchangeContext<'_>, proved: &Proved) -> Result<(), FailureReason> {
    let block = cx.remote_section()?;
    match verify(&block.peers_identifiers, block.verify_identifier, proved.peer.claimed()) {
        Verdict::Expected => Ok(()),
        Verdict::Tolerated => {
            cx.note(Level::Warning, || {
                format!("identity {} is not what peers_identifier of {} expects", proved.peer.id, block.name)
            });
            Ok(())
        }
        Verdict::Refused => {
            Err(FailureReason::Identity { claimed: proved.peer.id.clone(), expected: expected_identities([block]) })
        }
    }
}

/// The identities that remote sections expect.
fn expected_identities<'a>(blocks: impl IntoIterator<Item = &'a Remote>) -> Vec<ExpectedIdentity> {
    let of =
        |block: &Remote| ExpectedIdentity { remote: block.name.clone(), identifiers: block.peers_identifiers.clone() };
    blocks.into_iter().map(of).collect()
}

/// Selects the remote section that fits best now that the identity is known; the first one of several.
pub(super) fn select_remote_by_identity(
    cx: &mut ExchangeContext<'_>,
    offered: &Phase1Terms,
    proved: &Proved,
) -> Result<RemoteIndex, FailureReason> {
    let offered = RemoteQuery { accepted: Some(offered), ..peer_query(cx.path.remote, cx.exchange) };
    let query = RemoteQuery { claimed: Some(proved.peer.claimed()), ..offered };
    let remotes = &cx.settings.remotes;
    match remotes.select(&query) {
        Ok(Some(block)) => Ok(block),
        Ok(None) => {
            let blocks = remotes.candidates(&offered).into_iter().filter_map(|block| remotes.get(block));
            let expected = expected_identities(blocks.take(BLOCKS_NAMED));
            Err(FailureReason::Identity { claimed: proved.peer.id.clone(), expected })
        }
        Err(Ambiguous(blocks)) => {
            cx.note(Level::Debug, || {
                format!("{} remote sections fit equally well, the first one is taken", blocks.len())
            });
            blocks.into_iter().min().ok_or(FailureReason::NoRemote(MissingRemote::Removed))
        }
    }
}
