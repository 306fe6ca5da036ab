//! What `setkey -D`, `-DP`, `-l`, `-v` and `-H` print, as text appended to a string.

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
    /// Seconds since 1970, for the current time and ages.
    pub now: i64,
}

/// An address in digits; `false` when its family has no digits here.
fn push_address(out: &mut String, address: &SockAddr) -> bool {
    match address {
        SockAddr::Inet(address) => {
            push_ip(out, address);
            true
        }
        SockAddr::Other { .. } => false,
    }
}
