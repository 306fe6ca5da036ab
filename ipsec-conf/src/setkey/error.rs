//! Why a statement was refused.

use std::borrow::Cow;
use std::fmt;

use libpfkey::policy;

/// Why a statement was refused, and where.
///
/// The `Display` form is the text of KAME setkey, ``MESSAGE at `TOKEN'``, with `at the key` where the token is a key or
/// could be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The cause.
    pub kind: ErrorKind,
    /// What is wrong, without the token.
    pub message: Cow<'static, str>,
    /// The token at which KAME setkey's parser detects the error: empty at the end of the text, the whole text after `-P`
    /// for an error in a policy. `None` if it is a key or may be one.
    pub token: Option<String>,
    /// Line at which that parser detects it.
    pub line: u32,
    /// Offset of the mistake in the statement's text; for a policy, inside the text after `-P`.
    pub offset: usize,
    /// A line that libipsec itself prints on standard error.
    pub library_line: Option<String>,
    /// What the author may have meant.
    pub hint: Option<Cow<'static, str>>,
}

impl ParseError {
    /// Whether reading stops at once, even on a terminal: at a character that begins no token. Nothing else is printed
    /// then. (After other errors `parse failed` is printed, and with `-c` reading continues.)
    pub fn is_fatal(&self) -> bool {
        self.kind == ErrorKind::Lexical
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.token {
            Some(token) => write!(f, "{} at `{token}'", self.message),
            None => write!(f, "{} at the key", self.message),
        }
    }
}

impl std::error::Error for ParseError {}

/// The causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A character that begins no token.
    Lexical,
    /// The text after `-P`.
    Policy(policy::ErrorKind),
    /// A token that may not stand there.
    Syntax,
    /// The statement is well-formed but says something impossible.
    Value,
}
