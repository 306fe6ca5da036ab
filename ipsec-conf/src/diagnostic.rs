//! Errors shown with their source line, for people.

use std::fmt;

use crate::setkey::{ErrorKind, ParseError, RawStatement, Token, tokens};

/// Columns of a source line that are shown.
const WIDTH: usize = 100;

/// An error with the line it is in: `FILE:LINE:COLUMN: MESSAGE`, the source line with keys blotted out, a caret, and a
/// hint.
#[derive(Clone, Debug)]
pub struct Diagnostic<'a> {
    file: &'a str,
    source: RawStatement<'a>,
    error: &'a ParseError,
}

impl<'a> Diagnostic<'a> {
    /// Shows `error`, met in the statement `source` of `file`.
    pub fn new(file: &'a str, source: RawStatement<'a>, error: &'a ParseError) -> Self {
        Self { file, source, error }
    }

    /// Start and end of the line with the error in the statement's text.
    fn line(&self) -> (usize, usize) {
        let text = self.source.text;
        let offset = (0..=self.error.offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let start = text[..offset].rfind('\n').map_or(0, |at| at + 1);
        let end = text[offset..].find('\n').map_or(text.len(), |at| offset + at);
        (start, end)
    }

    /// The line's number, and the column of its first character.
    fn place(&self, start: usize) -> (u32, u32) {
        let lines = self.source.text[..start].bytes().filter(|byte| *byte == b'\n').count();
        let line = self.source.first_line.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        (line, if start == 0 { self.source.first_column } else { 1 })
    }

    /// What libipsec says of a policy: with the token, where it names one.
    fn policy_message(&self) -> String {
        let line = self.error.library_line.as_deref().and_then(|line| line.strip_prefix("libipsec: "));
        printable(line.unwrap_or(&self.error.message))
    }
}

impl fmt::Display for Diagnostic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.source.text;
        let (start, end) = self.line();
        let (line, first_column) = self.place(start);
        let secrets = secrets(text);
        let hidden = |offset: usize| secrets.iter().any(|(from, to)| (*from..*to).contains(&offset));

        // Each character as it is shown; `caret` is the width of what stands before the error.
        let (mut shown, mut caret, mut column) = (Vec::new(), None, first_column);
        for (at, c) in text[start..end].char_indices() {
            if start + at >= self.error.offset && caret.is_none() {
                caret = Some(shown.len());
            }
            if caret.is_none() {
                column = column.saturating_add(1);
            }
            match c {
                _ if hidden(start + at) => shown.push('*'),
                '\t' => shown.extend(std::iter::repeat_n(' ', 8 - shown.len() % 8)),
                ' '..='~' => shown.push(c),
                _ => shown.extend(c.escape_default()),
            }
        }
        let caret = caret.unwrap_or(shown.len());
        let from = if caret < WIDTH * 3 / 4 { 0 } else { caret - WIDTH / 2 };
        let to = shown.len().min(from + WIDTH);
        let dots = |cut: bool| if cut { "..." } else { "" };

        write!(f, "{}:{line}:{column}: ", self.file)?;
        match Token::at(text, self.error.offset) {
            _ if hidden(self.error.offset) => writeln!(f, "{} at the key", self.error.message)?,
            _ if matches!(self.error.kind, ErrorKind::Policy(_)) => writeln!(f, "{}", self.policy_message())?,
            Token::End => writeln!(f, "{} at the end", self.error.message)?,
            token => writeln!(f, "{} at `{}'", self.error.message, printable(token.source()))?,
        }
        let window: String = shown[from..to].iter().collect();
        writeln!(f, "  {}{window}{}", dots(from > 0), dots(to < shown.len()))?;
        write!(f, "  {:width$}^", "", width = caret - from + dots(from > 0).len())?;
        match &self.error.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}

/// Text without characters that a terminal would act on, cut to a line.
fn printable(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(WIDTH) {
        match c {
            ' '..='~' => shown.push(c),
            _ => shown.extend(c.escape_default()),
        }
    }
    shown
}

/// The spans of a statement that hold keys, or may: what follows `-E NAME` and `-A NAME`, quoted strings after those
/// flags, and long strings of hex digits anywhere.
fn secrets(text: &str) -> Vec<(usize, usize)> {
    let mut secrets = Vec::new();
    let mut since_flag = None;
    for (offset, token) in tokens(text) {
        let source = token.source();
        let digits = source.strip_prefix("0x").or_else(|| source.strip_prefix("0X")).unwrap_or(source);
        let long_hex = digits.len() > 10 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        since_flag = match (token, since_flag) {
            (Token::Plain("-E" | "-A" | "auth"), _) => Some(0),
            (_, since) => since.map(|count: u32| count.saturating_add(1)),
        };
        let secret = match token {
            Token::Quoted(_) => since_flag.is_some(),
            Token::Illegal("\"") => true,
            _ if matches!(source, "-A" | "-E" | ";") => false,
            _ => long_hex || since_flag == Some(2),
        };
        match token {
            // An open quote: all that follows.
            Token::Illegal("\"") => {
                secrets.push((offset + 1, text.len()));
                break;
            }
            _ if secret => secrets.push((offset, offset + source.len())),
            _ => {}
        }
    }
    secrets
}
