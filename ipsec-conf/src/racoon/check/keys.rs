//! Check that the file of pre-shared keys has a key for each remote that needs one.

use std::path::Path;

use super::{Check, at_place};
use crate::psk::{self, PreSharedKeys};
use crate::racoon::identifier::Identifier;
use crate::racoon::place::Place;
use crate::racoon::problem::Severity;
use crate::racoon::remote::{ExchangeMode, Remote, RemoteAddress};

/// Maximum number of remotes without a key that are reported one by one.
const REMOTES_MAX: usize = 20;

impl Check<'_> {
    /// Checks the file of pre-shared keys if one is needed. Its mistakes are only warnings, because the file is read again
    /// for each negotiation.
    pub(super) fn check_psk(&self) {
        let Some(place) = &self.needs_psk else { return };
        let Some(path) = self.config.paths.pre_shared_key.as_deref() else {
            return self.warn_of_keys(place, "no pre-shared key will be found", "`path pre_shared_key` is not set");
        };
        match PreSharedKeys::load(path, self.loader) {
            Err(error) => self.warn_of_keys(place, "no pre-shared key will be found", &error.to_string()),
            Ok((keys, problems)) => {
                let named = self.check_remotes(path, &keys);
                self.check_keys(path, &keys, &problems, &named);
            }
        }
    }

    fn warn_of_keys(&self, place: &Place, message: &str, hint: &str) {
        at_place(&self.problems, place, Severity::Warning, message, Some(hint.to_owned()));
    }

    /// Reports remotes without a key. Returns the lines whose mistakes were reported with them.
    fn check_remotes(&self, path: &Path, keys: &PreSharedKeys) -> Vec<u32> {
        let needs_key = |remote: &&Remote| remote.proposals.iter().any(|one| one.method.has_pre_shared_key());
        let missing = |remote| Some((remote, missing(remote, path, keys)?));
        let all = self.config.remotes.iter().filter(needs_key).filter_map(missing).collect::<Vec<_>>();
        let mut named = Vec::new();
        for (remote, (message, hint, line)) in all.iter().take(REMOTES_MAX) {
            self.warn_of_keys(&remote.place, message, hint);
            named.extend(*line);
        }
        if let Some((remote, _)) = all.get(REMOTES_MAX) {
            let message = format!("{} more remotes have no pre-shared key", all.len() - REMOTES_MAX);
            self.warn_of_keys(&remote.place, &message, "this is the first of them");
        }
        named
    }

    fn check_keys(&self, path: &Path, keys: &PreSharedKeys, problems: &[psk::LineProblem], named: &[u32]) {
        let place = |line| Place { file: path.to_string_lossy().into(), line, column: 1 };
        // Reported already, with the remote that lacks its key because of it.
        let is_told = |problem: &&psk::LineProblem| {
            let hides_name = problem.loses_the_line() || problem.kind == psk::LineProblemKind::ByteOrderMark;
            hides_name && named.contains(&problem.line)
        };
        for problem in problems.iter().filter(|problem| !is_told(problem)) {
            at_place(&self.problems, &place(problem.line), Severity::Warning, problem.to_string(), None);
        }
        if let Some(line) = keys.short_keys().next() {
            let hint = "it can be guessed from a recorded negotiation: use at least 20 random characters";
            self.warn_of_keys(&place(line), "a pre-shared key of fewer than 20 characters is weak", hint);
        }
    }
}

/// Returns message, hint and the nearest line for a remote without a key; `None` if it has one, or if its peers' names are
/// not known.
fn missing(remote: &Remote, path: &Path, keys: &PreSharedKeys) -> Option<(String, String, Option<u32>)> {
    let file = path.display();
    if keys.is_empty() && keys.nearest(b"*").is_none() {
        return Some((format!("no line of {file} matches this remote"), "it contains no key".to_owned(), None));
    }
    let names = names(remote);
    let first = names.first()?;
    if names.iter().any(|name| keys.find(name).is_some()) {
        return None;
    }
    let message = format!("no line of {file} matches {}", String::from_utf8_lossy(first));
    let nearest = names.iter().find_map(|name| keys.nearest(name));
    let hint = match nearest {
        Some(nearest) => nearest.to_string(),
        None => match identifiers(remote).find(|name| keys.find(name).is_some()) {
            Some(name) => format!(
                "there is one for {}, but main mode looks the key up by the peer's address alone",
                String::from_utf8_lossy(&name)
            ),
            None if keys.len() == 1 => "its only line is for another peer".to_owned(),
            None => format!("its {} lines are for other peers", keys.len()),
        },
    };
    Some((message, hint, nearest.map(|nearest| nearest.line)))
}

/// Returns the names by which a peer's key is looked up. Main mode needs the key before the peer's identity is known.
fn names(remote: &Remote) -> Vec<Vec<u8>> {
    let address = match &remote.address {
        Some(RemoteAddress::Numeric(address)) => Some(address.ip.to_string().into_bytes()),
        _ => None,
    };
    if remote.exchange_modes.contains(&ExchangeMode::Main) {
        return address.into_iter().collect();
    }
    let mut names = identifiers(remote).collect::<Vec<_>>();
    // A distinguished name has no text form in the file, so the peer's key may well be there.
    if names.is_empty() || names.len() < remote.peers_identifiers.len() {
        return Vec::new();
    }
    // As in the C racoon, the key is looked up by address only if the identity need not match.
    names.extend(address.filter(|_| !remote.verify_identifier));
    names
}

/// Returns the identities that a remote expects of its peers, as names of keys.
fn identifiers(remote: &Remote) -> impl Iterator<Item = Vec<u8>> {
    remote.peers_identifiers.iter().filter_map(|identifier| match identifier {
        Identifier::Address(address) => Some((*address)?.to_string().into_bytes()),
        Identifier::Fqdn(name) | Identifier::UserFqdn(name) => Some(name.as_bytes().to_vec()),
        Identifier::KeyId(id) => Some(id.as_ref()?.bytes.to_vec()),
        Identifier::DistinguishedName(_) => None,
    })
}
