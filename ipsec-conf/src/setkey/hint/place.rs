//! Hints for addresses, prefixes, ports and policies in the wrong place.

use std::net::Ipv4Addr;

use super::super::grammar::Rule;
use super::super::token::{Token, tokens};
use super::{Hint, is_protocol};
use libpfkey::algorithm::{AuthenticationWord, EncryptionWord};

const NO_COMMAS: &str = "words have blanks between them, and no commas";

/// A hint for `text` at `offset`, if it is an address, a prefix, a port or a policy that cannot stand there.
pub(super) fn hint(source: &str, offset: usize, text: &str, expected: &[Rule]) -> Option<Hint> {
    let before: Vec<&str> =
        tokens(source.get(..offset).unwrap_or_default()).map(|(_, token): (_, Token<'_>)| token.source()).collect();
    let verb = before.first().copied().unwrap_or_default();
    let last = before.last().copied().unwrap_or_default();
    let expects = |rules: &[Rule]| expected.iter().any(|rule| rules.contains(rule));
    let is_spd = verb.starts_with("spd");
    let is_policy = matches!(text, "in" | "out" | "fwd" | "ipsec" | "none" | "discard" | "bypass" | "entrust");

    if text == ";" && before.is_empty() {
        return Some("a `;` without a statement before it".into());
    }
    if text == "]" && last == "[" {
        return Some("any port is written `any`".into());
    }
    if text.starts_with(',') {
        let written = source.get(..offset).unwrap_or_default().trim_end();
        return Some(match before.contains(&"-P") {
            true if ends_step(written) => "the steps of a policy have blanks between them, and no commas".into(),
            true => "the two addresses of a tunnel have a `-` between them".into(),
            false => NO_COMMAS.into(),
        });
    }
    if expects(&[Rule::policy, Rule::policy_flag]) && is_policy {
        return Some("a policy follows -P: -P in, -P out or -P fwd, then what to do".into());
    }
    if text.starts_with('"') {
        if before.contains(&"-P") {
            return Some("the policy behind -P stands without quotes".into());
        }
        return expects(&[Rule::word, Rule::endpoint, Rule::range]).then_some("hosts stand without quotes".into());
    }
    if expects(&[Rule::word, Rule::endpoint, Rule::range])
        && let Some(hint) = for_host(text, &before, is_spd)
    {
        return Some(hint);
    }
    if let Some(hint) = for_algorithm(text, expected).or_else(|| for_number(last, expected)) {
        return Some(hint);
    }
    match text {
        "/" if is_spd && last == "]" => Some("the prefix length goes before the port: ADDRESS/LENGTH[PORT]".into()),
        "/" if !is_spd && before.len() > 1 && !expects(&[Rule::value, Rule::mark]) => {
            Some("SAs are between two hosts: no prefix length goes with them".into())
        }
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
        _ if is_spd && expects(&[Rule::policy_flag]) && is_port_protocol(last) && (is_port(text) || text == "/") => {
            Some("a port stands in brackets behind its address: ADDRESS[PORT]".into())
        }
        _ if expects(&[Rule::misc]) && matches!(last, "icmp" | "icmp6" | "ipv6-icmp" | "1" | "58") && is_port(text) => {
            Some(super::for_upper_spec(if last.contains('6') || last == "58" { 58 } else { 1 }).into())
        }
        _ if is_protocol(text) && before.len() > 3 && expects(&[Rule::counter_flag, Rule::mode_flag]) => {
            Some("the protocol goes before the SPI: SRC DST PROTOCOL SPI".into())
        }
        _ if last == "tunnel" && text.contains('.') => {
            Some("the ends of an SA's tunnel are the two addresses it begins with".into())
        }
        _ if matches!(verb, "flush" | "dump")
            && (text == "-P" || text.starts_with("polic") || text.starts_with("spd")) =>
        {
            Some(format!("for policies there is `spd{verb}`").into())
        }
        _ if expects(&[Rule::counter_flag, Rule::mode_flag]) && matches!(last, "50" | "51" | "108") => {
            Some("the protocol is a word: esp, ah or ipcomp".into())
        }
        _ => None,
    }
}

/// A hint for a word in place of a host. `before`: the words of the statement so far.
fn for_host(text: &str, before: &[&str], is_spd: bool) -> Option<Hint> {
    if text == "[" {
        return Some("an IPv6 address stands without brackets: those hold a port".into());
    }
    if text == "/" && !is_spd && before.len() > 1 {
        return Some("SAs are between two hosts: no prefix length goes with them".into());
    }
    let has_source = before.iter().any(|word| word.contains(['.', ':']));
    let is_behind = is_protocol(text) || matches!(text, "any" | "tcp") || text.starts_with("-");
    if has_source && is_behind && before.last().is_some_and(|word| word.contains('-')) {
        return Some("source and destination have a blank between them, and no `-`".into());
    }
    if has_source && is_behind {
        let policy = "the destination is missing; any address is written 0.0.0.0/0, or ::/0";
        return Some(if is_spd { policy } else { "the destination is missing: SRC DST PROTOCOL SPI" }.into());
    }
    let is_any = matches!(text, "any" | "0" | "all" | "default");
    if is_any && is_spd {
        return Some("any address is written 0.0.0.0/0, or ::/0 for IPv6".into());
    }
    if is_any {
        return Some("an SA is between two hosts: both addresses are needed".into());
    }
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some("a host is an address or a name, not a number".into())
}

/// A hint for the name of an algorithm without `-E` or `-A`.
fn for_algorithm(text: &str, expected: &[Rule]) -> Option<Hint> {
    let expects = |rules: &[Rule]| expected.iter().any(|rule| rules.contains(rule));
    if expects(&[Rule::encryption, Rule::encryption_flag]) && EncryptionWord::from_name(text).is_some() {
        return Some(format!("the option is missing: -E {text}").into());
    }
    let is_hash = expects(&[Rule::authentication, Rule::authentication_flag]);
    (is_hash && AuthenticationWord::from_name(text).is_some())
        .then(|| format!("the option is missing: -A {text}").into())
}

/// A hint for a word in place of an option's number.
fn for_number(option: &str, expected: &[Rule]) -> Option<Hint> {
    let wants_decimal = expected.contains(&Rule::number) && !expected.contains(&Rule::hex);
    Some(match option {
        "-lh" | "-ls" if wants_decimal => "a limit of time is a decimal number of seconds".into(),
        "-bh" | "-bs" if wants_decimal => "a limit of bytes is a decimal number, without a unit".into(),
        "-ph" | "-ps" | "-r" | "-u" if wants_decimal => format!("{option} takes a decimal number").into(),
        _ => return None,
    })
}

/// A hint for a netmask, or another word, in place of a prefix length.
fn for_prefix(text: &str) -> Option<Hint> {
    let mask: Ipv4Addr = text.parse().ok()?;
    let bits = u32::from(mask);
    Some(if bits.leading_ones() + bits.trailing_zeros() == 32 || bits == 0 {
        format!("a netmask is written as the length of the prefix: /{}", bits.leading_ones()).into()
    } else {
        "a prefix is written as its length, such as /24".into()
    })
}

/// Whether a policy's text ends with the level of a step.
fn ends_step(text: &str) -> bool {
    let word = text.rsplit(['/', ' ', '\t', '\n']).next().unwrap_or_default();
    matches!(word, "default" | "use" | "require" | "unique") || word.starts_with("unique:")
}

fn is_port_protocol(word: &str) -> bool {
    matches!(word, "tcp" | "udp" | "sctp" | "dccp" | "udplite" | "TCP" | "UDP" | "SCTP" | "6" | "17" | "132")
}

fn is_port(word: &str) -> bool {
    word.parse::<u16>().is_ok()
}
