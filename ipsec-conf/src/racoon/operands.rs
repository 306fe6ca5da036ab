//! Parsing of the operands of a statement.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::meaning;
use super::parser::Statement;
use super::place::Place;
use super::problem::{Problems, SYNTAX_ERROR};
use super::source::Source;
use super::token::{Kind, Token};

/// The words of a statement, taken one after the other. A method that meets a mistake adds it to the problems and
/// returns `None`.
pub(super) struct Operands<'a, 's> {
    pub(super) source: &'s Source,
    pub(super) problems: &'a Problems,
    statement: &'a Statement<'s>,
    at: usize,
    /// Rest of the word at `at` after a part of it was taken.
    rest: Option<Token<'s>>,
    /// Place of a missing comma.
    no_comma: Option<usize>,
}

impl<'a, 's> Operands<'a, 's> {
    /// Returns the operands after the first `skip` words.
    pub(super) fn new(source: &'s Source, problems: &'a Problems, statement: &'a Statement<'s>, skip: usize) -> Self {
        Self { source, problems, statement, at: skip, rest: None, no_comma: None }
    }

    /// Returns the next token: a word, or the end of the statement.
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
    pub(super) fn take(&mut self, octets: usize) {
        let rest = self.peek().rest(octets);
        match rest.text.is_empty() {
            true => self.next(),
            false => self.rest = Some(rest),
        }
    }

    /// Skips one ASCII character.
    pub(super) fn skip_octet(&mut self) {
        self.take(1);
    }

    /// Returns the place of the statement's first word.
    pub(super) fn place(&self) -> Place {
        self.source.place(&self.first())
    }

