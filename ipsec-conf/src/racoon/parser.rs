//! Tokens to a tree of statements. After an error it goes on at the next statement, so that all errors are found.

use super::directive::Section;
use super::problem::{Problems, SYNTAX_ERROR};
use super::source::Source;
use super::token::{Kind, Token, tokens};

/// Sections in sections at most.
const DEPTH: usize = 8;

/// A directive or a section.
#[derive(Debug)]
pub(super) struct Statement<'s> {
    /// What stands before its end or its body; at least one.
    pub(super) words: Vec<Token<'s>>,
    /// What stands between the braces of a section.
    pub(super) body: Option<Body<'s>>,
    /// The semicolon or the brace behind the words.
    pub(super) end: Token<'s>,
}

/// What stands between braces.
#[derive(Debug)]
pub(super) struct Body<'s> {
    pub(super) statements: Vec<Statement<'s>>,
    /// The closing brace, or what stands where it should.
    pub(super) close: Token<'s>,
}

/// The statements of a file. What is wrong with their order and their ends is told to `problems`.
pub(super) fn parse<'s>(source: &'s Source, problems: &Problems) -> Vec<Statement<'s>> {
    let mut parser = Parser { source, problems, tokens: tokens(&source.text), at: 0, reported: None };
    parser.statements(Some(Section::Top), None, 0).statements
}

struct Parser<'s, 'p> {
    source: &'s Source,
    problems: &'p Problems,
    /// The last is of kind [`Kind::End`].
    tokens: Vec<Token<'s>>,
    at: usize,
    /// Offset of a token where sections that were not closed end.
    reported: Option<usize>,
}

impl<'s> Parser<'s, '_> {
    fn peek(&self) -> Token<'s> {
        let last = Token { kind: Kind::End, text: "", offset: 0, line: 0, column: 0 };
        self.tokens.get(self.at).or(self.tokens.last()).copied().unwrap_or(last)
    }

    fn advance(&mut self) {
        self.at += 1;
    }

    fn error(&self, token: &Token<'_>, hint: impl Into<String>) {
        self.problems.error(self.source, token, SYNTAX_ERROR, Some(hint.into()));
    }

    /// The statements up to the brace that closes `open`, or to the end. `None` is a section that is not known.
    fn statements(&mut self, section: Option<Section>, open: Option<Token<'s>>, depth: usize) -> Body<'s> {
        let mut statements = Vec::new();
        loop {
            let token = self.peek();
            match token.kind {
                Kind::End => {
                    if let Some(open) = open {
                        self.error(&token, format!("the section that begins in line {} is not closed", open.line));
                    }
                    return Body { statements, close: token };
                }
                Kind::Close => {
                    self.advance();
                    if open.is_some() {
                        return Body { statements, close: token };
                    }
                    self.error(&token, "no section is open here");
                }
                Kind::Semicolon => {
                    self.advance();
                    self.error(&token, "there is nothing for this `;` to end: none follows a closing brace");
                }
                Kind::Open => {
                    self.error(&token, "a word must stand before the brace");
                    self.skip_block();
                }
                _ if self.is_unclosed(section, &token, open) => return Body { statements, close: token },
                _ => statements.extend(self.statement(section, depth)),
            }
        }
    }

    /// Whether a section begins here that can not stand inside the one that is open.
    fn is_unclosed(&mut self, section: Option<Section>, token: &Token<'s>, open: Option<Token<'s>>) -> bool {
        let Some(open) = open else { return false };
        let begins = token.kind == Kind::Word
            && Section::Top.inner(token.text).is_some()
            && section.is_some_and(|section| !section.has(token.text));
        if begins && self.reported != Some(token.offset) {
            self.reported = Some(token.offset);
            self.error(token, format!("the section that begins in line {} lacks its `}}`", open.line));
        }
        begins
    }

    /// A statement. Its first token is none of those that end one.
    fn statement(&mut self, section: Option<Section>, depth: usize) -> Option<Statement<'s>> {
        let mut words: Vec<Token<'s>> = Vec::new();
        loop {
            let end = self.peek();
            let first = words.first().map_or("", |word| word.text);
            match end.kind {
                Kind::Semicolon => {
                    self.advance();
                    return Some(Statement { words, body: None, end });
                }
                Kind::Open if depth == DEPTH => {
                    self.error(&end, "too many sections in each other");
                    self.skip_block();
                    return None;
                }
                Kind::Open => {
                    self.advance();
                    let inner = section.and_then(|section| section.inner(first));
                    let body = self.statements(inner, Some(end), depth + 1);
                    return Some(Statement { words, body: Some(body), end });
                }
                Kind::Close | Kind::End => {
                    self.error(&end, "the `;` that ends the statement before it is missing");
                    return Some(Statement { words, body: None, end });
                }
                Kind::Unclosed => {
                    self.advance();
                    self.error(&end, "this quote is not closed");
                    self.skip_statement();
                    return None;
                }
                Kind::Word if !words.is_empty() && first != "path" => {
                    if let Some(inner) = section.and_then(|section| section.inner(first))
                        && inner.has(end.text)
                    {
                        self.error(&end, format!("the `{{` of {first} is missing before it"));
                        let body = self.statements(Some(inner), Some(end), depth + 1);
                        return Some(Statement { words, body: Some(body), end });
                    }
                    if section.is_some_and(|section| section.has(end.text)) {
                        self.error(&end, "the `;` that ends the statement before it is missing");
                        return Some(Statement { words, body: None, end });
                    }
                }
                _ => {}
            }
            self.advance();
            words.push(end);
        }
    }

    /// Goes behind the end of a broken statement.
    fn skip_statement(&mut self) {
        loop {
            match self.peek().kind {
                Kind::Semicolon => return self.advance(),
                Kind::Open => return self.skip_block(),
                Kind::Close | Kind::End => return,
                _ => self.advance(),
            }
        }
    }

    /// Goes behind the brace that closes the one that is next.
    fn skip_block(&mut self) {
        let mut open = 0_usize;
        loop {
            match self.peek().kind {
                Kind::Open => open += 1,
                Kind::Close => open = open.saturating_sub(1),
                Kind::End => return,
                _ => {}
            }
            self.advance();
            if open == 0 {
                return;
            }
        }
    }
}
