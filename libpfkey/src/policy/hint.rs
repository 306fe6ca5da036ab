//! Guesses at what the author of a wrong policy meant.

use std::borrow::Cow;

use super::ErrorKind;
use super::grammar::Rule;
use crate::spelling;

type Hint = Cow<'static, str>;

/// Returns the hint for an error that does not depend on the token.
pub(super) fn for_kind(kind: ErrorKind) -> Option<Hint> {
    Some(match kind {
        ErrorKind::Address => "endpoints are numeric addresses: names are not looked up here".into(),
        ErrorKind::Direction => "me-any goes with out, any-me with in, both with transport".into(),
        ErrorKind::FewArguments => "a request is PROTOCOL/transport or PROTOCOL/tunnel, then /[SRC-DST]/LEVEL".into(),
        ErrorKind::Family => "the two ends of a tunnel are both IPv4 or both IPv6".into(),
        ErrorKind::NoEndpoints => "tunnel mode needs the addresses of both ends: esp/tunnel/SRC-DST/require".into(),
        _ => return None,
    })
}

/// Returns the hint for the token at `offset`, where one of `expected` is permitted.
pub(super) fn for_token(text: &str, offset: usize, token: &str, expected: &[Rule]) -> Option<Hint> {
    let rest = text.get(offset..).unwrap_or_default();
    let before = text.get(..offset).unwrap_or_default().trim_end();
    let expects = |rules: &[Rule]| expected.iter().any(|rule| rules.contains(rule));
    // The two slashes of `esp/transport//require` are no comment.
    if (rest.starts_with("//") && !before.ends_with("transport") && !before.ends_with("tunnel"))
        || rest.starts_with("/*")
        || token == "#"
    {
        return Some("no comment can stand in a policy, between -P and `;`".into());
    }
    if expects(&[Rule::level]) && token.starts_with("unique:") {
        return Some("a decimal number follows `unique:`".into());
    }
    // A word of another firewall's language is a better guess than one with similar letters.
    let lower = token.to_ascii_lowercase();
    if let Some(hint) = by_meaning(&lower, &expects) {
        return Some(hint.into());
    }
    if let Some(hint) = for_endpoint(rest, token, &expects) {
        return Some(hint.into());
    }
    let words = expected.iter().flat_map(|rule| words(*rule)).copied();
    if let Some(guess) = spelling::guess(token, words) {
        return Some(guess.into());
    }
    let mut nouns: Vec<&str> = expected.iter().filter_map(|rule| noun(*rule)).collect();
    nouns.sort_unstable();
    nouns.dedup();
    (!nouns.is_empty()).then(|| format!("expected {}", spelling::either(&nouns)).into())
}

/// Returns the hint for a request without `/MODE`; `token` is what stands in its place.
pub(super) fn for_mode(token: &str) -> Option<Hint> {
    match token.to_ascii_lowercase().as_str() {
        "any" | "beet" | "ro" | "none" => Some("the mode of a policy's step is transport or tunnel".into()),
        _ => spelling::guess(token, ["transport", "tunnel"]).map(Hint::from).or(for_kind(ErrorKind::FewArguments)),
    }
}

/// Returns the hint for a word that other programs use for one of the language's.
fn by_meaning(word: &str, expects: &dyn Fn(&[Rule]) -> bool) -> Option<&'static str> {
    if expects(&[Rule::direction]) {
        return Some(match word {
            "incoming" | "inbound" | "ingress" | "input" => "did you mean `in`?",
            "outgoing" | "outbound" | "egress" | "output" => "did you mean `out`?",
            "forward" | "forwarded" | "forwarding" => "did you mean `fwd`?",
            "both" | "any" | "inout" | "all" => "a policy has one direction: write one for in and one for out",
            "ipsec" | "none" | "discard" | "esp" | "ah" | "ipcomp" | "prio" | "priority" => {
                "the direction goes first: in, out or fwd"
            }
            "dir" | "direction" => "the direction stands without a word before it",
            _ => return None,
        });
    }
    if expects(&[Rule::action]) {
        return Some(match word {
            "permit" | "accept" | "allow" | "pass" | "clear" | "plain" | "no" => "did you mean `none`?",
            "drop" | "deny" | "block" | "reject" | "refuse" => "did you mean `discard`?",
            "encrypt" | "protect" | "secure" | "apply" | "require" | "use" => "did you mean `ipsec`?",
            "esp" | "ah" | "ipcomp" => "`ipsec` goes between the direction and the steps: out ipsec esp/...",
            _ => return None,
        });
    }
    if expects(&[Rule::level]) {
        return Some(match word {
            "required" | "mandatory" | "must" | "always" | "force" => "did you mean `require`?",
            "optional" | "may" | "try" | "prefer" | "allow" => "did you mean `use`?",
            _ => return None,
        });
    }
    if expects(&[Rule::protocol, Rule::request]) {
        return Some(match word {
            "comp" | "compression" => "did you mean `ipcomp`?",
            "transport" | "tunnel" => "the protocol goes before the mode: esp/transport//require",
            "prio" | "priority" => "the priority goes between the direction and the action: out prio 5 ipsec ...",
            "udp" | "tcp" | "icmp" => "a step is of esp, ah or ipcomp: ESP in UDP is esp, too",
            _ => return None,
        });
    }
    None
}

/// Returns whether the error is an `any` or `me` without the other word, so that the place to report is the word before.
pub(super) fn is_half_any(expected: &[Rule]) -> bool {
    let expects = |rule| expected.contains(&rule);
    (expects(Rule::me) || expects(Rule::any)) && !expects(Rule::address) && !expects(Rule::endpoints)
}

/// Returns the hint for an error in the ends of a tunnel.
fn for_endpoint(rest: &str, token: &str, expects: &dyn Fn(&[Rule]) -> bool) -> Option<&'static str> {
    const BOTH: &str = "a tunnel needs the addresses of both ends; any-me and me-any are for transport mode";
    if expects(&[Rule::me, Rule::any]) && !expects(&[Rule::address]) {
        return Some(BOTH);
    }
    if expects(&[Rule::address, Rule::endpoints]) {
        return Some(match token {
            "any" | "me" | "%" | "*" => BOTH,
            "default" | "use" | "require" | "unique" => {
                "the level follows a second slash where there are no addresses: esp/transport//require"
            }
            _ if token.starts_with('[') => "an IPv6 address stands without brackets: those hold a port",
            _ => return None,
        });
    }
    if expects(&[Rule::hyphen]) && token == "/" {
        let behind = rest.get(1..).unwrap_or_default();
        let end = behind.find(|c: char| !(c.is_ascii_alphanumeric() || ":.".contains(c))).unwrap_or(behind.len());
        let is_length = behind.get(..end).is_some_and(|word| word.parse::<u8>().is_ok());
        return Some(match is_length {
            true => "the ends of a tunnel are single addresses, without the length of a prefix",
            false => "a tunnel needs the addresses of both ends, with a `-` between them",
        });
    }
    None
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