    /// Returns the statement's first word.
    pub(super) fn first(&self) -> Token<'s> {
        self.statement.words.first().copied().unwrap_or(self.statement.end)
    }

    /// Takes the next token if it is `word`. Returns whether it is.
    pub(super) fn accept(&mut self, word: &str) -> bool {
        let is = !self.at_end() && self.peek().is_word(word);
        if is {
            self.next();
        }
        is
    }

    /// Takes the next token if it is a comma. Returns whether it is.
    pub(super) fn comma(&mut self) -> bool {
        let is = !self.at_end() && self.peek().kind == Kind::Comma;
        if is {
            self.next();
        } else {
            // For `finish`: if another value follows, the comma was forgotten.
            self.no_comma = Some(self.at);
        }
        is
    }

    /// Reports an error at `token`.
    pub(super) fn fail<T>(&self, token: &Token<'_>, message: &str, hint: Option<String>) -> Option<T> {
        self.problems.error(self.source, token, message, hint);
        None
    }

    pub(super) fn warn(&self, token: &Token<'_>, message: &str, hint: Option<String>) {
        self.problems.warning(self.source, token, message, hint);
    }

    /// Reports a syntax error at the next token, where `noun` was expected.
    pub(super) fn unexpected<T>(&self, noun: &str) -> Option<T> {
        let token = self.peek();
        if self.at_end() && self.is_cut_short() {
            self.cut_short(noun);
            return None;
        }
        self.fail(&token, SYNTAX_ERROR, Some(format!("expected {noun}")))
    }

    /// Whether the statement ends with neither a semicolon nor the brace of a section.
    fn is_cut_short(&self) -> bool {
        self.statement.body.is_none() && self.statement.end.kind != Kind::Semicolon
    }

    /// Reports that the statement ends where `noun` was expected.
    fn cut_short(&self, noun: &str) {
        // The parser has reported a missing semicolon or brace if nothing else is missing.
        let Some(last) = self.statement.words.last().filter(|_| !self.statement.reported) else { return };
        let end = if self.statement.opens_section { "`{`" } else { "`;`" };
        let message = format!("`{}` is incomplete", self.first().text);
        self.problems.error_behind(self.source, last, &message, format!("expected {noun}, then {end}"));
    }

    /// Checks that the statement ends here.
    pub(super) fn finish(&self) -> Option<()> {
        if self.at_end() {
            return self.semicolon();
        }
        let token = self.peek();
        let before = self.at.checked_sub(1).and_then(|at| self.statement.words.get(at)).filter(|_| self.rest.is_none());
        let is_value = matches!(token.kind, Kind::Word | Kind::String);
        match before {
            // A value in a new line is rather the next directive.
            Some(before) if is_value && before.last_line() < token.line => self.no_semicolon(before, &token),
            _ if is_value && self.no_comma == Some(self.at) && self.rest.is_none() => {
                self.fail(&token, SYNTAX_ERROR, Some("a comma is missing before it".to_owned()))
            }
            _ if (token.kind == Kind::Comma || is_value && ONE_VALUE.contains(&self.first().text))
                && self.no_comma.is_none() =>
            {
                self.fail(&token, SYNTAX_ERROR, Some(format!("expected `;`: {} takes one value", self.first().text)))
            }
            _ if TIME_UNITS.iter().any(|(unit, _)| token.is_word(unit)) || meaning::time_unit(token.text).is_some() => {
                self.unexpected("`;`: the number takes no unit")
            }
            _ => self.unexpected("`;`"),
        }
    }

    fn semicolon(&self) -> Option<()> {
        match (self.statement.end.kind, self.statement.words.last()) {
            (Kind::Semicolon, _) | (_, None) => Some(()),
            (Kind::Open, _) => self.fail(&self.statement.end, SYNTAX_ERROR, Some("expected `;`".to_owned())),
            _ if self.statement.reported => Some(()),
            (_, Some(last)) => self.no_semicolon(last, &self.statement.end),
        }
    }

    /// Reports that a semicolon is missing between `last` and `next`.
    fn no_semicolon<T>(&self, last: &Token<'_>, next: &Token<'_>) -> Option<T> {
        no_semicolon(self.problems, self.source, last, next);
        None
    }

    /// Takes one of the words of an enumeration.
    pub(super) fn choice<T: Copy>(&mut self, words: &[(&str, T)], noun: &str) -> Option<T> {
        self.choice_or(words, noun, |_| None)
    }

    /// As [`Self::choice`]; `known` returns a hint for other words.
    pub(super) fn choice_or<T: Copy>(
        &mut self,
        words: &[(&str, T)],
        noun: &str,
        known: impl FnOnce(&str) -> Option<String>,
    ) -> Option<T> {
        let token = self.peek();
        if self.at_end() || token.kind != Kind::Word {
            return self.unexpected(noun);
        }
        self.next();
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == token.text) {
            return Some(*value);
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let hint = known(token.text).unwrap_or_else(|| meaning::choice(token.text, &names));
        self.fail(&token, SYNTAX_ERROR, Some(hint))
    }

    /// Takes `on` or `off`.
    pub(super) fn switch(&mut self) -> Option<bool> {
        self.choice(&[("on", true), ("off", false)], "on or off")
    }

    /// Takes a decimal number: the digits at the beginning of a word, as a unit may follow without a blank.
    pub(super) fn number<N: FromStr + PartialOrd + Display + From<u8>>(&mut self, least: N, most: N) -> Option<N> {
        let token = self.peek();
        let digits = token.text.bytes().take_while(u8::is_ascii_digit).count();
        if self.at_end() || token.kind != Kind::Word || digits == 0 {
            let can_be_off = is_off(token.text) && least <= N::from(0);
            return self.unexpected(if can_be_off { "a number; 0 is off" } else { "a number" });
        }
        // `0x10`, `1.5` and `1:30` begin with digits, too, but not with a number and a unit.
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

    /// Takes a number and a unit. Returns their product.
    fn amount(&mut self, units: &[(&str, u64)], noun: &str, least: u64, most: u64) -> Option<u64> {
        let token = self.peek();
        // `number` would suggest 0, which is not valid here.
        if least > 0 && is_off(token.text) {
            return self.unexpected("a number");
        }
        let number = self.number(0, u64::MAX)?;
        let unit = self.choice_or(units, noun, meaning::time_unit)?;
        match number.checked_mul(unit).filter(|amount| (least..=most).contains(amount)) {
            Some(amount) => Some(amount),
            None => self.fail(&token, &format!("not in {least} to {most}"), None),
        }
    }

    /// Takes a time of at least `least` seconds.
    pub(super) fn time(&mut self, least: u64) -> Option<Duration> {
        self.amount(&TIME_UNITS, "a unit of time (sec, min, hour)", least, u32::MAX.into()).map(Duration::from_secs)
    }

    /// Takes a number of octets.
    pub(super) fn octets(&mut self) -> Option<u64> {
        self.amount(&BYTE_UNITS, "a unit (B, KB, MB, GB, TB)", 1, u64::MAX)
    }

    /// Takes a string. Returns its token.
    pub(super) fn string_token(&mut self, noun: &str) -> Option<Token<'s>> {
        let token = self.peek();
        if !self.at_end() && token.kind == Kind::String {
            self.next();
            return Some(token);
        }
        let error = self.unexpected(&format!("{noun}, in quotes"));
        // A word without quotes was meant as the string; what follows it can still be checked.
        if !self.at_end() && token.kind == Kind::Word {
            self.next();
        }
        error
    }

    /// Takes a string. Returns it without quotes.
    pub(super) fn string(&mut self, noun: &str) -> Option<&'s str> {
        self.string_token(noun).map(|token| token.value())
    }

    /// Takes a string that is not empty.
    pub(super) fn name(&mut self, noun: &str) -> Option<&'s str> {
        let token = self.string_token(noun)?;
        match token.value() {
            "" => self.fail(&token, "an empty string", None),
            name => Some(name),
        }
    }

    /// Takes strings separated by commas.
    pub(super) fn names(&mut self, noun: &str) -> Option<Vec<Box<str>>> {
        let mut names = vec![self.name(noun)?.into()];
        while self.comma() {
            names.push(self.name(noun)?.into());
        }
        Some(names)
    }

    /// Takes the name of an algorithm, which its key length may follow without a blank. `refused` has words with the
    /// reason, `known` returns a hint for others.
    pub(super) fn algorithm<T: Copy>(
        &mut self,
        words: &[(&str, T)],
        refused: &[(&str, &str)],
        known: impl FnOnce(&str) -> Option<String>,
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
        // `aes256` and `aes_256`; only now, because some names end in a number: `cast128`.
        let name = token.text.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = token.text.len() - name.len();
        if digits > 0
            && let Some(value) = find(name).or_else(|| find(name.strip_suffix('_')?))
        {
            self.take(name.len());
            return Some((value, token));
        }
        // Taken although it is unknown: what follows it can still be checked.
        self.next();
        if let Some((word, why)) = refused.iter().find(|(word, _)| *word == token.text) {
            return self.fail(&token, &format!("{word} is not supported"), Some((*why).to_owned()));
        }
        let hint = match name {
            "" => "write the cipher's name before the length of its key, as in `aes 256`".to_owned(),
            _ => known(token.text).unwrap_or_else(|| {
                let mut names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                names.dedup();
                meaning::choice(token.text, &names)
            }),
        };
        self.fail(&token, SYNTAX_ERROR, Some(hint))
    }
}

/// Reports that a semicolon is missing between `last` and `next`.
pub(super) fn no_semicolon(problems: &Problems, source: &Source, last: &Token<'_>, next: &Token<'_>) {
    let hint = match next.kind {
        // The word may be a password, which no message shows.
        Kind::Word if source.passwords().cover(next.offset) => "another word follows".to_owned(),
        Kind::Word if next.line > last.last_line() => {
            format!("`{}` in line {} begins another statement", next.text, next.line)
        }
        Kind::Word => format!("`{}` begins another statement", next.text),
        Kind::Close => "the section ends after it".to_owned(),
        _ => "the file ends after it".to_owned(),
    };
    problems.error_behind(source, last, "a `;` is missing", hint);
}

fn is_off(word: &str) -> bool {
    matches!(word, "off" | "no" | "none" | "disabled")
}

/// Directives with one value that are often given a list.
const ONE_VALUE: [&str; 5] =
    ["authentication_method", "dh_group", "encryption_algorithm", "hash_algorithm", "pfs_group"];

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
