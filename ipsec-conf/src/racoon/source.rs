//! A file of a configuration.

use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use super::password::passwords;
use super::place::Place;
use super::token::Token;
use crate::excerpt::Secrets;

/// A file that was read. It may hold passwords.
pub(super) struct Source {
    pub(super) name: Arc<str>,
    pub(super) text: Zeroizing<String>,
    /// The bytes were no UTF-8: each is the character of its number.
    pub(super) latin1: bool,
    /// Found when the first problem is told.
    passwords: OnceLock<Secrets>,
}

impl Source {
    pub(super) fn new(name: &str, bytes: Vec<u8>) -> Self {
        let (text, latin1) = match String::from_utf8(bytes) {
            Ok(text) => (text, false),
            Err(error) => {
                let bytes = Zeroizing::new(error.into_bytes());
                (bytes.iter().copied().map(char::from).collect(), true)
            }
        };
        Self { name: name.into(), text: Zeroizing::new(text), latin1, passwords: OnceLock::new() }
    }

    pub(super) fn place(&self, token: &Token<'_>) -> Place {
        Place { file: self.name.clone(), line: token.line, column: token.column }
    }

    /// The spans that hold passwords, or may.
    pub(super) fn passwords(&self) -> &Secrets {
        self.passwords.get_or_init(|| passwords(&self.text))
    }

    /// The bytes that the file has for a part of its text.
    pub(super) fn bytes(&self, text: &str) -> Box<[u8]> {
        match self.latin1 {
            true => crate::setkey::narrow(text).into(),
            false => text.as_bytes().into(),
        }
    }
}
