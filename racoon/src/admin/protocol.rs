//! What `racoonctl` and the daemon say to each other: one request and one reply over a stream, in the host's byte order.
//!
//! | bytes | field |
//! |---|---|
//! | 0-1 | length of the message; of a long reply its low 16 bits |
//! | 2-3 | [`COMMAND`]; with `0x8000` in a reply: it is long |
//! | 4-5 | of a request: the sender's [`VERSION`]; of a reply: an errno, or the high 16 bits of the length of a long one |
//! | 6-7 | of a request: 0; of a reply: the sender's [`VERSION`] |
//!
//! The body of a request begins with its kind and a table.
//!
//! The header has the form of that of KAME's racoon, which may listen at the same path and whose racoonctl may ask at ours.
//! All else differs, so neither may take the other's messages for its own: [`COMMAND`] is none of that racoon's commands, and
//! it refuses what it does not know without looking at the body. A body of another length than expected is refused
//! and not interpreted.

mod kame;

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use thiserror::Error;
use zeroize::Zeroizing;

/// Version of the protocol. It grows whenever a message changes in any way; the header stays as it is.
pub const VERSION: u16 = 1;
/// The command of all messages, with the same bytes in either byte order.
pub const COMMAND: u16 = 0x7272;
/// Bytes of a header.
pub const HEADER_LENGTH: usize = 8;
/// A request may be so long: nothing in it needs more.
pub const REQUEST_MAX: usize = 4096;
/// A reply may be so long: some hundred thousand SAs.
pub const REPLY_MAX: usize = 256 << 20;
/// Flag in the command of a reply whose length has 32 bits.
const LONG: u16 = 0x8000;
/// Bytes of an address: family, port, zone, digits.
const ADDRESS_LENGTH: usize = 1 + 2 + 4 + 16;
/// Bytes of a [`Phase1Row`].
const ROW_LENGTH: usize = 16 + 4 + 2 * ADDRESS_LENGTH + 8 + 4;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `reload-config`
    Reload,
    /// `show-sa`
    ShowSa(Table),
    /// `flush-sa`
    FlushSa(Table),
    /// `delete-sa`: the phase 1s with a peer, and all that came of them.
    DeleteSa(Ends),
    /// `establish-sa`
    EstablishSa {
        /// What between whom.
        what: Establishment,
        /// `-n`: name of the remote block.
        block: Option<String>,
    },
}

/// What `establish-sa` establishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Establishment {
    /// Phase 1.
    Isakmp(Ends),
    /// Phase 2 for a policy.
    Ipsec(Table, Flow),
}

/// SAs of which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Phase 1.
    Isakmp,
    /// All of IPsec.
    Ipsec,
    /// AH.
    Ah,
    /// ESP.
    Esp,
}

impl Table {
    /// Its words.
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

/// The ends of a phase 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Our address; unspecified: any.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
}

/// Packets, as a policy selects them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Where they come from, with the port (0: any).
    pub source: SocketAddr,
    /// Bits of it that count.
    pub source_prefix: u8,
    /// Where they go to.
    pub destination: SocketAddr,
    /// Bits of it that count.
    pub destination_prefix: u8,
    /// Upper-layer protocol; 0: any.
    pub protocol: u8,
}

/// A phase 1 in the list of `show-sa isakmp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phase1Row {
    /// Initiator's and responder's.
    pub cookies: [u8; 16],
    /// Number of its state, 9 when it is established.
    pub state: u8,
    /// We began it.
    pub initiator: bool,
    /// Of ISAKMP, as in its header.
    pub version: u8,
    /// Number of the exchange type.
    pub exchange: u8,
    /// Our end.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// Seconds since 1970 when it was established; 0: not yet.
    pub created: i64,
    /// Phase 2s that belong to it.
    pub phase2_count: u32,
}

/// The header of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// Bytes of the whole message.
    pub length: usize,
    command: u16,
    version: u16,
    last: u16,
}

/// The header of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyHeader {
    /// Bytes of the whole message.
    pub length: usize,
    /// An errno, 0 for none.
    pub errno: u16,
    /// The daemon's version of the protocol; `None` if it is another program's.
    pub version: Option<u16>,
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// A length that is too small or too large.
    #[error("message of {0} bytes")]
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
    /// A kind of request that does not exist.
    #[error("invalid request {0}")]
    Kind(u16),
    /// A table that does not exist, or not for this request.
    #[error("invalid table {0:#06x}")]
    Table(u16),
    /// A body that is not what the request takes.
    #[error("invalid body")]
    Body,
}

const RELOAD_CONFIG: u16 = 1;
const SHOW_SA: u16 = 2;
const FLUSH_SA: u16 = 3;
const DELETE_SA: u16 = 4;
const ESTABLISH_SA: u16 = 5;

