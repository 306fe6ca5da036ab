//! A connection between two hosts, independent of any daemon's configuration language.

use std::net::IpAddr;
use std::path::PathBuf;

use super::algorithm::{Algorithm, Protection};
use crate::pki::KeyKind;

/// A connection, as one of its hosts sees it.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// A letter and digits, unique on the host.
    pub(crate) name: String,
    pub(crate) local: Endpoint,
    pub(crate) remote: Endpoint,
    pub(crate) exchange: Exchange,
    pub(crate) authentication: Authentication,
    pub(crate) phase1: Phase1,
    pub(crate) phase2: Phase2,
    pub(crate) start: StartAction,
}

/// One side of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// The address of its IKE daemon.
    pub(crate) address: IpAddr,
    /// The network behind it in tunnel mode; `None` in transport mode.
    pub(crate) subnet: Option<Subnet>,
    pub(crate) identity: Identity,
    /// Its key, unless it has a pre-shared one.
    pub(crate) key: Option<PrivateKey>,
}

/// The mode of phase 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exchange {
    Main,
    Aggressive,
}

/// How both sides authenticate each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Authentication {
    /// With this pre-shared key.
    PreSharedKey(String),
    /// With certificates of this authority: the file.
    Certificates(PathBuf),
    /// With RSA keys that each side has of the other.
    RawKeys,
}

/// What a side says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    Address,
    Fqdn(String),
    UserFqdn(String),
    KeyId(String),
    /// The subject of its certificate, in the notation of racoon.conf(5).
    Subject(String),
}

/// A side's private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PrivateKey {
    /// The name by which a daemon finds it, if not by its file.
    pub(crate) name: String,
    pub(crate) file: PathBuf,
    /// The certificate, with those of other authorities than the root behind it.
    pub(crate) certificate: PathBuf,
    /// The private and the public key in racoon's format, for [`Authentication::RawKeys`].
    pub(crate) plain: Option<[PathBuf; 2]>,
    /// The certificate of the authority that signed it, if that is not the root.
    pub(crate) authority: Option<PathBuf>,
    pub(crate) kind: KeyKind,
}

/// A network behind a gateway, and an address in it that answers pings.
#[derive(Debug, Clone)]
pub(crate) struct Subnet {
    pub(crate) network: String,
    pub(crate) address: IpAddr,
}

/// The only proposal for phase 1.
#[derive(Debug, Clone)]
pub(crate) struct Phase1 {
    pub(crate) encryption: &'static Algorithm,
    pub(crate) hash: &'static Algorithm,
    pub(crate) group: &'static Algorithm,
    /// In seconds.
    pub(crate) lifetime: u32,
}

/// The only proposal for phase 2.
#[derive(Debug, Clone)]
pub(crate) struct Phase2 {
    pub(crate) protection: &'static Protection,
    /// Not used with an AEAD cipher.
    pub(crate) authentication: &'static Algorithm,
    pub(crate) pfs: Option<&'static Algorithm>,
    /// In seconds.
    pub(crate) lifetime: u32,
    /// Whether the ICV of HMAC-SHA-256 has 96 bits, the only length that PF_KEY on Linux supports.
    pub(crate) sha256_96: bool,
    /// Whether IPComp is used inside ESP.
    pub(crate) compressed: bool,
    /// Whether extended sequence numbers are required.
    pub(crate) esn: bool,
}

/// What a side does without being told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartAction {
    /// Waits for the peer, or for a command.
    Respond,
    /// Initiates when a packet needs it.
    OnTraffic,
}

impl Connection {
    /// Returns the connection as the other side sees it, with that side's start action.
    pub(crate) fn mirrored(&self, start: StartAction) -> Self {
        Self { local: self.remote.clone(), remote: self.local.clone(), start, ..self.clone() }
    }

    pub(crate) fn is_tunnel(&self) -> bool {
        self.local.subnet.is_some()
    }
}

impl Endpoint {
    /// Returns the source address of its packets.
    pub(crate) fn source(&self) -> IpAddr {
        self.subnet.as_ref().map_or(self.address, |subnet| subnet.address)
    }

    /// Returns the selector of this side in policies.
    pub(crate) fn selector(&self) -> String {
        match &self.subnet {
            Some(subnet) => subnet.network.clone(),
            None => self.address.to_string(),
        }
    }
}
