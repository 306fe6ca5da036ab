//! Reading what follows the first word of a statement.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use std::time::Duration;

use super::identifier::Address;
use super::parser::Statement;
use super::place::Place;
use super::problem::{Problems, SYNTAX_ERROR};
use super::source::Source;
use super::token::{Kind, Token};
use crate::spelling;

/// The words of a statement, one after the other. What is not as it should be is told to the problems, and then the
/// answer is `None`.
pub(super) struct Operands<'a, 's> {
    pub(super) source: &'s Source,
    pub(super) problems: &'a Problems,
    statement: &'a Statement<'s>,
    at: usize,
    /// What is left of the word at `at` when a part of it was taken.
    rest: Option<Token<'s>>,
}

impl<'a, 's> Operands<'a, 's> {
    /// Those behind the first `skip` words.
    pub(super) fn new(source: &'s Source, problems: &'a Problems, statement: &'a Statement<'s>, skip: usize) -> Self {
        Self { source, problems, statement, at: skip, rest: None }
    }

    /// The token that is next: a word, or what ends the statement.
    pub(super) fn peek(&self) -> Token<'s> {
        self.rest.or(self.statement.words.get(self.at).copied()).unwrap_or(self.statement.end)
    }

    pub(super) fn at_end(&self) -> bool {
        self.rest.is_none() && self.at >= self.statement.words.len()
    }

    pub(super) fn next(&mut self) {
        self.rest = None;
        self.at += 1;
    }

    /// Takes the first `octets` of the next token.
    fn take(&mut self, octets: usize) {
        let rest = self.peek().rest(octets);
        match rest.text.is_empty() {
            true => self.next(),
            false => self.rest = Some(rest),
        }
    }

    /// Passes over one ASCII character.
    pub(super) fn skip_octet(&mut self) {
        self.take(1);
    }

    /// The place of the statement's first word.
    pub(super) fn place(&self) -> Place {
        self.source.place(&self.first())
    }

    /// The statement's first word.
    pub(super) fn first(&self) -> Token<'s> {
        self.statement.words.first().copied().unwrap_or(self.statement.end)
    }

    /// Takes the next token when it is `word`.
    pub(super) fn accept(&mut self, word: &str) -> bool {
        let is = !self.at_end() && self.peek().is_word(word);
        if is {
            self.next();
        }
        is
    }

    /// Takes a comma.
    pub(super) fn comma(&mut self) -> bool {
        let is = !self.at_end() && self.peek().kind == Kind::Comma;
        if is {
            self.next();
        }
        is
    }

    /// An error at `token`.
    pub(super) fn fail<T>(&self, token: &Token<'_>, message: &str, hint: Option<String>) -> Option<T> {
        self.problems.error(self.source, token, message, hint);
        None
    }

    pub(super) fn warn(&self, token: &Token<'_>, message: &str, hint: Option<String>) {
        self.problems.warning(self.source, token, message, hint);
    }

    /// A syntax error at the next token, where `noun` was to stand.
    pub(super) fn unexpected<T>(&self, noun: &str) -> Option<T> {
        let token = self.peek();
        let hint = match token.kind {
            Kind::Word if token.text.starts_with("//") => "comments begin with `#`".to_owned(),
            _ => format!("expected {noun}"),
        };
        self.fail(&token, SYNTAX_ERROR, Some(hint))
    }

    /// Nothing more may follow.
    pub(super) fn finish(&self) -> Option<()> {
        if self.at_end() {
            return self.semicolon();
        }
        self.unexpected("`;`")
    }

    fn semicolon(&self) -> Option<()> {
        // Any other end was told by the parser.
        match self.statement.end.kind {
            Kind::Open => self.fail(&self.statement.end, SYNTAX_ERROR, Some("expected `;`".to_owned())),
            _ => Some(()),
        }
    }

    /// One of the words of an enumeration.
    pub(super) fn choice<T: Copy>(&mut self, words: &[(&str, T)], noun: &str) -> Option<T> {
        let token = self.peek();
        if self.at_end() || token.kind != Kind::Word {
            return self.unexpected(noun);
        }
        self.next();
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == token.text) {
            return Some(*value);
        }
        let hint = spelling::guess(token.text, words.iter().map(|(word, _)| *word)).or_else(|| {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            Some(format!("expected {}", spelling::either(&all)))
        });
        self.fail(&token, SYNTAX_ERROR, hint)
    }

    /// `on` or `off`.
    pub(super) fn switch(&mut self) -> Option<bool> {
        let token = self.peek();
        if matches!(token.text, "yes" | "no" | "true" | "false") && !self.at_end() {
            self.next();
            return self.fail(&token, SYNTAX_ERROR, Some("expected on or off".to_owned()));
        }
        self.choice(&[("on", true), ("off", false)], "on or off")
    }

    /// A decimal number, the digits that a word begins with.
    pub(super) fn number<N: FromStr + PartialOrd + Display>(&mut self, least: N, most: N) -> Option<N> {
        let token = self.peek();
        let digits = token.text.bytes().take_while(u8::is_ascii_digit).count();
        if self.at_end() || token.kind != Kind::Word || digits == 0 {
            return self.unexpected("a number");
        }
        if token.text.get(digits..).is_some_and(|rest| rest.starts_with(['x', 'X', '.', ':'])) {
            return self.fail(&token, SYNTAX_ERROR, Some("expected a decimal number".to_owned()));
        }
        self.take(digits);
        let number = token.text.get(..digits).and_then(|text| text.parse().ok());
        match number.filter(|number| (&least..=&most).contains(&number)) {
            Some(number) => Some(number),
            None => self.fail(&token, &format!("number not in {least} to {most}"), None),
        }
    }

    /// A number with a unit of `units`, times what the unit is.
    fn amount(&mut self, units: &[(&str, u64)], noun: &str, least: u64, most: u64) -> Option<u64> {
        let token = self.peek();
        let number = self.number(0, u64::MAX)?;
        let unit = self.choice(units, noun)?;
        match number.checked_mul(unit).filter(|amount| (least..=most).contains(amount)) {
            Some(amount) => Some(amount),
            None => self.fail(&token, &format!("not in {least} to {most}"), None),
        }
    }

    /// A time, in seconds at least `least`.
    pub(super) fn time(&mut self, least: u64) -> Option<Duration> {
        self.amount(&TIME_UNITS, "a unit of time (sec, min, hour)", least, u32::MAX.into()).map(Duration::from_secs)
    }

    /// A number of octets.
    pub(super) fn octets(&mut self) -> Option<u64> {
        self.amount(&BYTE_UNITS, "a unit (B, KB, MB, GB, TB)", 1, u64::MAX)
    }

    /// A string's token.
    pub(super) fn string_token(&mut self, noun: &str) -> Option<Token<'s>> {
        let token = self.peek();
        if !self.at_end() && token.kind == Kind::String {
            self.next();
            return Some(token);
        }
        let error = self.unexpected(&format!("{noun}, in quotes"));
        if !self.at_end() && token.kind == Kind::Word {
            self.next();
        }
        error
    }

    /// A string without its quotes.
    pub(super) fn string(&mut self, noun: &str) -> Option<&'s str> {
        self.string_token(noun).map(|token| token.value())
    }

    /// A string with something in it.
    pub(super) fn name(&mut self, noun: &str) -> Option<&'s str> {
        let token = self.string_token(noun)?;
        match token.value() {
            "" => self.fail(&token, "an empty string", None),
            name => Some(name),
        }
    }

    /// Strings with commas between.
    pub(super) fn names(&mut self, noun: &str) -> Option<Vec<Box<str>>> {
        let mut names = vec![self.name(noun)?.into()];
        while self.comma() {
            names.push(self.name(noun)?.into());
        }
        Some(names)
    }

    /// A numeric address; what follows it in the same word (`/24`, `-10.0.0.9`) is left.
    pub(super) fn address(&mut self) -> Option<Address> {
        let token = self.peek();
        if !self.at_end() && token.kind == Kind::String {
            return self.fail(&token, SYNTAX_ERROR, Some("an address stands without quotes".to_owned()));
        }
        if self.at_end() || token.kind != Kind::Word {
            return self.unexpected("an address");
        }
        let text = token.text;
        let ip_length = text.find(|c: char| !(c.is_ascii_hexdigit() || matches!(c, ':' | '.'))).unwrap_or(text.len());
        let ip = text.get(..ip_length).and_then(|text| text.parse().ok());
        let mut after = text.get(ip_length..).unwrap_or_default();
        let mut scope = None;
        if let (Some(IpAddr::V6(_)), Some(name)) = (ip, after.strip_prefix('%')) {
            let length = name.find('/').unwrap_or(name.len());
            let (name, behind) = name.split_at_checked(length).unwrap_or((name, ""));
            (scope, after) = ((!name.is_empty()).then(|| name.into()), behind);
        }
        let Some(ip) = ip.filter(|_| after.is_empty() || after.starts_with(['/', '-'])) else {
            let hint = address_hint(text);
            self.next();
            return self.fail(&token, SYNTAX_ERROR, Some(hint));
        };
        self.take(text.len() - after.len());
        Some(Address { ip, scope })
    }

    /// An address without a scope.
    pub(super) fn ip(&mut self) -> Option<IpAddr> {
        let token = self.peek();
        let address = self.address()?;
        if address.scope.is_some() {
            self.warn(&token, "the scope of the address is ignored", None);
        }
        Some(address.ip)
    }

    pub(super) fn ipv4(&mut self) -> Option<Ipv4Addr> {
        let token = self.peek();
        match self.ip()? {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => self.fail(&token, "IPv4 only", None),
        }
    }

    /// `/` and the bits of a prefix, if it is next.
    pub(super) fn prefix(&mut self, most: u8) -> Option<Option<u8>> {
        let token = self.peek();
        if self.at_end() || token.kind != Kind::Word || !token.text.starts_with('/') {
            return Some(None);
        }
        let digits = token.text.bytes().skip(1).take_while(u8::is_ascii_digit).count();
        if !(1..=3).contains(&digits) {
            return self.unexpected("a prefix length");
        }
        self.take(1 + digits);
        let prefix = token.text.get(1..=digits).and_then(|text| text.parse().ok()).filter(|prefix| *prefix <= most);
        match prefix {
            Some(prefix) => Some(Some(prefix)),
            None => self.fail(&token, &format!("prefix length not in 0 to {most}"), None),
        }
    }

    /// `[PORT]`, if it is next; 0 is `[any]`.
    pub(super) fn port(&mut self, allow_any: bool) -> Option<Option<u16>> {
        let token = self.peek();
        if self.at_end() || token.kind != Kind::Port {
            return Some(None);
        }
        self.next();
        match token.value() {
            "any" if allow_any => Some(Some(0)),
            text if text.starts_with('+') => self.fail(&token, SYNTAX_ERROR, Some("expected a port".to_owned())),
            text => match text.parse::<u16>() {
                Ok(port) => Some(Some(port)),
                Err(_) => self.fail(&token, SYNTAX_ERROR, Some("expected a port, 0 to 65535, without blanks".into())),
            },
        }
    }

    /// A word that is a part of another word: the name of an algorithm that its key length may follow.
    pub(super) fn algorithm<T: Copy>(
        &mut self,
        words: &[(&str, T)],
        refused: &[(&str, &str)],
    ) -> Option<(T, Token<'s>)> {
        let token = self.peek();
        if self.at_end() || token.kind != Kind::Word {
            return self.unexpected("an algorithm");
        }
        let find = |text: &str| words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if let Some(value) = find(token.text) {
            self.next();
            return Some((value, token));
        }
        // `aes256` and `aes_256`.
        let name = token.text.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = token.text.len() - name.len();
        if digits > 0
            && let Some(value) = find(name).or_else(|| find(name.strip_suffix('_')?))
        {
            self.take(name.len());
            return Some((value, token));
        }
        self.next();
        if let Some((word, why)) = refused.iter().find(|(word, _)| *word == token.text) {
            return self.fail(&token, &format!("{word} is not supported"), Some((*why).to_owned()));
        }
        let hint = spelling::guess(token.text, words.iter().map(|(word, _)| *word)).or_else(|| {
            let mut names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            names.dedup();
            Some(format!("expected {}", spelling::either(&names)))
        });
        self.fail(&token, SYNTAX_ERROR, hint)
    }
}

fn address_hint(text: &str) -> String {
    let numeric = text.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'/' | b'-'));
    match text {
        "me" | "any" => "expected an address, in numbers".to_owned(),
        _ if text.starts_with('<') || text.contains('>') => {
            "put the address in place of the placeholder, in numbers".to_owned()
        }
        _ if numeric => format!("`{text}` is not an IPv4 or IPv6 address"),
        _ => "expected an address in numbers: host names are not looked up here".to_owned(),
    }
}

const TIME_UNITS: [(&str, u64); 10] = [
    ("sec", 1),
    ("secs", 1),
    ("second", 1),
    ("seconds", 1),
    ("min", 60),
    ("mins", 60),
    ("minute", 60),
    ("minutes", 60),
    ("hour", 3600),
    ("hours", 3600),
];

const BYTE_UNITS: [(&str, u64); 7] =
    [("B", 1), ("byte", 1), ("bytes", 1), ("KB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30), ("TB", 1 << 40)];
