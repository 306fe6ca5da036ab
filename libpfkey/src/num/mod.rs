//! The numbers of PF_KEY: one table for each dialect. Those of algorithms are in [`algorithm`](crate::algorithm).
//!
//! A number means nothing without its dialect (24 is a security context on Linux and an original address on BSD), so
//! code outside this module handles meanings. Numbers without a meaning survive as `Other`.

mod darwin;
mod freebsd;
mod linux;
mod netbsd;

use crate::dialect::Dialect;

/// Version of the protocol in the base header (RFC 2367 section 2.3).
pub const PF_KEY_V2: u8 = 2;

/// Upper-layer protocol "any" in an address extension of a policy.
pub const ULPROTO_ANY: u8 = 255;

/// Largest reqid that a user may choose for level `unique`; kernels choose larger ones by themselves.
pub const MANUAL_REQID_MAX: u32 = 0x3fff;

/// Mode "any" of `sadb_x_sa2` and `sadb_x_ipsecrequest`.
pub const MODE_ANY: u8 = 0;
/// Transport mode.
pub const MODE_TRANSPORT: u8 = 1;
/// Tunnel mode.
pub const MODE_TUNNEL: u8 = 2;

/// Policy direction: in.
pub const DIR_IN: u8 = 1;
/// Policy direction: out.
pub const DIR_OUT: u8 = 2;
/// Policy direction: forwarded (Linux only).
pub const DIR_FWD: u8 = 3;

/// Policy type: discard.
pub const POLICY_DISCARD: u16 = 0;
/// Policy type: none (pass in clear).
pub const POLICY_NONE: u16 = 1;
/// Policy type: IPsec processing.
pub const POLICY_IPSEC: u16 = 2;
/// Policy type: ask the SPD (sockets).
pub const POLICY_ENTRUST: u16 = 3;
/// Policy type: bypass the SPD (sockets).
pub const POLICY_BYPASS: u16 = 4;

/// Scope of a FreeBSD policy: the whole host.
pub const SCOPE_GLOBAL: u8 = 1;
/// Scope of a FreeBSD policy: one `if_ipsec(4)` interface, whose index takes the place of the priority.
pub const SCOPE_IFNET: u8 = 2;
/// Scope of a FreeBSD policy: one socket.
pub const SCOPE_PCB: u8 = 4;

/// Request level: the system's default.
pub const LEVEL_DEFAULT: u8 = 0;
/// Request level: use an SA if there is one.
pub const LEVEL_USE: u8 = 1;
/// Request level: an SA is required.
pub const LEVEL_REQUIRE: u8 = 2;
/// Request level: an SA of this policy alone is required.
pub const LEVEL_UNIQUE: u8 = 3;

/// NAT-T encapsulation of RFC 3948.
pub const UDP_ENCAP_ESPINUDP: u8 = 2;

/// Hardware offload, flag of [`XfrmOffload`](crate::wire::XfrmOffload): the SA is for received packets
/// (`XFRM_OFFLOAD_INBOUND`).
pub const OFFLOAD_INBOUND: u32 = 2;
/// Hardware offload: the device does whole packets, not the cryptography only (`XFRM_OFFLOAD_PACKET`).
pub const OFFLOAD_PACKET: u32 = 4;

/// AH's protocol number.
pub const IPPROTO_AH: u16 = 51;
/// ESP's protocol number.
pub const IPPROTO_ESP: u16 = 50;
/// IPComp's protocol number.
pub const IPPROTO_IPCOMP: u16 = 108;

bitflags::bitflags! {
    /// `sadb_sa_flags`. Bits above the KAME ones belong to one dialect each.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SaFlags: u32 {
        /// KAME: the old format of RFC 1826/1827 (RFC 2367's PFS bit).
        const OLD = 0x0001;
        /// KAME: 4-byte IV.
        const IV4B = 0x0010;
        /// KAME: derived IV.
        const DERIV = 0x0020;
        /// KAME: the sequence number may wrap.
        const CYCSEQ = 0x0040;
        /// KAME: the SPI is used as the CPI.
        const RAWCPI = 0x0080;
        /// KAME: random padding.
        const PRAND = 0x0100;
        /// KAME: zero padding.
        const PZERO = 0x0200;
        /// FreeBSD: extended sequence numbers.
        const FREEBSD_ESN = 0x0400;
        /// macOS: extended sequence numbers.
        const DARWIN_ESN = 0x0800;
        /// Linux: do not let path MTU discovery work through the tunnel.
        const NOPMTUDISC = 0x2000_0000;
        /// Linux: copy the DSCP to the inner header.
        const DECAP_DSCP = 0x4000_0000;
        /// Linux: no ECN through the tunnel.
        const NOECN = 0x8000_0000;
        const _ = !0;
    }
}

