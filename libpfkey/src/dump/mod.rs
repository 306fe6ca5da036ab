//! The texts that `setkey -D`, `-DP`, `-l`, `-v` and `-H` print. Each function appends to a string.
//!
//! They show keys: the caller must wipe the string.
//!
//! ```
//! use libpfkey::algorithm::Encryption;
//! use libpfkey::request::{Encoding, Request, RequestHeader};
//! use libpfkey::{Abi, Dialect, Message, SaSpec, dump};
//!
//! let sa = SaSpec::esp("192.0.2.1".parse()?, "192.0.2.2".parse()?, 0x1001).encryption(Encryption::AesCbc, &[1; 16]);
//! let header = RequestHeader { abi: Abi::of(Dialect::Linux), pid: 1, seq: 2 };
//! let mut bytes = Vec::new();
//! Request::Add(Box::new(sa.build()?)).encode(header, Encoding::default(), &mut bytes)?;
//!
//! let mut text = String::new();
//! dump::sa_entry(&mut text, &Message::parse(header.abi, &bytes)?, &dump::Options::default());
//! assert!(text.contains("E: aes-cbc  01010101 01010101 01010101 01010101"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod hex;
mod policy;
mod sa;
mod short;
mod structure;
#[cfg(test)]
mod tests;
mod time;
mod xfrm;

pub use hex::{hex_groups, hex_lines};
pub use policy::{is_socket_policy, policy_entry};
pub use sa::sa_entry;
pub use short::{SHORT_HEADER, short_entry};
pub use structure::structure;
pub use time::calendar;
pub use xfrm::device;

use crate::policy::push_ip;
use crate::wire::SockAddr;

/// How entries are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `-p`: ports after addresses.
    pub ports: bool,
    /// The current time in seconds since 1970, from which ages are counted.
    pub now: i64,
}

/// Appends an address in digits. Returns `false` for a family other than IP, of which nothing is appended.
fn push_address(out: &mut String, address: &SockAddr) -> bool {
    match address {
        SockAddr::Inet(address) => {
            push_ip(out, address);
            true
        }
        SockAddr::Other { .. } => false,
    }
}
