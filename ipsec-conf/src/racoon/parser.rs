//! Parsing of tokens into a tree of statements. After an error it continues with the next statement, to find all errors.

use super::directive::Section;
use super::operands::no_semicolon;
use super::problem::{Problems, SYNTAX_ERROR};
use super::source::Source;
use super::token::{Kind, Token, tokens};

/// Maximum nesting of sections.
const DEPTH: usize = 8;

/// A directive or a section.
#[derive(Debug)]
pub(super) struct Statement<'s> {
    /// Words before its end or body, at least one.
    pub(super) words: Vec<Token<'s>>,
    /// Statements between the braces of a section.
    pub(super) body: Option<Body<'s>>,
    /// The semicolon or brace after the words, or the token in its place.
    pub(super) end: Token<'s>,
    /// Whether it was reported that its end is missing.
    pub(super) reported: bool,
    /// Whether its first word begins a section.
    pub(super) opens_section: bool,
}

impl<'s> Statement<'s> {
    fn new(words: Vec<Token<'s>>, end: Token<'s>) -> Self {
        Self { words, body: None, end, reported: false, opens_section: false }
    }
}

/// The beginning of a section that is open.
#[derive(Clone, Copy)]
struct Opener<'s> {
    /// Its first two words; `None` for an unknown section, because they may contain a password.
    name: Option<(Token<'s>, Option<Token<'s>>)>,
    /// From 1.
    line: u32,
}

impl Opener<'_> {
    /// Returns the hint that its closing brace is missing.
    fn unclosed(&self) -> String {
        let name = match self.name {
            Some((name, Some(what))) => format!("{} {} ", name.text, what.text),
            Some((name, None)) => format!("{} ", name.text),
            None => String::new(),
        };
        format!("`{name}{{` in line {} is not closed by a `}}`", self.line)
    }
}

/// The body of a section.
#[derive(Debug)]
pub(super) struct Body<'s> {
    pub(super) statements: Vec<Statement<'s>>,
    /// The closing brace, or the token in its place.
    pub(super) close: Token<'s>,
    /// Whether all its statements are well-formed. Otherwise a directive that seems to be missing may stand elsewhere.
    pub(super) is_whole: bool,
}

