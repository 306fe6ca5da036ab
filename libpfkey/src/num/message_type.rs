//! Types of messages.

use super::Tables;
use super::table::numbered;
use crate::dialect::Dialect;

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
