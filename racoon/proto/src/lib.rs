//! IKEv1 (RFC 2407, 2408, 2409) as a pure function of its inputs: it has no sockets, clock, randomness or files of its own.
//!
//! A shell drives the [`engine`]: it passes in datagrams, the time, events of the kernel and requests of the operator, and
//! carries out what the engine returns ([`output`]). The engine follows its [`settings`], which are made of the types of
//! [`config`] and [`kernel`], and keeps the outcome of each negotiation ([`reason`]).
//!
//! It is built on numbers ([`num`]), messages ([`wire`]) and cryptography ([`crypto`]), and on the rules by which it selects
//! remote sections and sainfos ([`select`]), accepts proposals ([`proposal`]), compares identities ([`identity`]) and looks up
//! pre-shared keys ([`psk`]).
//!
//! Contributors: the [`manual`] explains what no single item documents.
#![forbid(unsafe_code)]

mod authorization;
pub mod certificate;
pub mod config;
mod conversation;
pub mod credentials;
pub mod crypto;
pub mod engine;
pub mod identity;
mod informational;
pub mod kernel;
pub mod manual;
mod message;
pub mod num;
pub mod output;
pub mod path;
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
