//! Requests to a key engine.
//!
//! A [`Request`] is typed. [`Request::encode`] writes it as a PF_KEY message, and
//! [`Backend::submit`](crate::backend::Backend::submit) sends it to a kernel as a PF_KEY or netlink message. The functions
//! are those of libipsec (`pfkey_send_*`), with numbers where a `Request` has types: each writes one message into a buffer,
//! which [`crate::Connection::send`] sends to the kernel.

mod encode;
mod libipsec;
mod sa_message;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::ops::RangeInclusive;

pub use encode::{Encoding, Order, encode_policy};
pub use libipsec::*;
pub(crate) use sa_message::LINUX_WINDOW_MAX;
pub use sa_message::encode_sa;

use crate::dialect::{Abi, Dialect};
use crate::error::{Error, Result};
use crate::num::{MessageType, SaType};
use crate::policy::Level;
use crate::sa::{Mode, SaId, SaSpec, UdpEncapsulation};
use crate::security_policy::{PolicyId, PolicySpec};
use crate::spec_error::SpecError;
use crate::wire::{Builder, Extension, Header, Message};

/// The layout of a message, and the part of its base header that does not depend on the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The layout.
    pub abi: Abi,
    /// The requester's process id: kernels return it in the answer.
    pub pid: u32,
    /// Sequence number: kernels return it in the answer. On Linux, a GETSPI or ADD with the number of a pending ACQUIRE
    /// completes that ACQUIRE.
    pub seq: u32,
}

impl RequestHeader {
    /// Starts a message in an emptied (and wiped) buffer.
    ///
    /// # Errors
    /// [`Error::NotInDialect`] for a message or SA type without a number.
    pub fn builder<'b>(
        &self,
        message_type: MessageType,
        sa_type: SaType,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Builder<'b>> {
        let header = Header { seq: self.seq, pid: self.pid, ..Header::new(message_type, sa_type) };
        Builder::new(self.abi, header, buffer)
    }

    /// Returns a message of these extensions, as it would be parsed from its bytes.
    ///
    /// # Errors
    /// [`Error::NotInDialect`] for an SA type without a number.
    pub(crate) fn message<'a>(
        &self,
        message_type: MessageType,
        sa_type: SaType,
        extensions: Vec<Extension<'a>>,
    ) -> Result<Message<'a>> {
        let Self { abi, pid, seq } = *self;
        let dialect = abi.dialect;
        let number = sa_type.number(dialect).ok_or(Error::NotInDialect { dialect, what: sa_type.what() })?;
        // `Other(3)` is written as 3, which is read back as `Esp`.
        let sa_type = SaType::from_number(dialect, number);
        Ok(Message { abi, header: Header { pid, seq, ..Header::new(message_type, sa_type) }, extensions })
    }

    /// Writes a message to `buffer`: the header, and the extensions that `body` adds.
    ///
    /// # Errors
    /// Those of `body`; [`Code::NoBuffers`](crate::Code::NoBuffers) for a message that is too long.
    pub fn write(
        &self,
        message_type: MessageType,
        sa_type: SaType,
        buffer: &mut Vec<u8>,
        body: impl FnOnce(&mut Builder<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut builder = self.builder(message_type, sa_type, buffer)?;
        body(&mut builder)?;
        builder.finish()
    }
}

