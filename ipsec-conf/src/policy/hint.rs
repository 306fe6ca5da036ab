//! Guesses at what the author of a wrong policy meant.

use std::borrow::Cow;

use super::ErrorKind;
use super::grammar::Rule;
use crate::spelling;

type Hint = Cow<'static, str>;

/// A hint for an error that does not depend on the token.
pub(super) fn for_kind(kind: ErrorKind) -> Option<Hint> {
    Some(match kind {
        ErrorKind::Address => "endpoints are numeric addresses: names are not looked up here".into(),
        ErrorKind::Direction => "me-any goes with out, any-me with in, both with transport".into(),
        ErrorKind::FewArguments => "a request is PROTOCOL/transport or PROTOCOL/tunnel, then /[SRC-DST]/LEVEL".into(),
        ErrorKind::NoEndpoints => "tunnel mode needs the addresses of both ends: esp/tunnel/SRC-DST/require".into(),
        _ => return None,
    })
}

/// A hint for a token where one of `expected` was to stand.
pub(super) fn for_token(token: &str, expected: &[Rule]) -> Option<Hint> {
    let words = expected.iter().flat_map(|rule| words(*rule)).copied();
    if let Some(guess) = spelling::guess(token, words) {
        return Some(guess.into());
    }
    let mut nouns: Vec<&str> = expected.iter().filter_map(|rule| noun(*rule)).collect();
    nouns.sort_unstable();
    nouns.dedup();
    (!nouns.is_empty()).then(|| format!("expected {}", spelling::either(&nouns)).into())
}

fn words(rule: Rule) -> &'static [&'static str] {
    match rule {
        Rule::direction => &["fwd", "in", "out"],
        Rule::action => &["bypass", "discard", "entrust", "ipsec", "none"],
        Rule::priority | Rule::priority_word => &["prio", "priority"],
        Rule::base => &["def", "high", "low"],
        Rule::request | Rule::protocol => &["ah", "esp", "ipcomp"],
        Rule::level => &["default", "require", "unique", "use"],
        _ => &[],
    }
}

fn noun(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::direction => "in, out, fwd",
        Rule::action => "discard, none, ipsec",
        Rule::priority | Rule::priority_word => "prio",
        Rule::base => "low, def, high",
        Rule::number => "a number",
        Rule::request | Rule::protocol => "a request",
        Rule::level => "a level (default, use, require, unique, unique:N)",
        Rule::endpoints | Rule::address => "an address",
        Rule::hyphen => "`-` and the other address",
        Rule::port => "a port in brackets",
        Rule::me => "me",
        Rule::any => "any",
        _ => return None,
    })
}
