//! Finds the parts of a statement that are keys or may be, which no error shows.

use std::net::{IpAddr, Ipv4Addr};

use super::hint;
use super::token::{Token, skip_blanks, tokens};
use crate::excerpt::Secrets;
use libpfkey::algorithm::{AuthenticationWord, EncryptionWord};

/// Hex digits of the largest SPI. A longer string of hex digits may be a key.
const SPI_DIGITS: usize = 8;
/// Decimal digits of the largest SPI.
const SPI_DECIMAL: usize = 10;
/// Digits of a number that is shown behind a key.
const SMALL: usize = 5;
/// Characters from which a word of mixed letters and digits may be a key.
const LONG: usize = 16;

/// Words that are shown wherever they stand, beside those of [`hint`] and the names of algorithms.
const WORDS: [&str; 5] = ["tagged", "crypto", "packet", "auth", "enc"];

/// How much of a statement is known not to be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// Before any sign of a key: ordinary words are shown.
    Open,
    /// Behind `-E` or `-A`, at the algorithm's name.
    Name,
    /// Behind the name: a key.
    Key,
    /// Behind a key, or behind a quote that may be unmatched: only keywords are shown.
    Guarded,
}

/// Returns the spans of a statement that are keys or may be. `doubtful`: an earlier quote of the input may be unmatched, so
/// that keys may stand in place of statements.
pub(crate) fn secrets_of(text: &str, doubtful: bool) -> Secrets {
    let mut scan = Scan::new(text, doubtful);
    // A byte order mark (three characters, widened) is not a word.
    let mark = text.chars().take_while(|c| "\u{ef}\u{bb}\u{bf}".contains(*c)).count();
    for (start, token) in tokens(text).skip(mark) {
        if token == Token::Illegal("\"") {
            // After an open quote, everything may be a key.
            scan.comments(start);
            scan.spans.push((start + 1, text.len()));
            return Secrets(scan.spans);
        }
        scan.take(start, token);
    }
    scan.comments(text.len());
    Secrets(scan.spans)
}

/// The tokens of a statement so far.
struct Scan<'s> {
    text: &'s str,
    spans: Vec<(usize, usize)>,
    trust: Trust,
    doubtful: bool,
    /// Whether no token has been read.
    is_first: bool,
    before_policy: bool,
    first: &'s str,
    /// The last tokens, the latest first.
    last: [&'s str; 2],
    /// Tokens since `-ctx`, whose label stands in quotes.
    since_label: usize,
    end_of_last: usize,
    /// In a doubtful text, words are shown only if it begins like a statement.
    begins: bool,
}

impl<'s> Scan<'s> {
    fn new(text: &'s str, doubtful: bool) -> Self {
        Self {
            text,
            spans: Vec::new(),
            trust: if doubtful { Trust::Guarded } else { Trust::Open },
            doubtful,
            is_first: true,
            before_policy: true,
            first: "",
            last: ["", ""],
            since_label: usize::MAX,
            end_of_last: 0,
            begins: !doubtful,
        }
    }

    /// Records the comments between the last token and an offset: each may be an old key, or the part of a key behind a `#`.
    fn comments(&mut self, to: usize) {
        self.spans.extend(comments(self.text, self.end_of_last, to));
    }

    fn take(&mut self, start: usize, token: Token<'s>) {
        self.comments(start);
        let source = token.source();
        // Punctuation in a key ends no key.
        let continues = source != ";" && self.spans.last().is_some_and(|(_, end)| *end == start);
        self.end_of_last = start + source.len();
        if self.doubtful && (self.is_first || self.last[0] == ";") {
            self.begins = hint::is_statement(source);
        }
        let is_secret = self.is_secret(token, continues);
        if is_secret {
            self.spans.push((start, self.end_of_last));
        }
        self.before_policy &= source != "-P";
        if self.is_first {
            self.first = source;
        }
        self.last = [source, self.last[0]];
        self.since_label = if source == "-ctx" { 0 } else { self.since_label.saturating_add(1) };
        self.trust = self.trust_after(token, is_secret);
        self.is_first = false;
    }

