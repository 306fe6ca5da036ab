//! Checks for conflicting remotes, and for addresses on interfaces that do not exist.

use std::collections::HashMap;
use std::hash::Hash;

use super::{Check, at_place};
use crate::racoon::identifier::Address;
use crate::racoon::problem::Severity;
use crate::racoon::remote::{Remote, RemoteAddress, RemoteName};
use crate::racoon::source::Source;
use crate::racoon::token::Token;

impl Check<'_> {
    /// Reports an interface that does not exist; `token` begins with the address.
    pub(super) fn check_scope(&self, source: &Source, token: &Token<'_>, address: &Address) {
        let Some(scope) = &address.scope else { return };
        if self.loader.has_interface(scope) == Some(false) {
            let at = token.text.find('%').map_or(*token, |at| token.rest(at));
            let hint =
                "no peer can be reached through it; racoon looks for it only when it starts or reloads".to_owned();
            self.problems.warning(source, &at, &format!("there is no interface `{scope}`"), Some(hint));
        }
    }

    /// Warns of remotes for the same peer; a negotiation needs exactly one.
    pub(super) fn check_duplicate_remotes(&self) {
        let remotes = &self.config.remotes;
        // Without quotes the address is the name. Whatever their names, two that may initiate conflict.
        let by_name = |remote: &&Remote| !matches!(remote.name, RemoteName::Quoted(_));
        let by_address =
            |remote: &&Remote| !remote.passive && matches!(remote.address, Some(RemoteAddress::Numeric(_)));
        let called_the_same = repeated(remotes.iter().filter(by_name), |remote| &remote.name);
        let mut for_the_same = repeated(remotes.iter().filter(by_address), |remote| &remote.address);
        // Two quoted names that are equal have been reported as an error.
        for_the_same.retain(|(first, second)| by_name(first) || first.name != second.name);
        for (first, second) in &for_the_same {
            let what = second.address.as_ref().map_or_else(String::new, ToString::to_string);
            let hint = "both match, so racoon does not initiate: merge them, or write `passive on` in one";
            self.duplicate(first, second, &what, hint);
        }
        for (first, second) in called_the_same {
            if !for_the_same.iter().any(|(_, told)| std::ptr::eq(*told, second)) {
                let hint = "identities and proposals decide between remotes for the same peer: merge them, or give each a quoted name";
                self.duplicate(first, second, &second.name.to_string(), hint);
            }
        }
    }

    fn duplicate(&self, first: &Remote, second: &Remote, what: &str, hint: &str) {
        let place = &first.place;
        let message = format!("a second remote for {what}: the first one is in {}:{}", place.file, place.line);
        at_place(&self.problems, &second.place, Severity::Warning, message, Some(hint.to_owned()));
    }
}

/// Returns the items whose key occurred before, each with the first item that has it.
fn repeated<'a, K: Hash + Eq>(
    remotes: impl Iterator<Item = &'a Remote>,
    key: impl Fn(&'a Remote) -> K,
) -> Vec<(&'a Remote, &'a Remote)> {
    let mut first = HashMap::new();
    remotes
        .map(|remote| (*first.entry(key(remote)).or_insert(remote), remote))
        .filter(|(one, other)| !std::ptr::eq(*one, *other))
        .collect()
}
