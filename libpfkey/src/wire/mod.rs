//! PF_KEY messages: a base header and extensions, in 8-byte words, in the byte order of the kernel's machine.
//!
//! [`Message::parse`] reads one; a [`Builder`] writes one, extension by extension. The types named after a structure of the
//! protocol, such as [`Sa`] for `sadb_sa`, hold its fields as numbers of a dialect.

mod address;
mod extension;
mod header;
mod key;
mod label;
mod message;
mod policy;
pub(crate) mod reader;
mod sa;
pub(crate) mod sockaddr;
mod supported;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod writer;
mod xfrm;

pub use address::{Address, Filter, KmAddress};
pub use extension::Extension;
pub use header::{HEADER_LEN, Header};
pub use key::Key;
pub use label::{Identity, SecurityContext, Sensitivity};
pub use message::{Builder, Message, peek_header};
pub(crate) use message::{next_extension, replace_header};
pub use policy::{IpsecRequest, Policy};
pub use sa::{Lifetime, Sa, Sa2, SpiRange};
pub use sockaddr::SockAddr;
pub use supported::{Algorithm, Combination, Proposal};
pub use xfrm::{XfrmAuthTrunc, XfrmExtensions, XfrmMark, XfrmOffload, XfrmReplay};
