//! Errors in the text of a policy.

use std::borrow::Cow;

/// An error in the text of a policy, and its place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct PolicyError {
    /// The kind of error. Its `Display` form is the text of `ipsec_strerror(3)`.
    pub kind: ErrorKind,
    /// The token at which libipsec's parser stops, for the kinds that it reports with a token; empty at the end of the text.
    pub token: Option<String>,
    /// Offset of the offending token in the text, in bytes.
    pub offset: usize,
    /// What the author may have meant.
    pub hint: Option<Cow<'static, str>>,
}

impl PolicyError {
    /// Returns the line that libipsec prints on standard error before its caller reports the error, without a newline. Only
    /// syntax errors and bad addresses have one.
    pub fn library_line(&self) -> Option<String> {
        let token = self.token.as_ref()?;
        let what = if self.kind == ErrorKind::Address { "invalid IP address" } else { "syntax error" };
        Some(format!("libipsec: {what} while parsing \"{token}\""))
    }
}

/// The kinds of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ErrorKind {
    /// An endpoint is not a numeric address.
    #[error("Name or service not known")]
    Address,
    /// `me-any` without `out`, or `any-me` without `in`.
    #[error("Invalid direction")]
    Direction,
    /// The ends of a tunnel are of different address families.
    #[error("Family mismatch")]
    Family,
    /// A request without `/MODE`.
    #[error("Too few arguments")]
    FewArguments,
    /// A tunnel without its two addresses.
    #[error("Invalid address specification")]
    NoEndpoints,
    /// The offset from `low`, `def` or `high` is too large.
    #[error(
        "Priority offset from base not in valid range [0, 1073741823] for negative offsets and [0, 1073741824] for \
         positive offsets"
    )]
    PriorityBaseOffset,
    /// The priority is too large.
    #[error("Priority offset not in valid range [-2147483647, 2147483648]")]
    PriorityOffset,
    /// A port over 65535.
    #[error("Invalid port, not in [0, 65535]")]
    Port,
    /// The number after `unique:` does not fit 32 bits.
    #[error("Invalid reqid, not in [0, 4294967295]")]
    Reqid,
    /// A token that is not permitted in this place.
    #[error("Invalid argument")]
    Syntax,
    /// More requests than [`MAX_REQUESTS`](super::MAX_REQUESTS).
    #[error("Too many requests")]
    TooManyRequests,
}
