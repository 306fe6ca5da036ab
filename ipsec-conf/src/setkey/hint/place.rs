//! Words that are right somewhere else: addresses, prefixes, ports and policies out of their places.

use std::net::Ipv4Addr;

use super::super::grammar::Rule;
use super::super::token::{Token, tokens};
use super::Hint;

/// A hint for `text` at `offset`, if it is an address, a prefix, a port or a policy that cannot stand there.
pub(super) fn hint(source: &str, offset: usize, text: &str, expected: &[Rule]) -> Option<Hint> {
    let before: Vec<&str> =
        tokens(source.get(..offset).unwrap_or_default()).map(|(_, token): (_, Token<'_>)| token.source()).collect();
    let verb = before.first().copied().unwrap_or_default();
    let last = before.last().copied().unwrap_or_default();
    let expects = |rules: &[Rule]| expected.iter().any(|rule| rules.contains(rule));
    let is_spd = verb.starts_with("spd");
    let is_policy = matches!(text, "in" | "out" | "fwd" | "ipsec" | "none" | "discard" | "bypass" | "entrust");
    let rest = source.get(offset..).unwrap_or_default();

    if text == "]" && last == "[" {
        return Some("any port is written `any`".into());
    }
    if expects(&[Rule::policy, Rule::policy_flag]) && is_policy {
        return Some("a policy follows -P: -P in, -P out or -P fwd, then what to do".into());
    }
    if text.starts_with('"') {
        if last == "-P" {
            return Some("the policy behind -P stands without quotes".into());
        }
        return expects(&[Rule::word, Rule::endpoint, Rule::range]).then_some("hosts stand without quotes".into());
    }
    if expects(&[Rule::word, Rule::endpoint, Rule::range])
        && let Some(hint) = for_host(text, rest, is_spd)
    {
        return Some(hint);
    }
    match text {
        "/" if is_spd && last == "]" => Some("the prefix length goes before the port: ADDRESS/LENGTH[PORT]".into()),
        "/" if !is_spd && before.len() > 1 => Some("SAs are between two hosts: no prefix length goes with them".into()),
        "[" if verb == "deleteall" => Some("deleteall takes no ports".into()),
        "[" if expects(&[Rule::spi]) => Some("a port goes directly behind its host".into()),
        _ if expects(&[Rule::prefix]) => for_prefix(text),
        _ if last == "[" && text.contains([':', ',', '-']) => {
            Some("a port is one number, one name or `any`: no range".into())
        }
        _ if expects(&[Rule::close]) && (text.contains([':', ',']) || text == "-") => {
            Some("a port is one number, one name or `any`: no range".into())
        }
        "ah" | "esp" | "ipcomp" if is_spd && expects(&[Rule::upper_name]) => {
            let number = match text {
                "ah" => 51,
                "esp" => 50,
                _ => 108,
            };
            Some(format!("as an upper-layer protocol {text} is written by its number, {number}").into())
        }
        _ if is_spd && expects(&[Rule::policy_flag]) && is_port_protocol(last) && is_port(text) => {
            Some("a port stands in brackets behind its address: ADDRESS[PORT]".into())
        }
        _ if expects(&[Rule::counter_flag, Rule::mode_flag]) && matches!(last, "50" | "51" | "108") => {
            Some("the protocol is a word: esp, ah or ipcomp".into())
        }
        _ => None,
    }
}

/// What is written where a host has to stand.
fn for_host(text: &str, rest: &str, is_spd: bool) -> Option<Hint> {
    if text == "[" {
        return Some("an IPv6 address stands without brackets: those hold a port".into());
    }
    let is_any = matches!(text, "any" | "0" | "all" | "default");
    if is_any && is_spd {
        return Some("any address is written 0.0.0.0/0, or ::/0 for IPv6".into());
    }
    if is_any {
        return Some("an SA is between two hosts: both addresses are needed".into());
    }
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && rest.starts_with(text)).then_some("a host is an address or a name, not a number".into())
}

/// A netmask in place of a prefix length, or no number at all.
fn for_prefix(text: &str) -> Option<Hint> {
    let mask: Ipv4Addr = text.parse().ok()?;
    let bits = u32::from(mask);
    Some(if bits.leading_ones() + bits.trailing_zeros() == 32 || bits == 0 {
        format!("a netmask is written as the length of the prefix: /{}", bits.leading_ones()).into()
    } else {
        "a prefix is written as its length, such as /24".into()
    })
}

fn is_port_protocol(word: &str) -> bool {
    matches!(word, "tcp" | "udp" | "sctp" | "dccp" | "udplite" | "TCP" | "UDP" | "SCTP" | "6" | "17" | "132")
}

fn is_port(word: &str) -> bool {
    word.parse::<u16>().is_ok()
}
