//! The configuration languages of the toolkit: text in, typed values out.
//!
//! This crate knows no socket, no kernel and no clock. It parses the language of `setkey` ([`setkey`]), the policy
//! language that follows `-P` ([`policy`]), the configuration of `racoon` ([`racoon`]) and its files of keys ([`psk`],
//! [`plainrsa`]), and the list that racoon keeps of what it has in the kernel ([`kernel_state`]); the numbers that the words stand for, in a kernel's interface or on the wire, are the business of other crates.
#![forbid(unsafe_code)]

mod characters;
mod diagnostic;
mod excerpt;
pub mod hex;
pub mod kernel_state;
mod key_file;
pub mod plainrsa;
pub mod policy;
pub mod psk;
mod psk_nearest;
pub mod racoon;
pub mod setkey;
mod spelling;

/// What the system said, without the number of the error.
pub(crate) fn system_error(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error ").map_or(text.clone(), |(text, _)| text.to_owned())
}
