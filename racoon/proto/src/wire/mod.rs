//! The format of messages: a header and payloads, in network byte order (RFC 2408 section 3).
//!
//! All bytes are read through one cursor, in which a nested length becomes a sub-reader, and written through one writer, which fills
//! in length fields. A [`RawPayload`] keeps the bytes as received, for the hashes that cover them.

mod attribute;
mod certificate;
pub mod chain;
mod config;
mod delete;
pub mod describe;
mod error;
mod fragment;
mod header;
mod id;
mod nat;
mod nonce;
mod notify;
mod reader;
mod sa;
mod vendor;
mod writer;

pub use attribute::{Attribute, AttributeValue};
pub use certificate::{Certificate, CertificateRequest};
pub use chain::{RawPayload, Tail, message};
pub use config::Attributes;
pub use delete::Delete;
pub use error::WireError;
pub use fragment::Fragment;
pub use header::{Cookie, CookiePair, HEADER_LEN, Header, MESSAGE_MAX};
pub use nat::NatOa;
pub use nonce::{NONCE_MAX, NONCE_MIN, nonce};
pub use notify::Notify;
pub use sa::{Proposal, SaBody, Transform};
pub use vendor::{NatTVersion, VendorId};
