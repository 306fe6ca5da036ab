//! Hints for wrong statements: guesses at what the author meant.

mod algorithm;
mod foreign;
mod place;

use std::borrow::Cow;

use super::grammar::Rule;
use super::token::{Token, skip_blanks, tokens};
use crate::characters;
use libpfkey::algorithm::{AuthenticationWord, CompressionWord, EncryptionWord};
use libpfkey::spelling;

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

/// A hint for the token at `offset`, where one of `expected` was required. `first_line`: whether the statement begins on the
/// first line of the input.
pub(super) fn for_syntax_error(
    (source, first_line): (&str, bool),
    offset: usize,
    token: Token<'_>,
    expected: &[Rule],
) -> Option<Hint> {
    let text = match token {
        Token::End => return Some("the `;` that ends the statement is missing".into()),
        Token::Illegal(text) => return for_illegal((source, first_line), offset, text),
        Token::Quoted(text) | Token::Plain(text) => text,
    };
    let rest = source.get(offset..).unwrap_or_default();
    if source.contains('\0') {
        return Some("the file has NUL bytes: if it is in UTF-16, save it as UTF-8".into());
    }
    // A word ends at the first character that the language does not have, which is the cause then.
    let behind = rest.get(text.len()..).unwrap_or_default();
    if behind.starts_with(|c: char| !c.is_ascii())
        && let Some(advice) = characters::advice(behind, false)
    {
        return Some(format!("it is followed by {advice}").into());
    }
    if rest.starts_with("//") || rest.starts_with("/*") {
        return Some("comments begin with `#`".into());
    }
    // Blanks and comments may precede the first word.
    let is_first = offset == skip_blanks(source, 0);
    if is_statement(text) && !is_first {
        return Some(cut_short(text));
    }
    if is_first && let Some(hint) = foreign::for_statement(text) {
        return Some(hint.into());
    }
    // From certain to vague: what follows only guesses, and the first answer is given.
    for_order(source, offset, text)
        .or_else(|| place::hint(source, offset, text, expected))
        .or_else(|| by_meaning(rest, expected))
        .or_else(|| foreign::for_label(text).map(Hint::from))
        .or_else(|| for_number(text, expected))
        .or_else(|| nearest(text, expected))
        .or_else(|| listing(expected))
}

/// A hint for the word of a statement in the wrong place.
pub(super) fn cut_short(word: &str) -> Hint {
    format!("`{word}` begins a statement: the one before it is cut short or lacks its `;`").into()
}

/// A hint for a specification that does not fit its upper-layer protocol.
pub(super) fn for_upper_spec(protocol: u8) -> &'static str {
    match protocol {
        47 => "the key of GRE is a number, or four of them with dots",
        135 => "the type of Mobility Header and 0 are two numbers with a comma: 5,0",
        58 => "type and code are two numbers with a comma: 128,0 for an echo request",
        _ => "type and code are two numbers with a comma: 8,0 for an echo request",
    }
}

/// A hint for a specification behind a protocol that takes none.
pub(super) fn for_unwanted_spec(text: &str) -> Option<&'static str> {
    foreign::for_label(text).or_else(|| {
        let is_direction = matches!(text, "in" | "out" | "fwd" | "ipsec" | "none" | "discard");
        is_direction.then_some("a policy follows -P: -P in, -P out or -P fwd, then what to do").or(Some(
            "ports stand in brackets after the addresses; only icmp, icmp6, gre and mh have anything after their names",
        ))
    })
}

/// Whether a word is a statement, a protocol, a mode or another word of the language, algorithms excepted.
pub(super) fn is_keyword(word: &str) -> bool {
    [&STATEMENTS[..], &PROTOCOLS, &MODES, &PADDINGS].iter().any(|words| words.contains(&word))
        || CompressionWord::from_name(word).is_some()
}

/// Whether a word begins statements.
pub(super) fn is_statement(word: &str) -> bool {
    STATEMENTS.contains(&word)
}

