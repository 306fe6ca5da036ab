//! Security associations: the name of one ([`SaId`]), its specification ([`SaSpec`]), and what a kernel reports
//! ([`InstalledSa`]).

mod builder;
mod installed;
mod lifetimes;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

pub use builder::SaBuilder;
pub use installed::InstalledSa;
pub use lifetimes::Lifetimes;

use crate::algorithm::{Authentication, Compression, Encryption};
use crate::num::{MODE_ANY, MODE_TRANSPORT, MODE_TUNNEL, SaFlags, SaType};
use crate::secret_key::SecretKey;
use crate::wire::{SecurityContext, XfrmAuthTrunc, XfrmMark, XfrmOffload};

/// The SPI of every TCP-MD5 SA: the BSDs find them by their addresses and accept no other SPI.
pub const TCP_MD5_SPI: u32 = 0x1000;

/// The mode of an SA or of a policy's template.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Either mode. Linux takes it for transport.
    Any,
    /// Transport mode (RFC 4301 section 4.1).
    #[default]
    Transport,
    /// Tunnel mode.
    Tunnel,
    /// Bound end-to-end tunnel (Linux). FreeBSD and NetBSD have another mode of this number, for TCP-MD5 SAs.
    Beet,
    /// A number without a meaning.
    Other(u8),
}

impl From<u8> for Mode {
    fn from(number: u8) -> Self {
        match number {
            MODE_ANY => Self::Any,
            MODE_TRANSPORT => Self::Transport,
            MODE_TUNNEL => Self::Tunnel,
            3 => Self::Beet,
            other => Self::Other(other),
        }
    }
}

impl From<Mode> for u8 {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Any => MODE_ANY,
            Mode::Transport => MODE_TRANSPORT,
            Mode::Tunnel => MODE_TUNNEL,
            Mode::Beet => 3,
            Mode::Other(other) => other,
        }
    }
}

/// The name of an SA. Linux compares destination, protocol, SPI and mark; the BSDs compare the source as well.
///
/// ```
/// use libpfkey::{SaId, SaType};
///
/// let id = SaId::new(SaType::Esp, "192.0.2.1".parse()?, "192.0.2.2".parse()?, 0x1001);
/// assert_eq!(id.destination.port(), 0);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SaId {
    /// The security protocol.
    pub sa_type: SaType,
    /// Source address. Its port is 0, except on NetBSD for an SA with UDP encapsulation, where it is part of the name.
    pub source: SocketAddr,
    /// Destination address, and port as for the source.
    pub destination: SocketAddr,
    /// SPI, or the CPI of IPComp, in host byte order.
    pub spi: u32,
    /// Mark of the packets, by which Linux tells apart SAs that otherwise have the same name (NETLINK_XFRM only).
    pub mark: Option<XfrmMark>,
}

impl SaId {
    /// The name of an SA of a protocol from one address to another.
    pub fn new(sa_type: SaType, source: IpAddr, destination: IpAddr, spi: u32) -> Self {
        let (source, destination) = (SocketAddr::new(source, 0), SocketAddr::new(destination, 0));
        Self { sa_type, source, destination, spi, mark: None }
    }
}

/// An algorithm with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyed<A> {
    /// The algorithm.
    pub algorithm: A,
    /// The key. An empty one is sent as a key of no bits, as the null cipher needs it; `None` is not sent.
    pub key: Option<SecretKey>,
}

impl<A> Keyed<A> {
    /// An algorithm with this key.
    pub fn new(algorithm: A, key: impl Into<SecretKey>) -> Self {
        Self { algorithm, key: Some(key.into()) }
    }

    /// Length of the key in bits; 0 without one.
    pub fn key_bits(&self) -> usize {
        self.key.as_ref().map_or(0, SecretKey::bits)
    }
}

/// Replay protection (RFC 4303 section 3.4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Replay {
    /// Window in packets; 0 turns replay protection off. PF_KEY of the BSDs holds multiples of 8, to which it is rounded up.
    pub window: u32,
    /// Extended sequence numbers of 64 bits (RFC 4304): on FreeBSD, macOS, and Linux over NETLINK_XFRM.
    pub esn: bool,
}

/// UDP encapsulation of ESP, for NAT traversal (RFC 3948).
///
/// ```
/// use libpfkey::algorithm::Encryption;
/// use libpfkey::{SaSpec, UdpEncapsulation};
///
/// // The peer is behind a NAT, which shows it at port 62001.
/// let sa = SaSpec::esp("192.0.2.1".parse()?, "198.51.100.7".parse()?, 0x1001)
///     .encryption(Encryption::AesCbc, b"sixteen byte key")
///     .encapsulation(UdpEncapsulation::new(UdpEncapsulation::PORT, 62001))
///     .build()?;
/// assert_eq!(sa.id.destination.port(), 0, "the ports are not part of the name");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UdpEncapsulation {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Address of the peer before the NAT, by which FreeBSD corrects the checksums of transport mode. Its port is not used.
    pub original_address: Option<SocketAddr>,
    /// Size of the fragments that are encapsulated, in bytes (NetBSD); 0 leaves it to the kernel.
    pub fragment: u16,
}

impl UdpEncapsulation {
    /// The port of ESP in UDP (RFC 3948).
    pub const PORT: u16 = 4500;

    /// Encapsulation between these ports.
    pub fn new(source_port: u16, destination_port: u16) -> Self {
        Self { source_port, destination_port, original_address: None, fragment: 0 }
    }
}

