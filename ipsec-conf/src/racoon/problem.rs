//! Errors and warnings about a configuration.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::place::Place;
use super::source::Source;
use super::token::{Kind, Token};
use crate::excerpt::{Excerpt, Secrets, printable};

/// Maximum number of problems kept per severity; further ones are only counted.
const MOST: usize = 200;

/// Octets before and after an error in which the line of the excerpt is searched.
const NEAR: usize = 400;

/// Severity of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration can be used.
    Warning,
    /// The configuration cannot be used.
    Error,
}

/// An error or a warning.
///
/// Displayed as `FILE:LINE:COLUMN: MESSAGE`, the source line with passwords masked, a caret, and a hint, without a
/// newline at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its severity.
    pub severity: Severity,
    /// Its place.
    pub place: Place,
    /// The token at the place, a string without its closing quote; empty if there is none.
    pub token: Box<str>,
    /// What is wrong.
    pub message: Box<str>,
    /// How to correct it, or an explanation.
    pub hint: Option<Box<str>>,
    /// The source line; `None` if the place has none.
    excerpt: Option<Excerpt>,
}

impl Problem {
    /// Returns the problem in the form of the C racoon: `FILE:LINE: "TOKEN" MESSAGE`.
    pub fn log_line(&self) -> String {
        let file = printable(&self.place.file);
        format!("{file}:{}: \"{}\" {}", self.place.line, printable(&self.token), printable(&self.message))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { file, line, column } = &self.place;
        write!(f, "{}:", printable(file))?;
        if *line != 0 {
            write!(f, "{line}:{column}:")?;
        }
        if self.severity == Severity::Warning {
            f.write_str(" warning:")?;
        }
        write!(f, " {}", printable(&self.message))?;
        // Other messages name the token themselves.
        if &*self.message == SYNTAX_ERROR {
            match &*self.token {
                "" => f.write_str(" at the end")?,
                token => write!(f, " at `{}{}'", printable(token), closing_quote(token))?,
            }
        }
        if let Some(excerpt) = &self.excerpt {
            write!(f, "\n  {}\n  {:width$}^", excerpt.text, "", width = excerpt.caret)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  {}", printable(hint)),
            None => Ok(()),
        }
    }
}

/// Returns the closing quote, which [`Problem::token`] lacks.
fn closing_quote(token: &str) -> &'static str {
    if token.len() > 1 && token.starts_with('"') { "\"" } else { "" }
}

/// Message for a token that is not valid in its place.
pub(super) const SYNTAX_ERROR: &str = "syntax error";

/// File, line and column.
type Key = (Arc<str>, u32, u32);

/// Collects the problems of a load.
#[derive(Default)]
pub(super) struct Problems {
    /// The problems, each with the number of its file.
    list: RefCell<Vec<(u32, Problem)>>,
    warnings: Cell<usize>,
    errors: Cell<usize>,
    /// The number of the file that is being read.
    file: Cell<u32>,
    /// Source lines of places that problems may refer to when their files are no longer in memory.
    excerpts: RefCell<HashMap<Key, Excerpt>>,
}

impl Problems {
    /// Sets the number of the file in which the next problems are. Returns the previous one.
    pub(super) fn enter(&self, file: u32) -> u32 {
        self.file.replace(file)
    }

    pub(super) fn errors(&self) -> usize {
        self.errors.get()
    }

    pub(super) fn error(&self, source: &Source, token: &Token<'_>, message: &str, hint: Option<String>) {
        self.push(source, token, Severity::Error, message, hint);
    }

    pub(super) fn warning(&self, source: &Source, token: &Token<'_>, message: &str, hint: Option<String>) {
        self.push(source, token, Severity::Warning, message, hint);
    }

    /// Reports an error right after `last`, where something is missing.
    pub(super) fn error_behind(&self, source: &Source, last: &Token<'_>, message: &str, hint: String) {
        self.push_at(source, last, &last.behind(), Severity::Error, message, Some(hint));
    }

    fn push(&self, source: &Source, token: &Token<'_>, severity: Severity, message: &str, hint: Option<String>) {
        self.push_at(source, token, token, severity, message, hint);
    }

    /// Adds a problem with `token` at the place of `at`.
    fn push_at(
        &self,
        source: &Source,
        token: &Token<'_>,
        at: &Token<'_>,
        severity: Severity,
        message: &str,
        hint: Option<String>,
    ) {
        if !self.count(severity) {
            return;
        }
        let passwords = source.passwords();
        // The log and the terminal may have other readers than the file.
        let shown = match token.kind {
            Kind::Unclosed => "\"",
            Kind::String if passwords.cover(token.offset + 1) => "\"***",
            _ if passwords.cover(token.offset) => "***",
            Kind::String => token.text.strip_suffix('"').unwrap_or(token.text),
            _ => token.text,
        };
        let problem = Problem {
            severity,
            place: source.place(at),
            token: shown.into(),
            message: message.into(),
            hint: hint.map(Into::into),
            excerpt: Some(excerpt(source.shown(), at.offset, passwords)),
        };
        self.list.borrow_mut().push((self.file.get(), problem));
    }

    /// Keeps the source line of a place for [`Self::at_place`].
    pub(super) fn remember(&self, source: &Source, token: &Token<'_>) {
        let excerpt = excerpt(source.shown(), token.offset, source.passwords());
        self.excerpts.borrow_mut().insert((source.name.clone(), token.line, token.column), excerpt);
    }

    /// Adds a problem at a place whose file is no longer in memory.
    pub(super) fn at_place(
        &self,
        place: Place,
        severity: Severity,
        token: &str,
        message: String,
        hint: Option<String>,
    ) {
        if !self.count(severity) {
            return;
        }
        let hint = hint.map(Into::into);
        let excerpt = self.excerpts.borrow().get(&(place.file.clone(), place.line, place.column)).cloned();
        let problem = Problem { severity, place, token: token.into(), message: message.into(), hint, excerpt };
        self.list.borrow_mut().push((self.file.get(), problem));
    }

    /// Counts a problem. Returns whether it is kept.
    fn count(&self, severity: Severity) -> bool {
        let counter = match severity {
            Severity::Warning => &self.warnings,
            Severity::Error => &self.errors,
        };
        // Also beyond the limit: the number of errors decides whether the configuration is used.
        counter.set(counter.get() + 1);
        counter.get() <= MOST
    }

    /// Returns the problems in the order of the files and of the places in them.
    pub(super) fn into_sorted(self) -> Vec<Problem> {
        let mut list = self.list.into_inner();
        // Stable: problems at one place stay in the order in which they were found.
        list.sort_by_key(|(file, problem)| (*file, problem.place.line, problem.place.column));
        list.into_iter().map(|(_, problem)| problem).collect()
    }
}

/// Returns the line around `offset`.
fn excerpt(text: &str, offset: usize, passwords: &Secrets) -> Excerpt {
    let (before, after) = text.split_at_checked(floor(text, offset)).unwrap_or((text, ""));
    // A file may be one long line, so only a part of it is searched and shown.
    let near = floor(before, before.len().saturating_sub(NEAR));
    let line = before.get(near..).and_then(|near| near.rfind(['\n', '\r']));
    let start = line.map_or(near, |at| near + at + 1);
    let head = before.get(start..).unwrap_or_default();
    let rest = after.get(..floor(after, NEAR)).unwrap_or_default();
    let rest = rest.split(['\n', '\r']).next().unwrap_or_default();
    Excerpt::new(head, rest, start, passwords)
}

/// Returns the beginning of the character at `offset`, or the end of the text.
fn floor(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