    /// Whether a token is a key or may be. `continues`: it follows one without a blank.
    fn is_secret(&self, token: Token<'_>, continues: bool) -> bool {
        let source = token.source();
        match token {
            Token::Quoted(_) if self.trust == Trust::Open && self.before_policy => {
                !(self.since_label <= 2 || is_address(source))
            }
            Token::Quoted(_) => self.trust != Trust::Open,
            Token::Illegal(_) => matches!(self.trust, Trust::Key | Trust::Guarded),
            _ if continues => true,
            _ if !self.begins => source != ";",
            _ => match self.trust {
                // Behind an SPI the option and the algorithm's name may be missing.
                Trust::Open
                    if matches!(self.first, "add" | "update") && is_spi(self.last) && !is_behind_spi(source) =>
                {
                    true
                }
                Trust::Open => is_long(source, self.is_first, self.before_policy),
                Trust::Name => !is_word(source) && !is_name(self.text, self.end_of_last, source),
                Trust::Key => !is_structure(source),
                // A number is an operand of the word before it, or a part of a key with blanks.
                Trust::Guarded if is_small(source) => !is_word(self.last[0]),
                Trust::Guarded => !is_word(source) && source.parse::<Ipv4Addr>().is_err(),
            },
        }
    }

    /// Returns the trust in what follows a token.
    fn trust_after(&self, token: Token<'_>, is_secret: bool) -> Trust {
        match (self.trust, token) {
            (_, Token::Plain("-E" | "-A" | "auth" | "enc")) => Trust::Name,
            (Trust::Name, Token::Quoted(_) | Token::Plain("null" | "simple")) => Trust::Guarded,
            (Trust::Name, _) => Trust::Key,
            (Trust::Open, Token::Plain(word)) if is_algorithm(word) => Trust::Key,
            // Another file, such as one of pre-shared keys.
            (Trust::Open, Token::Plain(word) | Token::Illegal(word))
                if self.is_first && !hint::is_like_statement(word) =>
            {
                Trust::Guarded
            }
            (Trust::Open, Token::Plain(_) | Token::Illegal(_) | Token::End) => Trust::Open,
            (Trust::Open, Token::Quoted(_)) if !is_secret => Trust::Open,
            _ => Trust::Guarded,
        }
    }
}

/// Returns the text as an error may show it; `None` if it begins with a key.
pub(super) fn shown(secrets: &Secrets, token: &str, offset: usize) -> Option<String> {
    let is_shown = token.is_empty() || !secrets.cover(offset);
    // KAME setkey shows quoted strings without their quotes.
    is_shown.then(|| secrets.blot(token, offset).trim_matches('"').to_owned())
}

/// Returns the spans of the comments between two tokens, without their `#`.
fn comments(text: &str, from: usize, to: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut line_start = from;
    text.get(from..to).unwrap_or_default().split('\n').filter_map(move |line| {
        let (start, end) = (line_start, line_start + line.len());
        line_start = end + 1;
        line.find('#').map(|at| (start + at + 1, end))
    })
}

/// Whether a word is too long for a host, port or SPI.
fn is_long(word: &str, first: bool, before_policy: bool) -> bool {
    let (digits, prefixed) = match word.strip_prefix("0x").or_else(|| word.strip_prefix("0X")) {
        Some(digits) => (digits, true),
        None => (word, false),
    };
    if prefixed {
        // Even if one of its characters is not a digit.
        return digits.len() > SPI_DIGITS || (first && digits.len() >= SPI_DIGITS);
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return (first && digits.len() >= SPI_DIGITS) || (before_policy && digits.len() > SPI_DECIMAL);
    }
    if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return digits.len() >= SPI_DIGITS;
    }
    let has = |kind: fn(&u8) -> bool| word.bytes().any(|byte| kind(&byte));
    let is_plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let kinds = [has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase), has(u8::is_ascii_digit)];
    is_plain && word.len() >= LONG && kinds.into_iter().filter(|has| *has).count() > 1
}

/// Whether it is a keyword.
fn is_word(word: &str) -> bool {
    is_structure(word) || hint::is_keyword(word) || is_algorithm(word) || WORDS.contains(&word)
}

/// Whether the last tokens are a protocol and an SPI.
fn is_spi([word, before]: [&str; 2]) -> bool {
    hint::is_protocol(before) && is_number(word)
}

/// Whether a word may follow the SPI of an SA, possibly misspelt.
fn is_behind_spi(word: &str) -> bool {
    is_number(word) || is_word(word) || hint::is_like_algorithm(word)
}

/// Whether it is a number, or a range of numbers, too short for a key.
fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) && !is_long(word, false, true)
}

/// Whether it is punctuation, an option, or `0x` without digits.
fn is_structure(word: &str) -> bool {
    matches!(word, ";" | "[" | "]" | "/" | "," | "0x" | "0X") || (word.starts_with('-') && word != "-")
}