/// A request to a key engine.
///
/// ```
/// use libpfkey::request::{Encoding, Request, RequestHeader};
/// use libpfkey::{Abi, Dialect, Message, MessageType, SaId, SaType};
///
/// let id = SaId::new(SaType::Esp, "192.0.2.1".parse()?, "192.0.2.2".parse()?, 0x1001);
/// let header = RequestHeader { abi: Abi::of(Dialect::NetBsd), pid: 1, seq: 2 };
/// let mut bytes = Vec::new();
/// Request::Get(id).encode(header, Encoding::default(), &mut bytes)?;
/// let message = Message::parse(header.abi, &bytes)?;
/// assert_eq!(message.header.message_type, MessageType::Get);
/// assert_eq!(SaId::from_message(&message), Some(id));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// Installs an SA (ADD).
    Add(Box<SaSpec>),
    /// Completes the SA of an allocated SPI, or changes an SA (UPDATE).
    Update(Box<SaSpec>),
    /// Removes an SA (DELETE).
    Delete(SaId),
    /// Removes all SAs of a protocol between two addresses (DELETE without an SPI).
    DeleteAll(SaType, SocketAddr, SocketAddr),
    /// Asks for an SA (GET).
    Get(SaId),
    /// Reserves an SPI (GETSPI).
    AllocateSpi(SpiSpec),
    /// Asks for the algorithms, and for the events of an SA type (REGISTER).
    Register(SaType),
    /// Removes all SAs of a type, or of all types for [`SaType::Unspec`] (FLUSH).
    Flush(SaType),
    /// Lists the SAs of a type, or of all types for [`SaType::Unspec`] (DUMP).
    Dump(SaType),
    /// Installs a policy (X_SPDADD).
    PolicyAdd(Box<PolicySpec>),
    /// Installs a policy, or replaces the one of its name (X_SPDUPDATE).
    PolicyUpdate(Box<PolicySpec>),
    /// Removes a policy (X_SPDDELETE).
    PolicyDelete(Box<PolicyId>),
    /// Removes the policy with this index (X_SPDDELETE2).
    PolicyDeleteIndex(u32),
    /// Asks for the policy with this index (X_SPDGET).
    PolicyGet(u32),
    /// Removes all policies (X_SPDFLUSH).
    PolicyFlush,
    /// Lists all policies (X_SPDDUMP).
    PolicyDump,
}

impl Request {
    /// The type of its PF_KEY message, and of the answer to it.
    pub fn message_type(&self) -> MessageType {
        match self {
            Self::Add(_) => MessageType::Add,
            Self::Update(_) => MessageType::Update,
            Self::Delete(_) | Self::DeleteAll(..) => MessageType::Delete,
            Self::Get(_) => MessageType::Get,
            Self::AllocateSpi(_) => MessageType::GetSpi,
            Self::Register(_) => MessageType::Register,
            Self::Flush(_) => MessageType::Flush,
            Self::Dump(_) => MessageType::Dump,
            Self::PolicyAdd(_) => MessageType::SpdAdd,
            Self::PolicyUpdate(_) => MessageType::SpdUpdate,
            Self::PolicyDelete(_) => MessageType::SpdDelete,
            Self::PolicyDeleteIndex(_) => MessageType::SpdDelete2,
            Self::PolicyGet(_) => MessageType::SpdGet,
            Self::PolicyFlush => MessageType::SpdFlush,
            Self::PolicyDump => MessageType::SpdDump,
        }
    }

    /// The SA type of its PF_KEY message.
    pub fn sa_type(&self) -> SaType {
        match self {
            Self::Add(sa) | Self::Update(sa) => sa.id.sa_type,
            Self::Delete(id) | Self::Get(id) => id.sa_type,
            Self::AllocateSpi(spi) => spi.sa_type,
            Self::DeleteAll(sa_type, ..) | Self::Register(sa_type) | Self::Flush(sa_type) | Self::Dump(sa_type) => {
                *sa_type
            }
            _ => SaType::Unspec,
        }
    }

    /// Whether many messages answer it, the last of which has the sequence number 0.
    pub fn is_dump(&self) -> bool {
        matches!(self, Self::Dump(_) | Self::PolicyDump)
    }

