//! A sainfo block: which SAs phase 2 may make for whom.

use crate::identity::{Expected, Identity};
use crate::num::{AuthAlgorithm, DEFAULT_LIFETIME, EspTransform, Group, IpcompTransform};
use crate::proposal::Phase2Terms;

/// A sainfo block.
#[derive(Clone, Debug)]
pub struct Sainfo {
    /// Our side of the traffic.
    pub local: Side,
    /// The peer's side.
    pub remote: RemoteSide,
    /// Only for peers with this identity in phase 1.
    pub from: Option<Expected>,
    /// Only for members of this group: if the block is chosen and the peer's user is none, phase 2 fails.
    pub group: Option<String>,
    /// Only for remote blocks with this `ph1id`.
    pub remoteid: u32,
    /// Lifetime and group for perfect forward secrecy.
    pub terms: Phase2Terms,
    /// ESP's algorithms, in order of preference.
    pub encryption: Vec<Encryption>,
    /// Authentication algorithms of ESP and AH, in order of preference.
    pub authentication: Vec<Authentication>,
    /// IPComp's algorithms, in order of preference.
    pub compression: Vec<IpcompTransform>,
    /// Extended sequence numbers.
    pub esn: Esn,
    /// Packets that may overtake each other.
    pub replay_window: u32,
}

impl Sainfo {
    /// A block for traffic between two sides with the defaults of racoon.conf for all the rest: it has yet no algorithms.
    pub fn new(local: Side, remote: RemoteSide) -> Self {
        Self {
            local,
            remote,
            from: None,
            group: None,
            remoteid: 0,
            terms: Phase2Terms { lifetime: DEFAULT_LIFETIME, kilobytes: None, group: None },
            encryption: Vec::new(),
            authentication: Vec::new(),
            compression: Vec::new(),
            esn: Esn::Off,
            replay_window: 64,
        }
    }

    /// The Diffie-Hellman group for perfect forward secrecy, if there is one.
    pub fn pfs_group(&self) -> Option<Group> {
        self.terms.group
    }

    /// Whether a peer's user may use it; `is_member` says whether the user belongs to a group.
    pub fn admits(&self, is_member: impl FnOnce(&str) -> bool) -> bool {
        self.group.as_deref().is_none_or(is_member)
    }
}

/// Our side of the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// `anonymous`: whatever it is.
    Anonymous,
    /// An identity of phase 2. Its port does not matter.
    Id(Identity),
}

/// The peer's side of the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteSide {
    /// `anonymous`: whatever it is.
    Anonymous,
    /// `clientaddr`: the address that was assigned to the peer, or else the one it speaks from.
    ClientAddress,
    /// An identity of phase 2. Its port does not matter.
    Id(Identity),
}

/// An algorithm of ESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encryption {
    /// The transform.
    pub transform: EspTransform,
    /// Key length in bits, 0 for a transform that has only one.
    pub key_length: u16,
}

/// An authentication algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authentication {
    /// The algorithm, as it is proposed.
    pub algorithm: AuthAlgorithm,
    /// Cut to 96 bits, where RFC 4868 says otherwise: for old peers. Nothing of that is on the wire.
    pub truncated: bool,
}

impl From<AuthAlgorithm> for Authentication {
    fn from(algorithm: AuthAlgorithm) -> Self {
        Self { algorithm, truncated: false }
    }
}

/// `esn`: extended sequence numbers (RFC 4304).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Esn {
    /// Not proposed and not accepted.
    Off,
    /// Proposed first.
    On,
    /// Nothing else is accepted.
    Require,
}
