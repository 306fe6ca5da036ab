//! Translation of `sainfo` sections.

use ipsec_conf::racoon as conf;
use racoon_proto::config::{Encryption, RemoteSide, Sainfo, Side};
use racoon_proto::identity::Identity;
use racoon_proto::proposal::Phase2Terms;

use super::{ConfigError, identity, number};

pub(super) fn translate(from: &conf::Sainfo) -> Result<Sainfo, ConfigError> {
    let wrong = |message| ConfigError { place: from.place.clone(), message };
    let local = match &from.local {
        conf::SainfoId::Anonymous => Side::Anonymous,
        conf::SainfoId::ClientAddress => return Err(wrong("clientaddr is valid on the remote side only".into())),
        id => Side::Id(fixed(id).map_err(wrong)?),
    };
    let remote = match &from.remote {
        conf::SainfoId::Anonymous => RemoteSide::Anonymous,
        conf::SainfoId::ClientAddress => RemoteSide::ClientAddress,
        id => RemoteSide::Id(fixed(id).map_err(wrong)?),
    };
    let encryption = |one: &conf::EspEncryption| Encryption {
        transform: number::esp(one.cipher),
        key_length: one.key_bits.unwrap_or(0),
    };
    let defaults = Sainfo::new(local, remote);
    Ok(Sainfo {
        from: from.from.as_ref().map(identity::expected).transpose().map_err(wrong)?,
        group: from.group.as_deref().map(Into::into),
        remoteid: from.remoteid,
        terms: Phase2Terms {
            lifetime: number::seconds(from.lifetime),
            kilobytes: from.lifetime_bytes.map(kilobytes),
            group: from.pfs_group.map(number::group),
        },
        encryption: from.encryption.iter().map(encryption).collect(),
        authentication: from.authentication.iter().map(|one| number::authentication(*one)).collect(),
        compression: from.compression.iter().map(|one| number::compression(*one)).collect(),
        esn: number::esn(from.esn),
        replay_window: from.replay_window,
        ..defaults
    })
}

/// Translates a phase 2 identity.
fn fixed(id: &conf::SainfoId) -> Result<Identity, String> {
    let (identity, protocol, port) = match id {
        conf::SainfoId::Network { address, prefix, port, protocol } => {
            (Some(network(*address, *prefix)), *protocol, *port)
        }
        conf::SainfoId::Range { first, last, port, protocol } => (Identity::range(*first, *last), *protocol, *port),
        conf::SainfoId::Name(identifier) => (identity::fixed(identifier), 0, 0),
        conf::SainfoId::Anonymous | conf::SainfoId::ClientAddress => (None, 0, 0),
    };
    Ok(identity.ok_or("not a phase 2 identity")?.with_protocol(protocol, port))
}

/// Returns the identity of a network. One with a full-length prefix is an address.
fn network(address: std::net::IpAddr, prefix: u8) -> Identity {
    let subnet = Identity::subnet(address, prefix);
    subnet.single_address().map_or(subnet, Identity::address)
}

/// Converts bytes to kilobytes as in a proposal, rounded up and at most the largest number.
fn kilobytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}