fn is_algorithm(word: &str) -> bool {
    EncryptionWord::from_name(word).is_some() || AuthenticationWord::from_name(word).is_some()
}

/// Whether it is an address.
fn is_address(quoted: &str) -> bool {
    quoted.trim_matches('"').parse::<IpAddr>().is_ok()
}

/// Whether it is a number too short to reveal anything of a key.
fn is_small(word: &str) -> bool {
    word.len() <= SMALL && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a word behind `-E` or `-A` is an algorithm's name: a misspelt one, or one that a key follows.
fn is_name(text: &str, end: usize, word: &str) -> bool {
    let next = Token::at(text, skip_blanks(text, end)).source();
    let has_key = next.starts_with('"') || next.starts_with("0x") || next.starts_with("0X");
    !is_long(word, true, true) && (has_key || hint::is_like_algorithm(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with its secrets blotted out.
    fn blotted(text: &str, doubtful: bool) -> String {
        secrets_of(text, doubtful).blot(text, 0)
    }

    #[test]
    fn what_is_a_key_or_could_be() {
        for (text, expected) in [
            ("add a b esp 0x10000001 -E null;", "add a b esp 0x10000001 -E null;"),
            ("add a b ah 1 -A hmac-md5 \"a b\";", "add a b ah 1 -A hmac-md5 *****;"),
            ("add a b esp 1 -ctx 1 \"label\" -E null;", "add a b esp 1 -ctx 1 \"label\" -E null;"),
            ("add \"192.0.2.1\" b esp 1;", "add \"192.0.2.1\" b esp 1;"),
            ("spdadd a b any -P \"out none\";", "spdadd a b any -P \"out none\";"),
            // Words that were forgotten: the option, the name, the prefix.
            ("add a b ah 1 hmac-md5 secret;", "add a b ah 1 hmac-md5 ******;"),
            ("add a b ah 1 \"secret\";", "add a b ah 1 ********;"),
            ("add a b esp 1 -E secret;", "add a b esp 1 -E ******;"),
            ("add a b esp 1 -E rot13-cbc 0x00;", "add a b esp 1 -E rot13-cbc ****;"),
            ("add a b esp 1 -E aes-gcm -A null;", "add a b esp 1 -E aes-gcm -A null;"),
            ("add a b esp 1 -E aes-cbc 12345 -A null;", "add a b esp 1 -E aes-cbc ***** -A null;"),
            ("add a b esp 1 001122334455667a;", "add a b esp 1 ****************;"),
            // The groups of a dump, digits that are none, a lost quote.
            ("add a b esp 1 -E null 0011 22334455 66;", "add a b esp 1 -E null 0011 ******** **;"),
            ("add a b esp 1 0x001122334g;", "add a b esp 1 ************;"),
            ("add a b esp 1 -E des-cbc my key\" -A null;", "add a b esp 1 -E des-cbc ** ***\"*********"),
            ("add a b esp 1 -E des-cbc my#key\";", "add a b esp 1 -E des-cbc **#*****"),
            // A statement of its own.
            ("0x0011223344;", "************;"),
            ("00112233;", "********;"),
            ("Zm9vYmFyYmF6cXV4;", "****************;"),
            ("gateway-of-the-branch1.example x;", "gateway-of-the-branch1.example *;"),
            // Other files.
            ("frob a 192.0.2.1 esp;", "frob * 192.0.2.1 esp;"),
            ("192.0.2.1 secret\n192.0.2.2 other;", "192.0.2.1 ******\n192.0.2.2 *****;"),
            ("spadd a 192.0.2.1 any -P out none;", "spadd a 192.0.2.1 any -P out none;"),
            ("@a @b : PSK secret;", "@* ** * *** ******;"),
            // A word behind an SPI, but for one that is misspelt.
            ("add a b tcp 0x1000 secret;", "add a b tcp 0x1000 ******;"),
            ("add a b tcp spi secret;", "add a b tcp spi secret;"),
            ("update a b ah 1-9 aes-cbb -m tunnle;", "update a b ah 1-9 aes-cbb -m tunnle;"),
            ("spdadd a b tcp -P out nnoe;", "spdadd a b tcp -P out nnoe;"),
        ] {
            assert_eq!(blotted(text, false), expected, "{text}");
        }
        assert_eq!(blotted("secret\";\nadd a b esp 7 -E \"x", true), "*".repeat(28));
        assert_eq!(blotted("secret; flush 700;", true), "******; flush 700;");
        assert_eq!(blotted("0 000#\";", true), "* ***#**");
    }
}