/// One row of a table: number, meaning, and the constant's name in the system's header (empty where it has none).
#[derive(Clone, Copy, Debug)]
pub struct Row<T>(pub u8, pub T, pub &'static str);

/// The tables of one dialect.
#[derive(Debug)]
pub struct Tables {
    /// `sadb_msg_type`
    pub messages: &'static [Row<MessageType>],
    /// `sadb_ext_type`
    pub extensions: &'static [Row<ExtensionType>],
    /// `sadb_msg_satype`
    pub sa_types: &'static [Row<SaType>],
}

impl Tables {
    /// The tables of a dialect.
    pub const fn of(dialect: Dialect) -> &'static Self {
        match dialect {
            Dialect::Darwin => &darwin::TABLES,
            Dialect::FreeBsd => &freebsd::TABLES,
            Dialect::Linux => &linux::TABLES,
            Dialect::NetBsd => &netbsd::TABLES,
        }
    }
}

/// Defines an open enum over one table.
macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident($int:ty), $field:ident: $($(#[$vdoc:meta])* $variant:ident),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A number without a meaning in its dialect.
            Other($int),
        }

        impl $name {
            /// The meaning of a number in a dialect.
            pub fn from_number(dialect: Dialect, number: $int) -> Self {
                Tables::of(dialect).$field.iter().find(|row| <$int>::from(row.0) == number).map_or(Self::Other(number), |row| row.1)
            }

            /// The meaning as a word, for error texts.
            pub const fn what(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)+
                    Self::Other(_) => "such number",
                }
            }

            /// The number of a meaning in a dialect; `None` when the dialect has no such thing.
            pub fn number(self, dialect: Dialect) -> Option<$int> {
                match self {
                    Self::Other(number) => Some(number),
                    _ => Tables::of(dialect).$field.iter().find(|row| row.1 == self).map(|row| row.0.into()),
                }
            }
        }
    };
}

numbered! {
    /// `sadb_msg_type`: what a message asks for or tells (RFC 2367 section 3.1, KAME's `X_` types).
    MessageType(u8), messages:
    /// A key manager is asked for an SA, or gives up.
    Acquire,
    /// Create an SA.
    Add,
    /// Remove an SA.
    Delete,
    /// Send the SAD.
    Dump,
    /// A lifetime of an SA has passed.
    Expire,
    /// Empty the SAD.
    Flush,
    /// Send one SA.
    Get,
    /// Reserve an SPI.
    GetSpi,
    /// Move SAs and policies to other addresses.
    Migrate,
    /// A peer behind a NAT has a new address or port.
    NatTNewMapping,
    /// KAME's passive change monitor.
    PChange,
    /// Show every message to this socket.
    Promisc,
    /// List the algorithms, and send acquires and expires from now on.
    Register,
    /// macOS: SA statistics.
    SaStat,
    /// The SPD has no policy for a packet.
    SpdAcquire,
    /// Create a policy.
    SpdAdd,
    /// Remove a policy by selector.
    SpdDelete,
    /// Remove a policy by id.
    SpdDelete2,
    /// macOS: disable policies.
    SpdDisable,
    /// Send the SPD.
    SpdDump,
    /// macOS: enable policies.
    SpdEnable,
    /// A policy's lifetime has passed.
    SpdExpire,
    /// Empty the SPD.
    SpdFlush,
    /// Send one policy by id.
    SpdGet,
    /// Create a policy (an alias of SPDADD in today's kernels).
    SpdSetIdx,
    /// Create or replace a policy.
    SpdUpdate,
    /// Complete a larval SA, or change one.
    Update,
}

