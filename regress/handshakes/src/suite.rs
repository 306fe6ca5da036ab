//! The negotiated algorithms: AES-128 and SHA-256 in both phases, and a group and an authentication method that determine
//! the cost.

use anyhow::{Result, bail};
use racoon_proto::config::{Encryption, LocalIdentity, PeerAddress, Remote, RemoteAddress, RemoteSide, Sainfo, Side};
use racoon_proto::num::{AuthAlgorithm, AuthMethod, Cipher, EspTransform, ExchangeType, Group, Hash};
use racoon_proto::proposal::Phase1Terms;
use racoon_proto::select::{Remotes, Sainfos};
use racoon_proto::settings::{HalfOpenLimit, Settings};

use crate::keys::{Keys, own_key};

/// The group of phase 1, and whether phase 2 uses it for PFS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    pub(crate) pfs: bool,
    /// Signatures instead of a pre-shared key.
    pub(crate) signature: Option<Signature>,
}

/// A kind of signature.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signature {
    /// The part of file names that stands for it.
    pub(crate) name: &'static str,
    pub(crate) method: AuthMethod,
}

const RSA: Signature = Signature { name: "rsa", method: AuthMethod::RSA_SIGNATURES };
const ECDSA: Signature = Signature { name: "p256", method: AuthMethod::ECDSA_256 };

pub(crate) const ALL: [Suite; 9] = [
    Suite::new("modp2048", Group::MODP2048),
    Suite { pfs: true, ..Suite::new("modp2048-pfs", Group::MODP2048) },
    Suite::new("modp3072", Group::MODP3072),
    Suite::new("ecp256", Group::ECP256),
    X25519,
    Suite { signature: Some(RSA), ..Suite::new("modp2048-rsa", Group::MODP2048) },
    Suite { signature: Some(RSA), ..Suite::new("ecp256-rsa", Group::ECP256) },
    Suite { signature: Some(ECDSA), ..Suite::new("modp2048-p256", Group::MODP2048) },
    Suite { signature: Some(ECDSA), ..Suite::new("ecp256-p256", Group::ECP256) },
];

/// The cheapest suite.
pub(crate) const X25519: Suite = Suite::new("x25519", Group::X25519);

/// Returns the suite of this name.
pub(crate) fn of(name: &str) -> Result<Suite> {
    match ALL.into_iter().find(|suite| suite.name == name) {
        Some(suite) => Ok(suite),
        None => bail!("no such suite: {name}"),
    }
}

impl Suite {
    /// Describes a suite with a pre-shared key and without PFS.
    const fn new(name: &'static str, group: Group) -> Self {
        Self { name, group, pfs: false, signature: None }
    }

    /// Returns the number of Diffie-Hellman exchanges in a handshake. Each takes two operations on each side.
    pub(crate) fn exchanges(self) -> u32 {
        if self.pfs { 2 } else { 1 }
    }

    /// Returns settings for one peer, or for any.
    pub(crate) fn settings(self, keys: &Keys, peer: Option<PeerAddress>, port: u16) -> Settings {
        let mut remote = Remote::new("peer", peer.map(RemoteAddress::At));
        remote.port = port;
        remote.exchange_modes = vec![ExchangeType::MAIN];
        remote.proposals = vec![Phase1Terms {
            cipher: Cipher::AES,
            key_length: 128,
            hash: Hash::SHA256,
            group: self.group,
            method: self.signature.map_or(AuthMethod::PRE_SHARED_KEY, |signature| signature.method),
            lifetime: 3600,
        }];
        if self.signature.is_some() {
            remote.own_key = Some(own_key());
            remote.my_identifier = LocalIdentity::Fixed(keys.identity());
            // All clients have the same identity, and must not replace each other.
            remote.initial_contact = false;
        }
        let mut sainfo = Sainfo::new(Side::Anonymous, RemoteSide::Anonymous);
        sainfo.terms.lifetime = 3600;
        sainfo.terms.group = self.pfs.then_some(self.group);
        sainfo.encryption = vec![Encryption { transform: EspTransform::AES, key_length: 128 }];
        sainfo.authentication = vec![AuthAlgorithm::HMAC_SHA256.into()];
        Settings {
            remotes: Remotes::new(vec![remote]),
            sainfos: Sainfos::new(vec![sainfo]),
            half_open: HalfOpenLimit { total: u32::MAX, per_source: u32::MAX },
            ..Settings::default()
        }
    }
}
