//! Plain RSA keys: files of keys without certificates, and which of their keys are for whom.

mod convert;

use std::net::IpAddr;
use std::path::Path;

use ipsec_conf::plainrsa::{self, Network, RsaEntry, RsaKey};
use ipsec_conf::racoon::Loader;
use openssl::pkey::{PKey, Private, Public};

pub(crate) use convert::{BITS_MAX, BITS_MIN, library, private_entry, private_key, public_entry, public_key};

/// The keys of a file that are of one kind.
#[derive(Clone, Debug)]
pub(crate) struct PlainKeys<K> {
    keys: Vec<(Network, Network, K)>,
}

impl PlainKeys<PKey<Private>> {
    /// Reads the private keys of a file (`certificate_type plain_rsa`).
    ///
    /// # Errors
    /// Names the file, and the line of a key that is not one.
    pub(crate) fn load_private(path: &Path, loader: &dyn Loader) -> Result<Self, String> {
        let entries = plainrsa::load_private(path, loader).map_err(|error| error.to_string())?;
        Self::collect(path, &entries, |key| match key {
            RsaKey::Private(key) => Some(private_key(key)),
            RsaKey::Public(_) => None,
        })
    }
}

impl PlainKeys<PKey<Public>> {
    /// Reads the public keys of a file (`peers_certfile plain_rsa`).
    ///
    /// # Errors
    /// Names the file, and the line of a key that is not one.
    pub(crate) fn load_public(path: &Path, loader: &dyn Loader) -> Result<Self, String> {
        let entries = plainrsa::load_public(path, loader).map_err(|error| error.to_string())?;
        Self::collect(path, &entries, |key| match key {
            RsaKey::Public(key) => Some(public_key(key)),
            RsaKey::Private(_) => None,
        })
    }
}

impl<K> PlainKeys<K> {
    fn collect(
        path: &Path,
        entries: &[RsaEntry],
        wanted: impl Fn(&RsaKey) -> Option<Result<K, String>>,
    ) -> Result<Self, String> {
        let keys = entries.iter().filter_map(|entry| {
            let key = wanted(&entry.key)?.map_err(|why| format!("{}:{}: {why}", path.display(), entry.line));
            Some(key.map(|key| (entry.local, entry.remote, key)))
        });
        Ok(Self { keys: keys.collect::<Result<_, _>>()? })
    }

    /// Returns the keys for a pair of addresses: of those whose networks contain them, all with the longest prefixes, in the
    /// file's order. `any` has length 0; the lengths of both prefixes are added.
    ///
    /// To sign, use the first; a signature is valid if it is one of any of them.
    pub(crate) fn lookup(&self, local: IpAddr, remote: IpAddr) -> Vec<&K> {
        let scored = self.keys.iter().filter_map(|(ours, theirs, key)| {
            let length = u16::from(matching_length(*ours, local)?) + u16::from(matching_length(*theirs, remote)?);
            Some((length, key))
        });
        let scored = scored.collect::<Vec<_>>();
        let best = scored.iter().map(|(length, _)| *length).max();
        scored.into_iter().filter(|(length, _)| Some(*length) == best).map(|(_, key)| key).collect()
    }
}

/// Returns the prefix length of a network that contains an address.
fn matching_length(network: Network, address: IpAddr) -> Option<u8> {
    let Network::Prefix(network, length) = network else { return Some(0) };
    // Shifted by its whole width, a number would not change.
    let contains = match (network, address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let differing = u32::from(network) ^ u32::from(address);
            differing.checked_shr(32_u32.saturating_sub(length.into())).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let differing = u128::from(network) ^ u128::from(address);
            differing.checked_shr(128_u32.saturating_sub(length.into())).unwrap_or(0) == 0
        }
        _ => false,
    };
    contains.then_some(length)
}

#[cfg(test)]
mod tests;