/// Whether a word begins statements, or may be a misspelling of one that does.
pub(super) fn is_like_statement(word: &str) -> bool {
    STATEMENTS.contains(&word) || spelling::guess(word, STATEMENTS).is_some()
}

/// Whether a word is the protocol of an SA.
pub(super) fn is_protocol(word: &str) -> bool {
    PROTOCOLS.contains(&word)
}

/// Whether a word may be a misspelt algorithm name, or another program's name for an algorithm.
pub(super) fn is_like_algorithm(word: &str) -> bool {
    let names = EncryptionWord::all().map(|word| word.name);
    let all = names.chain(AuthenticationWord::all().map(|word| word.name));
    algorithm::is_known(word) || spelling::guess(word, all).is_some()
}

/// The text up to the next blank, semicolon or quote: a word of another language may have any characters.
fn raw_word(rest: &str) -> &str {
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, ';' | '"' | '[')).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

fn for_illegal((source, first_line): (&str, bool), offset: usize, text: &str) -> Option<Hint> {
    let rest = source.get(offset..).unwrap_or_default();
    let before = source.get(..offset).unwrap_or_default();
    if let Some(advice) = characters::advice(rest, before.is_empty() && first_line) {
        return Some(advice);
    }
    let in_policy = tokens(before).any(|(_, token)| token == Token::Plain("-P"));
    Some(match text {
        "\"" if in_policy => "the policy behind -P stands without quotes".into(),
        "\"" => match characters::typographic_quote(rest) {
            Some(quote) => {
                format!("this quote is not closed: U+{:04X} behind it is a typographic one", u32::from(quote)).into()
            }
            None => "this quote is not closed".into(),
        },
        "'" | "`" => "not a quote in this language: write a plain \"".into(),
        "$" => "an unexpanded variable? setkey itself expands none".into(),
        "\\" if rest.starts_with("\\\r") => "the file has CR LF line ends: remove the CRs".into(),
        "\\" => "a backslash joins two lines only as the last character of the first".into(),
        "#" if before.ends_with("unique") => "the `unique#N` of a listing is written `unique:N`".into(),
        "#" => "no comment can stand in a policy, between -P and `;`".into(),
        "-" => return Some(for_option(raw_word(rest))),
        "*" if before.ends_with('[') => "any port is written `any`".into(),
        "*" => "any address is written 0.0.0.0/0 or ::/0, and any protocol or port `any`".into(),
        "%" => "any address is written 0.0.0.0/0, or ::/0 for IPv6".into(),
        "=" if before.ends_with("unique") => "the number of `unique` follows a colon: `unique:N`".into(),
        "=" => "an option and its value have a blank between them, and no `=`".into(),
        "{" | "}" => "this language has no braces: is the file for racoon or swanctl?".into(),
        "(" | ")" => "this language has no parentheses".into(),
        "<" | ">" | "|" | "&" => "a shell script? This is the language of setkey itself".into(),
        "!" => "this language cannot negate: write a policy for the exception".into(),
        "," if in_policy => "a statement has one policy, and the parts of a policy have blanks between them".into(),
        _ => return None,
    })
}

/// A hint for a word that begins with a dash and is not an option.
fn for_option(word: &str) -> Hint {
    if let Some(hint) = foreign::for_option(word) {
        return hint.into();
    }
    if word.starts_with("-") && word.get(1..).is_some_and(|digits| digits.starts_with(|c: char| c.is_ascii_digit())) {
        return "numbers cannot be negative, and a range has no blank before its `-`".into();
    }
    let single = word.trim_start_matches('-');
    if word.starts_with("--") && (single.is_empty() || word.starts_with("---")) {
        return "comments begin with `#`".into();
    }
    let guess = || spelling::guess(&format!("-{single}"), OPTIONS).filter(|_| single.len() > 2);
    let equal = OPTIONS.iter().find(|option| option.eq_ignore_ascii_case(&format!("-{single}")));
    match equal.map(|option| format!("did you mean `{option}`?")).or_else(guess) {
        Some(hint) => hint.into(),
        None => "no such option".into(),
    }
}

