//! What two hosts are to agree on, in nobody's language.

use std::net::IpAddr;

use super::algorithm::{Protection, Word};

/// One peer as another sees it, and what they protect between them.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// Unique on its host; a letter and digits.
    pub(crate) name: String,
    pub(crate) local: End,
    pub(crate) remote: End,
    pub(crate) psk: String,
    pub(crate) phase1: Phase1,
    pub(crate) phase2: Phase2,
    pub(crate) start: Start,
}

/// One side of a connection.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// Where its IKE daemon is.
    pub(crate) address: IpAddr,
    /// The network behind it: tunnel mode. Without: transport mode.
    pub(crate) behind: Option<Behind>,
}

/// A network behind a gateway, and an address in it that answers.
#[derive(Debug, Clone)]
pub(crate) struct Behind {
    pub(crate) network: String,
    pub(crate) address: IpAddr,
}

/// The one phase 1 proposal.
#[derive(Debug, Clone)]
pub(crate) struct Phase1 {
    pub(crate) encryption: &'static Word,
    pub(crate) hash: &'static Word,
    pub(crate) group: &'static Word,
    /// Seconds.
    pub(crate) lifetime: u32,
}

/// The one phase 2 proposal.
#[derive(Debug, Clone)]
pub(crate) struct Phase2 {
    pub(crate) protection: &'static Protection,
    /// Means nothing where the protection is an AEAD.
    pub(crate) authentication: &'static Word,
    pub(crate) pfs: Option<&'static Word>,
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
pub(crate) enum Start {
    /// It waits for the other side, or to be told.
    Respond,
    /// It begins with the first packet.
    OnTraffic,
}

impl Connection {
    /// The same from the other side, which does this by itself.
    pub(crate) fn mirrored(&self, start: Start) -> Self {
        Self { local: self.remote.clone(), remote: self.local.clone(), start, ..self.clone() }
    }

    pub(crate) fn is_tunnel(&self) -> bool {
        self.local.behind.is_some()
    }
}

impl End {
    /// The address that its packets come from.
    pub(crate) fn source(&self) -> IpAddr {
        self.behind.as_ref().map_or(self.address, |behind| behind.address)
    }

    /// What a policy selects on this side.
    pub(crate) fn selector(&self) -> String {
        match &self.behind {
            Some(behind) => behind.network.clone(),
            None => self.address.to_string(),
        }
    }
}
