//! The numbers of PF_KEY: one table for each dialect. Those of algorithms are in [`algorithm`](crate::algorithm).
//!
//! A number means nothing without its dialect (24 is a security context on Linux and an original address on BSD), so
//! code outside this module handles meanings. Numbers without a meaning survive as `Other`.

mod darwin;
mod extension_type;
mod freebsd;
mod linux;
mod message_type;
mod netbsd;
mod sa_type;
mod table;

pub use extension_type::ExtensionType;
pub use message_type::MessageType;
pub use sa_type::{SaState, SaType};
pub use table::{NumberRow, Tables};

/// Version of the protocol in the base header (RFC 2367 section 2.3).
pub const PF_KEY_V2: u8 = 2;

/// Upper-layer protocol "any" in an address extension of a policy.
pub const ULPROTO_ANY: u8 = 255;

/// Largest reqid that a user may choose for level `unique`; kernels assign larger ones.
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
        /// KAME: the old formats of RFC 1826 and 1827. RFC 2367 has this bit for perfect forward secrecy.
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
        // Unknown bits are kept: macOS, for example, has private ones.
        const _ = !0;
    }
}
