//! The negotiated algorithms: AES-128 and SHA-256 in both phases, a pre-shared key, and a group that determines the
//! cost.

use anyhow::{Result, bail};
use racoon_proto::config::{Encryption, PeerAddress, Remote, RemoteAddress, RemoteSide, Sainfo, Side};
use racoon_proto::credentials::Credentials;
use racoon_proto::num::{AuthAlgorithm, AuthMethod, Cipher, EspTransform, ExchangeType, Group, Hash};
use racoon_proto::proposal::Phase1Terms;
use racoon_proto::psk::{KeyTable, NoKey};
use racoon_proto::select::{Remotes, Sainfos};
use racoon_proto::settings::{HalfOpenLimit, Settings};
use zeroize::Zeroizing;

/// The group of phase 1, and whether phase 2 uses it for PFS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    pub(crate) pfs: bool,
}

pub(crate) const ALL: [Suite; 5] = [
    Suite { name: "modp2048", group: Group::MODP2048, pfs: false },
    Suite { name: "modp2048-pfs", group: Group::MODP2048, pfs: true },
    Suite { name: "modp3072", group: Group::MODP3072, pfs: false },
    Suite { name: "ecp256", group: Group::ECP256, pfs: false },
    X25519,
];

/// The cheapest suite.
pub(crate) const X25519: Suite = Suite { name: "x25519", group: Group::X25519, pfs: false };

/// Returns the suite of this name.
pub(crate) fn of(name: &str) -> Result<Suite> {
    match ALL.into_iter().find(|suite| suite.name == name) {
        Some(suite) => Ok(suite),
        None => bail!("no such suite: {name}"),
    }
}

impl Suite {
    /// Returns the number of Diffie-Hellman exchanges in a handshake. Each takes two operations on each side.
    pub(crate) fn exchanges(self) -> u32 {
        if self.pfs { 2 } else { 1 }
    }

    /// Returns settings for one peer, or for any.
    pub(crate) fn settings(self, peer: Option<PeerAddress>, port: u16) -> Settings {
        let mut remote = Remote::new("peer", peer.map(RemoteAddress::At));
        remote.port = port;
        remote.exchange_modes = vec![ExchangeType::MAIN];
        remote.proposals = vec![Phase1Terms {
            cipher: Cipher::AES,
            key_length: 128,
            hash: Hash::SHA256,
            group: self.group,
            method: AuthMethod::PRE_SHARED_KEY,
            lifetime: 3600,
        }];
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

/// A key table with the same key for every peer.
pub(crate) struct FixedKey;

impl KeyTable for FixedKey {
    fn key(&self, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoKey> {
        Ok(Zeroizing::new(b"handshakes".to_vec()))
    }
}

impl Credentials for FixedKey {}
