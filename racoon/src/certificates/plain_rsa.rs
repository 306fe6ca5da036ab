//! RSA keys without certificates: which of a file's keys is for a peer.

use std::net::IpAddr;

use ipsec_conf::plainrsa::{Network, Number, PrivateKey, PublicKey, RsaEntry, RsaKey};
use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private, Public};
use openssl::rsa::Rsa;

/// Returns the private key for our address and the peer's: the first of those whose networks fit best.
pub(super) fn private(entries: &[RsaEntry], addresses: (IpAddr, IpAddr)) -> Option<PKey<Private>> {
    let keys = best(entries, addresses, |key| matches!(key, RsaKey::Private(_)));
    keys.into_iter().find_map(|key| match key {
        RsaKey::Private(key) => private_key(key).ok(),
        RsaKey::Public(_) => None,
    })
}

/// Returns the public keys for our address and the peer's: all whose networks fit best.
pub(super) fn public(entries: &[RsaEntry], addresses: (IpAddr, IpAddr)) -> Vec<PKey<Public>> {
    let keys = best(entries, addresses, |key| matches!(key, RsaKey::Public(_)));
    let keys = keys.into_iter().filter_map(|key| match key {
        RsaKey::Public(key) => public_key(key).ok(),
        RsaKey::Private(_) => None,
    });
    keys.collect()
}

fn best(entries: &[RsaEntry], (local, remote): (IpAddr, IpAddr), wanted: fn(&RsaKey) -> bool) -> Vec<&RsaKey> {
    let fitting = entries.iter().filter(|entry| wanted(&entry.key)).filter_map(|entry| {
        let fit = fit(entry.local, local)?.saturating_add(fit(entry.remote, remote)?);
        Some((fit, &entry.key))
    });
    let fitting = fitting.collect::<Vec<_>>();
    let most = fitting.iter().map(|(fit, _)| *fit).max();
    fitting.into_iter().filter(|(fit, _)| Some(*fit) == most).map(|(_, key)| key).collect()
}

/// Returns how closely a network is about an address: 0 for any, or 1 more than the prefix length; `None` for another network.
fn fit(network: Network, address: IpAddr) -> Option<u32> {
    let Network::Prefix(network, length) = network else { return Some(0) };
    let (differing, bits) = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => (u128::from(network.to_bits() ^ address.to_bits()), u32::BITS),
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits() ^ address.to_bits(), u128::BITS),
        _ => return None,
    };
    let length = u32::from(length).min(bits);
    // A shift by all bits is undefined; a prefix of none fits everything.
    let is_inside = differing.checked_shr(bits.saturating_sub(length)).unwrap_or(0) == 0;
    is_inside.then(|| length.saturating_add(1))
}

fn private_key(key: &PrivateKey) -> Result<PKey<Private>, ErrorStack> {
    PKey::from_rsa(Rsa::from_private_components(
        number(&key.modulus)?,
        number(&key.public_exponent)?,
        number(&key.private_exponent)?,
        number(&key.prime1)?,
        number(&key.prime2)?,
        number(&key.exponent1)?,
        number(&key.exponent2)?,
        number(&key.coefficient)?,
    )?)
}

fn public_key(key: &PublicKey) -> Result<PKey<Public>, ErrorStack> {
    PKey::from_rsa(Rsa::from_public_components(number(&key.modulus)?, number(&key.exponent)?)?)
}

fn number(number: &Number) -> Result<BigNum, ErrorStack> {
    BigNum::from_slice(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let fit = |network: &str, length, address: &str| {
            fit(Network::Prefix(network.parse().unwrap(), length), address.parse().unwrap())
        };
        assert_eq!(super::fit(Network::Any, [192, 0, 2, 1].into()), Some(0));
        assert_eq!(fit("192.0.2.1", 32, "192.0.2.1"), Some(33));
        assert_eq!(fit("192.0.2.1", 32, "192.0.2.2"), None);
        assert_eq!(fit("192.0.2.0", 24, "192.0.2.9"), Some(25));
        assert_eq!(fit("0.0.0.0", 0, "192.0.2.9"), Some(1));
        assert_eq!(fit("::", 0, "2001:db8::1"), Some(1));
        assert_eq!(fit("2001:db8::", 32, "2001:db8::1"), Some(33));
        assert_eq!(fit("::", 0, "192.0.2.1"), None);
    }
}
