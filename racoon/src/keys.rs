//! The file of pre-shared keys as the engine's table.

use ipsec_conf::psk::PreSharedKeys;
use racoon_proto::psk::KeyTable;
use zeroize::Zeroizing;

/// Keys that were read from a file.
#[derive(Debug)]
pub struct Keys(pub PreSharedKeys);

impl KeyTable for Keys {
    fn key(&self, name: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.0.find(name).map(|key| Zeroizing::new(key.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use racoon_proto::identity::Identity;
    use racoon_proto::num::{ExchangeType, IdType};
    use racoon_proto::psk::{FoundBy, find};

    use super::*;

    #[test]
    fn a_key_of_the_file_is_found() {
        let (keys, _) = PreSharedKeys::parse(b"gw.example by name\n192.0.2.1 by address\n");
        let keys = Keys(keys);
        let id = Identity::named(IdType::FQDN, *b"gw.example");
        let address = "192.0.2.1".parse().unwrap();
        let look_up = |exchange| {
            let (by, key) = find(&keys, exchange, Some(&id), address, false)?;
            Some((by, key.to_vec()))
        };
        assert_eq!(look_up(ExchangeType::AGGRESSIVE), Some((FoundBy::Identity, b"by name".to_vec())));
        assert_eq!(look_up(ExchangeType::MAIN), Some((FoundBy::Address, b"by address".to_vec())));
    }
}
