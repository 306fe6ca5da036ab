//! Errors in a specification, which are found before a kernel sees it.

use std::net::IpAddr;

use crate::algorithm::{Authentication, Encryption, KeyBits};
use crate::dialect::Dialect;
use crate::num::SaType;

/// An error in the specification of an SA or a policy. The text says how to avoid it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// Two addresses of different families.
    #[error("{from} and {to} are of different address families")]
    AddressFamilies {
        /// Source address.
        from: IpAddr,
        /// Destination address.
        to: IpAddr,
    },
    /// An SPI of the reserved range.
    #[error("SPI {0} is reserved (RFC 4303): use 256 or more")]
    ReservedSpi(u32),
    /// A CPI of more than 16 bits.
    #[error("the CPI of ipcomp has 16 bits (RFC 3173): {0} is too large")]
    WideCpi(u32),
    /// A TCP-MD5 SA with an SPI other than [`TCP_MD5_SPI`](crate::TCP_MD5_SPI).
    #[error("the SPI of a TCP-MD5 SA is 0x1000 (TCP_MD5_SPI), not 0x{0:x}")]
    TcpMd5Spi(u32),
    /// ESP without a cipher.
    #[error("esp needs an encryption algorithm: use Encryption::Null for authentication alone")]
    MissingEncryption,
    /// AH without an authentication algorithm.
    #[error("ah needs an authentication algorithm")]
    MissingAuthentication,
    /// IPComp without a compression algorithm.
    #[error("ipcomp needs a compression algorithm")]
    MissingCompression,
    /// A TCP-MD5 SA with another algorithm.
    #[error("a TCP-MD5 SA needs Authentication::TcpMd5: use SaSpec::tcp_md5")]
    NotTcpMd5,
    /// TCP-MD5 in an SA of another protocol.
    #[error("tcp-md5 is for TCP-MD5 SAs alone: use SaSpec::tcp_md5")]
    TcpMd5Elsewhere,
    /// An algorithm that SAs of the protocol do not have.
    #[error("an SA of type {sa_type:?} takes no {what} algorithm")]
    Superfluous {
        /// The protocol.
        sa_type: SaType,
        /// Kind of the algorithm.
        what: &'static str,
    },
    /// An SA type of which kernels have no SAs.
    #[error("{0:?} has no SAs: use Esp, Ah, IpComp or TcpSignature")]
    NoSuchSas(SaType),
    /// A cipher that authenticates beside an authentication algorithm.
    #[error("{} authenticates packets itself: leave out {}", name(cipher.name()), name(hash.name()))]
    AeadWithAuthentication {
        /// The cipher.
        cipher: Encryption,
        /// The algorithm beside it.
        hash: Authentication,
    },
    /// A key of the wrong length.
    #[error("{algorithm} takes keys of {allowed} bits, not {bits}")]
    KeyLength {
        /// The algorithm.
        algorithm: &'static str,
        /// Its key lengths, salt included.
        allowed: KeyBits,
        /// The length that was given.
        bits: usize,
    },
    /// UDP encapsulation of another protocol than ESP.
    #[error("only esp can be encapsulated in UDP (RFC 3948), not {0:?}")]
    EncapsulationWithoutEsp(SaType),
    /// TCP-MD5 SAs on Linux.
    #[error("Linux has no TCP-MD5 SAs: set the key on the socket with the option TCP_MD5SIG, see tcp(7)")]
    TcpMd5OnLinux,
    /// An option that the kernel interface cannot express.
    #[error("PF_KEY of {dialect} cannot express {what}{}", hint(*.dialect))]
    NotExpressible {
        /// The dialect.
        dialect: Dialect,
        /// The option.
        what: &'static str,
    },
    /// A replay window that does not fit.
    #[error("a replay window of {window} packets does not fit: {dialect} takes at most {max}")]
    ReplayWindow {
        /// The window that was asked for, in packets.
        window: u32,
        /// The largest, in packets.
        max: u32,
        /// The dialect.
        dialect: Dialect,
    },
    /// A prefix longer than the address.
    #[error("prefix length {prefix_len} not in 0 to {max}")]
    PrefixLength {
        /// The length that was given.
        prefix_len: u8,
        /// Bits of the address.
        max: u8,
    },
    /// A tunnel without addresses.
    #[error("a tunnel template needs the addresses of both tunnel ends")]
    MissingEndpoints,
    /// An ipsec policy without templates.
    #[error("an ipsec policy needs a template: add one with PolicyBuilder::template")]
    MissingTemplate,
    /// Templates of a policy that does no IPsec processing.
    #[error("only ipsec policies have templates")]
    SuperfluousTemplate,
    /// A reqid of more than 16 bits.
    #[error("reqid {0} not in 0 to 65535: this kernel has 16 bits for it")]
    WideReqid(u32),
    /// A range of SPIs that is empty or reserved.
    #[error("no SPI can be allocated from {min} to {max}: use a range within 256 to 4294967295")]
    SpiRange {
        /// Smallest SPI.
        min: u32,
        /// Largest SPI.
        max: u32,
    },
}

fn name(name: Option<&'static str>) -> &'static str {
    name.unwrap_or("an unnamed algorithm")
}

fn hint(dialect: Dialect) -> &'static str {
    if dialect == Dialect::Linux { ": use the backend xfrm" } else { "" }
}
