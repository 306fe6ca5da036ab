//! IKEv1 (RFC 2407, 2408, 2409) as a pure function of what comes in: no sockets, no clock, no randomness and no files of
//! its own.
//!
//! The [`engine`] is what the shell drives: datagrams, time, what the kernel says and what the operator wants go in, what is
//! to be done comes out ([`output`]). It works by its [`settings`], in the words of [`config`] and [`kernel`], and keeps how
//! each negotiation ended ([`reason`]). Below it lie numbers ([`num`]), messages ([`wire`]), cryptography ([`crypto`]) and
//! the rules by which it chooses: which remote block and which sainfo serve a peer ([`select`]), which proposal is accepted
//! ([`proposal`]), whose identity fits ([`identity`]), and which names a pre-shared key is looked up by ([`psk`]).
//!
//! Who is going to change it finds in the [`manual`] what is not to be seen from a single item.
#![forbid(unsafe_code)]

mod authorization;
pub mod config;
mod conversation;
pub mod crypto;
pub mod engine;
pub mod identity;
mod informational;
pub mod kernel;
pub mod manual;
mod message;
pub mod num;
pub mod output;
mod path;
mod phase1;
mod phase2;
pub mod proposal;
pub mod psk;
pub mod random;
pub mod reason;
pub mod select;
pub mod settings;
mod spd;
pub mod time;
pub mod undelivered;
pub mod wire;
