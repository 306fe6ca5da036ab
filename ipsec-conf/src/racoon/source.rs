//! A file of a configuration.

use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use super::password::passwords;
use super::place::Place;
use super::problem::Problems;
use super::stray::{self, Found};
use super::token::{Token, character};
use crate::excerpt::Secrets;

/// Whether bytes are UTF-16, which some editors call Unicode: they begin with a byte order mark, or every other byte is 0.
pub(super) fn is_utf16(bytes: &[u8]) -> bool {
    let head = bytes.get(..64).unwrap_or(bytes);
    // Half of the bytes of ASCII in UTF-16 are 0; a third leaves room for other characters.
    let zeros = head.iter().filter(|byte| **byte == 0).count();
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") || (zeros >= 2 && zeros * 3 >= head.len())
}

/// A file that was read. It may contain passwords.
pub(super) struct Source {
    pub(super) name: Arc<str>,
    pub(super) text: Zeroizing<String>,
    /// The text as it is in the file, if `text` has plain characters in place of stray ones.
    original: Option<Zeroizing<String>>,
    stray: Vec<Found>,
    /// Whether the bytes were not UTF-8; each byte was then widened as Latin-1.
    pub(super) latin1: bool,
    /// Computed when the first problem is reported.
    passwords: OnceLock<Secrets>,
}

impl Source {
    pub(super) fn new(name: &str, bytes: Vec<u8>) -> Self {
        let (text, latin1) = match String::from_utf8(bytes) {
            Ok(text) => (text, false),
            // Comments of old files are in many encodings, and must not keep the rest from being read.
            Err(error) => {
                let bytes = Zeroizing::new(error.into_bytes());
                (bytes.iter().copied().map(char::from).collect(), true)
            }
        };
        let text = Zeroizing::new(text);
        let (text, original, stray) = match stray::repair(&text) {
            Some((repaired, found)) => (Zeroizing::new(repaired), Some(text), found),
            None => (text, None, Vec::new()),
        };
        Self { name: name.into(), text, original, stray, latin1, passwords: OnceLock::new() }
    }

    /// Returns the text as its author sees it. Tokens have the same offsets as in `text`.
    pub(super) fn shown(&self) -> &str {
        self.original.as_ref().unwrap_or(&self.text)
    }

    /// Reports characters that do not belong in a configuration.
    pub(super) fn report_stray(&self, problems: &Problems) {
        for found in &self.stray {
            let token = character(self.shown(), found.offset);
            match found.is_harmless() {
                true => problems.warning(self, &token, &found.message(), Some(found.hint())),
                false => problems.error(self, &token, &found.message(), Some(found.hint())),
            }
        }
    }

    pub(super) fn place(&self, token: &Token<'_>) -> Place {
        Place { file: self.name.clone(), line: token.line, column: token.column }
    }

    /// Returns the spans that are or may be passwords.
    pub(super) fn passwords(&self) -> &Secrets {
        self.passwords.get_or_init(|| match &self.original {
            // What was taken for a comment of another language may be part of a password.
            Some(original) => passwords(&self.text).joined(passwords(original)),
            None => passwords(&self.text),
        })
    }

    /// Returns the bytes of the file for a part of its text.
    pub(super) fn bytes(&self, text: &str) -> Box<[u8]> {
        match self.latin1 {
            true => crate::setkey::narrow(text).into(),
            false => text.as_bytes().into(),
        }
    }
}
