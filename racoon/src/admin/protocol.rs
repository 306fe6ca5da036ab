//! Protocol between `racoonctl` and the daemon: one request and one reply over a stream, in host byte order.
//!
//! | bytes | field |
//! |---|---|
//! | 0-1 | length of the message; of a long reply its low 16 bits |
//! | 2-3 | [`COMMAND`]; in a long reply with flag `0x8000` |
//! | 4-5 | request: the sender's [`VERSION`]; reply: an errno, or the high 16 bits of the length of a long reply |
//! | 6-7 | request: 0; reply: the sender's [`VERSION`] |
//!
//! The body of a request begins with its kind and a table.
//!
//! The header has the form of KAME racoon's, because that daemon may listen at the same path and its racoonctl may
//! connect to ours. Everything else differs, so that neither mistakes the other's messages for its own: [`COMMAND`] is
//! not a command of that racoon, which refuses unknown commands without looking at the body. A body of unexpected
//! length is refused.

mod encoding;
mod kame;
mod phase1_row;
mod request;

use thiserror::Error;
use zeroize::Zeroizing;

pub use phase1_row::Phase1Row;
pub use request::{Endpoints, Establishment, Flow, Request, Table};

/// Version of the protocol. Any change of a message increments it; the header never changes.
pub const VERSION: u16 = 1;
/// Command of all messages, which reads the same in either byte order.
pub const COMMAND: u16 = 0x7272;
/// Length of the header.
pub const HEADER_LENGTH: usize = 8;
/// Maximum length of a request.
pub const REQUEST_MAX: usize = 4096;
/// Maximum length of a reply: several hundred thousand SAs.
pub const REPLY_MAX: usize = 256 << 20;
/// Flag in the command of a reply with a 32-bit length.
const LONG: u16 = 0x8000;

/// Header of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Length of the whole message.
    pub length: usize,
    command: u16,
    version: u16,
    last: u16,
}

/// Header of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHeader {
    /// Length of the whole message.
    pub length: usize,
    /// Errno, 0 for success.
    pub errno: u16,
    /// Protocol version of the daemon; `None` if it speaks another protocol.
    pub version: Option<u16>,
}

/// Reason for refusing a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Invalid length.
    #[error("invalid message length: {0} bytes")]
    Length(usize),
    /// A request of another program's protocol.
    #[error("{} refused: the client speaks another protocol, such as the racoonctl of ipsec-tools", kame::name(*.0))]
    Foreign(u16),
    /// A request of another version.
    #[error(
        "racoonctl speaks version {0} of the control protocol, racoon version {VERSION}; use the racoonctl that was \
         installed with racoon"
    )]
    Version(u16),
    /// Unknown kind of request.
    #[error("invalid request {0}")]
    Kind(u16),
    /// Unknown table, or one that the request does not support.
    #[error("invalid table {0:#06x}")]
    Table(u16),
    /// A body that does not fit the request.
    #[error("invalid body")]
    Body,
}

/// Splits a header into its fields.
fn words(bytes: [u8; HEADER_LENGTH]) -> [u16; 4] {
    let [a, b, c, d, e, f, g, h] = bytes;
    [[a, b], [c, d], [e, f], [g, h]].map(u16::from_ne_bytes)
}

/// Checks the length of a message, header included.
fn checked(length: usize, limit: usize) -> Result<usize, Malformed> {
    if (HEADER_LENGTH..=limit).contains(&length) { Ok(length) } else { Err(Malformed::Length(length)) }
}

impl RequestHeader {
    /// Parses the header of a request, of any protocol.
    ///
    /// # Errors
    /// [`Malformed::Length`] if the length is below the header's or above [`REQUEST_MAX`].
    pub fn parse(bytes: [u8; HEADER_LENGTH]) -> Result<Self, Malformed> {
        let [length, command, version, last] = words(bytes);
        Ok(Self { length: checked(length.into(), REQUEST_MAX)?, command, version, last })
    }
}

impl ReplyHeader {
    /// Parses the header of a reply, of any protocol.
    ///
    /// # Errors
    /// [`Malformed::Length`] if the length is below the header's or above [`REPLY_MAX`].
    pub fn parse(bytes: [u8; HEADER_LENGTH]) -> Result<Self, Malformed> {
        let [low, command, number, version] = words(bytes);
        let (length, errno) = if command & LONG == 0 {
            (usize::from(low), number)
        } else {
            // A long reply has no place for an errno: errors are short.
            (usize::from(number) << 16 | usize::from(low), 0)
        };
        // KAME's racoon returns the 0 of the request.
        let is_ours = command & !LONG == COMMAND && version != 0;
        Ok(Self { length: checked(length, REPLY_MAX)?, errno, version: is_ours.then_some(version) })
    }
}

/// Composes a message. One of 64 KiB or more has no room for `number`.
fn message(number: u16, last: u16, body: &[u8]) -> Vec<u8> {
    let length = HEADER_LENGTH + body.len();
    // A longer message has the high half of its length where the errno would be.
    let low = u16::try_from(length & 0xffff).unwrap_or_default();
    let (command, number) = match u16::try_from(length >> 16).unwrap_or(u16::MAX) {
        0 => (COMMAND, number),
        high => (COMMAND | LONG, high),
    };
    // Allocated at once: a vector that grows would leave copies of the keys in the body behind.
    let mut bytes = Vec::with_capacity(length);
    bytes.extend([low, command, number, last].into_iter().flat_map(u16::to_ne_bytes));
    bytes.extend_from_slice(body);
    bytes
}

/// Error reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorReply {
    /// Errno of the host.
    pub errno: u16,
    /// Explanation.
    pub text: String,
}

impl ErrorReply {
    /// Returns an error with a libc errno.
    pub fn new(errno: i32, text: impl Into<String>) -> Self {
        Self { errno: u16::try_from(errno).unwrap_or(u16::MAX), text: text.into() }
    }
}

/// Encodes a reply. It may contain keys.
pub fn reply(result: Result<&[u8], &ErrorReply>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(match result {
        Ok(body) => message(0, VERSION, body),
        Err(failure) => message(failure.errno, VERSION, failure.text.as_bytes()),
    })
}

/// Encodes the refusal of a request. Another program gets it in the form of KAME's racoon, so that its racoonctl exits
/// with 1.
pub fn refusal(to: &RequestHeader, malformed: &Malformed) -> Vec<u8> {
    let errno = match malformed {
        Malformed::Foreign(_) | Malformed::Version(_) => libc::EPROTONOSUPPORT,
        Malformed::Kind(_) | Malformed::Table(_) => libc::ENOTSUP,
        Malformed::Length(_) | Malformed::Body => libc::EINVAL,
    };
    let failure = ErrorReply::new(errno, malformed.to_string());
    match malformed {
        Malformed::Foreign(command) => kame::refusal(*command, failure.errno, to.last),
        _ => message(failure.errno, VERSION, failure.text.as_bytes()),
    }
}

#[cfg(test)]
mod tests;
