//! What two hosts are to agree on, in nobody's language.

use std::net::IpAddr;

use super::algorithm::{Algorithm, Protection};

/// One peer as another sees it, and what they protect between them.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// Unique on its host; a letter and digits.
    pub(crate) name: String,
    pub(crate) local: Endpoint,
    pub(crate) remote: Endpoint,
    pub(crate) psk: String,
    pub(crate) phase1: Phase1,
    pub(crate) phase2: Phase2,
    pub(crate) start: StartAction,
}

/// One side of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// Where its IKE daemon is.
    pub(crate) address: IpAddr,
    /// The network subnet it: tunnel mode. Without: transport mode.
    pub(crate) subnet: Option<Subnet>,
}

/// A network subnet a gateway, and an address in it that answers.
#[derive(Debug, Clone)]
pub(crate) struct Subnet {
    pub(crate) network: String,
    pub(crate) address: IpAddr,
}

/// The one phase 1 proposal.
#[derive(Debug, Clone)]
pub(crate) struct Phase1 {
    pub(crate) encryption: &'static Algorithm,
    pub(crate) hash: &'static Algorithm,
    pub(crate) group: &'static Algorithm,
    /// Seconds.
    pub(crate) lifetime: u32,
}

/// The one phase 2 proposal.
#[derive(Debug, Clone)]
pub(crate) struct Phase2 {
    pub(crate) protection: &'static Protection,
    /// Means nothing where the protection is an AEAD.
    pub(crate) authentication: &'static Algorithm,
    pub(crate) pfs: Option<&'static Algorithm>,
    /// Seconds.
    pub(crate) lifetime: u32,
    /// HMAC-SHA-256 with an ICV of 96 bits, the one that Linux's PF_KEY can do.
    pub(crate) sha256_96: bool,
    /// IPComp in ESP.
    pub(crate) compressed: bool,
    /// Extended sequence numbers and no others.
    pub(crate) esn: bool,
}

/// What this side does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartAction {
    /// It waits for the other side, or to be told.
    Respond,
    /// It begins with the first packet.
    OnTraffic,
}

impl Connection {
    /// The same from the other side, which does this by itself.
    pub(crate) fn mirrored(&self, start: StartAction) -> Self {
        Self { local: self.remote.clone(), remote: self.local.clone(), start, ..self.clone() }
    }

    pub(crate) fn is_tunnel(&self) -> bool {
        self.local.subnet.is_some()
    }
}

impl Endpoint {
    /// The address that its packets come from.
    pub(crate) fn source(&self) -> IpAddr {
        self.subnet.as_ref().map_or(self.address, |subnet| subnet.address)
    }

    /// What a policy selects on this side.
    pub(crate) fn selector(&self) -> String {
        match &self.subnet {
            Some(subnet) => subnet.network.clone(),
            None => self.address.to_string(),
        }
    }
}