/// A hint for words of other programs, and for options and algorithms in the wrong order.
fn for_order(source: &str, offset: usize, text: &str) -> Option<Hint> {
    let before = source.get(..offset).unwrap_or_default();
    let flag_before = |flag: &str| tokens(before).any(|(_, token)| token == Token::Plain(flag));
    match text {
        "setkey" | "EOF" => Some("a shell script? This is the language of setkey itself".into()),
        "-E" if flag_before("-E") => Some("-E was given already".into()),
        "-E" if flag_before("-A") => Some("-E goes before -A".into()),
        "-A" if flag_before("-A") => Some("-A was given already".into()),
        _ if OPTIONS.contains(&text) && (flag_before("-E") || flag_before("-A")) => {
            Some(format!("{text} goes before -E and -A").into())
        }
        _ => None,
    }
}

/// A hint for hex digits without `0x`, and for wrong digits.
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

/// Returns the keyword with the meaning of another program's word.
fn by_meaning(rest: &str, expected: &[Rule]) -> Option<Hint> {
    let word = raw_word(rest);
    let expects = |rules: &[Rule]| expected.iter().any(|rule| rules.contains(rule));
    let lower = word.to_ascii_lowercase();
    let hint = |text: &str| Some(Hint::from(text.to_owned()));
    if expects(&[Rule::cipher, Rule::keyless_cipher]) {
        return algorithm::for_cipher(word).map(Hint::from);
    }
    if expects(&[Rule::hash, Rule::keyless_hash]) {
        return algorithm::for_hash(word).map(Hint::from);
    }
    if expects(&[Rule::simple_protocol, Rule::esp_udp]) {
        return match lower.as_str() {
            "comp" | "ipcomp4" | "compression" => hint("did you mean `ipcomp`?"),
            "udp" | "espudp" | "esp_udp" | "esp-in-udp" | "udp-encap" | "esp/udp" => {
                hint("did you mean `esp-udp`? An SA is of ah, esp, esp-udp or ipcomp")
            }
            "tcpmd5" | "tcp-md5" | "md5" => hint("did you mean `tcp`?"),
            "any" | "all" if expects(&[Rule::end]) => hint("without a protocol it is for all of them"),
            "any" | "all" | "ipsec" | "icmp" | "ip" => hint("an SA is of ah, esp, esp-udp or ipcomp"),
            "transport" | "tunnel" => hint("the mode follows -m, after the SPI"),
            _ => None,
        };
    }
    if expects(&[Rule::compression_name]) {
        return match lower.as_str() {
            "gzip" | "zip" | "zlib" | "inflate" => hint("did you mean `deflate`?"),
            "lz" | "lzjh" | "lz77" => hint("did you mean `lzs`?"),
            _ => None,
        };
    }
    if expects(&[Rule::mode_word]) && matches!(lower.as_str(), "beet" | "ro" | "trigger" | "none" | "0") {
        return hint("an SA's mode is transport, tunnel or any");
    }
    None
}

/// Guesses which of the possible keywords `text` was meant to be.
fn nearest(text: &str, expected: &[Rule]) -> Option<Hint> {
    let mut words: Vec<&str> = Vec::new();
    for rule in expected {
        match rule {
            Rule::keyed_verb => words.extend(STATEMENTS),
            Rule::simple_protocol | Rule::esp_udp => words.extend(PROTOCOLS),
            Rule::encryption | Rule::cipher | Rule::keyless_cipher => {
                words.extend(EncryptionWord::all().map(|word| word.name));
            }
            Rule::authentication | Rule::hash | Rule::keyless_hash => {
                words.extend(AuthenticationWord::all().map(|word| word.name));
            }
            Rule::mode_word => words.extend(MODES),
            Rule::padding_word => words.extend(PADDINGS),
            Rule::compression_name => words.extend(CompressionWord::all().map(|word| word.name)),
            _ => {}
        }
    }
    spelling::guess(text, words).map(Hint::from)
}

/// Describes what may stand there.
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
