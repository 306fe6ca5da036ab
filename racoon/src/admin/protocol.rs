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

mod kame;

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use thiserror::Error;
use zeroize::Zeroizing;

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
/// Length of an address: family, port, zone, address.
const ADDRESS_LENGTH: usize = 1 + 2 + 4 + 16;
/// Length of a [`Phase1Row`].
const ROW_LENGTH: usize = 16 + 4 + 2 * ADDRESS_LENGTH + 8 + 4;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `reload-config`
    Reload,
    /// `show-sa`
    ShowSa(Table),
    /// `flush-sa`
    FlushSa(Table),
    /// `delete-sa`: deletes the phase 1s with a peer and all their phase 2s.
    DeleteSa(Endpoints),
    /// `establish-sa`
    EstablishSa {
        /// What to negotiate.
        what: Establishment,
        /// `-n`: name of the remote section.
        block: Option<String>,
    },
}

/// What `establish-sa` negotiates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Establishment {
    /// Phase 1.
    Isakmp(Endpoints),
    /// Phase 2 for a policy.
    Ipsec(Table, Flow),
}

/// Kind of SAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Phase 1.
    Isakmp,
    /// All IPsec SAs.
    Ipsec,
    /// AH.
    Ah,
    /// ESP.
    Esp,
}

impl Table {
    /// Names on the command line.
    pub const WORDS: [(&'static str, Self); 4] =
        [("isakmp", Self::Isakmp), ("ipsec", Self::Ipsec), ("ah", Self::Ah), ("esp", Self::Esp)];

    fn code(self) -> u16 {
        match self {
            Self::Isakmp => 0x01ff,
            Self::Ipsec => 0x02ff,
            Self::Ah => 0x0201,
            Self::Esp => 0x0202,
        }
    }

    fn of(code: u16) -> Result<Self, Malformed> {
        let found = Self::WORDS.into_iter().find(|(_, table)| table.code() == code);
        found.map(|(_, table)| table).ok_or(Malformed::Table(code))
    }
}

/// Endpoints of a phase 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Our address; unspecified for any.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}

/// Traffic that a policy selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Source address and port (0: any).
    pub source: SocketAddr,
    /// Prefix length of the source.
    pub source_prefix: u8,
    /// Destination address and port (0: any).
    pub destination: SocketAddr,
    /// Prefix length of the destination.
    pub destination_prefix: u8,
    /// Upper-layer protocol (0: any).
    pub protocol: u8,
}

/// A row of `show-sa isakmp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase1Row {
    /// The initiator's and the responder's cookie.
    pub cookies: [u8; 16],
    /// State number; 9 is established.
    pub state: u8,
    /// Whether we are the initiator.
    pub initiator: bool,
    /// ISAKMP version as in the header.
    pub version: u8,
    /// Exchange type number.
    pub exchange: u8,
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
    /// When it was established, in seconds since 1970; 0 if it is not.
    pub created: i64,
    /// Number of its phase 2s.
    pub phase2_count: u32,
}

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

const RELOAD_CONFIG: u16 = 1;
const SHOW_SA: u16 = 2;
const FLUSH_SA: u16 = 3;
const DELETE_SA: u16 = 4;
const ESTABLISH_SA: u16 = 5;

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

impl Request {
    /// Encodes the message.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, table, flow, block) = match self {
            Self::Reload => (RELOAD_CONFIG, 0, None, None),
            Self::ShowSa(table) => (SHOW_SA, table.code(), None, None),
            Self::FlushSa(table) => (FLUSH_SA, table.code(), None, None),
            Self::DeleteSa(ends) => (DELETE_SA, Table::Isakmp.code(), Some(ends.flow()), None),
            Self::EstablishSa { what, block } => {
                let (table, flow) = match what {
                    Establishment::Isakmp(ends) => (Table::Isakmp, ends.flow()),
                    Establishment::Ipsec(table, flow) => (*table, *flow),
                };
                (ESTABLISH_SA, table.code(), Some(flow), block.as_deref())
            }
        };
        let mut body = [kind, table].into_iter().flat_map(u16::to_ne_bytes).collect::<Vec<_>>();
        flow.iter().for_each(|flow| put_flow(&mut body, flow));
        body.extend(block.unwrap_or_default().as_bytes());
        message(VERSION, 0, &body)
    }

    /// Parses a request.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn parse(header: &RequestHeader, body: &[u8]) -> Result<Self, Malformed> {
        if header.command != COMMAND {
            return Err(Malformed::Foreign(header.command));
        }
        if header.version != VERSION {
            return Err(Malformed::Version(header.version));
        }
        let mut reader = Reader(body);
        let kind = u16::from_ne_bytes(reader.array()?);
        let table = u16::from_ne_bytes(reader.array()?);
        let request = match kind {
            RELOAD_CONFIG => Self::Reload,
            SHOW_SA => Self::ShowSa(Table::of(table)?),
            FLUSH_SA => Self::FlushSa(Table::of(table)?),
            // Whatever the table, the phase 1 is deleted.
            DELETE_SA => Self::DeleteSa(reader.flow()?.into()),
            ESTABLISH_SA => {
                let flow = reader.flow()?;
                let what = match Table::of(table)? {
                    Table::Isakmp => Establishment::Isakmp(flow.into()),
                    table @ (Table::Esp | Table::Ah) => Establishment::Ipsec(table, flow),
                    Table::Ipsec => return Err(Malformed::Table(table)),
                };
                let block = std::str::from_utf8(reader.rest()).map_err(|_| Malformed::Body)?;
                Self::EstablishSa { what, block: (!block.is_empty()).then(|| block.to_owned()) }
            }
            other => return Err(Malformed::Kind(other)),
        };
        if reader.0.is_empty() { Ok(request) } else { Err(Malformed::Body) }
    }

    /// Returns the command's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reload => "reload-config",
            Self::ShowSa(_) => "show-sa",
            Self::FlushSa(_) => "flush-sa",
            Self::DeleteSa(_) => "delete-sa",
            Self::EstablishSa { .. } => "establish-sa",
        }
    }
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