numbered! {
    /// `sadb_ext_type`: the kinds of extension headers.
    ExtensionType(u16), extensions:
    /// Destination address.
    AddressDst,
    /// Proxy address (the inner source).
    AddressProxy,
    /// Source address.
    AddressSrc,
    /// Linux: restrict a dump.
    Filter,
    /// Destination identity.
    IdentityDst,
    /// Source identity.
    IdentitySrc,
    /// FreeBSD: NIC offload.
    IfHwOffload,
    /// macOS: ipsec interface.
    IpsecIf,
    /// Authentication key.
    KeyAuth,
    /// Encryption key.
    KeyEncrypt,
    /// Linux: addresses of the key manager (MIGRATE).
    KmAddress,
    /// Private to the key manager.
    KmPrivate,
    /// Current use of an SA.
    LifetimeCurrent,
    /// FreeBSD: use counted by the NIC.
    LifetimeCurrentHw,
    /// FreeBSD: use counted in software.
    LifetimeCurrentSw,
    /// Hard limits.
    LifetimeHard,
    /// Soft limits.
    LifetimeSoft,
    /// macOS: ipsec interface to migrate to.
    MigrateIpsecIf,
    /// NAT-T destination port.
    NatTDport,
    /// NAT-T fragment size.
    NatTFrag,
    /// NAT-T original address (of the initiator where there are two).
    NatTOaInitiator,
    /// NAT-T original address of the responder.
    NatTOaResponder,
    /// NAT-T source port.
    NatTSport,
    /// NAT-T encapsulation type.
    NatTType,
    /// New destination address of an SA.
    NewAddressDst,
    /// New source address of an SA.
    NewAddressSrc,
    /// Policy with its requests.
    Policy,
    /// Proposal of an acquire.
    Proposal,
    /// macOS: end of a destination range.
    RangeDstEnd,
    /// macOS: start of a destination range.
    RangeDstStart,
    /// macOS: end of a source range.
    RangeSrcEnd,
    /// macOS: start of a source range.
    RangeSrcStart,
    /// The SA.
    Sa,
    /// KAME: mode and reqid of the SA.
    Sa2,
    /// FreeBSD: replay window in packets.
    SaReplay,
    /// macOS: SA statistics.
    SaStat,
    /// Linux: security label.
    SecurityContext,
    /// Sensitivity.
    Sensitivity,
    /// macOS: session id.
    SessionId,
    /// Range for GETSPI.
    SpiRange,
    /// Authentication algorithms of the kernel.
    SupportedAuth,
    /// Encryption algorithms of the kernel.
    SupportedEncrypt,
    /// Of this library: length of the ICV and alignment of an AH header
    /// ([`XfrmAuthTrunc`](crate::wire::XfrmAuthTrunc)).
    XfrmAuthTrunc,
    /// Of this library: XFRM interface id.
    XfrmIfId,
    /// Of this library: mark by which an SA or policy is found.
    XfrmMark,
    /// Of this library: hardware offload.
    XfrmOffload,
    /// Of this library: mark that packets get.
    XfrmOutputMark,
    /// Of this library: replay window in packets and extended sequence numbers.
    XfrmReplay,
    /// Of this library: sequence numbers, replay bitmap and counters of an SA. A DELETE with an empty one is answered with
    /// the last state of the SA; an ADD with a filled one resumes from it.
    XfrmReplayState,
}

numbered! {
    /// `sadb_msg_satype`: the security protocol.
    SaType(u8), sa_types:
    /// AH.
    Ah,
    /// ESP.
    Esp,
    /// IPComp.
    IpComp,
    /// Mobile IP.
    Mip,
    /// OSPFv2.
    OspfV2,
    /// macOS: policy.
    Policy,
    /// RIPv2.
    RipV2,
    /// RSVP.
    Rsvp,
    /// TCP-MD5 signatures (RFC 2385).
    TcpSignature,
    /// Unspecified.
    Unspec,
}

/// `sadb_sa_state` (the same numbers everywhere).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SaState {
    /// 3: its hard lifetime has passed.
    Dead,
    /// 2: its soft lifetime has passed.
    Dying,
    /// 0: an SPI without keys.
    Larval,
    /// 1: in use.
    Mature,
    /// Any other number.
    Other(u8),
}

impl From<u8> for SaState {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Larval,
            1 => Self::Mature,
            2 => Self::Dying,
            3 => Self::Dead,
            other => Self::Other(other),
        }
    }
}

impl From<SaState> for u8 {
    fn from(state: SaState) -> Self {
        match state {
            SaState::Larval => 0,
            SaState::Mature => 1,
            SaState::Dying => 2,
            SaState::Dead => 3,
            SaState::Other(other) => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unique<T: Copy + PartialEq + std::fmt::Debug>(rows: &[Row<T>]) {
        for (i, row) in rows.iter().enumerate() {
            assert!(rows[..i].iter().all(|other| other.0 < row.0 && other.1 != row.1), "{row:?}");
        }
    }

    #[test]
    fn tables_are_sorted_and_one_to_one() {
        for dialect in Dialect::ALL {
            let tables = Tables::of(dialect);
            unique(tables.messages);
            unique(tables.extensions);
            unique(tables.sa_types);
        }
    }

    #[test]
    fn one_number_many_meanings() {
        let of = |dialect| ExtensionType::from_number(dialect, 24);
        assert_eq!(of(Dialect::Linux), ExtensionType::SecurityContext);
        assert_eq!(of(Dialect::FreeBsd), ExtensionType::NatTOaResponder);
        assert_eq!(of(Dialect::Darwin), ExtensionType::RangeSrcEnd);
        assert_eq!(ExtensionType::from_number(Dialect::NetBsd, 26), ExtensionType::Other(26));
        assert_eq!(MessageType::Migrate.number(Dialect::Darwin), Some(26));
        assert_eq!(MessageType::Migrate.number(Dialect::FreeBsd), None);
    }
}
