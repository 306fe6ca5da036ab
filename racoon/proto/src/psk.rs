//! Pre-shared keys: the table that holds them, and the names by which they are looked up.

use std::net::IpAddr;
use std::path::PathBuf;

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

    /// Whether the key of a name is shared: it is that of a wildcard, or of several names. Such a key does not prove which of these
    /// peers uses it.
    fn is_shared(&self, _name: &[u8]) -> bool {
        false
    }
}

/// Why a table has no key for a name. It contains nothing of any key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoKey {
    /// No file of keys is configured.
    NoFile,
    /// The file cannot be used.
    UnusableFile {
        /// Its name.
        file: PathBuf,
        /// Why not.
        problem: KeyFileProblem,
    },
    /// The file has no entry for the name, and none for any name.
    NoEntry {
        /// The name of the file.
        file: PathBuf,
        /// The line that its author may have meant for the name.
        nearest: Option<NearestLine>,
    },
    /// The key is empty, so that anybody would know it.
    Empty,
    /// There was no name to look for.
    NoName,
}

/// Why a file of keys cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFileProblem {
    /// The system cannot read it: the text of its error, such as `No such file or directory`.
    Unreadable(String),
    /// It is a directory or a device.
    NotRegular,
    /// It belongs to another user than the process, who could change it.
    Owner {
        /// The user id of the owner.
        owner: u32,
        /// The user id of the process.
        uid: u32,
    },
    /// Others may read or change it: its permission bits.
    Mode(u32),
}

/// A line of a file of keys that looks as if it were for a name, but is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearestLine {
    /// Its number, counted from 1.
    pub line: u32,
    /// What is wrong with it, as the parser of the file says: `has a port after the address: write the address alone`.
    pub problem: String,
}

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
    // The file has addresses as text, not in the binary form of identities.
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
    fn main_mode_looks_up_the_address_only() {
        let claimed = Identity::named(IdType::FQDN, b"gw.example");
        for verify_identifier in [false, true] {
            assert_eq!(of(ExchangeType::MAIN, &claimed, verify_identifier), ["192.0.2.1"]);
        }
    }

    #[test]
    fn other_exchanges_look_up_the_identity_first() {
        let claimed = Identity::named(IdType::FQDN, b"gw.example");
        for exchange in [ExchangeType::AGGRESSIVE, ExchangeType::BASE] {
            assert_eq!(of(exchange, &claimed, false), ["gw.example", "192.0.2.1"]);
            assert_eq!(of(exchange, &claimed, true), ["gw.example"]);
        }
    }

    #[test]
    fn an_address_as_identity_is_looked_up_as_text() {
        let claimed = Identity::address([198, 51, 100, 7].into());
        assert_eq!(of(ExchangeType::AGGRESSIVE, &claimed, true), ["198.51.100.7"]);
    }
}