impl Endpoints {
    fn flow(self) -> Flow {
        let full = |address: SocketAddr| if address.is_ipv4() { 32 } else { 128 };
        Flow {
            source: self.local,
            source_prefix: full(self.local),
            destination: self.remote,
            destination_prefix: full(self.remote),
            protocol: 0,
        }
    }
}

impl From<Flow> for Endpoints {
    fn from(flow: Flow) -> Self {
        Self { local: flow.source, remote: flow.destination }
    }
}

impl Phase1Row {
    /// Appends the row to the body of a reply.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.cookies);
        out.extend([self.state, u8::from(self.initiator), self.version, self.exchange]);
        put_address(out, self.local);
        put_address(out, self.remote);
        out.extend(self.created.to_ne_bytes());
        out.extend(self.phase2_count.to_ne_bytes());
    }

    /// Parses all rows of a reply.
    ///
    /// # Errors
    /// [`Malformed::Body`]
    pub fn parse_all(body: &[u8]) -> Result<Vec<Self>, Malformed> {
        if !body.len().is_multiple_of(ROW_LENGTH) {
            return Err(Malformed::Body);
        }
        body.chunks_exact(ROW_LENGTH).map(|row| Self::parse(&mut Reader(row))).collect()
    }

    fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let cookies = reader.array()?;
        let [state, side, version, exchange] = reader.array()?;
        Ok(Self {
            cookies,
            state,
            initiator: side != 0,
            version,
            exchange,
            local: reader.address()?,
            remote: reader.address()?,
            created: i64::from_ne_bytes(reader.array()?),
            phase2_count: u32::from_ne_bytes(reader.array()?),
        })
    }
}

fn put_flow(out: &mut Vec<u8>, flow: &Flow) {
    out.extend([flow.source_prefix, flow.destination_prefix, flow.protocol]);
    put_address(out, flow.source);
    put_address(out, flow.destination);
}

fn put_address(out: &mut Vec<u8>, address: SocketAddr) {
    let (family, zone, digits) = match address {
        SocketAddr::V4(v4) => (4, 0, v4.ip().to_ipv6_mapped()),
        SocketAddr::V6(v6) => (6, v6.scope_id(), *v6.ip()),
    };
    out.push(family);
    out.extend(address.port().to_ne_bytes());
    out.extend(zone.to_ne_bytes());
    out.extend(digits.octets());
}

/// Unread part of a body.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Malformed::Body)?;
        self.0 = rest;
        Ok(*array)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn address(&mut self) -> Result<SocketAddr, Malformed> {
        let [family] = self.array()?;
        let port = u16::from_ne_bytes(self.array()?);
        let zone = u32::from_ne_bytes(self.array()?);
        let digits = Ipv6Addr::from(self.array::<16>()?);
        match family {
            4 => {
                let v4 = digits.to_ipv4_mapped().ok_or(Malformed::Body)?;
                Ok(SocketAddr::new(IpAddr::V4(v4), port))
            }
            6 => Ok(SocketAddrV6::new(digits, port, 0, zone).into()),
            _ => Err(Malformed::Body),
        }
    }

    /// Reads a flow. Both addresses have to be of one family, and the prefixes no longer than an address.
    fn flow(&mut self) -> Result<Flow, Malformed> {
        let [source_prefix, destination_prefix, protocol] = self.array()?;
        let (source, destination) = (self.address()?, self.address()?);
        let longest = if source.is_ipv4() { 32 } else { 128 };
        if source.is_ipv4() != destination.is_ipv4() || source_prefix.max(destination_prefix) > longest {
            return Err(Malformed::Body);
        }
        Ok(Flow { source, source_prefix, destination, destination_prefix, protocol })
    }
}

#[cfg(test)]
mod tests;