    /// Checks that the parts go together, and that a kernel of the dialect has such SAs.
    ///
    /// # Errors
    /// The first contradiction, and how to avoid it.
    pub fn check(&self, dialect: Dialect) -> std::result::Result<(), SpecError> {
        // No other error says where the key goes instead.
        if dialect == Dialect::Linux && self.sa_type() == SaType::TcpSignature {
            return Err(SpecError::TcpMd5OnLinux);
        }
        if let Some(reqid) = self.reqid_beyond(dialect) {
            return Err(SpecError::WideReqid(reqid));
        }
        match self {
            Self::Add(sa) | Self::Update(sa) => sa.check(),
            Self::AllocateSpi(spi) => spi.check(),
            Self::PolicyAdd(policy) | Self::PolicyUpdate(policy) => policy.check(),
            Self::PolicyDelete(id) => id.selector.check(),
            _ => Ok(()),
        }
    }

    /// Returns a reqid of which the kernel would keep only 16 bits: NetBSD those of SAs, all BSDs those of policies.
    fn reqid_beyond(&self, dialect: Dialect) -> Option<u32> {
        let reqid = match self {
            Self::Add(sa) | Self::Update(sa) if dialect == Dialect::NetBsd => sa.reqid,
            Self::AllocateSpi(spi) if dialect == Dialect::NetBsd => spi.reqid,
            // A truncated reqid would bind the policy to the SAs of another one.
            Self::PolicyAdd(policy) | Self::PolicyUpdate(policy) if dialect != Dialect::Linux => {
                let unique = policy.templates.iter().map(|template| match template.level {
                    Level::Unique(reqid) => reqid,
                    _ => 0,
                });
                unique.max()?
            }
            _ => return None,
        };
        (reqid > u16::MAX.into()).then_some(reqid)
    }
}

/// A range and the SA for which an SPI is allocated: the inbound SA, since its receiver chooses the SPI.
///
/// ```
/// use libpfkey::backend::BackendKind;
/// use libpfkey::request::SpiSpec;
/// use libpfkey::{Dialect, Kernel, SaType};
///
/// let mut kernel = Kernel::open_kind(&BackendKind::Memory, Some(Dialect::Linux))?;
/// let (peer, here) = ("192.0.2.2".parse()?, "192.0.2.1".parse()?);
/// let spi = kernel.allocate_spi(&SpiSpec { range: Some(0x1000..=0x1fff), ..SpiSpec::new(SaType::Esp, peer, here) })?;
/// assert!((0x1000..=0x1fff).contains(&spi));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpiSpec {
    /// ESP, AH or IPComp.
    pub sa_type: SaType,
    /// Source address: the peer.
    pub source: SocketAddr,
    /// Destination address: this host.
    pub destination: SocketAddr,
    /// Mode.
    pub mode: Mode,
    /// Reqid.
    pub reqid: u32,
    /// SPIs to choose from; `None` lets the kernel choose any.
    pub range: Option<RangeInclusive<u32>>,
    /// UDP encapsulation: on NetBSD its ports are part of the SA's name.
    pub encapsulation: Option<UdpEncapsulation>,
}

impl SpiSpec {
    /// Any SPI for an SA from one address to another; for IPComp, a CPI of the range for negotiation (RFC 3173 section 3.3).
    pub fn new(sa_type: SaType, source: std::net::IpAddr, destination: std::net::IpAddr) -> Self {
        Self {
            sa_type,
            source: SocketAddr::new(source, 0),
            destination: SocketAddr::new(destination, 0),
            mode: Mode::default(),
            reqid: 0,
            // CPIs below are for well-known algorithms, those above for private use.
            range: (sa_type == SaType::IpComp).then_some(0x100..=0xefff),
            encapsulation: None,
        }
    }

    fn check(&self) -> std::result::Result<(), SpecError> {
        let (from, to) = (self.source.ip(), self.destination.ip());
        if from.is_ipv4() != to.is_ipv4() {
            return Err(SpecError::AddressFamilies { from, to });
        }
        match &self.range {
            // SPIs and CPIs below are reserved.
            Some(range) if range.is_empty() || *range.start() < 256 => {
                Err(SpecError::SpiRange { min: *range.start(), max: *range.end() })
            }
            _ => Ok(()),
        }
    }
}
