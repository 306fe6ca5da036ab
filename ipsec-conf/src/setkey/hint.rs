//! Guesses at what the author of a wrong statement meant.

use std::borrow::Cow;

use super::ast::{Authentication, Encryption};
use super::grammar::Rule;
use super::token::{Token, skip_blanks, tokens};
use crate::spelling;

type Hint = Cow<'static, str>;

const STATEMENTS: [&str; 16] = [
    "add",
    "bye",
    "delete",
    "deleteall",
    "dump",
    "exit",
    "flush",
    "get",
    "getspi",
    "quit",
    "spdadd",
    "spddelete",
    "spddump",
    "spdflush",
    "spdupdate",
    "update",
];
const PROTOCOLS: [&str; 7] = ["ah", "ah-old", "esp", "esp-old", "esp-udp", "ipcomp", "tcp"];
const MODES: [&str; 3] = ["any", "transport", "tunnel"];
const PADDINGS: [&str; 4] = ["nocyclic-seq", "random-pad", "seq-pad", "zero-pad"];
const COMPRESSIONS: [&str; 3] = ["deflate", "lzs", "oui"];
const OPTIONS: [&str; 17] = [
    "-bh",
    "-bs",
    "-ctx",
    "-esn",
    "-f",
    "-if-id",
    "-lh",
    "-ls",
    "-m",
    "-mark",
    "-natt",
    "-offload",
    "-output-mark",
    "-ph",
    "-ps",
    "-r",
    "-u",
];

/// A hint for the token at `offset`, where one of `expected` was to stand.
pub(super) fn for_syntax_error(source: &str, offset: usize, token: Token<'_>, expected: &[Rule]) -> Option<Hint> {
    let text = match token {
        Token::End => return Some("the `;` that ends the statement is missing".into()),
        Token::Illegal(text) => return for_illegal(text),
        Token::Quoted(text) | Token::Plain(text) => text,
    };
    if STATEMENTS.contains(&text) && offset != skip_blanks(source, 0) {
        return Some(format!("`{text}` begins a statement: the one before it is cut short or lacks its `;`").into());
    }
    for_order(source, offset, text)
        .or_else(|| for_number(text, expected))
        .or_else(|| nearest(text, expected))
        .or_else(|| listing(expected))
}

/// Whether a word is a statement, a protocol, a mode or another word of the language, algorithms excepted.
pub(super) fn is_keyword(word: &str) -> bool {
    [&STATEMENTS[..], &PROTOCOLS, &MODES, &PADDINGS, &COMPRESSIONS].iter().any(|words| words.contains(&word))
}

/// Whether a word begins statements.
pub(super) fn is_statement(word: &str) -> bool {
    STATEMENTS.contains(&word)
}

/// Whether a word begins statements, or could be a misspelt one that does.
pub(super) fn is_like_statement(word: &str) -> bool {
    STATEMENTS.contains(&word) || spelling::guess(word, STATEMENTS).is_some()
}

/// Whether a word is the protocol of an SA.
pub(super) fn is_protocol(word: &str) -> bool {
    PROTOCOLS.contains(&word)
}

/// Whether a word could be the misspelt name of an algorithm.
pub(super) fn is_like_algorithm(word: &str) -> bool {
    let names = Encryption::NAMES.iter().map(|(name, _)| *name);
    spelling::guess(word, names.chain(Authentication::NAMES.iter().map(|(name, _)| *name))).is_some()
}

fn for_illegal(text: &str) -> Option<Hint> {
    Some(match text {
        "\"" => "this quote is not closed".into(),
        "$" => "an unexpanded variable? setkey itself expands none".into(),
        "\\" => "a backslash joins two lines only as the last character of the first".into(),
        "\r" => "the file has CR LF line ends: remove the CRs".into(),
        "-" => "no such option".into(),
        _ => return None,
    })
}

