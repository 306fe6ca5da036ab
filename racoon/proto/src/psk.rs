//! Which names a peer's pre-shared key is looked up by, and in which order.

use std::net::IpAddr;

use zeroize::Zeroizing;

use crate::identity::Identity;
use crate::num::{ExchangeType, IdType};

/// A table of pre-shared keys. Whether it has a joker for names that are not in it is its own business.
pub trait KeyTable {
    /// The key of a name. A name is a host name, a mail address, the bytes of a key id, the DER of an X.501 name, or an
    /// address as text.
    ///
    /// # Errors
    /// There is none.
    fn key(&self, name: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoKey>;

    /// Whether others may have the key of a name, too: it is a joker's, or the key of several names. Then it does not prove
    /// which of them a peer is.
    fn is_shared(&self, _name: &[u8]) -> bool {
        false
    }
}

/// There is no key, and what to do about that, for people: it names the table and what is wrong with it, and no key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoKey(pub String);

/// By what a key was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// The identity that the peer sent.
    Identity,
    /// The address it speaks from. In aggressive mode that binds the key to no identity, and is worth a warning.
    Address,
}

/// Looks the key of a peer up. Main Mode needs the key before it can read the peer's identity (RFC 2409 section 5.4), so
/// only the address can be asked for; the other exchanges ask for the identity, and then, unless identities are verified,
/// for the address. An empty key is no key.
pub fn find(
    table: &dyn KeyTable,
    exchange: ExchangeType,
    claimed: Option<&Identity>,
    address: IpAddr,
    verify_identifier: bool,
) -> Option<(FoundBy, Zeroizing<Vec<u8>>)> {
    let lookup = |name: &[u8]| table.key(name).ok().filter(|key| !key.is_empty());
    if exchange != ExchangeType::MAIN {
        let by_identity = claimed.and_then(|id| lookup(&name_of(id)));
        if let Some(key) = by_identity {
            return Some((FoundBy::Identity, key));
        }
        if verify_identifier {
            return None;
        }
    }
    lookup(address.to_string().as_bytes()).map(|key| (FoundBy::Address, key))
}

/// What an identity is called in the table.
fn name_of(id: &Identity) -> Vec<u8> {
    match (id.kind, id.single_address()) {
        (IdType::IPV4_ADDR | IdType::IPV6_ADDR, Some(address)) => address.to_string().into_bytes(),
        _ => id.data.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Table(&'static [(&'static str, &'static str)]);

    impl KeyTable for Table {
        fn key(&self, name: &[u8]) -> Result<Zeroizing<Vec<u8>>, NoKey> {
            let found = self.0.iter().find(|(known, _)| known.as_bytes() == name || *known == "*");
            found.map(|(_, key)| Zeroizing::new(key.as_bytes().to_vec())).ok_or_else(NoKey::default)
        }
    }

    const TABLE: Table = Table(&[("gw.example", "named"), ("192.0.2.1", "addressed"), ("empty", "")]);

    fn found(exchange: ExchangeType, name: &str, address: &str, verify: bool) -> Option<(FoundBy, String)> {
        let id = Identity::named(IdType::FQDN, name.as_bytes());
        let (by, key) = find(&TABLE, exchange, Some(&id), address.parse().unwrap(), verify)?;
        Some((by, String::from_utf8(key.to_vec()).unwrap()))
    }

    #[test]
    fn main_mode_asks_for_the_address_only() {
        let by_address = Some((FoundBy::Address, "addressed".into()));
        assert_eq!(found(ExchangeType::MAIN, "gw.example", "192.0.2.1", true), by_address);
        assert_eq!(found(ExchangeType::MAIN, "gw.example", "192.0.2.2", false), None);
    }

    #[test]
    fn the_other_exchanges_ask_for_the_identity_first() {
        for exchange in [ExchangeType::AGGRESSIVE, ExchangeType::BASE] {
            let by_identity = Some((FoundBy::Identity, "named".into()));
            assert_eq!(found(exchange, "gw.example", "192.0.2.1", false), by_identity);
            let by_address = Some((FoundBy::Address, "addressed".into()));
            assert_eq!(found(exchange, "other.example", "192.0.2.1", false), by_address);
            assert_eq!(found(exchange, "other.example", "192.0.2.1", true), None);
        }
    }

    #[test]
    fn an_address_as_identity_is_asked_for_as_text() {
        let id = Identity::address("192.0.2.1".parse().unwrap());
        let found = find(&TABLE, ExchangeType::AGGRESSIVE, Some(&id), "198.51.100.1".parse().unwrap(), true);
        assert_eq!(found.unwrap().0, FoundBy::Identity);
    }

    #[test]
    fn an_empty_key_is_no_key() {
        assert_eq!(found(ExchangeType::AGGRESSIVE, "empty", "192.0.2.2", false), None);
    }
}
