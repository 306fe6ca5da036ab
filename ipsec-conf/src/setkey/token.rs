//! The token at an offset, as error messages show it.

use pest::Parser;

use super::grammar::{Grammar, Rule};

/// A token at an offset of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'s> {
    /// A token as written.
    Plain(&'s str),
    /// A quoted string, with its quotes.
    Quoted(&'s str),
    /// A character that begins no token.
    Illegal(&'s str),
    /// The end of the text.
    End,
}

impl<'s> Token<'s> {
    /// The token whose first byte is at `offset`.
    pub(crate) fn at(text: &'s str, offset: usize) -> Self {
        let rest = text.get(offset..).unwrap_or_default();
        let lexeme = Grammar::parse(Rule::lexeme, rest).ok().and_then(|mut pairs| pairs.next()?.into_inner().next());
        let Some(lexeme) = lexeme else { return Self::End };
        match lexeme.as_rule() {
            Rule::illegal => Self::Illegal(lexeme.as_str()),
            _ if rest.starts_with('"') => Self::Quoted(lexeme.as_str()),
            _ => Self::Plain(lexeme.as_str()),
        }
    }

    /// The token as written.
    pub(crate) fn source(self) -> &'s str {
        match self {
            Self::Plain(text) | Self::Quoted(text) | Self::Illegal(text) => text,
            Self::End => "",
        }
    }
}

/// Offset of the first byte after the blanks and comments at `offset`.
pub(crate) fn skip_blanks(text: &str, offset: usize) -> usize {
    let rest = text.get(offset..).unwrap_or_default();
    offset + Grammar::parse(Rule::blanks, rest).map_or(0, |pairs| pairs.as_str().len())
}

/// Returns the tokens of a text with their offsets. After `-P` they differ from the parser's; a key occurs there only if
/// the `;` of the policy is missing.
pub(crate) fn tokens(text: &str) -> impl Iterator<Item = (usize, Token<'_>)> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let start = skip_blanks(text, offset);
        let token = Token::at(text, start);
        offset = start + token.source().len();
        (token != Token::End).then_some((start, token))
    })
}
