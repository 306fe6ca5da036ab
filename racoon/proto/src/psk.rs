//! Pre-shared keys: the table that holds them, and the names by which they are looked up.

use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::identity::Identity;
use crate::num::{ExchangeType, IdType};

/// A table of pre-shared keys, perhaps with a wildcard for names that are not in it.
pub trait KeyTable {
    /// Returns the key of a name, which is a host name, a mail address, the bytes of a key id, the DER of an X.501 name, or an
    /// address as text.
    ///
    /// # Errors
    /// If there is none.
    fn key(&self, name: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoKey>;

    /// Whether the key of a name is shared: it is that of a wildcard, or of several names. Such a key does not prove which of them
    /// a peer is.
    fn is_shared(&self, _name: &[u8]) -> bool {
        false
    }
}

/// The reason why there is no key, as text: it names the table and what is wrong with it, but no key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoKey(pub String);

/// Returns the names by which to look up a peer's key, in the order in which to try them.
///
/// Main mode needs the key before it can read the peer's identity (RFC 2409 section 5.4), so only the address is known. The
/// other exchanges try the identity first, and the address only if identities are not verified: a key found by the address is
/// not bound to the identity that the peer claims.
pub(crate) fn names(
    exchange: ExchangeType,
    claimed: Option<&Identity>,
    address: IpAddr,
    verify_identifier: bool,
) -> Vec<Vec<u8>> {
    let address = address.to_string().into_bytes();
    match claimed.filter(|_| exchange != ExchangeType::MAIN).map(name_of) {
        None => vec![address],
        Some(identity) if verify_identifier => vec![identity],
        Some(identity) => vec![identity, address],
    }
}

/// The name of an identity in the table.
fn name_of(id: &Identity) -> Vec<u8> {
    match (id.kind, id.single_address()) {
        (IdType::IPV4_ADDR | IdType::IPV6_ADDR, Some(address)) => address.to_string().into_bytes(),
        _ => id.data.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(exchange: ExchangeType, claimed: &Identity, verify_identifier: bool) -> Vec<String> {
        let names = names(exchange, Some(claimed), [192, 0, 2, 1].into(), verify_identifier);
        names.into_iter().map(|name| String::from_utf8(name).unwrap()).collect()
    }

    #[test]
    fn main_mode_asks_for_the_address_only() {
        let claimed = Identity::named(IdType::FQDN, b"gw.example");
        for verify_identifier in [false, true] {
            assert_eq!(of(ExchangeType::MAIN, &claimed, verify_identifier), ["192.0.2.1"]);
        }
    }

    #[test]
    fn the_other_exchanges_ask_for_the_identity_first() {
        let claimed = Identity::named(IdType::FQDN, b"gw.example");
        for exchange in [ExchangeType::AGGRESSIVE, ExchangeType::BASE] {
            assert_eq!(of(exchange, &claimed, false), ["gw.example", "192.0.2.1"]);
            assert_eq!(of(exchange, &claimed, true), ["gw.example"]);
        }
    }

    #[test]
    fn an_address_as_identity_is_asked_for_as_text() {
        let claimed = Identity::address([198, 51, 100, 7].into());
        assert_eq!(of(ExchangeType::AGGRESSIVE, &claimed, true), ["198.51.100.7"]);
    }
}