/// The fields of a header.
fn words(bytes: [u8; HEADER_LENGTH]) -> [u16; 4] {
    let [a, b, c, d, e, f, g, h] = bytes;
    [[a, b], [c, d], [e, f], [g, h]].map(u16::from_ne_bytes)
}

/// A length that is possible.
fn checked(length: usize, limit: usize) -> Result<usize, Malformed> {
    if (HEADER_LENGTH..=limit).contains(&length) { Ok(length) } else { Err(Malformed::Length(length)) }
}

impl RequestHeader {
    /// Reads the header at the beginning of a request, whoever sent it.
    ///
    /// # Errors
    /// [`Malformed::Length`] if it names less than itself or more than [`REQUEST_MAX`] bytes.
    pub fn parse(bytes: [u8; HEADER_LENGTH]) -> Result<Self, Malformed> {
        let [length, command, version, last] = words(bytes);
        Ok(Self { length: checked(length.into(), REQUEST_MAX)?, command, version, last })
    }
}

impl ReplyHeader {
    /// Reads the header at the beginning of a reply, whoever sent it.
    ///
    /// # Errors
    /// [`Malformed::Length`] if it names less than itself or more than [`REPLY_MAX`] bytes.
    pub fn parse(bytes: [u8; HEADER_LENGTH]) -> Result<Self, Malformed> {
        let [low, command, number, version] = words(bytes);
        let (length, errno) = if command & LONG == 0 {
            (usize::from(low), number)
        } else {
            (usize::from(number) << 16 | usize::from(low), 0)
        };
        // KAME's racoon returns the 0 of the request.
        let is_ours = command & !LONG == COMMAND && version != 0;
        Ok(Self { length: checked(length, REPLY_MAX)?, errno, version: is_ours.then_some(version) })
    }
}

/// A whole message; one of 64 KiB or more carries no number in its header.
fn message(number: u16, last: u16, body: &[u8]) -> Vec<u8> {
    let length = HEADER_LENGTH + body.len();
    let low = u16::try_from(length & 0xffff).unwrap_or_default();
    let (command, number) = match u16::try_from(length >> 16).unwrap_or(u16::MAX) {
        0 => (COMMAND, number),
        high => (COMMAND | LONG, high),
    };
    // All of it at once: a vector that grows would leave copies of the keys in the body behind.
    let mut bytes = Vec::with_capacity(length);
    bytes.extend([low, command, number, last].into_iter().flat_map(u16::to_ne_bytes));
    bytes.extend_from_slice(body);
    bytes
}

impl Request {
    /// The message.
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

    /// Reads a request's body.
    ///
    /// # Errors
    /// Why it is none.
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
            // Whatever the table, it is the phase 1.
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

    /// What the daemon's log calls it.
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

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// An errno of the host's.
    pub errno: u16,
    /// Why, in words.
    pub text: String,
}

impl Failure {
    /// With an errno of libc's.
    pub fn new(errno: i32, text: impl Into<String>) -> Self {
        Self { errno: u16::try_from(errno).unwrap_or(u16::MAX), text: text.into() }
    }
}

/// The message that answers a request: a body, or an errno with its words. It may hold keys.
pub fn reply(result: Result<&[u8], &Failure>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(match result {
        Ok(body) => message(0, VERSION, body),
        Err(failure) => message(failure.errno, VERSION, failure.text.as_bytes()),
    })
}

/// The message that refuses a request: to another program in the form of KAME's racoon, whose racoonctl then exits with 1.
pub fn refusal(to: &RequestHeader, malformed: &Malformed) -> Vec<u8> {
    let errno = match malformed {
        Malformed::Foreign(_) | Malformed::Version(_) => libc::EPROTONOSUPPORT,
        Malformed::Kind(_) | Malformed::Table(_) => libc::ENOTSUP,
        Malformed::Length(_) | Malformed::Body => libc::EINVAL,
    };
    let failure = Failure::new(errno, malformed.to_string());
    match malformed {
        Malformed::Foreign(command) => kame::refusal(*command, failure.errno, to.last),
        _ => message(failure.errno, VERSION, failure.text.as_bytes()),
    }
}

impl Ends {
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

impl From<Flow> for Ends {
    fn from(flow: Flow) -> Self {
        Self { local: flow.source, remote: flow.destination }
    }
}

impl Phase1Row {
    /// Appends it to the body of a reply.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.cookies);
        out.extend([self.state, u8::from(self.initiator), self.version, self.exchange]);
        put_address(out, self.local);
        put_address(out, self.remote);
        out.extend(self.created.to_ne_bytes());
        out.extend(self.phase2_count.to_ne_bytes());
    }

    /// All of a reply's body.
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

/// What is left of a body.
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

    /// Both ends are of one family, and the prefixes no longer than addresses.
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
