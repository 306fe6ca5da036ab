//! What is wrong with bytes of a peer.

use thiserror::Error;

use crate::num::Doi;

/// Bytes that are no ISAKMP. Offsets count from the beginning of what was parsed: the datagram for a header, the bytes
/// behind the header for a chain, the bytes behind the generic header for a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// They end too early.
    #[error("{part}: byte {at}: {needed} bytes are expected, {left} are left")]
    Truncated {
        /// What was parsed.
        part: &'static str,
        /// Where the field begins.
        at: usize,
        /// Size of the field.
        needed: usize,
        /// What there is of it.
        left: usize,
    },
    /// They go on where they should end.
    #[error("{part}: byte {at}: the end is expected, {left} bytes follow")]
    Trailing {
        /// What was parsed.
        part: &'static str,
        /// Where it should end.
        at: usize,
        /// How many bytes follow.
        left: usize,
    },
    /// A field has a value that it cannot have.
    #[error("{part}: byte {at}: {expected} is expected, {field} is {found}")]
    Value {
        /// What was parsed.
        part: &'static str,
        /// The field.
        field: &'static str,
        /// Behind the field.
        at: usize,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: u64,
    },
    /// There are more parts than anybody needs.
    #[error("{part}: byte {at}: more than {limit} payloads")]
    TooMany {
        /// What was parsed.
        part: &'static str,
        /// Where the first one too many begins.
        at: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Another major version than 1.
    #[error("ISAKMP header: version 1 is expected, found {major}.{minor}")]
    Version {
        /// Major version.
        major: u8,
        /// Minor version.
        minor: u8,
    },
    /// An unknown flag is set.
    #[error("ISAKMP header: unknown bits in flags {found:#04x}")]
    Flags {
        /// All the flags.
        found: u8,
    },
    /// An SA payload of another DOI than IPsec's, whose layout is not known.
    #[error("SA payload: DOI ipsec is expected, found {found}")]
    Doi {
        /// The DOI.
        found: Doi,
    },
    /// An SA payload of another situation than SIT_IDENTITY_ONLY.
    #[error("SA payload: situation 1 is expected, found {found}")]
    Situation {
        /// The situation.
        found: u32,
    },
}
