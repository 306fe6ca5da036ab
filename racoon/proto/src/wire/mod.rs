//! The wire: a message is a header and payloads, in network byte order (RFC 2408 section 3).
//!
//! All bytes come in through one cursor, whose nested lengths are sub-readers, and go out through one writer, which
//! fills in length fields. Bytes that a hash covers are kept by whoever hashes them: a [`RawPayload`] still has them.

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
