//! A sainfo section: which SAs phase 2 may negotiate for which peer.

use crate::identity::{Expected, Identity};
use crate::num::{AuthAlgorithm, DEFAULT_LIFETIME, EspTransform, Group, IpcompTransform};
use crate::proposal::Phase2Terms;

/// A sainfo section.
#[derive(Clone, Debug)]
pub struct Sainfo {
    /// Our side of the traffic.
    pub local: Side,
    /// The peer's side.
    pub remote: RemoteSide,
    /// Only for peers with this identity in phase 1.
    pub from: Option<Expected>,
    /// Only for members of this group: if the section is selected and the peer's user is not a member, phase 2 fails.
    pub group: Option<String>,
    /// Only for remote sections with this `ph1id`.
    pub remoteid: u32,
    /// Lifetime and group for perfect forward secrecy.
    pub terms: Phase2Terms,
    /// The encryption algorithms of ESP, in order of preference.
    pub encryption: Vec<Encryption>,
    /// The authentication algorithms of ESP and AH, in order of preference.
    pub authentication: Vec<Authentication>,
    /// The algorithms of IPComp, in order of preference.
    pub compression: Vec<IpcompTransform>,
    /// Extended sequence numbers.
    pub esn: Esn,
    /// The size of the replay window, in packets.
    pub replay_window: u32,
}

impl Sainfo {
    /// A section for traffic between two sides, with the defaults of racoon.conf for everything else and without algorithms.
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

    /// Whether a peer's user may use the section; `is_member` says whether the user belongs to a group.
    pub fn admits(&self, is_member: impl FnOnce(&str) -> bool) -> bool {
        self.group.as_deref().is_none_or(is_member)
    }
}

/// Our side of the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// `anonymous`: any.
    Anonymous,
    /// An identity of phase 2. Its port is ignored.
    Id(Identity),
}

/// The peer's side of the traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteSide {
    /// `anonymous`: any.
    Anonymous,
    /// `clientaddr`: the address that was assigned to the peer, or else its source address.
    ClientAddress,
    /// An identity of phase 2. Its port is ignored.
    Id(Identity),
}

/// An encryption algorithm of ESP.
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
    /// Whether the ICV is truncated to 96 bits against RFC 4868, for old peers. This is not negotiated.
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