/// Parses the statements of a file and adds mistakes to `problems`.
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
    /// Offset of the token at which an unclosed section was reported.
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

    /// Parses statements up to the brace that closes `open`, or to the end. `section` is `None` for an unknown section.
    fn statements(&mut self, section: Option<Section>, open: Option<Opener<'s>>, depth: usize) -> Body<'s> {
        let mut statements = Vec::new();
        let errors = self.problems.errors();
        let body = |statements, close: Token<'s>, parser: &Self| Body {
            statements,
            close,
            is_whole: close.kind == Kind::Close && parser.problems.errors() == errors,
        };
        loop {
            let token = self.peek();
            match token.kind {
                Kind::End => {
                    // Of nested sections, only the innermost is reported.
                    if let Some(open) = open.filter(|_| self.reported != Some(token.offset)) {
                        self.reported = Some(token.offset);
                        self.error(&token, open.unclosed());
                    }
                    return body(statements, token, self);
                }
                Kind::Close => {
                    self.advance();
                    if open.is_some() {
                        return body(statements, token, self);
                    }
                    self.error(&token, "no section is open here: is there one `}` too many before it?");
                }
                Kind::Semicolon => {
                    self.advance();
                    self.error(&token, "a stray `;`: no statement ends here, and a closing brace needs none");
                }
                Kind::Open => {
                    self.error(&token, "a word must precede the brace");
                    self.skip_block();
                }
                _ if self.is_unclosed(section, &token, open) => {
                    return body(statements, token, self);
                }
                _ => statements.extend(self.statement(section, depth)),
            }
        }
    }

    /// Whether a section begins here that is not valid inside the open one, which therefore was not closed.
    fn is_unclosed(&mut self, section: Option<Section>, token: &Token<'s>, open: Option<Opener<'s>>) -> bool {
        let Some(open) = open else { return false };
        let begins = token.kind == Kind::Word
            && Section::Top.inner(token.text).is_some()
            && section.is_some_and(|section| !section.has(token.text));
        if begins && self.reported != Some(token.offset) {
            self.reported = Some(token.offset);
            self.error(token, open.unclosed());
        }
        begins
    }

    /// Parses a statement. The caller has checked that its first token is not one that ends a statement.
    fn statement(&mut self, section: Option<Section>, depth: usize) -> Option<Statement<'s>> {
        let mut words: Vec<Token<'s>> = Vec::new();
        loop {
            let end = self.peek();
            let first = words.first().map_or("", |word| word.text);
            match end.kind {
                Kind::Semicolon => {
                    self.advance();
                    return Some(Statement::new(words, end));
                }
                // Bounded, because sections are parsed recursively.
                Kind::Open if depth == DEPTH => {
                    self.error(&end, "sections are nested too deeply");
                    self.skip_block();
                    return None;
                }
                Kind::Open => {
                    self.advance();
                    return Some(self.section(section, words, end, depth));
                }
                Kind::Close | Kind::End => return Some(self.cut_short(section, words, end)),
                Kind::Unclosed => {
                    self.advance();
                    self.error(&end, "this quote is not closed");
                    self.skip_statement();
                    return None;
                }
                // A directive in the middle of a statement means that its end is missing. The words after `path` are not
                // directives, although some look like one.
                Kind::Word if !words.is_empty() && first != "path" => {
                    // `proposal encryption_algorithm …`: go on as if the brace were there, to check what follows.
                    if let Some(inner) = section.and_then(|section| section.inner(first))
                        && inner.has(end.text)
                    {
                        self.error(&end, format!("the `{{` of {first} is missing before it"));
                        return Some(self.section(section, words, end, depth));
                    }
                    if section.is_some_and(|section| section.has(end.text) || self.begins_top(section, &words, &end)) {
                        return Some(self.cut_short(section, words, end));
                    }
                }
                _ => {}
            }
            self.advance();
            words.push(end);
        }
    }

    /// Parses the body of a section whose words, before `end`, have been read.
    fn section(
        &mut self,
        section: Option<Section>,
        words: Vec<Token<'s>>,
        end: Token<'s>,
        depth: usize,
    ) -> Statement<'s> {
        let inner = words.first().and_then(|first| section?.inner(first.text));
        let what = words.get(1).filter(|what| matches!(what.kind, Kind::Word | Kind::String)).copied();
        let name = words.first().filter(|_| inner.is_some()).map(|first| (*first, what));
        let opener = Opener { name, line: words.first().unwrap_or(&end).line };
        let body = self.statements(inner, Some(opener), depth + 1);
        Statement { body: Some(body), ..Statement::new(words, end) }
    }

    /// Whether a section of the top level begins on a line of its own inside another section.
    fn begins_top(&self, section: Section, words: &[Token<'s>], token: &Token<'s>) -> bool {
        let begins_line = words.last().is_some_and(|last| last.last_line() < token.line);
        begins_line && section != Section::Top && Section::Top.inner(token.text).is_some()
    }

    /// Returns a statement that ends without a semicolon or a body. If its words seem complete, the missing end is
    /// reported here; otherwise the reader of the words reports what is missing.
    fn cut_short(&mut self, section: Option<Section>, words: Vec<Token<'s>>, end: Token<'s>) -> Statement<'s> {
        let mut statement = Statement::new(words, end);
        let (Some(first), Some(last)) = (statement.words.first().copied(), statement.words.last().copied()) else {
            return statement;
        };
        let Some(section) = section.filter(|section| section.has(first.text)) else { return statement };
        let inner = section.inner(first.text);
        statement.opens_section = inner.is_some();
        let needs_name = match inner {
            Some(inner) => matches!(inner, Section::Remote | Section::Sainfo),
            // The only directive without an operand.
            None => first.text != "strict_address",
        };
        let least = if first.text == "path" { 3 } else { 1 + usize::from(needs_name) };
        if statement.words.len() < least || last.kind == Kind::Comma {
            return statement;
        }
        match inner {
            Some(_) => {
                let hint = format!("`{}` is a section: write its directives between `{{` and `}}`", first.text);
                self.problems.error_behind(self.source, &last, "a `{` is missing", hint);
            }
            None => no_semicolon(self.problems, self.source, &last, &end),
        }
        statement.reported = true;
        statement
    }

    /// Skips the rest of a broken statement.
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

    /// Skips a body, which begins with the next token.
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