/// Words of other programs, and options and algorithms in the wrong order.
fn for_order(source: &str, offset: usize, text: &str) -> Option<Hint> {
    let before = source.get(..offset).unwrap_or_default();
    let flag_before = |flag: &str| tokens(before).any(|(_, token)| token == Token::Plain(flag));
    match text {
        "auth" => Some("the authentication algorithm follows -A".into()),
        "setkey" | "EOF" => Some("a shell script? This is the language of setkey itself".into()),
        "enc" => Some("the encryption algorithm follows -E".into()),
        "-E" if flag_before("-E") => Some("-E was given already".into()),
        "-E" if flag_before("-A") => Some("-E goes before -A".into()),
        "-A" if flag_before("-A") => Some("-A was given already".into()),
        _ if OPTIONS.contains(&text) && (flag_before("-E") || flag_before("-A")) => {
            Some(format!("{text} goes before -E and -A").into())
        }
        _ => None,
    }
}

/// Hex digits without `0x`, or wrong ones.
fn for_number(text: &str, expected: &[Rule]) -> Option<Hint> {
    if !expected.iter().any(|rule| matches!(rule, Rule::hex | Rule::key | Rule::quoted | Rule::spi)) {
        return None;
    }
    if text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some("hex digits need 0x before them".into());
    }
    if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return match digits.chars().position(|digit| !digit.is_ascii_hexdigit()) {
            Some(at) => Some(format!("character {} after 0x is no hex digit", at + 1).into()),
            None => Some("hex digits must follow 0x".into()),
        };
    }
    expected
        .iter()
        .any(|rule| matches!(rule, Rule::quoted))
        .then_some("a key is \"quoted\" or 0x and hex digits".into())
}

/// The keyword that `text` is most like, of those that may stand there.
fn nearest(text: &str, expected: &[Rule]) -> Option<Hint> {
    let mut words: Vec<&str> = Vec::new();
    for rule in expected {
        match rule {
            Rule::keyed_verb => words.extend(STATEMENTS),
            Rule::simple_protocol | Rule::esp_udp => words.extend(PROTOCOLS),
            Rule::encryption | Rule::cipher | Rule::keyless_cipher => {
                words.extend(Encryption::NAMES.iter().map(|(name, _)| name));
            }
            Rule::authentication | Rule::hash | Rule::keyless_hash => {
                words.extend(Authentication::NAMES.iter().map(|(name, _)| name));
            }
            Rule::mode_word => words.extend(MODES),
            Rule::padding_word => words.extend(PADDINGS),
            Rule::compression_name => words.extend(COMPRESSIONS),
            _ => {}
        }
    }
    spelling::guess(text, words).map(Hint::from)
}

/// What may stand there, in words.
fn listing(expected: &[Rule]) -> Option<Hint> {
    let mut nouns: Vec<&str> = expected.iter().filter_map(|rule| noun(*rule)).collect();
    // Optional punctuation is named only where nothing else may stand.
    if nouns.iter().any(|noun| !noun.starts_with('`')) {
        nouns.retain(|noun| !noun.starts_with('`') || *noun == "`;`");
    }
    nouns.sort_unstable();
    nouns.dedup();
    (!nouns.is_empty()).then(|| format!("expected {}", spelling::either(&nouns)).into())
}

fn noun(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::keyed_verb | Rule::keyed | Rule::spd => "a statement",
        Rule::word | Rule::endpoint | Rule::range | Rule::natt_end => "a host",
        Rule::simple_protocol | Rule::esp_udp => "a protocol",
        Rule::spi => "an SPI",
        Rule::hex | Rule::number | Rule::counter | Rule::prefix => "a number",
        Rule::quoted | Rule::key => "a quoted string",
        Rule::encryption | Rule::encryption_flag => "-E",
        Rule::authentication | Rule::authentication_flag => "-A",
        Rule::compression | Rule::compression_flag => "-C",
        Rule::cipher | Rule::keyless_cipher => "an encryption algorithm",
        Rule::hash | Rule::keyless_hash => "an authentication algorithm",
        Rule::compression_name => "a compression algorithm",
        Rule::upper_name | Rule::protocol_number => "an upper-layer protocol",
        Rule::misc => "TYPE,CODE",
        Rule::policy | Rule::policy_flag => "-P and a policy",
        Rule::policy_text => "a policy",
        Rule::mode_word => "transport, tunnel, any",
        Rule::end => "`;`",
        Rule::open => "`[`",
        Rule::close => "`]`",
        Rule::slash => "`/`",
        Rule::port => "`[`",
        _ => return None,
    })
}
