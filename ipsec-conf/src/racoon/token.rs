//! Tokens with their places.

use pest::Parser;

use super::grammar::{Grammar, Rule};

/// Kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    String,
    /// `[…]`.
    Port,
    Comma,
    Semicolon,
    Open,
    Close,
    /// An unclosed quote.
    Unclosed,
    Illegal,
    /// End of the file.
    End,
}

/// A token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'s> {
    pub(super) kind: Kind,
    pub(super) text: &'s str,
    /// Offset in octets.
    pub(super) offset: usize,
    /// Line, from 1.
    pub(super) line: u32,
    /// Column in characters, from 1.
    pub(super) column: u32,
}

impl<'s> Token<'s> {
    /// Returns a string without its quotes, a port without its brackets, and any other token unchanged.
    pub(super) fn value(&self) -> &'s str {
        match self.kind {
            // Both delimiters are ASCII, so the range is at character boundaries.
            Kind::String | Kind::Port => self.text.get(1..self.text.len() - 1).unwrap_or_default(),
            Kind::Unclosed => self.text.get(1..).unwrap_or_default(),
            _ => self.text,
        }
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }

    /// Returns the line in which it ends.
    pub(super) fn last_line(&self) -> u32 {
        self.line.saturating_add(count(self.text.matches('\n').count()))
    }

    /// Returns the place right after it, as a token without text.
    pub(super) fn behind(&self) -> Self {
        let end = Self { kind: Kind::End, ..self.rest(self.text.len()) };
        match self.text.rsplit_once('\n') {
            Some((_, last)) => {
                Self { line: self.last_line(), column: count(last.chars().count()).saturating_add(1), ..end }
            }
            None => end,
        }
    }

    /// Returns what follows the first `octets` of the token, which must end at a character boundary.
    pub(super) fn rest(&self, octets: usize) -> Self {
        let (head, text) = self.text.split_at_checked(octets).unwrap_or((self.text, ""));
        let column = self.column.saturating_add(count(head.chars().count()));
        Self { text, offset: self.offset + head.len(), column, ..*self }
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Returns the character at `offset` as a token without a kind of its own.
pub(super) fn character(text: &str, offset: usize) -> Token<'_> {
    let mut place = Counter { text, offset: 0, line: 1, column: 1 };
    place.go_to(offset);
    let length = text.get(offset..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    place.token(Kind::Illegal, text.get(offset..offset + length).unwrap_or_default())
}

/// Returns the tokens of a file. The last is of kind [`Kind::End`].
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut place = Counter { text, offset: 0, line: 1, column: 1 };
    // The grammar matches any text.
    for pair in Grammar::parse(Rule::file, text).into_iter().flatten() {
        let kind = match pair.as_rule() {
            Rule::word => Kind::Word,
            Rule::string => Kind::String,
            Rule::port => Kind::Port,
            Rule::comma => Kind::Comma,
            Rule::semicolon => Kind::Semicolon,
            Rule::open => Kind::Open,
            Rule::close => Kind::Close,
            Rule::unclosed => Kind::Unclosed,
            Rule::EOI => break,
            _ => Kind::Illegal,
        };
        let span = pair.as_span();
        place.go_to(span.start());
        tokens.push(place.token(kind, span.as_str()));
    }
    // Placed after the last token, not after blank lines and comments, where nobody would look for an error.
    let end = tokens.last().map_or(0, |token| token.offset + token.text.len());
    place.go_to(end);
    tokens.push(place.token(Kind::End, ""));
    tokens
}

/// Counter of lines and columns in a text. It only moves forward.
struct Counter<'s> {
    text: &'s str,
    offset: usize,
    line: u32,
    column: u32,
}

impl<'s> Counter<'s> {
    fn go_to(&mut self, offset: usize) {
        for c in self.text.get(self.offset..offset).unwrap_or_default().chars() {
            match c {
                '\n' => (self.line, self.column) = (self.line.saturating_add(1), 1),
                _ => self.column = self.column.saturating_add(1),
            }
        }
        self.offset = offset;
    }

    fn token(&self, kind: Kind, text: &'s str) -> Token<'s> {
        Token { kind, text, offset: self.offset, line: self.line, column: self.column }
    }
}
