//! PF_KEY version 2 (RFC 2367) with the KAME extensions, as Linux, FreeBSD, NetBSD and macOS speak it.
//!
//! What libipsec offers to C programs, for Rust: composing and parsing messages ([`request`], [`wire`]), talking to a
//! key engine ([`Connection`], [`Pipeline`]) through one of several backends ([`backend`]), policy text to binary and
//! back ([`policy`]), algorithm names and key lengths ([`algorithm`]), what kernels refuse and why ([`rules`]), and the
//! texts that `setkey -D` prints ([`dump`]).
//!
//! Every dialect is compiled on every host and chosen at run time by an [`Abi`].
//!
//! ```
//! use libpfkey::backend::Memory;
//! use libpfkey::{Abi, Connection, MessageType, SaType, request, wire};
//!
//! let mut connection = Connection::new(Box::new(Memory::new(Abi::HOST)?));
//! let mut bytes = Vec::new();
//! request::dump(connection.request_header(1), SaType::Unspec, &mut bytes)?;
//! connection.send(&bytes)?;
//! let answer = connection.recv(None)?.expect("an answer");
//! let header = wire::peek_header(Abi::HOST, answer)?;
//! assert_eq!(header.message_type, MessageType::Dump);
//! assert_eq!(i32::from(header.errno), 2, "ENOENT: the SAD is empty");
//! # Ok::<(), libpfkey::Error>(())
//! ```

pub mod algorithm;
mod arbitrary;
pub mod backend;
mod connection;
mod dialect;
pub mod dump;
mod error;
pub mod kernel_state;
pub mod num;
mod pipeline;
pub mod policy;
pub mod protocol;
pub mod request;
pub mod rules;
mod sa;
mod secret_key;
mod security_policy;
mod selector;
mod spec_error;
pub mod spelling;
pub mod state_file;
mod strerror;
mod sys;
pub mod wire;

pub use connection::Connection;
pub use dialect::{Abi, ByteOrder, DIALECT_VARIABLE, Dialect, UnknownDialect};
pub use error::{Error, Result};
pub use num::{ExtensionType, MessageType, SaFlags, SaState, SaType};
pub use pipeline::{Answer, Pipeline, Refusal, SendMode};
pub use request::Request;
pub use sa::{
    InstalledSa, Keyed, Lifetimes, Mode, Replay, SaBuilder, SaId, SaSpec, SecurityLabel, TCP_MD5_SPI, UdpEncapsulation,
};
pub use secret_key::SecretKey;
pub use security_policy::{InstalledPolicy, PolicyBuilder, PolicyId, PolicySpec, Template};
pub use selector::{Selector, SelectorAddress};
pub use spec_error::SpecError;
pub use strerror::{Code, errno_text};
pub use wire::{Builder, Extension, Header, Message};
