//! The configuration languages of the toolkit: text in, typed values out.
//!
//! This crate knows no socket, no kernel and no clock. It parses the language of `setkey` ([`setkey`]) and the
//! policy language that follows `-P` ([`policy`]); what the words mean as numbers on a kernel's door is the
//! business of `libpfkey`.
#![forbid(unsafe_code)]

mod diagnostic;
pub mod policy;
pub mod racoon;
pub mod setkey;
mod spelling;
