//! Requests of `racoonctl`.

use std::net::SocketAddr;

use libpfkey::json::Keys;

use super::encoding::{Reader, put_flow};
use super::{COMMAND, Malformed, RequestHeader, VERSION, message};

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `reload-config`
    Reload,
    /// `show-sa`
    ShowSa(Table),
    /// `--json show-sa`, for all tables but [`Table::Isakmp`].
    ShowSaJson {
        /// Which SAs.
        table: Table,
        /// `--keys`
        keys: Keys,
    },
    /// `flush-sa`
    FlushSa(Table),
    /// `delete-sa`: deletes the phase 1s with a peer and all their phase 2s.
    DeleteSa(Endpoints),
    /// `establish-sa`
    EstablishSa {
        /// What to negotiate.
        what: Establishment,
        /// `-n`: name of the remote section.
        section: Option<String>,
    },
    /// `get-cert`: asks for the certificate of a phase 1's peer. The reply is in DER, and empty if the peer has none.
    GetCertificate(Endpoints),
}

// Kinds of requests, the first field of a body.
const RELOAD_CONFIG: u16 = 1;
pub(super) const SHOW_SA: u16 = 2;
const FLUSH_SA: u16 = 3;
pub(super) const DELETE_SA: u16 = 4;
pub(super) const ESTABLISH_SA: u16 = 5;
pub(super) const SHOW_SA_JSON: u16 = 6;
pub(super) const GET_CERTIFICATE: u16 = 7;

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

impl Request {
    /// Encodes the message.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, table, flow, section) = match self {
            Self::Reload => (RELOAD_CONFIG, 0, None, None),
            Self::ShowSa(table) => (SHOW_SA, table.code(), None, None),
            Self::ShowSaJson { table, .. } => (SHOW_SA_JSON, table.code(), None, None),
            Self::FlushSa(table) => (FLUSH_SA, table.code(), None, None),
            Self::DeleteSa(ends) => (DELETE_SA, Table::Isakmp.code(), Some(ends.flow()), None),
            Self::EstablishSa { what, section } => {
                let (table, flow) = match what {
                    Establishment::Isakmp(ends) => (Table::Isakmp, ends.flow()),
                    Establishment::Ipsec(table, flow) => (*table, *flow),
                };
                (ESTABLISH_SA, table.code(), Some(flow), section.as_deref())
            }
            Self::GetCertificate(ends) => (GET_CERTIFICATE, Table::Isakmp.code(), Some(ends.flow()), None),
        };
        let mut body = [kind, table].into_iter().flat_map(u16::to_ne_bytes).collect::<Vec<_>>();
        flow.iter().for_each(|flow| put_flow(&mut body, flow));
        if let Self::ShowSaJson { keys, .. } = self {
            body.push(u8::from(*keys == Keys::Included));
        }
        body.extend(section.unwrap_or_default().as_bytes());
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
            SHOW_SA_JSON => match (Table::of(table)?, reader.array()?) {
                (Table::Isakmp, _) => return Err(Malformed::Table(table)),
                (table, [0]) => Self::ShowSaJson { table, keys: Keys::Omitted },
                (table, [1]) => Self::ShowSaJson { table, keys: Keys::Included },
                _ => return Err(Malformed::Body),
            },
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
                let section = std::str::from_utf8(reader.rest()).map_err(|_| Malformed::Body)?;
                Self::EstablishSa { what, section: (!section.is_empty()).then(|| section.to_owned()) }
            }
            GET_CERTIFICATE => match Table::of(table)? {
                Table::Isakmp => Self::GetCertificate(reader.flow()?.into()),
                _ => return Err(Malformed::Table(table)),
            },
            other => return Err(Malformed::Kind(other)),
        };
        if reader.0.is_empty() { Ok(request) } else { Err(Malformed::Body) }
    }

    /// Returns the command's name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reload => "reload-config",
            Self::ShowSa(_) | Self::ShowSaJson { .. } => "show-sa",
            Self::FlushSa(_) => "flush-sa",
            Self::DeleteSa(_) => "delete-sa",
            Self::EstablishSa { .. } => "establish-sa",
            Self::GetCertificate(_) => "get-cert",
        }
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