/// A security label, such as an SELinux context (Linux).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecurityLabel {
    /// Label algorithm: 1 is SELinux.
    pub algorithm: u8,
    /// Domain of interpretation.
    pub doi: u8,
    /// The label with its terminating NUL.
    pub text: Vec<u8>,
}

impl SecurityLabel {
    pub(crate) fn extension(&self) -> SecurityContext<'_> {
        SecurityContext { algorithm: self.algorithm, doi: self.doi, label: &self.text }
    }
}

impl From<SecurityContext<'_>> for SecurityLabel {
    fn from(context: SecurityContext<'_>) -> Self {
        Self { algorithm: context.algorithm, doi: context.doi, text: context.label.to_vec() }
    }
}

/// An SA to be added or updated. [`SaSpec::builder`] checks that its parts go together.
///
/// ```
/// use libpfkey::algorithm::{Authentication, Encryption};
/// use libpfkey::{Lifetimes, SaSpec};
///
/// let sa = SaSpec::esp("192.0.2.1".parse()?, "192.0.2.2".parse()?, 0x1001)
///     .encryption(Encryption::AesCbc, b"sixteen byte key")
///     .authentication(Authentication::HmacSha256, &[0x5a; 32])
///     .lifetimes(Lifetimes::seconds(3600))
///     .build()?;
/// assert_eq!(sa.lifetimes.soft.map(|soft| soft.addtime), Some(2880), "80 percent of the hard limit");
///
/// let error = SaSpec::ah("192.0.2.1".parse()?, "192.0.2.2".parse()?, 0x1001).build().unwrap_err();
/// assert_eq!(error.to_string(), "ah needs an authentication algorithm");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaSpec {
    /// The SA's name.
    pub id: SaId,
    /// Mode.
    pub mode: Mode,
    /// Reqid: a policy of level unique uses only SAs with its reqid. 0 is none.
    pub reqid: u32,
    /// Cipher of ESP with its key.
    pub encryption: Option<Keyed<Encryption>>,
    /// Authentication algorithm of AH, ESP or TCP-MD5 with its key.
    pub authentication: Option<Keyed<Authentication>>,
    /// Compression algorithm of IPComp.
    pub compression: Option<Compression>,
    /// Replay protection.
    pub replay: Replay,
    /// Flags of the dialect. [`SaSpec::replay`] sets those for extended sequence numbers.
    pub flags: SaFlags,
    /// Limits.
    pub lifetimes: Lifetimes,
    /// UDP encapsulation of ESP.
    pub encapsulation: Option<UdpEncapsulation>,
    /// Security label (Linux).
    pub label: Option<SecurityLabel>,
    /// Inner source address and prefix length of a tunnel, where it differs from any of the outer family
    /// (`SADB_EXT_ADDRESS_PROXY`).
    pub inner_source: Option<(IpAddr, u8)>,
    /// Mark that packets get when the SA has processed them (NETLINK_XFRM only).
    pub output_mark: Option<XfrmMark>,
    /// Identifier of an XFRM interface (NETLINK_XFRM only).
    pub if_id: Option<u32>,
    /// Length of the ICV, where it is not the one that Linux' PF_KEY gives to the algorithm (NETLINK_XFRM only).
    pub auth_trunc: Option<XfrmAuthTrunc>,
    /// Hardware offload (NETLINK_XFRM only).
    pub offload: Option<XfrmOffload>,
}

impl SaSpec {
    /// An SA without algorithms or limits, in transport mode and without replay protection.
    pub fn new(id: SaId) -> Self {
        Self {
            id,
            mode: Mode::default(),
            reqid: 0,
            encryption: None,
            authentication: None,
            compression: None,
            replay: Replay::default(),
            flags: SaFlags::empty(),
            lifetimes: Lifetimes::default(),
            encapsulation: None,
            label: None,
            inner_source: None,
            output_mark: None,
            if_id: None,
            auth_trunc: None,
            offload: None,
        }
    }

    /// Builds an SA with this name.
    pub fn builder(id: SaId) -> SaBuilder {
        SaBuilder::new(id)
    }

    /// Builds an ESP SA.
    pub fn esp(source: IpAddr, destination: IpAddr, spi: u32) -> SaBuilder {
        Self::builder(SaId::new(SaType::Esp, source, destination, spi))
    }

    /// Builds an AH SA.
    pub fn ah(source: IpAddr, destination: IpAddr, spi: u32) -> SaBuilder {
        Self::builder(SaId::new(SaType::Ah, source, destination, spi))
    }

    /// Builds an IPComp SA. Its CPI takes the place of an SPI.
    pub fn ipcomp(source: IpAddr, destination: IpAddr, cpi: u16) -> SaBuilder {
        Self::builder(SaId::new(SaType::IpComp, source, destination, cpi.into()))
    }

    /// Builds a TCP-MD5 SA (RFC 2385), as BGP uses it. The BSDs have them; on Linux the key belongs to the socket, set with
    /// the option `TCP_MD5SIG` (tcp(7)).
    pub fn tcp_md5(source: IpAddr, destination: IpAddr, key: impl Into<SecretKey>) -> SaBuilder {
        Self::builder(SaId::new(SaType::TcpSignature, source, destination, TCP_MD5_SPI))
            .authentication(Authentication::TcpMd5, key)
    }
}
