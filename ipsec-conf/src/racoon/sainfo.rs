//! Parameters of phase 2.

use std::net::IpAddr;
use std::time::Duration;

use libpfkey::algorithm::Compression;

use super::algorithm::{DhGroup, EspAuthentication, EspEncryption};
use super::identifier::Identifier;
use super::place::Place;
use super::word::words;

/// A `sainfo` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sainfo {
    /// Where its section begins.
    pub place: Place,
    /// This end of the SA; never [`SainfoId::ClientAddress`].
    pub local: SainfoId,
    /// The peer's end of the SA.
    pub remote: SainfoId,
    /// If set, only for peers with this phase 1 identity.
    pub from: Option<Identifier>,
    /// If set, only for users of this group.
    pub group: Option<Box<str>>,
    /// Only for remotes with this `ph1id`; 0 for those without one.
    pub remoteid: u32,
    /// Group for perfect forward secrecy; `None` for none.
    pub pfs_group: Option<DhGroup>,
    /// Lifetime.
    pub lifetime: Duration,
    /// Lifetime in octets; `None` for an unlimited one.
    pub lifetime_bytes: Option<u64>,
    /// At least one, the preferred first.
    pub encryption: Vec<EspEncryption>,
    /// The preferred first; empty when all of `encryption` are AEAD.
    pub authentication: Vec<EspAuthentication>,
    /// The preferred first.
    pub compression: Vec<Compression>,
    /// Extended sequence numbers.
    pub esn: Esn,
    /// Replay window in packets.
    pub replay_window: u32,
}

impl Sainfo {
    /// Returns the priority in the search, which tries the highest first.
    pub fn priority(&self) -> u8 {
        // As in the C racoon, so that a file keeps its meaning: who the peer is counts more than both ends.
        let points = |has: bool, points: u8| if has { points } else { 0 };
        points(self.remoteid != 0, 3)
            + points(self.from.is_some(), 3)
            + points(self.local != SainfoId::Anonymous, 1)
            + points(self.remote != SainfoId::Anonymous, 1)
    }
}

/// An end of an SA.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SainfoId {
    /// Any.
    Anonymous,
    /// The address assigned to the client, or else the peer's own.
    ClientAddress,
    /// ID_IPV4_ADDR_SUBNET or ID_IPV6_ADDR_SUBNET; with a full-length prefix ID_IPV4_ADDR or ID_IPV6_ADDR.
    Network {
        /// The address as written, including bits after the prefix.
        address: IpAddr,
        /// Prefix length.
        prefix: u8,
        /// Port; 0 for any. Not compared.
        port: u16,
        /// Upper-layer protocol; 0 for any.
        protocol: u8,
    },
    /// ID_IPV4_ADDR_RANGE and ID_IPV6_ADDR_RANGE.
    Range {
        /// The first address.
        first: IpAddr,
        /// The last address, of the same family.
        last: IpAddr,
        /// Port; 0 for any. Not compared.
        port: u16,
        /// Upper-layer protocol; 0 for any.
        protocol: u8,
    },
    /// An FQDN, user FQDN or key id.
    Name(Identifier),
}

words! {
    /// Extended sequence numbers.
    Esn {
        /// Never.
        Off = "off",
        /// When the peer agrees.
        On = "on",
        /// Required.
        Require = "require",
    }
}
