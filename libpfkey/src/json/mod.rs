//! SAs and policies as JSON, the format of `setkey --json` and `racoonctl --json`.
//!
//! [`Kernel::dump_json`](crate::Kernel::dump_json) and [`Kernel::policy_dump_json`](crate::Kernel::policy_dump_json) list a
//! database as one document, which the JSON Schema in [`SCHEMA`] describes. [`Listing`] writes the same document while the
//! kernel's messages arrive. [`SaEntry`] and [`PolicyEntry`] are its elements, views of a message of a dump. They implement
//! [`Serialize`](serde::Serialize), for any serializer.
//!
//! ```
//! use libpfkey::algorithm::Encryption;
//! use libpfkey::backend::Memory;
//! use libpfkey::json::Keys;
//! use libpfkey::{Abi, Kernel, SaSpec, SaType};
//!
//! // Kernel::open() for the system's own kernel.
//! let mut kernel = Kernel::with_backend(Box::new(Memory::new(Abi::HOST)?));
//! assert_eq!(*kernel.dump_json(SaType::Unspec, Keys::Omitted)?, *b"{\"version\":1,\"sas\":[]}\n");
//!
//! let sa = SaSpec::esp("192.0.2.1".parse()?, "192.0.2.2".parse()?, 0x1001);
//! kernel.add(&sa.encryption(Encryption::AesCbc, b"sixteen byte key").build()?)?;
//! let document: serde_json::Value = serde_json::from_slice(&kernel.dump_json(SaType::Esp, Keys::Included)?)?;
//! let encryption = &document["sas"][0]["encryption"];
//! assert_eq!(encryption["name"], "aes-cbc");
//! assert_eq!(encryption["key"], "7369787465656e2062797465206b6579");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dump;
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
