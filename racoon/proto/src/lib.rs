//! IKEv1 (RFC 2407, 2408, 2409) as a pure function of what comes in: no sockets, no clock, no randomness and no files of
//! its own.
//!
//! What there is so far are the words of its configuration ([`config`]) and the rules by which it chooses: which remote
//! block and which sainfo serve a peer ([`select`]), which proposal is accepted ([`proposal`]), whose identity fits
//! ([`identity`]), and which names a pre-shared key is looked up by ([`psk`]).
#![forbid(unsafe_code)]

pub mod config;
pub mod crypto;
pub mod engine;
mod exchange;
pub mod identity;
pub mod kernel;
pub mod num;
pub mod outcome;
pub mod output;
mod phase1;
mod phase2;
pub mod proposal;
pub mod psk;
pub mod random;
pub mod select;
pub mod settings;
mod spd;
pub mod time;
pub mod wire;
