//! SAs and policies as JSON, the format of `setkey --json` and `racoonctl --json`.
//!
//! [`SaEntry`] and [`PolicyEntry`] are views of the messages with which a kernel answers DUMP and SPDDUMP. They implement
//! [`Serialize`](serde::Serialize), for any serializer. [`Listing`] writes a whole database as one document, which the
//! JSON Schema in [`SCHEMA`] describes.
//!
//! ```
//! use libpfkey::backend::Memory;
//! use libpfkey::json::{Database, Keys, Listing, SecretBuffer};
//! use libpfkey::{Abi, Answer, Connection, Message, Pipeline, SaType, SendMode, request};
//!
//! let connection = Connection::new(Box::new(Memory::new(Abi::HOST)?));
//! let mut pipeline = Pipeline::<()>::new(connection, SendMode::Pipelined);
//! let mut dump = Vec::new();
//! request::dump(pipeline.next_request_header(), SaType::Unspec, &mut dump)?;
//!
//! let mut listing = Listing::new(SecretBuffer::default(), Database::Sas, Keys::Omitted);
//! pipeline.dump(&dump, &(), &mut |(), answer| {
//!     if let Answer::Reply(bytes) = answer {
//!         let message = Message::parse(Abi::HOST, bytes).expect("a valid reply");
//!         listing.push(&message).expect("memory is writable");
//!     }
//! })?;
//! assert_eq!(*listing.finish()?, *b"{\"version\":1,\"sas\":[]}\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod listing;
mod member;
mod policy;
mod sa;
mod secret_buffer;
#[cfg(test)]
mod tests;

pub use listing::{Database, Listing};
pub use policy::PolicyEntry;
pub use sa::SaEntry;
pub use secret_buffer::SecretBuffer;

/// Version of the format. Increased when a member is removed or changes its meaning; a new member does not change it.
pub const VERSION: u32 = 1;

/// JSON Schema (draft 2020-12) of the documents that [`Listing`] writes.
pub const SCHEMA: &str = include_str!("../../schema/sad-spd-1.json");

/// Whether entries contain keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// Algorithms and key lengths only.
    #[default]
    Omitted,
    /// Keys too, in hexadecimal. The text is as secret as they are.
    Included,
}
