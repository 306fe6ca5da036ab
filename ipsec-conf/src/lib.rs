//! Parsers of the toolkit's configuration languages.
//!
//! The crate parses the language of `setkey` ([`setkey`]), the configuration of `racoon` ([`racoon`]) and its files of keys
//! ([`psk`], [`plainrsa`]; [`key_file`] checks who has access to such a file). It opens no socket, asks no kernel and reads no
//! clock. Policy text, which follows `-P` in setkey, belongs to [`libpfkey::policy`].
#![forbid(unsafe_code)]

mod characters;
mod diagnostic;
mod excerpt;
pub mod hex;
pub mod key_file;
pub mod plainrsa;
pub mod psk;
mod psk_nearest;
pub mod racoon;
pub mod setkey;

/// Returns the text of a system error without `(os error N)`.
pub(crate) fn system_error(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error ").map_or(text.clone(), |(text, _)| text.to_owned())
}
