//! Errors in the bytes of a peer.

use thiserror::Error;

use crate::num::Doi;

/// The reason why bytes are not ISAKMP. Offsets are relative to what was parsed: the datagram for a header, the bytes after the
/// header for a chain, the bytes after the generic header for a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// The bytes end too early.
    #[error("{part}: byte {at}: {needed} bytes are expected, {left} are left")]
    Truncated {
        /// What was parsed.
        part: &'static str,
        /// The offset of the field.
        at: usize,
        /// The size of the field.
        needed: usize,
        /// The number of its bytes that are present.
        left: usize,
    },
    /// Bytes follow where there should be none.
    #[error("{part}: byte {at}: the end is expected, {left} bytes follow")]
    Trailing {
        /// What was parsed.
        part: &'static str,
        /// The offset of the expected end.
        at: usize,
        /// The number of bytes that follow.
        left: usize,
    },
    /// A field has an invalid value.
    #[error("{part}: byte {at}: {expected} is expected, {field} is {found}")]
    Value {
        /// What was parsed.
        part: &'static str,
        /// The field.
        field: &'static str,
        /// The offset after the field.
        at: usize,
        /// The valid values.
        expected: &'static str,
        /// The value.
        found: u64,
    },
    /// There are more parts than are accepted.
    #[error("{part}: byte {at}: more than {limit} payloads")]
    TooMany {
        /// What was parsed.
        part: &'static str,
        /// The offset of the first part that exceeds the limit.
        at: usize,
        /// The limit.
        limit: usize,
    },
    /// The major version is not 1.
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
        /// The flags.
        found: u8,
    },
    /// The DOI of an SA payload is not IPsec, so its layout is unknown.
    #[error("SA payload: DOI ipsec is expected, found {found}")]
    Doi {
        /// The DOI.
        found: Doi,
    },
    /// The situation of an SA payload is not SIT_IDENTITY_ONLY.
    #[error("SA payload: situation 1 is expected, found {found}")]
    Situation {
        /// The situation.
        found: u32,
    },
}
