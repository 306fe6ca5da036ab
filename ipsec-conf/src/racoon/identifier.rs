//! Addresses and identities.

use std::net::IpAddr;
use std::path::Path;

use super::distinguished_name::DistinguishedName;

/// An address, with the scope (`%eth0`) of a link-local one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The address.
    pub ip: IpAddr,
    /// The scope, which follows `%`.
    pub scope: Option<Box<str>>,
}

/// An identity of phase 1, in `my_identifier`, `peers_identifier` and `sainfo … from`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identifier {
    /// ID_IPV4_ADDR or ID_IPV6_ADDR. `None`: as `my_identifier` the own address of the negotiation, as
    /// `peers_identifier` anything.
    Address(Option<IpAddr>),
    /// ID_FQDN.
    Fqdn(Box<str>),
    /// ID_USER_FQDN.
    UserFqdn(Box<str>),
    /// ID_KEY_ID. `None` only as `peers_identifier`: anything.
    KeyId(Option<KeyId>),
    /// ID_DER_ASN1_DN. `None`: as `my_identifier` the subject of the own certificate, as `peers_identifier` anything.
    DistinguishedName(Option<DistinguishedName>),
}

/// The value of an ID_KEY_ID.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyId {
    /// The octets sent.
    pub bytes: Box<[u8]>,
    /// The file that it was read from; `None` for a `tag`.
    pub file: Option<Box<Path>>,
}
