//! Notation of values in a configuration.

use std::fmt::{self, Display};
use std::path::Path;

use crate::racoon::global::{Account, Backend};
use crate::racoon::identifier::{Address, Identifier, KeyId};
use crate::racoon::remote::{RemoteAddress, RemoteName};
use crate::racoon::sainfo::{Sainfo, SainfoId};

/// A string in quotes.
pub(super) struct Quoted<T>(pub(super) T);

impl<T: Display> Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Needs no escapes: a string of the language cannot contain a quote.
        write!(f, "\"{}\"", self.0)
    }
}

pub(super) fn path(path: &Path) -> Quoted<std::path::Display<'_>> {
    Quoted(path.display())
}

/// Items separated by commas.
pub(super) struct List<'a, T>(pub(super) &'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// A cipher and its key length.
pub(super) struct Algorithm(pub(super) &'static str, pub(super) Option<u16>);

impl Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(bits) => write!(f, "{} {bits}", self.0),
            None => f.write_str(self.0),
        }
    }
}

pub(super) struct Head<'a>(pub(super) &'a RemoteName);

impl Display for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "remote {}", self.0)
    }
}

pub(super) struct SainfoHead<'a>(pub(super) &'a Sainfo);

impl Display for SainfoHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sainfo {}", self.0.local)?;
        // `sainfo anonymous` alone is for both ends.
        if (&self.0.local, &self.0.remote) != (&SainfoId::Anonymous, &SainfoId::Anonymous) {
            write!(f, " {}", self.0.remote)?;
        }
        match (&self.0.from, &self.0.group) {
            (Some(identifier), _) => write!(f, " from {identifier}"),
            (None, Some(group)) => write!(f, " group \"{group}\""),
            (None, None) => Ok(()),
        }
    }
}

/// As in the head of its section.
impl Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = match self {
            Self::Quoted(name) => return write!(f, "\"{name}\""),
            Self::Address(address, port) => {
                write!(f, "{address}")?;
                port
            }
            Self::Anonymous(port) => {
                f.write_str("anonymous")?;
                port
            }
        };
        port.map_or(Ok(()), |port| write!(f, " [{port}]"))
    }
}

impl Display for RemoteAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Numeric(address) => write!(f, "{address}"),
            Self::Host(name) => write!(f, "\"{name}\""),
        }
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ip)?;
        self.scope.as_ref().map_or(Ok(()), |scope| write!(f, "%{scope}"))
    }
}

/// As in the configuration.
impl Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(None) => f.write_str("address"),
            Self::Address(Some(address)) => write!(f, "address {address}"),
            Self::Fqdn(name) => write!(f, "fqdn \"{name}\""),
            Self::UserFqdn(name) => write!(f, "user_fqdn \"{name}\""),
            Self::KeyId(None) => f.write_str("keyid"),
            Self::KeyId(Some(KeyId { file: Some(file), .. })) => write!(f, "keyid file {}", path(file)),
            Self::KeyId(Some(KeyId { bytes, file: None })) => write!(f, "keyid tag {}", Tag(bytes)),
            Self::DistinguishedName(None) => f.write_str("asn1dn"),
            Self::DistinguishedName(Some(name)) => write!(f, "asn1dn \"{name}\""),
        }
    }
}

/// A key id in quotes. Its octets are text, because they were read from one.
struct Tag<'a>(&'a [u8]);

impl Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", String::from_utf8_lossy(self.0))
    }
}

impl Display for SainfoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::ClientAddress => f.write_str("clientaddr"),
            Self::Network { address, prefix, port, protocol } => {
                write!(f, "subnet {address}/{prefix}{}", PortAndProtocol(*port, *protocol))
            }
            Self::Range { first, last, port, protocol } => {
                write!(f, "address {first}-{last}{}", PortAndProtocol(*port, *protocol))
            }
            // A sainfo has no words for the kinds of key ids.
            Self::Name(Identifier::KeyId(Some(key_id))) => write!(f, "keyid {}", Tag(&key_id.bytes)),
            Self::Name(identifier) => write!(f, "{identifier}"),
        }
    }
}

struct PortAndProtocol(u16, u8);

impl Display for PortAndProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("[any] ")?,
            port => write!(f, "[{port}] ")?,
        }
        match self.1 {
            0 => f.write_str("any"),
            protocol => write!(f, "{protocol}"),
        }
    }
}

impl Account {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Name(name) => name.to_string(),
            Self::Id(id) => id.to_string(),
        }
    }
}

impl Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "\"{name}\""),
            Self::Id(id) => write!(f, "{id}"),
        }
    }
}

impl Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Xfrm => f.write_str("xfrm"),
            Self::PfKey => f.write_str("pfkey"),
            Self::Memory => f.write_str("memory"),
            Self::Socket(name) => write!(f, "socket {}", path(name)),
        }
    }
}
