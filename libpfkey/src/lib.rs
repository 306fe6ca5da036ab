//! PF_KEY version 2 (RFC 2367) with the KAME extensions, as Linux, FreeBSD, NetBSD and macOS speak it.

pub mod algorithm;
mod dialect;
pub mod dump;
mod error;
pub mod num;
pub mod policy;
pub mod protocol;
mod strerror;
mod sys;
pub mod wire;

pub use dialect::{Abi, ByteOrder, Dialect, UnknownDialect};
pub use error::{Error, Result};
pub use num::{ExtensionType, MessageType, SaFlags, SaState, SaType};
pub use strerror::{Code, errno_text};
pub use wire::{Builder, Extension, Header, Message};
