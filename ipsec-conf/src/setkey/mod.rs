//! The language of `setkey`: statements ended by `;`.
//!
//! A [`Splitter`] cuts a stream of bytes into statements, [`parse`] makes a [`Statement`] of each, and a [`Diagnostic`]
//! shows an error with its source line. Bytes above 127 are widened as Latin-1 on the way in; [`narrow`] is the way
//! back.

mod ast;
mod error;
mod grammar;
mod hint;
mod parser;
mod place;
mod secret;
mod selector;
mod splitter;
mod token;

pub use ast::*;
pub use error::{ErrorKind, ParseError};
pub use libpfkey::algorithm::{AuthenticationWord, CompressionWord, EncryptionWord};
pub use parser::parse;
pub(crate) use secret::secrets_of;
pub use selector::{known_protocol, upper_spec};
pub use splitter::{MAX_STATEMENT, RawStatement, Splitter, StatementTooLong};
pub(crate) use token::{Token, tokens};

pub use crate::diagnostic::Diagnostic;

/// The bytes that were widened to `text`.
pub fn narrow(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

#[cfg(test)]
mod tests;
