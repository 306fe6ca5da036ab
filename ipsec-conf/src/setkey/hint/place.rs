//! Hints for addresses, prefixes, ports and policies in the wrong place.

use std::net::Ipv4Addr;

use super::super::grammar::Rule;
use super::super::token::{Token, tokens};
use super::{Hint, is_protocol};
use libpfkey::algorithm::{AuthenticationWord, EncryptionWord};

const NO_COMMAS: &str = "words have blanks between them, and no commas";

/// A hint for `text` at `offset`, if it is an address, a prefix, a port or a policy that cannot stand there.
pub(super) fn hint(source: &str, offset: usize, text: &str, expected: &[Rule]) -> Option<Hint> {
    let written = source.get(..offset).unwrap_or_default();
    let before = tokens(written).map(|(_, token): (_, Token<'_>)| token.source()).collect();
    let place = Place { text, before, expected };
    // Punctuation is wrong there whatever was expected, so these hints come before those for operands.
    if let Some(hint) = place.for_punctuation(written) {
        return Some(hint);
    }
    if place.expects(&[Rule::policy, Rule::policy_flag]) && is_policy(text) {
        return Some("a policy follows -P: -P in, -P out or -P fwd, then what to do".into());
    }
    if text.starts_with('"') {
        return place.for_quoted();
    }
    let host = place.expects_host().then(|| for_host(text, &place.before, place.is_spd())).flatten();
    host.or_else(|| for_algorithm(text, expected))
        .or_else(|| for_number(place.last(), expected))
        .or_else(|| place.for_slash_or_bracket())
        .or_else(|| match place.expects(&[Rule::prefix]) {
            true => for_prefix(text),
            false => place.for_port().or_else(|| place.for_operand()),
        })
}

/// A word where it cannot stand.
struct Place<'s> {
    text: &'s str,
    /// The tokens of the statement before it.
    before: Vec<&'s str>,
    /// What could have stood there.
    expected: &'s [Rule],
}

impl Place<'_> {
    fn expects(&self, rules: &[Rule]) -> bool {
        self.expected.iter().any(|rule| rules.contains(rule))
    }

    fn expects_host(&self) -> bool {
        self.expects(&[Rule::word, Rule::endpoint, Rule::range])
    }

    fn verb(&self) -> &str {
        self.before.first().copied().unwrap_or_default()
    }

    fn last(&self) -> &str {
        self.before.last().copied().unwrap_or_default()
    }

    fn is_spd(&self) -> bool {
        self.verb().starts_with("spd")
    }

    /// `written`: the statement before the word.
    fn for_punctuation(&self, written: &str) -> Option<Hint> {
        if self.text == ";" && self.before.is_empty() {
            return Some("a `;` without a statement before it".into());
        }
        if self.text == "]" && self.last() == "[" {
            return Some("any port is written `any`".into());
        }
        if !self.text.starts_with(',') {
            return None;
        }
        Some(match self.before.contains(&"-P") {
            true if ends_step(written.trim_end()) => {
                "the steps of a policy have blanks between them, and no commas".into()
            }
            true => "the two addresses of a tunnel have a `-` between them".into(),
            false => NO_COMMAS.into(),
        })
    }

    fn for_quoted(&self) -> Option<Hint> {
        if self.before.contains(&"-P") {
            return Some("the policy behind -P stands without quotes".into());
        }
        self.expects_host().then_some("hosts stand without quotes".into())
    }

    fn for_slash_or_bracket(&self) -> Option<Hint> {
        Some(match self.text {
            "/" if self.is_spd() && self.last() == "]" => {
                "the prefix length goes before the port: ADDRESS/LENGTH[PORT]".into()
            }
            "/" if !self.is_spd() && self.before.len() > 1 && !self.expects(&[Rule::value, Rule::mark]) => {
                "SAs are between two hosts: no prefix length goes with them".into()
            }
            "[" if self.verb() == "deleteall" => "deleteall takes no ports".into(),
            "[" if self.expects(&[Rule::spi]) => "a port goes directly behind its host".into(),
            _ => return None,
        })
    }

    fn for_port(&self) -> Option<Hint> {
        let (text, last) = (self.text, self.last());
        let is_range = (last == "[" && text.contains([':', ',', '-']))
            || (self.expects(&[Rule::close]) && (text.contains([':', ',']) || text == "-"));
        is_range.then_some("a port is one number, one name or `any`: no range".into())
    }

    fn for_operand(&self) -> Option<Hint> {
        let (text, last, is_spd) = (self.text, self.last(), self.is_spd());
        let expects_option = self.expects(&[Rule::counter_flag, Rule::mode_flag]);
        Some(match text {
            // These words are keywords wherever they stand, so that the grammar takes none of them for an upper-layer protocol.
            "ah" | "esp" | "ipcomp" if is_spd && self.expects(&[Rule::upper_name]) => {
                let number = match text {
                    "ah" => 51,
                    "esp" => 50,
                    _ => 108,
                };
                format!("as an upper-layer protocol {text} is written by its number, {number}").into()
            }
            _ if is_spd
                && self.expects(&[Rule::policy_flag])
                && is_port_protocol(last)
                && (is_port(text) || text == "/") =>
            {
                "a port stands in brackets behind its address: ADDRESS[PORT]".into()
            }
            _ if self.expects(&[Rule::misc])
                && matches!(last, "icmp" | "icmp6" | "ipv6-icmp" | "1" | "58")
                && is_port(text) =>
            {
                super::for_upper_spec(if last.contains('6') || last == "58" { 58 } else { 1 }).into()
            }
            _ if is_protocol(text) && self.before.len() > 3 && expects_option => {
                "the protocol goes before the SPI: SRC DST PROTOCOL SPI".into()
            }
            // After `-m tunnel`, users of ip(8) write the ends of the tunnel.
            _ if last == "tunnel" && text.contains('.') => {
                "the ends of an SA's tunnel are the two addresses it begins with".into()
            }
            _ if matches!(self.verb(), "flush" | "dump")
                && (text == "-P" || text.starts_with("polic") || text.starts_with("spd")) =>
            {
                format!("for policies there is `spd{}`", self.verb()).into()
            }
            _ if expects_option && matches!(last, "50" | "51" | "108") => {
                "the protocol is a word: esp, ah or ipcomp".into()
            }
            _ => return None,
        })
    }
}

fn is_policy(word: &str) -> bool {
    matches!(word, "in" | "out" | "fwd" | "ipsec" | "none" | "discard" | "bypass" | "entrust")
}

/// A hint for a word in place of a host. `before`: the words of the statement so far.
fn for_host(text: &str, before: &[&str], is_spd: bool) -> Option<Hint> {
    if text == "[" {
        return Some("an IPv6 address stands without brackets: those hold a port".into());
    }
    if text == "/" && !is_spd && before.len() > 1 {
        return Some("SAs are between two hosts: no prefix length goes with them".into());
    }
    // A numeric address, as opposed to flags and the words of the statement.
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
